"""``carpool billing provider-bill``, ``treasury``, ``operations``: the house's own money, which no payment service and no call
tells of. Each has a reason, which is kept beside the chain, and a reference, under which it counts once. What is more than
``operator`` decides on alone waits for another one.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.commands.amounts import HOUSE_DOLLARS_MAX, code_of, read_bill, read_house_dollars
from bot.movements import Wish
from bot.operating import opened, turned_away
from bot.second_console import decide, preview
from bot.settings import Settings
from integrations.payments.base import urc
from integrations.payments.keys import THE_HOUSE
from ledger.accounts import is_part
from ledger.errors import Code
from ledger.payment_actions import AdjustmentAsked, AdjustmentKind
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
    operator: str = ""
    until: str = ""
    preview: bool = False


async def provider_bill(settings: Settings, bill: Bill) -> int:
    """A provider's bill was paid from the bank. The last one of a period takes back what it does not ask for."""
    what, until_us = "provider-bill", _day_us(bill.until)
    if (cents := (read_bill if bill.until else read_house_dollars)(bill.amount)) is None:
        return await turned_away(settings, what, code_of(bill.amount), NO_AMOUNT)
    if not is_part(bill.reference or "x"):
        return await turned_away(settings, what, Code.INVALID_ENTRY_TYPE, NO_REFERENCE)
    if until_us is None or until_us > clock_us():
        return await turned_away(settings, what, Code.INVALID_ENTRY_TYPE, NO_DAY)
    asked = AdjustmentAsked("provider-bill", urc(cents), "", detail=bill.provider, until_s=until_us // 1_000_000)
    async with opened(settings) as house:
        wish = Wish(asked, THE_HOUSE, bill.reference or _name())
        if bill.preview:
            return await preview(house, wish)
        return await decide(house, wish, f"{what} {bill.amount} {bill.reason}", bill.operator)


async def treasury(
    settings: Settings, direction: str, amount: str, reason: str, reference: str = "", operator: str = ""
) -> int:
    """The owner put money into the bank, or took it out."""
    return await _own(settings, "treasury", direction, amount, reason, reference, operator)


async def operations(settings: Settings, amount: str, reason: str, reference: str = "", operator: str = "") -> int:
    """Something that the house needs was paid from the bank."""
    return await _own(settings, "operations", "", amount, reason, reference, operator)


async def _own(
    settings: Settings, kind: AdjustmentKind, detail: str, amount: str, reason: str, reference: str, operator: str
) -> int:
    if (cents := read_house_dollars(amount)) is None:
        return await turned_away(settings, kind, code_of(amount), NO_AMOUNT)
    if not is_part(reference or "x"):
        return await turned_away(settings, kind, Code.INVALID_ENTRY_TYPE, NO_REFERENCE)
    async with opened(settings) as house:
        wish = Wish(AdjustmentAsked(kind, urc(cents), "", detail=detail), THE_HOUSE, reference or _name())
        return await decide(house, wish, f"{kind} {amount} {reason}", operator)


def _name() -> str:
    return f"own-{secrets.token_hex(5)}"


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
