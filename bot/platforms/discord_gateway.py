"""What comes in from Discord: messages, edits, deletions, commands, presses and forms, over a connection that we open.

A message is on RoadChain before anything is done about it. An interaction is acknowledged first, as Discord wants it within
three seconds; what could not be recorded then is said to whoever waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.commands.explaining import AGAIN
from bot.commands.table import COMMANDS, is_private
from bot.platforms.base import Address, Button, Door, Filled, Form, Incoming, PlatformError, Taken
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_errors import ALREADY_ACKNOWLEDGED, DiscordRefused
from bot.platforms.discord_places import Interaction as Answering
from bot.platforms.discord_reading import (
    address_of,
    own_workspace,
    read_command,
    read_message,
    read_press,
    standing_of_interaction,
    standing_of_member,
)
from bot.platforms.discord_seen import Seen
from bot.platforms.discord_wire import (
    ASK,
    ASK_ABOUT,
    CHOICES_MAX,
    DISCORD,
    FORM,
    STOP_ID,
    Mode,
    commands_differ,
    commands_wanted,
    modal_of,
    private_message,
    read_modal,
    read_modal_id,
    read_way,
)
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
        TextChannel,
        Thread,
    )

log = logging.getLogger("carpool.discord")

FORM_WAIT_S = 2.0
"""A form has to be shown within three seconds."""

CATCH_UP_MESSAGES_MAX = 500
CATCH_UP_DAYS_MAX = 1
SAVE_EVERY_S = 5.0
NOT_RECORDED = "CarPool cannot take messages at the moment, so this was not taken. Try again in a few minutes."
AGAIN_IS_ASKED = "I ask your last question again: the answer comes where it was asked."
NO_FORM = "CarPool is slow at the moment, and could not show its form in time. Try again."


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
    """The handlers of the platform's client. ``complete`` gives the whole lines that a begun one may be meant to be."""

    def __init__(
        self, platform: DiscordPlatform, door: Door, complete: Callable[[str], Sequence[str]], seen: Seen
    ) -> None:
        self._platform = platform
        self._door = door
        self._complete = complete
        self._seen = seen
        self.caught_up = asyncio.Event()
        """Set once the first shard that came up has read what it missed."""
        client = platform.client
        for handler in (
            self.on_message,
            self.on_raw_message_edit,
            self.on_raw_message_delete,
            self.on_raw_bulk_message_delete,
            self.on_interaction,
            self.on_shard_ready,
            self.on_error,
        ):
            setattr(client, handler.__name__, handler)

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
        with self._seen.handling(shard, message.id, direct if incoming is not None else ""):
            if incoming is not None:
                await self._accept(incoming)

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
        from discord import InteractionType

        try:
            match interaction.type:
                case InteractionType.autocomplete:
                    await self._autocomplete(interaction)
                case InteractionType.application_command:
                    await self._command(interaction)
                case InteractionType.component:
                    await self._press(interaction)
                case InteractionType.modal_submit:
                    await self._filled(interaction)
                case _:
                    return
        except PlatformError as error:
            # Whoever asked sees that from Discord.
            log.warning("an interaction could not be answered", extra={"cause": str(error)})

    async def on_shard_ready(self, shard_id: int) -> None:
        try:
            await self._catch_up(shard_id)
        finally:
            self.caught_up.set()

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

    async def _autocomplete(self, interaction: "Interaction[Any]") -> None:
        from discord import app_commands

        data: Mapping[str, Any] = interaction.data or {}
        begun = next((str(item.get("value") or "") for item in data.get("options") or () if item.get("focused")), "")
        line = f"/{data.get('name')} "
        offered = [whole.removeprefix(line) for whole in self._complete(f"{line}{begun}")]
        choices = [app_commands.Choice(name=item[:100], value=item[:100]) for item in offered[:CHOICES_MAX]]
        await self._guarded(interaction.response.autocomplete(choices))

    async def _command(self, interaction: "Interaction[Any]") -> None:
        data: Mapping[str, Any] = interaction.data or {}
        said, name = read_command(interaction), str(data.get("name"))
        if name in (ASK, ASK_ABOUT):
            if await self._acknowledge(interaction, "public"):
                await self._take(interaction, "public", said.text, said.attached)
        elif name == AGAIN.name:
            # The answer goes where the question was asked: nothing waits here.
            await self._guarded(interaction.response.send_message(AGAIN_IS_ASKED, ephemeral=True))
            await self._take(interaction, "after", said.text)
        else:
            await self._say(interaction, said.text, "private" if is_private(name) else "public")

    async def _press(self, interaction: "Interaction[Any]") -> None:
        data: Mapping[str, Any] = interaction.data or {}
        custom_id = str(data.get("custom_id"))
        if custom_id == STOP_ID:
            await self._guarded(interaction.response.defer())
            self._door.stop(self._door.conversation(address_of(interaction, "after")))
            return
        text = read_press(custom_id)
        if text.removeprefix("/").partition(" ")[0] == AGAIN.name:
            await self._guarded(interaction.response.defer())
            await self._take(interaction, "after", text)
        elif text:
            await self._say(interaction, text, "private")

    async def _say(self, interaction: "Interaction[Any]", text: str, mode: Mode) -> None:
        """A command: by its form where these words ask for one, else as a message."""
        command = COMMANDS.get(text.removeprefix("/").partition(" ")[0])
        if command is not None and command.form is not None and await self._form(interaction, text):
            return
        if await self._acknowledge(interaction, mode):
            await self._take(interaction, mode, text)

    async def _form(self, interaction: "Interaction[Any]", text: str) -> bool:
        """Whether a form was shown, or why there is none was said. It has to be the first answer, so it is made in haste."""
        address, standing = address_of(interaction, "private"), standing_of_interaction(interaction)
        try:
            async with asyncio.timeout(FORM_WAIT_S):
                form = await self._door.form(address, standing, text)
        except (StoreFailed, TimeoutError) as error:
            sentence = NO_FORM if isinstance(error, TimeoutError) else NOT_RECORDED
            await self._guarded(interaction.response.send_message(sentence, ephemeral=True))
            return True
        if form is None:
            return False
        await self._guarded(interaction.response.send_modal(_modal(form, text.removeprefix("/"))))
        return True

    async def _filled(self, interaction: "Interaction[Any]") -> None:
        data: Mapping[str, Any] = interaction.data or {}
        custom_id = str(data.get("custom_id"))
        if not custom_id.startswith(FORM) or not await self._acknowledge(interaction, "private"):
            return
        name, invocation = read_modal_id(custom_id)
        address = address_of(interaction, "private")
        filled = Filled(
            address,
            f"interaction:{interaction.id}",
            standing_of_interaction(interaction),
            name,
            read_modal(data.get("components") or ()),
        )
        try:
            taken = await self._door.fill(filled)
        except StoreFailed:
            taken = Taken(NOT_RECORDED, {})
        lines = [f"- **{field}**: {error}" for field, error in taken.errors.items()]
        buttons = (Button("Try again", invocation, "primary"),) if lines and invocation else ()
        await self._answer(address, "\n".join([taken.text, *lines]).strip(), buttons)

    async def _acknowledge(self, interaction: "Interaction[Any]", mode: Mode) -> bool:
        """Whether whoever asked still waits. What was acknowledged before came a second time, and is recorded once."""
        try:
            await self._guarded(interaction.response.defer(ephemeral=mode == "private", thinking=True))
        except PlatformError as error:
            if isinstance(error, DiscordRefused) and error.code == ALREADY_ACKNOWLEDGED:
                return True
            log.warning("an interaction was not acknowledged in time", extra={"cause": str(error)})
            return False
        return True

    async def _take(
        self, interaction: "Interaction[Any]", mode: Mode, text: str, attached: tuple[Any, ...] = ()
    ) -> None:
        address = address_of(interaction, mode)
        incoming = Incoming(
            address,
            f"interaction:{interaction.id}",
            text,
            attached=attached,
            standing=standing_of_interaction(interaction),
        )
        try:
            await self._door.accept(incoming)
        except StoreFailed:
            # Discord does not deliver it again: whoever asked is told.
            await self._answer(address, NOT_RECORDED)

    async def _answer(self, address: Address, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """A sentence that belongs to no turn, to whoever waits."""
        place = Answering(self._platform.call, read_way(address.reply_url))
        await place.post(private_message(text, buttons), (), True, "")

    async def _catch_up(self, shard: int) -> None:
        """Read what came while nobody listened: in every channel and thread with something newer than what was seen, and in
        the direct conversations that were used last. What was accepted already is accepted once all the same."""
        after = self._seen.upto(shard)
        for guild in self._client.guilds:
            if guild.shard_id == shard:
                channels: list[TextChannel | Thread] = [*guild.text_channels, *guild.threads]
                for channel in channels:
                    if (channel.last_message_id or 0) > after:
                        await self._read_on(guild, channel, after)
        if shard == 0:
            for direct in self._seen.directs:
                await self._read_direct(direct, after)
        self._seen.save()

    async def _read_on(self, guild: "Guild", channel: "TextChannel | Thread", after: int) -> None:
        from discord import Object

        if not channel.permissions_for(guild.me).read_message_history:
            return
        try:
            messages = await self._guarded(
                _list(channel.history(limit=CATCH_UP_MESSAGES_MAX, after=Object(after), oldest_first=True))
            )
        except PlatformError as error:
            log.warning("what was missed in a channel could not be read", extra={"cause": str(error)})
            return
        for message in messages:
            await self._accept_missed(message)

    async def _read_direct(self, direct: str, after: int) -> None:
        from discord import DMChannel, Object

        try:
            channel = self._client.get_channel(int(direct)) or await self._guarded(
                self._client.fetch_channel(int(direct))
            )
            if isinstance(channel, DMChannel):
                history = channel.history(limit=CATCH_UP_MESSAGES_MAX, after=Object(after), oldest_first=True)
                for message in await self._guarded(_list(history)):
                    await self._accept_missed(message)
        except PlatformError as error:
            log.warning("what was missed in a direct conversation could not be read", extra={"cause": str(error)})

    async def _accept_missed(self, message: "Message") -> None:
        incoming = read_message(message, self._me, self._platform.reads_all)
        if incoming is None:
            return
        if message.guild is not None and incoming.standing == "member":
            try:
                member = await self._guarded(message.guild.fetch_member(message.author.id))
                incoming = replace(incoming, standing=standing_of_member(member))
            except PlatformError:
                log.info("how somebody stands who asked meanwhile could not be asked")
        await self._accept(incoming)

    async def _guarded(self, calling: Awaitable[Any]) -> Any:
        return await self._platform.guarded(calling)


async def _list(history: Any) -> "list[Message]":
    return [message async for message in history]


def _modal(form: Form, invocation: str) -> Any:
    """What ``send_modal`` takes: it asks for no more than this of it, and a modal of the SDK would answer by itself."""
    return _Modal(modal_of(form, invocation))


class _Modal:
    def __init__(self, payload: dict[str, Any]) -> None:
        self._payload = payload

    def to_dict(self) -> dict[str, Any]:
        return self._payload

    def is_finished(self) -> bool:
        return True  # so that the SDK does not wait for it
