"""CarPool in Discord: replies as messages with components, in a thread for each question, looked for before they are posted.

What comes in is in ``bot.platforms.discord_gateway``.
"""

import asyncio
import io
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from adapters.messages import File
from bot.platforms.base import (
    Address,
    Attached,
    Overheard,
    PlatformError,
    PlatformName,
    Presence,
    Reply,
    Screen,
)
from bot.platforms.discord_errors import (
    NO_DIRECT_MESSAGES,
    THREAD_IS_THERE,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    DiscordRefused,
    of_answer,
    of_connection,
    of_rate_limit,
)
from bot.platforms.discord_hearing import address_of_file, overheard_in
from bot.platforms.discord_pace import Pace, Rates
from bot.platforms.discord_places import Channel, Interaction, Place, has_expired
from bot.platforms.discord_screen import EDIT_EVERY_S, DiscordScreen, Shown
from bot.platforms.discord_wire import (
    DISCORD,
    Found,
    Payload,
    Way,
    file_names,
    is_whole,
    pieces_there,
    private_message,
    read_way,
    thread_name,
)
from bot.platforms.discord_writing import post_pieces
from bot.sentences import ENGLISH, Sentences
from ledger.pseudonyms import TurnId

if TYPE_CHECKING:
    from discord import AutoShardedClient

log = logging.getLogger("carpool.discord")

CALL_TIMEOUT_S = 90
"""The SDK's own waiting at rate limits, 30 s at the most, is in it."""

RATE_LIMIT_WAIT_S_MAX = 30.0
THREAD_KEPT_MINUTES = 1440
REMEMBERED_MAX = 1_000
CDN_HOSTS = ("cdn.discordapp.com", "media.discordapp.net")
NOT_PRIVATELY = (
    "What I have to say to that is for you alone, and Discord does not let me write to you: allow direct messages from "
    "members of this server, or use the slash command of the same name, whose answer you alone see."
)


class DiscordPlatform:
    """Fits ``bot.platforms.base.Platform``. Building it connects to nothing and imports no SDK."""

    def __init__(
        self,
        bot_token: str,
        message_content: bool = False,
        edit_every_s: float = EDIT_EVERY_S,
        cdn_hosts: Sequence[str] = CDN_HOSTS,
        rates: Rates = Rates(),
        say: Sentences = ENGLISH,
    ) -> None:
        self.say = say
        self._bot_token = bot_token
        self._message_content = message_content
        self._edit_every_s = edit_every_s
        self._cdn_hosts = cdn_hosts
        self._pace, self._live_pace = Pace(rates.all), Pace(rates.live)
        self._client: AutoShardedClient | None = None
        # Each is kept by the run of its turn.
        self._screens: WeakValueDictionary[TurnId, DiscordScreen] = WeakValueDictionary()
        # What ``find`` saw of a reply that is only partly there, for the ``send`` that follows.
        self._partly: dict[tuple[TurnId, int], Mapping[int, Found]] = {}
        self._unacknowledged: dict[str, asyncio.Event] = {}
        self._titles: OrderedDict[str, str] = OrderedDict()
        self._threads: OrderedDict[str, bool] = OrderedDict()

    @property
    def name(self) -> PlatformName:
        return DISCORD

    @property
    def reads_all(self) -> bool:
        """Whether the text of messages that do not mention the bot is given to it (the Message Content intent)."""
        return self._message_content

    @property
    def client(self) -> "AutoShardedClient":
        if self._client is None:
            import discord

            intents = discord.Intents.none()
            intents.guilds = intents.guild_messages = intents.dm_messages = True
            intents.message_content = self._message_content
            self._client = discord.AutoShardedClient(
                intents=intents,
                allowed_mentions=discord.AllowedMentions.none(),
                max_messages=None,
                chunk_guilds_at_startup=False,
                member_cache_flags=discord.MemberCacheFlags.none(),
                max_ratelimit_timeout=RATE_LIMIT_WAIT_S_MAX,
            )
        return self._client

    async def login(self) -> None:
        """Raises ``PlatformError``: ``retry_after_s`` is None where Discord refuses the token."""
        import discord
        from aiohttp import ClientError

        try:
            await self.client.login(self._bot_token)
        except discord.LoginFailure as error:
            raise PlatformError("Discord refuses the bot token", None) from error
        except discord.HTTPException as error:
            raise of_answer(error) from error
        except (ClientError, TimeoutError, OSError) as error:
            raise of_connection(error) from error

    def title(self, message: str, text: str) -> None:
        """What the thread of this message is to be called."""
        _remember(self._titles, message, thread_name(text))

    @contextmanager
    def acknowledging(self, token: str) -> Iterator[None]:
        """Until the end of the block this interaction takes no answer but its acknowledgement: all others wait."""
        acknowledged = self._unacknowledged.setdefault(token, asyncio.Event())
        try:
            yield
        finally:
            self._unacknowledged.pop(token, None)
            acknowledged.set()

    def screen(self, to: Address, turn: TurnId) -> Screen:
        if (before := self._screens.pop(turn, None)) is not None:
            before.abandon()  # of a run that failed: what it showed is looked for by `send`
        screen = DiscordScreen(lambda: self._place(to), turn, self._edit_every_s, self._live_pace, self.say)
        self._screens[turn] = screen
        return screen

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        # A question that comes before the answer leaves what is shown of that as it is.
        screen = self._screens.pop(turn, None) if part == 1 else None
        if screen is not None:
            await screen.end()
        shown: Mapping[int, Shown] = {} if screen is None else screen.posted
        known = dict(self._partly.pop((turn, part), {}))
        place = await self._place_of_reply(to, reply)
        # An earlier run may have left a begun answer there, and a call without an acknowledgement a message.
        unsure = part == 1 and (screen is None or not screen.begun or screen.doubtful)
        if not known and reply.kind != "command" and unsure:
            known = await self._look(place, turn, part)
        known |= {number: Found(item.message, number, "live") for number, item in shown.items()}
        try:
            await post_pieces(place, turn, part, reply, known, shown)
        except DiscordRefused as error:
            elsewhere = await self._elsewhere(to, reply, error)
            if elsewhere is None:
                raise
            place, reply = elsewhere
            # What was shown while the token lived stands there too.
            await post_pieces(place, turn, part, reply, await self._look(place, turn, part), {})

    async def say_aside(self, to: Address, text: str) -> None:
        """See ``bot.platforms.base.Platform``."""
        try:
            place = await self._place_of_reply(to, Reply("notice", text, private=True))
            await place.post(private_message(text, ()), (), True, "")
        except PlatformError as error:
            log.warning("somebody could not be told", extra={"cause": str(error)})

    async def find(self, to: Address, turn: TurnId, part: int) -> Presence:
        way = read_way(to.reply_url)
        if not way.token:
            return await self._find_among(self._where(to, way), turn, part)
        try:
            messages, all_of_it = await self._interaction(to, way).messages()
        except PlatformError as error:
            if error.retry_after_s is not None:
                raise
            if not has_expired(error):
                return "unknown"
            # What all could see stands in the channel, and there it is found without the token.
            presence = await self._find_among(self._where(to, Way()), turn, part)
            return presence if way.mode == "public" or presence == "there" else "unknown"
        presence = self._presence(messages, all_of_it, turn, part)
        # Where the channel may not be read nobody knows what follows; nothing follows a message that is still written.
        first = self._partly.get((turn, part), {}).get(1)
        followed = not all_of_it and first is not None and first.state == "whole"
        return "unknown" if followed and presence == "absent" else presence

    async def _where(self, to: Address, way: Way) -> AsyncIterator[Channel]:
        """Where a reply may stand: in its thread, or behind its question where no thread could be made; or it was for the
        asker alone."""
        if to.thread:
            yield Channel(self.call, to.thread)
        yield Channel(self.call, to.channel, to.thread or way.message)
        if not _is_direct(to) and (direct := await self._direct(to)) is not None:
            yield direct

    async def _find_among(self, places: AsyncIterator[Channel], turn: TurnId, part: int) -> Presence:
        presence: Presence = "absent"
        async for place in places:
            try:
                messages, all_of_it = await place.messages()
            except DiscordRefused as error:
                if error.retry_after_s is not None:
                    raise
                # A thread that was never made has no messages.
                if error.code != UNKNOWN_CHANNEL:
                    log.warning("Discord does not show the channel", extra={"turn": turn, "cause": str(error)})
                    presence = "unknown"
                continue
            seen = self._presence(messages, all_of_it, turn, part)
            if seen == "there" or self._partly.get((turn, part)):
                return seen
            presence = "unknown" if seen == "unknown" else presence
        return presence

    def _presence(self, messages: Sequence[Payload], all_of_it: bool, turn: TurnId, part: int) -> Presence:
        found = pieces_there(messages, self._me, turn, part)
        if is_whole(found):
            return "there"
        self._partly[turn, part] = found
        return "absent" if found or all_of_it else "unknown"

    async def _look(self, place: Place, turn: TurnId, part: int) -> dict[int, Found]:
        try:
            messages, _ = await place.messages()
        except PlatformError as error:
            if error.retry_after_s is not None:
                raise
            return {}
        return pieces_there(messages, self._me, turn, part)

    async def overhear(self, to: Address, before: str, count_max: int) -> Sequence[Overheard]:
        return await overheard_in(self.call, self._me, to, before, count_max)

    async def fetch(self, to: Address, attached: Attached, bytes_max: int) -> bytes:
        """From Discord's own hosts only: what is there at an address that came in with an event is not ours to trust."""
        url, size = await address_of_file(self.call, attached)
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or parts.hostname not in self._cdn_hosts:
            raise PlatformError("Discord: a file that does not lie with Discord", None)
        if size > bytes_max:
            raise PlatformError("Discord: a file that is too long", None)
        data = await self.guarded(self.client.http.get_from_cdn(url))
        if len(data) > bytes_max:
            raise PlatformError("Discord: a file that is too long", None)
        return bytes(data)

    async def _place(self, to: Address) -> Place:
        way = read_way(to.reply_url)
        return self._interaction(to, way) if way.token else await self._public_place(to, way)

    def _interaction(self, to: Address, way: Way) -> Interaction:
        return Interaction(self.call, way, to.thread or to.channel)

    async def _public_place(self, to: Address, way: Way) -> Place:
        if not to.thread:
            return Channel(self.call, to.channel, way.message)
        if await self._thread_is_there(to):
            return Channel(self.call, to.thread)
        return Channel(self.call, to.channel, to.thread)

    async def _place_of_reply(self, to: Address, reply: Reply) -> Place:
        way = read_way(to.reply_url)
        if not reply.private or _is_direct(to):
            return await self._place(to)
        if not way.token:
            return await self._direct(to) or await self._place(to)
        if way.mode != "public":
            return self._interaction(to, way)
        # It waits for an answer that all would see: one for the asker alone takes its place.
        await _delete_quietly(self._interaction(to, way))
        return self._interaction(to, replace(way, mode="after"))

    async def _elsewhere(self, to: Address, reply: Reply, error: DiscordRefused) -> tuple[Place, Reply] | None:
        """Where a reply goes that Discord did not take, and in what form; None where there is nothing else to be tried."""
        way = read_way(to.reply_url)
        private = not _is_direct(to) and (reply.private or (bool(way.token) and way.mode != "public"))
        if way.token and (has_expired(error) or error.code == UNKNOWN_MESSAGE):
            # Its fifteen minutes are over, or what waited for an answer is gone.
            direct = await self._direct(to) if private else await self._public_place(to, Way())
            return None if direct is None else (direct, reply)
        if private and error.code == NO_DIRECT_MESSAGES:
            # A refusal may be read by all; what a command shows may not.
            said = (
                reply if reply.kind == "notice" else replace(reply, text=self.say(NOT_PRIVATELY), files=(), buttons=())
            )
            return await self._public_place(to, Way() if way.token else way), said
        return None

    async def _direct(self, to: Address) -> Channel | None:
        """The person's direct messages; None where Discord does not open them."""
        try:
            opened = await self.call("POST", "/users/@me/channels", {}, {"recipient_id": to.person})
        except DiscordRefused as error:
            if error.retry_after_s is not None:
                raise
            return None
        return Channel(self.call, str(opened["id"]))

    async def _thread_is_there(self, to: Address) -> bool:
        """See that the conversation has its thread: that of the asking message, whose id it has. False where there can be
        none, and the answer goes to the channel as a reply."""
        known = self._threads.get(to.thread)
        if known is not None:
            return known
        there = self.client.get_channel(int(to.thread)) is not None or await self._make_thread(to)
        _remember(self._threads, to.thread, there)
        return there

    async def _make_thread(self, to: Address) -> bool:
        body = {"name": self._titles.get(to.thread, "CarPool"), "auto_archive_duration": THREAD_KEPT_MINUTES}
        ids = {"channel_id": to.channel, "message_id": to.thread}
        try:
            await self.call("POST", "/channels/{channel_id}/messages/{message_id}/threads", ids, body)
        except DiscordRefused as error:
            if error.retry_after_s is not None:
                raise
            # Threads that no message began have ids of their own.
            return error.code in (THREAD_IS_THERE, UNKNOWN_MESSAGE, UNKNOWN_CHANNEL)
        return True

    @property
    def _me(self) -> str:
        user = self.client.user
        return "" if user is None else str(user.id)

    async def call(
        self,
        method: str,
        path: str,
        ids: Mapping[str, str],
        body: Payload | None = None,
        files: Sequence[File] = (),
        query: Mapping[str, str] | None = None,
    ) -> Any:
        import discord
        from discord.http import Route

        # The answers to interactions are not counted.
        if "webhook_id" not in ids:
            await asyncio.sleep(self._pace.take())
        elif (acknowledged := self._unacknowledged.get(ids["webhook_token"])) is not None:
            await acknowledged.wait()
        route = Route(method, path, **ids)
        http = self.client.http
        if not files and query is not None:
            return await self.guarded(http.request(route, params=query))
        if not files:
            # discord.py takes a `json` that is None for one that is wanted.
            return await self.guarded(http.request(route) if body is None else http.request(route, json=body))
        named = list(zip(file_names(files), files, strict=True))
        listed = [{"id": place, "filename": name} for place, (name, _) in enumerate(named)]
        uploads = [discord.File(io.BytesIO(file.data), filename=name) for name, file in named]
        form: list[dict[str, Any]] = [
            {"name": "payload_json", "value": discord.utils._to_json({**(body or {}), "attachments": listed})}
        ]
        form += [
            {
                "name": f"files[{place}]",
                "value": upload.fp,
                "filename": upload.filename,
                "content_type": "application/octet-stream",
            }
            for place, upload in enumerate(uploads)
        ]
        return await self.guarded(http.request(route, files=uploads, form=form))

    async def guarded(self, calling: Awaitable[Any]) -> Any:
        """The one place where discord.py's errors become ours."""
        import discord
        from aiohttp import ClientError

        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await calling
        except discord.RateLimited as error:
            raise of_rate_limit(error.retry_after) from error
        except discord.HTTPException as error:
            raise of_answer(error) from error
        except (ClientError, TimeoutError, OSError) as error:
            raise of_connection(error) from error

    async def aclose(self) -> None:
        for screen in tuple(self._screens.values()):
            await screen.end()
        if self._client is not None:
            await self._client.close()


async def _delete_quietly(place: Interaction) -> None:
    try:
        await place.delete("@original")
    except PlatformError as error:
        log.info("an acknowledgement still stands", extra={"cause": str(error)})


def _is_direct(to: Address) -> bool:
    return to.workspace.startswith("user:")


def _remember(kept: "OrderedDict[str, Any]", key: str, value: object) -> None:
    kept[key] = value
    if len(kept) > REMEMBERED_MAX:
        kept.popitem(last=False)
