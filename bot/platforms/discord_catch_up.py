"""What came in Discord while nobody listened: read on from the mark of each shard, and accepted as if it had just come.

Discord repeats to a session what it missed, and to a new session nothing. What is read twice is accepted once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from bot.platforms.base import Incoming, PlatformError
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_reading import read_message, standing_of_member
from bot.platforms.discord_seen import Seen, snowflake
from ledger.errors import StoreFailed

if TYPE_CHECKING:
    from discord import DMChannel, Guild, Message, StageChannel, TextChannel, Thread, VoiceChannel

    Readable: TypeAlias = TextChannel | VoiceChannel | StageChannel | Thread | DMChannel

log = logging.getLogger("carpool.discord")

MISSED_FOR_S = 86_400.0
"""What is older than this when it is found is not answered any more."""

AGAIN_S = 5.0
AGAIN_S_MAX = 300.0
"""How long it waits before it looks again for what could not be read or recorded: twice as long each time, up to this."""

PAGE = 100
DIRECTS = 0
"""In place of a server's id: the direct conversations, which all belong to the first shard."""


class CatchUp:
    """``accept`` records a message; it raises ``StoreFailed`` where that could not be done."""

    def __init__(
        self, platform: DiscordPlatform, seen: Seen, accept: Callable[[Incoming], Awaitable[None]], again_s: float
    ) -> None:
        self._platform = platform
        self._seen = seen
        self._accept = accept
        self._again_s = again_s
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self.once = asyncio.Event()
        """Set once the first shard that came up has been looked through."""

    def await_session(self, shard: int) -> None:
        """A session begins: what it tells of next came after a gap, and its servers are not all named yet."""
        self._seen.hold(shard)
        if (reading := self._reading.pop(shard, None)) is not None:
            reading.cancel()

    def begin(self, shard: int) -> None:
        """Read what this shard missed, until there is nothing left that could not be read or recorded."""
        hold = self._seen.hold(shard)
        if shard not in self._reading:
            reading = asyncio.create_task(self._read(shard, hold), name=f"catch up shard {shard}")
            self._reading[shard] = reading

    def look_again(self) -> None:
        """Something may be readable now that was not."""
        self._news.set()

    async def aclose(self) -> None:
        reading = tuple(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _read(self, shard: int, hold: int) -> None:
        read: set[int] = set()
        wait_s = self._again_s
        while True:
            self._news.clear()
            try:
                whole = await self._read_shard(shard, read)
            except Exception:  # the mark stays, and what was missed is not given up
                log.exception("what was missed could not be read")
                whole = False
            self.once.set()
            if whole and self._seen.release(shard, hold):
                self._seen.save()
                del self._reading[shard]
                return
            if self._seen.holds(shard) != hold:
                # Something that came since could not be recorded, wherever that was.
                hold = self._seen.holds(shard)
                read.clear()
            try:
                await asyncio.wait_for(self._news.wait(), wait_s)
            except TimeoutError:
                wait_s = min(2 * wait_s, AGAIN_S_MAX)

    async def _read_shard(self, shard: int, read: set[int]) -> bool:
        """Whether all of it was read: its servers, and with the first shard the direct conversations. ``read`` are those
        that need not be read again."""
        after = max(self._seen.upto(shard), snowflake(time.time() - MISSED_FOR_S))
        whole = True
        for guild in self._platform.client.guilds:
            if guild.shard_id != shard or guild.id in read:
                continue
            if not guild.unavailable and await self._read_all(_with_news(guild, after), after):
                read.add(guild.id)
            else:
                whole = False
        if shard == 0 and DIRECTS not in read:
            if await self._read_directs(after):
                read.add(DIRECTS)
            else:
                whole = False
        return whole

    async def _read_directs(self, after: int) -> bool:
        from discord import DMChannel

        whole = True
        for direct in self._seen.directs:
            try:
                channel = self._platform.client.get_channel(int(direct)) or await self._platform.guarded(
                    self._platform.client.fetch_channel(int(direct))
                )
            except PlatformError as error:
                whole = _may_not_be_read(error) and whole
                continue
            if isinstance(channel, DMChannel):
                whole = await self._read_all([channel], after) and whole
        return whole

    async def _read_all(self, channels: "Sequence[Readable]", after: int) -> bool:
        whole = True
        for channel in channels:
            try:
                await self._read_on(channel, after)
            except PlatformError as error:
                whole = _may_not_be_read(error) and whole
            except StoreFailed as error:
                log.warning("what was missed could not be recorded", extra={"cause": str(error)})
                whole = False
        return whole

    async def _read_on(self, channel: "Readable", after: int) -> None:
        from discord import Object

        while True:
            history = channel.history(limit=PAGE, after=Object(after), oldest_first=True)
            page = await self._platform.guarded(_list(history))
            for message in page:
                await self._accept_missed(message)
            if len(page) < PAGE:
                return
            after = page[-1].id

    async def _accept_missed(self, message: "Message") -> None:
        user = self._platform.client.user
        incoming = read_message(message, 0 if user is None else user.id, self._platform.reads_all)
        if incoming is None:
            return
        if message.guild is not None and incoming.standing == "member":
            try:
                member = await self._platform.guarded(message.guild.fetch_member(message.author.id))
                incoming = replace(incoming, standing=standing_of_member(member))
            except PlatformError:
                log.info("how somebody stands who asked meanwhile could not be asked")
        await self._accept(incoming)


def _with_news(guild: "Guild", after: int) -> "list[Readable]":
    """Where something is newer than that and may be read."""
    channels: list[TextChannel | VoiceChannel | StageChannel | Thread] = [
        *guild.text_channels,
        *guild.voice_channels,
        *guild.stage_channels,
        *(thread for thread in guild.threads if thread.parent is not None),
    ]
    return [
        channel
        for channel in channels
        if (channel.last_message_id or 0) > after and channel.permissions_for(guild.me).read_message_history
    ]


def _may_not_be_read(error: PlatformError) -> bool:
    """Whether asking again is of no use."""
    log.warning("what was missed in a channel could not be read", extra={"cause": str(error)})
    return error.retry_after_s is None


async def _list(history: Any) -> "list[Message]":
    return [message async for message in history]
