"""A person's month: each answer that was charged for, with what its receipt is asked for by.

A month is one of UTC, by the time that never decreases (``mono``): each charge stands in exactly one statement, whatever was done
to the clock.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from ledger.accounts import USAGE, paid_later
from ledger.actions import LedgerCreated
from ledger.credit_actions import CreditReserved, CreditReversed, CreditSettled
from ledger.money import FREE, Money
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from ledger.store import Recorded, Store

PAGE_ENTRIES = 1_000
LINES_MAX = 20_000
"""A statement of more charges than this ends here, and says that there are more."""

_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
YEARS = range(2020, 2100)


@dataclass(frozen=True, slots=True)
class Month:
    year: int
    month: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """
        >>> Month.read("2026-11"), Month.read("2026-13"), Month.read("٢٠٢٦-11")
        (Month(year=2026, month=11), None, None)
        """
        found = _MONTH.fullmatch(text)
        if found is None or int(found[1]) not in YEARS or not 1 <= int(found[2]) <= 12:
            return None
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, moment_us: int) -> Self:
        moment = datetime.fromtimestamp(moment_us // 1_000_000, UTC)
        return cls(moment.year, moment.month)

    @property
    def first_us(self) -> int:
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp()) * 1_000_000

    @property
    def next(self) -> "Month":
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02d}"


@dataclass(frozen=True, slots=True)
class Charge:
    """``amount`` in uRC, below 0 where a charge was given back; ``later`` is what of it was beyond the credit, and stands
    on the plan's next invoice. ``entry`` is its number on RoadChain, ``hash`` of its chain."""

    at_us: int
    entry: int
    hash: bytes
    turn: TurnId
    model: str
    amount: Money
    later: Money = FREE


@dataclass(frozen=True, slots=True)
class Parties:
    """Who was charged, and where, by the ids that the platform has for them: no other name is kept. ``issuer`` is the ledger's
    name."""

    person: str
    workspace: str
    platform: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Statement:
    """``made_us``: a month that is not over has what was charged until then. Not ``whole``: it ends at ``LINES_MAX``."""

    month: Month
    made_us: int
    charges: tuple[Charge, ...]
    whole: bool = True
    parties: Parties | None = None

    @property
    def total(self) -> Money:
        return Money(sum(charge.amount for charge in self.charges))

    @property
    def later(self) -> Money:
        return Money(sum(charge.later for charge in self.charges))


async def statement_of(store: Store, workspace: WorkspaceId, actor: ActorId, month: Month, now_us: int) -> Statement:
    after, end_us = await moved_before(store, month.first_us), month.next.first_us
    models: dict[str, str] = {}
    charges: list[Charge] = []
    while page := await store.charged(workspace, actor, after, PAGE_ENTRIES):
        after = page[-1].entry.seq
        for recorded in page:
            if recorded.entry.mono >= end_us:
                return Statement(month, now_us, tuple(charges))
            if isinstance(held := recorded.entry.action, CreditReserved):
                models[held.hold] = f"{held.provider}/{held.model}"
            elif charge := _charge(recorded, models):
                if len(charges) == LINES_MAX:
                    return Statement(month, now_us, tuple(charges), whole=False)
                charges.append(charge)
    return Statement(month, now_us, tuple(charges))


async def issuer_of(store: Store) -> str:
    """What the ledger is called, in its first entry."""
    first = await store.entries(-1, 1)
    created = first[0].entry.action if first else None
    return created.origin if isinstance(created, LedgerCreated) else "CarPool"


def _charge(recorded: Recorded, models: dict[str, str]) -> Charge | None:
    """None for what came to nothing: a call that was settled at 0."""
    entry = recorded.entry
    amount = -sum(posting.amount for posting in entry.postings if posting.account == USAGE)
    if not amount:
        return None
    match entry.action:
        case CreditSettled(hold=hold, provider=provider):
            # A hold of the month before is not among those that were read: its provider is known all the same.
            model = models.setdefault(hold, provider)
        case CreditReversed(hold=hold):
            model = models.get(hold, "")
        case _:
            return None
    return Charge(
        entry.mono, entry.seq, recorded.hash, entry.turn, model, Money(amount), Money(paid_later(entry.postings))
    )


async def moved_before(store: Store, moment_us: int) -> int:
    """The number of an entry before which, itself among them, all that moved money came before ``moment_us``: a binary search."""
    low, high = -1, (await store.head()).size - 1
    while low < high:
        middle = (low + high) // 2
        found = await store.moved(middle, 1)
        if found and found[0].entry.mono < moment_us:
            low = found[0].entry.seq
        else:
            high = middle
    return low
