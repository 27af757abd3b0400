"""What went back of a payment before each payment had a list of that (``payment.returned``): it is put there, late.

An older entry names the refund or the dispute, and not its payment: the rail says which that is, or the request for it in chat.
Where neither does (a bank transfer that was sent back from the console), no more goes back than the workspace paid in that way.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from integrations.payments.base import DisputeState, ObjectRef, PaymentMethod, PaymentUnknown, RefundState
from integrations.payments.keys import KINDS_BY_STRIPE, requested_key, scope_in
from integrations.payments.records import STEPS_MAX, Records
from integrations.payments.returned import Parts, returns_of
from ledger.credit_actions import CreditTopup, DisputeWithdrawn, RefundedOutside, RefundSent
from ledger.errors import KeyReused
from ledger.store import Recorded

PAGE = 1000
_Back = RefundSent | RefundedOutside | DisputeWithdrawn


@dataclass(frozen=True, slots=True)
class _Older:
    """``name`` is that of the refund that we asked for, else the rail's own. ``payment`` is empty where nobody knows it;
    ``amount`` is 0 where it came back. ``bought``: it may be of a top-up."""

    name: str
    payment: str
    amount: int
    bought: bool = True


async def take_up_older(records: Records, method: PaymentMethod, payment: ObjectRef) -> int | None:
    """Put in a payment's list what older versions recorded of it. Gives how much may go back at the most, where something went
    back since and nobody knows of which payment; else None. Reads all that moved money since it was paid.

    Raises ``PaymentError``, ``LedgerError``, ``StoreFailed``.
    """
    paid = await records.stands(payment, "paid")
    if paid is None:
        return None
    unknown = False
    async for recorded, _ in _went_back(records, paid.entry.workspace, paid.entry.seq):
        older = await _told(records, method, recorded)
        if older.payment == payment.id and older.amount:
            await _put(records, payment, older, recorded)
        unknown = unknown or (not older.payment and older.amount > 0)
    return await _left_of_all(records, method, paid.entry.workspace) if unknown else None


async def _left_of_all(records: Records, method: PaymentMethod, workspace: str) -> int:
    left = 0
    async for recorded, came in _went_back(records, workspace, -1):
        older = None if came else await _told(records, method, recorded)
        left += came - (older.amount if older is not None and older.bought else 0)
    return left


async def _went_back(records: Records, workspace: str, after: int) -> AsyncIterator[tuple[Recorded, int]]:
    """The refunds and disputes of a workspace, and its top-ups with what came in."""
    while page := await records.journal.moved(after, PAGE):
        for recorded in page:
            action = recorded.entry.action
            if recorded.entry.workspace != workspace or getattr(action, "rail", "") != records.rail:
                continue
            if isinstance(action, CreditTopup) and action.paid:
                yield recorded, action.paid + action.tax
            elif isinstance(action, _Back):
                yield recorded, 0
        after = page[-1].entry.seq


async def _told(records: Records, method: PaymentMethod, recorded: Recorded) -> _Older:
    """What is so with it now."""
    stripe, action = recorded.entry.stripe, recorded.entry.action
    kind = None if stripe is None else KINDS_BY_STRIPE.get(stripe.object)
    if not isinstance(action, _Back) or stripe is None or kind is None:
        return _Older("", "", 0)
    about = ObjectRef(kind, stripe.id)
    if await records.stands(about, "failed") or await records.stands(about, "won"):
        return _Older(stripe.id, "", 0)
    try:
        facts = await method.fetch(about)
    except PaymentUnknown:
        facts = ()
    for fact in facts:
        if isinstance(fact, RefundState | DisputeState):
            return await _of(records, fact, action.amount)
    return _Older(stripe.id, "", action.amount)


async def _of(records: Records, fact: RefundState | DisputeState, amount: int) -> _Older:
    asked = fact.asked if isinstance(fact, RefundState) else None
    name = fact.about.id if asked is None else asked
    if fact.payment is not None:
        paid = await records.stands(fact.payment, "paid")
        return _Older(name, fact.payment.id, amount, paid is not None and isinstance(paid.entry.action, CreditTopup))
    requested = None if asked is None else await records.find(requested_key(asked))
    of = None if requested is None else requested.entry.stripe
    return _Older(name, "" if of is None else of.id, amount)


async def _put(records: Records, payment: ObjectRef, older: _Older, recorded: Recorded) -> None:
    """Nothing where it stands there. It was taken as credit, whole."""
    for tried in range(STEPS_MAX):
        returns = await returns_of(records, payment)
        if older.name in returns.taken:
            return
        try:
            await records.roadchain.append(*returns.step(older.name, Parts(older.amount), scope_in(recorded)))
            return
        except KeyReused:
            if tried == STEPS_MAX - 1:
                raise
