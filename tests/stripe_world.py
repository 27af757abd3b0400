"""A house at a Stripe that nobody clicks in: the real SDK, endpoint, cashier and ledger, driven through Stripe's API alone.

The same drives our fake in `make test` and a sandbox of Stripe's in ``tests/live``. What an account held before is left out; what
Stripe does a moment later is waited for, by asking again; what is made is ended or deleted at the end, where Stripe lets it be.
A sandbox delivers nothing to loopback: what Stripe *lists* is signed by the SDK's own helper, as a delivery would be, and sent
to the endpoint here.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import stripe
from aiohttp import ClientSession
from stripe.params import PaymentIntentConfirmParams, PaymentIntentCreateParams

from bot.http.payments import RETURN_PATH, WEBHOOK_PATH
from integrations.payments.base import Buyer, Cents, IntentId, Link, ObjectRef
from integrations.payments.cashier import OVERLAP_S, Cashier
from integrations.payments.keys import THE_HOUSE
from integrations.payments.plans import Plan, Plans
from integrations.payments.reconcile import Difference, reconcile
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL
from integrations.payments.stripe_facts import metadata_of
from integrations.storage.sqlite import SqliteStore
from ledger.accounts import natural
from ledger.credit_actions import CreditReserved, CreditSettled
from ledger.entry import Draft, Entry, Scope
from ledger.money import URC_PER_RC
from ledger.payment_actions import PaymentHandled, PaymentOutcome, PaymentsScanned
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from tests.contract.stores.test_money_scenarios import SCENARIOS, Amounts, amounts, expected, short_name
from tests.payments_door import open_door
from tests.stripe_place import SECRET, Narrowed, Place, Thing, plans_of

T = TypeVar("T")

SKEW_S = 300
"""So much later than ours Stripe's clock may be: its lists are read from so much before."""

LINES = {line[:3]: line for line in SCENARIOS}
SCENARIO_DISPUTE_FEE = 1500
BALANCES = ("other_balance", "other_currency")
"""Differences that an account shared with others always has."""


@dataclass
class World:
    """Its plan ``pro`` costs 20 dollars a month, ``top`` 60: 1500 RC and 5000 RC of it are credit. ``beyond`` costs ten: 1000 RC,
    and up to 500 RC more are paid later."""

    place: Place
    method: Narrowed
    cashier: Cashier
    roadchain: RoadChain
    store: SqliteStore
    webhook: str
    came_back: str
    scope: Scope
    began_s: int
    plans: dict[str, Plan]
    folder: Path
    statuses: list[int] = field(default_factory=list)
    """How the endpoint answered."""
    _delivered: set[str] = field(default_factory=set)
    _clock: str = ""

    @property
    def client(self) -> stripe.StripeClient:
        return self.method.client

    # Asking, as people do.

    def buyer(self, workspace: str = "") -> Buyer:
        return Buyer(
            WorkspaceId(workspace or self.scope.workspace), self.scope.actor, IntentId(f"i-{secrets.token_hex(8)}")
        )

    async def link(self, dollars: int) -> Link:
        return await self.cashier.topup(self.scope, Cents(dollars * 100))

    # Paying, as a page would make of it.

    async def ask(self, cents: int, metadata: dict[str, str], customer: str = "", kind: str = "card") -> str:
        """A payment of ours that nobody has paid yet."""
        params: PaymentIntentCreateParams = {"amount": cents, "currency": "usd", "metadata": metadata}
        if kind == "card":
            params["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
        else:
            params["allowed_payment_method_types"] = [kind]
        if customer:
            params["customer"] = customer
        made = await self.client.v1.payment_intents.create_async(params, {"idempotency_key": secrets.token_hex(16)})
        self.method.mine.add(made.id)
        return made.id

    async def ask_of_ours(self, cents: int, kind: str) -> str:
        return await self.ask(cents, metadata_of(self.buyer(), cents), kind=kind)

    async def pay(
        self, cents: int, card: str = "pm_card_visa", *, asked: int = 0, workspace: str = "", foreign: bool = False
    ) -> str:
        """Gives the payment. ``asked`` is what the buyer asked for, where that is another amount; ``foreign``: past us."""
        metadata = {} if foreign else metadata_of(self.buyer(workspace), asked or cents)
        return await self.confirm(await self.ask(cents, metadata), card)

    async def pay_link(self, link: Link, card: str = "pm_card_visa", customer: str = "") -> str:
        """As its page would, of which no API can press the button: the same amount with the same metadata, by whoever has it."""
        page = await self.client.v1.checkout.sessions.retrieve_async(link.about.id)
        metadata = (
            {} if page.metadata is None else {name: str(value) for name, value in page.metadata.to_dict().items()}
        )
        payment = await self.ask(page.amount_total or 0, metadata, customer or str(page.customer or ""))
        return await self.confirm(payment, card)

    async def confirm(self, payment: str, card: str) -> str:
        params: PaymentIntentConfirmParams = {"payment_method": card}
        if not card.startswith("pm_card_"):
            accepted: Any = {"type": "online", "online": {"ip_address": "127.0.0.1", "user_agent": "carpool"}}
            params["mandate_data"] = {"customer_acceptance": accepted}
        with suppress(stripe.CardError):
            await self.client.v1.payment_intents.confirm_async(
                payment, params, {"idempotency_key": secrets.token_hex(16)}
            )
        return payment

    async def bought(self, dollars: int, card: str = "pm_card_visa") -> str:
        """Credit that was bought, and recorded. What Stripe tells of it later was not delivered yet."""
        payment = await self.pay(dollars * 100, card)
        await self.recorded(payment)
        return payment

    async def recorded(self, payment: str) -> None:
        """Until its fee is known, too."""
        about = ObjectRef("payment_intent", payment)

        async def looked() -> bool:
            await self.cashier.look_at(about)
            return await self._fee_stands(payment)

        await self.until(looked)

    async def fill(self, cents: int) -> None:
        """So much at least is there to be paid out, whatever an account was left with. It is not ours."""
        balance = await self.client.v1.balance.retrieve_async()
        there = sum(part.amount for part in balance.available if part.currency == "usd")
        if there < cents:
            await self.client.v1.payment_intents.create_async({
                "amount": max(2 * (cents - there), 100), "currency": "usd", "confirm": True,
                "payment_method": "pm_card_bypassPending",
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            })  # fmt: skip

    async def _fee_stands(self, payment: str) -> bool:
        transaction = await self._transaction(payment)
        return transaction is not None and (
            transaction.fee == 0 or await self.cashier.bridge.find(f"{RAIL}:bt:{transaction.id}:fee") is not None
        )

    async def _transaction(self, payment: str) -> stripe.BalanceTransaction | None:
        intent = await self.client.v1.payment_intents.retrieve_async(
            payment, {"expand": ["latest_charge.balance_transaction"]}
        )
        charge = intent.latest_charge
        found = None if charge is None or isinstance(charge, str) else charge.balance_transaction
        return None if found is None or isinstance(found, str) else found

    # Plans, and time.

    async def start_clock(self) -> None:
        """The customers that are made next live by a clock that this moves."""
        made = await self.client.v1.test_helpers.test_clocks.create_async(
            {"frozen_time": int(self.place.clock_s()), "name": f"carpool {self.scope.workspace}"}
        )
        self._clock = self.method.test_clock = made.id

    async def advance(self, to_s: int) -> None:
        clocks = self.client.v1.test_helpers.test_clocks
        await clocks.advance_async(self._clock, {"frozen_time": to_s})

        async def ready() -> bool:
            return (await clocks.retrieve_async(self._clock)).status == "ready"

        await self.until(ready)

    async def subscribe(self, plan: str, card: str = "pm_card_visa", trial_days: int = 0, beside: bool = False) -> str:
        """As its page would; ``beside`` another that runs. The first one starts a clock."""
        if not self._clock:
            await self.start_clock()
        if not beside:
            await self.cashier.subscribe(self.scope, self.plans[plan])
        customer = await self.customer()
        await self.use_card(card)
        items: Any = [{"price": self.plans[plan].price, "quantity": 1}]
        items += [{"price": self.plans[plan].overage_price}] if self.plans[plan].overage_price else []
        params: Any = {"customer": customer, "items": items, "metadata": metadata_of(self.buyer())}
        params |= {"payment_behavior": "allow_incomplete"}
        params |= {"trial_period_days": trial_days} if trial_days else {}
        made = await self.client.v1.subscriptions.create_async(params)
        self.method.mine.add(made.id)
        return made.id

    async def customer(self) -> str:
        return await self.cashier.customer_of(self.scope.workspace)

    async def use_card(self, card: str) -> None:
        """What is due from now on is paid with it."""
        customer = await self.customer()
        attached = await self.client.v1.payment_methods.attach_async(card, {"customer": customer})
        await self.client.v1.customers.update_async(
            customer, {"invoice_settings": {"default_payment_method": attached.id}}
        )

    async def period(self, subscription: str) -> tuple[int, int]:
        """Since when, and until when."""
        item = (await self.client.v1.subscriptions.retrieve_async(subscription))["items"].data[0]
        return item.current_period_start, item.current_period_end

    async def renew(self, subscription: str) -> None:
        """The period ends; an hour after it its draft becomes an invoice."""
        await self.advance((await self.period(subscription))[1] + 2 * 3600)

    async def invoice_payment(self, invoice: str) -> str:
        """What paid an invoice. A subscription's carries nothing of ours: from here on it is known."""
        paid = await self.method.paid_with(invoice)
        self.method.mine.add(paid[0][0])
        return paid[0][0]

    # Hearing, as the endpoint does.

    async def until(self, holds: Callable[[], Awaitable[T]]) -> T:
        """What comes of it, once it is anything. What Stripe does a moment later may take as long as the place has tries."""
        for _ in range(self.place.tries):
            if found := await holds():
                return found
            await asyncio.sleep(self.place.pause_s)
        raise AssertionError(f"not within {self.place.tries} looks, {self.place.pause_s} s apart")

    async def listed(self, type: str, about: str) -> Thing:
        """The event that names it, once Stripe lists it."""

        async def found() -> Thing | None:
            told = await self.method.told(self.began_s)
            return next((event for event in told if event["type"] == type and about in json.dumps(event["data"])), None)

        event = await self.until(found)
        assert event is not None
        return event

    async def hear(self, type: str, about: str) -> Thing:
        """Wait for an event, and deliver what Stripe lists and has not been delivered. Gives the event."""
        event = await self.listed(type, about)
        await self.deliver(await self.undelivered())
        return event

    async def undelivered(self) -> list[Thing]:
        return [event for event in await self.method.told(self.began_s) if event["id"] not in self._delivered]

    async def deliver(self, events: Iterable[Thing]) -> None:
        """In that order, and wait until all was handled."""
        async with ClientSession() as session:
            for event in events:
                self.statuses.append(await self.post(session, event))
                self._delivered.add(event["id"])
        await self.cashier.settled()

    async def deliver_at_once(self, events: Iterable[Thing]) -> None:
        async with ClientSession() as session:
            self.statuses += await asyncio.gather(*(self.post(session, event) for event in events))
        await self.cashier.settled()

    async def post(self, session: ClientSession, event: Thing, secret: str = SECRET, late_s: int = 0) -> int:
        body, at_s = json.dumps(event), int(self.place.clock_s()) + late_s
        header = stripe.WebhookSignature.generate_signature_header(body, secret, at_s)
        headers = {"Stripe-Signature": header, "Content-Type": "application/json"}
        async with session.post(self.webhook, data=body.encode(), headers=headers) as answer:
            return answer.status

    # The book.

    def clock_us(self) -> int:
        return int(self.place.clock_s() * 1_000_000)

    async def spend(self, rc: int, period: str = "") -> None:
        """``period``: what the credit lacks is paid with the invoice of that period."""
        name, most = secrets.token_hex(4), 500 * URC_PER_RC if period else 0
        held = CreditReserved(name, rc * URC_PER_RC, 0, "p", "m", overage_period=period, overage_max=most)
        await self.roadchain.append(Draft(held, self.scope, f"{name}/reserve"))
        await self.roadchain.append(Draft(CreditSettled(name, rc * URC_PER_RC, "p", 0), self.scope, f"{name}/settle"))

    async def size(self) -> int:
        return (await self.store.head()).size

    async def entered(self, begun: int = 0) -> list[Entry]:
        return [item.entry for item in await self.store.entries(begun - 1, 1000)]

    async def outcomes(self) -> list[PaymentOutcome]:
        return [entry.action.outcome for entry in await self.entered() if isinstance(entry.action, PaymentHandled)]

    async def rc(self, *names: str) -> list[float]:
        """The balances of accounts as the scenarios write them, or in full."""
        found = await self._balances()
        return [found.get(name, 0) / URC_PER_RC for name in names]

    async def check(self, name: str, begun: int, dispute_fee: int = SCENARIO_DISPUTE_FEE) -> None:
        """The entries after ``begun`` and the closing balances are the scenario's. Fees are Stripe's to decide: each that it took
        stands in the book, and is left out of the comparison; so is how much more or less a dispute costs than there."""
        _, _, _, line, closing = LINES[name].split(" | ")
        wanted, more = amounts(closing), (dispute_fee - SCENARIO_DISPUTE_FEE) * URC_PER_RC
        entries = expected(line)
        for kind, postings in entries:
            if kind == "dispute_withdrawn":
                postings |= {"XDISP": postings["XDISP"] + more, "STR": postings["STR"] - more}
            if kind == "stripe_fee" and "STR" in wanted:
                wanted["STR"] += postings["FEE"]
        recorded = [self._told(entry) for entry in await self.entered(begun) if entry.postings]
        assert [told for told in recorded if told[0] != "stripe_fee"] == [e for e in entries if e[0] != "stripe_fee"]
        found = await self._balances()
        if "STR" in wanted:
            wanted["STR"] -= more if any(kind == "dispute_withdrawn" for kind, _ in entries) else 0
            found["STR"] = found.get("STR", 0) + found.get("FEE", 0)
        assert {short: found.get(short, 0) for short in wanted} == wanted
        if line != "none":
            await self.check_fees()
        rows = await self.store.balances()
        assert sum(row.balance for row in rows) == 0
        await self.store.replay()
        assert await self.store.balances() == rows

    async def check_fees(self) -> None:
        """What the book has as fees, and as held by Stripe, is what Stripe's own movements come to."""
        book = await self.rc("FEE", "STR")

        async def at_stripe() -> list[float] | None:
            moved = [movement async for movement in self.method.settlements(self.began_s)]
            fees = sum(item.fee for item in moved if item.kind in ("charge", "payment"))
            return book if book == [fees, sum(item.net for item in moved)] else None

        await self.until(at_stripe)

    async def differences(self) -> tuple[Difference, ...]:
        """Of a reconciliation, without those that an account shared with others always has."""
        found = await reconcile(self.cashier, self.store, self.began_s)
        return tuple(item for item in found.differences if item.kind not in BALANCES)

    async def _balances(self) -> Amounts:
        found: Amounts = {}
        for row in await self.store.balances():
            short = short_name(self._plain(row.account))
            found[short] = found.get(short, 0) + natural(row.account, row.balance)
        return found

    def _told(self, entry: Entry) -> tuple[str, Amounts]:
        kind = entry.action.name.removeprefix("credit.").replace("payment_fee", "stripe_fee")
        return kind, {short_name(self._plain(posting.account)): posting.amount for posting in entry.postings}

    def _plain(self, account: Any) -> Any:
        """The workspace as the scenarios have it."""
        return account.replace(f":{self.scope.workspace}", ":w-1")

    # Afterwards.

    @asynccontextmanager
    async def another(self) -> "AsyncIterator[World]":
        """The same house, whose ledger was lost."""
        folder = self.folder / secrets.token_hex(4)
        folder.mkdir()
        async with open_world(self.place, folder, self) as other:
            yield other

    async def clean_up(self) -> None:
        """Customers go, and what they subscribe to ends with them. A payment, its refund and its dispute cannot be deleted."""
        v1 = self.client.v1
        if self._clock:
            with suppress(stripe.StripeError):
                await v1.test_helpers.test_clocks.delete_async(self._clock)
        for customer in self.method.made_customers:
            with suppress(stripe.StripeError):  # it went with its clock, or before
                await v1.customers.delete_async(customer)


@asynccontextmanager
async def open_world(place: Place, folder: Path, known: World | None = None) -> AsyncIterator[World]:
    """A house with an empty ledger. ``known``: the one whose ledger was lost, with its workspace and what it knew at Stripe."""
    async with AsyncExitStack() as stack:
        store = await SqliteStore.open(folder / "ledger.db")
        stack.push_async_callback(store.aclose)
        method = Narrowed(place)
        stack.push_async_callback(method.aclose)
        plans = await plans_of(method.client) if known is None else known.plans

        def clock_us() -> int:
            return int(place.clock_s() * 1_000_000)

        roadchain = await stack.enter_async_context(RoadChain(store, clock=clock_us))
        cashier = Cashier(method, Bridge(roadchain, store, RAIL, Plans(tuple(plans.values()))), clock_us, method)
        url = await stack.enter_async_context(open_door(cashier))
        workspace = WorkspaceId(f"w-{secrets.token_hex(8)}")
        scope = Scope(workspace, ActorId(f"a-{secrets.token_hex(8)}"), ConversationId("c-1"), TurnId("t-1"))
        began_s = int(place.clock_s()) - SKEW_S
        world = World(
            place,
            method,
            cashier,
            roadchain,
            store,
            url + WEBHOOK_PATH,
            url + RETURN_PATH,
            scope,
            began_s,
            plans,
            folder,
        )
        if known is not None:
            world.scope, world.began_s, method.mine = known.scope, known.began_s, set(known.method.mine)
        method.mine.add(world.scope.workspace)
        # What the account did before is another's: a scan begins here.
        since_s = world.began_s + OVERLAP_S
        key = f"payment.scanned/{RAIL}/{int(place.clock_s()) // 86_400}"
        await roadchain.append(Draft(PaymentsScanned(RAIL, 0, since_s, 0), THE_HOUSE, key))
        try:
            yield world
        finally:
            await world.clean_up()
