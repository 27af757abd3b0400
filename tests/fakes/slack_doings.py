"""What tools do in the fake Slack: who is in a channel, search, reactions, messages for later.

As strict as Slack is documented to be (docs.slack.dev, "conversations.members", "conversations.info", "search.messages",
"reactions.add", "reactions.get", "chat.scheduleMessage", "chat.scheduledMessages.list"). Written by hand after those pages.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEDULED_S_MAX = 120 * 86_400
SCHEDULED_AT_ONCE_MAX = 30
"""Within five minutes, in one channel."""
MEMBERS_MAX = 1_000
FOUND_MAX = 100
EMOJI = {"eyes", "thumbsup", "white_check_mark"}
READING = ("conversations.history", "conversations.replies", "conversations.info", "conversations.members")

Thing = dict[str, Any]


@dataclass
class Doings:
    """``messages`` are the server's, and ``post`` is how one comes to be there. ``now_s``: seconds since 1970."""

    messages: Mapping[str, list[Thing]]
    post: Callable[[Thing], str]
    bot: str
    members: dict[str, list[str]]
    """Whoever is in a channel, of each that there is."""
    names: dict[str, str] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    scheduled: list[Thing] = field(default_factory=list)
    now_s: int = 1_800_000_000
    page: int = 200
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def answer(self, method: str, fields: Mapping[str, Any], user: str) -> Thing | None:
        """None for what is another's to answer."""
        channel = str(fields.get("channel") or "")
        if method in READING and user == self.bot and not self._open_to(user, channel):
            return refused("channel_not_found")
        match method:
            case "conversations.members":
                return self._members(channel, fields)
            case "conversations.info":
                name = {"name": self.names[channel]} if channel in self.names else {"is_im": True}
                return {"ok": True, "channel": {"id": channel, "is_private": channel in self.private, **name}}
            case "search.messages":
                return self._search(fields, user)
            case "reactions.add":
                return self._react(fields, user)
            case "reactions.remove":
                return self._unreact(fields, user)
            case "chat.deleteScheduledMessage":
                return self._unschedule(fields)
            case "reactions.get":
                message = self._message(channel, fields)
                return (
                    refused("message_not_found")
                    if message is None
                    else {"ok": True, "type": "message", "message": message}
                )
            case "chat.scheduleMessage":
                return self._schedule(fields, user)
            case "chat.scheduledMessages.list":
                return self._listed(channel, fields)
        return None

    def pass_time(self, to_s: int) -> None:
        """What was to be posted by then is."""
        self.now_s = to_s
        due = [each for each in self.scheduled if each["post_at"] <= to_s]
        self.scheduled = [each for each in self.scheduled if each["post_at"] > to_s]
        for each in due:
            if "metadata" in each:
                continue  # docs.slack.dev, "chat.scheduleMessage", "Bug alert": it will not post
            self.post({name: value for name, value in each.items() if name in ("channel", "text", "thread_ts")})

    def _open_to(self, user: str, channel: str) -> bool:
        if channel not in self.members:
            return channel in self.messages
        return channel not in self.private or user in self.members[channel]

    def _members(self, channel: str, fields: Mapping[str, Any]) -> Thing:
        everybody, start = self.members.get(channel, []), int(fields.get("cursor") or 0)
        limit = int(fields.get("limit") or 100)
        if not 1 <= limit <= MEMBERS_MAX:
            return refused("invalid_limit")
        end = start + min(limit, self.page)
        cursor = str(end) if end < len(everybody) else ""
        return {"ok": True, "members": everybody[start:end], "response_metadata": {"next_cursor": cursor}}

    def _search(self, fields: Mapping[str, Any], user: str) -> Thing:
        if user == self.bot:
            return refused("not_allowed_token_type")
        count, number = int(fields.get("count") or 20), int(fields.get("page") or 1)
        if not 1 <= count <= FOUND_MAX or not 1 <= number <= FOUND_MAX:
            return refused("invalid_arguments")
        words = fields["query"].casefold()
        found = [
            {"type": "message", "channel": {"id": channel, "name": self.names.get(channel, "")}, **message}
            for channel, messages in self.messages.items()
            if self._open_to(user, channel)
            for message in messages
            if words in message.get("text", "").casefold()
        ]
        pages = -(-len(found) // count)
        paging = {"count": count, "total": len(found), "page": number, "pages": pages}
        matches = [{name: value for name, value in each.items() if name != "metadata"} for each in found]
        return {"ok": True, "messages": {"matches": matches[(number - 1) * count : number * count], "paging": paging}}

    def _message(self, channel: str, fields: Mapping[str, Any]) -> Thing | None:
        return next((each for each in self.messages.get(channel, ()) if each["ts"] == fields.get("timestamp")), None)

    def _react(self, fields: Mapping[str, Any], user: str) -> Thing:
        message = self._message(fields["channel"], fields)
        if message is None:
            return refused("message_not_found")
        if fields["name"] not in EMOJI:
            return refused("invalid_name")
        reactions: list[Thing] = message.setdefault("reactions", [])
        found = next((each for each in reactions if each["name"] == fields["name"]), None)
        if found is None:
            reactions.append(found := {"name": fields["name"], "users": [], "count": 0})
        if user in found["users"]:
            return refused("already_reacted")
        found["users"].append(user)
        found["count"] += 1
        return {"ok": True}

    def _unreact(self, fields: Mapping[str, Any], user: str) -> Thing:
        message = self._message(fields["channel"], fields)
        if message is None:
            return refused("message_not_found")
        reactions: list[Thing] = message.get("reactions", [])
        found = next((each for each in reactions if each["name"] == fields["name"] and user in each["users"]), None)
        if found is None:
            return refused("no_reaction")
        found["users"].remove(user)
        found["count"] -= 1
        if not found["users"]:
            reactions.remove(found)
        return {"ok": True}

    def _unschedule(self, fields: Mapping[str, Any]) -> Thing:
        """Not in the last minute before it is posted (docs.slack.dev, "chat.deleteScheduledMessage")."""
        wanted = (fields["channel"], fields["scheduled_message_id"])
        found = next((each for each in self.scheduled if (each["channel"], each["id"]) == wanted), None)
        if found is None or found["post_at"] - self.now_s < 60:
            return refused("invalid_scheduled_message_id")
        self.scheduled.remove(found)
        return {"ok": True}

    def _schedule(self, fields: Mapping[str, Any], user: str) -> Thing:
        at_s, channel = int(fields["post_at"]), fields["channel"]
        if channel not in self.members or user not in self.members[channel]:
            return refused("channel_not_found")
        if not fields.get("text"):
            return refused("no_text")
        if at_s <= self.now_s:
            return refused("time_in_past")
        if at_s > self.now_s + SCHEDULED_S_MAX:
            return refused("time_too_far")
        near = [each for each in self.scheduled if each["channel"] == channel and abs(each["post_at"] - at_s) < 300]
        if len(near) >= SCHEDULED_AT_ONCE_MAX:
            return refused("restricted_too_many")
        name = f"Q{next(self.numbers):04}"
        self.scheduled.append({**fields, "post_at": at_s, "id": name, "date_created": self.now_s})
        return {"ok": True, "channel": channel, "scheduled_message_id": name, "post_at": str(at_s)}

    def _listed(self, channel: str, fields: Mapping[str, Any]) -> Thing:
        start, limit = int(fields.get("cursor") or 0), int(fields.get("limit") or 100)
        found = [
            {"channel_id": each["channel"], **{name: each[name] for name in ("id", "post_at", "date_created", "text")}}
            for each in self.scheduled
            if channel in ("", each["channel"])
        ]
        cursor = str(start + limit) if start + limit < len(found) else ""
        return {
            "ok": True,
            "scheduled_messages": found[start : start + limit],
            "response_metadata": {"next_cursor": cursor},
        }


def refused(code: str) -> Thing:
    return {"ok": False, "error": code}
