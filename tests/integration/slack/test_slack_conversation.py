"""Conversations in Slack, with the real SDKs, over HTTP, in the emulator of another's making."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.scripted import WaitFor, answer
from bot.platforms.slack_pieces import METADATA_TYPE
from tests.slack_app import running_slack
from tests.slack_workspace import Workspace, emulated_workspace, envelope


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    async with emulated_workspace(tmp_path) as workspace:
        yield workspace


async def test_a_mention_is_answered_in_its_thread(tmp_path: Path, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        ts = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
        assert await slack.deliver(envelope(workspace.mention("hello", ts))) == (200, "")
        await slack.settled()
        (turn,) = await slack.turns()
    (reply,) = await workspace.thread(workspace.channel, ts)
    assert reply["user"] == workspace.bot
    assert reply["text"] == "Hello from CarPool."
    body, footer, buttons, thumbs = reply["blocks"]
    assert body == {"type": "markdown", "text": "Hello from CarPool."}
    assert footer["elements"][0]["text"] == f"scripted/m · the only model connected · free · {turn}"
    assert reply["metadata"]["event_type"] == METADATA_TYPE
    assert [button["value"] for button in buttons["elements"]] == [
        f"{word} {turn}" for word in ("why", "again", "receipt")
    ]
    assert [thumbs["elements"][0][name]["value"] for name in ("positive_button", "negative_button")] == [
        f"good {turn}",
        f"bad {turn}",
    ]
    marks = {"turn": turn, "part": 1, "piece": 1, "pieces": 1, "end": len("Hello from CarPool.")}
    assert reply["metadata"]["event_payload"] == marks


async def test_a_direct_message_is_answered_in_its_thread_and_remembers_it(
    tmp_path: Path, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("One."), answer("Two.")]) as slack:
        first = await workspace.say("first", workspace.im)
        await slack.deliver(envelope(workspace.direct("first", first)))
        await slack.settled()
        second = await workspace.say("second", workspace.im, first)
        await slack.deliver(envelope(workspace.direct("second", second, thread_ts=first)))
        await slack.settled()
        adapter = slack.open.house.desk.connections.house.adapters["scripted"]  # type: ignore[index]  # a provider's name
    assert [message["text"] for message in await workspace.thread(workspace.im, first)] == ["One.", "second", "Two."]
    asked = [message.text for message in adapter.requests[1].messages[1:]]  # type: ignore[attr-defined]  # scripted
    assert asked == ["first", "One.", "second"]


async def test_the_message_is_durable_before_slack_is_told_that_it_was_taken(
    tmp_path: Path, workspace: Workspace
) -> None:
    gate = asyncio.Event()
    async with running_slack(tmp_path, workspace.api_url, [(WaitFor(gate), *answer("x"))]) as slack:
        ts = await workspace.say("hello", workspace.im)
        status, _ = await slack.deliver(envelope(workspace.direct("hello", ts)))
        assert status == 200
        (turn,) = await slack.turns()
        assert (await slack.open.journal(turn))[0] == "message.received"
        assert await workspace.thread(workspace.im, ts) == []
        gate.set()
        await slack.settled()


async def test_a_redelivered_event_is_answered_once(tmp_path: Path, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        ts = await workspace.say("hello", workspace.im)
        event = workspace.direct("hello", ts)
        for number in range(4):
            retry = {"x-slack-retry-num": str(number), "x-slack-retry-reason": "http_timeout"} if number else {}
            assert (await slack.deliver(envelope(event), retry))[0] == 200
        await slack.settled()
        assert len(await slack.turns()) == 1
    assert len(await workspace.thread(workspace.im, ts)) == 1


async def test_a_retry_whose_first_delivery_never_came_is_answered(tmp_path: Path, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        ts = await workspace.say("hello", workspace.im)
        await slack.deliver(envelope(workspace.direct("hello", ts)), {"x-slack-retry-num": "1"})
        await slack.settled()
    assert len(await workspace.thread(workspace.im, ts)) == 1


async def test_two_of_the_same_event_at_once_are_answered_once(tmp_path: Path, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        ts = await workspace.say("hello", workspace.im)
        request = envelope(workspace.direct("hello", ts))
        answers = await asyncio.gather(*(slack.deliver(request) for _ in range(8)))
        await slack.settled()
        assert answers == [(200, "")] * 8
        assert len(await slack.turns()) == 1
    assert len(await workspace.thread(workspace.im, ts)) == 1


async def test_a_mention_that_arrives_as_message_and_as_app_mention_is_answered_once(
    tmp_path: Path, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        text = f"<@{workspace.bot}> hello"
        ts = await workspace.say(text, workspace.im)
        as_message = workspace.direct(text, ts)
        as_mention = workspace.event(type="app_mention", channel=workspace.im, text=text, ts=ts)
        answers = await asyncio.gather(slack.deliver(envelope(as_message)), slack.deliver(envelope(as_mention)))
        await slack.settled()
        assert [status for status, _ in answers] == [200, 200]
        assert len(await slack.turns()) == 1
    assert len(await workspace.thread(workspace.im, ts)) == 1


async def test_own_messages_and_those_of_other_bots_and_edits_are_not_answered(
    tmp_path: Path, workspace: Workspace
) -> None:
    ignored = [
        workspace.direct("from a bot", "1.1", bot_id="B1", user="U9"),
        workspace.direct("from us", "1.2", user=workspace.bot),
        workspace.direct("edited", "1.3", subtype="message_changed"),
        workspace.direct("joined", "1.4", subtype="channel_join"),
        workspace.event(type="message", channel=workspace.channel, channel_type="channel", text="talk", ts="1.5"),
        workspace.event(type="reaction_added", reaction="tada", item={"type": "message"}),
        workspace.event(type="an_event_of_2031", channel=workspace.channel),
    ]
    async with running_slack(tmp_path, workspace.api_url) as slack:
        for event in ignored:
            assert (await slack.deliver(envelope(event)))[0] == 200
        assert await slack.turns() == []


async def test_commands_work_in_a_thread_by_name(tmp_path: Path, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        ts = await workspace.say("hello", workspace.channel)
        await slack.deliver(envelope(workspace.mention("hello", ts)))
        await slack.settled()
        for text in ("why", "!model"):
            command = await workspace.say(text, workspace.channel, ts)
            await slack.deliver(envelope(workspace.mention(text, command, thread_ts=ts)))
            await slack.settled()
    texts = [message["text"] for message in await workspace.thread(workspace.channel, ts)]
    assert texts[0] == "Hello from CarPool."
    assert texts[2].startswith("Lucidia's reason: scripted/m is the only model connected.")
    assert texts[4].startswith("Connected models, best first:")


async def test_a_long_answer_is_posted_whole_in_pieces_that_slack_takes(tmp_path: Path, workspace: Workspace) -> None:
    code = "\n".join(f"print({number:06})" for number in range(2_500))
    text = f"Here it is:\n\n```python\n{code}\n```\n\nThat was all."
    async with running_slack(tmp_path, workspace.api_url, [answer(text)]) as slack:
        ts = await workspace.say("write it", workspace.im)
        await slack.deliver(envelope(workspace.direct("write it", ts)))
        await slack.settled()
    replies = await workspace.thread(workspace.im, ts)
    texts = [reply["blocks"][0]["text"] for reply in replies]
    assert len(texts) == 4
    assert all(len(piece) <= 10_000 and piece.count("```") % 2 == 0 for piece in texts)
    assert [len(reply["blocks"]) for reply in replies] == [1, 1, 1, 4]
    joined = "".join(texts).replace("\n``````python\n", "\n")
    assert joined == text


async def test_nobody_is_called_by_what_a_model_writes(tmp_path: Path, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("<!channel> <@U1> & <b>")]) as slack:
        ts = await workspace.say("hello", workspace.im)
        await slack.deliver(envelope(workspace.direct("hello", ts)))
        await slack.settled()
    (reply,) = await workspace.thread(workspace.im, ts)
    for text in (reply["text"], reply["blocks"][0]["text"]):
        assert "<!channel>" not in text
        assert "<@U1>" not in text
