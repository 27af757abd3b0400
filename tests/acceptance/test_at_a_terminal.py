"""`carpool chat` at a terminal: a real one, as far as the program can tell."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.processes import HELLO, Home

STYLE = re.compile(r"\x1b\[[0-9;]*m")
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
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


@asynccontextmanager
async def terminal(home: Home, **settings: str) -> AsyncIterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = home.environment() | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"} | settings
    process = subprocess.Popen(  # noqa: ASYNC220  # asyncio's own cannot give it a terminal of its own
        [sys.executable, "-c", IN_CHARGE, "chat"],
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


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_conversation_from_the_first_screen_to_the_last(home: Home) -> None:
    async with terminal(home) as (screen, process):
        first = await screen.sees(PROMPT)
        assert "CarPool. Model: scripted/script" in first
        assert "/help lists the commands. Ctrl-C stops an answer, Ctrl-D leaves." in first
        screen.type(f"hello{ENTER}")
        await screen.sees("Hello there.")
        await screen.sees("scripted/script · the only model connected · free · t-")
        await screen.sees(PROMPT)
        screen.type(f"/why{ENTER}")
        await screen.sees("Lucidia's reason: scripted/script is the only model connected.")
        await screen.sees(PROMPT)
        screen.type(f"/hlep{ENTER}")
        await screen.sees("There is no command /hlep.")
        await screen.sees(PROMPT)
        screen.type(CTRL_C)
        await screen.sees("Ctrl-D or /quit leaves.")
        await screen.sees(PROMPT)
        screen.type(CTRL_D)
        assert await asyncio.to_thread(process.wait, 20) == 0


async def test_ctrl_c_stops_the_answer_and_not_the_program(home: Home) -> None:
    home.script = [[{"text": "One, two "}, {"pause_s": 60}, {"finish": "stop"}], *HELLO]
    async with terminal(home) as (screen, process):
        await screen.sees(PROMPT)
        screen.type(f"count{ENTER}")
        await screen.sees("One, two")
        screen.type(CTRL_C)
        await screen.sees("Stopped, as you asked.")
        await screen.sees(PROMPT)
        screen.type(f"hello{ENTER}")
        await screen.sees("Hello there.")
        await screen.sees(PROMPT)
        screen.type(f"/quit{ENTER}")
        assert await asyncio.to_thread(process.wait, 20) == 0


async def test_while_the_model_thinks_something_moves(home: Home) -> None:
    home.script = [[{"pause_s": 1}, *HELLO[0]]]
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"hello{ENTER}")
        await screen.sees("thinking")
        await screen.sees("Hello there.")


async def test_a_conversation_is_remembered_in_the_next_session(home: Home) -> None:
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"a crimson question{ENTER}")
        await screen.sees("scripted/script ·")
        await screen.sees(PROMPT)
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"/history{ENTER}")
        await screen.sees("You: a crimson question")
        await screen.sees("CarPool: Hello there.")
        await screen.sees(PROMPT)
        screen.type("\x1b[A\x1b[A")
        await screen.sees("a crimson question")


async def test_without_colour_nothing_is_coloured(home: Home) -> None:
    async with terminal(home, NO_COLOR="1") as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"hello{ENTER}")
        await screen.sees("scripted/script ·")
        await screen.sees(PROMPT)
        coloured = [style for style in STYLE.findall(screen.raw) if style not in ("\x1b[m", "\x1b[0m")]
    assert coloured == []


async def test_the_embedded_model_says_that_it_is_small_and_how_to_plug_in_a_better_one(home: Home) -> None:
    async with terminal(home, CARPOOL_SCRIPTED="", CARPOOL_LOCAL_ENABLED="true") as (screen, _):
        first = await screen.sees(PROMPT)
    assert "It is very small, so expect mistakes." in first
    assert "OPENAI_API_KEY" in first
    assert "CARPOOL_LOCAL_MODEL" in first
