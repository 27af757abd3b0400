"""`carpool discord`, ended with SIGKILL at each step of a turn and started again: one whole reply stands in the thread."""

import signal
from pathlib import Path

import pytest

from tests.discord_app import TOKEN
from tests.fakes.discord_server import DiscordServer, buttons, running_discord_server
from tests.faults.forking import Forks, connected, forking, steps_survived, wait
from tests.processes import Home

ANSWER = "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(10)).strip()
"""Two messages long."""


async def killed_at(server: DiscordServer, forks: Forks, step: int, folder: Path) -> bool:
    """Whether the program was killed. What must be true after it is asserted here."""
    home = Home(folder, script=[[{"text": ANSWER}, {"finish": "stop"}]], settings={"DISCORD_BOT_TOKEN": TOKEN})
    asked = None
    async with connected(server, forks, home, step) as program:
        if program.status is None:
            asked = await server.say(server.mention("hello"))
            await wait(program, home.finished)
    killed = program.status == -signal.SIGKILL
    async with connected(server, forks, home, 0) as program:
        if asked is None:
            asked = await server.say(server.mention("hello"))
        await wait(program, home.finished)
        assert program.status is None
    said = server.said(asked["id"])
    assert "".join(said) == ANSWER or (len(said) == 1 and "and the answer is lost" in said[0])
    assert "Stop" not in buttons(server, asked["id"])
    names = [entry["action"] for entry in home.entries()]
    assert names.count("message.received") == 1
    assert names.count("turn.finished") == 1
    assert names.count("model.called") == 1
    return killed


@pytest.mark.timeout(300)  # each step starts the program twice
async def test_killed_at_each_step_a_message_in_discord_has_one_reply_in_its_thread(tmp_path: Path) -> None:
    async with running_discord_server() as server, forking(server.base_url) as forks:
        steps = await steps_survived(server, lambda step: killed_at(server, forks, step, tmp_path / str(step)))
    # Before and after: genesis, the commands, a look for work, received, claim, the thread, the post, the end.
    assert steps >= 20


async def test_killed_while_an_answer_is_shown_as_it_comes_its_message_becomes_the_notice(tmp_path: Path) -> None:
    async with running_discord_server() as server, forking(server.base_url) as forks:
        shown: list[dict[str, object]] = [{"text": "First words"}, {"pause_s": 2.0}, {"kill": True}]
        home = Home(tmp_path, script=[shown], settings={"DISCORD_BOT_TOKEN": TOKEN})
        async with connected(server, forks, home, 0) as program:
            asked = await server.say(server.mention("hello"))
            await wait(program, lambda: False)
            assert program.status == -signal.SIGKILL
        assert server.said(asked["id"]) == ["First words"]
        assert buttons(server, asked["id"]) == ["Stop"]
        async with connected(server, forks, home, 0) as program:
            await wait(program, home.finished)
        (text,) = server.said(asked["id"])
        assert "and the answer is lost" in text
        assert buttons(server, asked["id"]) == []
