"""What was said in Slack while CarPool was down is answered after the start, once; nothing else is."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.scripted import answer
from bot.platforms.slack_catch_up import MISSED_FOR_S, OVERLAP_S, PLACES_MAX, SeenPlaces, catch_up, keeping_up
from bot.platforms.slack_handlers import Handlers
from tests.fakes.slack_server import Fault, SlackServer, running_slack_server
from tests.slack_app import SlackUnderTest, running_slack
from tests.slack_workspace import Workspace, workspace_at

# The fake's messages begin at this time.
NOW_S = 1_700_000_000.0


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with running_slack_server() as server:
        yield server


@pytest.fixture
async def workspace(server: SlackServer) -> AsyncIterator[Workspace]:
    async with workspace_at(server.api_url) as workspace:
        yield workspace


def seen_at(folder: Path, now_s: float = NOW_S) -> SeenPlaces:
    return SeenPlaces(folder / "seen.json", lambda: now_s)


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
            await catch_up(slack.platform, slack.open.door, seen, 0.0)
            await slack.settled()
        assert len(await slack.turns()) == 5
    assert server.texts(root) == ["One.", "More."]
    assert server.texts(mention) == server.texts(second) == ["More."]
    assert seen.caught_up


async def test_talk_in_a_thread_before_carpool_was_asked_there_is_not_answered_afterwards(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        seen = seen_at(tmp_path)
        root = await workspace.say("Shall we meet?", workspace.channel)
        await workspace.say("On Monday", workspace.channel, root)
        ts = await workspace.say(f"<@{workspace.bot}> when?", workspace.channel, root)
        await hear(slack, seen, workspace.mention("when?", ts, thread_ts=root))
        await catch_up(slack.platform, slack.open.door, seen, 0.0)
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
        await catch_up(slack.platform, slack.open.door, seen, 0.0)
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
            while not seen.caught_up:
                await slack.settled()
    (place,) = seen_at(tmp_path).places
    assert (place.channel, place.thread, place.since) == (workspace.channel, root, root)
    assert seen_at(tmp_path, NOW_S + 3_600).floor_s == NOW_S - OVERLAP_S
    assert seen_at(tmp_path, NOW_S + 10 * MISSED_FOR_S).floor_s == NOW_S + 9 * MISSED_FOR_S


def test_what_was_not_caught_up_is_read_again_at_the_next_start(tmp_path: Path) -> None:
    first = seen_at(tmp_path)
    first.caught_up = True
    first.save()
    seen_at(tmp_path, NOW_S + 100).save()
    assert seen_at(tmp_path, NOW_S + 200).floor_s == NOW_S - OVERLAP_S


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"upto_s": "x", "places": []}', '{"upto_s": 1, "places": [[1]]}'])
def test_a_file_that_cannot_be_read_is_as_none(tmp_path: Path, kept: str) -> None:
    (tmp_path / "seen.json").write_text(kept)
    assert seen_at(tmp_path).places == ()


def test_only_the_places_used_last_are_kept(tmp_path: Path) -> None:
    from bot.platforms.base import Address
    from bot.platforms.slack_wire import SLACK

    seen = seen_at(tmp_path)
    for number in range(PLACES_MAX + 5):
        seen.note(Address(SLACK, "T", "C", f"{number}.0", "U"), f"{number}.0")
    seen.note(Address(SLACK, "T", "C", "10.0", "U"), "99.0")
    assert len(seen.places) == PLACES_MAX
    assert (seen.places[0].thread, seen.places[0].since) == ("10.0", "10.0")
    seen.save()
    assert len(json.loads((tmp_path / "seen.json").read_text())["places"]) == PLACES_MAX
