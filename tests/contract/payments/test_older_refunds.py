"""What an older version recorded of refunds and disputes counts in what is left of their payment, after an upgrade.

Its entries are written here as it wrote them: a hold and what was sent name no payment, and no list of the payment has a step.
"""

import pytest

from integrations.payments.base import Cents, IntentId, ObjectRef, PaymentRefused
from integrations.payments.invoiced import RAIL
from integrations.payments.keys import hold_key, opened_key, requested_key
from integrations.payments.requests import payment_object
from integrations.payments.returned import returns_of
from ledger.credit_actions import (
    CreditAction,
    CreditFrozen,
    DisputeWithdrawn,
    RefundedOutside,
    RefundFailed,
    RefundHeld,
    RefundSent,
)
from ledger.entry import Draft, StripeObject
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentAsked, PaymentOpened
from tests.contract.payments.test_invoiced import balances, cashier_of
from tests.payments import Till, scope


@pytest.fixture(autouse=True)
def _no_fees(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0


async def recorded(till: Till, action: CreditAction, key: str, kind: str, name: str) -> None:
    await till.roadchain.append(Draft(action, scope(), key, stripe=StripeObject(kind, name)))


async def outside(till: Till, payment: str, rc: int) -> str:
    """Refunded in the Dashboard."""
    refund: str = till.account.refund(payment, rc, {})["id"]
    await recorded(till, RefundedOutside("stripe", rc * URC_PER_RC), f"stripe:re:{refund}:sent", "refund", refund)
    return refund


async def left(till: Till, payment: str) -> int:
    """As the operator and the billing admin find it: more by one is refused, and this much is not."""
    returns = await returns_of(till.cashier.bridge, ObjectRef("payment_intent", payment))
    rc = returns.left // URC_PER_RC
    asked = len([item for item in till.stripe.requests if item[0] == "POST"])
    for name, refuse in (("over", till.cashier.refund), ("asked", till.cashier.request_refund)):
        with pytest.raises(PaymentRefused):
            await refuse(scope("t-9"), payment, Cents(rc + 1), IntentId(f"{name}-{rc}"))
    assert len([item for item in till.stripe.requests if item[0] == "POST"]) == asked  # nothing was sent
    return rc


async def test_a_refund_that_an_older_version_saw_at_stripe_counts(till: Till) -> None:
    payment, other = await till.bought(10), await till.bought(20)
    await outside(till, payment, 700)
    await outside(till, other, 100)
    with pytest.raises(PaymentRefused):
        await till.cashier.request_refund(scope("t-9"), payment, Cents(301), IntentId("r-0"))
    assert (await left(till, payment), await left(till, other)) == (300, 2000)
    with pytest.raises(PaymentRefused):
        await till.cashier.refund(scope("t-9"), other, Cents(1901), IntentId("r-1"))
    assert await left(till, other) == 1900
    await till.cashier.refund(scope("t-9"), payment, Cents(300), IntentId("r-2"))
    await till.delivered()
    assert await left(till, payment) == 0


async def test_a_refund_that_an_older_version_sent_itself_counts_until_it_fails(till: Till) -> None:
    payment = await till.bought(10)
    buyer = {"carpool_workspace": "w-1", "carpool_actor": "a-1", "carpool_intent": "old-1"}
    amount = 600 * URC_PER_RC
    await till.roadchain.append(
        Draft(PaymentAsked("stripe", "refund", amount), scope(), asked_key_of("old-1")),
        Draft(RefundHeld(amount), scope(), hold_key("old-1")),
    )
    refund = till.account.refund(payment, 600, buyer)
    opened = Draft(
        PaymentOpened("stripe", "refund"), scope(), opened_key("old-1"), stripe=StripeObject("refund", refund["id"])
    )
    await till.roadchain.append(opened)
    await recorded(till, RefundSent("stripe", amount), f"stripe:re:{refund['id']}:sent", "refund", refund["id"])
    with pytest.raises(PaymentRefused):
        await till.cashier.refund(scope("t-9"), payment, Cents(401), IntentId("r-1"))
    assert await left(till, payment) == 400
    till.account.fail_refund(refund["id"])
    await till.delivered()
    assert await left(till, payment) == 1000


async def test_a_refund_that_failed_and_a_dispute_that_was_lost_before_count_as_they_ended(till: Till) -> None:
    payment, disputed = await till.bought(10), await till.bought(10)
    refund = await outside(till, payment, 1000)
    till.account.fail_refund(refund)
    await recorded(till, RefundFailed("stripe", 1000 * URC_PER_RC), f"stripe:re:{refund}:failed", "refund", refund)
    dispute: str = till.account.dispute(disputed)["id"]
    taken, frozen = DisputeWithdrawn("stripe", 1000 * URC_PER_RC, 1500 * URC_PER_RC), CreditFrozen(1000 * URC_PER_RC)
    await recorded(till, taken, f"stripe:dp:{dispute}:withdrawn", "dispute", dispute)
    await recorded(till, frozen, f"stripe:dp:{dispute}:freeze", "dispute", dispute)
    with pytest.raises(PaymentRefused):
        await till.cashier.refund(scope("t-9"), disputed, Cents(1), IntentId("r-1"))
    assert (await left(till, payment), await left(till, disputed)) == (1000, 0)


def asked_key_of(intent: str) -> str:
    return f"payment.asked/{intent}"


async def given_back_by_hand(till: Till, intent: str, rc: int, payment: str = "") -> None:
    """A transfer that an older version sent back; ``payment``: it was asked for in chat."""
    amount = rc * URC_PER_RC
    if payment:
        wanted = PaymentAsked(RAIL, "refund_request", amount)
        about = payment_object(RAIL, payment)
        await till.roadchain.append(Draft(wanted, scope(), requested_key(intent), stripe=about))
    await till.roadchain.append(
        Draft(PaymentAsked(RAIL, "refund", amount), scope(), asked_key_of(intent)),
        Draft(RefundHeld(amount), scope(), hold_key(intent)),
    )
    await recorded(till, RefundSent(RAIL, amount), f"invoiced:re:{intent}:sent", "refund", intent)


async def test_a_transfer_that_was_asked_back_in_chat_before_does_not_go_back_twice(till: Till) -> None:
    cashier = cashier_of(till)
    first, second = [await cashier.topup(scope(), Cents(cents)) for cents in (500, 2000)]
    for link in (first, second):
        await cashier.look_at(link.about)
    await given_back_by_hand(till, "back-1", 300, first.about.id)
    with pytest.raises(PaymentRefused):
        await cashier.refund(scope(), first.about.id, Cents(201), IntentId("back-2"))
    await cashier.look_at(await cashier.refund(scope(), first.about.id, Cents(200), IntentId("back-3")))
    await cashier.look_at(await cashier.refund(scope(), second.about.id, Cents(2000), IntentId("back-4")))
    assert await balances(till) == {}


async def test_of_transfers_of_which_nobody_knows_which_went_back_no_more_goes_than_came(till: Till) -> None:
    cashier = cashier_of(till)
    first, second = [await cashier.topup(scope(), Cents(cents)) for cents in (500, 2000)]
    for link in (first, second):
        await cashier.look_at(link.about)
    await till.bought(30)  # of another rail: credit is there
    await given_back_by_hand(till, "back-1", 2000)
    for refuse in (cashier.refund, cashier.request_refund):
        with pytest.raises(PaymentRefused):
            await refuse(scope(), second.about.id, Cents(501), IntentId("back-2"))
    await cashier.look_at(await cashier.refund(scope(), first.about.id, Cents(500), IntentId("back-3")))
    with pytest.raises(PaymentRefused):
        await cashier.refund(scope(), second.about.id, Cents(1), IntentId("back-4"))
    assert (await balances(till)).get("A:invoiced:clearing", 0) == 0
