"""Two subscriptions of one workspace, one after the other or at once: each keeps what was paid for it."""

import pytest

from bot.plan import running_plan
from integrations.payments.base import ObjectRef
from integrations.payments.reconcile import reconcile
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL
from ledger.book import AccountRow
from ledger.money import URC_PER_RC
from ledger.pseudonyms import WorkspaceId
from ledger.store import Recorded
from tests.contract.payments.test_stripe_scenarios import spend
from tests.payments import NOW_S, Till, W
from tests.stores import AnyStore

DAY_S = 86_400
PLAN, DEFERRED, SUSPENSE = "L:ws:w-1:plan", "L:deferred", "L:suspense:stripe"


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


async def names(till: Till, begun: int) -> list[str]:
    return [item.entry.action.name for item in await till.store.moved(begun - 1, 100)]


async def end(till: Till, subscription: str, deleted: bool) -> None:
    """At once: its period goes on."""
    if deleted:
        till.account.delete_customer(till.account.get(subscription, "subscription")["customer"])
    else:
        till.account.cancel(subscription, at_once=True)
    await till.delivered()
    till.account.now_s += 600


@pytest.mark.parametrize("deleted", [False, True])
async def test_the_end_of_an_old_plan_leaves_the_credit_of_a_new_one(till: Till, deleted: bool) -> None:
    await end(till, await till.subscribed(), deleted)
    newer = await till.subscribed(till.top)
    assert await rc(till, PLAN, DEFERRED) == [6500, 1500]
    await spend(till, 700)
    till.account.now_s += 31 * DAY_S - 600  # the old period is over, the new one goes on for some minutes
    await till.cashier.scan()
    assert await rc(till, PLAN, DEFERRED) == [5800, 1000]
    running = await running_plan(till.store, till.cashier.bridge.plans, WorkspaceId(W))
    assert running is not None
    assert running.name == "top"
    scans = (await till.store.head()).size
    till.account.now_s += DAY_S
    await till.cashier.scan()
    assert await names(till, scans) == []  # its end was recorded once
    till.account.renew(newer)
    await till.delivered()
    assert await rc(till, PLAN, DEFERRED, "R:breakage") == [5000, 1000, 5800]
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


class Behind:
    """A process that has read whose the plan is just before another grants the next one."""

    def __init__(self, store: AnyStore, planned: tuple[Recorded, ...], rows: tuple[AccountRow, ...]) -> None:
        self._store, self._planned, self._rows = store, planned, rows

    async def find(self, idem: str) -> Recorded | None:
        return await self._store.find(idem)

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]:
        return self._planned

    async def balances_of(self, workspace: WorkspaceId) -> tuple[AccountRow, ...]:
        return self._rows


async def test_an_old_plan_that_ends_while_a_new_one_is_granted_takes_its_own_credit_alone(till: Till) -> None:
    old = await till.subscribed()
    await end(till, old, deleted=False)
    await spend(till, 200)
    workspace = WorkspaceId(W)
    read = Behind(till.store, await till.store.planned(workspace), await till.store.balances_of(workspace))
    await till.subscribed(till.top)
    till.account.now_s += 31 * DAY_S - 600
    (ended,) = await till.method.fetch(ObjectRef("subscription", old))
    await Bridge(till.roadchain, read, RAIL, till.cashier.bridge.plans).record(ended)
    assert await rc(till, PLAN, "R:breakage") == [5000, 1300]
    running = await running_plan(till.store, till.cashier.bridge.plans, workspace)
    assert running is not None
    assert running.name == "top"


async def test_a_renewal_that_comes_late_leaves_what_another_plan_has_granted(till: Till) -> None:
    old = await till.subscribed()
    till.account.renew(old)
    late, till.stripe.pending[:] = list(till.stripe.pending), []
    await end(till, old, deleted=False)
    await till.subscribed(till.top)
    till.stripe.pending[:] = late
    await till.delivered()
    (there,) = await rc(till, PLAN)
    assert there >= 6500  # both were paid for
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()
