"""``carpool billing requests``, ``approve``, ``decline``: what waits for an operator, and what becomes of it. Those are refunds
that billing admins asked for in chat, and what another operator asked for that is too much for one."""

from dataclasses import dataclass
from datetime import UTC, datetime

from bot.billing_console import NOT_CONNECTED, Sending, send_back
from bot.commands.amounts import dollars_text
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.opening import ledger_exists
from bot.operating import Opened, opened
from bot.second_console import NO_NAME, ask_second, asked_key, cents_of, decided_key, is_much, movement, names_somebody
from bot.settings import Settings
from integrations.payments.base import Amount, IntentId
from integrations.payments.keys import requested_key
from integrations.payments.requests import REQUEST, RefundRequest, decline, refund_state, request_of
from ledger.credit_actions import CreditGranted, CreditRefused, DebtWrittenOff, ProviderTruedUp
from ledger.entry import Draft, Entry, Scope
from ledger.errors import Code, InsufficientBalance, KeyReused
from ledger.money import Money, rc_text
from ledger.payment_actions import AdjustmentAsked, AdjustmentDecided, PaymentAsked
from ledger.pseudonyms import ConversationId, TurnId

PAGE = 1000
_MOVES = {"grant": CreditGranted.name, "writeoff": DebtWrittenOff.name, "true_up": ProviderTruedUp.name}
"""What is recorded of each that is asked for, but of a refund."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """``request`` is what was asked for in chat, or the same of an operator's refund; None of a grant and a write-off. ``asked``
    is what an operator asked for, or approved of first; None where nobody has yet. ``decided`` None: it waits."""

    reference: IntentId
    entry: Entry
    request: RefundRequest | None
    asked: AdjustmentAsked | None
    decided: AdjustmentDecided | None

    @property
    def scope(self) -> Scope:
        return Scope(self.entry.workspace, self.entry.actor, ConversationId(""), TurnId(""))

    @property
    def amount(self) -> Money:
        return (
            self.request.amount if self.request is not None else Money(0 if self.asked is None else self.asked.amount)
        )

    @property
    def outcome(self) -> str:
        """What became of it; empty while it waits. Of a refund that is what became of the money."""
        if self.request is not None:
            how = {"waiting": "", "begun": "", "declined": "declined"}
            return how.get(self.request.state, "approved")
        return "" if self.decided is None else self.decided.decision


async def requests(settings: Settings) -> int:
    """What is not decided on, the oldest first."""
    if not await ledger_exists(settings):
        complain("There is no ledger yet.")
        return EXIT_USAGE
    waiting = 0
    async with opened(settings) as house:
        after = -1
        while page := await house.store.entries(after, PAGE):
            for recorded in page:
                reference = _reference(recorded.entry)
                found = None if reference is None else await _found(house, reference)
                if found is not None and found.entry.seq == recorded.entry.seq and not found.outcome:
                    waiting += 1
                    say(_shown(house, found))
            after = page[-1].entry.seq
    say(
        f"{waiting} to decide on: `carpool billing approve REFERENCE REASON` does one, `carpool billing decline` does not."
    )
    return EXIT_OK


async def approve(settings: Settings, reference: str, reason: str, operator: str = "") -> int:
    """Do what was asked for, once; above the limit when two operators, by different names, are for it."""
    async with opened(settings) as house:
        found = await _known(house, reference, "approve")
        if found is None:
            return EXIT_USAGE
        if found.outcome == "declined" or (found.outcome and found.request is None):
            return await _decided_before(house, found, "approve")
        said = f"approve {reference} {reason}"
        if found.asked is None and is_much(house, found.amount) and found.request is not None:
            asked = AdjustmentAsked("refund", found.amount, operator, rail=found.request.rail)
            return await ask_second(house, asked, found.scope, reference, said, found.request.payment)
        if found.asked is not None and not await _is_another(house, found, operator):
            return EXIT_USAGE
        approved = Draft(AdjustmentDecided("approved", operator), found.scope, decided_key(reference))
        if found.request is not None:
            if found.asked is not None and found.decided is None:
                await house.roadchain.append(approved)
            return await _send(house, found.request, said)
        return await _move(house, found, approved, said)


async def decline_request(settings: Settings, reference: str, reason: str, operator: str = "") -> int:
    """What was asked for is not done. Who asked for a refund in chat is told so, and not why."""
    async with opened(settings) as house:
        found = await _known(house, reference, "decline")
        if found is None:
            return EXIT_USAGE
        if found.outcome or (found.request is not None and found.request.state == "begun"):
            return await _decided_before(house, found, "decline")
        run = house.run(found.scope, f"decline {reference} {reason}")
        try:
            if found.request is not None:
                await decline(house.roadchain, found.request, run)
            else:
                declined = AdjustmentDecided("declined", operator)
                await house.roadchain.append(run, Draft(declined, found.scope, decided_key(reference)))
        except KeyReused:  # meanwhile, by somebody else
            return await _decided_before(house, found, "decline")
        if found.request is not None:
            await house.notices.tell_decided(found.request, sent=False)
    say(f"{reference} is declined: no money was sent, and no credit moved.")
    return EXIT_OK


async def _send(house: Opened, request: RefundRequest, said: str) -> int:
    cashier = house.billing.invoiced if request.rail == "invoiced" else house.billing.cashier
    if cashier is None:
        complain(NOT_CONNECTED)
        return EXIT_USAGE
    cents, payment = cents_of(request.amount), request.payment
    status = await send_back(house, Sending(cashier, request.scope, payment, cents, request.reference, "approve"), said)
    if status == EXIT_OK:
        await house.notices.tell_decided(request, sent=True)
    return status


async def _move(house: Opened, found: Waiting, approved: Draft, said: str) -> int:
    """What is no refund, together with the approval: both or neither."""
    if found.asked is None:
        raise AssertionError("what is no refund was asked for by an operator")
    run, kind = house.run(found.scope, said), _MOVES[found.asked.kind]
    try:
        draft = await movement(house, found.asked, found.scope, found.reference)
        *_, made = await house.roadchain.append(run, approved, draft)
    except InsufficientBalance as error:
        complain(f"Less than {rc_text(found.amount)} is owed there. Nothing was changed.")
        refused = CreditRefused(kind, error.code.value)
        await house.roadchain.append(run, Draft(refused, found.scope, f"{run.idem}/refused"))
        return EXIT_WRONG
    except KeyReused:  # meanwhile, by somebody else
        return await _decided_before(house, found, "approve")
    done = {"writeoff": "are written off", "true_up": f"are not owed to {found.asked.provider} any more"}
    say(f"{rc_text(found.amount)} {done.get(found.asked.kind, 'of promotional credit are there')} (entry {made.seq}).")
    return EXIT_OK


async def _is_another(house: Opened, found: Waiting, operator: str) -> bool:
    """Whether this is by name another operator than the first; where not, that is said, and on record."""
    first = "" if found.asked is None else found.asked.operator
    if not names_somebody(operator):
        complain(NO_NAME.format(house.second_above_usd))
    elif operator.casefold() == first.casefold():
        complain(
            f"{first} was for it already: another operator has to approve of {found.reference}. Nothing was changed."
        )
    else:
        return True
    await house.refuse("approve", Code.UNAUTHORISED, found.scope)
    return False


async def _known(house: Opened, reference: str, what: str) -> Waiting | None:
    found = await _found(house, reference)
    if found is None:
        complain(f"Nothing was asked for as {reference}: `carpool billing requests` lists them. Nothing was changed.")
        await house.refuse(what, Code.ENTITY_NOT_FOUND)
    return found


async def _decided_before(house: Opened, found: Waiting, what: str) -> int:
    now = await _found(house, found.reference)
    how = "" if now is None else now.outcome
    complain(f"{found.reference} was {how or 'approved'} before. Nothing was changed.")
    await house.refuse(what, Code.DUPLICATE_IDEMPOTENCY_KEY, found.scope)
    return EXIT_WRONG


async def _found(house: Opened, reference: str) -> Waiting | None:
    """What was asked for first under this reference: in chat, or by an operator."""
    request, of_operator = await request_of(house.store, reference), await house.store.find(asked_key(reference))
    decided = await house.store.find(decided_key(reference))
    decision = (
        None if decided is None or not isinstance(decided.entry.action, AdjustmentDecided) else decided.entry.action
    )
    asked = None if of_operator is None else of_operator.entry.action
    if of_operator is None or not isinstance(asked, AdjustmentAsked):
        return None if request is None else Waiting(request.reference, request.entry, request, None, decision)
    entry, name = of_operator.entry if request is None else request.entry, IntentId(reference)
    if request is None and entry.stripe is not None:
        state = await refund_state(house.store, reference)
        request = RefundRequest(name, entry, asked.rail, entry.stripe.id, Money(asked.amount), state)
    return Waiting(name, entry, request, asked, decision)


def _reference(entry: Entry) -> str | None:
    match entry.action:
        case PaymentAsked(kind=kind) if kind == REQUEST:
            return entry.idem.removeprefix(requested_key(""))
        case AdjustmentAsked():
            return entry.idem.removeprefix(asked_key(""))
        case _:
            return None


def _shown(house: Opened, found: Waiting) -> str:
    day = datetime.fromtimestamp(found.entry.mono // 1_000_000, UTC)
    amount = dollars_text(Amount(cents_of(found.amount)))
    what = f"{amount} of {found.request.payment}" if found.request is not None else f"{_kind(found)} of {amount}"
    begun = ", begun and not known to be sent: approve it again" if _is_begun(found) else ""
    by = f", {found.asked.operator} is for it, and another operator has to be" if found.asked is not None else ""
    if found.asked is None and is_much(house, found.amount):
        by = ", which takes two operators"
    return f"{found.reference}  {day:%Y-%m-%d}  {what}, for workspace {found.entry.workspace}{by}{begun}"


def _kind(found: Waiting) -> str:
    if found.asked is not None and found.asked.kind == "true_up":
        return f"true-up of {found.asked.provider}"
    return "write-off" if found.asked is not None and found.asked.kind == "writeoff" else "grant"


def _is_begun(found: Waiting) -> bool:
    return found.request is not None and found.request.state == "begun"
