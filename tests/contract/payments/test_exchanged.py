"""Money in a currency of which Stripe keeps no balance: it is exchanged, and the book has what the balance has."""

import pytest

from integrations.payments.keys import resolved_key
from integrations.payments.reconcile import reconcile
from ledger.credit_actions import SuspenseResolved
from ledger.entry import Draft
from ledger.money import URC_PER_RC
from tests.payments import NOW_S, Till, scope

PAID, DEBT, DISPUTED, SUSPENSE = "L:ws:w-1:paid", "A:ws:w-1:debt", "A:stripe:disputed", "L:suspense:stripe"


@pytest.fixture(autouse=True)
def _exchanged(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0
    till.account.rates["eur"] = 108


async def balances(till: Till, *accounts: str) -> list[float]:
    """In dollars, as RC: the book has nothing else."""
    rows = await till.store.balances()
    assert {row.currency for row in rows if row.natural} <= {"RC"}
    found = {str(row.account): row.natural / URC_PER_RC for row in rows}
    return [found.get(account, 0) for account in accounts]


async def agrees(till: Till) -> None:
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def paid(till: Till) -> str:
    payment: str = till.account.foreign_payment(1000, "eur")["id"]
    await till.delivered()
    assert await balances(till, SUSPENSE) == [1080]
    await agrees(till)
    return payment


async def test_money_that_was_exchanged_waits_in_dollars_and_goes_back_in_dollars(till: Till) -> None:
    refund = till.account.refund(await paid(till), None, {})["id"]
    await till.delivered()
    assert await balances(till, SUSPENSE) == [0]
    await agrees(till)
    till.account.fail_refund(refund)
    await till.delivered()
    assert await balances(till, SUSPENSE) == [1080]
    await agrees(till)


async def test_an_operator_makes_credit_of_it_and_a_refund_takes_what_left(till: Till) -> None:
    payment = await paid(till)
    resolved = SuspenseResolved("stripe", 1080 * URC_PER_RC, "RC", "paid")
    await till.roadchain.append(Draft(resolved, scope(), resolved_key("stripe", payment)))
    assert await balances(till, PAID, SUSPENSE) == [1080, 0]
    till.account.rates["eur"] = 109
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await balances(till, PAID, DEBT, SUSPENSE) == [0, 10, 0]
    await agrees(till)


@pytest.mark.parametrize(("won", "left"), [(True, 1080), (False, 0)])
async def test_what_is_disputed_of_it_leaves_in_dollars(till: Till, won: bool, left: int) -> None:
    dispute = till.account.dispute(await paid(till), fee=0)["id"]
    await till.delivered()
    assert await balances(till, DISPUTED) == [1080]
    till.account.close_dispute(dispute, won=won)
    await till.delivered()
    assert await balances(till, DISPUTED, SUSPENSE) == [0, left]
    await agrees(till)


async def test_until_it_is_known_what_it_was_exchanged_for_nothing_is_recorded(till: Till) -> None:
    payment = till.account.foreign_payment(1000, "eur")
    charge = till.account.get(payment["latest_charge"], "charge")
    transaction, charge["balance_transaction"] = charge["balance_transaction"], None
    await till.delivered()
    assert await balances(till, SUSPENSE) == [0]
    charge["balance_transaction"] = transaction
    till.account.emit("charge.updated", charge)
    await till.delivered()
    assert await balances(till, SUSPENSE) == [1080]
    await agrees(till)
