"""What comes back after a payment: refunds made at Stripe, disputes, and what is owed then."""

import pytest

from ledger.credit_actions import CreditAllocated, CreditTopup
from ledger.entry import Draft
from ledger.errors import InsufficientBalance
from ledger.money import URC_PER_RC
from tests.contract.payments.test_stripe_scenarios import spend
from tests.payments import Till, scope

PAID, DEBT, FROZEN = "L:ws:w-1:paid", "A:ws:w-1:debt", "L:ws:w-1:frozen"
ANN, HELPER = f"{PAID}:user:a-1", f"{PAID}:agent:g-1"


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


async def set_aside(till: Till, owner: str, rc: int) -> None:
    await till.roadchain.append(Draft(CreditAllocated("", owner, rc * URC_PER_RC), scope(), f"allocate/{owner}"))


async def test_a_dispute_reaches_credit_that_was_set_aside(till: Till) -> None:
    payment = await till.bought(10)
    await set_aside(till, "user:a-1", 600)
    await set_aside(till, "agent:g-1", 400)
    dispute = till.account.dispute(payment)
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, FROZEN) == [0, 0, 0, 1000]
    with pytest.raises(InsufficientBalance):
        await spend(till, 1)
    till.account.close_dispute(dispute["id"], won=False)
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, FROZEN, DEBT, "X:baddebt", "A:stripe:disputed") == [0] * 7


async def test_a_dispute_that_is_won_gives_each_back_what_was_set_aside_for_them(till: Till) -> None:
    payment = await till.bought(10)
    await set_aside(till, "user:a-1", 600)
    await set_aside(till, "agent:g-1", 300)
    dispute = till.account.dispute(payment)
    till.account.close_dispute(dispute["id"], won=True)
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, FROZEN) == [100, 600, 300, 0]


async def test_a_refund_at_stripe_takes_what_was_set_aside_and_what_is_spent_is_owed(till: Till) -> None:
    payment = await till.bought(10)
    await set_aside(till, "agent:g-1", 200)
    await set_aside(till, "user:a-1", 500)
    await spend(till, 400)
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, DEBT) == [0, 0, 0, 400]


async def test_the_credit_of_another_workspace_is_left_alone(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 1000)
    other = scope(workspace="w-10")
    bought, moved = CreditTopup("bank", 500 * URC_PER_RC), CreditAllocated("", "user:a-1", 500 * URC_PER_RC)
    await till.roadchain.append(Draft(bought, other, "other"), Draft(moved, other, "other/allocate"))
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, DEBT, "L:ws:w-10:paid:user:a-1") == [1000, 500]


async def test_a_dispute_that_is_lost_leaves_what_another_froze(till: Till) -> None:
    one = await till.bought(10)
    two = await till.bought(20)
    await spend(till, 2300)
    first = till.account.dispute(one)  # freezes 700
    await till.delivered()
    second = till.account.dispute(two)  # nothing is left to freeze
    await till.delivered()
    till.account.close_dispute(second["id"], won=False)
    await till.delivered()
    assert await rc(till, PAID, FROZEN, "X:baddebt") == [0, 700, 2000]
    till.account.close_dispute(first["id"], won=True)
    await till.delivered()
    assert (await till.cashier.scan()).left == 0
    assert await rc(till, PAID, FROZEN, "X:baddebt", "A:stripe:disputed") == [700, 0, 2000, 0]
