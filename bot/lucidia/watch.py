"""Health as it is now: the ledger's entries about models, read as they come, whoever wrote them."""

import asyncio
from collections.abc import Callable, Mapping

from adapters.messages import ProviderName
from bot.lucidia.health import Fold, Health
from ledger.store import Store

LOOK_BACK_ENTRIES = 2_000
PAGE_ENTRIES = 500
NOBODY: Mapping[ProviderName, str] = {}


class Watch:
    """The ledger is the only memory of it: processes that share a ledger see the same health, and a restart loses none."""

    def __init__(self, store: Store, clock_us: Callable[[], int]) -> None:
        self._store = store
        self._clock_us = clock_us
        self._fold = Fold()
        self._read_to: int | None = None
        self._seen_us = 0
        self._reading = asyncio.Lock()

    async def look(self, owners: Mapping[ProviderName, str] = NOBODY) -> Health:
        """For whoever asks with the keys of ``owners``. It is of this moment: use it before the next look.

        Raises ``StoreFailed``.
        """
        async with self._reading:
            if self._read_to is None:
                self._read_to = (await self._store.head()).size - 1 - LOOK_BACK_ENTRIES
            full = True
            while full:
                page = await self._store.calls(max(-1, self._read_to), PAGE_ENTRIES)
                for recorded in page:
                    self._fold.take(recorded.entry)
                    self._read_to, self._seen_us = recorded.entry.seq, recorded.entry.mono
                full = len(page) == PAGE_ENTRIES
            # The ledger's clock never goes back, whatever this machine's does.
            return Health(self._fold.models, max(self._clock_us(), self._seen_us), owners)
