"""What Slack sends, as ours: events, slash commands and pressed buttons. Pure.

Sources: docs.slack.dev, "Events API", "message event", "Slash commands", "block_actions payload", "Formatting message text".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.platforms.base import Address, Attached, Incoming, PlatformName

SLACK = PlatformName("slack")
Payload: TypeAlias = Mapping[str, Any]
"""JSON as Slack sends it."""

TELLING_SUBTYPES = (None, "file_share", "thread_broadcast")
HELP = "help"
BY_ID = "id:"
"""Before a reference that is a file's id: of a file of another workspace, nothing else comes with its message."""

_REFERENCE = re.compile(r"<([^<>|\s]+)(?:\|([^<>]*))?>")
# People, groups of people, and all who are here.
_MENTION = re.compile(r"<(?:@([^<>|\s]+)|![^<>]+)(?:\|[^<>]*)?>")


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that somebody wrote. ``to_us`` where it is meant for CarPool for sure, because it was written to it directly
    or names it; what else is said in a thread is for it where it takes part there."""

    incoming: Incoming
    to_us: bool


@dataclass(frozen=True, slots=True)
class Edited:
    incoming: Incoming
    edit: str


@dataclass(frozen=True, slots=True)
class Deleted:
    address: Address
    event_identity: str


def read_event(body: Payload) -> Heard | Edited | Deleted | None:
    """An ``event_callback``. None for what is not meant for us: bots' messages, joins, talk of others among themselves."""
    event = body.get("event")
    if not isinstance(event, Mapping) or event.get("type") not in ("message", "app_mention"):
        return None
    match event.get("subtype"):
        case "message_changed":
            return _changed(body, event)
        case "message_deleted":
            return _deleted(body, event, event.get("previous_message"))
        case _:
            return _said(body, event, event)


def _said(body: Payload, event: Payload, message: Payload) -> Heard | None:
    if message.get("bot_id") or message.get("subtype") not in TELLING_SUBTYPES:
        return None
    address, ts, ours = _address(body, event, message), message.get("ts"), _ours(body)
    text = message.get("text") or ""
    if address is None or ours is None or not isinstance(text, str) or address.person in ours:
        return None
    named = {found[1] or "" for found in _MENTION.finditer(text)}
    direct, in_thread = event.get("channel_type") == "im", address.thread != ts
    to_us = direct or event["type"] == "app_mention" or bool(named & ours)
    if not to_us and (named or not in_thread):
        return None
    incoming = Incoming(
        address,
        # A mention can arrive as `message` and as `app_mention`: both name the same message.
        _identity(address, str(ts)),
        readable(text, ours),
        # In a thread that is only followed, "stop" may be meant for anybody.
        bare_commands=to_us,
        attached=tuple(files_of(message)),
        in_thread=in_thread,
    )
    return Heard(incoming, to_us)


def _changed(body: Payload, event: Payload) -> Edited | Deleted | None:
    message, before = event.get("message"), event.get("previous_message")
    if not isinstance(message, Mapping) or not isinstance(before, Mapping):
        return None
    if message.get("subtype") == "tombstone":  # a deleted message on which a thread hangs
        return _deleted(body, event, before)
    edited = message.get("edited")
    # Slack tells of links that it unfolded, and of replies that came, in the same way.
    if not isinstance(edited, Mapping) or message.get("text") == before.get("text"):
        return None
    heard = _said(body, event, message)
    return None if heard is None else Edited(heard.incoming, str(edited.get("ts") or ""))


def _deleted(body: Payload, event: Payload, before: object) -> Deleted | None:
    if not isinstance(before, Mapping) or before.get("bot_id"):
        return None
    address = _address(body, event, before)
    return None if address is None else Deleted(address, _identity(address, str(before.get("ts"))))


def _address(body: Payload, event: Payload, message: Payload) -> Address | None:
    where = [
        _workspace(body) or event.get("team"),
        event.get("channel"),
        message.get("thread_ts") or message.get("ts"),
        message.get("user"),
        message.get("ts"),
    ]
    if not all(isinstance(name, str) and name for name in where):
        return None
    team, channel, thread, user, _ = (str(name) for name in where)
    return Address(SLACK, team, channel, thread, user)


def _workspace(body: Payload) -> object:
    """Where CarPool is installed. In a channel that organisations share, ``team_id`` may be that of the other one."""
    return _object(body, "authorizations").get("team_id") or body.get("team_id")


def _identity(address: Address, ts: str) -> str:
    return f"{address.workspace}:{address.channel}:{ts}"


def ts_of(event_identity: str) -> str:
    """The ts of the message that an identity names; of an edited one, that of its first version."""
    return event_identity.split(":")[-1].partition("/")[0]


def _ours(body: Payload) -> set[str] | None:
    given = body.get("authorizations") or []
    if not isinstance(given, list):
        return None
    return {str(item.get("user_id")) for item in given if isinstance(item, Mapping)}


def files_of(message: Payload) -> Iterator[Attached]:
    files = message.get("files") or ()
    for item in files if isinstance(files, list) else ():
        if not isinstance(item, Mapping) or item.get("mode") in ("tombstone", "hidden_by_limit"):
            continue
        there, size = item.get("url_private"), item.get("size")
        reference = str(there) if there else f"{BY_ID}{item.get('id')}"
        yield Attached(
            str(item.get("name") or item.get("title") or "file"),
            str(item.get("mimetype") or "application/octet-stream"),
            size if isinstance(size, int) else 0,
            reference,
        )


def read_command(body: Payload) -> Incoming | None:
    """A slash command. It belongs to no thread, and its answer is for the asker alone."""
    fields = [body.get(name) for name in ("team_id", "channel_id", "user_id", "trigger_id", "response_url")]
    if not all(isinstance(field, str) and field for field in fields):
        return None
    team, channel, user, trigger, response_url = (str(field) for field in fields)
    address = Address(SLACK, team, channel, "", user, response_url)
    text = readable(str(body.get("text") or ""), set()) or HELP
    return Incoming(address, f"command:{team}:{trigger}", text, bare_commands=True)


def read_press(body: Payload) -> Incoming | None:
    """A pressed button: its value is said by whoever pressed, in the thread where it stands."""
    actions, message, team, channel = (_object(body, name) for name in ("actions", "message", "team", "channel"))
    container, person = _object(body, "container"), _object(body, "user")
    thread = message.get("thread_ts") or container.get("thread_ts") or message.get("ts") or container.get("message_ts")
    where = [
        team.get("id") or person.get("team_id"),
        channel.get("id") or container.get("channel_id"),
        thread,
        person.get("id"),
        actions.get("value"),
        actions.get("action_ts"),
    ]
    if not all(isinstance(name, str) and name for name in where):
        return None
    team_id, channel_id, thread_ts, user, value, pressed = (str(name) for name in where)
    address = Address(SLACK, team_id, channel_id, thread_ts, user, str(body.get("response_url") or ""))
    identity = f"press:{team_id}:{channel_id}:{user}:{pressed}"
    return Incoming(address, identity, f"/{value}")


def read_stop(body: Payload) -> Address | None:
    """``agent_session_stopped``: where the work is to end."""
    event = body.get("event")
    if not isinstance(event, Mapping):
        return None
    where = [body.get("team_id"), event.get("channel"), event.get("thread_ts"), event.get("user")]
    if not all(isinstance(name, str) and name for name in where):
        return None
    team, channel, thread, user = (str(name) for name in where)
    return Address(SLACK, team, channel, thread, user)


def _object(body: Payload, name: str) -> Payload:
    """A member that is an object, or a list that begins with one; else an empty one."""
    given = body.get(name)
    if isinstance(given, list):
        given = given[0] if given else None
    return given if isinstance(given, Mapping) else {}


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
