"""discord.py's errors as ours: by type, status and code, in this place only. The code is kept, and nothing else."""

from typing import TYPE_CHECKING

from bot.platforms.base import PlatformError

if TYPE_CHECKING:
    from discord import HTTPException

RETRY_S = 5.0
RATE_LIMITED_RETRY_S = 15.0
"""The SDK has waited and tried five times before it gives up at a rate limit."""

# docs.discord.com, "Opcodes and Status Codes", JSON error codes.
UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE = 10008
UNKNOWN_WEBHOOK = 10015
UNKNOWN_INTERACTION = 10062
ALREADY_ACKNOWLEDGED = 40060
NO_ACCESS = 50001
NO_DIRECT_MESSAGES = 50007
INVALID_TOKEN = 50027
THREAD_IS_THERE = 160004

EXPIRED = frozenset({UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION, INVALID_TOKEN})


class DiscordRefused(PlatformError):
    """Discord said no, with a code of its own. ``status`` is that of HTTP."""

    def __init__(self, status: int, code: int, retry_after_s: float | None) -> None:
        super().__init__(f"Discord: {status}, code {code}", retry_after_s)
        self.status = status
        self.code = code


def of_answer(error: "HTTPException") -> PlatformError:
    if error.status == 429:
        return DiscordRefused(error.status, error.code, RATE_LIMITED_RETRY_S)
    return DiscordRefused(error.status, error.code, RETRY_S if error.status >= 500 else None)


def of_rate_limit(retry_after_s: float) -> PlatformError:
    return PlatformError(f"Discord: at the rate limit for {retry_after_s:.0f} s", max(retry_after_s, 1.0))


def of_connection(error: Exception) -> PlatformError:
    return PlatformError(f"Discord: {type(error).__name__}", RETRY_S)
