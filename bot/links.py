"""Links and images in what a model says, where it has read words of others: none of them carries anything out. Pure.

What a hostile text wants is an address with something secret in it, in a form that is fetched when it is shown, or followed
when it is clicked. So an address stays a link only where it stood, to the last character, in what the person wrote or in what was
read: all others are shown as code, which no platform makes a link of or previews. Images are links at the most, but those of
hosts that are allowed.

Platforms read Markdown differently, so what is left of it here is what all of them read alike: code on one line between two
single backticks, and blocks between lines of three at the margin. See CommonMark 0.31, GitHub Flavored Markdown, and "Markdown
block" of docs.slack.dev for ``<address|text>``.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

SHOWN_CHARACTERS_MAX = 300
ADDRESS_CHARACTERS_MAX = 4_000
CUTS_MAX = 12
UNESCAPES_MAX = 8

_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_START = r"(?<![^\W_])"
_HOST = rf"(?:{_LABEL}\.){{1,20}}(?:xn--[\w-]+|[^\W\d_]{{2,63}})"
_NUMBERS = r"\d{1,3}(?:\.\d{1,3}){3}"
_BEGINS = re.compile(
    rf"""[a-z][a-z0-9+.-]{{0,30}}://                               # an address of any scheme
    | (?:javascript|vbscript|data|blob|file|mailto|tel|sms|xmpp|sips?|skype|slack|discord|intent|magnet|about|view-source):(?=\S)
    | {_START}www\.(?=\S)
    | {_START}[\w.+-]{{1,64}}@{_HOST}                             # mail
    | {_START}(?:{_LABEL}\.){{2,20}}(?:xn--[\w-]+|[^\W\d_]{{2,63}}) # a host with something in front of its domain
    | {_START}(?:{_HOST}|{_NUMBERS}|localhost)(?::\d+|(?=[/?#]\S))  # a host with a path or a port
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LINK = re.compile(
    r"""(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]
    \(\s*(?P<to><[^<>]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)""",
    re.VERBOSE,
)
_TARGET = re.compile(r"\]\(\s*(?P<to><[^<>]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)")
_ANGLES = re.compile(r"<(?P<to>[^<>|\s]+)(?:\|(?P<text>[^<>]*))?>")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_FENCE = re.compile(r"\s*(?P<marks>`{3,}|~{3,})(?P<info>[^`]*)$")
_INFO = re.compile(r"[A-Za-z0-9_+.#-]{1,30}")
_CODE = re.compile(r"(?<![`\\])(?P<marks>`+)(?P<code>[^`\r]+)(?P=marks)(?!`)")
_KEPT = re.compile("\x00(\\d+)\x00")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]"
)
_ENDS = ".,;:!?'\"*_~)]}>|…”’»"
_CUTS = re.compile(r"""["'<>`)\]}|,;\\]""")
_LINE_ENDS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_HOST_OF = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_HINT = re.compile("[.:@]")
_LAST_WORD = re.compile(r"(?<!\S)\S+\Z|\s+\Z")
_SPACE_AND_WORD = re.compile(r"\s*\S+")
_MARKUP = re.compile(r"[`\[\]<>\\&~\x00]")


@dataclass(frozen=True, slots=True)
class Links:
    """``known``: the addresses that may be links, as ``known_in`` gives them. ``image_hosts`` may be shown images of."""

    known: frozenset[str]
    image_hosts: tuple[str, ...] = ()

    def may_link(self, address: str) -> bool:
        # A host with letters that may pass for others is shown as it is called, and not linked.
        return _key(address) in self.known and _HOST_OF.sub("", address, 1).partition("/")[0].isascii()

    def may_show(self, address: str) -> bool:
        try:
            parts = urlsplit(address)
        except ValueError:
            return False
        host = (parts.hostname or "").casefold()
        return parts.scheme == "https" and "@" not in parts.netloc and any(_fits(host, one) for one in self.image_hosts)


def known_in(texts: Iterable[str]) -> frozenset[str]:
    """The addresses in texts that were read. Wherever one could end, one ends: who wrote such a text could have written each."""
    return frozenset(_key(address) for text in texts for address in _addresses(text))


def is_doubtful(text: str) -> bool:
    """Whether there is anything in it that ``safe`` might change."""
    return bool(_MARKUP.search(text) or _UNSEEN.search(text)) or _count(text) > 0


def safe(text: str, links: Links) -> str:
    """The whole text. As by ``LinkFilter``, however it is cut."""
    one = LinkFilter(links)
    return one.feed(text) + one.end()


class LinkFilter:
    """A text piece by piece. What is given out is never taken back: a word goes out when it is whole, and from the first word
    that may belong to a link on, a line goes out when it is whole."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._rest = ""
        self._begun = False  # some of this line is out already
        self._in_code = False
        self._empty = False  # nothing stands in the block of code yet

    @property
    def held(self) -> str:
        """What came and is not given out."""
        return self._rest

    def feed(self, delta: str) -> str:
        out: list[str] = []
        *lines, self._rest = (self._rest + delta).split("\n")
        for line in lines:
            out += [self._line(line), "\n"]
            self._begun = False
        if not self._in_code and (plain := _plain_length(self._rest)):
            out.append(self._rest[:plain])
            self._rest, self._begun = self._rest[plain:], True
        return "".join(out)

    def end(self) -> str:
        """What is left. A block of code that has no end gets one: platforms do not agree on what it is without."""
        rest, self._rest = self._rest, ""
        said = self._line(rest) if rest else ""
        if self._in_code:
            said += self._closed() if not said and not rest else f"\n{self._closed()}"
        self._begun = False
        return said

    def _line(self, line: str) -> str:
        fence = None if self._begun else _FENCE.match(line)
        if self._in_code:
            if fence is not None and fence["marks"][0] == "`" and not fence["info"].strip():
                return self._closed()
            self._empty = self._empty and not line.strip()
            # Three of them end it on some platforms wherever they stand.
            return re.sub("`{3,}", lambda found: "'" * len(found[0]), line)
        if fence is not None:
            self._in_code = self._empty = True
            info = fence["info"].strip()
            return f"```{info}" if _INFO.fullmatch(info) else "```"
        return _Line(self.links).made_safe(line)

    def _closed(self) -> str:
        """The end of a block. In one that is empty, Discord takes the end for what stands in it."""
        self._in_code = False
        return "(empty)\n```" if self._empty else "```"


class _Line:
    """One line outside of blocks of code. What is decided on is put aside in ``_kept``, a mark in its place."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._kept: list[str] = []

    def made_safe(self, line: str) -> str:
        text = line.replace("\x00", "")
        if not is_doubtful(text):
            return text
        text = _CODE.sub(self._code, text).replace("`", "'")
        text = _plainly_written(text)
        text = self._inline(text)
        return self._restored(text)

    def _inline(self, text: str) -> str:
        text = _LINK.sub(self._link, text)
        text = _TARGET.sub(self._target, text)
        # With a space between, it defines nothing that a reference could lead to.
        text = text.replace("](", "] (").replace("]:", "] :")
        text = _ANGLES.sub(self._angles, text)
        text = _TAG.sub("< ", text)
        return _in_words(text, self._bare)

    def _code(self, found: re.Match[str]) -> str:
        code = found["code"]
        # A table ends its cells at each line, in code too.
        if _count(html.unescape(code)):
            code = code.replace("|", "\u2502")
        return self._keep(f"`{code}`")

    def _link(self, found: re.Match[str]) -> str:
        to = found["to"].strip("<>")
        text = self._inline(found["text"])
        if self._links.may_show(to) if found["image"] else self._may_stand(text, to):
            return self._keep(f"{found['image']}[{self._restored(text)}]({to})")
        return f"{text.strip()} ({self._as_code(to)})" if text.strip() else self._as_code(to)

    def _may_stand(self, text: str, to: str) -> bool:
        """Where the text of a link is an address as well, it is the one that it leads to."""
        said = self._restored(text).strip("`* ")
        return self._links.may_link(to) and (not _count(said) or _key(said) == _key(to))

    def _target(self, found: re.Match[str]) -> str:
        """The end of a link whose beginning stands elsewhere: on another line, or around code."""
        to = found["to"].strip("<>")
        return f"] ({self._as_code(to)}" if to else "] ("

    def _angles(self, found: re.Match[str]) -> str:
        to, text = found["to"], found["text"]
        if _begin_of(to) != 0:
            return found[0]
        if text is None and self._links.may_link(to):
            return self._keep(f"<{to}>")
        return f"{self._inline(text)} ({self._as_code(to)})" if text else self._as_code(to)

    def _bare(self, word: str) -> str:
        """A word with an address in it: where it is known, it stays; else all that a platform may make a link of is code."""
        begin = _begin_of(word)
        if begin is None:
            return word
        before, address = word[:begin], word[begin:]
        whole = _trimmed(address)
        if self._links.may_link(whole):
            return f"{before}{self._keep(whole)}{address[len(whole) :]}"
        return f"{before}{self._as_code(whole)}{address[len(whole) :]}"

    def _as_code(self, address: str) -> str:
        shown = _shown(self._restored(address))
        return self._keep(f"`{shown}`") if shown else ""

    def _keep(self, text: str) -> str:
        self._kept.append(text)
        return f"\x00{len(self._kept) - 1}\x00"

    def _restored(self, text: str) -> str:
        """With what was put aside. Code stands apart from letters, backslashes and other code, and so is code."""
        out: list[str] = []
        for place, piece in enumerate(_KEPT.split(text)):
            kept = self._kept[int(piece)] if place % 2 else piece
            if out and kept and (kept[0] == "`" or out[-1][-1:] == "`") and not _apart(out[-1][-1:], kept[0]):
                out.append(" ")
            if kept:
                out.append(kept)
        return "".join(out)


def _apart(before: str, after: str) -> bool:
    inner = before if after == "`" else after
    return not (inner.isalnum() or inner in "\\`_")


def _in_words(text: str, change: Callable[[str], str]) -> str:
    """Each word outside of what was put aside; a word ends at white space and where something was put aside."""
    return re.sub(
        "\x00\\d+\x00|[^\\s\x00]+", lambda found: found[0] if found[0][0] == "\x00" else change(found[0]), text
    )


def _plainly_written(text: str) -> str:
    """Entities, escapes and characters without a shape are taken out of a line, where they could hide an address."""
    for _ in range(UNESCAPES_MAX):
        plain = _unescaped(text)
        if plain == text:
            break
        text = plain
    else:
        text = text.replace("&", "& ")
    text = _LINE_ENDS.sub(" ", text).replace("`", "'")
    for changed in (_UNSEEN.sub("", text), _ESCAPED.sub(r"\1", text), _ESCAPED.sub(r"\1", _UNSEEN.sub("", text))):
        if _extent(changed) > _extent(text):
            text = changed.replace("`", "'")
    return text


def _unescaped(text: str) -> str:
    """Entities as what they stand for, around what was put aside, whose marks would not outlive it."""
    return "".join(
        piece if piece.startswith("\x00") else html.unescape(piece).replace("\x00", "")
        for piece in re.split("(\x00\\d+\x00)", text)
    )


def _plain_length(text: str) -> int:
    """How much of the beginning of a line is whole words that nothing behind them can change."""
    whole = _LAST_WORD.sub("", text)
    end = 0
    for word in _SPACE_AND_WORD.finditer(whole):
        if is_doubtful(word[0]):
            break
        end = word.end()
    return end


def _begin_of(word: str) -> int | None:
    """Where in a word an address begins. One of no reasonable length is taken for one as a whole."""
    if not _HINT.search(word):
        return None
    if len(word) > ADDRESS_CHARACTERS_MAX:
        return 0
    found = _BEGINS.search(word)
    return None if found is None else found.start()


def _extent(text: str) -> int:
    """How many characters of it are of addresses."""
    begins = ((word, _begin_of(word)) for word in text.split())
    return sum(len(word) - begin for word, begin in begins if begin is not None)


def _count(text: str) -> int:
    """How many words have an address in them."""
    return sum(_begin_of(word) is not None for word in text.split()) if _HINT.search(text) else 0


def _addresses(text: str) -> Iterator[str]:
    for word in text.split():
        if _HINT.search(word):
            for found in islice(_BEGINS.finditer(word[:ADDRESS_CHARACTERS_MAX]), CUTS_MAX):
                whole = word[found.start() : ADDRESS_CHARACTERS_MAX]
                yield _trimmed(whole)
                for cut in islice(_CUTS.finditer(whole), CUTS_MAX):
                    yield _trimmed(whole[: cut.start()])


def _trimmed(address: str) -> str:
    """Without the marks behind it that belong to the sentence."""
    return address.rstrip(_ENDS)


def _key(address: str) -> str:
    """What two spellings of the same address have in common: http or https, the host in small letters."""
    scheme, slashes, rest = address.partition("://")
    if not slashes or scheme.casefold() not in ("http", "https"):
        rest = address
    place = re.search(r"[/?#]", rest)
    host, path = (rest, "") if place is None else (rest[: place.start()], rest[place.start() :])
    return host.casefold() + (path if path != "/" else "")


def _shown(address: str) -> str:
    """As it is shown in code: with its host as it is called, so that no letter passes for another."""
    shown = _UNSEEN.sub("", "".join(address.split())).replace("`", "%60").replace("|", "%7C")
    shown = "".join(letter for letter in shown if letter.isprintable())
    if not shown.isascii():
        found = re.match(
            r"(?P<before>(?:[a-zA-Z][a-zA-Z0-9+.-]*:/*)?(?:[^/?#@]*@)?)(?P<host>[^/?#:]*)(?P<after>.*)$", shown
        )
        if found is not None and not found["host"].isascii():
            host = ".".join(_punycode(label) for label in found["host"].split("."))
            shown = f"{found['before']}{host}{found['after']}"
    return shown if len(shown) <= SHOWN_CHARACTERS_MAX else f"{shown[:SHOWN_CHARACTERS_MAX]}…"


def _punycode(label: str) -> str:
    """See RFC 3492 and RFC 5891, 4.4. One that no name may have is shown all the same."""
    return label if label.isascii() else f"xn--{label.casefold().encode('punycode').decode()}"


def _fits(host: str, entry: str) -> bool:
    return host.endswith(entry[1:].casefold()) if entry.startswith("*.") else host == entry.casefold()
