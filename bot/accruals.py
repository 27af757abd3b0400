"""What a provider is owed: of calls that are known, and of calls whose cost was estimated, since nobody has their answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.statement import moved_before
from ledger.accounts import RC, Account, provider_accrued, provider_suspense
from ledger.book import AccountRow
from ledger.credit_actions import CreditReversed, LateCost, ProviderBilled, ProviderTruedUp
from ledger.entry import Entry
from ledger.store import Recorded, Store

PAGE = 1000
TRIES_MAX = 20


@dataclass(frozen=True, slots=True)
class Owed:
    """In uRC."""

    accrued: int
    suspense: int

    @property
    def all(self) -> int:
        return self.accrued + self.suspense


@dataclass(frozen=True, slots=True)
class Parts:
    """Of a bill, in uRC: of calls that are known, of estimates, of which nothing was known; and what it does not ask for."""

    accrued: int
    suspense: int
    more: int
    over: Owed

    @classmethod
    def of(cls, billed: int, owed: Owed, *, closes: bool) -> "Parts":
        accrued = min(billed, owed.accrued)
        suspense = min(billed - accrued, owed.suspense)
        left = Owed(owed.accrued - accrued, owed.suspense - suspense)
        return cls(accrued, suspense, billed - accrued - suspense, left if closes else Owed(0, 0))


def late_key(reference: str) -> str:
    """What a bill asks for of which nothing was known: it is the bill's own, and no call's."""
    return f"{LateCost.name}/{reference}"


def true_up_key(reference: str) -> str:
    return f"{ProviderTruedUp.name}/{reference}"


def day_text(until_s: int) -> str:
    return f"{datetime.fromtimestamp(until_s, UTC):%Y-%m-%d}"


def owed_to(provider: str, rows: Iterable[AccountRow]) -> Owed:
    there = {row.account: row.natural for row in rows if row.currency == RC}
    return Owed(*(max(0, there.get(account, 0)) for account in _accounts(provider)))


async def owed_before(store: Store, provider: str, until_us: int) -> Owed:
    """What of the time before ``until_us`` is not billed: all that is owed now, without what calls came to since then. Bills
    count whenever they were paid, for the oldest."""
    after = await moved_before(store, until_us)
    rows, end = await _as_of(store)
    owed = owed_to(provider, rows)
    since = dict.fromkeys(_accounts(provider), 0)
    while page := await store.moved(after, PAGE):
        for recorded in page:
            touched = [item for item in recorded.entry.postings if item.account in since]
            if touched and recorded.entry.seq < end and not await _is_of_a_bill(store, recorded.entry):
                for posting in touched:
                    since[posting.account] -= posting.amount
        after = page[-1].entry.seq
        if after >= end:
            break
    accrued, suspense = since.values()
    return Owed(max(0, owed.accrued - accrued), max(0, owed.suspense - suspense))


async def _as_of(store: Store) -> tuple[tuple[AccountRow, ...], int]:
    """All balances, and how many entries they are of. Where others record all the time, some of these entries are not in them:
    then less is left of what came before them, and nothing is taken back that is owed."""
    rows, after = await store.balances(), (await store.head()).size
    for _ in range(TRIES_MAX):
        before = after
        rows, after = await store.balances(), (await store.head()).size
        if before == after:
            break
    return rows, after


async def _is_of_a_bill(store: Store, entry: Entry) -> bool:
    match entry.action:
        case ProviderBilled() | ProviderTruedUp():
            return True
        case LateCost():
            return entry.idem.startswith(late_key(""))
        case CreditReversed(entry=seq):
            found = await entry_of(store, seq)
            return found is not None and await _is_of_a_bill(store, found.entry)
        case _:
            return False


async def entry_of(store: Store, seq: int) -> Recorded | None:
    found = await store.entries(seq - 1, 1)
    return found[0] if found and found[0].entry.seq == seq else None


def _accounts(provider: str) -> tuple[Account, Account]:
    return provider_accrued(provider), provider_suspense(provider)
