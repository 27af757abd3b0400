"""What the fake Stripe has as a sandbox has it: test payment methods, and all that can be done with them without a page.

As strict as Stripe is documented to be (docs.stripe.com/testing, docs.stripe.com/api: "Create a PaymentIntent", "Confirm a
PaymentIntent", "Attach a PaymentMethod", "Update a dispute", "Create a payout", "Create a price"). Written by hand after them.
What Stripe does by itself a moment later (a dispute, a refund that fails, a debit that comes) happens after the next answer.
"""

from collections.abc import Mapping

from stripe import params

from tests.fakes.stripe_account import CHARGE_MIN, Account, Refused, Thing

KNOWN: Mapping[tuple[str, str], type] = {
    ("POST", "/v1/payment_intents"): params.PaymentIntentCreateParams,
    ("POST", "/v1/payment_intents/{id}/confirm"): params.PaymentIntentConfirmParams,
    ("POST", "/v1/payment_methods/{id}/attach"): params.PaymentMethodAttachParams,
    ("POST", "/v1/customers/{id}"): params.CustomerUpdateParams,
    ("POST", "/v1/prices"): params.PriceCreateParams,
    ("GET", "/v1/prices"): params.PriceListParams,
    ("POST", "/v1/disputes/{id}"): params.DisputeUpdateParams,
    ("POST", "/v1/payouts"): params.PayoutCreateParams,
}
"""What may be asked, as the SDK has it."""

DECLINED_AT_ONCE = {"pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds"}
DECLINED = {*DECLINED_AT_ONCE, "pm_card_chargeCustomerFail"}
CARDS = {"pm_card_visa", "pm_card_bypassPending", "pm_card_createDispute", "pm_card_refundFail", *DECLINED}
DEBITS = {"pm_usBankAccount_success", "pm_usBankAccount_insufficientFunds"}


def answer(account: Account, method: str, path: str, given: Thing) -> Thing | None:
    """None for what is another's to answer. Raises ``Refused``."""
    match method, path.split("/"):
        case "POST", ["payment_intents"]:
            return _intent(account, given)
        case "POST", ["payment_intents", name, "confirm"]:
            return _confirm(account, account.get(name, "payment_intent"), given)
        case "POST", ["payment_methods", name, "attach"]:
            return _attach(account, name, given)
        case "POST", ["customers", name]:
            return _update_customer(account, name, given)
        case "POST", ["prices"]:
            return _price(account, given)
        case "GET", ["prices"]:
            keys = given.get("lookup_keys")
            found = [item for item in account.of("price") if keys is None or item.get("lookup_key") in keys]
            return {"object": "list", "data": found, "has_more": False, "url": "/v1/prices"}
        case "POST", ["disputes", name]:
            return _answer_dispute(account, account.get(name, "dispute"), given)
        case "POST", ["payouts"]:
            return _payout(account, given)
    return None


def decline(account: Account, intent: Thing) -> None:
    """A card was tried, and is not taken. The payment may be tried with another."""
    charge = account.new(
        "ch", "charge", amount=intent["amount"], amount_captured=0, amount_refunded=0, currency=intent["currency"],
        payment_intent=intent["id"], customer=intent["customer"], paid=False, captured=False, refunded=False, disputed=False,
        status="failed", metadata={}, balance_transaction=None, failure_code="card_declined",
        failure_message="Your card was declined.",
    )  # fmt: skip
    error = {"code": "card_declined", "decline_code": "generic_decline", "type": "card_error", "charge": charge["id"]}
    intent |= {"status": "requires_payment_method", "latest_charge": charge["id"], "last_payment_error": error}
    account.emit("charge.failed", charge)
    account.emit("payment_intent.payment_failed", intent)


def declined() -> Refused:
    return Refused(402, "card_error", "Your card was declined.", "card_declined")


def _intent(account: Account, given: Thing) -> Thing:
    cents, customer = int(given["amount"]), given.get("customer")
    if cents < CHARGE_MIN:
        raise _invalid("Amount must be at least $0.50 usd", "amount", "amount_too_small")
    if customer is not None:
        account.living(customer)
    allowed, automatic = given.get("allowed_payment_method_types"), given.get("automatic_payment_methods", {})
    intent = account._intent(cents, given.get("metadata", {}), customer, given["currency"])
    intent |= {
        "status": "requires_payment_method",
        "payment_method_types": allowed or ["card", "link"],
        "automatic_payment_methods": {
            "enabled": automatic.get("enabled", "true") == "true",
            "allow_redirects": automatic.get("allow_redirects", "always"),
        },
    }
    account.emit("payment_intent.created", intent)
    if given.get("confirm") != "true":
        return intent
    return _confirm(account, intent, given)


def _confirm(account: Account, intent: Thing, given: Thing) -> Thing:
    if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
        raise _invalid(
            f"This PaymentIntent's status is {intent['status']}", "payment_intent", "payment_intent_unexpected_state"
        )
    redirects = intent["automatic_payment_methods"]["allow_redirects"] != "never"
    if redirects and "card" in intent["payment_method_types"] and "return_url" not in given:
        raise _invalid("It takes payment methods that may redirect, so that it needs a return_url", "return_url")
    name = given.get("payment_method")
    if name is None:
        raise _invalid("You cannot confirm it without a payment method", "payment_method")
    token = _token(account, name, intent["customer"])
    if ("us_bank_account" if token in DEBITS else "card") not in intent["payment_method_types"]:
        raise _invalid("Its type is not among those that are allowed", "payment_method")
    account.cards[intent["id"]] = token
    if token in DEBITS:
        if "mandate_data" not in given:
            raise _invalid("A debit needs mandate_data", "mandate_data")
        intent["status"] = "processing"
        account.emit("payment_intent.processing", intent)
        account.soon.append(lambda: _debit(account, intent, comes=token == "pm_usBankAccount_success"))
    elif token in DECLINED:
        decline(account, intent)
        raise declined()
    else:
        account._charge(intent)
    return intent


def _debit(account: Account, intent: Thing, *, comes: bool) -> None:
    if comes:
        account._charge(intent)
    else:
        decline(account, intent)


def _token(account: Account, name: str, customer: str | None) -> str:
    if name in CARDS or name in DEBITS:
        return name
    attached = account.get(name, "payment_method")
    if attached["customer"] != customer:
        raise _invalid("The payment method belongs to another customer", "payment_method")
    return account.cards[name]


def _attach(account: Account, name: str, given: Thing) -> Thing:
    account.living(given.get("customer", ""))
    if name not in CARDS:
        raise Refused(
            404, "invalid_request_error", f"No such PaymentMethod: '{name}'", "resource_missing", "payment_method"
        )
    if name in DECLINED_AT_ONCE:
        raise declined()
    made = account.new("pm", "payment_method", type="card", customer=given["customer"], metadata={})
    account.cards[made["id"]] = name
    account.emit("payment_method.attached", made)
    return made


def _update_customer(account: Account, name: str, given: Thing) -> Thing:
    account.living(name)
    customer = account.get(name, "customer")
    default = given.get("invoice_settings", {}).get("default_payment_method")
    if default is not None:
        if account.get(default, "payment_method")["customer"] != name:
            raise _invalid("The payment method must be attached to the customer", "invoice_settings")
        customer["invoice_settings"]["default_payment_method"] = default
    account.emit("customer.updated", customer)
    return customer


def _price(account: Account, given: Thing) -> Thing:
    recurring, key = given.get("recurring"), given.get("lookup_key")
    if recurring is None or recurring["interval"] != "month":
        raise _invalid("Here prices are by the month", "recurring")
    if ("product" in given) == ("product_data" in given):
        raise _invalid("You must specify either product or product_data", "product")
    if key is not None and any(item.get("lookup_key") == key for item in account.of("price")):
        raise _invalid("A price already uses that lookup key", "lookup_key")
    metered = recurring.get("usage_type") == "metered"
    if metered != ("meter" in recurring):
        raise _invalid("A metered price, and no other, has a meter", "recurring[meter]")
    price = account.price(int(given["unit_amount"]))
    price["lookup_key"] = key
    if metered:
        price["recurring"] |= {"usage_type": "metered", "meter": account.get(recurring["meter"], "billing.meter")["id"]}
    return price


def _answer_dispute(account: Account, dispute: Thing, given: Thing) -> Thing:
    if dispute["status"] not in ("needs_response", "warning_needs_response"):
        raise _invalid("This dispute is already submitted or closed", "evidence")
    text = given.get("evidence", {}).get("uncategorized_text", "")
    if given.get("submit", "true") != "true":
        return dispute
    dispute["status"] = "under_review"
    account.emit("charge.dispute.updated", dispute)
    if text in ("winning_evidence", "losing_evidence"):
        account.soon.append(lambda: account.close_dispute(dispute["id"], won=text == "winning_evidence"))
    return dispute


def _payout(account: Account, given: Thing) -> Thing:
    cents = int(given["amount"])
    there = sum(part["amount"] for part in account.balance["available"] if part["currency"] == given["currency"])
    if cents <= 0 or cents > there:
        raise _invalid(
            "You have insufficient funds in your Stripe account for this transfer.", "", "balance_insufficient"
        )
    return account.payout(cents, asked=True)


def _invalid(message: str, param: str, code: str = "") -> Refused:
    return Refused(400, "invalid_request_error", message, code, param)
