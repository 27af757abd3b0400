"""What has to hold of the money after any lives, held against Stripe, the chat and the provider, and added up another way."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from bot.suspense_console import in_suspense
from integrations.payments.base import Buyer, IntentId
from integrations.payments.cashier import Cashier
from integrations.payments.keys import asked_key, hold_key, opened_key
from integrations.payments.metering import owed_later, reconcile_meters
from integrations.payments.reconcile import reconcile
from integrations.payments.referrals import reward_key
from integrations.payments.webhook_handlers import event_of
from integrations.storage.sqlite import SqliteStore
from ledger.accounts import is_guarded, paid_later
from ledger.actions import ACTIONS, MessageReceived, ModelAnswered, ReplyPrepared, TurnFinished
from ledger.book import AccountRow
from ledger.credit_actions import (
    CreditReserved,
    CreditReversed,
    CreditSettled,
    CreditTopup,
    OverageMetered,
    OveragePaid,
    PlanGranted,
    PlanReduced,
    RewardGranted,
)
from ledger.entry import Entry
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentHandled, PaymentReturned, UsageMetered
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from tests.fakes.stripe_account import Account, Thing
from tests.faults.payments_moves import BEYOND_SCOPE, OTHERS, OUR_SCOPE, OURS, REWARD_RC, Life, ends_s
from tests.faults.payments_play import RATES, beside
from tests.payments import NOW_S

SINCE_S = NOW_S - 86_400
MOVES_MONEY = {name for name in ACTIONS if name.startswith("credit.")}
"""Every kind of entry of the money."""

AT_STRIPE = {"A:stripe:clearing", "A:stripe:disputed", "X:fees:stripe", "X:dispute", "L:balance:stripe"}
"""What depends on Stripe alone."""

Balances = Mapping[tuple[str, str], int]
"""By account and currency, each as it is read."""


async def settle(life: Life, chance: Random, *, converges: bool = True) -> None:
    """A last life, which nothing ends: what was left is done, and all is held against Stripe; then what is still open is brought
    to its end, and again. ``converges``: other books are held against this one, too."""
    life.account.never = lambda kind: False
    while life.account.drafts:
        life.account.now_s += 3_600
        life.account.finalize()
    life.outside.server.pending.clear()
    await life.begin()
    await check_all(life)
    if life.beyond is not None:
        for _ in range(3):  # a reading that was cut off is looked for, the rest is told
            life.account.now_s += 21 * 3_600
            await life.metering.apply()
        until_s = life.account.now_s
        differences = await reconcile_meters(life.cashier, life.method, life.store, SINCE_S, until_s)
        # What was told after the invoice of its period was made stands on the next one, and is named until then.
        assert {item.kind for item in differences} <= {"owed_without_invoice"}, differences
        await check_meter(life)
    await wind_up(life, chance)
    await check_all(life)
    await check_nothing_is_open(life)
    if converges:
        await check_convergence(life)
    rows = await life.store.balances()
    await life.store.replay()
    assert await life.store.balances() == rows


async def wind_up(life: Life, chance: Random) -> None:
    """Disputes are decided, our plan ends with its period, and what waits in suspense goes to somebody, or back."""
    for dispute in life.account.of("dispute"):
        if dispute["status"] == "needs_response":
            life.account.close_dispute(dispute["id"], won=bool(chance.randrange(2)))
    for running in life.running(OURS):
        life.account.cancel(running["id"])
    # One that was ended at once lasts until its period is over, too: of that no event tells.
    ours = [item for item in life.account.of("subscription") if item["metadata"]["carpool_workspace"] == OURS]
    life.account.now_s = max([life.account.now_s, *map(ends_s, ours)])
    await life.cashier.scan()
    await life.cashier._end_periods(())
    await life.expiry.apply()
    for _ in range(3 * len(await in_suspense(life.store, life.cashier))):
        await life.resolve()
        await life.cashier.scan()
        if not await in_suspense(life.store, life.cashier):
            break


async def check_all(life: Life) -> None:
    assert (await life.cashier.scan()).left == 0
    assert (await reconcile(life.cashier, life.store, SINCE_S)).differences == ()
    entries = await life.entries()
    rows = await life.store.balances()
    book = {(str(row.account), str(row.currency)): row.natural for row in rows}
    check_sums(entries, rows)
    check_stripe(life.account, entries, book)
    check_workspaces(entries, book)
    check_turns(life, entries)
    check_journal(life, entries, {entry.idem for entry in entries})


def check_sums(entries: Iterable[Entry], rows: Iterable[AccountRow]) -> None:
    """Each entry sums to 0, what they come to is what the book says, and nothing of a workspace was ever below 0."""
    folded: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        sums: Counter[str] = Counter()
        for posting in entry.postings:
            sums[posting.currency] += posting.amount
            folded[posting.account, posting.currency] += posting.amount
            if is_guarded(posting.account):
                debits = folded[posting.account, posting.currency]
                assert (debits if posting.account.startswith("A:") else -debits) >= 0 or _moves_on(
                    entry, posting.account
                )
        assert not any(sums.values()), entry
    found = {(str(row.account), str(row.currency)): row.balance for row in rows if row.balance}
    assert found == {purse: amount for purse, amount in folded.items() if amount}


def _moves_on(entry: Entry, account: str) -> bool:
    """Whether an entry posts to an account more than once: its balance counts after the last."""
    return sum(posting.account == account for posting in entry.postings) > 1


def check_stripe(account: Account, entries: Iterable[Entry], book: Balances) -> None:
    """What Stripe's account says is there, and nothing else."""
    at_stripe: Counter[str] = Counter()
    open_disputes: Counter[str] = Counter()
    for item in account.transactions:
        at_stripe[_currency(item)] += _units(item["net"])
    for item in account.of("dispute"):
        if item["status"] == "needs_response":
            open_disputes[_currency(item)] += _units(item["amount"])
    for currency in {"RC", *at_stripe}:
        assert book.get(("A:stripe:clearing", currency), 0) == at_stripe[currency]
        assert book.get(("A:stripe:disputed", currency), 0) == open_disputes[currency]
    charged = sum(
        item["fee"] for item in account.transactions if item["type"] == "charge" and item["currency"] == "usd"
    )
    contested = sum(
        item["fee"] for item in account.transactions if item["type"] == "adjustment" and item["currency"] == "usd"
    )
    assert book.get(("X:fees:stripe", "RC"), 0) == _units(charged)
    assert book.get(("X:dispute", "RC"), 0) == _units(contested)
    kept = -sum(item.get("balance", 0) for item in account.of("customer"))
    assert book.get(("L:balance:stripe", "RC"), 0) == _units(kept)
    paid_out = sum(item["amount"] for item in account.of("payout") if item["status"] == "paid")
    others = ("credit.treasury", "credit.operations", "credit.provider_bill")
    bank = sum(
        posting.amount
        for entry in entries
        if entry.action.name in others
        for posting in entry.postings
        if posting.account == "A:bank"
    )
    assert book.get(("A:bank", "RC"), 0) == _units(paid_out) + bank
    check_taxes(account, entries, book)
    check_returns(account, entries)
    for charge in account.of("charge"):
        assert _gone(account, charge) <= charge["amount"]
    moved = Counter(item["id"] for item in account.transactions)
    assert max(moved.values(), default=0) <= 1


def check_taxes(account: Account, entries: Iterable[Entry], book: Balances) -> None:
    """Of what was taxed, tax goes back in proportion: but for a unit of each step, where a part of it does not divide."""
    left = 0
    for session in account.of("checkout.session"):
        intent, tax = session["payment_intent"], _units(session["total_details"]["amount_tax"])
        if session["payment_status"] == "paid" and intent and tax:
            charge = account.things[account.things[intent]["latest_charge"]]
            lost = _gone(account, charge) - _contested(account, charge)
            left += tax - tax * lost // charge["amount"]
    steps = sum(isinstance(entry.action, PaymentReturned) and entry.action.amount > 0 for entry in entries)
    assert abs(book.get(("L:tax", "RC"), 0) - left) <= steps


def _gone(account: Account, charge: Thing) -> int:
    """What of a payment went back, or is contested."""
    sent = [item for item in account.of("refund") if item["charge"] == charge["id"] and item["status"] == "succeeded"]
    lost = [item for item in account.of("dispute") if item["charge"] == charge["id"] and item["status"] != "won"]
    return sum(item["amount"] for item in (*sent, *lost))


def _contested(account: Account, charge: Thing) -> int:
    """While it is open, tax is as it was."""
    found = [item for item in account.of("dispute") if item["charge"] == charge["id"]]
    return sum(item["amount"] for item in found if item["status"] == "needs_response")


def check_workspaces(entries: list[Entry], book: Balances) -> None:
    """Nothing is held for nobody; who owes anything has spent it, and has nothing that would pay it."""
    amounts: dict[str, int] = {name: amount for (name, currency), amount in book.items() if currency == "RC"}
    assert all(currency == "RC" or ":ws:" not in name for name, currency in book)
    spent: Counter[str] = Counter()
    for entry in entries:
        for posting in entry.postings:
            if posting.account in ("R:usage", "R:breakage"):
                spent[entry.workspace] -= posting.amount
        if isinstance(entry.action, PlanReduced):  # kept at Stripe for the next invoice
            spent[entry.workspace] += entry.action.credit + entry.action.deferred
    for whose in (OUR_SCOPE, *OTHERS, BEYOND_SCOPE):
        name = whose.workspace
        assert amounts.get(f"L:ws:{name}:held", 0) == 0
        assert amounts.get(f"L:ws:{name}:refund_hold", 0) == 0
        debt = amounts.get(f"A:ws:{name}:debt", 0)
        assert debt <= spent[name] + amounts.get(f"L:ws:{name}:frozen", 0), name
        assert not (debt and amounts.get(f"L:ws:{name}:paid", 0)), name
    lots = sum(amount for name, amount in amounts.items() if ":promo:" in name)
    assert 0 <= lots <= amounts.get("X:promo", 0) + amounts.get("X:rewards", 0)
    check_rewards(entries, amounts)


def check_returns(account: Account, entries: Iterable[Entry]) -> None:
    """What of a top-up's list went back is what went back at Stripe: never more than came in, nor less than nothing."""
    gone: Counter[tuple[str, str]] = Counter()
    bought: dict[str, int] = {}
    for entry in entries:
        about = "" if entry.stripe is None else entry.stripe.id
        match entry.action:
            case PaymentReturned(back=back, amount=amount):
                gone[about, back] += amount
                assert gone[about, back] >= 0
            case CreditTopup(paid=paid, tax=tax) if paid:
                bought[about] = paid + tax
            case _:
                pass
    for payment, amount in bought.items():
        total = sum(part for (of, _), part in gone.items() if of == payment)
        assert total <= amount
        assert total == _units(_gone(account, account.things[account.things[payment]["latest_charge"]]))


def check_rewards(entries: Sequence[Entry], amounts: Mapping[str, int]) -> None:
    """One for each side of a purchase; gone where too little of the purchase is left."""
    rewards: dict[str, Entry] = {}
    left: Counter[str] = Counter()
    for entry in entries:
        about = "" if entry.stripe is None else entry.stripe.id
        match entry.action:
            case RewardGranted():
                assert entry.idem not in rewards
                rewards[entry.idem] = entry
            case CreditTopup(paid=paid):
                left[about] += paid
            case PaymentReturned(amount=amount, tax=tax, fee=fee):
                left[about] -= amount - tax - fee
            case _:
                pass
    assert len(rewards) <= 2 * (1 + len(OTHERS))
    for entry in entries:
        if isinstance(entry.action, CreditTopup) and entry.action.paid >= REWARD_RC * URC_PER_RC:
            assert {reward_key(entry.workspace), f"{reward_key(entry.workspace)}/from"} <= rewards.keys()
    for entry in rewards.values():
        granted, topup = entry.action, entry.stripe
        assert isinstance(granted, RewardGranted)
        assert topup is not None
        if left[topup.id] < granted.amount:
            assert amounts.get(f"L:ws:{entry.workspace}:promo:{granted.lot}", 0) == 0


def check_turns(life: Life, entries: list[Entry]) -> None:
    """Each question was asked of the provider once at the most, and ended once; no answer was posted that was not settled, none
    settled that was not stored with its reply, and each of them once."""
    asked, posted = Counter(life.outside.asked), Counter(item[:2] for item in life.outside.posted)
    assert max(asked.values(), default=0) <= 1
    assert max(posted.values(), default=0) <= 1
    turns = {entry.turn: list[Entry]() for entry in entries if isinstance(entry.action, MessageReceived)}
    for entry in entries:
        if entry.turn in turns:
            turns[entry.turn].append(entry)
    back = {entry.action.entry for entry in entries if isinstance(entry.action, CreditReversed)}
    paid = 0
    for journal in turns.values():
        done = [entry for entry in journal if isinstance(entry.action, TurnFinished)]
        assert len(done) == 1, journal[0].turn
        settled = [entry for entry in journal if isinstance(entry.action, CreditSettled)]
        assert len(settled) <= 1
        held = [entry for entry in journal if isinstance(entry.action, CreditReserved)]
        assert len(settled) <= len(held)
        check_cost(journal)
        for entry in settled:
            assert any(isinstance(other.action, ModelAnswered) for other in journal)
            assert any(isinstance(other.action, ReplyPrepared) for other in journal)
            paid += -sum(item.amount for item in entry.postings if item.account == "R:usage" and entry.seq not in back)
    answers = {turn: text for turn, _, text in life.outside.posted if text.startswith("A q-")}
    for turn, text in answers.items():
        assert any(isinstance(entry.action, CreditSettled) for entry in turns[turn]), text
        assert asked[text.removeprefix("A ").split("\n")[0]] == 1
    ours = [entry for entry in entries if isinstance(entry.action, CreditSettled) and entry.workspace == OURS]
    delivered = [entry for entry in ours if entry.seq not in back]
    assert {entry.turn for entry in delivered} <= {*answers, *(_undelivered(turns))}
    assert paid == -sum(item.amount for entry in delivered for item in entry.postings if item.account == "R:usage")


def check_cost(journal: Iterable[Entry]) -> None:
    """What the provider takes for what it has told is owed to it, whoever pays for it."""
    known = [entry.action for entry in journal if isinstance(entry.action, ModelAnswered) and entry.action.usage_known]
    units = sum(one.input_tokens * RATES.input + one.output_tokens * RATES.output for one in known)
    accounts = {"L:provider:scripted:accrued"}
    owed = -sum(item.amount for entry in journal for item in entry.postings if item.account in accounts)
    assert not known or owed == units // 10_000


def _undelivered(turns: Mapping[TurnId, list[Entry]]) -> Iterable[TurnId]:
    """Where the charge could not come back, it came as credit."""
    for turn, journal in turns.items():
        if any(entry.action.name == "credit.grant" for entry in journal):
            yield turn


def check_journal(life: Life, entries: list[Entry], keys: set[str]) -> None:
    """Each effect has its intent before it and its result behind it, and nothing was made twice."""
    account, server = life.account, life.outside.server
    assert server.keyless == []
    asked = [item["metadata"]["carpool_intent"] for item in account.of("checkout.session")]
    assert len(asked) == len(set(asked))
    for intent in asked:
        assert asked_key(Buyer(WorkspaceId(OURS), ActorId(""), IntentId(intent))) in keys
    ours = [item["metadata"]["carpool_intent"] for item in account.of("refund") if item["metadata"]]
    assert len(ours) == len(set(ours))
    for intent in ours:
        # Of the money of a second plan no credit was made, so that none is held: it was asked for alone.
        second = intent.startswith("second-")
        asked_for = asked_key(Buyer(WorkspaceId(OURS), ActorId(""), IntentId(intent)))
        assert (asked_for if second else hold_key(intent)) in keys
        assert opened_key(intent) in keys
    customers = {item["id"] for item in account.of("customer")}
    known = {entry.stripe.id for entry in entries if entry.idem.startswith("payment.customer/") and entry.stripe}
    used = {item["customer"] for item in account.of("checkout.session")}
    # One that was made and not recorded is not found again after a day, and nothing is in its name.
    assert used <= known <= customers
    for entry in entries:
        if isinstance(entry.action, PaymentHandled) and entry.idem.startswith("payment.handled/"):
            assert entry.idem.replace(".handled/", ".received/") in keys
    assert any(entry.action.name == "payment.scanned" for entry in entries)
    told = [event for event in account.events if event["data"]["object"]["object"] != "customer"]
    for event in told:
        if event["created"] >= account.now_s - 3_600:
            assert f"payment.handled/stripe/{event['id']}" in keys
    granted = [entry.action for entry in entries if isinstance(entry.action, PlanGranted)]
    paid = [item["id"] for item in account.of("invoice") if item["status"] == "paid"]
    assert len(granted) == len([name for name in paid if f"stripe:in:{name}:given_back" not in keys])


async def check_nothing_is_open(life: Life) -> None:
    """With no dispute open, no plan of ours running and nothing in suspense."""
    book = {(str(row.account), str(row.currency)): row.natural for row in await life.store.balances()}
    for (name, currency), amount in book.items():
        if name.endswith((":frozen", ":disputed")) or name.startswith("L:suspense:"):
            assert amount == 0, (name, currency)
    assert await in_suspense(life.store, life.cashier) == []
    assert book.get((f"L:ws:{OURS}:plan", "RC"), 0) == 0
    if life.beyond is None:
        assert book.get(("L:deferred", "RC"), 0) == 0


async def check_convergence(life: Life) -> None:
    """Two other books, into which nobody wrote while all of this went on, come to the same money: one that looks through Stripe's
    objects alone, and one that is told of its events in another order, of some twice, of others never."""
    book = {(str(row.account), str(row.currency)): row.natural for row in await life.store.balances()}
    async with beside(life, "objects.db") as (cashier, store):
        await cashier._end_periods(())  # as a scan does once a day
        objects = await looked_through(cashier, store)
    async with beside(life, "events.db") as (cashier, store):
        chance = Random(len(life.account.events))
        for event in chance.choices(life.account.events, k=len(life.account.events) // 2):
            if (found := event_of(event)).about is not None:
                await cashier.handle(found)
        await cashier._end_periods(())
        events = await looked_through(cashier, store)
    for name, currency in {*objects, *events, *book}:
        if name in AT_STRIPE:
            assert (
                objects.get((name, currency), 0) == events.get((name, currency), 0) == book.get((name, currency), 0)
            ), name


async def looked_through(cashier: Cashier, store: SqliteStore) -> Balances:
    assert (await reconcile(cashier, store, SINCE_S)).differences == ()
    return {(str(row.account), str(row.currency)): row.natural for row in await store.balances()}


async def check_meter(life: Life) -> None:
    """What the meter counts is what the ledger says that it was told. Each unit was used, once, and is paid or still owed."""
    account, told = life.account, life.account.meter_events
    entries = await life.entries()
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


def _units(cents: int) -> int:
    return cents * URC_PER_RC


def _currency(thing: Thing) -> str:
    return "RC" if thing["currency"] == "usd" else str(thing["currency"]).upper()
