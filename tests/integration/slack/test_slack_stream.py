"""An answer in Slack while it is made, and what goes wrong meanwhile: in the end it stands there once, and whole."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.messages import Finished, TextDelta
from adapters.scripted import SOME_USAGE, ScriptReply, ScriptStep, WaitFor, answer
from bot.platforms.base import Address, Footer, Reply
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_pace import Meter
from bot.platforms.slack_wire import SLACK
from integrations.tools.base import Toolbox
from ledger.actions import ReplyKind
from ledger.pseudonyms import TurnId
from tests.fakes.slack_server import BOT, TIERS, Fault, SlackServer
from tests.house import WANTS_TOOL, RecordingTool
from tests.slack_app import QUICK, SlackUnderTest, running_slack
from tests.slack_workspace import BOT_TOKEN, Workspace, envelope

HALF, REST = "The first half, ", "and the second."
WHOLE = HALF + REST
FENCED = "Here:\n\n```python\n" + "\n".join(f"print({number:06})" for number in range(2_500)) + "\n```\n\nThat was all."


def in_two(gate: asyncio.Event, first: str = HALF, second: str = REST) -> ScriptReply:
    return (TextDelta(first), WaitFor(gate), TextDelta(second), Finished("stop", SOME_USAGE))


async def ask(slack: SlackUnderTest, workspace: Workspace, text: str = "hello") -> str:
    """Ask in the channel. Gives the thread."""
    ts = await workspace.say(f"<@{workspace.bot}> {text}", workspace.channel)
    assert (await slack.deliver(envelope(workspace.mention(text, ts))))[0] == 200
    return ts


def footed(server: SlackServer, ts: str) -> list[bool]:
    """Which of CarPool's messages in a thread have a footer."""
    own = [
        message
        for message in server.messages["C0TEAM"]
        if message.get("thread_ts") == ts and message["user"] == BOT and not message.get("files")
    ]
    return [any(block["type"] == "context" for block in message["blocks"]) for message in own]


async def test_an_answer_is_streamed_as_it_comes_and_ends_whole(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    gate = asyncio.Event()
    async with running_slack(tmp_path, workspace.api_url, [in_two(gate)], pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: server.texts(ts) == [HALF.strip()])
        assert footed(server, ts) == [False]
        gate.set()
        await slack.settled()
    assert server.texts(ts) == [WHOLE]
    assert footed(server, ts) == [True]
    assert server.calls.count("chat.startStream") == server.calls.count("chat.stopStream") == 1
    assert "chat.update" not in server.calls


async def test_an_answer_that_is_whole_at_once_is_posted_as_one(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    # However long this machine takes, it is whole by then: the wait ends with the answer, and not by the clock.
    async with running_slack(tmp_path, workspace.api_url, pace=replace(QUICK, begin_s=3_600.0)) as slack:
        ts = await ask(slack, workspace)
        await slack.settled()
    assert server.texts(ts) == ["Hello from CarPool."]
    assert "chat.startStream" not in server.calls


async def test_many_small_pieces_of_text_go_to_slack_together(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    words = [f"word {number} " for number in range(2_000)]
    gate = asyncio.Event()
    script: list[ScriptReply] = [(*(TextDelta(word) for word in words), WaitFor(gate), Finished("stop", SOME_USAGE))]
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: len("".join(server.texts(ts))) > 17_000)
        gate.set()
        await slack.settled()
    assert "".join(server.texts(ts)) == "".join(words).strip()
    assert sum(server.calls.count(f"chat.{name}Stream") for name in ("start", "append", "stop")) < 12


async def test_a_long_answer_is_streamed_into_messages_that_slack_takes_and_no_code_block_stays_open(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    size = 1_000
    steps: list[ScriptStep] = []
    gates = [asyncio.Event() for _ in range(0, len(FENCED), size)]
    for place, gate in enumerate(gates):
        steps += [TextDelta(FENCED[place * size : (place + 1) * size]), WaitFor(gate)]
    script: list[ScriptReply] = [(*steps, Finished("stop", SOME_USAGE))]
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        for place, gate in enumerate(gates):
            most = (place + 1) * size

            def shows(most: int = most) -> bool:
                return len("".join(server.texts(ts))) >= min(most, len(FENCED)) - 1_100

            await server.until(shows)
            gate.set()
        await slack.settled()
    texts = server.texts(ts)
    assert all(len(text) <= 10_000 and text.count("```") % 2 == 0 for text in texts)
    assert "".join(texts).replace("\n``````python\n", "\n") == FENCED
    assert footed(server, ts) == [False] * (len(texts) - 1) + [True]


@dataclass
class Later:
    """A clock that can be set ahead."""

    by_s: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.by_s


async def test_a_stream_is_followed_by_another_before_slack_ends_it(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    clock, gates = Later(), [asyncio.Event() for _ in range(2)]
    script: list[ScriptReply] = [
        (
            *(TextDelta("One line.\n"), WaitFor(gates[0]), TextDelta("Another line.\nA third"), WaitFor(gates[1])),
            *(TextDelta(" line."), Finished("stop", SOME_USAGE)),
        )
    ]
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK, stream_clock_s=clock) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: server.texts(ts) == ["One line."])
        clock.by_s = server.later_s = 210.0
        gates[0].set()
        await server.until(lambda: server.texts(ts) == ["One line.\nAnother line.\n", "A third"])
        clock.by_s = server.later_s = 305.0
        gates[1].set()
        await slack.settled()
    assert server.texts(ts) == ["One line.\nAnother line.\n", "A third line."]
    assert footed(server, ts) == [False, True]


async def test_a_stream_that_slack_has_ended_is_gone_on_with_in_another_message(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    gates = [asyncio.Event() for _ in range(2)]
    script: list[ScriptReply] = [
        (
            *(TextDelta("```\none"), WaitFor(gates[0]), TextDelta("\ntwo"), WaitFor(gates[1])),
            *(TextDelta("\n```"), Finished("stop", SOME_USAGE)),
        )
    ]
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: len(server.texts(ts)) == 1)
        server.later_s = 301.0
        gates[0].set()
        await server.until(lambda: len(server.texts(ts)) == 2)
        gates[1].set()
        await slack.settled()
    assert server.texts(ts) == ["```\none\n```", "```\n\ntwo\n```"]
    assert footed(server, ts) == [False, True]


async def test_where_the_stream_ended_and_nothing_came_since_the_answer_is_made_whole_in_its_message(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    gate = asyncio.Event()
    async with running_slack(tmp_path, workspace.api_url, [in_two(gate)], pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: len(server.texts(ts)) == 1)
        server.later_s = 301.0
        gate.set()
        await slack.settled()
    assert "".join(server.texts(ts)) == WHOLE
    assert footed(server, ts)[-1:] == [True]


async def test_where_a_channel_takes_no_stream_a_message_is_edited_instead(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    server.without_streams.add(workspace.channel)
    gates = [asyncio.Event() for _ in range(2)]
    script: list[ScriptReply] = [
        (
            *(TextDelta("One, "), WaitFor(gates[0]), TextDelta("two, "), WaitFor(gates[1]), TextDelta("three.")),
            Finished("stop", SOME_USAGE),
        )
    ]
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: server.texts(ts) == ["One,"])
        gates[0].set()
        await server.until(lambda: server.texts(ts) == ["One, two,"])
        gates[1].set()
        await slack.settled()
        assert server.texts(ts) == ["One, two, three."]
        assert footed(server, ts) == [True]
        # The channel is remembered.
        for gate in gates:
            gate.clear()
        other = await ask(slack, workspace)
        await server.until(lambda: server.texts(other) == ["One,"])
        for gate in gates:
            gate.set()
        await slack.settled()
    assert server.texts(other) == ["One, two, three."]
    assert server.calls.count("chat.startStream") == 1


async def test_a_long_answer_that_is_shown_by_edits_is_whole(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    server.without_streams.add(workspace.channel)
    gate = asyncio.Event()
    script = [in_two(gate, FENCED[:25_000], FENCED[25_000:])]
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: len(server.texts(ts)) == 3)
        gate.set()
        await slack.settled()
    texts = server.texts(ts)
    assert all(len(text) <= 10_000 and text.count("```") % 2 == 0 for text in texts)
    assert "".join(texts).replace("\n``````python\n", "\n") == FENCED
    assert footed(server, ts) == [False] * (len(texts) - 1) + [True]


FAULTS = [
    *(Fault(f"chat.{name}Stream", 0, after=after) for name in ("start", "append", "stop") for after in (False, True)),
    *(Fault(f"chat.{name}Stream", 500, after=after) for name in ("start", "append", "stop") for after in (False, True)),
    *(
        Fault(f"chat.{name}Stream", garbage=True, after=after)
        for name in ("start", "append", "stop")
        for after in (False, True)
    ),
    *(Fault(f"chat.{name}Stream", 429, "ratelimited", 1) for name in ("start", "append", "stop")),
    *(Fault(f"chat.{name}Stream", 200, "msg_too_long") for name in ("append", "stop")),
    Fault("chat.startStream", 200, "unknown_method"),
    Fault("chat.stopStream", 200, "invalid_blocks"),
]


@pytest.mark.parametrize(
    "fault",
    FAULTS,
    ids=lambda fault: (
        f"{fault.method} {'garbage' if fault.garbage else fault.error or fault.status}"
        f"{' after it was done' if fault.after else ''}"
    ),
)
async def test_whatever_goes_wrong_with_a_stream_the_answer_stands_there_once_and_whole(
    tmp_path: Path, server: SlackServer, workspace: Workspace, fault: Fault
) -> None:
    gates = [asyncio.Event() for _ in range(2)]
    script: list[ScriptReply] = [
        (
            *(TextDelta("One, "), WaitFor(gates[0]), TextDelta("two, "), WaitFor(gates[1]), TextDelta("three.")),
            Finished("stop", SOME_USAGE),
        )
    ]
    server.faults.append(fault)
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: any(call in server.calls for call in ("chat.startStream",)))
        gates[0].set()
        if fault.method == "chat.appendStream":
            await server.until(lambda: fault.method in server.calls)
        gates[1].set()
        await slack.settled()
    assert server.texts(ts) == ["One, two, three."]
    assert footed(server, ts) == [True]
    assert fault not in server.faults


async def test_within_slacks_rates_several_answers_at_once_are_whole(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    server.rates = dict(TIERS)
    gate = asyncio.Event()
    async with running_slack(tmp_path, workspace.api_url, [in_two(gate)], pace=QUICK) as slack:
        threads = [await ask(slack, workspace) for _ in range(12)]
        await server.until(lambda: sum(len(server.texts(ts)) for ts in threads) >= 3)
        gate.set()
        await slack.settled()
    assert [server.texts(ts) for ts in threads] == [[WHOLE]] * 12


async def test_slacks_own_stop_stops_the_answer(tmp_path: Path, server: SlackServer, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url, [in_two(asyncio.Event())], pace=QUICK) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: len(server.texts(ts)) == 1)
        stopped = workspace.event(type="agent_session_stopped", channel=workspace.channel, thread_ts=ts)
        assert (await slack.deliver(envelope(stopped)))[0] == 200
        await slack.settled()
    (text,) = server.texts(ts)
    assert text.startswith(f"{HALF.strip()}\n\n_")
    assert "topped" in text


async def test_a_tool_at_work_is_shown_as_a_task_and_is_no_part_of_the_answer(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    gate = asyncio.Event()
    script: list[ScriptReply] = [(TextDelta("Let me look."), *WANTS_TOOL), in_two(gate, "It is ", "so.")]
    tools = Toolbox({"look": RecordingTool("read")})
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK, toolbox=tools) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: server.texts(ts) == ["Let me look.\n\nIt is"])
        (message,) = [each for each in server.messages[workspace.channel] if each.get("tasks")]
        assert [(task["title"], task["status"]) for task in message["tasks"].values()] == [("look", "complete")]
        gate.set()
        await slack.settled()
    assert server.texts(ts) == ["Let me look.\n\nIt is so."]


async def test_where_slack_takes_no_tasks_the_answer_comes_without(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    gate = asyncio.Event()
    server.faults.append(Fault("chat.startStream", 200, "invalid_chunks"))
    script: list[ScriptReply] = [WANTS_TOOL, in_two(gate, "It is ", "so.")]
    tools = Toolbox({"look": RecordingTool("read")})
    async with running_slack(tmp_path, workspace.api_url, script, pace=QUICK, toolbox=tools) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: server.texts(ts) == ["It is"])
        gate.set()
        await slack.settled()
    assert server.texts(ts) == ["It is so."]


async def test_nobody_is_called_by_what_is_streamed_in_pieces(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    gate = asyncio.Event()
    async with running_slack(
        tmp_path, workspace.api_url, [in_two(gate, "Hey <", "!channel> all")], pace=QUICK
    ) as slack:
        ts = await ask(slack, workspace)
        await server.until(lambda: server.texts(ts) == ["Hey"])
        gate.set()
        await slack.settled()
    assert server.texts(ts) == ["Hey <\u200b!channel> all"]


async def test_a_session_says_that_somebody_is_at_work_and_when_it_is_over(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        ts = await ask(slack, workspace, "What is a fjord?\nAnd where?")
        await slack.settled()
        await server.until(lambda: len(server.sessions) == 3)
    first, title, last = server.sessions
    assert (first["status"], first["thread_ts"], last["status"]) == ("processing", ts, "active")
    assert title["title"] == "What is a fjord?"


@pytest.mark.parametrize("error", ["missing_scope", "unknown_method"])
async def test_without_sessions_the_answer_comes_all_the_same(
    tmp_path: Path, server: SlackServer, workspace: Workspace, error: str
) -> None:
    server.faults.append(Fault("agents.sessions.setStatus", 200, error))
    async with running_slack(tmp_path, workspace.api_url, [answer("One."), answer("Two.")]) as slack:
        first = await ask(slack, workspace)
        await slack.settled()
        second = await ask(slack, workspace)
        await slack.settled()
    assert (server.texts(first), server.texts(second)) == (["One."], ["Two."])
    # A refusal is remembered: no call is spent on every answer.
    assert server.calls.count("agents.sessions.setStatus") == 1


TURN = TurnId("t-0123456789abcdef")
ANSWER = Reply("answer", WHOLE, Footer("scripted/m", "chosen", "free", TURN))


async def left_behind(server: SlackServer, workspace: Workspace, ts: str, *, ended: bool = False) -> None:
    """Half an answer, whose writer died."""
    client = AsyncWebClient(token=BOT_TOKEN, base_url=server.api_url)
    await client.chat_startStream(
        channel=workspace.channel,
        thread_ts=ts,
        markdown_text=HALF,
        recipient_user_id=workspace.person,
        recipient_team_id=workspace.team,
    )
    if ended:
        server.later_s += 301.0


@pytest.mark.parametrize("ended", [False, True], ids=["still streaming", "ended by slack"])
@pytest.mark.parametrize("found", [False, True], ids=["unlooked for", "looked for"])
@pytest.mark.parametrize("kind", ["answer", "notice", "command"])
async def test_what_a_dead_process_left_of_an_answer_is_finished_and_nothing_of_another_is_touched(
    server: SlackServer, workspace: Workspace, ended: bool, found: bool, kind: ReplyKind
) -> None:
    ts = await workspace.say("hello", workspace.channel)
    await left_behind(server, workspace, ts, ended=ended)
    to = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)
    reply = replace(ANSWER, kind=kind, footer=ANSWER.footer if kind == "answer" else None)
    platform = SlackPlatform(BOT_TOKEN, server.api_url)
    try:
        if found:
            assert await platform.find(to, TURN, 1) == "absent"
        await platform.send(to, TURN, 1, reply)
        # A command may be asked beside an answer that is being made: what is unfinished is not its own.
        assert await platform.find(to, TURN, 1) == ("absent" if kind == "command" else "there")
        await platform.send(to, TURN, 1, reply)
    finally:
        await platform.aclose()
    expected = {"answer": [WHOLE], "notice": [f"{HALF}\n\n_{WHOLE}_"], "command": [HALF, WHOLE]}
    assert server.texts(ts) == expected[kind]


@pytest.mark.parametrize("kind", ["answer", "notice"])
async def test_what_a_dead_process_left_of_an_answer_that_it_edited_is_finished(
    server: SlackServer, workspace: Workspace, kind: ReplyKind
) -> None:
    server.without_streams.add(workspace.channel)
    ts = await workspace.say("hello", workspace.channel)
    to = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)
    dead, platform = (SlackPlatform(BOT_TOKEN, server.api_url, QUICK) for _ in range(2))
    try:
        await dead.screen(to, TURN).show(HALF)
        await server.until(lambda: server.texts(ts) == [HALF.strip()])
        await platform.send(to, TURN, 1, replace(ANSWER, kind=kind, footer=None))
        assert await platform.find(to, TURN, 1) == "there"
    finally:
        await dead.aclose()
        await platform.aclose()
    assert server.texts(ts) == [WHOLE if kind == "answer" else f"{HALF.strip()}\n\n_{WHOLE}_"]


async def test_a_long_answer_whose_writer_died_behind_its_first_message_goes_on_there(
    server: SlackServer, workspace: Workspace
) -> None:
    ts = await workspace.say("hello", workspace.channel)
    to = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)
    dead, platform = (SlackPlatform(BOT_TOKEN, server.api_url, QUICK) for _ in range(2))
    try:
        await dead.screen(to, TURN).show(FENCED[:15_000])
        await server.until(lambda: len(server.texts(ts)) == 2)
        first = server.texts(ts)[0]
        assert await platform.find(to, TURN, 1) == "absent"
        await platform.send(to, TURN, 1, replace(ANSWER, text=FENCED))
        assert await platform.find(to, TURN, 1) == "there"
    finally:
        await dead.aclose()
        await platform.aclose()
    texts = server.texts(ts)
    assert texts[0] == first
    assert all(len(text) <= 10_000 and text.count("```") % 2 == 0 for text in texts)
    assert "".join(texts).replace("\n``````python\n", "\n") == FENCED
    assert footed(server, ts) == [False] * (len(texts) - 1) + [True]


async def test_a_worker_that_did_not_accept_the_message_streams_its_answer_all_the_same(
    server: SlackServer, workspace: Workspace
) -> None:
    ts = await workspace.say("hello", workspace.channel)
    to = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)
    platform = SlackPlatform(BOT_TOKEN, server.api_url, QUICK)
    try:
        await platform.screen(to, TURN).show(HALF)
        await server.until(lambda: server.texts(ts) == [HALF.strip()])
        await platform.send(to, TURN, 1, ANSWER)
    finally:
        await platform.aclose()
    assert server.texts(ts) == [WHOLE]
    assert "chat.update" not in server.calls


def calls_in_a_minute(meter: Meter, clock: Later, seconds: float) -> Sequence[float]:
    """When calls are made by somebody who always has more to say."""
    made, began, end_s = list[float](), clock(), clock.by_s + seconds
    while clock.by_s < end_s:
        if meter.wait_s <= 0:
            meter.take()
            made.append(clock() - began)
        else:
            clock.by_s += 0.05
    return made


def test_no_minute_has_more_calls_than_slack_takes() -> None:
    clock = Later()
    frozen: Callable[[], float] = lambda: clock.by_s  # noqa: E731
    meter = Meter(100, frozen)
    made = calls_in_a_minute(meter, clock, 300.0)
    assert all(sum(start <= at < start + 60 for at in made) <= 101 for start in made)
    assert len(made) > 350
