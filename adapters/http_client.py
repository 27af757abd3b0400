"""The HTTP client that every SDK is given: one for each adapter, so that connections are reused, and one kind of time limit."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, cast

from adapters.errors import NotConfigured

if TYPE_CHECKING:
    import httpx2

CONNECT_S = 10.0
CONNECTIONS_MAX = 1000
CONNECTIONS_IDLE_MAX = 100
IDLE_S = 30.0
DRAIN_S = 0.5
"""The last bytes of a response come with its last event, or are not waited for."""


def open_http_client(connect_s: float) -> "httpx2.AsyncClient":
    """A client whose connections are there within ``connect_s``, or the call fails.

    How long an answer may take is kept by ``adapters.deadline``, not here: each SDK would do it in its own way. So the SDK's
    own time limits are taken out of each request. Redirects are not followed: a key does not go where it was not meant to.

    Building one reads the certificates of this machine, which takes a tenth of a second: do it in a thread.
    """
    import httpx2

    from adapters.responses import close_with_reader

    timeout = httpx2.Timeout(None, connect=connect_s, pool=connect_s).as_dict()

    async def limit(request: httpx2.Request) -> None:
        request.extensions["timeout"] = timeout

    return httpx2.AsyncClient(
        event_hooks={"request": [limit], "response": [close_with_reader]},
        limits=httpx2.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_IDLE_MAX,
            keepalive_expiry=IDLE_S,
        ),
    )


def not_installed(package: str, error: ImportError) -> NotConfigured:
    missing = NotConfigured(f"The package {package} is not installed: run `make` again.")
    missing.__cause__ = error
    return missing


class OpenResponses:
    """The responses that an SDK has open, by call: for SDKs that do not let go of one when they are told to.

    A call carries its number in a header, which is taken out of the request before that is sent.
    """

    HEADER = "carpool-call"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._responses: dict[str, httpx2.Response] = {}

    def watch(self, http: "httpx2.AsyncClient") -> None:
        hooks = http.event_hooks
        http.event_hooks = {"request": [*hooks["request"], self._mark], "response": [*hooks["response"], self._keep]}

    def number(self) -> str:
        return str(next(self._numbers))

    async def close(self, number: str) -> None:
        """Let go of the call's connection. It is used again where the rest of the response is there already."""
        response = self._responses.pop(number, None)
        if response is None or response.is_closed:
            return
        import httpx2

        # The answer is whole by now: what goes wrong here is no failure of it.
        with contextlib.suppress(TimeoutError, httpx2.HTTPError, httpx2.StreamError):
            async with asyncio.timeout(DRAIN_S):
                async for _ in cast("AsyncIterable[bytes]", response.stream):
                    pass
        await response.aclose()

    async def abandon(self, number: str) -> None:
        """Let go of the call's connection, which is of no more use."""
        response = self._responses.pop(number, None)
        if response is not None:
            await response.aclose()

    async def _mark(self, request: "httpx2.Request") -> None:
        if (number := request.headers.pop(self.HEADER, None)) is not None:
            request.extensions["carpool_call"] = number

    async def _keep(self, response: "httpx2.Response") -> None:
        if (number := response.request.extensions.get("carpool_call")) is not None:
            self._responses[number] = response
