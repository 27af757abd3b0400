"""``carpool billing suspense``: the money that came and fitted nothing, and what to do about each of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.opening import ledger_exists
from bot.operating import opened
from bot.settings import Settings
from integrations.payments.base import DisputeState, ObjectRef, PaymentError, RefundState
from integrations.payments.cashier import Cashier
from integrations.payments.keys import KINDS_BY_STRIPE, TRANSACTION, resolved_key
from integrations.payments.records import went_back
from ledger.accounts import RC, suspense
from ledger.credit_actions import OveragePaid, SuspenseResolved
from ledger.entry import Entry
from ledger.store import Recorded, Store

PAGE = 1000
PLACES = 8
"""Suspense counts dollars in uRC, which are hundred-millionths, and any other currency in these."""


@dataclass
class Waiting:
    """What of one payment waits. ``since_us`` is when the first of it came."""

    rail: str
    payment: str
    currency: str
    amount: int
    since_us: int
    used: bool = False
    """It was paid for usage that nobody here had."""

    moved: bool = False
    """The payment service moved its balance by itself. Below 0 it left."""

    returned: bool = False
    """Some of it went back: nobody gets credit for the rest."""


async def list_suspense(settings: Settings) -> int:
    """The oldest first. 1 where the payment service has to be asked what a refund gave back, and cannot be."""
    if not await ledger_exists(settings):
        complain("There is no ledger yet.")
        return EXIT_USAGE
    try:
        async with opened(settings) as house:
            lines = [told(item) for item in await in_suspense(house.store, house.billing.cashier)]
    except PaymentError as error:
        complain(f"{error}. {error.remedy}")
        return EXIT_WRONG
    for line in lines:
        say(line)
    say(f"In suspense: {len(lines)}.")
    return EXIT_OK


async def in_suspense(store: Store, cashier: Cashier | None) -> list[Waiting]:
    """The oldest first. Raises ``PaymentError``, ``StoreFailed``."""
    found: dict[tuple[str, str, str], Waiting] = {}
    after = -1
    while page := await store.moved(after, PAGE):
        for recorded in page:
            await _add(cashier, recorded, found)
        after = page[-1].entry.seq
    left = [item for item in found.values() if item.amount]
    for item in left:
        item.returned = await went_back(store, item.rail, item.payment)
    return left


async def _add(cashier: Cashier | None, recorded: Recorded, found: dict[tuple[str, str, str], Waiting]) -> None:
    entry = recorded.entry
    rail = getattr(entry.action, "rail", "")
    moved = [item for item in entry.postings if rail and item.account == suspense(rail)]
    if not moved:
        return
    payment = await _payment_of(cashier, entry, rail)
    for posting in moved:
        key = (rail, payment, posting.currency)
        item = found.setdefault(key, Waiting(rail, payment, posting.currency, 0, entry.mono))
        item.amount -= posting.amount
        item.used = item.used or isinstance(entry.action, OveragePaid)
        item.moved = entry.stripe is not None and entry.stripe.object == TRANSACTION


async def _payment_of(cashier: Cashier | None, entry: Entry, rail: str) -> str:
    """Which payment an entry about suspense belongs to: of a refund or a dispute the one that goes back, which the rail says."""
    if isinstance(entry.action, SuspenseResolved) and entry.action.target == "paid":
        return entry.idem.removeprefix(resolved_key(rail, ""))
    about = entry.stripe
    if about is None:
        return entry.idem
    if about.object not in ("refund", "dispute") or cashier is None:
        return about.id
    for fact in await cashier.method.fetch(ObjectRef(KINDS_BY_STRIPE[about.object], about.id)):
        if isinstance(fact, RefundState | DisputeState) and fact.payment is not None:
            return fact.payment.id
    return about.id


def told(item: Waiting) -> str:
    day = datetime.fromtimestamp(item.since_us // 1_000_000, UTC)
    amount = f"{Decimal(item.amount).scaleb(-PLACES):,f}".rstrip("0").rstrip(".")
    currency = "USD" if item.currency == RC else item.currency
    if item.moved:
        what = "the payment service moved this by itself, and its own account says why"
    elif item.currency != RC or item.returned or item.used:
        what = "give it back where it came from"
    else:
        what = f"`carpool billing resolve PLATFORM WORKSPACE {item.payment} REASON` makes credit of it"
    return f"{item.rail}  {item.payment}  {amount} {currency}  since {day:%Y-%m-%d}: {what}"
