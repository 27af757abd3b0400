"""Places to talk with CarPool in, each over another platform, for the contract of conversations.

To add one: a ``Room`` here, and its name in ``ROOMS``.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from adapters.scripted import ScriptReply
from bot.limits import Limits
from bot.platforms.base import Address, Attached, Incoming, Standing
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_handlers import SlackSocket, bolt_app
from tests.fakes.slack_server import APP_TOKEN, SlackServer, running_slack_server
from tests.house import ME, Open, RecordingPlatform, card, running_house
from tests.slack_app import QUICK, running_slack
from tests.slack_workspace import BOT_TOKEN, Workspace, envelope, workspace_at

ANNA, BERT, GUEST = "anna", "bert", "guest"
READS_ALL = (replace(card("scripted", images=True), reads_files=True),)
LOOKED_EVERY_S = 0.01


@dataclass(frozen=True)
class Question:
    """A message as it was said, so that it can be said again, changed or taken back."""

    id: str
    text: str
    who: str


class Room(Protocol):
    """One conversation with several people in it. ``open`` is the house."""

    @property
    def open(self) -> Open: ...

    async def ask(self, text: str, who: str = ANNA, files: Sequence[tuple[str, bytes]] = ()) -> Question:
        """On return CarPool has told the platform that it has taken the message."""
        ...

    async def redeliver(self, question: Question) -> None: ...

    async def edit(self, question: Question, text: str) -> None: ...

    async def delete(self, question: Question) -> None: ...

    async def seen(self) -> list[str]:
        """What CarPool's messages in the conversation say, for all to see; long ones in their pieces."""
        ...

    async def whispered(self, who: str = ANNA) -> list[str]:
        """What CarPool said to one person alone."""
        ...

    @property
    def piece_characters_max(self) -> int:
        """How long one message may be; 0 where there is no such limit."""
        ...


async def sees(room: Room, *texts: str) -> None:
    """Wait until the conversation shows these. The platforms have no common way to tell of a change."""
    async with asyncio.timeout(15):
        while await room.seen() != list(texts):
            await asyncio.sleep(LOOKED_EVERY_S)


async def settled(room: Room) -> None:
    """Wait until each message that was accepted has been answered."""
    for recorded in await room.open.all():
        if recorded.entry.action.name == "message.received":
            await room.open.intake.ended(recorded.entry.turn)


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


@dataclass
class TestRoom:
    """The platform of the tests, which keeps what it is given."""

    __test__ = False  # it is a room for tests, and none itself

    open: Open
    platform: RecordingPlatform
    asked: int = 0
    files: dict[str, Incoming] = field(default_factory=dict)
    piece_characters_max: int = 0

    async def ask(self, text: str, who: str = ANNA, files: Sequence[tuple[str, bytes]] = ()) -> Question:
        self.asked += 1
        attached = tuple(Attached(name, "text/plain", len(data), name) for name, data in files)
        self.platform.files.update(files)
        question = Question(str(self.asked), text, who)
        await self.open.door.accept(replace(self._incoming(question, text), attached=attached))
        return question

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

    def _incoming(self, question: Question, text: str) -> Incoming:
        standing: Standing = "guest" if question.who == GUEST else "member"
        address = replace(ME, person=question.who)
        return Incoming(address, question.id, text, bare_commands=True, standing=standing)


@asynccontextmanager
async def recording_platform(folder: Path, script: Sequence[ScriptReply], limits: Limits) -> AsyncIterator[Room]:
    platform = RecordingPlatform(live=True)
    async with running_house(folder, platform, script, limits=limits, cards=READS_ALL) as open_:
        yield TestRoom(open_, platform)


class Opens(Protocol):
    def __call__(
        self, folder: Path, script: Sequence[ScriptReply], limits: Limits
    ) -> AbstractAsyncContextManager[Room]: ...


ROOMS: dict[str, Opens] = {
    "slack over http": slack_over_http,
    "slack over a socket": slack_over_a_socket,
    "the platform of the tests": recording_platform,
}
