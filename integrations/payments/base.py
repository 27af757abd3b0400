"""The port of a payment method (a *rail*), and the plain values that pass through it.

A rail tells what is so with one of its objects, as facts; ``roadchain_bridge`` makes entries of them. An event says only *which*
object changed: the object is then fetched, so that a forged, old or repeated event moves nothing.

    PaymentError                    what happened, and what to do (``remedy``)
        PaymentUnavailable          the rail cannot be reached, is at its limit or fails: try again later
        PaymentRefused              the rail refuses the request as it is (``code`` is its own word for why)
        PaymentUnknown              there is no such object
        PaymentConflict             an idempotency key came back with another request
        PaymentMisconfigured        the rail refuses our key, or a setting is missing
        WebhookRefused              (``reason``) what was delivered is not from the rail, or not for us
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, NewType, Protocol, TypeAlias

from ledger.money import URC_PER_RC, Money
from ledger.pseudonyms import ActorId, WorkspaceId

Rail = NewType("Rail", str)
Cents = NewType("Cents", int)
"""A whole number of the currency's smallest unit, as rails count it."""

IntentId = NewType("IntentId", str)
"""What we call a payment that somebody asked for, before any rail has heard of it."""

RC_CURRENCY = "usd"
RefusedReason: TypeAlias = Literal["signature", "timestamp", "body", "mode", "account", "off", "size"]
ObjectKind: TypeAlias = Literal[
    "checkout.session",
    "payment_intent",
    "charge",
    "invoice",
    "subscription",
    "refund",
    "dispute",
    "payout",
    "customer",
    "transfer",
]


class PaymentError(Exception):
    """``remedy`` is a sentence for whoever meets it."""

    remedy = "Try again in a minute."


class PaymentUnavailable(PaymentError):
    remedy = "The payment service does not answer just now: nothing was charged. Try again in a few minutes."


class PaymentRefused(PaymentError):
    remedy = "The payment service refused this: nothing was charged."

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class PaymentUnknown(PaymentError):
    remedy = "The payment service knows no such payment."


class PaymentConflict(PaymentError):
    remedy = "Another payment was begun under the same name: nothing was charged. Ask for a new link."


class PaymentMisconfigured(PaymentError):
    remedy = (
        "The payment service does not take the key of this CarPool: nothing was charged, and what was paid before is not lost. "
        "Tell whoever runs CarPool: `carpool doctor` shows what is missing."
    )


class WebhookRefused(PaymentError):
    remedy = "Send it signed with the secret of this endpoint."

    def __init__(self, message: str, reason: RefusedReason) -> None:
        super().__init__(message)
        self.reason: RefusedReason = reason


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One of the rail's objects."""

    kind: ObjectKind
    id: str


@dataclass(frozen=True, slots=True)
class Event:
    """The rail says that ``about`` has changed. ``about`` None: nothing that money depends on."""

    id: str
    type: str
    about: ObjectRef | None
    created_s: int


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who asked, and under what name. It went to the rail with the request, under our own key, and came back from it."""

    workspace: WorkspaceId
    actor: ActorId
    intent: IntentId


@dataclass(frozen=True, slots=True)
class Amount:
    cents: Cents
    currency: str = RC_CURRENCY


@dataclass(frozen=True, slots=True)
class Link:
    """Where a person goes on to. It is for that person alone, and stands in no entry and no log."""

    about: ObjectRef
    url: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class TopupPaid:
    """``subtotal`` is what credit is given for, before ``discount`` and ``tax``; ``total`` is what came in. ``asked`` is the
    amount that the buyer asked for; None where it is not one of our own."""

    about: ObjectRef
    buyer: Buyer | None
    asked: Cents | None
    subtotal: Cents
    discount: Cents
    tax: Cents
    total: Cents
    currency: str


@dataclass(frozen=True, slots=True)
class TopupState:
    """No money has come yet, or none will."""

    about: ObjectRef
    buyer: Buyer | None
    state: Literal["waiting", "failed", "expired"]


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """``gross`` is before discounts, ``net`` after them, both before tax; below 0 where an unused part is given back.
    ``until_s`` is the end of what it is for, 0 where that is not said."""

    price: str
    gross: Cents
    net: Cents
    until_s: int = 0


@dataclass(frozen=True, slots=True)
class InvoicePaid:
    """``total`` came in; ``balance`` was taken beside from what the customer has at the rail, or below 0 put there for the next
    invoice. ``renews`` says that a period has ended with it; ``earlier`` are the invoices paid before, whose periods are over."""

    about: ObjectRef
    subscription: str
    buyer: Buyer | None
    renews: bool
    lines: tuple[InvoiceLine, ...]
    tax: Cents
    total: Cents
    currency: str
    earlier: tuple[str, ...]
    balance: Cents = Cents(0)


@dataclass(frozen=True, slots=True)
class InvoiceState:
    """``failed``: a card was declined, or nobody will pay it any more. ``url`` is the rail's page to pay it, empty for none."""

    about: ObjectRef
    buyer: Buyer | None
    state: Literal["waiting", "failed"]
    url: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionEnded:
    """Its last period is over. ``invoices`` are those that were paid for it. ``unpaid``: nobody pays it any more, and it may go
    on once somebody does."""

    about: ObjectRef
    buyer: Buyer | None
    invoices: tuple[str, ...]
    unpaid: bool = False


@dataclass(frozen=True, slots=True)
class FeeTaken:
    """``cents`` below 0: the rail gave it back. ``disputed``: it is for a dispute."""

    transaction: str
    cents: Cents
    currency: str = RC_CURRENCY
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class MovedByRail:
    """The rail moved its balance for nothing that is known here: a reserve, an adjustment, money that was put there by hand.
    Below 0 it left."""

    transaction: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class RefundState:
    """``asked`` is the refund that we asked for; None where it was made at the rail. ``payment`` is what it gives back,
    None where the rail does not say."""

    about: ObjectRef
    payment: ObjectRef | None
    buyer: Buyer | None
    asked: IntentId | None
    state: Literal["sent", "failed"]
    amount: Amount


@dataclass(frozen=True, slots=True)
class DisputeState:
    """``withdrawn``: the amount and the fee have left the balance; ``reinstated``: the amount came back. ``payment`` is what
    is disputed, ``fees`` what was taken or given back beside the first fee."""

    about: ObjectRef
    payment: ObjectRef
    buyer: Buyer | None
    state: Literal["open", "won", "lost"]
    amount: Amount
    withdrawn: bool
    fee: Cents
    reinstated: bool
    fees: tuple[FeeTaken, ...] = ()


@dataclass(frozen=True, slots=True)
class PayoutState:
    about: ObjectRef
    state: Literal["paid", "failed"]
    amount: Amount


@dataclass(frozen=True, slots=True)
class CustomerDeleted:
    """The rail knows this customer no more, and has ended what it subscribed to. No payment is made in its name again."""

    about: ObjectRef


Fact: TypeAlias = (
    TopupPaid
    | TopupState
    | InvoicePaid
    | InvoiceState
    | SubscriptionEnded
    | FeeTaken
    | MovedByRail
    | RefundState
    | DisputeState
    | PayoutState
    | CustomerDeleted
)
"""What is so with an object, as far as money goes."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """A movement of the rail's balance: ``net`` is what it changed by, ``about`` what it belongs to, ``fee`` a part of it.
    ``invoice`` is the one that a payment paid; empty where it paid none, or that has to be looked up. ``alone`` is what is so
    where there is nothing to look at."""

    transaction: str
    about: ObjectRef | None
    kind: str
    net: Cents
    fee: Cents
    currency: str
    created_s: int
    invoice: str = ""
    alone: FeeTaken | MovedByRail | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What came of a payment that ``buyer`` began; ``returned``: it was for a second plan, and goes back. ``amount`` is its
    credit in cents where that is known, or what was paid, in ``currency``; ``plan`` a plan's name, ``url`` a page that helps."""

    buyer: Buyer
    about: ObjectRef
    outcome: Literal["recorded", "unmatched", "failed", "returned"]
    amount: Cents = Cents(0)
    plan: str = ""
    url: str = ""
    currency: str = RC_CURRENCY


@dataclass(frozen=True, slots=True)
class TopupAsked:
    """``customer`` is the workspace at the rail, empty where it has none. The same intent always comes with the same values."""

    buyer: Buyer
    cents: Cents
    customer: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class SubscriptionAsked:
    """``metered_price`` is what usage beyond the plan is invoiced by; empty for none."""

    buyer: Buyer
    price: str
    customer: str
    expires_s: int
    metered_price: str = ""


@dataclass(frozen=True, slots=True)
class RefundAsked:
    buyer: Buyer
    payment: str
    cents: Cents


@dataclass(frozen=True, slots=True)
class InvoiceShown:
    """``url`` is the rail's own page of it; empty where it has none."""

    number: str
    state: str
    amount: Amount
    created_s: int
    url: str


@dataclass(frozen=True, slots=True)
class PaymentShown:
    """A top-up that was paid; ``refunded`` is what of it was given back."""

    id: str
    amount: Amount
    refunded: Amount
    created_s: int


@dataclass(frozen=True, slots=True)
class CustomerShown:
    """``workspace`` is whose it was made for, empty where that is not said. ``balance`` is what later invoices are paid from:
    below 0 where the customer owes it."""

    id: str
    workspace: str
    balance: Amount


@dataclass(frozen=True, slots=True)
class BalanceMove:
    """``cents`` of what a customer has at the rail went into an invoice (below 0: came out of it). ``paid``: the ledger is to
    know of it; ``open``: it will, when the invoice is paid; ``lost``: nobody will pay it."""

    invoice: str
    state: Literal["paid", "open", "lost"]
    cents: Cents


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Usage that is paid for later: ``id`` makes it count once, for a day at least. ``units`` are whole RC."""

    id: str
    meter: str
    customer: str
    units: int
    at_s: int


class PaymentMethod(Protocol):
    """Raises ``PaymentError`` from each of its calls."""

    @property
    def rail(self) -> Rail: ...

    async def create_topup(self, asked: TopupAsked) -> Link:
        """The same buyer's intent always gives the same link, however often it is asked for."""
        ...

    async def refund(self, asked: RefundAsked) -> ObjectRef: ...

    def verify_webhook(self, body: bytes, signature: str, now_s: float) -> Event:
        """Raises ``WebhookRefused``. Nothing of the body is trusted before."""
        ...

    async def fetch(self, about: ObjectRef) -> tuple[Fact, ...]:
        """What is so with it now."""
        ...

    def events(self, since_s: int) -> AsyncIterator[Event]:
        """All that the rail has told since then, or tried to; in no order."""
        ...

    def settlements(self, since_s: int) -> AsyncIterator[Settlement]: ...

    async def balance(self) -> tuple[Amount, ...]:
        """What the rail holds for us, by currency."""
        ...

    async def aclose(self) -> None: ...


class Subscriptions(Protocol):
    """What a rail has beside, where it knows customers. Raises ``PaymentError`` from each of its calls."""

    async def create_customer(self, buyer: Buyer, after: str) -> ObjectRef:
        """The workspace, at the rail. ``after`` is the one that was deleted there before; empty for the first. Asked for the
        same twice within a day, it is the same one."""
        ...

    async def delete_customer(self, customer: str) -> None:
        """All that the rail may forget of it goes, and what it subscribes to ends at once; payments and invoices stay there as
        the rail's own records. One that is gone already stays so. It cannot be undone."""
        ...

    async def subscribe(self, asked: SubscriptionAsked) -> Link:
        """One page is open for a customer: each other one that was not used is closed with it."""
        ...

    async def subscribed(self, customer: str) -> tuple[ObjectRef, ...]:
        """The subscriptions that run, or wait for a payment."""
        ...

    async def running(self, customer: str) -> tuple[ObjectRef, ...]:
        """The subscriptions that have begun and not ended, the oldest first. One whose first payment is still awaited is none."""
        ...

    async def end(self, subscription: str) -> None:
        """At once: nothing is taken for it any more. One that has ended stays so."""
        ...

    async def paid_with(self, invoice: str) -> tuple[tuple[str, Cents], ...]:
        """The payments that came in for an invoice, with their amounts."""
        ...

    async def give_balance(self, buyer: Buyer, invoice: str, cents: Cents) -> str:
        """Put there again what an invoice took of what its customer has at the rail; below 0 take what it put there. Asked for
        twice with the same intent, once. Gives the rail's name of it."""
        ...

    def canceled(self) -> AsyncIterator[ObjectRef]:
        """The subscriptions that were ended, or that nobody pays any more. One that was ended at once still has the period that
        was paid for."""
        ...

    async def portal(self, customer: str) -> Link: ...

    async def invoices(self, customer: str, count_max: int) -> tuple[InvoiceShown, ...]: ...

    async def payments(self, customer: str, count_max: int) -> tuple[PaymentShown, ...]:
        """The top-ups among its latest payments."""
        ...

    def customers(self) -> AsyncIterator[CustomerShown]:
        """All of them, but those that were deleted."""
        ...

    async def balance_of(self, customer: str) -> tuple[Amount, tuple[BalanceMove, ...]]:
        """What a customer has there, and all that invoices moved of it, as of one moment. Raises ``PaymentUnknown`` where it was
        deleted."""
        ...

    async def read_meter(self, reading: MeterReading) -> None:
        """Tell a meter. What the rail has taken counts a little later."""
        ...

    async def metered(self, meter: str, customer: str, since_s: int, until_s: int) -> int:
        """The units that count for a customer, from one full minute until before another. Raises ``PaymentUnknown`` where there
        is no such meter."""
        ...


def urc(cents: int) -> Money:
    """A US cent is an RC."""
    return Money(cents * URC_PER_RC)
