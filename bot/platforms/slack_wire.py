"""Slack's forms: an event or a slash command as an Incoming, a reply as messages. Pure.

Sources: docs.slack.dev, "Events API", "Slash commands", "Formatting message text", "Markdown block".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.platforms.base import Address, Footer, Incoming, PlatformName, Reply
from bot.platforms.markdown import split
from ledger.pseudonyms import TurnId

SLACK = PlatformName("slack")
Payload: TypeAlias = Mapping[str, Any]
"""JSON as Slack sends it."""

PIECE_CHARACTERS_MAX = 10_000
"""A markdown block takes 12,000, and a whole message fails near 13,200."""

FALLBACK_CHARACTERS_MAX = 1_000
"""The text that a notification shows."""

PRIVATE_PIECES_MAX = 5
"""A response_url takes five posts."""

TELLING_SUBTYPES = (None, "file_share", "thread_broadcast")
METADATA_TYPE = "carpool_reply"
HELP = "help"
TOO_LONG_FOR_PRIVATE = "\n\n_The rest is longer than Slack shows privately: ask me in a direct message for all of it._"

_REFERENCE = re.compile(r"<([^<>|\s]+)(?:\|([^<>]*))?>")
# Slack would make a notification of these wherever they stand in a text.
_CALLS = re.compile(r"<(?=[!@#][A-Za-z])")


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a reply. ``number`` counts from 1 to ``of``."""

    text: str
    blocks: tuple[dict[str, object], ...]
    number: int
    of: int

    def metadata(self, turn: TurnId, part: int) -> dict[str, object]:
        marks = {"turn": str(turn), "part": part, "piece": self.number, "pieces": self.of}
        return {"event_type": METADATA_TYPE, "event_payload": marks}


def read_event(body: Payload) -> Incoming | None:
    """An ``event_callback``. None for what is not meant for us: bots' messages, edits, joins, talk of others."""
    event = body.get("event")
    if not isinstance(event, Mapping) or event.get("type") not in ("message", "app_mention"):
        return None
    if event.get("bot_id") or event.get("subtype") not in TELLING_SUBTYPES:
        return None
    if event["type"] == "message" and event.get("channel_type") != "im":
        return None
    text, given = event.get("text") or "", body.get("authorizations") or []
    where = [body.get("team_id") or event.get("team"), event.get("channel"), event.get("user"), event.get("ts")]
    if not (
        isinstance(text, str) and isinstance(given, list) and all(isinstance(name, str) and name for name in where)
    ):
        return None
    team, channel, user, ts = (str(name) for name in where)
    ours = {str(item.get("user_id")) for item in given if isinstance(item, Mapping)}
    if user in ours:
        return None
    address = Address(SLACK, team, channel, str(event.get("thread_ts") or ts), user)
    # A mention can arrive as `message` and as `app_mention`: both name the same message.
    return Incoming(address, f"{address.workspace}:{channel}:{ts}", readable(text, ours), bare_commands=True)


def read_command(body: Payload) -> Incoming | None:
    """A slash command. It belongs to no thread, and its answer is for the asker alone."""
    fields = [body.get(name) for name in ("team_id", "channel_id", "user_id", "trigger_id", "response_url")]
    if not all(isinstance(field, str) and field for field in fields):
        return None
    team, channel, user, trigger, response_url = (str(field) for field in fields)
    address = Address(SLACK, team, channel, "", user, response_url)
    text = readable(str(body.get("text") or ""), set()) or HELP
    return Incoming(address, f"command:{team}:{trigger}", text, bare_commands=True)


def readable(text: str, ours: set[str]) -> str:
    """Slack's markup as a person wrote it. The mention of the bot itself is taken out."""

    def name(found: re.Match[str]) -> str:
        target, label = found[1], found[2]
        if target[0] == "@" and target[1:] in ours:
            return ""
        if target[0] in "@#":
            return f"{target[0]}{label or target[1:]}"
        if target[0] == "!":
            return f"@{(label or target[1:].split('^')[0]).removeprefix('@')}"
        return target if label in (None, "", target) else f"{label} ({target})"

    named = _REFERENCE.sub(name, text)
    return named.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def escape(text: str) -> str:
    """For fields that Slack reads as its own markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def defuse(text: str) -> str:
    """For Markdown, where entities would show in code: what would call people gets a mark without width in it."""
    return _CALLS.sub("<\u200b", text)


def pieces_of(reply: Reply, pieces_max: int | None = None) -> tuple[Piece, ...]:
    """The reply as messages; the footer stands under the last. ``pieces_max`` cuts, and says so."""
    texts = split(defuse(reply.text) or "(empty)", PIECE_CHARACTERS_MAX)
    if pieces_max is not None and len(texts) > pieces_max:
        texts = (*texts[: pieces_max - 1], texts[pieces_max - 1] + TOO_LONG_FOR_PRIVATE)
    last = len(texts)
    return tuple(
        Piece(
            escape(text[:FALLBACK_CHARACTERS_MAX]),
            _blocks(text, reply.footer if number == last else None),
            number,
            last,
        )
        for number, text in enumerate(texts, start=1)
    )


def _blocks(text: str, footer: Footer | None) -> tuple[dict[str, object], ...]:
    body: dict[str, object] = {"type": "markdown", "text": text}
    if footer is None:
        return (body,)
    return (body, {"type": "context", "elements": [{"type": "mrkdwn", "text": escape(footer.line)}]})


def pieces_there(messages: list[Payload], ours: str, turn: TurnId, part: int) -> dict[int, int]:
    """Which pieces of a reply are among these messages: number, and of how many. ``ours`` is the bot's user id."""
    found: dict[int, int] = {}
    for message in messages:
        metadata = message.get("metadata")
        if not isinstance(metadata, Mapping) or metadata.get("event_type") != METADATA_TYPE:
            continue
        marks = metadata.get("event_payload")
        # Another app could mark a message of its own like this.
        if not isinstance(marks, Mapping) or (ours and message.get("user") not in (ours, None)):
            continue
        if marks.get("turn") == turn and marks.get("part") == part:
            found[int(marks.get("piece", 0))] = int(marks.get("pieces", 0))
    return found
