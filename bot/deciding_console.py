"""``carpool billing requests``, ``approve``, ``decline``: what waits for an operator, and what becomes of it. Those are refunds
and credit that billing admins asked for in chat, and what another operator asked for that is too much for one."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.accruals import day_text
from bot.billing_console import NOT_CONNECTED, Sending, came_by_hand, send_back, take_by_hand
from bot.commands.amounts import dollars_text
from bot.commands.billing import BILLING
from bot.commands.request import reason_in, reference_of
from bot.commands.request import requested_key as wanted_key
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.movements import NotPossible, Wish, movement_of
from bot.opening import ledger_exists
from bot.operating import Opened, opened
from bot.second_console import (
    CHANGED,
    ONE_ACCOUNT,
    ask_second,
    asked_key,
    carry_out,
    cents_of,
    decided_key,
    decision_of,
    is_another,
    is_much,
    operator_of,
    turn_down,
)
from bot.settings import Settings
from bot.visible import visible
from integrations.payments.base import Amount, IntentId
from integrations.payments.keys import requested_key
from integrations.payments.requests import REQUEST, RefundRequest, decline, refund_state, request_of
from ledger.actions import CommandRun
from ledger.entry import Entry, Scope
from ledger.errors import Code, KeyReused
from ledger.money import Money
from ledger.payment_actions import (
    AdjustmentAsked,
    AdjustmentDecided,
    AdjustmentKind,
    AdjustmentRequested,
    PaymentAsked,
)
from ledger.pseudonyms import ConversationId, TurnId

PAGE = 1000
NAMES: dict[AdjustmentKind, str] = {
    "writeoff": "write-off",
    "writeoff-usage": "write-off of usage",
    "resolve": "credit out of suspense",
    "reverse": "reversal",
    "paid": "bank transfer that has come",
    "treasury": "the owner's money",
    "operations": "payment for operations",
    "provider-bill": "provider's bill",
}
"""What else a kind is called than it is named."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """``request`` is the refund that was asked for, in chat or by an operator; ``wanted`` what else was, in chat. ``asked`` is
    what an operator asked for, or approved of first; None where nobody has yet. ``decided`` None: it waits. ``came``: of a bank
    transfer, whether it is on the book."""

    reference: IntentId
    entry: Entry
    request: RefundRequest | None
    wanted: AdjustmentRequested | None
    asked: AdjustmentAsked | None
    decided: AdjustmentDecided | None
    came: bool = False

    @property
    def scope(self) -> Scope:
        return Scope(self.entry.workspace, self.entry.actor, ConversationId(""), TurnId(""))

    @property
    def wish(self) -> Wish:
        """What a second operator is asked about, or what the first one decides on."""
        payment = "" if self.entry.stripe is None else self.entry.stripe.id
        if self.asked is not None:
            return Wish(self.asked, self.scope, self.reference, payment)
        if self.request is not None:
            asked = AdjustmentAsked("refund", self.request.amount, "", rail=self.request.rail)
            return Wish(asked, self.scope, self.reference, self.request.payment)
        if self.wanted is None:
            raise AssertionError("something was asked for")
        return Wish(AdjustmentAsked(self.wanted.kind, self.wanted.amount, ""), self.scope, self.reference)

    @property
    def outcome(self) -> str:
        """What became of it; empty while it waits. Of a refund and a transfer that is what became of the money."""
        if self.request is not None:
            how = {"waiting": "", "begun": "", "declined": "declined"}
            return how.get(self.request.state, "approved")
        if self.decided is None or (self.is_begun and not self.came):
            return ""
        return self.decided.decision

    @property
    def is_begun(self) -> bool:
        """Whether somebody has decided on what moves outside the ledger first, and it is not known to be done."""
        if self.request is not None:
            return self.request.state == "begun"
        of_bank = self.asked is not None and self.asked.kind == "paid"
        return of_bank and self.decided is not None and self.decided.decision == "approved" and not self.came


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
                    say(await _shown(house, found))
            after = page[-1].entry.seq
    say(
        f"{waiting} to decide on: `carpool billing approve REFERENCE REASON` does one, `carpool billing decline` does not."
    )
    return EXIT_OK


async def approve(settings: Settings, reference: str, reason: str, stated: str = "") -> int:
    """Do what was asked for, once; above the limit when two operators, by different names, are for it."""
    async with opened(settings) as house:
        found = await _known(house, reference, "approve")
        if found is None:
            return EXIT_USAGE
        if found.outcome == "declined" or (found.outcome and found.request is None):
            return await _decided_before(house, found, "approve")
        said, wish, operator = f"approve {reference} {reason}", found.wish, operator_of(stated)
        if found.asked is not None and not await is_another(house, wish, operator):
            return EXIT_USAGE
        if found.request is None and wish.asked.kind != "paid":
            status = await _move(house, found, said, stated)
        else:
            status = await _see_to(house, found, said, stated)
        if status == EXIT_OK and found.asked is not None and found.asked.account == operator.account:
            say(ONE_ACCOUNT.format(found.asked.operator, operator.name, operator.account))
        return status


async def decline_request(settings: Settings, reference: str, reason: str, stated: str = "") -> int:
    """What was asked for is not done. Who asked for it in chat is told so, and not why."""
    async with opened(settings) as house:
        found = await _known(house, reference, "decline")
        if found is None:
            return EXIT_USAGE
        if found.outcome or found.is_begun:
            return await _decided_before(house, found, "decline")
        run = house.run(found.scope, f"decline {reference} {reason}")
        try:
            if found.request is not None:
                await decline(house.roadchain, found.request, run)
            else:
                declined = decision_of(operator_of(stated), found.scope, reference, "declined")
                await house.roadchain.append(run, declined)
        except KeyReused:  # meanwhile, by somebody else
            return await _decided_before(house, found, "decline")
        if found.request is not None:
            await house.notices.tell_decided(found.request, sent=False)
        await _tell(house, found, done=False)
    say(f"{reference} is declined: no money was sent, and no credit moved.")
    return EXIT_OK


async def _see_to(house: Opened, found: Waiting, said: str, stated: str) -> int:
    """What moves outside the ledger first. It is gone on with where it was approved of before."""
    wish = found.wish
    if found.asked is None and is_much(house, wish.asked.amount):
        return await ask_second(house, wish, said, stated)
    if found.asked is not None and found.decided is None:
        await house.roadchain.append(decision_of(operator_of(stated), found.scope, found.reference, "approved"))
    if found.request is not None:
        return await _send(house, found.request, said)
    await house.roadchain.append(house.run(found.scope, said))
    return await take_by_hand(house, found.reference)


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


async def _move(house: Opened, found: Waiting, said: str, stated: str) -> int:
    """What the ledger alone moves, together with the decision: both or neither. It is worked out anew, and is what it was."""
    wish, operator = found.wish, operator_of(stated)
    try:
        movement = await movement_of(house, wish)
    except NotPossible as why:
        return await turn_down(house, wish, why)
    if found.asked is None and is_much(house, movement.amount):
        asked = replace(wish.asked, plan=movement.plan)
        return await ask_second(house, replace(wish, asked=asked), said, stated)
    if wish.asked.plan not in ("", movement.plan):
        complain(CHANGED.format(found.reference, wish.asked.operator))
        await house.refuse("approve", Code.INVALID_ENTRY_TYPE, found.scope)
        return EXIT_WRONG
    approved = decision_of(operator, found.scope, found.reference, "approved")
    status = await carry_out(house, movement, said, approved)
    if status == EXIT_OK:
        await _tell(house, found, done=True)
    return status


async def _tell(house: Opened, found: Waiting, *, done: bool) -> None:
    """Whoever asked for it in chat."""
    if found.wanted is not None:
        await house.notices.tell_requested(found.entry, found.wanted, done=done)


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
    store, name = house.store, IntentId(reference)
    request, wanted = await request_of(store, reference), await store.find(wanted_key(reference))
    of_operator, decided = await store.find(asked_key(reference)), await store.find(decided_key(reference))
    decision = None if decided is None else decided.entry.action
    decision = decision if isinstance(decision, AdjustmentDecided) else None
    asked = None if of_operator is None else of_operator.entry.action
    asked = asked if isinstance(asked, AdjustmentAsked) else None
    if request is not None:
        of_it = asked if asked is not None and asked.kind == "refund" else None
        return Waiting(name, request.entry, request, None, of_it, decision)
    if wanted is not None and isinstance(wanted.entry.action, AdjustmentRequested):
        return Waiting(name, wanted.entry, None, wanted.entry.action, asked, decision)
    if of_operator is None or asked is None:
        return None
    entry = of_operator.entry
    if asked.kind == "refund" and entry.stripe is not None:
        state = await refund_state(store, reference)
        request = RefundRequest(name, entry, asked.rail, entry.stripe.id, Money(asked.amount), state)
    came = asked.kind == "paid" and await came_by_hand(house, reference)
    return Waiting(name, entry, request, None, asked, decision, came)


def _reference(entry: Entry) -> str | None:
    match entry.action:
        case PaymentAsked(kind=kind) if kind == REQUEST:
            return entry.idem.removeprefix(requested_key(""))
        case AdjustmentRequested():
            return reference_of(entry.turn)
        case AdjustmentAsked():
            return entry.idem.removeprefix(asked_key(""))
        case _:
            return None


async def _shown(house: Opened, found: Waiting) -> str:
    day = datetime.fromtimestamp(found.entry.mono // 1_000_000, UTC)
    asked = found.wish.asked
    amount = dollars_text(Amount(cents_of(asked.amount)))
    what = f"{amount} of {found.request.payment}" if found.request is not None else f"{_kind(asked)} of {amount}"
    what += f" and a true-up of {dollars_text(Amount(cents_of(asked.true_up)))}" if asked.true_up else ""
    begun = ", begun and not known to be sent: approve it again" if found.is_begun else ""
    by = f", {_who(found.asked)} is for it, and another operator has to be" if found.asked is not None else ""
    if found.asked is None and is_much(house, asked.amount):
        by = ", which takes two operators"
    why = await _why(house, found.entry) if found.wanted is not None else ""
    return f"{found.reference}  {day:%Y-%m-%d}  {what}, for workspace {found.entry.workspace}{why}{by}{begun}"


def _kind(asked: AdjustmentAsked) -> str:
    until = f", the last before {day_text(asked.until_s)}" if asked.until_s else ""
    detail = f" ({asked.detail}{until})" if asked.detail else ""
    return f"{NAMES.get(asked.kind, asked.kind)}{detail}"


def _who(asked: AdjustmentAsked) -> str:
    other = asked.account and asked.account != asked.operator
    return f"{asked.operator} ({asked.account})" if other else asked.operator


async def _why(house: Opened, entry: Entry) -> str:
    """In the words of who asked, on one line; they may be erased."""
    for recorded in await house.store.entries_of(entry.turn):
        if recorded.entry.action == CommandRun(BILLING.name) and recorded.body is not None:
            reason = " ".join(reason_in(recorded.body.decode()).split())
            return f', because they say "{visible(reason)}"'
    return ", whose reason is erased"
