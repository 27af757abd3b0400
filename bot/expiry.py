"""Credit whose time is over ends: what is left of each such lot, and of a plan that has ended, is taken out of the book.

Nobody could spend a lot since that moment: a call draws from lots that are alive. Credit that comes back to one, from a hold that
was open, goes with the next hour; so does credit that comes back to a plan after its end, from a hold, a refund or a dispute.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bot.plan import running_of
from ledger.accounts import RC
from ledger.credit_actions import CreditExpired, PlanGranted
from ledger.entry import HOUSE, Draft, Scope, StripeObject
from ledger.errors import KeyReused
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Store

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Expiry:
    """Any number of processes may do it: of an hour each lot's first entry stands, and each plan's."""

    roadchain: RoadChain
    store: Store
    clock: Callable[[], int]

    async def apply(self) -> int:
        """Take out what is over. Returns how many lots and plans that were. Raises ``LedgerError``, ``StoreFailed``."""
        now_us, ended = self.clock(), 0
        for row in await self.store.balances():
            if row.natural <= 0 or row.currency != RC:
                continue
            match row.account.split(":"):
                case ["L", "ws", workspace, "promo", lot] if row.expires_us is not None and row.expires_us <= now_us:
                    ended += await self._end(workspace, lot, CreditExpired(f"promo:{lot}"), None)
                case ["L", "ws", workspace, "plan"]:
                    ended += await self._end_plan(workspace, row.natural)
                case _:
                    pass
        return ended

    async def _end_plan(self, workspace: str, there: int) -> bool:
        """Where none runs. What another plan grants meanwhile is not in what was ``there``."""
        planned = await self.store.planned(WorkspaceId(workspace))
        grant = next((item.entry.action for item in planned if isinstance(item.entry.action, PlanGranted)), None)
        if grant is None or running_of(planned) is not None:
            return False
        # Named as of the plan that ended: it ends no other.
        about = StripeObject("subscription", grant.subscription) if grant.subscription else None
        try:
            return await self._end(workspace, "plan-ended", CreditExpired("plan", there), about)
        except KeyReused:  # in this hour another amount came back before
            return False

    async def _end(self, workspace: str, what: str, action: CreditExpired, about: StripeObject | None) -> bool:
        scope = Scope(WorkspaceId(workspace), HOUSE.actor, HOUSE.conversation, HOUSE.turn)
        key = f"credit.expire/{workspace}/{what}/{self.clock() // HOUR_US}"
        (receipt,) = await self.roadchain.append(Draft(action, scope, key, stripe=about))
        return receipt.fresh
