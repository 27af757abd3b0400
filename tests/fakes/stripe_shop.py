"""What a shop does in the fake Stripe: drafts of invoices with their lines, and coupons.

As strict as Stripe is documented to be (docs.stripe.com/api, "Create an invoice", "Create an invoice item", "Create a coupon",
"Delete a draft invoice", "Delete a coupon").
Written by hand after those pages.
"""

from collections.abc import Mapping
from typing import Any

from stripe import params

from tests.fakes.stripe_account import Account, Refused, Thing

KNOWN: Mapping[tuple[str, str], type] = {
    ("GET", "/v1/customers"): params.CustomerListParams,
    ("GET", "/v1/payment_intents"): params.PaymentIntentListParams,
    ("POST", "/v1/invoices"): params.InvoiceCreateParams,
    ("POST", "/v1/invoiceitems"): params.InvoiceItemCreateParams,
    ("POST", "/v1/coupons"): params.CouponCreateParams,
}
"""What may be asked, as the SDK has it."""

CURRENCIES = {"usd", "eur", "jpy"}
REASONS = {"duplicate", "fraudulent", "requested_by_customer"}


def answer(account: Account, method: str, path: str, given: Thing) -> Thing | None:
    """None for what is another's to answer. Raises ``Refused``."""
    _metadata(given)
    match method, path.split("/"):
        case "POST", ["invoices"]:
            return _invoice(account, given)
        case "POST", ["invoiceitems"]:
            return _item(account, given)
        case "POST", ["coupons"]:
            return _coupon(account, given)
        case "DELETE", ["coupons", name]:
            coupon = account.get(name, "coupon")
            for key in [key for key, thing in account.things.items() if thing is coupon]:
                del account.things[key]
            return {"id": name, "object": "coupon", "deleted": True}
        case "GET", ["invoiceitems"]:
            return _items(account, given)
        case "DELETE", ["invoiceitems", name]:
            account.get(name, "invoiceitem")
            del account.things[name]
            return {"id": name, "object": "invoiceitem", "deleted": True}
        case "DELETE", ["invoices", name]:
            return _delete_draft(account, name)
        case "POST", ["customers", name, "balance_transactions"]:
            return _balance_moved(account, name, given)
        case "GET", ["customers", name, "balance_transactions"]:
            found = [each for each in account.of("customer_balance_transaction") if each["customer"] == name]
            return {"object": "list", "data": found, "has_more": False, "url": f"/v1/{path}"}
        case "GET", ["coupons", name]:
            return account.get(name, "coupon")
        case "POST", ["refunds"] if given.get("reason", "duplicate") not in REASONS:
            raise _invalid("Invalid reason", "reason")
    return None


def _invalid(message: str, param: str, code: str = "") -> Refused:
    return Refused(400, "invalid_request_error", message, code, param)


def _metadata(given: Thing) -> None:
    metadata = given.get("metadata") or {}
    if len(metadata) > 50 or any(len(name) > 40 or len(value) > 500 for name, value in metadata.items()):
        raise _invalid("Metadata has at most 50 keys of 40 characters, with values of 500", "metadata")


def _currency(given: Thing) -> str:
    if given.get("currency") not in CURRENCIES:
        raise _invalid("Invalid currency", "currency")
    return str(given["currency"])


def _invoice(account: Account, given: Thing) -> Thing:
    customer = account.get(given.get("customer", ""), "customer")
    if given.get("collection_method") == "send_invoice" and not (given.get("days_until_due") or given.get("due_date")):
        raise _invalid("A due date is needed for send_invoice", "days_until_due")
    if given.get("pending_invoice_items_behavior", "exclude") not in ("exclude", "include"):
        raise _invalid("Invalid pending_invoice_items_behavior", "pending_invoice_items_behavior")
    lines: dict[str, Any] = {"object": "list", "data": [], "has_more": False}
    invoice = account.new(
        "in", "invoice", customer=customer["id"], status="draft", billing_reason="manual", amount_due=0, amount_paid=0,
        amount_remaining=0, total=0, subtotal=0, currency=_currency(given), attempt_count=0, attempted=False, number=None,
        hosted_invoice_url=None, metadata=dict(given.get("metadata", {})), total_taxes=[], total_discount_amounts=[],
        discounts=[], collection_method=given.get("collection_method", "charge_automatically"), period_start=account.now_s,
        period_end=account.now_s, parent=None, lines=lines, auto_advance=given.get("auto_advance") == "true",
    )  # fmt: skip
    lines["url"] = f"/v1/invoices/{invoice['id']}/lines"
    account.emit("invoice.created", invoice)
    return invoice


def written(account: Account, cents: int) -> Thing:
    """An operator writes an invoice in the Dashboard, for no subscription, and its customer pays it."""
    customer = account.customer({})["id"]
    asked = {"customer": customer, "collection_method": "send_invoice", "days_until_due": "30", "currency": "usd"}
    invoice = _invoice(account, asked)
    _item(account, {"customer": customer, "invoice": invoice["id"], "amount": str(cents), "currency": "usd"})
    invoice |= {"status": "open", "starting_balance": 0, "ending_balance": 0, "number": "N-0001"}
    account.emit("invoice.finalized", invoice)
    account._pay_due(invoice)
    invoice |= {"status": "paid", "amount_paid": cents, "amount_remaining": 0, "attempted": True}
    account.emit("invoice.paid", invoice)
    account.emit("invoice.payment_succeeded", invoice)
    return invoice


def _balance_moved(account: Account, name: str, given: Thing) -> Thing:
    """docs.stripe.com/api/customer_balance_transactions/create: below 0 the customer has more for later invoices."""
    account.living(name)
    customer = account.get(name, "customer")
    if strange := given.keys() - params.CustomerBalanceTransactionCreateParams.__annotations__.keys():
        raise _invalid(f"Received unknown parameter: {min(strange)}", min(strange), "parameter_unknown")
    customer["balance"] += int(given["amount"])
    return account.new(
        "cbtxn", "customer_balance_transaction", amount=int(given["amount"]), currency=_currency(given), customer=name,
        ending_balance=customer["balance"], invoice=None, credit_note=None, checkout_session=None, type="adjustment",
        description=given.get("description"), metadata=dict(given.get("metadata", {})),
    )  # fmt: skip


def _items(account: Account, given: Thing) -> Thing:
    found = [
        each
        for each in account.things.values()
        if each["object"] == "invoiceitem" and given.get("invoice") in (None, each["invoice"])
    ]
    return {"object": "list", "data": found, "has_more": False, "url": "/v1/invoiceitems"}


def _delete_draft(account: Account, name: str) -> Thing:
    if account.get(name, "invoice")["status"] != "draft":
        raise _invalid("You can only delete draft invoices", "invoice", "invoice_not_editable")
    del account.things[name]
    return {"id": name, "object": "invoice", "deleted": True}


def _item(account: Account, given: Thing) -> Thing:
    invoice = account.get(given.get("invoice", ""), "invoice")
    if invoice["status"] != "draft":
        raise _invalid("Only a draft takes another item", "invoice", "invoice_not_editable")
    if invoice["customer"] != given.get("customer"):
        raise _invalid("This invoice is another customer's", "customer")
    if invoice["currency"] != _currency(given):
        raise _invalid("The currency is not that of the invoice", "currency")
    cents, about = int(given["amount"]), given.get("description")
    item = account.new(
        "ii", "invoiceitem", customer=given["customer"], invoice=invoice["id"], amount=cents, currency=given["currency"],
        description=about, metadata={}, quantity=1, discountable=True, date=account.now_s,
    )  # fmt: skip
    del item["created"]  # what Stripe calls its date here
    line = {
        "id": f"il_{item['id']}", "object": "line_item", "amount": cents, "subtotal": cents, "currency": given["currency"],
        "description": about, "quantity": 1, "invoice": invoice["id"], "metadata": {}, "taxes": [], "livemode": account.live,
    }  # fmt: skip
    invoice["lines"]["data"].append(line)
    for name in ("total", "subtotal", "amount_due", "amount_remaining"):
        invoice[name] += cents
    return item


def _coupon(account: Account, given: Thing) -> Thing:
    name, duration = given.get("id", ""), given.get("duration", "once")
    if name in account.things:
        raise _invalid("Coupon already exists.", "id", "resource_already_exists")
    percent, cents = given.get("percent_off"), given.get("amount_off")
    if (percent is None) == (cents is None):
        raise _invalid("Must provide one of percent_off or amount_off.", "percent_off")
    if percent is not None and not 0 < float(percent) <= 100:
        raise _invalid("percent_off lies between 0 and 100", "percent_off")
    if cents is not None:
        _currency(given)
    if duration not in ("once", "repeating", "forever") or (duration == "repeating") != ("duration_in_months" in given):
        raise _invalid("Invalid duration", "duration")
    if len(given.get("name", "")) > 40:
        raise _invalid("Invalid name: at most 40 characters", "name")
    made = account.new(
        "co", "coupon", percent_off=None if percent is None else float(percent), amount_off=None if cents is None else int(cents),
        currency=given.get("currency"), duration=duration, duration_in_months=given.get("duration_in_months"),
        max_redemptions=int(given.get("max_redemptions", 0)) or None, name=given.get("name"), times_redeemed=0, valid=True,
        metadata=dict(given.get("metadata", {})),
    )  # fmt: skip
    if name:
        made["id"] = name
        account.things[name] = made
    return made
