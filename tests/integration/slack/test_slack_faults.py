"""Slack at its limit, away, telling of things again and again, or refusing: everybody reads one whole answer all the same."""

import asyncio
import random
from pathlib import Path

import pytest

from adapters.messages import Finished, TextDelta
from adapters.scripted import SOME_USAGE, WaitFor, answer
from bot.intake import BACKOFF_S_MAX
from bot.platforms import slack_errors
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_catch_up import SeenPlaces, keeping_up
from bot.platforms.slack_errors import LIMIT_S_MIN, RETRY_S, TOKEN_RETRY_S
from bot.platforms.slack_handlers import SlackSocket, bolt_app
from bot.platforms.slack_pace import Pace
from tests.fakes.slack_server import APP_TOKEN, SlackServer
from tests.house import running_house
from tests.slack_app import QUICK, running_slack
from tests.slack_workspace import BOT_TOKEN, Workspace, envelope

FASTER = 600
"""So many times faster runs the time here: nobody waits for a minute."""


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_errors, "RETRY_S", RETRY_S / FASTER)
    monkeypatch.setattr(slack_errors, "TOKEN_RETRY_S", TOKEN_RETRY_S / FASTER)
    monkeypatch.setattr(slack_errors, "LIMIT_S_MIN", LIMIT_S_MIN / FASTER)
    monkeypatch.setattr("bot.intake.BACKOFF_S_MAX", BACKOFF_S_MAX / FASTER)


async def at_once(wait_s: float) -> None:
    await asyncio.sleep(wait_s / FASTER)


async def test_a_minute_of_429_delays_the_answers_and_loses_and_doubles_none(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("Hello there.")], pace=QUICK) as slack:
        server.limited = 60  # each says to wait for a second
        asked = [await workspace.say(f"number {number}", workspace.im) for number in range(10)]
        asked += [await workspace.say(f"<@U0BOT> number {number}", workspace.channel) for number in range(10)]
        for number, ts in enumerate(asked):
            event = workspace.direct("hello", ts) if number < 10 else workspace.mention("hello", ts)
            assert (await slack.deliver(envelope(event)))[0] == 200
        await slack.settled()
        assert server.limited == 0
    assert [server.texts(ts) for ts in asked] == [["Hello there."]] * 20


async def test_slack_that_is_away_for_ten_minutes_costs_no_answer_and_doubles_none(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    go_on, platform = asyncio.Event(), SlackPlatform(BOT_TOKEN, server.api_url, QUICK)
    begun = (TextDelta("First words"), WaitFor(go_on), TextDelta(" and the last."), Finished("stop", SOME_USAGE))
    seen = SeenPlaces(tmp_path / "seen.json", lambda: 1_700_000_000.0)
    try:
        async with running_house(tmp_path, platform, [begun, answer("Hello there.")]) as open_:
            bolt = bolt_app(platform, open_.door, places=seen)
            async with (
                SlackSocket(platform, bolt, APP_TOKEN, seen.gap.set, ping_s=0.05),
                keeping_up(platform, open_.door, seen, at_once),
            ):
                await server.connected.wait()
                root = await workspace.say("<@U0BOT> hello", workspace.channel)
                await server.push("events_api", workspace.mention("hello", root), "e1")
                await server.until(lambda: server.texts(root) == ["First words"])
                server.away = True
                await server.cut()
                go_on.set()
                await workspace.say("and meanwhile?", workspace.channel, root)
                missed = await workspace.say("<@U0BOT> and here?", workspace.channel)
                await server.until(lambda: server.turned_away > 5)
                # The answer is looked for before each try.
                await server.until(lambda: server.calls.count("conversations.replies") > 8)
                server.away = False
                await server.connected.wait()
                await server.until(lambda: server.texts(root)[1:] == server.texts(missed) == ["Hello there."])
    finally:
        await platform.aclose()
    assert server.texts(root) == ["First words and the last.", "Hello there."]


async def test_where_slack_refuses_the_token_in_mid_stream_the_answer_is_made_whole_with_a_new_one(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    go_on = asyncio.Event()
    begun = (TextDelta("First words"), WaitFor(go_on), TextDelta(" and the last."), Finished("stop", SOME_USAGE))
    async with running_slack(tmp_path, workspace.api_url, [begun, answer("Hello there.")], pace=QUICK) as slack:
        root = await workspace.say("<@U0BOT> hello", workspace.channel)
        await slack.deliver(envelope(workspace.mention("hello", root)))
        await server.until(lambda: server.texts(root) == ["First words"])
        server.refuses_token = True
        go_on.set()
        more = await workspace.say("<@U0BOT> and?", workspace.channel, root)
        assert (await slack.deliver(envelope(workspace.mention("and?", more, thread_ts=root))))[0] == 200
        tried = len(server.calls)
        await server.until(lambda: server.calls[tried:].count("conversations.replies") > 3)
        assert server.texts(root) == ["First words"]
        server.refuses_token = False
        await slack.settled()
    assert server.texts(root) == ["First words and the last.", "Hello there."]


async def test_a_thousand_events_that_come_again_in_any_order_are_answered_once_for_each_message(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("Hello there.")], pace=Pace(begin_s=0.0)) as slack:
        direct = [await workspace.say(f"number {number}", workspace.im) for number in range(100)]
        named = [await workspace.say(f"<@U0BOT> number {number}", workspace.channel) for number in range(100)]
        # Of a mention Slack tells in two ways.
        told = {"channel": workspace.channel, "channel_type": "channel", "text": "<@U0BOT> hello"}
        events = [workspace.direct("hello", ts) for ts in direct for _ in range(5)]
        events += [workspace.mention("hello", ts) for ts in named for _ in range(3)]
        events += [workspace.event(type="message", ts=ts, **told) for ts in named for _ in range(2)]
        random.Random(5).shuffle(events)
        assert len(events) == 1000
        for start in range(0, len(events), 20):
            statuses = await asyncio.gather(*(slack.deliver(envelope(event)) for event in events[start : start + 20]))
            assert {status for status, _ in statuses} == {200}
        await slack.settled()
        assert len(await slack.turns()) == 200
    assert [server.texts(ts) for ts in (*direct, *named)] == [["Hello there."]] * 200
