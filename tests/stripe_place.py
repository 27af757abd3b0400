"""Where a house of the tests has its Stripe, and what of an account there is its own.

An account in a sandbox may hold anything already, and others may use it meanwhile: of all its lists a house sees what is its own.
"""

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import stripe
from stripe.params import PriceCreateParamsRecurring

from integrations.payments.base import Buyer, Event, ObjectRef, Settlement
from integrations.payments.plans import Plan
from integrations.payments.stripe import PAGE, StripePayments
from integrations.payments.stripe_facts import WORKSPACE, id_of, settlement_of
from integrations.payments.webhook_handlers import event_of
from ledger.money import URC_PER_RC, Money

Thing: TypeAlias = dict[str, Any]

SECRET = "whsec_world"
METER = "carpool_live_overage"


@dataclass(frozen=True)
class Place:
    """A Stripe. ``clock_s`` is its time; it is asked ``tries`` times, ``pause_s`` apart, for what comes a moment later.
    ``cannot`` is told why an account cannot do what a scenario needs, and never returns."""

    key: str
    base_url: str
    clock_s: Callable[[], float]
    tries: int
    pause_s: float
    cannot: Callable[[str], NoReturn]


class Narrowed(StripePayments):
    """What of an account is one house's own: its lists leave out whatever names none of ``mine``."""

    def __init__(self, place: Place, key: str = "") -> None:
        super().__init__(
            key or place.key, [SECRET], place.base_url, "https://carpool.example/back", clock_s=place.clock_s
        )
        self.mine: set[str] = set()
        self.made_customers: list[str] = []
        self.test_clock = ""
        """That of the customers that are made next; empty for none."""
        self.silent = False
        """Whether its list of events is kept back, as if Stripe had made none."""

    def is_mine(self, thing: Thing) -> bool:
        text = json.dumps(thing)
        return any(name in text for name in self.mine)

    async def told(self, since_s: int) -> list[Thing]:
        """The events that are ours, as Stripe lists them, the oldest first."""
        if self.silent:
            return []
        listed = await self.client.v1.events.list_async({"created": {"gte": since_s}, "limit": PAGE})
        events = [event.to_dict() async for event in listed.auto_paging_iter()]
        return [event for event in reversed(events) if self.is_mine(event["data"])]

    async def events(self, since_s: int) -> AsyncIterator[Event]:
        for event in await self.told(since_s):
            yield event_of(event)

    async def settlements(self, since_s: int) -> AsyncIterator[Settlement]:
        paid = await self.client.v1.invoice_payments.list_async({"status": "paid", "limit": PAGE})
        invoices = {id_of(item.payment.payment_intent): id_of(item.invoice) async for item in paid.auto_paging_iter()}
        listed = await self.client.v1.balance_transactions.list_async(
            {"created": {"gte": since_s}, "limit": PAGE, "expand": ["data.source"]}
        )
        async for transaction in listed.auto_paging_iter():
            if self.is_mine(transaction.to_dict()):
                yield settlement_of(transaction, invoices)

    async def canceled(self) -> AsyncIterator[ObjectRef]:
        listed = await self.client.v1.subscriptions.list_async({"status": "canceled", "limit": PAGE})
        async for subscription in listed.auto_paging_iter():
            if self.is_mine(subscription.to_dict()):
                yield ObjectRef("subscription", subscription.id)

    async def create_customer(self, buyer: Buyer, after: str) -> ObjectRef:
        if self.test_clock:
            made = await self.client.v1.customers.create_async(
                {"metadata": {WORKSPACE: buyer.workspace}, "test_clock": self.test_clock}
            )
            about = ObjectRef("customer", made.id)
        else:
            about = await super().create_customer(buyer, after)
        self.mine.add(about.id)
        self.made_customers.append(about.id)
        return about


async def plans_of(client: stripe.StripeClient) -> dict[str, Plan]:
    """The same prices and meter for each run: neither can be deleted at Stripe."""
    prices = {cents: await _price(client, f"carpool_live_{cents}", cents) for cents in (1000, 2000, 6000)}
    metered = await _metered_price(client)
    return {
        "pro": Plan("pro", prices[2000], _rc(1500), _rc(500)),
        "top": Plan("top", prices[6000], _rc(5000), _rc(1000)),
        "beyond": Plan("beyond", prices[1000], _rc(1000), _rc(0), (), METER, metered, _rc(500)),
    }


async def _price(
    client: stripe.StripeClient, key: str, cents: int, recurring: PriceCreateParamsRecurring | None = None
) -> str:
    prices = client.v1.prices
    listed = await prices.list_async({"lookup_keys": [key], "active": True})
    if listed.data:
        return listed.data[0].id
    made = await prices.create_async({
        "currency": "usd", "unit_amount": cents, "lookup_key": key, "product_data": {"name": "CarPool, of its tests"},
        "recurring": recurring or {"interval": "month"},
    })  # fmt: skip
    return made.id


async def _metered_price(client: stripe.StripeClient) -> str:
    meters = client.v1.billing.meters
    listed = await meters.list_async({"status": "active", "limit": PAGE})
    found = [item.id async for item in listed.auto_paging_iter() if item.event_name == METER]
    if not found:
        made = await meters.create_async({
            "display_name": "CarPool, of its tests", "event_name": METER, "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
            "value_settings": {"event_payload_key": "value"},
        })  # fmt: skip
        found = [made.id]
    return await _price(client, f"{METER}_price", 1, {"interval": "month", "usage_type": "metered", "meter": found[0]})


def live_place(key: str, base_url: str, cannot: Callable[[str], NoReturn]) -> Place:
    """A sandbox: a minute and a half for what comes a moment later."""
    return Place(key, base_url, time.time, 90, 1.0, cannot)


def _rc(amount: int) -> Money:
    return Money(amount * URC_PER_RC)
