"""Durable appends by many callers at once, and what the same disk and database take for less."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ledger.actions import ReplySent
from ledger.book import Wanted
from ledger.chain import seal
from ledger.credit_actions import CreditReserved, CreditSettled, CreditTopup
from ledger.entry import Draft, Scope
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain, clock_us, new_salt
from ledger.store import EMPTY, Found, Sealed, Store
from tests.benchmarks.logs import turn

MANY = 1000
RUN_S = 4.0
LEAF_BYTES = 450
GROUPS = 30
PAIRS = 20

_numbers = count(10**9)
"""Of turns that stand in no ledger yet."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Entries a second, and the seconds that each append took."""

    a_second: float
    samples: list[float]


async def rate(store: Store, callers: int) -> Rate:
    """Each caller records turns, entry by entry, and each entry is on disk before its next."""
    end = time.perf_counter() + RUN_S
    samples: list[float] = []
    async with RoadChain(store) as roadchain:

        async def call() -> None:
            while time.perf_counter() < end:
                for draft in turn(next(_numbers)):
                    began = time.perf_counter()
                    await roadchain.append(draft)
                    samples.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        return Rate(len(samples) / (time.perf_counter() - began), samples)


async def single_appends(store: Store, calls: Sequence[Sequence[Draft]]) -> Rate:
    """Each caller records its drafts one after the other."""
    samples: list[float] = []
    async with RoadChain(store) as roadchain:

        async def call(drafts: Sequence[Draft]) -> None:
            for draft in drafts:
                began = time.perf_counter()
                await roadchain.append(draft)
                samples.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(call(drafts) for drafts in calls))
        return Rate(len(samples) / (time.perf_counter() - began), samples)


def bare_rate(path: Path) -> float:
    """Rows a second in SQLite: a thousand at a time, each thousand durable, and nothing but the rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE bare (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT")
        began, rows = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < RUN_S:
            database.execute("BEGIN IMMEDIATE")
            batch = [(seq, b"x" * LEAF_BYTES) for seq in range(rows, rows + MANY)]
            database.executemany("INSERT INTO bare VALUES (?, ?)", batch)
            database.execute("COMMIT")
            rows += MANY
        return rows / passed


async def ready_made_rate(store: Store) -> float:
    """Rows a second of entries that were sealed beforehand, in groups of about a thousand: what the store alone takes."""
    head, groups = EMPTY, list[Sealed]()
    for _ in range(GROUPS):
        drafts = [(draft,) for _ in range(MANY // 7) for draft in turn(next(_numbers))]
        groups.append(seal(Found(head, {}), drafts, clock_us(), new_salt))
        head = groups[-1].head
    began = time.perf_counter()
    for sealed in groups:
        await store.commit(Wanted(()), lambda found: sealed)  # noqa: B023  # awaited here
    return head.size / (time.perf_counter() - began)


def unpaid_calls(callers: int) -> list[list[Draft]]:
    return [
        [Draft(ReplySent(1, False), _caller(caller), f"plain/{caller}/{n}") for n in range(2 * PAIRS)]
        for caller in range(callers)
    ]


async def paid_calls(store: Store, callers: int) -> list[list[Draft]]:
    """As many reserves and settlements, in ten workspaces that have credit enough."""
    async with RoadChain(store) as roadchain:
        for workspace in {_caller(caller).workspace: _caller(caller) for caller in range(callers)}.values():
            await roadchain.append(Draft(CreditTopup("stripe", 10**9), workspace, f"topup/{workspace.workspace}"))
    return [
        [draft for n in range(PAIRS) for draft in _pair(_caller(caller), f"{caller}/{n}")] for caller in range(callers)
    ]


def _pair(scope: Scope, hold: str) -> tuple[Draft, Draft]:
    return (
        Draft(CreditReserved(hold, 2_000, 900, "openai", "gpt-5-mini"), scope, f"reserve/{hold}"),
        Draft(CreditSettled(hold, 800, "openai", 600), scope, f"settle/{hold}"),
    )


def _caller(caller: int) -> Scope:
    workspace = WorkspaceId(f"w-{caller % 10:016}")
    return Scope(workspace, ActorId(f"a-{caller:016}"), ConversationId(f"c-{caller:016}"), TurnId(f"t-{caller:016}"))
