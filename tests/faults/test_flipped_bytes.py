"""Bytes of the database's file are flipped, or it is cut off: the verifier says no, or it changed nothing that counts.

What counts is the bytes of every entry, its hash, and the columns that repeat what its bytes say, every text and its salt, and
the row of the end. A flip may pass for whole only where all of those are read as they were: in a free page, in the space between
rows, in an index that the reading needs not. It may pass, too, in the column ``conversation`` beside an entry whose bytes name
none. Nothing but a refusal comes of it: no crash of the store.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.errors import LedgerError, StoreError
from ledger.verify import Incomplete, NotALedger, NotVerified, verify_database
from tests.faults.writers import write

FLIPS = 400
CUTS = 40
STARTS = 25
Rows = list[list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "x.db"
    asyncio.run(write(path, 0, 8, lambda number: None, "awaits"))
    return path.read_bytes()


@contextmanager
def changed(path: Path, data: bytes, place: int, bit: int) -> Iterator[None]:
    """The file with one bit flipped, for as long as the block runs."""
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([data[place] ^ 1 << bit]))
    yield
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data[place : place + 1])


def what_counts(path: Path) -> Rows:
    queries = (
        "SELECT seq, leaf, hash, idem, turn, action, actor, workspace, mono, commitment,"
        " iif(action = 'message.received', conversation, '') FROM entry NOT INDEXED ORDER BY seq",
        "SELECT * FROM payload ORDER BY seq",
        "SELECT * FROM head",
    )
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return [database.execute(query).fetchall() for query in queries]


def says_no(path: Path, rows: Rows) -> bool:
    try:
        verify_database(path)
    except (NotVerified, NotALedger, Incomplete):
        return True
    assert what_counts(path) == rows
    return False


async def start(path: Path) -> bool:
    """Whether the store opens it and reads all of it. Whatever it cannot read, it refuses as a store does."""
    try:
        store = await SqliteStore.open(path)
    except StoreError:
        return False
    try:
        await store.entries(-1, 1_000)
        await store.balances()
        return True
    except (StoreError, LedgerError):
        return False
    finally:
        await store.aclose()


def test_a_flipped_bit_is_found_or_changes_nothing_that_counts(small: bytes, tmp_path: Path) -> None:
    path, random = tmp_path / "x.db", Random(1)
    path.write_bytes(small)
    rows, found = what_counts(path), 0
    for place in random.sample(range(len(small)), FLIPS):
        with changed(path, small, place, random.randrange(8)):
            found += says_no(path, rows)
    assert not says_no(path, rows)
    assert 0 < found < FLIPS


def test_each_flipped_byte_of_an_entry_its_hash_and_its_text_is_found(small: bytes, tmp_path: Path) -> None:
    path, random = tmp_path / "x.db", Random(2)
    path.write_bytes(small)
    rows = what_counts(path)
    leaf, digest = rows[0][3][1:3]
    text = next(
        salt + body for _, salt, body in rows[1] if isinstance(salt, bytes) and isinstance(body, bytes) and body
    )
    for value in (leaf, digest, text):
        assert isinstance(value, bytes)
        first = small.find(value)
        assert first > 0
        assert small.find(value, first + 1) < 0
        for place in range(first, first + len(value)):
            with changed(path, small, place, random.randrange(8)):
                assert says_no(path, rows)


def test_a_file_that_is_cut_off_is_found_or_has_lost_nothing_that_counts(small: bytes, tmp_path: Path) -> None:
    path, random = tmp_path / "x.db", Random(3)
    path.write_bytes(small)
    rows, found = what_counts(path), 0
    sizes = [0, 1, 99, 100, 4_096, len(small) - 1, *random.sample(range(len(small)), CUTS)]
    for size in sizes:
        path.write_bytes(small[:size])
        found += says_no(path, rows)
    assert found > len(sizes) // 2


def test_a_store_refuses_a_damaged_file_and_does_not_crash(small: bytes, tmp_path: Path) -> None:
    random, opened = Random(4), 0
    for number in range(STARTS):
        path = tmp_path / f"{number}.db"
        data = bytearray(small)
        for place in random.sample(range(len(small)), 300):
            data[place] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        opened += asyncio.run(start(path))
    assert opened < STARTS
