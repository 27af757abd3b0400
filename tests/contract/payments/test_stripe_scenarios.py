"""The scenarios of money that Stripe has a part in: through its events, the real SDK and the endpoint, to entries and balances.

What is compared are the lines of ``scenarios.txt``, as for direct appends; fees are left out of it where a scenario has none.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import ClientSession

from bot.expiry import Expiry
from integrations.payments.base import Cents, IntentId
from integrations.payments.reconcile import reconcile
from ledger.credit_actions import CreditReserved, CreditSettled, CreditVoided, RewardGranted
from ledger.entry import Draft
from ledger.payment_actions import PaymentHandled, PaymentRefused
from tests.contract.stores.test_money_scenarios import SCENARIOS, Rc, amounts, check_balances, expected, told, urc
from tests.fakes.stripe_server import Adversary
from tests.payments import NOW_S, Till, open_till, scope
from tests.postgres import Server
from tests.stores import Kind, opening

DAY_S = 86_400
LINES = {line[:3]: line for line in SCENARIOS}


async def spend(till: Till, rc: int, name: str = "spent") -> None:
    held = CreditReserved(name, urc(rc), urc(rc), "p", "m")
    await till.roadchain.append(Draft(held, scope(), f"{name}/reserve"))
    await till.roadchain.append(Draft(CreditSettled(name, urc(rc), "p", 0), scope(), f"{name}/settle"))


async def check(till: Till, name: str, begun: int) -> None:
    """The entries after ``begun``, and the closing balances, are the scenario's."""
    _, _, _, entries, closing = LINES[name].split(" | ")
    recorded = [item.entry for item in await till.store.entries(begun - 1, 1000)]
    assert [told(entry) for entry in recorded if entry.postings] == expected(entries)
    await check_balances(till.store, amounts(closing))


async def size(till: Till) -> int:
    return (await till.store.head()).size


@pytest.fixture(autouse=True)
def _no_fees(till: Till, request: pytest.FixtureRequest) -> None:
    if "fee" not in request.node.name:
        till.account.fee_bps = till.account.fee_fixed = 0


async def test_s01_a_checkout_is_a_topup_and_its_fee(till: Till) -> None:
    await till.bought(10)
    await check(till, "S01", 0)


async def test_s02_one_event_delivered_five_times_at_once_is_one_topup(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    till.stripe.pending[:] = [
        event for event in till.stripe.pending if event["type"] == "checkout.session.completed"
    ] * 5
    await till.delivered()
    assert till.stripe.statuses == [200] * 5
    await check(till, "S02", 0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_s03_the_order_of_the_events_does_not_matter(till: Till, order: Sequence[int]) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    events = [event for event in till.stripe.pending if event["type"] != "charge.updated"]
    till.stripe.pending[:] = [events[n] for n in order]
    await till.delivered()
    await check(till, "S03", 0)


async def test_s04_what_was_missed_while_the_bot_was_down_is_found_in_stripes_list(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    till.stripe.pending.clear()
    till.account.now_s += 7200
    assert (await till.cashier.scan()).left == 0
    await check(till, "S04", 0)


async def test_s05_a_payment_of_which_no_event_was_ever_made_is_found_among_what_stripe_settled(till: Till) -> None:
    till.stripe.adversary.never = 100
    link = await till.topup()
    till.account.pay(link.about.id)
    await till.delivered()
    assert (await till.cashier.scan()).events == 0
    found = await reconcile(till.cashier, till.store, NOW_S - 3600)
    assert (len(found.found), found.differences) == (1, ())
    await check(till, "S05", 0)


async def test_s06_the_page_that_a_person_comes_back_to_credits_as_the_event_does(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    async with ClientSession() as browser, browser.get(till.came_back, params={"session_id": link.about.id}) as page:
        assert (page.status, (await page.text())[:28]) == (200, "Thank you: the credit is the")
    await till.delivered()
    await check(till, "S06", 0)


async def test_s07_a_bank_debit_is_credited_when_it_comes(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id, later=True)
    await till.delivered()
    assert await till.store.balances() == ()
    till.account.debit_comes(link.about.id)
    await till.delivered()
    await check(till, "S07", 0)


async def test_s08_a_bank_debit_that_fails_is_no_credit(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id, later=True)
    till.account.debit_fails(link.about.id)
    await till.delivered()
    assert {item.outcome for item in await handled(till)} == {"failed"}
    await check(till, "S08", 0)


async def test_s09_a_link_that_is_left_alone_comes_to_nothing(till: Till) -> None:
    link = await till.topup()
    till.account.expire(link.about.id)
    await till.delivered()
    assert [item.outcome for item in await handled(till)] == ["expired"]
    await check(till, "S09", 0)


async def handled(till: Till) -> list[PaymentHandled]:
    entries = [item.entry.action for item in await till.store.entries(-1, 1000)]
    return [action for action in entries if isinstance(action, PaymentHandled)]


async def test_s10_a_double_click_opens_one_page(till: Till) -> None:
    first, second = await till.topup(turn="t-1"), await till.topup(turn="t-2")
    assert first == second
    assert len(till.account.of("checkout.session")) == 1
    till.account.pay(first.about.id)
    await till.delivered()
    await check(till, "S10", 0)


async def test_a_link_that_was_used_is_not_given_again(till: Till) -> None:
    first = await till.topup(turn="t-1")
    till.account.pay(first.about.id)
    assert (await till.topup(turn="t-2")).about != first.about


async def test_s11_a_tax_is_owed_and_is_no_credit(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id, tax=200)
    await till.delivered()
    await check(till, "S11", 0)


async def test_s12_a_promotion_code_gives_credit_that_cannot_be_paid_back(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id, discount=100)
    await till.delivered()
    await check(till, "S12", 0)


async def test_s13_what_is_not_stripes_or_not_for_us_is_refused_and_on_record(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    event = till.stripe.pending.pop()
    async with ClientSession() as session:
        forged = await till.stripe.post(session, till.webhook, event, "whsec_another")
        old = await till.stripe.post(session, till.webhook, event, at_s=NOW_S - 600)
        ahead = await till.stripe.post(session, till.webhook, event, at_s=NOW_S + 600)
        live = await till.stripe.post(session, till.webhook, {**event, "livemode": True})
        connected = await till.stripe.post(session, till.webhook, {**event, "account": "acct_1"})
        async with session.post(till.webhook, data=b"\xff{", headers={"Stripe-Signature": "t=1,v1=00"}) as bytes_:
            assert bytes_.status == 400
        async with session.post(till.webhook, data=b"{}") as unsigned:
            assert unsigned.status == 400
    assert [forged, old, ahead, live, connected] == [400] * 5
    refused = [item.entry.action for item in await till.store.entries(-1, 100)]
    reasons = [action.reason for action in refused if isinstance(action, PaymentRefused)]
    assert sorted(reasons) == ["account", "mode", "signature", "timestamp"]
    await check(till, "S13", 0)


async def test_s14_another_amount_than_was_asked_for_waits_in_suspense(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id, pays=100)
    await till.delivered()
    await check(till, "S14", 0)


async def test_s23_what_neither_the_hold_nor_the_balance_covers_is_waived(till: Till) -> None:
    payment = await till.bought(10)
    await till.cashier.refund(scope("t-9"), payment, Cents(994), IntentId("refund-1"))
    await till.delivered()
    begun = await size(till)
    await call(till, 5, "7.2", 6)
    await check(till, "S23", begun)


async def test_s31_lots_are_spent_promotional_first_and_given_back_the_other_way(till: Till) -> None:
    await till.subscribed()
    await spend(till, 1498)
    await till.bought(10)
    ends_us = (NOW_S + DAY_S) * 1_000_000
    await till.roadchain.append(Draft(RewardGranted("friend", urc(3), ends_us), scope(), "reward"))
    begun = await size(till)
    await call(till, 20, "4.8", 4)
    await check(till, "S31", begun)


async def test_s32_credit_that_comes_back_to_a_lot_that_is_over_expires_too(till: Till) -> None:
    ends_us = (NOW_S + DAY_S) * 1_000_000
    await till.roadchain.append(Draft(RewardGranted("friend", urc(50), ends_us), scope(), "reward"))
    begun = await size(till)
    await till.roadchain.append(Draft(CreditReserved("call", urc(20), urc(20), "p", "m"), scope(), "reserve"))
    expiry = Expiry(till.roadchain, till.store, lambda: till.account.now_s * 1_000_000)
    till.account.now_s += DAY_S
    assert await expiry.apply() == 1
    await till.roadchain.append(Draft(CreditVoided("call"), scope(), "void"))
    till.account.now_s += 3600
    assert await expiry.apply() == 1
    await check(till, "S32", begun)


async def call(till: Till, hold: Rc, price: Rc, cost: Rc) -> None:
    await till.roadchain.append(Draft(CreditReserved("call", urc(hold), urc(hold), "p", "m"), scope(), "reserve"))
    await till.roadchain.append(Draft(CreditSettled("call", urc(price), "p", urc(cost)), scope(), "settle"))


async def test_s33_a_subscription_grants_its_credit_when_its_invoice_is_paid(till: Till) -> None:
    await till.subscribed()
    await check(till, "S33", 0)


async def test_s34_a_renewal_grants_once_and_what_was_left_expires(till: Till) -> None:
    subscription = await till.subscribed()
    await spend(till, 1300)
    begun = await size(till)
    till.account.renew(subscription)
    await till.delivered()
    await check(till, "S34", begun)


async def test_s35_a_renewal_that_fails_twice_grants_when_it_is_paid(till: Till) -> None:
    link = await till.cashier.subscribe(scope(), till.pro)
    subscription = till.account.pay(link.about.id, trial=True)["subscription"]
    paid = await till.topup(1)
    till.account.pay(paid.about.id)
    await till.delivered()
    await spend(till, 50)
    begun = await size(till)
    invoice = till.account.renew(subscription, paid=False)
    till.account.decline(invoice["id"])
    await till.delivered()
    assert [item for item in await till.store.moved(begun - 1, 10) if item.entry.postings] == []
    till.account.pay_invoice(invoice["id"])
    await till.delivered()
    await check(till, "S35", begun)


async def test_s36_an_upgrade_grants_the_difference(till: Till) -> None:
    subscription = await till.subscribed()
    begun = await size(till)
    till.account.upgrade(subscription, till.top.price)
    await till.delivered()
    await check(till, "S36", begun)


async def test_a_smaller_plan_is_paid_for_with_what_was_not_used_of_the_larger_one(till: Till) -> None:
    subscription = await till.subscribed(till.top)
    begun, running = await size(till), till.account.get(subscription, "subscription")
    item = running["items"]["data"][0]
    till.account.now_s = item["current_period_end"]
    item["price"] = till.account.get(till.pro.price, "price")
    # As the portal does by default: what is left of the old plan, the rest of the period of the new one, and its next period.
    lines = [(till.top.price, -1000), (till.pro.price, 332), (till.pro.price, 2000)]
    till.account.pay_invoice(till.account._invoice(running, "subscription_cycle", lines)["id"])
    await till.delivered()
    entered = [item.entry.action.name for item in await till.store.moved(begun - 1, 10)]
    assert entered == ["credit.recognise", "credit.expire", "credit.plan_grant"]
    credit = sum(row.natural for row in await till.store.balances() if row.account == "L:ws:w-1:plan")
    assert credit == urc(1500 + 249) + -urc(1000) * 5000 // 6000
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def test_s37_credit_that_was_bought_outlives_the_plan(till: Till) -> None:
    await till.bought(1)
    await spend(till, 60, "before")
    subscription = await till.subscribed()
    await spend(till, 1200)
    begun = await size(till)
    till.account.cancel(subscription)
    await till.delivered()
    await check(till, "S37", begun)


async def test_a_plan_that_was_cancelled_at_once_lasts_until_its_period_is_over(till: Till) -> None:
    subscription = await till.subscribed()
    begun = await size(till)
    till.account.cancel(subscription, at_once=True)
    await till.delivered()
    await till.cashier.scan()
    assert await till.store.moved(begun - 1, 10) == ()
    till.account.now_s += 31 * 86_400
    await till.cashier.scan()
    ended = [item.entry.action.name for item in await till.store.moved(begun - 1, 10)]
    assert ended == ["credit.recognise", "credit.expire"]


async def test_s38_a_refund_that_fails_comes_back(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 300)
    begun = await size(till)
    refund = await till.cashier.refund(scope("t-9"), payment, Cents(700), IntentId("refund-1"))
    again = await till.cashier.refund(scope("t-9"), payment, Cents(700), IntentId("refund-1"))
    assert refund == again
    await till.delivered()
    till.account.fail_refund(refund.id)
    await till.delivered()
    # What was spent is no longer among the accounts that the scenario names.
    await check(till, "S38", begun)


async def test_s39_a_refund_past_us_makes_a_debt_that_the_next_topup_pays(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 300)
    begun = await size(till)
    till.account.refund(payment, None, {})
    await till.delivered()
    await till.bought(5)
    await check(till, "S39", begun)


@pytest.mark.parametrize(("name", "won"), [("S40", False), ("S41", True)])
async def test_s40_s41_a_dispute_freezes_what_is_left_until_it_is_closed(till: Till, name: str, won: bool) -> None:
    payment = await till.bought(10)
    till.account.now_s += 600
    await till.bought(20)
    await spend(till, 2300)
    begun = await size(till)
    dispute = till.account.dispute(payment)
    await till.delivered()
    till.account.close_dispute(dispute["id"], won=won)
    await till.delivered()
    await check(till, name, begun)
    found = await reconcile(till.cashier, till.store, NOW_S - 3600)
    assert (found.found, found.differences) == ((), ())


async def test_s43_a_ledger_from_a_backup_gets_back_what_was_paid_since(
    till: Till, tmp_path: Path, postgres: Server, request: pytest.FixtureRequest
) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    await till.delivered()
    kind: Kind = "postgres" if "postgres" in request.node.name else "sqlite"
    (tmp_path / "restored").mkdir()
    async with opening(kind, tmp_path / "restored", postgres) as opens:
        async with open_till(await opens(), account=till.account) as restored:
            assert (await restored.cashier.scan()).left == 0
            await check(restored, "S43", 0)


@pytest.mark.parametrize("seed", range(6))
async def test_shuffled_repeated_late_and_lost_deliveries_come_to_the_same_book(
    till: Till, seed: int, tmp_path: Path, postgres: Server, request: pytest.FixtureRequest
) -> None:
    await history(till)
    honest = {row.account: row.balance for row in await till.store.balances()}
    kind: Kind = "postgres" if "postgres" in request.node.name else "sqlite"
    (tmp_path / "struck").mkdir()
    async with opening(kind, tmp_path / "struck", postgres) as opens:
        adversary = Adversary(seed, duplicate=30, reorder=50, drop=30, delay=30, never=10)
        async with open_till(await opens(), adversary) as struck:
            struck.account.fee_bps = struck.account.fee_fixed = 0
            await history(struck)
            await struck.cashier.scan()
            found = await reconcile(struck.cashier, struck.store, NOW_S - 3600)
            assert found.differences == ()
            assert {row.account: row.balance for row in await struck.store.balances()} == honest


async def history(till: Till) -> None:
    """What can happen in two months. No step depends on what was told before."""
    links = [await till.topup(dollars) for dollars in (10, 20, 30)]
    one, two, three = (till.account.pay(link.about.id)["payment_intent"] for link in links)
    plan = await till.cashier.subscribe(scope(), till.pro)
    subscription = till.account.pay(plan.about.id)["subscription"]
    await till.delivered()
    till.account.refund(one, 400, {})
    till.account.close_dispute(till.account.dispute(two)["id"], won=True)
    till.account.close_dispute(till.account.dispute(three)["id"], won=False)
    await till.delivered()
    till.account.fail_payout(till.account.payout(300)["id"])
    till.account.payout(200)
    till.account.upgrade(subscription, till.top.price)
    await till.delivered()
    till.account.renew(subscription)
    till.account.cancel(subscription)
    await till.delivered()
    await till.delivered()
