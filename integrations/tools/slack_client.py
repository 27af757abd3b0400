"""Slack through its own SDK, for tools: whose channels are read and written is what the asking person may see.

Sources: docs.slack.dev, "conversations.members", "search.messages", and the list of errors of each method.
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from integrations.tools.base import BadAnswer, NotAllowed, NotFound, TimedOut, ToolError, Unavailable, Use
from integrations.tools.status import error_of

if TYPE_CHECKING:
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

T = TypeVar("T")
Thing: TypeAlias = Mapping[str, Any]

SERVICE = "Slack"
API = "https://slack.com/api/"
PLATFORM = CONNECTION = "slack"
"""Where one asks, and whose token it is: the box knows both by this name."""
REQUEST_TIMEOUT_S = 15
LISTED_MAX = 200
PAGE_MAX = 200
MEMBERS_PAGES_MAX = 25
"""Of 1,000 each. Whoever is not found among them counts as no member."""

_NO_MEMBERS = (
    "channel_not_found",
    "not_in_channel",
    "fetch_members_failed",
    "method_not_supported_for_channel_type",
)

_STATUS = {
    "ratelimited": 429,
    "rate_limited": 429,
    "restricted_too_many": 429,
    "internal_error": 500,
    "fatal_error": 500,
    "service_unavailable": 503,
    "request_timeout": 503,
    **dict.fromkeys(("invalid_auth", "not_authed", "account_inactive", "token_expired", "token_revoked"), 401),
    **dict.fromkeys(
        ("missing_scope", "no_permission", "not_allowed_token_type", "restricted_action", "is_archived"), 403
    ),
    "cant_delete_message": 403,
    **dict.fromkeys(("not_in_channel", "ekm_access_denied", "access_denied"), 403),
    **dict.fromkeys(("channel_not_found", "message_not_found", "thread_not_found", "user_not_found"), 404),
    **dict.fromkeys(("no_reaction", "invalid_scheduled_message_id"), 404),
    **dict.fromkeys(("already_reacted", "edit_window_closed"), 409),
}
"""Slack's own codes, as the statuses that they stand for. Any other one says that the request is not taken as it is."""


@dataclass(frozen=True, slots=True)
class Slack:
    """``web`` speaks as CarPool, ``searching`` as the person whose token may search; None where there is none. Raises the SDK's
    errors, which ``SlackClient.run`` makes ours."""

    web: "AsyncWebClient"
    searching: "AsyncWebClient | None"

    async def seen(self, use: Use) -> str:
        """The channel that is meant, if the asking person may see it: the one where they asked, else one that they are in.

        Raises ``NotAllowed``, ``NotFound``.
        """
        where = use.where
        if where is None or where.platform != PLATFORM:
            raise NotAllowed("not asked in Slack", "Slack is read and written for those who ask in Slack.")
        channel = use.text("channel") or where.channel
        if channel != where.channel and not await self.is_member(where.person, channel):
            # In the words of a channel that there is not: whether there is one is none of their business.
            raise NotFound(
                f"{SERVICE}: the asker is not in {channel}", "{0} has no such channel that you are in.", SERVICE
            )
        return channel

    async def is_member(self, person: str, channel: str) -> bool:
        from slack_sdk.errors import SlackApiError

        try:
            pages = self.pages(
                lambda cursor: self.web.conversations_members(channel=channel, cursor=cursor, limit=1_000)
            )
            count = 0
            async for page in pages:
                if person in page["members"]:
                    return True
                count += 1
                if count >= MEMBERS_PAGES_MAX:
                    return False
        except SlackApiError as error:
            if _code(error) not in _NO_MEMBERS:
                raise
        return False

    async def pages(self, ask: "Callable[[str | None], Awaitable[AsyncSlackResponse]]") -> AsyncIterator[Thing]:
        cursor: str | None = None
        while True:
            page = thing(await ask(cursor))
            yield page
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    async def messages(
        self, ask: "Callable[[str | None], Awaitable[AsyncSlackResponse]]", most: int = LISTED_MAX
    ) -> tuple[list[Thing], bool]:
        """The first of them, across their pages, and whether there are more."""
        found: list[Thing] = []
        async for page in self.pages(ask):
            found += page["messages"]
            if len(found) > most:
                break
        return found[:most], len(found) > most


@dataclass(frozen=True, slots=True)
class SlackClient:
    """``token`` is CarPool's in the one workspace of the settings: where CarPool was installed in many, a use brings that of
    the workspace where it was asked for. ``search_token`` is a person's, since Slack lets nobody else search."""

    token: str = field(repr=False)
    url: str = API
    search_token: str = field(default="", repr=False)

    async def run(self, use: Use, work: Callable[[Slack, Use], Awaitable[T]]) -> T:
        """Do it. Raises ``ToolError``; every error of the SDK and of what it calls with becomes one here."""
        from aiohttp import ClientError
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            searching = _web(self.search_token, self.url) if self.search_token else None
            return await work(Slack(_web(use.token or self.token, self.url), searching), use)
        except SlackApiError as error:
            raise _ours(error) from error
        except TimeoutError as error:
            raise TimedOut(f"{SERVICE}: {error!r}", "{0} did not answer in time.", SERVICE) from error
        except (ClientError, SlackClientError, OSError) as error:
            raise Unavailable(f"{SERVICE}: {error!r}", "{0} cannot be reached at the moment.", SERVICE) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # An answer of another shape than is documented is read so. Ours never end in one of these.
            raise BadAnswer(f"{SERVICE}: {error!r}", "{0} gave an answer that was not expected.", SERVICE) from error


def _web(token: str, url: str) -> "AsyncWebClient":
    from slack_sdk.web.async_client import AsyncWebClient

    # Nothing is repeated here: a turn decides that, and a write is never repeated.
    return AsyncWebClient(
        token=token, base_url=url, timeout=REQUEST_TIMEOUT_S, retry_handlers=[], logger=logging.getLogger("slack_sdk")
    )


def thing(answer: "AsyncSlackResponse") -> Thing:
    if not isinstance(answer.data, dict):
        raise TypeError("the answer is no object")
    return answer.data


def _code(error: "SlackApiError") -> str:
    data = getattr(error.response, "data", None)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


def _scope_missing(error: "SlackApiError") -> str:
    """Which scopes Slack wanted; empty where it does not say, or says what no scope is called."""
    needed = str(thing(error.response).get("needed") or "")
    return needed if re.fullmatch("[a-z:._,]{1,100}", needed) else ""


def _ours(error: "SlackApiError") -> ToolError:
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

    response, code = error.response, _code(error)
    if not isinstance(response, AsyncSlackResponse) or (response.status_code == 200 and not code):
        # Of an answer that is no JSON the SDK gives aiohttp's own response.
        return BadAnswer(f"{SERVICE}: an answer without a code", "{0} gave an answer that was not expected.", SERVICE)
    try:
        headers = {name.casefold(): value for name, value in response.headers.items()}
        wait_s = float(headers["retry-after"])
    except (KeyError, ValueError):
        wait_s = None
    if code == "missing_scope" and (scope := _scope_missing(error)):
        return NotAllowed(
            f"{SERVICE}: {scope} was not granted",
            "{0} did not grant CarPool {1} here: whoever runs CarPool has to install it anew with that.",
            SERVICE,
            scope,
        )
    status = _STATUS.get(code, 422) if response.status_code == 200 else response.status_code
    return error_of(SERVICE, status, code, wait_s)
