"""Starts programs through ``tests.faults.forked``, and is told when they end."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.processes import PROJECT, TIME_MAX_S, Home, kept_environment


class Forked:
    """One program. ``status`` is None while it runs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self.ended = asyncio.Event()

    async def end(self) -> None:
        """As a service manager ends it."""
        if self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(TIME_MAX_S):
            await self.ended.wait()


class Forks:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._begun: asyncio.Queue[Forked] = asyncio.Queue()
        self._programs: dict[int, Forked] = {}
        self._starting = asyncio.Lock()

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "begun" in said:
                program = self._programs[said["begun"]] = Forked(said["begun"])
                self._begun.put_nowait(program)
            else:
                program = self._programs.pop(said["ended"])
                program.status = said["status"]
                program.ended.set()

    async def start(self, home: Home, step: int, *arguments: str) -> Forked:
        wanted = {
            "environment": home.environment(),
            "folder": str(home.folder),
            "step": step,
            "arguments": arguments,
        }
        assert self._process.stdin is not None
        async with self._starting, asyncio.timeout(TIME_MAX_S):
            self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
            await self._process.stdin.drain()
            return await self._begun.get()


@asynccontextmanager
async def forking(url: str) -> AsyncIterator[Forks]:
    environment = {**kept_environment(), "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "error"}
    program = (sys.executable, "-m", "tests.faults.forked", url)
    process = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE, env=environment, cwd=PROJECT)
    forks = Forks(process)
    listening = asyncio.create_task(forks.listen())
    try:
        yield forks
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(TIME_MAX_S):
            await listening
            await process.wait()
