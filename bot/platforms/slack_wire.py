"""What Slack sends, as ours: an event or a slash command as an Incoming. Pure.

Sources: docs.slack.dev, "Events API", "Slash commands", "Formatting message text".
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from bot.platforms.base import Address, Incoming, PlatformName

SLACK = PlatformName("slack")
Payload: TypeAlias = Mapping[str, Any]
"""JSON as Slack sends it."""

TELLING_SUBTYPES = (None, "file_share", "thread_broadcast")
HELP = "help"
_REFERENCE = re.compile(r"<([^<>|\s]+)(?:\|([^<>]*))?>")


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
