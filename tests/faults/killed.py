"""Runs `carpool` and ends it, as `kill -9` does, at the N-th step: before and after each commit, claim, look and post.

python -m tests.faults.killed N chat < question
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bot.__main__ import main
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_gateway import DiscordGateway
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_writing import Writer
from bot.platforms.terminal import TerminalPlatform
from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore

STEPS: tuple[tuple[type, str], ...] = (
    (SqliteStore, "commit"),
    (SqliteStore, "claim"),
    (PostgresStore, "commit"),
    (PostgresStore, "claim"),
    (TerminalPlatform, "send"),
    (TerminalPlatform, "find"),
    (SlackPlatform, "send"),
    (SlackPlatform, "find"),
    (Writer, "start"),
    (Writer, "append"),
    (Writer, "stop"),
    (Writer, "post"),
    (Writer, "update"),
    (DiscordGateway, "_accept"),
    (DiscordPlatform, "send"),
    (DiscordPlatform, "find"),
    (DiscordPlatform, "call"),
)


class Clock:
    def __init__(self, last: int) -> None:
        self.left = last

    def tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wrapped(*arguments: Any, **named: Any) -> Any:
            self.tick()
            result = await work(*arguments, **named)
            self.tick()
            return result

        return wrapped


def run_until(step: int, arguments: Sequence[str]) -> int:
    clock = Clock(step)
    for owner, name in STEPS:
        setattr(owner, name, clock.around(getattr(owner, name)))
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run_until(int(sys.argv[1]), sys.argv[2:]))
