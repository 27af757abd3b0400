"""The house compares its ledger with the payment service by itself: hourly what moved in the last two days, once a night all.

What differs twice, some minutes apart, is an error in the log, with its ticket: in between a payment may have been on its way. A
process that ends soon compares nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from integrations.payments.balances import reconcile_customers
from integrations.payments.cashier import Cashier
from integrations.payments.metering import Reader, reconcile_meters
from integrations.payments.reconcile import Clearing, Difference, on_record, reconcile, ticket_of
from integrations.payments.setting_aside import FAILURES
from ledger.errors import StoreFailed

FIRST_AFTER_S = 60.0
AGAIN_AFTER_S = 300.0
HOUR_S = 3600
DAY_S = 24 * HOUR_S
LATELY_S = 2 * DAY_S
METERS_S = 365 * DAY_S
"""So far back a night's comparison looks at meters."""

NIGHT_HOUR = 2
"""From this hour on (UTC) a night's comparison is due."""

RECONCILE_LOCK = "reconcile.lock"

log = logging.getLogger("carpool.payments")


class Reconciling:
    """Of several processes with one ``lock`` one compares at a time, and each hour once. The ledger is read once, and from then
    on what is new in it."""

    def __init__(
        self,
        cashier: Cashier,
        store: Reader,
        clock_us: Callable[[], int],
        lock: Path,
        first_after_s: float = FIRST_AFTER_S,
        again_after_s: float = AGAIN_AFTER_S,
    ) -> None:
        self._cashier = cashier
        self._store = store
        self._clock_us = clock_us
        self._lock = FileLock(lock)
        self._done = lock.with_suffix(".done")
        self._wait_s = first_after_s
        self._again_after_s = again_after_s
        self._clearing = Clearing(cashier.rail, store)

    async def apply(self) -> int:
        """Compare, where nobody has in this hour. Returns how much differs. Raises ``LedgerError``, ``StoreFailed``."""
        await asyncio.sleep(self._wait_s)
        self._wait_s = 0
        try:
            with self._lock.acquire(timeout=0):
                return await self._look()
        except Timeout:
            return 0  # another process of this home is at it
        except FAILURES as error:
            if isinstance(error, StoreFailed):
                raise
            log.warning("the payments could not be reconciled", extra={"cause": type(error).__name__})
            return 0

    async def _look(self) -> int:
        now_s = self._clock_us() // 1_000_000
        hour, night = now_s // HOUR_S, (now_s - NIGHT_HOUR * HOUR_S) // DAY_S
        last_hour, last_night = _read(self._done)
        if hour <= last_hour:
            return 0
        whole = night > last_night
        since_s, meters_s = (0, now_s - METERS_S) if whole else (now_s - LATELY_S, now_s - LATELY_S)
        differences = await self._differences(since_s, meters_s, whole=whole)
        if differences:
            await asyncio.sleep(self._again_after_s)
            before = {ticket_of(self._cashier.rail, item) for item in differences}
            again = await self._differences(since_s, meters_s, whole=whole)
            differences = [item for item in again if ticket_of(self._cashier.rail, item) in before]
        for difference in differences:
            ticket, _ = await on_record(self._cashier, difference)
            log.error(
                "the payment service and the ledger differ: `carpool billing reconcile` says how",
                extra={"ticket": ticket, "difference": difference.kind, "about": difference.about},
            )
        self._done.write_text(f"{hour} {night}", encoding="ascii")
        return len(differences)

    async def _differences(self, since_s: int, meters_s: int, *, whole: bool) -> list[Difference]:
        cashier, now_s = self._cashier, self._clock_us() // 1_000_000
        done = await reconcile(cashier, self._store, since_s, self._clearing)
        found, differences = [*done.found], [*done.differences]
        if cashier.subscriptions is not None:
            differences += await reconcile_meters(cashier, cashier.subscriptions, self._store, meters_s, now_s)
        if cashier.subscriptions is not None and whole:
            customers = await reconcile_customers(cashier, cashier.subscriptions, self._store)
            found += customers.found
            differences += customers.differences
        for name in found:
            log.warning("recorded by reconciliation: nothing had told of it yet", extra={"object": name})
        return differences


def _read(done: Path) -> tuple[int, int]:
    """The last hour and the last night that was compared. The first time of all a night is due."""
    with contextlib.suppress(OSError, ValueError):
        hour, night = done.read_text(encoding="ascii").split()
        return int(hour), int(night)
    return -1, -1
