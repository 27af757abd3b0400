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
from bot.opening import BESIDE, file_for_audit
from integrations.storage import beside
from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from ledger import verify
from ledger.actions import Action, LedgerCreated, SettingChanged
from ledger.credit_actions import CreditGranted, CreditReserved, CreditSettled, CreditTopup, CreditVoided, Limit
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

    async def file(self, store: SqliteStore | PostgresStore) -> Path:
        if isinstance(store, SqliteStore):
            return self.folder / "ledger.db"
        self._copies += 1
        await store.copy(copy := self.folder / f"copy{self._copies}.db")
        return copy

    def audit(self, store: SqliteStore | PostgresStore, roadchain: RoadChain) -> Audit:
        @contextlib.asynccontextmanager
        async def file() -> AsyncIterator[Path]:
            yield await self.file(store)

        return Audit(roadchain, file, self.folder / "audit.lock", 0, (BESIDE,))


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


BESIDE_ENTRIES = {
    "account": "UPDATE account SET expires_us = NULL WHERE account LIKE '%promo%'",
    "hold": "UPDATE hold SET expected = 0, drawn = '[]' WHERE hold = 'open'",
    "counter": "UPDATE counter SET amount = 0",
    "setting": "UPDATE setting SET value = 'billing_admin' WHERE name = 'role'",
}


async def test_what_is_changed_beside_the_entries_is_found_as_well_and_nothing_where_all_is_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "ENTRIES_AT_ONCE", 2)
    store = await place.open()
    try:
        async with RoadChain(store) as roadchain:
            await begin(roadchain)
            limits = (Limit("a1", "2026-11-24", 1000),)
            actions: tuple[Action, ...] = (
                CreditGranted("g", 1000, 2**50),
                CreditReserved("settled", 500, 500, "openai", "m", limits=limits),
                CreditReserved("voided", 300, 300, "openai", "m", limits=limits),
                SettingChanged("role", "member", ConversationId(""), ActorId("a1")),
                SettingChanged("role", "admin", ConversationId(""), ActorId("a2")),
                CreditReserved("open", 200, 200, "openai", "m", limits=limits),
                CreditSettled("settled", 400, "openai", 300),
                CreditVoided("voided", "openai"),
                SettingChanged("role", "", ConversationId(""), ActorId("a2")),
            )
            for number, action in enumerate(actions):
                await roadchain.append(Draft(action, SCOPE, f"d{number}"))
            audit = place.audit(store, roadchain)
            assert await audit.look() == ""
            assert beside.what_differs(await place.file(store)) == ""
            for table, edit in BESIDE_ENTRIES.items():
                await place.change(edit, edit)
                assert beside.what_differs(await place.file(store)) == table
                await store.replay()
            await place.change(*(BESIDE_ENTRIES["setting"],) * 2)
            found = await audit.look()
            assert found.startswith("RC011: what stands in `setting` is not what the entries come to: ")
            assert roadchain.failure is not None
    finally:
        await store.aclose()


@pytest.mark.parametrize("edit", ["PRAGMA application_id = 0", "PRAGMA user_version = 99"])
async def test_a_file_that_says_it_is_no_ledger_any_more_is_taken_for_a_changed_one(tmp_path: Path, edit: str) -> None:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    try:
        async with RoadChain(store) as roadchain:
            await begin(roadchain)
            with closing(sqlite3.connect(tmp_path / "ledger.db")) as shell:
                shell.executescript(f"DROP TRIGGER IF EXISTS entry_keeps; {LEAF[0]}; {edit};")
            audit = Audit(roadchain, lambda: nullcontext(tmp_path / "ledger.db"), tmp_path / "audit.lock", 0)
            assert (await audit.look()).startswith("RC011: the file says that it is no ledger")
    finally:
        await store.aclose()


async def test_a_verifier_that_fails_at_three_looks_in_a_row_is_an_alarm(
    tmp_path: Path, says: Path, caplog: pytest.LogCaptureFixture
) -> None:
    says.write_text("raise RuntimeError", encoding="utf-8")
    store = await SqliteStore.open(tmp_path / "ledger.db")
    try:
        async with RoadChain(store) as roadchain:
            audit = Audit(roadchain, lambda: nullcontext(tmp_path / "ledger.db"), tmp_path / "audit.lock", 0)
            for _ in range(rounds.FAILED_MAX):
                assert await audit.look() == ""
    finally:
        await store.aclose()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR"]


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
