"""`carpool web`, ended with SIGKILL at each step of a turn and started again: one reply stands in the thread."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from tests.fakes.slack_server import IM, SlackServer, running_slack_server
from tests.processes import CARPOOL, Home, running, steps_survived
from tests.slack_workspace import BOT_TOKEN, SECRET, Signed, envelope, workspace_at

KILLED = ("-m", "tests.faults.killed")
ANSWER = "Hello there."
POLL_S = 0.02


async def deliver(request: Signed, port: int) -> bool:
    """Whether Slack was told that the event was taken. If not, it delivers it again."""
    address = f"http://127.0.0.1:{port}/slack/events"
    try:
        async with ClientSession() as session:
            async with session.post(address, data=request.body, headers=request.headers) as answer:
                return answer.status == 200
    except (ClientError, OSError):
        return False


async def thread(server: SlackServer, ts: str) -> list[str]:
    return [message["text"] for message in server.messages[IM] if message.get("thread_ts") == ts]


async def killed_at(step: int, folder: Path) -> bool:
    """Whether the program was killed. What must be true after it is asserted here."""
    async with running_slack_server() as server, workspace_at(server.api_url) as workspace:
        settings = {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": server.api_url,
            "PORT": "0",
        }
        home = Home(folder, settings=settings)
        ts = await workspace.say("hello", workspace.im)
        event = workspace.direct("hello", ts)
        taken = False
        async with running(home, str(step), "web", program=KILLED) as (process, port):
            if port:
                taken = await deliver(envelope(event), port)
                while process.returncode is None and not await thread(server, ts):
                    await asyncio.sleep(POLL_S)  # another process: nothing here is told when it has posted
        killed = process.returncode == -9
        async with running(home, "web", program=CARPOOL) as (_, port):
            if not taken:
                assert await deliver(envelope(event), port)
            while not home.finished():
                await asyncio.sleep(POLL_S)  # as above
        (text,) = await thread(server, ts)
        assert text == ANSWER or "and the answer is lost" in text
        names = [entry["action"] for entry in home.entries()]
        assert names.count("message.received") == 1
        assert names.count("turn.finished") == 1
        assert names.count("model.called") == 1
        return killed


HALF = "The first half, "
STREAMED: list[list[dict[str, object]]] = [
    [
        {"text": HALF},
        {"pause_s": 0.5},
        {"text": "the middle, "},
        {"pause_s": 0.8},
        {"text": "the end."},
        {"finish": "stop"},
    ]
]
WHOLE = "The first half, the middle, the end."


async def killed_in_stream_at(step: int, folder: Path) -> bool:
    """As above, with an answer that is shown while it is made. The thread is in a channel."""
    async with running_slack_server() as server, workspace_at(server.api_url) as workspace:
        settings = {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": server.api_url,
            "PORT": "0",
        }
        home = Home(folder, STREAMED, settings=settings)
        ts = await workspace.say("hello", workspace.channel)
        event = workspace.mention("hello", ts)
        taken = False
        async with running(home, str(step), "web", program=KILLED) as (process, port):
            if port:
                taken = await deliver(envelope(event), port)
                while process.returncode is None and WHOLE not in server.texts(ts):
                    await asyncio.sleep(POLL_S)  # another process: nothing here is told when it has posted
        killed = process.returncode == -9
        half = "".join(server.texts(ts))
        async with running(home, "web", program=CARPOOL) as (_, port):
            if not taken:
                assert await deliver(envelope(event), port)
            while not home.finished():
                await asyncio.sleep(POLL_S)  # as above
        (text,) = server.texts(ts)
        if text != WHOLE:
            # What was shown stands there, and below it why there is no more.
            assert "and the answer is lost" in text
            assert text.startswith(half)
        names = [entry["action"] for entry in home.entries()]
        assert names.count("message.received") == 1
        assert names.count("turn.finished") == 1
        assert names.count("model.called") == 1
        return killed


@pytest.mark.timeout(300)  # sixty programs are started, and each answer takes 1.3 s to be made
async def test_killed_at_each_step_of_a_streamed_answer_it_stands_there_once_whole_or_half_with_its_reason(
    tmp_path: Path,
) -> None:
    steps = await steps_survived(lambda step: killed_in_stream_at(step, tmp_path / str(step)))
    # The steps of any turn, and before and after: the start, an appending, the stop.
    assert steps >= 24


async def test_killed_at_each_step_a_message_in_slack_has_one_reply_in_its_thread(tmp_path: Path) -> None:
    steps = await steps_survived(lambda step: killed_at(step, tmp_path / str(step)))
    # Before and after: genesis, a look for work, received, claim, route, called, answered with its reply, post, the end.
    assert steps >= 18
