"""``/billing`` in a house: who may see what and pay, what a person reads, and that bad input moves nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bot.billing import Billing, Charges
from bot.commands.amounts import dollars_text, read_dollars
from bot.commands.base import Asking, Desk, Result
from bot.commands.billing import BILLING, bars
from bot.commands.table import COMMANDS
from bot.connections import Connected, Connections
from bot.lucidia.catalog import Catalog
from bot.lucidia.policy import Policy
from bot.lucidia.watch import Watch
from bot.rules import Role, Rules
from bot.sentences import ENGLISH, Sentences
from bot.statement import Month
from integrations.payments.base import Amount, Cents, IntentId, Link, PaymentError
from integrations.payments.plans import Plans
from integrations.payments.requests import decline, request_of
from integrations.storage.sqlite import SqliteStore
from ledger.credit_actions import (
    CreditAllocated,
    CreditFrozen,
    CreditGranted,
    CreditRefused,
    CreditReserved,
    CreditSettled,
    Limit,
    RefundHeld,
)
from ledger.entry import Draft, Scope
from ledger.money import URC_PER_RC
from ledger.roadchain import clock_us
from ledger.store import Recorded
from tests.bracketed import BRACKETED
from tests.house import ME, PSEUDONYMS
from tests.payments import NOW_S, Till, W, open_till, scope
from tests.sentences import OF_PAYMENTS


class Talk:
    """Someone who talks to a till."""

    def __init__(self, till: Till, billing: Billing, say: Sentences) -> None:
        self.till = till
        connections = Connections(Connected({}, Catalog(())))
        watch = Watch(till.store, clock_us)
        self._desk = Desk(
            till.store,
            connections,
            lambda _: 0,
            _no_receipt,
            watch,
            Policy(),
            PSEUDONYMS,
            lambda: NOW_S * 1_000_000,
            billing=billing,
            say=say,
        )

    async def says(self, arguments: str, role: Role = "owner", turn: str = "t-1") -> Result:
        return await BILLING.run(Asking(scope(turn), 1, arguments, ME, role, Rules()), self._desk)


async def _no_receipt(recorded: Recorded) -> bytes | None:
    return None


@asynccontextmanager
async def talking(
    folder: Path, *, connected: bool = True, say: Sentences = ENGLISH, billing: Billing = Billing()
) -> AsyncIterator[Talk]:
    store = await SqliteStore.open(folder / "ledger.db")
    try:
        async with open_till(store) as till:
            cashier = till.cashier if connected else None
            yield Talk(till, replace(billing, plans=Plans((till.pro, till.top)), cashier=cashier), say)
    finally:
        await store.aclose()


async def test_a_topup_is_asked_for_paid_and_seen(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        asked = await talk.says("topup 10")
        assert asked.text.startswith("[Pay $10 for 1000 RC of credit](http://checkout.test/cs_test_")
        assert asked.text.endswith("closes by itself. The credit is here as soon as it is paid.")
        session = talk.till.account.of("checkout.session")[0]["id"]
        talk.till.account.pay(session)
        await talk.till.delivered()
        shown = (await talk.says("")).text
        assert "**1000 RC** of credit can be spent" in shown
        assert "- 1000 RC bought" in shown
        assert "Nothing yet." in shown


FROM_THEN_ON = "So far answers cost nothing here. Once this is paid, everybody's answers in this workspace cost credit"


async def test_before_the_first_purchase_it_is_said_that_answers_cost_credit_from_then_on(tmp_path: Path) -> None:
    async with talking(tmp_path, billing=Billing(charges="funded")) as talk:
        for asked in ("topup 10", "subscribe pro"):
            assert FROM_THEN_ON in (await talk.says(asked)).text
        await talk.till.bought(10)
        for asked in ("topup 20", "subscribe pro"):
            assert FROM_THEN_ON not in (await talk.says(asked)).text


@pytest.mark.parametrize("charges", ["none", "all"])
async def test_where_a_purchase_changes_nothing_of_what_costs_nothing_is_said_of_it(
    tmp_path: Path, charges: Charges
) -> None:
    async with talking(tmp_path, billing=Billing(charges=charges)) as talk:
        assert FROM_THEN_ON not in (await talk.says("topup 10")).text


async def test_what_was_spent_is_drawn_day_by_day(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.till.bought(10)
        for day, rc in (("2026-11-17", 3), ("2026-11-18", 6)):
            limits = (Limit(W, day, 10**12), Limit("a-1", day, 10**12))
            held = CreditReserved(day, rc * URC_PER_RC, rc * URC_PER_RC, "p", "m", "", limits)
            await talk.till.roadchain.append(Draft(held, scope(), f"{day}/reserve"))
            settled = CreditSettled(day, rc * URC_PER_RC, "p", 0)
            await talk.till.roadchain.append(Draft(settled, scope(), f"{day}/settle"))
        lines = (await talk.says("")).text.splitlines()
        assert f"11-17  {'█' * 12}{' ' * 12}  3 RC" in lines
        assert f"11-18  {'█' * 24}  6 RC" in lines
        own = await talk.says("", "member")
        assert "Spent by you" in own.text
        assert "can be spent" not in own.text


async def test_an_owner_sees_their_own_limit_and_the_workspaces_and_a_member_their_own(tmp_path: Path) -> None:
    billing = Billing(person_day_max=10 * URC_PER_RC, workspace_month_max=100 * URC_PER_RC)
    async with talking(tmp_path, billing=billing) as talk:
        await talk.till.bought(10)
        for actor, rc in (("a-1", 3), ("a-2", 4)):
            limits = (Limit(actor, "2026-11-18", 10**12), Limit(W, "2026-11", 10**12))
            held = CreditReserved(actor, rc * URC_PER_RC, rc * URC_PER_RC, "p", "m", "", limits)
            await talk.till.roadchain.append(Draft(held, scope("t-1", actor), f"{actor}/reserve"))
        own, workspaces = (
            "3 RC of your 10 RC for today is spent.",
            "7 RC of this workspace's 100 RC for this month is spent.",
        )
        assert f"\n\n{own}\n{workspaces}\n\n" in (await talk.says("")).text
        member = (await talk.says("", "member")).text
        assert own in member
        assert "this workspace" not in member.partition("Spent by you")[0]


async def test_a_member_gets_their_own_month_with_each_line_and_both_files(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.till.bought(10)
        for number in range(3):
            held = CreditReserved(f"h{number}", 5 * URC_PER_RC, 5 * URC_PER_RC, "p", "m")
            await talk.till.roadchain.append(Draft(held, scope(f"t-{number}"), f"{number}/reserve"))
            settled = CreditSettled(f"h{number}", URC_PER_RC + number, "p", 0)
            await talk.till.roadchain.append(Draft(settled, scope(f"t-{number}"), f"{number}/settle"))
        month = Month.of((await talk.till.store.head()).mono)
        said = await talk.says(f"statement {month}", "member")
        assert (
            f"CarPool statement, {month}\nFor {ME.person}, in the workspace {ME.workspace} of Test. Issued by CarPool."
            in said.text
        )
        assert "1.000002  p/m  t-2" in said.text
        assert "3.000003 RC in all, for 3 charges." in said.text
        assert [(file.name, file.media_type) for file in said.files] == [
            (f"carpool-{month}.csv", "text/csv"),
            (f"carpool-{month}.pdf", "application/pdf"),
        ]
        assert said.changes == ()


@pytest.mark.parametrize(
    ("rest", "answer"),
    [
        ("", "Nothing was charged for your answers in 2026-11."),
        ("2026-10", "Nothing was charged for your answers in 2026-10."),
        ("2027-01", "2027-01 has not begun."),
        ("2026-13", "`/billing statement [MONTH]`: a month such as 2026-11; without one it is this month."),
        ("../../etc", "`/billing statement [MONTH]`: a month such as 2026-11; without one it is this month."),
    ],
)
async def test_a_month_without_charges_or_that_is_none_is_one_sentence(tmp_path: Path, rest: str, answer: str) -> None:
    async with talking(tmp_path) as talk:
        said = await talk.says(f"statement {rest}", "guest")
        assert (said.text, said.files) == (answer, ())


def test_a_bar_is_as_long_as_its_share_and_never_empty_for_what_is_not_nothing() -> None:
    drawn = bars({"2026-11-01": 0, "2026-11-02": 1, "2026-11-03": 10**9})
    assert drawn[0] == f"11-01  {' ' * 24}  0 RC"
    assert drawn[1] == f"11-02  ▏{' ' * 23}  under 0.01 RC"
    assert drawn[2] == f"11-03  {'█' * 24}  1000 RC"
    assert bars({}) == []


@pytest.mark.parametrize("part", ["topup 10", "subscribe pro", "portal", "invoices", "refund", "refund pi_1 4"])
@pytest.mark.parametrize("role", ["member", "admin"])
async def test_who_may_not_pay_gets_no_link_and_the_refusal_is_recorded(
    tmp_path: Path, part: str, role: Role
) -> None:  # S42
    async with talking(tmp_path) as talk:
        refused = await talk.says(part, role)
        assert refused.text.startswith("Only a billing admin")
        assert refused.changes == (CreditRefused(f"billing.{part.split()[0]}", "RC010"),)
        assert talk.till.stripe.requests == []


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("10", 1000),
        ("$10", 1000),
        ("2.5", 250),
        ("2.50", 250),
        ("1000", 100_000),
        ("10 dollars", 1000),
        ("10 USD", 1000),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, cents: int) -> None:
    assert read_dollars(text) == cents


async def test_plans_are_listed_and_one_is_subscribed_to_once(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        listed = (await talk.says("subscribe")).text
        assert "- `/billing subscribe pro`: 1500 RC of credit a month, for $20" in listed
        unknown = await talk.says("subscribe `gold` _x_")
        assert unknown.text.startswith(
            "There is no plan `'gold' _x_`. Nothing was charged.\nThe plans:\n\n- `/billing subscribe pro`"
        )
        link = (await talk.says("subscribe Pro")).text
        assert link.startswith("[Subscribe to pro: $20 a month for 1500 RC of credit](http://checkout.test/")
        talk.till.account.pay(talk.till.account.of("checkout.session")[0]["id"])
        await talk.till.delivered()
        assert "has a plan already" in (await talk.says("subscribe top")).text
        assert "- [in_" in (await talk.says("invoices")).text
        assert (await talk.says("portal")).text == (
            "[Cards, plan and receipts of this workspace](http://portal.test/1)\n\n"
            "The link is for you alone and closes by itself."
        )
        shown = (await talk.says("")).text
        assert "- 1500 RC of the plan\n\nThe plan pro runs, paid until 2026-12-18.\n" in shown


async def test_with_stripe_down_a_person_reads_what_to_do(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        talk.till.stripe.down = True
        assert "nothing was charged" in (await talk.says("topup 10")).text
        talk.till.stripe.down = False
        assert "http://checkout.test/" in (await talk.says("topup 10")).text


@pytest.mark.parametrize("kind", OF_PAYMENTS)
async def test_each_error_of_a_payment_is_told_from_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[PaymentError]
) -> None:
    error = kind.__new__(kind, "secret detail")

    async def failing(scope: Scope) -> Link:
        raise error

    async with talking(tmp_path, say=BRACKETED) as talk:
        monkeypatch.setattr(talk.till.cashier, "portal", failing)
        assert (await talk.says("portal")).text == f"⟦⟦{kind.remedy}⟧ (Reference: t-1)⟧"


async def test_without_a_payment_service_it_is_said_that_nothing_costs(tmp_path: Path) -> None:
    async with talking(tmp_path, connected=False) as talk:
        assert "Answers cost nothing." in (await talk.says("")).text
        assert "Answers cost nothing." in (await talk.says("topup 10")).text


async def test_debt_holds_and_set_aside_credit_are_shown(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        granted = CreditGranted("grant-1", 5 * URC_PER_RC)
        await talk.till.roadchain.append(Draft(granted, scope(), "g"))
        held = CreditReserved("h", 2 * URC_PER_RC, 2 * URC_PER_RC, "p", "m")
        await talk.till.roadchain.append(Draft(held, scope(), "h"))
        shown = (await talk.says("")).text
        assert "**3 RC**" in shown
        assert "- 3 RC promotional" in shown
        assert "2 RC is held for answers" in shown


async def test_credit_that_goes_back_is_disputed_or_set_aside_does_not_vanish_without_a_word(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.till.bought(10)
        await talk.till.roadchain.append(Draft(CreditAllocated("", "user:a-2", URC_PER_RC), scope(), "a"))
        await talk.till.roadchain.append(Draft(RefundHeld(2 * URC_PER_RC), scope(), "r"))
        await talk.till.roadchain.append(Draft(CreditFrozen(3 * URC_PER_RC), scope(), "f"))
        shown = (await talk.says("")).text
        assert "- besides, 1 RC is set aside for others\n" in shown
        assert "- besides, 2 RC is held for a refund that is on its way\n" in shown
        assert "- besides, 3 RC is frozen, since its payment is disputed" in shown


async def test_a_word_that_is_not_known_shows_what_there_is(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        assert (await talk.says("transfer all")).text.startswith("`/billing transfer` is not known.")
        assert (await talk.says("tr`an`s **x**")).text.startswith("`/billing tr'an's` is not known.")


async def test_a_billing_admin_asks_for_a_refund_once_and_the_operator_sends_what_was_asked_for(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        assert (await talk.says("refund")).text == "Nothing was paid here that could be given back."
        await talk.till.subscribed()  # the payment of a plan is none that is given back like this
        payment = await talk.till.bought(10)
        listed = await talk.says("refund", "billing_admin")
        assert listed.text.splitlines()[2:] == [f"- `{payment}`: 2026-11-18, $10"]
        before, asked = await talk.till.store.balances(), len(talk.till.account.of("refund"))
        for _ in range(2):
            said = await talk.says(f"refund {payment} 4", "billing_admin", "t-7")
            assert said.text.startswith("Asked for: $4 back")
            assert "`ref-t-7`" in said.text
            assert said.changes == ()
        assert await talk.till.store.balances() == before
        assert len(talk.till.account.of("refund")) == asked == 0
        await talk.till.cashier.refund(scope("", "a-operator"), payment, Cents(400), IntentId("ref-t-7"))
        await talk.till.delivered()
        assert (await talk.says("refund")).text.endswith(f"- `{payment}`: 2026-11-18, $10, $4 of it given back")
        assert "- 600 RC bought" in (await talk.says("")).text


@pytest.mark.parametrize(
    ("rest", "said", "code"),
    [
        ("PI 11", "Less than 1100 RC of what was bought here is left", "RC001"),
        ("PI 0", "`/billing refund PAYMENT DOLLARS`: from 1 to 1,000 US dollars", "RC002"),
        ("PI -4", "`/billing refund PAYMENT DOLLARS`", "RC008"),
        ("PI NaN", "`/billing refund PAYMENT DOLLARS`", "RC002"),
        ("PI ١", "`/billing refund PAYMENT DOLLARS`", "RC002"),
        ("PI 1.000000001", "`/billing refund PAYMENT DOLLARS`", "RC002"),
        ("PI", "`/billing refund PAYMENT DOLLARS`", "RC002"),
        ("pi_other 4", "`pi_other` is no top-up of this workspace", "RC003"),
        ("cus_000001 4", "`cus_000001` is no top-up of this workspace", "RC003"),
    ],
)
async def test_what_cannot_be_given_back_is_answered_and_recorded_and_moves_nothing(
    tmp_path: Path, rest: str, said: str, code: str
) -> None:
    async with talking(tmp_path) as talk:
        payment = await talk.till.bought(10)
        before = await talk.till.store.balances()
        refused = await talk.says(f"refund {rest.replace('PI', payment)}")
        assert refused.text.startswith(said)
        assert refused.text.endswith("No money was sent, and no credit taken.")
        assert refused.changes == (CreditRefused("billing.refund", code),)
        assert await talk.till.store.balances() == before


async def test_more_than_was_paid_with_a_payment_is_refused_though_other_credit_is_there(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        payment = await talk.till.bought(10)
        await talk.till.bought(20)
        before = await talk.till.store.balances()
        refused = await talk.says(f"refund {payment} 10.01")
        assert refused.text.startswith(f"$10.01 is more than was paid with `{payment}`")
        assert await talk.till.store.balances() == before


async def test_a_second_request_beyond_what_is_left_of_a_payment_is_refused(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        payment = await talk.till.bought(5)
        await talk.till.bought(20)
        for turn in ("t-1", "t-1"):  # the same turn asks once
            assert (await talk.says(f"refund {payment} 3", turn=turn)).text.startswith(
                "Asked for: $3 back, the way it was"
            )
        refused = await talk.says(f"refund {payment} 3", turn="t-2")
        assert refused.text.startswith(
            f"Less than $3 is left of `{payment}`: the rest was given back, or asked for before"
        )
        assert refused.changes == (CreditRefused("billing.refund", "RC001"),)
        assert (await talk.says(f"refund {payment} 2", turn="t-3")).text.startswith("Asked for: $2 back")
        request = await request_of(talk.till.store, "ref-t-1")
        assert request is not None
        await decline(talk.till.roadchain, request)
        assert (await talk.says(f"refund {payment} 3", turn="t-4")).text.startswith("Asked for: $3 back")
        await talk.till.cashier.refund(scope("", "a-operator"), payment, Cents(200), IntentId("ref-t-3"))
        await talk.till.delivered()
        assert "is left of" in (await talk.says(f"refund {payment} 1", turn="t-5")).text


def test_the_reply_is_for_the_asker_alone() -> None:
    assert COMMANDS["billing"] is BILLING
    assert BILLING.private


@pytest.mark.parametrize(
    ("amount", "text"),
    [(Amount(Cents(1000)), "$10"), (Amount(Cents(-5)), "-$0.05"), (Amount(Cents(123456), "eur"), "1,234.56 EUR")],
)
def test_money_is_written_as_people_read_it(amount: Amount, text: str) -> None:
    assert dollars_text(amount) == text
