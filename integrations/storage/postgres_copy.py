"""A copy of a ledger in PostgreSQL as a SQLite file, as it was at one moment: what the verifier reads.

The rows are copied as they are, and nothing is worked out anew: what is wrong in the one is wrong in the other.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from integrations.storage import sqlite_schema
from integrations.storage.postgres_schema import Connection

ROWS_AT_ONCE = 2000

TABLES = {
    "entry": (
        "seq",
        "leaf",
        "hash",
        "idem",
        "turn",
        "conversation",
        "action",
        "actor",
        "workspace",
        "mono",
        "commitment",
        "began",
    ),
    "payload": ("seq", "salt", "body"),
    "head": ("one", "size", "hash", "mono", "frontier"),
    "subtree": ("level", "number", "hash"),
    "checkpoint": ("size", "root", "note"),
    "posting": ("seq", "n", "account", "currency", "amount"),
    "account": ("account", "currency", "workspace", "owner", "balance", "expires_us"),
    "hold": ("hold", "workspace", "state", "drawn", "expected", "charged", "counters"),
    "counter": ("workspace", "subject", "period", "amount"),
    "turn": ("turn", "seq", "workspace", "actor", "conversation", "platform", "kind", "state"),
    "conversation": ("conversation", "workspace", "platform", "first_seq", "last_seq", "turns", "pinned_model"),
    "setting": ("workspace", "name", "item", "conversation", "person", "value"),
}
"""Every table of a ledger; of a turn not what is work in hand."""


async def copy(connection: Connection, path: Path) -> None:
    """``path`` is a new file, which only its owner may read: it holds the texts too."""
    with closing(sqlite_schema.connect(path)) as file:
        await asyncio.to_thread(sqlite_schema.prepare, file, path)
        file.execute("BEGIN")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for table, columns in TABLES.items():
                await _copy_table(connection, file, table, columns)
        await asyncio.to_thread(file.execute, "COMMIT")


async def _copy_table(connection: Connection, file: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608  # all of it stands in this file
    if table == "head":
        file.execute("DELETE FROM head")  # a new file has one already
    rows = await connection.cursor(f"SELECT {names} FROM {table} ORDER BY 1")  # noqa: S608  # as above
    while page := await rows.fetch(ROWS_AT_ONCE):
        await asyncio.to_thread(_write, file, insert, page)


def _write(file: sqlite3.Connection, insert: str, page: Sequence[Any]) -> None:
    file.executemany(insert, [tuple(row) for row in page])
