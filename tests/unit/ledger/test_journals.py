"""The book as a journal for hledger and for beancount: names that can be turned back, amounts to the uRC."""

import doctest
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import journals
from ledger.accounts import RC, Account, Currency, Posting
from ledger.book import AccountRow, Book
from ledger.credit_actions import CreditGranted
from ledger.entry import Entry, encode_entry, leaf_hash
from ledger.errors import InvalidEntry
from ledger.journals import (
    account_of_beancount,
    account_of_hledger,
    amount_text,
    beancount_account,
    beancount_journal,
    hledger_account,
    hledger_journal,
)
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from ledger.store import Recorded

EUR = Currency("EUR")
PART = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
ACCOUNT = st.builds(
    lambda kind, parts: Account(":".join((kind, *parts))), st.sampled_from("ALERX"), st.lists(PART, min_size=1)
)
# What beancount's own grammar takes as an account's name.
BEANCOUNT_NAME = re.compile(r"(Assets|Liabilities|Equity|Income|Expenses)(:[A-Z0-9][A-Za-z0-9-]*)+")
DAY_US = 86_400_000_000
START_US = 1_764_000_000_000_000


class SmallBook:
    """Entries with these postings, one a day, and the balances that they come to. ``late`` come while the end is written."""

    def __init__(self, *moves: Sequence[Posting], late: Sequence[Sequence[Posting]] = ()) -> None:
        self.late = list(late)
        self.book = Book()
        self.entries: list[Recorded] = []
        for postings in moves:
            self.add(postings)

    def add(self, postings: Sequence[Posting], turn: str = "t-1") -> None:
        at = START_US + len(self.entries) * DAY_US
        action = CreditGranted("lot", 1)
        entry = Entry(
            len(self.entries),
            at,
            at,
            action,
            TurnId(turn),
            ActorId("a"),
            WorkspaceId("w"),
            f"{len(self.entries)}",
            None,
            "GENESIS",
        )
        entry = replace(entry, postings=tuple(postings))
        leaf = encode_entry(entry)
        self.book.enter(entry)
        self.entries.append(Recorded(entry, leaf, leaf_hash(leaf), None))

    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return tuple(self.entries[after + 1 : after + 1 + count_max])

    async def balances(self) -> tuple[AccountRow, ...]:
        if self.late:
            self.add(self.late.pop())
        return self.book.change().accounts


def move(amount: int, source: str = "X:promo", target: str = "L:ws:w-1:plan", currency: Currency = RC) -> list[Posting]:
    return [Posting(Account(source), currency, amount), Posting(Account(target), currency, -amount)]


async def text(pieces: AsyncIterator[str]) -> str:
    return "".join([piece async for piece in pieces])


def test_the_examples_hold() -> None:
    assert doctest.testmod(journals).failed == 0
    assert doctest.testmod(journals).attempted > 0


@given(ACCOUNT)
def test_an_accounts_name_can_be_turned_back_from_either_format(account: Account) -> None:
    assert account_of_hledger(hledger_account(account)) == account
    assert account_of_beancount(beancount_account(account)) == account
    assert BEANCOUNT_NAME.fullmatch(beancount_account(account))


@given(ACCOUNT, ACCOUNT)
def test_two_accounts_never_have_one_name(one: Account, other: Account) -> None:
    assert (beancount_account(one) == beancount_account(other)) == (one == other)


@pytest.mark.parametrize("name", ["", "Assets", "Cash:Bank", "liabilities:Paid"])
def test_what_is_no_account_is_refused(name: str) -> None:
    with pytest.raises(InvalidEntry):
        account_of_beancount(name)


@given(st.integers(-(2**53), 2**53), st.sampled_from([RC, EUR]))
def test_an_amount_keeps_each_unit(amount: int, currency: Currency) -> None:
    number, unit = amount_text(amount, currency).split(" ")
    assert unit == currency
    assert len(number.partition(".")[2]) == (6 if currency == RC else 8)
    assert int(number.replace(".", "")) == amount


async def test_a_transaction_carries_the_entrys_number_hash_action_and_turn() -> None:
    book = SmallBook(move(1_000_001))
    digest = book.entries[0].hash.hex()
    assert (await text(hledger_journal(book))).split("\n\n")[1:] == [
        f"2025-11-24 (0) credit.grant  ; hash:{digest}, turn:t-1\n"
        "    expenses:promo  1.000001 RC\n"
        "    liabilities:ws:w-1:plan  -1.000001 RC",
        "2025-11-24 balances\n"
        "    expenses:promo  0.000000 RC = 1.000001 RC\n"
        "    liabilities:ws:w-1:plan  0.000000 RC = -1.000001 RC\n",
    ]
    assert (await text(beancount_journal(book))).split("\n\n")[1:] == [
        f'2025-11-24 * "credit.grant"\n  seq: 0\n  hash: "{digest}"\n  turn: "t-1"\n'
        "  Expenses:Promo  1.000001 RC\n"
        "  Liabilities:Ws:W--1:Plan  -1.000001 RC",
        "2025-11-24 open Expenses:Promo\n"
        "2025-11-24 open Liabilities:Ws:W--1:Plan\n"
        "2025-11-25 balance Expenses:Promo  1.000001 ~ 0 RC\n"
        "2025-11-25 balance Liabilities:Ws:W--1:Plan  -1.000001 ~ 0 RC\n",
    ]


async def test_the_balance_of_an_account_has_in_beancount_what_is_below_it() -> None:
    book = SmallBook(move(5, target="L:ws:w:paid"), move(3, target="L:ws:w:paid:user:u"), move(7, currency=EUR))
    lines = (await text(beancount_journal(book))).split("\n")
    assert "2025-11-27 balance Liabilities:Ws:W:Paid  -0.000008 ~ 0 RC" in lines
    assert "2025-11-27 balance Liabilities:Ws:W:Paid:User:U  -0.000003 ~ 0 RC" in lines
    assert "2025-11-27 balance Expenses:Promo  0.00000007 ~ 0 EUR" in lines
    assert "    liabilities:ws:w:paid  0.000000 RC = -0.000005 RC" in await text(hledger_journal(book))


async def test_what_is_entered_while_the_end_is_written_is_in_the_journal_and_in_its_balances() -> None:
    journal = await text(hledger_journal(SmallBook(move(5), late=[move(2), move(1)])))
    assert re.findall(r"\((\d)\)", journal) == ["0", "1", "2"]
    assert "    expenses:promo  0.000000 RC = 0.000008 RC" in journal


async def test_more_than_a_page_is_read_to_its_end() -> None:
    count = journals.PAGE_ENTRIES * 2 + 1
    journal = await text(hledger_journal(SmallBook(*[move(1)] * count)))
    assert [int(seq) for seq in re.findall(r"\((\d+)\)", journal)] == list(range(count))
    assert f"    expenses:promo  0.000000 RC = {amount_text(count, RC)}" in journal


async def test_no_word_of_an_entry_can_end_a_line_or_a_string() -> None:
    book = SmallBook()
    book.add(move(1), turn='a"\\\n; b, c:d')
    for journal in (hledger_journal(book), beancount_journal(book)):
        assert "a%22%5C%0A%3B%20b%2C%20c%3Ad" in await text(journal)


async def test_a_book_that_nothing_moved_in_is_an_empty_journal() -> None:
    assert "balance" not in await text(hledger_journal(SmallBook()))
    assert "balance" not in await text(beancount_journal(SmallBook()))
