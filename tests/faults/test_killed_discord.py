"""`carpool discord`, ended with SIGKILL at each step of a turn and started again: one whole reply stands in the thread."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.discord_app import TOKEN
from tests.fakes.discord_server import DiscordServer, buttons, running_discord_server
from tests.processes import TIME_MAX_S, Home, steps_survived

ANSWER = "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(10)).strip()
"""Two messages long."""

POLL_S = 0.02


@asynccontextmanager
async def connected(server: DiscordServer, home: Home, step: int) -> AsyncIterator[Process]:
    """The program, once it is connected to Discord or has ended."""
    before = server.identified
    program = ("-m", "tests.fakes.discord_program", server.base_url, str(step))
    process = await home.start("discord", program=program)
    output = asyncio.create_task(process.communicate())
    try:
        await wait(process, lambda: server.identified > before)
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        async with asyncio.timeout(TIME_MAX_S):
            await output


async def wait(process: Process, done: Callable[[], bool]) -> None:
    """Until it is so, or the program has ended. It is another process: nothing here is told of what it does."""
    async with asyncio.timeout(TIME_MAX_S):
        while process.returncode is None and not done():
            await asyncio.sleep(POLL_S)


async def killed_at(step: int, folder: Path) -> bool:
    """Whether the program was killed. What must be true after it is asserted here."""
    async with running_discord_server() as server:
        home = Home(folder, script=[[{"text": ANSWER}, {"finish": "stop"}]], settings={"DISCORD_BOT_TOKEN": TOKEN})
        asked = None
        async with connected(server, home, step) as process:
            if process.returncode is None:
                asked = await server.say(server.mention("hello"))
                await wait(process, home.finished)
            killed = process.returncode == -signal.SIGKILL
        async with connected(server, home, 0) as process:
            if asked is None:
                asked = await server.say(server.mention("hello"))
            await wait(process, home.finished)
            assert process.returncode is None
        said = server.said(asked["id"])
        assert "".join(said) == ANSWER or (len(said) == 1 and "and the answer is lost" in said[0])
        assert [button for button in buttons(server, asked["id"]) if button == "Stop"] == []
        names = [entry["action"] for entry in home.entries()]
        assert names.count("message.received") == 1
        assert names.count("turn.finished") == 1
        assert names.count("model.called") == 1
        return killed


@pytest.mark.timeout(400)  # each step starts the program twice
async def test_killed_at_each_step_a_message_in_discord_has_one_reply_in_its_thread(tmp_path: Path) -> None:
    steps = await steps_survived(lambda step: killed_at(step, tmp_path / str(step)))
    # Before and after: genesis, the commands, a look for work, received, claim, the thread, the post, the end.
    assert steps >= 20


async def test_killed_while_an_answer_is_shown_as_it_comes_its_message_becomes_the_notice(tmp_path: Path) -> None:
    async with running_discord_server() as server:
        shown: list[dict[str, object]] = [{"text": "First words"}, {"pause_s": 2.0}, {"kill": True}]
        home = Home(tmp_path, script=[shown], settings={"DISCORD_BOT_TOKEN": TOKEN})
        async with connected(server, home, 0) as process:
            asked = await server.say(server.mention("hello"))
            await wait(process, lambda: False)
            assert process.returncode == -signal.SIGKILL
        assert server.said(asked["id"]) == ["First words"]
        assert buttons(server, asked["id"]) == ["Stop"]
        async with connected(server, home, 0) as process:
            await wait(process, home.finished)
        (text,) = server.said(asked["id"])
        assert "and the answer is lost" in text
        assert buttons(server, asked["id"]) == []
