"""A reply as Slack's messages: their blocks, their marks, and the marks read back. Pure.

Sources: docs.slack.dev, "Markdown block", "Context actions block", "Block elements", "Message metadata".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.platforms.base import Button, Footer, Reply
from bot.platforms.markdown import piece_at
from bot.sentences import Sentences
from ledger.pseudonyms import TurnId

Payload: TypeAlias = Mapping[str, Any]
"""JSON as Slack sends it."""

PIECE_CHARACTERS_MAX = 10_000
"""A markdown block takes 12,000, and a whole message fails near 13,200."""

FALLBACK_CHARACTERS_MAX = 1_000
"""The text that a notification shows."""

PRIVATE_PIECES_MAX = 5
"""A response_url takes five posts."""

LABEL_CHARACTERS_MAX = 75
VALUE_CHARACTERS_MAX = 2_000
BUTTONS_MAX = 25

METADATA_TYPE = "carpool_reply"
SAY = "carpool_say"
"""How the action_id of each button of ours begins: pressing it is saying its value."""

THUMBS = ("good", "bad")
TOO_LONG_FOR_PRIVATE = "_The rest is longer than Slack shows privately: ask me in a direct message for all of it._"

# Slack would make a notification of these wherever they stand in a text.
_CALLS = re.compile(r"<(?=[!@#][A-Za-z])")

Block: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a reply, the ``number``-th, from 1. ``end`` is how much of the reply's text it and those before it hold.

    ``under`` stands below the text: the footer and the buttons of the last piece.
    """

    text: str
    number: int
    end: int
    last: bool
    under: tuple[Block, ...] = ()

    @property
    def fallback(self) -> str:
        return fallback_of(self.text)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return ({"type": "markdown", "text": self.text}, *self.under)

    def metadata(self, turn: TurnId, part: int) -> dict[str, Any]:
        return marks_of(turn, part, self.number, self.end, self.last)


@dataclass(frozen=True, slots=True)
class Posted:
    """A message of ours in a thread. ``number`` and ``end`` as in ``Piece``; ``number`` 0 where it has no marks, because it
    was still being written."""

    ts: str
    text: str
    number: int = 0
    end: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a thread shows of a reply: finished pieces in order, messages left unfinished, and names and sizes of files."""

    pieces: tuple[Posted, ...] = ()
    unfinished: tuple[Posted, ...] = ()
    files: tuple[tuple[str, int], ...] = ()

    @property
    def whole(self) -> bool:
        return bool(self.pieces) and self.pieces[-1].last and not self.unfinished


def marks_of(turn: TurnId, part: int, number: int, end: int, last: bool) -> dict[str, Any]:
    """``pieces`` is how many there are at least: one more than this, where this is not the last."""
    marks = {"turn": str(turn), "part": part, "piece": number, "pieces": number + (not last), "end": end}
    return {"event_type": METADATA_TYPE, "event_payload": marks}


def fallback_of(text: str) -> str:
    """What a notification shows of a message."""
    return escape(text[:FALLBACK_CHARACTERS_MAX])


def open_marks(turn: TurnId, part: int) -> dict[str, Any]:
    """Of a message whose text is not finished."""
    return marks_of(turn, part, 0, 0, last=False)


def escape(text: str) -> str:
    """For fields that Slack reads as its own markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def defuse(text: str) -> str:
    """For Markdown, where entities would show in code: what would call people gets a mark without width in it.

    Half a pair of surrogates, which is no text, becomes a question mark.
    """
    return _CALLS.sub("<\u200b", text.encode(errors="replace").decode())


def text_of(reply: Reply) -> str:
    return defuse(reply.text) or "(empty)"


def piece_of(reply: Reply, text: str, start: int, number: int, shown: int = 0) -> Piece:
    """The piece of the reply's ``text`` that begins at ``start``."""
    piece, end = piece_at(text, start, PIECE_CHARACTERS_MAX, shown)
    last = end >= len(text)
    return Piece(piece, number, end, last, under(reply) if last else ())


def pieces_of(reply: Reply, pieces_max: int, say: Sentences) -> tuple[Piece, ...]:
    """The whole reply; ``pieces_max`` cuts it, and says so."""
    text, pieces, end = text_of(reply), list[Piece](), 0
    while not pieces or not pieces[-1].last:
        piece = piece_of(reply, text, end, len(pieces) + 1)
        if len(pieces) + 1 == pieces_max and not piece.last:
            cut = Piece(f"{piece.text}\n\n{say(TOO_LONG_FOR_PRIVATE)}", piece.number, piece.end, True, under(reply))
            return (*pieces, cut)
        pieces.append(piece)
        end = piece.end
    return tuple(pieces)


def under(reply: Reply) -> tuple[Block, ...]:
    thumbs = {_word(button): button for button in reply.buttons if _word(button) in THUMBS}
    if len(thumbs) < len(THUMBS):
        thumbs = {}
    plain = [button for button in reply.buttons if button not in thumbs.values()]
    return (
        *([] if reply.footer is None else [_footer(reply.footer)]),
        *([_actions(plain[:BUTTONS_MAX])] if plain else []),
        *([_feedback(thumbs["good"], thumbs["bad"])] if thumbs else []),
    )


def _word(button: Button) -> str:
    return button.invocation.partition(" ")[0]


def _footer(footer: Footer) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": escape(footer.line)}]}


def _actions(buttons: Sequence[Button]) -> Block:
    return {"type": "actions", "elements": [_button(button, number) for number, button in enumerate(buttons)]}


def _button(button: Button, number: int) -> Block:
    made = {"type": "button", "action_id": f"{SAY}_{number}", **_labelled(button)}
    return made if button.style == "plain" else {**made, "style": button.style}


def _feedback(good: Button, bad: Button) -> Block:
    element = {
        "type": "feedback_buttons",
        "action_id": f"{SAY}_thumb",
        "positive_button": _labelled(good),
        "negative_button": _labelled(bad),
    }
    return {"type": "context_actions", "elements": [element]}


def _labelled(button: Button) -> Block:
    label = {"type": "plain_text", "text": button.label[:LABEL_CHARACTERS_MAX]}
    return {"text": label, "value": button.invocation[:VALUE_CHARACTERS_MAX]}


def see(messages: Iterable[Payload], ours: str, turn: TurnId, part: int, busy: frozenset[str]) -> Seen:
    """What these messages of a thread show of a reply. ``ours`` is the bot's user id; ``busy`` are messages that are being
    written for others at this moment.

    Each finished message of ours carries its marks, so one without any was being written when its writer died. Turns of a
    thread follow each other: it is of this one, and of its answer, which is the first part.
    """
    finished: dict[int, Posted] = {}
    unfinished: list[Posted] = []
    files: list[tuple[str, int]] = []
    for message in messages:
        # Another app could mark a message of its own like this.
        if ours and message.get("user") not in (ours, None):
            continue
        marks = _marks(message)
        ts = str(message.get("ts") or "")
        if message.get("files"):
            files += [(str(item.get("name")), int(item.get("size") or 0)) for item in message["files"]]
        elif not marks:
            if ours and message.get("user") == ours and ts not in busy and part == 1:
                unfinished.append(Posted(ts, shown_text(message)))
        elif marks.get("turn") == turn and marks.get("part") == part:
            number, of = int(marks.get("piece") or 0), int(marks.get("pieces") or 0)
            posted = Posted(ts, shown_text(message), number, int(marks.get("end") or 0), number == of)
            if number:
                finished[number] = posted
            else:
                unfinished.append(posted)
    in_order: list[Posted] = []
    while (piece := finished.get(len(in_order) + 1)) is not None:
        in_order.append(piece)
    return Seen(tuple(in_order), tuple(unfinished), tuple(files))


def _marks(message: Payload) -> Payload:
    metadata = message.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("event_type") != METADATA_TYPE:
        return {}
    marks = metadata.get("event_payload")
    return marks if isinstance(marks, Mapping) else {}


def shown_text(message: Payload) -> str:
    """What a message of ours says, as Markdown."""
    blocks = message.get("blocks") or ()
    texts = [
        str(block.get("text")) for block in blocks if isinstance(block, Mapping) and block.get("type") == "markdown"
    ]
    return "".join(texts) or str(message.get("text") or "")
