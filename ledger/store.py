"""The port behind which a ledger is kept, and the values that pass through it.

A store does two things: it runs one batch of the writer in one durable transaction (``commit``), and it reads back. What
is written is decided by pure functions of ``ledger.roadchain``, the same for each store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NewType, Protocol, TypeAlias

from ledger.actions import ErasedScope, LedgerReopened, SettingName, TurnKind, TurnOutcome
from ledger.book import NOTHING_STANDS, AccountRow, BookChange, Counter, Hold, HoldId, Standing, Wanted
from ledger.entry import Draft, Entry
from ledger.errors import LedgerError
from ledger.merkle import EMPTY_FRONTIER, Frontier, Subtree
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId

OwnerId = NewType("OwnerId", str)
"""A process that runs turns: unique for each start of a program."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: how many entries, the last one's hash, the latest ``mono``; ``frontier`` is that of the tree."""

    size: int
    hash: bytes
    mono: int
    frontier: Frontier = EMPTY_FRONTIER


EMPTY = Head(0, b"", 0)


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that stands under an idempotency key. ``salt`` is None where it has no payload, or one that was erased."""

    seq: int
    leaf: bytes
    hash: bytes
    salt: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """What the store read, inside the transaction and with the head locked."""

    head: Head
    known: Mapping[str, Known]
    standing: Standing = NOTHING_STANDS


@dataclass(frozen=True, slots=True)
class Receipt:
    """The entry is recorded. ``fresh`` is false where it stood already: whoever appended it first does its effect."""

    seq: int
    hash: bytes
    fresh: bool


@dataclass(frozen=True, slots=True)
class Row:
    entry: Entry
    leaf: bytes
    hash: bytes
    conversation: ConversationId
    salt: bytes | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class TurnOpened:
    turn: TurnId
    seq: int
    workspace: WorkspaceId
    actor: ActorId
    conversation: ConversationId
    platform: str
    kind: TurnKind


@dataclass(frozen=True, slots=True)
class TurnClosed:
    turn: TurnId
    outcome: TurnOutcome


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """What the turn waited for is there: it may be claimed at once."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class TurnTold:
    """Whoever is at work on the turn is told something by an entry of it."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class ConversationTouched:
    conversation: ConversationId
    workspace: WorkspaceId
    platform: str
    seq: int


@dataclass(frozen=True, slots=True)
class ModelPinned:
    """``model`` as ``provider/model``; empty where Lucidia chooses again."""

    conversation: ConversationId
    model: str


@dataclass(frozen=True, slots=True)
class SettingKept:
    """What is set in a workspace: for all of it, in one ``conversation``, or for a ``person``; of an ``item`` where there are
    several. An empty value: no longer."""

    workspace: WorkspaceId
    setting: SettingName
    value: str
    conversation: ConversationId
    person: ActorId
    item: str = ""


@dataclass(frozen=True, slots=True)
class TextsErased:
    """Delete the payloads of the entries below ``seq`` that the person, the conversation, the turn, or the workspace before a
    time (of the entry's ``mono``) has."""

    workspace: WorkspaceId
    scope: ErasedScope
    subject: str
    before_us: int | None
    seq: int


Change: TypeAlias = (
    TurnOpened | TurnClosed | TurnResumed | TurnTold | ConversationTouched | ModelPinned | SettingKept | TextsErased
)

Group: TypeAlias = tuple[Draft, ...]
"""Drafts that are recorded together or not at all."""

Outcome: TypeAlias = tuple[Receipt, ...] | LedgerError


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a batch comes to: what is to be written, the new head, and an outcome for each group."""

    head: Head
    rows: tuple[Row, ...]
    subtrees: tuple[Subtree, ...]
    changes: tuple[Change, ...]
    book: BookChange
    outcomes: tuple[Outcome, ...]

    @property
    def reopens(self) -> bool:
        """Whether an operator opens the ledger again that had a fault."""
        return any(isinstance(row.entry.action, LedgerReopened) for row in self.rows)


Seal: TypeAlias = Callable[[Found], Sealed]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry read back. ``body`` is None where there is no payload, or it was erased."""

    entry: Entry
    leaf: bytes
    hash: bytes
    body: bytes | None


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn that this process has claimed. ``attempts`` counts the claims, this one included."""

    turn: TurnId
    workspace: WorkspaceId
    actor: ActorId
    conversation: ConversationId
    platform: str
    kind: TurnKind
    attempts: int


@dataclass(frozen=True, slots=True)
class Conversation:
    conversation: ConversationId
    pinned_model: str
    turns: int


class Store(Protocol):
    """Raises ``StoreFailed`` where the place itself fails. After a failed ``commit`` it takes no more until reopened."""

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        """One transaction: lock the head, read what is wanted, seal, write. Durable on return.

        While the ledger has a fault it raises ``StoreFailed`` for ``changed``, and nothing is written; but a batch that
        reopens it is, and takes the fault away in the same transaction.
        """
        ...

    async def fault(self) -> str:
        """What was found wrong with the ledger; empty where that is nothing."""
        ...

    async def set_fault(self, fault: str) -> None:
        """While it is not empty no process appends: it stands beside the chain, since the chain is not to be trusted then.
        Durable on return."""
        ...

    async def head(self) -> Head: ...

    async def entries(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        """In order, from the entry whose ``seq`` is above ``after`` (-1: from genesis)."""
        ...

    async def frontier(self) -> Frontier:
        """That of the head."""
        ...

    async def leaves(self, first: int, count: int) -> tuple[bytes, ...]:
        """The canonical bytes of ``count`` entries (fewer at the end), from ``first``."""
        ...

    async def subtree_hashes(self, level: int, first: int, count: int) -> tuple[bytes, ...]:
        """Level 0: entries' hashes. Level L: roots of complete subtrees of 256**L entries. ``count`` of them, from ``first``."""
        ...

    async def latest_checkpoint(self) -> bytes | None:
        """The signed note of the largest checkpoint that was kept."""
        ...

    async def keep_checkpoint(self, size: int, root: bytes, note: bytes) -> None:
        """Durable on return. A larger one that stands already stays the latest; the same size twice keeps the newer note."""
        ...

    async def balances(self) -> tuple[AccountRow, ...]:
        """Every account that was ever posted to, by name."""
        ...

    async def balances_of(self, workspace: WorkspaceId) -> tuple[AccountRow, ...]:
        """The same, of the accounts of one workspace: what it costs does not grow with how many others there are."""
        ...

    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        """Entries with postings, in order, from the one whose ``seq`` is above ``after``. Without their payloads."""
        ...

    async def charged(self, workspace: WorkspaceId, actor: ActorId, after: int, count_max: int) -> tuple[Recorded, ...]:
        """What was held for a person's answers there, charged for them and given back, in order, from the entry whose ``seq`` is
        above ``after``. Without their payloads. It looks through every entry from there on."""
        ...

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]:
        """The latest ``credit.plan_grant`` of the workspace, and each ``credit.expire`` after it, in order; nothing where there
        is none. Without their payloads. What it costs does not grow with the ledger."""
        ...

    async def hold(self, hold: HoldId) -> Hold | None: ...

    async def spent(self, counter: Counter) -> int: ...

    async def texts(self, erased: TextsErased) -> int:
        """How many texts there are that this would delete."""
        ...

    async def scrub(self) -> None:
        """See that what was erased is in no file of the store any more. May take long, and keeps writers waiting."""
        ...

    async def find(self, idem: str) -> Recorded | None:
        """The entry that stands under an idempotency key."""
        ...

    async def entries_of(self, turn: TurnId) -> tuple[Recorded, ...]:
        """The journal of a turn, in order."""
        ...

    async def said_in(self, conversation: ConversationId, before: int, count_max: int) -> tuple[Recorded, ...]:
        """What was said in a conversation below ``seq`` ``before``: the last ones, in order. Commands are left out.

        That is ``message.received``, ``context.read`` and ``reply.prepared`` of its turns of kind ``message``.
        """
        ...

    async def calls(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        """``model.called`` and ``model.answered``, in order, from above ``seq`` ``after``. Without their payloads."""
        ...

    async def last_turn(self, conversation: ConversationId, actor: ActorId, before: int) -> TurnId | None:
        """The last turn of kind ``message`` below ``seq`` ``before`` in the conversation; else the person's last anywhere."""
        ...

    async def conversation(self, conversation: ConversationId) -> Conversation | None: ...

    async def settings(self, workspace: WorkspaceId) -> tuple[SettingKept, ...]:
        """All that is set in the workspace, but the model of a conversation."""
        ...

    async def workspaces(self) -> tuple[WorkspaceId, ...]:
        """Every workspace in which something was said."""
        ...

    async def told(self, turns: Sequence[TurnId]) -> tuple[tuple[TurnId, str], ...]:
        """``stop.asked`` and ``message.withdrawn`` of these turns, by name: what another process may have recorded of them."""
        ...

    async def open_turns(self, workspace: WorkspaceId) -> int: ...

    async def claim(
        self, owner: OwnerId, platforms: Sequence[str], count_max: int, now_us: int
    ) -> tuple[OpenTurn, ...]:
        """Take open turns that nobody living holds: the oldest first, and of each conversation one message at a time.

        A store may hold a turn for the process that recorded it, until that has claimed it once or has ended.
        """
        ...

    async def release(self, turn: TurnId, not_before_us: int) -> None:
        """Give an open turn back; it is not claimed again before then."""
        ...

    async def replay(self) -> int:
        """Make the projections anew from the entries, the book too. Returns how many entries were read."""
        ...

    async def aclose(self) -> None: ...
