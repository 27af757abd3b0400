"""Cutting a long Markdown text into pieces that a platform takes. Nothing is lost."""

import re

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")

# Where a cut hurts least, in this order: between paragraphs, lines, sentences, words.
SEAMS = ("\n\n", "\n", ". ", " ")


def split(text: str, characters_max: int) -> tuple[str, ...]:
    """Pieces of at most ``characters_max``. A code block that is cut is closed in one piece and opened again in the next.

    But for those fences the pieces, put together, are the text. ``characters_max`` has to leave room for a fence: at
    least 200.
    """
    if characters_max < 200:
        raise ValueError("a piece has at least 200 characters")
    pieces: list[str] = []
    reopen = ""
    rest = text
    while len(reopen) + len(rest) > characters_max:
        # Room for the fence that may have to be closed.
        room = characters_max - len(reopen) - 40
        cut = _cut(rest, room)
        piece, rest = reopen + rest[:cut], rest[cut:]
        opener = _open_fence(piece)
        pieces.append(piece if opener is None else f"{piece}{_newline(piece)}{_closer(opener)}")
        reopen = "" if opener is None else f"{opener}\n"
    pieces.append(reopen + rest)
    return tuple(piece for piece in pieces if piece.strip()) or (text,)


def piece_at(text: str, start: int, characters_max: int, shown: int = 0) -> tuple[str, int]:
    """The piece of ``text`` that begins at ``start``, and where the next one begins.

    Like ``split``, for a text of which a part stands in front of a person already: the first ``shown`` characters of the
    piece stay in it.
    """
    reopen = _reopening(text, start)
    if len(reopen) + len(text) - start <= characters_max:
        return reopen + text[start:], len(text)
    room = characters_max - len(reopen) - 40
    end = start + _cut(text[start:], room, shown)
    return piece_between(text, start, end), end


def piece_between(text: str, start: int, end: int) -> str:
    """A piece cut at these places. A code block that is cut is opened again at its beginning, and closed at its end."""
    piece = _reopening(text, start) + text[start:end]
    return close_fence(piece) if end < len(text) else piece


def close_fence(text: str) -> str:
    """The text, with an end to a code block that has none: something else can stand below it."""
    opener = _open_fence(text)
    return text if opener is None else f"{text}{_newline(text)}{_closer(opener)}"


def _reopening(text: str, start: int) -> str:
    opener = _open_fence(text[:start])
    return "" if opener is None else f"{opener}\n"


def _cut(text: str, room: int, least: int = 0) -> int:
    """How much of the text goes into this piece: up to the best seam in the second half of the room."""
    for seam in SEAMS:
        place = text.rfind(seam, max(room // 2, least - len(seam)), room)
        if place >= 0:
            return place + len(seam)
    return room


def _open_fence(piece: str) -> str | None:
    """The line that opened the code block in which the piece ends, or None. See CommonMark 0.31, 4.5."""
    opener: str | None = None
    mark = ""
    for line in piece.splitlines():
        found = FENCE.match(line)
        if found is None:
            continue
        if opener is None:
            # A line that is too long to be an opener of ours is cut: only its marks count.
            opener, mark = line[:100].strip(), found[1]
        elif found[1].startswith(mark) and not found[2].strip():
            opener = None
    return opener


def _closer(opener: str) -> str:
    return opener[: len(opener) - len(opener.lstrip(opener[0]))][:30]


def _newline(piece: str) -> str:
    return "" if piece.endswith("\n") else "\n"
