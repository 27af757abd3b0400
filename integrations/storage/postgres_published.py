"""What of a ledger in PostgreSQL anybody may see, read by a role that can see nothing else: hashes, entries, checkpoints.

The role is ``carpool_explorer``, which has no right on a table, only on the views of what is published: a fault in what serves
the ledger over HTTP cannot reach a text, a salt, or a turn.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from integrations.storage import postgres_schema
from integrations.storage.postgres_errors import FOREIGN, failed, unusable
from ledger.merkle import Frontier, decode_frontier

READERS_MAX = 4
AS_EXPLORER = {**postgres_schema.READING, "role": postgres_schema.EXPLORER}


class PublishedLog:
    """Fits ``bot.http.explorer.Log``. Raises ``StoreFailed`` where the server fails."""

    def __init__(self, readers: "asyncpg.Pool") -> None:
        self._readers = readers

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator[Self | None]:
        """None where the server has no such role, or does not let this user act as it. Raises ``StoreUnusable``."""
        try:
            readers = await asyncpg.create_pool(
                url,
                min_size=1,  # so that it is known now whether the role may be taken
                max_size=READERS_MAX,
                timeout=postgres_schema.CONNECT_TIMEOUT_S,
                server_settings=AS_EXPLORER,
                reset=_as_it_is,
            )
        except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError):
            yield None
            return
        except FOREIGN as error:
            raise unusable(error, url) from error
        try:
            yield cls(readers) if await _may_read(readers) else None
        finally:
            readers.terminate()  # nothing of it is waited for: it only reads

    async def leaves(self, first: int, count: int) -> tuple[bytes, ...]:
        query = "SELECT leaf FROM published_entry WHERE seq >= $1 ORDER BY seq LIMIT $2"
        return await self._column(query, first, count)

    async def subtree_hashes(self, level: int, first: int, count: int) -> tuple[bytes, ...]:
        if level == 0:
            query = "SELECT hash FROM published_entry WHERE seq >= $1 ORDER BY seq LIMIT $2"
            return await self._column(query, first, count)
        query = "SELECT hash FROM published_subtree WHERE level = $1 AND number >= $2 ORDER BY number LIMIT $3"
        return await self._column(query, level, first, count)

    async def frontier(self) -> Frontier:
        (row,) = await self._rows("SELECT size, frontier FROM published_head")
        return decode_frontier(*row)

    async def latest_checkpoint(self) -> bytes | None:
        notes = await self._column("SELECT note FROM published_checkpoint ORDER BY size DESC LIMIT 1")
        return notes[0] if notes else None

    async def _column(self, query: str, *values: int) -> tuple[bytes, ...]:
        return tuple(value for (value,) in await self._rows(query, *values))

    async def _rows(self, query: str, *values: int) -> list[Any]:
        try:
            return list(await self._readers.fetch(query, *values))
        except FOREIGN as error:
            raise failed(error) from error


async def _may_read(readers: "asyncpg.Pool") -> bool:
    """The role may stand there, made for another database of the server, without a right on the views of this one."""
    allowed: bool = await readers.fetchval("SELECT has_table_privilege('published_entry', 'SELECT')")
    return allowed


async def _as_it_is(_: postgres_schema.Connection) -> None:
    """A reader leaves nothing behind that would have to be reset."""
