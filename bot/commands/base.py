"""What a command is given, and what it gives back.

A command reads and returns: what it changes stands in its result as actions, which the turn records together with the
reply. So a command that is run again after a crash does no harm.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from adapters.messages import File, ToolCall, ToolResult
from bot.billing import FREE_FOR_ALL, Billing
from bot.connections import Connections
from bot.limits import Limits
from bot.lucidia.policy import Policy
from bot.lucidia.watch import Watch
from bot.platforms.base import Address, Button, Form
from bot.rules import Role, Rules
from bot.sentences import ENGLISH, Sentences
from bot.services import Services
from ledger.actions import Action, ApprovalGiven, ApprovalRefused, StopAsked
from ledger.entry import Draft, Scope
from ledger.pseudonyms import ConversationId, Pseudonyms, TurnId
from ledger.roadchain import clock_us
from ledger.store import Recorded, Store


@dataclass(frozen=True, slots=True)
class Desk:
    """What commands and turns read from. ``stop`` stops what is being answered in a conversation: how many turns.

    ``receipt`` makes the receipt of an entry, or gives None where no checkpoint can cover it just now. ``watch`` knows how the
    models do, ``policy`` what is wanted of a choice among them where a workspace has not set it, ``billing`` what is paid for,
    ``services`` what people can connect.
    """

    store: Store
    connections: Connections
    stop: Callable[[ConversationId], int]
    receipt: Callable[[Recorded], Awaitable[bytes | None]]
    watch: Watch
    policy: Policy
    pseudonyms: Pseudonyms
    clock: Callable[[], int] = clock_us
    billing: Billing = FREE_FOR_ALL
    allowance_s: int = Limits().allowance_s
    undo_s: int = Limits().undo_s
    services: Services | None = None
    say: Sentences = ENGLISH


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, with what arguments (as typed, stripped), the ``seq`` of the asking message, from where, and what they may."""

    scope: Scope
    seq: int
    arguments: str
    address: Address
    role: Role
    rules: Rules


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision about another turn, which waits for it or is being worked on. It is recorded there, once."""

    turn: TurnId
    conversation: ConversationId
    action: ApprovalGiven | ApprovalRefused | StopAsked


@dataclass(frozen=True, slots=True)
class Undo:
    """What a tool did is to be taken back: the approval ``number`` of a turn, the call with its result, and for whom and from
    where it was done."""

    number: int
    call: ToolCall
    result: ToolResult
    scope: Scope
    address: Address

    @property
    def reference(self) -> str:
        return f"{self.scope.turn}.{self.number}"


def undo_key(turn: TurnId, number: int) -> str:
    """The key of the entry that begins it: whoever begins it first does it, and nobody a second time."""
    return f"{turn}/undo/{number}"


@dataclass(frozen=True, slots=True)
class Result:
    """``text`` is Markdown. ``changes`` are recorded with the reply, what is ``decided`` before it. ``told`` are the turns of
    others who are told of it, recorded with the reply too. ``undo`` is done before it, and what comes of it is the text; so is
    ``forget``: the billing data of the workspace are deleted."""

    text: str
    changes: tuple[Action, ...] = ()
    files: tuple[File, ...] = ()
    buttons: tuple[Button, ...] = ()
    decided: tuple[Decided, ...] = ()
    told: tuple[Draft, ...] = ()
    undo: Undo | None = None
    forget: bool = False


@dataclass(frozen=True, slots=True)
class Filling:
    """What a form comes to: ``text`` for its sender, ``changes`` to be recorded; or ``errors`` by field."""

    text: str
    changes: tuple[Action, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FormOf:
    """The form of a command. ``ask`` gives it, or None where these arguments ask for none.

    ``fill`` gets what was filled in, by field. That it was is on disk before it runs, what it changes is afterwards.
    """

    ask: Callable[[Asking, Desk], Awaitable[Form | None]]
    fill: Callable[[Asking, Desk, Mapping[str, str]], Awaitable[Filling]]


@dataclass(frozen=True, slots=True)
class Command:
    """``bare`` says whether arguments make it a command also without a slash: "help" is one, "help me" is not.

    ``private``: its reply is for the asker alone. ``home`` is the title under which it stands on a person's own page.
    """

    name: str
    usage: str
    summary: str
    run: Callable[[Asking, Desk], Awaitable[Result]]
    bare: Callable[[str], bool]
    private: bool = False
    form: FormOf | None = None
    home: str = ""


def no_arguments(arguments: str) -> bool:
    return not arguments


def a_turn(arguments: str) -> bool:
    """No arguments, or a turn's reference."""
    return not arguments or names_a_turn(arguments)


def names_a_turn(arguments: str) -> bool:
    return arguments.startswith("t-") and one_word(arguments)


def one_word(arguments: str) -> bool:
    return len(arguments.split()) <= 1
