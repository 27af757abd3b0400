"""Stripe, through one client of its SDK. Nothing is cached, and nothing of a key or a link is logged.

Each request that makes something carries an idempotency key made of the intent, so that one that is sent again makes nothing new.
Stripe may forget a key after a day: what gives money away is therefore looked up first.
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from integrations.payments.base import (
    Amount,
    BalanceMove,
    Buyer,
    Cents,
    CustomerDeleted,
    CustomerShown,
    Event,
    Fact,
    InvoiceShown,
    Link,
    MeterReading,
    ObjectRef,
    PaymentMisconfigured,
    PaymentRefused,
    PaymentShown,
    PaymentUnavailable,
    PaymentUnknown,
    Rail,
    RefundAsked,
    Settlement,
    SubscriptionAsked,
    TopupAsked,
)
from integrations.payments.stripe_facts import (
    ENDED,
    WORKSPACE,
    balance_move,
    balance_of,
    buyer_of,
    customer_shown,
    dispute_state,
    fee_of_charge,
    id_of,
    invoice_state,
    metadata_of,
    payment_shown,
    payout_state,
    refund_state,
    settlement_of,
    subscription_ended,
    subscription_of_invoice,
    topup_of_intent,
    topup_of_session,
)
from integrations.payments.webhook_handlers import event_of, verified

if TYPE_CHECKING:
    from stripe import Charge, Invoice, InvoiceLineItem, PaymentIntent, StripeClient, Subscription
    from stripe.checkout import Session
    from stripe.params.checkout import (
        SessionCreateParams,
        SessionCreateParamsLineItem,
        SessionCreateParamsLineItemPriceData,
    )

RAIL = Rail("stripe")
RETRIES_MAX = 2
TIMEOUT_S = 20.0
PAGE = 100
LOOKS_MAX = 5
TOPUP_NAME = "CarPool credit"
LIVE_PREFIXES = ("sk_live_", "rk_live_")
FINALIZED_S = 7 * 86_400
"""So long before an invoice's payment its place may have been made: all that came are read at once, the others one by one."""

FEE = "latest_charge.balance_transaction"
"""What is asked for along with a payment: what it cost."""
SESSION_ID = "{CHECKOUT_SESSION_ID}"
"""Stripe puts the session's own there."""

_OVER = ("canceled", "incomplete_expired")
_RUNNING = ("active", "trialing", "past_due", "unpaid", "paused")

log = logging.getLogger("carpool.payments")


class StripePayments:
    """A ``PaymentMethod`` and ``Subscriptions``. Builds its client at the first call. ``return_url`` is where a page of
    Stripe's leads back to; ``taxes`` lets Stripe work taxes out."""

    def __init__(
        self,
        key: str,
        webhook_secrets: Sequence[str],
        base_url: str,
        return_url: str,
        *,
        taxes: bool = False,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._secrets = tuple(webhook_secrets)
        self._base_url = base_url
        self._return_url = return_url
        self._success_url = f"{return_url}{'&' if '?' in return_url else '?'}session_id={SESSION_ID}"
        self._taxes = taxes
        self._clock_s = clock_s
        self._built: StripeClient | None = None

    def __repr__(self) -> str:
        return "StripePayments(key=…)"

    @property
    def rail(self) -> Rail:
        return RAIL

    @property
    def live(self) -> bool:
        return self._key.startswith(LIVE_PREFIXES)

    async def create_topup(self, asked: TopupAsked) -> Link:
        metadata = metadata_of(asked.buyer, asked.cents)
        price: SessionCreateParamsLineItemPriceData = {
            "currency": "usd",
            "unit_amount": asked.cents,
            "product_data": {"name": TOPUP_NAME},
        }
        if self._taxes:  # credit is given for what was asked for, and a tax comes on top
            price["tax_behavior"] = "exclusive"
        params: SessionCreateParams = {
            "mode": "payment",
            "client_reference_id": asked.buyer.intent,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": price,
                }
            ],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "allow_promotion_codes": True,
            "automatic_tax": {"enabled": self._taxes},
            "success_url": self._success_url,
            "expires_at": asked.expires_s,
        }
        if asked.customer:
            params["customer"] = asked.customer
        return await self._session(self._taxed(params), asked.buyer)

    async def subscribe(self, asked: SubscriptionAsked) -> Link:
        metadata = metadata_of(asked.buyer)
        items: list[SessionCreateParamsLineItem] = [{"price": asked.price, "quantity": 1}]
        if asked.metered_price:
            items.append({"price": asked.metered_price})  # the meter says how many
        params: SessionCreateParams = {
            "mode": "subscription",
            "client_reference_id": asked.buyer.intent,
            "customer": asked.customer,
            "line_items": items,
            "metadata": metadata,
            "subscription_data": {"metadata": metadata},
            "automatic_tax": {"enabled": self._taxes},
            "success_url": self._success_url,
            "expires_at": asked.expires_s,
        }
        link = await self._session(self._taxed(params), asked.buyer)
        await self._close_others(asked.customer, link.about.id)
        return link

    async def create_customer(self, buyer: Buyer, after: str) -> ObjectRef:
        # Under the first one's key Stripe would give back the one that is deleted.
        key = f"carpool/{buyer.workspace}/customer{f'/{after}' if after else ''}"
        with mapped():
            customer = await self.client.v1.customers.create_async(
                {"metadata": {WORKSPACE: buyer.workspace}}, {"idempotency_key": key}
            )
        return ObjectRef("customer", customer.id)

    async def delete_customer(self, customer: str) -> None:
        customers = self.client.v1.customers
        with contextlib.suppress(PaymentUnknown), mapped():
            if getattr(await customers.retrieve_async(customer), "deleted", None):
                return
            await customers.delete_async(customer)  # Stripe takes no idempotency key here: gone is gone

    async def subscribed(self, customer: str) -> tuple[ObjectRef, ...]:
        with mapped():
            listed = await self.client.v1.subscriptions.list_async({"customer": customer, "limit": PAGE})
        return tuple(ObjectRef("subscription", item.id) for item in listed.data if item.status not in _OVER)

    async def running(self, customer: str) -> tuple[ObjectRef, ...]:
        with mapped():
            listed = await self.client.v1.subscriptions.list_async({"customer": customer, "limit": PAGE})
            found = [(item.created, item.id) async for item in listed.auto_paging_iter() if item.status in _RUNNING]
        return tuple(ObjectRef("subscription", name) for _, name in sorted(found))

    async def end(self, subscription: str) -> None:
        subscriptions = self.client.v1.subscriptions
        with mapped():
            if (await subscriptions.retrieve_async(subscription)).status not in _OVER:
                key = f"carpool/{subscription}/cancel"
                await subscriptions.cancel_async(subscription, None, {"idempotency_key": key})

    async def paid_with(self, invoice: str) -> tuple[tuple[str, Cents], ...]:
        with mapped():
            listed = await self.client.v1.invoice_payments.list_async(
                {"invoice": invoice, "status": "paid", "limit": PAGE}
            )
        paid = [(id_of(item.payment.payment_intent), item.amount_paid or 0) for item in listed.data]
        return tuple((payment, Cents(cents)) for payment, cents in paid if payment and cents)

    async def give_balance(self, buyer: Buyer, invoice: str, cents: Cents) -> str:
        with mapped():
            paid = await self.client.v1.invoices.retrieve_async(invoice)
            moves, customer = self.client.v1.customers.balance_transactions, id_of(paid.customer)
            listed = await moves.list_async(customer, {"limit": PAGE})
            async for made in listed.auto_paging_iter():
                own = buyer_of(made.metadata)
                if own is not None and own.intent == buyer.intent:
                    return made.id
            # At Stripe it is below 0 what a customer has.
            moved = await moves.create_async(
                customer,
                {"amount": -cents, "currency": paid.currency, "metadata": metadata_of(buyer)},
                {"idempotency_key": f"carpool/{buyer.intent}/balance"},
            )
        return moved.id

    async def canceled(self) -> AsyncIterator[ObjectRef]:
        with mapped():
            for status in ENDED:
                listed = await self.client.v1.subscriptions.list_async({"status": status, "limit": PAGE})
                async for subscription in listed.auto_paging_iter():
                    yield ObjectRef("subscription", subscription.id)

    async def portal(self, customer: str) -> Link:
        with mapped():
            made = await self.client.v1.billing_portal.sessions.create_async(
                {"customer": customer, "return_url": self._return_url}
            )
        return Link(ObjectRef("customer", customer), made.url, made.created)

    async def invoices(self, customer: str, count_max: int) -> tuple[InvoiceShown, ...]:
        with mapped():
            listed = await self.client.v1.invoices.list_async({"customer": customer, "limit": count_max})
        return tuple(
            InvoiceShown(
                item.number or item.id,
                item.status or "draft",
                Amount(Cents(item.total), item.currency),
                item.created,
                item.hosted_invoice_url or "",
            )
            for item in listed.data
        )

    async def payments(self, customer: str, count_max: int) -> tuple[PaymentShown, ...]:
        with mapped():
            listed = await self.client.v1.payment_intents.list_async(
                {"customer": customer, "limit": count_max, "expand": ["data.latest_charge"]}
            )
        return tuple(shown for item in listed.data if (shown := payment_shown(item)) is not None)

    async def customers(self) -> AsyncIterator[CustomerShown]:
        with mapped():
            listed = await self.client.v1.customers.list_async({"limit": PAGE})
            async for customer in listed.auto_paging_iter():
                yield customer_shown(customer)

    async def balance_of(self, customer: str) -> tuple[Amount, tuple[BalanceMove, ...]]:
        """Read before and after its invoices, until it is the same."""
        with mapped():
            balance = await self._balance_of(customer)
            for _ in range(LOOKS_MAX):
                before = balance
                listed = await self.client.v1.invoices.list_async({"customer": customer, "limit": PAGE})
                moves = [move async for item in listed.auto_paging_iter() if (move := balance_move(item)) is not None]
                balance = await self._balance_of(customer)
                if balance == before:
                    return balance, tuple(moves)
        raise PaymentUnavailable(f"the balance of {customer} changes all the time")

    async def _balance_of(self, customer: str) -> Amount:
        found = await self.client.v1.customers.retrieve_async(customer)
        if getattr(found, "deleted", None):
            raise PaymentUnknown(f"{customer} was deleted")
        return balance_of(found)

    async def read_meter(self, reading: MeterReading) -> None:
        with mapped():
            await self.client.v1.billing.meter_events.create_async(
                {
                    "event_name": reading.meter,
                    "identifier": reading.id,
                    "timestamp": reading.at_s,
                    "payload": {"stripe_customer_id": reading.customer, "value": str(reading.units)},
                },
                {"idempotency_key": f"carpool/{reading.id}/meter"},
            )

    async def metered(self, meter: str, customer: str, since_s: int, until_s: int) -> int:
        meters, found = self.client.v1.billing.meters, ""
        with mapped():
            listed = await meters.list_async({"status": "active", "limit": PAGE})
            async for item in listed.auto_paging_iter():
                found = item.id if item.event_name == meter else found
            if not found:
                raise PaymentUnknown(f"there is no meter {meter}")
            summaries = await meters.event_summaries.list_async(
                found, {"customer": customer, "start_time": since_s, "end_time": until_s, "limit": PAGE}
            )
            return sum([int(item.aggregated_value) async for item in summaries.auto_paging_iter()])

    async def refund(self, asked: RefundAsked) -> ObjectRef:
        with mapped():
            listed = await self.client.v1.refunds.list_async({"payment_intent": asked.payment, "limit": PAGE})
            for made in listed.data:
                own = buyer_of(made.metadata)
                if own is not None and own.intent == asked.buyer.intent:
                    return ObjectRef("refund", made.id)
            refund = await self.client.v1.refunds.create_async(
                {"payment_intent": asked.payment, "amount": asked.cents, "metadata": metadata_of(asked.buyer)},
                {"idempotency_key": f"carpool/{asked.buyer.intent}/refund"},
            )
        return ObjectRef("refund", refund.id)

    def verify_webhook(self, body: bytes, signature: str, now_s: float) -> Event:
        return verified(body, signature, self._secrets, live=self.live, now_s=now_s)

    async def fetch(self, about: ObjectRef) -> tuple[Fact, ...]:
        with mapped():
            return await self._facts(about)

    async def events(self, since_s: int) -> AsyncIterator[Event]:
        with mapped():
            listed = await self.client.v1.events.list_async({"created": {"gte": since_s}, "limit": PAGE})
            async for event in listed.auto_paging_iter():
                yield event_of(event.to_dict())

    async def settlements(self, since_s: int) -> AsyncIterator[Settlement]:
        with mapped():
            paid = await self.client.v1.invoice_payments.list_async(
                {"created": {"gte": max(0, since_s - FINALIZED_S)}, "status": "paid", "limit": PAGE}
            )
            invoices = {
                id_of(item.payment.payment_intent): id_of(item.invoice) async for item in paid.auto_paging_iter()
            }
            listed = await self.client.v1.balance_transactions.list_async(
                {"created": {"gte": since_s}, "limit": PAGE, "expand": ["data.source"]}
            )
            async for transaction in listed.auto_paging_iter():
                yield settlement_of(transaction, invoices)

    async def balance(self) -> tuple[Amount, ...]:
        with mapped():
            balance = await self.client.v1.balance.retrieve_async()
        held: dict[str, int] = {}
        parts = [(part.currency, part.amount) for part in balance.available]
        parts += [(part.currency, part.amount) for part in balance.pending]
        for currency, cents in parts:
            held[currency] = held.get(currency, 0) + cents
        return tuple(Amount(Cents(cents), currency) for currency, cents in sorted(held.items()))

    async def aclose(self) -> None:
        if self._built is not None:
            # The client has no way of its own to let go of its connections.
            await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK has no type for it
            self._built = None

    @property
    def client(self) -> "StripeClient":
        """The one client, built when it is first asked for."""
        if self._built is None:
            from stripe import AIOHTTPClient, StripeClient

            self._http = AIOHTTPClient(timeout=TIMEOUT_S)
            base = self._base_url.rstrip("/")
            self._built = StripeClient(
                self._key,
                base_addresses={"api": base, "meter_events": base} if base else None,
                max_network_retries=RETRIES_MAX,
                http_client=self._http,
            )
        return self._built

    def _taxed(self, params: "SessionCreateParams") -> "SessionCreateParams":
        """With taxes the page asks a customer for an address and keeps it: else Stripe refuses one that has none, as all that are
        made here (``customer_tax_location_invalid``)."""
        if self._taxes and params.get("customer"):
            params["customer_update"] = {"address": "auto"}
        return params

    async def _session(self, params: "SessionCreateParams", buyer: Buyer) -> Link:
        with mapped():
            session = await self.client.v1.checkout.sessions.create_async(
                params, {"idempotency_key": f"carpool/{buyer.intent}/session"}
            )
            if session.status != "open":  # the key gives the first answer; what became of it since, only a look tells
                raise PaymentRefused("this link has been used", session.status or "")
            session = await self.client.v1.checkout.sessions.retrieve_async(session.id)
        if session.status != "open" or session.url is None:
            raise PaymentRefused("this link has been used", session.status or "")
        return Link(ObjectRef("checkout.session", session.id), session.url, session.expires_at)

    async def _close_others(self, customer: str, kept: str) -> None:
        """A customer has one page open for a subscription: two that are paid would be two subscriptions."""
        sessions = self.client.v1.checkout.sessions
        with mapped():
            listed = await sessions.list_async({"customer": customer, "status": "open", "limit": PAGE})
            others = [item.id async for item in listed.auto_paging_iter() if item.mode == "subscription"]
        for other in others:
            if other == kept:
                continue
            try:
                with mapped():
                    await sessions.expire_async(other, None, {"idempotency_key": f"carpool/{other}/expire"})
            except PaymentRefused:
                with mapped():
                    left = await sessions.retrieve_async(other)
                if left.status == "complete":  # somebody has paid there, just now
                    raise PaymentRefused("there is a subscription already", "subscribed") from None

    async def _facts(self, about: ObjectRef) -> tuple[Fact, ...]:
        v1 = self.client.v1
        match about.kind:
            case "checkout.session":
                session = await v1.checkout.sessions.retrieve_async(about.id, {"expand": [f"payment_intent.{FEE}"]})
                return await self._of_session(session)
            case "payment_intent":
                return await self._of_payment(await self._payment(about.id))
            case "charge":
                beside = ["balance_transaction", f"payment_intent.{FEE}"]
                return await self._of_charge(await v1.charges.retrieve_async(about.id, {"expand": beside}))
            case "invoice":
                return await self._of_invoice(await v1.invoices.retrieve_async(about.id))
            case "subscription":
                subscription = await v1.subscriptions.retrieve_async(about.id)
                return await self._of_subscription(subscription)
            case "refund":
                refund = await v1.refunds.retrieve_async(about.id, {"expand": ["balance_transaction"]})
                sent = refund_state(refund, *await self._paid_by(id_of(refund.payment_intent)))
                return () if sent is None else (sent,)
            case "dispute":
                dispute = await v1.disputes.retrieve_async(about.id)
                return (dispute_state(dispute, *await self._paid_by(id_of(dispute.payment_intent))),)
            case "payout":
                payout = payout_state(await v1.payouts.retrieve_async(about.id))
                return () if payout is None else (payout,)
            case "customer":
                customer = await v1.customers.retrieve_async(about.id)
                return (CustomerDeleted(about),) if getattr(customer, "deleted", None) else ()
            case "transfer":
                return ()

    async def _payment(self, name: str) -> "PaymentIntent":
        return await self.client.v1.payment_intents.retrieve_async(name, {"expand": [FEE]})

    async def _expanded(self, payment: "str | PaymentIntent | None") -> "PaymentIntent | None":
        """A payment that was asked for along with another object."""
        return await self._payment(payment) if isinstance(payment, str) else payment

    async def _paid_by(self, payment: str) -> "tuple[PaymentIntent | None, Invoice | None]":
        """A payment, and the invoice that it paid: one that we asked for says itself whose it is, a subscription's does not."""
        if not payment:
            return None, None
        intent = await self._payment(payment)
        if buyer_of(intent.metadata) is not None:
            return intent, None
        invoice = await self._invoice_of(payment)
        return intent, await self.client.v1.invoices.retrieve_async(invoice) if invoice else None

    async def _invoice_of(self, payment: str) -> str:
        """Empty where the payment paid none."""
        paid = await self.client.v1.invoice_payments.list_async(
            {"payment": {"type": "payment_intent", "payment_intent": payment}, "limit": 1}
        )
        return id_of(paid.data[0].invoice) if paid.data else ""

    async def _of_session(self, session: "Session") -> tuple[Fact, ...]:
        if session.mode != "payment":
            # The money of a subscription comes with its invoice.
            invoice = id_of(session.invoice)
            return await self._facts(ObjectRef("invoice", invoice)) if invoice else ()
        intent = await self._expanded(session.payment_intent)
        return (topup_of_session(session, intent), *_fee(intent))

    async def _of_payment(self, intent: "PaymentIntent") -> tuple[Fact, ...]:
        v1 = self.client.v1
        sessions = await v1.checkout.sessions.list_async({"payment_intent": intent.id, "limit": 1})
        if sessions.data:
            return (topup_of_session(sessions.data[0], intent), *_fee(intent))
        invoice = await self._invoice_of(intent.id)
        paid = await self._facts(ObjectRef("invoice", invoice)) if invoice else ()
        # An invoice that somebody wrote says nothing of a plan: then it is a payment that nobody here asked for.
        return (*(paid or (topup_of_intent(intent),)), *_fee(intent))

    async def _of_charge(self, charge: "Charge") -> tuple[Fact, ...]:
        intent = await self._expanded(charge.payment_intent)
        if intent is not None and charge.status == "succeeded":
            return await self._of_payment(intent)
        fee = fee_of_charge(charge)
        return () if fee is None else (fee,)

    async def _of_invoice(self, invoice: "Invoice") -> tuple[Fact, ...]:
        lines: list[InvoiceLineItem] = list(invoice.lines.data)
        if invoice.lines.has_more:
            listed = await self.client.v1.invoices.line_items.list_async(invoice.id, {"limit": PAGE})
            lines = [line async for line in listed.auto_paging_iter()]
        subscription = subscription_of_invoice(invoice)
        earlier = await self._paid_invoices(subscription) if subscription else []
        state = invoice_state(invoice, lines, earlier)
        return () if state is None else (state,)

    async def _of_subscription(self, subscription: "Subscription") -> tuple[Fact, ...]:
        if subscription.status not in ENDED:
            return ()
        ended = subscription_ended(subscription, await self._paid_invoices(subscription.id), self._clock_s())
        return () if ended is None else (ended,)

    async def _paid_invoices(self, subscription: str) -> "list[Invoice]":
        listed = await self.client.v1.invoices.list_async(
            {"subscription": subscription, "status": "paid", "limit": PAGE}
        )
        return [invoice async for invoice in listed.auto_paging_iter()]


def _fee(intent: "PaymentIntent | None") -> tuple[Fact, ...]:
    charge = None if intent is None else intent.latest_charge
    fee = None if charge is None or isinstance(charge, str) else fee_of_charge(charge)
    return () if fee is None else (fee,)


@contextlib.contextmanager
def mapped() -> Iterator[None]:
    """Stripe's errors as ours. That it refuses the key is an alarm: it stands in the log as an error."""
    from integrations.payments.stripe_errors import CAUGHT, payment_error

    try:
        yield
    except CAUGHT as error:
        found = payment_error(error)
        if isinstance(found, PaymentMisconfigured):
            log.error(
                "Stripe refuses the key: payments wait until STRIPE_API_KEY is replaced and CarPool started again"
            )
        raise found from error
