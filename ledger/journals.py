"""The book as a journal of plain-text accounting: for hledger, and for beancount. Other people's tools then add it up.

Every transaction is one entry that moved money; at its end the journal asserts each balance that the store has. Amounts are
exact: decimals are made from whole numbers, and no float comes near them. An account's name is written so that each format
takes it, and can be turned back.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from urllib.parse import quote

from ledger.accounts import RC, Account, Currency
from ledger.book import AccountRow
from ledger.errors import InvalidEntry
from ledger.store import Recorded

PAGE_ENTRIES = 1000
RC_PLACES = 6
MONEY_PLACES = 8

_KINDS = {"A": "Assets", "L": "Liabilities", "E": "Equity", "R": "Income", "X": "Expenses"}
_HLEDGER_KINDS = {"A": "assets", "L": "liabilities", "E": "equity", "R": "revenues", "X": "expenses"}

# What beancount does not take in a name, behind a hyphen; and a hyphen itself.
_ESCAPES = {"-": "--", "_": "-u", ".": "-d"}
_ESCAPED = re.compile(r"-([-ud])")
_UNESCAPES = {code[1]: letter for letter, code in _ESCAPES.items()}
_CAPITAL = "-c"


class BookReader(Protocol):
    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        """Entries with postings, in order, from the one whose ``seq`` is above ``after``."""
        ...

    async def balances(self) -> tuple[AccountRow, ...]:
        """Every account that was ever posted to."""
        ...


def hledger_journal(reader: BookReader) -> AsyncIterator[str]:
    """The text of a journal, piece by piece. ``hledger check`` accepts it, and refuses it where it is a uRC off."""
    return _journal(reader, _Format(_hledger_head, _hledger_transaction, _hledger_end))


def beancount_journal(reader: BookReader) -> AsyncIterator[str]:
    """The text of a beancount file, piece by piece. ``bean-check`` accepts it, and refuses it where it is a uRC off."""
    return _journal(reader, _Format(_beancount_head, _beancount_transaction, _beancount_end))


def amount_text(amount: int, currency: Currency) -> str:
    """All of its places, and no more: a uRC is the sixth of RC, and another currency is counted to the eighth.

    >>> amount_text(-1, RC), amount_text(123_456_789, RC), amount_text(5, Currency("EUR"))
    ('-0.000001 RC', '123.456789 RC', '0.00000005 EUR')
    """
    places = RC_PLACES if currency == RC else MONEY_PLACES
    whole, part = divmod(abs(amount), 10**places)
    return f"{'-' if amount < 0 else ''}{whole}.{part:0{places}} {currency}"


def hledger_account(account: Account) -> str:
    """``L:ws:w-1:paid`` becomes ``liabilities:ws:w-1:paid``."""
    kind, _, rest = account.partition(":")
    return f"{_HLEDGER_KINDS[kind]}:{rest}"


def account_of_hledger(name: str) -> Account:
    return _account_of(name, _HLEDGER_KINDS, lambda part: part)


def beancount_account(account: Account) -> str:
    """``L:ws:w-1:paid`` becomes ``Liabilities:Ws:W--1:Paid``.

    Each part begins with a capital or a digit; where it did before, a ``-c`` says so (``Paid`` becomes ``P-caid``). A hyphen is
    doubled, ``-u`` is an underscore, and ``-d`` a dot.
    """
    kind, *parts = account.split(":")
    return ":".join((_KINDS[kind], *map(_to_beancount, parts)))


def account_of_beancount(name: str) -> Account:
    return _account_of(name, _KINDS, _from_beancount)


def _account_of(name: str, kinds: dict[str, str], unescape: Callable[[str], str]) -> Account:
    kind, *parts = name.split(":")
    letter = next((letter for letter, word in kinds.items() if word == kind), None)
    if letter is None or not parts:
        raise InvalidEntry(f"{name!r} is not the name of an account")
    return Account(":".join((letter, *map(unescape, parts))))


def _to_beancount(part: str) -> str:
    first, rest = part[0], "".join(_ESCAPES.get(letter, letter) for letter in part[1:])
    return f"{first.upper()}{_CAPITAL if first.isupper() else ''}{rest}"


def _from_beancount(part: str) -> str:
    capital = part[1:].startswith(_CAPITAL)
    first = part[0] if capital else part[0].lower()
    return first + _ESCAPED.sub(lambda code: _UNESCAPES[code[1]], part[1:].removeprefix(_CAPITAL))


@dataclass(frozen=True, slots=True)
class _Format:
    """How one of the two is written. The end is given the days of the first and of the last transaction."""

    head: Callable[[], str]
    transaction: Callable[[Recorded, date], str]
    end: Callable[[Sequence[AccountRow], date, date], Iterator[str]]


async def _journal(reader: BookReader, form: _Format) -> AsyncIterator[str]:
    yield form.head()
    first: date | None = None
    last = date.min
    after = -1
    balances: tuple[AccountRow, ...] = ()
    page = await reader.moved(after, PAGE_ENTRIES)
    while page:
        for recorded in page:
            last = _day(recorded)
            first = first or last
            yield form.transaction(recorded, last)
        after = page[-1].entry.seq
        page = await reader.moved(after, PAGE_ENTRIES)
        if not page:
            # Read between two looks at the entries that found none: so these are the balances after the last one.
            balances = await reader.balances()
            page = await reader.moved(after, PAGE_ENTRIES)
    if first is not None:
        for line in form.end(balances, first, last):
            yield line


def _day(recorded: Recorded) -> date:
    """By the time that never goes back, so that the journal is in the order of the chain."""
    return datetime.fromtimestamp(recorded.entry.mono // 1_000_000, UTC).date()


def _hledger_head() -> str:
    return "; RoadChain's book. Debits are above 0.\ndecimal-mark .\n\n"


def _hledger_transaction(recorded: Recorded, day: date) -> str:
    entry = recorded.entry
    lines = [
        f"{day} ({entry.seq}) {entry.action.name}  ; hash:{recorded.hash.hex()}, turn:{_word(entry.turn)}",
        *(f"    {hledger_account(item.account)}  {amount_text(item.amount, item.currency)}" for item in entry.postings),
    ]
    return "\n".join(lines) + "\n\n"


def _hledger_end(balances: Sequence[AccountRow], first: date, last: date) -> Iterator[str]:
    yield f"{last} balances\n"
    for row in balances:
        zero, balance = amount_text(0, row.currency), amount_text(row.balance, row.currency)
        yield f"    {hledger_account(row.account)}  {zero} = {balance}\n"


def _beancount_head() -> str:
    return ";; RoadChain's book. Debits are above 0.\n\n"


def _beancount_transaction(recorded: Recorded, day: date) -> str:
    entry = recorded.entry
    lines = [
        f'{day} * "{entry.action.name}"',
        f"  seq: {entry.seq}",
        f'  hash: "{recorded.hash.hex()}"',
        f'  turn: "{_word(entry.turn)}"',
        *(f"  {beancount_account(item.account)}  {amount_text(item.amount, item.currency)}" for item in entry.postings),
    ]
    return "\n".join(lines) + "\n\n"


def _beancount_end(balances: Sequence[AccountRow], first: date, last: date) -> Iterator[str]:
    # Directives count by their day, not by their place. A balance is that of the day's beginning, and of all that is below
    # the account.
    for account in dict.fromkeys(row.account for row in balances):
        yield f"{first} open {beancount_account(account)}\n"
    totals: dict[tuple[str, Currency], int] = {}
    for row in balances:
        for place in _places(row.account):
            totals[place, row.currency] = totals.get((place, row.currency), 0) + row.balance
    for row in balances:
        number, _, currency = amount_text(totals[row.account, row.currency], row.currency).partition(" ")
        # Without a tolerance of its own, beancount lets a unit in the last place pass.
        yield f"{last + timedelta(days=1)} balance {beancount_account(row.account)}  {number} ~ 0 {currency}\n"


def _places(account: Account) -> Iterator[str]:
    """The account and those that it is part of."""
    parts = account.split(":")
    return (":".join(parts[:count]) for count in range(1, len(parts) + 1))


def _word(text: str) -> str:
    """One word that ends no string, tag or comment of either format."""
    return quote(text, safe="")
