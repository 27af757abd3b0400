"""``carpool billing grant``, ``writeoff``, ``writeoff-usage``, ``resolve``, ``reverse``: what an operator changes in the book by
hand. Each has a reason, which is kept beside the chain; each prints one sentence, and gives an exit status."""

import secrets
from dataclasses import replace

from bot.commands.amounts import RC_MAX, read_dollars, read_rc
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.operating import NO_AMOUNT, Opened, opened
from bot.settings import Settings
from integrations.payments.base import urc
from integrations.payments.metering import amount_under_way, owed_later
from integrations.payments.roadchain_bridge import THE_HOUSE, resolved_key, returned_key
from ledger.accounts import RC, is_part
from ledger.actions import CommandRun
from ledger.credit_actions import (
    CreditAction,
    CreditAllocated,
    CreditExpired,
    CreditGranted,
    CreditRefused,
    CreditReversed,
    DebtWrittenOff,
    PaymentUnmatched,
    RewardGranted,
    SuspenseResolved,
)
from ledger.entry import Draft, Scope
from ledger.errors import InsufficientBalance, KeyReused, LedgerError
from ledger.money import Money, rc_text
from ledger.pseudonyms import ConversationId, TurnId, WorkspaceId
from ledger.store import Receipt, Recorded

DAY_US = 86_400_000_000
NO_RC = f"The amount is in RC, above 0 and up to {RC_MAX:,}, with six decimals at the most. Nothing was changed."
NAMES = "letters, digits, `-`, `_` and `.`, up to 64 of them"
REVERSIBLE = (CreditGranted, RewardGranted, CreditAllocated, CreditExpired, DebtWrittenOff)
"""What moves credit alone. What came in or went out as money is set right where the money is."""


async def grant(
    settings: Settings, platform: str, workspace: str, amount: str, reason: str, days: int | None = None
) -> int:
    """Promotional credit for a workspace; ``days`` is how long it lasts, None: until it is spent."""
    cents = read_dollars(amount)
    if cents is None:
        complain(NO_AMOUNT)
        return EXIT_USAGE
    async with opened(settings) as house:
        scope, name = house.scope(platform, workspace), secrets.token_hex(8)
        expires_us = None if days is None else (await house.store.head()).mono + days * DAY_US
        granted = CreditGranted(f"grant-{name}", urc(cents), expires_us)
        entry = await _record(house, Draft(granted, scope, f"credit.grant/{name}"), f"grant {amount} {reason}")
    say(f"{rc_text(urc(cents))} of promotional credit are there (entry {entry.seq}).")
    return EXIT_OK


async def write_off(settings: Settings, platform: str, workspace: str, amount: str, reason: str) -> int:
    """What a workspace owes is forgiven; its answers go on."""
    cents = read_dollars(amount)
    if cents is None:
        complain(NO_AMOUNT)
        return EXIT_USAGE
    async with opened(settings) as house:
        scope, name = house.scope(platform, workspace), secrets.token_hex(8)
        written_off = Draft(DebtWrittenOff(urc(cents)), scope, f"credit.writeoff/{name}")
        try:
            entry = await _record(house, written_off, f"writeoff {amount} {reason}")
        except InsufficientBalance:
            complain(f"Less than {rc_text(urc(cents))} is owed there. Nothing was changed.")
            return EXIT_WRONG
    say(f"{rc_text(urc(cents))} of debt are written off (entry {entry.seq}).")
    return EXIT_OK


async def write_off_usage(settings: Settings, workspace: str, amount: str, reason: str, reference: str = "") -> int:
    """What a workspace was to pay later, and no invoice will pay. The same ``reference`` writes it off once."""
    urc_off = read_rc(amount)
    if urc_off is None:
        complain(NO_RC)
        return EXIT_USAGE
    reference = reference or f"wo-{secrets.token_hex(5)}"
    if not (is_part(workspace) and is_part(reference)):
        complain(f"A workspace and a reference are {NAMES}. Nothing was changed.")
        return EXIT_USAGE
    scope, key = replace(THE_HOUSE, workspace=WorkspaceId(workspace)), f"credit.writeoff/{reference}"
    async with opened(settings) as house:
        if (found := await house.store.find(key)) is not None:
            return _written_off_before(found, scope, urc_off, reference)
        owed = owed_later(await house.store.balances_of(scope.workspace))
        waits = await amount_under_way(house.store, scope.workspace)
        if urc_off > owed.all - waits:
            more = f", and {rc_text(Money(waits))} of it wait for the meter's answer" if waits else ""
            complain(
                f"{rc_text(Money(owed.all))} of usage is owed by the workspace {workspace}{more}: that is less than "
                f"{rc_text(urc_off)}. Nothing was changed."
            )
            return EXIT_WRONG
        told = min(urc_off, owed.told - waits)
        written_off = Draft(DebtWrittenOff(0, told, urc_off - told), scope, key)
        try:
            entry = await _record(house, written_off, f"writeoff-usage {amount} {reason}")
        except InsufficientBalance:
            complain("Meanwhile a meter was told of it, or it was paid: run this again. Nothing was changed.")
            return EXIT_WRONG
        except KeyReused:
            complain(f"{reference} is another write-off. Nothing was changed.")
            return EXIT_USAGE
    say(f"{reference}: {rc_text(urc_off)} of usage are written off (entry {entry.seq}).")
    return EXIT_OK


def _written_off_before(found: Recorded, scope: Scope, amount: Money, reference: str) -> int:
    action = found.entry.action
    same = isinstance(action, DebtWrittenOff) and action.told + action.used == amount
    if not same or found.entry.workspace != scope.workspace:
        complain(f"{reference} is another write-off. Nothing was changed.")
        return EXIT_USAGE
    say(f"{reference}: {rc_text(amount)} of usage were written off before (entry {found.entry.seq}).")
    return EXIT_OK


async def resolve(settings: Settings, platform: str, workspace: str, payment: str, reason: str) -> int:
    """Money that fitted nothing becomes credit of a workspace, once."""
    async with opened(settings) as house:
        waiting = await _in_suspense(house, payment)
        action = None if waiting is None else waiting.entry.action
        if not isinstance(action, PaymentUnmatched):
            complain(f"{payment} does not wait in suspense. Nothing was changed.")
            return EXIT_USAGE
        if action.currency != RC:
            complain(
                f"It came in {action.currency}, and credit is counted in US dollars: give it back where it came from."
            )
            return EXIT_WRONG
        scope = house.scope(platform, workspace)
        resolved = SuspenseResolved(action.rail, action.amount, action.currency, "paid")
        draft = Draft(resolved, scope, resolved_key(action.rail, payment))
        try:
            if await house.store.find(returned_key(action.rail, payment)) is not None:
                raise KeyReused(f"{payment} was given back")
            entry = await _record(house, draft, f"resolve {reason}")
        except KeyReused:
            complain(f"{payment} was resolved or given back before. Nothing was changed.")
            return EXIT_WRONG
    say(f"{rc_text(Money(action.amount))} of credit are there (entry {entry.seq}).")
    return EXIT_OK


async def reverse(settings: Settings, seq: int, reason: str) -> int:
    """The exact opposite of an entry that moved credit, once."""
    async with opened(settings) as house:
        found = await house.store.entries(seq - 1, 1) if seq >= 0 else ()
        entry = found[0].entry if found and found[0].entry.seq == seq else None
        if entry is None or not isinstance(entry.action, REVERSIBLE) or not entry.postings:
            complain(
                f"Entry {seq} is none that can be taken back: a grant, a reward, an allocation, a write-off, an expiry."
            )
            return EXIT_USAGE
        scope = Scope(entry.workspace, entry.actor, ConversationId(""), TurnId(""))
        try:
            made = await _record(house, Draft(CreditReversed(seq), scope, f"reversal/{seq}"), f"reverse {seq} {reason}")
        except InsufficientBalance:
            complain("Some of it was spent: it cannot be taken back whole. Nothing was changed.")
            return EXIT_WRONG
        except KeyReused:
            complain(f"Entry {seq} was reversed before. Nothing was changed.")
            return EXIT_WRONG
    say(f"Entry {seq} is reversed (entry {made.seq}).")
    return EXIT_OK


async def _in_suspense(house: Opened, payment: str) -> Recorded | None:
    cashier = house.billing.cashier
    return None if cashier is None else await cashier.paid_as(payment)


async def _record(house: Opened, draft: Draft, said: str) -> Receipt:
    """The reason, and what follows from it. A refusal is on the ledger too. Raises ``LedgerError``, ``StoreFailed``."""
    run = Draft(CommandRun("billing"), draft.scope, f"command.run/{secrets.token_hex(8)}", said.encode())
    try:
        receipts = await house.roadchain.append(run, draft)
    except LedgerError as error:
        kind = draft.action.name if isinstance(draft.action, CreditAction) else ""
        refused = Draft(CreditRefused(kind, error.code.value), draft.scope, f"{run.idem}/refused")
        await house.roadchain.append(run, refused)
        raise
    return receipts[1]
