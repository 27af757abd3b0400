"""What comes in from Discord: messages, edits, deletions, commands, presses and forms, over a connection that we open.

A message is on RoadChain before anything is done about it. An interaction is acknowledged first, as Discord wants it within
three seconds; what could not be recorded then is said to whoever waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.commands.explaining import AGAIN
from bot.commands.table import COMMANDS, is_private
from bot.platforms.base import Address, Attached, Button, Door, Filled, Form, Incoming, PlatformError, Taken
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_catch_up import AGAIN_S, CatchUp
from bot.platforms.discord_errors import ALREADY_ACKNOWLEDGED, DiscordRefused
from bot.platforms.discord_places import Interaction as Answering
from bot.platforms.discord_reading import (
    address_of,
    own_workspace,
    read_command,
    read_message,
    read_press,
    standing_of_interaction,
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
    )

log = logging.getLogger("carpool.discord")

FORM_WAIT_S = 2.0
"""A form, and what completes a command, have to be shown within three seconds."""

RECORD_WAIT_S = 2.0
"""How long a question is recorded before it is acknowledged all the same."""

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
    """The handlers of the platform's client. ``completing`` gives what completes a begun line for whoever is there: the whole
    lines that it may be meant to be."""

    def __init__(
        self,
        platform: DiscordPlatform,
        door: Door,
        completing: Callable[[Address], Awaitable[Callable[[str], Sequence[str]]]],
        seen: Seen,
        again_s: float = AGAIN_S,
    ) -> None:
        self._platform = platform
        self._door = door
        self._completing = completing
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

    async def _autocomplete(self, interaction: "Interaction[Any]") -> None:
        from discord import app_commands

        data: Mapping[str, Any] = interaction.data or {}
        begun = next((str(item.get("value") or "") for item in data.get("options") or () if item.get("focused")), "")
        line = f"/{data.get('name')} "
        try:
            async with asyncio.timeout(FORM_WAIT_S):
                complete = await self._completing(address_of(interaction, "private"))
        except (StoreFailed, TimeoutError) as error:
            # What is meant can be written out all the same.
            log.warning("nothing could be offered to complete a command", extra={"cause": type(error).__name__})
            return
        offered = [whole.removeprefix(line) for whole in complete(f"{line}{begun}")]
        choices = [app_commands.Choice(name=item[:100], value=item[:100]) for item in offered[:CHOICES_MAX]]
        await self._guarded(interaction.response.autocomplete(choices))

    async def _command(self, interaction: "Interaction[Any]") -> None:
        data: Mapping[str, Any] = interaction.data or {}
        said, name = read_command(interaction), str(data.get("name"))
        if name in (ASK, ASK_ABOUT):
            incoming = _incoming(interaction, "public", said.text, said.attached)
            await self._ask(interaction, incoming, lambda: self._acknowledge(interaction, "public"))
        elif name == AGAIN.name:
            # The answer goes where the question was asked: nothing waits here.
            await self._ask(
                interaction, _incoming(interaction, "after", said.text), lambda: self._say_again(interaction)
            )
        else:
            await self._say(interaction, said.text, "private" if is_private(name) else "public")

    async def _say_again(self, interaction: "Interaction[Any]") -> None:
        sentence = self._platform.say(AGAIN_IS_ASKED)
        await self._guarded(interaction.response.send_message(sentence, ephemeral=True))

    async def _press(self, interaction: "Interaction[Any]") -> None:
        data: Mapping[str, Any] = interaction.data or {}
        custom_id = str(data.get("custom_id"))
        if custom_id == STOP_ID:
            await self._guarded(interaction.response.defer())
            self._door.stop(self._door.conversation(address_of(interaction, "after")))
            return
        text = read_press(custom_id)
        if text.removeprefix("/").partition(" ")[0] == AGAIN.name:
            incoming = _incoming(interaction, "after", text)
            await self._ask(interaction, incoming, lambda: self._guarded(interaction.response.defer()))
        elif text:
            await self._say(interaction, text, "private")

    async def _say(self, interaction: "Interaction[Any]", text: str, mode: Mode) -> None:
        """A command: by its form where these words ask for one, else as a message."""
        command = COMMANDS.get(text.removeprefix("/").partition(" ")[0])
        if command is not None and command.form is not None and await self._form(interaction, text):
            return
        if await self._acknowledge(interaction, mode):
            incoming = _incoming(interaction, mode, text)
            await self._taken(incoming.address, self._accept(incoming))

    async def _ask(
        self, interaction: "Interaction[Any]", incoming: Incoming, acknowledge: Callable[[], Awaitable[object]]
    ) -> None:
        """A question: it is recorded before it is acknowledged, where that takes no longer than it may.

        What was acknowledged and not recorded nobody would know of after a crash, and the person would wait for it. One
        that is recorded and could not be acknowledged is answered in the channel.
        """
        recording = asyncio.ensure_future(self._accept(incoming))
        try:
            with self._platform.acknowledging(interaction.token):
                await asyncio.wait({recording}, timeout=RECORD_WAIT_S)
                await acknowledge()
        except PlatformError as error:
            log.warning("an interaction was not acknowledged in time", extra={"cause": str(error)})
        finally:
            await self._taken(incoming.address, recording)

    async def _form(self, interaction: "Interaction[Any]", text: str) -> bool:
        """Whether a form was shown, or why there is none was said. It has to be the first answer, so it is made in haste."""
        address, standing = address_of(interaction, "private"), standing_of_interaction(interaction)
        try:
            async with asyncio.timeout(FORM_WAIT_S):
                form = await self._door.form(address, standing, text)
        except (StoreFailed, TimeoutError) as error:
            sentence = self._platform.say(NO_FORM if isinstance(error, TimeoutError) else NOT_RECORDED)
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
            taken = Taken(self._platform.say(NOT_RECORDED), {})
        lines = [f"- **{field}**: {error}" for field, error in taken.errors.items()]
        buttons = (Button(self._platform.say("Try again"), invocation, "primary"),) if lines and invocation else ()
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

    async def _taken(self, address: Address, recording: Awaitable[None]) -> None:
        try:
            await recording
        except StoreFailed:
            # Discord does not deliver it again: whoever asked is told.
            await self._answer(address, self._platform.say(NOT_RECORDED))

    async def _answer(self, address: Address, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """A sentence that belongs to no turn, to whoever waits."""
        place = Answering(self._platform.call, read_way(address.reply_url), address.thread or address.channel)
        await place.post(private_message(text or self._platform.say("Done."), buttons), (), True, "")

    async def _guarded(self, calling: Awaitable[Any]) -> Any:
        return await self._platform.guarded(calling)


def _incoming(interaction: "Interaction[Any]", mode: Mode, text: str, attached: tuple[Attached, ...] = ()) -> Incoming:
    address, standing = address_of(interaction, mode), standing_of_interaction(interaction)
    return Incoming(address, f"interaction:{interaction.id}", text, attached=attached, standing=standing)


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
