"""A plan that was made smaller, and whose payment goes back as well: a fee is given back once, and what was given beside is owed
or lost by name. Of the larger plan half a period is left: 1750 RC of credit and 250 RC of its fee are the customer's."""

import pytest

from integrations.payments.reconcile import reconcile
from ledger.money import URC_PER_RC
from tests.payments import NOW_S, Till

PLAN, FROZEN, DEBT, DEFERRED = "L:ws:w-1:plan", "L:ws:w-1:frozen", "A:ws:w-1:debt", "L:deferred"
EARNED, LOST, THEIRS = "R:subscription", "X:baddebt", "L:balance:stripe"


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances()}
    return [rows.get(account, 0) for account in accounts]


def paid_with(till: Till) -> str:
    """The payment of the last invoice that was paid by one."""
    payment: str = till.account.invoice_payments[-1]["payment"]["payment_intent"]
    return payment


async def smaller(till: Till, subscription: str) -> None:
    till.account.upgrade(subscription, till.pro.price)
    await till.delivered()


async def ended(till: Till, subscription: str) -> None:
    till.account.cancel(subscription)
    await till.delivered()
    assert (await till.cashier.scan()).aside == 0
    assert await rc(till, DEFERRED, PLAN, FROZEN) == [0, 0, 0]
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


@pytest.mark.parametrize("won", [False, True])
async def test_a_dispute_takes_of_the_fee_what_a_smaller_plan_left(till: Till, won: bool) -> None:
    subscription = await till.subscribed(till.top)
    payment = paid_with(till)
    await smaller(till, subscription)
    assert await rc(till, PLAN, DEFERRED, THEIRS) == [3250, 750, 2000]
    dispute = till.account.dispute(payment, fee=0)["id"]
    await till.delivered()
    till.account.close_dispute(dispute, won=won)
    await till.delivered()
    assert await rc(till, PLAN, DEFERRED, DEBT, LOST) == ([3250, 750, 0, 0] if won else [0, 0, 0, 2000])
    await ended(till, subscription)
    assert await rc(till, EARNED) == [750 if won else 0]


@pytest.mark.parametrize("renewed", [False, True])
@pytest.mark.parametrize("won", [False, True])
async def test_what_a_smaller_plan_gave_of_a_disputed_fee_is_neither_lost_nor_earned_again(
    till: Till, won: bool, renewed: bool
) -> None:
    subscription = await till.subscribed(till.top)
    dispute = till.account.dispute(paid_with(till), fee=0)["id"]
    await till.delivered()
    await smaller(till, subscription)
    assert await rc(till, FROZEN, DEFERRED, DEBT, THEIRS) == [5000, 750, 1750, 2000]
    if renewed:
        till.account.renew(subscription)
        await till.delivered()
        assert await rc(till, PLAN, DEFERRED, THEIRS) == [1500, 1250, 0]
    till.account.close_dispute(dispute, won=won)
    await till.delivered()
    new = (1500, 500) if renewed else (0, 0)
    expected = [new[0], new[1], 1750, 250]
    if won:
        expected = [new[0] + 3250, new[1] + (0 if renewed else 750), 0, 0]
    assert await rc(till, PLAN, DEFERRED, DEBT, LOST) == expected
    await ended(till, subscription)
    assert await rc(till, EARNED) == [new[1] + (750 if won else 0)]


async def test_two_disputes_of_one_payment_lose_what_a_smaller_plan_gave_of_its_fee_once(till: Till) -> None:
    subscription = await till.subscribed(till.top)
    payment = paid_with(till)
    charge = till.account.get(till.account.get(payment, "payment_intent")["latest_charge"], "charge")
    disputes: list[str] = []
    for cents in (3000, 3000):
        charge["amount"] = cents
        disputes.append(till.account.dispute(payment, fee=0)["id"])
    charge["amount"] = 6000
    await till.delivered()
    await smaller(till, subscription)
    for dispute in disputes:
        till.account.close_dispute(dispute, won=False)
        await till.delivered()
    assert await rc(till, DEFERRED, FROZEN, DEBT, LOST) == [0, 0, 1750, 250]


async def test_of_a_fee_that_was_refunded_a_smaller_plan_gives_nothing_and_what_it_gives_is_owed(till: Till) -> None:
    subscription = await till.subscribed(till.top)
    till.account.refund(paid_with(till), None, {})
    await till.delivered()
    await smaller(till, subscription)
    assert await rc(till, PLAN, DEFERRED, DEBT, THEIRS) == [0, 0, 2000, 2000]
    await ended(till, subscription)
    assert await rc(till, EARNED) == [0]


async def test_a_smaller_plan_takes_of_the_fee_of_each_payment_what_was_not_refunded(till: Till) -> None:
    subscription = await till.subscribed(till.pro)
    first = paid_with(till)
    till.account.upgrade(subscription, till.top.price)["created"] -= 60
    await till.delivered()
    second = paid_with(till)
    till.account.refund(first, None, {})
    await till.delivered()
    await smaller(till, subscription)
    assert await rc(till, PLAN, DEFERRED, DEBT) == [0, 0, 0]
    till.account.refund(second, None, {})
    await till.delivered()
    assert await rc(till, DEFERRED, DEBT, THEIRS) == [0, 2000, 2000]
    await ended(till, subscription)
    assert await rc(till, EARNED) == [0]


async def test_a_part_of_the_payment_takes_its_part_of_the_fee_as_long_as_one_is_left(till: Till) -> None:
    subscription = await till.subscribed(till.top)
    payment = paid_with(till)
    await smaller(till, subscription)
    for deferred in (250, 0):
        till.account.refund(payment, 3000, {})
        await till.delivered()
        assert await rc(till, DEFERRED) == [deferred]
    await ended(till, subscription)
