"""Does the rail's own account of the money agree with the ledger's? Each difference has a name; none is repaired in silence.

An event can fail to be made at all, so objects are compared, not only events: each movement of the rail's balance has its entry,
each entry on the rail's account has its movement, and the two balances are the same.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, Protocol, TypeAlias

from integrations.payments.base import RC_CURRENCY, Fact, ObjectRef, PaymentUnknown, Settlement, urc
from integrations.payments.cashier import Cashier
from integrations.payments.in_book import in_book
from integrations.payments.keys import KINDS_BY_STRIPE, THE_HOUSE
from integrations.payments.setting_aside import FAILURES, passes
from ledger.accounts import RC, clearing
from ledger.book import AccountRow
from ledger.entry import Draft, StripeObject
from ledger.errors import LedgerError
from ledger.payment_actions import PaymentDiffers
from ledger.store import Recorded

PAGE = 1000
DifferenceKind: TypeAlias = Literal[
    "not_recorded",
    "not_at_rail",
    "other_balance",
    "other_currency",
    "not_zero",
    "not_metered",
    "other_usage",
    "owed_by_deleted",
    "owed_without_invoice",
    "set_aside",
    "customer_balance",
]


class BookReader(Protocol):
    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]: ...

    async def balances(self) -> tuple[AccountRow, ...]: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """``about`` is an object, an entry or an account. The two amounts are in uRC; None where one side has none."""

    kind: DifferenceKind
    about: str
    at_rail: int | None
    in_ledger: int | None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """``found`` was missing from the ledger, and is recorded now: an event was never made, or a delivery never came."""

    settlements: int
    entries: int
    found: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Standing:
    """An entry on the rail's account."""

    seq: int
    mono: int
    amount: int
    about: StripeObject | None


class Clearing:
    """The entries on the rail's account, by their keys: read once, in order, and read on after something was recorded."""

    def __init__(self, rail: str, book: BookReader) -> None:
        self.entries: dict[str, _Standing] = {}
        self.about: dict[StripeObject, list[str]] = {}
        """The keys of all that stand for an object."""
        self._account = clearing(rail)
        self._book = book
        self._after = -1

    async def read(self) -> None:
        while page := await self._book.moved(self._after, PAGE):
            for recorded in page:
                entry = recorded.entry
                amounts = [posting.amount for posting in entry.postings if posting.account == self._account]
                if amounts:
                    self.entries[entry.idem] = _Standing(entry.seq, entry.mono, sum(amounts), entry.stripe)
                    if entry.stripe is not None:
                        self.about.setdefault(entry.stripe, []).append(entry.idem)
            self._after = page[-1].entry.seq


async def reconcile(cashier: Cashier, book: BookReader, since_s: int, standing: Clearing | None = None) -> Reconciled:
    """Of all that the rail settled since then. ``standing`` is what was read of the ledger before. Raises ``PaymentError`` where
    the rail cannot be asked, ``StoreFailed``."""
    found: list[str] = []
    differences: list[Difference] = []
    seen: set[str] = set()
    standing = standing or Clearing(cashier.rail, book)
    await standing.read()
    # The oldest first: a refund is recorded after what it gives back.
    settled = [settlement async for settlement in cashier.method.settlements(since_s)]
    for settlement in sorted(settled, key=lambda item: item.created_s):
        keys = await _keys(cashier, settlement, standing)
        if not keys and await _look(cashier, settlement):
            await standing.read()
            keys = await _keys(cashier, settlement, standing)
            found += [settlement.transaction] if keys else []
        if not keys:
            differences.append(Difference("not_recorded", _name(settlement), _amount(settlement), None))
        seen.update(keys)
    known = {standing.entries[key].about for key in seen if key in standing.entries} - {None}
    found += await _ended(cashier, standing.entries)
    for key, entry in standing.entries.items():
        # Of an object that is at the rail, each other step has a movement of its own or needs none.
        if entry.about in known:
            continue
        if key not in seen and entry.mono >= since_s * 1_000_000 and not await _is_at_rail(cashier, entry.about):
            differences.append(Difference("not_at_rail", key, None, entry.amount))
    differences += await _balances(cashier, book)
    differences += [
        Difference("set_aside", f"{item.about.kind} {item.about.id} ({item.cause})", None, None)
        for item in await cashier.aside.waiting()
    ]
    return Reconciled(len(settled), len(standing.entries), tuple(found), tuple(differences))


def ticket_of(rail: str, difference: Difference) -> str:
    """A name for it that stays the same while it lasts.

    >>> ticket_of("stripe", Difference("not_recorded", "txn_1 topup", 5, None))
    'dif-ff8afd1652'
    """
    about = f"{rail}\n{difference.kind}\n{difference.about}"
    return f"dif-{sha256(about.encode()).hexdigest()[:10]}"


async def on_record(cashier: Cashier, difference: Difference) -> tuple[str, int]:
    """Its ticket, and when (in seconds since 1970) it was first seen, 0 where that cannot be recorded: it stands on the ledger
    once, as it was then. Raises ``StoreFailed``."""
    ticket = ticket_of(cashier.rail, difference)
    key = f"payment.differs/{ticket}"
    found = await cashier.bridge.find(key)
    if found is None:
        action = PaymentDiffers(
            cashier.rail, difference.kind, difference.about, difference.at_rail, difference.in_ledger
        )
        with suppress(LedgerError):  # of two who see it at once, the first one says how it was
            await cashier.bridge.roadchain.append(Draft(action, THE_HOUSE, key))
        found = await cashier.bridge.find(key)
    return ticket, 0 if found is None else found.entry.mono // 1_000_000


async def _look(cashier: Cashier, settlement: Settlement) -> bool:
    return await _look_at(cashier, settlement.about, settlement.alone)


async def _look_at(cashier: Cashier, about: ObjectRef | None, alone: Fact | None = None) -> bool:
    try:
        if about is None:
            return alone is not None and bool(await cashier.bridge.record(alone))
        return await cashier.look_at(about) in ("recorded", "unmatched")
    except FAILURES as error:
        if passes(error):
            raise
        return False


async def _ended(cashier: Cashier, entries: Mapping[str, _Standing]) -> list[str]:
    """The disputes that ended without an event: one that is lost moves nothing at the rail that would tell of it."""
    found: list[str] = []
    for name in sorted({item.about.id for item in entries.values() if item.about and item.about.object == "dispute"}):
        about = ObjectRef("dispute", name)
        if not await _is_over(cashier, about) and await _look_at(cashier, about) and await _is_over(cashier, about):
            found.append(name)
    return found


async def _is_over(cashier: Cashier, dispute: ObjectRef) -> bool:
    return any([await cashier.bridge.stands(dispute, step) is not None for step in ("won", "lost")])


async def _keys(cashier: Cashier, settlement: Settlement, standing: Clearing) -> tuple[str, ...]:
    """The keys of the entries that stand for it; none where one is missing."""
    bridge, about, entries = cashier.bridge, settlement.about, standing.entries
    if about is None:
        alone = (bridge.fee_key(settlement.transaction), bridge.moved_key(settlement.transaction))
        return tuple(key for key in alone if key in entries)
    match about.kind, settlement.net < 0:
        case "payment_intent" | "charge", False:
            fee, paid = bridge.fee_key(settlement.transaction), bridge.key(about, "paid")
            if settlement.fee and fee not in entries:
                return ()
            if paid in entries:
                return (paid, fee)
            invoiced = await _invoice_keys(cashier, settlement, about, standing)
            return (*invoiced, fee) if invoiced else ()
        case "refund", negative:
            key = bridge.key(about, "sent" if negative else "failed")
        case "dispute", _:
            return _of_dispute(cashier, settlement, about, entries)
        case "payout", True:
            key = bridge.key(about, "paid")
        case "payout", False:
            paid_out = entries.get(bridge.key(about, "paid"))
            key = "" if paid_out is None else f"reversal/{paid_out.seq}"
        case _:
            return ()
    return (key,) if key in entries else ()


def _of_dispute(
    cashier: Cashier, settlement: Settlement, about: ObjectRef, entries: Mapping[str, _Standing]
) -> tuple[str, ...]:
    """The amount and its first fee left in one entry; each other fee has its own."""
    amount, bridge = settlement.net + settlement.fee, cashier.bridge
    keys = [bridge.key(about, "withdrawn" if amount < 0 else "won")] if amount else []
    keys += [bridge.fee_key(settlement.transaction)] if settlement.fee and amount >= 0 else []
    return tuple(keys) if all(key in entries for key in keys) else ()


async def _invoice_keys(
    cashier: Cashier, settlement: Settlement, about: ObjectRef, standing: Clearing
) -> tuple[str, ...]:
    """An invoice's payment stands under the invoice, in as many entries as it came to."""
    if settlement.invoice:
        return tuple(standing.about.get(StripeObject("invoice", settlement.invoice), ()))
    of = (getattr(fact, "about", None) for fact in await cashier.method.fetch(about))
    found = (StripeObject(item.kind, item.id) for item in of if isinstance(item, ObjectRef) and item.kind == "invoice")
    return tuple(key for item in found for key in standing.about.get(item, ()))


async def _is_at_rail(cashier: Cashier, about: StripeObject | None) -> bool:
    kind = None if about is None else KINDS_BY_STRIPE.get(about.object)
    if about is None or kind is None:
        return False
    try:
        return bool(await cashier.method.fetch(ObjectRef(kind, about.id)))
    except PaymentUnknown:
        return False


async def _balances(cashier: Cashier, book: BookReader) -> list[Difference]:
    rows = await book.balances()
    differences: list[Difference] = []
    sums: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for row in rows:
        sums[row.currency] += row.balance
        if row.account == clearing(cashier.rail):
            held[row.currency] += row.balance
    differences += [Difference("not_zero", name, None, amount) for name, amount in sums.items() if amount]
    at_rail: Counter[str] = Counter()
    for amount in await cashier.method.balance():
        there, currency = in_book(amount.cents, amount.currency)
        at_rail[currency] += there
    for currency in sorted({*at_rail, *held}):  # also one that only one of the two knows of
        if at_rail[currency] != held[currency]:
            kind: DifferenceKind = "other_balance" if currency == RC else "other_currency"
            about = f"{clearing(cashier.rail)} {currency}"
            differences.append(Difference(kind, about, at_rail[currency], held[currency]))
    return differences


def _name(settlement: Settlement) -> str:
    about = "" if settlement.about is None else f" ({settlement.about.kind} {settlement.about.id})"
    return f"{settlement.transaction} {settlement.kind}{about}"


def _amount(settlement: Settlement) -> int | None:
    return urc(settlement.net) if settlement.currency == RC_CURRENCY else None
