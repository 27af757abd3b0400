"""What a command is given, and what it gives back.

A command reads and returns: what it changes stands in its result as actions, which the turn records together with the
reply. So a command that is run again after a crash does no harm.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.connections import Connections
from bot.lucidia.policy import Policy
from bot.lucidia.watch import Watch
from ledger.actions import Action
from ledger.entry import Scope
from ledger.pseudonyms import ConversationId
from ledger.store import Recorded, Store


@dataclass(frozen=True, slots=True)
class Desk:
    """What commands and turns read from. ``stop`` stops what is being answered in a conversation: how many turns.

    ``receipt`` makes the receipt of an entry, or gives None where no checkpoint can cover it just now. ``watch`` knows how the
    models do, ``policy`` what is wanted of a choice among them.
    """

    store: Store
    connections: Connections
    stop: Callable[[ConversationId], int]
    receipt: Callable[[Recorded], Awaitable[bytes | None]]
    watch: Watch
    policy: Policy


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, with what arguments (as typed, stripped), the ``seq`` of the asking message, and on which platform."""

    scope: Scope
    seq: int
    arguments: str
    platform: str


@dataclass(frozen=True, slots=True)
class Result:
    """``text`` is Markdown. ``changes`` are recorded with the reply."""

    text: str
    changes: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """``bare`` says whether arguments make it a command also without a slash: "help" is one, "help me" is not."""

    name: str
    usage: str
    summary: str
    run: Callable[[Asking, Desk], Awaitable[Result]]
    bare: Callable[[str], bool]


def no_arguments(arguments: str) -> bool:
    return not arguments


def one_word(arguments: str) -> bool:
    return len(arguments.split()) <= 1
