"""FAILING on purpose: each shows a fault that stands. Not collected by name: `pytest tests/contract/payments/audit_failing.py`.

When one is mended, its test moves to the suite of its subject.
"""

import json

import pytest
import stripe
from aiohttp import ClientSession

from integrations.payments.base import Cents, IntentId, PaymentRefused
from integrations.payments.cashier import Cashier
from integrations.payments.invoiced import RAIL, InvoicedPayments
from integrations.payments.plans import NO_PLANS
from integrations.payments.reconcile import reconcile
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import StripePayments
from ledger.credit_actions import CreditAllocated
from ledger.entry import Draft
from ledger.errors import InsufficientBalance
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentsScanned
from tests.contract.payments.test_stripe_scenarios import spend
from tests.fakes.stripe_server import KEY, SECRET
from tests.payments import NOW_S, Till, scope

DAY_S = 86_400


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


PAID, DEBT, FROZEN, PLAN = "L:ws:w-1:paid", "A:ws:w-1:debt", "L:ws:w-1:frozen", "L:ws:w-1:plan"


async def test_a_dispute_freezes_credit_that_was_set_aside_too(till: Till) -> None:
    payment = await till.bought(10)
    await till.roadchain.append(Draft(CreditAllocated("", "user:a-1", 1000 * URC_PER_RC), scope(), "allocate"))
    dispute = till.account.dispute(payment)
    await till.delivered()
    till.account.close_dispute(dispute["id"], won=False)
    await till.delivered()
    with pytest.raises(InsufficientBalance):  # the money is gone; all of the credit is still spent
        await spend(till, 1000)


async def test_a_dispute_that_is_lost_leaves_the_frozen_credit_of_another_alone(till: Till) -> None:
    one = await till.bought(10)
    two = await till.bought(20)
    await spend(till, 2300)
    first = till.account.dispute(one)  # freezes 700
    await till.delivered()
    second = till.account.dispute(two)  # nothing is left to freeze
    await till.delivered()
    till.account.close_dispute(second["id"], won=False)
    till.account.close_dispute(first["id"], won=True)
    await till.delivered()
    assert (await till.cashier.scan()).left == 0
    assert await rc(till, PAID, FROZEN) == [700, 0]


async def test_a_refund_of_a_taxed_topup_in_full_leaves_no_debt(till: Till) -> None:
    link = await till.topup()
    payment = till.account.pay(link.about.id, tax=200)["payment_intent"]
    await till.delivered()
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, DEBT, "L:tax") == [0, 0, 0]


async def test_money_of_another_currency_that_goes_back_leaves_suspense(till: Till) -> None:
    payment = till.account.foreign_payment(700, "eur")["id"]
    await till.delivered()
    till.account.refund(payment, None, {})
    await till.delivered()
    rows = {(str(row.account), str(row.currency)): row.balance for row in await till.store.balances()}
    assert rows["L:suspense:stripe", "EUR"] == 0


async def test_the_fee_of_a_payment_in_another_currency_is_counted_in_it(till: Till) -> None:
    till.account.foreign_payment(700, "eur")
    await till.delivered()
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def test_a_large_payment_of_a_small_currency_does_not_stop_the_scans(till: Till) -> None:
    till.account.foreign_payment(91_000_000, "vnd")  # some 3,500 dollars
    await till.delivered()
    assert (await till.cashier.scan()).left == 0
    assert any(isinstance(item.entry.action, PaymentsScanned) for item in await till.store.entries(-1, 1000))


async def test_what_comes_back_pays_what_is_owed(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 300)
    refund = till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, DEBT) == [0, 300]
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await rc(till, PAID, DEBT) == [700, 0]


async def test_the_end_of_an_old_plan_leaves_the_credit_of_a_new_one(till: Till) -> None:
    old = await till.subscribed()
    till.account.now_s += 10 * DAY_S
    till.account.cancel(old, at_once=True)
    await till.delivered()
    till.account.now_s += 600
    await till.subscribed(till.top)
    there = await rc(till, PLAN)
    till.account.now_s += 21 * DAY_S  # the old period is over, the new one is not
    await till.cashier.scan()
    assert there == [6500]
    assert (await rc(till, PLAN))[0] >= 5000


async def test_two_links_do_not_become_two_plans(till: Till) -> None:
    links = [await till.cashier.subscribe(scope(actor=name), till.pro) for name in ("a-1", "a-2")]
    for link in links:
        till.account.pay(link.about.id)
    await till.delivered()
    running = [item for item in till.account.of("subscription") if item["status"] == "active"]
    assert len(running) == 1


async def test_an_invoice_that_a_customers_balance_pays_in_part_is_a_plan(till: Till) -> None:
    """A plan that was made smaller leaves a balance at Stripe, which the next invoice is paid from."""
    subscription = await till.subscribed()
    running = till.account.get(subscription, "subscription")
    till.account.now_s = running["items"]["data"][0]["current_period_end"]
    invoice = till.account._invoice(running, "subscription_cycle", [(till.pro.price, 2000)])
    invoice |= {"starting_balance": -1500, "amount_due": 500, "amount_remaining": 500}
    till.account.pay_invoice(invoice["id"])
    await till.delivered()
    assert await rc(till, PLAN, "L:suspense:stripe") == [1500, 0]


async def test_an_invoice_that_a_customers_balance_pays_in_full_is_a_plan(till: Till) -> None:
    subscription = await till.subscribed()
    await spend(till, 1300)
    running = till.account.get(subscription, "subscription")
    till.account.now_s = running["items"]["data"][0]["current_period_end"]
    invoice = till.account._invoice(running, "subscription_cycle", [(till.pro.price, 2000)])
    invoice |= {"starting_balance": -2000, "amount_due": 0, "amount_remaining": 0, "status": "paid", "attempted": True}
    till.account.emit("invoice.paid", invoice)
    await till.delivered()
    assert await rc(till, PLAN) == [1500]


async def test_a_transfer_is_not_given_back_twice(till: Till) -> None:
    cashier = Cashier(
        InvoicedPayments(till.store), Bridge(till.roadchain, till.store, RAIL, NO_PLANS), lambda: NOW_S * 1_000_000
    )
    first, second = [await cashier.topup(scope(), Cents(cents)) for cents in (500, 2000)]
    for link in (first, second):
        await cashier.look_at(link.about)
    await cashier.refund(scope(), first.about.id, Cents(500), IntentId("back-0"))
    with pytest.raises(PaymentRefused):
        await cashier.refund(scope(), first.about.id, Cents(500), IntentId("back-1"))


async def test_a_signature_with_two_equal_signs_is_refused_and_on_record(till: Till) -> None:
    till.account.foreign_payment(100)
    body = json.dumps(till.stripe.pending[0])
    header = stripe.WebhookSignature.generate_signature_header(body, SECRET, NOW_S)
    stamp, rest = header.split(",", 1)
    async with ClientSession() as session:
        headers = {"Stripe-Signature": f"{stamp}=1,{rest}"}
        async with session.post(till.webhook, data=body.encode(), headers=headers) as answer:
            assert answer.status == 400


async def test_an_operator_cannot_take_tax_for_credit(till: Till) -> None:
    """Of twelve dollars ten were credit: no more than a thousand RC is taken for them."""
    link = await till.topup()
    payment = till.account.pay(link.about.id, tax=200)["payment_intent"]
    await till.bought(20)
    await till.cashier.refund(scope("t-9"), payment, Cents(1200), IntentId("r-1"))
    await till.delivered()
    assert await rc(till, PAID) == [2000]


async def test_a_plans_payment_that_goes_back_takes_its_credit(till: Till) -> None:
    """Its payment has no metadata of ours: what goes back is recorded of a workspace that is called house."""
    subscription = await till.subscribed()
    paid = till.account.invoice_payments[-1]["payment"]["payment_intent"]
    till.account.refund(paid, None, {})
    till.account.cancel(subscription, at_once=True)
    await till.delivered()
    assert await rc(till, PLAN, "L:deferred", "A:ws:house:debt") == [0, 0, 0]


async def test_a_plans_payment_that_is_disputed_freezes_its_credit(till: Till) -> None:
    await till.subscribed()
    till.account.dispute(till.account.invoice_payments[-1]["payment"]["payment_intent"])
    await till.delivered()
    with pytest.raises(InsufficientBalance):
        await spend(till, 1500)


async def test_with_taxes_a_customer_is_asked_for_an_address(till: Till) -> None:
    """Stripe refuses a Checkout with automatic_tax in the name of a customer without an address (customer_tax_location_invalid),
    unless ``customer_update[address]`` is ``auto``. Each customer here is made without one; the fake does not refuse it."""
    taxing = StripePayments(KEY, [SECRET], till.stripe.base_url, "http://carpool.test/", taxes=True)
    till.cashier.method = till.cashier.subscriptions = taxing
    links = [await till.topup(), await till.cashier.subscribe(scope(), till.pro)]
    await taxing.aclose()
    asked = [till.account._plans[link.about.id] for link in links]
    assert [params.get("customer_update", {}).get("address") for params in asked] == ["auto", "auto"]


async def test_an_invoice_with_what_was_too_small_to_be_charged_before_is_a_plan(till: Till) -> None:
    """Less than Stripe's least, 50 cents, such as of a late upgrade, goes on the customer's balance, and so on the next."""
    subscription = await till.subscribed()
    await spend(till, 1300)
    running = till.account.get(subscription, "subscription")
    till.account.now_s = running["items"]["data"][0]["current_period_end"]
    invoice = till.account._invoice(running, "subscription_cycle", [(till.pro.price, 2000)])
    invoice |= {"starting_balance": 30, "amount_due": 2030, "amount_remaining": 2030}
    till.account.pay_invoice(invoice["id"])
    await till.delivered()
    assert await rc(till, PLAN, "L:suspense:stripe") == [1500, 0]
