"""The time limit of one answer, kept by each adapter around the moments in which it waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.base import ChatRequest
from adapters.errors import TimedOut


class Deadline:
    """Starts when it is made. A stream must not yield inside ``waiting``: the reader's own time would be cut short."""

    def __init__(self, request: ChatRequest) -> None:
        self._timeout_s = request.timeout_s
        self._at_s = asyncio.get_running_loop().time() + request.timeout_s

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Raises ``TimedOut`` when the request's time is over, into whatever is awaited inside."""
        try:
            async with asyncio.timeout_at(self._at_s):
                yield
        except TimeoutError as error:
            raise TimedOut(f"no whole answer within {self._timeout_s:g} s") from error
