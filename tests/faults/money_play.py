"""Plays random movements on a real store and on the model, and holds the one against the other."""

import asyncio
import json
import sqlite3
from collections import Counter as Tally
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from integrations.storage.sqlite import SqliteStore
from ledger.book import Counter, HoldId
from ledger.entry import Draft
from ledger.errors import LedgerError
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from ledger.verify import verify_database
from tests.faults.money_model import Model
from tests.faults.money_moves import GENESIS, LIMITS, WORKSPACES, Moves

PROJECTIONS = (
    "SELECT account, currency, workspace, owner, balance, expires_us FROM account ORDER BY 1, 2",
    "SELECT * FROM hold ORDER BY 1",
    "SELECT * FROM counter ORDER BY 1, 2, 3",
)


def projections(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as database:
        return [database.execute(query).fetchall() for query in PROJECTIONS]


def keys_at(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [key for (key,) in database.execute("SELECT idem FROM entry ORDER BY seq")]


def check_entries(path: Path, model: Model) -> None:
    """From the bytes of the entries alone."""
    folded: Tally[tuple[str, str]] = Tally()
    with closing(sqlite3.connect(path)) as database:
        leaves = [json.loads(leaf) for (leaf,) in database.execute("SELECT leaf FROM entry ORDER BY seq")]
    assert [leaf["idem"] for leaf in leaves] == [draft.idem for draft in model.drafts]
    for leaf in leaves:
        sums: Tally[str] = Tally()
        for posting in leaf["postings"]:
            sums[posting["currency"]] += int(posting["amount"])
            folded[posting["account"], posting["currency"]] += int(posting["amount"])
        assert not any(sums.values()), leaf
    assert {purse: amount for purse, amount in folded.items() if amount} == nonzero(model)


def nonzero(model: Model) -> dict[tuple[str, str], int]:
    return {purse: amount for purse, amount in model.balances.items() if amount}


async def check(store: SqliteStore, model: Model) -> None:
    rows = await store.balances()
    assert {(row.account, row.currency): row.balance for row in rows if row.balance} == nonzero(model)
    sums: Tally[str] = Tally()
    for row in rows:
        sums[row.currency] += row.balance
        assert ":ws:" not in row.account or row.natural >= 0
    assert not any(sums.values())
    for name, kept in model.holds.items():
        hold = await store.hold(HoldId(name))
        assert hold is not None
        assert (hold.state, hold.charged, hold.workspace) == (kept.state, kept.charged, kept.workspace)
    for workspace in WORKSPACES:
        assert model.worth(f"L:ws:{workspace}:held") == model.held(workspace)
        for limit in LIMITS:
            counter = Counter(WorkspaceId(workspace), limit.subject, limit.period)
            assert await store.spent(counter) == model.spent((workspace, limit.subject, limit.period))


async def record(roadchain: RoadChain, model: Model, batch: Sequence[tuple[Draft, ...]], now_us: int) -> None:
    outcomes = await asyncio.gather(*(roadchain.append(*group) for group in batch), return_exceptions=True)
    for group, outcome in zip(batch, outcomes, strict=True):
        refused = model.record(group, now_us)
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, LedgerError), outcome
            assert outcome.code == refused, (group, outcome)
        else:
            assert refused is None, (group, refused)


async def check_all(store: SqliteStore, path: Path, model: Model) -> None:
    """All that has to hold; a replay too, which leaves the projections as they were."""
    await check(store, model)
    check_entries(path, model)
    before = projections(path)
    await store.replay()
    assert projections(path) == before


async def begin(path: Path, model: Model) -> None:
    store = await SqliteStore.open(path)
    async with RoadChain(store, clock=lambda: 1) as roadchain:
        await record(roadchain, model, [(GENESIS,)], 1)
    await store.aclose()


async def play(path: Path, random: Random, steps: int) -> None:
    """Step by step, each held against the model; now and then the store is closed, and opened again."""
    model, moves = Model(), Moves(random)
    await begin(path, model)
    store = await SqliteStore.open(path)
    try:
        for _ in range(steps):
            now_us = moves.tick()
            async with RoadChain(store, clock=lambda: now_us) as roadchain:  # noqa: B023  # it ends with this step
                await record(roadchain, model, moves.batch(model), now_us)
            await check_all(store, path, model)
            if random.randrange(6) == 0:
                await store.aclose()
                store = await SqliteStore.open(path)
    finally:
        await store.aclose()
    await recover(path, model, moves)


async def recover(path: Path, model: Model, moves: Moves) -> None:
    """What a start does: the calls that were under way are voided. Then nothing is held, and all is as it should be."""
    store = await SqliteStore.open(path)
    try:
        async with RoadChain(store, clock=lambda: moves.now_us) as roadchain:
            await record(roadchain, model, moves.recovery(model.open_holds()), moves.now_us)
        await check_all(store, path, model)
    finally:
        await store.aclose()
    assert not any(model.worth(f"L:ws:{workspace}:held") for workspace in WORKSPACES)
    verify_database(path)
