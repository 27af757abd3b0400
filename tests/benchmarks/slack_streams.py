"""From a piece of an answer to its arrival in Slack: many answers at once, within Slack's rates, beside one alone."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.platforms.base import Address, Footer, Reply
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_wire import SLACK
from ledger.pseudonyms import TurnId
from tests.benchmarks.figures import Figure, p50_p99, percentile
from tests.fakes.slack_server import CHANNEL, PERSON, SlackServer, running_slack_server
from tests.slack_workspace import BOT_TOKEN

ANSWERS = 500
WORKSPACES = 100
PIECES = 40
BETWEEN_S = 0.25
"""Four pieces a second: ten seconds for an answer."""

PIECE = "some words "


@dataclass
class Watch:
    """Which texts have arrived where, and when."""

    server: SlackServer
    arrived: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    def start(self) -> None:
        """Look at each message that the fake is told of, as soon as it took it."""
        took = self.server._answer

        async def timed(method: str, request: Any) -> dict[str, Any]:
            answer = await took(method, request)
            if method.startswith("chat.") and answer["ok"]:
                message = self.server._find({"channel": CHANNEL, "ts": answer["ts"]})
                if message is not None and "thread_ts" in message:
                    self.arrived[message["thread_ts"]].append((time.perf_counter(), len(message["text"])))
            return answer

        setattr(self.server, "_answer", timed)  # noqa: B010  # mypy takes no assignment to a method


async def slack_streams(folder: Path) -> list[Figure]:
    alone, _ = await _measure(1, 1)
    many, calls = await _measure(ANSWERS, WORKSPACES)
    return [
        Figure(
            f"{ANSWERS} answers at once in {WORKSPACES} Slack workspaces, a piece of text to its arrival, p50 / p99",
            p50_p99(many),
            f"{p50_p99(alone)} one answer alone",
            f"{percentile(many, 50) / percentile(alone, 50):.2f} / {percentile(many, 99) / percentile(alone, 99):.2f}",
        ),
        Figure("The same, calls of Slack for each answer", f"{calls / ANSWERS:.1f}"),
    ]


async def _measure(answers: int, workspaces: int) -> tuple[list[float], int]:
    """How long each piece took, in seconds, and how often Slack was called."""
    async with running_slack_server() as server:
        watch = Watch(server)
        watch.start()
        platform = SlackPlatform(BOT_TOKEN, server.api_url)
        try:
            await platform.user()
            before = len(server.calls)
            took = await asyncio.gather(
                *(_answer(platform, watch, number, f"T{number % workspaces}") for number in range(answers))
            )
            calls = len(server.calls) - before
        finally:
            await platform.aclose()
        assert all("".join(server.texts(f"{number}.0")) == (PIECE * PIECES).strip() for number in range(answers))
    return [sample for samples in took for sample in samples], calls


async def _answer(platform: SlackPlatform, watch: Watch, number: int, workspace: str) -> list[float]:
    turn, thread = TurnId(f"t-{number}"), f"{number}.0"
    to = Address(SLACK, workspace, CHANNEL, thread, PERSON)
    platform.expect(turn, "")
    screen = platform.screen(to, turn)
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
