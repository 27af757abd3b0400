"""Questions by slash command over the wire: what answers them is found again, whatever became of the token and the channel."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.messages import Finished, TextDelta
from adapters.scripted import WaitFor
from bot.platforms.base import Address, Reply
from bot.platforms.discord_wire import ASK, DISCORD, Mode, Way
from ledger.pseudonyms import TurnId
from tests.discord_wired import logged_in, running_wired
from tests.fakes.discord_interactions import LOADING, Slash
from tests.fakes.discord_server import (
    ANNA,
    APPLICATION,
    CHANNEL,
    DIRECT,
    GUILD,
    DiscordServer,
    Fault,
    buttons,
    running_discord_server,
)

TURN = TurnId("t-0123456789abcdef")
LONG = "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(15)).strip()
"""Three messages long."""


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with running_discord_server() as server:
        yield server


async def asked(server: DiscordServer, mode: Mode = "public") -> tuple[Slash, Address]:
    """A question that was acknowledged, and where it is answered."""
    slash = await server.slash(ASK, question="hello")
    server.interactions.acknowledge(
        slash.id, slash.token, {"type": 5, "data": {"flags": 0 if mode == "public" else 64}}
    )
    return slash, to(slash, mode)


def to(slash: Slash, mode: Mode = "public") -> Address:
    way = Way(application=APPLICATION, token=slash.token, mode=mode)
    return Address(DISCORD, GUILD, CHANNEL, "", ANNA, str(way))


async def test_a_long_answer_is_found_whole_and_completed_where_it_is_not(server: DiscordServer) -> None:
    slash, address = await asked(server)
    async with logged_in(server) as platform:
        assert await platform.find(address, TURN, 1) == "absent"
        await platform.send(address, TURN, 1, Reply("answer", LONG))
        whole = server.said(CHANNEL)
        assert "".join(whole) == LONG.replace("\n\n", "") or len(whole) == 3
        assert await platform.find(address, TURN, 1) == "there"
        # It was cut off before the last.
        server.interactions.call("DELETE", slash.token, ["messages", slash.followed[-1]["id"]], {})
        assert await platform.find(address, TURN, 1) == "absent"
        await platform.send(address, TURN, 1, Reply("answer", LONG))
    assert server.said(CHANNEL) == whole


async def test_where_the_channel_may_not_be_read_a_long_answer_may_be_there_and_a_short_one_is_known(
    server: DiscordServer,
) -> None:
    server.faults.append(Fault("GET", "/channels/", 403, times=99, body={"code": 50001, "message": "Missing Access"}))
    _, long = await asked(server)
    _, short = await asked(server)
    async with logged_in(server) as platform:
        assert await platform.find(long, TURN, 1) == "absent"
        await platform.send(long, TURN, 1, Reply("answer", LONG))
        assert await platform.find(long, TURN, 1) == "unknown"
        await platform.send(short, TURN, 1, Reply("answer", "Short."))
        assert await platform.find(short, TURN, 1) == "there"


@pytest.mark.parametrize("expired", [False, True])
async def test_a_begun_answer_of_several_messages_becomes_the_notice_that_it_is_lost(
    server: DiscordServer, expired: bool
) -> None:
    slash, address = await asked(server)
    async with logged_in(server) as platform:
        screen = platform.screen(address, TURN)
        await screen.begin()
        await screen.show(LONG)
        await server.until(lambda: len(server.said(CHANNEL)) == 3)
    assert buttons(server, CHANNEL) == ["Stop"]
    slash.expired = expired
    async with logged_in(server) as another:
        await another.send(address, TURN, 1, Reply("notice", "The answer is lost."))
        assert await another.find(address, TURN, 1) == "there"
    assert server.said(CHANNEL) == ["The answer is lost."]
    assert buttons(server, CHANNEL) == []


async def test_what_was_for_the_asker_alone_is_found_in_their_direct_messages_once_its_token_has_expired(
    server: DiscordServer,
) -> None:
    slash, address = await asked(server, "private")
    slash.expired = True
    async with logged_in(server) as platform:
        assert await platform.find(address, TURN, 1) == "unknown"
        await platform.send(address, TURN, 1, Reply("command", "Yours."))
        assert await platform.find(address, TURN, 1) == "there"
    assert server.said(DIRECT) == ["Yours."]
    assert server.said(CHANNEL) == []


async def test_a_question_that_was_never_acknowledged_is_answered_in_the_channel(
    server: DiscordServer, tmp_path: Path
) -> None:
    server.faults.append(Fault("POST", "/callback", 404, body={"code": 10062, "message": "Unknown interaction"}))
    async with running_wired(server, tmp_path) as carpool:
        slash = await server.slash(ASK, question="hello")
        await carpool.answered()
    assert not slash.acknowledged
    assert server.said(CHANNEL) == ["Hello there."]


async def test_a_question_is_answered_once_its_acknowledgement_has_come_through(
    server: DiscordServer, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    script = [(TextDelta("First words"), WaitFor(go_on), TextDelta(" and the last."), Finished("stop", None))]
    async with running_wired(server, tmp_path, script) as carpool:
        slash = await server.slash(ASK, question="hello")
        await server.until(lambda: server.said(CHANNEL) == ["First words"])
        assert slash.original is not None
        assert not slash.original["flags"] & LOADING
        go_on.set()
        await carpool.answered()
    assert server.said(CHANNEL) == ["First words and the last."]
    assert len(slash.messages) == 1
