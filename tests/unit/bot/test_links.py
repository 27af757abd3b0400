"""Which addresses of an answer stay links, and that no way of writing one, and no cut of the stream, gets around it."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.links import LinkFilter, Links, is_doubtful, known_in, safe

READ = (
    "See https://good.example/page?a=1. Or [x](https://good.example/x), <https://good.example/y> and mail ann@good.example;"
    ' {"html_url": "https://good.example/issues/7", "b": 1} https://good.example/K%C3%B6ln https://gööd.example/z'
)
LINKS = Links(known_in([READ]), ("img.example", "*.pics.example"))
EVIL = "https://evil.example/?q=secret"


@pytest.mark.parametrize(
    "text",
    [
        "Plain words, e.g. of 3.5 € at 12:30; and/or more: fine!",
        "See https://good.example/page?a=1.",
        "**https://good.example/page?a=1**, (https://good.example/x)",
        "[here](https://good.example/issues/7)",
        "<https://good.example/y>",
        "Write to ann@good.example.",
        "![a picture](https://img.example/a.png) ![b](https://a.pics.example/b.png)",
        "`https://evil.example/?q=secret`",
        "```python\nfetch('https://evil.example')\n```\nDone.",
        "Use os.path, README.md and Node.js.",
        "http://GOOD.example/x and good.example/x",
        "- [ ] a task\n- [x] done",
    ],
)
def test_what_carries_nothing_out_stays_as_it_is(text: str) -> None:
    assert safe(text, LINKS) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"[click]({EVIL})", f"click (`{EVIL}`)"),
        (f"![chart]({EVIL})", f"chart (`{EVIL}`)"),
        (f"![]({EVIL})", f"`{EVIL}`"),
        ("![a](https://good.example/x)", "a (`https://good.example/x`)"),
        ("![a](http://img.example/a.png)", "a (`http://img.example/a.png`)"),
        ("![a](https://img.example.evil.example/a.png)", "a (`https://img.example.evil.example/a.png`)"),
        ("![a](https://img.example@evil.example/a.png)", "a (`https://img.example@evil.example/a.png`)"),
        (f"[a][r]\n\n[r]: {EVIL}", f"[a][r]\n\n[r] : `{EVIL}`"),
        (f"[r]:\n{EVIL}\n[a][r]", f"[r] :\n`{EVIL}`\n[a][r]"),
        (f"<{EVIL}>", f"`{EVIL}`"),
        (f"<{EVIL}|here>", f"here (`{EVIL}`)"),
        (f"[a](<{EVIL}>)", f"a (`{EVIL}`)"),
        (f'[a]({EVIL} "title")', f"a (`{EVIL}`)"),
        (f"see {EVIL}.", f"see `{EVIL}`."),
        (f"[a\nb]({EVIL})", f"[a\nb] (`{EVIL}`)"),
        (f"[a](\n{EVIL})", f"[a] (\n`{EVIL}`)"),
        (f"[`a`]({EVIL})", f"`a` (`{EVIL}`)"),
        (f"[![a]({EVIL})](https://good.example/x)", f"a (`{EVIL}`) (`https://good.example/x`)"),
        (f'<img src="{EVIL}">', f'< img src="`{EVIL}`">'),
        (f"<a\nhref={EVIL}>x</a>", f"< a\nhref=`{EVIL}>x<` /a>"),
        ("[a](javascript:alert(1))", "a (`javascript:alert(1)`)"),
        ("![a](data:image/png;base64,c2VjcmV0)", "a (`data:image/png;base64,c2VjcmV0`)"),
        ("[a](//evil.example/secret)", "a (`//evil.example/secret`)"),
        ("evil.example/secret and www.evil.example", "`evil.example/secret` and `www.evil.example`"),
        ("secret.evil.example", "`secret.evil.example`"),
        ("203.0.113.7/secret", "`203.0.113.7/secret`"),
        ("secret@evil.example", "`secret@evil.example`"),
        ("mailto:a@evil.example?body=secret", "`mailto:a@evil.example?body=secret`"),
        ("https://good.example/x?secret", "`https://good.example/x?secret`"),
        ("https://good.example/page?a=1|secret", "`https://good.example/page?a=1%7Csecret`"),
        ("https://good.example/pag", "`https://good.example/pag`"),
        ("[https://good.example/x](https://good.example/y)", "https://good.example/x (`https://good.example/y`)"),
        ("https://еvil.example/a", "`https://xn--vil-qdd.example/a`"),
        ("[a](https://gööd.example/z)", "a (`https://xn--gd-fkaa.example/z`)"),
        (f"\\{EVIL}", f"\\ `{EVIL}`"),
        ("https:\\/\\/evil.example/x", "`https://evil.example/x`"),
        ("&#104;ttps://evil.example/x", "`https://evil.example/x`"),
        ("&amp;#104;ttps://evil.example/x", "`https://evil.example/x`"),
        ("ht\u200btps://evil.example/x", "`https://evil.example/x`"),
        (f"` {EVIL}", f"' `{EVIL}`"),
        (f"\\`{EVIL}\\`", f"\\'`{EVIL}\\`'"),
        (f"a ` b\n{EVIL} ` c", f"a ' b\n`{EVIL}` ' c"),
        (f"~~~\n```\n~~~\n{EVIL}", f"```\n(empty)\n```\n```\n{EVIL}\n```"),
        (f"- a\n  ```\n{EVIL}\n  ```\n{EVIL}", f"- a\n```\n{EVIL}\n```\n`{EVIL}`"),
        (f"```\na ``` {EVIL}\n```", f"```\na ''' {EVIL}\n```"),
        (f"```{EVIL}\nx\n```", "```\nx\n```"),
        (f"| `{EVIL}|` | {EVIL}| |", f"| `{EVIL}\u2502` | `{EVIL}`| |"),
        ("x" * 5_000 + ".evil.example/x", "`" + "x" * 300 + "…`"),
    ],
)
def test_an_address_that_was_not_read_is_shown_and_no_link(text: str, shown: str) -> None:
    assert safe(text, LINKS) == shown


def test_nothing_is_known_where_nothing_was_read() -> None:
    assert safe("https://good.example/x", Links(frozenset())) == "`https://good.example/x`"


PIECES = st.sampled_from(
    [
        *"[]()<>!`\\|~*_:/ \n-a",
        *(
            "](",
            "]:",
            "![",
            "```",
            "~~~",
            "``",
            "\n```\n",
            "\n~~~\n",
            "    ",
            "&#104;",
            "&lt;",
            "&amp;",
            "<img src=",
            "<a href=",
        ),
        *(
            "https://evil.example/s",
            "ttps://evil.example/s",
            "evil.example/s",
            "//evil.example/s",
            "> ",
            "- ",
            "\r",
            "\u200b",
        ),
        *(
            "https://good.example/x",
            "[a](https://evil.example/s)",
            "![a](https://evil.example/s)",
            "[r]: https://evil.example/s",
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def active_in_commonmark(text: str) -> list[str]:
    """What CommonMark, with tables, makes of a text but code: links, images, HTML, and addresses in what is left."""
    found: list[str] = []
    for block in MARKDOWN.parse(text):
        if block.type == "html_block":
            found += re.findall("<[A-Za-z/!?][^>]*", block.content)
        said = ""
        for token in block.children or ():
            found += [str(token.attrs[name]) for name in ("href", "src") if name in token.attrs]
            found += [token.content] if token.type == "html_inline" else []
            said += " " if token.type == "code_inline" else "\n" if token.type == "softbreak" else token.content
        found += re.findall(r"\w+://\S+|evil\.example/\S+", said)
    return [one for one in found if "evil" in one]


def active_in_discord(text: str) -> list[str]:
    """What is left where blocks and runs of code are taken out as Discord does it: anywhere in a line, and over lines."""
    rest = re.sub(r"```(?:[a-z0-9_+.#-]+?\n)?\n*[^\n][\s\S]*?\n*```", " ", text, flags=re.IGNORECASE)
    rest = re.sub(r"(`+)([\s\S]*?[^`])\1(?!`)", " ", rest)
    return re.findall(r"\S*evil\.example\S*", rest)


@settings(max_examples=400, deadline=None)
@example("[a][r]\n\n[r]: https://evil.example/s")
@example("a `\nhttps://evil.example/s ` b")
@given(TEXTS)
def test_no_way_of_writing_an_address_makes_a_link_of_it(text: str) -> None:
    shown = safe(text, LINKS)
    assert active_in_commonmark(shown) == []
    assert active_in_discord(shown) == []


def test_the_judges_see_what_is_active() -> None:
    for text in (
        "[a](https://evil.example/s)",
        "https://evil.example/s",
        "![a](https://evil.example/s)",
        "<img src=evil>",
    ):
        assert active_in_commonmark(text)
    assert active_in_discord("` https://evil.example/s")


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 200), max_size=6))
def test_however_a_text_is_cut_it_comes_out_the_same(text: str, cuts: list[int]) -> None:
    one, said, start = LinkFilter(LINKS), "", 0
    for cut in sorted(cuts):
        said += one.feed(text[start:cut])
        start = max(start, cut)
    said += one.feed(text[start:]) + one.end()
    assert said == safe(text, LINKS)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abc .,;!?\n3/-", max_size=60))
def test_a_text_in_which_nothing_is_doubtful_is_left_alone(text: str) -> None:
    if not is_doubtful(text):
        assert safe(text, LINKS) == text


def test_words_are_shown_as_they_come_and_a_line_with_a_link_when_it_is_whole() -> None:
    one = LinkFilter(LINKS)
    assert one.feed("Hello the") == "Hello"
    assert one.feed("re [a](https://evil.exa") == " there"
    assert one.feed("mple/x) and") == ""
    assert one.feed(" more\nNext li") == " a (`https://evil.example/x`) and more\nNext"
    assert one.end() == " li"


@pytest.mark.parametrize(
    "text", ["a." * 50_000, "[![a]" * 10_000, "`a" * 20_000, "](" * 20_000, "a@" * 50_000, "&amp;" * 9_000]
)
@pytest.mark.timeout(30)
def test_no_text_takes_for_ever(text: str) -> None:
    assert known_in([text]) is not None
    assert safe(text[:20_000], LINKS)
