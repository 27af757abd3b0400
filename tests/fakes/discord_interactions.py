"""Slash commands in the fake of Discord: their tokens, what acknowledges them, and the messages that answer them.

As documented (docs.discord.com, "Receiving and Responding"): three seconds for the first answer, fifteen minutes for all
others, and what is posted right behind a deferral takes the place of what waits there. Written by hand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

JSON = Mapping[str, Any]
DEFERRED, MESSAGE, DEFERRED_UPDATE = 5, 4, 6
EPHEMERAL, LOADING = 1 << 6, 1 << 7
CHAT_INPUT_COMMAND = 20


@dataclass
class Slash:
    """One use of a command. ``deferred``: what waits is to be filled by the next message. ``alone``: what its asker alone sees.

    ``late`` is set when three seconds are over without an answer, ``expired`` when fifteen minutes are.
    """

    id: str
    token: str
    channel: str
    acknowledged: bool = False
    deferred: bool = False
    private: bool = False
    late: bool = False
    expired: bool = False
    original: dict[str, Any] | None = None
    followed: list[dict[str, Any]] = field(default_factory=list)
    alone: list[dict[str, Any]] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [*([] if self.original is None else [self.original]), *self.followed]


class Interactions:
    """``made`` by token. ``make`` makes a message of the bot's in a channel, ``there`` gives the messages of one."""

    def __init__(
        self,
        make: Callable[[str, JSON], dict[str, Any]],
        there: Callable[[str], list[dict[str, Any]]],
        refused: Callable[[int, int, str], web.Response],
        as_json: Callable[..., web.Response],
        refusal: Callable[[JSON], str],
    ) -> None:
        self.made: dict[str, Slash] = {}
        self._make = make
        self._there = there
        self._refused = refused
        self._as_json = as_json
        self._refusal = refusal

    def acknowledge(self, interaction: str, token: str, body: JSON) -> web.Response:
        slash = self.made.get(token)
        if slash is None or slash.id != interaction or slash.late or slash.expired:
            return self._refused(404, 10062, "Unknown interaction")
        if slash.acknowledged:
            return self._refused(400, 40060, "Interaction has already been acknowledged.")
        kind, data = int(body["type"]), body.get("data") or {}
        slash.private = bool(int(data.get("flags") or 0) & EPHEMERAL)
        slash.acknowledged = True
        answer = {"interaction": {"id": slash.id, "type": 2, "response_message_ephemeral": slash.private}}
        if kind == DEFERRED:
            slash.deferred = True
            slash.original = self._put(slash, {"flags": LOADING})
        elif kind == MESSAGE:
            slash.original = self._put(slash, data)
        else:
            return self._refused(400, 50035, "type: A command is answered by a message.")
        return self._as_json({**answer, "resource": {"type": kind, "message": slash.original}})

    def call(self, method: str, token: str, rest: list[str], body: JSON) -> web.Response:
        """What is done by ``/webhooks/APPLICATION/TOKEN/...``."""
        slash = self.made.get(token)
        if slash is None or not slash.acknowledged:
            return self._refused(404, 10015, "Unknown Webhook")
        if slash.expired:
            return self._refused(401, 50027, "Invalid Webhook Token")
        if (problem := self._refusal(body)) and method in ("POST", "PATCH"):
            return self._refused(400, 50035, problem)
        match method, rest:
            case "POST", []:
                if slash.deferred and slash.original is not None:
                    return self._as_json(self._edit(slash, slash.original, body))
                slash.deferred = False
                made = self._put(slash, body)
                slash.followed.append(made)
                return self._as_json(made)
            case _, ["messages", named]:
                found = self._find(slash, named)
                if found is None:
                    return self._refused(404, 10008, "Unknown Message")
                if method == "PATCH":
                    return self._as_json(self._edit(slash, found, body))
                if method == "DELETE":
                    self._take_away(slash, found)
                    return web.Response(status=204)
                return self._as_json(found)
        return self._refused(405, 0, "405: Method Not Allowed")

    def _put(self, slash: Slash, body: JSON) -> dict[str, Any]:
        made = self._make(slash.channel, body)
        made |= {"type": CHAT_INPUT_COMMAND, "webhook_id": made["author"]["id"]}
        alone = slash.private if slash.original is None else bool(int(body.get("flags") or 0) & EPHEMERAL)
        (slash.alone if alone else self._there(slash.channel)).append(made)
        return made

    def _edit(self, slash: Slash, message: dict[str, Any], body: JSON) -> dict[str, Any]:
        if message is slash.original:
            slash.deferred = False
        message.update({name: body[name] for name in ("content", "components") if name in body})
        # Whether its asker alone sees it is settled with the deferral.
        message["flags"] = int(body.get("flags") or 0) & ~LOADING & ~EPHEMERAL | message["flags"] & EPHEMERAL
        return message

    def _find(self, slash: Slash, named: str) -> dict[str, Any] | None:
        if named == "@original":
            return slash.original
        return next((message for message in slash.messages if message["id"] == named), None)

    def _take_away(self, slash: Slash, message: dict[str, Any]) -> None:
        self.forget(slash, message)
        for messages in (self._there(slash.channel), slash.alone):
            messages[:] = [other for other in messages if other is not message]

    def forget(self, slash: Slash, message: dict[str, Any]) -> None:
        if message is slash.original:
            slash.original, slash.deferred = None, False
        slash.followed[:] = [other for other in slash.followed if other is not message]
