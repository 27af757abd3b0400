"""Two processes give back the same credit: the locks keep one of them out. Each lock removed in turn is found out.

No chance and no clock: the second process tries in the middle of the first one's batch, after what that read and before what it
writes, and does not wait for a lock. The cashier itself has no lock: what it does twice has one key.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integrations.storage import postgres_batch, sqlite
from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from integrations.storage.sqlite_schema import transaction
from ledger.book import Wanted
from ledger.credit_actions import CreditTopup, RefundHeld
from ledger.entry import Draft
from ledger.errors import InsufficientBalance, StoreFailed
from ledger.money import URC_PER_RC
from ledger.roadchain import RoadChain
from ledger.store import Seal, Sealed
from tests.payments import W, scope
from tests.postgres import TEMPLATE, Server, database_of
from tests.stores import AnyStore, Kind

STEP_S = 60


def held(number: int) -> Draft:
    return Draft(RefundHeld(700 * URC_PER_RC), scope(), f"hold-{number}")


class Second(threading.Thread):
    """Another process, as far as the ledger can tell: a loop and a store of its own, which waits for no lock."""

    def __init__(self, open_: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._open = open_
        self.ready, self._go, self.tried = threading.Event(), threading.Event(), threading.Event()
        self.outcome = ""

    def run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        store: AnyStore = await self._open()
        if isinstance(store, SqliteStore):
            store._writer.execute("PRAGMA busy_timeout = 0")
        else:
            await store._writer.execute("SET lock_timeout = 1")
        try:
            async with RoadChain(store) as roadchain:
                self.ready.set()
                await asyncio.to_thread(self._go.wait, STEP_S)
                try:
                    await roadchain.append(held(2))
                    self.outcome = "recorded"
                except StoreFailed:
                    self.outcome = "kept out"
                self.tried.set()
        finally:
            await store.aclose()

    def try_now(self) -> None:
        self._go.set()
        assert self.tried.wait(STEP_S)


class Interrupted:
    """A store in whose next batch something happens, after what it reads and before what it writes."""

    def __init__(self, store: AnyStore) -> None:
        self._store = store
        self.meanwhile: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        def sealed(found: Any) -> Sealed:
            made = seal(found)
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            return made

        return await self._store.commit(wanted, sealed)


@asynccontextmanager
async def a_ledger(kind: Kind, folder: Path, server: Server) -> AsyncIterator[Callable[[], Any]]:
    if kind == "sqlite":
        yield partial(SqliteStore.open, folder / "ledger.db")
        return
    async with database_of(server, TEMPLATE) as name:
        yield partial(PostgresStore.open, server.url(name))


async def refund_twice_at_once(kind: Kind, folder: Path, server: Server) -> None:
    """1000 RC are there, and two processes hold 700 of it for a refund."""
    async with a_ledger(kind, folder, server) as open_:
        store: AnyStore = await open_()
        between = Interrupted(store)
        try:
            async with RoadChain(between) as first:
                await first.append(Draft(CreditTopup("stripe", 1000 * URC_PER_RC), scope(), "topup"))
                second = Second(open_)
                second.start()
                await asyncio.to_thread(second.ready.wait, STEP_S)
                between.meanwhile = second.try_now
                try:
                    await first.append(held(1))
                finally:
                    await asyncio.to_thread(second.join, STEP_S)
                assert second.outcome == "kept out"
                with pytest.raises(InsufficientBalance):
                    await first.append(held(2))
            rows = {str(row.account): row.natural for row in await store.balances()}
            assert rows[f"L:ws:{W}:refund_hold"] == 700 * URC_PER_RC
            await store.replay()
            assert {str(row.account): row.natural for row in await store.balances()} == rows
        finally:
            await store.aclose()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_process_in_the_middle_of_a_batch_keeps_the_others_out(
    kind: Kind, tmp_path: Path, postgres: Server
) -> None:
    await refund_twice_at_once(kind, tmp_path, postgres)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_without_the_lock_of_a_batch_two_processes_are_found_out(
    kind: Kind, tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: SQLite's transaction begins without the write lock, PostgreSQL's does not lock the head's row."""
    if kind == "sqlite":
        monkeypatch.setattr(sqlite, "transaction", partial(transaction, kind="DEFERRED"))
    else:
        monkeypatch.setattr(postgres_batch, "_LOCK_HEAD", "BEGIN; SELECT 1 FROM head")
    with pytest.raises((AssertionError, StoreFailed)):
        await refund_twice_at_once(kind, tmp_path, postgres)


async def said_in_a_batch(store: PostgresStore) -> list[str]:
    """What comes while a batch is in its middle, and then its end."""
    said: list[str] = []
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def batch() -> None:
        begun.set()
        await goes_on.wait()
        said.append("batch")

    async def another() -> None:
        said.append("another")

    first = asyncio.create_task(store._write(batch))
    await begun.wait()
    second = asyncio.create_task(store._write(another))
    for _ in range(20):  # turns of the loop, more than it takes to begin
        await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(first, second)
    return said


async def test_nothing_is_said_to_postgresql_in_the_middle_of_a_batch(postgres: Server) -> None:
    """One session writes, and is one conversation. The control has no lock around it."""
    async with database_of(postgres, TEMPLATE) as name:
        store = await PostgresStore.open(postgres.url(name))
        try:
            assert await said_in_a_batch(store) == ["batch", "another"]
            store._turn_to_write = contextlib.nullcontext()  # type: ignore[assignment]  # the mutant
            assert await said_in_a_batch(store) == ["another", "batch"]
        finally:
            await store.aclose()
