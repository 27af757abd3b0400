"""What the rail knows and nobody here has asked for: it comes into the book all the same, or is named."""

import pytest

from bot.suspense_console import in_suspense, told
from integrations.payments.reconcile import reconcile
from ledger.credit_actions import PaymentUnmatched
from ledger.entry import Draft
from ledger.money import URC_PER_RC
from tests.fakes.stripe_shop import written
from tests.payments import NOW_S, Till, scope

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


async def test_what_stripe_does_by_itself_comes_into_the_book_at_reconciliation(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    await till.bought(10)
    account = till.account
    account.transaction("stripe_fee", None, -70)  # Billing, Radar, Tax
    account.transaction("stripe_fee", None, 20)  # some of it comes back
    account.now_s += 1
    hold = account.transaction("payment_network_reserve_hold", None, -300)
    account.now_s += 1
    put_there = account.transaction("topup", account.new("tu", "topup", currency="usd"), 500)
    first, again = [await reconcile(till.cashier, till.store, NOW_S - 3600) for _ in range(2)]
    assert (len(first.found), first.differences, again.found, again.differences) == (4, (), (), ())
    assert await rc(till, STR, FEES, SUSPENSE) == [1150, 50, 200]
    alarms = [record.__dict__["transaction"] for record in caplog.records if "by itself" in record.message]
    assert alarms == [hold["id"], put_there["id"]]
    by_itself = "since 2026-11-18: the payment service moved this by itself, and its own account says why"
    assert [told(item) for item in await in_suspense(till.store, till.cashier)] == [
        f"stripe  {hold['id']}  -3 USD  {by_itself}",
        f"stripe  {put_there['id']}  5 USD  {by_itself}",
    ]


async def test_each_fee_of_a_dispute_is_booked_and_what_comes_back_of_them_too(till: Till) -> None:
    payment = await till.bought(30)
    dispute = till.account.dispute(payment)["id"]
    await till.delivered()
    till.account.counter_dispute(dispute)
    await till.delivered()
    assert await rc(till, STR, "X:dispute") == [-3000, 3000]
    till.account.close_dispute(dispute, won=True, fee_back=3000)
    await till.delivered()
    await till.delivered()
    assert await rc(till, STR, "X:dispute", "A:stripe:disputed", "L:ws:w-1:paid") == [3000, 0, 0, 3000]
    found = await reconcile(till.cashier, till.store, NOW_S - 3600)
    assert (found.found, found.differences) == ((), ())


async def test_a_fee_for_countering_a_dispute_of_which_nothing_was_told_is_found(till: Till) -> None:
    payment = await till.bought(30)
    dispute = till.account.dispute(payment)["id"]
    till.account.close_dispute(dispute, won=False)
    await till.delivered()
    till.account.never = lambda kind: True
    till.account.counter_dispute(dispute)
    till.account.get(dispute, "dispute")["status"] = "lost"
    found = await reconcile(till.cashier, till.store, NOW_S - 3600)
    assert (len(found.found), found.differences) == (1, ())
    assert await rc(till, STR, "X:dispute") == [-3000, 3000]


async def test_money_that_the_ledger_alone_knows_of_is_a_difference(till: Till) -> None:
    """Also where the balance of Stripe's names no such currency."""
    for currency in ("RC", "EUR"):
        strange = PaymentUnmatched("stripe", 500 * URC_PER_RC, currency)
        await till.roadchain.append(Draft(strange, scope(), f"by hand {currency}"))
    found = await reconcile(till.cashier, till.store, NOW_S + 3600)
    assert [(item.kind, item.at_rail, item.in_ledger) for item in found.differences] == [
        ("other_currency", 0, 500 * URC_PER_RC),
        ("other_balance", 0, 500 * URC_PER_RC),
    ]
