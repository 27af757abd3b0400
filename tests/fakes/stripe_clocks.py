"""Test clocks of the fake Stripe, and the subscriptions that are made without a page, whose months they let pass.

As strict as Stripe is documented to be (docs.stripe.com/billing/testing/test-clocks, docs.stripe.com/api: "Create a
subscription", "Update a subscription", "Pay an invoice"). Written by hand after them. A renewal's invoice is a draft for an hour.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from stripe import params
from stripe.params import test_helpers

from tests.fakes.stripe_account import MONTH_S, Account, Refused, Thing
from tests.fakes.stripe_cards import DECLINED, declined

KNOWN: Mapping[tuple[str, str], type] = {
    ("POST", "/v1/subscriptions"): params.SubscriptionCreateParams,
    ("POST", "/v1/subscriptions/{id}"): params.SubscriptionUpdateParams,
    ("POST", "/v1/invoices/{id}/pay"): params.InvoicePayParams,
    ("POST", "/v1/test_helpers/test_clocks"): test_helpers.TestClockCreateParams,
    ("POST", "/v1/test_helpers/test_clocks/{id}/advance"): test_helpers.TestClockAdvanceParams,
}
"""What may be asked, as the SDK has it."""

DRAFT_S = 3600
EMPTY_S_MAX = 730 * 86_400
"""How far a clock of no subscriptions goes at once."""

CLOCK = "test_helpers.test_clock"
UPDATES_PENDING = {"items", "proration_behavior", "payment_behavior", "proration_date", "expand"}
"""What may go with an update that waits for its payment."""


def answer(account: Account, method: str, path: str, given: Thing) -> Thing | None:
    """None for what is another's to answer. Raises ``Refused``."""
    match method, path.split("/"):
        case "POST", ["subscriptions"]:
            return _subscribe(account, given)
        case "POST", ["subscriptions", name]:
            return _update(account, account.get(name, "subscription"), given)
        case "POST", ["invoices", name, "pay"]:
            return _pay(account, account.get(name, "invoice"))
        case "POST", ["test_helpers", "test_clocks"]:
            return account.new(
                "clock", CLOCK, frozen_time=int(given["frozen_time"]), name=given.get("name"), status="ready",
                deletes_after=account.now_s + MONTH_S, status_details={},
            )  # fmt: skip
        case "GET", ["test_helpers", "test_clocks", name]:
            return account.get(name, CLOCK)
        case "POST", ["test_helpers", "test_clocks", name, "advance"]:
            return _advance(account, account.get(name, CLOCK), int(given["frozen_time"]))
        case "DELETE", ["test_helpers", "test_clocks", name]:
            return _delete(account, account.get(name, CLOCK))
    return None


@contextmanager
def at_clock_of(account: Account, customer: str) -> Iterator[None]:
    """What is made for a customer of a clock has that clock's time."""
    clock, now_s = account.things[customer].get("test_clock"), account.now_s
    if clock is not None:
        account.now_s = account.get(clock, CLOCK)["frozen_time"]
    try:
        yield
    finally:
        account.now_s = now_s


def _subscribe(account: Account, given: Thing) -> Thing:
    if "customer" not in given or "items" not in given:
        raise _invalid("Missing required param: customer or items.", "customer", "parameter_missing")
    customer, trial_s = given["customer"], int(given.get("trial_period_days", 0)) * 86_400
    account.living(customer)
    if not account.card_of(customer):
        raise _invalid(
            "This customer has no attached payment source or default payment method.", "", "resource_missing"
        )
    for item in given["items"]:
        account._unit(item)
    fails = account.card_of(customer) in DECLINED and not trial_s
    if fails and given.get("payment_behavior") == "error_if_incomplete":
        raise declined()
    with at_clock_of(account, customer):
        running = account._begin(customer, given["items"], given.get("metadata", {}), trial_s or MONTH_S)
        running["status"] = "trialing" if trial_s else "incomplete"
        account.emit("customer.subscription.created", running)
        price = running["items"]["data"][0]["price"]
        invoice = account._invoice(
            running, "subscription_create", [(price["id"], 0 if trial_s else price["unit_amount"])]
        )
        if fails:
            account.decline(invoice["id"])
            running["status"] = "incomplete"
            return running
        account.pay_invoice(invoice["id"])
        running["status"] = "trialing" if trial_s else "active"
    return running


def _update(account: Account, running: Thing, given: Thing) -> Thing:
    if running["status"] in ("canceled", "incomplete_expired"):
        raise _invalid("A canceled subscription can only update its cancellation_details and metadata.", "")
    if given.get("payment_behavior") == "pending_if_incomplete" and given.keys() - UPDATES_PENDING:
        raise _invalid(
            "It does not go with payment_behavior=pending_if_incomplete", min(given.keys() - UPDATES_PENDING)
        )
    with at_clock_of(account, running["customer"]):
        if "cancel_at_period_end" in given:
            running["cancel_at_period_end"] = given["cancel_at_period_end"] == "true"
            account.emit("customer.subscription.updated", running)
        if "items" in given:
            _change_price(account, running, given)
    return running


def _change_price(account: Account, running: Thing, given: Thing) -> None:
    """At once, and what is left of the period is invoiced: docs.stripe.com/billing/subscriptions/prorations."""
    (change,) = given["items"]
    item = next((item for item in running["items"]["data"] if item["id"] == change.get("id")), None)
    if item is None or given.get("proration_behavior") != "always_invoice":
        raise _invalid("Here an item changes its price, and is invoiced at once", "items")
    old, new = item["price"], account.get(change["price"], "price")
    start_s, end_s = item["current_period_start"], item["current_period_end"]
    left_s = end_s - int(given.get("proration_date", account.now_s))
    if not 0 <= left_s <= end_s - start_s:
        raise _invalid("Cannot specify proration date outside of current subscription period.", "proration_date")
    lines = [
        (old["id"], -round(old["unit_amount"] * left_s / (end_s - start_s))),
        (new["id"], round(new["unit_amount"] * left_s / (end_s - start_s))),
    ]
    invoice = account._invoice(running, "subscription_update", lines)
    if account.card_of(running["customer"]) not in DECLINED:
        item["price"] = new
        account.pay_invoice(invoice["id"])
        return
    if given.get("payment_behavior") == "error_if_incomplete":
        raise declined()
    invoice |= {"attempt_count": 1, "attempted": True}
    account.emit("invoice.payment_failed", invoice)
    if given.get("payment_behavior") == "pending_if_incomplete":
        running["pending_update"] = {
            "billing_cycle_anchor": None, "expires_at": account.now_s + 23 * 3600, "subscription_items": [{**item, "price": new}],
            "trial_end": None, "trial_from_plan": False,
        }  # fmt: skip
    else:
        item["price"] = new
        running["status"] = "past_due"
    account.emit("customer.subscription.updated", running)


def _pay(account: Account, invoice: Thing) -> Thing:
    if invoice["status"] != "open":
        raise _invalid(f"Invoice is {invoice['status']}", "", "invoice_not_open")
    with at_clock_of(account, invoice["customer"]):
        if account.card_of(invoice["customer"]) in DECLINED:
            account.decline(invoice["id"])
            raise declined()
        account.pay_invoice(invoice["id"])
    return invoice


def _advance(account: Account, clock: Thing, to_s: int) -> Thing:
    if clock["status"] != "ready":
        raise Refused(429, "invalid_request_error", "Test clock advancement underway", "test_clock_advancing")
    if to_s <= clock["frozen_time"]:
        raise _invalid("The time must be after the clock's", "frozen_time")
    subscribed = any(
        account.things[item["customer"]].get("test_clock") == clock["id"] for item in account.of("subscription")
    )
    if to_s > clock["frozen_time"] + (2 * MONTH_S if subscribed else EMPTY_S_MAX):
        raise _invalid("At most two intervals of the shortest subscription at once, or two years", "frozen_time")
    clock["status"] = "advancing"
    account.soon.append(lambda: _arrive(account, clock, to_s))
    return clock


def _arrive(account: Account, clock: Thing, to_s: int) -> None:
    now_s = account.now_s
    try:
        while (step := _next(account, clock, to_s)) is not None:
            _happen(account, clock, *step)
    finally:
        account.now_s = now_s
    clock |= {"frozen_time": to_s, "status": "ready"}
    account.emit("test_helpers.test_clock.ready", clock)


def _next(account: Account, clock: Thing, to_s: int) -> tuple[int, str, bool] | None:
    """When what happens next to which subscription, and whether a draft becomes an invoice."""
    due: list[tuple[int, str, bool]] = []
    for running in account.of("subscription"):
        mine = account.things[running["customer"]].get("test_clock") == clock["id"]
        if mine and running["status"] in ("active", "trialing", "past_due"):
            due.append((running["items"]["data"][0]["current_period_end"], running["id"], False))
            due += [(end_s + DRAFT_S, name, True) for name, _, end_s in account.drafts if name == running["id"]]
    due = [step for step in due if step[0] <= to_s]
    return min(due, default=None)


def _happen(account: Account, clock: Thing, at_s: int, name: str, finalized: bool) -> None:
    running = account.get(name, "subscription")
    account.now_s = clock["frozen_time"] = at_s
    if finalized:
        draft = next(draft for draft in account.drafts if draft[0] == name)
        account.drafts.remove(draft)
        account.drafts.insert(0, draft)
        account.finalize(paid=account.card_of(running["customer"]) not in DECLINED)
    elif running["cancel_at_period_end"]:
        account.cancel(name)
    else:
        running["status"] = "active" if running["status"] == "trialing" else running["status"]
        account.end_period(name)
        account.emit("customer.subscription.updated", running)


def _delete(account: Account, clock: Thing) -> Thing:
    for customer in account.of("customer"):
        if customer.get("test_clock") == clock["id"]:
            account.delete_customer(customer["id"])
    del account.things[clock["id"]]
    return {"id": clock["id"], "object": CLOCK, "deleted": True}


def _invalid(message: str, param: str, code: str = "") -> Refused:
    return Refused(400, "invalid_request_error", message, code, param)
