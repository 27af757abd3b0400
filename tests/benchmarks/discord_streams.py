"""From a piece of an answer to its arrival in Discord: many answers at once, within Discord's limits, beside one alone."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.platforms.base import Address, Footer, Reply
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_wire import DISCORD
from ledger.pseudonyms import TurnId
from tests.benchmarks.figures import Figure, p50_p99, percentile
from tests.discord_app import TOKEN
from tests.fakes.discord_program import connect_to
from tests.fakes.discord_server import ANNA, CHANNEL, GUILD, Bucket, DiscordServer, running_discord_server

ANSWERS = 500
PIECES = 240
BETWEEN_S = 0.25
"""Four pieces a second: a minute for an answer. Discord takes 50 requests a second of one bot, so that with 500 answers
each message can be changed every ten seconds at the best."""

PIECE = "word "
WRITES = ("POST", "PATCH")


@dataclass
class Watch:
    """Which texts have arrived in which thread, and when."""

    server: DiscordServer
    arrived: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    def start(self) -> None:
        """Look at each thread in which the fake took a message or a change, as soon as it did."""
        took = self.server._messages

        async def timed(method: str, channel: str, *more: Any) -> Any:
            answer = await took(method, channel, *more)
            if method in WRITES and answer.status == 200:
                self.arrived[channel].append((time.perf_counter(), len("".join(self.server.said(channel)))))
            return answer

        setattr(self.server, "_messages", timed)  # noqa: B010  # mypy takes no assignment to a method


async def discord_streams(folder: Path) -> list[Figure]:
    alone, _, _ = await _measure(1)
    many, calls, refused = await _measure(ANSWERS)
    return [
        Figure(
            f"{ANSWERS} answers at once in Discord, a piece of text to its arrival, p50 / p99",
            p50_p99(many),
            f"{p50_p99(alone)} one answer alone",
            f"{percentile(many, 50) / percentile(alone, 50):.2f} / {percentile(many, 99) / percentile(alone, 99):.2f}",
        ),
        Figure("The same, calls of Discord for each answer", f"{calls / ANSWERS:.1f}"),
        Figure("The same, calls that Discord refused at a rate limit", str(refused), goal="0"),
    ]


async def _measure(answers: int) -> tuple[list[float], int, int]:
    """How long each piece took, in seconds, how often Discord was called, and how often it refused."""
    async with running_discord_server() as server:
        server.all_together = Bucket(50, 1.0)
        for kind in ("POST channels/*/messages", "PATCH channels/*/messages/*"):
            server.buckets_of_channels[kind] = (5, 5.0)
        watch = Watch(server)
        watch.start()
        connect_to(server.base_url)
        platform = DiscordPlatform(TOKEN)
        try:
            await platform.login()
            before = len(server.requests)
            asked = [await server.say(server.mention("write"), told=False) for _ in range(answers)]
            took = await asyncio.gather(
                *(_answer(platform, watch, number, message["id"]) for number, message in enumerate(asked))
            )
            calls = len(server.requests) - before
        finally:
            await platform.aclose()
        assert all("".join(server.said(message["id"])) == (PIECE * PIECES).strip() for message in asked)
    return [sample for samples in took for sample in samples], calls, server.too_many


async def _answer(platform: DiscordPlatform, watch: Watch, number: int, thread: str) -> list[float]:
    turn = TurnId(f"t-{number:016}")
    to = Address(DISCORD, GUILD, CHANNEL, thread, ANNA)
    screen = platform.screen(to, turn)
    await screen.begin()
    # Answers do not begin in the same instant.
    await asyncio.sleep(BETWEEN_S * (number % 16) / 16)
    made: list[tuple[float, int]] = []
    for piece in range(1, PIECES + 1):
        made.append((time.perf_counter(), len((PIECE * piece).rstrip())))
        await screen.show(PIECE)
        await asyncio.sleep(BETWEEN_S)
    await platform.send(to, turn, 1, Reply("answer", (PIECE * PIECES).strip(), Footer("a/m", "chosen", "free", turn)))
    return [_arrival(watch.arrived[thread], length) - at_s for at_s, length in made]


def _arrival(arrived: list[tuple[float, int]], length: int) -> float:
    return next(at_s for at_s, shown in arrived if shown >= length)
