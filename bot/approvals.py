"""Approval of what a tool would change: what a person is asked, what exactly they approve of, and who may. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

import orjson

from adapters.messages import File, ToolCall
from bot.links import Links, safe
from bot.payloads import Said
from bot.platforms.base import Button
from bot.rules import Role, Rules
from bot.sentences import Sentences
from bot.visible import mixed_words, visible
from integrations.tools.base import Preview
from ledger.actions import (
    Action,
    ApprovalAsked,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalRefused,
    Approver,
    TurnFinished,
)
from ledger.money import FREE, Money, rc_text
from ledger.pseudonyms import ActorId, TurnId

VALUE_CHARACTERS_MAX = 1_000
DIFF_CHARACTERS_MAX = 4_000
_REFERENCE = re.compile(r"(t-[0-9a-z]{16})\.([1-9][0-9]{0,3})")


def digest(call: ToolCall, fields: Iterable[str] | None = None) -> str:
    """SHA-256, in hex, of the tool's name and its arguments as JSON with sorted keys: what an approval is bound to.

    ``fields`` are the arguments that count; None for all of them. Of the others, which may say anything, the names count:
    whoever allowed a mail to Ann with any text has not allowed one with a blind copy.
    """
    counted = (
        call.arguments if fields is None else {name: call.arguments[name] for name in fields if name in call.arguments}
    )
    free = sorted(call.arguments.keys() - counted.keys())
    bound = [call.name, counted, free] if free else [call.name, counted]
    return hashlib.sha256(orjson.dumps(bound, option=orjson.OPT_SORT_KEYS)).hexdigest()


def approver_of(tool: str, preview: Preview, rules: Rules) -> Approver:
    """What costs money is never approved by the one who asked for it, and what moves it by an admin alone, whatever is set."""
    if preview.by_another_admin:
        return "another_admin"
    wanted = rules.approvers.get(tool, "asker")
    return "another" if preview.cost and wanted == "asker" else wanted


def allowed_before(call: ToolCall, person: ActorId, approver: Approver, rules: Rules, now_us: int) -> str:
    """The digest of what was allowed, where this call needs no question; else nothing. Only what the asker may approve."""
    if approver != "asker":
        return ""
    mine = (one for one in rules.allowed if one.person == person and one.tool == call.name and now_us < one.until_us)
    return next((one.digest for one in mine if digest(call, one.fields) == one.digest), "")


def reference(turn: TurnId, number: int) -> str:
    return f"{turn}.{number}"


def read_reference(text: str) -> tuple[TurnId, int] | None:
    found = _REFERENCE.fullmatch(text)
    return None if found is None else (TurnId(found[1]), int(found[2]))


def question(
    call: ToolCall,
    preview: Preview,
    approver: Approver,
    turn: TurnId,
    number: int,
    wait_s: int,
    say: Sentences,
    *,
    doubtful: bool = False,
    price: Money = FREE,
) -> Said:
    """What is shown before anything is done: each argument, what would change, what it costs, what cannot be undone.

    ``doubtful``: it was allowed before, and is asked all the same. ``price`` is what CarPool takes for the use of the tool.
    """
    title, fields = say.of(preview.title), [(say.of(name), say.of(value)) for name, value in preview.fields]
    lines = [f"**{_unlinked(title)}** (`{_named(call.name)}`)", ""]
    lines += [f"- {_unlinked(name)}: {_value(value, say)}" for name, value in fields]
    if preview.diff:
        lines += ["", *_fenced(_cut(visible(preview.diff), DIFF_CHARACTERS_MAX, say), "diff")]
    if preview.cost:
        lines += ["", say("It costs {0}.", rc_text(preview.cost))]
    if price:
        lines += ["", say("Using this tool costs {0} of credit, where it succeeds.", rc_text(price))]
    if preview.irreversible:
        lines += ["", say("This cannot be undone: {0}", _unlinked(say.of(preview.irreversible)))]
    shown = (title, *(text for pair in fields for text in pair), preview.diff)
    if mixed := mixed_words(shown):
        words = ", ".join(_value(word, say) for word in mixed)
        lines += ["", say("Look closely: letters of different alphabets, which may look alike, stand in {0}.", words)]
    if doubtful:
        lines += [
            "",
            say("You allowed this before. It is asked all the same, since this answer has read what others wrote."),
        ]
    about = reference(turn, number)
    lines += [
        "",
        say(
            "{0} within {1}: `/approve {2}` or `/refuse {2}`. Else it is not done.",
            _who(approver, say),
            _minutes(wait_s, say),
            about,
        ),
    ]
    buttons = [
        Button(say("Approve"), f"approve {about}", "primary"),
        Button(say("Refuse"), f"refuse {about}", "danger"),
    ]
    if approver == "asker":
        buttons.append(Button(say("Always allow exactly this"), f"allow {about}"))
    return Said("\n".join(lines), _whole(fields, preview.diff, about), tuple(buttons))


def _whole(fields: Sequence[tuple[str, str]], diff: str, about: str) -> tuple[File, ...]:
    """What does not fit into the question, to the last character: nobody approves of what cannot be read."""
    fits = len(visible(diff)) <= DIFF_CHARACTERS_MAX
    if fits and all(len(visible(value)) <= VALUE_CHARACTERS_MAX for _, value in fields):
        return ()
    parts = [f"{visible(name)}:\n{visible(value)}\n" for name, value in (*fields, ("diff", diff)) if value]
    return (File(f"{about}.txt", "text/plain", "\n".join(parts).encode(errors="replace")),)


def may_decide(asked: ApprovalAsked, asker: ActorId, actor: ActorId, role: Role, rules: Rules, say: Sentences) -> str:
    """Why this person may not approve; empty where they may. Whoever may not approve may still refuse what they asked for."""
    if not rules.may(role, "ask"):
        return say("You may not use CarPool here.")
    match asked.approver:
        case "asker":
            may = actor == asker or rules.may(role, "settings")
            return "" if may else say("Only the person who asked, or an admin, can approve this.")
        case "another":
            return (
                ""
                if actor != asker
                else say("This costs money: somebody other than the person who asked has to approve it.")
            )
        case "admin":
            return "" if rules.may(role, "settings") else say("Only an admin can approve this.")
        case "another_admin":
            may = actor != asker and rules.may(role, "settings")
            return "" if may else say("This moves money: an admin other than the person who asked has to approve it.")
        case _:
            assert_never(asked.approver)


def undecided(actions: Iterable[Action]) -> tuple[ApprovalAsked, ...]:
    """What of a turn's entries still waits for a person."""
    asked: dict[int, ApprovalAsked] = {}
    for action in actions:
        match action:
            case ApprovalAsked(number=number):
                asked[number] = action
            case ApprovalGiven(number=number) | ApprovalRefused(number=number) | ApprovalExpired(number=number):
                asked.pop(number, None)
            case TurnFinished():
                return ()
            case _:
                pass
    return tuple(asked.values())


def refusal_for_model(decision: str) -> str:
    """What the model hears of a call that was not approved."""
    said: Mapping[str, str] = {
        "refused": "The person refused this. Nothing was done. Do not try it again unless they ask for it.",
        "superseded": "The person did not approve this, and wrote something else instead. Nothing was done.",
        "expired": "Nobody approved this in time. Nothing was done.",
        "changed": "What was approved was something else. Nothing was done.",
    }
    return said[decision]


def _who(approver: Approver, say: Sentences) -> str:
    said: Mapping[Approver, str] = {
        "asker": say("Approve or refuse"),
        "another": say("Somebody else approves"),
        "admin": say("An admin approves"),
        "another_admin": say("An admin other than the person who asked approves"),
    }
    return said[approver]


def _minutes(seconds: int, say: Sentences) -> str:
    minutes = max(1, round(seconds / 60))
    return say("a minute") if minutes == 1 else say("{0} minutes", minutes)


def _value(text: str, say: Sentences) -> str:
    """On one line as code, several lines as a block: never as markup of its own."""
    text = _cut(visible(text), VALUE_CHARACTERS_MAX, say)
    if "\n" in text:
        return "\n" + "\n".join(f"  {line}" for line in _fenced(text, ""))
    marks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{marks} {text} {marks}" if marks != "`" else f"`{text}`"


def _fenced(text: str, language: str) -> list[str]:
    marks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [f"{marks}{language}", *text.splitlines(), marks]


def _cut(text: str, most: int, say: Sentences) -> str:
    return text if len(text) <= most else text[:most] + say("… ({0:,} more characters, in the file)", len(text) - most)


def _named(text: str) -> str:
    """A name as it is written for `/settings approver`, within code and on one line."""
    return re.sub(r"[`\s]+", " ", visible(text)).strip()


def _unlinked(text: str) -> str:
    """As ``_plain``, where a platform would make links of addresses: a question must not carry anything out either."""
    return safe(_plain(text), Links(frozenset()))


def _plain(text: str) -> str:
    """Names and titles come from tools and models: no markup, and one line."""
    return re.sub(r"[`*_<>\[\]\s]+", " ", visible(text)).strip()
