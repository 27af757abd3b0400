"""Opening a PostgreSQL database of ours: what is promised is asserted, a foreign or newer schema refused, migrations applied.

All of it stands in a schema of its own, ``carpool``, so that a database may be shared with other programs.
"""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

import asyncpg

from integrations.storage.postgres_errors import FOREIGN, place, unusable
from ledger.errors import StoreUnusable

log = logging.getLogger("carpool.postgres")

SCHEMA = "carpool"
EXPLORER = "carpool_explorer"
APPLICATION_ID = 0x526F6164  # "Road", so that a schema says whose it is
CONNECT_TIMEOUT_S = 10.0
DURABLE = ("on", "remote_apply")
"""Each value of ``synchronous_commit`` with which a commit that returned is on the disk of this server, and of no less."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_COMMON = {
    "application_name": "carpool",
    "search_path": SCHEMA,
    "default_transaction_isolation": "read committed",
    "jit": "off",
    # What is asked has an index each; a plan made while the tables were empty must not stay when they have grown.
    "enable_seqscan": "off",
    # A machine that vanishes without a word is noticed in half a minute, and not after two hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the server waits for this process, and this process for the others.

    A process that stops in the middle of a batch for more than ``pause_max_s`` loses its session, and with it the lock on
    the head and its leases: it holds nobody up, and writes nothing more when it wakes. ``lock_wait_max_s`` is above it.
    """

    pause_max_s: float = 10.0
    lock_wait_max_s: float = 60.0


def writing(patience: Patience) -> dict[str, str]:
    """The settings of the session that writes."""
    return {
        **_COMMON,
        "idle_in_transaction_session_timeout": f"{round(patience.pause_max_s * 1000)}ms",
        "lock_timeout": f"{round(patience.lock_wait_max_s * 1000)}ms",
    }


READING = {**_COMMON, "default_transaction_read_only": "on"}


async def connect(url: str, settings: Mapping[str, str]) -> Connection:
    """Raises ``StoreUnusable``."""
    try:
        return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, server_settings=dict(settings))
    except (*FOREIGN, ValueError) as error:
        # No chain to what asyncpg said of the URL itself: a ValueError may quote it.
        raise unusable(error, url) from (None if isinstance(error, ValueError) else error)


async def prepare(connection: Connection, url: str) -> None:
    """Make the schema ours and the newest, where commits are durable. Raises ``StoreUnusable``."""
    try:
        await _check_durable(connection, url)
        version = await _version(connection, url)
        if version < len(migrations()):
            await _migrate(connection, url)
    except FOREIGN as error:
        raise unusable(error, url) from error


async def exists(connection: Connection) -> bool:
    """Whether there is a ledger, or what stands in its place."""
    return await _tables(connection) != (0, False)


async def _check_durable(connection: Connection, url: str) -> None:
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise StoreUnusable(
            f"the PostgreSQL database {place(url)} has the encoding {encoding}",
            "Make a database for CarPool with `createdb --encoding=UTF8 --template=template0 ...`.",
        )
    # It is not set here: whoever turned it off would find that it is on for some sessions and not for others.
    level = await connection.fetchval("SHOW synchronous_commit")
    if level not in DURABLE:
        raise StoreUnusable(
            f"the PostgreSQL database {place(url)} has synchronous_commit={level}: a commit could be lost after it returned",
            "Turn it on with `ALTER DATABASE ... SET synchronous_commit = on`, and look at ALTER ROLE and the URL too.",
        )
    for warning in await doubts(connection):
        log.warning("the database may lose what it has taken", extra={"cause": warning})


async def doubts(connection: Connection) -> tuple[str, ...]:
    """Settings of the whole server under which a power cut may lose entries. Some services keep their disks otherwise."""
    settings = ("fsync", "full_page_writes")
    return tuple([f"{name} is off" for name in settings if await connection.fetchval(f"SHOW {name}") != "on"])


async def _version(connection: Connection, url: str) -> int:
    """The schema's version; 0 where there is none."""
    tables, marked = await _tables(connection)
    if not tables:
        return 0
    if not marked:
        raise _foreign(url)
    try:
        row = await connection.fetchrow("SELECT application, version FROM migration")
    except asyncpg.UndefinedColumnError:
        raise _foreign(url) from None
    if row is None or row["application"] != APPLICATION_ID:
        raise _foreign(url)
    version: int = row["version"]
    if version > len(migrations()):
        raise StoreUnusable(
            f"the PostgreSQL database {place(url)} was written by a newer CarPool"
            f" (schema {version}; this one knows {len(migrations())})",
            "Run the newer version; the database was left as it is.",
        )
    return version


async def _tables(connection: Connection) -> tuple[int, bool]:
    """How many tables stand in our schema, and whether one is our mark. As of one moment: another may be making them."""
    tables, marked = await connection.fetchrow(
        "SELECT count(*), coalesce(bool_or(relname = 'migration'), false) FROM pg_class"
        " WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)",
        SCHEMA,
    )
    return tables, marked


def _foreign(url: str) -> StoreUnusable:
    return StoreUnusable(
        f"the PostgreSQL database {place(url)} has a schema named {SCHEMA} that is another program's",
        "Name another database in CARPOOL_DATABASE_URL; this one was left as it is.",
    )


async def _migrate(connection: Connection, url: str) -> None:
    async with connection.transaction():
        # Two first starts wait for each other.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", APPLICATION_ID)
        version = await _version(connection, url)
        if version == 0:
            if await connection.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None:
                await connection.execute(f"CREATE SCHEMA {SCHEMA}")
            await connection.execute("CREATE TABLE migration (application bigint NOT NULL, version bigint NOT NULL)")
            await connection.execute("INSERT INTO migration VALUES ($1, 0)", APPLICATION_ID)
        for script in migrations()[version:]:
            await connection.execute(script)
        await connection.execute("UPDATE migration SET version = $1", len(migrations()))
        await _let_explorer_read(connection)


async def _let_explorer_read(connection: Connection) -> None:
    """A role without a login, as which the explorer reads: of this user, and of whoever else is granted it."""
    try:
        async with connection.transaction():
            if await connection.fetchval("SELECT to_regrole($1)", EXPLORER) is None:
                # Made at the same moment for another database of the server: then it is there, which is what is wanted.
                with contextlib.suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                    async with connection.transaction():
                        await connection.execute(f"CREATE ROLE {EXPLORER} NOLOGIN")
            await connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {EXPLORER}")
            views = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'v'", SCHEMA
            )
            for (view,) in views:
                await connection.execute(f"GRANT SELECT ON {SCHEMA}.{view} TO {EXPLORER}")
            if not await connection.fetchval("SELECT pg_has_role($1, 'MEMBER')", EXPLORER):
                await connection.execute(f"GRANT {EXPLORER} TO CURRENT_USER")
    except asyncpg.InsufficientPrivilegeError:
        log.info("the explorer's role was not made", extra={"cause": "this user may not make roles"})


def migrations() -> list[str]:
    folder = resources.files("integrations.storage") / "migrations" / "postgres"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return [item.read_text(encoding="utf-8") for item in files]
