"""The text of HTML as a person would see it: neither scripts nor what is hidden.

The markup is read in one pass, as browsers read it (WHATWG HTML, 13.2.5), and in a time that grows with its length alone:
it is somebody else's, who may mean harm. Python's own parser takes a minute for 50 KB of ``<a <a <a``.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import TypeAlias

from integrations.tools.html_hiding import is_hidden_by, style_of
from integrations.tools.html_styles import Sheet, declared

Attributes: TypeAlias = Mapping[str, str]

ATTRIBUTES_MAX = 200
"""As many of an element are looked at."""

UNSEEN = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "head"})
VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
BREAKS = HEADINGS | frozenset(["p", "div", "br", "li", "tr", "section", "article", "pre", "table", "ul", "ol"])
RAW = frozenset(["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"])
"""Nothing in these is markup, but their end."""

_NAME = re.compile(r"[A-Za-z][^\s/>]*")
_SPACE = re.compile(r"[\s/]*")
_ATTRIBUTE = re.compile(r"[^\s/>=][^\s/>=]*|=[^\s/>=]*")
_EQUALS = re.compile(r"\s*=\s*")
_BARE = re.compile(r"[^\s>]*")
_COMMENT_END = re.compile(r"--!?>")
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in RAW}
_TAGS = re.compile("[\U000e0000-\U000e007f]")
"""Characters without a shape, in which a whole text can be hidden."""


@dataclass(frozen=True, slots=True)
class _Start:
    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class _End:
    name: str


def text_of(html: str) -> str:
    """What a person would see of it: neither scripts nor what is marked as hidden."""
    page = _Page(_sheet_of(html))
    for piece in _pieces(html):
        match piece:
            case _Start():
                page.start(piece)
            case _End():
                page.end(piece.name)
            case _:
                page.text(piece)
    lines = (" ".join(line.split()) for line in _TAGS.sub("", "".join(page.seen)).splitlines())
    return "\n".join(filter(None, lines))


@dataclass(slots=True)
class _Page:
    sheet: Sheet
    seen: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    """The open elements from the hidden one on."""
    counted: Counter[str] = field(default_factory=Counter)
    """The same, by name: there may be very many."""

    def start(self, tag: _Start) -> None:
        name = tag.name
        if name == "title" and self.hidden == ["head"]:
            self._hide("title")
            return
        if name == "body" and self.counted["head"]:
            self.hidden.clear()  # many pages do not close their head
            self.counted.clear()
        if name in VOID:
            self.seen.append("\n" if name in BREAKS and not self.hidden else "")
        elif self.hidden or name in UNSEEN or self._is_hidden(tag):
            self._hide(name)
        elif name in BREAKS:
            self.seen.append("\n")

    def end(self, name: str) -> None:
        if self.counted[name]:
            while (gone := self.hidden.pop()) != name:
                self.counted[gone] -= 1
            self.counted[name] -= 1
        elif not self.hidden and name in BREAKS:
            self.seen.append("\n")

    def text(self, data: str) -> None:
        if not self.hidden:
            self.seen.append(data)
        elif self.hidden == ["head", "title"]:
            self.seen.append(f"{data}\n")

    def _is_hidden(self, tag: _Start) -> bool:
        attributes = tag.attributes
        return _is_hidden(attributes) or self.sheet.hides(tag.name, attributes, declared(attributes.get("style", "")))

    def _hide(self, name: str) -> None:
        self.hidden.append(name)
        self.counted[name] += 1


def _pieces(html: str) -> Iterator[str | _Start | _End]:
    """Texts and tags, in order. What is not closed goes to the end, and nobody sees it."""
    place = 0
    while (at := html.find("<", place)) >= 0:
        if at > place:
            yield unescape(html[place:at])
        following = html[at + 1 : at + 2]
        if html.startswith("<!--", at):
            # `<!-->` and `<!--->` are whole comments.
            closed = _COMMENT_END.search(html, at + 2)
            place = closed.end() if closed else len(html)
        elif following in ("!", "?"):
            place = _behind(html, at)
        elif following == "/":
            name = _NAME.match(html, at + 2)
            place = _behind(html, at)
            if name and html[place - 1 : place] == ">":
                yield _End(name[0].casefold())
        elif following.isascii() and following.isalpha():
            tag, place = _start(html, at + 1)
            if tag is not None:
                yield tag
                if tag.name in RAW:
                    closed = _RAW_END[tag.name].search(html, place)
                    end = closed.start() if closed else len(html)
                    yield unescape(html[place:end]) if tag.name in ("title", "textarea") else html[place:end]
                    place = end
        else:
            yield "<"
            place = at + 1
    if place < len(html):
        yield unescape(html[place:])


def _start(html: str, place: int) -> tuple[_Start | None, int]:
    """The tag whose name begins here, and what is behind it; None where it is not closed."""
    name = _NAME.match(html, place)
    place = name.end() if name else place
    attributes: dict[str, str] = {}
    while True:
        place = _end_of(_SPACE, html, place)
        if place >= len(html):
            return None, len(html)
        if html[place] == ">":
            return _Start(name[0].casefold() if name else "", attributes), place + 1
        end = _end_of(_ATTRIBUTE, html, place)
        attribute, value, place = html[place:end].casefold(), "", end
        if (equals := _EQUALS.match(html, place)) is not None:
            place = equals.end()
            quote = html[place : place + 1]
            if quote in ('"', "'"):
                closing = html.find(quote, place + 1)
                if closing < 0:
                    return None, len(html)
                value, place = html[place + 1 : closing], closing + 1
            else:
                end = _end_of(_BARE, html, place)
                value, place = html[place:end], end
        if len(attributes) < ATTRIBUTES_MAX:
            attributes.setdefault(attribute, unescape(value))


def _end_of(pattern: re.Pattern[str], html: str, place: int) -> int:
    found = pattern.match(html, place)
    return place if found is None else found.end()


def _behind(html: str, place: int) -> int:
    closed = html.find(">", place)
    return len(html) if closed < 0 else closed + 1


def _is_hidden(attributes: Attributes) -> bool:
    """By its own attributes."""
    if "hidden" in attributes or attributes.get("aria-hidden", "").casefold() == "true":
        return True
    return is_hidden_by(style_of(attributes.get("style", "")))


def _sheet_of(html: str) -> Sheet:
    """What the page's own style sheets say. Those in a template hold nowhere, those for a medium only there."""
    sheet = Sheet()
    if "<style" not in html.casefold():
        return sheet
    reading, templates = False, 0
    media, kind = "", ""
    for piece in _pieces(html):
        match piece:
            case _Start(name="style"):
                reading, media = True, piece.attributes.get("media", "").strip().casefold()
                kind = piece.attributes.get("type", "text/css").strip().casefold()
            case _Start(name="template"):
                templates += 1
            case _End(name="template"):
                templates = max(0, templates - 1)
            case str() if reading and not templates and kind in ("", "text/css"):
                sheet.add(piece, certain=media in ("", "all", "screen"))
                reading = False
            case _:
                reading = False
    return sheet
