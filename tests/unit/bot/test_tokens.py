"""How many tokens a message may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import Image, Message, Text
from bot.tokens import CEILING, FAVOUR, ROOM, tokens_in, tokens_in_text


@pytest.mark.parametrize(
    ("text", "tokens"), [("7" * 600, 605), ("?!" * 300, 545), ("x7Kq" * 150, 605)], ids=["digits", "signs", "mixed"]
)
def test_what_is_held_for_is_no_less_than_what_a_tokenizer_makes(text: str, tokens: int) -> None:
    # Measured with SmolLM2's tokenizer, in a message of a user's.
    assert tokens_in(Message("user", (Text(text),)), CEILING) >= tokens > tokens_in(Message("user", (Text(text),)))


@given(st.text())
def test_a_text_has_no_more_tokens_than_bytes_and_whoever_pays_is_favoured(text: str) -> None:
    favour, room, most = (tokens_in_text(text, by) for by in (FAVOUR, ROOM, CEILING))
    assert favour <= room <= most
    assert most > len(text.encode())


def test_a_picture_is_held_for_at_what_the_dearest_model_makes_of_it() -> None:
    picture = Message("user", (Image("image/png", b"x"),))
    assert tokens_in(picture, CEILING) > 6_404
    assert tokens_in(picture, FAVOUR) == 85
