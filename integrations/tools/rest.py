"""A service with an interface of JSON over HTTP, asked without an SDK."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from adapters.messages import Json, JsonObject
from integrations.tools.base import BadAnswer, TimedOut, ToolError, Unavailable
from integrations.tools.status import error_of

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

TIMEOUT_S = 15.0
ANSWER_BYTES_MAX = 30_000_000
"""Above the 25 MB that a mail may have at Gmail; what a tool says of it is shortened much earlier."""
LONG_BYTES = 100_000
RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded", "quotaExceeded"})
"""Google and GitHub say with 403 some of what others say with 429."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: JsonObject
    """Empty where it is no object."""
    is_object: bool = True


@dataclass(frozen=True, slots=True)
class Rest:
    """``service`` is its name for people, ``url`` has no slash at its end.

    Each call is made once, without cookies and without a proxy of the environment; redirects are not followed: a token
    does not go where it was not meant to. A connection is of one call, or of those of one ``together``. Raises ``ToolError``.
    """

    service: str
    url: str
    timeout_s: float = TIMEOUT_S
    headers: Mapping[str, str] = field(default_factory=dict)
    session: "ClientSession | None" = None

    @asynccontextmanager
    async def together(self) -> "AsyncIterator[Rest]":
        """For several calls of one use: their connections are used again, and closed at the end of the block."""
        async with self._opened(force_close=False) as session:
            yield replace(self, session=session)

    async def get(self, path: str, token: str, query: Mapping[str, str | int] | None = None) -> JsonObject:
        return (await self.ask("GET", path, token, query=query)).body

    async def send(self, method: str, path: str, token: str, body: JsonObject | None = None) -> JsonObject:
        return (await self.ask(method, path, token, body=body)).body

    async def ask(
        self,
        method: str,
        path: str,
        token: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: JsonObject | None = None,
    ) -> Answer:
        answer = await self.call(method, path, {"Authorization": f"Bearer {token}"}, query=query, body=body)
        if answer.status not in (200, 201, 204):
            raise self.refusal(answer)
        if answer.status == 200 and not answer.is_object:
            raise self.unexpected("no object")
        return answer

    async def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str | int] | None = None,
        body: JsonObject | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Whatever the status and the body are."""
        import aiohttp

        sent = {"Accept": "application/json", "User-Agent": "CarPool", **self.headers, **headers}
        try:
            async with (
                contextlib.nullcontext(self.session) if self.session else self._opened(force_close=True) as session,
                session.request(
                    method, f"{self.url}{path}", params=query, json=body, data=form, headers=sent, allow_redirects=False
                ) as answer,
            ):
                found = await self._read(answer)
                return Answer(answer.status, answer.headers.copy(), found or {}, found is not None)
        except TimeoutError as error:
            raise TimedOut(f"{self.service}: timed out", "{0} did not answer in time.", self.service) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(
                f"{self.service}: {type(error).__name__}", "{0} cannot be reached at the moment.", self.service
            ) from error

    def _opened(self, *, force_close: bool) -> "ClientSession":
        import aiohttp

        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(force_close=force_close),
            trust_env=False,
        )

    async def _read(self, answer: "ClientResponse") -> JsonObject | None:
        data = bytearray()
        async for chunk in answer.content.iter_chunked(65_536):
            data += chunk
            if len(data) > ANSWER_BYTES_MAX:
                raise BadAnswer(f"{self.service}: too long", "{0} gave an answer that is too long.", self.service)
        # A long one takes a moment to be parsed, in which nobody else is to wait.
        return await asyncio.to_thread(_parsed, bytes(data)) if len(data) > LONG_BYTES else _parsed(bytes(data))

    def refusal(self, answer: Answer) -> ToolError:
        """What an answer's status means here. What the service said goes to the log alone, by its kind."""
        wait = answer.headers.get("Retry-After", "")
        wait_s = float(wait) if wait.isdigit() else None
        said = answer.body.get("error")
        reasons = set(_reasons(said))
        used_up = wait_s is not None or answer.headers.get("X-RateLimit-Remaining") == "0" or reasons & RATE_REASONS
        status = 429 if answer.status == 403 and used_up else answer.status
        return error_of(self.service, status, ", ".join(sorted(reasons))[:300], wait_s)

    def unexpected(self, what: str) -> BadAnswer:
        return BadAnswer(f"{self.service}: {what}", "{0} gave an answer that was not expected.", self.service)


def _parsed(data: bytes) -> JsonObject | None:
    try:
        found: Json = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _reasons(said: Json) -> list[str]:
    """Google's own words for what is wrong: ``{"error": {"errors": [{"reason": ...}], "status": ...}}``."""
    if not isinstance(said, Mapping):
        return []
    errors = said.get("errors")
    found = [error.get("reason") for error in errors if isinstance(error, Mapping)] if isinstance(errors, list) else []
    return [reason for reason in (*found, said.get("status")) if isinstance(reason, str)]
