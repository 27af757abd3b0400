"""A plan's period ends while some of its payment goes back: each of the two is recorded in the midst of the other.

No chance and no clock: what happens meanwhile happens after everything was read, right before it is written.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from integrations.payments.base import ObjectRef
from integrations.payments.cashier import Cashier
from integrations.payments.reconcile import reconcile
from integrations.payments.roadchain_bridge import Bridge
from ledger.book import Wanted
from ledger.money import URC_PER_RC
from ledger.roadchain import RoadChain
from ledger.store import Seal, Sealed
from tests.fakes.stripe_account import Thing
from tests.payments import NOW_S, Till
from tests.stores import AnyStore

PLAN, DEFER, EARNED, DEBT = "L:ws:w-1:plan", "L:deferred", "R:subscription", "A:ws:w-1:debt"


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


class Interrupted:
    """A store for whose batch with a key that ends so something else is waited for."""

    def __init__(self, store: AnyStore, key: str, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        self._store = store
        self._key = key
        self._meanwhile: Callable[[], Awaitable[Any]] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @property
    def happened(self) -> bool:
        return self._meanwhile is None

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        if self._meanwhile is not None and any(key.endswith(self._key) for key in wanted.keys):
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return await self._store.commit(wanted, seal)


async def in_the_midst(till: Till, of: ObjectRef, key: str, other: ObjectRef) -> None:
    """Another process looks at ``of``, and right before it records ``key`` this one looks at ``other``."""
    between: Any = Interrupted(till.store, key, partial(till.cashier.look_at, other))
    async with RoadChain(between, clock=lambda: till.account.now_s * 1_000_000) as roadchain:
        bridge = Bridge(roadchain, till.store, till.method.rail, till.cashier.bridge.plans)
        await Cashier(till.method, bridge, lambda: till.account.now_s * 1_000_000, till.method).look_at(of)
    assert between.happened
    till.stripe.pending.clear()


def first_payment(till: Till) -> str:
    payment: str = till.account.invoice_payments[0]["payment"]["payment_intent"]
    return payment


def about(thing: Thing) -> ObjectRef:
    return ObjectRef(thing["object"], thing["id"])


async def ended_alike(till: Till, deferred: float, earned: float) -> None:
    """Whichever came first: and looked at again, nothing is added."""
    assert await rc(till, DEFER, EARNED) == [deferred, earned]
    for thing in [thing for kind in ("invoice", "refund", "dispute") for thing in till.account.of(kind)]:
        await till.cashier.look_at(about(thing))
    assert (await till.cashier.scan()).left == 0
    assert await rc(till, DEFER, EARNED) == [deferred, earned]
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


@pytest.mark.parametrize("cents", [2000, 400])
@pytest.mark.parametrize("first", ["the renewal", "the refund"])
async def test_a_renewal_and_a_refund_of_the_period_before_share_its_fee(till: Till, first: str, cents: int) -> None:
    subscription = await till.subscribed()
    renewed = about(till.account.renew(subscription))
    refund = about(till.account.refund(first_payment(till), cents, {}))
    if first == "the refund":
        await in_the_midst(till, renewed, ":recognised", refund)
    else:
        await in_the_midst(till, refund, ":sent", renewed)
    await ended_alike(till, 500, 500 - cents / 4)


async def test_an_end_and_a_refund_share_the_fee(till: Till) -> None:
    subscription = await till.subscribed()
    till.account.cancel(subscription, at_once=False)
    till.account.now_s += 32 * 86_400
    till.account.things[subscription]["status"] = "canceled"
    till.account.things[subscription]["ended_at"] = till.account.now_s
    refund = about(till.account.refund(first_payment(till), 2000, {}))
    await in_the_midst(till, ObjectRef("subscription", subscription), ":recognised", refund)
    await ended_alike(till, 0, 0)


@pytest.mark.parametrize("first", ["the renewal", "what comes back"])
async def test_a_renewal_and_a_refund_that_fails_share_the_fee(till: Till, first: str) -> None:
    subscription = await till.subscribed()
    refund = till.account.refund(first_payment(till), 2000, {})
    await till.delivered()
    renewed = about(till.account.renew(subscription))
    till.account.fail_refund(refund["id"])
    if first == "what comes back":
        await in_the_midst(till, renewed, ":recognised", about(refund))
    else:
        await in_the_midst(till, about(refund), ":failed", renewed)
    await ended_alike(till, 500, 500)


@pytest.mark.parametrize("won", [True, False])
@pytest.mark.parametrize("first", ["the renewal", "the dispute"])
async def test_a_renewal_and_the_end_of_a_dispute_share_the_fee(till: Till, first: str, won: bool) -> None:
    subscription = await till.subscribed()
    dispute = till.account.dispute(first_payment(till), fee=0)
    await till.delivered()
    renewed = about(till.account.renew(subscription))
    till.account.close_dispute(dispute["id"], won=won)
    if first == "the dispute":
        await in_the_midst(till, renewed, ":recognised", about(dispute))
    else:
        await in_the_midst(till, about(dispute), ":won" if won else ":lost", renewed)
    await ended_alike(till, 500, 500 if won else 0)


@pytest.mark.parametrize("first", ["the renewal", "the dispute"])
async def test_a_renewal_and_a_dispute_that_begins_and_is_lost_share_the_fee(till: Till, first: str) -> None:
    subscription = await till.subscribed()
    renewed = about(till.account.renew(subscription))
    dispute = till.account.dispute(first_payment(till), fee=0)
    if first == "the dispute":
        await in_the_midst(till, renewed, ":recognised", about(dispute))
    else:
        await in_the_midst(till, about(dispute), ":freeze", renewed)
    till.account.close_dispute(dispute["id"], won=False)
    await till.delivered()
    await ended_alike(till, 500, 0)
