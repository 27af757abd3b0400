"""Several processes write to one SQLite file: one chain comes of it, whoever is late, paused, or says the same thing again."""

import asyncio
import signal
import time
from pathlib import Path

import psutil
import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.book import Wanted
from ledger.errors import StoreFailed
from ledger.roadchain import RoadChain
from ledger.store import EMPTY, Found, Seal, Sealed
from ledger.verify import verify_database
from tests.faults.audit import audit
from tests.faults.children import WAIT_MAX_S, Child, child
from tests.faults.money_moves import GENESIS
from tests.faults.writers import counted_writer, group, stopping_writer

COUNT = 40


async def begin(path: Path) -> None:
    store = await SqliteStore.open(path)
    async with RoadChain(store) as roadchain:
        await roadchain.append(GENESIS)
    await store.aclose()


async def stopped(process: Child) -> None:
    assert process.acknowledged() == "stops"
    async with asyncio.timeout(WAIT_MAX_S):
        while psutil.Process(process.process.pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.001)


def test_two_processes_make_one_chain_and_what_both_say_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    asyncio.run(begin(path))
    with child(counted_writer, path, 0, COUNT) as one, child(counted_writer, path, COUNT // 2, COUNT) as other:
        said = one.rest(), other.rest()
        assert (one.ended(), other.ended()) == (0, 0)
    assert [sorted(numbers) for numbers in said] == [
        list(range(COUNT)),
        list(range(COUNT // 2, COUNT // 2 + COUNT)),
    ]
    assert audit(path, {*said[0], *said[1]}) == set(range(COUNT // 2 + COUNT))


async def test_a_writer_that_was_paused_before_its_commit_goes_on_from_where_the_others_are(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    await begin(path)
    with child(stopping_writer, path, 1, "before") as late:
        await stopped(late)
        store = await SqliteStore.open(path)
        async with RoadChain(store) as roadchain:
            for number in range(2, 8):
                await roadchain.append(*group(number))
        late.signal(signal.SIGCONT)
        assert (late.rest(), late.ended()) == ([1], 0)
    audit(path, range(1, 8))
    *_, before, first, last = await store.entries(-1, 100)
    assert (first.entry.idem, last.entry.idem) == ("1/0", "1/1")
    assert first.entry.ts < before.entry.ts
    assert first.entry.mono == before.entry.mono
    await store.aclose()


async def test_a_writer_that_is_paused_within_its_commit_keeps_the_others_waiting_and_no_longer_than_they_will(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one lock, and a stopped process keeps it: the others fail as busy, with nothing recorded and nothing lost."""
    path = tmp_path / "x.db"
    await begin(path)
    monkeypatch.setattr("integrations.storage.sqlite_schema.BUSY_TIMEOUT_S", 0.2)
    store = await SqliteStore.open(path)
    with child(stopping_writer, path, 1, "within") as late:
        await stopped(late)
        async with RoadChain(store) as roadchain:
            began_s = time.monotonic()
            with pytest.raises(StoreFailed) as caught:
                await roadchain.append(*group(2))
        assert caught.value.reason == "busy"
        assert time.monotonic() - began_s < WAIT_MAX_S
        assert (await store.head()).size == 1
        await store.aclose()
        late.signal(signal.SIGCONT)
        assert late.acknowledged() == "stops"  # two texts, two salts
        await stopped_again(late)
        assert (late.rest(), late.ended()) == ([1], 0)
    again = await SqliteStore.open(path)
    async with RoadChain(again) as roadchain:
        await roadchain.append(*group(2))
    await again.aclose()
    assert audit(path, [1, 2]) == {1, 2}


async def stopped_again(process: Child) -> None:
    async with asyncio.timeout(WAIT_MAX_S):
        while psutil.Process(process.process.pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.001)
    process.signal(signal.SIGCONT)


class Early(SqliteStore):
    """Reads the end of the chain before it has the lock, as a naive writer does."""

    def _commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        return super()._commit(wanted, lambda found: seal(Found(EMPTY, {})))


async def test_a_writer_that_reads_the_end_before_it_has_the_lock_is_found_out(tmp_path: Path) -> None:
    """The control: what it seals does not follow the last entry, and the table itself refuses it."""
    path = tmp_path / "x.db"
    await begin(path)
    store = await SqliteStore.open(path)
    store.__class__ = Early
    async with RoadChain(store) as roadchain:
        with pytest.raises(StoreFailed):
            await roadchain.append(*group(1))
    await store.aclose()
    assert verify_database(path).size == 1
