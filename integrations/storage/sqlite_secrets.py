"""Sealed secrets in SQLite. A row that is deleted is overwritten (``secure_delete``)."""

import json
import sqlite3
from collections.abc import Sequence

from integrations.secrets import SealedSecret
from integrations.storage.sqlite_schema import transaction

_ALL = "SELECT owner, name, sealed FROM secret ORDER BY owner, name"
_OF_OWNERS = (
    "SELECT owner, name, sealed FROM secret WHERE owner IN (SELECT value FROM json_each(?)) ORDER BY owner, name"
)


def keep(database: sqlite3.Connection, secrets: Sequence[SealedSecret]) -> None:
    with transaction(database):
        database.executemany(
            "INSERT OR REPLACE INTO secret (owner, name, sealed) VALUES (?, ?, ?)",
            [(secret.owner, secret.name, secret.sealed) for secret in secrets],
        )


def drop(database: sqlite3.Connection, owner: str, name: str) -> bool:
    with transaction(database):
        return database.execute("DELETE FROM secret WHERE owner = ? AND name = ?", (owner, name)).rowcount > 0


def read(database: sqlite3.Connection, owners: Sequence[str]) -> tuple[SealedSecret, ...]:
    return tuple(SealedSecret(*row) for row in database.execute(_OF_OWNERS, (json.dumps(list(owners)),)))


def read_all(database: sqlite3.Connection) -> tuple[SealedSecret, ...]:
    return tuple(SealedSecret(*row) for row in database.execute(_ALL))
