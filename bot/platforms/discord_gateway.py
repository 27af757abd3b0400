"""What comes in from Discord: messages, edits, deletions, commands, presses and forms, over a connection that we open.

A message is on RoadChain before anything is done about it. Commands, presses and forms go to
``bot.platforms.discord_interactions``.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from bot.commands.table import COMMANDS
from bot.errors import not_taken
from bot.platforms.base import Address, Door, Incoming, PlatformError
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_catch_up import AGAIN_S, CatchUp
from bot.platforms.discord_interactions import Completing, Interactions
from bot.platforms.discord_reading import own_workspace, read_message
from bot.platforms.discord_seen import Seen
from bot.platforms.discord_wire import DISCORD, commands_differ, commands_wanted
from ledger.errors import StoreFailed

if TYPE_CHECKING:
    from discord import (
        AutoShardedClient,
        Guild,
        Interaction,
        Message,
        RawBulkMessageDeleteEvent,
        RawMessageDeleteEvent,
        RawMessageUpdateEvent,
    )

log = logging.getLogger("carpool.discord")

SAVE_EVERY_S = 5.0

INTENT_REMEDY = (
    "Turn on Message Content under Bot of your application, or set DISCORD_MESSAGE_CONTENT=false: then it reads what mentions "
    "it, replies to it or is written to it directly."
)
CLOSED_REMEDY = "Start again; where that does not help, make a new token under Bot of your application."


class Refused(Exception):
    """Discord wants no connection of this bot. ``remedy`` says what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class DiscordGateway:
    """The handlers of the platform's client."""

    def __init__(
        self,
        platform: DiscordPlatform,
        door: Door,
        completing: Completing,
        seen: Seen,
        again_s: float = AGAIN_S,
    ) -> None:
        self._platform = platform
        self._door = door
        self._interactions = Interactions(platform, door, completing)
        self._seen = seen
        self._missed = CatchUp(platform, seen, self._accept, again_s)
        client = platform.client
        for handler in (
            self.on_message,
            self.on_raw_message_edit,
            self.on_raw_message_delete,
            self.on_raw_bulk_message_delete,
            self.on_interaction,
            self.on_shard_connect,
            self.on_shard_ready,
            self.on_guild_unavailable,
            self.on_guild_available,
            self.on_error,
        ):
            setattr(client, handler.__name__, handler)

    @property
    def caught_up(self) -> asyncio.Event:
        """Set once the first shard that came up has read what it missed."""
        return self._missed.once

    @property
    def _client(self) -> "AutoShardedClient":
        return self._platform.client

    @property
    def _me(self) -> int:
        user = self._client.user
        return 0 if user is None else user.id

    async def on_message(self, message: "Message") -> None:
        incoming = read_message(message, self._me, self._platform.reads_all)
        direct = str(message.channel.id) if message.guild is None else ""
        shard = 0 if message.guild is None else message.guild.shard_id
        try:
            with self._seen.handling(shard, message.id, direct if incoming is not None else ""):
                if incoming is not None:
                    await self._accept(incoming)
        except StoreFailed as error:
            if incoming is not None and error.reason == "changed":
                await self._platform.say_aside(incoming.address, not_taken(error, self._platform.say))
                return
            log.warning("a message could not be recorded: it is read again", extra={"cause": str(error)})
            self._missed.begin(shard)

    async def on_raw_message_edit(self, payload: "RawMessageUpdateEvent") -> None:
        # Discord edits messages itself, where it has looked at a link: these have no time of an edit.
        if payload.message.edited_at is None:
            return
        incoming = read_message(payload.message, self._me, self._platform.reads_all)
        if incoming is not None:
            await self._door.amend(incoming, payload.message.edited_at.isoformat())

    async def on_raw_message_delete(self, payload: "RawMessageDeleteEvent") -> None:
        await self._withdraw(payload.guild_id, payload.channel_id, payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: "RawBulkMessageDeleteEvent") -> None:
        for message in payload.message_ids:
            await self._withdraw(payload.guild_id, payload.channel_id, message)

    async def on_interaction(self, interaction: "Interaction[Any]") -> None:
        await self._interactions.handle(interaction)

    async def on_shard_connect(self, shard_id: int) -> None:
        self._missed.await_session(shard_id)

    async def on_shard_ready(self, shard_id: int) -> None:
        self._missed.begin(shard_id)

    async def on_guild_unavailable(self, guild: "Guild") -> None:
        self._missed.begin(guild.shard_id)

    async def on_guild_available(self, guild: "Guild") -> None:
        self._missed.look_again()

    async def on_error(self, event: str, *arguments: object) -> None:
        log.exception("an event of Discord was not handled", extra={"cause": event})

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until ``stop``, through every connection that is lost. Raises ``Refused`` where Discord wants none."""
        import discord

        keeping = asyncio.create_task(self._keep_seen())
        connecting = asyncio.create_task(self._connect())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
        except discord.PrivilegedIntentsRequired as error:
            raise Refused("Discord does not let this bot read all messages", INTENT_REMEDY) from error
        except discord.ConnectionClosed as error:
            raise Refused(f"Discord closed the connection with code {error.code}", CLOSED_REMEDY) from error
        finally:
            for task in (keeping, connecting, stopping):
                task.cancel()
            await asyncio.gather(keeping, connecting, stopping, return_exceptions=True)
            await self._missed.aclose()

    async def _connect(self) -> None:
        try:
            await self.sync_commands()
        except PlatformError as error:
            # Messages are answered all the same, and the next start tries again.
            log.warning("the commands could not be registered with Discord", extra={"cause": str(error)})
        await self._client.connect()

    async def sync_commands(self) -> bool:
        """Have Discord know the commands of the table. Nothing is written where it does; returns whether it was.

        Raises ``PlatformError``.
        """
        http, application = self._client.http, self._client.application_id
        if application is None:
            raise AssertionError("the client is logged in")
        wanted = commands_wanted(COMMANDS)
        there = await self._guarded(http.get_global_commands(application))
        if not commands_differ(wanted, there):
            return False
        await self._guarded(http.bulk_upsert_global_commands(application, payload=wanted))
        log.info("the commands were registered with Discord")
        return True

    async def _keep_seen(self) -> None:
        """Write down now and then how far Discord has been heard; at the end too."""
        try:
            while True:
                await asyncio.sleep(SAVE_EVERY_S)
                self._seen.save()
        finally:
            self._seen.save()

    async def _accept(self, incoming: Incoming) -> None:
        if incoming.address.thread == incoming.event_identity:
            self._platform.title(incoming.address.thread, incoming.text)
        await self._door.accept(incoming)

    async def _withdraw(self, guild: int | None, channel: int, message: int) -> None:
        address = await self._address_of_deleted(guild, channel)
        if address is not None:
            await self._door.withdraw(address, str(message))

    async def _address_of_deleted(self, guild: int | None, channel: int) -> Address | None:
        """As far as Discord tells: nobody knows who deleted it, and only the workspace matters to find it again."""
        from discord import DMChannel, Thread

        found = self._client.get_channel(channel)
        if guild is not None:
            thread = str(channel) if isinstance(found, Thread) else ""
            return Address(
                DISCORD, str(guild), str(found.parent_id if isinstance(found, Thread) else channel), thread, ""
            )
        if found is None:
            found = await self._guarded(self._client.fetch_channel(channel))
        if not isinstance(found, DMChannel) or found.recipient is None:
            return None
        person = str(found.recipient.id)
        return Address(DISCORD, own_workspace(person), str(channel), "", person)

    async def _guarded(self, calling: Awaitable[Any]) -> Any:
        return await self._platform.guarded(calling)
