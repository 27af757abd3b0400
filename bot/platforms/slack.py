"""CarPool in Slack: what is shown and sent there, and what is read from there. What comes in: ``slack_handlers``."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.platforms.base import (
    Address,
    Attached,
    Overheard,
    PlatformError,
    PlatformName,
    Presence,
    Reply,
    Screen,
    Silent,
    Standing,
    ToolStep,
)
from bot.platforms.slack_errors import SlackError, answer_of, until_renewed
from bot.platforms.slack_files import fetch_file, share, without
from bot.platforms.slack_pace import Pace, Paces
from bot.platforms.slack_pieces import Seen, see, text_of
from bot.platforms.slack_private import is_private, send_privately
from bot.platforms.slack_screen import LiveAnswer
from bot.platforms.slack_sessions import Sessions
from bot.platforms.slack_standing import Standings
from bot.platforms.slack_threads import Names, messages_of, overheard_in
from bot.platforms.slack_tokens import OneToken, Tokens
from bot.platforms.slack_wire import SLACK
from bot.platforms.slack_writing import Writer, finish, finish_half, written_of
from bot.secret import Secret
from bot.sentences import ENGLISH, Sentences
from ledger.pseudonyms import TurnId

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("carpool.slack")

API_URL = "https://slack.com/api/"
CALL_TIMEOUT_S = 15
REMEMBERED_MAX = 10_000
"""Turns that are remembered in the process, and channels that take no stream. Forgetting one costs a look into its thread."""


class SlackPlatform:
    """Fits ``bot.platforms.base.Platform``. Building it connects to nothing and imports no SDK."""

    def __init__(
        self,
        bot_token: str,
        api_url: str = API_URL,
        pace: Pace = Pace(),
        clock_s: Callable[[], float] = time.monotonic,
        say: Sentences = ENGLISH,
    ) -> None:
        self.say = say
        self._bot_token = bot_token
        self.api_url = api_url
        self._web: AsyncWebClient | None = None
        self._session: ClientSession | None = None
        self._user = ""
        self._clock_s = clock_s
        self._paces = Paces(pace, clock_s)
        self._live: dict[TurnId, LiveAnswer] = {}
        # What ``find`` saw of a reply that is only partly there, for the ``send`` that follows.
        self._seen: dict[tuple[TurnId, int], Seen] = {}
        self._titles: OrderedDict[TurnId, str] = OrderedDict()
        self._without_streams: OrderedDict[str, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.tokens: Tokens = OneToken(Secret(bot_token))
        """With which token it speaks in a workspace: another way than the one token is set before anything is sent."""
        self.standings = Standings(self.client_of, self._otherwise, clock_s)
        self.sessions = Sessions(self.client_of, clock_s)
        self.names = Names(self.client_of)

    @property
    def name(self) -> PlatformName:
        return SLACK

    @property
    def session(self) -> "ClientSession":
        if self._session is None:
            from aiohttp import ClientSession, ClientTimeout

            self._session = ClientSession(timeout=ClientTimeout(total=CALL_TIMEOUT_S))
        return self._session

    @property
    def client(self) -> "AsyncWebClient":
        """Who speaks with the token of the settings."""
        if self._web is None:
            self._web = self._client(self._bot_token)
        return self._web

    def _client(self, token: str) -> "AsyncWebClient":
        from slack_sdk.web.async_client import AsyncWebClient

        return AsyncWebClient(
            token=token,
            base_url=self.api_url,
            timeout=CALL_TIMEOUT_S,
            # Without a session of its own the SDK opens a connection for each call.
            session=self.session,
            # Each post is tried once: the turn looks whether it is there before it posts again.
            retry_handlers=[],
            logger=logging.getLogger("slack_sdk"),
        )

    async def client_of(self, workspace: str) -> "AsyncWebClient":
        """Who speaks in a workspace. Raises ``PlatformError`` where nobody may, ``StoreFailed``."""
        if isinstance(self.tokens, OneToken):
            return self.client
        return self._client((await self.tokens.of(workspace)).token.reveal())

    async def user(self) -> str:
        """The bot's own user id; empty where Slack cannot be asked now."""
        if not self._user:
            try:
                await self.check()
            except PlatformError as error:
                log.warning("Slack refuses the bot token", extra={"cause": str(error)})
        return self._user

    async def user_in(self, workspace: str) -> str:
        """The bot's own user id in a workspace; empty where Slack cannot be asked now. Raises as ``client_of`` does."""
        return (await self.tokens.of(workspace)).bot or await self.user()

    async def check(self) -> None:
        """Raises ``PlatformError`` where Slack refuses the token. Where it cannot be asked now, it is asked later."""
        try:
            self._user = str((await answer_of(self.client.auth_test())).get("user_id") or "")
        except PlatformError as error:
            if error.retry_after_s is None:
                raise
            log.warning("Slack could not be asked who the bot is", extra={"cause": str(error)})

    def expect(self, turn: TurnId, title: str) -> None:
        """This process accepted the turn, so nothing of its answer can stand in Slack. ``title`` names a new conversation."""
        self._titles[turn] = title
        while len(self._titles) > REMEMBERED_MAX:
            self._titles.popitem(last=False)

    def screen(self, to: Address, turn: TurnId) -> Screen:
        return _SlackScreen(self, to, turn) if to.thread else Silent()

    def live(self, to: Address, turn: TurnId) -> LiveAnswer:
        """What is shown of a turn's answer until it is sent."""
        live = self._live.get(turn)
        if live is None:

            async def writer() -> Writer:
                return await self._writer(to, turn, 1)

            streams = to.channel not in self._without_streams
            live = LiveAnswer(writer, self._paces.of(to.workspace), self._paces.pace, self._clock_s, streams)
            self._live[turn] = live
        return live

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        if is_private(to, reply):
            await send_privately(await self.client_of(to.workspace), self.api_url, to, reply, self.say)
            return
        live = self._live.get(turn) if part == 1 and reply.kind != "command" else None
        if live is not None:
            await live.settle()
            self._remember_refusal(to, live)
        try:
            await self._bring(to, turn, part, reply, live)
        except SlackError as error:
            raise until_renewed(error) from error
        finally:
            if live is not None:
                # Whatever stands there now, a look into the thread shows it.
                self._live.pop(turn, None)
        if part == 1 and reply.kind != "command":
            self.in_background(self.sessions.over(to))

    async def _bring(self, to: Address, turn: TurnId, part: int, reply: Reply, live: LiveAnswer | None) -> None:
        seen = self._seen.pop((turn, part), None)
        if reply.kind == "command":
            # What is unfinished in its thread is an answer's, and none of its own.
            seen = None if seen is None else replace(seen, unfinished=())
        elif seen is None and part == 1:
            seen = await self._left_behind(to, turn, live)
        if seen is not None and seen.whole:
            return
        writer = await self._writer(to, turn, part)
        if reply.files:
            # Before the last piece: where that stands, all does.
            client, there = await self.client_of(to.workspace), () if seen is None else seen.files
            reply = without(reply, await share(client, to.channel, to.thread, reply.files, there), self.say)
        if seen is not None:
            half = bool(seen.pieces) or any(posted.text for posted in seen.unfinished)
            if half and part == 1 and reply.kind == "notice":
                await finish_half(writer, reply, seen)
            else:
                await finish(writer, reply, written_of(seen))
        elif live is not None:
            if not live.fits(text_of(reply)):
                for message in live.written:
                    message.state = "doubtful"
            await finish(writer, reply, live.written)
        else:
            await finish(writer, reply, ())

    async def _left_behind(self, to: Address, turn: TurnId, live: LiveAnswer | None) -> Seen | None:
        """What another process left of the answer when it died, or a call whose outcome is not known; None for nothing."""
        lost = live is not None and live.lost
        if turn in self._titles and not lost:
            return None
        try:
            seen = await self._look(to, turn, 1)
        except PlatformError as error:
            if error.retry_after_s is not None and (live is None or lost):
                raise
            return None
        written = frozenset[str]() if live is None or lost else live.busy
        strange = seen is not None and any(each.ts not in written for each in (*seen.pieces, *seen.unfinished))
        return seen if strange else None

    async def find(self, to: Address, turn: TurnId, part: int) -> Presence:
        if not to.thread:
            return "unknown"
        seen = await self._look(to, turn, part)
        if seen is None:
            return "unknown"
        if seen.whole:
            return "there"
        self._seen[turn, part] = seen
        return "absent"

    async def _look(self, to: Address, turn: TurnId, part: int) -> Seen | None:
        """What the thread shows of a reply; None where it may not be read. Raises ``PlatformError``."""
        messages = await messages_of(await self.client_of(to.workspace), to)
        if messages is None:
            log.warning("Slack does not show the thread", extra={"turn": turn})
            return None
        busy = frozenset(ts for other, live in self._live.items() if other != turn for ts in live.busy)
        return see(messages, await self.user_in(to.workspace), turn, part, busy)

    async def overhear(self, to: Address, before: str, count_max: int) -> Sequence[Overheard]:
        ours = await self.user_in(to.workspace)
        return await overheard_in(await self.client_of(to.workspace), self.names, to, before, count_max, ours)

    async def fetch(self, to: Address, attached: Attached, bytes_max: int) -> bytes:
        return await fetch_file(self.session, await self.client_of(to.workspace), self.api_url, attached, bytes_max)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """What nobody waits for. It raises nothing."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def standing(self, address: Address) -> Standing:
        """What Slack says of the person. Raises ``StoreFailed``."""
        return await self.standings.of(address)

    def _otherwise(self) -> Standing:
        # With the one token of the settings it is known whose house this is; in a workspace of others nobody is let in on trust.
        return "member" if isinstance(self.tokens, OneToken) else "guest"

    async def say_aside(self, to: Address, text: str) -> None:
        """Say something to a person alone that is no reply. Best effort."""
        try:
            await send_privately(
                await self.client_of(to.workspace), self.api_url, to, Reply("notice", text, private=True), self.say
            )
        except PlatformError as error:
            log.warning("somebody could not be told", extra={"cause": str(error)})

    def begin(self, to: Address, turn: TurnId) -> None:
        """Show that somebody is at work on it."""
        title = self._titles.get(turn, "")
        if title:
            self._titles[turn] = ""
        self.in_background(self.sessions.at_work(to, title))

    async def wait(self, to: Address, turn: TurnId) -> None:
        await self._take_away(to, turn)
        self.in_background(self.sessions.suspended(to))

    async def discard(self, to: Address, turn: TurnId) -> None:
        await self._take_away(to, turn)
        self.in_background(self.sessions.over(to))

    async def _take_away(self, to: Address, turn: TurnId) -> None:
        """Delete what was shown of a turn's answer, as far as Slack lets us."""
        live = self._live.pop(turn, None)
        if live is None:
            return
        await live.settle()
        try:
            writer = await self._writer(to, turn, 1)
        except PlatformError as error:
            log.warning("an answer could not be taken away", extra={"turn": turn, "cause": str(error)})
            return
        for message in live.written:
            await writer.delete(message.ts)

    async def _writer(self, to: Address, turn: TurnId, part: int) -> Writer:
        return Writer(await self.client_of(to.workspace), to, turn, part)

    def _remember_refusal(self, to: Address, live: LiveAnswer) -> None:
        if live.refused:
            self._without_streams[to.channel] = None
            while len(self._without_streams) > REMEMBERED_MAX:
                self._without_streams.popitem(last=False)

    async def aclose(self) -> None:
        for live in self._live.values():
            live.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


class _SlackScreen:
    """Fits ``bot.platforms.base.Screen``."""

    def __init__(self, platform: SlackPlatform, to: Address, turn: TurnId) -> None:
        self._platform = platform
        self._to = to
        self._turn = turn
        self._begun = False

    @property
    def shows(self) -> bool:
        return True

    async def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._platform.begin(self._to, self._turn)

    async def show(self, delta: str) -> None:
        self._platform.live(self._to, self._turn).show(delta)

    async def reasoning(self, delta: str) -> None:
        return None

    async def tool(self, step: ToolStep) -> None:
        self._platform.live(self._to, self._turn).step(step)

    async def wait(self) -> None:
        await self._platform.wait(self._to, self._turn)

    async def discard(self) -> None:
        await self._platform.discard(self._to, self._turn)
