"""Events that wait for Stripe wait together; what it answered is recorded one after the other."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field

from stripe import WebhookSignature

from integrations.payments.base import Fact, ObjectRef
from integrations.payments.cashier import HANDLED_AT_ONCE, Cashier
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL, StripePayments
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentOutcome
from tests.fakes.stripe_server import KEY, SECRET
from tests.payments import NOW_S, Till

DEADLINE_S = 30


class TogetherStripe(StripePayments):
    """Answers when as many ask as may ask at once. A first one that is alone is never answered."""

    all_there: asyncio.Barrier

    async def fetch(self, about: ObjectRef) -> tuple[Fact, ...]:
        facts = await super().fetch(about)
        await self.all_there.wait()
        return facts


@dataclass(frozen=True, slots=True)
class WatchedBridge(Bridge):
    """Counts how many facts are being recorded whenever one begins to be."""

    recording: list[int] = field(default_factory=lambda: [0])
    seen: list[int] = field(default_factory=list)

    async def record(self, fact: Fact) -> PaymentOutcome:
        self.recording[0] += 1
        self.seen.append(self.recording[0])
        try:
            return await Bridge.record(self, fact)
        finally:
            self.recording[0] -= 1


async def test_events_are_fetched_at_once_and_recorded_one_by_one(till: Till) -> None:
    method = TogetherStripe(KEY, [SECRET], till.stripe.base_url, "", clock_s=lambda: float(NOW_S))
    method.all_there = asyncio.Barrier(HANDLED_AT_ONCE)
    bridge = WatchedBridge(till.roadchain, till.store, RAIL, till.cashier.bridge.plans)
    cashier = Cashier(method, bridge, lambda: NOW_S * 10**6)
    links = [await till.topup(10 + number) for number in range(HANDLED_AT_ONCE // 4)]
    async with aclosing(method), cashier, asyncio.timeout(DEADLINE_S):
        while await till.store.find(cashier._scan_key(NOW_S)) is None:  # the scan of the start finds nothing
            await asyncio.sleep(0)
        till.stripe.pending.clear()
        for link in links:
            till.account.pay(link.about.id)
        assert len(till.stripe.pending) == HANDLED_AT_ONCE
        for event in till.stripe.pending:
            body = json.dumps(event)
            await cashier.receive(
                body.encode(), WebhookSignature.generate_signature_header(body, SECRET, timestamp=NOW_S)
            )
        await cashier.settled()
    assert len(bridge.seen) > HANDLED_AT_ONCE
    assert set(bridge.seen) == {1}
    assert (
        sum(row.natural for row in await till.store.balances() if row.account == "L:ws:w-1:paid") == 2100 * URC_PER_RC
    )
