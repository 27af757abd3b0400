"""Opening a SQLite file of ours: settings asserted, a foreign or newer file refused, migrations applied."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Literal, TypeAlias

from ledger.errors import StoreUnusable

APPLICATION_ID = 0x526F6164  # "Road", so that a file says whose it is
BUSY_TIMEOUT_S = 10.0
BUSY_PAUSE_S = 0.01
FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's module raises. The second: of a damaged file not even the error's message need be UTF-8."""

SqliteFailure: TypeAlias = sqlite3.Error | UnicodeDecodeError

LOG_PAGES = 8000
"""How long the write-ahead log grows (32 MB) before its pages are copied to the database: scattered pages are written again by
the next batches, and copied once for all of them. With SQLite's own 1,000 pages a batch takes a tenth more of CPU, and with
32,000 hardly less. Who reads for long keeps the log growing meanwhile; it is cut to this length afterwards."""

PAGE_BYTES = 4096

CACHE_KIB = 64 * 1024
"""How much of the file the one who writes keeps in memory, as far as it has read it. The keys of a batch are scattered over all
of their index: with SQLite's own 2 MB, its pages are read again, and written out early, in each batch."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit, usable from the one thread that will own it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(
            f"{path} cannot be opened: {error}", "Check that the folder exists and may be written, or set CARPOOL_HOME."
        ) from error
    return database


@contextmanager
def transaction(database: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[None]:
    """Committed at the end of the block, taken back where that raises."""
    database.execute(f"BEGIN {kind}")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def prepare(database: sqlite3.Connection, path: Path) -> None:
    """Make the file one of ours, at the newest schema, with a commit that is durable. Raises ``StoreUnusable``."""
    give_up_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            _prepare(database, path)
            return
        except FAILURES as error:
            # SQLite's own timeout does not cover the change to WAL, which another process may be making just now.
            if primary_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > give_up_s:
                raise StoreUnusable(f"{path} cannot be used: {error}", _remedy(error)) from error
            time.sleep(BUSY_PAUSE_S)


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    _check_whose(database, path)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    database.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    database.execute(f"PRAGMA journal_size_limit = {LOG_PAGES * PAGE_BYTES}")
    (journal,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
    if (journal, synchronous) != ("wal", 2):
        raise StoreUnusable(
            f"{path} does not take WAL with synchronous=FULL (it answers {journal}, {synchronous})",
            "Put the database on a local disk: network file systems cannot keep it safely.",
        )
    _migrate(database, path)
    path.chmod(0o600)


def _check_whose(database: sqlite3.Connection, path: Path) -> None:
    # Both as of one moment: another process of ours may be making the tables just now.
    with transaction(database, "DEFERRED"):
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and tables:
        raise StoreUnusable(
            f"{path} is the database of another program",
            "Set CARPOOL_DATABASE_URL or CARPOOL_HOME to another place; the file was left as it is.",
        )


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    migrations = _migrations()
    with transaction(database):
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > len(migrations):
            raise StoreUnusable(
                f"{path} was written by a newer CarPool (schema {version}; this one knows {len(migrations)})",
                "Run the newer version; the file was left as it is.",
            )
        for number, script in enumerate(migrations[version:], start=version + 1):
            for statement in _statements(script):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _migrations() -> list[str]:
    folder = resources.files("integrations.storage") / "migrations"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return [item.read_text(encoding="utf-8") for item in files]


def _statements(script: str) -> list[str]:
    """The script's statements one by one: ``executescript`` would commit what is open."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def primary_code(error: SqliteFailure) -> int:
    """The error's code without what SQLite adds to tell its kinds apart; 0 where it has none."""
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code


def _remedy(error: SqliteFailure) -> str:
    match primary_code(error):
        case sqlite3.SQLITE_FULL:
            return "The disk is full: free some space, then start again."
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN:
            return "See that the disk is not full and the folder may be written, then start again."
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return "It is not a SQLite database, or it is damaged: move it away and restore your last copy of it."
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "Another program holds it: stop that one, or wait."
        case _:
            return "Check the file and its folder: it must be readable and writable."
