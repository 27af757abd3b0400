"""Each store that there is, for the tests of what all of them promise."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from tests.postgres import TEMPLATE, Server, database_of

Kind = Literal["sqlite", "postgres"]
AnyStore: TypeAlias = SqliteStore | PostgresStore
Opens: TypeAlias = Callable[[], Awaitable[AnyStore]]
"""Opens the same ledger again and again, as several processes do."""


@asynccontextmanager
async def opening(kind: Kind, folder: Path, server: Server) -> AsyncIterator[Opens]:
    """An empty ledger of that kind. Its stores are closed at the end of the block."""
    async with AsyncExitStack() as stack:
        url = server.url(await stack.enter_async_context(database_of(server, TEMPLATE))) if kind == "postgres" else ""

        async def open_() -> AnyStore:
            store = await (PostgresStore.open(url) if url else SqliteStore.open(folder / "ledger.db"))
            stack.push_async_callback(store.aclose)
            return store

        yield open_
