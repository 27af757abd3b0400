"""Whatever moves much at the console takes two operators: one way for each command, once, and only as it was asked for."""

import pwd
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot import second_console
from bot.second_console import account_name
from integrations.payments.base import Cents, IntentId
from ledger.credit_actions import CreditExpired, CreditGranted, CreditReserved, CreditSettled, LateCost
from ledger.entry import Draft
from ledger.money import URC_PER_RC
from ledger.payment_actions import AdjustmentAsked, AdjustmentDecided
from tests.consoles import Console, console_in
from tests.fakes.stripe_account import Account
from tests.fakes.stripe_server import StripeServer, running_stripe
from tests.processes import Done
from tests.unit.bot.test_billing_console import HERE, till_of

ABOVE = "5"
PERIOD = "1900000000"


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with running_stripe(Account(int(time.time()))) as running:
        yield running


@dataclass(frozen=True)
class Case:
    """What is typed, and what it moves, in RC."""

    words: tuple[str, ...]
    kind: str
    moved: dict[str, int]


async def movement(console: Console, before: dict[tuple[str, str], int]) -> dict[str, int]:
    after = await console.money()
    moved = {key[0]: (after[key] - before.get(key, 0)) // URC_PER_RC for key in after}
    return {account: amount for account, amount in moved.items() if amount}


def reference_in(done: Done) -> str:
    return done.out.partition(":")[0]


async def begun(console: Console, stripe: StripeServer) -> list[Case]:
    """A house in which each of the commands has something to move."""
    async with till_of(console) as house:
        scope, cashier = house.scope(*HERE), house.billing.cashier
        assert cashier is not None
        later = CreditReserved("h", 900 * URC_PER_RC, 0, "p", "m", overage_period=PERIOD, overage_max=10**10)
        await house.roadchain.append(
            Draft(later, scope, "h/reserve"),
            Draft(CreditSettled("h", 900 * URC_PER_RC, "p", 0), scope, "h/settle"),
            Draft(LateCost("openai", 700 * URC_PER_RC, absorbed=False), scope, "late"),
        )
        link = await cashier.topup(scope, Cents(900))
        payment = stripe.account.pay(link.about.id, pays=700)["payment_intent"]
        assert (await cashier.scan()).left == 0
    w = scope.workspace
    transfer = (await console.run("invoice", *HERE, "20")).out.strip()
    granted = await two(console, "grant", *HERE, "8", "to be reversed")
    entry = granted.rpartition("entry ")[2].partition(")")[0]
    (grant,) = [item.entry for item in await console.entries() if str(item.entry.seq) == entry]
    promo = grant.postings[-1].account if grant.postings[-1].account.startswith("L:") else grant.postings[0].account
    return [
        Case(("reward", *HERE, "6", "thanks"), "reward", {"X:rewards": 600, "L:": -600}),
        Case(("reverse", entry, "a mistake"), "reverse", {"X:promo": -800, promo: 800}),
        Case(
            ("writeoff-usage", w, "600", "they left"),
            "writeoff-usage",
            {"X:baddebt": 600, f"A:ws:{w}:overage:{PERIOD}": -600},
        ),
        Case(("resolve", *HERE, payment, "theirs"), "resolve", {"L:suspense:stripe": 700, f"L:ws:{w}:paid": -700}),
        Case(("paid", transfer), "paid", {"A:invoiced:clearing": 2000, f"L:ws:{w}:paid": -2000}),
        Case(("treasury", "in", "6", "a start"), "treasury", {"A:bank": 600, "E:treasury": -600}),
        Case(("operations", "6", "a server"), "operations", {"X:operations": 600, "A:bank": -600}),
        Case(
            ("provider-bill", "openai", "6", "june"),
            "provider-bill",
            {"L:provider:openai:accrued": 600, "A:bank": -600},
        ),
    ]


async def two(console: Console, *words: str) -> str:
    asked = await console.run(*words, "--as", "anna")
    if "asked for by" not in asked.out:
        return asked.out
    return (await console.run("approve", reference_in(asked), "fine", "--as", "bob")).out


async def test_each_command_that_moves_much_waits_for_another_operator_and_does_one_thing_once(
    tmp_path: Path, stripe: StripeServer
) -> None:
    console = console_in(tmp_path, stripe, CARPOOL_SECOND_OPERATOR_ABOVE_USD=ABOVE)
    for case in await begun(console, stripe):
        before, first = await console.money(), len(await console.entries())
        asked = await console.run(*case.words, "--as", "anna")
        reference = reference_in(asked)
        assert (asked.status, f"{reference}: asked for by anna. It is more than $5" in asked.out) == (0, True), asked
        assert f"{reference}  " in (await console.run("requests")).out
        same = await console.run("approve", reference, "mine", "--as", "ANNA")
        assert (same.status, same.err.startswith("anna was for it already")) == (2, True), case
        nameless = await console.run("approve", reference, "mine")
        assert (nameless.status, "say who you are with --as NAME" in nameless.err) == (2, True), case
        assert await movement(console, before) == {}, case
        done = await console.run("approve", reference, "fine", "--as", "bob")
        assert done.status == 0, (case, done)
        assert f"Both anna and bob sat at the account {account_name()}" in done.out
        moved = await movement(console, before)
        rewarded = {account: amount for account, amount in moved.items() if ":promo:" in account}
        if case.kind == "reward":
            assert list(rewarded.values()) == [-600]
            moved = {**{account: moved[account] for account in moved.keys() - rewarded.keys()}, "L:": -600}
        assert moved == case.moved, case
        again = await console.run("approve", reference, "fine", "--as", "carol")
        assert (again.status, again.err) == (1, f"{reference} was approved before. Nothing was changed.\n"), case
        assert (await console.run("decline", reference, "late", "--as", "carol")).status == 1
        actions = [item.entry.action for item in (await console.entries())[first:]]
        on_record = [item for item in actions if isinstance(item, AdjustmentAsked | AdjustmentDecided)]
        assert [(type(item).__name__, item.operator, item.account) for item in on_record] == [
            ("AdjustmentAsked", "anna", account_name()),
            ("AdjustmentDecided", "bob", account_name()),
        ], case
        assert isinstance(on_record[0], AdjustmentAsked)
        assert (on_record[0].kind, bool(on_record[0].plan)) == (case.kind, case.kind != "paid")
        assert await console.refused(first) == [("billing.approve", "RC010")] * 2 + [
            ("billing.approve", "RC009"),
            ("billing.decline", "RC009"),
        ], case
    assert sum((await console.money()).values()) == 0
    assert (await console.run("requests")).out.startswith("0 to decide on")


async def test_what_is_no_more_than_the_limit_one_operator_does(tmp_path: Path, stripe: StripeServer) -> None:
    console = console_in(tmp_path, stripe, CARPOOL_SECOND_OPERATOR_ABOVE_USD="0")
    for case in await begun(console, stripe):
        before = await console.money()
        assert (await console.run(*case.words)).status == 0, case
        assert await movement(console, before) != {}, case


async def test_what_would_be_something_else_by_now_is_not_approved(tmp_path: Path, stripe: StripeServer) -> None:
    """Of a bill some was not known when it was asked for; the calls that it is for became known meanwhile."""
    console = console_in(tmp_path, stripe, CARPOOL_SECOND_OPERATOR_ABOVE_USD=ABOVE)
    await begun(console, stripe)
    asked = reference_in(await console.run("provider-bill", "openai", "9", "june", "--as", "anna"))
    small = await console.run("provider-bill", "openai", "5", "a part")
    assert small.status == 0
    before, first = await console.money(), len(await console.entries())
    done = await console.run("approve", asked, "fine", "--as", "bob")
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"{asked} would do something else by now than what anna asked for: decline it, and ask for it again. "
        "Nothing was changed.\n"
    )
    assert await console.refused(first) == [("billing.approve", "RC002")]
    assert await movement(console, before) == {}
    assert (await console.run("decline", asked, "changed", "--as", "bob")).status == 0


async def test_what_is_not_possible_any_more_is_refused_and_waits(tmp_path: Path, stripe: StripeServer) -> None:
    console = console_in(tmp_path, stripe, CARPOOL_SECOND_OPERATOR_ABOVE_USD=ABOVE)
    _, reverse, _, resolve, paid, *_ = await begun(console, stripe)
    names = [reference_in(await console.run(*reverse.words, "--as", who)) for who in ("anna", "dora")]
    assert (await console.run("approve", names[0], "fine", "--as", "bob")).status == 0
    late = await console.run("approve", names[1], "fine", "--as", "bob")
    assert (late.status, late.err) == (1, f"Entry {reverse.words[1]} was reversed before. Nothing was changed.\n")
    resolved = [reference_in(await console.run(*resolve.words, "--as", "anna")) for _ in range(2)]
    assert (await console.run("approve", resolved[0], "fine", "--as", "bob")).status == 0
    late = await console.run("approve", resolved[1], "fine", "--as", "bob")
    assert (late.status, "was resolved or given back before" in late.err) == (1, True)
    assert (await console.run(*paid.words, "--as", "anna")).status == 0
    twice = await console.run(*paid.words, "--as", "dora")
    assert (twice.status, "was asked for before" in twice.err) == (2, True)


async def test_what_had_ended_is_not_given_anew_by_one_alone(tmp_path: Path) -> None:
    """To take an expiry back is a grant by another name."""
    console = console_in(tmp_path, CARPOOL_SECOND_OPERATOR_ABOVE_USD=ABOVE)
    async with till_of(console) as house:
        scope = house.scope(*HERE)
        _, ended = await house.roadchain.append(
            Draft(CreditGranted("g", 501 * URC_PER_RC), scope, "g"), Draft(CreditExpired("promo:g"), scope, "ends")
        )
    before = await console.money()
    asked = await console.run("reverse", str(ended.seq), "a favour", "--as", "anna")
    assert f"reversal ({ended.seq}) of $5.01" in (await console.run("requests")).out
    assert await movement(console, before) == {}
    assert (await console.run("approve", reference_in(asked), "fine", "--as", "bob")).status == 0
    assert (await movement(console, before))["X:promo"] == 501


async def test_a_reference_of_a_refund_that_was_asked_for_in_chat_is_given_to_nothing_else(
    tmp_path: Path, stripe: StripeServer
) -> None:
    """Or the first approval of the one would count for the other."""
    console = console_in(tmp_path, stripe, CARPOOL_SECOND_OPERATOR_ABOVE_USD=ABOVE)
    async with till_of(console) as house:
        cashier, scope = house.billing.cashier, house.scope(*HERE)
        assert cashier is not None
        link = await cashier.topup(scope, Cents(4000))
        payment = stripe.account.pay(link.about.id)["payment_intent"]
        await cashier.scan()
        await cashier.request_refund(scope, payment, Cents(3000), IntentId("ref-t-1"))
    taken = await console.run("operations", "6", "x", "--reference", "ref-t-1", "--as", "anna")
    assert (taken.status, "was asked for before" in taken.err) == (2, True)
    assert "takes two operators" in (await console.run("requests")).out
    assert (await console.run("approve", "ref-t-1", "fine", "--as", "bob")).out.startswith("ref-t-1: asked for by bob")
    assert stripe.account.of("refund") == []


async def test_who_says_no_name_is_whoever_their_account_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = console_in(tmp_path)
    reference = reference_in(await console.run("treasury", "in", "500", "x"))
    assert (await console.run("approve", reference, "y")).status == 2
    monkeypatch.setattr(second_console, "account_name", lambda: "other-account")
    done = await console.run("approve", reference, "y")
    assert (done.status, "sat at the account" in done.out) == (0, False)
    decided = [
        item.entry.action for item in await console.entries() if isinstance(item.entry.action, AdjustmentDecided)
    ]
    assert decided == [AdjustmentDecided("approved", "other-account", "other-account")]


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert account_name().startswith("uid-")
