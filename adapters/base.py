"""The one call that every model is behind."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapters.errors import BadReply, Refused
from adapters.messages import (
    Finished,
    FinishReason,
    JsonObject,
    Message,
    ModelName,
    Part,
    ProviderName,
    ProviderState,
    ReasoningDelta,
    ReplyEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)

Effort: TypeAlias = Literal["low", "medium", "high"]
"""How much a model should think before it answers: what all providers of models that think have words for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long nothing may be said: before the first token, and between two. A model that thinks may say nothing for long."""

    first_token_s: float = 90.0
    between_tokens_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to one model.

    ``max_output_tokens`` is a ceiling that the adapter sends to the provider. ``timeout_s`` is how long the whole answer
    may take, and ``patience`` how long it may say nothing; the adapter keeps both, and the caller the first as well.
    ``response_schema`` asks for an answer that is JSON of that schema. ``effort`` asks a model to think so much, and to show
    what it thinks where its provider has that apart from the answer; None leaves both to the model. Models that do not think
    may refuse it.

    A setting stands here when two providers share it; any other is a constructor argument of its adapter.
    """

    model: ModelName
    messages: tuple[Message, ...]
    max_output_tokens: int
    timeout_s: float
    tools: tuple[ToolSpec, ...] = ()
    response_schema: JsonObject | None = None
    patience: Patience = Patience()
    effort: Effort | None = None


class BaseAdapter(ABC):
    """A provider of models.

    Building one costs nothing: no import of an SDK, no connection, no file. The first call does that.
    """

    provider: ProviderName

    @abstractmethod
    def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        """Stream the answer: any number of events, then exactly one ``Finished``, last.

        A caller that stops reading closes the iterator (or cancels the task that reads it), and the provider is told to
        stop as soon as it can be. Nothing is tried twice in here. Raises ``AdapterError`` only.
        """

    async def check(self) -> None:
        """Ask the provider whether it takes the key: a call that costs nothing. Returns where it does.

        Raises ``RefusedKey`` where it does not, another ``AdapterError`` where that could not be found out. It has no time limit.
        """
        raise Refused(f"{self.provider} has no call that only checks a key")

    async def aclose(self) -> None:
        """Let go of connections, threads and memory. Called once, when nothing is under way."""
        return None


@dataclass(frozen=True, slots=True)
class WholeReply:
    message: Message
    reason: FinishReason
    usage: Usage | None

    @property
    def text(self) -> str:
        return self.message.text


async def collect(events: AsyncIterator[ReplyEvent]) -> WholeReply:
    """Read a stream to its end. Reasoning is left out. Raises ``BadReply`` where ``Finished`` is missing or not last."""
    text: list[str] = []
    others: list[Part] = []
    finished: Finished | None = None
    async for event in events:
        if finished is not None:
            raise BadReply("an event came after Finished")
        match event:
            case TextDelta(delta):
                text.append(delta)
            case ReasoningDelta():
                pass
            case ToolCall() | ProviderState():
                others.append(event)
            case Finished():
                finished = event
    if finished is None:
        raise BadReply("the stream ended without Finished")
    parts: tuple[Part, ...] = (Text("".join(text)), *others) if text else tuple(others)
    return WholeReply(Message("assistant", parts), finished.reason, finished.usage)
