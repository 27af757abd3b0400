"""The scenarios of money that need no page of Stripe's, driven through its API alone: here against our fake, and by
``tests/live`` against a sandbox of Stripe's own. What is compared are the lines of ``scenarios.txt``, fees apart."""

import itertools
import random
from contextlib import suppress

import pytest
import stripe
from aiohttp import ClientSession

from integrations.payments.base import (
    Cents,
    IntentId,
    MeterReading,
    ObjectRef,
    PaymentConflict,
    PaymentMisconfigured,
    PaymentRefused,
    PaymentUnknown,
    RefundAsked,
    TopupAsked,
)
from integrations.payments.metering import Metering, reconcile_meters
from integrations.payments.reconcile import reconcile
from ledger.payment_actions import PaymentRefused as RefusedEntry
from tests.stripe_place import METER, Narrowed, Thing
from tests.stripe_world import World

HOUR_S, DAY_S = 3600, 86_400


# Credit that is bought.


async def test_s01_a_payment_is_credit_once_with_its_fee(world: World) -> None:
    payment = await world.pay(1000)
    await world.hear("payment_intent.succeeded", payment)
    await world.recorded(payment)
    await world.check("S01", 0)
    begun = await world.size()
    await world.recorded(payment)
    assert [entry for entry in await world.entered(begun) if entry.postings] == []


async def test_s02_one_event_delivered_five_times_at_once_is_one_topup(world: World) -> None:
    payment = await world.pay(1000)
    await world.deliver_at_once([await world.listed("payment_intent.succeeded", payment)] * 5)
    assert world.statuses == [200] * 5
    await world.recorded(payment)
    await world.check("S02", 0)


async def test_s03_the_order_of_the_events_does_not_matter(world: World) -> None:
    payment = await world.pay(1000)
    kinds = ("payment_intent.created", "payment_intent.succeeded", "charge.succeeded")
    events = [await world.listed(kind, payment) for kind in kinds]
    for order in itertools.permutations(events):
        async with world.another() as house:
            await house.deliver(order)
            assert house.statuses == [200] * 3
            await house.recorded(payment)
            await house.check("S03", 0)


async def test_s04_a_webhook_that_was_never_sent_is_found_in_stripes_list(world: World) -> None:
    payment = await world.pay(1000)
    await world.listed("payment_intent.succeeded", payment)
    scan = await world.cashier.scan()
    assert (scan.left, scan.aside, await world.rc("PAID")) == (0, 0, [1000])
    await world.recorded(payment)
    await world.check("S04", 0)


async def test_s05_a_payment_that_no_event_tells_of_is_found_among_what_stripe_settled(world: World) -> None:
    world.method.silent = True
    payment = await world.pay(1000)
    assert (await world.cashier.scan()).events == 0

    async def found() -> tuple[str, ...]:
        return (await reconcile(world.cashier, world.store, world.began_s)).found

    assert len(await world.until(found)) == 1
    assert await world.differences() == ()
    await world.recorded(payment)
    await world.check("S05", 0)


async def debit(world: World, outcome: str) -> str:
    """A bank debit, which comes later or not at all."""
    try:
        payment = await world.ask_of_ours(1000, "us_bank_account")
    except stripe.InvalidRequestError as error:
        world.place.cannot(f"bank debits are not switched on: {error.user_message}")
    await world.confirm(payment, f"pm_usBankAccount_{outcome}")
    seen = await world.cashier.look_at(ObjectRef("payment_intent", payment))
    assert (seen == "recorded") == (await world.rc("PAID") == [1000])
    return payment


async def test_s07_a_bank_debit_is_credited_when_it_comes(world: World) -> None:
    payment = await debit(world, "success")
    await world.hear("payment_intent.succeeded", payment)
    await world.recorded(payment)
    await world.check("S07", 0)


async def test_s08_a_bank_debit_that_fails_is_no_credit(world: World) -> None:
    await world.hear("payment_intent.payment_failed", await debit(world, "insufficientFunds"))
    assert "failed" in await world.outcomes()
    await world.check("S08", 0)


async def test_a_declined_card_is_no_credit_and_another_may_be_tried(world: World) -> None:
    payment = await world.pay(1000, "pm_card_chargeDeclined")
    await world.hear("payment_intent.payment_failed", payment)
    assert "failed" in await world.outcomes()
    await world.check("S08", 0)
    await world.confirm(payment, "pm_card_visa")
    await world.hear("payment_intent.succeeded", payment)
    await world.recorded(payment)
    await world.check("S01", 0)


async def test_s09_a_link_that_is_left_alone_comes_to_nothing(world: World) -> None:
    link = await world.link(10)
    await world.client.v1.checkout.sessions.expire_async(link.about.id)
    await world.hear("checkout.session.expired", link.about.id)
    assert "expired" in await world.outcomes()
    assert (await world.link(10)).about != link.about
    await world.check("S09", 0)


async def test_s10_a_double_click_opens_one_page(world: World) -> None:
    first, second = await world.link(10), await world.link(10)
    assert first == second
    payment = await world.pay_link(first)
    await world.hear("payment_intent.succeeded", payment)
    await world.recorded(payment)
    await world.check("S10", 0)
    shown = await world.cashier.payments(world.scope, 5)
    assert [(item.id, item.amount.cents, item.refunded.cents) for item in shown] == [(payment, 1000, 0)]


async def test_a_page_that_was_come_back_to_unpaid_credits_nothing(world: World) -> None:
    link = await world.link(10)
    async with ClientSession() as browser:
        async with browser.get(world.came_back, params={"session_id": link.about.id}) as page:
            assert page.status == 200
        async with browser.get(world.came_back, params={"session_id": "cs_test_of_somebody_else"}) as page:
            assert page.status == 404
    assert await world.store.balances() == ()


async def test_the_same_intent_asks_for_no_other_amount(world: World) -> None:
    buyer, expires_s = world.buyer(), int(world.place.clock_s()) + HOUR_S
    asked = TopupAsked(buyer, Cents(1000), "", expires_s)
    assert await world.method.create_topup(asked) == await world.method.create_topup(asked)
    with pytest.raises(PaymentConflict):
        await world.method.create_topup(TopupAsked(buyer, Cents(2000), "", expires_s))


async def test_a_link_that_somebody_else_opened_credits_whoever_asked_for_it(world: World) -> None:
    link = await world.link(10)
    stranger = (await world.method.create_customer(world.buyer("w-stranger"), "")).id
    payment = await world.pay_link(link, customer=stranger)
    await world.hear("payment_intent.succeeded", payment)
    await world.recorded(payment)
    await world.check("S01", 0)
    assert await world.rc("L:ws:w-stranger:paid") == [0]


async def test_two_payments_of_what_one_link_asked_for_are_both_credit(world: World) -> None:
    link = await world.link(10)
    for _ in range(2):
        payment = await world.pay_link(link)
        await world.hear("payment_intent.succeeded", payment)
        await world.recorded(payment)
    assert await world.rc("PAID") == [2000]
    assert await world.differences() == ()


async def test_s13_what_is_not_stripes_or_not_for_us_is_refused_and_on_record(world: World) -> None:
    event = await world.listed("payment_intent.succeeded", await world.pay(1000))
    async with ClientSession() as session:
        answers = [
            await world.post(session, event, "whsec_another"),
            await world.post(session, event, late_s=-600),
            await world.post(session, event, late_s=600),
            await world.post(session, {**event, "livemode": True}),
            await world.post(session, {**event, "account": "acct_1"}),
        ]
    assert answers == [400] * 5
    reasons = {entry.action.reason for entry in await world.entered() if isinstance(entry.action, RefusedEntry)}
    assert reasons == {"account", "mode", "signature", "timestamp"}
    await world.check("S13", 0)


async def test_s14_another_amount_than_was_asked_for_waits_in_suspense(world: World) -> None:
    payment = await world.pay(100, asked=1000)
    await world.hear("payment_intent.succeeded", payment)
    await world.recorded(payment)
    await world.check("S14", 0)


async def test_money_of_nobody_we_know_waits_in_suspense_until_it_goes_back(world: World) -> None:
    payment = await world.pay(700, foreign=True)
    await world.hear("payment_intent.succeeded", payment)
    await world.recorded(payment)
    assert await world.rc("PAID", "SUSP") == [0, 700]
    refund = await world.client.v1.refunds.create_async({"payment_intent": payment})
    await world.hear("refund.created", refund.id)
    assert await world.rc("PAID", "SUSP") == [0, 0]
    await world.check_fees()


# Plans.


async def latest(world: World, subscription: str) -> str:
    found = (await world.client.v1.subscriptions.retrieve_async(subscription)).latest_invoice
    return str(found if isinstance(found, str) or found is None else found.id)


async def subscribed(world: World, plan: str = "pro", card: str = "pm_card_visa", trial_days: int = 0) -> str:
    subscription = await world.subscribe(plan, card, trial_days)
    invoice = await latest(world, subscription)
    await world.hear("invoice.paid", invoice)
    if not trial_days:
        await world.recorded(await world.invoice_payment(invoice))
    return subscription


async def renewed(world: World, subscription: str) -> str:
    """The invoice of the next period, once it was heard of as paid."""
    await world.renew(subscription)
    invoice = await latest(world, subscription)
    await world.hear("invoice.paid", invoice)
    await world.recorded(await world.invoice_payment(invoice))
    return invoice


async def test_s33_a_subscription_grants_its_credit_when_its_invoice_is_paid(world: World) -> None:
    subscription = await subscribed(world)
    await world.check("S33", 0)
    shown = await world.cashier.invoices(world.scope, 5)
    assert [(item.state, item.amount.cents) for item in shown] == [("paid", 2000)]
    with pytest.raises(PaymentRefused) as refused:
        await world.cashier.subscribe(world.scope, world.plans["top"])
    assert refused.value.code == "subscribed"
    assert await world.method.subscribed(await world.customer()) == (ObjectRef("subscription", subscription),)


async def test_s34_a_renewal_grants_once_and_what_was_left_expires(world: World) -> None:
    subscription = await subscribed(world)
    await world.spend(1300)
    begun = await world.size()
    await renewed(world, subscription)
    await world.check("S34", begun)
    assert await world.differences() == ()


async def test_s35_a_renewal_that_fails_twice_grants_when_it_is_paid(world: World) -> None:
    subscription = await subscribed(world, card="pm_card_chargeCustomerFail", trial_days=7)
    await world.bought(1)
    await world.spend(50)
    begun = await world.size()
    await world.renew(subscription)
    invoice = await latest(world, subscription)
    await world.hear("invoice.payment_failed", invoice)
    with pytest.raises(stripe.CardError):
        await world.client.v1.invoices.pay_async(invoice)
    await world.deliver(await world.undelivered())
    assert [entry for entry in await world.entered(begun) if entry.postings] == []
    assert await world.rc("PAID") == [50]
    await world.use_card("pm_card_visa")
    await world.client.v1.invoices.pay_async(invoice)
    await world.hear("invoice.paid", invoice)
    await world.recorded(await world.invoice_payment(invoice))
    await world.check("S35", begun)


async def change_plan(world: World, subscription: str, plan: str) -> None:
    """In the middle of its period, and paid for at once."""
    since_s, until_s = await world.period(subscription)
    await world.advance((since_s + until_s) // 2)
    item = (await world.client.v1.subscriptions.retrieve_async(subscription))["items"].data[0]
    with suppress(stripe.CardError):
        await world.client.v1.subscriptions.update_async(
            subscription,
            {
                "items": [{"id": item.id, "price": world.plans[plan].price}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "pending_if_incomplete",
            },
        )


async def test_s36_an_upgrade_grants_the_difference(world: World) -> None:
    subscription = await subscribed(world)
    begun = await world.size()
    await change_plan(world, subscription, "top")
    invoice = await latest(world, subscription)
    await world.hear("invoice.paid", invoice)
    await world.recorded(await world.invoice_payment(invoice))
    await world.check("S36", begun)


async def test_s36_an_upgrade_whose_card_is_declined_changes_nothing(world: World) -> None:
    subscription = await subscribed(world)
    begun = await world.size()
    await world.use_card("pm_card_chargeCustomerFail")
    await change_plan(world, subscription, "top")
    await world.hear("invoice.payment_failed", await world.customer())
    assert [entry for entry in await world.entered(begun) if entry.postings] == []
    assert await world.rc("PLAN", "DEFER") == [1500, 500]
    item = (await world.client.v1.subscriptions.retrieve_async(subscription))["items"].data[0]
    assert item.price.id == world.plans["pro"].price


async def test_s37_credit_that_was_bought_outlives_the_plan(world: World) -> None:
    await world.bought(1)
    await world.spend(60)
    subscription = await subscribed(world)
    await world.spend(1200)
    begun = await world.size()
    await world.client.v1.subscriptions.update_async(subscription, {"cancel_at_period_end": True})
    await world.renew(subscription)
    await world.hear("customer.subscription.deleted", subscription)
    await world.check("S37", begun)


async def test_a_plan_that_was_ended_at_once_lasts_until_its_period_is_over(world: World) -> None:
    subscription = await subscribed(world)
    begun = await world.size()
    await world.method.end(subscription)
    await world.hear("customer.subscription.deleted", subscription)
    await world.cashier.scan()
    assert [entry for entry in await world.entered(begun) if entry.postings] == []
    assert await world.rc("PLAN", "DEFER") == [1500, 500]


async def test_a_second_plan_of_one_workspace_is_ended_and_its_money_sent_back(world: World) -> None:
    first = await subscribed(world)
    second = await world.subscribe("top", beside=True)
    invoice = await latest(world, second)
    payment = await world.invoice_payment(invoice)
    await world.hear("invoice.paid", invoice)
    await world.hear("refund.created", payment)
    await world.recorded(payment)
    assert await world.rc("PLAN", "DEFER", "SUSP") == [1500, 500, 0]
    states = [(await world.client.v1.subscriptions.retrieve_async(name)).status for name in (first, second)]
    assert states == ["active", "canceled"]
    await world.check_fees()


async def test_a_plans_payment_that_goes_back_takes_its_credit_and_its_fee(world: World) -> None:
    subscription = await subscribed(world)
    payment = await world.invoice_payment(await latest(world, subscription))
    refund = await world.client.v1.refunds.create_async({"payment_intent": payment})
    await world.hear("refund.created", refund.id)
    assert await world.rc("PLAN", "DEFER", "DEBT") == [0, 0, 0]
    await world.check_fees()


async def test_the_portal_is_the_customers_own_page(world: World) -> None:
    try:
        link = await world.cashier.portal(world.scope)
    except PaymentRefused as error:
        world.place.cannot(f"the portal is not set up in this account: {error}")
    assert link.about == ObjectRef("customer", await world.customer())
    assert link.url.startswith("http")


async def test_after_a_customer_was_deleted_there_is_another(world: World) -> None:
    await world.link(5)
    first = await world.customer()
    await world.client.v1.customers.delete_async(first)
    await world.link(5)
    assert await world.customer() not in ("", first)


async def counted(world: World, since_s: int, units: int) -> None:
    """Until the meter counts what it was told; more than that it never does."""
    customer, until_s = await world.customer(), int(world.place.clock_s()) + 120

    async def told() -> int:
        return await world.method.metered(METER, customer, since_s - since_s % 60, until_s - until_s % 60)

    assert await world.until(told) == units


async def test_what_a_meter_is_told_twice_counts_once(world: World) -> None:
    await subscribed(world, "beyond")
    at_s = int(world.place.clock_s())
    reading = MeterReading(f"m-{world.scope.workspace}", METER, await world.customer(), 7, at_s)
    for _ in range(2):
        await world.method.read_meter(reading)
    await counted(world, at_s, 7)
    with pytest.raises(PaymentUnknown):
        await world.method.metered("carpool_no_such_meter", reading.customer, at_s - at_s % 60, at_s - at_s % 60 + 60)


async def test_what_is_used_beyond_a_plan_is_told_to_its_meter_and_paid_with_the_next_invoice(world: World) -> None:
    subscription = await subscribed(world, "beyond")
    period, at_s = str((await world.period(subscription))[1]), int(world.place.clock_s())
    await world.spend(990)
    await world.spend(17, period)
    metered = f"A:ws:w-1:metered:{period}"
    metering = Metering(world.cashier, world.method, world.store, world.clock_us)
    assert (await metering.apply(), await metering.apply()) == (1, 0)
    assert await world.rc("PLAN", metered) == [0, 7]
    await counted(world, at_s, 7)
    now_s = int(world.place.clock_s())
    assert await reconcile_meters(world.cashier, world.method, world.store, world.began_s, now_s) == ()
    invoice = await renewed(world, subscription)
    assert (await world.client.v1.invoices.retrieve_async(invoice)).total == 1007
    assert await world.rc("PLAN", metered) == [1000, 0]
    await world.check_fees()


# What goes back.


async def test_s38_a_refund_that_fails_comes_back(world: World) -> None:
    payment = await world.bought(10, "pm_card_refundFail")
    await world.spend(300)
    begun, intent = await world.size(), IntentId(f"r-{world.scope.workspace}")
    refund = await world.cashier.refund(world.scope, payment, Cents(700), intent)
    assert await world.cashier.refund(world.scope, payment, Cents(700), intent) == refund
    await world.hear("refund.failed", refund.id)
    await world.check("S38", begun)


async def test_a_refund_is_sent_once_and_no_more_than_was_paid_comes_back(world: World) -> None:
    payment = await world.bought(10)
    intent = IntentId(f"r-{world.scope.workspace}")
    first = await world.cashier.refund(world.scope, payment, Cents(400), intent)
    assert await world.cashier.refund(world.scope, payment, Cents(400), intent) == first
    await world.hear("refund.created", first.id)
    assert await world.rc("PAID", "RHOLD") == [600, 0]
    with pytest.raises(PaymentRefused):
        await world.cashier.refund(world.scope, payment, Cents(601), IntentId(f"s-{world.scope.workspace}"))
    with pytest.raises(PaymentRefused):
        await world.method.refund(RefundAsked(world.buyer(), payment, Cents(601)))
    assert await world.rc("PAID", "RHOLD") == [600, 0]
    await world.check_fees()


async def test_s39_a_refund_past_us_makes_a_debt_that_the_next_topup_pays(world: World) -> None:
    payment = await world.bought(10)
    await world.spend(300)
    begun = await world.size()
    refund = await world.client.v1.refunds.create_async({"payment_intent": payment})
    await world.hear("refund.created", refund.id)
    assert await world.rc("DEBT") == [300]
    await world.bought(5)
    await world.check("S39", begun)


async def close(world: World, payment: str, evidence: str) -> int:
    """Dispute it to the end. Gives what Stripe took for the dispute."""
    listed = await world.client.v1.disputes.list_async({"payment_intent": payment})
    (dispute,) = listed.data
    params: Thing = {"evidence": {"uncategorized_text": evidence}, "submit": True}
    await world.client.v1.disputes.update_async(dispute.id, params)  # type: ignore[arg-type]  # a plain dict
    await world.hear("charge.dispute.closed", dispute.id)
    return sum(item.fee for item in dispute.balance_transactions if item.amount < 0)


@pytest.mark.parametrize(("name", "evidence"), [("S40", "losing_evidence"), ("S41", "winning_evidence")])
async def test_s40_s41_a_dispute_freezes_what_is_left_until_it_is_closed(
    world: World, name: str, evidence: str
) -> None:
    payment = await world.bought(10, "pm_card_createDispute")
    await world.bought(20)
    await world.spend(2300)
    begun = await world.size()
    await world.hear("charge.dispute.funds_withdrawn", payment)
    assert await world.rc("PAID", "FROZEN", "DISP") == [0, 700, 1000]
    fee = await close(world, payment, evidence)
    await world.check(name, begun, fee)
    assert await world.differences() == ()


async def test_a_plans_payment_that_is_disputed_and_lost_takes_its_credit(world: World) -> None:
    subscription = await subscribed(world, card="pm_card_createDispute")
    payment = await world.invoice_payment(await latest(world, subscription))
    await world.hear("charge.dispute.funds_withdrawn", payment)
    assert await world.rc("PLAN", "FROZEN", "DISP") == [0, 1500, 2000]
    await close(world, payment, "losing_evidence")
    assert await world.rc("PLAN", "FROZEN", "DISP", "XBAD") == [0, 0, 0, 0]
    await world.check_fees()


async def test_what_is_paid_out_leaves_stripe(world: World) -> None:
    await world.bought(10)
    await world.fill(500)
    (held,) = await world.rc("STR")
    try:
        payout = await world.client.v1.payouts.create_async({"amount": 500, "currency": "usd"})
    except stripe.InvalidRequestError as error:
        world.place.cannot(f"it pays nothing out: {error.user_message}")
    world.method.mine.add(payout.id)
    await world.hear("payout.paid", payout.id)
    assert await world.rc("STR", "BANK") == [held - 500, 500]
    await world.check_fees()


# A house in trouble.


async def test_s43_a_ledger_from_a_backup_gets_back_what_was_paid_since(world: World) -> None:
    payment = await world.bought(10)
    await world.listed("payment_intent.succeeded", payment)
    async with world.another() as restored:
        assert (await restored.cashier.scan()).left == 0
        await restored.recorded(payment)
        await restored.check("S43", 0)


async def test_what_comes_while_the_key_is_refused_waits_for_the_next_one(world: World) -> None:
    payment = await world.pay(1000)
    event = await world.listed("payment_intent.succeeded", payment)
    refused = Narrowed(world.place, "sk_test_" + "0" * 24)
    good, world.cashier.method = world.cashier.method, refused
    try:
        with pytest.raises(PaymentMisconfigured):
            await refused.fetch(ObjectRef("payment_intent", payment))
        await world.deliver([event])
    finally:
        world.cashier.method = good
        await refused.aclose()
    assert (world.statuses, await world.store.balances()) == ([200], ())
    assert (await world.cashier.scan()).left == 0
    await world.recorded(payment)
    await world.check("S01", 0)


async def test_shuffled_repeated_and_lost_deliveries_come_to_the_same_book(world: World) -> None:
    one, two = await world.bought(10), await world.bought(20, "pm_card_createDispute")
    await world.client.v1.refunds.create_async({"payment_intent": one, "amount": 400})
    subscription = await subscribed(world)
    await change_plan(world, subscription, "top")
    await world.hear("charge.dispute.funds_withdrawn", two)
    await close(world, two, "losing_evidence")
    invoice = await renewed(world, subscription)
    await world.client.v1.subscriptions.update_async(subscription, {"cancel_at_period_end": True})
    await world.renew(subscription)
    await world.hear("customer.subscription.deleted", subscription)
    await world.listed("invoice.paid", invoice)
    honest = {row.account: row.balance for row in await world.store.balances()}
    events, chance = await world.method.told(world.began_s), random.Random(6)
    struck = [event for event in events if chance.random() < 0.7 for _ in range(chance.choice((1, 1, 3)))]
    chance.shuffle(struck)
    async with world.another() as house:
        await house.deliver(struck)
        scan = await house.cashier.scan()
        assert (scan.left, scan.aside) == (0, 0)
        assert await house.differences() == ()
        assert {row.account: row.balance for row in await house.store.balances()} == honest
    assert await world.differences() == ()
