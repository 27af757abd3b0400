"""Signing while the house is open: what was appended is signed within a second, or every 256 entries, and at the end."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from bot import checkpoints as rounds
from bot.checkpoints import Checkpoints
from integrations.storage.sqlite import SqliteStore
from ledger.actions import CheckpointSigned, TurnFinished
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import HOUSE, Draft
from ledger.errors import ChainBroken, StoreFailed
from ledger.notary import CHECKPOINT_FILE, Notary
from ledger.note import Signer
from ledger.receipts import verify_receipt
from ledger.roadchain import RoadChain

SIGNER = Signer("test", b"7" * 32)
LOCK = "signing.lock"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    yield store
    await store.aclose()


async def append(roadchain: RoadChain, first: int, count: int) -> None:
    await roadchain.append(*(Draft(TurnFinished("answered"), HOUSE, str(n)) for n in range(first, first + count)))


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.01)


async def signed(store: SqliteStore) -> Checkpoint | None:
    note = await store.latest_checkpoint()
    return None if note is None else open_checkpoint(note, [SIGNER.verifier()])


async def test_what_was_appended_is_signed_within_the_second_and_the_signing_is_on_record(
    store: SqliteStore, tmp_path: Path
) -> None:
    notary = await Notary.open(store, [SIGNER], tmp_path / CHECKPOINT_FILE)
    async with RoadChain(store) as roadchain, Checkpoints(notary, roadchain, store, tmp_path / LOCK):
        await append(roadchain, 0, 3)

        async def is_told() -> bool:
            return (await store.head()).size == 4

        await until(is_told)
    checkpoint = await signed(store)
    (told,) = await store.entries(2, 10)
    assert checkpoint is not None
    assert told.entry.action == CheckpointSigned(3, checkpoint.root.hex())
    assert (tmp_path / CHECKPOINT_FILE).read_bytes() == await store.latest_checkpoint()


async def test_256_entries_do_not_wait_for_the_second(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CHECKPOINT_S", 3600)
    notary = await Notary.open(store, [SIGNER], tmp_path / CHECKPOINT_FILE)
    async with RoadChain(store) as roadchain, Checkpoints(notary, roadchain, store, tmp_path / LOCK):
        await append(roadchain, 0, 255)
        await append(roadchain, 255, 1)

        async def is_signed() -> bool:
            return await signed(store) is not None

        await until(is_signed)
    assert await signed(store)


async def test_what_is_left_is_signed_at_the_end(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CHECKPOINT_S", 3600)
    notary = await Notary.open(store, [SIGNER], tmp_path / CHECKPOINT_FILE)
    async with RoadChain(store) as roadchain, Checkpoints(notary, roadchain, store, tmp_path / LOCK):
        await append(roadchain, 0, 5)
    checkpoint = await signed(store)
    assert checkpoint is not None
    assert checkpoint.size == (await store.head()).size == 5


async def test_a_receipt_is_signed_for_when_it_is_asked_for(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CHECKPOINT_S", 3600)
    notary = await Notary.open(store, [SIGNER], tmp_path / CHECKPOINT_FILE)
    async with RoadChain(store) as roadchain, Checkpoints(notary, roadchain, store, tmp_path / LOCK) as open_:
        await append(roadchain, 0, 2)
        (recorded,) = await store.entries(0, 1)
        data = await open_.receipt(recorded)
        assert data is not None
        receipt, _ = verify_receipt(data, [SIGNER.verifier()])
        assert receipt.leaf == recorded.leaf
        with FileLock(tmp_path / LOCK):  # another process signs just now
            await append(roadchain, 2, 1)
            (last,) = await store.entries(1, 1)
            assert await open_.receipt(last) is None


async def test_a_ledger_that_was_changed_under_way_takes_no_more(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CHECKPOINT_S", 3600)
    notary = await Notary.open(store, [SIGNER], tmp_path / CHECKPOINT_FILE)
    async with RoadChain(store) as roadchain, Checkpoints(notary, roadchain, store, tmp_path / LOCK) as open_:
        await append(roadchain, 0, 3)
        (recorded,) = await store.entries(0, 1)
        assert await open_.receipt(recorded) is not None
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("DROP TRIGGER entry_keeps")
            other.execute("UPDATE entry SET hash = zeroblob(32) WHERE seq = 0")
            other.commit()
        await append(roadchain, 3, 1)
        (last,) = await store.entries(2, 1)
        assert await open_.receipt(last) is None
        with pytest.raises(StoreFailed):
            await append(roadchain, 4, 1)
        assert roadchain.failure is not None
        assert roadchain.failure.reason == "changed"


async def test_a_ledger_put_back_to_an_older_copy_is_refused_at_the_start(store: SqliteStore, tmp_path: Path) -> None:
    notary = await Notary.open(store, [SIGNER], tmp_path / CHECKPOINT_FILE)
    async with RoadChain(store) as roadchain, Checkpoints(notary, roadchain, store, tmp_path / LOCK):
        await append(roadchain, 0, 3)
    older = await SqliteStore.open(tmp_path / "older.db")
    try:
        with pytest.raises(ChainBroken, match="RC011: the ledger has 0 entries, and 3"):
            await Notary.open(older, [SIGNER], tmp_path / CHECKPOINT_FILE)
    finally:
        await older.aclose()
