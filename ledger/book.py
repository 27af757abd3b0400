"""The book: balances, holds and what was spent of each limit, as of one moment; and how an entry changes them.

The same class serves a batch, where the store has loaded what the batch touches, and a replay, which begins with nothing and
ends with everything. It is changed by entries alone, so that both come to the same.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NewType, TypeAlias

from ledger.accounts import (
    Account,
    Currency,
    Pocket,
    Posting,
    held,
    is_guarded,
    is_part,
    natural,
    paid,
    period_of,
    pocket_of,
    promo,
    provider_accrued,
    provider_suspense,
)
from ledger.actions import Action
from ledger.credit_actions import (
    CreditAllocated,
    CreditFrozen,
    CreditGranted,
    CreditReserved,
    CreditReversed,
    CreditSettled,
    CreditTopup,
    CreditUnfrozen,
    CreditVoided,
    DiscountTakenBack,
    DisputeLost,
    PlanReduced,
    ProviderBilled,
    ProviderTruedUp,
    RefundedOutside,
    RefundFailed,
    RewardGranted,
    RewardTakenBack,
)
from ledger.entry import Draft, Entry, Scope
from ledger.errors import InsufficientBalance, InvalidEntry
from ledger.pseudonyms import WorkspaceId

HoldId = NewType("HoldId", str)
HoldState = Literal["open", "settled", "voided", "reversed"]

Purse: TypeAlias = tuple[Account, Currency]


@dataclass(frozen=True, slots=True)
class Counter:
    """What a subject has spent in a period; an open hold counts with what is expected of it."""

    workspace: WorkspaceId
    subject: str
    period: str


@dataclass(frozen=True, slots=True)
class Hold:
    """``drawn`` in the order of drawing; it is returned in reverse. ``charged`` is what was taken of it in the end, or what
    counted where nothing was held."""

    hold: HoldId
    workspace: WorkspaceId
    state: HoldState
    drawn: tuple[Posting, ...]
    expected: int
    charged: int
    counters: tuple[Counter, ...]


@dataclass(frozen=True, slots=True)
class AccountRow:
    """``balance`` with debits above 0. ``expires_us`` is that of a promotional lot; None: never."""

    account: Account
    currency: Currency
    balance: int
    expires_us: int | None = None

    @property
    def natural(self) -> int:
        return natural(self.account, self.balance)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a batch touches, and so what its store loads: accounts by pocket, holds, counters, postings of earlier entries.

    Of ``workspaces`` all pockets are loaded, whoever they are set aside for; of the house's accounts those that are named.

    A store also loads the pockets of the postings that it finds, and the counters of the holds. Of a pocket it may leave out
    what is empty, but not ``lots``, nor what the holds drew: credit that comes back to an emptied lot comes back to its end.
    """

    keys: tuple[str, ...]
    pockets: frozenset[Pocket] = frozenset()
    holds: frozenset[HoldId] = frozenset()
    counters: frozenset[Counter] = frozenset()
    entries: frozenset[int] = frozenset()
    lots: frozenset[Account] = frozenset()
    workspaces: frozenset[WorkspaceId] = frozenset()
    house: frozenset[Account] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store found of it. An account that is not there is at 0, a counter too."""

    accounts: tuple[AccountRow, ...] = ()
    holds: tuple[Hold, ...] = ()
    counters: tuple[tuple[Counter, int], ...] = ()
    postings: tuple[tuple[int, tuple[Posting, ...]], ...] = ()


NOTHING_STANDS = Standing()


@dataclass(frozen=True, slots=True)
class BookChange:
    """What a batch changed: ``balance`` of an account is what is added to it, holds and counters stand as they are now."""

    accounts: tuple[AccountRow, ...] = ()
    holds: tuple[Hold, ...] = ()
    counters: tuple[tuple[Counter, int], ...] = ()


class Book:
    """Mutable; lives for one batch or one replay. ``undo`` takes back what has changed since the last ``keep``."""

    def __init__(self, standing: Standing = NOTHING_STANDS) -> None:
        self._balances: dict[Purse, int] = {(row.account, row.currency): row.balance for row in standing.accounts}
        self._lots: dict[WorkspaceId, dict[Account, int | None]] = {}
        self._holds: dict[HoldId, Hold] = {hold.hold: hold for hold in standing.holds}
        self._counters: dict[Counter, int] = dict(standing.counters)
        self._postings = dict(standing.postings)
        self._moved: dict[Purse, int] = {}
        self._opened: dict[Account, int | None] = {}
        self._touched_holds: dict[HoldId, None] = {}
        self._touched_counters: dict[Counter, None] = {}
        self._undo: list[tuple[MutableMapping[Any, Any], object, object]] = []
        for row in standing.accounts:
            self._remember_lot(row.account, row.expires_us)

    def balance(self, account: Account, currency: Currency) -> int:
        return self._balances.get((account, currency), 0)

    def available(self, account: Account, currency: Currency) -> int:
        """What can be taken from it: its natural balance."""
        return natural(account, self.balance(account, currency))

    def lots(self, workspace: WorkspaceId, now_us: int) -> list[Account]:
        """The promotional lots that have not expired: the first to expire first."""
        alive = [
            (expires_us is None, expires_us or 0, account)
            for account, expires_us in self._lots.get(workspace, {}).items()
            if expires_us is None or expires_us > now_us
        ]
        return [account for _, _, account in sorted(alive)]

    def set_aside(self, workspace: WorkspaceId) -> list[Account]:
        """What was bought and set aside for people and agents, in the order of their names. A batch knows all of it only of
        the ``workspaces`` that it wanted whole."""
        common = paid(workspace)
        return sorted({account for account, _ in self._balances if account.startswith(f"{common}:")})

    def periods(self, workspace: WorkspaceId, kind: str) -> list[str]:
        """Of the accounts of one ``kind`` (``overage``, ``metered``) of a workspace: the oldest first."""
        found = {period_of(account, kind) for account, _ in self._balances if account.split(":")[2:3] == [workspace]}
        return sorted(found - {""}, key=lambda period: (len(period), period))

    def hold(self, hold: str) -> Hold | None:
        return self._holds.get(HoldId(hold))

    def spent(self, counter: Counter) -> int:
        return self._counters.get(counter, 0)

    def postings_of(self, seq: int) -> tuple[Posting, ...]:
        return self._postings.get(seq, ())

    def enter(self, entry: Entry) -> None:
        """Apply an entry. Raises ``InvalidEntry`` where it does not sum to 0, ``InsufficientBalance`` where an account of a
        workspace would fall below 0; then the caller has to ``undo``."""
        if entry.postings:
            self._post(entry.postings)
        match entry.action:
            case CreditTopup(discount=amount, lot=lot, expires_us=expires_us) if amount:
                self._open_lot(promo(entry.workspace, lot), expires_us)
            case (
                CreditGranted(lot=lot, amount=amount, expires_us=expires_us)
                | RewardGranted(lot=lot, amount=amount, expires_us=expires_us)
            ) if amount:
                self._open_lot(promo(entry.workspace, lot), expires_us)
            case CreditReserved() as reserved:
                self._open_hold(entry, reserved)
            case CreditSettled(hold=hold, counted=counted):
                charged = sum(-posting.amount for posting in entry.postings if posting.account == "R:usage")
                self._close_hold(self._holds[HoldId(hold)], "settled", charged + counted)
            case CreditVoided(hold=hold):
                self._close_hold(self._holds[HoldId(hold)], "voided", 0)
            case CreditReversed(hold=hold) if hold:
                self._close_hold(self._holds[HoldId(hold)], "reversed", 0)
            case _:
                pass

    def keep(self) -> None:
        """What has changed so far stands."""
        self._undo.clear()

    def undo(self) -> None:
        while self._undo:
            table, key, before = self._undo.pop()
            if before is _ABSENT:
                del table[key]
            else:
                table[key] = before

    def change(self) -> BookChange:
        """What has changed since the beginning."""
        accounts = tuple(
            AccountRow(account, currency, amount, self._opened.get(account))
            for (account, currency), amount in self._moved.items()
        )
        holds = tuple(self._holds[hold] for hold in self._touched_holds)
        counters = tuple((counter, self._counters[counter]) for counter in self._touched_counters)
        return BookChange(accounts, holds, counters)

    def _post(self, postings: Sequence[Posting]) -> None:
        sums: dict[Currency, int] = {}
        for posting in postings:
            purse = (posting.account, posting.currency)
            after = self._balances.get(purse, 0) + posting.amount
            self._set(self._balances, purse, after)
            self._set(self._moved, purse, self._moved.get(purse, 0) + posting.amount)
            sums[posting.currency] = sums.get(posting.currency, 0) + posting.amount
        if any(sums.values()):
            raise InvalidEntry("the postings of an entry sum to 0")
        for posting in postings:
            if is_guarded(posting.account) and self.available(posting.account, posting.currency) < 0:
                short = -self.available(posting.account, posting.currency)
                raise InsufficientBalance(f"{posting.account} lacks {short} uRC", short)

    def _open_lot(self, account: Account, expires_us: int | None) -> None:
        pocket = pocket_of(account)
        if pocket is not None:
            lots = self._lots.setdefault(pocket.workspace, {})
            until_us = lots.get(account) if expires_us is None else expires_us
            self._set(lots, account, until_us)
            self._set(self._opened, account, until_us)

    def _remember_lot(self, account: Account, expires_us: int | None) -> None:
        pocket = pocket_of(account)
        if pocket is not None and account.startswith(promo(pocket.workspace, "x")[:-1]):
            self._lots.setdefault(pocket.workspace, {})[account] = expires_us

    def _open_hold(self, entry: Entry, reserved: CreditReserved) -> None:
        counters = tuple(Counter(entry.workspace, limit.subject, limit.period) for limit in reserved.limits)
        drawn = tuple(posting for posting in entry.postings if not _is_held(posting.account, entry.workspace))
        self._keep(Hold(HoldId(reserved.hold), entry.workspace, "open", drawn, reserved.expected, 0, counters))
        self._count(counters, reserved.expected)

    def _close_hold(self, hold: Hold, state: HoldState, charged: int) -> None:
        before = hold.expected if hold.state == "open" else hold.charged
        self._keep(replace(hold, state=state, charged=charged))
        self._count(hold.counters, charged - before)

    def _keep(self, hold: Hold) -> None:
        self._set(self._holds, hold.hold, hold)
        self._set(self._touched_holds, hold.hold, None)

    def _count(self, counters: Iterable[Counter], amount: int) -> None:
        for counter in counters:
            self._set(self._counters, counter, self._counters.get(counter, 0) + amount)
            self._set(self._touched_counters, counter, None)

    def _set(self, table: MutableMapping[Any, Any], key: object, value: object) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value


_ABSENT = object()


def _is_held(account: Account, workspace: WorkspaceId) -> bool:
    return account == held(workspace) or period_of(account, "overage_held") != ""


def wanted(drafts: Iterable[Draft]) -> Wanted:
    """What these drafts touch. Most touch no money, and then nothing but their keys."""
    keys: list[str] = []
    pockets: set[Pocket] = set()
    holds: set[HoldId] = set()
    counters: set[Counter] = set()
    entries: set[int] = set()
    lots: set[Account] = set()
    workspaces: set[WorkspaceId] = set()
    house: set[Account] = set()
    for draft in drafts:
        keys.append(draft.idem)
        if not is_money(draft.action):
            continue
        scope = draft.scope
        pockets |= {Pocket(scope.workspace, ""), Pocket(scope.workspace, owner_of(scope))}
        match draft.action:
            case CreditReserved(hold=hold, agent=agent, limits=limits):
                holds.add(HoldId(hold))
                pockets.add(Pocket(scope.workspace, f"agent:{agent}"))
                counters |= {Counter(scope.workspace, limit.subject, limit.period) for limit in limits}
            case CreditSettled(hold=hold) | CreditVoided(hold=hold):
                holds.add(HoldId(hold))
            case CreditAllocated(source=source, target=target):
                pockets |= {Pocket(scope.workspace, source), Pocket(scope.workspace, target)}
            case CreditReversed(entry=seq, hold=hold):
                entries.add(seq)
                holds.add(HoldId(hold))
            case (
                CreditTopup(lot=lot)
                | CreditGranted(lot=lot)
                | RewardGranted(lot=lot)
                | RewardTakenBack(lot=lot)
                | DiscountTakenBack(lot=lot)
            ) if is_part(lot):
                lots.add(promo(scope.workspace, lot))
            case RefundedOutside() | CreditFrozen() | PlanReduced():
                workspaces.add(scope.workspace)
            case ProviderBilled(provider=provider) | ProviderTruedUp(provider=provider) if is_part(provider):
                house |= {provider_accrued(provider), provider_suspense(provider)}
            case CreditUnfrozen(freeze=seq) | DisputeLost(freeze=seq) | RefundFailed(sent=seq):
                entries.add(seq)
            case _:
                pass
    touched = (frozenset(pockets), frozenset(holds), frozenset(counters), frozenset(entries), frozenset(lots))
    return Wanted(tuple(keys), *touched, frozenset(workspaces), frozenset(house))


def pockets_of(postings: Iterable[Posting]) -> frozenset[Pocket]:
    return frozenset(pocket for posting in postings if (pocket := pocket_of(posting.account)) is not None)


def owner_of(scope: Scope) -> str:
    """The pocket's owner that a person is."""
    return f"user:{scope.actor}"


def is_money(action: Action) -> bool:
    return action.name.startswith("credit.")
