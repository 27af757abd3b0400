"""``carpool billing grant``, ``writeoff``, ``writeoff-usage``, ``resolve``, ``reverse``: what an operator changes in the book by
hand. Each has a reason, which is kept beside the chain; each prints one sentence, and gives an exit status."""

import secrets
from dataclasses import replace

from bot.accruals import entry_of, late_key
from bot.commands.amounts import RC_MAX, code_of, read_dollars, read_rc, read_whole
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.operating import NO_AMOUNT, Opened, opened, turned_away
from bot.second_console import ask_second, is_much, movement, true_up_key
from bot.settings import Settings
from integrations.payments.base import urc
from integrations.payments.keys import THE_HOUSE, resolved_key
from integrations.payments.metering import amount_under_way, owed_later
from integrations.payments.records import went_back
from ledger.accounts import RC, is_part
from ledger.credit_actions import (
    CreditAction,
    CreditAllocated,
    CreditExpired,
    CreditGranted,
    CreditRefused,
    CreditReversed,
    DebtWrittenOff,
    PaymentUnmatched,
    ProviderBilled,
    ProviderTruedUp,
    RewardGranted,
    SuspenseResolved,
)
from ledger.entry import Draft, Entry, Scope
from ledger.errors import Code, InsufficientBalance, KeyReused, LedgerError
from ledger.money import Money, rc_text
from ledger.payment_actions import AdjustmentAsked
from ledger.pseudonyms import ConversationId, TurnId, WorkspaceId
from ledger.store import Receipt, Recorded

DAYS_MAX = 3_650
NO_DAYS = f"--days is a whole number from 1 to {DAYS_MAX:,}. Nothing was changed."
NOT_REVERSIBLE = (
    "Entry {0} is none that can be taken back: a grant, a reward, an allocation, a write-off, an expiry, "
    "a provider's bill."
)
NO_RC = f"The amount is in RC, above 0 and up to {RC_MAX:,}, with six decimals at the most. Nothing was changed."
NAMES = "letters, digits, `-`, `_` and `.`, up to 64 of them"
REVERSIBLE = (
    *(CreditGranted, RewardGranted, CreditAllocated, CreditExpired, DebtWrittenOff),
    *(ProviderBilled, ProviderTruedUp),
)
"""What moves credit alone, and what an operator said of a provider's bill. What else came in or went out as money is set right
where the money is."""


async def grant(
    settings: Settings,
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
    ledger knows nothing of. More than ``operator`` decides on alone waits for another one."""
    cents, days = read_dollars(amount), None
    if cents is None:
        return await turned_away(settings, "grant", code_of(amount), NO_AMOUNT, platform, workspace)
    if days_text is not None and (days := read_whole(days_text, 1, DAYS_MAX)) is None:
        return await turned_away(settings, "grant", code_of(days_text), NO_DAYS, platform, workspace)
    async with opened(settings) as house:
        if not new and await house.refuse_strange("grant", platform, workspace, may_be_new=True):
            return EXIT_USAGE
        scope, name = house.scope(platform, workspace), secrets.token_hex(5)
        asked = AdjustmentAsked("grant", urc(cents), operator, days or 0)
        said = f"grant {amount} {reason}"
        if is_much(house, urc(cents)):
            return await ask_second(house, asked, scope, f"adj-{name}", said)
        entry = await _record(house, await movement(house, asked, scope, name), said)
    say(f"{rc_text(urc(cents))} of promotional credit are there (entry {entry.seq}).")
    return EXIT_OK


async def write_off(
    settings: Settings, platform: str, workspace: str, amount: str, reason: str, operator: str = ""
) -> int:
    """What a workspace owes is forgiven; its answers go on. More than ``operator`` decides on alone waits for another one."""
    cents = read_dollars(amount)
    if cents is None:
        return await turned_away(settings, "writeoff", code_of(amount), NO_AMOUNT, platform, workspace)
    async with opened(settings) as house:
        if await house.refuse_strange("writeoff", platform, workspace):
            return EXIT_USAGE
        scope, name = house.scope(platform, workspace), secrets.token_hex(5)
        asked, said = AdjustmentAsked("writeoff", urc(cents), operator), f"writeoff {amount} {reason}"
        if is_much(house, urc(cents)):
            return await ask_second(house, asked, scope, f"adj-{name}", said)
        try:
            entry = await _record(house, await movement(house, asked, scope, name), said)
        except InsufficientBalance:
            complain(f"Less than {rc_text(urc(cents))} is owed there. Nothing was changed.")
            return EXIT_WRONG
    say(f"{rc_text(urc(cents))} of debt are written off (entry {entry.seq}).")
    return EXIT_OK


async def write_off_usage(settings: Settings, workspace: str, amount: str, reason: str, reference: str = "") -> int:
    """What a workspace was to pay later, and no invoice will pay. The same ``reference`` writes it off once."""
    urc_off = read_rc(amount)
    if urc_off is None:
        return await turned_away(settings, "writeoff-usage", code_of(amount), NO_RC)
    reference = reference or f"wo-{secrets.token_hex(5)}"
    if not (is_part(workspace) and is_part(reference)):
        said = f"A workspace and a reference are {NAMES}. Nothing was changed."
        return await turned_away(settings, "writeoff-usage", Code.INVALID_ENTRY_TYPE, said)
    scope, key = replace(THE_HOUSE, workspace=WorkspaceId(workspace)), f"credit.writeoff/{reference}"
    async with opened(settings) as house:
        if (found := await house.store.find(key)) is not None:
            return await _written_off_before(house, found, scope, urc_off, reference)
        owed = owed_later(await house.store.balances_of(scope.workspace))
        waits = await amount_under_way(house.store, scope.workspace)
        if urc_off > owed.all - waits:
            more = f", and {rc_text(Money(waits))} of it wait for the meter's answer" if waits else ""
            complain(
                f"{rc_text(Money(owed.all))} of usage is owed by the workspace {workspace}{more}: that is less than "
                f"{rc_text(urc_off)}. Nothing was changed."
            )
            await house.refuse("writeoff-usage", Code.INSUFFICIENT_BALANCE, scope)
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
    settings: Settings, platform: str, workspace: str, payment: str, reason: str, *, new: bool = False
) -> int:
    """Money that fitted nothing becomes credit of a workspace, once."""
    async with opened(settings) as house:
        if not new and await house.refuse_strange("resolve", platform, workspace, may_be_new=True):
            return EXIT_USAGE
        scope, waiting = house.scope(platform, workspace), await _in_suspense(house, payment)
        action = None if waiting is None else waiting.entry.action
        if not isinstance(action, PaymentUnmatched):
            complain(f"{payment} does not wait in suspense. Nothing was changed.")
            await house.refuse("resolve", Code.ENTITY_NOT_FOUND, scope)
            return EXIT_USAGE
        if action.currency != RC:
            complain(
                f"It came in {action.currency}, and credit is counted in US dollars: give it back where it came from."
            )
            await house.refuse("resolve", Code.INVALID_CURRENCY, scope)
            return EXIT_WRONG
        if await went_back(house.store, action.rail, payment):
            complain(f"{payment} was resolved or given back before. Nothing was changed.")
            await house.refuse("resolve", Code.DUPLICATE_IDEMPOTENCY_KEY, scope)
            return EXIT_WRONG
        resolved = SuspenseResolved(action.rail, action.amount, action.currency, "paid")
        draft = Draft(resolved, scope, resolved_key(action.rail, payment))
        try:
            entry = await _record(house, draft, f"resolve {reason}")
        except KeyReused:
            complain(f"{payment} was resolved or given back before. Nothing was changed.")
            return EXIT_WRONG
    say(f"{rc_text(Money(action.amount))} of credit are there (entry {entry.seq}).")
    return EXIT_OK


async def reverse(settings: Settings, seq_text: str, reason: str) -> int:
    """The exact opposite of an entry that moved credit, or of a provider's bill with all that came of it, once."""
    seq = read_whole(seq_text, 0, 10**15)
    if seq is None:
        return await turned_away(settings, "reverse", code_of(seq_text), NOT_REVERSIBLE.format(f"{seq_text!r:.40}"))
    async with opened(settings) as house:
        found = await entry_of(house.store, seq)
        entry = None if found is None else found.entry
        if entry is None or not isinstance(entry.action, REVERSIBLE) or not entry.postings:
            complain(NOT_REVERSIBLE.format(seq))
            await house.refuse("reverse", Code.ENTITY_NOT_FOUND if entry is None else Code.INVALID_ENTRY_TYPE)
            return EXIT_USAGE
        scope = Scope(entry.workspace, entry.actor, ConversationId(""), TurnId(""))
        try:
            draft, said = Draft(CreditReversed(seq), scope, f"reversal/{seq}"), f"reverse {seq} {reason}"
            made = await _record(house, draft, said, *await _of_bill(house, entry, scope))
        except InsufficientBalance:
            complain("Some of it was spent: it cannot be taken back whole. Nothing was changed.")
            return EXIT_WRONG
        except KeyReused:
            complain(f"Entry {seq} was reversed before. Nothing was changed.")
            return EXIT_WRONG
    say(f"Entry {seq} is reversed (entry {made.seq}).")
    return EXIT_OK


async def _of_bill(house: Opened, bill: Entry, scope: Scope) -> list[Draft]:
    """What was recorded with a provider's bill goes with it: what nobody knew of, and what it did not ask for."""
    drafts: list[Draft] = []
    reference = bill.idem.removeprefix(f"{ProviderBilled.name}/")
    for key in (late_key(reference), true_up_key(reference)) if isinstance(bill.action, ProviderBilled) else ():
        found = await house.store.find(key)
        if found is not None and await house.store.find(f"reversal/{found.entry.seq}") is None:
            seq = found.entry.seq
            drafts.append(Draft(CreditReversed(seq), scope, f"reversal/{seq}"))
    return drafts


async def _in_suspense(house: Opened, payment: str) -> Recorded | None:
    cashier = house.billing.cashier
    return None if cashier is None else await cashier.paid_as(payment)


async def _record(house: Opened, draft: Draft, said: str, *beside: Draft) -> Receipt:
    """The reason, and what follows from it. A refusal is on the ledger too. Raises ``LedgerError``, ``StoreFailed``."""
    run = house.run(draft.scope, said)
    try:
        receipts = await house.roadchain.append(run, draft, *beside)
    except LedgerError as error:
        kind = draft.action.name if isinstance(draft.action, CreditAction) else ""
        refused = Draft(CreditRefused(kind, error.code.value), draft.scope, f"{run.idem}/refused")
        await house.roadchain.append(run, refused)
        raise
    return receipts[1]
