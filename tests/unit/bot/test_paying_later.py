"""A plan with a meter: when its credit is used, answers go on within a limit, and people read what they come to."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.messages import Usage
from adapters.scripted import answer
from bot.billing import Billing, beyond_sentence
from bot.lucidia.catalog import Rates
from bot.platforms.base import Address, PlatformError, Reply
from bot.sentences import ENGLISH
from bot.statement import Month, statement_of
from bot.statement_forms import as_csv, as_html, as_text
from integrations.payments.plans import Plan, Plans
from ledger.accounts import metered, overage, plan, promo
from ledger.credit_actions import CreditReserved, CreditSettled, OverageMetered, PlanGranted
from ledger.entry import Draft, Scope
from ledger.money import FREE, URC_PER_RC, Money
from ledger.pseudonyms import ConversationId, TurnId
from ledger.roadchain import clock_us
from tests.house import ME, PSEUDONYMS, Open, RecordingPlatform, asks, card, running_house

RC = URC_PER_RC
W = PSEUDONYMS.workspace(ME.platform, ME.workspace)
SCOPE = Scope(W, PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person), ConversationId(""), TurnId("t-0"))
CARDS = [card("scripted", 90, rates=Rates(2_000_000, 10_000_000))]
HELLO = answer("Hello.", usage=Usage(input=1_000, output=200))
PRICE_URC = 400_000
BEYOND = Plan("beyond", "price_1", Money(1000 * RC), FREE, (), "overage", "price_2", Money(5 * RC))
BILLING = Billing("funded", plans=Plans((BEYOND,)))
LEFT_URC = 100_000


class Hooked(RecordingPlatform):
    """Something happens before a reply is brought."""

    before: Callable[[], Coroutine[None, None, None]] | None = None

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        if self.before is not None:
            await self.before()
        await super().send(to, turn, part, reply)


@dataclass
class Later:
    open: Open
    platform: Hooked
    period: str

    async def rc(self, account: str) -> float:
        rows = await self.open.store.balances()
        return sum(row.natural for row in rows if row.account == account) / RC

    async def says(self, text: str, event: str) -> str:
        await self.open.ask(replace(asks(text, event), standing="owner"))
        return self.platform.texts[-1]


@asynccontextmanager
async def nearly_used(folder: Path, *, runs_s: int = 86_400, used_urc: int = 0) -> AsyncIterator[Later]:
    """A workspace that has 0.1 RC of its plan left, which runs for ``runs_s``; ``used_urc`` were used beyond it before."""
    platform = Hooked()
    async with running_house(folder, platform, [HELLO] * 9, cards=CARDS, billing=BILLING) as open_:
        until_s = clock_us() // 1_000_000 + runs_s
        granted = PlanGranted("stripe", "beyond", LEFT_URC, 0, until_s)
        drafts = [Draft(granted, SCOPE, "grant")]
        if used_urc:
            hold = CreditReserved(
                "h", LEFT_URC + used_urc, 0, "p", "m", overage_period=str(until_s), overage_max=5 * RC
            )
            drafts += [
                Draft(hold, SCOPE, "h/reserve"),
                Draft(CreditSettled("h", LEFT_URC + used_urc, "p", 0), SCOPE, "h/settle"),
            ]
        await open_.roadchain.append(*drafts)
        yield Later(open_, platform, str(until_s))


async def test_an_answer_that_the_credit_is_too_little_for_is_paid_later_in_part(tmp_path: Path) -> None:
    async with nearly_used(tmp_path) as later:
        turn, outcome = await later.open.ask(asks("hello"))
        assert outcome == "answered"
        assert await later.rc(plan(W)) == 0
        assert await later.rc(overage(W, later.period)) == (PRICE_URC - LEFT_URC) / RC
        assert await later.rc("R:usage") == PRICE_URC / RC
        names = [name for name in await later.open.journal(turn) if name.startswith("credit.")]
        assert names == ["credit.reserve", "credit.settle"]


async def test_who_may_pay_reads_what_was_used_beyond_the_credit_and_what_it_costs(tmp_path: Path) -> None:
    async with nearly_used(tmp_path, used_urc=2_500_000) as later:
        said = await later.says("/billing", "2")
        assert "2.5 RC of 5 RC beyond the credit is used in this period. It comes to $0.02, on the next invoice" in said
        await later.open.ask(replace(asks("/billing", "3"), standing="member"))
        assert "beyond the credit" not in later.platform.texts[-1]


async def test_where_the_limit_of_the_period_is_reached_the_person_is_told(tmp_path: Path) -> None:
    async with nearly_used(tmp_path, used_urc=5_000_000) as later:
        _, outcome = await later.open.ask(asks("hello"))
        assert outcome == "refused"
        assert (
            "What may be used beyond the credit in a period of the plan, and paid later, is used up too."
            in (later.platform.texts[0])
        )


@pytest.mark.parametrize(
    ("used_urc", "warning"),
    [
        (3_100_000, ""),
        (3_600_000, "is used to 80 per cent."),
        (3_750_000, "is used to 83 per cent."),
        (4_100_000, ""),  # it was told before
    ],
)
async def test_at_eighty_per_cent_of_what_may_be_used_beyond_the_credit_the_answer_says_so_once(
    tmp_path: Path, used_urc: int, warning: str
) -> None:
    async with nearly_used(tmp_path, used_urc=used_urc) as later:
        _, outcome = await later.open.ask(asks("hello"))
        used = await later.rc(overage(W, later.period))
        said = later.platform.texts[0]
    assert (outcome, used) == ("answered", (used_urc + PRICE_URC) / RC)
    assert said.removeprefix("Hello.") == (
        f"\n\n_What may be used beyond the plan's credit in this period, and paid later, {warning}_" if warning else ""
    )


def test_what_may_be_used_beyond_the_credit_is_used_up_at_a_hundred_per_cent() -> None:
    assert " is used to 99 per cent." in beyond_sentence(4_999_999, 5_000_000, ENGLISH)
    assert beyond_sentence(5_000_000, 5_000_000, ENGLISH).endswith(" is used up.")


async def test_near_the_limit_an_answer_is_shorter(tmp_path: Path) -> None:
    async with nearly_used(tmp_path, used_urc=4_600_000) as later:
        turn, outcome = await later.open.ask(asks("hello"))
        assert outcome == "answered"
        entries = [recorded.entry.action for recorded in await later.open.store.entries_of(turn)]
        (hold,) = [action for action in entries if isinstance(action, CreditReserved)]
        assert 390_000 < hold.amount <= 400_000


async def test_after_the_period_nothing_is_paid_later_until_the_next_one_is_paid(tmp_path: Path) -> None:
    async with nearly_used(tmp_path, runs_s=-1) as later:
        _, outcome = await later.open.ask(asks("hello"))
        assert outcome == "answered"  # as much of it as the credit pays for
        assert await later.rc(overage(W, later.period)) == 0


async def test_a_statement_says_what_of_it_stands_on_the_plans_invoice(tmp_path: Path) -> None:
    async with nearly_used(tmp_path) as later:
        turn, _ = await later.open.ask(asks("hello"))
        settled_us = next(
            recorded.entry.mono
            for recorded in await later.open.store.entries_of(turn)
            if isinstance(recorded.entry.action, CreditSettled)
        )
        made = await statement_of(later.open.store, W, SCOPE.actor, Month.of(settled_us), clock_us())
        (charge,) = made.charges
        assert (charge.amount, charge.later) == (PRICE_URC, PRICE_URC - LEFT_URC)
        for text in (as_text(made), as_html(made)):
            assert "0.300000 RC of it is beyond the credit, on the plan" in text
        assert as_csv(made).splitlines()[-1].endswith(b",300000")


async def test_an_undelivered_answer_that_stands_on_an_invoice_comes_back_as_credit(tmp_path: Path) -> None:
    async with nearly_used(tmp_path, used_urc=800_000) as later:

        async def told() -> None:
            action = OverageMetered("stripe", "overage", later.period, RC, 1)
            await later.open.roadchain.append(Draft(action, SCOPE, "reading"))

        later.platform.before = told
        later.platform.fails = [PlatformError("the channel is gone", None)]
        turn, outcome = await later.open.ask(asks("hello"))
        assert outcome == "undelivered"
        assert await later.rc(metered(W, later.period)) == 1
        assert await later.rc(promo(W, f"undelivered-{turn}-1")) == PRICE_URC / RC
        names = [name for name in await later.open.journal(turn) if name.startswith("credit.")]
        assert names == ["credit.reserve", "credit.settle", "credit.grant"]


async def test_an_undelivered_answer_that_no_meter_was_told_of_is_taken_back(tmp_path: Path) -> None:
    async with nearly_used(tmp_path) as later:
        later.platform.fails = [PlatformError("the channel is gone", None)]
        _, outcome = await later.open.ask(asks("hello"))
        assert outcome == "undelivered"
        assert (await later.rc(plan(W)), await later.rc(overage(W, later.period))) == (LEFT_URC / RC, 0)
