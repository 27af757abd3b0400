"""The way back from a service's page of consent to this very machine, for a person at the terminal (RFC 8252, 7.3).

It listens on 127.0.0.1 alone, on a port that the system chooses, from the first time that a link is asked for. An address
of consent is longer than a line of a terminal, which would break it, so that a short one here leads on to it. A request for
anything else than the way back gets a 404, and so does one that names another host: a page of somebody's could lead a browser
here.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from bot.consent import CALLBACK_PATH
from bot.consent_page import PAGE_HEADERS
from bot.sentences import ENGLISH, Sentences

HOST = "127.0.0.1"
HEAD_BYTES_MAX = 16_384
READ_S = 5.0
LINK_PATH = "/connect/to/"
LINK_BYTES = 6
LINKS_MAX = 20
_REASONS = {200: "OK", 303: "See Other", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}

Page = Callable[[Mapping[str, str], str], Awaitable[tuple[int, str]]]
"""Of the query and the address of the way back: a status, and the page."""


class Loopback:
    def __init__(self, page: Page, say: Sentences = ENGLISH) -> None:
        self._page = page
        self._say = say
        self._server: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        self._links: OrderedDict[str, str] = OrderedDict()

    async def redirect_url(self) -> str:
        """Raises ``OSError`` where it cannot listen."""
        async with self._opening:
            if self._server is None:
                self._server = await asyncio.start_server(self._answer, HOST, 0, limit=HEAD_BYTES_MAX)
        return f"http://{self._host}{CALLBACK_PATH}"

    @property
    def listens(self) -> bool:
        return self._server is not None

    def short(self, url: str) -> str:
        """An address here that leads on to this one."""
        path = f"{LINK_PATH}{secrets.token_urlsafe(LINK_BYTES)}"
        self._links[path] = url
        while len(self._links) > LINKS_MAX:
            self._links.popitem(last=False)
        return f"http://{self._host}{path}"

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def _host(self) -> str:
        port = self._server.sockets[0].getsockname()[1] if self._server is not None and self._server.sockets else 0
        return f"{HOST}:{port}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status, page, to = await self._of(head)
            body = page.encode()
            headers = {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Length": str(len(body)),
                "Connection": "close",
                **({"Location": to} if to else {}),
                **PAGE_HEADERS,
            }
            lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", *(f"{n}: {v}" for n, v in headers.items())]
            writer.write("\r\n".join((*lines, "", "")).encode() + body)
            await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # whoever it was has gone, or speaks no HTTP
        finally:
            writer.close()

    async def _of(self, head: list[str]) -> tuple[int, str, str]:
        """A status, a page, and where it leads on to."""
        method, _, rest = head[0].partition(" ")
        url = urlsplit(rest.partition(" ")[0])
        hosts = [line.partition(":")[2].strip() for line in head[1:] if line.casefold().startswith("host:")]
        if method == "GET" and hosts == [self._host]:
            if (to := self._links.get(url.path)) is not None:
                return 303, "", to
            if url.path == CALLBACK_PATH:
                back = f"http://{self._host}{CALLBACK_PATH}"
                return *await self._page(dict(parse_qsl(url.query)), back), ""
        return 404, self._say("There is nothing here."), ""
