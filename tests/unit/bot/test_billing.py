"""What an answer costs, what is held for it, and what a person reads: figures of the scenarios, worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import Usage
from bot.billing import (
    OUTPUT_TOKENS_MIN,
    Billing,
    Caps,
    Held,
    Price,
    Purse,
    Short,
    closed,
    counted,
    days_before,
    estimated,
    given_back,
    hold_for,
    limit_sentence,
    limits_of,
    longest,
    pays,
    price_of,
    purse_of,
    reserved,
    short_sentence,
    warned_at,
    warning_sentence,
)
from bot.lucidia.catalog import Rates, Tier
from bot.sentences import ENGLISH
from ledger.accounts import AMOUNT_MAX, RC, Account
from ledger.actions import Candidate
from ledger.book import AccountRow
from ledger.credit_actions import CreditSettled, CreditVoided
from ledger.entry import Scope
from ledger.errors import LimitReached
from ledger.money import URC_PER_RC, Money
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from tests.house import card

RATES = Rates(2_000_000, 10_000_000)
"""2 and 10 dollars for a million tokens."""
PRICE = Price(RATES, 2000)
CHOSEN = Candidate("p", "m", None)
SCOPE = Scope(WorkspaceId("w-1"), ActorId("a-1"), ConversationId("c-1"), TurnId("t-1"))
NOW_US = 1_795_000_000_000_000
NOTHING = Purse(Money(0), Money(0), Money(0), Money(0), Money(0), Money(0), Money(0), Money(0), Money(0), funded=False)


def rc(amount: float) -> int:
    return round(amount * URC_PER_RC)


@pytest.mark.parametrize(
    ("price", "usage", "cost", "charge"),
    [
        (PRICE, Usage(10_000, 2_000, 0, 0, 0), 4_000_000, 4_800_000),  # S15
        (PRICE, Usage(10_000, 500, 0, 0, 0), 2_500_000, 3_000_000),  # S24
        # S29: claude-sonnet-4-5 at 3, 15, 0.30 and 3.75 dollars; cached tokens are among the input tokens.
        (
            Price(Rates(3_000_000, 15_000_000, 300_000, 3_750_000), 2000),
            Usage(727, 97, 100, 123, 0),
            345_825,
            414_990,
        ),
        (Price(Rates(1, 1), 0), Usage(1, 0, 0, 0, 0), 1, 1),
        (PRICE, Usage(0, 0, 0, 0, 0), 0, 0),
    ],
)
def test_a_call_costs_what_its_tokens_do_rounded_up_once(price: Price, usage: Usage, cost: int, charge: int) -> None:
    assert (price.cost(usage), price.charge(usage)) == (cost, charge)


ANY_RATES = st.builds(Rates, *[st.integers(0, 10**12)] * 4)


@given(
    st.builds(Rates, *[st.integers(1, 10**9)] * 4),
    st.integers(0, 100_000),
    st.integers(0, 200_000),
    st.integers(1, 8_000),
    st.integers(0, 10**12),
    st.data(),
)
def test_no_call_comes_to_more_than_is_held_for_it(
    rates: Rates, markup: int, input_tokens: int, output_max: int, available: int, data: st.DataObject
) -> None:
    price = Price(rates, markup)
    held = hold_for(price, input_tokens, output_max, available)
    if isinstance(held, Short):
        assert held.needed > available
        return
    assert held.amount <= available
    assert min(OUTPUT_TOKENS_MIN, output_max) <= held.output_tokens <= output_max
    if held.output_tokens < output_max:
        assert price.ceiling(input_tokens, held.output_tokens + 1) > available
    read = data.draw(st.integers(0, input_tokens))
    written = data.draw(st.integers(0, input_tokens - read))
    usage = Usage(input_tokens, data.draw(st.integers(0, held.output_tokens)), read, written, 0)
    assert price.charge(usage) <= held.amount
    assert price.cost(usage) <= price.charge(usage)


@given(ANY_RATES, st.integers(0, 100_000), st.lists(st.builds(Tier, st.integers(1, 10**7), ANY_RATES), max_size=3))
def test_a_price_is_read_back_as_it_was_written(rates: Rates, markup: int, tiers: list[Tier]) -> None:
    price = Price(rates, markup, tuple(tiers))
    assert Price.read(price.text) == price


def test_little_credit_gets_a_shorter_answer() -> None:
    held = hold_for(PRICE, 1_000, 1_024, rc(1))
    assert held == Held(Money(999_600), 633)  # 0.24 RC for the question, and 0.0012 RC for each token


def test_too_little_credit_gets_none() -> None:
    assert hold_for(PRICE, 10_000, 1_024, rc(1)) == Short(Money(2_419_200), Money(rc(1)))


@pytest.mark.parametrize("rates", [None, Rates(-1, 5), Rates(5, -1), Rates(0, 5), Rates(5, 0), Rates(5, 5, -1)])
def test_a_model_without_a_price_cannot_be_sold(rates: Rates | None) -> None:  # S27
    assert price_of(replace(card("p"), rates=rates), 10, 0) is None


def test_a_free_model_is_free_and_an_unknown_one_is_not() -> None:
    free = price_of(card("p", rates=Rates(0, 0)), 10, 2000)
    assert free is not None
    assert free.is_free
    assert price_of(None, 10, 0) is None


DEAR = Tier(200_000, Rates(4_000_000, 15_000_000))


def test_a_long_request_is_held_for_at_its_own_tier_and_settled_at_the_one_it_reached() -> None:
    long = card("p", rates=RATES, tiers=(DEAR,))
    price = price_of(long, 213_000, 0)
    assert price == Price(RATES, 0, (DEAR,))
    assert price.ceiling(213_000, 1_000) == 213_000 * 400 + 1_000 * 1_500
    hold = reserved("h", Held(price.ceiling(213_000, 1_000), 1_000), price, 0, CHOSEN, ())
    for tokens, input_rate, output_rate in ((160_000, 200, 1_000), (200_001, 400, 1_500)):
        used = Usage(tokens, 1_000, 0, 0, 0)
        came_to = Money(tokens * input_rate + 1_000 * output_rate)
        assert closed(hold, used, used) == CreditSettled("h", came_to, "p", came_to)
        assert long.cost_of(used) == came_to


def test_a_price_has_the_tiers_that_a_request_may_reach_and_no_others() -> None:
    assert price_of(card("p", rates=RATES, tiers=(DEAR,)), 200_000, 0) == Price(RATES, 0)
    unknown = card("p", rates=RATES, tiers=(Tier(200_000, Rates(0, 5)),))
    assert price_of(unknown, 200_001, 0) is None


def test_a_cheaper_tier_holds_for_what_a_shorter_request_may_come_to() -> None:
    price = Price(Rates(5, 5), 0, (Tier(10, Rates(1, 1)),))
    assert price.ceiling(10**9, 10**9) == Price(Rates(5, 5), 0).ceiling(10**9, 10**9)


def test_a_call_is_settled_at_the_price_it_was_held_for() -> None:  # S26
    entry = reserved("call-1", Held(Money(rc(20)), 1024), PRICE, rc(4.8), CHOSEN, ())
    used = Usage(10_000, 2_000, 0, 0, 0)
    assert closed(entry, used, used) == CreditSettled("call-1", rc(4.8), "p", rc(4))


def test_who_gets_nothing_pays_nothing_and_what_the_provider_takes_is_the_houses() -> None:
    entry = reserved("call-1", Held(Money(rc(20)), 1024), PRICE, rc(4.8), CHOSEN, ())
    read, made = estimated(1_000, 400), estimated(1_000, 800)
    assert (read, made) == (Usage(1_000, 100, 0, 0, 0), Usage(1_000, 200, 0, 0, 0))
    assert closed(entry, read, made) == CreditSettled("call-1", 360_000, "p", 400_000)
    assert closed(entry, None, made) == CreditVoided("call-1", "p", 400_000)
    assert closed(entry, None, None) == CreditVoided("call-1", "p", 0)


def test_a_call_that_a_key_of_the_askers_own_pays_for_counts_also_where_nobody_got_it() -> None:
    entry = counted("call-1", rc(4.8), PRICE, CHOSEN, ())
    made = estimated(1_000, 800)
    for got in (made, estimated(1_000, 400), None):
        assert closed(entry, got, made) == CreditSettled("call-1", 0, "p", 0, counted=400_000)
    for nothing in (None, Usage()):
        assert closed(entry, None, nothing) == CreditVoided("call-1", "p", 0)
    assert given_back(entry) == CreditVoided("call-1", "p")


def test_a_call_that_was_cut_off_is_given_back_and_its_cost_is_the_houses() -> None:  # S18
    entry = reserved("call-1", Held(Money(rc(20)), 1024), PRICE, rc(4.8), CHOSEN, ())
    assert given_back(entry) == CreditVoided("call-1", "p", rc(4))


def test_a_hold_counts_with_what_is_expected_and_never_with_more_than_it_is() -> None:
    held = Held(Money(rc(20)), 1024)
    assert reserved("h", held, PRICE, rc(4.8), CHOSEN, ()).expected == rc(4.8)
    assert reserved("h", held, PRICE, rc(30), CHOSEN, ()).expected == rc(20)


def test_what_is_counted_has_the_day_and_the_month_in_its_name() -> None:
    limits = limits_of(SCOPE, ConversationId("c-1"), Caps(person_day=rc(10), channel_month=rc(50)), NOW_US)
    assert [(item.subject, item.period, item.cap) for item in limits] == [
        ("a-1", "2026-11-18", rc(10)),
        ("a-1", "2026-11", AMOUNT_MAX),
        ("c-1", "2026-11", rc(50)),
        ("w-1", "2026-11-18", AMOUNT_MAX),
        ("w-1", "2026-11", AMOUNT_MAX),
    ]
    assert days_before(NOW_US, 3) == ("2026-11-16", "2026-11-17", "2026-11-18")


@pytest.mark.parametrize(
    ("charges", "funded", "own_key", "expected"),
    [
        ("none", True, False, False),
        ("funded", False, False, False),
        ("funded", True, False, True),
        ("funded", True, True, False),
        ("all", False, False, True),
        ("all", True, True, False),
    ],
)
def test_who_pays(charges: str, funded: bool, own_key: bool, expected: bool) -> None:
    billing = replace(Billing(), charges=charges)  # type: ignore[arg-type]  # the parameters are of the closed set
    assert pays(billing, replace(NOTHING, funded=funded), own_key=own_key) is expected


def test_a_purse_is_what_one_person_may_spend() -> None:
    rows = [
        AccountRow(Account(name), RC, amount, expires_us)
        for name, amount, expires_us in (
            ("L:ws:w-1:paid", -5, None),
            ("L:ws:w-1:paid:user:a-1", -7, None),
            ("L:ws:w-1:paid:user:a-2", -11, None),
            ("L:ws:w-1:plan", -13, None),
            ("L:ws:w-1:promo:x", -17, NOW_US + 1),
            ("L:ws:w-1:promo:old", -19, NOW_US),
            ("L:ws:w-1:held", -23, None),
            ("L:ws:w-1:refund_hold", -31, None),
            ("L:ws:w-1:frozen", -37, None),
            ("L:ws:w-11:paid", -29, None),
        )
    ]
    purse = purse_of(rows, WorkspaceId("w-1"), ActorId("a-1"), NOW_US)
    assert purse == Purse(
        Money(17), Money(13), Money(5), Money(7), Money(11), Money(23), Money(0), Money(31), Money(37), funded=True
    )
    assert purse.spendable == 42
    owing = purse_of([*rows, AccountRow(Account("A:ws:w-1:debt"), RC, 3)], WorkspaceId("w-1"), ActorId("a-1"), NOW_US)
    assert (owing.owed, owing.spendable) == (3, 0)
    assert not purse_of(rows, WorkspaceId("w-2"), ActorId("a-1"), NOW_US).funded


@pytest.mark.parametrize(
    ("before", "after", "mark"), [(0, 79, 0), (79, 80, 80), (80, 99, 0), (50, 100, 100), (99, 130, 100)]
)
def test_a_warning_comes_once_at_each_mark(before: int, after: int, mark: int) -> None:
    assert warned_at(before, after, 100) == mark
    assert warned_at(before, after, AMOUNT_MAX) == 0


@pytest.mark.parametrize(
    ("needed", "available", "missing"),
    [
        (rc(4.8), rc(1.2), "3.6 RC"),
        (100, 0, "under 0.01 RC"),
        (9_999, 0, "under 0.01 RC"),
        (10_000, 0, "0.01 RC"),
        (1_004_000, 0, "1.01 RC"),  # so that as much again is enough
    ],
)
def test_what_is_missing_for_an_answer_is_said(needed: int, available: int, missing: str) -> None:
    said = short_sentence(Short(Money(needed), Money(available)), NOTHING, ENGLISH, may_pay=True)
    assert said == f"Even for a short answer {missing} of credit is missing. `/billing topup 10` adds 1000 RC."


def test_short_credit_is_said_with_what_helps() -> None:
    short = Short(Money(rc(4.8)), Money(rc(1.2)), ("p/small",))
    said = short_sentence(short, NOTHING, ENGLISH, may_pay=True)
    assert said.endswith(" `/billing topup 10` adds 1000 RC. p/small would still fit: `/model` chooses one.")
    assert "Ask a billing admin here" in short_sentence(short, NOTHING, ENGLISH, may_pay=False)
    assert short_sentence(short, replace(NOTHING, owed=Money(rc(3))), ENGLISH, may_pay=True).startswith(
        "Something is owed:"
    )
    taken = short_sentence(Short(Money(rc(1)), Money(rc(1))), NOTHING, ENGLISH, may_pay=False)
    assert taken.startswith("Too little credit is left for an answer.")


@pytest.mark.parametrize(
    ("subject", "spent", "said"),
    [
        ("a-1", 9.6, "Your limit for 2026-11-18 is used to 96 per cent."),
        ("a-1", 9.999, "Your limit for 2026-11-18 is used to 99 per cent."),
        ("a-1", 10, "Your limit for 2026-11-18 is used up."),
        ("w-1", 8, "This workspace's limit for 2026-11-18 is used to 80 per cent."),
        ("w-1", 12.5, "This workspace's limit for 2026-11-18 is used up."),
    ],
)
def test_a_warning_says_how_much_is_used_and_in_no_amounts(subject: str, spent: float, said: str) -> None:
    assert warning_sentence(subject, "2026-11-18", rc(spent), rc(10), SCOPE, ENGLISH) == said


def test_a_limit_that_is_reached_is_said_with_when_it_goes_on() -> None:
    mine = limit_sentence(LimitReached("a-1", "2026-11-18", rc(9.6), rc(10)), SCOPE, ENGLISH)
    assert mine == (
        "Your limit for 2026-11-18 is used to 96 per cent. What is left of it would not pay for a short answer. "
        "It goes on tomorrow (UTC), or once the limit is raised (`/billing limit`)."
    )
    ours = limit_sentence(LimitReached("w-1", "2026-11", rc(10), rc(10)), SCOPE, ENGLISH)
    assert ours.startswith("This workspace's limit for 2026-11 is used up. It goes on next month, or")


def test_where_something_is_left_of_a_limit_it_is_said_why_that_does_not_do_and_what_would() -> None:
    used_up, some = LimitReached("a-1", "2026-11-18", rc(10), rc(10)), LimitReached("a-1", "2026-11-18", 0, rc(10))
    assert limit_sentence(used_up, SCOPE, ENGLISH).endswith("(`/billing limit`).")
    said = limit_sentence(some, SCOPE, ENGLISH, ["a/small"])
    assert " What is left of it would not pay for a short answer. " in said
    assert said.endswith(" a/small would still fit: `/model` chooses one.")


@pytest.mark.parametrize(("available", "fits"), [(9, None), (10, 2), (14, 2), (15, 3), (25, 5), (10**9, 5)], ids=str)
def test_the_longest_answer_is_what_the_money_pays_for(available: int, fits: int | None) -> None:
    assert longest(lambda count: Money(count * 5), 2, 5, available) == fits
