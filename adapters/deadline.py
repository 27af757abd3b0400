"""The time limits of one answer, kept by each adapter around the moments in which it waits.

Four, each with an error of its own: for the connection (``adapters.http_client``), for the first token, for each further
one, and for the whole answer. Only what the model says counts as a token: a server that keeps a connection alive with
comments says nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from adapters.base import ChatRequest
from adapters.errors import FirstTokenTimedOut, TimedOut, WentSilent

T = TypeVar("T")


class Deadline:
    """Starts when it is made. A stream must not yield inside ``waiting``: the reader's own time would be cut short."""

    def __init__(self, request: ChatRequest) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = request.timeout_s
        self._patience = request.patience
        self._whole_at_s = self._loop.time() + request.timeout_s
        self._first_at_s: float | None = None
        self._speaking = False

    def asked(self) -> None:
        """The question leaves now: what came before, such as the loading of a model, was not the model's time."""
        self._first_at_s = self._loop.time() + self._patience.first_token_s

    def spoke(self) -> None:
        """The model has said something."""
        self._speaking = True

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Raises ``TimedOut`` or one of its kinds when a limit is met, into whatever is awaited inside."""
        at_s, late = self._next_limit()
        try:
            async with asyncio.timeout_at(at_s) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():  # somebody else's limit: an SDK's error may be a TimeoutError too
                raise
            raise late from error

    async def next(self, chunks: AsyncIterator[T]) -> T | None:
        """The next chunk, or None where there is no more."""
        async with self.waiting():
            return await anext(chunks, None)

    def _next_limit(self) -> tuple[float, TimedOut]:
        whole = (self._whole_at_s, TimedOut(f"no whole answer within {self._timeout_s:g} s"))
        if self._speaking:
            between_s = self._patience.between_tokens_s
            silent = (self._loop.time() + between_s, WentSilent(f"nothing more for {between_s:g} s"))
            return min(whole, silent, key=lambda limit: limit[0])
        if self._first_at_s is not None:
            first_s = self._patience.first_token_s
            return min(
                whole,
                (self._first_at_s, FirstTokenTimedOut(f"nothing within {first_s:g} s")),
                key=lambda limit: limit[0],
            )
        return whole
