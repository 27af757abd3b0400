"""``carpool billing grant``, ``reward``, ``writeoff``, ``writeoff-usage``, ``resolve``, ``reverse``: what an operator changes in
the book by hand. Each has a reason, which is kept beside the chain; each prints one sentence, and gives an exit status. What is
more than ``operator`` decides on alone waits for another one.
"""

import secrets
from dataclasses import replace
from typing import Literal

from bot.commands.amounts import RC_MAX, code_of, read_dollars, read_rc, read_whole
from bot.console import EXIT_OK, EXIT_USAGE, complain, say
from bot.movements import NOT_REVERSIBLE, Wish
from bot.operating import NO_AMOUNT, Opened, opened, turned_away
from bot.second_console import decide
from bot.settings import Settings
from integrations.payments.base import urc
from integrations.payments.keys import THE_HOUSE
from ledger.accounts import is_part
from ledger.credit_actions import DebtWrittenOff
from ledger.entry import Scope
from ledger.errors import Code
from ledger.money import Money, rc_text
from ledger.payment_actions import AdjustmentAsked
from ledger.pseudonyms import WorkspaceId
from ledger.store import Recorded

DAYS_MAX = 3_650
NO_DAYS = f"--days is a whole number from 1 to {DAYS_MAX:,}. Nothing was changed."
NO_RC = f"The amount is in RC, above 0 and up to {RC_MAX:,}, with six decimals at the most. Nothing was changed."
NAMES = "letters, digits, `-`, `_` and `.`, up to 64 of them"


async def give(
    settings: Settings,
    kind: Literal["grant", "reward"],
    platform: str,
    workspace: str,
    amount: str,
    reason: str,
    days_text: str | None = None,
    *,
    new: bool = False,
    operator: str = "",
) -> int:
    """Promotional credit for a workspace; ``days_text`` is how long it lasts, None: until it is spent. ``new``: one that the
    ledger knows nothing of."""
    cents, days = read_dollars(amount), None
    if cents is None:
        return await turned_away(settings, kind, code_of(amount), NO_AMOUNT, platform, workspace)
    if days_text is not None and (days := read_whole(days_text, 1, DAYS_MAX)) is None:
        return await turned_away(settings, kind, code_of(days_text), NO_DAYS, platform, workspace)
    async with opened(settings) as house:
        if not new and await house.refuse_strange(kind, platform, workspace, may_be_new=True):
            return EXIT_USAGE
        asked = AdjustmentAsked(kind, urc(cents), "", days or 0)
        return await decide(house, _wish(house, platform, workspace, asked), f"{kind} {amount} {reason}", operator)


async def write_off(
    settings: Settings, platform: str, workspace: str, amount: str, reason: str, operator: str = ""
) -> int:
    """What a workspace owes is forgiven; its answers go on."""
    cents = read_dollars(amount)
    if cents is None:
        return await turned_away(settings, "writeoff", code_of(amount), NO_AMOUNT, platform, workspace)
    async with opened(settings) as house:
        if await house.refuse_strange("writeoff", platform, workspace):
            return EXIT_USAGE
        wish = _wish(house, platform, workspace, AdjustmentAsked("writeoff", urc(cents), ""))
        return await decide(house, wish, f"writeoff {amount} {reason}", operator)


async def write_off_usage(
    settings: Settings, workspace: str, amount: str, reason: str, reference: str = "", operator: str = ""
) -> int:
    """What a workspace was to pay later, and no invoice will pay. The same ``reference`` writes it off once."""
    urc_off = read_rc(amount)
    if urc_off is None:
        return await turned_away(settings, "writeoff-usage", code_of(amount), NO_RC)
    reference = reference or f"wo-{secrets.token_hex(5)}"
    if not (is_part(workspace) and is_part(reference)):
        said = f"A workspace and a reference are {NAMES}. Nothing was changed."
        return await turned_away(settings, "writeoff-usage", Code.INVALID_ENTRY_TYPE, said)
    scope = replace(THE_HOUSE, workspace=WorkspaceId(workspace))
    async with opened(settings) as house:
        if (found := await house.store.find(f"credit.writeoff/{reference}")) is not None:
            return await _written_off_before(house, found, scope, urc_off, reference)
        wish = Wish(AdjustmentAsked("writeoff-usage", urc_off, ""), scope, reference)
        return await decide(house, wish, f"writeoff-usage {amount} {reason}", operator)


async def _written_off_before(house: Opened, found: Recorded, scope: Scope, amount: Money, reference: str) -> int:
    action = found.entry.action
    same = isinstance(action, DebtWrittenOff) and action.told + action.used == amount
    if not same or found.entry.workspace != scope.workspace:
        complain(f"{reference} is another write-off. Nothing was changed.")
        await house.refuse("writeoff-usage", Code.DUPLICATE_IDEMPOTENCY_KEY, scope)
        return EXIT_USAGE
    say(f"{reference}: {rc_text(amount)} of usage were written off before (entry {found.entry.seq}).")
    return EXIT_OK


async def resolve(
    settings: Settings,
    platform: str,
    workspace: str,
    payment: str,
    reason: str,
    *,
    new: bool = False,
    operator: str = "",
) -> int:
    """Money that fitted nothing becomes credit of a workspace, once."""
    async with opened(settings) as house:
        if not new and await house.refuse_strange("resolve", platform, workspace, may_be_new=True):
            return EXIT_USAGE
        wish = _wish(house, platform, workspace, AdjustmentAsked("resolve", 0, ""), payment)
        return await decide(house, wish, f"resolve {reason}", operator)


async def reverse(settings: Settings, seq_text: str, reason: str, operator: str = "") -> int:
    """The exact opposite of an entry that moved credit, or of a provider's bill with all that came of it, once."""
    seq = read_whole(seq_text, 0, 10**15)
    if seq is None:
        return await turned_away(settings, "reverse", code_of(seq_text), NOT_REVERSIBLE.format(f"{seq_text!r:.40}"))
    async with opened(settings) as house:
        wish = Wish(AdjustmentAsked("reverse", 0, "", detail=str(seq)), THE_HOUSE, _name())
        return await decide(house, wish, f"reverse {seq} {reason}", operator)


def _wish(house: Opened, platform: str, workspace: str, asked: AdjustmentAsked, payment: str = "") -> Wish:
    return Wish(asked, house.scope(platform, workspace), _name(), payment)


def _name() -> str:
    return f"adj-{secrets.token_hex(5)}"
