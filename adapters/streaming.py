"""From an SDK's stream to events: the same for each SDK, so that time limits, closing and errors are kept in one place."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any, Protocol

from adapters.deadline import Deadline
from adapters.errors import AdapterError, BadReply
from adapters.http_errors import was_sent, without_key
from adapters.messages import ReplyEvent
from adapters.openai_wire import Wire


class Decoder(Protocol):
    """Folds the chunks of one answer into events. ``spoke`` is true once the model has said anything at all."""

    @property
    def spoke(self) -> bool: ...

    def decode(self, chunk: Wire) -> Iterator[ReplyEvent]: ...

    def end(self) -> Iterator[ReplyEvent]: ...


class Sdk(Protocol):
    """What differs between SDKs: what its calls can raise, what that is to us, and how its chunks become plain JSON."""

    def errors(self) -> tuple[type[Exception], ...]: ...

    def as_adapter_error(self, error: Exception) -> AdapterError: ...

    def as_wire(self, chunk: Any) -> Wire: ...

    async def close(self, stream: Any) -> None: ...


async def events_of(
    sdk: Sdk, ask: Callable[[], Awaitable[Any]], decoder: Decoder, deadline: Deadline, key: str | None
) -> AsyncGenerator[ReplyEvent, None]:
    """Ask, and give what is said, as it comes. The stream is closed however this ends. Raises ``AdapterError`` only."""
    deadline.asked()
    begun = False
    try:
        with deadline.waiting():
            stream = await ask()
        try:
            chunks = aiter(stream)
            while (chunk := await deadline.next(chunks)) is not None:
                begun = True
                for event in decoder.decode(sdk.as_wire(chunk)):
                    deadline.spoke()
                    yield event
                if decoder.spoke:
                    deadline.spoke()
        finally:
            await sdk.close(stream)
    except sdk.errors() as error:
        failure = sdk.as_adapter_error(error)
        # Some SDKs ask with the first chunk only, so that a status can come here, too.
        failure.may_cost = begun or was_sent(error) or isinstance(failure, BadReply)
        raise failure from without_key(error, key)
    except AdapterError as error:
        error.may_cost = error.may_cost or begun
        raise
    finally:
        deadline.over()
    try:
        for event in decoder.end():
            yield event
    except AdapterError as error:
        error.may_cost = True
        raise


async def checked(sdk: Sdk, ask: Callable[[], Awaitable[object]], key: str | None) -> None:
    """Ask, and care for nothing but whether that was refused. Raises ``AdapterError`` only."""
    try:
        await ask()
    except sdk.errors() as error:
        raise sdk.as_adapter_error(error) from without_key(error, key)


def wire_of(chunk: Any) -> Wire:
    """A chunk that an SDK gives as the plain JSON that came. It checks nothing of it."""
    if not isinstance(chunk, dict):
        raise BadReply("a chunk that is no JSON object")
    return chunk
