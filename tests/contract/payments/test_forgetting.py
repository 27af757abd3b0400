"""A customer is deleted at the rail because its workspace's owner wants it: on record, once, whatever is cut off."""

import logging
from typing import Any

import pytest

from bot.plan import overage_of
from integrations.payments.base import ObjectRef, PaymentUnavailable
from integrations.payments.cashier import Cashier
from integrations.payments.forgetting import delete_customer
from integrations.payments.invoiced import RAIL, InvoicedPayments
from integrations.payments.keys import deletion_key
from integrations.payments.plans import NO_PLANS, Plans
from integrations.payments.roadchain_bridge import Bridge
from ledger.entry import Entry
from ledger.payment_actions import PaymentAsked, PaymentClosed
from ledger.store import Recorded
from tests.payments import NOW_S, Till, W, scope


class Cut:
    """The till's rail, whose answer to a deletion is lost, after it took effect or before."""

    def __init__(self, till: Till, *, after: bool) -> None:
        self.till, self.after = till, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.till.method, name)

    async def delete_customer(self, customer: str) -> None:
        if self.after:
            await self.till.method.delete_customer(customer)
        raise PaymentUnavailable("cut off")


async def standing(till: Till) -> str:
    return await till.cashier.customer_of(W)


async def about(till: Till, kind: type[PaymentAsked] | type[PaymentClosed], what: str) -> list[tuple[str, str]]:
    """What entries of a kind are about."""
    found: list[Recorded] = list(await till.store.entries(-1, 1000))
    entries: list[Entry] = [item.entry for item in found if isinstance(item.entry.action, kind)]
    return [(item.stripe.object, item.stripe.id) for item in entries if item.stripe and what in str(item.action)]


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_customer_goes_with_its_subscription_and_the_credit_stays(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    await till.bought(10)
    subscription, customer = await till.subscribed(), await standing(till)
    payments = till.account.of("payment_intent")
    before = await till.store.balances()
    assert await delete_customer(till.cashier, scope())
    assert till.account.things[customer] == {"id": customer, "object": "customer", "deleted": True}
    assert till.account.get(subscription, "subscription")["status"] == "canceled"
    assert till.account.of("payment_intent") == payments
    assert await standing(till) == ""
    await till.delivered()
    assert (await till.cashier.scan()).left == 0
    assert await till.store.balances() == before
    assert await about(till, PaymentAsked, "deletion") == [("customer", customer), ("subscription", subscription)]
    assert await about(till, PaymentClosed, "customer") == [("customer", customer)]
    assert alarms(caplog) == []
    assert not await delete_customer(till.cashier, scope())  # there is none any more
    assert till.stripe.requests.count(("DELETE", f"/v1/customers/{customer}")) == 1


async def test_its_end_comes_as_any_end_of_a_plan_and_another_purchase_makes_another_customer(till: Till) -> None:
    subscription, customer = await till.subscribed(), await standing(till)
    await delete_customer(till.cashier, scope())
    await till.delivered()
    till.account.now_s = till.account.get(subscription, "subscription")["items"]["data"][0]["current_period_end"]
    await till.cashier.scan()
    assert {row.account: row.balance for row in await till.store.balances_of(W) if row.balance} == {}
    await till.bought(10)
    assert await standing(till) not in ("", customer)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("by", ["the event", "a second call"])
async def test_one_that_was_cut_off_is_finished_and_is_no_alarm(
    till: Till, after: bool, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    await till.bought(10)
    customer = await standing(till)
    cut = Cashier(till.method, till.cashier.bridge, till.cashier._clock_us, Cut(till, after=after))
    with pytest.raises(PaymentUnavailable):
        await delete_customer(cut, scope())
    assert await till.store.find(deletion_key(customer)) is not None
    assert await standing(till) == customer
    if by == "the event" and after:
        assert (await till.cashier.scan()).left == 0
        assert not await delete_customer(till.cashier, scope("t-2", "a-2"))
    else:
        assert await delete_customer(till.cashier, scope("t-2", "a-2"))  # another owner, say
    await till.delivered()
    assert await standing(till) == ""
    assert (await about(till, PaymentAsked, "deletion"), await about(till, PaymentClosed, "customer")) == (
        [("customer", customer)],
        [("customer", customer)],
    )
    assert alarms(caplog) == []


async def test_one_that_was_deleted_at_the_rail_before_is_no_error_and_that_one_is_an_alarm(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    await till.bought(10)
    customer = await standing(till)
    till.account.delete_customer(customer)
    await till.cashier.look_at(ObjectRef("customer", customer))
    assert alarms(caplog) == ["a customer was deleted: `carpool billing reconcile` shows what no invoice pays"]
    assert not await delete_customer(till.cashier, scope())
    await till.method.delete_customer(customer)
    await till.method.delete_customer("cus_none")


async def test_a_plan_lets_nothing_more_be_paid_later_once_no_invoice_will_come(till: Till) -> None:
    await till.subscribed(till.beyond)
    plans, now_us = Plans((till.beyond,)), till.account.now_s * 1_000_000
    rows = await till.store.balances_of(W)
    assert await overage_of(till.store, plans, W, rows, now_us) is not None
    await delete_customer(till.cashier, scope())
    assert await overage_of(till.store, plans, W, rows, now_us) is None
    await till.subscribed(till.beyond)  # a new one does
    assert await overage_of(till.store, plans, W, rows, now_us) is not None


async def test_bank_transfers_have_no_customer_to_delete(till: Till) -> None:
    by_hand = Bridge(till.roadchain, till.store, RAIL, NO_PLANS)
    cashier = Cashier(InvoicedPayments(till.store), by_hand, lambda: NOW_S * 1_000_000)
    assert not await delete_customer(cashier, scope())
    assert await till.store.entries(-1, 10) == ()
