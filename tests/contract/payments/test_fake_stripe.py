"""Our own Stripe is as strict as Stripe where it matters, and each field of it is one that the SDK's own types have."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import stripe
from stripe.checkout import Session

from integrations.payments.base import (
    Buyer,
    Cents,
    IntentId,
    MeterReading,
    ObjectRef,
    PaymentConflict,
    PaymentMisconfigured,
    PaymentRefused,
    PaymentUnavailable,
    PaymentUnknown,
    RefundAsked,
    SubscriptionAsked,
    TopupAsked,
)
from integrations.payments.stripe import StripePayments
from ledger.pseudonyms import ActorId, WorkspaceId
from tests.fakes.stripe_account import Account, Refused, Thing
from tests.fakes.stripe_meters import answer, meter, metered_price, told
from tests.fakes.stripe_server import KEY, SECRET, StripeServer, running_stripe
from tests.payments import NOW_S

KINDS: dict[str, type[stripe.StripeObject]] = {
    "balance_transaction": stripe.BalanceTransaction,
    "billing.meter": stripe.billing.Meter,
    "billing.meter_event": stripe.billing.MeterEvent,
    "billing.meter_event_summary": stripe.billing.MeterEventSummary,
    "charge": stripe.Charge,
    "checkout.session": Session,
    "customer": stripe.Customer,
    "customer_balance_transaction": stripe.CustomerBalanceTransaction,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
    "line_item": stripe.InvoiceLineItem,
    "payment_intent": stripe.PaymentIntent,
    "payout": stripe.Payout,
    "price": stripe.Price,
    "refund": stripe.Refund,
    "subscription": stripe.Subscription,
    "subscription_item": stripe.SubscriptionItem,
}


@pytest.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with running_stripe(Account(NOW_S)) as running:
        yield running


@pytest.fixture
async def method(server: StripeServer) -> AsyncIterator[StripePayments]:
    payments = StripePayments(KEY, [SECRET], server.base_url, "http://carpool.test/back")
    yield payments
    await payments.aclose()


def buyer(intent: str = "i-1") -> Buyer:
    return Buyer(WorkspaceId("w-1"), ActorId("a-1"), IntentId(intent))


def topup(cents: int = 1000, intent: str = "i-1") -> TopupAsked:
    return TopupAsked(buyer(intent), Cents(cents), "", NOW_S + 3600)


def unknown_fields(thing: Thing, kind: type[stripe.StripeObject], path: str) -> Iterator[str]:
    """Fields that the SDK's type has not, all the way down."""
    names: set[str] = set()
    for base in kind.__mro__:
        names |= inspect.get_annotations(base).keys()
    inner = {name: item for base in kind.__mro__ for name, item in base.__dict__.get("_inner_class_types", {}).items()}
    for name, value in thing.items():
        where = f"{path}.{name}"
        if name not in names:
            yield where
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and isinstance(item.get("object"), str) and item["object"] in KINDS:
                yield from unknown_fields(item, KINDS[item["object"]], where)
            elif isinstance(item, dict) and name in inner:
                yield from unknown_fields(item, inner[name], where)
            elif isinstance(item, dict) and item.get("object") == "list":
                for listed in item["data"]:
                    yield from unknown_fields(listed, KINDS[listed["object"]], where)


async def test_each_field_is_one_of_the_sdks_own_types(server: StripeServer, method: StripePayments) -> None:
    account = server.account
    customer = (await method.create_customer(buyer(), "")).id
    price = account.price(2000)["id"]
    one = account.pay((await method.create_topup(topup())).about.id, discount=100, tax=200)["payment_intent"]
    meter(account, "tokens")
    metered = metered_price(account, "tokens")["id"]
    asked = SubscriptionAsked(buyer("i-2"), price, customer, NOW_S + 3600, metered)
    subscription = account.pay((await method.subscribe(asked)).about.id)["subscription"]
    await method.read_meter(MeterReading("m-1", "tokens", customer, 7, NOW_S))
    invoice = account.renew(subscription, paid=False)["id"]
    await method.give_balance(buyer("i-3"), invoice, Cents(5))
    account.fail_refund(account.refund(one, 100, {})["id"])
    account.close_dispute(account.dispute(one)["id"], won=True)
    account.fail_payout(account.payout(100)["id"])
    whole = {"customer": customer, "start_time": str(NOW_S - NOW_S % 60), "end_time": str(NOW_S - NOW_S % 60 + 60)}
    path = f"billing/meters/{account.of('billing.meter')[0]['id']}/event_summaries"
    summaries = answer(account, "GET", path, whole)
    assert summaries is not None
    listed = [*account.events, *account.invoice_payments, *account.meter_events, *summaries["data"]]
    things = [*account.things.values(), *listed]
    assert {thing["object"] for thing in things} >= KINDS.keys() - {"line_item", "subscription_item"}
    strange = {field for thing in things for field in unknown_fields(thing, KINDS[thing["object"]], thing["object"])}
    assert strange == set()


async def test_a_field_that_the_sdk_has_not_is_noticed() -> None:
    charge: Thing = {"object": "charge", "outcome": {"kind": "x"}, "amout": 1}
    assert list(unknown_fields(charge, stripe.Charge, "charge")) == ["charge.outcome.kind", "charge.amout"]


async def test_the_same_key_gives_the_same_session_and_for_another_request_none(method: StripePayments) -> None:
    assert await method.create_topup(topup()) == await method.create_topup(topup())
    with pytest.raises(PaymentConflict):
        await method.create_topup(topup(2000))


async def test_a_key_is_forgotten_after_a_day(server: StripeServer, method: StripePayments) -> None:
    first = await method.create_topup(topup())
    server.account.now_s += 86_401
    later = TopupAsked(buyer(), Cents(1000), "", server.account.now_s + 3600)
    assert (await method.create_topup(later)).about != first.about


async def test_a_refund_whose_key_was_forgotten_is_looked_up_and_not_made_again(
    server: StripeServer, method: StripePayments
) -> None:
    payment = server.account.pay((await method.create_topup(topup())).about.id)["payment_intent"]
    first = await method.refund(RefundAsked(buyer("r-1"), payment, Cents(300)))
    server.account.now_s += 86_401
    assert await method.refund(RefundAsked(buyer("r-1"), payment, Cents(300))) == first
    assert len(server.account.of("refund")) == 1


async def test_no_more_than_was_paid_is_given_back(server: StripeServer, method: StripePayments) -> None:
    payment = server.account.pay((await method.create_topup(topup())).about.id)["payment_intent"]
    await method.refund(RefundAsked(buyer("r-1"), payment, Cents(700)))
    with pytest.raises(PaymentRefused) as refused:
        await method.refund(RefundAsked(buyer("r-2"), payment, Cents(301)))
    assert refused.value.code == "amount_too_large"


async def test_a_parameter_that_stripe_does_not_know_is_refused(server: StripeServer) -> None:
    client = stripe.StripeClient(KEY, base_addresses={"api": server.base_url}, http_client=stripe.AIOHTTPClient())
    wrong: Any = {"emial": "a@b.c"}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.customers.create_async(wrong)
    assert (refused.value.code, refused.value.param) == ("parameter_unknown", "emial")
    await client._requestor._client.close_async()  # type: ignore[union-attr]  # the client has no way of its own


async def test_another_key_is_refused_and_what_is_not_there_is_unknown(
    server: StripeServer, method: StripePayments
) -> None:
    stranger = StripePayments("sk_test_another", [], server.base_url, "http://carpool.test/back")
    with pytest.raises(PaymentMisconfigured):
        await stranger.balance()
    await stranger.aclose()
    with pytest.raises(PaymentUnknown):
        await method.fetch(ObjectRef("payment_intent", "pi_none"))
    with pytest.raises(PaymentUnknown):
        await method.portal("cus_of_somebody_else")


async def test_an_amount_below_stripes_least_is_refused(method: StripePayments) -> None:
    with pytest.raises(PaymentRefused) as refused:
        await method.create_topup(topup(49))
    assert refused.value.code == "amount_too_small"


async def test_a_reading_of_a_meter_counts_once(server: StripeServer, method: StripePayments) -> None:
    meter(server.account, "tokens")
    customer = (await method.create_customer(buyer(), "")).id
    reading = MeterReading("m-1", "tokens", customer, 7, NOW_S)
    await method.read_meter(reading)
    await method.read_meter(reading)
    assert [event["payload"]["value"] for event in server.account.meter_events] == ["7"]
    minute = NOW_S - NOW_S % 60
    assert await method.metered("tokens", customer, minute, minute + 60) == 7
    assert await method.metered("tokens", customer, minute - 60, minute) == 0
    with pytest.raises(PaymentUnknown):
        await method.metered("another", customer, minute, minute + 60)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event_name": "another"}, "No active meter"),
        ({"payload": {"stripe_customer_id": "cus_none", "value": "1"}}, "No such customer"),
        ({"payload": {"stripe_customer_id": "cus_000002", "value": "1.5"}}, "whole number"),
        ({"payload": {"stripe_customer_id": "cus_000002"}}, "whole number"),
        ({"timestamp": NOW_S - 35 * 86_400 - 1}, "35 days"),
        ({"timestamp": NOW_S + 301}, "in the future"),
        ({"identifier": "known"}, "already exists"),
    ],
)
def test_a_meter_refuses_what_stripe_refuses(change: Thing, said: str) -> None:
    account = Account(NOW_S)
    meter(account, "tokens")
    good: Thing = {
        "event_name": "tokens",
        "identifier": "new",
        "payload": {"stripe_customer_id": account.customer({})["id"], "value": "1"},
        "timestamp": NOW_S,
    }
    told(account, {**good, "identifier": "known"})
    with pytest.raises(Refused, match=said):
        told(account, {**good, **change})
    told(account, good)
    account.now_s += 86_401
    told(account, good)
    assert len(account.meter_events) == 3


async def test_a_metered_price_has_no_quantity(server: StripeServer) -> None:
    meter(server.account, "tokens")
    price = metered_price(server.account, "tokens")["id"]
    with pytest.raises(Refused):
        server.account.session({"mode": "subscription", "line_items": [{"price": price, "quantity": "1"}]})


async def test_the_portal_is_that_of_the_customer(server: StripeServer, method: StripePayments) -> None:
    customer = (await method.create_customer(buyer(), "")).id
    assert (await method.portal(customer)).url == "http://portal.test/1"


async def test_an_answer_that_breaks_off_is_as_if_stripe_were_not_there(
    server: StripeServer, method: StripePayments
) -> None:
    server.cut = True
    with pytest.raises(PaymentUnavailable):
        await method.create_topup(topup())
    link = await method.create_topup(topup())
    assert [session["id"] for session in server.account.of("checkout.session")] == [link.about.id]


async def test_a_hundred_requests_at_once_share_one_client(method: StripePayments) -> None:
    links = await asyncio.gather(*(method.create_topup(topup()) for _ in range(100)))
    assert len({link.about for link in links}) == 1


async def test_events_and_movements_are_read_page_by_page(server: StripeServer, method: StripePayments) -> None:
    for _ in range(120):
        server.account.foreign_payment(100)
    assert len([event async for event in method.events(NOW_S)]) == 360
    assert len([movement async for movement in method.settlements(NOW_S)]) == 120
    assert [(held.cents, held.currency) for held in await method.balance()] == [(120 * (100 - 32), "usd")]
