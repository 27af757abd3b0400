"""Invoices that are paid out of what a customer has at Stripe, or that put something there: granted, and booked to the cent."""

import pytest

from integrations.payments.base import ObjectRef
from integrations.payments.reconcile import reconcile
from ledger.money import URC_PER_RC
from tests.contract.payments.test_stripe_scenarios import spend
from tests.fakes.stripe_account import Thing
from tests.payments import NOW_S, Till

PLAN, PAID, DEBT, DEFERRED, STRIPE = (
    "L:ws:w-1:plan",
    "L:ws:w-1:paid",
    "A:ws:w-1:debt",
    "L:deferred",
    "A:stripe:clearing",
)
BALANCE, SUSPENSE = "L:balance:stripe", "L:suspense:stripe"


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def agrees(till: Till) -> None:
    """The book with Stripe, to the cent; and what customers have there with what they have there."""
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()
    theirs = sum(customer["balance"] for customer in till.account.of("customer"))
    assert await rc(till, BALANCE, SUSPENSE) == [-theirs, 0]


def customer_of(till: Till) -> Thing:
    (customer,) = till.account.of("customer")
    return customer


async def made_smaller(till: Till) -> str:
    """In the middle of a period, at once: 30 dollars of the large plan come back, 10 of the small one are due."""
    subscription = await till.subscribed(till.top)
    till.account.upgrade(subscription, till.pro.price)
    await till.delivered()
    return subscription


async def test_a_plan_that_is_made_smaller_gives_back_its_credit_and_leaves_a_balance(till: Till) -> None:
    await made_smaller(till)
    assert customer_of(till)["balance"] == -2000
    assert await rc(till, PLAN, DEFERRED, STRIPE, DEBT) == [5000 - 2500 + 750, 1000 - 500 + 250, 6000, 0]
    await agrees(till)


async def test_of_a_plan_that_is_made_smaller_what_was_spent_is_bought_credit_or_a_debt(till: Till) -> None:
    subscription = await till.subscribed(till.top)
    await spend(till, 4000)
    await till.bought(5)
    till.account.upgrade(subscription, till.pro.price)
    await till.delivered()
    assert await rc(till, PLAN, PAID, DEBT) == [0, 0, 1750 - 1000 - 500]
    await agrees(till)


async def test_the_next_invoices_are_paid_out_of_it_in_full_and_in_part(till: Till) -> None:
    subscription = await made_smaller(till)
    customer_of(till)["balance"] = -3500  # by hand, at Stripe: the ledger hears of it when it is used
    till.account.renew(subscription)
    await till.delivered()
    assert (customer_of(till)["balance"], till.account.of("invoice")[0]["amount_paid"]) == (-1500, 0)
    assert await rc(till, PLAN, DEFERRED, STRIPE, SUSPENSE) == [1500, 500, 6000, 0]
    till.account.renew(subscription)
    await till.delivered()
    assert (customer_of(till)["balance"], till.account.of("invoice")[0]["amount_paid"]) == (0, 500)
    assert await rc(till, PLAN, DEFERRED, STRIPE, SUSPENSE) == [1500, 500, 6500, 0]
    assert await rc(till, BALANCE) == [2000 - 3500]  # what nobody told of
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def test_what_is_too_little_to_be_charged_is_paid_with_the_next_invoice(till: Till) -> None:
    subscription = await till.subscribed()
    running = till.account.get(subscription, "subscription")
    late = till.account._invoice(running, "subscription_update", [(till.pro.price, -20), (till.top.price, 60)])
    till.account.pay_invoice(late["id"])
    await till.delivered()
    assert (late["amount_paid"], customer_of(till)["balance"]) == (0, 40)
    assert await rc(till, PLAN, DEFERRED, STRIPE) == [1500 - 15 + 50, 500 - 5 + 10, 2000]
    await agrees(till)
    invoice = till.account.renew(subscription)
    await till.delivered()
    assert (invoice["amount_paid"], customer_of(till)["balance"]) == (2040, 0)
    assert await rc(till, PLAN, DEFERRED, STRIPE) == [1500, 500, 4040]
    await agrees(till)


async def test_an_invoice_with_a_balance_is_recorded_once_however_often_it_is_looked_at(till: Till) -> None:
    await made_smaller(till)
    before = await till.store.balances()
    for invoice in till.account.of("invoice"):
        await till.cashier.look_at(ObjectRef("invoice", invoice["id"]))
    assert await till.store.balances() == before


async def test_an_invoice_whose_parts_do_not_add_up_waits_in_suspense(till: Till) -> None:
    subscription = await till.subscribed()
    invoice = till.account.renew(subscription, paid=False)
    invoice["ending_balance"] = -100  # not what its lines come to
    till.account.pay_invoice(invoice["id"])
    await till.delivered()
    assert await rc(till, SUSPENSE, BALANCE) == [2000, 0]
