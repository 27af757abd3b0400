"""Lines broken between words while text still comes in; nothing harmful reaches a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bot.platforms.terminal_screen import harmless
from bot.platforms.wrapping import Wrapper

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=12), max_size=40).map(" ".join)


def wrapped(text: str, width: int, cuts: list[int] | None = None) -> str:
    wrapper = Wrapper(width, cell_len)
    places = sorted({cut % (len(text) + 1) for cut in cuts or []})
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    return "".join(wrapper.feed(piece) for piece in pieces) + wrapper.end()


@given(WORDS, st.integers(12, 60), st.lists(st.integers(0, 500), max_size=8))
def test_no_line_is_too_long_and_only_line_breaks_are_added(text: str, width: int, cuts: list[int]) -> None:
    shown = wrapped(text, width, cuts)
    assert shown.replace("\n", "") == text
    assert all(len(line.rstrip()) <= width for line in shown.split("\n"))


@given(WORDS, st.integers(12, 60), st.lists(st.integers(0, 500), max_size=8))
def test_it_does_not_matter_how_the_text_comes_in(text: str, width: int, cuts: list[int]) -> None:
    assert wrapped(text, width, cuts) == wrapped(text, width)


def test_code_is_left_as_it_is() -> None:
    text = "See:\n```\n" + "x " * 40 + "\n```\nand then some more words than fit"
    shown = wrapped(text, 20)
    assert "x " * 40 in shown
    assert "and then some more\nwords than fit" in shown.replace(" \n", "\n")


def test_signs_that_are_two_columns_wide_count_twice() -> None:
    assert wrapped("漢字 漢字 漢字", 10) == "漢字 漢字 \n漢字"


@pytest.mark.parametrize("bad", ["\x1b[31m", "\x07", "\x00", "\x9b", "\u202e", "\u2066", "\ud800", "\r", "\x08"])
def test_control_characters_do_not_reach_a_terminal(bad: str) -> None:
    assert bad[0] not in harmless(f"a{bad}b")


def test_what_a_text_needs_is_left() -> None:
    text = "Tab\tand\nlines, ünïcödé, 漢字, 😀, العربية"
    assert harmless(text) == text
    assert harmless("a\r\nb") == "a\nb"
