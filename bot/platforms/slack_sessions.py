"""Sessions of an agent in Slack: what a thread shows of the work on it, its title, and what one may ask at first.

All of it is best effort: an answer does not depend on it. Sources: docs.slack.dev, "Agent sessions",
"assistant.threads.setSuggestedPrompts".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from bot.platforms.base import Address, PlatformError
from bot.platforms.slack_errors import answer_of
from bot.platforms.slack_needs import PROMPTS
from ledger.errors import StoreFailed

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("carpool.slack")

TITLE_CHARACTERS_MAX = 200
REFUSED_FOR_S = 3_600.0
"""How long Slack is not asked for sessions in a workspace where it refused one: an app gets new scopes by a new install."""

Status = Literal["active", "processing", "suspended", "closed"]


class Sessions:
    """``client_of`` gives who speaks in a workspace."""

    def __init__(self, client_of: Callable[[str], Awaitable["AsyncWebClient"]], clock_s: Callable[[], float]) -> None:
        self._client_of = client_of
        self._clock_s = clock_s
        self._refused_until_s: dict[str, float] = {}
        # Nobody waits for these calls, and yet the last one of a thread must be the last to arrive.
        self._in_order: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()

    async def at_work(self, to: Address, title: str) -> None:
        """Something is being answered. ``title`` names a conversation that is new."""
        async with self._turn_of(to):
            await self._set(to, "processing", title)
            if title:
                # Of a session that Slack began itself, the title above is ignored.
                await self._rename(to, title)

    async def suspended(self, to: Address) -> None:
        """A person has to decide before it goes on."""
        async with self._turn_of(to):
            await self._set(to, "suspended", "")

    async def over(self, to: Address) -> None:
        async with self._turn_of(to):
            await self._set(to, "active", "")

    def _turn_of(self, to: Address) -> asyncio.Lock:
        place = (to.workspace, to.channel, to.thread)
        lock = self._in_order.get(place)
        if lock is None:
            self._in_order[place] = lock = asyncio.Lock()
        return lock

    async def _rename(self, to: Address, title: str) -> None:
        async def call(client: "AsyncWebClient") -> dict[str, Any]:
            return await answer_of(
                client.agents_sessions_rename(channel_id=to.channel, thread_ts=to.thread, title=title)
            )

        if title := _title(title):
            await self._call(to.workspace, call)

    async def suggest(self, workspace: str, channel: str) -> None:
        """What one may ask, where a person opens the conversation with CarPool."""

        async def call(client: "AsyncWebClient") -> dict[str, Any]:
            prompts = [{"title": title, "message": message} for title, message in PROMPTS]
            return await answer_of(client.assistant_threads_setSuggestedPrompts(channel_id=channel, prompts=prompts))

        await self._call(workspace, call)

    async def _set(self, to: Address, status: Status, title: str) -> None:
        async def call(client: "AsyncWebClient") -> dict[str, Any]:
            return await answer_of(
                client.agents_sessions_setStatus(
                    channel_id=to.channel, thread_ts=to.thread, status=status, title=_title(title) or None
                )
            )

        if to.thread:
            await self._call(to.workspace, call)

    async def _call(self, workspace: str, call: Callable[["AsyncWebClient"], Awaitable[dict[str, Any]]]) -> None:
        if self._refused_until_s.get(workspace, 0.0) > self._clock_s():
            return
        try:
            await call(await self._client_of(workspace))
        except PlatformError as error:
            if error.retry_after_s is None:
                self._refused_until_s[workspace] = self._clock_s() + REFUSED_FOR_S
            log.info("Slack takes no session here", extra={"cause": str(error)})
        except StoreFailed as error:
            log.warning("it is not known who speaks here", extra={"cause": str(error)})


def _title(text: str) -> str:
    """The first line of a question, as far as a title goes."""
    line = next(filter(None, (line.strip() for line in text.splitlines())), "")
    return line if len(line) <= TITLE_CHARACTERS_MAX else f"{line[: TITLE_CHARACTERS_MAX - 1].rstrip()}…"
