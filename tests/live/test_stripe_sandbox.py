"""The scenarios that need no browser, against a sandbox of Stripe's own. What was there before in its account is left out."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from integrations.payments.base import (
    Buyer,
    Cents,
    IntentId,
    ObjectRef,
    PaymentConflict,
    PaymentRefused,
    RefundAsked,
    TopupAsked,
)
from integrations.payments.cashier import Cashier
from integrations.payments.plans import NO_PLANS
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL, StripePayments
from integrations.payments.stripe_facts import metadata_of
from integrations.storage.sqlite import SqliteStore
from ledger.entry import Scope
from ledger.money import URC_PER_RC
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain, clock_us

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


@dataclass(frozen=True)
class Sandbox:
    method: StripePayments
    cashier: Cashier
    store: SqliteStore
    scope: Scope
    began_s: int

    def buyer(self) -> Buyer:
        return Buyer(self.scope.workspace, self.scope.actor, IntentId(f"live-{secrets.token_hex(8)}"))

    async def paid(self, cents: int, card: str = "pm_card_visa") -> str:
        """A payment of ours that somebody made, without the page that it is made at."""
        made = await self.method.client.v1.payment_intents.create_async(
            {
                "amount": cents,
                "currency": "usd",
                "confirm": True,
                "payment_method": card,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "metadata": metadata_of(self.buyer(), cents),
            },
            {"idempotency_key": secrets.token_hex(16)},
        )
        return made.id

    async def rc(self, account: str) -> int:
        rows = await self.store.balances()
        return sum(row.natural for row in rows if row.account == account) // URC_PER_RC


@pytest.fixture
async def sandbox(tmp_path: Path, stripe_key: str, stripe_url: str) -> AsyncIterator[Sandbox]:
    async with AsyncExitStack() as stack:
        store = await SqliteStore.open(tmp_path / "ledger.db")
        stack.push_async_callback(store.aclose)
        method = StripePayments(stripe_key, ["whsec_none"], stripe_url, "https://carpool.example/back")
        stack.push_async_callback(method.aclose)
        roadchain = await stack.enter_async_context(RoadChain(store))
        workspace, actor = WorkspaceId(f"w-{secrets.token_hex(8)}"), ActorId(f"a-{secrets.token_hex(8)}")
        cashier = Cashier(method, Bridge(roadchain, store, RAIL, NO_PLANS), clock_us, method)
        scope = Scope(workspace, actor, ConversationId(""), TurnId("t-live"))
        yield Sandbox(method, cashier, store, scope, int(time.time()))


async def test_a_link_is_the_same_for_the_same_intent_and_none_for_another_amount(sandbox: Sandbox) -> None:
    buyer, expires_s = sandbox.buyer(), int(time.time()) + 3600
    asked = TopupAsked(buyer, Cents(1000), "", expires_s)
    assert await sandbox.method.create_topup(asked) == await sandbox.method.create_topup(asked)
    with pytest.raises(PaymentConflict):
        await sandbox.method.create_topup(TopupAsked(buyer, Cents(2000), "", expires_s))


async def test_a_payment_is_credit_once_with_its_fee(sandbox: Sandbox) -> None:
    payment = await sandbox.paid(1000)
    for _ in range(2):
        assert await sandbox.cashier.look_at(ObjectRef("payment_intent", payment)) == "recorded"
    assert await sandbox.rc(f"L:ws:{sandbox.scope.workspace}:paid") == 1000
    entries = [item.entry.action.name for item in await sandbox.store.moved(-1, 100)]
    assert sorted(entries) == ["credit.payment_fee", "credit.topup"]


async def test_a_payment_is_in_the_list_of_events_and_of_movements(sandbox: Sandbox) -> None:
    payment = await sandbox.paid(700)
    about = ObjectRef("payment_intent", payment)
    assert about in [event.about async for event in sandbox.method.events(sandbox.began_s - 5)]
    assert about in [settled.about async for settled in sandbox.method.settlements(sandbox.began_s - 5)]


async def test_a_refund_is_sent_once_and_no_more_than_was_paid_comes_back(sandbox: Sandbox) -> None:
    payment = await sandbox.paid(1000)
    await sandbox.cashier.look_at(ObjectRef("payment_intent", payment))
    intent = IntentId(f"ref-{secrets.token_hex(6)}")
    first = await sandbox.cashier.refund(sandbox.scope, payment, Cents(400), intent)
    assert await sandbox.cashier.refund(sandbox.scope, payment, Cents(400), intent) == first
    await sandbox.cashier.look_at(first)
    assert await sandbox.rc(f"L:ws:{sandbox.scope.workspace}:paid") == 600
    assert await sandbox.rc(f"L:ws:{sandbox.scope.workspace}:refund_hold") == 0
    with pytest.raises(PaymentRefused):
        await sandbox.method.refund(RefundAsked(sandbox.buyer(), payment, Cents(601)))


async def test_after_a_customer_was_deleted_there_is_another(sandbox: Sandbox) -> None:
    await sandbox.cashier.topup(sandbox.scope, Cents(500))
    first = await sandbox.cashier.customer_of(sandbox.scope.workspace)
    await sandbox.method.client.v1.customers.delete_async(first)
    await sandbox.cashier.topup(sandbox.scope, Cents(500))
    assert await sandbox.cashier.customer_of(sandbox.scope.workspace) not in ("", first)
