"""Files that are not as they should be: refused with a sentence, and left byte for byte as they were."""

import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.actions import TurnFinished
from ledger.entry import HOUSE, Draft
from ledger.errors import StoreFailed, StoreUnusable
from ledger.roadchain import RoadChain


def draft(idem: str, payload: bytes | None = None) -> Draft:
    return Draft(TurnFinished("answered"), HOUSE, idem, payload)


async def ledger_at(path: Path, entries: int = 3) -> None:
    store = await SqliteStore.open(path)
    async with RoadChain(store) as roadchain:
        for number in range(entries):
            await roadchain.append(draft(str(number), b"text"))
    await store.aclose()


async def refused(path: Path, what: str) -> StoreUnusable:
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=what) as caught:
        await SqliteStore.open(path)
    assert path.read_bytes() == before
    assert caught.value.remedy
    return caught.value


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"Dear diary, " * 1_000)
    assert "move it away" in (await refused(path, "not a database")).remedy


async def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE shopping (what)")
        database.commit()
    await refused(path, "of another program")


async def test_a_database_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    await ledger_at(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    await refused(path, "newer CarPool")


async def test_a_damaged_database_is_refused_or_fails_at_the_first_read(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    await ledger_at(path, 200)
    data = bytearray(path.read_bytes())
    for place in range(4_096, len(data)):
        data[place] = 0x5A
    path.write_bytes(data)
    with pytest.raises((StoreUnusable, StoreFailed)):
        store = await SqliteStore.open(path)
        try:
            await store.entries(-1, 1_000)
        finally:
            await store.aclose()


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    with pytest.raises(StoreUnusable, match="cannot be opened"):
        await SqliteStore.open(tmp_path / "x.db")


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    await ledger_at(tmp_path / "x.db")
    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "statement", ["UPDATE entry SET leaf = x'00' WHERE seq = 1", "DELETE FROM entry WHERE seq = 1", "DELETE FROM entry"]
)
async def test_an_entry_cannot_be_changed_or_removed_through_sql(tmp_path: Path, statement: str) -> None:
    await ledger_at(tmp_path / "x.db")
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        with pytest.raises(sqlite3.IntegrityError, match="RC011"):
            database.execute(statement)


async def test_a_full_disk_fails_the_append_and_what_stood_stands(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    await ledger_at(path)
    store = await SqliteStore.open(path)
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    async with RoadChain(store) as roadchain:
        with pytest.raises(StoreFailed) as caught:
            await roadchain.append(draft("big", os.urandom(200_000)))
        assert caught.value.reason == "disk_full"
        with pytest.raises(StoreFailed, match="until a restart"):
            await roadchain.append(draft("small"))
    await store.aclose()
    again = await SqliteStore.open(path)
    async with RoadChain(again) as roadchain:
        assert (await roadchain.append(draft("small")))[0].seq == 3
    await again.aclose()


async def test_a_database_that_another_program_holds_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.db"
    await ledger_at(path)
    monkeypatch.setattr("integrations.storage.sqlite_schema.BUSY_TIMEOUT_S", 0.01)
    store = await SqliteStore.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with RoadChain(store) as roadchain:
            with pytest.raises(StoreFailed) as caught:
                await roadchain.append(draft("x"))
        other.execute("ROLLBACK")
    assert caught.value.reason == "busy"
    await store.aclose()


async def test_two_openings_of_a_new_file_at_once_make_one_schema(tmp_path: Path) -> None:
    stores = await asyncio.gather(*(SqliteStore.open(tmp_path / "x.db") for _ in range(8)))
    for store in stores:
        assert (await store.head()).size == 0
        await store.aclose()
