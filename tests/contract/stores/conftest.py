from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.stores import AnyStore, Opens, opening


@pytest.fixture(params=["sqlite", "postgres"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path, postgres: Server) -> AsyncIterator[Opens]:
    async with opening(request.param, tmp_path, postgres) as open_:
        yield open_


@pytest.fixture
async def store(opened: Opens) -> AnyStore:
    return await opened()
