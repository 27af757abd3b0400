"""The clock of the machine jumps: back a day, forward ten years, and back again. The chain's own time never goes back."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.credit_actions import CreditAction, CreditGranted, CreditReserved, CreditVoided
from ledger.entry import Draft
from ledger.errors import InsufficientBalance
from ledger.roadchain import RoadChain
from ledger.verify import verify_database
from tests.faults.money_moves import GENESIS, scope

NOW_US = 1_764_000_000_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
TEN_YEARS_US = 3_652 * DAY_US


class Ledger:
    """Appends with the clock at a given time."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self._made = 0

    async def at(self, now_us: int, action: CreditAction) -> None:
        self._made += 1
        async with RoadChain(self.store, clock=lambda: now_us) as roadchain:
            await roadchain.append(Draft(action, scope("w1", "ann"), str(self._made)))

    async def lot(self) -> int:
        return next(row.natural for row in await self.store.balances() if row.account.endswith(":promo:spring"))


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """With a lot that ends an hour from now."""
    store = await SqliteStore.open(tmp_path / "x.db")
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        await roadchain.append(GENESIS)
    ledger = Ledger(store)
    await ledger.at(NOW_US, CreditGranted("spring", 10, NOW_US + HOUR_US))
    yield ledger
    await store.aclose()


def asked(name: str) -> CreditReserved:
    return CreditReserved(name, 10, 10, "p", "m")


async def test_the_time_of_the_chain_never_goes_back_and_what_the_clock_said_is_kept(
    ledger: Ledger, tmp_path: Path
) -> None:
    said = [NOW_US - DAY_US, NOW_US + 1, NOW_US + TEN_YEARS_US, NOW_US + 2, NOW_US - DAY_US, NOW_US + TEN_YEARS_US + 1]
    for now_us in said:
        await ledger.at(now_us, CreditGranted("other", 1))
    entries = [recorded.entry for recorded in await ledger.store.entries(1, 100)]
    assert [entry.ts for entry in entries] == said
    assert all(before.mono <= after.mono for before, after in pairwise(entries))
    assert [entry.mono - NOW_US for entry in entries] == [0, 1, *[TEN_YEARS_US] * 3, TEN_YEARS_US + 1]
    assert verify_database(tmp_path / "x.db").size == 2 + len(said)


async def test_a_clock_set_back_revives_no_credit(ledger: Ledger) -> None:
    await ledger.at(NOW_US + HOUR_US, CreditGranted("other", 1))
    for now_us in (NOW_US + HOUR_US, NOW_US, NOW_US - DAY_US):
        with pytest.raises(InsufficientBalance):
            await ledger.at(now_us, asked("late"))
    assert await ledger.lot() == 10


async def test_a_clock_set_back_takes_no_credit_away(ledger: Ledger) -> None:
    """The control of the test above: without the time that has passed in between, the same credit is spent."""
    await ledger.at(NOW_US - DAY_US, asked("early"))
    assert await ledger.lot() == 0


async def test_a_clock_set_forward_ends_lots_and_no_call_that_is_under_way(ledger: Ledger) -> None:
    await ledger.at(NOW_US, asked("call"))
    await ledger.at(NOW_US + TEN_YEARS_US, CreditGranted("other", 1))
    await ledger.at(NOW_US, CreditVoided("call"))
    assert await ledger.lot() == 10
    with pytest.raises(InsufficientBalance):
        await ledger.at(NOW_US, asked("late"))
