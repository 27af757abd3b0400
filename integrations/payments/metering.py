"""What was used beyond a plan's credit is told to the rail's meter, which puts it on the next invoice: once, and not in silence.

A reading is recorded before it is sent (``credit.meter``: what is owed moves from what was used to what the meter was told) and
after it was taken (``payment.metered``). In between nobody knows, so it is sent again under the same identifier. The rail forgets
identifiers after a day: what is older is looked at first. Of a workspace one reading is under way at a time, and an hour has one.
A unit is one RC; what is less than that waits for the next reading.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from integrations.payments.base import (
    MeterReading,
    ObjectRef,
    PaymentError,
    PaymentRefused,
    PaymentUnknown,
    Subscriptions,
)
from integrations.payments.cashier import Cashier
from integrations.payments.keys import THE_HOUSE
from integrations.payments.overdue import INVOICED_S, overdue
from integrations.payments.reconcile import PAGE, BookReader, Difference
from ledger.accounts import RC, period_of, pocket_of
from ledger.book import AccountRow
from ledger.credit_actions import CreditReversed, OverageMetered, PlanGranted
from ledger.entry import Draft, Entry, Scope, StripeObject
from ledger.errors import KeyReused, LedgerError
from ledger.money import URC_PER_RC
from ledger.payment_actions import UsageMetered
from ledger.pseudonyms import WorkspaceId
from ledger.store import Recorded

HOUR_S = 3600
MINUTE_S = 60
LOOK_AFTER_S = 20 * HOUR_S
"""Identifiers are kept for 24 hours: a reading that is older than this is looked for before it is sent again."""

TOO_OLD_S = 34 * 24 * HOUR_S
"""A meter takes what was used 35 days ago at the most: then it is told as of now, under another identifier."""

LONGEST_AWAY_S = 366 * 24 * HOUR_S
"""So far back a start looks for a reading that is under way."""

GRACE_S = 45 * MINUTE_S
"""The invoice of a period stays open for about an hour: so long its last usage is told as of its end, later as of now."""

KINDS = ("overage", "overage_held", "metered")
"""The accounts of what a workspace pays later."""

log = logging.getLogger("carpool.metering")


class Reader(BookReader, Protocol):
    """What is read of a store."""

    async def find(self, idem: str) -> Recorded | None: ...

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]: ...


@dataclass(frozen=True, slots=True)
class Metering:
    """Any number of processes may do it."""

    cashier: Cashier
    rail: Subscriptions
    store: Reader
    clock_us: Callable[[], int]
    _known: dict[str, int] = field(default_factory=dict)
    """Of a workspace, the hour before which no reading is under way: what was looked at once is not looked at again."""

    async def apply(self) -> int:
        """Tell the meter what it was not told yet. Returns how many readings it took. What could not be told is left to the next
        time, and stands in the log. Raises ``StoreFailed``."""
        taken = 0
        for workspace, rows in _by_workspace(await self.store.balances()).items():
            try:
                taken += await self._tell(workspace, rows)
            except PaymentError as error:
                log.warning("usage is not told yet", extra={"workspace": workspace, "cause": type(error).__name__})
            except LedgerError as error:  # of one workspace: the others do not wait for it
                log.error("usage cannot be told", extra={"workspace": workspace, "cause": error.code.value})
        return taken

    async def _tell(self, workspace: WorkspaceId, rows: list[AccountRow]) -> int:
        told = [row.natural for row in rows if period_of(row.account, "metered")]
        # What was told may be paid before anybody here knows that it was taken.
        away_s = LONGEST_AWAY_S if any(told) else TOO_OLD_S
        under_way, taken = await self._under_way(workspace, away_s) if told else None, 0
        if under_way is not None:
            taken = await self._send(under_way)
            if not taken:
                return 0
        reading = await self._next(workspace, rows)
        return taken if reading is None else taken + await self._send(reading)

    async def _under_way(self, workspace: WorkspaceId, away_s: int) -> Entry | None:
        """The latest reading, where nobody knows yet what became of it."""
        now = self._hour()
        for hour in range(now, max(self._known.get(workspace, 0), now - away_s // HOUR_S), -1):
            found = await self.store.find(self._key(workspace, hour))
            if found is not None and not await self._ended(found.entry):
                return found.entry
            if found is not None:
                break
        self._known[workspace] = now - 1
        return None

    async def _ended(self, entry: Entry) -> bool:
        """Whether it was taken, or taken back."""
        keys = (_taken_key(entry), f"reversal/{entry.seq}")
        return any([await self.store.find(key) is not None for key in keys])

    async def _next(self, workspace: WorkspaceId, rows: list[AccountRow]) -> Entry | None:
        """Put on record what is to be told now, if anything is. None also where another process is at it."""
        owed: Counter[str] = Counter()
        for row in rows:
            owed[period_of(row.account, "overage")] += row.natural
            owed[period_of(row.account, "overage_held")] -= row.natural
        del owed[""]
        units = sum(owed.values()) // URC_PER_RC
        if units <= 0:
            return None
        period = max((name for name, amount in owed.items() if amount > 0), key=int)
        meter, runs_until_s = await self._meter(workspace, period)
        customer = await self.cashier.customer_of(workspace)
        if not meter or not customer:
            log.warning("usage has no meter to be told to", extra={"workspace": workspace, "period": period})
            return None
        # Once the next period is paid, the invoice of the one before is closed: then it stands on the next one.
        at_s = self._at_s(runs_until_s)
        action = OverageMetered(self.cashier.rail, meter, str(runs_until_s), units * URC_PER_RC, at_s)
        key, about = self._key(workspace, self._hour()), StripeObject("customer", customer)
        try:
            (receipt,) = await self.cashier.bridge.roadchain.append(Draft(action, _in(workspace), key, stripe=about))
        except KeyReused:  # of this hour there is one
            return None
        found = await self.store.find(key) if receipt.fresh else None
        return None if found is None else found.entry

    async def _send(self, entry: Entry) -> int:
        """Gives 1 where the meter has taken it. What it refuses is tried again: whoever runs the house reads why in the log."""
        action, customer = entry.action, entry.stripe
        if not isinstance(action, OverageMetered) or customer is None:
            raise AssertionError("a reading names its meter and its customer")
        units, age_s = action.amount // URC_PER_RC, self._now_s() - entry.mono // 1_000_000
        # The invoice that it was to stand on is closed: sent now, it would stand on none.
        late = action.at_s < int(action.period) <= self._now_s() - GRACE_S
        if age_s > LOOK_AFTER_S:
            gone = await self._is_gone(customer)
            there = await self._there(action, customer.id, gone=gone)
            if there not in (0, units):
                log.error("a meter differs: see carpool billing reconcile", extra={"entry": entry.seq})
                return 0
            if there == 0 and (gone or late or age_s > TOO_OLD_S):
                back = Draft(CreditReversed(entry.seq), _in(entry.workspace), f"reversal/{entry.seq}")
                await self.cashier.bridge.roadchain.append(back)
                return 0
            if there == units:
                return await self._took(entry, action)
        elif late:  # it may have been taken in time, and not be counted yet
            return 0
        try:
            await self.rail.read_meter(MeterReading(entry.idem, action.meter, customer.id, units, action.at_s))
        except PaymentRefused:
            # It may be refused because it is there already.
            if await self._there(action, customer.id) != units:
                raise
        return await self._took(entry, action)

    async def _took(self, entry: Entry, action: OverageMetered) -> int:
        taken = Draft(
            UsageMetered(action.rail, action.meter), _in(entry.workspace), _taken_key(entry), stripe=entry.stripe
        )
        (receipt,) = await self.cashier.bridge.roadchain.append(taken)
        return int(receipt.fresh)

    async def _there(self, action: OverageMetered, customer: str, *, gone: bool = False) -> int:
        """What counts in the minute of this reading: no other one has that minute. The rail may not know who is ``gone``."""
        minute = action.at_s - action.at_s % MINUTE_S
        try:
            return await self.rail.metered(action.meter, customer, minute, minute + MINUTE_S)
        except (PaymentRefused, PaymentUnknown):
            if not gone:
                raise
            return 0

    async def _is_gone(self, customer: StripeObject) -> bool:
        return await self.cashier.bridge.stands(ObjectRef("customer", customer.id), "deleted") is not None

    async def _meter(self, workspace: WorkspaceId, period: str) -> tuple[str, int]:
        """That of the plan that was granted last (or where it has none, of the one before), and the end of its period: it is that
        of ``period``, or one that came after it. Empty where the plan has none any more, or where it has ended and its last
        invoice is closed: then what was used waits for another plan, on whose invoice it will stand."""
        for recorded in reversed(await self.store.planned(workspace)):
            if isinstance(granted := recorded.entry.action, PlanGranted) and granted.until_s >= int(period):
                ended = await self.cashier.bridge.stands(ObjectRef("subscription", granted.subscription), "expire")
                if ended is not None and self._now_s() >= granted.until_s + GRACE_S:
                    break
                return self.cashier.bridge.plans.meter_of(granted.plan) or granted.meter, granted.until_s
        return "", 0

    def _at_s(self, ends_s: int) -> int:
        """As of when it counts: within its period as long as that has an open invoice. Two readings have never one minute."""
        now_s = self._now_s()
        if ends_s <= now_s < ends_s + GRACE_S:
            return ends_s - MINUTE_S * (1 + self._hour() % 2)
        return now_s

    def _key(self, workspace: str, hour: int) -> str:
        return f"credit.meter/{self.cashier.rail}/{workspace}/{hour}"

    def _hour(self) -> int:
        return self._now_s() // HOUR_S

    def _now_s(self) -> int:
        return self.clock_us() // 1_000_000


async def reconcile_meters(
    cashier: Cashier, rail: Subscriptions, store: Reader, since_s: int, now_s: int
) -> tuple[Difference, ...]:
    """Does each meter count what the ledger says it took? A meter takes a reading before it looks at it, so that what it took may
    not count. Raises ``PaymentError``, ``StoreFailed``."""
    since_s -= since_s % MINUTE_S
    latest_s = now_s  # a clock that was set back may have readings before it
    told: Counter[tuple[str, str]] = Counter()
    differences = [difference async for difference in _owed_by_the_gone(cashier, store, now_s)]
    gone = {difference.about for difference in differences}
    differences += [item async for item in _owed_without_invoice(cashier, store, now_s) if item.about not in gone]
    async for entry, action, taken in _readings(store, since_s):
        if action.rail != cashier.rail or entry.stripe is None:
            continue
        latest_s = max(latest_s, action.at_s)
        told[action.meter, entry.stripe.id] += action.amount
        if not taken:
            differences.append(Difference("not_metered", entry.idem, None, action.amount))
    until_s = latest_s - latest_s % MINUTE_S + MINUTE_S
    for (meter, customer), amount in told.items():
        try:
            there = await rail.metered(meter, customer, since_s, until_s) * URC_PER_RC
        except PaymentUnknown:
            there = 0
        if there != amount:
            differences.append(Difference("other_usage", f"meter {meter} of {customer}", there, amount))
    return tuple(differences)


async def _owed_by_the_gone(cashier: Cashier, store: Reader, now_s: int) -> AsyncIterator[Difference]:
    """What no invoice pays: usage of a workspace whose customer was deleted. What was used in a period that was paid since has an
    invoice to come, until the period is over."""
    for workspace, rows in _by_workspace(await store.balances()).items():
        *_, last, _ = "", *await cashier.customers_of(workspace)
        deleted = await cashier.bridge.stands(ObjectRef("customer", last), "deleted") if last else None
        if deleted is None:
            continue
        invoiced = {
            str(granted.until_s)
            for recorded in await store.planned(workspace)
            if recorded.entry.seq > deleted.entry.seq
            and isinstance(granted := recorded.entry.action, PlanGranted)
            and granted.until_s + INVOICED_S > now_s
        }
        owed = owed_later(row for row in rows if row.account.rpartition(":")[2] not in invoiced)
        if owed.all:
            yield Difference("owed_by_deleted", f"workspace {workspace}", None, owed.all)


async def _owed_without_invoice(cashier: Cashier, store: Reader, now_s: int) -> AsyncIterator[Difference]:
    """What was used in a period whose invoice never had it: the next period was paid since, or its subscription has ended."""
    for workspace, rows in _by_workspace(await store.balances()).items():
        granted = [item.entry.action for item in await store.planned(workspace)]
        last = next((action for action in reversed(granted) if isinstance(action, PlanGranted)), None)
        if last is None:
            continue
        ended = ObjectRef("subscription", last.subscription)
        closed = await cashier.bridge.stands(ended, "expire") is not None
        owed = overdue(rows, now_s if closed else min(now_s, last.until_s - 1 + INVOICED_S))
        if owed >= URC_PER_RC:
            yield Difference("owed_without_invoice", f"workspace {workspace}", None, owed)


@dataclass(frozen=True, slots=True)
class OwedLater:
    """What a workspace is to pay later, in uRC: what a meter was told, and what was used and none was told yet."""

    told: int
    used: int

    @property
    def all(self) -> int:
        return self.told + self.used


def owed_later(rows: Iterable[AccountRow]) -> OwedLater:
    """``rows`` are those of one workspace."""
    sums: Counter[str] = Counter()
    for row in rows:
        for kind in KINDS:
            sums[kind] += row.natural if period_of(row.account, kind) else 0
    return OwedLater(sums["metered"], sums["overage"] - sums["overage_held"])


async def amount_under_way(store: Reader, workspace: WorkspaceId) -> int:
    """What of it is in a reading of which nobody knows yet whether the meter took it. Raises ``StoreFailed``."""
    amounts = [
        action.amount async for entry, action, taken in _readings(store) if entry.workspace == workspace and not taken
    ]
    return sum(amounts)


async def _readings(store: Reader, since_s: int = 0) -> AsyncIterator[tuple[Entry, OverageMetered, bool]]:
    """Each that was not taken back, and whether its meter took it."""
    after = -1
    while page := await store.moved(after, PAGE):
        after = page[-1].entry.seq
        for entry in (recorded.entry for recorded in page):
            action = entry.action
            if not isinstance(action, OverageMetered) or action.at_s < since_s:
                continue
            if await store.find(f"reversal/{entry.seq}") is None:
                yield entry, action, await store.find(_taken_key(entry)) is not None


def _by_workspace(rows: Iterable[AccountRow]) -> dict[WorkspaceId, list[AccountRow]]:
    """The accounts of overage of those workspaces that ever had any."""
    found: dict[WorkspaceId, list[AccountRow]] = {}
    for row in rows:
        pocket = pocket_of(row.account)
        if pocket is not None and row.currency == RC and any(period_of(row.account, kind) for kind in KINDS):
            found.setdefault(pocket.workspace, []).append(row)
    return found


def _in(workspace: WorkspaceId) -> Scope:
    return Scope(workspace, THE_HOUSE.actor, THE_HOUSE.conversation, THE_HOUSE.turn)


def _taken_key(entry: Entry) -> str:
    return f"payment.metered/{entry.idem}"
