"""Commands, presses and forms in Discord: each is acknowledged within three seconds, and handed on as if it had been written.

What could not be recorded is said to whoever waits: Discord delivers no interaction again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from bot.commands.explaining import AGAIN
from bot.commands.table import COMMANDS, is_private
from bot.errors import not_taken
from bot.platforms.base import Address, Attached, Button, Door, Filled, Form, Incoming, PlatformError, Taken
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_errors import ALREADY_ACKNOWLEDGED, DiscordRefused
from bot.platforms.discord_places import Interaction as Answering
from bot.platforms.discord_reading import address_of, read_command, read_press, standing_of_interaction
from bot.platforms.discord_wire import (
    ASK,
    ASK_ABOUT,
    CHOICES_MAX,
    FORM,
    STOP_ID,
    Mode,
    modal_of,
    private_message,
    read_modal,
    read_modal_id,
    read_way,
)
from ledger.errors import StoreFailed

if TYPE_CHECKING:
    from discord import Interaction

log = logging.getLogger("carpool.discord")

FORM_WAIT_S = 2.0
"""A form, and what completes a command, have to be shown within three seconds."""

RECORD_WAIT_S = 2.0
"""How long a question is recorded before it is acknowledged all the same."""

AGAIN_IS_ASKED = "I ask your last question again: the answer comes where it was asked."
NO_FORM = "CarPool is slow at the moment, and could not show its form in time. Try again."


Completing: TypeAlias = Callable[[Address], Awaitable[Callable[[str], Sequence[str]]]]
"""Gives what completes a begun line for whoever is there: the whole lines that it may be meant to be."""


class Interactions:
    """What becomes of each kind of interaction."""

    def __init__(self, platform: DiscordPlatform, door: Door, completing: Completing) -> None:
        self._platform = platform
        self._door = door
        self._completing = completing
        self._guarded = platform.guarded

    async def handle(self, interaction: "Interaction[Any]") -> None:
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
            await self._taken(incoming.address, self._door.accept(incoming))

    async def _ask(
        self, interaction: "Interaction[Any]", incoming: Incoming, acknowledge: Callable[[], Awaitable[object]]
    ) -> None:
        """A question: it is recorded before it is acknowledged, where that takes no longer than it may.

        What was acknowledged and not recorded nobody would know of after a crash, and the person would wait for it. One
        that is recorded and could not be acknowledged is answered in the channel.
        """
        recording = asyncio.ensure_future(self._door.accept(incoming))
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
            say = self._platform.say
            sentence = say(NO_FORM) if isinstance(error, TimeoutError) else not_taken(error, say)
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
        except StoreFailed as error:
            taken = Taken(not_taken(error, self._platform.say), {})
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

    async def _taken(self, address: Address, recording: Awaitable[object]) -> None:
        try:
            await recording
        except StoreFailed as error:
            # Discord does not deliver it again: whoever asked is told.
            await self._answer(address, not_taken(error, self._platform.say))

    async def _answer(self, address: Address, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """A sentence that belongs to no turn, to whoever waits."""
        place = Answering(self._platform.call, read_way(address.reply_url), address.thread or address.channel)
        await place.post(private_message(text or self._platform.say("Done."), buttons), (), True, "")


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
