"""Invoices that a coupon of 100 per cent pays: no money comes, and a period has ended and another begun all the same."""

import pytest

from bot.plan import RunningPlan, running_plan
from integrations.payments.reconcile import reconcile
from ledger.money import URC_PER_RC
from tests.contract.payments.test_metering import Use
from tests.contract.payments.test_stripe_scenarios import spend
from tests.fakes.stripe_account import MONTH_S, Thing
from tests.payments import NOW_S, Till, W, scope

PLAN, DEFERRED, EARNED, EXPIRED = "L:ws:w-1:plan", "L:deferred", "R:subscription", "R:breakage"


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


async def running(till: Till) -> RunningPlan | None:
    return await running_plan(till.store, till.cashier.bridge.plans, W)


async def agrees(till: Till) -> None:
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def renewed_free(till: Till, subscription: str) -> None:
    """The period ends, and its invoice comes to nothing."""
    account = till.account
    account.end_period(subscription)
    _, since_s, until_s = account.drafts.pop()
    of = account.get(subscription, "subscription")
    price = of["items"]["data"][0]["price"]
    lines = [(price["id"], price["unit_amount"]), *account._used(of, since_s, until_s)]
    await paid_by_coupon(till, account._invoice(of, "subscription_cycle", lines))


async def paid_by_coupon(till: Till, invoice: Thing) -> None:
    for line in invoice["lines"]["data"]:
        line["discount_amounts"] = [{"amount": line["amount"], "discount": "di_1"}]
    invoice |= {"total": 0, "amount_due": 0, "amount_remaining": 0}
    till.account.pay_invoice(invoice["id"])
    await till.delivered()


async def test_a_month_that_costs_nothing_ends_the_one_before_and_is_the_plans(till: Till) -> None:
    subscription = await till.subscribed()
    await spend(till, 300)
    begun = await running(till)
    await renewed_free(till, subscription)
    assert await rc(till, PLAN, DEFERRED, EARNED, EXPIRED) == [0, 0, 500, 1200]  # no more credit than was paid for
    now = await running(till)
    assert begun is not None
    assert now is not None
    assert (now.name, now.until_s) == ("pro", begun.until_s + MONTH_S)
    till.account.renew(subscription)
    await till.delivered()
    assert await rc(till, PLAN, DEFERRED, EARNED, EXPIRED) == [1500, 500, 500, 1200]
    await agrees(till)


async def test_a_first_month_that_costs_nothing_is_the_plans_and_a_trial_is_not(till: Till) -> None:
    link = await till.cashier.subscribe(scope(), till.pro)
    subscription = till.account.pay(link.about.id, trial=True)["subscription"]
    await till.delivered()
    assert await running(till) is None
    of = till.account.get(subscription, "subscription")
    lines = [(till.pro.price, 2000)]
    await paid_by_coupon(till, till.account._invoice(of, "subscription_update", lines))
    assert await running(till) is not None
    assert await rc(till, PLAN, DEFERRED, "A:stripe:clearing") == [0, 0, 0]


async def test_usage_whose_invoice_the_house_gives_up_whole_is_owed_no_more(till: Till) -> None:
    use = Use(till)
    subscription = await use.begin()
    await use.call(310)
    assert await use.metering.apply() == 1
    metered = f"A:ws:w-1:metered:{use.period}"
    assert await rc(till, metered) == [300]
    await renewed_free(till, subscription)
    assert await rc(till, metered, "X:promo", PLAN) == [0, 300, 0]
    use.period = str(int(use.period) + MONTH_S)
    await use.call(7)
    assert await use.balances() == {"overage:now": 7}
    await agrees(till)
