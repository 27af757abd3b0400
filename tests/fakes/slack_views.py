"""Slack's views and people for the fake: modals, App Homes, and what `users.info` tells.

As strict as Slack is documented to be (docs.slack.dev, "views.open", "views.update", "views.publish", "Modals", "Blocks", "Block
elements", "users.info"). Written by hand after those pages.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TRIGGER_S = 3.0
BLOCKS_MAX = 100
TITLE_MAX = 24
METADATA_MAX = 3_000
LENGTHS = {"section": 3_000, "header": 150, "label": 2_000, "hint": 2_000, "button": 75, "option": 75, "value": 2_000}
OPTIONS_MAX = 100
OPTION_VALUE_MAX = 150
ELEMENTS_MAX = 25


@dataclass
class Views:
    """``now_s`` is this Slack's clock: a trigger is good for three seconds of it, and once."""

    now_s: Callable[[], float]
    homes: dict[str, dict[str, Any]] = field(default_factory=dict)
    modals: dict[str, dict[str, Any]] = field(default_factory=dict)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    _triggers: dict[str, float] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def trigger(self) -> str:
        """What comes with a slash command, a pressed button or an entry of a menu."""
        trigger = f"{next(self._numbers)}.trigger"
        self._triggers[trigger] = self.now_s()
        return trigger

    @property
    def modal(self) -> dict[str, Any]:
        """The one that was opened last."""
        return list(self.modals.values())[-1]

    def answer(
        self, method: str, fields: Mapping[str, Any], team: str, names: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """None for what is another's to answer."""
        match method:
            case "users.info":
                return self._person(str(fields.get("user")), team, names)
            case "views.open":
                return self._open(fields)
            case "views.update":
                return self._update(fields)
            case "views.publish":
                return self._publish(fields)
        return None

    def _person(self, user: str, team: str, names: Mapping[str, str]) -> dict[str, Any]:
        if user not in names and user not in self.people:
            return {"ok": False, "error": "user_not_found"}
        flags = (
            "deleted",
            "is_admin",
            "is_owner",
            "is_primary_owner",
            "is_restricted",
            "is_ultra_restricted",
            "is_bot",
        )
        profile = {"display_name": names.get(user, user)}
        person = {"id": user, "team_id": team, "profile": profile, **dict.fromkeys(flags, False)}
        return {"ok": True, "user": {**person, **self.people.get(user, {})}}

    def _open(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        trigger = str(fields.get("trigger_id") or "")
        begun_s = self._triggers.pop(trigger, None)
        if begun_s is None:
            return {"ok": False, "error": "invalid_trigger_id"}
        if self.now_s() - begun_s > TRIGGER_S:
            return {"ok": False, "error": "expired_trigger_id"}
        view = _view(fields)
        if wrong := list(wrong_view(view, "modal")):
            return _invalid(wrong)
        return {"ok": True, "view": self._kept(f"V{next(self._numbers)}", view)}

    def _update(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        kept = self.modals.get(str(fields.get("view_id")))
        if kept is None:
            return {"ok": False, "error": "not_found"}
        if fields.get("hash") not in (None, kept["hash"]):
            return {"ok": False, "error": "hash_conflict"}
        view = _view(fields)
        if wrong := list(wrong_view(view, "modal")):
            return _invalid(wrong)
        return {"ok": True, "view": self._kept(kept["id"], view)}

    def _publish(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        user, view = str(fields.get("user_id") or ""), _view(fields)
        before = self.homes.get(user)
        if fields.get("hash") is not None and (before is None or fields["hash"] != before["hash"]):
            return {"ok": False, "error": "hash_conflict"}
        if not user or (wrong := list(wrong_view(view, "home"))):
            return _invalid(wrong if user else ["missing required field: user_id"])
        self.homes[user] = {**view, "hash": f"h{next(self._numbers)}"}
        return {"ok": True, "view": self.homes[user]}

    def _kept(self, id: str, view: dict[str, Any]) -> dict[str, Any]:
        self.modals.pop(id, None)
        self.modals[id] = {**view, "id": id, "hash": f"h{next(self._numbers)}"}
        return self.modals[id]


def wrong_view(view: Mapping[str, Any], kind: str) -> Iterator[str]:
    """What Slack would not take about a view."""
    if view.get("type") != kind:
        yield f"type: it has to be {kind}"
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or (kind == "modal" and not blocks):
        yield "blocks: missing"
        return
    if len(blocks) > BLOCKS_MAX:
        yield f"blocks: more than {BLOCKS_MAX}"
    if len(str(view.get("private_metadata") or "")) > METADATA_MAX:
        yield "private_metadata: too long"
    if kind == "modal":
        for name in ("title", "submit", "close"):
            if name == "title" or name in view:
                yield from _plain(view.get(name), TITLE_MAX, name)
        if any(block["type"] == "input" for block in blocks) and "submit" not in view:
            yield "submit: a view with inputs needs one"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)) or any(len(name) > 255 for name in ids):
        yield "block_id: twice, or too long"
    actions: list[str] = []
    for block in blocks:
        yield from _wrong_block(block)
        actions += [element["action_id"] for element in block.get("elements", ()) if "action_id" in element]
    if len(actions) != len(set(actions)):
        yield "action_id: twice"


def _wrong_block(block: Mapping[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "section":
            text = block["text"]
            if text["type"] not in ("mrkdwn", "plain_text") or not 1 <= len(text["text"]) <= LENGTHS["section"]:
                yield "section: text"
        case "header":
            yield from _plain(block["text"], LENGTHS["header"], "header")
        case "divider":
            pass
        case "actions":
            if not 1 <= len(block["elements"]) <= ELEMENTS_MAX:
                yield "actions: too many elements"
            for element in block["elements"]:
                yield from _plain(element["text"], LENGTHS["button"], "button")
                if len(element["value"]) > LENGTHS["value"] or element.get("style", "primary") not in (
                    "primary",
                    "danger",
                ):
                    yield "button: value or style"
        case "input":
            yield from _plain(block["label"], LENGTHS["label"], "label")
            if "hint" in block:
                yield from _plain(block["hint"], LENGTHS["hint"], "hint")
            yield from _wrong_element(block["element"])
        case other:
            yield f"{other}: no block of a view"


def _wrong_element(element: Mapping[str, Any]) -> Iterator[str]:
    match element["type"]:
        case "plain_text_input":
            unknown = set(element) - {"type", "action_id", "multiline", "initial_value", "max_length", "placeholder"}
            if (
                unknown
                or not 1 <= element.get("max_length", 1) <= 3_000
                or len(element.get("initial_value", "")) > 3_000
            ):
                yield "plain_text_input"
        case "users_select":
            if set(element) - {"type", "action_id", "initial_user", "placeholder"}:
                yield "users_select"
        case "static_select":
            groups = element.get("option_groups") or [{"options": element["options"]}]
            options = [option for group in groups for option in group["options"]]
            if any(not 1 <= len(group["options"]) <= OPTIONS_MAX for group in groups) or len(groups) > OPTIONS_MAX:
                yield "static_select: too many options, or none"
            for option in options:
                yield from _plain(option["text"], LENGTHS["option"], "option")
                if len(option["value"]) > OPTION_VALUE_MAX:
                    yield "option: value too long"
            if "initial_option" in element and element["initial_option"] not in options:
                yield "initial_option: none of the options"
        case other:
            yield f"{other}: no element of an input"


def _plain(text: object, most: int, name: str) -> Iterator[str]:
    if not isinstance(text, Mapping) or text.get("type") != "plain_text" or not 1 <= len(text["text"]) <= most:
        yield f"{name}: it has to be plain text of up to {most} characters"


def _view(fields: Mapping[str, Any]) -> dict[str, Any]:
    given = fields.get("view")
    read: dict[str, Any] = json.loads(given) if isinstance(given, str) else given or {}
    return read


def _invalid(wrong: list[str]) -> dict[str, Any]:
    return {"ok": False, "error": "invalid_arguments", "response_metadata": {"messages": wrong}}
