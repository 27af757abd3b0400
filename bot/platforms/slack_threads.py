"""Reading Slack's threads: for a reply that may stand there, and for what others said before CarPool was asked.

Source: docs.slack.dev, "conversations.replies", "users.info".
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from bot.platforms.base import Address, Overheard, PlatformError
from bot.platforms.slack_errors import TOKEN_REFUSED, SlackError, answer_of, until_renewed
from bot.platforms.slack_pieces import Payload
from bot.platforms.slack_wire import files_of, readable, ts_of

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("carpool.slack")

REPLIES_PAGE = 200
REPLIES_PAGES_MAX = 20
NAMES_MAX = 10_000


async def pages_of(client: "AsyncWebClient", to: Address, oldest: str = "") -> AsyncIterator[list[Payload]]:
    """A thread's messages, the oldest first. Raises ``SlackError``; ``LookupError`` where it is too long to be read."""
    cursor = ""
    for _ in range(REPLIES_PAGES_MAX):
        data: dict[str, Any] = {
            "channel": to.channel,
            "ts": to.thread,
            "limit": REPLIES_PAGE,
            "include_all_metadata": "true",
        }
        if cursor:
            data["cursor"] = cursor
        if oldest:
            data["oldest"] = oldest
        # A form by POST, as every method takes it; the SDK's own wrapper sends a GET, which not every server has.
        page = await answer_of(client.api_call("conversations.replies", data=data))
        yield list(page.get("messages") or ())
        cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            return
    raise LookupError("the thread is too long")


async def history_of(client: "AsyncWebClient", channel: str, oldest: str) -> list[Payload]:
    """What was said in a channel outside of threads since a ts; of more than can be read, the last. Raises ``SlackError``."""
    found: list[Payload] = []
    data: dict[str, object] = {"channel": channel, "oldest": oldest, "limit": REPLIES_PAGE}
    for _ in range(REPLIES_PAGES_MAX):
        page = await answer_of(client.api_call("conversations.history", data=data))
        found += page.get("messages") or ()
        cursor = (page.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return found
        data = {**data, "cursor": str(cursor)}
    log.warning("more was said in a channel than can be read: what was said first is left out")
    return found


async def messages_of(client: "AsyncWebClient", to: Address) -> list[Payload] | None:
    """All of a thread; None where it cannot be read to its end. Raises ``SlackError`` where it cannot be asked now."""
    try:
        return [message async for page in pages_of(client, to) for message in page]
    except LookupError:
        return None
    except SlackError as error:
        if error.retry_after_s is not None or error.code in TOKEN_REFUSED:
            raise until_renewed(error) from error
        # Without the scope for it, or with the thread gone, nothing can be looked at.
        return None


class Names:
    """What people are called, asked once each. It raises nothing: whose name cannot be found out goes by the id."""

    def __init__(self, client_of: Callable[[str], Awaitable["AsyncWebClient"]]) -> None:
        self._client_of = client_of
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def of(self, workspace: str, person: str) -> str:
        key = (workspace, person)
        if key not in self._known:
            try:
                client = await self._client_of(workspace)
                told = await answer_of(client.api_call("users.info", data={"user": person}))
            except PlatformError as error:
                if error.retry_after_s is not None:
                    return person
                told = {}
            self._known[key] = _name(told.get("user") or {}) or person
            while len(self._known) > NAMES_MAX:
                self._known.popitem(last=False)
        return self._known[key]


def _name(user: Payload) -> str:
    profile = user.get("profile") or {}
    for name in (profile.get("display_name"), profile.get("real_name"), user.get("real_name"), user.get("name")):
        if name:
            return " ".join(str(name).split())
    return ""


async def overheard_in(
    client: "AsyncWebClient", names: Names, to: Address, before: str, count_max: int, ours: str
) -> tuple[Overheard, ...]:
    """See ``Platform.overhear``."""
    asked = ts_of(before)
    last: deque[Payload] = deque(maxlen=count_max)
    try:
        async for page in pages_of(client, to):
            last.extend(message for message in page if str(message.get("ts")) < asked and _tells(message, ours))
            if page and str(page[-1].get("ts")) >= asked:
                break
    except LookupError:
        pass  # the beginning of a thread this long is what can be had of it
    except SlackError as error:
        if error.retry_after_s is not None:
            raise
        return ()
    authors = await asyncio.gather(*(_author(message, names, to.workspace) for message in last))
    return tuple(Overheard(author, _told(message)) for author, message in zip(authors, last, strict=True))


def _tells(message: Payload, ours: str) -> bool:
    return message.get("user") != ours and message.get("subtype") != "tombstone" and bool(_told(message))


def _told(message: Payload) -> str:
    names = ", ".join(item.name for item in files_of(message))
    text = readable(str(message.get("text") or ""), set())
    return f"{text} [{names}]".strip() if names else text


async def _author(message: Payload, names: Names, workspace: str) -> str:
    person = str(message.get("user") or "")
    if message.get("bot_id") or not person:
        profile = message.get("bot_profile") or {}
        return str(message.get("username") or profile.get("name") or person or "an app")
    return await names.of(workspace, person)
