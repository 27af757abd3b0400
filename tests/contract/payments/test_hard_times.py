"""What goes wrong around payments: Stripe is down, two processes see one event, a secret is replaced, a stranger has the link."""

import asyncio
import json
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
import stripe
from aiohttp import ClientSession

from integrations.payments.base import (
    Buyer,
    Cents,
    Event,
    IntentId,
    ObjectRef,
    PaymentMisconfigured,
    PaymentUnavailable,
    PaymentUnknown,
    TopupAsked,
    TopupPaid,
)
from integrations.payments.cashier import Cashier
from integrations.payments.reconcile import reconcile
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL, StripePayments
from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from ledger.accounts import clearing
from ledger.credit_actions import CreditTopup, PaymentFee, PaymentUnmatched
from ledger.entry import Draft
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentOutcome, PaymentRefused, PaymentsScanned
from ledger.pseudonyms import ActorId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.verify import NotVerified, verify_database
from tests.fakes.stripe_account import Refused
from tests.fakes.stripe_server import KEY, SECRET
from tests.house import GENESIS
from tests.payments import NOW_S, Till, open_till, scope
from tests.postgres import TEMPLATE, Server, database_of
from tests.stores import AnyStore, Kind, opening


async def paid_by(till: Till, workspace: str) -> int:
    rows = await till.store.balances()
    return sum(row.natural for row in rows if row.account == f"L:ws:{workspace}:paid") // URC_PER_RC


async def test_after_an_hour_without_stripe_everything_is_made_up_for(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    till.stripe.down = True
    await till.delivered()
    assert set(till.stripe.statuses) == {200}
    with pytest.raises(PaymentUnavailable):
        await till.cashier.scan()
    till.account.now_s += 3600
    till.stripe.down = False
    assert (await till.cashier.scan()).left == 0
    assert await paid_by(till, "w-1") == 1000
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_two_processes_that_handle_one_event_make_one_entry(kind: Kind, tmp_path: Path, postgres: Server) -> None:
    async with opening(kind, tmp_path, postgres) as opens:
        async with open_till(await opens()) as till, RoadChain(await opens()) as second:
            store = await opens()
            other = Cashier(till.method, Bridge(second, store, RAIL, till.cashier.bridge.plans), lambda: NOW_S * 10**6)
            link = await till.topup()
            till.account.pay(link.about.id)
            subscription = await till.cashier.subscribe(scope(), till.pro)
            till.account.pay(subscription.about.id)
            events = [event async for event in till.method.events(0)]
            both = (cashier.handle(event) for event in events for cashier in (till.cashier, other))
            assert set(await asyncio.gather(*both)) <= {"recorded", "nothing"}
            names = [item.entry.action.name for item in await till.store.moved(-1, 100)]
            assert sorted(names) == ["credit.payment_fee"] * 2 + ["credit.plan_grant", "credit.topup"]


async def test_while_a_secret_is_replaced_both_are_taken(till: Till) -> None:
    method = StripePayments(KEY, ["whsec_new", SECRET], till.stripe.base_url, "http://carpool.test/back")
    till.cashier.method = method
    link = await till.topup()
    till.account.pay(link.about.id)
    await till.stripe.deliver(till.webhook, secret="whsec_new")
    till.account.pay((await till.topup(20)).about.id)
    await till.delivered()
    await till.stripe.deliver(till.webhook, secret="whsec_third")
    assert set(till.stripe.statuses) == {200}
    assert await paid_by(till, "w-1") == 3000
    await method.aclose()


async def test_what_an_old_key_could_not_do_is_done_once_with_the_new_one(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    payment, later = await till.bought(10), await till.topup(20)
    method, back = till.roll(), (scope(), payment, Cents(400), IntentId("ref-1"))
    till.account.pay(later.about.id)
    await till.delivered()
    assert set(till.stripe.statuses) == {200}
    for refused in (till.cashier.scan(), till.topup(30), till.cashier.refund(*back)):
        with pytest.raises(PaymentMisconfigured):
            await refused
    assert await paid_by(till, "w-1") == 600  # what is to go back is held
    assert {record.levelname for record in caplog.records if "refuses the key" in record.getMessage()} == {"ERROR"}
    assert KEY not in caplog.text
    till.cashier.method = till.cashier.subscriptions = method
    for _ in range(2):
        assert (await till.cashier.scan()).left == 0
        await till.cashier.refund(*back)
    assert await paid_by(till, "w-1") == 2600
    assert len(till.account.of("refund")) == 1
    assert "http://checkout.test/" in (await till.topup(30)).url
    assert (await reconcile(till.cashier, till.store, NOW_S - 3600)).differences == ()
    await method.aclose()


async def test_without_a_secret_the_endpoint_is_off(till: Till) -> None:
    till.cashier.method = StripePayments(KEY, [], till.stripe.base_url, "http://carpool.test/back")
    till.account.foreign_payment(100)
    await till.stripe.deliver(till.webhook)
    assert set(till.stripe.statuses) == {404}


async def test_with_taxes_the_page_asks_a_customer_for_an_address(till: Till) -> None:
    taxing = StripePayments(KEY, [SECRET], till.stripe.base_url, "http://carpool.test/", taxes=True)
    till.cashier.method = till.cashier.subscriptions = taxing
    links = [await till.topup(), await till.cashier.subscribe(scope(), till.pro)]
    alone = Cashier(
        taxing, till.cashier.bridge, lambda: NOW_S * 1_000_000
    )  # of a rail without customers there is none to keep it
    links.append(await alone.topup(scope(actor="a-2"), Cents(1000)))
    await taxing.aclose()
    asked = [till.account._plans[link.about.id] for link in links]
    assert [params.get("customer_update") for params in asked] == [{"address": "auto"}, {"address": "auto"}, None]
    (item,) = asked[0]["line_items"]
    assert item["price_data"]["tax_behavior"] == "exclusive"  # what is asked for is credit, and the tax comes on top


async def test_without_an_address_a_customer_is_not_taxed(till: Till) -> None:
    """The fake refuses what Stripe refuses."""
    await till.topup()
    (customer,) = till.account.of("customer")
    asked = {"mode": "payment", "line_items": [], "customer": customer["id"], "automatic_tax": {"enabled": "true"}}
    with pytest.raises(Refused) as refused:
        till.account.session(asked)
    assert refused.value.code == "customer_tax_location_invalid"
    customer["address"] = {"country": "DE"}
    assert till.account.session(asked)["status"] == "open"


def headers_of(body: str) -> list[str]:
    """Each is signed over the body where one can sign that at all, and none is of the form of Stripe's."""
    good = stripe.WebhookSignature.generate_signature_header(body, SECRET, NOW_S)
    stamp, signature = good.split(",", 1)
    bad = [
        f"{stamp}=1,{signature}",
        f"{stamp},{stamp},{signature}",
        f"t=1,{good}",
        f"{good},t={NOW_S}",
        f"{stamp},{signature}=1",
    ]
    bad += [
        f"t=+{NOW_S},{signature}",
        f"t= {NOW_S},{signature}",
        f"t={NOW_S}.0,{signature}",
        f"t=1_795_000_000,{signature}",
    ]
    bad += [f"t={'9' * 5000},{signature}", f"t=-1,{signature}", f"t=,{signature}", f"t,{signature}", signature, stamp]
    bad += [
        "",
        ",",
        "=",
        "t=",
        "v1=",
        f"{good},",
        f",{good}",
        f"{stamp};{signature}",
        f"{stamp},v1=",
        f"{stamp},v1=\u00e9",
    ]
    bad += [
        f"{stamp},v1={'f' * 64}",
        f"{stamp},v0={signature[3:]}",
        f"{good},{'v1=00,' * 30}v1=00",
        "t=nan,v1=00",
    ]
    arabic = "".join(chr(0x660 + int(digit)) for digit in str(NOW_S))
    return [*bad, f"t={arabic},{signature}"]


async def test_a_malformed_signature_is_refused_and_on_record(till: Till) -> None:
    till.account.foreign_payment(100)
    body = json.dumps(till.stripe.pending.pop(0))
    async with ClientSession() as session:
        for header in headers_of(body):
            sent = {"Stripe-Signature": header}
            async with session.post(till.webhook, data=body.encode(), headers=sent) as answer:
                assert (header, answer.status) == (header, 400)
        later = stripe.WebhookSignature.generate_signature_header(body, SECRET, NOW_S)
        sent = {"Stripe-Signature": f"{later},v0=6ffbb59b"}  # as Stripe signs in test mode
        async with session.post(till.webhook, data=body.encode(), headers=sent) as answer:
            assert answer.status == 200
    refused = [item.entry.action for item in await till.store.entries(-1, 1000)]
    assert [action for action in refused if isinstance(action, PaymentRefused)] == [
        PaymentRefused("stripe", "signature")
    ]


async def test_a_link_that_somebody_else_pays_is_credit_of_who_asked_for_it(till: Till) -> None:
    link = await till.cashier.topup(scope(workspace="w-2", actor="a-2"), Cents(1000))
    till.account.pay(link.about.id)  # whoever opens the page pays for what it was made for
    await till.delivered()
    assert (await paid_by(till, "w-2"), await paid_by(till, "w-1")) == (1000, 0)


async def test_each_workspace_has_a_customer_and_a_portal_of_its_own(till: Till) -> None:
    for workspace in ("w-1", "w-2"):
        await till.cashier.portal(scope(workspace=workspace, actor=f"a-of-{workspace}"))
    first, second = [await till.cashier.customer_of(scope(workspace=name).workspace) for name in ("w-1", "w-2")]
    assert first != second
    assert await till.cashier.invoices(scope(workspace="w-3"), 3) == ()


@pytest.mark.parametrize("told", [True, False])
async def test_after_its_customer_was_deleted_a_workspace_gets_another_and_keeps_its_credit(
    till: Till, told: bool
) -> None:
    await till.bought(10)
    await till.subscribed()
    first = await till.cashier.customer_of(scope().workspace)
    link = await till.topup(20)
    till.account.delete_customer(first)
    if told:
        await till.delivered()
        assert await till.cashier.customer_of(scope().workspace) == ""
        assert await till.cashier.invoices(scope(), 3) == ()
    other = await till.topup(20)
    second = await till.cashier.customer_of(scope().workspace)
    assert second not in ("", first)
    assert other.about != link.about
    assert till.account.things[other.about.id]["customer"] == second
    till.account.pay(other.about.id)
    await till.delivered()
    assert await paid_by(till, "w-1") == 3000
    await till.subscribed()  # the plan of before is over, so another can be had
    assert await till.cashier.customer_of(scope().workspace) == second
    till.account.delete_customer(second)
    assert (await till.cashier.portal(scope())).about.id not in (first, second)


async def test_of_a_customer_nothing_but_its_end_is_recorded(till: Till) -> None:
    await till.topup()  # makes one
    till.account.emit("customer.updated", till.account.of("customer")[0])
    await till.delivered()
    received = [item.entry.action.name for item in await till.store.entries(-1, 100)]
    assert "payment.received" not in received


async def test_the_page_to_come_back_to_tells_nothing_of_what_is_not_there(till: Till) -> None:
    async with ClientSession() as browser:
        for session, status in (("cs_none", 404), ("", 400), ("pi_1", 400), ("cs_<b>", 400), ("cs_" + "9" * 500, 400)):
            async with browser.get(till.came_back, params={"session_id": session}) as page:
                assert page.status == status


async def test_stripe_is_asked_about_pages_alone_that_were_made_here(till: Till) -> None:
    """Whoever names others is told the same as before, and costs no request."""
    buyer = Buyer(WorkspaceId("w-9"), ActorId("a-9"), IntentId("another-ledgers"))
    others = (await till.method.create_topup(TopupAsked(buyer, Cents(700), "", till.account.now_s + 1800))).about.id
    ours = (await till.topup()).about.id
    asked = len(till.stripe.requests)
    async with ClientSession() as browser:
        for session in (others, *(f"cs_test_{number}" for number in range(50))):
            async with browser.get(till.came_back, params={"session_id": session}) as page:
                assert (page.status, (await page.json())["error"]) == (404, "There is no such payment.")
        assert len(till.stripe.requests) == asked
        async with browser.get(till.came_back, params={"session_id": ours}) as page:
            assert page.status == 200
    assert len(till.stripe.requests) > asked


async def test_a_payment_past_us_waits_for_a_person(till: Till) -> None:
    till.account.foreign_payment(700)
    till.account.foreign_payment(700, "eur")
    await till.delivered()
    entries = [item.entry.action for item in await till.store.moved(-1, 100)]
    assert [action for action in entries if isinstance(action, PaymentUnmatched)] == [
        PaymentUnmatched("stripe", 700 * URC_PER_RC, "RC"),
        PaymentUnmatched("stripe", 700 * URC_PER_RC, "EUR"),
    ]


async def test_metadata_that_is_not_as_it_was_asked_for_is_not_believed(till: Till) -> None:
    link = await till.topup()
    fact, _ = await till.method.fetch(ObjectRef("payment_intent", till.account.pay(link.about.id)["payment_intent"]))
    assert isinstance(fact, TopupPaid)
    assert await till.cashier.bridge.record(replace(fact, asked=Cents(900))) == "unmatched"


async def test_an_event_that_fails_as_nobody_expected_keeps_no_other_waiting(till: Till) -> None:
    class Faulty(Cashier):
        faults = 1

        async def handle(self, event: Event) -> PaymentOutcome:
            if self.faults:
                self.faults -= 1
                raise RuntimeError("a fault of ours")
            return await super().handle(event)

    cashier = Faulty(till.method, till.cashier.bridge, lambda: till.account.now_s * 1_000_000)
    for name in ("evt_1", "evt_2"):
        payment = till.account.foreign_payment(100)["id"]
        cashier._waiting.put_nowait(
            Event(name, "payment_intent.succeeded", ObjectRef("payment_intent", payment), NOW_S)
        )
    handling, settled = asyncio.create_task(cashier._handle_waiting()), asyncio.create_task(cashier.settled())
    await asyncio.wait({settled, handling}, return_when=asyncio.FIRST_COMPLETED)
    assert settled.done()
    handling.cancel()
    suspense = [row.natural for row in await till.store.balances() if row.account == "L:suspense:stripe"]
    assert suspense == [100 * URC_PER_RC]


async def test_at_work_a_cashier_scans_by_itself(till: Till) -> None:
    link = await till.topup()
    till.account.pay(link.about.id)
    till.stripe.pending.clear()
    scanned = asyncio.Event()

    async def look() -> None:
        while not any(isinstance(item.entry.action, PaymentsScanned) for item in await till.store.entries(-1, 1000)):
            await asyncio.sleep(0.01)  # the store tells nobody
        scanned.set()

    async with till.cashier:
        await asyncio.wait_for(look(), 10)
    assert await paid_by(till, "w-1") == 1000


async def test_a_day_that_was_scanned_is_not_read_again_from_its_beginning(till: Till) -> None:
    till.account.foreign_payment(100)
    till.account.now_s += 7_200
    await till.cashier.scan()
    till.account.now_s += 86_400
    again = Cashier(till.method, till.cashier.bridge, lambda: till.account.now_s * 1_000_000)
    assert (await again.scan()).events == 0
    backwards = Cashier(till.method, till.cashier.bridge, lambda: (NOW_S - 86_400) * 1_000_000)
    assert (await backwards.scan()).events == 3


async def test_what_differs_is_named(till: Till) -> None:
    await till.bought(10)
    strange = Draft(CreditTopup("stripe", 5), scope(), "stripe:pi:pi_none:paid")
    await till.roadchain.append(strange, Draft(PaymentFee("stripe", 2), scope(), "by hand"))
    done = await reconcile(till.cashier, till.store, NOW_S - 3600)
    assert [(item.kind, item.about, item.at_rail, item.in_ledger) for item in done.differences] == [
        ("not_at_rail", "stripe:pi:pi_none:paid", None, 5),
        ("not_at_rail", "by hand", None, -2),
        ("other_balance", f"{clearing('stripe')} RC", 941 * URC_PER_RC, 941 * URC_PER_RC + 3),
    ]


async def test_an_object_that_is_gone_is_unknown_to_all(till: Till) -> None:
    with pytest.raises(PaymentUnknown):
        await till.cashier.look_at(ObjectRef("refund", "re_none"))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_an_edited_entry_is_named_and_what_was_paid_is_still_known(
    kind: Kind, tmp_path: Path, postgres: Server
) -> None:  # S44
    async with AsyncExitStack() as stack:
        ledger = tmp_path / "ledger.db"
        if kind == "sqlite":
            store: AnyStore = await SqliteStore.open(ledger)
        else:
            name = await stack.enter_async_context(database_of(postgres, TEMPLATE))
            store = await PostgresStore.open(postgres.url(name))
        stack.push_async_callback(store.aclose)
        till = await stack.enter_async_context(open_till(store))
        await till.roadchain.append(GENESIS)
        await till.bought(10)
        seq, _ = [item.entry.seq for item in await store.moved(-1, 10)]
        before = await store.balances()
        leaf = (await store.leaves(seq, 1))[0]
        forged = leaf.replace(b"1000000000", b"9000000000")
        assert forged != leaf
        if isinstance(store, PostgresStore):
            edit = f"UPDATE carpool.entry SET leaf = '\\x{forged.hex()}' WHERE seq = {seq}"
            await postgres.execute("ALTER TABLE carpool.entry DISABLE TRIGGER ALL", edit, database=name)
            await store.copy(ledger)
        else:
            with closing(sqlite3.connect(ledger)) as database:  # as with the sqlite3 shell
                database.execute("DROP TRIGGER entry_keeps")
                database.execute("UPDATE entry SET leaf = ? WHERE seq = ?", (forged, seq))
                database.commit()
        with pytest.raises(NotVerified) as found:
            await asyncio.to_thread(verify_database, ledger)
        assert (found.value.code, found.value.seq) == ("RC004", seq)
        assert await store.balances() == before
        assert (await reconcile(till.cashier, store, NOW_S - 3600)).differences == ()
