"""Writing one reply into a Slack thread: the calls, and how a reply is finished of which some stands there already."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bot.platforms.base import Address, Reply, ToolStep
from bot.platforms.markdown import close_fence, piece_between
from bot.platforms.slack_errors import SlackError, answer_of
from bot.platforms.slack_pieces import (
    Block,
    Piece,
    Seen,
    fallback_of,
    marks_of,
    open_marks,
    piece_of,
    text_of,
    under,
)
from ledger.pseudonyms import TurnId

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("carpool.slack")

TASK_STATUS = {"running": "in_progress", "done": "complete", "failed": "error"}
TASK_TITLE_CHARACTERS_MAX = 200

State: TypeAlias = Literal["streaming", "edited", "closed", "doubtful", "finished"]
"""``streaming``: what is appended comes below what it says. ``edited``: it is written anew each time. ``closed``: Slack has
ended its stream. ``doubtful``: what it says is not known for sure. ``finished``: it has its marks."""


@dataclass(slots=True)
class Written:
    """A message of a reply that is being written. It holds the reply's text from ``start`` to ``shown``, as ``text``."""

    ts: str
    start: int
    shown: int
    text: str
    state: State
    began_s: float = 0.0


class Writer:
    """The calls for one reply. Each raises ``SlackError``."""

    def __init__(self, client: "AsyncWebClient", to: Address, turn: TurnId, part: int) -> None:
        self._client = client
        self._to = to
        self._turn = turn
        self._part = part

    async def start(self, text: str, steps: Sequence[ToolStep]) -> str:
        """Begin a stream. Gives the message's ts."""
        answer = await answer_of(
            self._client.chat_startStream(
                channel=self._to.channel,
                thread_ts=self._to.thread,
                markdown_text=None if steps else text,
                chunks=_chunks(text, steps) if steps else None,
                # A channel has to be told for whom it is; a direct conversation takes it too.
                recipient_user_id=self._to.person,
                recipient_team_id=self._to.workspace,
            )
        )
        return str(answer.get("ts") or "")

    async def append(self, ts: str, text: str, steps: Sequence[ToolStep]) -> None:
        await answer_of(
            self._client.chat_appendStream(
                channel=self._to.channel,
                ts=ts,
                markdown_text=None if steps else text,
                chunks=_chunks(text, steps) if steps else None,
            )
        )

    async def stop(self, ts: str, rest: str, piece: Piece | None) -> None:
        """End a stream with the rest of its text, which makes it this piece. Without a piece it is only closed."""
        await answer_of(
            self._client.chat_stopStream(
                channel=self._to.channel,
                ts=ts,
                markdown_text=rest or None,
                blocks=(list(piece.under) or None) if piece is not None else None,
                metadata=None if piece is None else piece.metadata(self._turn, self._part),
            )
        )

    async def post(self, piece: Piece) -> None:
        await self._post(piece.fallback, piece.blocks, piece.metadata(self._turn, self._part))

    async def post_open(self, text: str) -> str:
        """A message that will be edited. Gives its ts."""
        return await self._post(fallback_of(text), _body(text), open_marks(self._turn, self._part))

    async def _post(self, text: str, blocks: Sequence[Block], metadata: dict[str, object]) -> str:
        answer = await answer_of(
            self._client.chat_postMessage(
                channel=self._to.channel,
                thread_ts=self._to.thread or None,
                text=text,
                blocks=list(blocks),
                metadata=metadata,
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        return str(answer.get("ts") or "")

    async def update(self, ts: str, piece: Piece) -> None:
        await self._update(ts, piece.fallback, piece.blocks, piece.metadata(self._turn, self._part))

    async def update_open(self, ts: str, text: str) -> None:
        await self._update(ts, fallback_of(text), _body(text), open_marks(self._turn, self._part))

    async def update_marked(self, ts: str, text: str, number: int, end: int) -> None:
        marks = marks_of(self._turn, self._part, number, end, last=False)
        await self._update(ts, fallback_of(text), _body(text), marks)

    async def _update(self, ts: str, text: str, blocks: Sequence[Block], metadata: dict[str, object]) -> None:
        await answer_of(
            self._client.chat_update(channel=self._to.channel, ts=ts, text=text, blocks=list(blocks), metadata=metadata)
        )

    async def delete(self, ts: str) -> None:
        """Take a message away, as far as Slack lets us."""
        try:
            await answer_of(self._client.chat_delete(channel=self._to.channel, ts=ts))
        except SlackError as error:
            log.warning("a message could not be taken away", extra={"turn": self._turn, "cause": str(error)})


def written_of(seen: Seen) -> list[Written]:
    """What stands in the thread, as if it had been written here: all but the finished pieces is doubtful."""
    finished = [Written(posted.ts, 0, posted.end, posted.text, "finished") for posted in seen.pieces]
    return finished + [Written(posted.ts, 0, 0, posted.text, "doubtful") for posted in seen.unfinished]


async def finish(writer: Writer, reply: Reply, written: Sequence[Written]) -> None:
    """Bring the whole reply, each part of it once, going on from what is written. Raises ``SlackError``."""
    text, start, number = text_of(reply), 0, 1
    for place, message in enumerate(written):
        if message.state == "finished":
            start, number = message.shown, number + 1
        elif start >= len(text) or (message.state == "closed" and message.shown == start):
            await writer.delete(message.ts)
        elif message.state == "closed" and place + 1 < len(written):
            await writer.update_marked(message.ts, piece_between(text, start, message.shown), number, message.shown)
            start, number = message.shown, number + 1
        else:
            shown = max(0, message.shown - start) if message.state in ("streaming", "closed") else 0
            piece = piece_of(reply, text, start, number, shown)
            await _complete(writer, message, piece)
            start, number = piece.end, number + 1
    while start < len(text):
        piece = piece_of(reply, text, start, number)
        await writer.post(piece)
        start, number = piece.end, number + 1


async def _complete(writer: Writer, message: Written, piece: Piece) -> None:
    """Make of a message that is being written the whole piece."""
    if message.state == "streaming" and piece.text.startswith(message.text):
        try:
            await writer.stop(message.ts, piece.text[len(message.text) :], piece)
            return
        except SlackError as error:
            if error.retry_after_s is not None:
                raise
    elif message.state in ("streaming", "doubtful"):
        await _close(writer, message.ts)
    try:
        await writer.update(message.ts, piece)
    except SlackError as error:
        if error.retry_after_s is not None:
            raise
        # It is gone, or Slack lets nobody change it: another takes its place.
        await writer.delete(message.ts)
        await writer.post(piece)


async def _close(writer: Writer, ts: str) -> None:
    """End a stream, if it is one still. Raises ``SlackError`` where Slack should be asked again later."""
    try:
        await writer.stop(ts, "", None)
    except SlackError as error:
        if error.retry_after_s is not None:
            raise


async def finish_half(writer: Writer, reply: Reply, seen: Seen) -> None:
    """Say below the half of an answer, whose writer died, why there is no more of it. Raises ``SlackError``."""
    number, end = len(seen.pieces) + 1, seen.pieces[-1].end if seen.pieces else 0
    halves = [posted for posted in seen.unfinished if posted.text.strip()]
    for posted in seen.unfinished:
        if posted not in halves:
            await writer.delete(posted.ts)
    for posted in halves[:-1]:
        await _close(writer, posted.ts)
        end += len(posted.text)
        await writer.update_marked(posted.ts, close_fence(posted.text), number, end)
        number += 1
    reason = Piece(text_of(reply), number, end, True, under(reply))
    if halves:
        await _say_below(writer, halves[-1].ts, halves[-1].text, reason)
    else:
        await writer.post(reason)


async def _say_below(writer: Writer, ts: str, half: str, reason: Piece) -> None:
    below = f"{close_fence(half)[len(half) :]}\n\n_{reason.text}_"
    whole = Piece(half + below, reason.number, reason.end + len(half), True, reason.under)
    try:
        await writer.stop(ts, below, whole)
    except SlackError as error:
        if error.retry_after_s is not None:
            raise
    else:
        return
    try:
        await writer.update(ts, whole)
    except SlackError as error:
        if error.retry_after_s is not None:
            raise
        await writer.post(reason)


def _body(text: str) -> tuple[Block, ...]:
    return ({"type": "markdown", "text": text},)


def _chunks(text: str, steps: Sequence[ToolStep]) -> list[dict[str, object]]:
    said: list[dict[str, object]] = [{"type": "markdown_text", "text": text}] if text else []
    return said + [
        {
            "type": "task_update",
            "id": step.id,
            "title": step.title[:TASK_TITLE_CHARACTERS_MAX],
            "status": TASK_STATUS[step.state],
        }
        for step in steps
    ]
