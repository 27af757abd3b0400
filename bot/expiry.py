"""Promotional credit ends: once an hour, what is left of each lot whose time is over is taken out of the book.

Nobody could spend it since that moment: a call draws from lots that are alive. Credit that comes back to such a lot, from a hold
that was open, goes with the next hour.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from ledger.accounts import RC
from ledger.credit_actions import CreditExpired
from ledger.entry import HOUSE, Draft, Scope
from ledger.errors import LedgerError, StoreFailed
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Store

CHECK_S = 3600.0
HOUR_US = 3_600_000_000
PROMOTIONAL = "promo"

log = logging.getLogger("carpool.expiry")


class Expiry:
    """Use as ``async with``. Any number of processes may do it: of an hour each lot's first entry stands."""

    def __init__(self, roadchain: RoadChain, store: Store, clock: Callable[[], int]) -> None:
        self._roadchain = roadchain
        self._store = store
        self._clock = clock
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Expiry":
        self._running = asyncio.create_task(self._run(), name="expiry")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def apply(self) -> int:
        """Take out what is over. Returns how many lots that were. Raises ``LedgerError``, ``StoreFailed``."""
        now_us, ended = self._clock(), 0
        for row in await self._store.balances():
            over = row.expires_us is not None and row.expires_us <= now_us
            if not (over and row.natural > 0 and row.currency == RC):
                continue
            _, _, workspace, kind, lot = row.account.split(":")
            if kind != PROMOTIONAL:
                continue
            scope = Scope(WorkspaceId(workspace), HOUSE.actor, HOUSE.conversation, HOUSE.turn)
            key = f"credit.expire/{workspace}/{lot}/{now_us // HOUR_US}"
            (receipt,) = await self._roadchain.append(Draft(CreditExpired(f"{kind}:{lot}"), scope, key))
            ended += receipt.fresh
        return ended

    async def _run(self) -> None:
        while True:
            try:
                ended = await self.apply()
                if ended:
                    log.info("promotional credit has ended", extra={"count": ended})
            except (LedgerError, StoreFailed) as error:
                # The next hour tries again; where the store is gone the house closes by itself.
                log.warning("no credit could be ended", extra={"cause": str(error)})
            await asyncio.sleep(CHECK_S)
