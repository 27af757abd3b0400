"""PostgreSQL: 32 callers with group commit, beside 32 that take an advisory lock for each entry.

The peer is how a chain is usually kept in a database that many write to: each entry is a transaction of its own, which takes
``pg_advisory_xact_lock``, reads the end of the chain, inserts and commits. It writes the same rows with the same seal.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from integrations.storage.postgres import PostgresStore
from ledger.actions import ReplySent
from ledger.chain import seal
from ledger.entry import HOUSE, Draft
from ledger.roadchain import RoadChain, new_salt
from ledger.store import Found, Head
from tests.benchmarks.figures import Figure, fdatasync_samples, milliseconds, percentile
from tests.postgres import Server, database_of, running_postgres

CALLERS = 32
RUN_S = 4.0
PROCESS_CALLERS = 1000

_ENTRY = "INSERT INTO entry VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_PAYLOAD = "INSERT INTO payload VALUES ($1, $2, $3)"


def draft(key: str) -> Draft:
    return Draft(ReplySent(1, False), HOUSE, key, b"text")


async def postgres(folder: Path) -> list[Figure]:
    with running_postgres() as server:
        disk = percentile(fdatasync_samples(folder, 200), 50)
        ours, latency = await _ours(server, CALLERS)
        many, _ = await _ours(server, PROCESS_CALLERS)
        theirs = await _theirs(server)
        bare = await _bare(server)
        return [
            Figure(
                f"PostgreSQL, {CALLERS} callers: durable entries a second",
                f"{ours:,.0f}",
                f"{theirs:,.0f} with an advisory lock per entry, the same rows",
                f"{ours / theirs:.1f}",
                "50",
            ),
            Figure(
                f"The same with {PROCESS_CALLERS:,} callers",
                f"{many:,.0f}",
                f"{bare:,.0f} rows of the same size by executemany(1000), no chain",
                f"{many / bare:.2f}",
            ),
            Figure(
                f"PostgreSQL, one append among {CALLERS} callers, p50",
                milliseconds(latency),
                f"{milliseconds(disk)} one fdatasync of 4 KiB",
                f"{latency / disk:.2f}",
            ),
        ]


async def _ours(server: Server, callers: int) -> tuple[float, float]:
    """Entries a second, and the median time of one."""
    async with database_of(server) as database:
        store = await PostgresStore.open(server.url(database))
        async with RoadChain(store) as roadchain:

            async def append(key: str) -> None:
                await roadchain.append(draft(key))

            result = await _rate([append] * callers)
        await store.aclose()
        return result


async def _theirs(server: Server) -> float:
    async with database_of(server) as database:
        await (await PostgresStore.open(server.url(database))).aclose()  # for its tables
        url, settings = server.url(database), {"search_path": "carpool"}
        connections = [await asyncpg.connect(url, server_settings=settings) for _ in range(CALLERS)]
        rate, _ = await _rate([_with_a_lock(connection) for connection in connections])
        for connection in connections:
            await connection.close()
        return rate


def _with_a_lock(connection: asyncpg.Connection) -> Callable[[str], Awaitable[None]]:
    async def append(key: str) -> None:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(1)")
            end = await connection.fetchrow("SELECT seq + 1, hash, $1::bigint FROM entry ORDER BY seq DESC LIMIT 1", 1)
            found = Found(Head(*end) if end else Head(0, b"", 0), {})
            (row,) = seal(found, [(draft(key),)], 1, new_salt).rows
            entry, payload = row.entry, row.entry.payload
            assert payload is not None
            values = (entry.seq, row.leaf, row.hash, entry.idem, entry.turn, row.conversation, entry.action.name)
            beside = (entry.actor, entry.workspace, entry.mono, payload.digest)
            await connection.execute(_ENTRY, *values, *beside)
            await connection.execute(_PAYLOAD, entry.seq, row.salt, row.body)

    return append


async def _bare(server: Server) -> float:
    """Rows a second with no chain, no key and no lock: a thousand at a time, each thousand durable."""
    async with database_of(server) as database:
        connection = await asyncpg.connect(server.url(database))
        await connection.execute("CREATE TABLE bare (seq bigint PRIMARY KEY, leaf bytea NOT NULL)")
        began, rows = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < RUN_S:
            batch = [(seq, b"x" * 400) for seq in range(rows, rows + 1000)]
            await connection.executemany("INSERT INTO bare VALUES ($1, $2)", batch)
            rows += 1000
        await connection.close()
        return rows / passed


async def _rate(callers: list[Callable[[str], Awaitable[None]]]) -> tuple[float, float]:
    samples: list[float] = []
    end = time.perf_counter() + RUN_S

    async def call(number: int, append: Callable[[str], Awaitable[None]]) -> None:
        count = 0
        while (began := time.perf_counter()) < end:
            await append(f"{number}/{count}")
            samples.append(time.perf_counter() - began)
            count += 1

    began = time.perf_counter()
    await asyncio.gather(*(call(number, append) for number, append in enumerate(callers)))
    return len(samples) / (time.perf_counter() - began), percentile(samples, 50)
