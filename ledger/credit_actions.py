"""The actions that move money. An amount is in uRC and never negative: which account it leaves, the kind says.

What is posted is worked out by ``ledger.rules`` from the action and the book, inside the transaction that records it.
``type`` is the entry type of RoadChain's economy where the kind is one of the seven.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

EntryType = Literal["credit_grant", "credit_burn", "transfer", "verification", "reward", "payout", "adjustment"]


@dataclass(frozen=True, slots=True)
class Limit:
    """What one subject (a person, a channel, a workspace: its pseudonym) may spend in a period such as ``2026-11-24``."""

    subject: str
    period: str
    cap: int


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a failed attempt cost the house."""

    provider: str
    amount: int


@dataclass(frozen=True, slots=True)
class CreditTopup:
    """``paid`` is what the money was worth before tax; it pays a debt first. ``discount`` comes as a promotional lot."""

    name: ClassVar[str] = "credit.topup"
    type: ClassVar[EntryType] = "credit_grant"
    rail: str
    paid: int
    tax: int = 0
    discount: int = 0
    lot: str = ""
    expires_us: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentFee:
    """What the rail takes for itself; ``back``: it gave it back. ``disputed``: for a dispute, beside the fee that
    ``DisputeWithdrawn`` names."""

    name: ClassVar[str] = "credit.payment_fee"
    rail: str
    amount: int
    currency: str = "RC"
    back: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class BankPayout:
    """The rail moved what it held to the bank."""

    name: ClassVar[str] = "credit.payout"
    type: ClassVar[EntryType] = "payout"
    rail: str
    amount: int
    currency: str = "RC"


@dataclass(frozen=True, slots=True)
class TreasuryMoved:
    """The owner's money, in or out of the bank."""

    name: ClassVar[str] = "credit.treasury"
    direction: Literal["in", "out"]
    amount: int


@dataclass(frozen=True, slots=True)
class OperationsPaid:
    name: ClassVar[str] = "credit.operations"
    amount: int


@dataclass(frozen=True, slots=True)
class PlanGranted:
    """A plan's period was paid: ``credit`` to spend, ``deferred`` the fee that is earned as the period passes. ``until_s`` is its
    end (seconds since 1970), 0 where that is not known; ``subscription`` what it was paid for, empty in older entries. ``meter``
    is that of the plan before, where this one has none: what was used with that is told to it."""

    name: ClassVar[str] = "credit.plan_grant"
    type: ClassVar[EntryType] = "credit_grant"
    rail: str
    plan: str
    credit: int
    deferred: int
    until_s: int = 0
    subscription: str = ""
    meter: str = ""


@dataclass(frozen=True, slots=True)
class PlanReduced:
    """A plan was made smaller, and what was not used of it is given back: ``credit`` of the plan, where less is left of what is
    common, then of what was set aside for people and agents, and then as a debt; of the ``deferred`` fee, and of the ``tax``."""

    name: ClassVar[str] = "credit.plan_reduce"
    type: ClassVar[EntryType] = "adjustment"
    rail: str
    credit: int
    deferred: int
    tax: int = 0


@dataclass(frozen=True, slots=True)
class CustomerBalanceMoved:
    """An invoice was paid out of what its customer has at the rail (``used``), or put something there for the next one
    (``kept``): so much less, or more, came in than the invoice comes to."""

    name: ClassVar[str] = "credit.customer_balance"
    rail: str
    direction: Literal["used", "kept"]
    amount: int


@dataclass(frozen=True, slots=True)
class RevenueRecognised:
    name: ClassVar[str] = "credit.recognise"
    amount: int


@dataclass(frozen=True, slots=True)
class CreditExpired:
    """All that is left in ``pool``: ``plan``, ``paid`` or ``promo:<lot>``; of that no more than ``most``, where it is given."""

    name: ClassVar[str] = "credit.expire"
    type: ClassVar[EntryType] = "credit_burn"
    pool: str
    most: int | None = None


@dataclass(frozen=True, slots=True)
class CreditGranted:
    """Into the promotional lot ``lot``. A later grant into the same one moves its end only where it names another."""

    name: ClassVar[str] = "credit.grant"
    type: ClassVar[EntryType] = "credit_grant"
    lot: str
    amount: int
    expires_us: int | None = None


@dataclass(frozen=True, slots=True)
class RewardGranted:
    name: ClassVar[str] = "credit.reward"
    type: ClassVar[EntryType] = "reward"
    lot: str
    amount: int
    expires_us: int | None = None


@dataclass(frozen=True, slots=True)
class RewardTakenBack:
    """What of a reward was not spent goes again: the purchase that earned it went back."""

    name: ClassVar[str] = "credit.reward_back"
    type: ClassVar[EntryType] = "adjustment"
    lot: str


@dataclass(frozen=True, slots=True)
class DiscountTakenBack:
    """Of a purchase's discount ``amount`` goes with what of the purchase goes back, as far as it was not spent."""

    name: ClassVar[str] = "credit.discount_back"
    type: ClassVar[EntryType] = "adjustment"
    lot: str
    amount: int


@dataclass(frozen=True, slots=True)
class CreditAllocated:
    """Between the people and agents of one workspace: ``user:<id>``, ``agent:<id>``, or empty for what is common."""

    name: ClassVar[str] = "credit.allocate"
    type: ClassVar[EntryType] = "transfer"
    source: str
    target: str
    amount: int


@dataclass(frozen=True, slots=True)
class CreditReserved:
    """Held for one call: ``amount`` is its real ceiling. ``expected`` counts against the limits until the call is settled.

    Drawn from what the asking person may spend: promotional lots (the first to expire first), the plan, what was set aside
    for the person and for ``agent``, and the common paid credit. ``price`` is what the call will be settled for, as rates.
    Of a call that its asker's own key pays for ``amount`` is 0: it only counts against the limits.
    What all of that lacks is paid later, where a plan lets it: in ``overage_period`` (the plan's end) up to ``overage_max``, with
    what was used of it before.
    """

    name: ClassVar[str] = "credit.reserve"
    hold: str
    amount: int
    expected: int
    provider: str
    model: str
    agent: str = ""
    limits: tuple[Limit, ...] = ()
    price: str = ""
    overage_period: str = ""
    overage_max: int = 0


@dataclass(frozen=True, slots=True)
class CreditSettled:
    """The call's true ``price`` is taken and the rest of the hold returned, in reverse. What neither the hold nor the balance
    covers is waived. ``cost`` is what the provider takes for the answer. ``counted`` is what the provider takes from the asker's
    own key: it counts against the limits, and is no credit."""

    name: ClassVar[str] = "credit.settle"
    type: ClassVar[EntryType] = "credit_burn"
    hold: str
    price: int
    provider: str
    cost: int
    absorbed: tuple[Absorbed, ...] = ()
    counted: int = 0


@dataclass(frozen=True, slots=True)
class CreditVoided:
    """The hold is returned whole, also one whose settle was reversed. ``estimate`` is what the provider may have billed for an
    answer that nobody has."""

    name: ClassVar[str] = "credit.void"
    hold: str
    provider: str = ""
    estimate: int = 0


@dataclass(frozen=True, slots=True)
class OverageMetered:
    """A rail's meter is about to be told of ``amount`` that was used beyond the credit, as of ``at_s`` (seconds since 1970). What
    of earlier periods was not told goes along. Its key is that of the reading: sent again, it counts once."""

    name: ClassVar[str] = "credit.meter"
    rail: str
    meter: str
    period: str
    amount: int
    at_s: int


@dataclass(frozen=True, slots=True)
class OveragePaid:
    """An invoice of what was used beyond the credit was paid, the oldest period first; ``discount`` is what the house gave up.
    What nobody here used waits in suspense."""

    name: ClassVar[str] = "credit.overage_paid"
    rail: str
    amount: int
    discount: int = 0


@dataclass(frozen=True, slots=True)
class LateCost:
    """A provider's cost that became known after its call was settled. ``absorbed``: nobody was charged for it."""

    name: ClassVar[str] = "credit.late_cost"
    provider: str
    amount: int
    absorbed: bool


@dataclass(frozen=True, slots=True)
class ProviderBilled:
    """A provider's bill was paid from the bank: ``accrued`` of calls that are known, ``suspense`` of what was estimated."""

    name: ClassVar[str] = "credit.provider_bill"
    provider: str
    accrued: int
    suspense: int


@dataclass(frozen=True, slots=True)
class ProviderTruedUp:
    """The last bill of a period has come, and this much less was billed than was known (``accrued``) and estimated
    (``suspense``): the provider is not owed it, and the house has no such cost."""

    name: ClassVar[str] = "credit.provider_true_up"
    type: ClassVar[EntryType] = "adjustment"
    provider: str
    accrued: int
    suspense: int


@dataclass(frozen=True, slots=True)
class RefundHeld:
    name: ClassVar[str] = "credit.refund_hold"
    amount: int


@dataclass(frozen=True, slots=True)
class RefundSent:
    """``tax`` is a part of ``amount``: no credit was held for it."""

    name: ClassVar[str] = "credit.refund_sent"
    type: ClassVar[EntryType] = "payout"
    rail: str
    amount: int
    tax: int = 0


@dataclass(frozen=True, slots=True)
class RefundFailed:
    """What entry ``sent`` sent has come back, to where it was taken from; an older entry names none (0): then it is common.
    ``earned``: a plan's fee that was deferred is earned since."""

    name: ClassVar[str] = "credit.refund_failed"
    rail: str
    amount: int
    sent: int = 0
    earned: bool = False


@dataclass(frozen=True, slots=True)
class RefundedOutside:
    """Refunded at the rail, past us: it is taken from the ``plan`` where that was paid for, from what is common, then from what
    was set aside for people and agents. What was spent already becomes a debt. ``tax`` and ``fee`` are parts of ``amount``, and
    no credit; ``earned``: the fee is deferred no more."""

    name: ClassVar[str] = "credit.refund_ext"
    rail: str
    amount: int
    tax: int = 0
    fee: int = 0
    earned: bool = False
    plan: bool = False


@dataclass(frozen=True, slots=True)
class DisputeWithdrawn:
    name: ClassVar[str] = "credit.dispute_withdrawn"
    type: ClassVar[EntryType] = "adjustment"
    rail: str
    amount: int
    fee: int
    currency: str = "RC"


@dataclass(frozen=True, slots=True)
class CreditFrozen:
    """Of a disputed ``amount``, as much as is there: of the ``plan`` where that was paid for, of what is common, then of what was
    set aside for people and agents."""

    name: ClassVar[str] = "credit.freeze"
    amount: int
    plan: bool = False


@dataclass(frozen=True, slots=True)
class CreditUnfrozen:
    """All that entry ``freeze`` froze goes back to where it was taken from. An older entry names none (0): then it is common."""

    name: ClassVar[str] = "credit.unfreeze"
    amount: int
    freeze: int = 0


@dataclass(frozen=True, slots=True)
class DisputeWon:
    name: ClassVar[str] = "credit.dispute_won"
    type: ClassVar[EntryType] = "adjustment"
    rail: str
    amount: int
    currency: str = "RC"


@dataclass(frozen=True, slots=True)
class DisputeLost:
    """What entry ``freeze`` froze goes, and of what another dispute froze nothing; an older entry names none (0). What was spent
    is a debt where it is ``owed``, else the house's loss. ``tax`` and ``fee`` are parts of ``amount``, and no credit; ``earned``:
    the fee is deferred no more. ``waited``: the money was nobody's credit yet, and waits in suspense no more."""

    name: ClassVar[str] = "credit.dispute_lost"
    type: ClassVar[EntryType] = "adjustment"
    rail: str
    amount: int
    owed: bool
    freeze: int = 0
    tax: int = 0
    fee: int = 0
    earned: bool = False
    currency: str = "RC"
    waited: bool = False


@dataclass(frozen=True, slots=True)
class DebtWrittenOff:
    """What a workspace owes, and nobody will pay: ``amount`` of its debt. Of what it was to pay later, the oldest period first,
    ``told`` is of what a meter was told, and ``used`` of what none was."""

    name: ClassVar[str] = "credit.writeoff"
    type: ClassVar[EntryType] = "adjustment"
    amount: int
    told: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class PaymentUnmatched:
    """Money that fits nothing: another amount than was asked for, or another ``currency``. It waits for a person."""

    name: ClassVar[str] = "credit.unmatched"
    rail: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class SuspenseResolved:
    """``paid``: it becomes credit of the workspace. ``returned``: the rail gave it back."""

    name: ClassVar[str] = "credit.resolve"
    type: ClassVar[EntryType] = "adjustment"
    rail: str
    amount: int
    currency: str
    target: Literal["paid", "returned"]


@dataclass(frozen=True, slots=True)
class CreditReversed:
    """The exact negative of entry ``entry``. Its key is ``reversal/<entry>``, so that nothing is reversed twice. ``hold`` names
    the hold where a settle is reversed: then the limits forget what it took, and what it drew is held again until it is voided.
    A reserve is not reversed but voided, and a void is final."""

    name: ClassVar[str] = "credit.reversal"
    type: ClassVar[EntryType] = "adjustment"
    entry: int
    hold: str = ""


@dataclass(frozen=True, slots=True)
class CreditRefused:
    """Somebody asked for a movement and was refused: nothing is posted, the attempt is on record."""

    name: ClassVar[str] = "credit.refused"
    kind: str
    code: str


CreditAction: TypeAlias = (
    CreditTopup
    | PaymentFee
    | BankPayout
    | TreasuryMoved
    | OperationsPaid
    | PlanGranted
    | PlanReduced
    | CustomerBalanceMoved
    | RevenueRecognised
    | CreditExpired
    | CreditGranted
    | RewardGranted
    | RewardTakenBack
    | DiscountTakenBack
    | CreditAllocated
    | CreditReserved
    | CreditSettled
    | CreditVoided
    | OverageMetered
    | OveragePaid
    | LateCost
    | ProviderBilled
    | ProviderTruedUp
    | RefundHeld
    | RefundSent
    | RefundFailed
    | RefundedOutside
    | DisputeWithdrawn
    | CreditFrozen
    | CreditUnfrozen
    | DisputeWon
    | DisputeLost
    | DebtWrittenOff
    | PaymentUnmatched
    | SuspenseResolved
    | CreditReversed
    | CreditRefused
)
