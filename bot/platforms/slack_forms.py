"""Forms as Slack's modals, and a person's page as their App Home. Pure.

Sources: docs.slack.dev, "Modals", "App Home", "Blocks", "Block elements", "Formatting message text".
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.platforms.base import Address, Button, Choice, Field, Form, Section, Talk
from bot.platforms.markdown import split
from bot.platforms.slack_pieces import escape
from bot.platforms.slack_wire import SLACK, Payload
from bot.sentences import Sentences

View: TypeAlias = dict[str, Any]

FORM = "carpool_form"
"""The callback_id of our modals."""
ANSWER = "answer"
HOME_SAY = "carpool_home"
"""How the action_id of each button on a person's page begins."""

TITLE_MAX = 24
LABEL_MAX = 2_000
HINT_MAX = 2_000
INPUT_MAX = 3_000
SECTION_MAX = 3_000
HEADER_MAX = 150
OPTIONS_MAX = 100
OPTION_MAX = 75
BUTTON_MAX = 75
BUTTONS_MAX = 25
METADATA_MAX = 3_000
BLOCKS_MAX = 100

SEEN_HINT = "Slack shows it while you type. CarPool seals it and never shows it again."
TOO_MUCH = "_There is more than fits here: ask CarPool in a message for the rest._"

_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE)
_ITEM = re.compile(r"^(\s*)- ", re.MULTILINE)
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sent:
    """A modal that was sent: from where it was opened, which form it is, and what was filled in."""

    address: Address
    form: str
    values: Mapping[str, str]
    event_identity: str
    first_field: str


def modal(form: Form, address: Address, say: Sentences) -> View:
    """``address`` comes back with what is filled in."""
    view: View = {
        "type": "modal",
        "callback_id": FORM,
        "title": _plain(form.title, TITLE_MAX),
        "close": _plain(say("Cancel"), TITLE_MAX),
        "private_metadata": json.dumps({"form": form.name, "channel": address.channel, "thread": address.thread}),
        "blocks": [*_sections(form.text), *(_input(field, say) for field in form.fields)],
    }
    # Slack takes a button for sending only where there is something to send.
    return {**view, "submit": _plain(form.submit, TITLE_MAX)} if form.fields else view


def said(title: str, text: str, say: Sentences) -> View:
    """A modal that tells what became of one."""
    return {
        "type": "modal",
        "title": _plain(title, TITLE_MAX),
        "close": _plain(say("Close"), TITLE_MAX),
        "blocks": list(_sections(text if text.strip() else say("Done.")))[:BLOCKS_MAX],
    }


def home(sections: Sequence[Section], links: Mapping[Address, str], say: Sentences) -> View:
    """``links`` lead to the conversations of the sections, as far as there are any."""
    blocks: list[View] = []
    for number, section in enumerate(sections):
        if number:
            blocks.append({"type": "divider"})
        blocks.append({"type": "header", "text": _plain(section.title, HEADER_MAX)})
        blocks += _sections(section.text)
        blocks += (_talk(talk, links.get(talk.address, "")) for talk in section.talks)
        blocks += _actions(section.buttons, number)
    if len(blocks) > BLOCKS_MAX:
        blocks = [*blocks[: BLOCKS_MAX - 1], {"type": "section", "text": {"type": "mrkdwn", "text": say(TOO_MUCH)}}]
    return {"type": "home", "blocks": blocks}


def read_sent(body: Payload) -> Sent | None:
    """A ``view_submission``."""
    view, user, team = (_object(body, name) for name in ("view", "user", "team"))
    workspace = view.get("app_installed_team_id") or team.get("id") or user.get("team_id")
    trigger, person = body.get("trigger_id") or f"{view.get('id')}/{view.get('hash')}", user.get("id")
    try:
        opened = json.loads(str(view.get("private_metadata") or ""))
        address = Address(SLACK, str(workspace), str(opened["channel"]), str(opened["thread"]), str(person))
        form = str(opened["form"])
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(workspace, str) and workspace and isinstance(person, str) and person):
        return None
    given = _object(_object(view, "state"), "values")
    values = {str(name): _value(_object(answer, ANSWER)) for name, answer in given.items()}
    first = next((str(block.get("block_id")) for block in view.get("blocks") or () if block.get("type") == "input"), "")
    # Each sending has a trigger of its own: one that was mended is another, one that Slack tells of twice is not.
    return Sent(address, form, values, f"form:{workspace}:{trigger}", first)


def mrkdwn(text: str) -> str:
    """Markdown of ours in Slack's own markup. What could call people is only text in it."""
    parts = _CODE.split(escape(text))
    return "".join(part if number % 2 else _marked(part) for number, part in enumerate(parts))


def _marked(text: str) -> str:
    text = _HEADING.sub(r"**\1**", text)
    text = _LINK.sub(r"<\2|\1>", text)
    text = _BOLD.sub(r"*\1*", text)
    return _ITEM.sub(r"\1• ", text)


def _sections(text: str) -> Iterator[View]:
    if not text.strip():
        return
    for piece in split(text, SECTION_MAX // 2):
        # Escaping makes it longer: one letter becomes five at the most.
        parts = (piece,) if len(mrkdwn(piece)) <= SECTION_MAX else split(piece, SECTION_MAX // 6)
        for part in parts:
            yield {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn(part)}}


def _talk(talk: Talk, link: str) -> View:
    asked = escape(talk.asked)
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": f"• <{escape(link)}|{asked}>" if link else f"• {asked}"},
    }


def _actions(buttons: Sequence[Button], section: int) -> Iterator[View]:
    for start in range(0, len(buttons), BUTTONS_MAX):
        elements: list[View] = []
        for number, button in enumerate(buttons[start : start + BUTTONS_MAX], start=start):
            made: View = {
                "type": "button",
                "action_id": f"{HOME_SAY}_{section}_{number}",
                "text": _plain(button.label, BUTTON_MAX),
                "value": button.invocation,
            }
            elements.append(made if button.style == "plain" else {**made, "style": button.style})
        yield {"type": "actions", "elements": elements}


def _input(field: Field, say: Sentences) -> View:
    hint = " ".join(filter(None, (field.hint, say(SEEN_HINT) if field.kind == "secret" else "")))
    block: View = {
        "type": "input",
        "block_id": field.name,
        "label": _plain(field.label, LABEL_MAX),
        "optional": field.optional,
        "element": {"action_id": ANSWER, **_element(field, say)},
    }
    return {**block, "hint": _plain(hint, HINT_MAX)} if hint else block


def _element(field: Field, say: Sentences) -> View:
    match field.kind:
        case "line" | "text":
            element: View = {"type": "plain_text_input", "multiline": field.kind == "text", "max_length": INPUT_MAX}
            return {**element, "initial_value": field.value[:INPUT_MAX]} if field.value else element
        case "secret":
            return {"type": "plain_text_input", "max_length": INPUT_MAX}
        case "person":
            return {"type": "users_select", **({"initial_user": field.value} if field.value else {})}
        case "choice":
            return _select(field, say)


def _select(field: Field, say: Sentences) -> View:
    options = [_option(choice) for choice in field.choices]
    element: View = {"type": "static_select"}
    if len(options) <= OPTIONS_MAX:
        element["options"] = options
    else:
        element["option_groups"] = [
            {
                "label": _plain(say("From {0}", start + 1), OPTION_MAX),
                "options": options[start : start + OPTIONS_MAX],
            }
            for start in range(0, len(options), OPTIONS_MAX)
        ]
    initial = [option for option in options if option["value"] == field.value]
    return {**element, "initial_option": initial[0]} if initial else element


def _option(choice: Choice) -> View:
    return {"text": _plain(choice.label, OPTION_MAX), "value": choice.value}


def _value(answer: Payload) -> str:
    """Of whatever element it was; empty where it was left empty."""
    chosen = answer.get("selected_option")
    given = answer.get("value") or answer.get("selected_user")
    if isinstance(chosen, Mapping):
        given = chosen.get("value")
    return given if isinstance(given, str) else ""


def _plain(text: str, most: int) -> View:
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return {"type": "plain_text", "text": shown, "emoji": False}


def _object(whole: Payload, name: str) -> Payload:
    found = whole.get(name)
    return found if isinstance(found, Mapping) else {}
