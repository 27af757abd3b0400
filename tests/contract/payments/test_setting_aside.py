"""One object that cannot be recorded: it waits, is named, and is tried again; nothing else waits for it."""

import asyncio
import logging

import pytest

from integrations.payments.base import Cents, ObjectRef, PaymentUnavailable
from integrations.payments.reconcile import reconcile
from integrations.payments.setting_aside import SetAside
from ledger.accounts import AMOUNT_MAX
from ledger.errors import InvalidEntry
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentsScanned
from tests.payments import NOW_S, Till, scope

DAY_S = 86_400
ALARM = "a payment cannot be recorded"


async def names(till: Till) -> list[str]:
    return [item.entry.action.name for item in await till.store.entries(-1, 1000)]


async def balance(till: Till, account: str, currency: str = "RC") -> int:
    rows = await till.store.balances()
    return sum(row.natural for row in rows if (row.account, row.currency) == (account, currency))


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def test_an_object_that_cannot_be_recorded_stops_neither_the_scan_nor_the_end_of_plans(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    till.account.cancel(await till.subscribed(), at_once=True)
    till.account.now_s += 31 * DAY_S
    strange = till.account.foreign_payment(700)
    strange["amount_received"] = None  # as no Stripe sends it
    till.account.foreign_payment(300)
    await till.delivered()
    found = await till.cashier.scan()
    again = await till.cashier.scan()
    assert [(scan.left, scan.aside) for scan in (found, again)] == [(0, 2), (0, 2)]
    # It and its charge.
    assert [record.levelno for record in caplog.records if record.message.startswith(ALARM)] == [logging.ERROR] * 2
    recorded = await names(till)
    assert (recorded.count("payment.set_aside"), recorded.count("credit.expire")) == (2, 1)
    assert "payment.scanned" in recorded
    assert await balance(till, "L:suspense:stripe") == 300_000_000
    differs = (await reconcile(till.cashier, till.store, till.account.now_s - 3600)).differences
    named = [f"charge {strange['latest_charge']} (TypeError)", f"payment_intent {strange['id']} (TypeError)"]
    assert sorted(item.about for item in differs if item.kind == "set_aside") == named

    strange["amount_received"] = 700
    till.account.now_s += 3 * DAY_S  # its events are far behind the cursor by now
    assert (await till.cashier.scan()).aside == 0
    assert await balance(till, "L:suspense:stripe") == 1_000_000_000
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()
    assert await till.cashier.aside.waiting() == ()


async def test_a_payment_that_the_ledger_refuses_is_named_with_the_ledgers_own_code(till: Till) -> None:
    payment = till.account.foreign_payment(10**17)  # more than there is
    await till.delivered()
    assert (await till.cashier.scan()).left == 0
    waiting = {item.about: item.cause for item in await till.cashier.aside.waiting()}
    assert waiting[ObjectRef("payment_intent", payment["id"])] == "RC002"


@pytest.mark.parametrize(("cents", "currency"), [(91_000_000, "vnd"), (999_999_999_999, "idr"), (9_999_999_999, "jpy")])
async def test_a_large_payment_of_a_small_currency_waits_in_suspense_to_its_last_unit(
    till: Till, cents: int, currency: str
) -> None:
    till.account.foreign_payment(cents, currency)
    await till.delivered()
    await till.delivered()
    found = await till.cashier.scan()
    assert (found.left, found.aside) == (0, 0)
    assert any(isinstance(item.entry.action, PaymentsScanned) for item in await till.store.entries(-1, 1000))
    places = 10**6 if currency == "idr" else 10**8
    assert await balance(till, "L:suspense:stripe", currency.upper()) == cents * places
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


HUGE = [(91_000_000, "vnd"), (100_000_000_000, "idr")]
"""More than one posting can hold, and than ten."""


async def agrees(till: Till, currency: str, waits: int, *, bank: int = 0) -> None:
    """The book with Stripe, in this currency; what waits in suspense, and what is at the bank."""
    await till.delivered()
    found = await till.cashier.scan()
    assert (found.left, found.aside) == (0, 0)
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()
    places = 10**6 if currency == "idr" else 10**8
    assert await balance(till, "L:suspense:stripe", currency.upper()) == waits * places
    assert await balance(till, "A:bank", currency.upper()) == bank * places
    assert await balance(till, "A:stripe:disputed", currency.upper()) == 0


@pytest.mark.parametrize(("cents", "currency"), HUGE)
async def test_a_large_payment_of_a_small_currency_goes_back_and_comes_again_to_its_last_unit(
    till: Till, cents: int, currency: str
) -> None:
    payment = till.account.foreign_payment(cents, currency)["id"]
    refund = till.account.refund(payment, cents - 1, {})
    await agrees(till, currency, 1)
    till.account.fail_refund(refund["id"])
    await agrees(till, currency, cents)
    for won in (True, False):
        dispute = till.account.dispute(payment)
        await till.delivered()
        assert await balance(till, "A:stripe:disputed", currency.upper()) != 0
        till.account.close_dispute(dispute["id"], won=won)
        await agrees(till, currency, cents if won else 0)


@pytest.mark.parametrize(("cents", "currency"), HUGE)
async def test_a_large_payout_of_a_small_currency_comes_back_to_its_last_unit(
    till: Till, cents: int, currency: str
) -> None:
    till.account.foreign_payment(cents + 10**9, currency)
    payout = till.account.payout(cents, currency)
    await agrees(till, currency, cents + 10**9, bank=cents)
    till.account.fail_payout(payout["id"])
    await agrees(till, currency, cents + 10**9)


async def test_the_most_dollars_that_stripe_takes_go_back_in_one_entry_each(till: Till) -> None:
    """So nothing that goes back of a payment of ours is too much for a posting."""
    most = 99_999_999
    payments = []
    for actor in ("a-1", "a-2", "a-3"):
        link = await till.cashier.topup(scope("t", actor), Cents(most))
        payments.append(till.account.pay(link.about.id)["payment_intent"])
    refund = till.account.refund(payments[0], most, {})
    lost, won = till.account.dispute(payments[1]), till.account.dispute(payments[2])
    till.account.close_dispute(lost["id"], won=False)
    till.account.close_dispute(won["id"], won=True)
    await agrees(till, "usd", 0)
    till.account.fail_refund(refund["id"])
    await agrees(till, "usd", 0)
    assert await balance(till, "L:ws:w-1:paid", "RC") == 2 * most * URC_PER_RC
    postings = [item for found in await till.store.entries(-1, 1000) for item in found.entry.postings]
    assert max(abs(item.amount) for item in postings) == (most + 1500) * URC_PER_RC <= AMOUNT_MAX // 80


async def test_two_processes_that_set_aside_at_once_raise_one_alarm_for_each_object(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = SetAside(till.cashier.bridge), SetAside(till.cashier.bridge)
    first, second = ObjectRef("refund", "re_1"), ObjectRef("dispute", "du_1")
    error = InvalidEntry("no")
    await asyncio.gather(*(process.put(about, error) for process in (one, two) for about in (first, second)))
    waiting = await one.waiting()
    assert sorted(item.about.id for item in waiting) == ["du_1", "re_1"]
    assert [record.message.startswith(ALARM) for record in caplog.records] == [True, True]
    await one.taken_up(waiting[0], "recorded")
    assert await two.waiting() == await one.waiting() == waiting[1:]
    await two.put(waiting[0].about, error)  # again, later
    assert [item.about for item in await one.waiting()] == [waiting[1].about, waiting[0].about]


async def test_what_cannot_be_fetched_is_read_again_and_set_aside_after_a_day(till: Till) -> None:
    payment, fetch = till.account.foreign_payment(700), till.method.fetch

    async def failing(about: ObjectRef) -> object:
        if about.id in (payment["id"], payment["latest_charge"]):
            raise PaymentUnavailable("Stripe failed")
        return await fetch(about)

    till.method.fetch = failing  # type: ignore[method-assign, assignment]  # Stripe fails for these two
    found = await till.cashier.scan()
    assert (found.left > 0, found.aside) == (True, 0)
    till.account.now_s += DAY_S
    found = await till.cashier.scan()
    assert (found.left, found.aside) == (0, 2)


async def test_an_invoice_that_is_only_announced_or_was_deleted_as_a_draft_comes_to_nothing(till: Till) -> None:
    announced = {"object": "invoice", "customer": "cus_1", "livemode": False}
    till.account.emit("invoice.upcoming", announced)
    draft = {"id": "in_gone", **announced}
    till.account.emit("invoice.created", draft)
    await till.delivered()
    assert till.stripe.statuses == [200, 200]
    found = await till.cashier.scan()
    assert (found.events, found.left, found.aside) == (2, 0, 0)


async def test_what_was_taken_up_and_fails_again_is_set_aside_again(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = ObjectRef("dispute", "du_1"), ObjectRef("dispute", "du_2")
    aside, later = SetAside(till.cashier.bridge), SetAside(till.cashier.bridge)
    for about in (one, two):
        await aside.put(about, KeyError())
    (_, second) = await aside.waiting()
    await aside.taken_up(second, "recorded")
    await aside.put(two, KeyError())  # with the same cause
    assert [(item.number, item.about) for item in await later.waiting()] == [(0, one), (2, two)]
    await later.taken_up((await later.waiting())[1], "recorded")
    await later.put(two, ValueError())  # with another
    assert [(item.number, item.about) for item in await aside.waiting()] == [(0, one), (3, two)]
    assert [record.message.startswith(ALARM) for record in caplog.records if record.levelno == logging.ERROR] == [
        True
    ] * 4
