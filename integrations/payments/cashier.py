"""The cashier: what people ask of a rail, and what it tells, each on the ledger before and after.

A delivery is answered as soon as ``payment.received`` is durable. Then its object is fetched, and the entries that its state
lacks are appended. What could not be fetched is left to the next scan, which reads the rail's own list of events: once a minute
while something is left, else once an hour; so a rail that is down, or a delivery that never comes, costs time and nothing else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from integrations.payments.base import (
    Buyer,
    Cents,
    DisputeState,
    Event,
    Fact,
    IntentId,
    InvoicePaid,
    InvoiceShown,
    InvoiceState,
    Link,
    News,
    ObjectKind,
    ObjectRef,
    PaymentMethod,
    PaymentRefused,
    PaymentShown,
    PaymentUnknown,
    RefundAsked,
    RefundState,
    RefusedReason,
    SubscriptionAsked,
    SubscriptionEnded,
    Subscriptions,
    TopupAsked,
    TopupPaid,
    TopupState,
    WebhookRefused,
    urc,
)
from integrations.payments.going_back import comes_back, goes_back
from integrations.payments.keys import KINDS_BY_STRIPE, THE_HOUSE, asked_key, hold_key, opened_key
from integrations.payments.older import take_up_older
from integrations.payments.plans import Plan
from integrations.payments.requests import put_on_record
from integrations.payments.returned import Parts, Returns, returns_of
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.second_plan import give_back, is_second
from integrations.payments.setting_aside import FAILURES, Aside, Failure, SetAside, passes
from ledger.credit_actions import CreditReversed, CreditTopup, RefundHeld
from ledger.entry import Draft, Scope, StripeObject
from ledger.errors import KeyReused, LedgerError, StoreFailed
from ledger.money import URC_PER_RC, Money
from ledger.payment_actions import (
    PaymentAsked,
    PaymentHandled,
    PaymentKind,
    PaymentOpened,
    PaymentOutcome,
    PaymentReceived,
    PaymentsScanned,
)
from ledger.payment_actions import (
    PaymentRefused as RefusedEntry,
)
from ledger.pseudonyms import WorkspaceId
from ledger.store import Recorded

SCAN_S = 3600
RETRY_S = 60
OVERLAP_S = 3600
"""Events may be listed a little late: a scan begins so much before the last one's end."""

LISTABLE_DAYS = 30
DAY_S = 86_400
WINDOW_S = 300
LINK_S = 2400
"""A link opens the same page for all who ask for the same within a window, and closes half an hour after it or a little later."""

PAYMENTS: tuple[ObjectKind, ...] = ("payment_intent", "invoice", "transfer")
"""What money can have come as."""

PAYMENTS_MAX = 100
REFUSALS_S = 60
WAITING_MAX = 1000
HANDLED_AT_ONCE = 8
"""Most of it is to wait for the rail's answers. What they say is recorded one after the other."""

log = logging.getLogger("carpool.payments")


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found: ``left`` is to be read again, since the rail or the store cannot be reached; ``aside`` objects could not
    be recorded, and wait without anything else waiting for them."""

    events: int
    left: int
    aside: int = 0


class Cashier:
    """Use as ``async with``: then events are handled and scanned for. ``subscriptions`` None: the rail has none.

    ``tell`` is told what came of a payment, each time that it is looked at: whoever is told says it once.
    """

    def __init__(
        self,
        method: PaymentMethod,
        bridge: Bridge,
        clock_us: Callable[[], int],
        subscriptions: Subscriptions | None = None,
        tell: Callable[[News], Awaitable[None]] | None = None,
    ) -> None:
        self.method = method
        self.bridge = bridge
        self.subscriptions = subscriptions
        self._tell = tell
        self._clock_us = clock_us
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(WAITING_MAX)
        self._tasks: list[asyncio.Task[None]] = []
        self._left = asyncio.Event()
        self._recording = asyncio.Lock()
        self._scanned_s = 0
        self._ended_on = 0
        self.aside = SetAside(bridge)

    async def __aenter__(self) -> "Cashier":
        self._tasks = [
            *(asyncio.create_task(self._handle_waiting(), name="payments") for _ in range(HANDLED_AT_ONCE)),
            asyncio.create_task(self._scan_again(), name="payments-scan"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def rail(self) -> str:
        return self.method.rail

    async def receive(self, body: bytes, signature: str) -> None:
        """A delivery. On return it is on the ledger, and will be handled.

        Raises ``WebhookRefused`` where it is not from the rail (which is on the ledger too), ``StoreFailed``.
        """
        try:
            event = self.method.verify_webhook(body, signature, self._now_s())
        except WebhookRefused as error:
            await self.refuse(error.reason)
            raise
        if event.about is None:
            return
        fresh = await self._received(event)
        if fresh or not await self._was_handled(event):
            try:
                self._waiting.put_nowait(event)
            except asyncio.QueueFull:
                self._left.set()

    async def refuse(self, reason: RefusedReason) -> None:
        """Put a delivery on record that is not taken: of one reason one a minute. Whoever sends rubbish does not fill the ledger.

        Raises ``StoreFailed``.
        """
        key = f"payment.refused/{self.rail}/{reason}/{self._now_s() // REFUSALS_S}"
        await self.bridge.roadchain.append(Draft(RefusedEntry(self.rail, reason), THE_HOUSE, key))

    async def settled(self) -> None:
        """Wait until what was received has been handled, or left to the next scan."""
        await self._waiting.join()

    async def handle(self, event: Event) -> PaymentOutcome:
        """Fetch what it is about, and record what that comes to. Raises ``PaymentError``, ``LedgerError``, ``StoreFailed``."""
        if event.about is None:
            return "nothing"
        try:
            outcome = await self.look_at(event.about)
        except PaymentUnknown:
            if event.about.kind != "invoice":
                raise
            outcome = "nothing"  # a draft that was deleted
        key = self._event_key("handled", event)
        about = StripeObject(event.about.kind, event.about.id)
        # Whoever is first says what came of it; a second look may see more, and that has entries of its own.
        with suppress(LedgerError):
            await self.bridge.roadchain.append(Draft(PaymentHandled(self.rail, outcome), THE_HOUSE, key, stripe=about))
        return outcome

    async def look_at(self, about: ObjectRef) -> PaymentOutcome:
        """The same for an object that no event names: a page that a person came back to, or a scan of what the rail settled."""
        outcome: PaymentOutcome = "nothing"
        for fact in await self.method.fetch(about):
            async with self._recording:
                await self._look_at_earlier(fact)
                second = isinstance(fact, InvoicePaid) and await self._given_back(fact)
                found = "nothing" if second else await self.bridge.record(fact)
            if self._tell is not None and (news := self._news(fact, found)) is not None:
                await self._tell(news)
            outcome = found if outcome in ("nothing", "recorded") else outcome
        return outcome

    async def _given_back(self, fact: InvoicePaid) -> bool:
        """Whether it was for a second plan beside one that runs."""
        if self.subscriptions is None or fact.buyer is None:
            return False
        customer = await self.customer_of(fact.buyer.workspace)
        if not await is_second(self.bridge, self.subscriptions, customer, fact):
            return False
        return await give_back(self.bridge, self.subscriptions, self.method, fact)

    def _news(self, fact: Fact, outcome: PaymentOutcome) -> News | None:
        """What whoever asked for it waits for: of a plan its beginning, and each period that is not paid."""
        match fact:
            case TopupPaid(buyer=Buyer() as buyer) if outcome == "unmatched":
                return News(buyer, fact.about, "unmatched", fact.total, currency=fact.currency)
            case TopupPaid(buyer=Buyer() as buyer):
                return News(buyer, fact.about, "recorded", fact.subtotal)
            case TopupState(buyer=Buyer() as buyer, state="failed"):
                return News(buyer, fact.about, "failed")
            case InvoicePaid(buyer=Buyer() as buyer) if outcome == "nothing":
                return News(buyer, fact.about, "returned", fact.total, currency=fact.currency)
            case InvoicePaid(buyer=Buyer() as buyer, earlier=()) if outcome == "recorded":
                granted = self.bridge.plans.granted(fact.lines)
                credit = Cents(0 if granted is None else granted.credit // URC_PER_RC)
                return News(buyer, fact.about, "recorded", credit, "" if granted is None else granted.plan)
            case InvoiceState(buyer=Buyer() as buyer, state="failed"):
                return News(buyer, fact.about, "failed", url=fact.url)
            case _:
                return None

    async def come_back(self, about: ObjectRef) -> PaymentOutcome:
        """Somebody came back from a page of the rail's: whoever it was, what is so with it is recorded; the first time that
        somebody came, too. The rail is asked about pages alone that were made here: anybody may name others. Raises
        ``PaymentUnknown`` for those, ``PaymentError``, ``LedgerError``, ``StoreFailed``."""
        if await self.bridge.journal.find(opened_key(about.id)) is None:
            raise PaymentUnknown("no page of ours")
        outcome = await self.look_at(about)
        key, stripe = f"payment.came_back/{self.rail}/{about.id}", StripeObject(about.kind, about.id)
        with suppress(LedgerError):
            await self.bridge.roadchain.append(Draft(PaymentHandled(self.rail, outcome), THE_HOUSE, key, stripe=stripe))
        return outcome

    async def scan(self) -> Scan:
        """Handle each event of the rail's list that was not handled yet, the oldest first; try what was set aside again; and once
        a day end the plans whose period is over. An object that cannot be recorded is set aside, and stops none of it.

        Raises ``PaymentError`` where the rail cannot be asked, ``StoreFailed``.
        """
        now_s = self._now_s()
        since_s = (self._scanned_s or await self._last_scan(now_s)) - OVERLAP_S
        events = sorted([event async for event in self.method.events(since_s)], key=lambda event: event.created_s)
        waiting, left = await self.aside.waiting(), 0
        known = {item.about for item in waiting}
        for event in events:
            if event.about is None or event.about in known or await self._was_handled(event):
                continue
            error = await self._handled(event)
            if error is not None and passes(error) and event.created_s > now_s - DAY_S:
                left += 1
            elif error is not None:
                known.add(event.about)
                await self.aside.put(event.about, error)
        for item in waiting:
            await self._try_again(item)
        if not left:
            self._scanned_s = now_s
            done = PaymentsScanned(self.rail, since_s, now_s, len(events))
            with suppress(LedgerError):  # of each day the first one stands
                await self.bridge.roadchain.append(Draft(done, THE_HOUSE, self._scan_key(now_s)))
        if self._ended_on != now_s // DAY_S:
            await self._end_periods(known)
            self._ended_on = now_s // DAY_S
        return Scan(len(events), left, len(await self.aside.waiting()))

    async def _try_again(self, item: Aside) -> None:
        try:
            outcome = await self.look_at(item.about)
        except FAILURES as error:
            if isinstance(error, StoreFailed):
                raise
            return
        await self.aside.taken_up(item, outcome)

    async def _end_periods(self, known: Collection[ObjectRef]) -> None:
        """A plan that was ended at once lasts until its period is over, and no event tells of that. What is ``known`` to be set
        aside is tried elsewhere."""
        if self.subscriptions is None:
            return
        async for about in self.subscriptions.canceled():
            if about in known or await self.bridge.stands(about, "expire") is not None:
                continue
            try:
                await self.look_at(about)
            except FAILURES as error:
                if passes(error):
                    raise
                await self.aside.put(about, error)

    async def topup(self, scope: Scope, cents: Cents) -> Link:
        """A link for one who may pay. Asked for twice within a short time it is the same one, until it is used.

        Raises ``PaymentError``.
        """
        window = self._now_s() // WINDOW_S
        expires_s = window * WINDOW_S + LINK_S
        customer = await self._customer(scope) if self.subscriptions is not None else ""
        intent = f"{scope.actor}-{cents}-{window}{await self._renamed(scope)}"
        for name in (intent, f"{intent}-{scope.turn}"):
            buyer = Buyer(scope.workspace, scope.actor, IntentId(name))
            await self._asked(buyer, "topup", urc(cents), scope)
            try:
                link = await self.method.create_topup(TopupAsked(buyer, cents, customer, expires_s))
            except PaymentRefused as error:
                if error.code not in ("complete", "expired"):
                    raise
                continue
            await self._opened(buyer, "topup", link.about)
            return link
        raise PaymentRefused("these links have been used", "complete")

    async def subscribe(self, scope: Scope, plan: Plan) -> Link:
        """The one link of the workspace: those that were given before it open no page any more.

        Raises ``PaymentError``, also where the workspace has a subscription that runs.
        """
        rail = self._with_subscriptions()
        customer = await self._customer(scope)
        if await rail.subscribed(customer):
            raise PaymentRefused("there is a subscription already", "subscribed")
        window = self._now_s() // WINDOW_S
        expires_s = window * WINDOW_S + LINK_S
        intent = f"{scope.actor}-{plan.name}-{window}{await self._renamed(scope)}"
        for name in (intent, f"{intent}-{scope.turn}"):
            buyer = Buyer(scope.workspace, scope.actor, IntentId(name))
            await self._asked(buyer, "subscription", 0, scope, plan.name)
            try:
                link = await rail.subscribe(
                    SubscriptionAsked(buyer, plan.price, customer, expires_s, plan.overage_price)
                )
            except PaymentRefused as error:
                if error.code not in ("complete", "expired"):
                    raise
                continue  # used, or closed when another link was asked for
            await self._opened(buyer, "subscription", link.about)
            return link
        raise PaymentRefused("these links have been used", "complete")

    async def portal(self, scope: Scope) -> Link:
        """The rail's page of this workspace and of no other: its customer is read off the ledger. Raises ``PaymentError``."""
        customer = await self._customer(scope)
        buyer = Buyer(scope.workspace, scope.actor, IntentId(f"{scope.actor}-portal-{scope.turn}"))
        await self._asked(buyer, "portal", 0, scope)
        return await self._with_subscriptions().portal(customer)

    async def invoices(self, scope: Scope, count_max: int) -> tuple[InvoiceShown, ...]:
        """The latest ones, of this workspace. Raises ``PaymentError``."""
        customer = await self.customer_of(scope.workspace)
        return await self._with_subscriptions().invoices(customer, count_max) if customer else ()

    async def payments(self, scope: Scope, count_max: int) -> tuple[PaymentShown, ...]:
        """The latest top-ups, of this workspace. Raises ``PaymentError``."""
        customer = await self.customer_of(scope.workspace)
        return await self._with_subscriptions().payments(customer, count_max) if customer else ()

    async def customer_of(self, workspace: WorkspaceId) -> str:
        """Empty where the workspace is none yet, or none any more."""
        customers = await self.customers_of(workspace)
        return customers[-1]

    async def customers_of(self, workspace: WorkspaceId) -> tuple[str, ...]:
        """Those that were deleted at the rail, the oldest first, and the one that stands: empty where there is none."""
        deleted: list[str] = []
        while True:
            entry = await self.bridge.journal.find(self._customer_key(workspace, deleted[-1] if deleted else ""))
            if entry is None or entry.entry.stripe is None:
                return (*deleted, "")
            customer = entry.entry.stripe.id
            if await self.bridge.stands(ObjectRef("customer", customer), "deleted") is None:
                return (*deleted, customer)
            deleted.append(customer)

    async def _renamed(self, scope: Scope) -> str:
        """A part of an intent's name: a link that was made in the name of a customer that is gone is not given again."""
        before = len(await self.customers_of(scope.workspace)) - 1
        return f"-c{before}" if before else ""

    async def request_refund(self, scope: Scope, payment: str, cents: Cents, intent: IntentId) -> None:
        """Put on record that this is wanted back. Nothing moves: ``refund`` with the same ``intent`` does what was asked for.

        Raises ``PaymentUnknown`` where the ledger has no such top-up of this workspace, ``PaymentRefused`` where less was paid
        (``amount_too_large``), or less is left of it than earlier requests and refunds leave (``asked_before``).
        """
        paid_with = await self._topup_of(scope.workspace, payment)
        at_most = await take_up_older(self.bridge, self.method, paid_with)
        returns = await returns_of(self.bridge, paid_with)
        if returns.whole.amount < urc(cents):
            raise PaymentRefused("less was paid", "amount_too_large")
        left = returns.left if at_most is None else min(returns.left, at_most)
        await put_on_record(self.bridge, scope, payment, urc(cents), Money(left), intent)

    async def credit_in(self, workspace: WorkspaceId, payment: str, cents: Cents) -> Money:
        """What of an amount that is given back was credit: the rest is tax. All of it where the ledger knows no such top-up."""
        try:
            about = await self._topup_of(workspace, payment)
        except PaymentUnknown:
            return urc(cents)
        return Money((await returns_of(self.bridge, about)).part_of("", urc(cents)).credit)

    async def refund(self, scope: Scope, payment: str, cents: Cents, intent: IntentId) -> ObjectRef:
        """Give back what was not spent of a payment of this workspace. The credit is held before the money is asked for.

        Raises ``PaymentUnknown`` where the ledger has no such top-up of this workspace, ``InsufficientBalance`` where less credit
        is left, ``PaymentRefused`` where less was paid or less is left of it, and ``PaymentError``. Where the rail refuses, what
        was held is there again, and this ``intent`` is spent; after any other error a second call with the same ``intent`` does
        what is missing.
        """
        paid_with = await self._topup_of(scope.workspace, payment)
        if await self.bridge.find(hold_key(intent)) is None:
            await self._check_left(paid_with, intent, cents)
        buyer = Buyer(scope.workspace, scope.actor, intent)
        await self._asked(buyer, "refund", urc(cents), scope)
        own = Scope(scope.workspace, scope.actor, scope.conversation, scope.turn)
        held = await self._held(paid_with, cents, intent, own)
        given_back = Draft(CreditReversed(held.entry.seq), own, f"reversal/{held.entry.seq}")
        if await self.bridge.journal.find(given_back.idem) is not None:
            raise PaymentRefused("this was refused before", "refused_before")
        try:
            made = await self.method.refund(RefundAsked(buyer, payment, cents))
        except (PaymentRefused, PaymentUnknown):
            await comes_back(self.bridge, paid_with, intent, own, lambda _: (given_back,))
            raise
        await self._opened(buyer, "refund", made)
        return made

    async def _held(self, payment: ObjectRef, cents: Cents, intent: IntentId, own: Scope) -> Recorded:
        """Hold the credit for a refund, without its part of the tax, which was no credit. Gives the entry of the hold."""

        def hold(parts: Parts, _: Returns) -> tuple[Draft, ...]:
            return (Draft(RefundHeld(parts.credit), own, hold_key(intent)),)

        await goes_back(self.bridge, payment, intent, urc(cents), own, hold, ours=True)
        held = await self.bridge.find(hold_key(intent))
        if held is None:
            raise AssertionError("a hold that was just recorded stands")
        return held

    async def _check_left(self, about: ObjectRef, intent: IntentId, cents: Cents) -> None:
        at_most = await take_up_older(self.bridge, self.method, about)
        returns = await returns_of(self.bridge, about)
        left = returns.left if at_most is None else min(returns.left, at_most)
        if intent not in returns.taken and left < urc(cents):
            raise PaymentRefused("less was paid, or some of it went back before", "amount_too_large")

    async def paid_as(self, payment: str) -> Recorded | None:
        """The entry that stands for money that came in: a top-up, or what waits in suspense."""
        for kind in PAYMENTS:
            paid = await self.bridge.stands(ObjectRef(kind, payment), "paid")
            if paid is not None:
                return paid
        return None

    async def _topup_of(self, workspace: WorkspaceId, payment: str) -> ObjectRef:
        paid = await self.paid_as(payment)
        about = None if paid is None else paid.entry.stripe
        kind = None if about is None else KINDS_BY_STRIPE.get(about.object)
        if (
            paid is None
            or kind is None
            or not isinstance(paid.entry.action, CreditTopup)
            or paid.entry.workspace != workspace
        ):
            raise PaymentUnknown("no top-up of this workspace")
        return ObjectRef(kind, payment)

    async def _customer(self, scope: Scope) -> str:
        *deleted, known = await self.customers_of(scope.workspace)
        # Its event may be late, or never come.
        if known and await self.look_at(ObjectRef("customer", known)) != "recorded":
            return known
        after = known or (deleted[-1] if deleted else "")
        made = await self._with_subscriptions().create_customer(
            Buyer(scope.workspace, scope.actor, IntentId("")), after
        )
        about = StripeObject(made.kind, made.id)
        house = Scope(scope.workspace, THE_HOUSE.actor, THE_HOUSE.conversation, THE_HOUSE.turn)
        with suppress(LedgerError):  # another process was first: its customer stands
            key = self._customer_key(scope.workspace, after)
            await self.bridge.roadchain.append(Draft(PaymentOpened(self.rail, "customer"), house, key, stripe=about))
        return await self.customer_of(scope.workspace)

    def _with_subscriptions(self) -> Subscriptions:
        if self.subscriptions is None:
            raise PaymentRefused(f"{self.rail} knows no customers", "no_customers")
        return self.subscriptions

    async def _look_at_earlier(self, fact: Fact) -> None:
        """What it follows on goes first, whenever the events of that come."""
        for before in _earlier(fact):
            if await self.bridge.stands(before, "paid") is None:
                for earlier in await self.method.fetch(before):
                    await self._look_at_earlier(earlier)
                    await self.bridge.record(earlier)

    async def _handle_waiting(self) -> None:
        while True:
            event = await self._waiting.get()
            try:
                if await self._handled(event) is not None:
                    self._left.set()
            except Exception:  # a fault of ours in one event must not keep the others waiting until the next start
                log.exception("a payment's event is left to the next scan", extra={"event": event.id})
                self._left.set()
            finally:
                self._waiting.task_done()

    async def _was_handled(self, event: Event) -> bool:
        return await self.bridge.journal.find(self._event_key("handled", event)) is not None

    async def _handled(self, event: Event) -> Failure | None:
        """What it failed with, None where it did not."""
        try:
            await self._received(event)
            await self.handle(event)
        except FAILURES as error:
            log.warning(
                "a payment's event is left to the next scan", extra={"event": event.id, "cause": type(error).__name__}
            )
            return error
        return None

    async def _scan_again(self) -> None:
        while True:
            wait_s = SCAN_S
            self._left.clear()
            try:
                found = await self.scan()
                wait_s = RETRY_S if found.left else SCAN_S
            except FAILURES as error:
                level = logging.WARNING if passes(error) else logging.ERROR
                log.log(level, "the payments could not be scanned", extra={"cause": type(error).__name__})
                wait_s = RETRY_S
            except Exception:  # as above: the scan is what finds all that was left
                log.exception("the payments could not be scanned")
                wait_s = RETRY_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), wait_s)
                await asyncio.sleep(RETRY_S)

    async def _received(self, event: Event) -> bool:
        if event.about is None:
            return False
        about = StripeObject(event.about.kind, event.about.id)
        key = self._event_key("received", event)
        receipts = await self.bridge.roadchain.append(
            Draft(PaymentReceived(self.rail, event.type), THE_HOUSE, key, stripe=about)
        )
        return receipts[0].fresh

    async def _asked(self, buyer: Buyer, kind: PaymentKind, amount: int, scope: Scope, plan: str = "") -> None:
        """The turn that asked first stands in it: that is where it is said what came of the payment."""
        asked = PaymentAsked(self.rail, kind, amount, plan)
        try:
            await self.bridge.roadchain.append(Draft(asked, scope, asked_key(buyer)))
        except KeyReused:
            found = await self.bridge.journal.find(asked_key(buyer))
            entry = None if found is None else found.entry
            if entry is None or (entry.action, entry.workspace, entry.actor) != (asked, scope.workspace, scope.actor):
                raise

    async def _opened(self, buyer: Buyer, kind: PaymentKind, about: ObjectRef) -> None:
        scope = Scope(buyer.workspace, buyer.actor, THE_HOUSE.conversation, THE_HOUSE.turn)
        stripe = StripeObject(about.kind, about.id)
        # A refund is found by its reference, a page by what its address names.
        key = opened_key(buyer.intent if kind == "refund" else about.id)
        await self.bridge.roadchain.append(Draft(PaymentOpened(self.rail, kind), scope, key, stripe=stripe))

    async def _last_scan(self, now_s: int) -> int:
        for days in range(LISTABLE_DAYS):
            entry = await self.bridge.journal.find(self._scan_key(now_s - days * DAY_S))
            if entry is not None and isinstance(entry.entry.action, PaymentsScanned):
                return entry.entry.action.until_s
        return now_s - LISTABLE_DAYS * DAY_S

    def _scan_key(self, at_s: int) -> str:
        return f"payment.scanned/{self.rail}/{at_s // DAY_S}"

    def _event_key(self, step: str, event: Event) -> str:
        return f"payment.{step}/{self.rail}/{event.id}"

    def _customer_key(self, workspace: WorkspaceId, after: str) -> str:
        """``after`` is the customer that it takes the place of; the first has none."""
        return f"payment.customer/{self.rail}/{workspace}{f'/{after}' if after else ''}"

    def _now_s(self) -> int:
        return self._clock_us() // 1_000_000


def _earlier(fact: Fact) -> tuple[ObjectRef, ...]:
    """The invoices before an invoice, and the payment that a refund or a dispute is about."""
    match fact:
        case InvoicePaid(earlier=names) | SubscriptionEnded(invoices=names):
            return tuple(ObjectRef("invoice", name) for name in names)
        case RefundState(payment=payment) | DisputeState(payment=payment):
            return () if payment is None else (payment,)
        case _:
            return ()
