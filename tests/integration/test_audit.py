"""Scenario S44: somebody changes a row behind CarPool's back while it is at work. It finds that, and only reads then."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from bot import audit as rounds
from bot.audit import Audit
from bot.config import load
from bot.opening import file_for_audit
from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from ledger import verify
from ledger.actions import LedgerCreated
from ledger.credit_actions import CreditTopup
from ledger.entry import HOUSE, Draft, Scope
from ledger.errors import StoreFailed
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from tests.postgres import TEMPLATE, Server, database_of

W = WorkspaceId("w1")
SCOPE = Scope(W, ActorId("a1"), ConversationId(""), TurnId(""))
THOUSAND = 1_000_000_000
BALANCES = {"A:stripe:clearing": THOUSAND, "L:ws:w1:paid": THOUSAND}


class Place:
    """A ledger in which a workspace has 1,000 RC, and a shell of its database."""

    def __init__(self, folder: Path, server: Server, database: str) -> None:
        self.folder = folder
        self._server = server
        self._database = database
        self._copies = 0

    async def open(self) -> SqliteStore | PostgresStore:
        if self._database:
            return await PostgresStore.open(self._server.url(self._database))
        return await SqliteStore.open(self.folder / "ledger.db")

    async def change(self, in_sqlite: str, in_postgres: str) -> None:
        if self._database:
            statements = ("SET search_path = carpool", "ALTER TABLE entry DISABLE TRIGGER ALL", in_postgres)
            await self._server.execute(*statements, database=self._database)
            return
        with closing(sqlite3.connect(self.folder / "ledger.db")) as shell:
            shell.executescript(f"DROP TRIGGER IF EXISTS entry_keeps; {in_sqlite}")

    def audit(self, store: SqliteStore | PostgresStore, roadchain: RoadChain) -> Audit:
        @contextlib.asynccontextmanager
        async def file() -> AsyncIterator[Path]:
            if isinstance(store, SqliteStore):
                yield self.folder / "ledger.db"
                return
            self._copies += 1
            await store.copy(copy := self.folder / f"copy{self._copies}.db")
            yield copy

        return Audit(roadchain, file, self.folder / "audit.lock", 0)


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, postgres: Server) -> AsyncIterator[Place]:
    if request.param == "sqlite":
        yield Place(tmp_path, postgres, "")
        return
    async with database_of(postgres, TEMPLATE) as database:
        yield Place(tmp_path, postgres, database)


async def begin(roadchain: RoadChain) -> None:
    await roadchain.append(
        Draft(LedgerCreated("carpool.local", "ab" * 16, "00" * 32), HOUSE, "ledger.created"),
        Draft(CreditTopup("stripe", THOUSAND), SCOPE, "topup"),
    )


LEAF = (
    "UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), '1000000000', '9000000000') AS BLOB) WHERE seq = 1",
    "UPDATE entry SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), '1000000000', '9000000000'), 'UTF8') WHERE seq = 1",
)
BALANCE = ("UPDATE account SET balance = 9 * balance WHERE account = 'L:ws:w1:paid'",) * 2


@pytest.mark.parametrize(
    ("changed", "fault", "paid"),
    [
        (LEAF, "RC004: entry 1: the hash is not that of the entry's bytes", THOUSAND),
        (BALANCE, "RC011: the stored balances are not those of the entries", 9 * THOUSAND),
    ],
    ids=["an entry", "a balance"],
)
async def test_after_a_row_was_changed_nothing_is_recorded_any_more(
    place: Place, changed: tuple[str, str], fault: str, paid: int
) -> None:
    store, other = await place.open(), await place.open()
    try:
        async with RoadChain(store) as roadchain, RoadChain(other) as elsewhere:
            await begin(roadchain)
            assert await place.audit(store, roadchain).look() == ""
            assert (roadchain.failure, await store.fault()) == (None, "")
            await place.change(*changed)
            found = await place.audit(store, roadchain).look()
            assert found.startswith(fault)
            for writer in (roadchain, elsewhere):
                with pytest.raises(StoreFailed) as refused:
                    await writer.append(Draft(CreditTopup("stripe", THOUSAND), SCOPE, "another"))
                assert refused.value.reason == "changed"
        assert (await store.head()).size == 2
        assert {row.account: row.natural for row in await other.balances()} == BALANCES | {"L:ws:w1:paid": paid}
    finally:
        await store.aclose()
        await other.aclose()


async def test_a_ledger_that_cannot_be_verified_just_now_is_not_taken_for_a_changed_one(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    try:
        async with RoadChain(store) as roadchain:
            missing = Audit(roadchain, lambda: nullcontext(tmp_path / "missing.db"), tmp_path / "audit.lock", 0)
            assert await missing.look() == ""
            empty = Audit(roadchain, lambda: nullcontext(tmp_path / "ledger.db"), tmp_path / "audit.lock", 0)
            assert await empty.look() == ""
            assert (await roadchain.append(Draft(CreditTopup("stripe", THOUSAND), SCOPE, "topup")))[0].fresh
    finally:
        await store.aclose()


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands in this file is run in place of the verifier."""
    program = tmp_path / "verifier.py"
    monkeypatch.setattr(verify, "__file__", str(program))
    return program


@pytest.mark.parametrize(
    "program",
    [
        "raise RuntimeError",
        "import pathlib, sys\n"
        "once = pathlib.Path(__file__).with_name('once')\n"
        "if once.exists(): sys.exit(0)\n"
        "once.touch(); print('NOT VERIFIED: RC004: entry 1: so it seemed'); sys.exit(1)",
    ],
    ids=["the verifier fails", "found once, and not again"],
)
async def test_what_is_not_found_twice_is_no_fault(tmp_path: Path, says: Path, program: str) -> None:
    says.write_text(program, encoding="utf-8")
    store = await SqliteStore.open(tmp_path / "ledger.db")
    try:
        async with RoadChain(store) as roadchain:
            audit = Audit(roadchain, lambda: nullcontext(tmp_path / "ledger.db"), tmp_path / "audit.lock", 0)
            assert await audit.look() == ""
            assert roadchain.failure is None
    finally:
        await store.aclose()


async def test_leaving_in_the_middle_of_an_audit_ends_the_verifier(
    tmp_path: Path, says: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "FIRST_AFTER_S", 0.0)
    os.mkfifo(pipe := tmp_path / "pipe")
    says.write_text(
        f"import signal\npipe = open({str(pipe)!r}, 'w')\npipe.write('begun'); pipe.flush()\nsignal.pause()"
    )
    store = await SqliteStore.open(tmp_path / "ledger.db")
    try:
        async with RoadChain(store) as roadchain:
            database = tmp_path / "ledger.db"
            async with Audit(roadchain, lambda: nullcontext(database), tmp_path / "audit.lock", 3600):
                reader = await asyncio.to_thread(pipe.open)
                assert await asyncio.to_thread(reader.read, 5) == "begun"
            # Its end of the pipe is closed with it.
            assert await asyncio.to_thread(reader.read) == ""
            reader.close()
    finally:
        await store.aclose()


async def test_a_copy_that_a_killed_process_left_is_gone_before_the_next_and_none_stays(
    tmp_path: Path, postgres: Server
) -> None:
    left = tmp_path / "audit-left"
    left.mkdir()
    (left / "roadchain.db").write_bytes(b"texts")
    async with database_of(postgres, TEMPLATE) as database:
        loaded = load(
            {"CARPOOL_DATABASE_URL": postgres.url(database), "CARPOOL_HOME": str(tmp_path)}, tmp_path, tmp_path
        )
        assert loaded.settings is not None, loaded.problems
        store = await PostgresStore.open(postgres.url(database))
        try:
            async with file_for_audit(loaded.settings, store) as copy:
                assert copy.is_file()
                assert not left.exists()
        finally:
            await store.aclose()
    assert list(tmp_path.glob("audit-*")) == []
