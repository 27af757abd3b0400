"""Files that are not as they should be: refused with a sentence, and left byte for byte as they were."""

import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from integrations.storage import sqlite_schema
from integrations.storage.sqlite import SqliteStore
from ledger import verify
from ledger.actions import TurnFinished
from ledger.entry import HOUSE, Draft
from ledger.errors import StoreFailed, StoreUnusable
from ledger.pseudonyms import TurnId
from ledger.roadchain import RoadChain
from ledger.verify import verify_database
from tests.benchmarks.logs import fill, turn


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


# The schema before texts and the entries of a turn were kept by the number of an entry, made of the one after it.
MORE = 2
"""A log may be longer than its limit by what is added before it can be cut: under load, by some batches."""

_OLDER = """
ALTER TABLE head DROP COLUMN fault;
DROP INDEX entry_plan;
DROP INDEX entry_began;
DROP INDEX entry_unopened;
ALTER TABLE entry DROP COLUMN began;
CREATE INDEX entry_turn ON entry (turn, seq) WHERE turn <> '';
CREATE TABLE old (commitment TEXT PRIMARY KEY, salt BLOB NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO old SELECT commitment, salt, body FROM payload JOIN entry USING (seq);
DROP TABLE payload;
ALTER TABLE old RENAME TO payload;
PRAGMA user_version = 3;
"""


async def test_an_older_file_is_verified_as_it_is_and_carried_over_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store = await SqliteStore.open(path)
    await fill(store, 300)
    async with RoadChain(store) as roadchain:
        await roadchain.append(Draft(TurnFinished("answered"), replace(turn(1)[0].scope, turn=TurnId("unopened")), "u"))
    entries, of_turn = await store.entries(-1, 400), await store.entries_of(turn(1)[0].scope.turn)
    await store.aclose()
    new = verify_database(path)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_OLDER)
    assert verify_database(path) == new
    with closing(sqlite3.connect(path)) as database:
        verify._lay_out(database)
        assert verify._verify(database) == new
    store = await SqliteStore.open(path)
    assert await store.entries(-1, 400) == entries
    assert await store.entries_of(turn(1)[0].scope.turn) == of_turn
    assert [recorded.entry.idem for recorded in await store.entries_of(TurnId("unopened"))] == ["u"]
    await store.aclose()
    assert verify_database(path) == new
    await refuses_changes(path)


async def refuses_changes(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        with pytest.raises(sqlite3.IntegrityError, match="RC011"):
            database.execute("UPDATE entry SET began = 1 WHERE seq = 1")


async def test_the_log_stays_short_while_others_read_and_is_cut_again_after_one_that_read_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_schema, "LOG_PAGES", 200)
    limit, path = 200 * sqlite_schema.PAGE_BYTES, tmp_path / "x.db"
    writer, reader = await SqliteStore.open(path), await SqliteStore.open(path)
    numbers = count()

    async def longest(batches: int) -> int:
        """The log's bytes at the most, with a reader at work on each batch."""
        lengths: list[int] = []
        for _ in range(batches):
            group = [draft(f"{next(numbers)}", os.urandom(2_000)) for _ in range(20)]
            await asyncio.gather(roadchain.append(*group), reader.entries(-1, 50), writer.entries(-1, 50))
            lengths.append((tmp_path / "x.db-wal").stat().st_size)
        return max(lengths)

    async with RoadChain(writer) as roadchain:
        assert limit < await longest(100) < limit * MORE, "a batch may still be added to a log that is full"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM head").fetchone()
            assert await longest(100) > 3 * limit, "the control: it has to be kept for the one who reads"
        await longest(20)
        assert await longest(1) < limit * MORE
    await writer.aclose()
    await reader.aclose()
