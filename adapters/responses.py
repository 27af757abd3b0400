"""An HTTP response that ends what reads it: imported with ``httpx2``, when the first client is opened."""

from collections.abc import AsyncGenerator
from types import AsyncGeneratorType

import httpx2


class ClosingResponse(httpx2.Response):
    """A response whose ``aclose`` ends its reader too.

    An SDK that stops reading before the end leaves the generators that read to the garbage collector. That runs in any
    thread, and ends each of them by itself: one of them in the middle of being ended by another is a ``ValueError`` nobody
    can catch.
    """

    _reading: AsyncGenerator[bytes, None] | None = None

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        self._reading = super().aiter_bytes(chunk_size)
        return self._reading

    async def aclose(self) -> None:
        reading, self._reading = self._reading, None
        # A reader at its end closes the response itself: it is running then.
        if isinstance(reading, AsyncGeneratorType) and not reading.ag_running:
            await reading.aclose()
        await super().aclose()


async def close_with_reader(response: httpx2.Response) -> None:
    """For a client's hooks: the client makes responses of its own class, and has no setting for another."""
    response.__class__ = ClosingResponse
