"""What cannot be recorded is set aside, so that nothing else waits for it: it has a number, an alarm, and is tried again.

The first to set an object aside says so in the log, as an error. It waits until a later look at it succeeds; meanwhile
``carpool billing reconcile`` names it. Numbers are counted from 0, and never given twice, so that a start finds what waits
without reading the ledger.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from integrations.payments.base import (
    ObjectRef,
    PaymentError,
    PaymentMisconfigured,
    PaymentUnavailable,
)
from integrations.payments.keys import KINDS_BY_STRIPE, THE_HOUSE
from integrations.payments.roadchain_bridge import Bridge
from ledger.entry import Draft, StripeObject
from ledger.errors import KeyReused, LedgerError, StoreFailed
from ledger.payment_actions import PaymentHandled, PaymentOutcome, PaymentSetAside

UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an object of a shape that nobody expected leads to."""

FAILURES = (PaymentError, LedgerError, StoreFailed, *UNREADABLE)
Failure: TypeAlias = (
    PaymentError | LedgerError | StoreFailed | ArithmeticError | AttributeError | LookupError | TypeError | ValueError
)

log = logging.getLogger("carpool.payments")


@dataclass(frozen=True, slots=True)
class Aside:
    """An object that waits. ``cause`` is a code of the ledger's or the name of an error; never its text."""

    number: int
    about: ObjectRef
    cause: str


class SetAside:
    """The objects of one rail that wait. What is durable is on the ledger."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._first = 0
        """All below it have been taken up."""
        self._told: set[ObjectRef] = set()

    async def waiting(self) -> tuple[Aside, ...]:
        """The oldest first. Raises ``StoreFailed``."""
        found: list[Aside] = []
        number = self._first
        while (item := await self._of(number)) is not None:
            if await self._bridge.journal.find(self._taken_up_key(number)) is None:
                found.append(item)
            elif not found:
                self._first = number + 1
            number += 1
        return tuple(found)

    async def put(self, about: ObjectRef, error: Failure) -> None:
        """Set it aside, and raise the alarm where nobody has. Raises ``StoreFailed``."""
        cause = error.code.value if isinstance(error, LedgerError) else type(error).__name__
        waiting = await self.waiting()
        if any(item.about == about for item in waiting):
            return
        number = max((item.number for item in waiting), default=self._first - 1) + 1
        draft = PaymentSetAside(self._bridge.rail, cause)
        stripe = StripeObject(about.kind, about.id)
        while True:
            try:
                # What was taken up keeps its number, also where it is this object with this cause.
                if await self._bridge.journal.find(self._taken_up_key(number)) is not None:
                    number += 1
                    continue
                key = f"payment.set_aside/{self._bridge.rail}/{number}"
                (receipt,) = await self._bridge.roadchain.append(Draft(draft, THE_HOUSE, key, stripe=stripe))
            except KeyReused:  # another process was first, with this object or with another
                standing, over = await self._of(number), await self._bridge.journal.find(self._taken_up_key(number))
                if over is None and (standing is None or standing.about == about):
                    return
                number += 1
                continue
            except LedgerError:  # the ledger cannot even take that: once in the life of a process it is said
                fresh = about not in self._told
                self._told.add(about)
            else:
                fresh = receipt.fresh
            break
        if fresh:
            log.error(
                "a payment cannot be recorded and is set aside: `carpool billing reconcile` names it",
                extra={"object": about.kind, "id": about.id, "cause": cause},
            )

    async def taken_up(self, item: Aside, outcome: PaymentOutcome) -> None:
        """A look at it succeeded. Raises ``StoreFailed``."""
        handled, stripe = PaymentHandled(self._bridge.rail, outcome), StripeObject(item.about.kind, item.about.id)
        key = self._taken_up_key(item.number)
        with suppress(LedgerError):  # of two who see it at once, the first one says what came of it
            await self._bridge.roadchain.append(Draft(handled, THE_HOUSE, key, stripe=stripe))
        log.warning("a payment that was set aside is recorded", extra={"object": item.about.kind, "id": item.about.id})

    async def _of(self, number: int) -> Aside | None:
        found = await self._bridge.journal.find(f"payment.set_aside/{self._bridge.rail}/{number}")
        about = None if found is None else found.entry.stripe
        kind = None if about is None else KINDS_BY_STRIPE.get(about.object)
        if found is None or about is None or kind is None or not isinstance(found.entry.action, PaymentSetAside):
            return None
        return Aside(number, ObjectRef(kind, about.id), found.entry.action.cause)

    def _taken_up_key(self, number: int) -> str:
        return f"payment.taken_up/{self._bridge.rail}/{number}"


def passes(error: Failure) -> bool:
    """Whether it is nothing of the object's own: the rail or the store cannot be reached, or the key is refused."""
    return isinstance(error, PaymentUnavailable | PaymentMisconfigured | StoreFailed)
