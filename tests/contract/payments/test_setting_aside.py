"""One object that cannot be recorded: it waits, is named, and is tried again; nothing else waits for it."""

import asyncio
import logging

import pytest

from integrations.payments.base import ObjectRef, PaymentUnavailable
from integrations.payments.reconcile import reconcile
from integrations.payments.setting_aside import SetAside
from ledger.errors import InvalidEntry
from ledger.payment_actions import PaymentsScanned
from tests.payments import NOW_S, Till

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
