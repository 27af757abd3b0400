"""What our Stripe has as a sandbox has it: as strict as the service, and of the shapes that the SDK's own types give it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import stripe
from stripe import params

from tests.contract.payments.test_fake_stripe import KINDS, unknown_fields
from tests.fakes import stripe_params
from tests.fakes.stripe_account import Account, Refused, Thing
from tests.fakes.stripe_clocks import CLOCK
from tests.fakes.stripe_server import KEY, KNOWN, StripeServer, running_stripe
from tests.payments import NOW_S

SHAPES: dict[str, type[stripe.StripeObject]] = {
    **KINDS,
    "payment_method": stripe.PaymentMethod,
    CLOCK: stripe.test_helpers.TestClock,
}
BY_CARD = {"enabled": "true", "allow_redirects": "never"}


@dataclass
class Asked:
    """Requests as the SDK would send them."""

    server: StripeServer

    def __call__(self, method: str, path: str, **given: Any) -> Thing:
        return self.server._do(method, f"/v1/{path}", "&".join(_form(given)))[1]

    @property
    def account(self) -> Account:
        return self.server.account

    def customer(self, card: str = "pm_card_visa", **given: Any) -> str:
        customer: str = self("POST", "customers", **given)["id"]
        card = self("POST", f"payment_methods/{card}/attach", customer=customer)["id"]
        self("POST", f"customers/{customer}", invoice_settings={"default_payment_method": card})
        return customer

    def price(self, cents: int = 2000) -> str:
        given = {"currency": "usd", "unit_amount": cents, "recurring": {"interval": "month"}}
        price: str = self("POST", "prices", product_data={"name": "Plan"}, **given)["id"]
        return price

    def subscribe(self, customer: str, price: str, **given: Any) -> Thing:
        return self("POST", "subscriptions", customer=customer, items=[{"price": price, "quantity": 1}], **given)

    def paid(self, card: str = "pm_card_visa", **given: Any) -> Thing:
        asked = {"amount": 1000, "currency": "usd", "confirm": "true", "automatic_payment_methods": BY_CARD}
        return self("POST", "payment_intents", **{**asked, "payment_method": card, **given})

    def clock(self) -> str:
        clock: str = self("POST", "test_helpers/test_clocks", frozen_time=NOW_S)["id"]
        return clock

    def advance(self, clock: str, to_s: int) -> None:
        self("POST", f"test_helpers/test_clocks/{clock}/advance", frozen_time=to_s)
        self.account.pass_on()


def _form(given: Any, path: str = "") -> list[str]:
    if isinstance(given, dict):
        pairs = [(f"{path}[{name}]" if path else name, item) for name, item in given.items()]
    elif isinstance(given, list):
        pairs = [(f"{path}[{n}]", item) for n, item in enumerate(given)]
    else:
        return [f"{path}={given}"]
    return [text for name, item in pairs for text in _form(item, name)]


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    async with running_stripe(Account(NOW_S)) as server:
        yield Asked(server)


def test_all_that_may_be_asked_has_a_shape_that_can_be_read() -> None:
    for kind in KNOWN.values():
        assert stripe_params._hints(kind)


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"items": [{"price": "p"}], "customer": "c", "itemz": "1"}, "parameter_unknown", "itemz"),
        ({"items": [{"prize": "p"}], "customer": "c"}, "parameter_unknown", "items[0][prize]"),
        ({"items": [{"price": "p"}], "collection_method": "by_hand"}, "", "collection_method"),
        ({"items": [{"price_data": {"currency": "usd"}}]}, "parameter_missing", "items[0][price_data][product]"),
        ({"items": "p", "customer": "c"}, "", "items"),
        ({"items": [{"price": "p", "quantity": "two"}], "customer": "c"}, "parameter_invalid_integer", "items[0][quantity]"),
        ({"customer": "c", "cancel_at_period_end": "yes"}, "", "cancel_at_period_end"),
        ({"customer": "c", "metadata": "m"}, "", "metadata"),
        ({"customer": {"id": "c"}}, "", "customer"),
        ({"customer": "c", "api_key": "sk_test_another"}, "parameter_unknown", "api_key"),
    ],
)  # fmt: skip
def test_a_request_of_another_shape_than_the_sdks_is_refused(given: Thing, code: str, param: str) -> None:
    with pytest.raises(Refused) as refused:
        stripe_params.check(params.SubscriptionCreateParams, given)
    assert (refused.value.code, refused.value.param) == (code, param)


def no_page(asked: Asked) -> object:
    return asked.paid(automatic_payment_methods={"enabled": "true"})


def no_mandate(asked: Asked) -> object:
    intent = asked(
        "POST", "payment_intents", amount=500, currency="usd", allowed_payment_method_types=["us_bank_account"]
    )
    return asked("POST", f"payment_intents/{intent['id']}/confirm", payment_method="pm_usBankAccount_success")


def a_debit_by_card(asked: Asked) -> object:
    return asked.paid("pm_usBankAccount_success")


def paid_twice(asked: Asked) -> object:
    return asked("POST", f"payment_intents/{asked.paid()['id']}/confirm", payment_method="pm_card_visa")


def too_little(asked: Asked) -> object:
    return asked.paid(amount=49)


def anothers_card(asked: Asked) -> object:
    card = asked("POST", "payment_methods/pm_card_visa/attach", customer=asked.customer())["id"]
    return asked.paid(card, customer=asked.customer())


def anothers_default(asked: Asked) -> object:
    card = asked("POST", "payment_methods/pm_card_visa/attach", customer=asked.customer())["id"]
    return asked("POST", f"customers/{asked.customer()}", invoice_settings={"default_payment_method": card})


def no_card(asked: Asked) -> object:
    return asked.subscribe(asked("POST", "customers")["id"], asked.price())


def a_pending_change_with_more(asked: Asked) -> object:
    running = asked.subscribe(asked.customer(), asked.price())
    given = {"payment_behavior": "pending_if_incomplete", "cancel_at_period_end": "true"}
    return asked("POST", f"subscriptions/{running['id']}", **given)


def paid_invoice(asked: Asked) -> object:
    running = asked.subscribe(asked.customer(), asked.price())
    return asked("POST", f"invoices/{running['latest_invoice']}/pay")


def backwards(asked: Asked) -> object:
    return asked("POST", f"test_helpers/test_clocks/{asked.clock()}/advance", frozen_time=NOW_S)


def too_far(asked: Asked) -> object:
    clock = asked.clock()
    asked.advance(clock, NOW_S + 61 * 86_400)
    asked.subscribe(asked.customer(test_clock=clock), asked.price())
    return asked("POST", f"test_helpers/test_clocks/{clock}/advance", frozen_time=NOW_S + 122 * 86_400)


def under_way(asked: Asked) -> object:
    clock = asked.clock()
    asked("POST", f"test_helpers/test_clocks/{clock}/advance", frozen_time=NOW_S + 60)
    return asked("POST", f"test_helpers/test_clocks/{clock}/advance", frozen_time=NOW_S + 120)


def answered_twice(asked: Asked) -> object:
    dispute = asked.account.dispute(asked.paid()["id"])["id"]
    for _ in range(2):
        asked("POST", f"disputes/{dispute}", evidence={"uncategorized_text": "losing_evidence"})
    return None


def more_than_is_there(asked: Asked) -> object:
    asked.paid()  # pending
    asked.paid("pm_card_bypassPending")
    return asked("POST", "payouts", amount=942, currency="usd")


def the_same_lookup_key(asked: Asked) -> object:
    given = {"currency": "usd", "unit_amount": 5, "recurring": {"interval": "month"}, "product_data": {"name": "P"}}
    for _ in range(2):
        asked("POST", "prices", lookup_key="k", **given)
    return None


def no_meter(asked: Asked) -> object:
    recurring = {"interval": "month", "usage_type": "metered"}
    return asked("POST", "prices", currency="usd", unit_amount=1, recurring=recurring, product_data={"name": "P"})


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (no_page, "return_url"),
        (no_mandate, "mandate_data"),
        (a_debit_by_card, "not among those that are allowed"),
        (paid_twice, "status is succeeded"),
        (too_little, "at least"),
        (anothers_card, "belongs to another customer"),
        (anothers_default, "must be attached"),
        (no_card, "no attached payment source"),
        (a_pending_change_with_more, "pending_if_incomplete"),
        (paid_invoice, "Invoice is paid"),
        (backwards, "after the clock's"),
        (too_far, "two intervals"),
        (under_way, "underway"),
        (answered_twice, "already submitted"),
        (more_than_is_there, "insufficient funds"),
        (the_same_lookup_key, "already uses"),
        (no_meter, "has a meter"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_what_a_sandbox_refuses_is_refused(asked: Asked, does: Callable[[Asked], object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        does(asked)


@pytest.mark.parametrize("card", ["pm_card_chargeDeclined", "pm_card_chargeCustomerFail"])
async def test_a_card_that_is_declined_leaves_the_payment_open_for_another(asked: Asked, card: str) -> None:
    with pytest.raises(Refused) as refused:
        asked.paid(card)
    assert (refused.value.status, refused.value.code) == (402, "card_declined")
    (intent,) = asked.account.of("payment_intent")
    assert (intent["status"], asked.account.transactions) == ("requires_payment_method", [])
    assert (
        asked("POST", f"payment_intents/{intent['id']}/confirm", payment_method="pm_card_visa")["status"] == "succeeded"
    )


async def test_a_clock_lets_trials_renewals_and_cancellations_happen_at_their_own_time(asked: Asked) -> None:
    clock, price = asked.clock(), asked.price()
    customer = asked.customer(test_clock=clock)
    running = asked.subscribe(customer, price, trial_period_days=7)
    assert (running["status"], asked.account.of("invoice")[0]["total"]) == ("trialing", 0)
    week = NOW_S + 7 * 86_400
    asked.advance(clock, week)
    assert (running["status"], len(asked.account.of("invoice"))) == ("active", 1)  # the next one is a draft
    asked.advance(clock, week + 3600)
    renewal = asked.account.of("invoice")[0]
    assert (renewal["status"], renewal["total"], renewal["created"]) == ("paid", 2000, week + 3600)
    asked("POST", f"subscriptions/{running['id']}", cancel_at_period_end="true")
    end_s = running["items"]["data"][0]["current_period_end"]
    asked.advance(clock, end_s + 60)
    assert (running["status"], running["ended_at"], len(asked.account.of("invoice"))) == ("canceled", end_s, 2)
    assert asked.account.now_s == NOW_S  # for everybody else


async def test_each_field_of_a_sandbox_is_one_of_the_sdks_own_types(asked: Asked) -> None:
    clock, price, dear = asked.clock(), asked.price(), asked.price(6000)
    customer = asked.customer(test_clock=clock)
    running = asked.subscribe(customer, price)
    item = running["items"]["data"][0]["id"]
    failing = asked("POST", "payment_methods/pm_card_chargeCustomerFail/attach", customer=customer)["id"]
    change = {"items": [{"id": item, "price": dear}], "proration_behavior": "always_invoice"}
    asked("POST", f"subscriptions/{running['id']}", **change, payment_behavior="pending_if_incomplete")
    asked("POST", f"customers/{customer}", invoice_settings={"default_payment_method": failing})
    change["items"] = [{"id": item, "price": price}]
    asked.advance(clock, NOW_S + 86_400)
    asked("POST", f"subscriptions/{running['id']}", **change, payment_behavior="pending_if_incomplete")
    with pytest.raises(Refused):
        asked.paid("pm_card_chargeDeclined")
    asked.paid("pm_card_createDispute")
    asked.paid("pm_card_bypassPending")
    asked("POST", "payouts", amount=100, currency="usd")
    asked.account.pass_on()
    dispute = asked.account.of("dispute")[0]["id"]
    asked("POST", f"disputes/{dispute}", evidence={"uncategorized_text": "winning_evidence"}, submit="true")
    asked.account.pass_on()
    assert asked.account.get(dispute, "dispute")["status"] == "won"
    things = [*asked.account.things.values(), *asked.account.events]
    strange = {field for thing in things for field in unknown_fields(thing, SHAPES[thing["object"]], thing["object"])}
    assert strange == set()
    assert {thing["object"] for thing in things} >= {"payment_method", CLOCK, "payout", "dispute", "subscription"}


async def test_events_may_be_listed_late(asked: Asked) -> None:
    asked.server.lags = True
    asked.paid()
    listed = [[event["type"] for event in asked("GET", "events")["data"]] for _ in range(2)]
    assert (listed[0], len(listed[1])) == ([], 4)


async def test_what_happens_by_itself_happens_after_the_next_answer() -> None:
    async with running_stripe(Account(NOW_S)) as server:
        client = stripe.StripeClient(KEY, base_addresses={"api": server.base_url}, http_client=stripe.AIOHTTPClient())
        paid = await client.v1.payment_intents.create_async({
            "amount": 500, "currency": "usd", "confirm": True, "payment_method": "pm_card_createDispute",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        })  # fmt: skip
        first = await client.v1.disputes.list_async({"payment_intent": paid.id})
        second = await client.v1.disputes.list_async({"payment_intent": paid.id})
        assert (len(first.data), [dispute.status for dispute in second.data]) == (0, ["needs_response"])
        await client._requestor._client.close_async()  # type: ignore[union-attr]  # the client has no way of its own
