"""Retention: texts older than ``CARPOOL_RETENTION_DAYS`` are erased while the house is open, once an hour."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from ledger.erasure import OlderThan, erase
from ledger.errors import StoreFailed
from ledger.roadchain import RoadChain
from ledger.store import Store, TextsErased

DAY_US = 86_400_000_000
CHECK_S = 3600.0

log = logging.getLogger("carpool.retention")


class Retention:
    """Use as ``async with``. ``days`` 0 keeps everything, and does nothing."""

    def __init__(self, roadchain: RoadChain, store: Store, days: int, clock: Callable[[], int]) -> None:
        self._roadchain = roadchain
        self._store = store
        self._days = days
        self._clock = clock
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Retention":
        if self._days:
            self._running = asyncio.create_task(self._run(), name="retention")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def apply(self) -> int:
        """Erase what is too old, in each workspace. Returns how many texts that were."""
        erased = 0
        before_us = self._clock() - self._days * DAY_US
        for workspace in await self._store.workspaces():
            size = (await self._store.head()).size
            # Going through the store's files takes long: only where there is something to erase.
            if await self._store.texts(TextsErased(workspace, "age", workspace, before_us, size)):
                erased += (await erase(self._roadchain, self._store, OlderThan(workspace, before_us))).texts
        return erased

    async def _run(self) -> None:
        while True:
            try:
                erased = await self.apply()
                if erased:
                    log.info("texts erased", extra={"count": erased})
            except StoreFailed as error:
                # With "busy" the next hour tries again; for anything else the house closes by itself.
                log.warning("nothing could be erased", extra={"cause": error.reason})
            await asyncio.sleep(CHECK_S)
