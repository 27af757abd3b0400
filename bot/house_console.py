"""``carpool billing provider-bill``, ``treasury``, ``operations``: the house's own money, which no payment service and no call
tells of. Each has a reason, which is kept beside the chain, and a reference, under which it counts once. What is more than
``operator`` decides on alone waits for another one.
"""

import secrets

from bot.commands.amounts import HOUSE_DOLLARS_MAX, code_of, read_house_dollars
from bot.movements import Wish
from bot.operating import opened, turned_away
from bot.second_console import decide
from bot.settings import Settings
from integrations.payments.base import urc
from integrations.payments.keys import THE_HOUSE
from ledger.accounts import is_part
from ledger.errors import Code
from ledger.payment_actions import AdjustmentAsked, AdjustmentKind

NO_AMOUNT = (
    f"The amount is in US dollars, above 0 and up to {HOUSE_DOLLARS_MAX:,}, such as 10 or 2.50. Nothing was changed."
)
NO_REFERENCE = "A reference is of letters, digits, `-`, `_` and `.`, up to 64 of them. Nothing was changed."


async def provider_bill(
    settings: Settings, provider: str, amount: str, reason: str, reference: str = "", operator: str = ""
) -> int:
    """A provider's bill was paid from the bank."""
    return await _own(settings, "provider-bill", provider, amount, reason, reference, operator)


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
    reference = reference or f"own-{secrets.token_hex(5)}"
    if not is_part(reference):
        return await turned_away(settings, kind, Code.INVALID_ENTRY_TYPE, NO_REFERENCE)
    async with opened(settings) as house:
        wish = Wish(AdjustmentAsked(kind, urc(cents), "", detail=detail), THE_HOUSE, reference)
        return await decide(house, wish, f"{kind} {amount} {reason}", operator)
