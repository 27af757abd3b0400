"""A reply as Slack's messages, and how they are recognised, without a network."""

import random

import pytest

from bot.platforms.base import Button, Footer, Reply
from bot.platforms.markdown import close_fence, piece_at, piece_between
from bot.platforms.slack_pieces import (
    FALLBACK_CHARACTERS_MAX,
    PIECE_CHARACTERS_MAX,
    Posted,
    Seen,
    defuse,
    open_marks,
    pieces_of,
    see,
    under,
)
from bot.sentences import ENGLISH
from ledger.pseudonyms import TurnId

TURN, OTHER = TurnId("t-0"), TurnId("t-1")
MANY = 100


@pytest.mark.parametrize("text", ["<!channel>", "<!here|x>", "<@U1>", "<#C1|general>"])
def test_nothing_that_calls_people_is_left_as_it_was(text: str) -> None:
    assert text not in defuse(text)
    assert defuse("a < b <https://example.org> <- c") == "a < b <https://example.org> <- c"


def test_each_piece_says_which_it_is_and_the_footer_stands_under_the_last() -> None:
    reply = Reply("answer", "word " * 5_000, Footer("a/m", "chosen", "free", TURN))
    pieces = pieces_of(reply, MANY, ENGLISH)
    assert [(piece.number, piece.last, len(piece.blocks)) for piece in pieces] == [
        (1, False, 1),
        (2, False, 1),
        (3, True, 2),
    ]
    assert all(len(str(piece.blocks[0]["text"])) <= PIECE_CHARACTERS_MAX for piece in pieces)
    assert all(len(piece.fallback) <= FALLBACK_CHARACTERS_MAX for piece in pieces)
    assert pieces[-1].end == len(reply.text)


def posted(number: int, *, user: str = "UBOT", turn: TurnId = TURN, part: int = 1) -> dict[str, object]:
    piece = pieces_of(Reply("answer", "word " * 5_000), MANY, ENGLISH)[number - 1]
    return {"user": user, "ts": f"{number}.0", "text": piece.text, "metadata": piece.metadata(turn, part)}


def seen(*messages: dict[str, object], busy: frozenset[str] = frozenset(), part: int = 1) -> Seen:
    return see(messages, "UBOT", TURN, part, busy)


def test_pieces_are_recognised_by_their_marks_and_only_ours() -> None:
    assert seen(posted(1), posted(2), posted(3)).whole
    for lacking in ((), (posted(1),), (posted(1), posted(2)), (posted(2), posted(3)), (posted(1), posted(3))):
        assert not seen(*lacking).whole
    strangers = (posted(3, user="UEVIL"), posted(3, turn=OTHER), posted(3, part=2))
    for stranger in strangers:
        assert not seen(posted(1), posted(2), stranger).whole
    assert seen({"user": "UEVIL"}, {"metadata": "x", "user": "UEVIL"}) == Seen()


def test_a_message_of_ours_without_marks_was_left_unfinished() -> None:
    half: dict[str, object] = {"user": "UBOT", "ts": "5.0", "text": "half"}
    assert seen(half).unfinished == (Posted("5.0", "half"),)
    assert seen({**half, "metadata": open_marks(TURN, 1)}).unfinished == (Posted("5.0", "half", 0, 0, False),)
    # It is no part of what is asked or said beside the answer, of another turn, or being written now.
    assert seen(half, part=1_001) == seen({**half, "metadata": open_marks(OTHER, 1)}) == Seen()
    assert seen(half, busy=frozenset({"5.0"})) == seen({**half, "user": "U1"}) == Seen()


def test_an_empty_reply_is_still_a_message() -> None:
    assert pieces_of(Reply("command", ""), MANY, ENGLISH)[0].text == "(empty)"


def test_thumbs_stand_by_themselves_and_each_other_button_has_its_own_name() -> None:
    buttons = [Button("Why", "why t"), Button("Good", "good t"), Button("Bad", "bad t"), Button("Do", "do", "primary")]
    actions, thumbs = under(Reply("answer", "x", buttons=tuple(buttons)))
    assert [element["value"] for element in actions["elements"]] == ["why t", "do"]
    assert len({element["action_id"] for element in actions["elements"]}) == 2
    assert ["style" in element for element in actions["elements"]] == [False, True]
    assert thumbs["type"] == "context_actions"
    (alone,) = under(Reply("answer", "x", buttons=(buttons[1],)))
    assert alone["type"] == "actions"


def grown(text: str, random_: random.Random) -> list[str]:
    """The pieces of a text that was shown while it grew, by steps of any size."""
    pieces, start, shown, size = list[str](), 0, 0, 0
    while start < len(text):
        size = min(len(text), max(size, start) + random_.randint(1, 400))
        piece, end = piece_at(text[:size], start, 300, shown - start)
        if end < size:
            assert end >= shown
            pieces.append(piece)
            start = shown = end
        elif size == len(text):
            pieces.append(piece)
            start = end
        else:
            shown = min(end, start + 230)
    return pieces


@pytest.mark.parametrize("seed", range(30))
def test_a_text_that_is_cut_while_it_grows_is_whole_in_its_pieces(seed: int) -> None:
    random_ = random.Random(seed)
    words = [random_.choice(["word", "a", "Sentence.", "\n", "\n\n", "x" * 60]) for _ in range(400)]
    text = " ".join(words).strip()
    pieces = grown(text, random_)
    assert "".join(pieces) == text
    assert all(len(piece) <= 300 for piece in pieces)


def test_a_code_block_is_closed_and_opened_again_wherever_it_is_cut() -> None:
    text = "Here:\n```python\nprint(1)\nprint(2)\n```\nDone."
    cut = text.index("print(2)")
    assert piece_between(text, 0, cut) == "Here:\n```python\nprint(1)\n```"
    assert piece_between(text, cut, len(text)) == "```python\nprint(2)\n```\nDone."
    assert close_fence("```\nx") == "```\nx\n```"
    assert close_fence("x") == "x"
