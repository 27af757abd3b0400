"""What is recorded of a payment beside the money itself: that it was asked for, opened, told of, and what came of that.

The money moves by the kinds of ``ledger.credit_actions``. What an entry is about at the rail stands in its ``stripe`` field.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

PaymentKind = Literal[
    "topup",
    "subscription",
    "portal",
    "refund",
    "refund_request",
    "customer",
    "cancellation",
    "balance",
    "deletion",
]
AdjustmentKind = Literal[
    "grant",
    "reward",
    "writeoff",
    "writeoff-usage",
    "resolve",
    "reverse",
    "refund",
    "paid",
    "treasury",
    "operations",
    "provider-bill",
]
PaymentOutcome = Literal["recorded", "unmatched", "waiting", "failed", "expired", "nothing"]


@dataclass(frozen=True, slots=True)
class PaymentAsked:
    """Somebody asked for a link or a refund, which is about to be made. ``amount`` in uRC, 0 where it names none.

    A ``refund_request`` waits for the operator, and moves nothing. A ``cancellation`` is the house's own, of a second
    subscription. A ``deletion`` is asked for by a workspace's owner: of the customer, and of each subscription that ends with it.
    """

    name: ClassVar[str] = "payment.asked"
    rail: str
    kind: PaymentKind
    amount: int
    plan: str = ""


@dataclass(frozen=True, slots=True)
class PaymentOpened:
    """The rail has made it: which object it is stands beside. Never a link: who holds one may pay with it. Of a
    ``refund_request`` it is our own reference, in the order in which a payment was asked for."""

    name: ClassVar[str] = "payment.opened"
    rail: str
    kind: PaymentKind


@dataclass(frozen=True, slots=True)
class PaymentClosed:
    """What was made at the rail is there no more: nothing is opened in its name again. A ``refund_request`` was declined."""

    name: ClassVar[str] = "payment.closed"
    rail: str
    kind: PaymentKind


@dataclass(frozen=True, slots=True)
class PaymentReturned:
    """So much of a payment goes back, by the refund or dispute ``back``: ``amount`` in uRC, of which ``tax`` and ``fee`` are
    parts. Below 0: it came back. The money itself moves by the entries beside it. 0, and ``back`` is ``recognised``: the plan's
    period that it paid for is over; ``rewarded``: what the purchase earned is given in the same step; ``reduced``: so much of the
    ``fee`` was given back when the plan was made smaller."""

    name: ClassVar[str] = "payment.returned"
    rail: str
    back: str
    amount: int
    tax: int = 0
    fee: int = 0


@dataclass(frozen=True, slots=True)
class PaymentReceived:
    """The rail told of something. Its key is the rail's own event, so that one told twice is acted on once."""

    name: ClassVar[str] = "payment.received"
    rail: str
    event: str


@dataclass(frozen=True, slots=True)
class PaymentHandled:
    """What came of an event."""

    name: ClassVar[str] = "payment.handled"
    rail: str
    outcome: PaymentOutcome


@dataclass(frozen=True, slots=True)
class PaymentSetAside:
    """What is so with an object could not be recorded: nothing else waits for it, and it is tried again. ``cause`` is a code of
    the ledger's or the name of an error. Its key is a number, counted from 0."""

    name: ClassVar[str] = "payment.set_aside"
    rail: str
    cause: str


@dataclass(frozen=True, slots=True)
class PaymentDiffers:
    """The rail's account and the ledger's differ, as it was first seen: ``about`` is an object, an entry or an account; both
    amounts are in uRC, None where one side has none. Its key is its ticket."""

    name: ClassVar[str] = "payment.differs"
    rail: str
    kind: str
    about: str
    at_rail: int | None
    in_ledger: int | None


@dataclass(frozen=True, slots=True)
class PaymentRefused:
    """Something that claimed to come from the rail and does not, or is not for us. Of one reason, one entry a minute."""

    name: ClassVar[str] = "payment.refused"
    rail: str
    reason: str


@dataclass(frozen=True, slots=True)
class PaymentsScanned:
    """The rail's own list of events was read, from ``since_s`` to ``until_s`` (seconds since 1970)."""

    name: ClassVar[str] = "payment.scanned"
    rail: str
    since_s: int
    until_s: int
    events: int


@dataclass(frozen=True, slots=True)
class UsageMetered:
    """The rail's meter has taken a reading, of which ``credit.meter`` was recorded before it was sent."""

    name: ClassVar[str] = "payment.metered"
    rail: str
    meter: str


@dataclass(frozen=True, slots=True)
class AdjustmentRequested:
    """A billing admin wants it, and the operator decides: nothing moves. ``amount`` in uRC. Why stands in their message."""

    name: ClassVar[str] = "adjustment.requested"
    kind: Literal["grant", "reward", "writeoff"]
    amount: int


@dataclass(frozen=True, slots=True)
class AdjustmentAsked:
    """An operator asks for more than one of them decides on, or is the first who approves of it: nothing moves. ``operator`` is
    the name that they gave: nobody checks it; ``account`` that of the operating system. ``amount`` in uRC, and ``true_up``
    what a provider's bill takes back besides, or took back that is reversed; ``days`` is how long a grant lasts, 0: until it is
    spent. Where it is about a payment, that stands beside, and ``rail`` is its. ``detail``: which entry is reversed, whose bill
    was paid, whether the treasury's money came in or went out. ``until_s``, in seconds since 1970, is when the period ends
    of which a bill is the last one, 0: none does. ``plan`` is the SHA-256 of the entries that it came to, in hex: what is
    approved is exactly that; empty in older entries, and of what moves outside the ledger first."""

    name: ClassVar[str] = "adjustment.asked"
    kind: AdjustmentKind
    amount: int
    operator: str
    days: int = 0
    rail: str = ""
    detail: str = ""
    plan: str = ""
    account: str = ""
    true_up: int = 0
    until_s: int = 0


@dataclass(frozen=True, slots=True)
class AdjustmentDecided:
    """Another operator has decided, or the one who may. What is approved moves with it, but for a refund and a bank transfer that
    has come, which are seen to after it."""

    name: ClassVar[str] = "adjustment.decided"
    decision: Literal["approved", "declined"]
    operator: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class ReferralOffered:
    """A workspace invites others under a code."""

    name: ClassVar[str] = "referral.offered"
    code: str


@dataclass(frozen=True, slots=True)
class ReferralTaken:
    """A workspace came by the invitation of this code. It can take one, once."""

    name: ClassVar[str] = "referral.taken"
    code: str


PaymentAction = (
    PaymentAsked
    | PaymentOpened
    | PaymentClosed
    | PaymentReturned
    | PaymentReceived
    | PaymentHandled
    | PaymentSetAside
    | PaymentDiffers
    | PaymentRefused
    | PaymentsScanned
    | UsageMetered
    | AdjustmentRequested
    | AdjustmentAsked
    | AdjustmentDecided
    | ReferralOffered
    | ReferralTaken
)
