"""The stores that each contract is tried on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.store import Store


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    yield store
    await store.aclose()
