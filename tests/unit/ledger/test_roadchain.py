"""The writer: durable on return, many in one commit, and nothing more once a commit has failed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.actions import TurnFinished
from ledger.book import Wanted
from ledger.entry import HOUSE, Draft
from ledger.errors import InvalidEntry, StoreFailed
from ledger.roadchain import BATCH_DRAFTS_MAX, RoadChain
from ledger.store import Seal, Sealed


def draft(idem: str) -> Draft:
    return Draft(TurnFinished("answered"), HOUSE, idem)


class Watched(SqliteStore):
    """Counts its commits, holds them back while ``gate`` is not set, and fails where it is told to."""

    commits: list[int]
    gate: asyncio.Event
    fails = False

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        await self.gate.wait()
        self.commits.append(len(wanted.keys))
        if self.fails:
            raise StoreFailed("SQLite: disk I/O error", "input_output")
        return await super().commit(wanted, seal)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Watched]:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    store.__class__ = Watched
    assert isinstance(store, Watched)
    store.commits, store.gate = [], asyncio.Event()
    store.gate.set()
    yield store
    await store.aclose()


async def test_an_append_that_returned_is_on_disk(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        (receipt,) = await roadchain.append(draft("1"))
        (recorded,) = await store.entries(-1, 10)
    assert (receipt.seq, receipt.hash, receipt.fresh) == (0, recorded.hash, True)


async def test_what_is_queued_while_a_commit_runs_goes_into_the_next_one(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        await asyncio.gather(*(roadchain.append(draft(str(number))) for number in range(200)))
    assert sum(store.commits) == 200
    assert len(store.commits) <= 2


async def test_a_batch_has_its_limit(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        await asyncio.gather(*(roadchain.append(draft(str(number))) for number in range(2 * BATCH_DRAFTS_MAX + 1)))
    assert max(store.commits) == BATCH_DRAFTS_MAX
    assert sum(store.commits) == 2 * BATCH_DRAFTS_MAX + 1


async def test_a_bad_draft_fails_alone(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        good, bad, other = await asyncio.gather(
            roadchain.append(draft("1")),
            roadchain.append(draft("x" * 5_000)),
            roadchain.append(draft("2")),
            return_exceptions=True,
        )
    assert isinstance(bad, InvalidEntry)
    assert not isinstance(good, BaseException)
    assert not isinstance(other, BaseException)


async def test_a_caller_that_gives_up_does_not_take_its_entry_back(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        store.gate.clear()
        appending = asyncio.create_task(roadchain.append(draft("1")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        appending.cancel()
        store.gate.set()
        await roadchain.append(draft("2"))
    assert [recorded.entry.idem for recorded in await store.entries(-1, 10)] == ["1", "2"]


async def test_after_a_failed_commit_nothing_is_taken_until_a_restart(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        store.fails = True
        outcomes = await asyncio.gather(
            *(roadchain.append(draft(str(number))) for number in range(3)), return_exceptions=True
        )
        assert all(isinstance(outcome, StoreFailed) for outcome in outcomes)
        store.fails = False
        with pytest.raises(StoreFailed, match="until a restart"):
            await roadchain.append(draft("4"))
        assert roadchain.failure is not None
    async with RoadChain(store) as again:
        assert (await again.append(draft("4")))[0].fresh


async def test_leaving_records_what_is_queued(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        store.gate.clear()
        appending = [asyncio.create_task(roadchain.append(draft(str(number)))) for number in range(5)]
        await asyncio.sleep(0)
        store.gate.set()
    assert [(await task)[0].fresh for task in appending] == [True] * 5


async def test_after_leaving_nothing_is_taken(store: Watched) -> None:
    async with RoadChain(store) as roadchain:
        pass
    with pytest.raises(StoreFailed, match="closed"):
        await roadchain.append(draft("1"))


async def test_a_fault_in_the_writer_reaches_each_caller_and_is_not_hidden(store: Watched) -> None:
    def broken() -> int:
        raise RuntimeError("no clock")

    with pytest.raises(RuntimeError, match="no clock"):
        async with RoadChain(store, clock=broken) as roadchain:
            with pytest.raises(StoreFailed):
                await roadchain.append(draft("1"))
