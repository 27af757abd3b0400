"""A database that is put back to an older copy: found out by the checkpoint beside it, and by nothing inside of the file."""

import asyncio
import shutil
from pathlib import Path

import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.errors import ChainBroken
from ledger.notary import Notary
from ledger.verify import verify_database
from tests.faults.exporter import SIGNER
from tests.faults.writers import write


async def grow(path: Path, first: int, count: int) -> None:
    await write(path, first, count, lambda number: None, "awaits")


async def sign(home: Path) -> bytes | None:
    store = await SqliteStore.open(home / "x.db")
    try:
        return await (await Notary.open(store, [SIGNER], home / "checkpoint")).sign()
    finally:
        await store.aclose()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Signed, backed up, grown and signed again; then the backup is put back in the database's place."""

    async def made() -> None:
        await grow(tmp_path / "x.db", 0, 10)
        assert await sign(tmp_path)
        shutil.copy(tmp_path / "x.db", tmp_path / "backup.db")
        await grow(tmp_path / "x.db", 10, 10)
        assert await sign(tmp_path)

    asyncio.run(made())
    shutil.copy(tmp_path / "backup.db", tmp_path / "x.db")
    return tmp_path


async def test_a_database_that_was_put_back_is_refused(home: Path) -> None:
    with pytest.raises(ChainBroken, match=r"RC011: .* put back to an older copy"):
        await sign(home)


async def test_a_database_that_was_put_back_and_grew_another_way_is_refused(home: Path) -> None:
    await grow(home / "x.db", 100, 30)
    with pytest.raises(ChainBroken, match=r"RC011: .* the ledger was changed"):
        await sign(home)


async def test_a_database_that_was_put_back_together_with_its_checkpoint_is_not_noticed(home: Path) -> None:
    """The control, and a limit that is said and not hidden: whoever can put both back takes the newest entries away, and only
    a witness, or a receipt in somebody's hands, shows it."""
    (home / "checkpoint").unlink()
    assert await sign(home) is None
    await grow(home / "x.db", 100, 10)
    assert await sign(home)
    assert verify_database(home / "x.db").size > 10
