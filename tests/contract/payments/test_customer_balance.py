"""Invoices that are paid out of what a customer has at Stripe, or that put something there: granted, and booked to the cent."""

import pytest

from integrations.payments.balances import CustomersCompared, reconcile_customers
from integrations.payments.base import Amount, Cents, ObjectRef
from integrations.payments.reconcile import Difference, reconcile
from ledger.credit_actions import CreditAllocated
from ledger.entry import Draft
from ledger.money import URC_PER_RC
from tests.contract.payments.test_stripe_scenarios import spend
from tests.fakes.stripe_account import Thing
from tests.payments import NOW_S, Till, scope

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
    assert await of_customers(till) == []


async def of_customers(till: Till) -> list[tuple[str, float | None, float | None]]:
    """What differs of what customers have at Stripe: there, and in the ledger."""
    differences = (await reconcile_customers(till.cashier, till.method, till.store)).differences

    def in_rc(amount: int | None) -> float | None:
        return None if amount is None else amount / URC_PER_RC

    return [(item.kind, in_rc(item.at_rail), in_rc(item.in_ledger)) for item in differences]


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


async def test_a_smaller_plan_takes_what_was_set_aside_before_it_makes_a_debt(till: Till) -> None:
    subscription = await till.subscribed(till.top)
    await spend(till, 5000)
    await till.bought(30)
    for owner, amount in (("user:a-1", 1000), ("agent:g-1", 1500)):
        moved = CreditAllocated("", owner, amount * URC_PER_RC)
        await till.roadchain.append(Draft(moved, scope(), f"allocate/{owner}"))
    till.account.upgrade(subscription, till.pro.price)
    await till.delivered()
    assert await rc(till, DEBT, PAID, f"{PAID}:agent:g-1", f"{PAID}:user:a-1") == [0, 0, 250, 1000]
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
    assert await of_customers(till) == [("customer_balance", 0, -1500)]


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


async def test_a_balance_changed_in_the_dashboard_is_named_with_its_customer_and_left_as_it_is(
    till: Till,
) -> None:
    await till.subscribed()
    for workspace in ("w-2", "w-3"):
        await till.cashier.topup(scope("t", f"a-{workspace}", workspace), Cents(1000))
    stranger = till.account.customer({})
    changed, owing, *_ = till.account.of("customer")[1:]
    changed["balance"], owing["balance"], stranger["balance"] = -700, 250, -5
    before = await till.store.balances()
    compared = await reconcile_customers(till.cashier, till.method, till.store)
    assert compared == CustomersCompared(
        (),
        (
            Difference("customer_balance", f"{changed['id']} of workspace w-3", 700 * URC_PER_RC, 0),
            Difference("customer_balance", f"{owing['id']} of workspace w-2", -250 * URC_PER_RC, 0),
        ),
    )
    assert await till.store.balances() == before
    changed["balance"], owing["balance"], owing["currency"] = 0, -250, "eur"
    (other,) = (await reconcile_customers(till.cashier, till.method, till.store)).differences
    assert (other.about, other.at_rail) == (f"{owing['id']} of workspace w-2, in EUR", 250 * URC_PER_RC)


async def test_what_an_invoice_takes_of_a_balance_is_on_its_way_until_it_is_paid(till: Till) -> None:
    subscription = await made_smaller(till)
    customer_of(till)["balance"] += 500  # by hand: of 20 dollars 15 are there
    assert await of_customers(till) == [("customer_balance", 1500, 2000)]
    customer_of(till)["balance"] -= 500
    invoice = till.account.renew(subscription, paid=False)
    invoice["number"] = "N-1"
    assert (invoice["status"], customer_of(till)["balance"]) == ("open", 0)
    await till.delivered()
    assert await rc(till, BALANCE) == [2000]  # the ledger will hear of it when it is paid
    assert await of_customers(till) == []
    for status, there in (("void", -2000), ("uncollectible", 0)):
        invoice["status"] = status
        customer_of(till)["balance"] = there
        differs = [] if status == "void" else [("customer_balance", 0, 2000)]
        assert await of_customers(till) == differs
    invoice["status"] = "open"
    till.account.pay_invoice(invoice["id"])
    assert (await reconcile_customers(till.cashier, till.method, till.store)).found == (invoice["id"],)
    await till.delivered()
    assert await rc(till, BALANCE) == [0]
    await agrees(till)


async def test_an_invoice_that_a_balance_paid_whole_is_found_though_no_event_told_of_it(till: Till) -> None:
    subscription = await made_smaller(till)
    till.stripe.adversary.never = 100
    invoice = till.account.renew(subscription)
    assert (invoice["amount_paid"], await rc(till, BALANCE)) == (0, [2000])
    compared = await reconcile_customers(till.cashier, till.method, till.store)
    assert compared == CustomersCompared((invoice["id"],), ())
    assert await rc(till, BALANCE, PLAN) == [0, 1500]
    assert await reconcile_customers(till.cashier, till.method, till.store) == CustomersCompared()


async def test_what_a_deleted_customer_had_is_named(till: Till) -> None:
    await made_smaller(till)
    till.account.delete_customer(customer_of(till)["id"])
    await till.delivered()
    assert await of_customers(till) == [("customer_balance", None, 2000)]


async def test_a_balance_that_changes_while_it_is_read_is_read_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = await made_smaller(till)
    renewals = [lambda: till.account.renew(subscription)]
    look = till.method._balance_of

    async def meanwhile(customer: str) -> Amount:
        balance = await look(customer)
        if renewals:
            renewals.pop()()
        return balance

    monkeypatch.setattr(till.method, "_balance_of", meanwhile)
    assert await of_customers(till) == []
    assert renewals == []
