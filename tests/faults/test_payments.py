"""The payments side killed between any two steps, again and again: at the end book, journal and Stripe agree to the unit."""

import asyncio
import signal
from pathlib import Path
from random import Random

import pytest

from integrations.payments.base import Buyer, IntentId
from integrations.payments.keys import asked_key, hold_key, opened_key
from integrations.payments.metering import owed_later, reconcile_meters
from integrations.payments.reconcile import reconcile
from ledger.accounts import paid_later
from ledger.credit_actions import CreditReversed, CreditSettled, OverageMetered, OveragePaid, PlanGranted
from ledger.entry import Entry
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentHandled, PaymentReturned, UsageMetered
from ledger.pseudonyms import ActorId, WorkspaceId
from ledger.verify import verify_database
from tests.faults.children import child
from tests.faults.payments_play import LEDGER, STEPS_MAX, Life, living, payments_life
from tests.payments import NOW_S, W

A_BOOK = 20
"""So many lives go on with one book; then another is begun."""

BOOKS = 15
METERED = 3
"""In each third of the books there is a plan with a meter."""


def lived(folder: Path, seed: int, lives: int, mutant: str = "", *, metered: bool = False) -> int:
    """How many of the lives were killed."""
    chance, killed = Random(seed), 0
    for number in range(lives):
        step = chance.randrange(1, STEPS_MAX)
        with child(payments_life, folder, seed * 1_000 + number, step, mutant, metered) as process:
            status = process.ended()
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
    asyncio.run(settled(folder, mutant, metered))
    return killed


async def settled(folder: Path, mutant: str, metered: bool) -> None:
    """A last life, which nothing ends: what was left is done, and then all is held against Stripe."""
    async with living(folder, Random(0), mutant=mutant, metered=metered) as life:
        while life.account.drafts:
            life.account.now_s += 3_600
            life.account.finalize()
        life.outside.server.pending.clear()
        await life.begin()
        assert (await life.cashier.scan()).left == 0
        since_s = NOW_S - 86_400
        done = await reconcile(life.cashier, life.store, since_s)
        assert done.differences == ()
        if metered:
            for _ in range(3):  # a reading that was cut off is looked for, the rest is told
                life.account.now_s += 21 * 3_600
                await life.metering.apply()
            assert await reconcile_meters(life.cashier, life.method, life.store, since_s, life.account.now_s) == ()
            await check_meter(life)
        assert (await life.cashier.scan()).left == 0
        await check(life)
        before = await life.store.balances()
        await life.store.replay()
        assert await life.store.balances() == before
    verify_database(folder / LEDGER)


async def check(life: Life) -> None:
    entries = [item.entry for item in await life.store.entries(-1, 1_000_000)]
    keys = {entry.idem for entry in entries}
    await check_money(life, entries)
    check_journal(life, entries, keys)


async def check_money(life: Life, entries: list[Entry]) -> None:
    """What Stripe's account says is there, added up another way."""
    account = life.account
    rows = {str(row.account): row.natural for row in await life.store.balances()}
    paid = [
        item for item in account.of("checkout.session") if item["payment_status"] == "paid" and item["payment_intent"]
    ]
    bought = sum(item["amount_subtotal"] for item in paid)
    refunds = [item for item in account.of("refund") if item["status"] == "succeeded"]
    taxes = sum(item["total_details"]["amount_tax"] for item in paid)
    there = rows.get(f"L:ws:{W}:paid", 0) - rows.get(f"A:ws:{W}:debt", 0)
    back = sum(item["amount"] for item in refunds)
    assert there + rows.get("L:tax", 0) == (bought + taxes - back) * URC_PER_RC
    # Of what was taxed, tax goes back in proportion: but for a unit of each step, where a part of it does not divide.
    left = 0
    for item in paid:
        gone = sum(one["amount"] for one in refunds if one["payment_intent"] == item["payment_intent"])
        tax = item["total_details"]["amount_tax"] * URC_PER_RC
        left += tax - tax * gone // item["amount_total"]
    assert abs(rows.get("L:tax", 0) - left) <= sum(isinstance(entry.action, PaymentReturned) for entry in entries)
    assert rows.get(f"L:ws:{W}:refund_hold", 0) == 0
    assert rows.get("L:suspense:stripe", 0) == 0
    granted = [entry.action for entry in entries if isinstance(entry.action, PlanGranted)]
    invoices = [item for item in account.of("invoice") if item["status"] == "paid"]
    assert len(granted) == len(invoices)
    later = sum(entry.action.amount for entry in entries if isinstance(entry.action, OveragePaid))
    invoiced = sum(item["amount_paid"] for item in invoices) * URC_PER_RC
    assert sum(one.credit + one.deferred for one in granted) + later == invoiced


async def check_meter(life: Life) -> None:
    """What the meter counts is what the ledger says that it was told. Each unit was used, once, and is paid or still owed."""
    account, told = life.account, life.account.meter_events
    entries = [item.entry for item in await life.store.entries(-1, 1_000_000)]
    back = {entry.action.entry for entry in entries if isinstance(entry.action, CreditReversed)}
    readings = {
        entry.idem: (entry.action.amount, "" if entry.stripe is None else entry.stripe.id, entry.action.at_s)
        for entry in entries
        if isinstance(entry.action, OverageMetered) and entry.seq not in back
    }
    counted = [
        (
            event["identifier"],
            (int(event["payload"]["value"]) * URC_PER_RC, event["payload"]["stripe_customer_id"], event["timestamp"]),
        )
        for event in told
    ]
    assert len(counted) == len(dict(counted))
    assert dict(counted) == readings
    taken = [entry.idem for entry in entries if isinstance(entry.action, UsageMetered)]
    assert sorted(taken) == sorted(f"payment.metered/{name}" for name in readings)

    owed = owed_later(row for row in await life.store.balances() if ":ws:w-2:" in row.account)
    used = sum(paid_later(entry.postings) for entry in entries if isinstance(entry.action, CreditSettled))
    paid = sum(entry.action.amount for entry in entries if isinstance(entry.action, OveragePaid))
    assert used == owed.all + paid
    assert owed.used < URC_PER_RC
    running = [item for item in account.of("subscription") if len(item["items"]["data"]) > 1]
    since_s = running[0]["items"]["data"][0]["current_period_start"] if running else 0
    still = sum(amount for amount, _, at_s in readings.values() if at_s >= since_s)
    assert owed.told == still  # what was told of earlier periods stood on their invoices


def check_journal(life: Life, entries: list[Entry], keys: set[str]) -> None:
    """Each effect has its intent before it and its result behind it, and nothing was made twice."""
    account, server = life.account, life.outside.server
    assert server.keyless == []
    asked = [item["metadata"]["carpool_intent"] for item in account.of("checkout.session")]
    assert len(asked) == len(set(asked))
    for intent in asked:
        assert asked_key(Buyer(WorkspaceId(W), ActorId(""), IntentId(intent))) in keys
    ours = [item["metadata"]["carpool_intent"] for item in account.of("refund") if item["metadata"]]
    assert len(ours) == len(set(ours))
    for intent in ours:
        assert hold_key(intent) in keys
        assert opened_key(intent) in keys
    customers = {item["id"] for item in account.of("customer")}
    known = {entry.stripe.id for entry in entries if entry.idem.startswith("payment.customer/") and entry.stripe}
    used = {item["customer"] for item in account.of("checkout.session")}
    assert used <= known <= customers
    if (
        life.beyond is None
    ):  # one that was made and not recorded is not found again after a day, and nothing is in its name
        assert known == customers
    for entry in entries:
        if isinstance(entry.action, PaymentHandled) and entry.idem.startswith("payment.handled/"):
            assert entry.idem.replace(".handled/", ".received/") in keys
    assert any(entry.action.name == "payment.scanned" for entry in entries)
    told = [event for event in account.events if event["data"]["object"]["object"] != "customer"]
    for event in told:
        if event["created"] >= account.now_s - 3_600:
            assert f"payment.handled/stripe/{event['id']}" in keys


@pytest.mark.parametrize("seed", range(BOOKS))
def test_the_books_agree_however_often_the_payments_side_is_killed(tmp_path: Path, seed: int) -> None:
    assert lived(tmp_path, seed, A_BOOK, metered=seed % METERED == 0) > A_BOOK // 2


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("seed", range(100, 600))
def test_the_books_agree_after_many_more_kills(tmp_path: Path, seed: int) -> None:
    lived(tmp_path, seed, A_BOOK, metered=seed % METERED == 0)


MUTANTS = [
    "keys",
    *("payment.asked", "payment.opened", "payment.received", "payment.handled", "payment.scanned"),
    *("credit.topup", "credit.payment_fee", "credit.refund_hold", "credit.refund_sent", "credit.refund_ext"),
    *("credit.refund_failed", "credit.plan_grant", "credit.payout", "credit.reversal"),
]
"""The keys of what is recorded, and each commit of the payments side."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_payments_side_without_its_keys_or_one_of_its_commits_is_found_out(tmp_path: Path, mutant: str) -> None:
    """The control: the same play with a part taken out."""
    with pytest.raises(AssertionError):
        for seed in range(1, 7):  # until a book has had what the mutant leaves out
            folder = tmp_path / str(seed)
            folder.mkdir()
            lived(folder, seed, 14, mutant)


@pytest.mark.parametrize("mutant", ["identifier", "credit.meter", "payment.metered", "credit.overage_paid"])
def test_a_meter_that_is_told_without_a_commit_or_its_identifier_is_found_out(tmp_path: Path, mutant: str) -> None:
    with pytest.raises(AssertionError):
        for seed in range(1, 7):
            folder = tmp_path / str(seed)
            folder.mkdir()
            lived(folder, seed, 14, mutant, metered=True)
