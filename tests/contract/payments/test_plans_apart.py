"""Two subscriptions of one workspace, one after the other or at once: each keeps what was paid for it."""

import pytest

from bot.expiry import Expiry
from bot.plan import running_plan
from integrations.payments.balances import reconcile_customers
from integrations.payments.base import (
    Buyer,
    Cents,
    IntentId,
    News,
    ObjectRef,
    PaymentRefused,
    PaymentUnavailable,
    SubscriptionAsked,
)
from integrations.payments.reconcile import reconcile
from integrations.payments.records import went_back
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL
from ledger.book import AccountRow
from ledger.credit_actions import CreditReserved, CreditVoided, PaymentUnmatched
from ledger.entry import Draft
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentAsked
from ledger.pseudonyms import ActorId, WorkspaceId
from ledger.store import Recorded
from tests.contract.payments.test_stripe_scenarios import spend
from tests.payments import NOW_S, Till, W, scope
from tests.stores import AnyStore

DAY_S = 86_400
PLAN, DEFERRED, SUSPENSE = "L:ws:w-1:plan", "L:deferred", "L:suspense:stripe"


async def rc(till: Till, *accounts: str) -> list[float]:
    rows = {str(row.account): row.natural / URC_PER_RC for row in await till.store.balances() if row.currency == "RC"}
    return [rows.get(account, 0) for account in accounts]


async def names(till: Till, begun: int) -> list[str]:
    return [item.entry.action.name for item in await till.store.moved(begun - 1, 100)]


async def end(till: Till, subscription: str, deleted: bool) -> None:
    """At once: its period goes on."""
    if deleted:
        till.account.delete_customer(till.account.get(subscription, "subscription")["customer"])
    else:
        till.account.cancel(subscription, at_once=True)
    await till.delivered()
    till.account.now_s += 600


@pytest.mark.parametrize("deleted", [False, True])
async def test_the_end_of_an_old_plan_leaves_the_credit_of_a_new_one(till: Till, deleted: bool) -> None:
    await end(till, await till.subscribed(), deleted)
    newer = await till.subscribed(till.top)
    assert await rc(till, PLAN, DEFERRED) == [6500, 1500]
    await spend(till, 700)
    till.account.now_s += 31 * DAY_S - 600  # the old period is over, the new one goes on for some minutes
    await till.cashier.scan()
    assert await rc(till, PLAN, DEFERRED) == [5800, 1000]
    running = await running_plan(till.store, till.cashier.bridge.plans, WorkspaceId(W))
    assert running is not None
    assert running.name == "top"
    scans = (await till.store.head()).size
    till.account.now_s += DAY_S
    await till.cashier.scan()
    assert await names(till, scans) == []  # its end was recorded once
    till.account.renew(newer)
    await till.delivered()
    assert await rc(till, PLAN, DEFERRED, "R:breakage") == [5000, 1000, 5800]
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


class Behind:
    """A process that has read whose the plan is just before another grants the next one."""

    def __init__(self, store: AnyStore, planned: tuple[Recorded, ...], rows: tuple[AccountRow, ...]) -> None:
        self._store, self._planned, self._rows = store, planned, rows

    async def find(self, idem: str) -> Recorded | None:
        return await self._store.find(idem)

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]:
        return self._planned

    async def balances_of(self, workspace: WorkspaceId) -> tuple[AccountRow, ...]:
        return self._rows

    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return await self._store.moved(after, count_max)


async def test_an_old_plan_that_ends_while_a_new_one_is_granted_takes_its_own_credit_alone(till: Till) -> None:
    old = await till.subscribed()
    await end(till, old, deleted=False)
    await spend(till, 200)
    workspace = WorkspaceId(W)
    read = Behind(till.store, await till.store.planned(workspace), await till.store.balances_of(workspace))
    await till.subscribed(till.top)
    till.account.now_s += 31 * DAY_S - 600
    (ended,) = await till.method.fetch(ObjectRef("subscription", old))
    await Bridge(till.roadchain, read, RAIL, till.cashier.bridge.plans).record(ended)
    assert await rc(till, PLAN, "R:breakage") == [5000, 1300]
    running = await running_plan(till.store, till.cashier.bridge.plans, workspace)
    assert running is not None
    assert running.name == "top"


async def hourly(till: Till) -> int:
    return await Expiry(till.roadchain, till.store, lambda: till.account.now_s * 1_000_000).apply()


async def test_credit_of_a_plan_that_was_held_at_its_end_ends_with_it(till: Till) -> None:
    subscription = await till.subscribed()
    held = CreditReserved("h", 400 * URC_PER_RC, 0, "openai", "m")
    await till.roadchain.append(Draft(held, scope(), "h"))
    assert await hourly(till) == 0  # the plan runs
    till.account.cancel(subscription)
    await till.delivered()
    assert await rc(till, PLAN, "R:breakage") == [0, 1100]
    await till.roadchain.append(Draft(CreditVoided("h"), scope(), "v"))
    assert await hourly(till) == 1
    assert await rc(till, PLAN, "R:breakage") == [0, 1500]
    await till.subscribed(till.top)
    assert await hourly(till) == 0
    assert await rc(till, PLAN) == [5000]


async def test_credit_of_a_plan_that_comes_back_after_its_end_ends_too(till: Till) -> None:
    subscription = await till.subscribed()
    payment = till.account.invoice_payments[-1]["payment"]["payment_intent"]
    dispute = till.account.dispute(payment)
    await till.delivered()
    till.account.cancel(subscription)
    await till.delivered()
    till.account.close_dispute(dispute["id"], won=True)
    await till.delivered()
    assert await rc(till, PLAN) == [1500]
    assert await hourly(till) == 1
    assert await rc(till, PLAN, "R:breakage", "R:subscription") == [0, 1500, 500]
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def test_a_renewal_that_comes_late_leaves_what_another_plan_has_granted(till: Till) -> None:
    old = await till.subscribed()
    till.account.renew(old)
    late, till.stripe.pending[:] = list(till.stripe.pending), []
    await end(till, old, deleted=False)
    await till.subscribed(till.top)
    till.stripe.pending[:] = late
    await till.delivered()
    (there,) = await rc(till, PLAN)
    assert there >= 6500  # both were paid for
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def test_a_workspace_has_one_open_link_for_a_plan(till: Till) -> None:
    first = await till.cashier.subscribe(scope(actor="a-1"), till.pro)
    second = await till.cashier.subscribe(scope(actor="a-2"), till.top)
    topup = await till.topup()
    status = [till.account.get(link.about.id, "checkout.session")["status"] for link in (first, second, topup)]
    assert status == ["expired", "open", "open"]
    again = await till.cashier.subscribe(
        scope("t-2", actor="a-1"), till.pro
    )  # in the same minute, the first is closed by now
    assert again.about != first.about
    open_ = [item["id"] for item in till.account.of("checkout.session") if item["status"] == "open"]
    assert open_ == [again.about.id, topup.about.id]
    till.account.pay(again.about.id)
    with pytest.raises(PaymentRefused, match="already"):
        await till.cashier.subscribe(scope(actor="a-2"), till.top)


async def test_a_link_that_was_paid_while_another_was_made_gives_no_other(till: Till) -> None:
    paid = await till.cashier.subscribe(scope(actor="a-1"), till.pro)
    expire = till.account.expire

    def too_late(session: str) -> None:
        till.account.pay(session)
        expire(session)

    till.account.expire = too_late  # type: ignore[method-assign]  # somebody pays in that moment
    with pytest.raises(PaymentRefused, match="already"):
        await till.cashier.subscribe(scope(actor="a-2"), till.top)
    assert till.account.get(paid.about.id, "checkout.session")["status"] == "complete"


async def both_paid(till: Till) -> tuple[str, str]:
    """Two links were paid all the same. Gives the two subscriptions, the first one first."""
    links = [await till.cashier.subscribe(scope(actor="a-1"), till.pro)]
    till.account.get(links[0].about.id, "checkout.session")["status"] = (
        "hidden"  # as in the moment between two processes
    )
    links.append(await till.cashier.subscribe(scope(actor="a-2"), till.top))
    till.account.get(links[0].about.id, "checkout.session")["status"] = "open"
    first, second = (till.account.pay(link.about.id)["subscription"] for link in links)
    return first, second


def statuses(till: Till, *subscriptions: str) -> list[str]:
    return [till.account.get(name, "subscription")["status"] for name in subscriptions]


@pytest.mark.parametrize("order", [1, -1])
async def test_a_second_subscription_is_ended_and_its_money_goes_back(
    till: Till, order: int, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await both_paid(till)
    till.stripe.pending[:] = till.stripe.pending[::order]
    await till.delivered()
    await till.delivered()
    assert statuses(till, first, second) == ["active", "canceled"]
    assert await rc(till, PLAN, DEFERRED, SUSPENSE, "A:ws:w-1:debt") == [1500, 500, 0, 0]
    assert [(item["amount"], item["status"]) for item in till.account.of("refund")] == [(6000, "succeeded")]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "a second subscription of one workspace is ended, and its money sent back"
    ]
    entries = [item.entry for item in await till.store.entries(-1, 1000)]
    kinds = [entry.action.kind for entry in entries if isinstance(entry.action, PaymentAsked)]
    assert kinds == ["subscription", "subscription", "cancellation", "refund"]
    till.account.now_s += 40 * DAY_S
    await till.cashier.scan()
    await till.delivered()
    assert await rc(till, PLAN) == [1500]  # the end of the second takes nothing
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()
    assert till.stripe.keyless == []


async def test_whoever_paid_for_a_second_plan_is_told_that_it_goes_back(till: Till) -> None:
    told: list[News] = []

    async def tell(news: News) -> None:
        told.append(news)

    till.cashier._tell = tell
    await both_paid(till)
    await till.delivered()
    outcomes = {(news.buyer.actor, news.outcome, news.amount) for news in told}
    assert outcomes == {("a-1", "recorded", 1500), ("a-2", "returned", 6000)}


@pytest.mark.parametrize("path", ["cancel", "refund"])
async def test_a_second_subscription_that_was_cut_off_goes_on_at_the_next_look(till: Till, path: str) -> None:
    first, second = await both_paid(till)
    method, down = till.method, [True]
    step = method.end if path == "cancel" else method.refund

    async def failing(asked: object) -> object:
        if down:
            raise PaymentUnavailable("Stripe failed")
        return await step(asked)  # type: ignore[arg-type]  # whichever of the two it is, it gets its own

    setattr(method, "end" if path == "cancel" else "refund", failing)
    await till.delivered()
    assert await rc(till, PLAN, SUSPENSE) == [1500, 6000]
    (waiting,) = [item for item in await till.store.moved(-1, 100) if isinstance(item.entry.action, PaymentUnmatched)]
    assert waiting.entry.stripe is not None
    # No operator makes credit of it meanwhile.
    assert await went_back(till.store, RAIL, waiting.entry.stripe.id)
    down.clear()
    assert (await till.cashier.scan()).left == 0
    await till.delivered()
    assert statuses(till, first, second) == ["active", "canceled"]
    assert await rc(till, PLAN, SUSPENSE) == [1500, 0]
    assert len(till.account.of("refund")) == 1
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


@pytest.mark.parametrize("cut", [False, True])
async def test_what_a_second_subscription_took_of_the_customers_balance_is_there_again(till: Till, cut: bool) -> None:
    """It costs 60 dollars, of which a balance pays 20. The process may be cut off after Stripe has put them back."""
    till.account.upgrade(await till.subscribed(till.top), till.pro.price)
    await till.delivered()
    (customer,) = till.account.of("customer")
    assert customer["balance"] == -2000  # what the smaller plan left there
    asked = SubscriptionAsked(
        Buyer(W, ActorId("a-2"), IntentId("two")), till.top.price, customer["id"], till.account.now_s + 2400
    )
    second = await till.method.subscribe(asked)
    give = till.method.give_balance

    async def unheard(buyer: Buyer, invoice: str, cents: Cents) -> str:
        await give(buyer, invoice, cents)
        raise PaymentUnavailable("cut off")

    if cut:
        till.method.give_balance = unheard  # type: ignore[method-assign]  # Stripe has done it, and nobody heard
    till.account.pay(second.about.id)
    assert customer["balance"] == 0
    await till.delivered()
    till.method.give_balance = give  # type: ignore[method-assign]  # the next one is heard
    till.account.now_s += 2 * DAY_S  # Stripe forgets its keys after a day
    assert (await till.cashier.scan()).left == 0
    await till.delivered()
    assert [item["amount"] for item in till.account.of("refund")] == [4000]
    assert await rc(till, "L:balance:stripe", SUSPENSE, PLAN) == [2000, 0, 5000 - 2500 + 750]
    assert customer["balance"] == -2000
    entries = [item.entry for item in await till.store.entries(-1, 1000)]
    asked_for = [entry.action for entry in entries if isinstance(entry.action, PaymentAsked)]
    assert asked_for[-1] == PaymentAsked(RAIL, "balance", 2000 * URC_PER_RC)
    opened = [entry.stripe for entry in entries if entry.idem.startswith("payment.opened/balance-")]
    assert [item and item.object for item in opened] == ["customer_balance_transaction"]
    assert (await reconcile_customers(till.cashier, till.method, till.store)).differences == ()
    assert till.stripe.keyless == []


async def test_one_that_was_granted_before_another_began_to_run_stays(till: Till) -> None:
    """The one that was made first may be the one that is paid last."""
    first, second = await both_paid(till)
    older = till.account.get(first, "subscription")
    older["status"] = "incomplete"
    mine = [event for event in till.stripe.pending if first not in str(event)]
    later, till.stripe.pending[:] = [event for event in till.stripe.pending if event not in mine], mine
    invoice = next(item["id"] for item in till.account.of("invoice") if second in str(item["parent"]))
    await till.cashier.look_at(ObjectRef("invoice", invoice))
    older["status"] = "active"
    till.stripe.pending[:] = [*mine, *later]
    await till.delivered()
    await till.delivered()
    assert statuses(till, first, second) == ["canceled", "active"]
    assert await rc(till, PLAN, SUSPENSE) == [5000, 0]
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def test_a_plan_that_nobody_pays_any_more_ends_with_what_was_paid_for_until_somebody_does(till: Till) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0
    subscription = await till.subscribed()
    due = till.account.renew(subscription, paid=False)
    await till.delivered()
    assert await rc(till, PLAN, DEFERRED) == [1500, 500]  # while it is past due nothing ends
    till.account.give_up(subscription)
    await till.delivered()
    till.account.now_s += 2 * DAY_S
    await till.cashier.scan()
    assert await rc(till, PLAN, DEFERRED, "R:subscription", "R:breakage") == [0, 0, 500, 1500]
    assert await running_plan(till.store, till.cashier.bridge.plans, WorkspaceId(W)) is None
    till.account.pay_invoice(due["id"])
    await till.delivered()
    assert await rc(till, PLAN, DEFERRED) == [1500, 500]
    till.account.cancel(subscription)
    await till.delivered()
    assert await rc(till, PLAN, DEFERRED, "R:subscription", "R:breakage") == [0, 0, 1000, 3000]
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


async def test_of_a_plan_that_is_not_paid_in_the_middle_of_its_period_nothing_ends(till: Till) -> None:
    subscription = await till.subscribed()
    till.account.now_s += 3 * DAY_S
    till.account.give_up(subscription)  # over a bill of something else
    await till.delivered()
    await till.cashier.scan()
    assert await rc(till, PLAN, DEFERRED) == [1500, 500]
    till.account.now_s += 31 * DAY_S  # no event tells of the end
    await till.cashier.scan()
    assert await rc(till, PLAN, DEFERRED) == [0, 0]
