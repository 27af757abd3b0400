"""The second rail: bank transfers that an operator sees. The same port, bridge and book, and nothing new in the ledger."""

import asyncio

import pytest

from integrations.payments.base import Cents, IntentId, ObjectRef, PaymentRefused, PaymentUnknown, WebhookRefused
from integrations.payments.cashier import Cashier
from integrations.payments.invoiced import RAIL, InvoicedPayments
from integrations.payments.plans import NO_PLANS
from integrations.payments.roadchain_bridge import Bridge
from ledger.errors import InsufficientBalance
from ledger.money import URC_PER_RC
from tests.contract.payments.test_stripe_scenarios import spend
from tests.payments import NOW_S, Till, scope


def cashier_of(till: Till) -> Cashier:
    return Cashier(
        InvoicedPayments(till.store), Bridge(till.roadchain, till.store, RAIL, NO_PLANS), lambda: NOW_S * 1_000_000
    )


async def balances(till: Till) -> dict[str, int]:
    return {row.account: row.natural // URC_PER_RC for row in await till.store.balances() if row.balance}


async def test_a_transfer_is_credit_once_however_often_it_is_seen(till: Till) -> None:
    cashier = cashier_of(till)
    link = await cashier.topup(scope(), Cents(2500))
    assert link.url == ""
    assert await balances(till) == {}
    assert await cashier.look_at(link.about) == "recorded"
    assert await cashier.look_at(link.about) == "recorded"
    assert await balances(till) == {"A:invoiced:clearing": 2500, "L:ws:w-1:paid": 2500}


async def test_it_is_given_back_from_what_was_not_spent(till: Till) -> None:
    cashier = cashier_of(till)
    link = await cashier.topup(scope(), Cents(2500))
    await cashier.look_at(link.about)
    refund = await cashier.refund(scope(), link.about.id, Cents(500), IntentId("back-1"))
    assert (await balances(till))["L:ws:w-1:refund_hold"] == 500
    await cashier.look_at(refund)
    assert await balances(till) == {"A:invoiced:clearing": 2000, "L:ws:w-1:paid": 2000}
    await spend(till, 1800)
    with pytest.raises(InsufficientBalance):
        await cashier.refund(scope(), link.about.id, Cents(201), IntentId("back-2"))


async def test_no_more_of_it_is_given_back_than_came(till: Till) -> None:
    cashier = cashier_of(till)
    first, second = [await cashier.topup(scope(), Cents(cents)) for cents in (500, 2000)]
    for link in (first, second):
        await cashier.look_at(link.about)
    for _ in range(2):  # the same one, asked for twice, is one
        refund = await cashier.refund(scope(), first.about.id, Cents(300), IntentId("back-1"))
        await cashier.look_at(refund)
    for intent in ("back-2", "back-3"):
        with pytest.raises(PaymentRefused):
            await cashier.refund(scope(), first.about.id, Cents(201), IntentId(intent))
    await cashier.look_at(await cashier.refund(scope(), first.about.id, Cents(200), IntentId("back-4")))
    assert await balances(till) == {"A:invoiced:clearing": 2000, "L:ws:w-1:paid": 2000}


async def test_of_two_refunds_at_once_no_more_is_given_back_than_came(till: Till) -> None:
    cashier = cashier_of(till)
    first, second = [await cashier.topup(scope(), Cents(cents)) for cents in (500, 2000)]
    for link in (first, second):
        await cashier.look_at(link.about)
    both = [cashier.refund(scope(), first.about.id, Cents(300), IntentId(name)) for name in ("back-1", "back-2")]
    came = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in came) == ["ObjectRef", "PaymentRefused"]
    assert (await balances(till))["L:ws:w-1:paid"] == 2200


async def test_what_nobody_asked_for_is_no_credit_and_what_another_rail_was_asked_for_neither(till: Till) -> None:
    cashier = cashier_of(till)
    with pytest.raises(PaymentUnknown):
        await cashier.look_at(ObjectRef("transfer", "inv-unknown"))
    await till.topup(10)
    (asked,) = [item for item in await till.store.entries(-1, 10) if item.entry.action.name == "payment.asked"]
    with pytest.raises(PaymentUnknown):
        await cashier.look_at(ObjectRef("transfer", asked.entry.idem.removeprefix("payment.asked/")))
    assert await balances(till) == {}


async def test_nothing_is_delivered_for_it(till: Till) -> None:
    with pytest.raises(WebhookRefused):
        await cashier_of(till).receive(b"{}", "")
    assert (await cashier_of(till).scan()).events == 0
