"""CarPool with the unmodified SDK, connected to the fake of Discord's wire."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.scripted import ScriptReply, answer
from bot.commands.table import completing
from bot.limits import Limits
from bot.lucidia.catalog import ModelCard
from bot.platforms.base import Door
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_gateway import DiscordGateway
from bot.platforms.discord_pace import Rates
from bot.platforms.discord_seen import Seen
from tests.discord_app import TOKEN, UNPACED
from tests.fakes.discord_program import GUILDS_WITHIN_S, connect_to
from tests.fakes.discord_server import DiscordServer
from tests.house import Open, running_house


async def _at_once(shard_id: int, *, initial: bool) -> None:
    """The SDK waits five seconds between two sessions, as Discord wants it."""


@dataclass(frozen=True)
class Wired:
    server: DiscordServer
    open: Open
    platform: DiscordPlatform
    gateway: DiscordGateway
    running: "asyncio.Task[None]"

    async def finished(self) -> list[Any]:
        entries = [recorded.entry for recorded in await self.open.all()]
        return [entry.action for entry in entries if entry.action.name == "turn.finished"]

    async def answered(self, count: int = 1) -> None:
        """Wait until so many turns have ended."""
        async with asyncio.timeout(60):
            while True:
                entries = [recorded.entry for recorded in await self.open.all()]
                turns = [entry.turn for entry in entries if entry.action.name == "message.received"]
                for turn in turns:
                    await self.open.intake.ended(turn)
                if len(turns) >= count:
                    return
                if self.running.done():
                    self.running.result()
                async with self.server.changed:
                    # What it waits for is recorded a moment after the server has been heard of it.
                    try:
                        await asyncio.wait_for(self.server.changed.wait(), 0.05)
                    except TimeoutError:
                        pass


@asynccontextmanager
async def running_wired(
    server: DiscordServer,
    folder: Path,
    script: Sequence[ScriptReply] = (answer("Hello ", "there."),),
    *,
    edit_every_s: float = 0.0,
    reads_all: bool = False,
    since: int = 0,
    limits: Limits = Limits(),
    cards: Sequence[ModelCard] | None = None,
    around: Callable[[Door], Door] = lambda door: door,
    rates: Rates = UNPACED,
) -> AsyncIterator[Wired]:
    """Connected, and caught up. ``since`` is the id from which on it was not heard before."""
    connect_to(server.base_url)
    folder.mkdir(parents=True, exist_ok=True)
    platform = DiscordPlatform(TOKEN, reads_all, edit_every_s, ("127.0.0.1",), rates)
    platform.client._connection.guild_ready_timeout = GUILDS_WITHIN_S
    setattr(platform.client, "before_identify_hook", _at_once)  # noqa: B010  # mypy takes no assignment to a method
    stop = asyncio.Event()
    try:
        await platform.login()
        async with running_house(folder, platform, script, limits=limits, cards=cards) as open_:
            desk = open_.house.desk
            seen = Seen(folder / "discord.json", since or server.now)
            gateway = DiscordGateway(
                platform, around(open_.door), lambda address: completing(desk, address), seen, again_s=0.02
            )
            running = asyncio.create_task(gateway.run(stop))
            waiting = asyncio.create_task(gateway.caught_up.wait())
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if running.done():
                running.result()
            try:
                yield Wired(server, open_, platform, gateway, running)
            finally:
                stop.set()
                await asyncio.gather(running, return_exceptions=True)
    finally:
        await platform.aclose()


@asynccontextmanager
async def logged_in(server: DiscordServer) -> AsyncIterator[DiscordPlatform]:
    """The platform alone, with its API and without a gateway."""
    connect_to(server.base_url)
    platform = DiscordPlatform(TOKEN, edit_every_s=0.0, rates=UNPACED)
    try:
        await platform.login()
        yield platform
    finally:
        await platform.aclose()
