"""Other people's Stripes: what they agree with us about. localstripe knows customers, cards, subscriptions by plans and signed
events; it knows no Prices, its invoices are of an older shape, and it ignores idempotency keys. emulate signs the events of a
Checkout, and gives them no id. So neither can stand behind the scenarios."""

import asyncio
import contextlib
import json
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, web

from integrations.payments.base import (
    Buyer,
    Cents,
    IntentId,
    ObjectRef,
    PaymentRefused,
    PaymentUnknown,
    RefundAsked,
    WebhookRefused,
)
from integrations.payments.stripe import StripePayments
from ledger.pseudonyms import ActorId, WorkspaceId
from tests.emulators import PORT, free_port, running_emulator
from tests.fakes.stripe_server import serving

KEY, SECRET = "sk_test_12345", "whsec_carpool"
BUYER = Buyer(WorkspaceId("w-1"), ActorId("a-1"), IntentId("i-1"))
LOOPBACK_ONLY = "import sys; from aiohttp import web; from localstripe.server import app; web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]))"  # noqa: E501
"""Its own way to start listens on every address."""
WAIT_S = 30


class Mailbox:
    """An endpoint that keeps what is delivered."""

    def __init__(self) -> None:
        self.delivered: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.StreamResponse:
        await self.delivered.put((await request.read(), request.headers.get("Stripe-Signature", "")))
        return web.Response()

    async def next(self) -> tuple[bytes, str]:
        return await asyncio.wait_for(self.delivered.get(), WAIT_S)


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, str]]:
    box = Mailbox()
    async with serving({"/hook": box.take}) as url:
        yield box, f"{url}/hook"


@pytest.fixture
async def localstripe() -> AsyncIterator[str]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOOPBACK_ONLY, str(port), stdout=DEVNULL, stderr=DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(WAIT_S), ClientSession() as session:
            while True:
                with contextlib.suppress(ClientConnectionError):
                    async with session.get(f"{url}/v1/customers"):
                        break
                await asyncio.sleep(0.05)  # nothing says when another program listens
        yield url
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def payments(url: str) -> AsyncIterator[StripePayments]:
    method = StripePayments(KEY, [SECRET], url, "http://carpool.test/back")
    try:
        yield method
    finally:
        await method.aclose()


async def test_localstripe_makes_our_customers_and_knows_no_others(localstripe: str) -> None:
    async with payments(localstripe) as method:
        customer = await method.create_customer(BUYER, "")
        assert await method.subscribed(customer.id) == ()
        assert await method.invoices(customer.id, 3) == ()
        with pytest.raises(PaymentUnknown):
            await method.fetch(ObjectRef("payment_intent", "pi_none"))


async def test_what_localstripe_signs_is_taken_and_with_another_secret_refused(
    localstripe: str, mailbox: tuple[Mailbox, str]
) -> None:
    box, hook = mailbox
    await _delivering(localstripe, hook)
    async with payments(localstripe) as method:
        payment = await _paid(method, "4242424242424242")
        event = None
        while event is None or event.type != "payment_intent.succeeded":
            body, signature = await box.next()
            event = method.verify_webhook(body, signature, time.time())
        assert event.about == ObjectRef("payment_intent", payment)
        stranger = StripePayments(KEY, ["whsec_another"], localstripe, "http://carpool.test/back")
        with pytest.raises(WebhookRefused) as refused:
            stranger.verify_webhook(body, signature, time.time())
        assert refused.value.reason == "signature"


async def test_a_subscription_that_localstripe_runs_is_seen_and_its_events_are_taken_until_it_ends(
    localstripe: str, mailbox: tuple[Mailbox, str]
) -> None:
    box, hook = mailbox
    await _delivering(localstripe, hook)
    async with payments(localstripe) as method:
        v1, customer = method.client.v1, await _with_card(method, "4242424242424242")
        product = await v1.products.create_async({"name": "Credit", "type": "service"})
        plan = await v1.plans.create_async(
            {"amount": 2000, "currency": "usd", "interval": "month", "product": product.id}
        )
        item: Any = {"plan": plan.id}  # the older way, which the SDK has no word for any more
        running = await v1.subscriptions.create_async({"customer": customer, "items": [item]})
        assert (running.status, await method.subscribed(customer)) == (
            "active",
            (ObjectRef("subscription", running.id),),
        )
        (invoice,) = (await v1.invoices.list_async({"customer": customer})).data
        assert (invoice.status, invoice.amount_paid, "number" in invoice.to_dict()) == ("paid", 2000, False)
        told: set[ObjectRef | None] = set()
        while not {ObjectRef("subscription", running.id), ObjectRef("invoice", invoice.id)} <= told:
            told.add(method.verify_webhook(*await box.next(), time.time()).about)
        await v1.subscriptions.cancel_async(running.id)
        assert await method.subscribed(customer) == ()


async def test_localstripe_gives_back_what_was_paid(localstripe: str) -> None:
    async with payments(localstripe) as method:
        payment = await _paid(method, "4242424242424242")
        refund = await method.refund(RefundAsked(BUYER, payment, Cents(400)))
        assert refund.kind == "refund"


async def test_a_card_that_localstripe_declines_is_a_refusal(localstripe: str) -> None:
    async with payments(localstripe) as method:
        with pytest.raises(PaymentRefused) as refused:
            await _paid(method, "4000000000000002")
    assert refused.value.code == "card_declined"


async def _paid(method: StripePayments, number: str) -> str:
    """A payment, as a page of Stripe's would make it."""
    from integrations.payments.stripe import mapped

    with mapped():
        customer = await _with_card(method, number)
        (card,) = (await method.client.v1.payment_methods.list_async({"customer": customer, "type": "card"})).data
        intent = await method.client.v1.payment_intents.create_async(
            {
                "amount": 1000,
                "currency": "usd",
                "customer": customer,
                "payment_method": card.id,
                "confirm": True,
            }
        )
    return intent.id


async def _with_card(method: StripePayments, number: str) -> str:
    """A customer who pays with it."""
    v1, customer = method.client.v1, await method.create_customer(BUYER, "")
    card: Any = {"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}}
    made = await v1.payment_methods.create_async(card)
    await v1.payment_methods.attach_async(made.id, {"customer": customer.id})
    await v1.customers.update_async(customer.id, {"invoice_settings": {"default_payment_method": made.id}})
    return customer.id


async def _delivering(localstripe: str, hook: str) -> None:
    async with ClientSession() as session:
        config = json.dumps({"url": hook, "secret": SECRET})
        headers = {"Content-Type": "application/json"}
        async with session.post(f"{localstripe}/_config/webhooks/1", data=config, headers=headers) as answer:
            assert answer.status == 200


async def test_the_signature_of_emulates_checkout_fits_and_its_event_has_no_id(
    tmp_path: Path, mailbox: tuple[Mailbox, str]
) -> None:
    box, hook = mailbox
    seed = tmp_path / "seed.json"
    config = {
        "stripe": {
            "products": [{"id": "prod_1", "name": "Credit"}],
            "prices": [{"id": "price_1", "product_name": "Credit", "currency": "usd", "unit_amount": 1000}],
            "webhooks": [{"url": hook, "events": ["*"], "secret": SECRET}],
        }
    }
    await asyncio.to_thread(seed.write_text, json.dumps(config))
    async with running_emulator("emulate", "start", "-s", "stripe", "-p", PORT, "--seed", str(seed)) as url:
        async with payments(url) as method, ClientSession() as session:
            made = await method.client.v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "line_items": [{"price": "price_1", "quantity": 1}],
                    "success_url": "http://x.test/",
                }
            )
            async with session.post(f"{url}/checkout/{made.id}/complete", allow_redirects=False) as paid:
                assert paid.status == 302
            body, signature = await box.next()
            with pytest.raises(WebhookRefused) as refused:
                method.verify_webhook(body, signature, time.time())
            assert refused.value.reason == "body"  # and not its signature
            assert json.loads(body)["data"]["object"]["id"] == made.id
