"""Retention: texts older than ``CARPOOL_RETENTION_DAYS`` are erased."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.erasure import OlderThan, erase
from ledger.roadchain import RoadChain
from ledger.store import Store, TextsErased

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """``days`` 0 keeps everything."""

    roadchain: RoadChain
    store: Store
    days: int
    clock: Callable[[], int]

    async def apply(self) -> int:
        """Erase what is too old, in each workspace. Returns how many texts that were."""
        if not self.days:
            return 0
        erased = 0
        before_us = self.clock() - self.days * DAY_US
        for workspace in await self.store.workspaces():
            size = (await self.store.head()).size
            # Going through the store's files takes long: only where there is something to erase.
            if await self.store.texts(TextsErased(workspace, "age", workspace, before_us, size)):
                erased += (await erase(self.roadchain, self.store, OlderThan(workspace, before_us))).texts
        return erased
