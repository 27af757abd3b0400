"""The unmodified SDK on a gateway and an API of our own: connections that are lost, events that come again, limits, refusals."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from discord.backoff import ExponentialBackoff

from adapters.messages import File, Finished, TextDelta
from adapters.scripted import WaitFor, answer
from bot.door import HouseDoor
from bot.intake import BACKOFF_S_MAX
from bot.platforms import discord_errors
from bot.platforms.base import Accepted, Address, Door, Incoming, PlatformError, Reply
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_errors import RATE_LIMITED_RETRY_S, RETRY_S
from bot.platforms.discord_gateway import Refused
from bot.platforms.discord_pace import Rates
from bot.platforms.discord_wire import DISCORD, Way
from ledger.errors import StoreFailed
from ledger.pseudonyms import TurnId
from tests.discord_wired import logged_in, running_wired
from tests.fakes.discord_program import connect_to
from tests.fakes.discord_server import (
    ANNA,
    CHANNEL,
    DIRECT,
    GUILD,
    HEARTBEAT,
    INVALID_SESSION,
    RECONNECT,
    Bucket,
    DiscordServer,
    Fault,
    running_discord_server,
)

TURN = TurnId("t-0123456789abcdef")
TO_CHANNEL = Address(DISCORD, GUILD, CHANNEL, "", ANNA)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with running_discord_server() as server:
        yield server


async def test_a_mention_is_answered_over_the_wire(server: DiscordServer, tmp_path: Path) -> None:
    async with running_wired(server, tmp_path) as carpool:
        asked = await server.say(server.mention("what is a heron?"))
        await carpool.answered()
    assert server.said(asked["id"]) == ["Hello there."]
    assert server.threads[asked["id"]]["name"] == "what is a heron?"
    assert server.identified == 1


async def test_a_lost_connection_is_resumed_and_what_came_meanwhile_is_answered(
    server: DiscordServer, tmp_path: Path
) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.drop()
        asked = await server.say(server.mention("hello"))
        await server.until(lambda: server.resumed == 1)
        await carpool.answered()
    assert server.said(asked["id"]) == ["Hello there."]
    assert server.identified == 1


@pytest.mark.parametrize("op", [RECONNECT, INVALID_SESSION])
async def test_discord_may_ask_for_a_new_connection(server: DiscordServer, tmp_path: Path, op: int) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.send_op(op, op == INVALID_SESSION)
        await server.until(lambda: server.resumed == 1)
        asked = await server.say(server.mention("hello"))
        await carpool.answered()
    assert server.said(asked["id"]) == ["Hello there."]


async def test_a_session_that_is_forgotten_begins_anew_and_what_was_missed_is_read(
    server: DiscordServer, tmp_path: Path
) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.say("nothing for anybody")
        await server.forget()
        asked = await server.say(server.mention("hello"))
        await server.until(lambda: server.identified == 2)
        await carpool.answered()
    assert server.said(asked["id"]) == ["Hello there."]


async def test_what_a_gap_without_a_session_hid_is_answered_once_wherever_it_was_said(
    server: DiscordServer, tmp_path: Path
) -> None:
    async with running_wired(server, tmp_path) as carpool:
        asked = await server.say(server.mention("hello"))
        await server.say("hello", DIRECT)
        await carpool.answered(2)
        await server.forget()
        missed = [
            await server.say(server.mention("and in the channel"), told=False),
            await server.say(server.mention("and in the thread"), asked["id"], told=False),
            await server.say("and to you alone", DIRECT, told=False),
        ]
        await server.until(lambda: server.identified == 2)
        await carpool.answered(5)
        # It came late, and comes all the same.
        for message in missed:
            await server.tell_of(message)
        last = await server.say(server.mention("and last"))
        await carpool.answered(6)
        received = [item for item in await carpool.open.all() if item.entry.action.name == "message.received"]
    assert len(received) == 6
    assert server.said(missed[0]["id"]) == server.said(last["id"]) == ["Hello there."]
    assert server.said(asked["id"]) == server.said(DIRECT) == ["Hello there."] * 2
    assert server.resumed == 0


async def test_events_that_are_replayed_are_answered_once(server: DiscordServer, tmp_path: Path) -> None:
    async with running_wired(server, tmp_path) as carpool:
        asked = [await server.say(server.mention(f"number {number}")) for number in range(5)]
        await carpool.answered(5)
        for event in [event for event in server.sessions[0].events if event["t"] == "MESSAGE_CREATE"]:
            await server.tell("MESSAGE_CREATE", event["d"])
        last = await server.say(server.mention("the last"))
        await carpool.answered(6)
        assert len(await carpool.finished()) == 6
    assert all(server.said(message["id"]) == ["Hello there."] for message in (*asked, last))


async def test_a_heart_that_is_not_heard_ends_the_connection_which_is_resumed(
    server: DiscordServer, tmp_path: Path
) -> None:
    server.heartbeat_ms = 200
    async with running_wired(server, tmp_path) as carpool:
        # It asks for one of its own accord too.
        await server.send_op(HEARTBEAT)
        await server.drop(4009)
        await server.until(lambda: server.resumed == 1)
        asked = await server.say(server.mention("hello"))
        await carpool.answered()
    assert server.said(asked["id"]) == ["Hello there."]


async def test_a_connection_that_is_lost_in_the_midst_of_an_answer_costs_nothing_of_it(
    server: DiscordServer, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    script = [(TextDelta("First words"), WaitFor(go_on), TextDelta(" and the last."), Finished("stop", None))]
    async with running_wired(server, tmp_path, script) as carpool:
        asked = await server.say(server.mention("hello"))
        await server.until(lambda: server.said(asked["id"]) == ["First words"])
        await server.drop()
        go_on.set()
        await carpool.answered()
    assert server.said(asked["id"]) == ["First words and the last."]


async def test_what_came_while_it_was_down_is_answered_at_the_next_start(server: DiscordServer, tmp_path: Path) -> None:
    async with running_wired(server, tmp_path) as carpool:
        first = await server.say(server.mention("first"))
        direct = await server.say("hello", DIRECT)
        await carpool.answered(2)
    missed = await server.say(server.mention("second"), told=False)
    in_thread = await server.say(server.mention("third"), first["id"], told=False)
    in_direct = await server.say("are you there?", DIRECT, told=False)
    await server.say("nothing for anybody", told=False)
    async with running_wired(server, tmp_path) as carpool:
        await carpool.answered(5)
        assert len(await carpool.finished()) == 5
    assert server.said(missed["id"]) == ["Hello there."]
    assert server.said(first["id"]) == ["Hello there.", "Hello there."]
    assert server.said(DIRECT) == ["Hello there.", "Hello there."]
    assert direct["id"] < in_direct["id"]
    assert in_thread["id"] not in server.threads


async def test_what_comes_right_after_a_gap_does_not_hide_what_came_in_it(
    server: DiscordServer, tmp_path: Path
) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.say("nothing for anybody")
        await server.forget()
        missed = await server.say(server.mention("in the gap"), told=False)
        await server.until(lambda: server.identified == 2)
        live = await server.say(server.mention("after it"))
        await carpool.answered(2)
        assert len(await carpool.finished()) == 2
    assert server.said(missed["id"]) == server.said(live["id"]) == ["Hello there."]


async def test_what_discord_does_not_show_at_first_is_read_later(server: DiscordServer, tmp_path: Path) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.say(server.mention("before"), DIRECT)
        await carpool.answered()
        server.faults.append(Fault("GET", "/messages", 0, times=5))
        await server.forget()
        asked = await server.say(server.mention("hello"), told=False)
        direct = await server.say("are you there?", DIRECT, told=False)
        await server.until(lambda: server.identified == 2)
        await carpool.answered(3)
        assert len(await carpool.finished()) == 3
    assert server.faults == []
    assert server.said(asked["id"]) == ["Hello there."]
    assert server.said(DIRECT)[1:] == ["Hello there."]
    assert direct["id"] not in server.threads


async def test_more_than_one_page_of_what_was_missed_is_read(server: DiscordServer, tmp_path: Path) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.say(server.mention("before"))
        await carpool.answered()
    for number in range(230):
        await server.say(f"talk of others {number}", told=False)
    asked = await server.say(server.mention("hello"), told=False)
    async with running_wired(server, tmp_path) as carpool:
        await carpool.answered(2)
    assert server.said(asked["id"]) == ["Hello there."]


async def test_what_could_not_be_recorded_is_taken_as_soon_as_it_can_be(server: DiscordServer, tmp_path: Path) -> None:
    doors: list[FullDoor] = []

    def full(door: Door) -> Door:
        doors.append(FullDoor(door))
        return doors[0]

    async with running_wired(server, tmp_path, around=full) as carpool:
        (door,) = doors
        door.left = 3
        asked = await server.say(server.mention("hello"))
        direct = await server.say("hello", DIRECT)
        other = await server.say(server.mention("and hello"))
        await carpool.answered(3)
        assert len(await carpool.finished()) == 3
    assert door.left == 0
    assert [server.said(channel) for channel in (asked["id"], DIRECT, other["id"])] == [["Hello there."]] * 3
    assert direct["channel_id"] == DIRECT


async def test_what_is_said_while_a_server_is_away_is_answered_when_it_is_back(
    server: DiscordServer, tmp_path: Path
) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.lose_guild()
        first = await server.say(server.mention("first"), told=False)
        await server.say("a direct one", DIRECT)
        await carpool.answered()
        await server.bring_guild()
        await carpool.answered(2)
        await server.lose_guild()
        await server.forget()
        await server.until(lambda: server.identified == 2)
        second = await server.say(server.mention("second"), told=False)
        await server.bring_guild()
        await carpool.answered(3)
        assert len(await carpool.finished()) == 3
    assert server.said(first["id"]) == server.said(second["id"]) == server.said(DIRECT) == ["Hello there."]


class FullDoor(HouseDoor):
    """The house's door, whose ledger takes nothing for some messages."""

    def __init__(self, door: Door) -> None:
        assert isinstance(door, HouseDoor)
        super().__init__(door._intake, door._house)
        self.left = 0

    async def accept(self, incoming: Incoming) -> Accepted:
        if self.left > 0:
            self.left -= 1
            raise StoreFailed("SQLite: database or disk is full", "disk_full")
        return await super().accept(incoming)


async def test_nothing_is_read_again_where_nothing_came(server: DiscordServer, tmp_path: Path) -> None:
    async with running_wired(server, tmp_path) as carpool:
        await server.say(server.mention("hello"))
        await carpool.answered()
    server.requests.clear()
    async with running_wired(server, tmp_path):
        pass
    assert [request for request in server.requests if "messages" in request] == []
    assert [request for request in server.requests if request.startswith("PUT")] == []


async def test_an_answer_is_edited_no_faster_than_the_headers_allow(server: DiscordServer, tmp_path: Path) -> None:
    server.buckets["PATCH channels/*/messages/*"] = Bucket(5, 1.0)
    words = [f"word{number} " for number in range(60)]
    async with running_wired(server, tmp_path, [answer(*words)]) as carpool:
        asked = [await server.say(server.mention("hello")) for _ in range(4)]
        await carpool.answered(4)
    assert all(server.said(message["id"]) == ["".join(words).strip()] for message in asked)
    assert server.too_many == 0


async def test_many_answers_at_once_stay_below_what_discord_takes_of_one_bot(
    server: DiscordServer, tmp_path: Path
) -> None:
    server.all_together = Bucket(50, 1.0)
    # Far enough below it that a machine that stands still for a moment makes no difference.
    rates = Rates(all=30.0, live=25.0)
    words = [f"word{number} " for number in range(60)]
    async with running_wired(server, tmp_path, [answer(*words)], rates=rates) as carpool:
        asked = [await server.say(server.mention("hello")) for _ in range(30)]
        await carpool.answered(30)
    assert all(server.said(message["id"]) == ["".join(words).strip()] for message in asked)
    assert server.too_many == 0


async def test_a_limit_that_ends_in_time_delays_an_answer_and_loses_nothing(
    server: DiscordServer, tmp_path: Path
) -> None:
    server.faults.append(limited(0.05, times=4))
    async with running_wired(server, tmp_path) as carpool:
        asked = await server.say(server.mention("hello"))
        await carpool.answered()
    assert server.said(asked["id"]) == ["Hello there."]


FASTER = 600
"""So many times faster runs the time of the two tests that follow: nobody waits for a minute."""


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discord_errors, "RETRY_S", RETRY_S / FASTER)
    monkeypatch.setattr(discord_errors, "RATE_LIMITED_RETRY_S", RATE_LIMITED_RETRY_S / FASTER)
    monkeypatch.setattr("bot.intake.BACKOFF_S_MAX", BACKOFF_S_MAX / FASTER)
    monkeypatch.setattr(ExponentialBackoff, "delay", lambda self: 1 / FASTER)


@pytest.mark.usefixtures("fast")
async def test_a_minute_of_429_loses_no_answer_and_doubles_none(server: DiscordServer, tmp_path: Path) -> None:
    over_s = time.monotonic() + 60 / FASTER
    for method in ("POST", "PATCH"):
        server.faults.append(limited(1 / FASTER, times=1_000_000, method=method, until_s=over_s))
    async with running_wired(server, tmp_path) as carpool:
        asked = [await server.say(server.mention("hello")) for _ in range(30)]
        await carpool.answered(30)
        assert [action.outcome for action in await carpool.finished()] == ["answered"] * 30
    assert time.monotonic() > over_s
    assert all(server.said(message["id"]) == ["Hello there."] for message in asked)


@pytest.mark.usefixtures("fast")
async def test_discord_that_is_down_for_ten_minutes_costs_no_answer_and_doubles_none(
    server: DiscordServer, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    begun = (TextDelta("First words"), WaitFor(go_on), TextDelta(" and the last."), Finished("stop", None))
    async with running_wired(server, tmp_path, [begun, answer("Hello there.")]) as carpool:
        asked = await server.say(server.mention("hello"))
        await server.until(lambda: server.said(asked["id"]) == ["First words"])
        await server.go_down()
        go_on.set()
        missed = await server.say(server.mention("and meanwhile"), told=False)
        in_thread = await server.say(server.mention("and here"), asked["id"], told=False)
        asyncio.get_running_loop().call_later(600 / FASTER, server.come_up)
        await carpool.answered(3)
        assert [action.outcome for action in await carpool.finished()] == ["answered"] * 3
    assert server.turned_away > 5
    assert server.said(asked["id"]) == ["First words and the last.", "Hello there."]
    assert server.said(missed["id"]) == ["Hello there."]
    assert in_thread["id"] not in server.threads


def limited(retry_after_s: float, *, times: int = 1, method: str = "POST", until_s: float = math.inf) -> Fault:
    body = {"message": "You are being rate limited.", "retry_after": retry_after_s, "global": False}
    headers = {"Via": "1.1 fake", "Retry-After": str(retry_after_s)}
    return Fault(method, "/messages", 429, times=times, body=body, headers=headers, until_s=until_s)


async def test_a_long_limit_is_given_back_to_the_turn_instead_of_being_waited_for(server: DiscordServer) -> None:
    server.faults.append(limited(60.0))
    async with logged_in(server) as platform:
        with pytest.raises(PlatformError) as refused:
            await platform.send(TO_CHANNEL, TURN, 1, Reply("command", "Help."))
    assert refused.value.retry_after_s == 60.0


@pytest.mark.parametrize("status", [0, 500, 502])
async def test_a_post_whose_acknowledgement_is_lost_stands_there_once(server: DiscordServer, status: int) -> None:
    server.faults.append(Fault("POST", "/messages", status, done=True))
    async with logged_in(server) as platform:
        for _ in range(2):
            if await platform.find(TO_CHANNEL, TURN, 1) != "there":
                with suppress(PlatformError):
                    await platform.send(TO_CHANNEL, TURN, 1, Reply("command", "Help."))
        assert await platform.find(TO_CHANNEL, TURN, 1) == "there"
    assert server.said(CHANNEL) == ["Help."]


async def test_a_reply_that_is_partly_there_is_completed(server: DiscordServer) -> None:
    long = "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(30))
    async with logged_in(server) as platform:
        await platform.send(TO_CHANNEL, TURN, 1, Reply("command", long))
        whole = server.said(CHANNEL)
        assert len(whole) > 3
        del server.messages[CHANNEL][2:]
        assert await platform.find(TO_CHANNEL, TURN, 1) == "absent"
        server._nonces.clear()  # it is minutes later
        await platform.send(TO_CHANNEL, TURN, 1, Reply("command", long))
        assert await platform.find(TO_CHANNEL, TURN, 1) == "there"
    assert server.said(CHANNEL) == whole


async def test_a_token_that_discord_does_not_take_is_told_apart_from_a_discord_that_is_away(
    server: DiscordServer,
) -> None:
    connect_to(server.base_url)
    platform = DiscordPlatform("another.token.altogether")
    try:
        with pytest.raises(PlatformError) as refused:
            await platform.login()
    finally:
        await platform.aclose()
    assert refused.value.retry_after_s is None
    assert "another" not in str(refused.value)


async def test_an_intent_that_is_not_granted_is_named_with_what_to_do(server: DiscordServer, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        async with running_wired(server, tmp_path, reads_all=True):
            pass
    assert "Message Content" in refused.value.remedy


async def test_a_reply_in_the_channel_is_found_where_its_thread_could_not_be_made(server: DiscordServer) -> None:
    async with logged_in(server) as platform:
        asked = await server.say(server.mention("hello"))
        await server.say("and more of others")
        server.faults.append(Fault("POST", "/threads", 403, body={"code": 50013, "message": "Missing Permissions"}))
        to = Address(DISCORD, GUILD, CHANNEL, asked["id"], ANNA)
        assert await platform.find(to, TURN, 1) == "absent"
        await platform.send(to, TURN, 1, Reply("answer", "Here."))
        assert await platform.find(to, TURN, 1) == "there"
    assert server.said(CHANNEL) == ["Here."]


async def test_a_reply_for_one_person_alone_is_found_in_their_direct_messages(server: DiscordServer) -> None:
    async with logged_in(server) as platform:
        asked = await server.say(server.mention("keys"))
        to = Address(DISCORD, GUILD, CHANNEL, asked["id"], ANNA)
        await platform.send(to, TURN, 1, Reply("command", "Yours.", private=True))
        assert await platform.find(to, TURN, 1) == "there"
    assert server.said(DIRECT) == ["Yours."]
    assert server.said(CHANNEL) == []
    assert server.threads == {}


async def test_who_takes_no_direct_messages_is_told_so_in_the_channel_and_nothing_private_is(
    server: DiscordServer,
) -> None:
    refuses = Fault("POST", f"{DIRECT}/messages", 403, times=9, body={"code": 50007, "message": "Cannot send"})
    server.faults.append(refuses)
    async with logged_in(server) as platform:
        asked = await server.say(server.mention("keys"))
        to = Address(DISCORD, GUILD, CHANNEL, asked["id"], ANNA)
        await platform.send(to, TURN, 1, Reply("command", "Yours.", private=True))
    (said,) = server.said(asked["id"])
    assert "for you alone" in said


async def test_files_go_out_with_the_last_message(server: DiscordServer) -> None:
    files = (File("../a receipt.txt", "text/plain", b"one"), File("a.txt", "text/plain", b"other"))
    async with logged_in(server) as platform:
        await platform.send(TO_CHANNEL, TURN, 1, Reply("command", "word " * 1_000, files=files))
    *before, last = server.messages[CHANNEL]
    assert before
    assert all(message["attachments"] == [] for message in before)
    assert [(item["filename"], item["size"]) for item in last["attachments"]] == [("a_receipt.txt", 3), ("1-a.txt", 5)]


@pytest.mark.parametrize(("mode", "where"), [("public", CHANNEL), ("private", DIRECT)])
async def test_behind_an_interaction_that_has_expired_the_answer_comes_by_another_way(
    server: DiscordServer, mode: Literal["public", "private"], where: str
) -> None:
    way = Way(application="1", token="expired", mode=mode)
    to = Address(DISCORD, GUILD, CHANNEL, "", ANNA, str(way))
    async with logged_in(server) as platform:
        assert await platform.find(to, TURN, 1) == ("absent" if mode == "public" else "unknown")
        await platform.send(to, TURN, 1, Reply("answer", "Late, but here."))
    said = {channel: server.said(channel) for channel in (CHANNEL, DIRECT)}
    assert said == {CHANNEL: [], DIRECT: [], where: ["Late, but here."]}


async def test_a_long_answer_is_shown_in_messages_that_stay_and_goes_on_in_the_last(
    server: DiscordServer, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    begun = "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(28))
    script = [(TextDelta(begun), WaitFor(go_on), TextDelta("The end."), Finished("stop", None))]
    async with running_wired(server, tmp_path, script) as carpool:
        asked = await server.say(server.mention("hello"))
        await server.until(lambda: len(server.said(asked["id"])) == 3)
        shown = [message["id"] for message in server.messages[asked["id"]]]
        before = server.said(asked["id"])
        go_on.set()
        await carpool.answered()
    assert [message["id"] for message in server.messages[asked["id"]]] == shown
    assert server.said(asked["id"])[:2] == before[:2]
    assert "".join(server.said(asked["id"])) == f"{begun}The end."


async def test_a_thousand_events_in_any_order_are_answered_once_for_each_message(
    server: DiscordServer, tmp_path: Path
) -> None:
    async with running_wired(server, tmp_path) as carpool:
        asked = [await server.say(server.mention(f"number {number}"), told=False) for number in range(250)]
        events = asked * 4
        random.Random(5).shuffle(events)
        for message in events:
            await server.tell_of(message)
        await carpool.answered(250)
        assert len(await carpool.finished()) == 250
    assert all(server.said(message["id"]) == ["Hello there."] for message in asked)
