"""What was said in Slack while nobody listened is answered when somebody does, once and in order; nothing else is."""

import asyncio
import json
from pathlib import Path

import pytest

from adapters.scripted import answer
from bot.payloads import decode_asked
from bot.platforms.base import Address
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_catch_up import (
    MISSED_FOR_S,
    OVERLAP_S,
    PLACES_MAX,
    SWEEP_S,
    SeenPlaces,
    catch_up,
    keeping_up,
)
from bot.platforms.slack_handlers import Handlers, SlackSocket, bolt_app
from bot.platforms.slack_wire import SLACK
from tests.fakes.slack_server import APP_TOKEN, Fault, SlackServer
from tests.house import running_house
from tests.slack_app import SlackUnderTest, running_slack
from tests.slack_workspace import BOT_TOKEN, Workspace

# The fake's messages begin at this time.
NOW_S = 1_700_000_000.0


def seen_at(folder: Path, now_s: float = NOW_S) -> SeenPlaces:
    return SeenPlaces(folder / "seen.json", lambda: now_s)


async def at_once(wait_s: float) -> None:
    await asyncio.sleep(0)


class Clock:
    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


async def hear(slack: SlackUnderTest, seen: SeenPlaces, event: dict[str, object]) -> None:
    await Handlers(slack.platform, slack.open.door, None, seen).event(event)
    await slack.settled()


async def test_what_was_said_while_nobody_listened_is_answered_once_in_threads_and_outside(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("One."), answer("More.")]) as slack:
        seen = seen_at(tmp_path)
        root = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
        await hear(slack, seen, workspace.mention("hello", root))
        direct = await workspace.say("hello", workspace.im)
        await hear(slack, seen, workspace.direct("hello", direct))
        # Nobody listens.
        await workspace.say("and further?", workspace.channel, root)
        await workspace.say("<@U0BERT> what do you think?", workspace.channel, root)
        mention = await workspace.say(f"<@{workspace.bot}> a new question", workspace.channel)
        await workspace.say("talk of others", workspace.channel)
        second = await workspace.say("another", workspace.im)
        for _ in range(2):
            assert await catch_up(slack.platform, slack.open.door, seen, at_once)
            await slack.settled()
        assert len(await slack.turns()) == 5
    assert server.texts(root) == ["One.", "More."]
    assert server.texts(mention) == server.texts(second) == ["More."]
    assert seen.floor_s == NOW_S - OVERLAP_S


async def test_talk_in_a_thread_before_carpool_was_asked_there_is_not_answered_afterwards(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        seen = seen_at(tmp_path)
        root = await workspace.say("Shall we meet?", workspace.channel)
        await workspace.say("On Monday", workspace.channel, root)
        ts = await workspace.say(f"<@{workspace.bot}> when?", workspace.channel, root)
        await hear(slack, seen, workspace.mention("when?", ts, thread_ts=root))
        await catch_up(slack.platform, slack.open.door, seen, at_once)
        assert len(await slack.turns()) == 1


async def test_where_slack_is_at_its_limit_or_shows_nothing_the_rest_is_caught_up(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("One."), answer("Two.")]) as slack:
        seen = seen_at(tmp_path)
        root = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
        await hear(slack, seen, workspace.mention("hello", root))
        await workspace.say("and further?", workspace.channel, root)
        server.without_scope.add("conversations.history")
        server.faults.append(Fault("conversations.replies", 429, "ratelimited", 1))
        await catch_up(slack.platform, slack.open.door, seen, at_once)
        await slack.settled()
    assert server.texts(root) == ["One.", "Two."]


async def test_what_was_heard_is_kept_for_the_next_start(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        seen = seen_at(tmp_path)
        assert seen.floor_s == NOW_S
        root = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
        async with keeping_up(slack.platform, slack.open.door, seen):
            await hear(slack, seen, workspace.mention("hello", root))
            while seen.floor_s == NOW_S:
                await slack.settled()
    (place,) = seen_at(tmp_path).places
    assert (place.channel, place.thread, place.since) == (workspace.channel, root, root)
    assert seen_at(tmp_path, NOW_S + 3_600).floor_s == NOW_S - OVERLAP_S
    assert seen_at(tmp_path, NOW_S + 10 * MISSED_FOR_S).floor_s == NOW_S + 9 * MISSED_FOR_S


def test_what_was_not_caught_up_is_read_again_at_the_next_start(tmp_path: Path) -> None:
    seen_at(tmp_path).save()
    seen_at(tmp_path, NOW_S + 100).save()
    assert seen_at(tmp_path, NOW_S + 200).floor_s == NOW_S


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"upto_s": "x", "places": []}', '{"upto_s": 1, "places": [[1]]}'])
def test_a_file_that_cannot_be_read_is_as_none(tmp_path: Path, kept: str) -> None:
    (tmp_path / "seen.json").write_text(kept)
    assert seen_at(tmp_path).places == ()


def test_only_the_places_used_last_are_kept(tmp_path: Path) -> None:
    seen = seen_at(tmp_path)
    for number in range(PLACES_MAX + 5):
        seen.note(Address(SLACK, "T", "C", f"{number}.0", "U"), f"{number}.0")
    seen.note(Address(SLACK, "T", "C", "10.0", "U"), "99.0")
    assert len(seen.places) == PLACES_MAX
    assert (seen.places[0].thread, seen.places[0].since) == ("10.0", "10.0")
    seen.save()
    assert len(json.loads((tmp_path / "seen.json").read_text())["places"]) == PLACES_MAX


async def test_many_threads_in_one_channel_do_not_keep_another_from_being_read(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("One."), answer("Two.")]) as slack:
        seen = seen_at(tmp_path)
        root = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
        await hear(slack, seen, workspace.mention("hello", root))
        for number in range(PLACES_MAX):
            ts = f"{NOW_S + number:.6f}"
            seen.note(Address(SLACK, workspace.team, "D0GONE", ts, "U"), ts)
        assert root not in [place.thread for place in seen.places]
        seen.save()
        missed = await workspace.say(f"<@{workspace.bot}> and further?", workspace.channel)
        later = seen_at(tmp_path)
        assert await catch_up(slack.platform, slack.open.door, later, at_once)
        await slack.settled()
    assert server.texts(missed) == ["Two."]


async def test_what_is_read_again_does_not_count_as_used_again(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        seen = seen_at(tmp_path)
        roots = [await workspace.say("hello", workspace.im) for _ in range(3)]
        for root in roots:
            await hear(slack, seen, workspace.direct("hello", root))
            more = await workspace.say("and?", workspace.im, root)
            await hear(slack, seen, workspace.direct("and?", more, thread_ts=root))
        assert await catch_up(slack.platform, slack.open.door, seen, at_once)
    assert [place.thread for place in seen.places] == roots[::-1]


async def test_what_was_said_while_the_connection_was_lost_is_answered_once_and_in_order_when_it_is_back(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    clock, platform = Clock(), SlackPlatform(BOT_TOKEN, server.api_url)
    seen, script = SeenPlaces(tmp_path / "seen.json", clock), [answer("One."), answer("Two."), answer("Three.")]
    try:
        async with running_house(tmp_path, platform, script) as open_:
            bolt = bolt_app(platform, open_.door, places=seen)
            async with (
                SlackSocket(platform, bolt, APP_TOKEN, seen.gap.set, ping_s=0.05),
                keeping_up(platform, open_.door, seen, at_once),
            ):
                await server.connected.wait()
                root = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
                await server.push("events_api", workspace.mention("hello", root), "e1")
                await server.until(lambda: server.texts(root) == ["One."])
                # For ten minutes.
                server.away = True
                await server.cut()
                missed = await workspace.say("and further?", workspace.channel, root)
                await workspace.say("and then?", workspace.channel, root)
                begun = await workspace.say(f"<@{workspace.bot}> a new question", workspace.channel)
                await workspace.say("and about it?", workspace.channel, begun)
                clock.now_s += 600
                server.away = False
                await server.connected.wait()
                await server.until(lambda: len(server.texts(root)) == 3 and len(server.texts(begun)) == 2)
                # Slack delivers one of them again, later than anybody hoped for.
                late = workspace.event(
                    type="message", channel=workspace.channel, text="and further?", ts=missed, thread_ts=root
                )
                await server.push("events_api", late, "e2", attempt=3)
            received = [item.body for item in await open_.all() if item.entry.action.name == "message.received"]
    finally:
        await platform.aclose()
    asked = [decode_asked(body).text for body in received if body is not None]
    assert sorted(asked) == sorted(["hello", "a new question", "and further?", "and then?", "and about it?"])
    assert asked.index("and further?") < asked.index("and then?")
    assert asked.index("a new question") < asked.index("and about it?")
    assert server.texts(root)[0] == "One."
    assert seen.floor_s == clock.now_s - OVERLAP_S


async def test_what_never_came_because_nobody_could_reach_us_is_found_within_the_hour(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    clock = Clock()
    async with running_slack(tmp_path, workspace.api_url, [answer("One."), answer("Two.")]) as slack:
        seen = SeenPlaces(tmp_path / "seen.json", clock)
        root = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
        await hear(slack, seen, workspace.mention("hello", root))
        async with keeping_up(slack.platform, slack.open.door, seen, at_once, saved_every_s=0.01):
            await server.until(lambda: server.calls.count("conversations.replies") >= 1)
            await workspace.say("and further?", workspace.channel, root)
            clock.now_s += SWEEP_S
            await server.until(lambda: server.texts(root) == ["One.", "Two."])


async def test_while_slack_cannot_be_asked_what_was_missed_stays_to_be_heard(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("One."), answer("Two.")]) as slack:
        seen = seen_at(tmp_path)
        root = await workspace.say(f"<@{workspace.bot}> hello", workspace.channel)
        await hear(slack, seen, workspace.mention("hello", root))
        await workspace.say("and further?", workspace.channel, root)
        server.away = True
        assert not await catch_up(slack.platform, slack.open.door, seen, at_once)
        assert seen.floor_s == NOW_S
        server.away = False
        assert await catch_up(slack.platform, slack.open.door, seen, at_once)
        await slack.settled()
    assert server.texts(root) == ["One.", "Two."]


async def test_all_that_was_missed_in_a_busy_channel_is_read_from_the_first_on(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer("One.")]) as slack:
        seen = seen_at(tmp_path)
        first = await workspace.say("hello", workspace.im)
        await hear(slack, seen, workspace.direct("hello", first))
        missed = [await workspace.say(f"question {number}", workspace.im) for number in range(7)]
        server.page = 3
        assert await catch_up(slack.platform, slack.open.door, seen, at_once)
        await slack.settled()
        assert len(await slack.turns()) == 8
    assert [server.texts(ts) for ts in missed] == [["One."]] * 7
