"""Writing a reply in Discord: its pieces are posted, or made of the messages that stand there already."""

from collections.abc import Mapping, Sequence

from adapters.messages import File
from bot.platforms.base import Reply
from bot.platforms.discord_errors import UNKNOWN_MESSAGE, DiscordRefused
from bot.platforms.discord_places import Place
from bot.platforms.discord_screen import Shown
from bot.platforms.discord_wire import Found, Payload, message_of, nonce, pieces_of
from ledger.pseudonyms import TurnId


async def post_pieces(
    place: Place,
    turn: TurnId,
    part: int,
    reply: Reply,
    known: Mapping[int, Found],
    shown: Mapping[int, Shown],
) -> None:
    """Post the pieces, or make them of the messages that are there already. ``shown``: what is known to stand in those."""
    pieces = pieces_of(reply)
    for piece in pieces:
        content = message_of(piece, turn, part)
        before, found = shown.get(piece.number), known.get(piece.number)
        if before is not None and before.content == content:
            continue
        if found is None or not await _edited(place, found.message, content, piece.files):
            await place.post(
                content, piece.files, part == 1 and piece.number == 1, nonce(turn, part, piece.number, live=False)
            )
    for number, found in known.items():
        if number > len(pieces):
            await place.delete(found.message)


async def _edited(place: Place, message: str, content: Payload, files: Sequence[File]) -> bool:
    """False where the message is gone: somebody deleted it."""
    try:
        await place.edit(message, content, files)
    except DiscordRefused as error:
        if error.code != UNKNOWN_MESSAGE:
            raise
        return False
    return True
