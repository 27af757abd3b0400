"""Several processes on one chain, processes that stop, and a server that is killed in the middle of a batch."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from integrations.storage.postgres import PostgresStore
from ledger.actions import TurnFinished
from ledger.entry import HOUSE, Draft
from ledger.roadchain import RoadChain
from tests.faults.postgres_writer import GROUP, Orders
from tests.house import GENESIS
from tests.postgres import TEMPLATE, Server, database_of, make_template, running_postgres, verified
from tests.processes import PROJECT

TIME_MAX_S = 60.0
LATER_US = 1 << 60
CONTROL_KILLS_MAX = 5


@dataclass
class Writer:
    """A writer at work, and what it has said so far."""

    process: Process
    said: list[dict[str, Any]] = field(default_factory=list)

    async def hears(self, what: str, count: int = 1) -> None:
        """Wait until it has said ``what`` so many times."""
        assert self.process.stdout is not None
        async with asyncio.timeout(TIME_MAX_S):
            while sum(what in line for line in self.said) < count:
                line = await self.process.stdout.readline()
                assert line, f"the writer ended: {self.said[-3:]}"
                self.said.append(json.loads(line))

    async def ends(self) -> dict[str, Any]:
        """Its last word."""
        assert self.process.stdout is not None
        async with asyncio.timeout(TIME_MAX_S):
            async for line in self.process.stdout:
                self.said.append(json.loads(line))
            await self.process.wait()
        return self.said[-1]

    async def stopped(self) -> None:
        """Wait until it has stopped itself; nothing else tells of that."""
        async with asyncio.timeout(TIME_MAX_S):
            while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
                await asyncio.sleep(0.01)

    def wake(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    @property
    def acknowledged(self) -> dict[str, list[int]]:
        return {line["key"]: line["seqs"] for line in self.said if "seqs" in line}


@asynccontextmanager
async def writing(orders: Orders) -> AsyncIterator[Writer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.postgres_writer",
        json.dumps(asdict(orders)),
        cwd=PROJECT,
        stdout=PIPE,
        limit=1 << 20,
    )
    try:
        yield Writer(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(url)
    try:
        yield store
    finally:
        await store.aclose()


async def begin(url: str) -> None:
    async with opened(url) as store, RoadChain(store) as roadchain:
        await roadchain.append(GENESIS)


async def keys(server: Server, database: str) -> dict[str, int]:
    return dict(await server.fetch("SELECT idem, seq FROM carpool.entry", database=database))


def lost(stand: dict[str, int], acknowledged: dict[str, list[int]]) -> list[str]:
    """Appends that returned, and whose entries are not there, or are others."""
    return [key for key, seqs in acknowledged.items() if [stand.get(f"{key}/{part}") for part in range(GROUP)] != seqs]


def torn(stand: dict[str, int]) -> list[str]:
    """Groups of which a part is there."""
    groups: dict[str, int] = {}
    for key in stand:
        if key != GENESIS.idem:
            group = key.rpartition("/")[0]
            groups[group] = groups.get(group, 0) + 1
    return [group for group, count in groups.items() if count != GROUP]


async def test_several_processes_at_once_make_one_chain(
    postgres: Server, postgres_database: str, tmp_path: Path
) -> None:
    url = postgres.url(postgres_database)
    await begin(url)
    async with (
        writing(Orders(url, "one", 200)) as one,
        writing(Orders(url, "two", 200)) as two,
        writing(Orders(url, "three", 200)) as three,
        writing(Orders(url, "four", 200)) as four,
    ):
        writers = (one, two, three, four)
        assert [await writer.ends() for writer in writers] == [{"done": True}] * 4
    stand = await keys(postgres, postgres_database)
    assert sorted(stand.values()) == list(range(4 * 200 * GROUP + 1))
    assert [lost(stand, writer.acknowledged) for writer in writers] == [[]] * 4
    assert torn(stand) == []
    assert (await verified(url, tmp_path)).size == len(stand)
    # They really took turns: some had begun before others ended. (How late a process starts is up to the machine.)
    firsts = [min(seqs[0] for seqs in writer.acknowledged.values()) for writer in writers]
    lasts = [max(seqs[-1] for seqs in writer.acknowledged.values()) for writer in writers]
    spans = sorted(zip(firsts, lasts, strict=True))
    assert any(first < earlier for (_, earlier), (first, _) in pairwise(spans))


async def test_processes_that_append_the_same_record_it_once(
    postgres: Server, postgres_database: str, tmp_path: Path
) -> None:
    url = postgres.url(postgres_database)
    await begin(url)
    async with (
        writing(Orders(url, "same", 100)) as one,
        writing(Orders(url, "same", 100)) as two,
        writing(Orders(url, "same", 100)) as three,
    ):
        writers = (one, two, three)
        assert [await writer.ends() for writer in writers] == [{"done": True}] * 3
    assert one.acknowledged == two.acknowledged == three.acknowledged
    assert sum(line.get("fresh", False) for writer in writers for line in writer.said) == 100
    assert (await verified(url, tmp_path)).size == 100 * GROUP + 1


async def test_a_writer_that_stops_in_a_batch_holds_nobody_up_and_writes_nothing_when_it_wakes(
    postgres: Server, postgres_database: str, tmp_path: Path
) -> None:
    url = postgres.url(postgres_database)
    await begin(url)
    async with opened(url) as store, writing(Orders(url, "late", turn="t1", stops_at=4, pause_max_s=0.5)) as late:
        await late.stopped()
        await late.hears("ready")
        async with RoadChain(store) as roadchain, asyncio.timeout(TIME_MAX_S):
            (receipt,) = await roadchain.append(Draft(TurnFinished("answered"), HOUSE, "here"))
        # It has lost its turn with its session: nobody waits for its awakening.
        assert [turn.turn for turn in await store.claim(store.owner, ["test"], 10, LATER_US)] == ["t1"]
        late.wake()
        assert await late.ends() == {"failed": "unreachable"}
        stand = await keys(postgres, postgres_database)
        assert max(stand.values()) == receipt.seq == stand["here"]
        assert lost(stand, late.acknowledged) == []
    assert (await verified(url, tmp_path)).size == receipt.seq + 1


async def test_a_process_that_is_only_slow_keeps_its_turn(postgres: Server, postgres_database: str) -> None:
    url = postgres.url(postgres_database)
    orders = Orders(url, "slow", 50, turn="t1", stops_when_ready=True, pause_max_s=0.2)
    async with opened(url) as store, writing(orders) as slow:
        await slow.hears("ready")
        await slow.stopped()
        await asyncio.sleep(0.6)  # three times what a pause inside of a batch may take: here it may take for ever
        assert await store.claim(store.owner, ["test"], 10, LATER_US) == ()
        slow.wake()
        assert await slow.ends() == {"done": True}
        assert [turn.turn for turn in await store.claim(store.owner, ["test"], 10, LATER_US)] == ["t1"]


async def test_a_turn_of_a_process_that_was_killed_is_taken_over_at_once(
    postgres: Server, postgres_database: str
) -> None:
    url = postgres.url(postgres_database)
    async with opened(url) as store, writing(Orders(url, "dies", turn="t1")) as dies:
        await dies.hears("ready")
        assert await store.claim(store.owner, ["test"], 10, LATER_US) == ()
        dies.process.kill()
        await dies.process.wait()
        async with asyncio.timeout(TIME_MAX_S):
            while not (claimed := await store.claim(store.owner, ["test"], 10, LATER_US)):
                await asyncio.sleep(0.01)  # the server sees in a moment that the connection was closed
        assert [turn.turn for turn in claimed] == ["t1"]


@pytest.fixture(scope="module")
def server_to_kill() -> Iterator[Server]:
    """With a log writer that is slow, so that what was not waited for is not on disk by chance."""
    with running_postgres({"wal_writer_delay": "10000ms", "wal_writer_flush_after": "64MB"}) as server:
        asyncio.run(make_template(server))
        yield server


async def killed_in_the_middle(
    server: Server, database: str, how: Literal["immediate", "kill"], appends: int, *, asynchronous: bool
) -> tuple[list[str], list[str]]:
    """Two processes append, and the server ends in between. What was lost of what had returned, and what is torn."""
    url = server.url(database)
    await begin(url)
    async with (
        writing(Orders(url, "one", asynchronous=asynchronous)) as one,
        writing(Orders(url, "two", asynchronous=asynchronous)) as two,
    ):
        await one.hears("seqs", appends)
        await two.hears("seqs", appends)
        if how == "kill":
            await asyncio.to_thread(server.kill)
        else:
            await asyncio.to_thread(server.stop, "immediate")
        ends = [await writer.ends() for writer in (one, two)]
    await asyncio.to_thread(server.start)
    assert ends == [{"failed": "unreachable"}] * 2
    stand = await keys(server, database)
    return lost(stand, one.acknowledged | two.acknowledged), torn(stand)


@pytest.mark.parametrize("how", ["immediate", "kill"])
@pytest.mark.parametrize("appends", [1, 7, 60])
async def test_a_server_that_is_killed_loses_nothing_that_had_returned(
    server_to_kill: Server, tmp_path: Path, how: Literal["immediate", "kill"], appends: int
) -> None:
    async with database_of(server_to_kill, TEMPLATE) as database:
        assert await killed_in_the_middle(server_to_kill, database, how, appends, asynchronous=False) == ([], [])
        url = server_to_kill.url(database)
        before = (await verified(url, tmp_path)).size
        async with opened(url) as store, RoadChain(store) as roadchain:
            (receipt,) = await roadchain.append(Draft(TurnFinished("answered"), HOUSE, "afterwards"))
        assert receipt.seq == before
        assert (await verified(url, tmp_path)).size == before + 1


@pytest.mark.parametrize("how", ["immediate", "kill"])
async def test_a_batch_that_was_open_when_the_server_was_killed_is_absent_as_a_whole(
    server_to_kill: Server, tmp_path: Path, how: Literal["immediate", "kill"]
) -> None:
    async with database_of(server_to_kill, TEMPLATE) as database:
        url = server_to_kill.url(database)
        await begin(url)
        async with writing(Orders(url, "one", stops_at=4)) as one:
            await one.stopped()
            await asyncio.to_thread(server_to_kill.kill if how == "kill" else lambda: server_to_kill.stop("immediate"))
            await asyncio.to_thread(server_to_kill.start)
            one.wake()
            assert await one.ends() == {"failed": "unreachable"}
        stand = await keys(server_to_kill, database)
        assert len(stand) == 1 + GROUP * len(one.acknowledged) > 1
        assert lost(stand, one.acknowledged) == []
        assert (await verified(url, tmp_path)).size == len(stand)


@pytest.mark.parametrize("how", ["immediate", "kill"])
async def test_the_control_without_synchronous_commit_is_caught_losing_entries(
    server_to_kill: Server, tmp_path: Path, how: Literal["immediate", "kill"]
) -> None:
    """If this fails, the tests above show nothing.

    The server may have written its log out just before it was killed, for reasons of its own: then the next kill tells.
    """
    gone: list[str] = []
    for _ in range(CONTROL_KILLS_MAX):
        async with database_of(server_to_kill, TEMPLATE) as database:
            gone, parts = await killed_in_the_middle(server_to_kill, database, how, 60, asynchronous=True)
            assert parts == []
            # What is left is a sound chain that is shorter: only who holds a receipt, or a checkpoint, can tell.
            assert (await verified(server_to_kill.url(database), tmp_path)).size > 0
        if gone:
            break
    assert gone
