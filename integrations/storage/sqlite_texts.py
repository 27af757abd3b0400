"""Texts beside the chain, and how they leave a SQLite file."""

import sqlite3

from ledger.errors import StoreFailed
from ledger.store import TextsErased

NEVER_US = 2**63 - 1

_WHOSE = {"person": "actor", "conversation": "conversation", "turn": "turn", "age": "workspace"}
_FOUND = {
    scope: "FROM payload WHERE seq IN (SELECT seq FROM entry"  # noqa: S608  # names of ours
    f" WHERE commitment IS NOT NULL AND workspace = ? AND seq < ? AND mono < ? AND {column} = ?)"
    for scope, column in _WHOSE.items()
}


def erase(database: sqlite3.Connection, erased: TextsErased) -> None:
    database.execute(f"DELETE {_FOUND[erased.scope]}", _values(erased))


def count(database: sqlite3.Connection, erased: TextsErased) -> int:
    (found,) = database.execute(f"SELECT count(*) {_FOUND[erased.scope]}", _values(erased)).fetchone()
    return int(found)


def scrub(database: sqlite3.Connection) -> None:
    """Deleted rows are zeros already (secure_delete). Pieces of them are left where SQLite once moved a row to another page: the
    file is written anew. The log still holds the pages as they were before: it is emptied.

    Raises ``StoreFailed``; nothing is lost by that, and it can be tried again.
    """
    try:
        database.execute("VACUUM")
        busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY:
            raise
        busy = True
    if busy:
        raise StoreFailed("another process uses the ledger just now: erase again in a moment", "busy")


def _values(erased: TextsErased) -> tuple[str, int, int, str]:
    before_us = NEVER_US if erased.before_us is None else erased.before_us
    return erased.workspace, erased.seq, before_us, erased.subject
