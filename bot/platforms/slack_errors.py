"""The Slack SDK's errors as ours: by status and error code, in this place only. The code is kept, and nothing else."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from bot.platforms.base import PlatformError

if TYPE_CHECKING:
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

RETRY_S = 2.0
LIMIT_S_MIN = 1.0
TOKEN_RETRY_S = 30.0
RATE_LIMITED = "ratelimited"
NOT_STREAMING = "message_not_in_streaming_state"

# docs.slack.dev lists these for chat.postMessage and conversations.replies as passing troubles of Slack's own.
TOKEN_REFUSED = ("invalid_auth", "not_authed", "account_inactive", "token_expired", "token_revoked")
PASSING = ("internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "timeout")


class SlackError(PlatformError):
    """``code`` is Slack's; empty where the connection failed."""

    def __init__(self, message: str, retry_after_s: float | None, code: str = "") -> None:
        super().__init__(message, retry_after_s)
        self.code = code

    @property
    def refused(self) -> bool:
        """Slack answered, and did nothing. Without that, it is not known what it did."""
        return self.code in (RATE_LIMITED, *TOKEN_REFUSED) or self.retry_after_s is None


def of_answer(status: int, code: str, retry_after: str | None) -> SlackError:
    """``retry_after`` is the header's value, in seconds."""
    if status == 429 or code in (RATE_LIMITED, "rate_limited"):
        wait_s = float(retry_after) if retry_after is not None and retry_after.isdigit() else RETRY_S
        return SlackError(f"Slack: at the rate limit for {wait_s:.0f} s", max(wait_s, LIMIT_S_MIN), RATE_LIMITED)
    if status >= 500 or code in PASSING:
        return SlackError(f"Slack: {code or status}", RETRY_S, code)
    return SlackError(f"Slack: {code or status}", None, code)


def until_renewed(error: SlackError) -> SlackError:
    """Where it is the token that Slack refuses, whoever runs CarPool may renew it: what is to be posted waits for that."""
    if error.code not in TOKEN_REFUSED:
        return error
    return SlackError(str(error), TOKEN_RETRY_S, error.code)


def of_connection(error: Exception) -> SlackError:
    return SlackError(f"Slack: {type(error).__name__}", RETRY_S)


async def answer_of(calling: "Awaitable[AsyncSlackResponse]") -> dict[str, Any]:
    """What a call of the Web API gives. Raises ``SlackError``."""
    from aiohttp import ClientError
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        answer = await calling
    except SlackApiError as error:
        raise _refused(error) from error
    except (ClientError, SlackClientError, TimeoutError, OSError) as error:
        raise of_connection(error) from error
    return dict(answer.data) if isinstance(answer.data, dict) else {}


def _refused(error: "SlackApiError") -> SlackError:
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

    response = error.response
    if not isinstance(response, AsyncSlackResponse):
        # Where what came is no JSON, the SDK hands over aiohttp's response: what became of the call nobody knows.
        return of_connection(error)
    # A proxy in between answers with a page of its own, which has no code.
    code = response.data.get("error", "") if isinstance(response.data, dict) else ""
    headers = {name.casefold(): value for name, value in response.headers.items()}
    return of_answer(response.status_code, str(code), headers.get("retry-after"))
