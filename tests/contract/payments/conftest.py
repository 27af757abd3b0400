"""A till for each store that there is."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest

from tests.payments import Till, open_till
from tests.postgres import Server
from tests.stores import Kind, opening


@pytest.fixture(params=["sqlite", "postgres"])
async def till(request: pytest.FixtureRequest, tmp_path: Path, postgres: Server) -> AsyncIterator[Till]:
    async with AsyncExitStack() as stack:
        opens = await stack.enter_async_context(opening(cast(Kind, request.param), tmp_path, postgres))
        yield await stack.enter_async_context(open_till(await opens()))
