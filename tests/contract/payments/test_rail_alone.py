"""What the rail knows and nobody here has asked for: it comes into the book all the same, or is named."""

import pytest

from integrations.payments.reconcile import reconcile
from ledger.money import URC_PER_RC
from tests.fakes.stripe_shop import written
from tests.payments import NOW_S, Till

STR, SUSPENSE, FEES = "A:stripe:clearing", "L:suspense:stripe", "X:fees:stripe"


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


async def test_money_of_an_invoice_that_an_operator_wrote_waits_in_suspense(till: Till) -> None:
    till.account.fee_fixed = 30
    subscription = await till.subscribed()
    till.account.renew(subscription)
    invoice = written(till.account, 5000)
    await till.delivered()
    (before,) = await rc(till, SUSPENSE)
    await till.cashier.scan()
    found = await reconcile(till.cashier, till.store, NOW_S - 3600)
    assert (before, found.found, found.differences) == (5000, (), ())
    assert await rc(till, STR, SUSPENSE, FEES) == [8910, 5000, 90]
    payment = till.account.invoice_payments[-1]["payment"]["payment_intent"]
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, STR, SUSPENSE) == [3910, 0]
    assert invoice["status"] == "paid"


async def test_a_fee_does_not_stand_for_the_payment_that_it_was_taken_from(till: Till) -> None:
    """Its events come while the invoice is still open, and that of the paid invoice is never made."""
    till.account.fee_fixed = 30
    subscription = await till.subscribed()
    till.account.never = lambda kind: kind.startswith("invoice.")
    invoice = till.account.renew(subscription)
    invoice["status"] = "open"
    await till.delivered()
    invoice["status"] = "paid"
    assert await rc(till, STR, FEES) == [1940, 60]
    found = await reconcile(till.cashier, till.store, NOW_S - 3600)
    assert (len(found.found), found.differences) == (1, ())
    assert await rc(till, STR) == [3940]
