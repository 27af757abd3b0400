"""Discord's forms: a reply as messages, the table of commands as Discord wants it, a form as a modal, and our marks. Pure.

Sources: docs.discord.com, "Component Reference", "Application Commands", "Receiving and Responding", "Message Resource".

What is posted is marked in the ids of its components, which Discord keeps with the message: a nonce it forgets in minutes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from adapters.messages import File
from bot.commands.base import Command
from bot.platforms.base import Button, Field, Footer, Form, PlatformName, Reply, ToolStep
from bot.platforms.markdown import split
from bot.sentences import Sentences
from ledger.pseudonyms import TurnId

DISCORD = PlatformName("discord")
Payload: TypeAlias = Mapping[str, Any]
"""JSON as Discord sends it."""

PIECE_CHARACTERS_MAX = 3_200
FOOTER_CHARACTERS_MAX = 600
"""All texts of a message with components may have 4,000 characters together."""

STEPS_SHOWN_MAX = 4
THREAD_NAME_MAX = 80
FILES_MAX = 10
CUSTOM_ID_MAX = 100
LABEL_MAX = 80
MODAL_TITLE_MAX = MODAL_LABEL_MAX = 45
HINT_MAX = 100
MODAL_FIELDS_MAX = 5
SELECT_OPTIONS_MAX = CHOICES_MAX = 25
TEXT_INPUT_MAX = 4_000

COMPONENTS_V2 = 1 << 15
EPHEMERAL = 1 << 6
LOADING = 1 << 7
"""Of a message that waits to be filled."""
ACTION_ROW, BUTTON, STRING_SELECT, TEXT_INPUT, USER_SELECT = 1, 2, 3, 4, 5
TEXT_DISPLAY, FILE, SEPARATOR, LABEL = 10, 13, 14, 18
STYLES: Mapping[str, int] = {"primary": 1, "plain": 2, "danger": 4}

ASK = "ask"
ASK_ABOUT = "Ask CarPool about this"
STOP_ID = "stop"
SAY = "say:"
FORM = "form:"
EVERYWHERE = {"integration_types": [0, 1], "contexts": [0, 1, 2]}
"""For servers and for people who install it for themselves; in servers, in direct messages, and anywhere else."""

COMPLETED = ("model",)
"""Commands whose argument Discord completes while it is typed."""

State: TypeAlias = Literal["live", "whole", "last"]
Mode: TypeAlias = Literal["public", "private", "after"]
_MODES: tuple[Mode, ...] = ("public", "private", "after")
_STATES: tuple[State, ...] = ("live", "whole", "last")
_REFERENCE = re.compile(r"<(@[!&]?|#)(\d+)>")
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_MARKUP = re.compile(r"([\\*_~|`<>\[\]()#@:-])")


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a reply. ``number`` counts from 1; ``last`` is the one that says that all of it is there."""

    text: str
    number: int
    last: bool
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A message of ours for a turn: its id, which piece it is, and how it stands: still being written, whole, or the last."""

    message: str
    number: int
    state: State


@dataclass(frozen=True, slots=True)
class Way:
    """How a message is answered, as ``Address.reply_url`` keeps it. ``token`` is of an interaction: it lives 15 minutes.

    ``message`` is what a message in a channel without threads replies to. ``mode`` is how the interaction was
    acknowledged: as an answer that all will see, as one for the asker alone, or with nothing that waits to be filled
    (``after``: what comes is a message of its own, for the asker alone).
    """

    message: str = ""
    application: str = ""
    token: str = ""
    mode: Mode = "public"

    def __str__(self) -> str:
        if self.token:
            return f"interaction:{self.application}:{self.mode}:{self.token}"
        return f"message:{self.message}" if self.message else ""


def read_way(reply_url: str) -> Way:
    kind, _, rest = reply_url.partition(":")
    if kind == "message":
        return Way(message=rest)
    words = rest.split(":", 2)
    if kind != "interaction" or len(words) != 3:
        return Way()
    mode: Mode = next((mode for mode in _MODES if mode == words[1]), _MODES[0])
    return Way(application=words[0], token=words[2], mode=mode)


def pieces_of(reply: Reply) -> tuple[Piece, ...]:
    """The reply as messages; footer, buttons and files stand with the last."""
    text = clean(reply.text)
    texts = split(text if text.strip() else "(empty)", PIECE_CHARACTERS_MAX)
    last = len(texts)
    return tuple(
        Piece(text, number, False)
        if number < last
        else Piece(text, number, True, footer_text(reply.footer), reply.buttons, reply.files[:FILES_MAX])
        for number, text in enumerate(texts, start=1)
    )


def footer_text(footer: Footer | None) -> str:
    if footer is None:
        return ""
    line = _escape(footer.line)
    return line if len(line) <= FOOTER_CHARACTERS_MAX else f"{line[: FOOTER_CHARACTERS_MAX - 1].rstrip(chr(92))}…"


def message_of(piece: Piece, turn: TurnId, part: int) -> dict[str, Any]:
    """The message that shows a piece for good. Sent with a nonce, Discord makes it once, however often it arrives."""
    state: State = "last" if piece.last else "whole"
    components = [*_text(piece.text, turn, part, piece.number, state)]
    if piece.footer:
        components.append({"type": TEXT_DISPLAY, "content": f"-# {piece.footer}"})
    components += [{"type": FILE, "file": {"url": f"attachment://{name}"}} for name in file_names(piece.files)]
    return _message([*components, *_rows(piece.buttons)])


def live_message_of(text: str, steps: Sequence[ToolStep], turn: TurnId, number: int, say: Sentences) -> dict[str, Any]:
    """The message that shows an answer while it is made."""
    lines = [f"-# {_STEP[step.state]} {_escape(step.title[:LABEL_MAX])}" for step in steps]
    shown = "\n".join([*lines[-STEPS_SHOWN_MAX:], text]).strip()
    stop = {"type": BUTTON, "style": STYLES["danger"], "label": say("Stop"), "custom_id": STOP_ID}
    components = _text(shown or "-# …", turn, 1, number, "live")
    return _message([*components, {"type": ACTION_ROW, "components": [stop]}])


_STEP: Mapping[str, str] = {"running": "…", "done": "✓", "failed": "✗"}


def private_message(text: str, buttons: tuple[Button, ...] = ()) -> dict[str, Any]:
    """What became of a form."""
    texts = [{"type": TEXT_DISPLAY, "content": clean(text)[:PIECE_CHARACTERS_MAX] or "…"}]
    return _message([*texts, *_rows(buttons)])


def nonce(turn: TurnId, part: int, number: int, live: bool) -> str:
    """At most 25 characters."""
    return f"{turn.removeprefix('t-')[:16]}.{part % 10}.{number}{'l' if live else ''}"


def file_names(files: Sequence[File]) -> tuple[str, ...]:
    """Names that can be referred to within a message: safe, and each once."""
    return tuple(f"{place}-{name}" if place else name for place, name in enumerate(map(_safe_name, files)))


def _safe_name(file: File) -> str:
    return _UNSAFE_NAME.sub("_", file.name).strip("._")[-60:] or "file"


def _escape(text: str) -> str:
    """As words in a line of ours, whatever Discord would make of their signs."""
    return _MARKUP.sub(r"\\\1", " ".join(clean(text).split()))


def clean(text: str) -> str:
    """Without halves of surrogate pairs, which no JSON can carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _message(components: list[dict[str, Any]]) -> dict[str, Any]:
    return {"flags": COMPONENTS_V2, "components": components, "allowed_mentions": {"parse": []}}


def _text(text: str, turn: TurnId, part: int, number: int, state: State) -> list[dict[str, Any]]:
    first, second = _marks(turn, part, number, state)
    return [
        {"type": TEXT_DISPLAY, "id": first, "content": text},
        {"type": SEPARATOR, "id": second, "divider": False, "spacing": 1},
    ]


def _rows(buttons: Sequence[Button]) -> list[dict[str, Any]]:
    shown = {
        f"{SAY}{button.invocation}": {
            "type": BUTTON,
            "style": STYLES[button.style],
            "label": clean(button.label)[:LABEL_MAX],
            "custom_id": f"{SAY}{button.invocation}",
        }
        for button in buttons
        if len(SAY) + len(button.invocation) <= CUSTOM_ID_MAX
    }
    made = list(shown.values())
    return [{"type": ACTION_ROW, "components": made[place : place + 5]} for place in range(0, len(made), 5)]


def _marks(turn: TurnId, part: int, number: int, state: State) -> tuple[int, int]:
    """Ids of two components: 31 bits each, above any that Discord gives out itself.

    They hold what the message is, and 50 bits of a hash of its turn.
    """
    digest = int.from_bytes(sha256(f"{turn}/{part}".encode()).digest()[:8], "big")
    first = 1 << 30 | (digest & 0xFFFFF) << 10 | (number & 0xFF) << 2 | _STATES.index(state)
    return first, 1 << 30 | (digest >> 20 & 0x3FFFFFFF)


def pieces_there(messages: Sequence[Payload], ours: str, turn: TurnId, part: int) -> dict[int, Found]:
    """Which pieces of a reply are among these messages, by number. ``ours`` is the bot's user id."""
    wanted = {
        marks[0]: (number, state)
        for number in range(1, 256)
        for state in _STATES
        if (marks := _marks(turn, part, number, state))
    }
    second = _marks(turn, part, 1, "live")[1]
    found: dict[int, Found] = {}
    for message in messages:
        # Somebody else could mark a message of theirs like this.
        if str((message.get("author") or {}).get("id")) != ours:
            continue
        ids = [item.get("id") for item in message.get("components") or [] if isinstance(item, Mapping)]
        if second in ids and (named := next((wanted[mark] for mark in ids if mark in wanted), None)) is not None:
            found.setdefault(named[0], Found(str(message["id"]), *named))
    return found


def is_whole(found: Mapping[int, Found]) -> bool:
    last = next((number for number, piece in found.items() if piece.state == "last"), 0)
    return last > 0 and all(number in found and found[number].state != "live" for number in range(1, last + 1))


def readable(content: str, me: int, names: Mapping[str, str]) -> str:
    """What a person wrote, with names in place of ids. The mention of the bot itself is taken out."""

    def name(found: re.Match[str]) -> str:
        sign = "#" if found[1] == "#" else "@"
        if sign == "@" and int(found[2]) == me:
            return ""
        return f"{sign}{names.get(found[2], found[2])}"

    return _REFERENCE.sub(name, content).strip()


def commands_wanted(table: Mapping[str, Command]) -> list[dict[str, Any]]:
    """The table as Discord's application commands, and a question as one."""
    question = {"type": 3, "name": "question", "description": "What you would like to know", "required": True}
    file = {"type": 11, "name": "file", "description": "A file or an image that belongs to it", "required": False}
    ask = _command(ASK, "Asks CarPool, and shows the answer here", [question, file])
    menu: dict[str, Any] = {"type": 3, "name": ASK_ABOUT, "description": "", "options": [], **EVERYWHERE}
    return [ask, *(_command(command.name, command.summary, _options(command)) for command in table.values()), menu]


def _command(name: str, summary: str, options: list[dict[str, Any]]) -> dict[str, Any]:
    about = f"{summary[:1].upper()}{summary[1:]}"[:100]
    return {"type": 1, "name": name, "description": about, "options": options, **EVERYWHERE}


def _options(command: Command) -> list[dict[str, Any]]:
    """The rest of its line as one option, where its usage has one: ``model [NAME | auto]``."""
    rest = command.usage.removeprefix(command.name).strip()
    word = re.search(r"[A-Z]{1,32}", rest)
    if word is None:
        return []
    option = {"type": 3, "name": word[0].lower(), "description": rest[:100], "required": False}
    return [{**option, "autocomplete": True} if command.name in COMPLETED else option]


def commands_differ(wanted: Sequence[Payload], there: Sequence[Payload]) -> bool:
    """Whether what Discord has is other than what is wanted. What it adds of its own does not count."""
    return sorted(map(_known, wanted), key=str) != sorted(map(_known, there), key=str)


def _known(command: Payload) -> tuple[object, ...]:
    options = [
        tuple((name, option.get(name) or False) for name in ("type", "name", "description", "required", "autocomplete"))
        for option in command.get("options") or []
    ]
    where = [tuple(sorted(command.get(name) or ())) for name in EVERYWHERE]
    return (command.get("type", 1), command["name"], command.get("description") or "", tuple(options), *where)


def modal_of(form: Form, invocation: str) -> dict[str, Any]:
    """A form as a modal. The invocation comes back with it, for a second try."""
    fields = [_field(field) for field in form.fields[:MODAL_FIELDS_MAX]]
    room = MODAL_FIELDS_MAX - len(fields)
    text = [{"type": TEXT_DISPLAY, "content": clean(form.text)[:PIECE_CHARACTERS_MAX]}] if form.text and room else []
    return {
        "title": clean(form.title)[:MODAL_TITLE_MAX],
        "custom_id": f"{FORM}{form.name}:{invocation}"[:CUSTOM_ID_MAX],
        "components": [*text, *fields],
    }


def read_modal_id(custom_id: str) -> tuple[str, str]:
    """The form's name, and the invocation that opened it."""
    name, _, invocation = custom_id.removeprefix(FORM).partition(":")
    return name, invocation


def _field(field: Field) -> dict[str, Any]:
    inner: dict[str, Any] = {"custom_id": field.name[:CUSTOM_ID_MAX], "required": not field.optional}
    match field.kind:
        case "choice":
            options = [
                {"label": choice.label[:100], "value": choice.value[:100], "default": choice.value == field.value}
                for choice in field.choices[:SELECT_OPTIONS_MAX]
            ]
            inner |= {"type": STRING_SELECT, "options": options}
        case "person":
            inner |= {"type": USER_SELECT}
        case _:
            inner |= {"type": TEXT_INPUT, "style": 2 if field.kind == "text" else 1, "max_length": TEXT_INPUT_MAX}
            # Discord has no input that hides what is typed; at least nothing stands there at first.
            if field.value and field.kind != "secret":
                inner["value"] = clean(field.value)[:TEXT_INPUT_MAX]
    label: dict[str, Any] = {"type": LABEL, "label": clean(field.label)[:MODAL_LABEL_MAX], "component": inner}
    return {**label, "description": clean(field.hint)[:HINT_MAX]} if field.hint else label


def read_modal(components: Sequence[Payload]) -> dict[str, str]:
    """What was filled in, by field. Labels, and the rows of older clients, hold the inputs."""
    values: dict[str, str] = {}
    for component in components:
        inner = component.get("component")
        for item in (*([inner] if isinstance(inner, Mapping) else []), *(component.get("components") or ())):
            chosen = item.get("values") or []
            values[str(item.get("custom_id"))] = str(item.get("value") or (chosen[0] if chosen else ""))
    return values


def thread_name(text: str) -> str:
    line = " ".join(clean(text).split())
    return (line if len(line) <= THREAD_NAME_MAX else f"{line[: THREAD_NAME_MAX - 1]}…") or "CarPool"
