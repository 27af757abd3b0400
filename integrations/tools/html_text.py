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

Attributes: TypeAlias = Mapping[str, str]

STYLE_VALUE_MAX = 100
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
    page = _Page()
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
        elif self.hidden or name in UNSEEN or _is_hidden(tag.attributes):
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
    """By its own attributes. What a style sheet hides is read: nothing here may depend on that it was not."""
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = _style(attributes.get("style", ""))
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
_STYLE_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_NO_SHAPE = re.compile(r"rect\(0(?:px)?,0(?:px)?,0(?:px)?,0(?:px)?\)|inset\((?:50|100)%\)|scale\(0\)|circle\(0")


def _style(text: str) -> dict[str, str]:
    """
    >>> _style("Left: -9999px; color : RED")
    {'left': '-9999px', 'color': 'red'}
    """
    pairs = (part.partition(":") for part in "".join(_STYLE_COMMENT.sub("", text).split()).casefold().split(";"))
    # No value that hides something is long, and a long one would keep the patterns below busy for ever.
    return {name: value.removesuffix("!important")[:STYLE_VALUE_MAX] for name, _, value in pairs}


def _colour(text: str) -> str:
    """
    >>> _colour("#FFF") == _colour("white") == _colour("#ffffff")
    True
    """
    text = {"white": "#ffffff", "black": "#000000"}.get(text, text).casefold()
    return "#" + "".join(2 * digit for digit in text[1:]) if re.fullmatch("#[0-9a-f]{3}", text) else text
