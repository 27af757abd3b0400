"""Read a web page, of the hosts that are allowed.

Nothing inside the house can be reached with it: an address is refused unless it is a public one, after its name was resolved,
and again behind each redirect. The connection goes to the very address that was looked at, so that a name which resolves
differently the second time gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from adapters.messages import ToolSpec
from integrations.tools.base import BadAnswer, Invalid, NotAllowed, ReadTool, ToolLimits, Unavailable, Use, parameters
from integrations.tools.html_text import text_of as text_of
from integrations.tools.status import error_of

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from aiohttp.abc import AbstractResolver
    from yarl import URL

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

PAGE_BYTES_MAX = 2_000_000
REDIRECTS_MAX = 5
LIMITS = ToolLimits(timeout_s=20.0, result_bytes_max=64_000)
READABLE = ("text/", "application/json", "application/xml", "application/xhtml+xml")
NAT64 = ipaddress.ip_network("64:ff9b::/96")

SPEC = ToolSpec(
    "read_web_page",
    "Reads a web page as text. Only the hosts that were allowed for this CarPool can be read.",
    parameters({"url": {"type": "string", "maxLength": 2_000}}, ("url",)),
    "read",
)


def is_public(address: Address) -> bool:
    """Whether it is an address of the open internet, also by way of the IPv4 address that an IPv6 one carries."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in NAT64:
            carried = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if carried:
            return is_public(carried)
    return address.is_global and not address.is_multicast and not address.is_reserved


async def system_resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


def web_page_tool(
    allowed: Sequence[str],
    resolve: Resolve = system_resolve,
    reachable: Callable[[Address], bool] = is_public,
    limits: ToolLimits = LIMITS,
) -> ReadTool:
    """``allowed``: hosts; ``*.example.org`` for all below it; ``host:port`` where the port is not the scheme's own."""
    reader = _Reader(tuple(entry.casefold() for entry in allowed), resolve, reachable)

    async def read(use: Use) -> str:
        return await reader.read(use.text("url"))

    return ReadTool(SPEC, read, limits)


@dataclass(frozen=True, slots=True)
class _Reader:
    allowed: tuple[str, ...]
    resolve: Resolve
    reachable: Callable[[Address], bool]

    async def read(self, given: str) -> str:
        import aiohttp

        url = self._checked(given)
        # No cookies, no proxy of the environment, no connection kept: nothing of one page goes along to the next.
        connector = aiohttp.TCPConnector(resolver=self._resolver(), use_dns_cache=False, force_close=True)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False) as session:
            try:
                return await self._follow(session, url)
            except aiohttp.ClientError as error:
                raise Unavailable(f"{url.host}: {error!r}", "That page cannot be reached at the moment.") from error

    async def _follow(self, session: "ClientSession", url: "URL") -> str:
        for _ in range(REDIRECTS_MAX + 1):
            async with session.get(url, allow_redirects=False, headers={"Accept": "text/html, text/*"}) as answer:
                to = answer.headers.get("Location", "")
                if answer.status not in (301, 302, 303, 307, 308) or not to:
                    return await _text(answer, url)
            url = self._checked(to, url)
        raise BadAnswer(f"{url.host}: redirects", "That page leads on more than {0} times.", REDIRECTS_MAX)

    def _checked(self, given: str, behind: "URL | None" = None) -> "URL":
        """The address, parsed as it will be called, and allowed. Raises ``ToolError``."""
        from yarl import URL

        try:
            url = URL(given) if behind is None else behind.join(URL(given))
            host, port = (url.host or "").casefold(), url.port
        except ValueError as error:
            raise Invalid(f"no address: {error}", "That is no address of a web page.") from error
        if url.scheme not in ("http", "https") or not host:
            raise Invalid(
                f"no web page: {url.scheme}", "Only addresses that begin with https:// or http:// can be read."
            )
        if url.user is not None or url.password is not None:
            raise Invalid("credentials in an address", "An address with a name or password in it is not called.")
        if behind is not None and behind.scheme == "https" and url.scheme == "http":
            raise NotAllowed("from https to http", "That page leads on to one that is not encrypted.")
        name = host if url.is_default_port() else f"{host}:{port}"
        if not any(_fits(name, entry) for entry in self.allowed):
            raise NotAllowed(f"{name} is not on the list", "Pages of {0} may not be read here.", name)
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return url
        # An address in place of a name is not resolved, so that it is looked at here.
        self._refuse(literal)
        return url

    def _refuse(self, address: Address) -> None:
        if not self.reachable(address):
            raise NotAllowed(f"{address} is not public", "That address is not on the open internet, and is not called.")

    def _resolver(self) -> "AbstractResolver":
        from aiohttp.abc import AbstractResolver, ResolveResult

        reader = self

        class Pinned(AbstractResolver):
            """What it gives out is what is connected to. One address that is not public refuses them all."""

            async def resolve(
                self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
            ) -> list[ResolveResult]:
                try:
                    found = [ipaddress.ip_address(each) for each in await reader.resolve(host, port)]
                except ValueError as error:  # an address with a scope: of a local link
                    raise NotAllowed(f"{host}: {error}", "That address is not on the open internet.") from error
                for address in found:
                    reader._refuse(address)
                return [
                    ResolveResult(
                        hostname=host,
                        host=str(address),
                        port=port,
                        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                        proto=0,
                        flags=socket.AI_NUMERICHOST,
                    )
                    for address in found
                ]

            async def close(self) -> None:
                pass

        return Pinned()


def _fits(name: str, entry: str) -> bool:
    return name.endswith(entry[1:]) if entry.startswith("*.") else name == entry


async def _text(answer: "ClientResponse", url: "URL") -> str:
    if answer.status != 200:
        raise error_of(str(url.host), answer.status)
    if not answer.content_type.startswith(READABLE):
        raise BadAnswer(
            f"{url.host}: {answer.content_type}", "That page is {0}, which is no text.", answer.content_type
        )
    data = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        data += chunk
        if len(data) > PAGE_BYTES_MAX:
            raise BadAnswer(f"{url.host}: too long", "That page is longer than {0:,} bytes.", PAGE_BYTES_MAX)
    try:
        text = bytes(data).decode(answer.charset or "utf-8", errors="replace")
    except LookupError:
        text = bytes(data).decode(errors="replace")
    # It takes a moment, in which nobody else is to wait.
    return await asyncio.to_thread(text_of, text) if "html" in answer.content_type else text
