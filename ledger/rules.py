"""What each movement of money posts: worked out from the action and the book, before anything is recorded.

Pure. Debits are above 0, credits below. The kinds and their accounts are those of the chart in this package's README.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from ledger import accounts as chart
from ledger.accounts import AMOUNT_MAX, RC, Account, Posting
from ledger.actions import field_names
from ledger.book import Book, Counter, Hold, HoldState, owner_of, pockets_of
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
from ledger.entry import Draft, Scope
from ledger.errors import (
    InsufficientBalance,
    InvalidCurrency,
    InvalidEntry,
    LimitReached,
    NegativeAmount,
    NotFound,
    TransferToSelf,
    Unauthorised,
)
from ledger.pseudonyms import WorkspaceId

Line: TypeAlias = tuple[Account, int]

_IN_A_CURRENCY = (
    PaymentUnmatched,
    SuspenseResolved,
    PaymentFee,
    BankPayout,
    DisputeWithdrawn,
    DisputeWon,
    DisputeLost,
)
_COMES_BACK = (CreditSettled, CreditVoided, RefundFailed, CreditUnfrozen, SuspenseResolved)
"""By these credit that was bought is there again. A reversal can be such a one too."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where and when a movement is asked for. ``now_us`` is the chain's own time, which never goes back."""

    scope: Scope
    book: Book
    now_us: int

    @property
    def workspace(self) -> WorkspaceId:
        return self.scope.workspace


def work_out(draft: Draft, book: Book, now_us: int) -> tuple[Posting, ...]:
    """The postings of a movement of money; none for another action. Raises a ``LedgerError`` that says what is refused."""
    action, at = draft.action, Moment(draft.scope, book, now_us)
    if not isinstance(action, CreditAction):
        return ()
    _check_amounts(action)
    if isinstance(action, CreditReversed):
        return _reversed(action, draft.idem, at)
    _check_parts(action)
    currency = chart.currency(action.currency) if isinstance(action, _IN_A_CURRENCY) else RC
    lines = _debt_first(_lines(action, at), at) if isinstance(action, _COMES_BACK) else _lines(action, at)
    if currency != RC and any(chart.is_guarded(account) for account, _ in lines):
        raise InvalidCurrency(f"credit is counted in {RC}; money in {currency} has to be exchanged first")
    return tuple(Posting(account, currency, amount) for account, amount in lines if amount)


def _lines(action: CreditAction, at: Moment) -> list[Line]:
    match action:
        case CreditReserved():
            return _reserve(action, at)
        case CreditSettled():
            return _settle(action, at)
        case CreditVoided():
            return _void(action, at)
        case OverageMetered():
            return _told_the_meter(action, at)
        case OveragePaid():
            return _overage_paid(action, at)
        case (
            CreditTopup()
            | PlanGranted()
            | PlanReduced()
            | RevenueRecognised()
            | CreditExpired()
            | CreditGranted()
            | RewardGranted()
            | RewardTakenBack()
            | DiscountTakenBack()
            | CreditAllocated()
            | DebtWrittenOff()
        ):
            return _credit(action, at)
        case RefundHeld() | RefundSent() | RefundFailed() | RefundedOutside():
            return _refund(action, at)
        case DisputeWithdrawn() | CreditFrozen() | CreditUnfrozen() | DisputeWon() | DisputeLost():
            return _dispute(action, at)
        case (
            PaymentFee()
            | BankPayout()
            | TreasuryMoved()
            | OperationsPaid()
            | LateCost()
            | ProviderBilled()
            | ProviderTruedUp()
            | PaymentUnmatched()
            | CustomerBalanceMoved()
            | SuspenseResolved()
        ):
            return _house(action, at)
        case CreditRefused() | CreditReversed():
            return []
        case _:
            assert_never(action)


def _reserve(action: CreditReserved, at: Moment) -> list[Line]:
    if at.book.hold(action.hold) is not None:
        raise InvalidEntry(f"the hold {action.hold} was opened before")
    owed = at.book.available(chart.debt(at.workspace), RC)
    if owed > 0 and action.amount:  # who pays a provider with a key of their own takes no credit
        raise InsufficientBalance(f"{owed} uRC are owed", owed)
    for limit in action.limits:
        spent = at.book.spent(Counter(at.workspace, limit.subject, limit.period))
        if spent + action.expected > limit.cap:
            raise LimitReached(limit.subject, limit.period, spent, limit.cap)
    drawn, short = _draw(action.amount, _pools(at, action.agent), at.book)
    if not short:
        return [*drawn, (chart.held(at.workspace), -action.amount)]
    period = action.overage_period
    if not period or _used_beyond(period, at) + short > action.overage_max:
        raise InsufficientBalance(f"{action.hold}: {short} of {action.amount} uRC are missing", short)
    later = [(chart.overage(at.workspace, period), short), (chart.overage_held(at.workspace, period), -short)]
    return [*drawn, (chart.held(at.workspace), short - action.amount), *later]


def _used_beyond(period: str, at: Moment) -> int:
    """Of a period: what is held for, what was used, and what the meter was told; what was paid counts no more."""
    accounts = (chart.overage(at.workspace, period), chart.metered(at.workspace, period))
    return sum(at.book.available(account, RC) for account in accounts)


def _settle(action: CreditSettled, at: Moment) -> list[Line]:
    hold = _holding(action.hold, at, "open")
    if action.counted and (hold.drawn or action.price or action.cost or action.absorbed):
        raise InvalidEntry(f"{action.hold}: what credit pays for counts by its price")
    there = sum(posting.amount for posting in hold.drawn)
    extra, short = _draw(max(0, action.price - there), _pools(at, ""), at.book)
    charged = action.price - short
    absorbed = sum(item.amount for item in action.absorbed)
    owed: dict[str, int] = {action.provider: action.cost}
    for item in action.absorbed:
        owed[item.provider] = owed.get(item.provider, 0) + item.amount
    return [
        *_let_go(hold, at),
        *extra,
        *_given_back(hold, there - charged),
        (chart.USAGE, -charged),
        (chart.provider_cost(action.provider), action.cost),
        (chart.ABSORBED, absorbed),
        *((chart.provider_accrued(provider), -amount) for provider, amount in owed.items()),
    ]


def _void(action: CreditVoided, at: Moment) -> list[Line]:
    hold = _holding(action.hold, at, "open", "reversed")
    there = sum(posting.amount for posting in hold.drawn)
    lines = [*_let_go(hold, at), *_given_back(hold, there)]
    if action.estimate:
        lines += [(chart.ABSORBED, action.estimate), (chart.provider_suspense(action.provider), -action.estimate)]
    return lines


def _let_go(hold: Hold, at: Moment) -> Iterator[Line]:
    """What was held is held no more: credit, and what is paid later."""
    later = [(chart.period_of(posting.account, "overage"), posting.amount) for posting in hold.drawn]
    yield chart.held(at.workspace), sum(amount for period, amount in later if not period)
    for period, amount in later:
        if period:
            yield chart.overage_held(at.workspace, period), amount


def _told_the_meter(action: OverageMetered, at: Moment) -> list[Line]:
    told = _all_of_periods(action.amount, "overage", at)
    return [(chart.metered(at.workspace, action.period), action.amount), *told]


def _overage_paid(action: OveragePaid, at: Moment) -> list[Line]:
    due = action.amount + action.discount
    told, rest = _of_periods(due, "metered", at)
    not_told, rest = _of_periods(rest, "overage", at)  # the ledger may be an older copy than the rail's meter
    discount = (chart.PROMOTION, action.discount)
    return [
        (chart.clearing(action.rail), action.amount),
        discount,
        *told,
        *not_told,
        (chart.suspense(action.rail), -rest),
    ]


def _not_told(period: str, at: Moment) -> int:
    """What was used in a period, no meter was told of, and is more than held for."""
    used, only_held = chart.overage(at.workspace, period), chart.overage_held(at.workspace, period)
    return at.book.available(used, RC) - at.book.available(only_held, RC)


def _all_of_periods(amount: int, kind: Literal["overage", "metered"], at: Moment) -> list[Line]:
    lines, short = _of_periods(amount, kind, at)
    if short:
        raise InsufficientBalance(f"{kind}: {short} of {amount} uRC are not owed", short)
    return lines


def _of_periods(amount: int, kind: Literal["overage", "metered"], at: Moment) -> tuple[list[Line], int]:
    """Take from what is owed, the oldest period first, but nothing that is only held for; gives what is missing, too."""
    lines: list[Line] = []
    for period in at.book.periods(at.workspace, kind):
        account = (chart.overage if kind == "overage" else chart.metered)(at.workspace, period)
        taken = min(amount, _not_told(period, at) if kind == "overage" else at.book.available(account, RC))
        if taken > 0:
            lines.append((account, -taken))
            amount -= taken
    return lines, amount


def _credit(
    action: CreditTopup
    | PlanGranted
    | PlanReduced
    | RevenueRecognised
    | CreditExpired
    | CreditGranted
    | RewardGranted
    | RewardTakenBack
    | DiscountTakenBack
    | CreditAllocated
    | DebtWrittenOff,
    at: Moment,
) -> list[Line]:
    workspace = at.workspace
    match action:
        case CreditTopup(rail=rail, paid=paid, tax=tax, discount=discount, lot=lot):
            owed = min(paid, at.book.available(chart.debt(workspace), RC))
            lines = [(chart.clearing(rail), paid + tax), (chart.debt(workspace), -owed)]
            lines += [(chart.paid(workspace), owed - paid), (chart.TAX, -tax)]
            if discount:
                lines += [(chart.PROMOTION, discount), (chart.promo(workspace, lot), -discount)]
            return lines
        case PlanGranted(rail=rail, credit=credit, deferred=deferred):
            earned = (chart.DEFERRED, -deferred)
            return [(chart.clearing(rail), credit + deferred), (chart.plan(workspace), -credit), earned]
        case PlanReduced(rail=rail, credit=credit, deferred=deferred, tax=tax):
            taken, short = _draw(credit, _bought(at, plan=True), at.book)
            back = (chart.clearing(rail), -credit - deferred - tax)
            return [*taken, (chart.debt(workspace), short), (chart.DEFERRED, deferred), (chart.TAX, tax), back]
        case RevenueRecognised(amount=amount):
            return [(chart.DEFERRED, amount), (chart.SUBSCRIPTION, -amount)]
        case CreditExpired(pool=pool, most=most):
            account = _pool(workspace, pool)
            left = at.book.available(account, RC)
            left = left if most is None else min(left, most)
            return [(account, left), (chart.PROMOTION if pool.startswith("promo:") else chart.BREAKAGE, -left)]
        case CreditGranted(lot=lot, amount=amount):
            return [(chart.PROMOTION, amount), (chart.promo(workspace, lot), -amount)]
        case RewardGranted(lot=lot, amount=amount):
            return [(chart.REWARDS, amount), (chart.promo(workspace, lot), -amount)]
        case RewardTakenBack(lot=lot):
            left = at.book.available(chart.promo(workspace, lot), RC)
            return [(chart.promo(workspace, lot), left), (chart.REWARDS, -left)]
        case DiscountTakenBack(lot=lot, amount=amount):
            left = min(amount, at.book.available(chart.promo(workspace, lot), RC))
            return [(chart.promo(workspace, lot), left), (chart.PROMOTION, -left)]
        case CreditAllocated(source=source, target=target, amount=amount):
            if source == target:
                raise TransferToSelf(f"{source or 'the common credit'} is both source and target")
            return [(chart.paid(workspace, source), amount), (chart.paid(workspace, target), -amount)]
        case DebtWrittenOff(amount=amount, told=told, used=used):
            lines = [*_all_of_periods(told, "metered", at), *_all_of_periods(used, "overage", at)]
            return [(chart.BAD_DEBT, amount + told + used), (chart.debt(workspace), -amount), *lines]
        case _:
            assert_never(action)


def _refund(action: RefundHeld | RefundSent | RefundFailed | RefundedOutside, at: Moment) -> list[Line]:
    paid = chart.paid(at.workspace)
    match action:
        case RefundHeld(amount=amount):
            return [(paid, amount), (chart.refund_hold(at.workspace), -amount)]
        case RefundSent(rail=rail, amount=amount, tax=tax):
            held = (chart.refund_hold(at.workspace), amount - tax)
            return [held, (chart.TAX, tax), (chart.clearing(rail), -amount)]
        case RefundFailed(rail=rail, amount=amount, sent=0):
            return [(chart.clearing(rail), amount), (paid, -amount)]
        case RefundFailed():
            return _came_back(action, at)
        case RefundedOutside(rail=rail, amount=amount, tax=tax, fee=fee, earned=earned, plan=plan):
            taken, spent = _draw(amount - tax - fee, _bought(at, plan), at.book)
            parts = [(chart.TAX, tax), (chart.SUBSCRIPTION if earned else chart.DEFERRED, fee)]
            return [*taken, (chart.debt(at.workspace), spent), *parts, (chart.clearing(rail), -amount)]
        case _:
            assert_never(action)


def _came_back(action: RefundFailed, at: Moment) -> list[Line]:
    """The negative of what was sent, but that what was held or owed for it is credit."""
    postings, rail = at.book.postings_of(action.sent), chart.clearing(action.rail)
    if _moved(postings, rail) != -action.amount:
        raise InvalidEntry(f"entry {action.sent} did not send {action.amount} uRC")
    goes = {
        chart.refund_hold(at.workspace): chart.paid(at.workspace),
        chart.debt(at.workspace): chart.paid(at.workspace),
        chart.DEFERRED: chart.SUBSCRIPTION if action.earned else chart.DEFERRED,
    }
    return [(goes.get(posting.account, posting.account), -posting.amount) for posting in postings]


def _dispute(
    action: DisputeWithdrawn | CreditFrozen | CreditUnfrozen | DisputeWon | DisputeLost, at: Moment
) -> list[Line]:
    frozen = chart.frozen(at.workspace)
    match action:
        case DisputeWithdrawn(rail=rail, amount=amount, fee=fee):
            costs = (chart.DISPUTE_COSTS, fee)
            return [(chart.disputed(rail), amount), costs, (chart.clearing(rail), -amount - fee)]
        case CreditFrozen(amount=amount, plan=plan):
            taken, spent = _draw(amount, _bought(at, plan), at.book)
            return [*taken, (frozen, spent - amount)]
        case CreditUnfrozen(amount=amount, freeze=0):
            return [(frozen, amount), (chart.paid(at.workspace), -amount)]
        case CreditUnfrozen(amount=amount, freeze=freeze):
            there = _frozen_by(freeze, at)
            if amount != there:
                raise InvalidEntry(f"entry {freeze} froze {there}, not {amount} uRC")
            return [(posting.account, -posting.amount) for posting in at.book.postings_of(freeze) if there]
        case DisputeWon(rail=rail, amount=amount):
            return [(chart.clearing(rail), amount), (chart.disputed(rail), -amount)]
        case DisputeLost(rail=rail, amount=amount, waited=True):
            return [(chart.suspense(rail), amount), (chart.disputed(rail), -amount)]
        case DisputeLost(rail=rail, amount=amount, owed=owed, freeze=freeze, tax=tax, fee=fee, earned=earned):
            credit = amount - tax - fee
            there = min(credit, _frozen_by(freeze, at) if freeze else at.book.available(frozen, RC))
            lost = chart.debt(at.workspace) if owed else chart.BAD_DEBT
            parts = [(chart.TAX, tax), (chart.SUBSCRIPTION if earned else chart.DEFERRED, fee)]
            return [(frozen, there), (lost, credit - there), *parts, (chart.disputed(rail), -amount)]
        case _:
            assert_never(action)


def _frozen_by(freeze: int, at: Moment) -> int:
    """How much an entry froze in this workspace. What else is frozen, other disputes froze."""
    return max(0, -_moved(at.book.postings_of(freeze), chart.frozen(at.workspace)))


def _house(
    action: PaymentFee
    | BankPayout
    | TreasuryMoved
    | OperationsPaid
    | LateCost
    | ProviderBilled
    | ProviderTruedUp
    | PaymentUnmatched
    | CustomerBalanceMoved
    | SuspenseResolved,
    at: Moment,
) -> list[Line]:
    match action:
        case PaymentFee(rail=rail, amount=amount, back=back, disputed=disputed):
            taken = -amount if back else amount
            return [(chart.DISPUTE_COSTS if disputed else chart.fees(rail), taken), (chart.clearing(rail), -taken)]
        case BankPayout(rail=rail, amount=amount):
            return [(chart.BANK, amount), (chart.clearing(rail), -amount)]
        case TreasuryMoved(direction=direction, amount=amount):
            moved = amount if direction == "in" else -amount
            return [(chart.BANK, moved), (chart.TREASURY, -moved)]
        case OperationsPaid(amount=amount):
            return [(chart.OPERATIONS, amount), (chart.BANK, -amount)]
        case LateCost(provider=provider, amount=amount, absorbed=absorbed):
            cost = chart.ABSORBED if absorbed else chart.provider_cost(provider)
            return [(cost, amount), (chart.provider_accrued(provider), -amount)]
        case ProviderBilled(provider=provider, accrued=accrued, suspense=suspense):
            return [*_owed(provider, accrued, suspense, at), (chart.BANK, -accrued - suspense)]
        case ProviderTruedUp(provider=provider, accrued=accrued, suspense=suspense):
            costs = [(chart.provider_cost(provider), -accrued), (chart.ABSORBED, -suspense)]
            return [*_owed(provider, accrued, suspense, at), *costs]
        case PaymentUnmatched(rail=rail, amount=amount):
            return [(chart.clearing(rail), amount), (chart.suspense(rail), -amount)]
        case CustomerBalanceMoved(rail=rail, direction=direction, amount=amount):
            moved = amount if direction == "used" else -amount
            return [(chart.customers_balance(rail), moved), (chart.clearing(rail), -moved)]
        case SuspenseResolved(rail=rail, amount=amount, target=target):
            goes = chart.paid(at.workspace) if target == "paid" else chart.clearing(rail)
            return [(chart.suspense(rail), amount), (goes, -amount)]
        case _:
            assert_never(action)


def _owed(provider: str, accrued: int, suspense: int, at: Moment) -> list[Line]:
    """What of it a provider is owed no more: never more than stands there, whoever else pays it at the same time."""
    lines = [(chart.provider_accrued(provider), accrued), (chart.provider_suspense(provider), suspense)]
    for account, amount in lines:
        there = at.book.available(account, RC)
        if amount > max(0, there):
            raise InsufficientBalance(f"{account}: {amount - there} of {amount} uRC are not owed", amount - there)
    return lines


def _reversed(action: CreditReversed, key: str, at: Moment) -> tuple[Posting, ...]:
    if key != f"reversal/{action.entry}":
        raise InvalidEntry(f"the key of a reversal of entry {action.entry} is reversal/{action.entry}")
    postings = at.book.postings_of(action.entry)
    if not postings:
        raise NotFound(f"entry {action.entry} moved no money")
    for pocket in pockets_of(postings):
        if pocket.workspace != at.workspace:
            raise Unauthorised(f"entry {action.entry} is another workspace's")
    there, charged = 0, 0
    if action.hold:
        hold = at.book.hold(action.hold)
        if hold is None or hold.workspace != at.workspace or hold.state != "settled":
            raise NotFound(f"{action.hold} is not a settled hold of this workspace")
        there, charged = sum(posting.amount for posting in hold.drawn), hold.charged
    # Otherwise credit would be held that no hold knows of, or a hold would give back what is held for another.
    let_go = sum(posting.amount for posting in postings if _is_held(posting.account, at))
    if let_go != there or _moved(postings, chart.USAGE) != -charged:
        raise InvalidEntry(
            f"entry {action.entry} moved what was held: only a settle is reversed, and its hold is named"
        )
    later = chart.paid_later(postings) if action.hold else 0
    for period in {chart.period_of(posting.account, "overage_held") for posting in postings} - {""}:
        told = later - _not_told(period, at)
        if told > 0:
            raise InsufficientBalance(f"of entry {action.entry} {told} uRC stand on an invoice", told)
    others = [posting for posting in postings if posting.currency != RC]
    lines = _debt_first([(posting.account, -posting.amount) for posting in postings if posting.currency == RC], at)
    return (
        *(Posting(account, RC, amount) for account, amount in lines if amount),
        *(Posting(posting.account, posting.currency, -posting.amount) for posting in others),
    )


def _is_held(account: Account, at: Moment) -> bool:
    return account == chart.held(at.workspace) or chart.period_of(account, "overage_held") != ""


def _moved(postings: Iterable[Posting], account: Account) -> int:
    return sum(posting.amount for posting in postings if posting.account == account)


def _pools(at: Moment, agent: str) -> list[Account]:
    """What a person may spend, in the order of spending."""
    own = [chart.paid(at.workspace, owner_of(at.scope))]
    if agent:
        own.append(chart.paid(at.workspace, f"agent:{agent}"))
    return [*at.book.lots(at.workspace, at.now_us), chart.plan(at.workspace), *own, chart.paid(at.workspace)]


def _bought(at: Moment, plan: bool) -> list[Account]:
    """What was bought and not spent, in the order in which it goes back: of a plan first its own, then what is common, then what
    was set aside."""
    own = [chart.plan(at.workspace)] if plan else []
    return [*own, chart.paid(at.workspace), *at.book.set_aside(at.workspace)]


def _debt_first(lines: list[Line], at: Moment) -> list[Line]:
    """Of what was bought and comes back, what is owed is paid; the rest goes where the lines say."""
    debt = chart.debt(at.workspace)
    owed = at.book.available(debt, RC) + sum(amount for account, amount in lines if account == debt)
    pays = min(owed, -sum(amount for account, amount in lines if _is_bought(account, at)))
    if pays <= 0:
        return lines
    paid: list[Line] = [(debt, -pays)]
    for account, amount in lines:
        taken = min(pays, -amount) if _is_bought(account, at) and amount < 0 else 0
        paid.append((account, amount + taken))
        pays -= taken
    return paid


def _is_bought(account: Account, at: Moment) -> bool:
    common = chart.paid(at.workspace)
    return account in (common, chart.plan(at.workspace)) or account.startswith(f"{common}:")


def _draw(amount: int, pools: Iterable[Account], book: Book) -> tuple[list[Line], int]:
    """Take from the pools in order; gives what is taken, and what is missing."""
    lines: list[Line] = []
    for account in pools:
        if amount == 0:
            break
        taken = min(amount, book.available(account, RC))
        if taken > 0:
            lines.append((account, taken))
            amount -= taken
    return lines, amount


def _given_back(hold: Hold, amount: int) -> Iterator[Line]:
    """Of what was drawn, the last first."""
    for posting in reversed(hold.drawn):
        returned = min(posting.amount, amount)
        if returned > 0:
            yield posting.account, -returned
            amount -= returned


def _holding(name: str, at: Moment, *states: HoldState) -> Hold:
    hold = at.book.hold(name)
    if hold is None:
        raise NotFound(f"there is no hold {name}")
    if hold.workspace != at.workspace:
        raise Unauthorised(f"the hold {name} is another workspace's")
    if hold.state not in states:
        raise InvalidEntry(f"the hold {name} was {hold.state} before")
    return hold


def _pool(workspace: WorkspaceId, pool: str) -> Account:
    kind, _, lot = pool.partition(":")
    match kind:
        case "plan" if not lot:
            return chart.plan(workspace)
        case "paid" if not lot:
            return chart.paid(workspace)
        case "promo":
            return chart.promo(workspace, lot)
        case _:
            raise InvalidEntry(f"credit does not expire in {pool!r}")


def _check_amounts(action: CreditAction) -> None:
    nested = [item for item in _values(action) if isinstance(item, tuple)]
    amounts = [*_values(action), *(value for items in nested for item in items for value in _values(item))]
    for amount in amounts:
        if isinstance(amount, int) and amount < 0:
            raise NegativeAmount(f"{action.name}: {amount} is below 0")
        if isinstance(amount, int) and amount > AMOUNT_MAX:
            raise InvalidEntry(f"{action.name}: {amount} is more than a posting can hold")


def _values(record: object) -> list[object]:
    return [getattr(record, name) for name in field_names(type(record))]


def _check_parts(action: CreditAction) -> None:
    match action:
        case RefundSent(amount=amount, tax=parts):
            pass
        case RefundedOutside(amount=amount, tax=tax, fee=fee) | DisputeLost(amount=amount, tax=tax, fee=fee):
            parts = tax + fee
        case _:
            return
    if parts > amount:
        raise InvalidEntry(f"{action.name}: its parts are more than {amount} uRC")
