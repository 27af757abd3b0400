"""What comes back after a payment: refunds made at Stripe, disputes, and what is owed then."""

from dataclasses import replace

import pytest

from integrations.payments.base import Cents, IntentId, ObjectRef, PaymentRefused, PaymentUnavailable
from integrations.payments.keys import resolved_key
from integrations.payments.reconcile import reconcile
from integrations.payments.referrals import offered_key, taken_key
from integrations.payments.roadchain_bridge import Bridge
from ledger.credit_actions import (
    CreditAllocated,
    CreditReserved,
    CreditTopup,
    CreditVoided,
    DisputeLost,
    RewardGranted,
    RewardTakenBack,
    SuspenseResolved,
)
from ledger.entry import Draft
from ledger.errors import InsufficientBalance
from ledger.money import URC_PER_RC, Money
from ledger.payment_actions import ReferralOffered, ReferralTaken
from ledger.store import Receipt
from tests.contract.payments.test_stripe_scenarios import spend
from tests.payments import NOW_S, Till, scope

PAID, DEBT, FROZEN = "L:ws:w-1:paid", "A:ws:w-1:debt", "L:ws:w-1:frozen"
PLAN, DEFER, TAX, SUBSCRIPTION = "L:ws:w-1:plan", "L:deferred", "L:tax", "R:subscription"
ANN, HELPER = f"{PAID}:user:a-1", f"{PAID}:agent:g-1"


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


async def set_aside(till: Till, owner: str, rc: int) -> None:
    await till.roadchain.append(Draft(CreditAllocated("", owner, rc * URC_PER_RC), scope(), f"allocate/{owner}"))


async def test_a_dispute_reaches_credit_that_was_set_aside(till: Till) -> None:
    payment = await till.bought(10)
    await set_aside(till, "user:a-1", 600)
    await set_aside(till, "agent:g-1", 400)
    dispute = till.account.dispute(payment)
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, FROZEN) == [0, 0, 0, 1000]
    with pytest.raises(InsufficientBalance):
        await spend(till, 1)
    till.account.close_dispute(dispute["id"], won=False)
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, FROZEN, DEBT, "X:baddebt", "A:stripe:disputed") == [0] * 7


async def test_a_dispute_that_is_won_gives_each_back_what_was_set_aside_for_them(till: Till) -> None:
    payment = await till.bought(10)
    await set_aside(till, "user:a-1", 600)
    await set_aside(till, "agent:g-1", 300)
    dispute = till.account.dispute(payment)
    till.account.close_dispute(dispute["id"], won=True)
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, FROZEN) == [100, 600, 300, 0]


async def test_a_refund_at_stripe_takes_what_was_set_aside_and_what_is_spent_is_owed(till: Till) -> None:
    payment = await till.bought(10)
    await set_aside(till, "agent:g-1", 200)
    await set_aside(till, "user:a-1", 500)
    await spend(till, 400)
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, ANN, HELPER, DEBT) == [0, 0, 0, 400]


async def test_the_credit_of_another_workspace_is_left_alone(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 1000)
    other = scope(workspace="w-10")
    bought, moved = CreditTopup("bank", 500 * URC_PER_RC), CreditAllocated("", "user:a-1", 500 * URC_PER_RC)
    await till.roadchain.append(Draft(bought, other, "other"), Draft(moved, other, "other/allocate"))
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, DEBT, "L:ws:w-10:paid:user:a-1") == [1000, 500]


async def test_a_dispute_that_is_lost_leaves_what_another_froze(till: Till) -> None:
    one = await till.bought(10)
    two = await till.bought(20)
    await spend(till, 2300)
    first = till.account.dispute(one)  # freezes 700
    await till.delivered()
    second = till.account.dispute(two)  # nothing is left to freeze
    await till.delivered()
    till.account.close_dispute(second["id"], won=False)
    await till.delivered()
    assert await rc(till, PAID, FROZEN, "X:baddebt") == [0, 700, 2000]
    till.account.close_dispute(first["id"], won=True)
    await till.delivered()
    assert (await till.cashier.scan()).left == 0
    assert await rc(till, PAID, FROZEN, "X:baddebt", "A:stripe:disputed") == [700, 0, 2000, 0]


def plans_payment(till: Till) -> str:
    """That of the last invoice: nothing in it says whose it is."""
    payment: str = till.account.invoice_payments[-1]["payment"]["payment_intent"]
    assert till.account.things[payment]["metadata"] == {}
    return payment


async def test_a_plans_payment_that_goes_back_takes_its_credit_and_its_fee(till: Till) -> None:
    subscription = await till.subscribed()
    till.account.refund(plans_payment(till), None, {})
    till.account.cancel(subscription, at_once=True)
    await till.delivered()
    assert await rc(till, PLAN, DEFER, DEBT, "A:ws:house:debt", "A:stripe:clearing") == [0] * 5


async def test_a_refund_alone_tells_of_the_invoice_that_it_gives_back_a_part_of(till: Till) -> None:
    link = await till.cashier.subscribe(scope(), till.pro)
    till.account.pay(link.about.id)
    till.account.refund(plans_payment(till), 400, {})
    till.stripe.pending[:] = [event for event in till.stripe.pending if event["type"] == "refund.created"]
    await till.delivered()
    assert await rc(till, PLAN, DEFER) == [1200, 400]


async def test_what_was_used_of_a_plan_is_taken_from_what_was_bought_and_then_owed(till: Till) -> None:
    await till.subscribed()
    await spend(till, 1000)
    await till.bought(4)
    till.account.refund(plans_payment(till), None, {})
    await till.delivered()
    assert await rc(till, PLAN, DEFER, PAID, DEBT) == [0, 0, 0, 600]


async def test_a_part_of_a_plans_payment_takes_that_part_and_the_rest_of_the_fee_is_earned(till: Till) -> None:
    subscription = await till.subscribed()
    refund = till.account.refund(plans_payment(till), 500, {})
    till.account.refund(plans_payment(till), 300, {})
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await rc(till, PLAN, DEFER) == [1275, 425]
    till.account.renew(subscription)
    await till.delivered()
    assert await rc(till, PLAN, DEFER, SUBSCRIPTION) == [1500, 500, 425]


async def test_a_fee_that_was_earned_is_given_back_of_what_was_earned(till: Till) -> None:
    subscription = await till.subscribed()
    first = plans_payment(till)
    till.account.renew(subscription)
    await till.delivered()
    refund = till.account.refund(first, None, {})
    await till.delivered()
    assert await rc(till, PLAN, DEFER, SUBSCRIPTION, DEBT) == [0, 500, 0, 0]
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await rc(till, PLAN, DEFER, SUBSCRIPTION) == [1500, 500, 500]


async def test_a_refund_that_comes_back_after_its_period_is_earned(till: Till) -> None:
    subscription = await till.subscribed()
    refund = till.account.refund(plans_payment(till), 1000, {})
    till.account.renew(subscription)
    await till.delivered()
    assert await rc(till, DEFER, SUBSCRIPTION) == [500, 250]
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await rc(till, DEFER, SUBSCRIPTION) == [500, 500]


@pytest.mark.parametrize("won", [True, False])
async def test_a_plans_payment_that_is_disputed_freezes_its_credit(till: Till, won: bool) -> None:
    subscription = await till.subscribed()
    dispute = till.account.dispute(plans_payment(till), fee=0)
    await till.delivered()
    assert await rc(till, PLAN, FROZEN, "A:stripe:disputed") == [0, 1500, 2000]
    with pytest.raises(InsufficientBalance):
        await spend(till, 1)
    till.account.renew(subscription)
    till.account.close_dispute(dispute["id"], won=won)
    await till.delivered()
    assert await rc(till, FROZEN, DEFER, "X:baddebt", "A:stripe:disputed") == [0, 500, 0, 0]
    assert await rc(till, PLAN, SUBSCRIPTION) == ([3000, 500] if won else [1500, 0])
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def taxed(till: Till) -> str:
    """Ten dollars of credit and two of tax."""
    link = await till.topup()
    payment: str = till.account.pay(link.about.id, tax=200)["payment_intent"]
    await till.delivered()
    return payment


async def test_a_taxed_topup_that_goes_back_in_full_leaves_no_debt_and_no_tax(till: Till) -> None:
    till.account.refund(await taxed(till), None, {})
    await till.delivered()
    assert await rc(till, PAID, DEBT, TAX, "A:stripe:clearing") == [0] * 4


async def test_in_parts_that_do_not_divide_the_tax_is_given_back_to_the_unit(till: Till) -> None:
    payment = await taxed(till)
    for cents in (100, 400, 700):
        till.account.refund(payment, cents, {})
        await till.delivered()
        last = await rc(till, PAID, TAX)
        assert sum(last) == pytest.approx(1200 - till.account.of("charge")[0]["amount_refunded"], abs=1e-9)
    assert await rc(till, PAID, DEBT, TAX) == [0, 0, 0]


async def test_an_operator_gives_tax_back_as_tax_and_no_more_than_was_paid(till: Till) -> None:
    payment = await taxed(till)
    await till.bought(20)
    for wish in (till.cashier.refund, till.cashier.request_refund):
        with pytest.raises(PaymentRefused):
            await wish(scope("t-9"), payment, Cents(1201), IntentId("r-0"))
    await till.cashier.request_refund(scope("t-9"), payment, Cents(1200), IntentId("r-1"))
    await till.cashier.refund(scope("t-9"), payment, Cents(1200), IntentId("r-1"))
    await till.delivered()
    assert await rc(till, PAID, TAX, "L:ws:w-1:refund_hold") == [2000, 0, 0]
    with pytest.raises(PaymentRefused):
        await till.cashier.refund(scope("t-9"), payment, Cents(100), IntentId("r-2"))


async def test_beside_a_refund_that_stripe_refuses_another_has_its_own_part_of_the_tax(till: Till) -> None:
    payment = await taxed(till)
    till.stripe.down = True
    with pytest.raises(PaymentUnavailable):
        await till.cashier.refund(scope("t-9"), payment, Cents(900), IntentId("r-1"))
    till.stripe.down = False
    till.account.refund(payment, 600, {})
    await till.delivered()
    with pytest.raises(PaymentRefused):
        await till.cashier.refund(scope("t-9"), payment, Cents(900), IntentId("r-1"))
    assert await rc(till, PAID, DEBT, TAX) == [500, 0, 100]


async def test_a_dispute_of_a_taxed_topup_that_is_lost_takes_its_tax(till: Till) -> None:
    payment = await taxed(till)
    till.account.refund(payment, 600, {})
    dispute = till.account.dispute(payment)
    till.account.things[dispute["id"]]["amount"] = 600
    till.account.things[dispute["id"]]["balance_transactions"][0] |= {"amount": -600, "net": -2100}
    till.account.close_dispute(dispute["id"], won=False)
    await till.delivered()
    assert await rc(till, PAID, FROZEN, TAX, DEBT, "X:baddebt", "A:stripe:disputed") == [0] * 6


async def test_a_refund_that_fails_pays_what_it_left_owed(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 300)
    refund = till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, DEBT) == [0, 300]
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await rc(till, PAID, DEBT) == [700, 0]


async def test_a_debt_that_was_paid_meanwhile_comes_back_as_credit(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 300)
    refund = till.account.refund(payment, None, {})
    await till.delivered()
    await till.bought(5)
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await rc(till, PAID, DEBT) == [1200, 0]


async def test_a_hold_that_is_returned_pays_what_is_owed(till: Till) -> None:
    payment = await till.bought(10)
    held = CreditReserved("call", 300 * URC_PER_RC, 1, "p", "m")
    await till.roadchain.append(Draft(held, scope(), "reserve"))
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, DEBT) == [0, 300]
    await till.roadchain.append(Draft(CreditVoided("call"), scope(), "void"))
    assert await rc(till, PAID, DEBT, "L:ws:w-1:held") == [0, 0, 0]


async def test_what_was_held_for_a_refund_that_stripe_refuses_pays_what_is_owed(till: Till) -> None:
    payment = await till.bought(10)
    till.stripe.down = True
    with pytest.raises(PaymentUnavailable):
        await till.cashier.refund(scope("t-9"), payment, Cents(400), IntentId("r-1"))
    till.stripe.down = False
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, DEBT) == [0, 400]
    for _ in range(2):
        with pytest.raises(PaymentRefused):
            await till.cashier.refund(scope("t-9"), payment, Cents(400), IntentId("r-1"))
    assert await rc(till, PAID, DEBT, "L:ws:w-1:refund_hold") == [0, 0, 0]


async def test_what_is_unfrozen_or_found_pays_what_is_owed(till: Till) -> None:
    one, two = await till.bought(10), await till.bought(20)
    dispute = till.account.dispute(one)
    await till.delivered()
    await spend(till, 500)
    till.account.refund(two, None, {})
    waits = till.account.foreign_payment(100)["id"]
    await till.delivered()
    assert await rc(till, PAID, FROZEN, DEBT) == [0, 1000, 500]
    found = SuspenseResolved("stripe", 100 * URC_PER_RC, "RC", "paid")
    await till.roadchain.append(Draft(found, scope(), resolved_key("stripe", waits)))
    assert await rc(till, PAID, DEBT) == [0, 400]
    till.account.close_dispute(dispute["id"], won=True)
    await till.delivered()
    assert await rc(till, PAID, FROZEN, DEBT) == [600, 0, 0]


async def test_money_of_another_currency_goes_out_of_suspense_with_its_fee_beside_it(till: Till) -> None:
    till.account.fee_bps = 290
    payments = [till.account.foreign_payment(700, "eur")["id"] for _ in range(3)]
    refund = till.account.refund(payments[0], None, {})
    await till.delivered()
    assert await euros(till, "L:suspense:stripe", "X:fees:stripe") == [1400, 60]
    till.account.fail_refund(refund["id"])
    dispute = till.account.dispute(payments[1])
    till.account.things[dispute["id"]]["currency"] = "eur"
    till.account.things[dispute["id"]]["balance_transactions"][0]["currency"] = "eur"
    till.account.close_dispute(dispute["id"], won=False)
    till.account.refund(payments[2], 300, {})
    await till.delivered()
    assert await euros(till, "L:suspense:stripe", "A:stripe:disputed") == [1100, 0]
    assert (await till.cashier.scan()).left == 0
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def euros(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "EUR"}
    return [rows.get(account, 0) for account in accounts]


async def test_the_end_of_a_dispute_that_no_event_tells_of_is_found(till: Till) -> None:
    """One that is lost moves nothing at Stripe: only a look at the dispute itself tells."""
    lost, won = [till.account.dispute(await till.bought(dollars))["id"] for dollars in (10, 20)]
    await till.delivered()
    till.stripe.adversary.never = 100
    till.account.close_dispute(lost, won=False)
    till.account.close_dispute(won, won=True)
    assert (await till.cashier.scan()).left == 0
    found = await reconcile(till.cashier, till.store, NOW_S - 60)
    assert found.differences == ()
    assert lost in found.found
    assert await rc(till, "A:stripe:disputed", FROZEN, PAID) == [0, 0, 2000]


async def test_money_that_waited_and_was_disputed_becomes_nobodys_credit(till: Till) -> None:
    payment = till.account.foreign_payment(700)["id"]
    dispute = till.account.dispute(payment)
    till.account.close_dispute(dispute["id"], won=False)
    await till.delivered()
    assert await rc(till, "L:suspense:stripe", "X:baddebt", "A:stripe:disputed") == [0, 0, 0]
    lost = [item.entry.action for item in await till.store.moved(-1, 100)]
    assert any(isinstance(action, DisputeLost) and action.waited for action in lost)


CAME, INVITED = "L:ws:w-1:promo:came-w-2", "L:ws:w-2:promo:invited-w-1"


async def invited(till: Till) -> str:
    """A payment of ten dollars, which earned five for each of two workspaces."""
    till.cashier.bridge = replace(till.cashier.bridge, reward=Money(500 * URC_PER_RC))
    code = "r-0123456789abcdef"
    await till.roadchain.append(Draft(ReferralOffered(code), scope(workspace="w-2"), offered_key(code)))
    await till.roadchain.append(Draft(ReferralTaken(code), scope(), taken_key("w-1")))
    payment = await till.bought(10)
    assert await rc(till, CAME, INVITED) == [500, 500]
    return payment


async def test_what_is_left_of_a_reward_goes_with_the_purchase_and_comes_back_with_it(till: Till) -> None:
    payment = await invited(till)
    await spend(till, 200)
    till.account.refund(payment, 500, {})
    await till.delivered()
    assert await rc(till, CAME, INVITED) == [300, 500]  # five dollars stay, and five are enough
    refund = till.account.refund(payment, 1, {})
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, CAME, INVITED, "X:rewards") == [0, 0, 200]
    back = [item.entry for item in await till.store.moved(-1, 100) if isinstance(item.entry.action, RewardTakenBack)]
    assert [entry.stripe and entry.stripe.id for entry in back] == [payment, payment]
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await rc(till, CAME, INVITED) == [0, 0]  # a cent alone earns nothing


async def test_a_dispute_takes_what_is_left_of_a_reward_until_it_is_won(till: Till) -> None:
    payment = await invited(till)
    dispute = till.account.dispute(payment)
    await till.delivered()
    assert await rc(till, CAME, INVITED, "X:rewards") == [0, 0, 0]
    till.account.close_dispute(dispute["id"], won=True)
    await till.delivered()
    assert await rc(till, CAME, INVITED, PAID, "X:rewards") == [500, 500, 1000, 1000]


async def test_another_purchase_that_goes_back_leaves_the_reward(till: Till) -> None:
    await invited(till)
    till.account.refund(await till.bought(20), None, {})
    await till.delivered()
    assert await rc(till, CAME, INVITED) == [500, 500]


async def killed_before_its_reward(till: Till) -> tuple[str, Bridge]:
    """A purchase that earned five dollars for each of two workspaces, which nobody has given yet."""
    reward = Money(500 * URC_PER_RC)
    code = "r-0123456789abcdef"
    await till.roadchain.append(Draft(ReferralOffered(code), scope(workspace="w-2"), offered_key(code)))
    await till.roadchain.append(Draft(ReferralTaken(code), scope(), taken_key("w-1")))
    payment = await till.bought(10)  # this till gives no rewards
    return payment, replace(till.cashier.bridge, reward=reward)


async def look(till: Till, bridge: Bridge, payment: str) -> None:
    for fact in await till.method.fetch(ObjectRef("payment_intent", payment)):
        await bridge.record(fact)


async def test_a_purchase_that_went_back_before_its_reward_was_given_earns_none(till: Till) -> None:
    payment, rewarding = await killed_before_its_reward(till)
    refund = till.account.refund(payment, 600, {})
    await till.delivered()
    await look(till, rewarding, payment)
    assert await rc(till, CAME, INVITED, "X:rewards") == [0, 0, 0]
    till.account.fail_refund(refund["id"])
    await till.delivered()
    await look(till, rewarding, payment)
    assert await rc(till, CAME, INVITED, "X:rewards") == [500, 500, 1000]


async def test_a_refund_that_is_recorded_while_its_reward_is_given_leaves_none(till: Till) -> None:
    payment, rewarding = await killed_before_its_reward(till)
    till.account.refund(payment, None, {})
    append, waiting = till.roadchain.append, [till.delivered]

    async def meanwhile(*drafts: Draft) -> tuple[Receipt, ...]:
        if waiting and any(isinstance(draft.action, RewardGranted) for draft in drafts):
            await waiting.pop()()
        return await append(*drafts)

    till.roadchain.append = meanwhile  # type: ignore[method-assign]  # another process has looked just before
    await look(till, rewarding, payment)
    assert waiting == []
    assert await rc(till, CAME, INVITED, PAID, "X:rewards") == [0, 0, 0, 0]


async def discounted(till: Till) -> tuple[str, str]:
    """A dollar for ten dollars of credit. Gives the payment, and where the nine are."""
    link = await till.topup(10)
    payment: str = till.account.pay(link.about.id, discount=900)["payment_intent"]
    await till.delivered()
    lot = f"L:ws:w-1:promo:discount-{payment}"
    assert await rc(till, PAID, lot, "X:promo") == [100, 900, 900]
    return payment, lot


async def test_the_discount_of_a_purchase_that_is_refunded_goes_too(till: Till) -> None:
    payment, lot = await discounted(till)
    till.account.refund(payment, None, {})
    await till.delivered()
    assert await rc(till, PAID, lot, "X:promo", DEBT, "A:stripe:clearing") == [0, 0, 0, 0, 0]


async def test_the_discount_of_a_purchase_that_is_charged_back_goes_until_the_dispute_is_won(till: Till) -> None:
    payment, lot = await discounted(till)
    dispute = till.account.dispute(payment)
    await till.delivered()
    assert await rc(till, PAID, lot, FROZEN) == [0, 0, 100]
    till.account.close_dispute(dispute["id"], won=True)
    await till.delivered()
    assert await rc(till, PAID, lot, "X:promo") == [100, 900, 900]


async def test_the_discount_of_a_purchase_whose_dispute_is_lost_is_gone(till: Till) -> None:
    payment, lot = await discounted(till)
    till.account.close_dispute(till.account.dispute(payment)["id"], won=False)
    await till.delivered()
    assert await rc(till, PAID, lot, "X:promo") == [0, 0, 0]


async def test_of_a_discount_goes_the_part_that_goes_back_and_what_was_spent_is_counted_to_what_stays(
    till: Till,
) -> None:
    payment, lot = await discounted(till)
    await spend(till, 500)
    half = till.account.refund(payment, 50, {})
    await till.delivered()
    assert await rc(till, PAID, lot) == [50, 0]  # of what stays are 450, and 500 were spent
    rest = till.account.refund(payment, 50, {})
    await till.delivered()
    till.account.fail_refund(half["id"])
    await till.delivered()
    assert await rc(till, PAID, lot, "X:promo") == [50, 0, 500]
    till.account.fail_refund(rest["id"])
    await till.delivered()
    assert await rc(till, PAID, lot, "X:promo") == [100, 400, 900]


async def test_in_parts_that_do_not_divide_a_discount_goes_to_the_unit_and_a_refusal_gives_it_again(till: Till) -> None:
    payment, lot = await discounted(till)
    for cents in (33, 34):
        till.account.refund(payment, cents, {})
        await till.delivered()
    assert await rc(till, PAID, lot) == [33, 297]
    intent = IntentId("r-1")
    till.account.refund(payment, 33, {})  # an operator is faster at Stripe, and nobody has heard of it
    with pytest.raises(PaymentRefused):
        await till.cashier.refund(scope("t-9"), payment, Cents(33), intent)
    assert await rc(till, PAID, lot) == [33, 297]
    await till.delivered()
    assert await rc(till, PAID, lot, "X:promo") == [0, 0, 0]
