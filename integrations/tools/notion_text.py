"""Notion's blocks and rich text as Markdown, and back. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from integrations.tools.base import Invalid
from integrations.tools.notion_client import Thing

TEXT_UNITS_MAX = 2_000
"""The longest content of one rich text, in the units of UTF-16 that Notion counts: most emoji are two."""
RICH_TEXTS_MAX = 100
BLOCKS_MAX = 99
"""The most blocks of one write: a request takes 100, and one of them is its mark."""

LANGUAGES = frozenset(
    {
        "bash",
        "c",
        "c++",
        "css",
        "diff",
        "docker",
        "go",
        "graphql",
        "haskell",
        "html",
        "java",
        "javascript",
        "json",
        "kotlin",
        "lua",
        "makefile",
        "markdown",
        "perl",
        "php",
        "powershell",
        "python",
        "r",
        "ruby",
        "rust",
        "scala",
        "shell",
        "sql",
        "swift",
        "typescript",
        "xml",
        "yaml",
    }
)
PLAIN = "plain text"
_PREFIXES = {
    "paragraph": "",
    "heading_1": "# ",
    "heading_2": "## ",
    "heading_3": "### ",
    "bulleted_list_item": "- ",
    "numbered_list_item": "1. ",
    "toggle": "- ",
    "quote": "> ",
    "callout": "> ",
}
_FILES = frozenset({"image", "video", "file", "pdf", "audio"})
_LINKS = frozenset({"bookmark", "embed", "link_preview"})
_NO_LINE = frozenset({"column_list", "column", "synced_block", "table"})
_BEGINNINGS = (
    (re.compile(r"### (.+)"), "heading_3"),
    (re.compile(r"## (.+)"), "heading_2"),
    (re.compile(r"# (.+)"), "heading_1"),
    (re.compile(r"[-*] (.+)"), "bulleted_list_item"),
    (re.compile(r"\d{1,9}[.)] (.+)"), "numbered_list_item"),
    (re.compile(r"> ?(.*)"), "quote"),
)
_TO_DO = re.compile(r"[-*] \[([ xX])\] (.+)")
_FENCE = re.compile(r"(`{3,}) *([A-Za-z0-9+#-]*) *")
_INLINE = re.compile(
    r"`(?P<code>[^`\n]+)`|\*\*(?P<bold>[^*\n]+)\*\*|\*(?P<italic>[^*\s][^*\n]*)\*"
    r"|\[(?P<label>[^\]\n]{1,1000})\]\((?P<url>https?://[^\s()]{1,1990})\)"
)


def identity(given: str) -> str:
    """The id in an id or an address of Notion's. Raises ``Invalid``."""
    last = urlsplit(given).path.rsplit("/", 1)[-1] if "/" in given else given
    found = re.search(r"[0-9a-f]{32}$", last.replace("-", "").casefold())
    if found is None:
        raise Invalid("no id of Notion's", "This has to be an id or an address of Notion's.")
    return str(UUID(found[0]))


def plain(rich: Iterable[Thing]) -> str:
    return "".join(part["plain_text"] for part in rich)


def marked(rich: Iterable[Thing]) -> str:
    """As Markdown."""
    return "".join(map(_part, rich))


def _part(part: Thing) -> str:
    text: str = part["plain_text"]
    styles, link = part.get("annotations") or {}, part.get("href")
    if not text.strip():
        return text
    if styles.get("code"):
        text = f"`{text}`"
    if styles.get("strikethrough"):
        text = f"~~{text}~~"
    if styles.get("italic"):
        text = f"*{text}*"
    if styles.get("bold"):
        text = f"**{text}**"
    return f"[{text}]({link})" if link else text


def lines_of(block: Thing, indent: str) -> list[str]:
    """A block without what is in it."""
    kind: str = block["type"]
    if kind in _NO_LINE:
        return []
    text = _line(kind, block.get(kind) or {}, block)
    return [f"{indent}{line}" for line in text.split("\n")]


def _line(kind: str, about: Thing, block: Thing) -> str:
    if kind in _PREFIXES:
        return f"{_PREFIXES[kind]}{marked(about['rich_text'])}"
    match kind:
        case "to_do":
            return f"- [{'x' if about['checked'] else ' '}] {marked(about['rich_text'])}"
        case "code":
            return f"```{about['language']}\n{plain(about['rich_text'])}\n```"
        case "divider":
            return "---"
        case "equation":
            return f"$${about['expression']}$$"
        case "table_row":
            return "| " + " | ".join(marked(cell) for cell in about["cells"]) + " |"
        case "child_page" | "child_database":
            return f"[{kind.replace('_', ' ')}: {about['title']} ({block['id']})]"
        case _ if kind in _LINKS:
            return f"[{kind}: {about['url']}]"
        case _ if kind in _FILES:
            # The address of a file that lies with Notion lets anybody in who has it.
            where = about["external"]["url"] if about.get("type") == "external" else "kept at Notion"
            return f"[{kind}: {where}] {marked(about.get('caption') or ())}".rstrip()
        case _ if about.get("rich_text"):  # of a kind that came later
            return marked(about["rich_text"])
        case _:
            return f"[{kind}]"


def blocks_of(text: str) -> list[Thing]:
    """Blocks of what Markdown says: headings, lists, to-dos, quotes, code, rules, paragraphs; bold, italic, code and links in
    them. Everything else stays as it is written. Raises ``Invalid`` where they are more than one request takes."""
    found: list[Thing] = []
    paragraph: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        block = _fenced(line, lines) or _of_line(line.strip())
        if not block and line.strip():
            paragraph.append(line.strip())
            continue
        found += _texts("paragraph", _inline("\n".join(paragraph))) if paragraph else []
        paragraph = []
        found += block
    found += _texts("paragraph", _inline("\n".join(paragraph))) if paragraph else []
    if len(found) > BLOCKS_MAX:
        raise Invalid(
            f"{len(found)} blocks", "At most {0} blocks are written at once; append the rest after that.", BLOCKS_MAX
        )
    return found


def _fenced(line: str, rest: Iterable[str]) -> list[Thing]:
    opened = _FENCE.fullmatch(line.strip())
    if opened is None:
        return []
    inside: list[str] = []
    for inner in rest:
        if inner.strip() == opened[1]:
            break
        inside.append(inner)
    language = opened[2].casefold()
    return _texts("code", _cut("\n".join(inside), {}, ""), {"language": language if language in LANGUAGES else PLAIN})


def _of_line(line: str) -> list[Thing]:
    if line in ("---", "***", "___"):
        return [{"type": "divider", "divider": {}}]
    if found := _TO_DO.fullmatch(line):
        return _texts("to_do", _inline(found[2]), {"checked": found[1] != " "})
    for pattern, kind in _BEGINNINGS:
        if found := pattern.fullmatch(line):
            return _texts(kind, _inline(found[1]))
    return []


def _texts(kind: str, rich: Sequence[Thing], more: Thing | None = None) -> list[Thing]:
    """One block, or as many as it takes."""
    starts = range(0, max(1, len(rich)), RICH_TEXTS_MAX)
    parts = [list(rich[start : start + RICH_TEXTS_MAX]) for start in starts]
    return [{"type": kind, kind: {"rich_text": part, **(more or {})}} for part in parts]


def rich_text(text: str) -> list[Thing]:
    """Text as it is, without any markup."""
    return _cut(text, {}, "")


def note(text: str) -> Thing:
    """A paragraph in grey."""
    return {"type": "paragraph", "paragraph": {"rich_text": _cut(text, {"color": "gray"}, "")}}


def _inline(text: str) -> list[Thing]:
    found: list[Thing] = []
    at = 0
    for match in _INLINE.finditer(text):
        found += _cut(text[at : match.start()], {}, "")
        at = match.end()
        style = match.lastgroup or ""
        if style == "url":
            found += _cut(match["label"], {}, match["url"])
        else:
            found += _cut(match[style], {style: True}, "")
    return found + _cut(text[at:], {}, "")


def _cut(text: str, styles: dict[str, Any], link: str) -> list[Thing]:
    found: list[Thing] = []
    for piece in _pieces(text):
        content = {"content": piece, **({"link": {"url": link}} if link else {})}
        found.append({"type": "text", "text": content, **({"annotations": styles} if styles else {})})
    return found


def _pieces(text: str) -> Iterable[str]:
    """Of at most so many units, and none of them ends within a letter."""
    start, units = 0, 0
    for at, letter in enumerate(text):
        size = 2 if ord(letter) > 0xFFFF else 1
        if units + size > TEXT_UNITS_MAX:
            yield text[start:at]
            start, units = at, 0
        units += size
    if start < len(text):
        yield text[start:]
