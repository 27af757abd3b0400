"""Files and images that people send along in Slack, and files that CarPool gives."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.messages import File, Image, Text
from bot.limits import Limits
from bot.platforms.base import Address, Attached, PlatformError, Reply
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_wire import SLACK
from ledger.pseudonyms import TurnId
from tests.fakes.slack_server import Fault, SlackServer
from tests.house import card
from tests.slack_app import SlackUnderTest, running_slack
from tests.slack_workspace import BOT_TOKEN, Workspace, envelope

READS_ALL = (replace(card("scripted", images=True), reads_files=True),)
TURN = TurnId("t-0123456789abcdef")
REPORT = File("report.csv", "text/csv", b"a,b\n1,2\n")
WITH_FILE = Reply("command", "Here it is.", files=(REPORT,))


@pytest.fixture
async def platform(server: SlackServer) -> AsyncIterator[SlackPlatform]:
    platform = SlackPlatform(BOT_TOKEN, server.api_url)
    yield platform
    await platform.aclose()


def put(server: SlackServer, name: str, media_type: str, data: bytes, **more: object) -> dict[str, Any]:
    """A file that lies with Slack, as a message tells of it."""
    id_ = f"F{len(server.files):04}"
    told = {"id": id_, "name": name, "mimetype": media_type, "size": len(data)}
    told["url_private"] = f"{server.base_url}/file/{id_}"
    server.files[id_] = {**told, "data": data, **more}
    return told


def parts(slack: SlackUnderTest) -> tuple[object, ...]:
    adapter: Any = slack.open.house.desk.connections.house.adapters["scripted"]  # type: ignore[index]  # a provider's name
    return tuple(adapter.requests[-1].messages[-1].parts)


async def test_files_and_images_reach_the_model(tmp_path: Path, server: SlackServer, workspace: Workspace) -> None:
    files = [put(server, "notes.txt", "text/plain", b"hello"), put(server, "cat.png", "image/png", b"\x89PNG")]
    async with running_slack(tmp_path, workspace.api_url, cards=READS_ALL) as slack:
        ts = await workspace.say("what is it?", workspace.im)
        event = workspace.direct("what is it?", ts, subtype="file_share", files=files)
        assert (await slack.deliver(envelope(event)))[0] == 200
        await slack.settled()
        given = parts(slack)
    assert any(isinstance(part, Text) and "> hello\n" in part.text for part in given)
    assert Image("image/png", b"\x89PNG") in given


async def test_a_file_alone_is_a_question(tmp_path: Path, server: SlackServer, workspace: Workspace) -> None:
    async with running_slack(tmp_path, workspace.api_url, cards=READS_ALL) as slack:
        ts = await workspace.say("x", workspace.im)
        event = workspace.direct("", ts, subtype="file_share", files=[put(server, "a.txt", "text/plain", b"hello")])
        await slack.deliver(envelope(event))
        await slack.settled()
    assert server.texts(ts) == ["Hello from CarPool."]


def attached(reference: str, media_type: str = "text/plain") -> Attached:
    return Attached("a.txt", media_type, 5, reference)


def here(workspace: Workspace) -> Address:
    return Address(SLACK, workspace.team, workspace.channel, "1.1", workspace.person)


async def test_a_file_is_fetched_from_slack_only_and_no_more_of_it_than_is_allowed(
    platform: SlackPlatform, server: SlackServer, workspace: Workspace
) -> None:
    told = put(server, "a.txt", "text/plain", b"hello")
    to = here(workspace)
    assert await platform.fetch(to, attached(told["url_private"]), 5) == b"hello"
    assert await platform.fetch(to, attached(f"id:{told['id']}"), 5) == b"hello"
    for reference, most in (
        (told["url_private"], 4),
        ("http://169.254.169.254/latest", 5),
        ("https://files.slack.com.evil.example/x", 5),
        ("https://evil.example/slack.com", 5),
        ("http://files.slack.com/without-tls", 5),
        ("file:///etc/passwd", 5),
        ("", 5),
        ("id:F9999", 5),
    ):
        with pytest.raises(PlatformError) as refused:
            await platform.fetch(to, attached(reference), most)
        assert refused.value.retry_after_s is None, reference


async def test_the_token_goes_to_nobody_to_whom_a_file_was_moved(
    platform: SlackPlatform, server: SlackServer, workspace: Workspace
) -> None:
    to = here(workspace)
    second = put(server, "b.txt", "text/plain", b"hello")
    moved = put(server, "a.txt", "text/plain", b"", moved=second["url_private"])
    assert await platform.fetch(to, attached(moved["url_private"]), 5) == b"hello"
    away = put(server, "a.txt", "text/plain", b"", moved="https://evil.example/x")
    around = put(server, "a.txt", "text/plain", b"")
    server.files[around["id"]]["moved"] = around["url_private"]
    for told in (away, around):
        with pytest.raises(PlatformError) as refused:
            await platform.fetch(to, attached(told["url_private"]), 5)
        assert refused.value.retry_after_s is None


async def test_slacks_page_for_signing_in_is_taken_for_no_file(
    platform: SlackPlatform, server: SlackServer, workspace: Workspace
) -> None:
    told = put(server, "a.txt", "text/plain", b"hello")
    server.without_scope.add("files")
    with pytest.raises(PlatformError, match="may not be read"):
        await platform.fetch(here(workspace), attached(told["url_private"]), 1_000)


async def shared(server: SlackServer, workspace: Workspace) -> list[tuple[str, bytes]]:
    messages = [message for message in server.messages[workspace.channel] if message.get("files")]
    return [(file["name"], server.files[file["id"]]["data"]) for message in messages for file in message["files"]]


async def test_a_file_of_a_reply_stands_in_the_thread_once_whatever_is_lost(
    platform: SlackPlatform, server: SlackServer, workspace: Workspace
) -> None:
    ts = await workspace.say("hello", workspace.channel)
    to = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)
    server.faults.append(Fault("chat.postMessage", 500))
    with pytest.raises(PlatformError):
        await platform.send(to, TURN, 1, WITH_FILE)
    assert await platform.find(to, TURN, 1) == "absent"
    await platform.send(to, TURN, 1, WITH_FILE)
    assert await platform.find(to, TURN, 1) == "there"
    assert await shared(server, workspace) == [(REPORT.name, REPORT.data)]
    assert server.texts(ts) == ["Here it is."]


async def test_where_slack_takes_no_files_the_reply_says_which_are_missing(
    platform: SlackPlatform, server: SlackServer, workspace: Workspace
) -> None:
    server.without_scope.add("files.getUploadURLExternal")
    ts = await workspace.say("hello", workspace.channel)
    to = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)
    await platform.send(to, TURN, 1, WITH_FILE)
    (text,) = server.texts(ts)
    assert "report.csv" in text


async def test_a_private_file_goes_to_the_direct_conversation(
    platform: SlackPlatform, server: SlackServer, workspace: Workspace
) -> None:
    ts = await workspace.say("hello", workspace.channel)
    to = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)
    await platform.send(to, TURN, 1, Reply("command", "Here it is.", files=(REPORT,), private=True))
    assert await shared(server, workspace) == []
    assert [message["files"][0]["name"] for message in server.messages[workspace.im]] == ["report.csv"]
    assert server.ephemeral[0]["text"] == "Here it is."


async def test_a_file_longer_than_is_read_is_named_to_the_model(
    tmp_path: Path, server: SlackServer, workspace: Workspace
) -> None:
    files = [put(server, "big.txt", "text/plain", b"x" * 2_000)]
    limits = Limits(attachment_bytes_max=1_000)
    async with running_slack(tmp_path, workspace.api_url, limits=limits, cards=READS_ALL) as slack:
        ts = await workspace.say("what is it?", workspace.im)
        await slack.deliver(envelope(workspace.direct("what is it?", ts, subtype="file_share", files=files)))
        await slack.settled()
        assert "big.txt" in str(parts(slack))
    assert server.texts(ts) == ["Hello from CarPool."]
