"""What is so with Stripe's objects, as facts. Pure: what has to be looked up beside is an argument.

docs.stripe.com/api, in the version that the SDK is pinned to. Since 2025 a subscription's period stands on its items, and what an
invoice was paid with under its ``payments``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from integrations.payments.base import (
    RC_CURRENCY,
    Amount,
    BalanceMove,
    Buyer,
    Cents,
    CustomerShown,
    DisputeState,
    FeeTaken,
    IntentId,
    InvoiceLine,
    InvoicePaid,
    InvoiceState,
    MovedByRail,
    ObjectKind,
    ObjectRef,
    PaymentShown,
    PayoutState,
    RefundState,
    Settlement,
    SubscriptionEnded,
    TopupPaid,
    TopupState,
)
from ledger.pseudonyms import ActorId, WorkspaceId

if TYPE_CHECKING:
    from stripe import (
        BalanceTransaction,
        Charge,
        Customer,
        Dispute,
        Invoice,
        InvoiceLineItem,
        PaymentIntent,
        Payout,
        Refund,
        StripeObject,
        Subscription,
    )
    from stripe.checkout import Session

INTENT = "carpool_intent"
WORKSPACE = "carpool_workspace"
ACTOR = "carpool_actor"
CENTS = "carpool_cents"

UNPAID: Final = ("unpaid", "paused")
ENDED: Final = ("canceled", *UNPAID)
"""The states of a subscription that has nothing but the period that was paid for."""

_LOST = {"lost"}
_WON = {"won"}
_REFUND_FAILED = {"failed", "canceled"}
_FEES = {"stripe_fee", "stripe_fx_fee", "tax_fee"}
"""The kinds of movements that are what Stripe takes for itself: Billing, Radar, Tax, an exchange."""

_SOURCES: Mapping[str, ObjectKind] = {
    "charge": "charge",
    "refund": "refund",
    "dispute": "dispute",
    "payout": "payout",
}


def metadata_of(buyer: Buyer, cents: int | None = None) -> dict[str, str]:
    """What goes with a request, so that its object can be told from any other."""
    who = {INTENT: buyer.intent, WORKSPACE: buyer.workspace, ACTOR: buyer.actor}
    return who if cents is None else {**who, CENTS: str(cents)}


def buyer_of(metadata: "StripeObject | None") -> Buyer | None:
    """Only who has our key can write it. None where it is not one of ours."""
    given = _words(metadata)
    names = [given.get(name, "") for name in (WORKSPACE, ACTOR, INTENT)]
    return Buyer(WorkspaceId(names[0]), ActorId(names[1]), IntentId(names[2])) if all(names) else None


def topup_of_session(session: "Session", intent: "PaymentIntent | None") -> TopupPaid | TopupState:
    """Of one in mode ``payment``. ``intent`` is its payment, where there is one."""
    buyer = buyer_of(session.metadata)
    about = ObjectRef("checkout.session", session.id)
    if session.payment_status == "unpaid":
        if session.status == "open":  # a card that was declined on its page is seen there, and another may be tried
            return TopupState(about, buyer, "waiting")
        return TopupState(about, buyer, "expired" if session.status == "expired" else _waiting(intent))
    details = session.total_details
    paid = TopupPaid(
        about if intent is None else ObjectRef("payment_intent", intent.id),
        buyer,
        _asked(session.metadata),
        Cents(session.amount_subtotal or 0),
        Cents(0 if details is None else details.amount_discount),
        Cents(0 if details is None else details.amount_tax),
        Cents((session.amount_total or 0) if intent is None else intent.amount_received),
        session.currency or "",
    )
    return paid if intent is None else _as_settled(paid, intent)


def topup_of_intent(intent: "PaymentIntent") -> TopupPaid | TopupState:
    """Of a payment without a Checkout: nobody knows what it was for but its metadata."""
    buyer, about = buyer_of(intent.metadata), ObjectRef("payment_intent", intent.id)
    if intent.status != "succeeded":
        return TopupState(about, buyer, _waiting(intent))
    paid = Cents(intent.amount_received)
    topup = TopupPaid(about, buyer, _asked(intent.metadata), paid, Cents(0), Cents(0), paid, intent.currency)
    return _as_settled(topup, intent)


def _as_settled(paid: TopupPaid, intent: "PaymentIntent") -> TopupPaid | TopupState:
    """What was exchanged is not what was asked for, whatever that was."""
    charge = intent.latest_charge
    transaction = None if charge is None or isinstance(charge, str) else charge.balance_transaction
    moved = settled(transaction, Amount(paid.total, paid.currency))
    if moved is None:
        return TopupState(paid.about, paid.buyer, "waiting")
    if moved.currency == paid.currency:
        return paid
    return TopupPaid(paid.about, paid.buyer, None, moved.cents, Cents(0), Cents(0), moved.cents, moved.currency)


def settled(transaction: "BalanceTransaction | str | None", amount: Amount) -> Amount | None:
    """An amount as Stripe's balance has it: a currency without a bank account of its own is exchanged. The transaction has to
    have been asked for along with its object; None until it is known. US dollars are taken for what they are."""
    if amount.currency == RC_CURRENCY:
        return amount
    if transaction is None or isinstance(transaction, str):
        return None
    same = transaction.currency == amount.currency
    return amount if same else Amount(Cents(abs(transaction.amount)), transaction.currency)


def payment_shown(intent: "PaymentIntent") -> PaymentShown | None:
    """Of a top-up that was paid; its charge has to have been asked for along with it. None of anything else."""
    charge = intent.latest_charge
    if intent.status != "succeeded" or charge is None or isinstance(charge, str) or _asked(intent.metadata) is None:
        return None
    paid, refunded = Cents(intent.amount_received), Cents(charge.amount_refunded)
    return PaymentShown(intent.id, Amount(paid, intent.currency), Amount(refunded, intent.currency), intent.created)


def _waiting(intent: "PaymentIntent | None") -> Literal["waiting", "failed"]:
    if intent is None:
        return "waiting"
    failed = intent.status == "canceled" or (
        intent.status == "requires_payment_method" and intent.last_payment_error is not None
    )
    return "failed" if failed else "waiting"


def fee_of_charge(charge: "Charge") -> FeeTaken | None:
    """None until the balance transaction is known."""
    transaction = charge.balance_transaction
    if transaction is None or isinstance(transaction, str):
        return None
    return FeeTaken(transaction.id, Cents(transaction.fee), transaction.currency)


def invoice_state(
    invoice: "Invoice", lines: Sequence["InvoiceLineItem"], earlier: Sequence["Invoice"]
) -> InvoicePaid | InvoiceState | None:
    """``earlier``: what was paid for the same subscription. None where it is no subscription's."""
    about = ObjectRef("invoice", invoice.id)
    details = None if invoice.parent is None else invoice.parent.subscription_details
    if details is None:
        return None
    buyer = buyer_of(details.metadata)
    if invoice.status != "paid":
        declined = invoice.status in ("uncollectible", "void") or (
            invoice.status == "open" and invoice.attempt_count > 0
        )
        return InvoiceState(about, buyer, "failed" if declined else "waiting", invoice.hosted_invoice_url or "")
    before = sorted((item.created, item.id) for item in earlier if item.created < invoice.created)
    return InvoicePaid(
        about,
        id_of(details.subscription),
        buyer,
        invoice.billing_reason == "subscription_cycle",
        tuple(_line(line) for line in lines),
        Cents(sum(tax.amount for tax in invoice.total_taxes or () if tax.tax_behavior == "exclusive")),
        Cents(invoice.amount_paid),
        invoice.currency,
        tuple(item for _, item in before),
        _from_balance(invoice),
    )


def _from_balance(invoice: "Invoice") -> Cents:
    """Below 0 a customer has something there, above it they owe: docs.stripe.com/billing/customer/balance."""
    after: int | None = getattr(invoice, "ending_balance", None)
    return Cents(0 if after is None else after - invoice.starting_balance)


def balance_move(invoice: "Invoice") -> BalanceMove | None:
    """None where it moved nothing: a draft has not yet, and of one that is void what it took was given back."""
    cents = _from_balance(invoice)
    if not cents or invoice.status in ("draft", "void", None):
        return None
    state: Literal["paid", "open", "lost"] = "lost"
    if invoice.status in ("paid", "open"):
        state = "paid" if invoice.status == "paid" else "open"
    return BalanceMove(invoice.id, state, cents)


def customer_shown(customer: "Customer") -> CustomerShown:
    return CustomerShown(customer.id, _words(customer.metadata).get(WORKSPACE, ""), balance_of(customer))


def balance_of(customer: "Customer") -> Amount:
    """Stripe's is below 0 where the customer has something."""
    return Amount(Cents(-(getattr(customer, "balance", None) or 0)), getattr(customer, "currency", None) or RC_CURRENCY)


def _line(line: "InvoiceLineItem") -> InvoiceLine:
    details = None if line.pricing is None else line.pricing.price_details
    discount = sum(item.amount for item in line.discount_amounts or ())
    return InvoiceLine(
        "" if details is None else id_of(details.price),
        Cents(line.amount),
        Cents(line.amount - discount),
        line.period.end,
    )


def subscription_of_invoice(invoice: "Invoice") -> str:
    """Empty where it is no subscription's."""
    details = None if invoice.parent is None else invoice.parent.subscription_details
    return "" if details is None else id_of(details.subscription)


def subscription_ended(
    subscription: "Subscription", invoices: Sequence["Invoice"], now_s: float
) -> SubscriptionEnded | None:
    """``invoices`` are those that were paid. None while it runs, or while a period that was paid for does; and where nothing was
    ever paid of one that nobody pays."""
    unpaid = subscription.status in UNPAID
    if unpaid:  # its own period is one that nobody paid for
        ends_s = max((line.period.end for invoice in invoices for line in invoice.lines.data), default=0)
        over = bool(invoices) and now_s >= ends_s
    else:
        # ``items`` is a method's name elsewhere, and a field here.
        ends_s = max((item.current_period_end for item in subscription["items"].data), default=0)
        over = subscription.ended_at is not None and max(subscription.ended_at, now_s) >= ends_s
    if not over:
        return None
    paid = tuple(item for _, item in sorted((item.created, item.id) for item in invoices))
    about = ObjectRef("subscription", subscription.id)
    return SubscriptionEnded(about, buyer_of(subscription.metadata), paid, unpaid)


def paid_for(charge: str, payment: "PaymentIntent | None", invoice: "Invoice | None") -> tuple[ObjectRef, Buyer | None]:
    """What money came in as, and whose it was. ``invoice`` is the one that the payment paid: whose a subscription's is stands
    there alone, and there it was recorded."""
    details = None if invoice is None or invoice.parent is None else invoice.parent.subscription_details
    if invoice is not None and details is not None:
        return ObjectRef("invoice", invoice.id), buyer_of(details.metadata)
    if payment is None:
        return ObjectRef("charge", charge), None
    return ObjectRef("payment_intent", payment.id), buyer_of(payment.metadata)


def refund_state(
    refund: "Refund", payment: "PaymentIntent | None", invoice: "Invoice | None" = None
) -> RefundState | None:
    """None until it is known what it took from the balance."""
    amount = settled(refund.balance_transaction, Amount(Cents(refund.amount), refund.currency))
    if amount is None:
        return None
    own = _words(refund.metadata).get(INTENT)
    paid, buyer = paid_for(id_of(refund.charge), payment, invoice)
    return RefundState(
        ObjectRef("refund", refund.id),
        paid,
        buyer_of(refund.metadata) or buyer,
        None if own is None else IntentId(own),
        "failed" if refund.status in _REFUND_FAILED else "sent",
        amount,
    )


def dispute_state(
    dispute: "Dispute", payment: "PaymentIntent | None", invoice: "Invoice | None" = None
) -> DisputeState:
    paid, buyer = paid_for(id_of(dispute.charge), payment, invoice)
    moved = dispute.balance_transactions
    out = [item for item in moved if item.amount < 0]
    back = [item for item in moved if item.amount > 0]
    # One for countering it, and what comes back of either: movements of their own, or parts of the one that brings the amount.
    fees = [FeeTaken(item.id, Cents(item.fee), item.currency, True) for item in moved if item.amount >= 0 and item.fee]
    state: Literal["open", "won", "lost"] = (
        "lost" if dispute.status in _LOST else "won" if dispute.status in _WON else "open"
    )
    amount = Amount(Cents(dispute.amount), dispute.currency)
    return DisputeState(
        ObjectRef("dispute", dispute.id),
        paid,
        buyer,
        state,
        settled(out[0] if out else None, amount) or amount,
        bool(out),
        Cents(sum(item.fee for item in out)),
        bool(back),
        tuple(fees),
    )


def payout_state(payout: "Payout") -> PayoutState | None:
    if payout.status not in ("paid", "failed", "canceled"):
        return None
    state: Literal["paid", "failed"] = "paid" if payout.status == "paid" else "failed"
    return PayoutState(ObjectRef("payout", payout.id), state, Amount(Cents(payout.amount), payout.currency))


def settlement_of(transaction: "BalanceTransaction", invoices: Mapping[str, str]) -> Settlement:
    """Its source has to have been asked for along with it. ``invoices`` are those that were paid, by their payments."""
    source = transaction.source
    kind = None if source is None or isinstance(source, str) else _SOURCES.get(source.object)
    about = None if kind is None or source is None or isinstance(source, str) else ObjectRef(kind, str(source.id))
    payment = id_of(getattr(source, "payment_intent", None)) if kind == "charge" else ""
    alone: FeeTaken | MovedByRail | None = None
    if about is None and not isinstance(source, str):
        net = Cents(transaction.net)
        moved = MovedByRail(transaction.id, Amount(net, transaction.currency))
        fee = FeeTaken(transaction.id, Cents(-net), transaction.currency)
        alone = fee if transaction.type in _FEES else moved
    return Settlement(
        transaction.id,
        ObjectRef("payment_intent", payment) if payment else about,
        transaction.type,
        Cents(transaction.net),
        Cents(transaction.fee),
        transaction.currency,
        transaction.created,
        invoices.get(payment, ""),
        alone,
    )


def id_of(field: object) -> str:
    """Of a field that is an object's id, or the object itself where that was asked for."""
    return field if isinstance(field, str) else str(getattr(field, "id", "") or "")


def _asked(metadata: "StripeObject | None") -> Cents | None:
    text = _words(metadata).get(CENTS, "")
    return Cents(int(text)) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def _words(metadata: "StripeObject | None") -> Mapping[str, str]:
    given: Mapping[str, object] = {} if metadata is None else metadata.to_dict()
    return {name: value for name, value in given.items() if isinstance(value, str)}
