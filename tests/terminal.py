"""A terminal to run `carpool chat` in: a real one, as far as the program can tell."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.processes import Home

STYLE = re.compile(r"\x1b\[[0-9;]*m")
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
WORD = re.compile("[A-Za-z]")
ENTER, CTRL_C, CTRL_D = "\r", "\x03", "\x04"
PROMPT = "you>"
# With the terminal in charge of it, as a shell would start it: only then is Ctrl-C an interrupt.
IN_CHARGE = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from bot.__main__ import main
sys.exit(main())
"""


class Terminal:
    """What a person sees, and what they type."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = asyncio.Event()
        self.raw = ""
        self.read_to = 0

    def take(self) -> None:
        with suppress(OSError):
            self.raw += os.read(self._descriptor, 65_536).decode(errors="replace")
        # The prompt asks the terminal where its cursor is.
        if "\x1b[6n" in self.raw:
            self.raw = self.raw.replace("\x1b[6n", "")
            self.type("\x1b[1;1R")
        self._seen.set()

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    async def sees(self, text: str) -> str:
        """Wait until the text comes behind what was waited for last. Gives what came up to it."""
        async with asyncio.timeout(20):
            while (found := (shown := SEQUENCE.sub("", self.raw)).find(text, self.read_to)) < 0:
                self._seen.clear()
                await self._seen.wait()
        before, self.read_to = shown[self.read_to : found], found + len(text)
        return before

    async def sees_letter(self) -> None:
        """Wait for the first letter behind the spinner."""
        async with asyncio.timeout(20):
            while not WORD.search(SEQUENCE.sub("", self.raw).rpartition("thinking")[2]):
                self._seen.clear()
                await self._seen.wait()


@asynccontextmanager
async def terminal(
    home: Home, *arguments: str, **settings: str
) -> AsyncIterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = home.environment() | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"} | settings
    process = subprocess.Popen(  # noqa: ASYNC220  # asyncio's own cannot give it a terminal of its own
        [sys.executable, "-c", IN_CHARGE, "chat", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=home.folder,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    screen = Terminal(ours)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, screen.take)
    try:
        yield screen, process
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        loop.remove_reader(ours)
        os.close(ours)
