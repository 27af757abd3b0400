"""CarPool in Discord, as `carpool discord` builds it, in a simulated guild; a script in place of a model."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import discord
import simcord
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle, GuildHandle

from adapters.messages import ProviderName
from adapters.scripted import Script, ScriptedAdapter, ScriptReply, answer
from bot.commands.table import completing
from bot.limits import Limits
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_gateway import DiscordGateway
from bot.platforms.discord_pace import Rates
from bot.platforms.discord_seen import Seen, snowflake
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import EMPTY_TOOLBOX, Toolbox
from ledger.pseudonyms import TurnId
from tests.house import Brought, Connecting, Open, card, running_house

CDN_HOST = "cdn.simcord.invalid"
TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.discord.bot-token"


UNPACED = Rates(math.inf, math.inf)


@dataclass(frozen=True)
class DiscordUnderTest:
    open: Open
    platform: DiscordPlatform
    gateway: DiscordGateway
    env: simcord.Env
    guild: GuildHandle
    channel: ChannelHandle
    anna: MemberActor
    bob: MemberActor

    @property
    def mention(self) -> str:
        user = self.platform.client.user
        assert user is not None
        return user.mention

    async def ask(self, text: str, who: MemberActor | None = None) -> discord.Message:
        """Mention the bot in the channel, and wait for what it has to say."""
        asked = await (who or self.anna).send(self.channel, f"{self.mention} {text}")
        await self.settled()
        return asked

    async def turns(self) -> list[TurnId]:
        return [
            recorded.entry.turn
            for recorded in await self.open.all()
            if recorded.entry.action.name == "message.received"
        ]

    async def settled(self) -> None:
        """Wait until each message that was accepted has been answered."""
        await self.env.settle()
        # The last first: it may be a decision that an earlier one waits for.
        for turn in reversed(await self.turns()):
            await self.open.intake.ended(turn)

    def thread_of(self, asked: discord.Message) -> ChannelHandle:
        (thread,) = [thread for thread in self.channel.threads if thread.id == asked.id]
        return thread

    async def actions(self) -> list[Any]:
        return [recorded.entry.action for recorded in await self.open.all()]


def ours(channel: ChannelHandle, viewer: MemberActor | None = None) -> list[discord.Message]:
    """What the bot has said there."""
    return [message for message in channel.history(viewer=viewer) if message.author.bot and message.components]


def texts_of(message: discord.Message) -> list[str]:
    return [item.content for item in message.components if isinstance(item, discord.TextDisplay)]


def buttons_of(message: discord.Message) -> list[str]:
    rows = [item for item in message.components if isinstance(item, discord.ActionRow)]
    return [str(button.label) for row in rows for button in row.children if isinstance(button, discord.Button)]


@asynccontextmanager
async def simulated(platform: DiscordPlatform) -> AsyncIterator[simcord.Env]:
    """Discord around the platform's own client. What its handlers swallow fails the test."""
    env = simcord.Env(platform.client, shard_count=1)
    await env.start()
    try:
        yield env
        env.raise_errors()
    finally:
        await platform.aclose()
        await env.shutdown()


@asynccontextmanager
async def running_discord(
    folder: Path,
    script: Script | Sequence[ScriptReply] = (answer("Hello from CarPool."),),
    *,
    limits: Limits = Limits(),
    reads_all: bool = False,
    wrap: Callable[[SqliteStore], SqliteStore] = lambda store: store,
    toolbox: Toolbox = EMPTY_TOOLBOX,
    brought: Brought = lambda store: (),
    connecting: Connecting = lambda store, roadchain: None,
) -> AsyncIterator[DiscordUnderTest]:
    platform = DiscordPlatform(TOKEN, reads_all, edit_every_s=0.0, cdn_hosts=(CDN_HOST,), rates=UNPACED)
    adapter = ScriptedAdapter(ProviderName("scripted"), script if callable(script) else tuple(script))
    async with running_house(
        folder,
        platform,
        {"scripted": adapter},
        cards=[card("scripted", images=True)],
        limits=limits,
        wrap=wrap,
        toolbox=toolbox,
        brought=brought,
        connecting=connecting,
    ) as open_:
        desk = open_.house.desk
        seen = Seen(folder / "discord.json", snowflake(0))
        gateway = DiscordGateway(platform, open_.door, lambda address: completing(desk, address), seen)
        async with simulated(platform) as env:
            guild = env.create_guild()
            channel = guild.create_text_channel("team")
            anna = guild.add_member(env.create_user("anna"))
            bob = guild.add_member(env.create_user("bob"))
            await gateway.sync_commands()
            yield DiscordUnderTest(open_, platform, gateway, env, guild, channel, anna, bob)
