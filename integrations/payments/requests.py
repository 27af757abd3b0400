"""Refunds that were asked for in chat: what of a payment is left to be asked for, and what came of each request.

A request moves nothing. It is closed by what the operator decides, under one key: the credit is held for the refund, or the
request is declined. So it is never both, whoever decides at the same time.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from integrations.payments import invoiced
from integrations.payments.base import IntentId, PaymentRefused
from integrations.payments.keys import THE_HOUSE, hold_key, opened_key, requested_key
from integrations.payments.records import Journal
from integrations.payments.roadchain_bridge import Bridge
from ledger.credit_actions import RefundHeld
from ledger.entry import Draft, Entry, Scope, StripeObject
from ledger.errors import KeyReused
from ledger.money import Money
from ledger.payment_actions import PaymentAsked, PaymentClosed, PaymentOpened
from ledger.roadchain import RoadChain

REQUEST: Final = "refund_request"
RequestState: TypeAlias = Literal["waiting", "begun", "sent", "refused", "declined"]
"""``begun``: its credit is held, and it is not known yet whether the money was sent. ``refused``: by the rail."""


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """``entry`` is the request itself: whose it is, and when it was asked for."""

    reference: IntentId
    entry: Entry
    rail: str
    payment: str
    amount: Money
    state: RequestState

    @property
    def scope(self) -> Scope:
        """Of whoever asked."""
        return Scope(self.entry.workspace, self.entry.actor, THE_HOUSE.conversation, THE_HOUSE.turn)


async def request_of(journal: Journal, reference: str) -> RefundRequest | None:
    """None where nothing was asked for under this reference."""
    found = await journal.find(requested_key(reference))
    if found is None or not isinstance(found.entry.action, PaymentAsked) or found.entry.stripe is None:
        return None
    asked, payment, state = found.entry.action, found.entry.stripe.id, await refund_state(journal, reference)
    return RefundRequest(IntentId(reference), found.entry, asked.rail, payment, Money(asked.amount), state)


async def put_on_record(
    bridge: Bridge, scope: Scope, payment: str, amount: Money, left: Money, reference: IntentId
) -> None:
    """Ask for ``amount`` of what is ``left`` of a payment; again under the same ``reference`` it is the same request.

    Raises ``PaymentRefused`` where earlier requests leave less.
    """
    own = Scope(scope.workspace, scope.actor, THE_HOUSE.conversation, THE_HOUSE.turn)
    about = payment_object(bridge.rail, payment)
    wanted = Draft(PaymentAsked(bridge.rail, REQUEST, amount), own, requested_key(reference), stripe=about)
    earlier = await _requests_for(bridge.journal, payment)
    while not any(request.reference == reference for request in earlier):
        # What was begun has gone already.
        if sum(request.amount for request in earlier if request.state == "waiting") + amount > left:
            raise PaymentRefused("less is left of it", "asked_before")
        named = StripeObject(REQUEST, reference)
        number = Draft(PaymentOpened(bridge.rail, REQUEST), own, _number_key(payment, len(earlier)), stripe=named)
        try:
            await bridge.roadchain.append(wanted, number)
        except KeyReused:  # somebody else asked meanwhile: that one counts too
            known, earlier = len(earlier), await _requests_for(bridge.journal, payment)
            if len(earlier) == known:
                raise
        else:
            return
    await bridge.roadchain.append(wanted)


async def decline(roadchain: RoadChain, request: RefundRequest, *before: Draft) -> None:
    """Close a request, recorded with what goes ``before``. Raises ``KeyReused`` where it was decided on."""
    about = payment_object(request.rail, request.payment)
    closed = PaymentClosed(request.rail, REQUEST)
    await roadchain.append(*before, Draft(closed, request.scope, hold_key(request.reference), stripe=about))


def payment_object(rail: str, payment: str) -> StripeObject:
    """What a refund is of, as it stands in an entry."""
    return StripeObject("transfer" if rail == invoiced.RAIL else "payment_intent", payment)


async def _requests_for(journal: Journal, payment: str) -> list[RefundRequest]:
    """Of one payment, in the order in which they were asked for."""
    requests: list[RefundRequest] = []
    while (found := await journal.find(_number_key(payment, len(requests)))) is not None:
        request = None if found.entry.stripe is None else await request_of(journal, found.entry.stripe.id)
        if request is None:
            break
        requests.append(request)
    return requests


async def refund_state(journal: Journal, reference: str) -> RequestState:
    """What became of the refund of this reference."""
    decided = await journal.find(hold_key(reference))
    if decided is None:
        return "waiting"
    if not isinstance(decided.entry.action, RefundHeld):
        return "declined"
    if await journal.find(f"reversal/{decided.entry.seq}") is not None:
        return "refused"
    return "begun" if await journal.find(opened_key(reference)) is None else "sent"


def _number_key(payment: str, number: int) -> str:
    """Numbers one after another, so that those of a payment are found, and two cannot be asked for at the same time unseen."""
    return f"payment.request/{payment}/{number}"
