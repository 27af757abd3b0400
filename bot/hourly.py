"""What a house does by itself once an hour, while it is open."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType

from ledger.errors import LedgerError, StoreFailed

EVERY_S = 3600.0

log = logging.getLogger("carpool.hourly")


class Hourly:
    """Use as ``async with``: ``work`` is done at once, and then each hour. It gives how many things it did; ``did`` says in the
    log what that is. What fails is tried an hour later, whatever it was; where the ledger takes nothing, the house closes by
    itself.
    """

    def __init__(self, work: Callable[[], Awaitable[int]], did: str) -> None:
        self._work = work
        self._did = did
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Hourly":
        self._running = asyncio.create_task(self._run(), name=f"hourly: {self._did}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        while True:
            try:
                if count := await self._work():
                    log.info(self._did, extra={"count": count})
            except (LedgerError, StoreFailed) as error:
                log.warning("not done this hour: %s", self._did, extra={"cause": str(error)})
            except Exception:  # a shape that nobody thought of must not end this for good, in silence
                log.exception("not done this hour: %s", self._did)
            await asyncio.sleep(EVERY_S)
