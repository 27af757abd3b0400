"""A PostgreSQL server for the tests: the real one, in a temporary folder, on a free loopback port.

The programs are those of Debian's package ``postgresql``, which `make test` installs where it is missing. They refuse to run
as root, so that they run as somebody else then.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from ledger.verify import Verified, verify_database
from tests.emulators import free_port

SUPERUSER = "owner"
WITH_PASSWORD = "with_password"
"""The one user who has to name a password."""
TEMPLATE = "carpool_template"
START_TIMEOUT_S = 60
UNPRIVILEGED = ("postgres", "nobody")
_numbers = count(1)


class PostgresMissing(Exception):
    pass


def programs() -> Path:
    """The folder of ``initdb`` and ``pg_ctl``: the newest that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path is not None:
        return Path(on_path).resolve().parent
    raise PostgresMissing("PostgreSQL is not installed: run `make test`, which installs it where it can.")


def _somebody() -> pwd.struct_passwd | None:
    """Who the server runs as where we are root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissing("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` here.")


def _as(somebody: pwd.struct_passwd | None) -> dict[str, Any]:
    if somebody is None:
        return {}
    return {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class Server:
    """A server that runs, with its data in ``folder``."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str, user: str = SUPERUSER, password: str = "") -> str:
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}"

    def run(self, program: str, *arguments: str) -> None:
        """One of PostgreSQL's programs, to its end."""
        done = subprocess.run(
            [str(programs() / program), *arguments],
            cwd=self.folder,
            **_as(_somebody()),
            # Not a pipe: the server would hold it open.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            log = self.folder / "log"
            said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} {' '.join(arguments)} ended with {done.returncode}: {said}")

    def start(self) -> None:
        """Returns when it takes connections; after a crash, when what is on disk has been gone through."""
        self.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self.data))

    def kill(self) -> None:
        """As `kill -9` on the server and all that belongs to it. Returns when they are gone."""
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        postmaster = psutil.Process(int(lines[0]))
        workers = postmaster.children(recursive=True)
        for process in (postmaster, *workers):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([postmaster, *workers], timeout=START_TIMEOUT_S)

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def fetch(self, query: str, *values: Any, database: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url(database))
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def new_database(self, template: str = "template0") -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        return name

    async def drop(self, database: str) -> None:
        await self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    @cached_property
    def version(self) -> str:
        done = subprocess.run([str(programs() / "postgres"), "--version"], capture_output=True, text=True, check=True)
        return done.stdout.strip()


@contextlib.contextmanager
def running_postgres(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server of its own, stopped and removed at the end, however that comes about."""
    with tempfile.TemporaryDirectory(prefix="carpool-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        somebody = _somebody()
        if somebody is not None:
            os.chown(folder, somebody.pw_uid, somebody.pw_gid)
        server = Server(folder, free_port())
        arguments = ("-D", str(server.data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        server.run("initdb", *arguments)
        lines = {
            "listen_addresses": "127.0.0.1",
            "port": str(server.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "fsync": "on",
            **(settings or {}),
        }
        hba = server.data / "pg_hba.conf"
        hba.write_text(f"host all {WITH_PASSWORD} 127.0.0.1/32 scram-sha-256\n{hba.read_text()}")
        with (server.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in lines.items())
        # Whatever ends this process closes the pipe, and then the server goes and its folder with it.
        watch = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                f'read _; "{programs()}/pg_ctl" stop -w -m immediate -D "{server.data}"; rm -rf "{folder}"',
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt at the terminal is not for it
            **_as(_somebody()),
        )
        try:
            server.start()
            yield server
        finally:
            watch.communicate(timeout=START_TIMEOUT_S)


@contextlib.asynccontextmanager
async def database_of(server: Server, template: str = "template0") -> AsyncIterator[str]:
    """A database of its own for a test. Gives its name."""
    name = await server.new_database(template)
    try:
        yield name
    finally:
        await server.drop(name)


async def verified(url: str, folder: Path) -> Verified:
    """The whole chain, checked by the verifier that knows nothing of the writer."""
    from integrations.storage.postgres import PostgresStore

    store = await PostgresStore.open(url)
    copy = folder / "verified.db"
    try:
        await store.copy(copy)
        return await asyncio.to_thread(verify_database, copy)
    finally:
        await store.aclose()
        copy.unlink(missing_ok=True)


async def make_template(server: Server) -> None:
    """A database with an empty ledger, so that a test begins with a copy of files and not with a migration."""
    from integrations.storage.postgres import PostgresStore

    await server.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
    await (await PostgresStore.open(server.url(TEMPLATE))).aclose()
    while await server.fetch(
        "SELECT 1 FROM pg_stat_activity WHERE datname = $1", TEMPLATE, database="postgres"
    ):  # the server lets go of a session a moment after it was closed
        await asyncio.sleep(0.01)
