"""Each movement of money there is, once in a workspace: a payment's whole life, in an order in which all are allowed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ledger.credit_actions import (
    BankPayout,
    CreditAction,
    CreditAllocated,
    CreditExpired,
    CreditFrozen,
    CreditGranted,
    CreditRefused,
    CreditReserved,
    CreditReversed,
    CreditSettled,
    CreditTopup,
    CreditUnfrozen,
    CreditVoided,
    CustomerBalanceMoved,
    DebtWrittenOff,
    DiscountTakenBack,
    DisputeLost,
    DisputeWithdrawn,
    DisputeWon,
    LateCost,
    OperationsPaid,
    OverageMetered,
    OveragePaid,
    PaymentFee,
    PaymentUnmatched,
    PlanGranted,
    PlanReduced,
    ProviderBilled,
    ProviderTruedUp,
    RefundedOutside,
    RefundFailed,
    RefundHeld,
    RefundSent,
    RevenueRecognised,
    RewardGranted,
    RewardTakenBack,
    SuspenseResolved,
    TreasuryMoved,
)
from ledger.entry import Draft, Scope, StripeObject
from ledger.pseudonyms import WorkspaceId
from ledger.store import Receipt
from tests.verifiers.turn_drafts import scope_of

RAIL = "stripe"
OTHER_RAIL = "Coin_base.eu-1"
BIG = 100_000_000_007
LATER = "-later"
"""How a workspace is named that has nothing but what it pays later."""

YEAR_US = 366 * 86_400 * 1_000_000


@dataclass(frozen=True)
class Tour:
    """``scope`` and ``name`` are the workspace's and the round's."""

    scope: Scope
    name: str
    drafts: tuple[Draft, ...]


def tour(workspace: int, number: int) -> Tour:
    scope, name = scope_of(workspace, number), f"{workspace}-{number}"
    kinds = [*_paid_in(scope, workspace, name), *_given_back(workspace), *_disputed(workspace), *_house(workspace)]
    drafts = tuple(
        Draft(action, scope, f"money/{name}/{step}", None, StripeObject("payment_intent", f"pi_{name}_{step}"))
        for step, action in enumerate([*kinds, *_to_be_reversed(name)])
    )
    return Tour(scope, name, (*_paid_later(scope, name), *drafts))


def reversals(made: Tour, receipts: Sequence[Receipt]) -> list[Draft]:
    """Take the last three back: the settle, then its hold, which is open again, and the grant that it was drawn from."""
    grant, _, settle = (receipt.seq for receipt in receipts[-3:])
    hold = f"tour/{made.name}"
    return [
        Draft(CreditReversed(settle, hold), made.scope, f"reversal/{settle}"),
        Draft(CreditVoided(hold), made.scope, f"{hold}/void"),
        Draft(CreditReversed(grant), made.scope, f"reversal/{grant}"),
    ]


def _paid_in(scope: Scope, workspace: int, name: str) -> Iterator[CreditAction]:
    odd = workspace + 1
    expires_us = 1_764_000_000_000_000 + YEAR_US + workspace
    yield CreditTopup(
        RAIL, BIG + odd, tax=19 * odd, discount=odd * 1_000_003, lot=f"Lot_{name}.x", expires_us=expires_us
    )
    yield DiscountTakenBack(f"Lot_{name}.x", odd * 1_000_001)
    yield CreditTopup(OTHER_RAIL, BIG)
    yield PaymentFee(RAIL, 29_000_001 + odd)
    yield PaymentFee(RAIL, 1_000_001, back=True)
    yield PaymentFee(RAIL, 15_000_001, disputed=True)
    yield PlanGranted(RAIL, "team", 50_000_000_003, 7_000_001)
    yield PlanGranted(RAIL, "pro", 1_000_003, 1, 1_797_000_000, "sub_1", "carpool_overage")
    yield PlanReduced(RAIL, 1_000_003, 7_001, 17)
    yield RevenueRecognised(3_000_001)
    yield CreditGranted(f"welcome-{name}", 5_000_001, expires_us)
    yield RewardGranted(f"reward-{name}", 2_000_001)
    yield RewardGranted(f"friend-{name}", 3_000_003)
    yield RewardTakenBack(f"friend-{name}")
    yield CreditAllocated("", f"user:{scope.actor}", 90_000_001)
    yield CreditAllocated("", "agent:helper", 80_000_001)
    yield CreditAllocated(f"user:{scope.actor}", "agent:helper", odd)
    yield CreditExpired(f"promo:welcome-{name}")
    yield CreditRefused("refund", "RC010")


def _paid_later(scope: Scope, name: str) -> list[Draft]:
    """Of a workspace that has no credit, or it would be spent first."""
    hold, period = f"later/{name}", "1792000000"
    kinds: tuple[CreditAction, ...] = (
        CreditReserved(hold, 9_000_001, 9, "openai", "m-1", overage_period=period, overage_max=BIG),
        CreditSettled(hold, 7_000_001, "openai", 5),
        OverageMetered(RAIL, "overage", period, 7_000_000, 1_790_000_000),
        OveragePaid(RAIL, 5_000_000, 1_000_000),
        DebtWrittenOff(0, told=1_000_000, used=1),
    )
    own = replace(scope, workspace=WorkspaceId(f"{scope.workspace}{LATER}"))
    return [Draft(action, own, f"{hold}/{action.name}") for action in kinds]


def _given_back(workspace: int) -> Iterator[CreditAction]:
    yield RefundHeld(40_000_003 + workspace)
    yield RefundSent(RAIL, 40_000_003 + workspace)
    yield RefundFailed(RAIL, 9_000_001)
    yield RefundedOutside(RAIL, 6_000_007)


def _disputed(workspace: int) -> Iterator[CreditAction]:
    """The second dispute is lost for more than is frozen: a debt, half written off, and the rest paid by a topup."""
    yield DisputeWithdrawn(RAIL, 70_000_001, 15_000_000)
    yield CreditFrozen(70_000_001)
    yield DisputeWon(RAIL, 70_000_001)
    yield CreditUnfrozen(70_000_001)
    yield DisputeWithdrawn(RAIL, 30_000_001 + workspace, 15_000_000)
    yield CreditFrozen(20_000_001)
    yield DisputeLost(RAIL, 30_000_001 + workspace, owed=True)
    yield DebtWrittenOff(4_000_001)
    yield CreditTopup(RAIL, 8_000_001 + workspace)


def _house(workspace: int) -> Iterator[CreditAction]:
    yield TreasuryMoved("in", 900_000_001)
    yield TreasuryMoved("out", 1_000_003)
    yield OperationsPaid(700_001)
    yield LateCost("openai", 12_345 + workspace, absorbed=True)
    yield LateCost("open_ai.eu", 54_321, absorbed=False)
    yield ProviderBilled("openai", 12_345, 0)
    yield ProviderTruedUp("openai", 0, 0)
    yield ProviderTruedUp("open_ai.eu", 21, 0)
    yield CustomerBalanceMoved(RAIL, "kept", 2_000_003)
    yield CustomerBalanceMoved(RAIL, "used", 1_000_001)
    yield PaymentUnmatched(RAIL, 5_000_001, "RC")
    yield SuspenseResolved(RAIL, 5_000_001, "RC", "paid")
    yield PaymentUnmatched(OTHER_RAIL, 12_345_678_901 + workspace, "EUR")
    yield SuspenseResolved(OTHER_RAIL, 2_345_678_901, "EUR", "returned")
    yield BankPayout(RAIL, 1_000_000_001)


def _to_be_reversed(name: str) -> Iterator[CreditAction]:
    yield CreditGranted(f"mistake-{name}", 1_000_001)
    yield CreditReserved(f"tour/{name}", 3_000_001, 2_000_000, "openai", "m-1")
    yield CreditSettled(f"tour/{name}", 1_234_567, "openai", 700_001)
