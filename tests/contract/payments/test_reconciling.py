"""The house reconciles by itself: once an hour, one process at a time, all of it once a night."""

import logging
from pathlib import Path

import pytest
from filelock import FileLock

from bot.reconciling import RECONCILE_LOCK, Reconciling
from integrations.payments.base import PaymentUnavailable
from integrations.payments.reconcile import Difference, on_record, ticket_of
from ledger.payment_actions import PaymentDiffers
from tests.payments import NOW_S, Till

DIFFER = "the payment service and the ledger differ: `carpool billing reconcile` says how"
FOUND = "recorded by reconciliation: nothing had told of it yet"
DAY_S = 86_400


def process(till: Till, home: Path) -> Reconciling:
    account = till.account
    return Reconciling(till.cashier, till.store, lambda: account.now_s * 1_000_000, home / RECONCILE_LOCK, 0, 0)


def tickets(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.__dict__["ticket"] for record in caplog.records if record.message == DIFFER]


async def test_what_nothing_told_of_is_recorded_within_an_hour_by_one_process(
    till: Till, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    till.account.never = lambda kind: True
    payment = till.account.foreign_payment(500)
    one, two = process(till, tmp_path), process(till, tmp_path)
    with FileLock(tmp_path / RECONCILE_LOCK):
        assert await one.apply() == 0
    assert await till.cashier.paid_as(payment["id"]) is None
    assert await two.apply() == 0
    assert await till.cashier.paid_as(payment["id"]) is not None
    assert [record.levelno for record in caplog.records if record.message == FOUND] == [logging.WARNING]
    requests = len(till.stripe.requests)
    assert (await one.apply(), len(till.stripe.requests)) == (0, requests)  # this hour has been looked at
    till.account.now_s += 3600
    await one.apply()
    paths = [path for _, path in till.stripe.requests[requests:]]
    assert paths == ["/v1/invoice_payments", "/v1/balance_transactions", "/v1/balance"]


async def test_what_differs_is_an_error_in_the_log_with_a_ticket_that_stays(
    till: Till, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await till.bought(10)
    house = process(till, tmp_path)
    till.account.transaction("payment_reversal", till.account.of("charge")[0], -25)
    for _ in range(2):
        assert await house.apply() == 2
        till.account.now_s += 3600
    movement, balance = tickets(caplog)[:2]
    assert tickets(caplog) == [movement, balance] * 2
    entries = [item.entry for item in await till.store.entries(-1, 1000)]
    recorded = [(entry.idem, entry.action) for entry in entries if isinstance(entry.action, PaymentDiffers)]
    transaction, payment = till.account.transactions[-1]["id"], till.account.of("payment_intent")[0]["id"]
    about = f"{transaction} payment_reversal (payment_intent {payment})"
    first = PaymentDiffers("stripe", "not_recorded", about, -25_000_000, None)
    assert recorded[0] == (f"payment.differs/{movement}", first)
    assert [key for key, _ in recorded] == [f"payment.differs/{movement}", f"payment.differs/{balance}"]
    seen = Difference("not_recorded", about, -26_000_000, None)
    assert await on_record(till.cashier, seen) == (movement, NOW_S)
    assert ticket_of("stripe", seen) == movement


async def test_what_differs_only_once_is_no_alarm(till: Till, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await till.bought(10)
    house, balance, times = process(till, tmp_path), till.method.balance, list[int]()

    async def later() -> object:
        """As if a payment came just then."""
        times.append(1)
        return () if len(times) == 1 else await balance()

    till.method.balance = later  # type: ignore[method-assign, assignment]  # as if it were not there yet
    assert (await house.apply(), len(times), tickets(caplog)) == (0, 2, [])


async def test_once_a_night_all_of_it_is_compared_and_an_outage_costs_an_hour(
    till: Till, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house, since, settlements = process(till, tmp_path), list[int](), till.method.settlements

    def asked(since_s: int) -> object:
        since.append(since_s)
        return settlements(since_s)

    till.method.settlements = asked  # type: ignore[method-assign, assignment]  # only noted
    till.account.now_s = NOW_S - NOW_S % DAY_S + DAY_S  # midnight
    for _ in range(26):
        await house.apply()
        till.account.now_s += 3600
    whole = [hour for hour, since_s in enumerate(since) if since_s == 0]
    assert (len(since), whole) == (26, [0, 2])
    till.stripe.down = True
    assert await house.apply() == 0
    assert any(record.message == "the payments could not be reconciled" for record in caplog.records)
    assert PaymentUnavailable.__name__ in {record.__dict__.get("cause") for record in caplog.records}
    till.stripe.down = False
    await house.apply()
    assert len(since) == 28  # the same hour, tried again
