"""Places to talk with CarPool in, each over another platform, for the contract of conversations.

To add one: a ``Room`` here, its name in ``ROOMS``, and in ``LACKS`` what it cannot have.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.scripted import ScriptReply
from bot.door import HouseDoor
from bot.limits import Limits
from bot.platforms.base import (
    Accepted,
    Address,
    Attached,
    Door,
    Incoming,
    Standing,
)
from bot.platforms.discord_wire import PIECE_CHARACTERS_MAX
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_handlers import SlackSocket, bolt_app
from tests.contract.platforms.room import ANNA, BERT, GUEST, READS_ALL, Opens, Question, Room
from tests.contract.platforms.terminal_room import at_a_terminal
from tests.discord_wired import running_wired
from tests.fakes import discord_server
from tests.fakes.slack_server import APP_TOKEN, BOT, SlackServer, running_slack_server
from tests.house import ME, Open, RecordingPlatform, running_house
from tests.slack_app import QUICK, running_slack
from tests.slack_workspace import BOT_TOKEN, Workspace, envelope, workspace_at

SLACK_PEOPLE = {ANNA: "U0ANNA", BERT: "U0BERT", GUEST: "U0GUEST"}


@dataclass
class SlackRoom:
    """A thread in a channel. ``deliver`` hands an event over and returns when Slack was told that it was taken."""

    open: Open
    server: SlackServer
    workspace: Workspace
    thread: str
    asked: int = 0
    socket: bool = False
    session: Any = None
    piece_characters_max: int = 10_000

    async def ask(self, text: str, who: str = ANNA, files: Sequence[tuple[str, bytes]] = ()) -> Question:
        self.asked += 1
        ts = self.thread if self.asked == 1 else await self.workspace.say(text, self.workspace.channel, self.thread)
        told = [self._put(name, data) for name, data in files]
        question = Question(ts, text, who)
        await self._deliver(self._mention(question, files=told, **({"subtype": "file_share"} if told else {})))
        return question

    async def taken(self) -> None:
        return None  # as soon as it is asked

    async def stop(self) -> str:
        await self.ask("stop")
        return "Stopped."

    async def redeliver(self, question: Question) -> None:
        await self._deliver(self._mention(question))

    async def edit(self, question: Question, text: str) -> None:
        before = self._message(question, question.text)
        message = {**self._message(question, text), "edited": {"ts": "1800000000.000100"}}
        await self._deliver(self._change("message_changed", message=message, previous_message=before))

    async def delete(self, question: Question) -> None:
        before = self._message(question, question.text)
        await self._deliver(self._change("message_deleted", previous_message=before, deleted_ts=question.id))

    async def seen(self) -> list[str]:
        return self.server.texts(self.thread)

    async def whispered(self, who: str = ANNA) -> list[str]:
        return [message["text"] for message in self.server.ephemeral if message["user"] == SLACK_PEOPLE[who]]

    async def files(self) -> dict[str, bytes]:
        there = [message for messages in self.server.messages.values() for message in messages]
        mine = [message for message in there if message.get("thread_ts") == self.thread and message["user"] == BOT]
        shared = [self.server.files[file["id"]] for message in mine for file in message.get("files", ())]
        return {file["name"]: file["data"] for file in shared}

    def _mention(self, question: Question, **more: object) -> dict[str, Any]:
        where = {} if question.id == self.thread else {"thread_ts": self.thread}
        user = SLACK_PEOPLE[question.who]
        return self.workspace.mention(question.text, question.id, user=user, **where, **more)

    def _message(self, question: Question, text: str) -> dict[str, Any]:
        said = f"<@{self.workspace.bot}> {text}"
        return {"user": SLACK_PEOPLE[question.who], "ts": question.id, "thread_ts": self.thread, "text": said}

    def _change(self, subtype: str, **more: object) -> dict[str, Any]:
        where = {"channel": self.workspace.channel, "channel_type": "channel", "user": None}
        return self.workspace.event(type="message", subtype=subtype, **where, **more)

    def _put(self, name: str, data: bytes) -> dict[str, Any]:
        id_ = f"F{len(self.server.files):04}"
        told = {"id": id_, "name": name, "mimetype": "text/plain", "size": len(data)}
        told["url_private"] = f"{self.server.base_url}/file/{id_}"
        self.server.files[id_] = {**told, "data": data}
        return told

    async def _deliver(self, event: dict[str, Any]) -> None:
        if self.socket:
            await self.server.push("events_api", event, f"e{event['event_id']}")
            return
        status, _ = await self.session.deliver(envelope(event))
        assert status == 200


class SlackWithGuest(SlackPlatform):
    """One of the people is a guest there."""

    async def standing(self, address: Address) -> Standing:
        return "guest" if address.person == SLACK_PEOPLE[GUEST] else "member"


@asynccontextmanager
async def slack_over_http(folder: Path, script: Sequence[ScriptReply], limits: Limits) -> AsyncIterator[Room]:
    async with running_slack_server() as server, workspace_at(server.api_url) as workspace:
        thread = await workspace.say("hello", workspace.channel)
        platform = SlackWithGuest(BOT_TOKEN, server.api_url, QUICK)
        async with running_slack(
            folder, server.api_url, script, limits=limits, cards=READS_ALL, platform=platform
        ) as slack:
            yield SlackRoom(slack.open, server, workspace, thread, session=slack)


@asynccontextmanager
async def slack_over_a_socket(folder: Path, script: Sequence[ScriptReply], limits: Limits) -> AsyncIterator[Room]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_slack_server())
        workspace = await stack.enter_async_context(workspace_at(server.api_url))
        thread = await workspace.say("hello", workspace.channel)
        platform = SlackWithGuest(BOT_TOKEN, server.api_url, QUICK)
        stack.push_async_callback(platform.aclose)
        open_ = await stack.enter_async_context(running_house(folder, platform, script, limits=limits, cards=READS_ALL))
        await stack.enter_async_context(SlackSocket(platform, bolt_app(platform, open_.door), APP_TOKEN))
        await server.connected.wait()
        yield SlackRoom(open_, server, workspace, thread, socket=True)


DISCORD_PEOPLE = {ANNA: discord_server.ANNA, BERT: discord_server.BOB, GUEST: discord_server.OWNER}


class WatchedDoor(HouseDoor):
    """The house's door, which tells what has come in: Discord is told of nothing. Discord has no guests, so one is made."""

    def __init__(self, door: Door) -> None:
        assert isinstance(door, HouseDoor)
        super().__init__(door._intake, door._house)
        self.done: list[str] = []
        self.changed = asyncio.Condition()

    async def accept(self, incoming: Incoming) -> Accepted:
        guest = incoming.address.person == DISCORD_PEOPLE[GUEST]
        accepted = await super().accept(replace(incoming, standing="guest") if guest else incoming)
        await self._tell(f"accepted {incoming.event_identity}")
        return accepted

    async def amend(self, incoming: Incoming, edit: str) -> None:
        await super().amend(incoming, edit)
        await self._tell(f"amended {incoming.event_identity}")

    async def withdraw(self, address: Address, event_identity: str) -> None:
        await super().withdraw(address, event_identity)
        await self._tell(f"withdrawn {event_identity}")

    async def until(self, what: str, times: int = 1) -> None:
        async with asyncio.timeout(15), self.changed:
            await self.changed.wait_for(lambda: self.done.count(what) >= times)

    async def _tell(self, what: str) -> None:
        async with self.changed:
            self.done.append(what)
            self.changed.notify_all()


@dataclass
class DiscordRoom:
    """The thread that CarPool makes of the first question, over the wire."""

    open: Open
    server: discord_server.DiscordServer
    door: WatchedDoor
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    deliveries: int = 1
    piece_characters_max: int = PIECE_CHARACTERS_MAX

    async def ask(self, text: str, who: str = ANNA, files: Sequence[tuple[str, bytes]] = ()) -> Question:
        where = discord_server.CHANNEL
        if self.said:
            where = next(iter(self.said))
            await self.server.until(lambda: where in self.server.threads)
        person = DISCORD_PEOPLE[who]
        message = await self.server.say(self.server.mention(text), where, person, files=dict(files))
        self.said[message["id"]] = message
        await self.door.until(f"accepted {message['id']}")
        return Question(message["id"], text, who)

    async def taken(self) -> None:
        return None  # as soon as it is asked

    async def stop(self) -> str:
        await self.ask("stop")
        return "Stopped."

    async def redeliver(self, question: Question) -> None:
        self.deliveries += 1
        times = self.deliveries
        await self.server.tell_of(self.said[question.id])
        await self.door.until(f"accepted {question.id}", times)

    async def edit(self, question: Question, text: str) -> None:
        await self.server.edit(self.said[question.id], self.server.mention(text))
        await self.door.until(f"amended {question.id}")

    async def delete(self, question: Question) -> None:
        await self.server.delete(self.said[question.id])
        await self.door.until(f"withdrawn {question.id}")

    async def seen(self) -> list[str]:
        return [text for thread in self.server.threads for text in self.server.said(thread)]

    async def whispered(self, who: str = ANNA) -> list[str]:
        return self.server.said(discord_server.DIRECTS[DISCORD_PEOPLE[who]])

    async def files(self) -> dict[str, bytes]:
        there = [message for thread in self.server.threads for message in self.server.messages[thread]]
        mine = [message for message in there if message["author"]["id"] == discord_server.BOT]
        shared = [file for message in mine for file in message["attachments"]]
        return {file["filename"]: self.server.files[file["id"]] for file in shared}


@asynccontextmanager
async def discord_over_the_wire(folder: Path, script: Sequence[ScriptReply], limits: Limits) -> AsyncIterator[Room]:
    doors: list[WatchedDoor] = []

    def watched(door: Door) -> Door:
        doors.append(WatchedDoor(door))
        return doors[0]

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(discord_server.running_discord_server())
        wired = running_wired(server, folder, script, limits=limits, cards=READS_ALL, around=watched)
        carpool = await stack.enter_async_context(wired)
        yield DiscordRoom(carpool.open, server, doors[0])


@dataclass
class TestRoom:
    """The platform of the tests, which keeps what it is given."""

    __test__ = False  # it is a room for tests, and none itself

    open: Open
    platform: RecordingPlatform
    asked: int = 0
    piece_characters_max: int = 0

    async def ask(self, text: str, who: str = ANNA, files: Sequence[tuple[str, bytes]] = ()) -> Question:
        self.asked += 1
        attached = tuple(Attached(name, "text/plain", len(data), name) for name, data in files)
        self.platform.files.update(files)
        question = Question(str(self.asked), text, who)
        await self.open.door.accept(replace(self._incoming(question, text), attached=attached))
        return question

    async def taken(self) -> None:
        return None  # as soon as it is asked

    async def stop(self) -> str:
        await self.ask("stop")
        return "Stopped."

    async def redeliver(self, question: Question) -> None:
        await self.open.door.accept(self._incoming(question, question.text))

    async def edit(self, question: Question, text: str) -> None:
        await self.open.door.amend(self._incoming(question, text), "edit-1")

    async def delete(self, question: Question) -> None:
        await self.open.door.withdraw(self._incoming(question, "").address, question.id)

    async def seen(self) -> list[str]:
        live = [
            screen.seen.strip()
            for turn, screen in self.platform.screens.items()
            if screen.seen and not screen.discarded and turn not in {sent for sent, _, _ in self.platform.sent}
        ]
        return [reply.text for _, _, reply in self.platform.sent if not reply.private] + live

    async def whispered(self, who: str = ANNA) -> list[str]:
        return [reply.text for _, _, reply in self.platform.sent if reply.private]

    async def files(self) -> dict[str, bytes]:
        return {file.name: file.data for _, _, reply in self.platform.sent for file in reply.files}

    def _incoming(self, question: Question, text: str) -> Incoming:
        standing: Standing = "guest" if question.who == GUEST else "member"
        address = replace(ME, person=question.who)
        return Incoming(address, question.id, text, bare_commands=True, standing=standing)


@asynccontextmanager
async def recording_platform(folder: Path, script: Sequence[ScriptReply], limits: Limits) -> AsyncIterator[Room]:
    platform = RecordingPlatform(live=True)
    async with running_house(folder, platform, script, limits=limits, cards=READS_ALL) as open_:
        yield TestRoom(open_, platform)


ROOMS: dict[str, Opens] = {
    "slack over http": slack_over_http,
    "slack over a socket": slack_over_a_socket,
    "discord over the wire": discord_over_the_wire,
    "the platform of the tests": recording_platform,
    "a terminal": at_a_terminal,
}

LACKS: Mapping[str, Mapping[str, str]] = {
    "a terminal": {
        "redelivery": "a line is read once: nothing brings it a second time",
        "editing": "a line that was sent is gone from the person's hands",
        "deletion": "the same",
        "several people": "one person sits there, whoever they are",
        "people without rights": "and that person owns what runs there",
        "files in": "a terminal has nothing to attach a file with",
        "files out": "nor anywhere to put one: the text of the reply says where it is",
    }
}
"""What there cannot be in a room, and why."""


def rooms_with(notion: str) -> tuple[str, ...]:
    return tuple(name for name in ROOMS if notion not in LACKS.get(name, {}))
