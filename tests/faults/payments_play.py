"""Payments at random, in lives that end by a kill between any two steps. Stripe's account outlives them, as Stripe does.

A life asks for links, pays at the page, has events delivered (some twice, some never), gives back, and is killed before or after
one of its commits, or of its requests to Stripe: so that each step is at some time the last one. The next life goes on from disk.
In some books a second workspace has a plan with a meter, and uses more than its credit: what is told to the meter is cut off too.
"""

import asyncio
import json
import os
import pickle
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, fields, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import stripe

from integrations.payments.base import Cents, IntentId, MeterReading, ObjectRef, PaymentError
from integrations.payments.cashier import Cashier
from integrations.payments.keys import hold_key, opened_key
from integrations.payments.metering import Metering
from integrations.payments.plans import Plan, Plans
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL, StripePayments
from integrations.storage.sqlite import SqliteStore
from ledger.book import HoldId
from ledger.credit_actions import CreditReserved, CreditSettled, CreditVoided, PlanGranted, RefundHeld
from ledger.entry import Draft, Scope
from ledger.errors import InsufficientBalance, KeyReused
from ledger.money import URC_PER_RC, Money
from ledger.roadchain import RoadChain
from ledger.store import Receipt
from tests.fakes import stripe_meters
from tests.fakes.stripe_account import Account, Refused, Thing
from tests.fakes.stripe_server import KEY, SECRET, StripeServer
from tests.house import GENESIS
from tests.payments import METER, NOW_S, scope

ACTS = 9
STEPS_MAX = 36
"""A life that has made more steps than this ends by itself."""

BEYOND_SCOPE = scope("t-2", "a-2", "w-2")
"""Whose plan has a meter. It buys nothing else."""

OVERAGE_RC = 60
"""How much of a period it may pay later."""

OUTSIDE = "stripe.pickle"
LEDGER = "ledger.db"


class Outside:
    """Stripe, in a file: what it took stands there before it answers."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / OUTSIDE
        self.account = Account(NOW_S)
        self.server = StripeServer(self.account)
        self.account.never = lambda kind: False
        if self._path.exists():
            kept, self.server.pending[:], self.server._seen = pickle.loads(self._path.read_bytes())  # our own
            for name, value in kept.items():
                setattr(self.account, name, value)
        else:
            self.account.price(2000)
            self.account.price(1000)
            stripe_meters.meter(self.account, METER)
            stripe_meters.metered_price(self.account, METER)
            self.save()

    def save(self) -> None:
        kept = {
            field.name: getattr(self.account, field.name)
            for field in fields(Account)
            if not callable(getattr(self.account, field.name))
        }
        whole = pickle.dumps((kept, self.server.pending, self.server._seen))
        beside = self._path.with_suffix(".new")
        beside.write_bytes(whole)
        beside.replace(self._path)


@dataclass
class Steps:
    """Counts them, and ends the process at ``last``."""

    last: int
    made: int = 0

    def step(self) -> None:
        self.made += 1
        if self.made == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


class Wire(stripe.HTTPClient):
    """From the SDK to the account, without a network: a kill falls before a request has arrived, or before its answer has."""

    name = "in-process"

    def __init__(self, outside: Outside, steps: Steps) -> None:
        super().__init__()
        self._outside = outside
        self._steps = steps

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        path, _, query = url.removeprefix(stripe.DEFAULT_API_BASE).partition("?")
        asked = Request(method.upper(), path, headers)
        writes = asked.method == "POST"
        if writes:
            self._steps.step()
        status, body, _ = self._outside.server.told(asked, (post_data or "") if writes else query)
        if writes:
            self._outside.save()
            self._steps.step()
        return json.dumps(body).encode(), status, {}

    async def close_async(self) -> None:
        """Nothing is open."""


class Direct(StripePayments):
    def __init__(self, outside: Outside, steps: Steps) -> None:
        super().__init__(KEY, [SECRET], "", "http://carpool.test/", clock_s=lambda: float(outside.account.now_s))
        self._direct = stripe.StripeClient(KEY, http_client=Wire(outside, steps), max_network_retries=0)

    @property
    def client(self) -> stripe.StripeClient:
        return self._direct


class Nameless(Direct):
    """A mutant: a reading has another identifier each time that it is sent."""

    async def read_meter(self, reading: MeterReading) -> None:
        await super().read_meter(replace(reading, id=f"{reading.id}/{os.urandom(8).hex()}"))


class Stepping(RoadChain):
    """A commit is a step before and after. One whose first action is ``left_out`` is not made: a mutant."""

    steps: Steps
    left_out = ""

    async def append(self, *group: Draft) -> tuple[Receipt, ...]:
        self.steps.step()
        if self.left_out and any(draft.action.name == self.left_out for draft in group):
            return tuple(Receipt(0, b"", True) for _ in group)
        receipts = await super().append(*group)
        self.steps.step()
        return receipts


class Scattered(Bridge):
    """A mutant: what an object is recorded as has no key of its own."""

    def key(self, about: ObjectRef, step: str) -> str:
        return f"{super().key(about, step)}/{os.urandom(8).hex()}"


@dataclass
class Life:
    outside: Outside
    store: SqliteStore
    cashier: Cashier
    random: Random
    pro: Plan
    beyond: Plan | None
    metering: Metering
    method: StripePayments

    @property
    def account(self) -> Account:
        return self.outside.account

    async def begin(self) -> None:
        """What a start does: what was missed is read from Stripe's list, and refunds that were cut off go on."""
        if self.beyond is not None and not self.account.of("subscription"):
            await self.plan_beyond()
        await self.cashier.scan()
        await self.finish_refunds()
        if self.beyond is not None:
            await self.void_holds()

    async def void_holds(self) -> None:
        """Of calls that were cut off."""
        for item in await self.store.entries(-1, 100_000):
            if isinstance(held := item.entry.action, CreditReserved):
                hold = await self.store.hold(HoldId(held.hold))
                if hold is not None and hold.state == "open":
                    voided = Draft(CreditVoided(held.hold, "p"), BEYOND_SCOPE, f"{held.hold}/void")
                    await self.cashier.bridge.roadchain.append(voided)

    async def finish_refunds(self) -> None:
        """As an operator does who is told its reference."""
        entries = [item.entry for item in await self.store.entries(-1, 100_000)]
        for entry in entries:
            if not isinstance(entry.action, RefundHeld):
                continue
            intent = entry.idem.removeprefix(hold_key(""))
            done = await self.store.find(opened_key(intent)) or await self.store.find(f"reversal/{entry.seq}")
            if done is None:
                _, payment, cents, _ = intent.split("/")
                with suppress(PaymentError):
                    await self.cashier.refund(scope("t-r"), payment, Cents(int(cents)), IntentId(intent))

    async def act(self) -> None:
        acts = (self.topup, self.topup, self.pay, self.pay, self.debit, self.deliver, self.deliver)
        more = (self.refund, self.refund, self.refund_outside, self.fail_refund, self.plan, self.payout, self.wait)
        if self.beyond is None or not self.random.randrange(4):
            await self.random.choice((*acts, *more))()
        else:
            beyond = (self.use, self.use, self.tell, self.tell, self.hour)
            await self.random.choice((*beyond, *beyond, *beyond, *beyond, self.plan_beyond))()
        self.outside.save()

    async def topup(self) -> None:
        with suppress(PaymentError):
            await self.cashier.topup(scope("t-1"), Cents(self.random.choice((500, 1000, 2500))))

    async def pay(self) -> None:
        waiting = [item for item in self.account.of("checkout.session") if item["status"] == "open"]
        if waiting:
            session = self.random.choice(waiting)
            plain: Thing = (
                {} if session["mode"] == "subscription" else self.random.choice(({}, {}, {"later": True}, {"tax": 100}))
            )
            self.account.pay(session["id"], **plain)

    async def debit(self) -> None:
        waiting = [
            item for item in self.account.of("checkout.session")
            if item["status"] == "complete" and item["payment_status"] == "unpaid" and not self._failed(item)
        ]  # fmt: skip
        if waiting:
            done = self.account.debit_comes if self.random.randrange(3) else self.account.debit_fails
            done(self.random.choice(waiting)["id"])

    def _failed(self, session: Thing) -> bool:
        status: str = self.account.things[session["payment_intent"]]["status"]
        return status == "requires_payment_method"

    async def deliver(self) -> None:
        """Some twice, some never, in any order."""
        queue, self.outside.server.pending[:] = list(self.outside.server.pending), []
        self.random.shuffle(queue)
        for event in queue:
            for _ in range(self.random.choice((0, 1, 1, 2))):
                body = json.dumps(event)
                signed = stripe.WebhookSignature.generate_signature_header(body, SECRET, self.account.now_s)
                await self.cashier.receive(body.encode(), signed)
        await self.cashier.settled()

    async def refund(self) -> None:
        payment, number = self._payment(), self.random.randrange(1_000_000)
        if payment:
            cents = self.random.choice((100, 500, 1000))
            intent = IntentId(f"r/{payment}/{cents}/{number}")
            with suppress(PaymentError, InsufficientBalance, KeyReused):
                await self.cashier.refund(scope("t-r"), payment, Cents(cents), intent)

    def _payment(self) -> str:
        paid = [
            item
            for item in self.account.of("checkout.session")
            if item["payment_status"] == "paid" and item["payment_intent"]
        ]
        return str(self.random.choice(paid)["payment_intent"]) if paid else ""

    async def refund_outside(self) -> None:
        payment = self._payment()
        if payment and self.random.randrange(2):
            with suppress(Refused):
                self.account.refund(payment, self.random.choice((100, 500)), {})

    async def fail_refund(self) -> None:
        made = [item for item in self.account.of("refund") if item["status"] == "succeeded"]
        if made and self.random.randrange(2):
            self.account.fail_refund(self.random.choice(made)["id"])

    async def plan(self) -> None:
        await self._subscribe_or_renew(self.pro, scope("t-1"))

    async def plan_beyond(self) -> None:
        if self.beyond is not None:
            await self._subscribe_or_renew(self.beyond, BEYOND_SCOPE)

    async def _subscribe_or_renew(self, plan: Plan, whose: Scope) -> None:
        account = self.account
        running = [item for item in account.of("subscription") if item["status"] == "active"]
        if account.drafts:
            account.now_s += 3_600  # so long an invoice stays a draft
            account.finalize()
        elif any(item["items"]["data"][0]["price"]["id"] == plan.price for item in running):
            account.end_period(min(running, key=lambda item: ends_s(item))["id"])
            if self.beyond is None:
                account.finalize()
        else:
            with suppress(PaymentError):
                link = await self.cashier.subscribe(whose, plan)
                if plan is self.beyond:
                    account.pay(link.about.id)
                    self.outside.save()

    async def use(self) -> None:
        """A call that costs more than there is: what the credit lacks is paid later."""
        for item in await self.store.planned(BEYOND_SCOPE.workspace):
            granted = item.entry.action
            if not isinstance(granted, PlanGranted) or granted.until_s <= self.account.now_s:
                continue
            price, hold = self.random.choice((700_000, 1_300_000, 3_300_000)), f"h-{self.random.randrange(10**12)}"
            held = CreditReserved(
                hold, 2 * price, 0, "p", "m", overage_period=str(granted.until_s), overage_max=OVERAGE_RC * URC_PER_RC
            )
            roadchain = self.cashier.bridge.roadchain
            with suppress(InsufficientBalance):
                await roadchain.append(Draft(held, BEYOND_SCOPE, f"{hold}/reserve"))
                await roadchain.append(Draft(CreditSettled(hold, price, "p", 0), BEYOND_SCOPE, f"{hold}/settle"))

    async def tell(self) -> None:
        await self.metering.apply()

    async def hour(self) -> None:
        """Or less, or most of a day; an invoice that was a draft for an hour is made."""
        account = self.account
        account.now_s += self.random.choice((600, 3_600, 3_600, 3_600, 80_000))
        if account.drafts and account.drafts[0][2] + 3_600 <= account.now_s:
            account.finalize()
            self.outside.save()
            await self.deliver()

    async def payout(self) -> None:
        paid = self.account.payout(self.random.choice((100, 300)))
        if not self.random.randrange(3):
            self.account.fail_payout(paid["id"])

    async def wait(self) -> None:
        self.account.now_s += self.random.choice((10, 400, 5000, 20_000))


def ends_s(subscription: Thing) -> int:
    end: int = subscription["items"]["data"][0]["current_period_end"]
    return end


@asynccontextmanager
async def living(
    folder: Path, random: Random, last: int = 0, mutant: str = "", *, metered: bool = False
) -> AsyncIterator[Life]:
    outside, steps = Outside(folder), Steps(last)
    account = outside.account
    later, credit, price = [item["id"] for item in account.of("price")]
    pro = Plan("pro", price, Money(1500 * URC_PER_RC), Money(500 * URC_PER_RC))
    beyond = Plan(
        "beyond",
        credit,
        Money(1 * URC_PER_RC),
        Money(999 * URC_PER_RC),
        (),
        METER,
        later,
        Money(OVERAGE_RC * URC_PER_RC),
    )
    store = await SqliteStore.open(folder / LEDGER)

    def clock_us() -> int:
        return account.now_s * 1_000_000

    try:
        roadchain = Stepping(store, clock=clock_us)
        roadchain.steps, roadchain.left_out = steps, mutant
        async with roadchain:
            await roadchain.append(GENESIS)
            method = (Nameless if mutant == "identifier" else Direct)(outside, steps)
            make = Scattered if mutant == "keys" else Bridge
            plans = Plans((pro, beyond) if metered else (pro,))
            cashier = Cashier(method, make(roadchain, store, RAIL, plans), clock_us, method)
            metering = Metering(cashier, method, store, clock_us)
            handling = asyncio.create_task(cashier._handle_waiting())
            try:
                yield Life(outside, store, cashier, random, pro, beyond if metered else None, metering, method)
            finally:
                handling.cancel()
    finally:
        await store.aclose()


def payments_life(acks: Connection, folder: Path, seed: int, last: int, mutant: str, metered: bool) -> None:
    """One life, which a kill ends at its step ``last``, where it comes so far."""

    async def run() -> None:
        async with living(folder, Random(seed), last, mutant, metered=metered) as life:
            await life.begin()
            for _ in range(ACTS):
                await life.act()

    asyncio.run(run())
