"""What happens in a life, one move after the other: people pay, ask, are given back, dispute; plans begin, change and end.

A move that needs something first, such as a dispute a payment, makes it where it is not there.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random

import stripe

from bot.expiry import Expiry
from bot.intake import Intake
from bot.platforms.base import Incoming
from bot.suspense_console import in_suspense
from integrations.payments.base import Cents, IntentId, PaymentError
from integrations.payments.cashier import Cashier
from integrations.payments.keys import THE_HOUSE, hold_key, opened_key, resolved_key
from integrations.payments.metering import Metering
from integrations.payments.plans import Plan
from integrations.payments.reconcile import reconcile
from integrations.payments.referrals import offered_key, taken_key
from integrations.payments.stripe import StripePayments
from integrations.storage.sqlite import SqliteStore
from ledger import accounts as chart
from ledger.actions import MessageReceived, TurnFinished
from ledger.book import HoldId
from ledger.credit_actions import (
    CreditAction,
    CreditAllocated,
    CreditGranted,
    CreditReserved,
    CreditReversed,
    CreditSettled,
    CreditVoided,
    DebtWrittenOff,
    OperationsPaid,
    PaymentUnmatched,
    PlanGranted,
    ProviderBilled,
    ProviderTruedUp,
    RefundHeld,
    SuspenseResolved,
    TreasuryMoved,
)
from ledger.entry import Draft, Entry, Scope
from ledger.errors import InsufficientBalance, KeyReused
from ledger.money import URC_PER_RC
from ledger.payment_actions import ReferralOffered, ReferralTaken
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from tests.fakes.stripe_account import Account, Refused, Thing
from tests.fakes.stripe_server import SECRET
from tests.faults.payments_outside import KINDS, Outside, Steps
from tests.house import ME, PSEUDONYMS
from tests.payments import NOW_S, scope

OURS = PSEUDONYMS.workspace(ME.platform, ME.workspace)
MINE = PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person)
OUR_SCOPE = scope("t-1", MINE, OURS)
OTHERS = (scope("t-3", "a-3", "w-3"), scope("t-4", "a-4", "w-4"))
"""Who buys as well, and came by our invitation."""

INVITED_US = scope("t-9", "a-9", "w-9")

BEYOND_SCOPE = scope("t-2", "a-2", "w-2")
"""Whose plan has a meter. It buys nothing else."""

OVERAGE_RC = 60
"""How much of a period it may pay later."""

REWARD_RC = 450
DAY_S = 86_400
TURN_S = 60

CARDS = {
    "topup": 4,
    "buy": 4,
    "pay": 6,
    "debit": 2,
    "deliver": 8,
    "ask": 10,
    "refund": 4,
    "refund_outside": 3,
    "fail_refund": 3,
    "subscribe": 3,
    "renew": 3,
    "change_plan": 5,
    "cancel": 1,
    "dispute": 4,
    "close_dispute": 4,
    "strange_payment": 3,
    "resolve": 3,
    "set_aside": 4,
    "grant": 2,
    "take_back_grant": 1,
    "expire": 2,
    "write_off": 4,
    "run_the_house": 3,
    "payout": 2,
    "look_through": 1,
    "wait": 2,
}
"""How often each move is in a deck."""

BEYOND_CARDS = {"use": 16, "tell": 16, "hour": 12, "plan_beyond": 8}
"""And where there is a plan with a meter."""


@dataclass
class Life:
    outside: Outside
    store: SqliteStore
    roadchain: RoadChain
    cashier: Cashier
    random: Random
    plans: tuple[Plan, ...]
    beyond: Plan | None
    metering: Metering
    method: StripePayments
    intake: Intake
    expiry: Expiry
    steps: Steps

    @property
    def account(self) -> Account:
        return self.outside.account

    async def entries(self) -> list[Entry]:
        return [item.entry for item in await self.store.entries(-1, 1_000_000)]

    async def natural(self, account: str) -> int:
        return sum(
            row.natural for row in await self.store.balances() if row.account == account and row.currency == "RC"
        )

    async def begin(self) -> None:
        """What a start does: calls and refunds that were cut off go on, and what was missed is read from Stripe's list."""
        await self.finish_turns()
        await self.invite()
        if self.beyond is not None and not self.running(BEYOND_SCOPE.workspace):
            await self.plan_beyond()
        await self.cashier.scan()
        await self.finish_refunds()
        if self.beyond is not None:
            await self.void_holds()

    async def finish_turns(self) -> None:
        """The house does that by itself: it is waited for."""
        turns: dict[str, Entry] = {}
        for entry in await self.entries():
            if isinstance(entry.action, MessageReceived):
                turns[entry.turn] = entry
            elif isinstance(entry.action, TurnFinished):
                turns.pop(entry.turn, None)
        async with asyncio.timeout(TURN_S):
            for entry in turns.values():
                await self.intake.ended(entry.turn)

    async def invite(self) -> None:
        """We came by an invitation, and the others by ours."""
        for code, offers, takers in (("c-9", INVITED_US, (OUR_SCOPE,)), ("c-1", OUR_SCOPE, OTHERS)):
            if await self.store.find(offered_key(code)) is None:
                await self.roadchain.append(Draft(ReferralOffered(code), offers, offered_key(code)))
            for taker in takers:
                if await self.store.find(taken_key(taker.workspace)) is None:
                    await self.roadchain.append(Draft(ReferralTaken(code), taker, taken_key(taker.workspace)))

    async def void_holds(self) -> None:
        """Of calls of the plan with a meter that were cut off."""
        for entry in await self.entries():
            if isinstance(held := entry.action, CreditReserved) and entry.workspace == BEYOND_SCOPE.workspace:
                hold = await self.store.hold(HoldId(held.hold))
                if hold is not None and hold.state == "open":
                    voided = Draft(CreditVoided(held.hold, "p"), BEYOND_SCOPE, f"{held.hold}/void")
                    await self.roadchain.append(voided)

    async def finish_refunds(self) -> None:
        """As an operator does who is told its reference."""
        for entry in await self.entries():
            if not isinstance(entry.action, RefundHeld):
                continue
            intent = entry.idem.removeprefix(hold_key(""))
            done = await self.store.find(opened_key(intent)) or await self.store.find(f"reversal/{entry.seq}")
            if done is None:
                _, payment, cents, _ = intent.split("/")
                with suppress(PaymentError):
                    await self.cashier.refund(_again(entry), payment, Cents(int(cents)), IntentId(intent))

    async def act(self, move: str) -> None:
        await getattr(self, move)()
        self.outside.save()

    # What is bought.

    async def topup(self) -> None:
        who = self.random.choice((OUR_SCOPE, OUR_SCOPE, *OTHERS))
        with suppress(PaymentError):
            await self.cashier.topup(who, Cents(self.random.choice((500, 1000, 2500))))

    async def buy(self) -> None:
        await self.topup()
        await self.pay()
        await self.deliver()

    async def pay(self) -> None:
        waiting = [item for item in self.account.of("checkout.session") if item["status"] == "open"]
        if waiting:
            session = self.random.choice(waiting)
            plain: Thing = {}
            if session["mode"] == "payment":
                ways: tuple[Thing, ...] = ({}, {}, {}, {"later": True}, {"tax": 100}, {"discount": 70}, {"pays": 300})
                plain = self.random.choice(ways)
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
        """Some twice, some never, some later, in any order. Stripe does not forget what it has told."""
        self.outside.save()
        queue, self.outside.server.pending[:] = list(self.outside.server.pending), []
        self.random.shuffle(queue)
        for event in queue:
            times = self.random.choice((0, 1, 1, 2, -1))
            if times < 0:
                self.outside.server.pending.append(event)
            for _ in range(times):
                body = json.dumps(event)
                signed = stripe.WebhookSignature.generate_signature_header(body, SECRET, self.account.now_s)
                await self.cashier.receive(body.encode(), signed)
        await self.cashier.settled()

    # What goes back.

    async def refund(self) -> None:
        if not self._payment():
            await self.buy()
        payment, number = self._payment(), self.random.randrange(1_000_000)
        if payment:
            paid = await self.cashier.paid_as(payment)
            cents = self.random.choice((100, 300, 500))
            intent = IntentId(f"r/{payment}/{cents}/{number}")
            who = OUR_SCOPE if paid is None else _again(paid.entry)
            with suppress(PaymentError, InsufficientBalance, KeyReused):
                await self.cashier.refund(who, payment, Cents(cents), intent)

    def _payment(self) -> str:
        """Of a top-up; the first ones more often, since they earn rewards."""
        paid = [
            item["payment_intent"] for item in reversed(self.account.of("checkout.session"))
            if item["payment_status"] == "paid" and item["payment_intent"]
        ]  # fmt: skip
        few = paid[:3] if self.random.randrange(2) else paid
        return str(self.random.choice(few)) if few else ""

    def _any_payment(self) -> str:
        """Of anything, but most often of a plan or of what came past us."""
        known = {item["payment_intent"] for item in self.account.of("checkout.session")}
        others = [
            item["id"]
            for item in self.account.of("payment_intent")
            if item["status"] == "succeeded" and item["id"] not in known
        ]
        return str(self.random.choice(others)) if others and self.random.randrange(3) else self._payment()

    async def refund_outside(self) -> None:
        if payment := self._any_payment():
            cents = self.random.choice((100, 500, 1000, None))
            with suppress(Refused):
                self.account.refund(payment, cents, {})

    async def fail_refund(self) -> None:
        if not self._sent():
            await self.refund_outside()
        if made := self._sent():
            self.account.fail_refund(self.random.choice(made)["id"])

    def _sent(self) -> list[Thing]:
        return [item for item in self.account.of("refund") if item["status"] == "succeeded"]

    async def dispute(self) -> None:
        payment = self._any_payment()
        if not payment:
            return
        charge = self.account.things[self.account.things[payment]["latest_charge"]]
        if charge["amount_refunded"] < charge["amount"] and not charge["disputed"]:
            self.account.dispute(payment)

    async def close_dispute(self) -> None:
        if not self._open_disputes():
            await self.dispute()
        if found := self._open_disputes():
            self.account.close_dispute(self.random.choice(found)["id"], won=bool(self.random.randrange(2)))

    def _open_disputes(self) -> list[Thing]:
        return [item for item in self.account.of("dispute") if item["status"] == "needs_response"]

    # Plans.

    def running(self, workspace: WorkspaceId) -> list[Thing]:
        return [
            item
            for item in self.account.of("subscription")
            if item["status"] == "active" and item["metadata"]["carpool_workspace"] == workspace
        ]

    async def subscribe(self) -> None:
        """Its page is paid, or left."""
        if not self.running(OURS):
            with suppress(PaymentError):
                link = await self.cashier.subscribe(OUR_SCOPE, self.random.choice(self.plans[:2]))
                if self.random.randrange(4):
                    self.account.pay(link.about.id)

    async def renew(self) -> None:
        """The period ends, and so may an invoice's time as a draft."""
        running = self.running(OURS)
        if not running:
            await self.subscribe()
        elif not self.account.drafts:
            self.account.end_period(running[0]["id"])
            self.account.finalize()

    async def change_plan(self) -> None:
        """For a larger one, or a smaller one: what was paid for it and not used is kept for the next invoice."""
        running = self.running(OURS)
        if not running:
            await self.subscribe()
        elif not self.account.drafts and self.account.now_s < ends_s(running[0]):
            price = running[0]["items"]["data"][0]["price"]["id"]
            other = next(plan.price for plan in self.plans[:2] if plan.price != price)
            self.account.upgrade(running[0]["id"], other)

    async def cancel(self) -> None:
        if running := self.running(OURS):
            at_once = self.random.randrange(2) > 0
            self.account.cancel(running[0]["id"], at_once=at_once)

    async def plan_beyond(self) -> None:
        account, beyond = self.account, self.beyond
        if beyond is None:
            return
        if account.drafts:
            account.now_s += 3_600  # so long an invoice stays a draft
            account.finalize()
        elif running := self.running(BEYOND_SCOPE.workspace):
            account.end_period(running[0]["id"])
        else:
            with suppress(PaymentError):
                link = await self.cashier.subscribe(BEYOND_SCOPE, beyond)
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
            with suppress(InsufficientBalance):
                await self.roadchain.append(Draft(held, BEYOND_SCOPE, f"{hold}/reserve"))
                await self.roadchain.append(Draft(CreditSettled(hold, price, "p", 0), BEYOND_SCOPE, f"{hold}/settle"))

    async def tell(self) -> None:
        await self.metering.apply()

    async def hour(self) -> None:
        """Or less, or most of a day; an invoice that was a draft for an hour is made."""
        account = self.account
        account.now_s += self.random.choice((600, 3_600, 3_600, 3_600, 80_000))
        if account.drafts and account.drafts[0][2] + 3_600 <= account.now_s:
            account.finalize()
            await self.deliver()

    # What fits nothing.

    async def strange_payment(self) -> None:
        """Somebody pays past us."""
        self.account.foreign_payment(self.random.choice((700, 1200)), self.random.choice(("usd", "usd", "usd", "eur")))

    async def resolve(self) -> None:
        """As an operator does at the console: it becomes credit of a workspace, or goes back."""
        waiting = await in_suspense(self.store, self.cashier)
        if not waiting:
            await self.strange_payment()
            await self.deliver()
            waiting = await in_suspense(self.store, self.cashier)
        if not waiting:
            return
        item = self.random.choice(waiting)
        paid = await self.cashier.paid_as(item.payment)
        action = None if paid is None else paid.entry.action
        back = item.currency != "RC" or item.returned
        if isinstance(action, PaymentUnmatched) and not back:
            resolved = SuspenseResolved(item.rail, action.amount, action.currency, "paid")
            with suppress(KeyReused):
                await self.roadchain.append(Draft(resolved, OUR_SCOPE, resolved_key(item.rail, item.payment)))
        elif item.payment.startswith("pi_"):
            with suppress(Refused):
                self.account.refund(item.payment, None, {})

    # Calls of models, and credit that moves inside.

    async def ask(self) -> None:
        """A whole turn of the house: held for, called, settled, posted."""
        number = self.random.randrange(10**9)
        question = f"q-{number} {self.random.choice(KINDS)}"
        accepted = await self.intake.accept(Incoming(replace(ME, thread=str(number)), question, question))
        async with asyncio.timeout(TURN_S):
            await self.intake.ended(accepted.turn)

    async def set_aside(self) -> None:
        if await self.natural(chart.paid(OURS)) < 50 * URC_PER_RC:
            await self.buy()
        pocket = self.random.choice((f"user:{MINE}", "user:a-7", "agent:helper"))
        source, target = self.random.choice((("", pocket), ("", pocket), (pocket, "")))
        await self._move(CreditAllocated(source, target, self.random.choice((50, 200, 700)) * URC_PER_RC), "allocate")

    async def grant(self) -> None:
        days, number = self.random.choice((0, 1, 20)), self.random.randrange(1_000_000)
        until_us = (self.account.now_s + days * DAY_S) * 1_000_000 if days else None
        await self._move(CreditGranted(f"g-{number}", 150 * URC_PER_RC, until_us), "grant")

    async def take_back_grant(self) -> None:
        """What of it was spent keeps the rest."""
        granted = [entry for entry in await self.entries() if isinstance(entry.action, CreditGranted)]
        if granted:
            entry = self.random.choice(granted)
            with suppress(InsufficientBalance, KeyReused):
                await self.roadchain.append(Draft(CreditReversed(entry.seq), _again(entry), f"reversal/{entry.seq}"))

    async def expire(self) -> None:
        self.account.now_s += self.random.choice((DAY_S, 20 * DAY_S))
        await self.expiry.apply()

    async def write_off(self) -> None:
        """Of a debt that a payment which went back has made, where some of it was spent."""
        if not await self.natural(chart.debt(OURS)):
            for item in self.account.of("checkout.session"):
                if item["payment_status"] == "paid" and item["metadata"]["carpool_workspace"] == OURS:
                    with suppress(Refused):
                        self.account.refund(item["payment_intent"] or "", None, {})
                        break
            await self.deliver()
        if debt := await self.natural(chart.debt(OURS)):
            await self._move(DebtWrittenOff(debt), "writeoff")

    async def _move(self, action: CreditAction, name: str) -> None:
        with suppress(InsufficientBalance):
            await self.roadchain.append(Draft(action, OUR_SCOPE, f"{name}/{self.random.randrange(10**12)}"))

    async def run_the_house(self) -> None:
        """What the owner puts in and pays, and what the provider's bill takes and does not ask for."""
        accrued = await self.natural(chart.provider_accrued("scripted"))
        waits = await self.natural(chart.provider_suspense("scripted"))
        paid = (
            TreasuryMoved("in", 10_000 * URC_PER_RC),
            OperationsPaid(500 * URC_PER_RC),
            ProviderBilled("scripted", accrued, waits // 2),
            *(
                (ProviderTruedUp("scripted", 0, waits - waits // 2),) if waits else ()
            ),  # it asks for less than was thought
        )
        for action in paid:
            key = f"{action.name}/{self.random.randrange(10**12)}"
            await self.roadchain.append(Draft(action, THE_HOUSE, key))

    async def payout(self) -> None:
        paid = self.account.payout(self.random.choice((100, 300)))
        if not self.random.randrange(3):
            self.account.fail_payout(paid["id"])

    async def look_through(self) -> None:
        """The hourly comparison: what no event told of is found."""
        await reconcile(self.cashier, self.store, NOW_S - DAY_S)

    async def wait(self) -> None:
        self.account.now_s += self.random.choice((10, 400, 5000, 20_000))


def ends_s(subscription: Thing) -> int:
    end: int = subscription["items"]["data"][0]["current_period_end"]
    return end


def _again(entry: Entry) -> Scope:
    """Whose an entry is, in a turn of its own."""
    return scope("t-r", entry.actor, entry.workspace)
