"""Money that is given back: from what was not spent, of the workspace's own payment, once; and what a refusal leaves behind."""

from dataclasses import replace

import pytest

from integrations.payments.base import Cents, IntentId, PaymentRefused, PaymentUnavailable, PaymentUnknown
from integrations.payments.keys import resolved_key
from integrations.payments.records import went_back
from ledger.credit_actions import SuspenseResolved
from ledger.entry import Draft
from ledger.errors import InsufficientBalance
from ledger.money import URC_PER_RC
from ledger.pseudonyms import WorkspaceId
from tests.contract.payments.test_stripe_scenarios import spend
from tests.payments import Till, scope

PAID, HELD = "L:ws:w-1:paid", "L:ws:w-1:refund_hold"


async def credit(till: Till) -> dict[str, int]:
    rows: dict[str, int] = {row.account: row.natural // URC_PER_RC for row in await till.store.balances()}
    return {name: rows.get(name, 0) for name in (PAID, HELD)}


async def test_a_refund_leaves_the_credit_when_it_is_asked_for_and_the_hold_when_it_was_sent(till: Till) -> None:
    payment = await till.bought(10)
    await till.cashier.refund(scope("t-9"), payment, Cents(400), IntentId("r-1"))
    assert await credit(till) == {PAID: 600, HELD: 400}
    await till.delivered()
    assert await credit(till) == {PAID: 600, HELD: 0}


async def test_more_than_was_paid_is_refused_and_what_was_held_is_there_again(till: Till) -> None:
    payment = await till.bought(10)
    await till.bought(10)
    for _ in range(2):  # a second try under the same name moves nothing either
        with pytest.raises(PaymentRefused):
            await till.cashier.refund(scope("t-9"), payment, Cents(1_001), IntentId("r-1"))
        assert await credit(till) == {PAID: 2_000, HELD: 0}
    await till.cashier.refund(scope("t-9"), payment, Cents(1_000), IntentId("r-2"))
    await till.delivered()
    assert await credit(till) == {PAID: 1_000, HELD: 0}


async def test_more_than_is_left_is_refused_before_stripe_is_asked(till: Till) -> None:
    payment = await till.bought(10)
    await spend(till, 300)
    asked = len(till.stripe.requests)
    with pytest.raises(InsufficientBalance):
        await till.cashier.refund(scope("t-9"), payment, Cents(701), IntentId("r-1"))
    assert len(till.stripe.requests) == asked
    assert await credit(till) == {PAID: 700, HELD: 0}


async def test_the_payment_of_another_workspace_is_not_given_back(till: Till) -> None:
    payment = await till.bought(10)
    other = replace(scope("t-9"), workspace=WorkspaceId("w-2"))
    for name in (payment, "pi_unknown", ""):
        with pytest.raises(PaymentUnknown):
            await till.cashier.refund(other, name, Cents(100), IntentId(f"r-{name}"))
    assert await credit(till) == {PAID: 1_000, HELD: 0}


async def test_while_stripe_is_down_the_credit_waits_and_the_same_name_goes_on(till: Till) -> None:
    payment = await till.bought(10)
    till.stripe.down = True
    with pytest.raises(PaymentUnavailable):
        await till.cashier.refund(scope("t-9"), payment, Cents(400), IntentId("r-1"))
    assert await credit(till) == {PAID: 600, HELD: 400}
    till.stripe.down = False
    await till.cashier.refund(scope("t-9"), payment, Cents(400), IntentId("r-1"))
    await till.delivered()
    assert await credit(till) == {PAID: 600, HELD: 0}


async def test_money_that_waited_and_became_credit_is_given_back_by_who_has_it(till: Till) -> None:
    payment = till.account.foreign_payment(1_000)["id"]
    await till.delivered()
    resolved = SuspenseResolved("stripe", 1_000 * URC_PER_RC, "RC", "paid")
    await till.roadchain.append(Draft(resolved, scope(), resolved_key("stripe", payment)))
    till.account.refund(payment, 400, {})
    await till.delivered()
    rows = {str(row.account): row.natural // URC_PER_RC for row in await till.store.balances()}
    assert (rows[PAID], rows["L:suspense:stripe"]) == (600, 0)


async def test_money_that_waited_and_was_given_back_is_nobodys_credit(till: Till) -> None:
    payment = till.account.foreign_payment(1_000)["id"]
    for cents in (300, 700):
        till.account.refund(payment, cents, {})
        await till.delivered()
    assert await went_back(till.store, "stripe", payment)
    rows = {str(row.account): row.natural // URC_PER_RC for row in await till.store.balances()}
    assert rows["L:suspense:stripe"] == 0
