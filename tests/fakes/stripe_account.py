"""A Stripe account of our own: its objects, what changes them, and the events that this makes. No network; its own clock.

Amounts, states and the order of events follow docs.stripe.com/api; that each field is one of the SDK's own types, a test checks.
What a person does at a page of Stripe's, and what time does, is a method here.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Thing: TypeAlias = dict[str, Any]

API_VERSION = "2026-10-28.endive"
MONTH_S = 30 * 86_400
DISPUTE_FEE = 1500
CHARGE_MIN = 50


class Refused(Exception):
    """As Stripe refuses it."""

    def __init__(self, status: int, type: str, message: str, code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.status, self.type, self.code, self.param = status, type, code, param


@dataclass
class Account:
    """``made`` is told of each event. ``never`` decides which events are not even made."""

    now_s: int
    things: dict[str, Thing] = field(default_factory=dict)
    events: list[Thing] = field(default_factory=list)
    transactions: list[Thing] = field(default_factory=list)
    invoice_payments: list[Thing] = field(default_factory=list)
    meter_events: list[Thing] = field(default_factory=list)
    drafts: list[tuple[str, int, int]] = field(default_factory=list)
    """The subscriptions whose period has ended, from when until when, and whose invoice is still a draft."""
    soon: list[Callable[[], object]] = field(default_factory=list)
    """What Stripe does a little later, by itself: after the next answer to a question."""
    cards: dict[str, str] = field(default_factory=dict)
    """The test payment method behind each charge, payment and attached payment method that has one."""
    dropped: set[str] = field(default_factory=set)
    """The identifiers of what a meter took and does not count."""
    live: bool = False
    fee_bps: int = 290
    fee_fixed: int = 30
    rates: dict[str, int] = field(default_factory=dict)
    """The currencies that are exchanged to dollars: of a hundred units, so many dollars."""
    made: Callable[[Thing], None] = lambda event: None
    never: Callable[[str], bool] = lambda kind: False
    _count: int = 0

    def new(self, prefix: str, object: str, **fields: Any) -> Thing:
        self._count += 1
        thing: Thing = {"id": f"{prefix}_{self._count:06d}", "object": object, "created": self.now_s, **fields}
        if object != "refund":  # the one that does not say
            thing["livemode"] = self.live
        self.things[thing["id"]] = thing
        return thing

    def get(self, id: str, object: str) -> Thing:
        thing = self.things.get(id)
        if thing is None or thing["object"] != object:
            raise Refused(404, "invalid_request_error", f"No such {object}: '{id}'", "resource_missing", "id")
        return thing

    def of(self, object: str) -> list[Thing]:
        """The newest first, as Stripe lists them."""
        return [thing for thing in reversed(self.things.values()) if thing["object"] == object]

    def emit(self, type: str, thing: Thing) -> None:
        self._count += 1
        if self.never(type):
            return
        event = {
            "id": f"evt_{self._count:06d}",
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now_s,
            "data": {"object": copy.deepcopy(thing)},
            "livemode": self.live,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type,
        }
        self.events.append(event)
        self.made(event)

    def pass_on(self) -> None:
        """A little later: what is to happen by itself happens."""
        due, self.soon[:] = list(self.soon), []
        for happen in due:
            happen()

    # What a request makes.

    def customer(self, metadata: Mapping[str, str], clock: str | None = None) -> Thing:
        customer = self.new(
            "cus", "customer", metadata=dict(metadata), email=None, name=None, balance=0, test_clock=clock,
            invoice_settings={"custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None},
        )  # fmt: skip
        self.emit("customer.created", customer)
        return customer

    def delete_customer(self, customer: str) -> None:
        """What it subscribes to ends at once, what was used is not invoiced, and only its id is left. Once: what is gone cannot
        be deleted (docs.stripe.com/api/customers/delete)."""
        gone = self.get(customer, "customer")
        if gone.get("deleted"):
            raise Refused(404, "invalid_request_error", f"No such customer: '{customer}'", "resource_missing", "id")
        for running in self.of("subscription"):
            if running["customer"] == customer and running["status"] != "canceled":
                self.cancel(running["id"], at_once=True, invoiced=False)
        self.things[customer] = {"id": customer, "object": "customer", "deleted": True}
        self.emit("customer.deleted", gone)

    def living(self, customer: str) -> None:
        if self.get(customer, "customer").get("deleted"):
            raise Refused(
                400, "invalid_request_error", f"No such customer: '{customer}'", "resource_missing", "customer"
            )

    def price(self, cents: int) -> Thing:
        return self.new(
            "price", "price", unit_amount=cents, currency="usd", active=True, type="recurring", billing_scheme="per_unit",
            product="prod_1", metadata={}, recurring={"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        )  # fmt: skip

    def session(self, params: Thing) -> Thing:
        mode, items = params["mode"], params["line_items"]
        subtotal = sum(self._unit(item) * int(item.get("quantity", 1)) for item in items)
        customer = params.get("customer")
        if customer is not None:
            self.living(customer)
        self._taxable(params, customer)
        expires_s = int(params.get("expires_at", self.now_s + 86_400))
        if not self.now_s + 1800 <= expires_s <= self.now_s + 86_400:
            raise Refused(400, "invalid_request_error", "expires_at is 30 minutes to 24 hours ahead", "", "expires_at")
        session = self.new(
            "cs_test", "checkout.session", mode=mode, status="open", payment_status="unpaid", customer=customer,
            client_reference_id=params.get("client_reference_id"), amount_subtotal=subtotal, amount_total=subtotal,
            total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}, currency="usd",
            metadata=dict(params.get("metadata", {})), payment_intent=None, invoice=None, subscription=None,
            expires_at=expires_s, success_url=params.get("success_url"), allow_promotion_codes=None,
            payment_method_types=["card"], custom_fields=[], shipping_options=[],
            automatic_tax={"enabled": False, "liability": None, "provider": None, "status": None},
            custom_text={"after_submit": None, "shipping_address": None, "submit": None, "terms_of_service_acceptance": None},
        )  # fmt: skip
        session["url"] = f"http://checkout.test/{session['id']}"
        self._plans[session["id"]] = params
        return session

    def _taxable(self, params: Thing, customer: str | None) -> None:
        """docs.stripe.com/tax/checkout: a customer needs an address, or the page has to keep the one that it asks for."""
        update = params.get("customer_update", {})
        if update and customer is None:
            raise Refused(400, "invalid_request_error", "customer_update needs a customer", "", "customer_update")
        if params.get("automatic_tax", {}).get("enabled") != "true" or customer is None:
            return
        if self.get(customer, "customer").get("address") is None and "auto" not in (
            update.get("address"),
            update.get("shipping"),
        ):
            raise Refused(
                400, "invalid_request_error", "Automatic tax calculation in Checkout requires a valid address on the Customer. "
                "Add a valid address to the Customer or set either `customer_update[address]` to 'auto' or "
                "`customer_update[shipping]` to 'auto' to save the address entered in Checkout to the Customer.",
                "customer_tax_location_invalid",
            )  # fmt: skip

    def refund(self, payment: str, cents: int | None, metadata: Mapping[str, str]) -> Thing:
        intent = self.get(payment, "payment_intent")
        charge = self.get(intent["latest_charge"], "charge")
        if any(item["charge"] == charge["id"] and item["status"] != "won" for item in self.of("dispute")):
            raise Refused(
                400, "invalid_request_error", f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                "charge_disputed",
            )  # fmt: skip
        left = charge["amount"] - charge["amount_refunded"]
        cents = left if cents is None else cents
        if cents > left or cents <= 0:
            raise Refused(
                400, "invalid_request_error", f"Refund amount ({cents}) is greater than unrefunded amount on charge ({left})",
                "charge_already_refunded" if left == 0 else "amount_too_large", "amount",
            )  # fmt: skip
        charge["amount_refunded"] += cents
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        refund = self.new(
            "re", "refund", amount=cents, charge=charge["id"], payment_intent=payment, currency=charge["currency"],
            status="succeeded", metadata=dict(metadata), reason=None, balance_transaction=None,
        )  # fmt: skip
        refund["balance_transaction"] = self.transaction("refund", refund, -cents)["id"]
        self.emit("refund.created", refund)
        self.emit("charge.refunded", charge)
        if self.cards.get(charge["id"]) == "pm_card_refundFail":
            self.soon.append(lambda: self.fail_refund(refund["id"]))
        return refund

    # What a person does at Stripe's pages, and what time does.

    def pay(
        self,
        session: str,
        *,
        discount: int = 0,
        tax: int = 0,
        pays: int | None = None,
        later: bool = False,
        trial: bool = False,
    ) -> Thing:
        """``pays`` is what comes in where that is not what was asked; ``later``: by a bank debit, which takes days;
        ``trial``: the first period of a subscription costs nothing."""
        paid = self.get(session, "checkout.session")
        if paid["status"] != "open":
            raise AssertionError(f"this page is {paid['status']}")
        subtotal = paid["amount_subtotal"] if pays is None else pays
        paid |= {"status": "complete", "amount_subtotal": subtotal, "amount_total": subtotal - discount + tax}
        paid["total_details"] = {"amount_discount": discount, "amount_shipping": 0, "amount_tax": tax}
        if paid["mode"] == "subscription":
            return self._subscribe(paid, trial)
        metadata = self._plans[session].get("payment_intent_data", {}).get("metadata", {})
        intent = self._intent(paid["amount_total"], metadata, paid["customer"])
        paid["payment_intent"] = intent["id"]
        if later:
            self.emit("checkout.session.completed", paid)
            return paid
        paid["payment_status"] = "paid"
        self._charge(intent)
        self.emit("checkout.session.completed", paid)
        return paid

    def debit_comes(self, session: str) -> None:
        paid = self.get(session, "checkout.session")
        self._charge(self.get(paid["payment_intent"], "payment_intent"))
        paid["payment_status"] = "paid"
        self.emit("checkout.session.async_payment_succeeded", paid)

    def debit_fails(self, session: str) -> None:
        paid = self.get(session, "checkout.session")
        intent = self.get(paid["payment_intent"], "payment_intent")
        intent |= {
            "status": "requires_payment_method",
            "last_payment_error": {"code": "insufficient_funds", "type": "card_error"},
        }
        self.emit("payment_intent.payment_failed", intent)
        self.emit("checkout.session.async_payment_failed", paid)

    def expire(self, session: str) -> None:
        left = self.get(session, "checkout.session")
        if left["status"] != "open":
            message = f'Only Checkout Sessions with a status in ["open"] can be expired; this one is {left["status"]}'
            raise Refused(400, "invalid_request_error", message)
        left |= {"status": "expired", "url": None}
        self.emit("checkout.session.expired", left)

    def foreign_payment(self, cents: int, currency: str = "usd") -> Thing:
        """Somebody pays past us: no metadata of ours."""
        intent = self._intent(cents, {}, None, currency)
        self._charge(intent)
        return intent

    def renew(self, subscription: str, *, paid: bool = True) -> Thing:
        """The period ends, and the next begins: its invoice is paid, or the card is declined."""
        self.end_period(subscription)
        return self.finalize(paid=paid)

    def end_period(self, subscription: str) -> None:
        """The next one begins. What the meters are told of the one before within an hour counts for its invoice."""
        items = self.get(subscription, "subscription")["items"]["data"]
        since_s, until_s = items[0]["current_period_start"], items[0]["current_period_end"]
        self.now_s = max(self.now_s, until_s)
        for each in items:
            each |= {"current_period_start": until_s, "current_period_end": until_s + MONTH_S}
        self.drafts.append((subscription, since_s, until_s))

    def finalize(self, *, paid: bool = True) -> Thing:
        """The first of the drafts becomes an invoice, which is paid, or the card is declined."""
        subscription, since_s, until_s = self.drafts.pop(0)
        running = self.get(subscription, "subscription")
        price = running["items"]["data"][0]["price"]
        lines = [(price["id"], price["unit_amount"]), *self._used(running, since_s, until_s)]
        invoice = self._invoice(running, "subscription_cycle", lines)
        if paid:
            self.pay_invoice(invoice["id"])
        else:
            self.decline(invoice["id"])
        return invoice

    def counted(self, meter: str, customer: str, since_s: int, until_s: int) -> int:
        """What a meter counts for a customer."""
        return sum(
            int(event["payload"]["value"])
            for event in self.meter_events
            if event["event_name"] == meter
            and event["payload"]["stripe_customer_id"] == customer
            and since_s <= event["timestamp"] < until_s
            and event["identifier"] not in self.dropped
        )

    def decline(self, invoice: str) -> None:
        due = self.get(invoice, "invoice")
        due |= {"attempt_count": due["attempt_count"] + 1, "attempted": True, "status": "open"}
        running = self.get(due["parent"]["subscription_details"]["subscription"], "subscription")
        running["status"] = "past_due"
        self.emit("invoice.payment_failed", due)
        self.emit("customer.subscription.updated", running)

    def give_up(self, subscription: str) -> None:
        """After the last retry: nothing more is tried, and nothing ends."""
        running = self.get(subscription, "subscription")
        running["status"] = "unpaid"
        self.emit("customer.subscription.updated", running)

    def pay_invoice(self, invoice: str) -> None:
        due = self.get(invoice, "invoice")
        if due["amount_due"]:
            self._pay_due(due)
        due |= {"status": "paid", "amount_paid": due["amount_due"], "amount_remaining": 0, "attempted": True}
        running = self.get(due["parent"]["subscription_details"]["subscription"], "subscription")
        running["status"] = "active"
        self.emit("invoice.paid", due)
        self.emit("invoice.payment_succeeded", due)
        self.emit("customer.subscription.updated", running)

    def _pay_due(self, due: Thing) -> None:
        invoice = due["id"]
        intent = self._intent(due["amount_due"], {}, due["customer"])
        if card := self.card_of(due["customer"]):
            self.cards[intent["id"]] = card
        self.invoice_payments.append(
            {
                "id": f"inpay_{intent['id']}", "object": "invoice_payment", "invoice": invoice, "status": "paid",
                "amount_paid": due["amount_due"], "amount_requested": due["amount_due"], "created": self.now_s,
                "currency": "usd", "is_default": True, "livemode": self.live,
                "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
                "status_transitions": {"canceled_at": None, "paid_at": self.now_s},
            }
        )  # fmt: skip
        self._charge(intent)

    def card_of(self, customer: str) -> str:
        """The test payment method that a customer's invoices are paid with; empty for none."""
        settings = self.things[customer].get("invoice_settings", {})
        return self.cards.get(settings.get("default_payment_method") or "", "")

    def upgrade(self, subscription: str, price: str) -> Thing:
        """In the middle of its period: half of the old price comes back, half of the new one is due."""
        running = self.get(subscription, "subscription")
        item, new = running["items"]["data"][0], self.get(price, "price")
        self.now_s = max(self.now_s, (item["current_period_start"] + item["current_period_end"]) // 2)
        old = item["price"]
        lines = [(old["id"], -(old["unit_amount"] // 2)), (price, new["unit_amount"] // 2)]
        item["price"] = new
        invoice = self._invoice(running, "subscription_update", lines)
        self.pay_invoice(invoice["id"])
        return invoice

    def cancel(self, subscription: str, *, at_once: bool = False, invoiced: bool = True) -> None:
        """At the end of the period, or at once; both to the end."""
        running = self.get(subscription, "subscription")
        if running["status"] == "canceled":
            raise Refused(
                404, "invalid_request_error", f"No such subscription: '{subscription}'", "resource_missing", "id"
            )
        running["cancel_at_period_end"] = not at_once
        if not at_once:
            self.emit("customer.subscription.updated", running)
            self.now_s = max(self.now_s, running["items"]["data"][0]["current_period_end"])
        running |= {"status": "canceled", "canceled_at": self.now_s, "ended_at": self.now_s}
        self.emit("customer.subscription.deleted", running)
        period = running["items"]["data"][0]
        used = self._used(running, period["current_period_start"], period["current_period_end"])
        if invoiced and used:  # what was used is invoiced all the same
            self.pay_invoice(self._invoice(running, "subscription_cycle", used)["id"])
            running["status"] = "canceled"

    def _used(self, running: Thing, since_s: int, until_s: int) -> list[tuple[str, int]]:
        """What the meters count in a period, at their prices."""
        lines: list[tuple[str, int]] = []
        for item in running["items"]["data"]:
            recurring = item["price"]["recurring"]
            if recurring["usage_type"] == "metered":
                meter = self.get(recurring["meter"], "billing.meter")["event_name"]
                units = self.counted(meter, running["customer"], since_s, until_s)
                lines += [(item["price"]["id"], units * item["price"]["unit_amount"])] if units else []
        return lines

    def fail_refund(self, refund: str) -> None:
        failed = self.get(refund, "refund")
        failed |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
        self.get(failed["charge"], "charge")["amount_refunded"] -= failed["amount"]
        failed["failure_balance_transaction"] = self.transaction("refund_failure", failed, failed["amount"])["id"]
        self.emit("refund.failed", failed)

    def dispute(self, payment: str, *, fee: int = DISPUTE_FEE) -> Thing:
        """Of what was not refunded."""
        intent = self.get(payment, "payment_intent")
        charge = self.get(intent["latest_charge"], "charge")
        cents, currency = charge["amount"] - charge["amount_refunded"], charge["currency"]
        dispute = self.new(
            "du", "dispute", amount=cents, charge=charge["id"], payment_intent=payment, currency=currency,
            status="needs_response", reason="fraudulent", balance_transactions=[], metadata={}, is_charge_refundable=False,
        )  # fmt: skip
        charge["disputed"] = True
        self.emit("charge.dispute.created", dispute)
        taken = self.transaction("adjustment", dispute, -cents, fee, "dispute")
        dispute["balance_transactions"].append(taken)
        self.emit("charge.dispute.funds_withdrawn", dispute)
        return dispute

    def counter_dispute(self, dispute: str, fee: int = DISPUTE_FEE) -> None:
        """Evidence is sent, which has a fee of its own."""
        countered = self.get(dispute, "dispute")
        countered["status"] = "under_review"
        countered["balance_transactions"].append(self.transaction("adjustment", countered, 0, fee, "fee"))
        self.emit("charge.dispute.updated", countered)

    def close_dispute(self, dispute: str, *, won: bool, fee_back: int = 0) -> None:
        """``fee_back`` comes with what was disputed, where it was won."""
        closed = self.get(dispute, "dispute")
        closed["status"] = "won" if won else "lost"
        if won:
            back = self.transaction("adjustment", closed, closed["amount"], -fee_back, "dispute_reversal")
            closed["balance_transactions"].append(back)
            self.emit("charge.dispute.funds_reinstated", closed)
        self.emit("charge.dispute.closed", closed)

    def payout(self, cents: int, currency: str = "usd", *, asked: bool = False) -> Thing:
        """One that comes by itself each day, or one that was ``asked`` for and is on its way."""
        payout = self.new(
            "po", "payout", amount=cents, currency=currency, status="pending" if asked else "paid", arrival_date=self.now_s,
            automatic=not asked, balance_transaction=None, method="standard", source_type="card", type="bank_account",
            metadata={},
        )  # fmt: skip
        payout["balance_transaction"] = self.transaction("payout", payout, -cents)["id"]
        if asked:
            self.emit("payout.created", payout)
            self.soon.append(lambda: self._pay_out(payout))
        else:
            self._pay_out(payout)
        return payout

    def _pay_out(self, payout: Thing) -> None:
        payout["status"] = "paid"
        self.emit("payout.paid", payout)

    def fail_payout(self, payout: str) -> None:
        failed = self.get(payout, "payout")
        failed |= {"status": "failed", "failure_code": "account_closed"}
        failed["failure_balance_transaction"] = self.transaction("payout_failure", failed, failed["amount"])["id"]
        self.emit("payout.failed", failed)

    def transaction(self, type: str, source: Thing | None, amount: int, fee: int = 0, category: str = "") -> Thing:
        """A movement of the balance. Without a ``source``: what Stripe does by itself, and tells of in no event."""
        self._count += 1
        currency = source["currency"] if source else "usd"
        rate = self.rates.get(currency)
        if rate is not None:
            amount, fee, currency = round(amount * rate / 100), round(fee * rate / 100), "usd"
        transaction: Thing = {
            "id": f"txn_{self._count:06d}", "object": "balance_transaction", "amount": amount, "fee": fee, "net": amount - fee,
            "currency": currency, "type": type, "source": source["id"] if source else None,
            "created": self.now_s, "status": "available",
            "available_on": self.now_s, "reporting_category": category or type, "fee_details": [],
            "exchange_rate": None if rate is None else rate / 100, "description": None,
        }  # fmt: skip
        self.transactions.append(transaction)
        self.things[transaction["id"]] = transaction
        return transaction

    @property
    def balance(self) -> Thing:
        """What test cards paid is pending for as long as a test lasts, but for one of them; all else is there at once."""
        parts: dict[str, dict[str, int]] = {"available": {}, "pending": {}}
        for item in self.transactions:
            card = self.cards.get(item["source"], "") if item["type"] == "charge" else ""
            sums = parts["available" if card in ("", "pm_card_bypassPending") else "pending"]
            sums[item["currency"]] = sums.get(item["currency"], 0) + item["net"]
        told = {
            name: [{"amount": cents, "currency": of, "source_types": {"card": cents}} for of, cents in sums.items()]
            for name, sums in parts.items()
        }
        return {"object": "balance", **told, "livemode": self.live}

    _plans: dict[str, Thing] = field(default_factory=dict)

    def _unit(self, item: Thing) -> int:
        if "price" in item:
            price = self.get(item["price"], "price")
            if price["recurring"]["usage_type"] == "licensed":
                if "quantity" not in item:
                    raise Refused(400, "invalid_request_error", "Quantity is required", "", "line_items")
                return int(price["unit_amount"])
            if "quantity" in item:
                raise Refused(400, "invalid_request_error", "A metered price has no quantity", "", "line_items")
            return 0
        cents = int(item["price_data"]["unit_amount"])
        if not 50 <= cents <= 99_999_999:
            code = "amount_too_small" if cents < 50 else "amount_too_large"
            raise Refused(400, "invalid_request_error", "The amount is too small or too large", code, "line_items")
        return cents

    def _intent(self, cents: int, metadata: Mapping[str, str], customer: str | None, currency: str = "usd") -> Thing:
        return self.new(
            "pi", "payment_intent", amount=cents, amount_received=0, amount_capturable=0, currency=currency, customer=customer,
            status="processing", metadata=dict(metadata), latest_charge=None, last_payment_error=None, capture_method="automatic",
            confirmation_method="automatic", payment_method_types=["card"],
        )  # fmt: skip

    def _charge(self, intent: Thing) -> None:
        cents = intent["amount"]
        charge = self.new(
            "ch", "charge", amount=cents, amount_captured=cents, amount_refunded=0, currency=intent["currency"],
            payment_intent=intent["id"], customer=intent["customer"], paid=True, captured=True, refunded=False, disputed=False,
            status="succeeded", metadata={}, balance_transaction=None,
        )  # fmt: skip
        intent |= {
            "status": "succeeded",
            "amount_received": cents,
            "latest_charge": charge["id"],
            "last_payment_error": None,
        }
        self.emit("charge.succeeded", charge)
        self.emit("payment_intent.succeeded", intent)
        fee = cents * self.fee_bps // 10_000 + self.fee_fixed
        charge["balance_transaction"] = self.transaction("charge", charge, cents, fee)["id"]
        self.emit("charge.updated", charge)
        card = self.cards.get(intent["id"])
        if card is not None:
            self.cards[charge["id"]] = card
        if card == "pm_card_createDispute":
            self.soon.append(lambda: self.dispute(intent["id"]))

    def _subscribe(self, session: Thing, trial: bool) -> Thing:
        params = self._plans[session["id"]]
        metadata = params.get("subscription_data", {}).get("metadata", {})
        running = self._begin(session["customer"], params["line_items"], metadata, MONTH_S)
        first = running["items"]["data"][0]["price"]
        invoice = self._invoice(running, "subscription_create", [(first["id"], 0 if trial else first["unit_amount"])])
        session |= {"payment_status": "paid", "subscription": running["id"], "invoice": invoice["id"]}
        self.emit("customer.subscription.created", running)
        if trial:
            invoice |= {"status": "paid", "attempted": True}
            self.emit("invoice.paid", invoice)
        else:
            self.pay_invoice(invoice["id"])
        self.emit("checkout.session.completed", session)
        return session

    def _begin(self, customer: str, lines: list[Thing], metadata: Mapping[str, str], period_s: int) -> Thing:
        """A subscription, of which nobody was told yet."""
        running = self.new(
            "sub", "subscription", customer=customer, status="active", cancel_at_period_end=False, canceled_at=None,
            ended_at=None, currency="usd", metadata=dict(metadata), start_date=self.now_s, billing_cycle_anchor=self.now_s,
            collection_method="charge_automatically", latest_invoice=None,
        )  # fmt: skip
        items: list[Thing] = []
        for n, line in enumerate(lines):
            quantity = {"quantity": int(line["quantity"])} if "quantity" in line else {}
            items.append({
                "id": f"si_{running['id']}_{n}", "object": "subscription_item", "created": self.now_s, "metadata": {},
                "price": self.get(line["price"], "price"), "current_period_start": self.now_s,
                "current_period_end": self.now_s + period_s, "subscription": running["id"], **quantity,
            })  # fmt: skip
        running["items"] = {"object": "list", "data": items, "has_more": False, "url": "/v1/subscription_items"}
        return running

    def _invoice(self, running: Thing, reason: str, lines: list[tuple[str, int]]) -> Thing:
        total = sum(cents for _, cents in lines)
        customer = self.things[running["customer"]]
        before = customer.get("balance", 0)
        due = total + before
        # Less than can be charged goes on the balance, as what is given back does.
        due, after = (0, due) if due < CHARGE_MIN else (due, 0)
        customer |= {"balance": after} if "balance" in customer else {}
        invoice = self.new(
            "in", "invoice", customer=running["customer"], status="open", billing_reason=reason, amount_due=due, amount_paid=0,
            amount_remaining=due, starting_balance=before, ending_balance=after,
            total=total, subtotal=total, currency="usd", attempt_count=0, attempted=False, number=None,
            hosted_invoice_url="http://invoice.test/1", metadata={}, total_taxes=[], total_discount_amounts=[], discounts=[],
            collection_method="charge_automatically", period_start=self.now_s, period_end=self.now_s,
            parent={
                "type": "subscription_details", "quote_details": None,
                "subscription_details": {"subscription": running["id"], "metadata": dict(running["metadata"])},
            },
        )  # fmt: skip
        data = [
            {
                "id": f"il_{invoice['id']}_{n}", "object": "line_item", "amount": cents, "subtotal": cents, "currency": "usd",
                "quantity": 1, "invoice": invoice["id"], "discount_amounts": [], "discounts": [], "discountable": True,
                "livemode": self.live, "metadata": {}, "taxes": [],
                "period": {"start": self.now_s, "end": running["items"]["data"][0]["current_period_end"]},
                "pricing": {"type": "price_details", "price_details": {"price": price, "product": "prod_1"}},
            }
            for n, (price, cents) in enumerate(lines)
        ]  # fmt: skip
        invoice["lines"] = {
            "object": "list",
            "data": data,
            "has_more": False,
            "url": f"/v1/invoices/{invoice['id']}/lines",
        }
        running["latest_invoice"] = invoice["id"]
        return invoice
