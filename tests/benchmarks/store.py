"""The ledger's writer: one thread of its own beside aiosqlite, and an append beside one fdatasync."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite

from integrations.storage.sqlite import SqliteStore
from ledger.actions import TurnFinished
from ledger.book import Wanted
from ledger.chain import seal
from ledger.entry import HOUSE, Draft
from ledger.merkle import decode_frontier, encode_frontier
from ledger.roadchain import RoadChain, new_salt
from ledger.store import EMPTY, Found, Head, Row
from tests.benchmarks.figures import Figure, fdatasync_samples, median, milliseconds, percentile

APPENDS = 400
CALLERS = 100


async def store(folder: Path) -> list[Figure]:
    thread = await SqliteStore.open(folder / "thread.db")

    async def on_a_thread(number: int) -> None:
        group = (Draft(TurnFinished("answered"), HOUSE, str(number), b"text"),)
        await thread.commit(Wanted((str(number),)), lambda found: seal(found, [group], 1, new_salt))

    other = await SqliteStore.open(folder / "aiosqlite.db")
    await other.aclose()
    async with aiosqlite.connect(folder / "aiosqlite.db", isolation_level=None) as database:
        await database.execute("PRAGMA synchronous = FULL")
        ours, cpu = await _time(on_a_thread)
        theirs, their_cpu = await _time(lambda number: _append(database, number))
    disk = fdatasync_samples(folder, APPENDS)
    many = await _many(thread)
    await thread.aclose()
    return [
        Figure(
            "One append, one caller: a writer thread, p50",
            f"{milliseconds(percentile(ours, 50))} ({cpu * 1e3:.2f} ms of CPU)",
            f"{milliseconds(percentile(theirs, 50))} ({their_cpu * 1e3:.2f} ms of CPU) aiosqlite, the same statements",
            f"{percentile(ours, 50) / percentile(theirs, 50):.2f}",
            "below 1",
        ),
        Figure(
            f"One append among {CALLERS} callers, p50",
            milliseconds(percentile(many, 50)),
            f"{milliseconds(percentile(disk, 50))} one fdatasync of 4 KiB",
            f"{percentile(many, 50) / percentile(disk, 50):.2f}",
        ),
    ]


async def _time(append: Callable[[int], Awaitable[None]]) -> tuple[list[float], float]:
    samples: list[float] = []
    cpu = time.process_time()
    for number in range(APPENDS):
        began = time.perf_counter()
        await append(number)
        samples.append(time.perf_counter() - began)
    return samples, (time.process_time() - cpu) / APPENDS


async def _many(store: SqliteStore) -> list[float]:
    async with RoadChain(store) as roadchain:

        async def call(caller: int) -> list[float]:
            samples: list[float] = []
            for number in range(20):
                began = time.perf_counter()
                await roadchain.append(Draft(TurnFinished("answered"), HOUSE, f"{caller}/{number}"))
                samples.append(time.perf_counter() - began)
            return samples

        taken = await asyncio.gather(*(call(caller) for caller in range(CALLERS)))
    return [median(samples) for samples in taken]


async def _append(database: aiosqlite.Connection, number: int) -> None:
    """What ``SqliteStore.commit`` does for one draft, statement by statement."""
    await database.execute("BEGIN IMMEDIATE")
    async with database.execute("SELECT size, hash, mono, frontier FROM head") as rows:
        row = await rows.fetchone()
    head = EMPTY if row is None else Head(row[0], row[1], row[2], decode_frontier(row[0], row[3]))
    async with database.execute(
        "SELECT seq FROM entry WHERE idem IN (SELECT value FROM json_each(?))", (json.dumps([str(number)]),)
    ) as rows:
        assert await rows.fetchone() is None
    group = (Draft(TurnFinished("answered"), HOUSE, str(number), b"text"),)
    sealed = seal(Found(head, {}), [group], 1, new_salt)
    await database.executemany(
        "INSERT INTO entry (seq, leaf, hash, idem, turn, conversation, action, actor, workspace, mono, commitment)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_values(row) for row in sealed.rows],
    )
    await database.executemany(
        "INSERT INTO payload (seq, salt, body) VALUES (?, ?, ?)",
        [(row.entry.seq, row.salt, row.body) for row in sealed.rows if row.salt],
    )
    await database.executemany(
        "INSERT INTO subtree (level, number, hash) VALUES (?, ?, ?)",
        [(subtree.level, subtree.index, subtree.hash) for subtree in sealed.subtrees],
    )
    values = (sealed.head.size, sealed.head.hash, sealed.head.mono, encode_frontier(sealed.head.frontier))
    await database.execute("UPDATE head SET size = ?, hash = ?, mono = ?, frontier = ?", values)
    await database.execute("COMMIT")


def _values(row: Row) -> tuple[object, ...]:
    entry, digest = row.entry, None if row.entry.payload is None else row.entry.payload.digest
    who = entry.actor, entry.workspace, entry.mono
    return entry.seq, row.leaf, row.hash, entry.idem, entry.turn, row.conversation, entry.action.name, *who, digest
