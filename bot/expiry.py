"""Promotional credit ends: what is left of each lot whose time is over is taken out of the book.

Nobody could spend it since that moment: a call draws from lots that are alive. Credit that comes back to such a lot, from a hold
that was open, goes with the next hour.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.accounts import RC
from ledger.credit_actions import CreditExpired
from ledger.entry import HOUSE, Draft, Scope
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Store

HOUR_US = 3_600_000_000
PROMOTIONAL = "promo"


@dataclass(frozen=True, slots=True)
class Expiry:
    """Any number of processes may do it: of an hour each lot's first entry stands."""

    roadchain: RoadChain
    store: Store
    clock: Callable[[], int]

    async def apply(self) -> int:
        """Take out what is over. Returns how many lots that were. Raises ``LedgerError``, ``StoreFailed``."""
        now_us, ended = self.clock(), 0
        for row in await self.store.balances():
            over = row.expires_us is not None and row.expires_us <= now_us
            if not (over and row.natural > 0 and row.currency == RC):
                continue
            _, _, workspace, kind, lot = row.account.split(":")
            if kind != PROMOTIONAL:
                continue
            scope = Scope(WorkspaceId(workspace), HOUSE.actor, HOUSE.conversation, HOUSE.turn)
            key = f"credit.expire/{workspace}/{lot}/{now_us // HOUR_US}"
            (receipt,) = await self.roadchain.append(Draft(CreditExpired(f"{kind}:{lot}"), scope, key))
            ended += receipt.fresh
        return ended
