"""The Slack SDK's errors as ours: by status and error code, in this place only. The code is kept, and nothing else."""

from bot.platforms.base import PlatformError

RETRY_S = 2.0

# docs.slack.dev lists these for chat.postMessage and conversations.replies as passing troubles of Slack's own.
PASSING = ("internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "timeout")


def of_answer(status: int, code: str, retry_after: str | None) -> PlatformError:
    """``retry_after`` is the header's value, in seconds."""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        wait_s = float(retry_after) if retry_after is not None and retry_after.isdigit() else RETRY_S
        return PlatformError(f"Slack: at the rate limit for {wait_s:.0f} s", max(wait_s, 1.0))
    if status >= 500 or code in PASSING:
        return PlatformError(f"Slack: {code or status}", RETRY_S)
    return PlatformError(f"Slack: {code or status}", None)


def of_connection(error: Exception) -> PlatformError:
    return PlatformError(f"Slack: {type(error).__name__}", RETRY_S)
