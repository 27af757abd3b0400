"""Cutting long Markdown: nothing is lost, no piece is too long, no code block is left open."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.markdown import split

FENCES = st.sampled_from(["```", "```python", "~~~", "````", "  ```", "``` not a closer"])
LINES = st.one_of(st.text("abc .\n", max_size=80), FENCES, st.text(max_size=40))
TEXTS = st.lists(LINES, max_size=60).map("\n".join)


@given(TEXTS, st.integers(200, 500))
def test_no_piece_is_too_long(text: str, most: int) -> None:
    assert all(len(piece) <= most for piece in split(text, most))


@given(st.text("abc .\n", max_size=3_000), st.integers(200, 500))
def test_without_code_the_pieces_put_together_are_the_text(text: str, most: int) -> None:
    joined = "".join(split(text, most))
    assert joined.split() == text.split()


@given(TEXTS, st.integers(200, 500))
def test_no_letter_is_lost(text: str, most: int) -> None:
    # What is added are fences alone, so that the text is there in its order.
    joined = iter("".join(split(text, most)))
    assert all(letter in joined for letter in text.strip())


@given(st.integers(1, 400), st.integers(200, 600), st.sampled_from(["```", "~~~", "```python"]))
def test_a_code_block_that_is_cut_is_closed_and_opened_again(lines: int, most: int, fence: str) -> None:
    mark = fence[:3]
    code = "\n".join(f"line {number:05}" for number in range(lines))
    pieces = split(f"Before.\n\n{fence}\n{code}\n{mark}\n\nAfter.", most)
    for piece in pieces:
        assert sum(line.startswith(mark) for line in piece.splitlines()) % 2 == 0
    assert re.findall(r"line \d+", "".join(pieces)) == code.splitlines()


def test_the_cut_is_between_paragraphs_where_there_is_one() -> None:
    first, second = "one " * 40, "two " * 40
    assert split(f"{first.strip()}\n\n{second.strip()}", 220) == (f"{first.strip()}\n\n", second.strip())


def test_a_word_longer_than_a_piece_is_cut_all_the_same() -> None:
    assert "".join(split("x" * 1_000, 300)) == "x" * 1_000


def test_a_short_text_is_one_piece() -> None:
    assert split("short", 200) == ("short",)
    assert split("", 200) == ("",)


def test_too_little_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 200"):
        split("x", 199)
