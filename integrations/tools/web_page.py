"""Read a web page, of the hosts that are allowed.

Nothing inside the house can be reached with it: an address is refused unless it is a public one, after its name was resolved,
and again behind each redirect. The connection goes to the very address that was looked at, so that a name which resolves
differently the second time gains nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, TypeAlias

from adapters.messages import ToolSpec
from integrations.tools.base import BadAnswer, Invalid, NotAllowed, ReadTool, ToolLimits, Unavailable, Use, parameters
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
    import asyncio

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
        raise BadAnswer(f"{url.host}: redirects", f"That page leads on more than {REDIRECTS_MAX} times.")

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
            raise NotAllowed(f"{name} is not on the list", f"Pages of {name} may not be read here.")
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
        raise BadAnswer(f"{url.host}: {answer.content_type}", f"That page is {answer.content_type}, which is no text.")
    data = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        data += chunk
        if len(data) > PAGE_BYTES_MAX:
            raise BadAnswer(f"{url.host}: too long", f"That page is longer than {PAGE_BYTES_MAX:,} bytes.")
    try:
        text = bytes(data).decode(answer.charset or "utf-8", errors="replace")
    except LookupError:
        text = bytes(data).decode(errors="replace")
    return text_of(text) if "html" in answer.content_type else text


def text_of(html: str) -> str:
    """What a person would see of it: neither scripts nor what is marked as hidden."""
    page = _Page()
    page.feed(html)
    page.close()
    lines = (" ".join(line.split()) for line in _TAGS.sub("", "".join(page.seen)).splitlines())
    return "\n".join(filter(None, lines))


class _Page(HTMLParser):
    UNSEEN = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "head"})
    VOID = frozenset(
        {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
    )
    BREAKS = frozenset(
        {
            "p",
            "div",
            "br",
            "li",
            "tr",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "section",
            "article",
            "pre",
            "table",
            "ul",
            "ol",
        }
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[str] = []
        self._hidden: list[str] = []  # the open elements from the hidden one on

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title" and self._hidden == ["head"]:
            self._hidden.append("title")
            return
        if tag == "body" and "head" in self._hidden:
            self._hidden.clear()  # many pages do not close their head
        if tag in self.VOID:
            self.seen.append("\n" if tag in self.BREAKS and not self._hidden else "")
        elif self._hidden or tag in self.UNSEEN or _is_hidden(dict(attrs)):
            self._hidden.append(tag)
        elif tag in self.BREAKS:
            self.seen.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif not self._hidden and tag in self.BREAKS:
            self.seen.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.seen.append(data)
        elif self._hidden == ["head", "title"]:
            self.seen.append(f"{data}\n")


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    """By its own attributes. What a style sheet hides is read: nothing here may depend on that it was not."""
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = _style(attributes.get("style") or "")
    if any(style.get(name) in values for name, values in _HIDES.items()):
        return True
    if any(_ZERO.match(style.get(name, "1")) for name in ("opacity", "font-size")):
        return True
    if any(
        _AWAY.match(style.get(name, "")) for name in ("left", "right", "top", "bottom", "text-indent", "margin-left")
    ):
        return True
    if "hidden" in style.get("overflow", "") and any(_ZERO.match(style.get(name, "1")) for name in _SIZES):
        return True
    shape = style.get("clip", "") + style.get("clip-path", "") + style.get("transform", "")
    colour, ground = style.get("color", ""), style.get("background-color") or style.get("background", "")
    return bool(_NO_SHAPE.search(shape)) or (bool(colour) and _colour(colour) == _colour(ground))


_HIDES = {
    "display": ("none",),
    "visibility": ("hidden", "collapse"),
    "color": ("transparent", "rgba(0,0,0,0)"),
    "content-visibility": ("hidden",),
}
_SIZES = ("height", "width", "max-height", "max-width")
_ZERO = re.compile(r"0*\.?0*(?:[a-z%]*)$")
_AWAY = re.compile(r"-[0-9.]*[0-9]{3,}(?:\.[0-9]+)?(?:px|pt|em|rem|%|vw|vh)$")
_NO_SHAPE = re.compile(r"rect\(0(?:px)?,0(?:px)?,0(?:px)?,0(?:px)?\)|inset\((?:50|100)%\)|scale\(0\)|circle\(0")
_TAGS = re.compile("[\U000e0000-\U000e007f]")
"""Characters without a shape, in which a whole text can be hidden."""


def _style(text: str) -> dict[str, str]:
    """
    >>> _style("Left: -9999px; color : RED")
    {'left': '-9999px', 'color': 'red'}
    """
    pairs = (part.partition(":") for part in "".join(text.split()).casefold().split(";"))
    return {name: value.removesuffix("!important") for name, _, value in pairs}


def _colour(text: str) -> str:
    """
    >>> _colour("#FFF") == _colour("white") == _colour("#ffffff")
    True
    """
    text = {"white": "#ffffff", "black": "#000000"}.get(text, text).casefold()
    return "#" + "".join(2 * digit for digit in text[1:]) if re.fullmatch("#[0-9a-f]{3}", text) else text
