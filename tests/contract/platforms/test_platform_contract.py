"""What each platform promises the turn: `send` brings all of a reply, `find` knows it again, the screen never fails."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.platforms.base import Address, Footer, Platform, Reply
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_wire import DISCORD
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_wire import SLACK
from bot.platforms.terminal import TERMINAL, TerminalPlatform
from ledger.pseudonyms import TurnId
from tests.discord_app import simulated, texts_of
from tests.fakes.slack_server import running_slack_server
from tests.slack_workspace import BOT_TOKEN, Workspace, emulated_workspace, workspace_at

TURN, OTHER = TurnId("t-0123456789abcdef"), TurnId("t-fedcba9876543210")
ANSWER = Reply("answer", "It is *so*.", Footer("scripted/m", "the only model connected", "free", TURN))
LONG = Reply("answer", "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(80)), ANSWER.footer)


@dataclass(frozen=True)
class Subject:
    """``keeps`` says whether what was sent can be looked up later. ``seen`` gives all that a person sees of it."""

    platform: Platform
    address: Address
    keeps: bool
    seen: Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def slack_in(workspace: Workspace) -> AsyncIterator[Subject]:
    platform = SlackPlatform(BOT_TOKEN, workspace.api_url)
    ts = await workspace.say("hello", workspace.channel)
    address = Address(SLACK, workspace.team, workspace.channel, ts, workspace.person)

    @asynccontextmanager
    async def seen() -> AsyncIterator[str]:
        messages = await workspace.thread(workspace.channel, ts)
        yield "".join(message["blocks"][0]["text"] for message in messages)

    try:
        yield Subject(platform, address, True, seen)
    finally:
        await platform.aclose()


@asynccontextmanager
async def discord_in_simcord() -> AsyncIterator[Subject]:
    platform = DiscordPlatform("token", edit_every_s=0.0)
    async with simulated(platform) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("team")
        person = guild.add_member(env.create_user("anna"))
        asked = await person.send(channel, "hello")
        address = Address(DISCORD, str(guild.id), str(channel.id), str(asked.id), str(person.id))

        @asynccontextmanager
        async def seen() -> AsyncIterator[str]:
            (thread,) = channel.threads
            yield "".join(texts_of(message)[0] for message in thread.history() if message.components)

        yield Subject(platform, address, True, seen)


@pytest.fixture(params=["slack with the emulator", "slack with the fake", "discord in simcord", "pipe"])
async def subject(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Subject]:
    match request.param:
        case "slack with the emulator":
            async with emulated_workspace(tmp_path) as workspace, slack_in(workspace) as subject:
                yield subject
        case "slack with the fake":
            async with running_slack_server() as server, workspace_at(server.api_url) as workspace:
                async with slack_in(workspace) as subject:
                    yield subject
        case "discord in simcord":
            async with discord_in_simcord() as subject:
                yield subject
        case _:
            platform = TerminalPlatform(None)
            platform.expect(TURN)

            @asynccontextmanager
            async def seen() -> AsyncIterator[str]:
                yield capsys.readouterr().out

            yield Subject(platform, Address(TERMINAL, "local", "terminal", "", "owner"), False, seen)


async def test_a_sent_reply_is_seen(subject: Subject) -> None:
    await subject.platform.send(subject.address, TURN, 1, ANSWER)
    async with subject.seen() as seen:
        assert seen.strip() == ANSWER.text


async def test_a_sent_reply_is_found_where_the_platform_keeps_it(subject: Subject) -> None:
    await subject.platform.send(subject.address, TURN, 1, ANSWER)
    assert await subject.platform.find(subject.address, TURN, 1) == ("there" if subject.keeps else "unknown")


async def test_what_was_not_sent_is_never_found(subject: Subject) -> None:
    await subject.platform.send(subject.address, TURN, 1, ANSWER)
    absent = "absent" if subject.keeps else "unknown"
    assert await subject.platform.find(subject.address, TURN, 2) == absent
    assert await subject.platform.find(subject.address, OTHER, 1) == absent


async def test_nothing_of_a_long_reply_is_lost(subject: Subject) -> None:
    await subject.platform.send(subject.address, TURN, 1, LONG)
    async with subject.seen() as seen:
        assert seen.strip() == LONG.text.strip()
    assert await subject.platform.find(subject.address, TURN, 1) == ("there" if subject.keeps else "unknown")


async def test_the_screen_takes_anything(subject: Subject) -> None:
    screen = subject.platform.screen(subject.address, TURN)
    for delta in ("", "text", "\x1b[31m", "\ud800", "\n" * 100):
        await screen.show(delta)
        await screen.reasoning(delta)
