"""What has to be true of a database after any fault, told from the acknowledgements that its writer gave."""

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from integrations.storage.sqlite import SqliteStore
from ledger.roadchain import RoadChain
from ledger.verify import verify_database
from tests.faults.money_moves import GENESIS
from tests.faults.writers import group


class Lost(AssertionError):
    """Entries were acknowledged, and are not there."""


def audit(path: Path, acknowledged: Iterable[int]) -> set[int]:
    """The chain verifies, nothing acknowledged is lost, every group is whole or not there. Gives the groups that are."""
    verify_database(path)
    with closing(sqlite3.connect(path)) as database:
        keys = [key for (key,) in database.execute("SELECT idem FROM entry WHERE seq > 0 ORDER BY seq")]
    there = {int(key.partition("/")[0]) for key in keys}
    for number in there:
        place = keys.index(f"{number}/0")
        whole = [draft.idem for draft in group(number)]
        assert keys[place : place + len(whole)] == whole, f"group {number} was torn"
    assert len(keys) == sum(len(group(number)) for number in there)
    lost = set(acknowledged) - there
    if lost:
        raise Lost(f"groups {sorted(lost)} were acknowledged and are lost")
    return there


def goes_on(path: Path, number: int) -> None:
    """A start after the fault: the next group is recorded, and the projections are those of a replay."""

    async def run() -> None:
        store = await SqliteStore.open(path)
        async with RoadChain(store) as roadchain:
            await roadchain.append(GENESIS)
            receipts = await roadchain.append(*group(number))
        assert all(receipt.fresh for receipt in receipts)
        before, size = await store.balances(), (await store.head()).size
        assert await store.replay() == size
        assert await store.balances() == before
        await store.aclose()

    asyncio.run(run())
    assert number in audit(path, {number})
