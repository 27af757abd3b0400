"""Starts programs through ``tests.faults.forked``, and is told when they end: `carpool discord`, killed at step after step."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.fakes.discord_server import DiscordServer
from tests.processes import PROJECT, TIME_MAX_S, Home, kept_environment

STEPS_MAX = 60
POLL_S = 0.02


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


@asynccontextmanager
async def connected(server: DiscordServer, forks: Forks, home: Home, step: int) -> AsyncIterator[Forked]:
    """`carpool discord`, once it is connected or has ended."""
    before = server.identified
    program = await forks.start(home, step, "discord")
    try:
        await wait(program, lambda: server.identified > before)
        yield program
    finally:
        await program.end()


async def wait(program: Forked, done: Callable[[], bool]) -> None:
    """Until it is so, or the program has ended. It is another process: nothing here is told of what it does."""
    async with asyncio.timeout(TIME_MAX_S):
        while program.status is None and not done():
            await asyncio.sleep(POLL_S)


async def steps_survived(server: DiscordServer, killed_at: Callable[[int], Awaitable[bool]]) -> int:
    """Try step after step, each in a server where nothing was said, until the program is not killed any more. How many there
    were."""
    for step in range(1, STEPS_MAX):
        server.messages.clear()
        server.sessions.clear()
        if not await killed_at(step):
            return step - 1
    raise AssertionError(f"it was killed at each of {STEPS_MAX} steps")
