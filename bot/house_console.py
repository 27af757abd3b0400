"""``carpool billing provider-bill``, ``treasury``, ``operations``: the house's own money, which no payment service and no call
tells of. Each has a reason, which is kept beside the chain, and a reference, under which it counts once."""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.accruals import Owed, late_key, owed_before, owed_to
from bot.commands.amounts import HOUSE_DOLLARS_MAX, code_of, dollars_text, read_bill, read_house_dollars
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.operating import Opened, opened, turned_away
from bot.second_console import NO_NAME, asked_key, is_much, names_somebody, true_up_key
from bot.settings import Settings
from integrations.payments.base import Amount, Cents, urc
from integrations.payments.keys import THE_HOUSE
from ledger.accounts import is_part
from ledger.book import AccountRow
from ledger.credit_actions import (
    CreditAction,
    LateCost,
    OperationsPaid,
    ProviderBilled,
    ProviderTruedUp,
    TreasuryMoved,
)
from ledger.entry import Draft
from ledger.errors import Code, InsufficientBalance, KeyReused
from ledger.money import Money, rc_text
from ledger.payment_actions import AdjustmentAsked
from ledger.roadchain import clock_us

NO_AMOUNT = (
    f"The amount is in US dollars, above 0 and up to {HOUSE_DOLLARS_MAX:,}, such as 10 or 2.50. Nothing was changed."
)
NO_DAY = "--until is a day that has begun, such as 2026-11-01: the first one after the period. Nothing was changed."
NO_REFERENCE = "A reference is of letters, digits, `-`, `_` and `.`, up to 64 of them. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Bill:
    """``until``: it is the last one of what was used before this day (by UTC, YYYY-MM-DD), and what it does not ask for is not
    owed. ``preview``: nothing is recorded."""

    provider: str
    amount: str
    reason: str
    reference: str = ""
    until: str = ""
    operator: str = ""
    preview: bool = False


@dataclass(frozen=True, slots=True)
class _Parts:
    """Of a bill, in uRC: of calls that are known, of estimates, of which nothing was known; and what it does not ask for."""

    accrued: int
    suspense: int
    more: int
    over: Owed

    @classmethod
    def of(cls, billed: int, owed: Owed, *, closes: bool) -> "_Parts":
        accrued = min(billed, owed.accrued)
        suspense = min(billed - accrued, owed.suspense)
        left = Owed(owed.accrued - accrued, owed.suspense - suspense)
        return cls(accrued, suspense, billed - accrued - suspense, left if closes else Owed(0, 0))


async def provider_bill(settings: Settings, bill: Bill) -> int:
    """A provider's bill was paid from the bank: known calls first, then what was estimated of those whose answer nobody has, and
    what is more than both is the house's cost. The last one of a period takes back what it does not ask for."""
    what, until_us = "provider-bill", _day_us(bill.until)
    if (cents := (read_bill if bill.until else read_house_dollars)(bill.amount)) is None:
        return await turned_away(settings, what, code_of(bill.amount), NO_AMOUNT)
    if not is_part(bill.reference or "x"):
        return await turned_away(settings, what, Code.INVALID_ENTRY_TYPE, NO_REFERENCE)
    if until_us is None:
        return await turned_away(settings, what, Code.INVALID_ENTRY_TYPE, NO_DAY)
    async with opened(settings) as house:
        if until_us > clock_us():
            complain(NO_DAY)
            await house.refuse(what, Code.INVALID_ENTRY_TYPE)
            return EXIT_USAGE
        known = _providers(await house.store.balances())
        if bill.provider not in known:
            complain(
                f"{bill.provider} has answered nothing here: known are {', '.join(known) or 'none'}. Nothing was changed."
            )
            await house.refuse(what, Code.ENTITY_NOT_FOUND)
            return EXIT_USAGE
        if bill.until:
            owed = await owed_before(house.store, bill.provider, until_us)
        else:
            owed = owed_to(bill.provider, await house.store.balances())
        parts = _Parts.of(urc(cents), owed, closes=bool(bill.until))
        if bill.preview:
            say(f"{_told(bill, parts)} Nothing was changed.")
            return EXIT_OK
        return await _pay(house, bill, cents, parts, until_us // 1_000_000)


async def _pay(house: Opened, bill: Bill, cents: Cents, parts: _Parts, until_s: int) -> int:
    reference = bill.reference or f"own-{secrets.token_hex(5)}"
    provider, over = bill.provider, parts.over
    drafts = (
        [Draft(LateCost(provider, parts.more, absorbed=True), THE_HOUSE, late_key(reference))] if parts.more else []
    )
    billed = ProviderBilled(provider, parts.accrued + parts.more, parts.suspense)
    drafts.append(Draft(billed, THE_HOUSE, f"{billed.name}/{reference}"))
    waits = is_much(house, over.all)
    if waits and not names_somebody(bill.operator):
        complain(NO_NAME.format(house.second_above_usd))
        await house.refuse("provider-bill", Code.UNAUTHORISED)
        return EXIT_USAGE
    if waits:
        asked = AdjustmentAsked(
            "true_up", over.all, bill.operator, provider=provider, suspense=over.suspense, until_s=until_s
        )
        drafts.append(Draft(asked, THE_HOUSE, asked_key(reference)))
    elif over.all:
        drafts.append(Draft(ProviderTruedUp(provider, over.accrued, over.suspense), THE_HOUSE, true_up_key(reference)))
    status = await _record(house, "provider-bill", drafts, billed.name, cents, bill.reason, reference)
    if status != EXIT_OK:
        return status
    left = owed_to(provider, await house.store.balances())
    say(
        f"{_told(bill, parts)} Still owed: {rc_text(Money(left.accrued))} of calls, "
        f"{rc_text(Money(left.suspense))} of estimates."
    )
    if waits:
        say(
            f"More than ${house.second_above_usd:,} is taken back by two operators: another one has to say "
            f"`carpool billing approve {reference} REASON --as NAME`. Until then it is owed."
        )
    return status


def _told(bill: Bill, parts: _Parts) -> str:
    over = (
        f" Less than was known before {bill.until}: {rc_text(Money(parts.over.accrued))} of calls and "
        f"{rc_text(Money(parts.over.suspense))} of estimates, which are no cost."
    )
    return (
        f"{bill.provider}: {rc_text(Money(parts.accrued))} of calls that are known, {rc_text(Money(parts.suspense))} of "
        f"estimates, {rc_text(Money(parts.more))} of which nothing was known.{over if bill.until else ''}"
    )


async def treasury(settings: Settings, direction: str, amount: str, reason: str, reference: str = "") -> int:
    """The owner put money into the bank, or took it out."""
    if (cents := read_house_dollars(amount)) is None:
        return await turned_away(settings, "treasury", code_of(amount), NO_AMOUNT)
    moved = TreasuryMoved("in" if direction == "in" else "out", urc(cents))
    return await _alone(settings, "treasury", moved, amount, reason, reference)


async def operations(settings: Settings, amount: str, reason: str, reference: str = "") -> int:
    """Something that the house needs was paid from the bank."""
    if (cents := read_house_dollars(amount)) is None:
        return await turned_away(settings, "operations", code_of(amount), NO_AMOUNT)
    return await _alone(settings, "operations", OperationsPaid(urc(cents)), amount, reason, reference)


async def _alone(settings: Settings, what: str, action: CreditAction, amount: str, reason: str, reference: str) -> int:
    if not is_part(reference or "x"):
        return await turned_away(settings, what, Code.INVALID_ENTRY_TYPE, NO_REFERENCE)
    reference = reference or f"own-{secrets.token_hex(5)}"
    draft = Draft(action, THE_HOUSE, f"{action.name}/{reference}")
    cents = read_house_dollars(amount) or Cents(0)
    async with opened(settings) as house:
        return await _record(house, what, [draft], action.name, cents, reason, reference)


async def _record(
    house: Opened, what: str, drafts: Sequence[Draft], main: str, cents: Cents, reason: str, reference: str
) -> int:
    """All of it, or nothing, once under a reference: ``main`` is the kind that it stands for."""
    amount = dollars_text(Amount(cents))
    if await house.store.find(f"{main}/{reference}") is not None:
        return await _recorded_before(house, what, reference)
    try:
        receipts = await house.roadchain.append(house.run(THE_HOUSE, f"{what} {amount} {reason}"), *drafts)
    except KeyReused:  # meanwhile, by somebody else
        return await _recorded_before(house, what, reference)
    except InsufficientBalance as error:
        complain("Another bill was paid at the same time: run this again. Nothing was changed.")
        await house.refuse(what, error.code)
        return EXIT_WRONG
    seq = next(made.seq for made, draft in zip(receipts[1:], drafts, strict=True) if draft.action.name == main)
    say(f"{reference}: {amount} are recorded (entry {seq}).")
    return EXIT_OK


async def _recorded_before(house: Opened, what: str, reference: str) -> int:
    complain(f"{reference} was recorded before. Nothing was changed.")
    await house.refuse(what, Code.DUPLICATE_IDEMPOTENCY_KEY)
    return EXIT_USAGE


def _providers(rows: Iterable[AccountRow]) -> list[str]:
    return sorted({row.account.split(":")[2] for row in rows if row.account.startswith("L:provider:")})


def _day_us(text: str) -> int | None:
    """When a day begins, by UTC; 0 of none. None for what is no day.

    >>> _day_us("2026-11-01"), _day_us(""), _day_us("2026-11-31"), _day_us("20261101"), _day_us("٢٠٢٦-11-01")
    (1793491200000000, 0, None, None, None)
    """
    if not text:
        return 0
    if not re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * 1_000_000
