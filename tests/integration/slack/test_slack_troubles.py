"""What goes wrong between Slack and us, and what the person gets then. Slack is a fake of ours here: see its docstring."""

from pathlib import Path

import pytest

from adapters.scripted import answer
from bot.errors import NOT_TAKEN, READ_ONLY
from bot.platforms.base import PlatformError
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_errors import SlackError, answer_of
from bot.platforms.slack_handlers import SlackSocket, bolt_app
from bot.platforms.slack_pieces import PRIVATE_PIECES_MAX
from integrations.storage.sqlite import SqliteStore
from ledger.book import Wanted
from ledger.errors import StoreFailed
from ledger.store import Seal, Sealed
from tests.fakes.slack_server import APP_TOKEN, Fault, SlackServer
from tests.house import running_house
from tests.slack_app import running_slack
from tests.slack_workspace import BOT_TOKEN, Workspace, envelope

LONG = "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(80))


async def ask_directly(folder: Path, workspace: Workspace, text: str = "Hello from CarPool.") -> list[str]:
    """One question, one answer. Returns what stands in the thread."""
    async with running_slack(folder, workspace.api_url, [answer(text)]) as slack:
        ts = await workspace.say("hello", workspace.im)
        assert (await slack.deliver(envelope(workspace.direct("hello", ts))))[0] == 200
        await slack.settled()
    return [message["blocks"][0]["text"] for message in await workspace.thread(workspace.im, ts)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("chat.postMessage", 429, "ratelimited", retry_after_s=1),
        Fault("chat.postMessage", 500),
        Fault("chat.postMessage", 200, "internal_error"),
        Fault("chat.postMessage", 0),
        Fault("chat.postMessage", 500, after=True),
        Fault("chat.postMessage", 0, after=True),
    ],
    ids=["429", "500", "internal_error", "cut", "500 after it was posted", "cut after it was posted"],
)
async def test_a_reply_that_slack_does_not_confirm_stands_there_once(
    tmp_path: Path, server: SlackServer, workspace: Workspace, fault: Fault
) -> None:
    server.faults.append(fault)
    assert await ask_directly(tmp_path, workspace) == ["Hello from CarPool."]


async def test_of_a_long_reply_only_the_missing_pieces_are_posted_again(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer(LONG)]) as slack:
        ts = await workspace.say("hello", workspace.im)
        # The first piece is posted, and its confirmation is lost.
        server.faults.append(Fault("chat.postMessage", 0, after=True))
        server.page = 1
        await slack.deliver(envelope(workspace.direct("hello", ts)))
        await slack.settled()
    server.page = 200
    texts = [message["blocks"][0]["text"] for message in await workspace.thread(workspace.im, ts)]
    assert "".join(texts) == LONG.strip()


async def test_a_reply_for_a_channel_that_is_gone_ends_the_turn_as_undelivered(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    server.faults.append(Fault("chat.postMessage", 200, "channel_not_found"))
    async with running_slack(tmp_path, workspace.api_url) as slack:
        await slack.deliver(envelope(workspace.direct("hello", "1.1")))
        await slack.settled()
        (turn,) = await slack.turns()
        last = (await slack.open.store.entries_of(turn))[-1].entry.action
    assert (last.name, getattr(last, "outcome", "")) == ("turn.finished", "undelivered")


async def test_a_slash_command_is_answered_to_its_asker_alone(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        assert await slack.deliver(workspace.command("help", server.response_url)) == (200, "")
        await slack.settled()
        assert await slack.deliver(workspace.command("what is up?", server.response_url, "2.2")) == (200, "")
        await slack.settled()
    helped, said = server.responses
    assert helped["response_type"] == said["response_type"] == "ephemeral"
    assert helped["text"].startswith("Write to me as you would to a person.")
    assert said["text"] == "Hello from CarPool."
    assert server.messages == {}


async def test_an_empty_slash_command_is_helped(tmp_path: Path, server: SlackServer, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        await slack.deliver(workspace.command("", server.response_url))
        await slack.settled()
    assert server.responses[0]["text"].startswith("Write to me as you would to a person.")


async def test_a_long_private_answer_stays_within_five_posts_and_says_so(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, [answer(LONG * 3)]) as slack:
        await slack.deliver(workspace.command("tell me", server.response_url))
        await slack.settled()
    assert len(server.responses) == PRIVATE_PIECES_MAX
    assert "ask me in a direct message" in server.responses[-1]["blocks"][0]["text"]


async def test_a_private_answer_that_comes_too_late_is_still_private(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    server.response_status = 404
    async with running_slack(tmp_path, workspace.api_url) as slack:
        await slack.deliver(workspace.command("help", server.response_url))
        await slack.settled()
    (message,) = server.ephemeral
    assert (message["channel"], message["user"]) == (workspace.channel, workspace.person)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://hooks.slack.com.example.org/x", "file:///x"])
async def test_only_slack_is_written_to(tmp_path: Path, server: SlackServer, workspace: Workspace, url: str) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        await slack.deliver(workspace.command("help", url))
        await slack.settled()
        (turn,) = await slack.turns()
        assert (await slack.open.journal(turn))[-2:] == ["reply.prepared", "turn.finished"]
    assert server.responses == []


class FailingStore(SqliteStore):
    """Its next commit of a message fails, as on a full disk."""

    fails = False

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        if self.fails:
            raise StoreFailed("SQLite: database or disk is full", "disk_full")
        return await super().commit(wanted, seal)


def failing(store: SqliteStore) -> SqliteStore:
    store.__class__ = FailingStore
    return store


async def test_what_could_not_be_recorded_is_not_acknowledged(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url, wrap=failing) as slack:
        assert isinstance(slack.open.store, FailingStore)
        slack.open.store.fails = True
        # An event is delivered again by Slack; a command is not, so its sender is told.
        status, body = await slack.deliver(envelope(workspace.direct("hello", "1.1")))
        assert (status, NOT_TAKEN in body) == (503, True)
        status, body = await slack.deliver(workspace.command("help", server.response_url))
        assert (status, NOT_TAKEN in body) == (200, True)
        async with slack.session.get(f"{slack.url}/health") as health:
            assert health.status == 503 or not slack.open.intake.failed.is_set()


async def test_over_socket_mode_the_same_message_gets_the_same_answer(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    platform = SlackPlatform(BOT_TOKEN, server.api_url)
    try:
        async with running_house(tmp_path, platform, [answer("Hello from CarPool.")]) as open_:
            async with SlackSocket(platform, bolt_app(platform, open_.door), APP_TOKEN):
                await server.connected.wait()
                ts = await workspace.say("hello", workspace.im)
                event = workspace.direct("hello", ts)
                await server.push("events_api", event, "e1")
                # Acknowledged means accepted: it is on disk, and a second delivery finds it there.
                (first,) = [item for item in await open_.all() if item.entry.action.name == "message.received"]
                await server.push("events_api", event, "e2", attempt=1)
                command = {**COMMAND, "response_url": server.response_url}
                await server.push("slash_commands", command, "e3")
                turns = [item.entry.turn for item in await open_.all() if item.entry.action.name == "message.received"]
                assert len(turns) == 2
                assert turns[0] == first.entry.turn
                for turn in turns:
                    await open_.intake.ended(turn)
    finally:
        await platform.aclose()
    assert [message["text"] for message in await workspace.thread(workspace.im, ts)] == ["Hello from CarPool."]
    assert server.responses[0]["text"].startswith("Connected models")


COMMAND = {
    "type": "slash_commands",
    "command": "/carpool",
    "text": "model",
    "team_id": "T0TEAM",
    "channel_id": "C0TEAM",
    "user_id": "U0ANNA",
    "trigger_id": "9.9",
}


async def test_a_refused_app_token_is_said_at_the_start(server: SlackServer) -> None:
    platform = SlackPlatform(BOT_TOKEN, server.api_url)

    async def accept(incoming: object) -> None:
        raise AssertionError("nothing comes in")

    try:
        with pytest.raises(PlatformError, match="invalid_auth"):
            bolt = bolt_app(platform, accept)  # type: ignore[arg-type]  # is never called
            async with SlackSocket(platform, bolt, "xapp-wrong"):
                pass
    finally:
        await platform.aclose()


async def test_where_slack_cannot_say_who_the_bot_is_a_message_is_accepted_all_the_same(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    server.faults.append(Fault("auth.test", 500))
    assert await ask_directly(tmp_path, workspace) == ["Hello from CarPool."]


async def test_an_answer_that_says_it_is_json_and_is_none_is_as_none_at_all(server: SlackServer) -> None:
    platform = SlackPlatform(BOT_TOKEN, server.api_url)
    server.faults.append(Fault("auth.test", garbage=True))
    with pytest.raises(SlackError) as caught:
        await answer_of(platform.client.auth_test())
    assert not caught.value.refused
    await platform.aclose()


async def test_where_the_ledger_was_found_changed_whoever_writes_is_told_once(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    async with running_slack(tmp_path, workspace.api_url) as slack:
        await slack.open.roadchain.stop_taking("RC004: entry 1: the hash is not that of the entry's bytes")
        # Slack tells of a mention twice, and it would tell again of what is not taken.
        mention = workspace.mention("hello", "1.1")
        said = workspace.event(type="message", channel=workspace.channel, channel_type="channel", ts="1.1")
        for event in (mention, {**said, "event": {**mention["event"], "type": "message"}}, mention):
            assert (await slack.deliver(envelope(event)))[0] == 200
        await server.until(lambda: bool(server.ephemeral))
        assert await slack.deliver(workspace.command("help", server.response_url)) == (200, READ_ONLY)
        async with slack.session.get(f"{slack.url}/health") as health:
            assert (health.status, await health.json()) == (200, {"status": "read-only"})
    assert [(told["text"], told["user"]) for told in server.ephemeral] == [(READ_ONLY, workspace.person)]
    assert (server.messages, server.responses) == ({}, [])
