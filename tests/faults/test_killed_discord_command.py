"""`carpool discord`, ended with SIGKILL at each step of a turn that a slash command began, and started again."""

import signal
from pathlib import Path

import pytest

from bot.platforms.discord_wire import ASK
from tests.discord_app import TOKEN
from tests.fakes.discord_server import CHANNEL, DiscordServer, buttons, running_discord_server
from tests.faults.forking import Forks, connected, forking, steps_survived, wait
from tests.processes import Home

FIRST = "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(8))
ANSWER = f"{FIRST} and the end."
"""Two messages long."""
SHOWN: list[list[dict[str, object]]] = [
    [{"text": FIRST}, {"pause_s": 0.3}, {"text": " and the end."}, {"finish": "stop"}]
]
"""It is shown while it is made."""


async def killed_at(server: DiscordServer, forks: Forks, step: int, folder: Path) -> bool:
    """Whether the program was killed. What must be true after it is asserted here."""
    home = Home(folder, script=SHOWN, settings={"DISCORD_BOT_TOKEN": TOKEN})
    slash = None
    async with connected(server, forks, home, step) as program:
        if program.status is None:
            slash = await server.slash(ASK, question="hello")
            await wait(program, home.finished)
    killed = program.status == -signal.SIGKILL
    if slash is not None:
        # Whoever was not answered within three seconds has read that it failed.
        slash.late = True
        # Every other time the fifteen minutes are over too.
        slash.expired = step % 2 == 0
    async with connected(server, forks, home, 0) as program:
        if slash is None or not recorded(home):
            if slash is not None:
                assert not slash.acknowledged, "it was taken, and nobody knows of it any more"
                assert server.said(CHANNEL) == []
            slash = await server.slash(ASK, question="hello")
        await wait(program, home.finished)
        assert program.status is None
    # Once its time is over Discord says itself that nothing came of what waits.
    said = [text for text in server.said(CHANNEL) if text or not slash.expired]
    assert is_answer(said) or is_notice(said), said
    assert "Stop" not in buttons(server, CHANNEL)
    names = [entry["action"] for entry in home.entries()]
    assert names.count("message.received") == 1
    assert names.count("turn.finished") == 1
    assert names.count("model.called") == 1
    return killed


def recorded(home: Home) -> bool:
    return any(entry["action"] == "message.received" for entry in home.entries())


def is_answer(said: list[str]) -> bool:
    return "\n\n".join(text.strip() for text in said).split() == ANSWER.split()


def is_notice(said: list[str]) -> bool:
    return len(said) == 1 and "and the answer is lost" in said[0]


@pytest.mark.timeout(300)  # each step starts the program twice
async def test_killed_at_each_step_a_question_by_slash_command_has_one_reply_and_nothing_waits_for_ever(
    tmp_path: Path,
) -> None:
    async with running_discord_server() as server, forking(server.base_url) as forks:
        steps = await steps_survived(server, lambda step: killed_at(server, forks, step, tmp_path / str(step)))
    # Before and after: genesis, the commands, received, claim, the decision, the call, the edits, the posts, the end.
    assert steps >= 20
