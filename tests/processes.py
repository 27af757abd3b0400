"""The program as a process: `carpool`, in a folder of its own, with a script in place of a model."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.verify import verify_database

PROJECT = Path(__file__).parent.parent
CARPOOL = ("-m", "bot")
HELLO: list[list[dict[str, object]]] = [[{"text": "Hello "}, {"text": "there."}, {"finish": "stop"}]]
KEPT = ("PATH", "SYSTEMROOT", "LANG", "TMPDIR")
TIME_MAX_S = 60
STEPS_MAX = 40
AT_ONCE = 4


def kept_environment() -> dict[str, str]:
    """What another program gets of this one's environment."""
    return {name: value for name, value in os.environ.items() if name in KEPT}


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


@dataclass
class Home:
    """A folder with the state of one CarPool, and how to start it there. Nothing of this machine's settings comes in."""

    folder: Path
    script: Sequence[Sequence[Mapping[str, object]]] = field(default_factory=lambda: HELLO)
    settings: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        script = self.folder / "script.json"
        script.write_text(json.dumps(self.script), encoding="utf-8")
        own = {
            "CARPOOL_HOME": str(self.folder / "home"),
            "CARPOOL_SCRIPTED": str(script),
            "CARPOOL_LOCAL_ENABLED": "false",
            "PYTHONPATH": str(PROJECT),
            "PYTHONWARNINGS": "error",
        }
        return {**kept_environment(), **own, **self.settings}

    async def start(self, *arguments: str, program: Sequence[str] = CARPOOL) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=self.folder,
            env=self.environment(),
        )

    async def run(self, *arguments: str, given: bytes = b"", program: Sequence[str] = CARPOOL) -> Done:
        process = await self.start(*arguments, program=program)
        async with asyncio.timeout(TIME_MAX_S):
            out, err = await process.communicate(given)
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    @property
    def ledger(self) -> Path:
        return self.folder / "home" / "roadchain.db"

    def entries(self) -> list[dict[str, Any]]:
        """What is recorded, after the chain has been verified."""
        verify_database(self.ledger)
        with closing(sqlite3.connect(self.ledger)) as database:
            return [json.loads(leaf) for (leaf,) in database.execute("SELECT leaf FROM entry ORDER BY seq")]

    def finished(self) -> bool:
        """Whether a turn was accepted, and none is open. Looked at from outside, while the program works."""
        with closing(sqlite3.connect(self.ledger)) as database:
            query = "SELECT EXISTS (SELECT * FROM turn), EXISTS (SELECT * FROM turn WHERE state = 'open')"
            ((any_, open_),) = database.execute(query).fetchall()
        return bool(any_) and not open_


async def steps_survived(killed_at: Callable[[int], Awaitable[bool]]) -> int:
    """Try step after step, a few at once, until the program comes to its end without being killed. How many there were."""
    steps, killed = 0, True
    while killed:
        outcomes = await asyncio.gather(*(killed_at(steps + number) for number in range(1, AT_ONCE + 1)))
        steps, killed = steps + sum(outcomes), all(outcomes)
        assert steps < STEPS_MAX
    return steps


@asynccontextmanager
async def running(home: Home, *arguments: str, program: Sequence[str] = CARPOOL) -> AsyncIterator[tuple[Process, int]]:
    """`carpool web` until the block ends. Gives the process and its port; the port is 0 where it ended before it listened."""
    process = await home.start(*arguments, program=program)
    assert process.stderr is not None
    try:
        yield process, await _port(process.stderr)
    finally:
        if process.returncode is None:
            # Not `terminate`, which looks first whether it has ended, and then nobody learns with what status.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        async with asyncio.timeout(TIME_MAX_S):
            await process.communicate()


async def _port(lines: asyncio.StreamReader) -> int:
    async for line in lines:
        if b'"listening"' in line:
            port: int = json.loads(line)["port"]
            return port
    return 0
