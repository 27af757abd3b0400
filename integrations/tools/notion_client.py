"""Notion through the official client's Python port, with a connection for each use."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from integrations.tools.base import BadAnswer, Invalid, TimedOut, ToolError, Unavailable, Use
from integrations.tools.status import error_of

if TYPE_CHECKING:
    from ssl import SSLContext

    from notion_client import AsyncClient
    from notion_client.errors import HTTPResponseError

T = TypeVar("T")

SERVICE = "Notion"
CONNECTION = "notion"
API = "https://api.notion.com"
VERSION = "2025-09-03"
"""The first one with data sources. Notion's own rendering as Markdown asks for a later one, so that pages are rendered here."""

REQUEST_TIMEOUT_S = 15
LISTED_MAX = 200
"""How much of a list is read, page by page. What is beyond it is told."""
PAGE_MAX = 100
PAGES_MAX = 50

Thing: TypeAlias = Mapping[str, Any]
"""An object of Notion's, as it came. One of another shape ends in one of the errors that ``run`` makes ``BadAnswer`` of."""


@dataclass(frozen=True, slots=True)
class Notion:
    """One connection. Raises the client's errors, which ``NotionClient.run`` makes ours."""

    client: "AsyncClient"

    async def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Thing:
        return _thing(await self.client.request(path, "GET", query=dict(query or {})))

    async def found(self, path: str) -> Thing | None:
        """None where there is nothing of that kind, or nothing that was shared."""
        from notion_client.errors import APIErrorCode, APIResponseError

        try:
            return await self.get(path)
        except APIResponseError as error:
            if error.code in (APIErrorCode.ObjectNotFound, APIErrorCode.ValidationError):
                return None  # of the id of something else than was asked for, Notion says either
            raise

    async def post(self, path: str, body: Mapping[str, Any]) -> Thing:
        return _thing(await self.client.request(path, "POST", body=dict(body)))

    async def patch(self, path: str, body: Mapping[str, Any]) -> Thing:
        return _thing(await self.client.request(path, "PATCH", body=dict(body)))

    async def children(self, block: str, most: int) -> tuple[list[Thing], bool]:
        return await some(lambda page: self.get(f"blocks/{block}/children", page), most)

    async def posted(self, path: str, body: Mapping[str, Any], most: int) -> tuple[list[Thing], bool]:
        return await some(lambda page: self.post(path, {**body, **page}), most)


@dataclass(frozen=True, slots=True)
class NotionClient:
    """``token`` serves where the asker connected nothing; ``url`` is where the API is."""

    token: str = field(repr=False)
    url: str = API
    _trusted: "list[SSLContext]" = field(default_factory=list, init=False, repr=False, compare=False)
    """Whose certificates are believed: to read them takes longer than all else of a use, and is done with the first."""

    async def run(self, use: Use, work: Callable[[Notion, Use], Awaitable[T]]) -> T:
        """Do it. Raises ``ToolError``; every error of the client and of what it calls with becomes one here."""
        import httpx
        from notion_client import AsyncClient
        from notion_client.client import ClientOptions
        from notion_client.errors import HTTPResponseError, InvalidPathParameterError, RequestTimeoutError

        # Nothing is repeated here: a turn decides that, and a write is never repeated. Its log would quote what Notion says.
        options = ClientOptions(
            auth=use.token or self.token,
            timeout_ms=REQUEST_TIMEOUT_S * 1_000,
            base_url=self.url,
            log_level=logging.CRITICAL,
            logger=logging.getLogger(f"{__name__}.sdk"),
            notion_version=VERSION,
            retry=False,
        )
        try:
            if not self._trusted:
                self._trusted.append(httpx.create_ssl_context(trust_env=False))
            async with httpx.AsyncClient(verify=self._trusted[0], trust_env=False) as http:
                return await work(Notion(AsyncClient(options, http)), use)
        except HTTPResponseError as error:
            raise _ours(error) from error
        except RequestTimeoutError as error:
            raise TimedOut(f"{SERVICE}: {error}", "{0} did not answer in time.", SERVICE) from error
        except InvalidPathParameterError as error:
            raise Invalid(f"{SERVICE}: {error}", "{0} does not accept this request as it is.", SERVICE) from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{SERVICE}: {error!r}", "{0} cannot be reached at the moment.", SERVICE) from error
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            # An answer of another shape than is documented is read so. Ours never end in one of these.
            raise BadAnswer(f"{SERVICE}: {error!r}", "{0} gave an answer that was not expected.", SERVICE) from error


def _thing(answer: Any) -> Thing:
    if not isinstance(answer, Mapping):
        raise TypeError("the answer is no object")
    return answer


def _ours(error: "HTTPResponseError") -> ToolError:
    try:
        wait_s = float(error.headers["retry-after"])
    except (KeyError, ValueError):
        wait_s = None
    return error_of(SERVICE, error.status, str(error)[:300], wait_s)


async def some(ask: Callable[[Mapping[str, str | int]], Awaitable[Thing]], most: int) -> tuple[list[Thing], bool]:
    """The first of them, across their pages, and whether there are more."""
    found: list[Thing] = []
    page: dict[str, str | int] = {"page_size": PAGE_MAX}
    for _ in range(PAGES_MAX):
        answer = await ask(page)
        found += answer["results"]
        if not answer["has_more"]:
            return found[:most], len(found) > most
        if len(found) >= most:
            break
        page["start_cursor"] = answer["next_cursor"]
    return found[:most], True


def listed(lines: list[str], more: bool) -> str:
    text = "\n".join(lines) or "Nothing was found."
    return f"{text}\n[There are more than these.]" if more else text
