"""What an operator types about money: bad input is answered, moves nothing and is on the ledger; two of them decide on much."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bot.operating import Opened, opened
from bot.second_console import account_name
from integrations.payments.base import Cents, IntentId
from integrations.payments.requests import decline, request_of
from ledger.actions import CommandRun
from ledger.credit_actions import CreditGranted, CreditReserved, CreditReversed, CreditVoided, LateCost
from ledger.entry import Draft
from ledger.errors import KeyReused
from ledger.money import URC_PER_RC
from ledger.payment_actions import AdjustmentAsked, AdjustmentDecided, PaymentClosed
from ledger.roadchain import RoadChain
from tests.consoles import Console, console_in
from tests.fakes.stripe_account import Account
from tests.fakes.stripe_server import StripeServer, running_stripe

HERE = ("terminal", "local")
ACCOUNT = account_name()
AMOUNTS = {
    **dict.fromkeys(("-5", "-0.01", "\N{MINUS SIGN}5"), "RC008"),
    **dict.fromkeys(("0", "0.99", "1000000000", "1e9", "2.123456789", "NaN", "inf", "ten", "9" * 400), "RC002"),
    **dict.fromkeys(("\N{ARABIC-INDIC DIGIT FIVE}", "\N{FULLWIDTH DIGIT FIVE}", ""), "RC002"),
}
"""What is no amount, and its code on the ledger."""


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with running_stripe(Account(int(time.time()))) as running:
        yield running


@asynccontextmanager
async def till_of(console: Console) -> AsyncIterator[Opened]:
    async with opened(console.settings) as house:
        yield house


async def bought(console: Console, stripe: StripeServer, dollars: int = 10) -> str:
    """The payment of a top-up in the workspace of the terminal."""
    async with till_of(console) as house:
        assert house.billing.cashier is not None
        link = await house.billing.cashier.topup(house.scope(*HERE), Cents(dollars * 100))
        payment: str = stripe.account.pay(link.about.id)["payment_intent"]
        assert (await house.billing.cashier.scan()).left == 0
    return payment


async def test_without_a_ledger_bad_input_is_answered_and_makes_none(tmp_path: Path) -> None:
    console = console_in(tmp_path)
    refused = await console.run("grant", *HERE, "-5", "x")
    assert (refused.status, refused.out, "Nothing was changed." in refused.err) == (2, "", True)
    assert not (console.settings.home / "roadchain.db").exists()


async def test_no_amount_moves_anything_and_each_try_is_on_the_ledger(tmp_path: Path, stripe: StripeServer) -> None:
    console = console_in(tmp_path, stripe)
    payment = await bought(console, stripe)
    before, begun = await console.money(), len(await console.entries())
    wanted: list[tuple[str, str]] = []
    for amount, code in AMOUNTS.items():
        for command in (("grant", *HERE), ("writeoff", *HERE), ("invoice", *HERE), ("refund", *HERE, payment)):
            reason = () if command[0] == "invoice" else ("sk_live_crimson",)
            done = await console.run(*command, amount, *reason)
            assert (done.status, done.out) == (2, ""), (command, amount)
            assert (
                done.err == "The amount is in US dollars, from 1 to 1,000, such as 10 or 2.50. Nothing was changed.\n"
            )
            wanted.append((f"billing.{command[0]}", code))
    assert await console.refused(begun) == wanted
    assert await console.money() == before
    assert "crimson" not in str(await console.entries())


async def test_names_that_nobody_knows_and_numbers_that_are_none_are_answered_and_on_the_ledger(
    tmp_path: Path, stripe: StripeServer
) -> None:
    console = console_in(tmp_path, stripe)
    payment = await bought(console, stripe)
    before, begun = await console.money(), len(await console.entries())
    unknown_place = "The ledger knows no workspace localx of terminal"
    strange = ("terminal", "localx")
    for words, said, refusal in (
        (("grant", *strange, "5", "typo"), f"{unknown_place}: is its id", ("billing.grant", "RC003")),
        (("writeoff", *strange, "5", "typo"), unknown_place, ("billing.writeoff", "RC003")),
        (("invoice", *strange, "5"), unknown_place, ("billing.invoice", "RC003")),
        (("refund", *strange, payment, "5", "typo"), unknown_place, ("billing.refund", "RC003")),
        (("resolve", *strange, payment, "typo"), unknown_place, ("billing.resolve", "RC003")),
        (
            ("grant", *HERE, "5", "x", "--days", "-5"),
            "--days is a whole number from 1 to 3,650.",
            ("billing.grant", "RC008"),
        ),
        (("grant", *HERE, "5", "x", "--days", "3651"), "--days is a whole number", ("billing.grant", "RC002")),
        (("paid", "inv-none"), "Nothing was asked for as inv-none.", ("billing.paid", "RC003")),
        (("approve", "ref-none", "x"), "Nothing was asked for as ref-none", ("billing.approve", "RC003")),
        (("resolve", *HERE, "pi_none", "x"), "pi_none does not wait in suspense.", ("billing.resolve", "RC003")),
        (
            ("refund", *HERE, "pi_none", "5", "x"),
            "pi_none is no top-up of this workspace.",
            ("billing.refund", "RC003"),
        ),
        (("refund", *HERE, payment, "11", "x"), "Less than $11 is left of", ("billing.refund", "RC001")),
        (("reverse", "-1", "x"), "Entry '-1' is none that can be taken back", ("billing.reverse", "RC008")),
        (("reverse", "NaN", "x"), "Entry 'NaN' is none", ("billing.reverse", "RC002")),
        (
            ("reverse", "\N{ARABIC-INDIC DIGIT THREE}", "x"),
            "is none that can be taken back",
            ("billing.reverse", "RC002"),
        ),
        (("reverse", "9" * 400, "x"), "is none that can be taken back", ("billing.reverse", "RC002")),
        (("reverse", "0", "x"), "Entry 0 is none that can be taken back", ("billing.reverse", "RC002")),
        (("reverse", "999999", "x"), "Entry 999999 is none", ("billing.reverse", "RC003")),
    ):
        done = await console.run(*words)
        assert (done.status in (1, 2), done.out, said in done.err) == (True, "", True), (words, done)
        assert len(done.err.splitlines()) == 1, words
        assert await console.refused(begun) == [refusal], words
        begun = len(await console.entries())
    assert await console.money() == before


async def test_a_workspace_that_is_new_is_one_that_the_operator_says_is(tmp_path: Path) -> None:
    console = console_in(tmp_path)
    assert (await console.run("grant", "slack", "T0NEW", "5", "welcome")).status == 2
    assert (await console.run("grant", "slack", "T0NEW", "5", "welcome", "--new")).status == 0
    assert (await console.run("grant", "slack", "T0NEW", "5", "again")).status == 0
    granted = [item.entry.action for item in await console.entries() if isinstance(item.entry.action, CreditGranted)]
    assert [action.amount for action in granted] == [500 * URC_PER_RC] * 2


@pytest.mark.parametrize("days", ["0", "-5", "366", "NaN", "\N{ARABIC-INDIC DIGIT THREE}"])
async def test_days_to_compare_that_are_none_are_one_sentence(tmp_path: Path, days: str) -> None:
    done = await console_in(tmp_path).run("reconcile", "--days", days)
    assert (done.status, done.err) == (2, "--days is a whole number from 1 to 365.\n")


async def test_an_approval_that_the_credit_is_not_there_for_is_refused_on_the_ledger(
    tmp_path: Path, stripe: StripeServer
) -> None:
    console = console_in(tmp_path, stripe)
    payment = await bought(console, stripe)
    async with till_of(console) as house:
        assert house.billing.cashier is not None
        scope = house.scope(*HERE)
        await house.billing.cashier.request_refund(scope, payment, Cents(600), IntentId("ref-t-1"))
        await house.billing.cashier.refund(scope, payment, Cents(500), IntentId("ref-other"))
    begun, before = len(await console.entries()), await console.money()
    done = await console.run("approve", "ref-t-1", "why", "not")
    assert (done.status, done.out) == (1, "")
    assert done.err == "Less than $6 is left of " + f"{payment}: no money was sent, no credit taken.\n"
    assert await console.refused(begun) == [("billing.approve", "RC001")]
    assert await console.money() == before
    runs = [item for item in (await console.entries())[begun:] if isinstance(item.entry.action, CommandRun)]
    assert [item.body for item in runs] == [b"approve ref-t-1 why not"]


async def asked_for(console: Console, payment: str, dollars: int, reference: str) -> None:
    async with till_of(console) as house:
        assert house.billing.cashier is not None
        cents = Cents(dollars * 100)
        await house.billing.cashier.request_refund(house.scope(*HERE), payment, cents, IntentId(reference))


async def test_a_request_is_closed_once_by_an_approval_or_by_a_refusal(tmp_path: Path, stripe: StripeServer) -> None:
    console = console_in(tmp_path, stripe)
    payment = await bought(console, stripe)
    for reference in ("ref-t-1", "ref-t-2", "ref-t-3"):
        await asked_for(console, payment, 3, reference)
    before = await console.money()
    declined = await console.run("decline", "ref-t-1", "they", "spent", "it")
    assert (declined.status, declined.out) == (
        0,
        "ref-t-1 is declined: no money was sent, and no credit moved.\n",
    )
    assert await console.money() == before
    closed = (await console.entries())[-1].entry
    assert (closed.action, closed.stripe and closed.stripe.id) == (PaymentClosed("stripe", "refund_request"), payment)
    listed = (await console.run("requests")).out
    assert [line.split()[0] for line in listed.splitlines()] == ["ref-t-2", "ref-t-3", "2"]
    assert (await console.run("approve", "ref-t-2", "fine")).status == 0
    stripe.account.refund(payment, 600, {})  # past us, so that Stripe refuses the next
    assert (await console.run("approve", "ref-t-3", "fine")).status == 1  # by Stripe
    begun, before = len(await console.entries()), await console.money()
    for words, said in (
        (("approve", "ref-t-1"), "ref-t-1 was declined before. Nothing was changed.\n"),
        (("decline", "ref-t-1"), "ref-t-1 was declined before. Nothing was changed.\n"),
        (("decline", "ref-t-2"), "ref-t-2 was approved before. Nothing was changed.\n"),
        (("decline", "ref-t-3"), "ref-t-3 was approved before. Nothing was changed.\n"),
        (
            ("decline", "ref-none"),
            "Nothing was asked for as ref-none: `carpool billing requests` lists them. Nothing was changed.\n",
        ),
    ):
        done = await console.run(*words, "again")
        assert (done.out, done.err) == ("", said), words
    assert [code for _, code in await console.refused(begun)] == ["RC009"] * 4 + ["RC003"]
    assert await console.money() == before
    assert (await console.run("requests")).out.startswith("0 to decide on")
    assert sorted(refund["amount"] for refund in stripe.account.of("refund")) == [300, 600]


async def test_whoever_declines_what_is_being_approved_is_too_late(tmp_path: Path, stripe: StripeServer) -> None:
    """Between the look and the decision another operator was faster: one of both counts."""
    console = console_in(tmp_path, stripe)
    payment = await bought(console, stripe)
    await asked_for(console, payment, 3, "ref-t-1")
    async with till_of(console) as house:
        cashier = house.billing.cashier
        request = await request_of(house.store, "ref-t-1")
        assert cashier is not None
        assert request is not None
        await cashier.refund(request.scope, payment, Cents(300), request.reference)
        with pytest.raises(KeyReused):
            await decline(cashier.bridge.roadchain, request)
        await asked_for(console, payment, 3, "ref-t-2")
        other = await request_of(house.store, "ref-t-2")
        assert other is not None
        await decline(cashier.bridge.roadchain, other)
        with pytest.raises(KeyReused):
            await cashier.refund(other.scope, payment, Cents(300), other.reference)
    assert [refund["amount"] for refund in stripe.account.of("refund")] == [300]


async def test_a_statement_of_whom_nobody_knows_says_so(tmp_path: Path) -> None:
    console = console_in(tmp_path)
    assert (await console.run("grant", "slack", "T0", "5", "welcome", "--new")).status == 0
    for whose, said in (
        (("slack", "T1", "U1"), "The ledger knows no workspace T1 of slack: is its id written as the platform does?\n"),
        (("slack", "T0", "U1"), "Nobody has asked anything there as U1: is the id written as the platform does?\n"),
    ):
        done = await console.run("statement", *whose)
        assert (done.status, done.out, done.err) == (2, "", said)


async def recorded(console: Console) -> list[AdjustmentAsked | AdjustmentDecided]:
    """What operators asked for and decided, in order."""
    actions = [item.entry.action for item in await console.entries()]
    return [action for action in actions if isinstance(action, AdjustmentAsked | AdjustmentDecided)]


async def test_a_grant_above_the_limit_takes_two_operators_by_name(tmp_path: Path) -> None:
    console = console_in(tmp_path)
    assert (await console.run("grant", *HERE, "100", "no more than the limit")).status == 0
    before, begun = await console.money(), len(await console.entries())
    nameless = await console.run("grant", *HERE, "100.01", "much", "--as", "an na")
    assert (nameless.status, nameless.err.startswith("More than $100 is decided on by two operators")) == (2, True)
    asked = await console.run("grant", *HERE, "100.01", "much", "--days", "30", "--as", "anna")
    reference = asked.out.partition(":")[0]
    assert asked.out.startswith(f"{reference}: asked for by anna. It is more than $100, so another operator has to say")
    assert f"{reference}  " in (listed := (await console.run("requests")).out)
    assert "grant of $100.01, for workspace w-" in listed
    assert f"anna ({ACCOUNT}) is for it, and another operator has to be\n1 to decide on" in listed
    for words, said in (
        (("--as", "anna"), "anna was for it already: another operator has to approve of"),
        (("--as", "Anna"), "anna was for it already"),
        ((), "say who you are with --as NAME"),
        (("--as", "b ob"), "say who you are with --as NAME"),
    ):
        refused = await console.run("approve", reference, "fine", *words)
        assert (refused.status, refused.out, said in refused.err) == (2, "", True), words
    assert await console.refused(begun) == [("billing.grant", "RC010"), *[("billing.approve", "RC010")] * 4]
    assert await console.money() == before
    approved = await console.run("approve", reference, "fine", "--as", "bob")
    assert approved.out.startswith("10001 RC of promotional credit are there (entry ")
    again = await console.run("approve", reference, "fine", "--as", "carol")
    assert (again.status, again.err) == (1, f"{reference} was approved before. Nothing was changed.\n")
    first, second = await recorded(console)
    assert isinstance(first, AdjustmentAsked)
    assert replace(first, plan="") == AdjustmentAsked("grant", 10_001 * URC_PER_RC, "anna", 30, account=ACCOUNT)
    assert second == AdjustmentDecided("approved", "bob", ACCOUNT)
    granted = [item.entry.action for item in await console.entries() if isinstance(item.entry.action, CreditGranted)]
    assert [action.amount for action in granted] == [10_000 * URC_PER_RC, 10_001 * URC_PER_RC]
    assert granted[1].expires_us is not None
    assert (await console.run("requests")).out.startswith("0 to decide on")


async def test_what_two_operators_do_not_agree_on_is_not_done(tmp_path: Path) -> None:
    console = console_in(tmp_path)
    asked = await console.run("writeoff", *HERE, "200", "much", "--as", "anna")
    reference = asked.out.partition(":")[0]
    begun = len(await console.entries())
    unowed = await console.run("approve", reference, "fine", "--as", "bob")
    assert (unowed.status, unowed.err) == (1, "Less than 20000 RC is owed there. Nothing was changed.\n")
    assert await console.refused(begun) == [("credit.writeoff", "RC001")]
    assert (await console.run("decline", reference, "nothing is owed")).status == 0
    for words in (("approve", reference, "x", "--as", "bob"), ("decline", reference, "x")):
        assert (await console.run(*words)).err == f"{reference} was declined before. Nothing was changed.\n"
    first, second = await recorded(console)
    assert (first.operator, second) == ("anna", AdjustmentDecided("declined", ACCOUNT, ACCOUNT))
    assert await console.money() == {}


async def test_a_large_refund_is_sent_once_two_operators_are_for_it(tmp_path: Path, stripe: StripeServer) -> None:
    console = console_in(tmp_path, stripe, CARPOOL_SECOND_OPERATOR_ABOVE_USD="5")
    payment = await bought(console, stripe, 40)
    by_hand = await console.run("refund", *HERE, payment, "10", "sorry", "--as", "anna")
    reference = by_hand.out.partition(":")[0]
    await asked_for(console, payment, 8, "ref-t-1")
    await asked_for(console, payment, 5, "ref-t-2")
    await asked_for(console, payment, 9, "ref-t-3")
    assert (await console.run("requests")).out.count(", which takes two operators\n") == 2
    assert (await console.run("approve", "ref-t-2", "small")).status == 0
    assert "another operator has to say" in (await console.run("approve", "ref-t-1", "fine", "--as", "bob")).out
    assert [refund["amount"] for refund in stripe.account.of("refund")] == [500]
    for name, wanted in ((reference, "anna"), ("ref-t-1", "bob")):
        assert (await console.run("approve", name, "fine", "--as", wanted)).status == 2
        assert (await console.run("approve", name, "fine", "--as", "carol")).status == 0
    assert sorted(refund["amount"] for refund in stripe.account.of("refund")) == [500, 800, 1000]
    assert (
        await console.run("decline", reference, "too late")
    ).err == f"{reference} was approved before. Nothing was changed.\n"
    assert (await console.run("decline", "ref-t-3", "no", "--as", "anna")).status == 0
    assert (await console.run("requests")).out.startswith("0 to decide on")
    assert [(type(action).__name__, action.operator) for action in await recorded(console)] == [
        ("AdjustmentAsked", "anna"),
        ("AdjustmentAsked", "bob"),
        ("AdjustmentDecided", "carol"),
        ("AdjustmentDecided", "carol"),
    ]


async def test_reconcile_names_a_customer_whose_balance_was_changed_at_stripe(
    tmp_path: Path, stripe: StripeServer
) -> None:
    console = console_in(tmp_path, stripe)
    await bought(console, stripe)
    assert (await console.run("reconcile")).status == 0
    (customer,) = stripe.account.of("customer")
    customer["balance"] = -750
    done = await console.run("reconcile")
    workspace = customer["metadata"]["carpool_workspace"]
    said, ticket, seen = re.split(r" Ticket (dif-[0-9a-f]{10}), first seen ", done.err)
    assert ticket in (await console.run("reconcile")).err  # it stays
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.\n", seen)
    assert (done.status, said) == (
        1,
        f"{customer['id']} of workspace {workspace}: what this customer has at the payment service for later invoices is another "
        "than the ledger says: who changed it there? (750 RC there, 0 RC in the ledger).",
    )
    assert done.out.endswith("0 were missing, 1 differ.\n")


async def owed_to(console: Console, provider: str, known: int, estimated: int) -> None:
    """What calls have cost, in RC, and what of lost ones was estimated."""
    async with till_of(console) as house:
        cost = LateCost(provider, known * URC_PER_RC, absorbed=False)
        held, lost = CreditReserved("h", 0, 0, provider, "m"), CreditVoided("h", provider, estimated * URC_PER_RC)
        scope = house.scope(*HERE)
        await house.roadchain.append(Draft(cost, scope, "late"), Draft(held, scope, "h"), Draft(lost, scope, "v"))


async def test_a_providers_bill_clears_what_was_accrued_and_estimated_once(tmp_path: Path) -> None:
    """S18 is trued up: 4 RC were estimated of an answer that nobody has."""
    console = console_in(tmp_path)
    await owed_to(console, "openai", 700, 4)
    accrued, suspense = ("L:provider:openai:accrued", "RC"), ("L:provider:openai:suspense", "RC")
    first = await console.run("provider-bill", "openai", "6", "a part", "--reference", "inv-1")
    assert first.out.splitlines()[0].startswith("inv-1: $6 are recorded (entry ")
    assert first.out.splitlines()[1] == (
        "openai: 600 RC of calls that are known, 0 RC of estimates, 0 RC of which nothing was known. "
        "Still owed: 100 RC of calls, 4 RC of estimates."
    )
    again = await console.run("provider-bill", "openai", "6", "twice", "--reference", "inv-1")
    assert (again.status, again.err) == (2, "inv-1 was recorded before. Nothing was changed.\n")
    second = await console.run("provider-bill", "openai", "1.10", "the rest")
    assert "100 RC of calls that are known, 4 RC of estimates, 6 RC of which nothing was known." in second.out
    money = await console.money()
    assert (money[accrued], money[suspense]) == (0, 0)
    assert money[("A:bank", "RC")] == -710 * URC_PER_RC
    assert money[("X:absorbed", "RC")] == 10 * URC_PER_RC
    assert money[("X:provider:openai", "RC")] == 700 * URC_PER_RC
    seq = second.out.partition("(entry ")[2].partition(")")[0]
    back = await console.run("reverse", seq, "another's bill")
    assert back.out.startswith(f"Entry {seq} is reversed (entry ")
    made = back.out.rpartition("(entry ")[2].partition(")")[0]
    opposite = next(item.entry.action for item in await console.entries() if str(item.entry.seq) == made)
    assert opposite == CreditReversed(int(seq))
    money = await console.money()
    assert (money[accrued], money[suspense]) == (-100 * URC_PER_RC, -4 * URC_PER_RC)
    assert money[("X:absorbed", "RC")] == 4 * URC_PER_RC


def started_today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def owed_of_before(console: Console, day: datetime, known: int, estimated: int) -> None:
    """The same of ``owed_to``, of an hour before ``day``."""
    hour_before_us = int((day - timedelta(hours=1)).timestamp()) * 1_000_000
    async with till_of(console) as house, RoadChain(house.store, clock=lambda: hour_before_us) as earlier:
        scope = house.scope(*HERE)
        cost = LateCost("openai", known * URC_PER_RC, absorbed=False)
        held, lost = (
            CreditReserved("early", 0, 0, "openai", "m"),
            CreditVoided("early", "openai", estimated * URC_PER_RC),
        )
        await earlier.append(Draft(cost, scope, "c"), Draft(held, scope, "h-e"), Draft(lost, scope, "v-e"))


PROVIDER = {"L:provider:openai:accrued", "L:provider:openai:suspense", "A:bank", "X:absorbed", "X:provider:openai"}


async def of_provider(console: Console) -> dict[str, int]:
    return {
        account.rpartition("openai:")[2]: balance // URC_PER_RC
        for (account, _), balance in (await console.money()).items()
        if account in PROVIDER and balance
    }


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console whose ledger begins in the past, so that entries can be of yesterday."""
    console = console_in(tmp_path)
    two_days_ago_us = int((started_today() - timedelta(days=1)).timestamp()) * 1_000_000
    monkeypatch.setattr("bot.operating.RoadChain", partial(RoadChain, clock=lambda: two_days_ago_us))
    return console


async def test_the_last_bill_of_a_period_takes_back_what_was_estimated_too_high(
    past: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    console, today = past, started_today()
    until = ("--until", f"{today:%Y-%m-%d}")
    await owed_of_before(console, today, 700, 40)
    monkeypatch.undo()
    await owed_to(console, "openai", 90, 5)  # of today: the bill is not of it
    before = await of_provider(console)
    assert before == {"accrued": -790, "suspense": -45, "X:absorbed": 45, "X:provider:openai": 790}
    words = ("provider-bill", "openai", "7.10", "October", "--reference", "inv-7", *until)
    seen = await console.run(*words, "--preview")
    assert (seen.status, await of_provider(console)) == (0, before)
    told = (
        "openai: 700 RC of calls that are known, 10 RC of estimates, 0 RC of which nothing was known. "
        f"Less than was known before {until[1]}: 0 RC of calls and 30 RC of estimates, which are no cost."
    )
    assert seen.out == f"{told} Nothing was changed.\n"
    done = await console.run(*words)
    assert done.out.splitlines()[1] == f"{told} Still owed: 90 RC of calls, 5 RC of estimates."
    closed = {"accrued": -90, "suspense": -5, "A:bank": -710, "X:absorbed": 15, "X:provider:openai": 790}
    assert await of_provider(console) == closed
    assert (await console.run(*words)).err == "inv-7 was recorded before. Nothing was changed.\n"
    seq = done.out.partition("(entry ")[2].partition(")")[0]
    assert (await console.run("reverse", seq, "the wrong amount")).status == 0
    assert await of_provider(console) == before
    assert (
        await console.run("reverse", seq, "again")
    ).err == f"Entry {seq} was reversed before. Nothing was changed.\n"
    # What a bill was corrected in is of the period again: the right one takes less, from calls too.
    right = await console.run("provider-bill", "openai", "6.90", "corrected", "--reference", "inv-7b", *until)
    assert "690 RC of calls that are known, 0 RC of estimates" in right.out
    assert "10 RC of calls and 40 RC of estimates, which are no cost." in right.out
    nothing_more = await console.run("provider-bill", "openai", "0.20", "a rest", *until)
    assert "0 RC of calls that are known, 0 RC of estimates, 20 RC of which nothing was known." in nothing_more.out
    assert await of_provider(console) == {
        "accrued": -90,
        "suspense": -5,
        "A:bank": -710,
        "X:absorbed": 25,
        "X:provider:openai": 780,
    }


async def test_a_bill_of_nothing_takes_all_of_its_period_back(past: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    await owed_of_before(past, started_today(), 7, 3)
    monkeypatch.undo()
    words = ("provider-bill", "openai", "0", "free", "--reference", "inv-0", "--until", f"{started_today():%Y-%m-%d}")
    assert (await past.run(*words)).status == 0
    assert await of_provider(past) == {}
    assert (await past.run(*words)).err == "inv-0 was recorded before. Nothing was changed.\n"


async def test_a_period_ends_on_a_day_that_has_begun(tmp_path: Path) -> None:
    console = console_in(tmp_path)
    await owed_to(console, "openai", 10, 10)
    before, begun = await console.money(), len(await console.entries())
    tomorrow = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    for until in (tomorrow, "2026-02-30", "soon", "\N{ARABIC-INDIC DIGIT TWO}026-01-01"):
        done = await console.run("provider-bill", "openai", "5", "x", "--until", until)
        assert (done.status, done.err.startswith("--until is a day that has begun, such as 2026-11-01")) == (2, True)
    for amount in ("-1", "NaN", "10000001"):
        assert (await console.run("provider-bill", "openai", amount, "x", "--until", "2026-01-01")).status == 2
    assert await console.money() == before
    assert await console.refused(begun) == [
        *[("billing.provider-bill", "RC002")] * 4,
        *[("billing.provider-bill", code) for code in ("RC008", "RC002", "RC002")],
    ]


async def test_a_bill_that_takes_much_back_waits_as_a_whole_and_comes_to_the_same_when_it_is_approved(
    past: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    console, today = past, f"{started_today():%Y-%m-%d}"
    await owed_of_before(console, started_today(), 700, 10_001)
    monkeypatch.undo()
    owed = await of_provider(console)
    words = ("provider-bill", "openai", "6.99", "October", "--reference", "inv-8", "--until", today)
    nameless = await console.run(*words, "--as", "who am I")
    assert (nameless.status, nameless.err.startswith("More than $100 is decided on by two operators")) == (2, True)
    told = (
        "openai: 699 RC of calls that are known, 0 RC of estimates, 0 RC of which nothing was known. "
        f"Less than was known before {today}: 1 RC of calls and 10001 RC of estimates, which are no cost."
    )
    assert (await console.run(*words, "--preview")).out == f"{told} Nothing was changed.\n"
    done = await console.run(*words, "--as", "anna")
    assert (done.status, done.out.splitlines()[1:]) == (0, [told])
    assert done.out.startswith("inv-8: asked for by anna. It is more than $100, so another operator has to say")
    assert await of_provider(console) == owed
    shown = f"provider's bill (openai, the last before {today}) of $6.99 and a true-up of $100.02, for workspace"
    assert shown in (await console.run("requests")).out
    assert (await console.run("approve", "inv-8", "yes", "--as", "anna")).status == 2
    # Meanwhile another bill takes some of it: then it is not what was asked for any more.
    assert (await console.run("provider-bill", "openai", "0.02", "late", "--reference", "inv-9")).status == 0
    other = await console.run("approve", "inv-8", "yes", "--as", "bob")
    assert (other.status, "inv-8 would do something else by now" in other.err) == (1, True)
    seq = next(item.entry.seq for item in await console.entries() if item.entry.idem == "credit.provider_bill/inv-9")
    assert (await console.run("reverse", str(seq), "it was no bill")).status == 0
    assert await of_provider(console) == owed
    approved = await console.run("approve", "inv-8", "yes", "--as", "bob")
    seq_text = approved.out.partition("(entry ")[2].partition(")")[0]
    assert approved.out.startswith(f"inv-8: $6.99 are recorded (entry {seq_text}).\n{told} Still owed: 0 RC of calls,")
    assert await of_provider(console) == {"A:bank": -699, "X:provider:openai": 699}
    # What is reversed counts with all that goes with it: the bill alone was little.
    back = await console.run("reverse", seq_text, "the wrong month", "--as", "bob")
    reference = back.out.partition(":")[0]
    assert f"{reference}: asked for by bob" in back.out
    assert f"reversal ({seq_text}) of $6.99 and a true-up of $100.02" in (await console.run("requests")).out
    assert await of_provider(console) == {"A:bank": -699, "X:provider:openai": 699}
    assert (await console.run("approve", reference, "yes", "--as", "anna")).out.startswith(
        f"Entry {seq_text} is reversed (entry "
    )
    assert await of_provider(console) == owed


async def test_the_owners_money_and_what_the_house_needs_are_on_the_book(tmp_path: Path) -> None:
    console = console_in(tmp_path, CARPOOL_SECOND_OPERATOR_ABOVE_USD="0")
    assert (await console.run("treasury", "in", "5000", "to begin with")).status == 0
    assert (await console.run("treasury", "out", "20.50", "back")).status == 0
    assert (await console.run("operations", "100", "a server", "--reference", "may")).status == 0
    before, begun = await console.money(), len(await console.entries())
    assert {account: balance // URC_PER_RC for (account, _), balance in before.items()} == {
        "A:bank": 487_950,
        "E:treasury": -497_950,
        "X:operations": 10_000,
    }
    for amount, code in AMOUNTS.items():
        if amount == "0.99":
            continue
        for command in (("provider-bill", "openai"), ("treasury", "out"), ("operations",)):
            done = await console.run(*command, amount, "x")
            assert (done.status, done.out, "Nothing was changed." in done.err) == (2, "", True), (command, amount)
        assert (await console.refused(begun))[-1] == ("billing.operations", code), amount
    for words, refusal in (
        (("provider-bill", "openia", "5", "typo"), ("billing.provider-bill", "RC003")),
        (("operations", "5", "x", "--reference", "may"), ("billing.operations", "RC009")),
        (("treasury", "in", "5", "x", "--reference", "a b"), ("billing.treasury", "RC002")),
    ):
        assert (await console.run(*words)).status == 2
        assert (await console.refused(begun))[-1] == refusal
    assert await console.money() == before
