"""The second rail: bank transfers and invoices that are paid by hand. There is no service behind it: an operator says that the
money has come, and that is what is so.

It proves the port: credit bought this way is the same credit, through the same bridge, with no change in the ledger.
"""

from collections.abc import AsyncIterator

from integrations.payments.base import (
    Amount,
    Buyer,
    Cents,
    Event,
    Fact,
    IntentId,
    Link,
    ObjectRef,
    PaymentUnknown,
    Rail,
    RefundAsked,
    RefundState,
    Settlement,
    TopupAsked,
    TopupPaid,
    WebhookRefused,
)
from integrations.payments.records import Journal
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentAsked

RAIL = Rail("invoiced")


class InvoicedPayments:
    """A ``PaymentMethod``. ``reference`` is what stands on the bank's statement: it is the payment's name, and counts once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def rail(self) -> Rail:
        return RAIL

    async def create_topup(self, asked: TopupAsked) -> Link:
        """There is no page to go to: the reference to be paid with."""
        return Link(ObjectRef("transfer", asked.buyer.intent), "", asked.expires_s)

    async def refund(self, asked: RefundAsked) -> ObjectRef:
        """The operator sends it back; this names it."""
        return ObjectRef("refund", asked.buyer.intent)

    def verify_webhook(self, body: bytes, signature: str, now_s: float) -> Event:
        raise WebhookRefused("nothing is delivered for this rail", "off")

    async def fetch(self, about: ObjectRef) -> tuple[Fact, ...]:
        """What was asked for under this reference, as paid: it is looked at only once an operator has seen the money."""
        kind = {"transfer": "topup", "refund": "refund"}.get(about.kind)
        found = await self._journal.find(f"payment.asked/{about.id}")
        asked = None if found is None else found.entry.action
        if found is None or not isinstance(asked, PaymentAsked) or (asked.rail, asked.kind) != (RAIL, kind):
            raise PaymentUnknown(f"nothing was asked for as {about.id}")
        cents = Cents(asked.amount // URC_PER_RC)
        buyer = Buyer(found.entry.workspace, found.entry.actor, IntentId(about.id))
        if about.kind == "refund":
            return (RefundState(about, None, buyer, buyer.intent, "sent", Amount(cents)),)
        return (TopupPaid(about, buyer, cents, cents, Cents(0), Cents(0), cents, "usd"),)

    async def events(self, since_s: int) -> AsyncIterator[Event]:
        nothing: tuple[Event, ...] = ()
        for event in nothing:
            yield event

    async def settlements(self, since_s: int) -> AsyncIterator[Settlement]:
        nothing: tuple[Settlement, ...] = ()
        for settlement in nothing:
            yield settlement

    async def balance(self) -> tuple[Amount, ...]:
        return ()

    async def aclose(self) -> None:
        """Nothing is open."""
