"""The time limits of one answer, kept by each adapter around the moments in which it waits.

Four, each with an error of its own: for the connection (``adapters.http_client``), for the first token, for each further
one, and for the whole answer. Only what the model says counts as a token: a server that keeps a connection alive with
comments says nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, TypeVar, assert_never

from adapters.base import ChatRequest
from adapters.errors import FirstTokenTimedOut, TimedOut, WentSilent

T = TypeVar("T")
Limit: TypeAlias = Literal["whole", "first_token", "between_tokens"]


class Deadline:
    """Starts when it is made. A stream must not yield inside ``waiting``: the reader's own time would be cut short.

    ``over`` is called when nothing more is waited for, however that came about.
    """

    def __init__(self, request: ChatRequest) -> None:
        self._alarm = _Alarm()
        self._timeout_s = request.timeout_s
        self._patience = request.patience
        self._whole_at_s = self._alarm.now_s() + request.timeout_s
        self._first_at_s: float | None = None
        self._speaking = False

    def asked(self) -> None:
        """The question leaves now: what came before, such as the loading of a model, was not the model's time."""
        self._first_at_s = self._alarm.now_s() + self._patience.first_token_s

    def spoke(self) -> None:
        """The model has said something."""
        self._speaking = True

    def over(self) -> None:
        self._alarm.stop()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Raises ``TimedOut`` or one of its kinds when a limit is met, out of whatever is awaited inside."""
        limit = self._begin()
        try:
            yield
        except BaseException as error:
            self._cut_short(limit, error)
            raise
        self._alarm.end()

    async def next(self, chunks: AsyncIterator[T]) -> T | None:
        """The next chunk, or None where there is no more."""
        # As in ``waiting``, which itself would cost more than all else that is done with a chunk.
        limit = self._begin()
        try:
            chunk = await anext(chunks, None)
        except BaseException as error:
            self._cut_short(limit, error)
            raise
        self._alarm.end()
        return chunk

    def _begin(self) -> Limit:
        at_s, limit = self._next_limit()
        self._alarm.begin(at_s)
        return limit

    def _cut_short(self, limit: Limit, error: BaseException) -> None:
        """Raises what the limit stands for, where that and nobody else ended the wait."""
        rang = self._alarm.end()
        self._alarm.stop()
        if rang and isinstance(error, asyncio.CancelledError):
            raise self._late(limit) from error

    def _next_limit(self) -> tuple[float, Limit]:
        at_s: float
        limit: Limit
        if self._speaking:
            at_s, limit = self._alarm.now_s() + self._patience.between_tokens_s, "between_tokens"
        elif self._first_at_s is not None:
            at_s, limit = self._first_at_s, "first_token"
        else:
            return self._whole_at_s, "whole"
        return (at_s, limit) if at_s < self._whole_at_s else (self._whole_at_s, "whole")

    def _late(self, limit: Limit) -> TimedOut:
        match limit:
            case "whole":
                return TimedOut(f"no whole answer within {self._timeout_s:g} s")
            case "first_token":
                return FirstTokenTimedOut(f"nothing within {self._patience.first_token_s:g} s")
            case "between_tokens":
                return WentSilent(f"nothing more for {self._patience.between_tokens_s:g} s")
            case _:
                assert_never(limit)


class _Alarm:
    """Cancels the task that waits for too long, as ``asyncio.timeout`` does, and in the same way tells its own cancelling from
    that of others.

    An answer has many waits, and most of them are over at once: a timer for each would have to be set and taken away again. Here
    one serves them all. It goes off when the first of them would have been too long, and is then set for the one that is on.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._due_s = 0.0
        self._cancelling = 0
        self._rang = False

    def now_s(self) -> float:
        return self._loop.time()

    def begin(self, due_s: float) -> None:
        """This task waits from now on, and until then at the most."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can wait")
        self._task, self._due_s, self._cancelling = task, due_s, task.cancelling()
        if self._timer is None or self._timer.when() > due_s:
            self.stop()
            self._timer = self._loop.call_at(due_s, self._go_off)

    def end(self) -> bool:
        """It waits no more. Whether this alarm cancelled it, and nobody else did."""
        task, self._task = self._task, None
        rang, self._rang = self._rang, False
        return rang and task is not None and task.uncancel() <= self._cancelling

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_off(self) -> None:
        self._timer = None
        if self._task is None:  # the next wait sets it again
            return
        if self._due_s > self._loop.time():
            self._timer = self._loop.call_at(self._due_s, self._go_off)
            return
        self._rang = True
        self._task.cancel()
