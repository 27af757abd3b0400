"""What of a payment has gone back, and in which parts: credit, a plan's fee, and tax, each in the payment's proportion.

Each refund and each dispute takes the next step of its payment's own list (``payment.returned``), in the same commit as the entry
that moves the money. So two at once cannot both count on what is left, and all that goes back comes to the whole, to the unit.
The end of the period that a plan's payment was for takes a step, too: what goes back is either before or after it. So does what
of its fee was given back otherwise, when the plan was made smaller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from integrations.payments.base import ObjectRef
from ledger.credit_actions import CreditTopup, OveragePaid, PlanGranted
from ledger.entry import Draft, Scope
from ledger.payment_actions import PaymentReturned
from ledger.store import Recorded


class Reads(Protocol):
    """What is read of a bridge."""

    @property
    def rail(self) -> str: ...

    async def find(self, idem: str) -> Recorded | None: ...

    async def stands(self, about: ObjectRef, step: str) -> Recorded | None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """In uRC. ``tax`` and ``fee`` are parts of ``amount``; the rest was credit."""

    amount: int = 0
    tax: int = 0
    fee: int = 0

    @property
    def credit(self) -> int:
        return self.amount - self.tax - self.fee

    def __add__(self, other: "Parts") -> "Parts":
        return Parts(self.amount + other.amount, self.tax + other.tax, self.fee + other.fee)

    def __neg__(self) -> "Parts":
        return Parts(-self.amount, -self.tax, -self.fee)


NOTHING = Parts()
PERIOD_OVER = "recognised"
REWARDED = "rewarded"
REDUCED = "reduced"


@dataclass(frozen=True, slots=True)
class Returns:
    """``whole`` is what came in, ``taken`` what of it went back, by the refund or dispute. ``payment`` None: one that is no
    credit, or that nobody knows; all that goes back is then taken as credit. ``recognised``: the period is over, and what was
    left of its fee is earned. ``reduced`` is what of the fee was given back when the plan was made smaller."""

    rail: str
    payment: Recorded | None = None
    whole: Parts = NOTHING
    taken: Mapping[str, Parts] = field(default_factory=dict)
    steps: int = 0
    recognised: Recorded | None = None
    reduced: int = 0

    @property
    def gone(self) -> Parts:
        return sum(self.taken.values(), NOTHING)

    @property
    def left(self) -> int:
        return self.whole.amount - self.gone.amount

    @property
    def left_of_credit(self) -> int:
        return self.whole.credit - self.gone.credit

    @property
    def fee_left(self) -> int:
        return max(0, self.whole.fee - self.gone.fee - self.reduced)

    @property
    def fee_twice(self) -> int:
        """What of a fee that is disputed was given back beside: whoever loses the dispute loses it as credit."""
        return max(0, self.gone.fee + self.reduced - self.whole.fee)

    @property
    def of_plan(self) -> bool:
        return self.payment is not None and isinstance(self.payment.entry.action, PlanGranted | OveragePaid)

    def part_of(self, back: str, amount: int) -> Parts:
        """Of ``amount`` that goes back: the last of it takes what is left of each part. More than the whole can be on its way for
        a while, where the rail is about to refuse some of it."""
        if (taken := self.taken.get(back, NOTHING)) != NOTHING:
            return taken
        gone, whole = self.gone, self.whole
        if not whole.amount:
            return Parts(amount)
        until = gone.amount + amount
        tax = min(amount, max(0, whole.tax * until // whole.amount - gone.tax))
        fee = min(amount - tax, max(0, whole.fee * until // whole.amount - gone.fee), self.fee_left)
        return Parts(amount, tax, fee)

    def step(self, back: str, parts: Parts, scope: Scope) -> tuple[Draft, ...]:
        """The next one of the payment's list; none where there is no list, or it stands there as it is."""
        return () if parts == NOTHING or self.taken.get(back, NOTHING) == parts else self._next(back, parts, scope)

    def period_over(self, scope: Scope) -> tuple[Draft, ...]:
        """The step that nothing goes back by: whoever counted on the fee before it has to look again."""
        return self._next(PERIOD_OVER, NOTHING, scope)

    def rewarded(self, scope: Scope) -> tuple[Draft, ...]:
        """The step that nothing goes back by: what goes back at the same time finds the reward, or is found by it."""
        return self._next(REWARDED, NOTHING, scope)

    def made_smaller(self, fee: int, scope: Scope) -> tuple["Returns", tuple[Draft, ...]]:
        """So much of the fee is given back beside; and what stands then."""
        standing = replace(self, reduced=self.reduced + fee, steps=self.steps + 1)
        return standing, self._next(REDUCED, Parts(fee=fee), scope)

    def lost(self, dispute: str, fee: int, scope: Scope) -> tuple[Draft, ...]:
        """The step of a dispute that is over, and took ``fee`` of the fee: whoever counted on the rest has to look again."""
        taken = self.taken.get(dispute, NOTHING).fee
        return self._next(dispute, Parts(fee=fee - taken), scope) if taken else ()

    def _next(self, back: str, parts: Parts, scope: Scope) -> tuple[Draft, ...]:
        if self.payment is None:
            return ()
        action = PaymentReturned(self.rail, back, parts.amount, parts.tax, parts.fee)
        about = self.payment.entry.stripe
        return (Draft(action, scope, _key(self.payment, self.steps), stripe=about),)


async def returns_of(reads: Reads, payment: ObjectRef | None) -> Returns:
    paid = None if payment is None else await reads.stands(payment, "paid")
    if payment is None or paid is None:
        return Returns(reads.rail)
    whole = await _whole(reads, payment, paid)
    if whole == NOTHING:
        return Returns(reads.rail)
    taken: dict[str, Parts] = {}
    steps, reduced = 0, 0
    while (found := await reads.find(_key(paid, steps))) is not None:
        action = found.entry.action
        if isinstance(action, PaymentReturned) and action.back == REDUCED:
            reduced += action.fee
        elif isinstance(action, PaymentReturned):
            part = Parts(action.amount, action.tax, action.fee)
            taken[action.back] = taken.get(action.back, NOTHING) + part
        steps += 1
    # After the steps: if the period ends between the two, it takes the step that is wanted now.
    return Returns(reads.rail, paid, whole, taken, steps, await reads.stands(payment, "recognised"), reduced)


async def _whole(reads: Reads, payment: ObjectRef, paid: Recorded) -> Parts:
    match paid.entry.action:
        case CreditTopup(paid=credit, tax=tax):
            return Parts(credit + tax, tax)
        case PlanGranted(credit=credit, deferred=fee):
            overage = await reads.stands(payment, "overage")
            used = overage.entry.action.amount if overage and isinstance(overage.entry.action, OveragePaid) else 0
            return Parts(credit + used + fee, 0, fee) + await _tax(reads, payment)
        case OveragePaid(amount=used):
            return Parts(used) + await _tax(reads, payment)
        case _:
            return NOTHING


async def _tax(reads: Reads, invoice: ObjectRef) -> Parts:
    entry = await reads.stands(invoice, "tax")
    tax = entry.entry.action.tax if entry and isinstance(entry.entry.action, CreditTopup) else 0
    return Parts(tax, tax)


def _key(paid: Recorded, step: int) -> str:
    """The payment's own key, whose rail and object stand in it."""
    return f"payment.returned/{paid.entry.idem}/{step}"
