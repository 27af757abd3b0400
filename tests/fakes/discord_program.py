"""Runs `carpool` with the SDK for Discord connected to a server of the tests, and ends it at a step if that is wanted.

python -m tests.fakes.discord_program http://127.0.0.1:PORT STEP discord

STEP 0 is never reached; see ``tests.faults.killed`` for what a step is.
"""

import sys
import warnings

from tests.faults.killed import run_until

warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)  # discord.py imports it, for voice


GUILDS_WITHIN_S = 0.1


def connect_to(url: str) -> None:
    import yarl
    from discord.gateway import DiscordWebSocket
    from discord.http import Route

    Route.BASE = f"{url}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"{url.replace('http', 'ws')}/gateway")


def hurry() -> None:
    """The SDK waits two seconds for more servers to be named. For a process of its own: it changes the SDK for good."""
    from discord.state import AutoShardedConnectionState

    waits = property(lambda state: GUILDS_WITHIN_S, lambda state, value: None)
    setattr(AutoShardedConnectionState, "guild_ready_timeout", waits)  # noqa: B010  # mypy knows it as a number


def be_patient() -> None:
    """Acknowledge no question before it is recorded, however slow the disk of a busy machine is."""
    from bot.platforms import discord_interactions

    setattr(discord_interactions, "RECORD_WAIT_S", 60.0)  # noqa: B010  # it is a constant everywhere else


if __name__ == "__main__":
    connect_to(sys.argv[1])
    hurry()
    sys.exit(run_until(int(sys.argv[2]), sys.argv[3:]))
