"""The actions that RoadChain records: a closed set, one frozen dataclass each.

A field is an int, a str, a bool, None, or a tuple of such records; never a float, never text that a person or a model
wrote (that is payload, beside the chain). A field may be added with a default, so that old entries are still read; none
is removed or changes its meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, TypeAlias, get_args

from ledger.credit_actions import Absorbed, CreditAction, CreditReserved, CreditSettled, Limit
from ledger.errors import InvalidEntry
from ledger.payment_actions import PaymentAction
from ledger.pseudonyms import ActorId, ConversationId, TurnId

TurnKind = Literal["message", "command"]
Refusal = Literal["", "empty", "too_long", "queue_full", "not_allowed", "not_here"]
ReplyKind = Literal["answer", "notice", "command"]
CallOutcome = Literal["answered", "failed", "stopped", "timed_out"]
TurnOutcome = Literal[
    "answered", "command", "refused", "failed", "stopped", "timed_out", "interrupted", "undelivered", "withdrawn"
]


@dataclass(frozen=True, slots=True)
class LedgerCreated:
    """The genesis entry. ``public_key`` is Ed25519, in hex; ``ledger`` is random, so that no two ledgers share a root."""

    name: ClassVar[str] = "ledger.created"
    origin: str
    ledger: str
    public_key: str
    hash: str = "ps-sha256"


@dataclass(frozen=True, slots=True)
class LedgerReopened:
    """An operator opened a ledger again that was found changed, and is whole now. ``fault`` is what had been found."""

    name: ClassVar[str] = "ledger.reopened"
    fault: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A platform handed a message over. Payload: the text, the attachments and where the reply goes.

    ``kind`` is ``message`` where a model is asked, and ``command`` where none is: a command, or a message refused.
    """

    name: ClassVar[str] = "message.received"
    platform: str
    conversation: ConversationId
    kind: TurnKind
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class MessageWithdrawn:
    """The asking message was deleted, or its text replaced, while it waited or was being answered: it is answered no more."""

    name: ClassVar[str] = "message.withdrawn"
    cause: Literal["deleted", "edited"]


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody has had enough of an answer that another process is making."""

    name: ClassVar[str] = "stop.asked"


@dataclass(frozen=True, slots=True)
class CommandRun:
    """A command is about to be carried out. Payload: its arguments."""

    name: ClassVar[str] = "command.run"
    command: str


@dataclass(frozen=True, slots=True)
class ContextRead:
    """What lay with the platform was read for an answer. Payload: what others said in the thread before, and the files.

    ``files`` were sent along; ``failed`` counts those of them that were not read, and the thread where it could not be.
    """

    name: ClassVar[str] = "context.read"
    messages: int
    files: int
    failed: int


NOBODY = ActorId("")

SettingName = Literal[
    "model",
    "policy",
    "providers",
    "answer_urc_max",
    "guests",
    "here",
    "role",
    "approver",
    "allow",
    "person_day_urc_max",
    "channel_month_urc_max",
    "workspace_month_urc_max",
    "person_month_urc_max",
    "workspace_day_urc_max",
]


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """``conversation`` is empty where the setting is the workspace's, or a ``person``'s. An empty ``value`` takes it back.

    ``item``: of ``approver`` the tool, of ``allow`` the digest of what is allowed without asking.
    """

    name: ClassVar[str] = "setting.changed"
    setting: SettingName
    value: str
    conversation: ConversationId
    person: ActorId = NOBODY
    item: str = ""


Verdict = Literal["good", "bad", "none"]


@dataclass(frozen=True, slots=True)
class FeedbackGiven:
    """What a person says of the answer of a turn. ``none`` takes it back."""

    name: ClassVar[str] = "feedback.given"
    about: TurnId
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """``estimated_cost`` in uRC; None where the model's price is not known."""

    provider: str
    model: str
    estimated_cost: int | None


@dataclass(frozen=True, slots=True)
class RouteChosen:
    """Lucidia's decision: candidates in order, and why. No candidate: nothing that is connected can serve it."""

    name: ClassVar[str] = "route.chosen"
    candidates: tuple[Candidate, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ModelCalled:
    """The request is about to leave. Each attempt is one entry, counted from 1.

    ``key`` is whose key it carries, by pseudonyms; empty where it is the house's.
    """

    name: ClassVar[str] = "model.called"
    attempt: int
    candidate: int
    provider: str
    model: str
    output_tokens_max: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class ModelAnswered:
    """What came of an attempt. Payload: what the model said, in full or as far as it came.

    ``usage_known`` is false where the provider reported none. ``error`` is the code of an AdapterError, or empty.
    ``shown`` says whether a person saw the beginning of it: after that no other model is asked.
    """

    name: ClassVar[str] = "model.answered"
    attempt: int
    outcome: CallOutcome
    finish_reason: str
    error: str
    shown: bool
    usage_known: bool
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    first_event_us: int | None
    took_us: int
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A tool is about to be used. Payload: its arguments."""

    name: ClassVar[str] = "tool.called"
    round: int
    call: str
    tool: str
    effect: Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """Payload: what goes back to the model."""

    name: ClassVar[str] = "tool.answered"
    round: int
    call: str
    failed: bool


Approver = Literal["asker", "another", "admin", "another_admin"]


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """A tool would change something, and a person has to approve it first. Payload: what they are shown.

    ``number`` counts the approvals of a turn from 1. ``arguments`` is the SHA-256, in hex, of the call's canonical arguments:
    what is approved is exactly that. Undecided at ``expires_us`` it is refused.
    """

    name: ClassVar[str] = "approval.asked"
    number: int
    round: int
    call: str
    tool: str
    arguments: str
    approver: Approver
    expires_us: int


@dataclass(frozen=True, slots=True)
class ApprovalShown:
    """The platform has the question."""

    name: ClassVar[str] = "approval.shown"
    number: int


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """The entry's actor approves of the arguments with this hash, once. ``standing``: the digest of what was allowed before."""

    name: ClassVar[str] = "approval.given"
    number: int
    arguments: str
    standing: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRefused:
    """``superseded``: instead of deciding, the person wrote something else."""

    name: ClassVar[str] = "approval.refused"
    number: int
    cause: Literal["person", "superseded"]


@dataclass(frozen=True, slots=True)
class ApprovalExpired:
    name: ClassVar[str] = "approval.expired"
    number: int


@dataclass(frozen=True, slots=True)
class ReplyPrepared:
    """The reply is about to be posted: the outbox. Payload: its text.

    ``part`` counts the replies of one turn from 1: a second one is a notice about the first.
    """

    name: ClassVar[str] = "reply.prepared"
    part: int
    kind: ReplyKind
    outcome: TurnOutcome


@dataclass(frozen=True, slots=True)
class ReplySent:
    """The platform has the reply. ``found``: it was seen there after a restart, and not posted again."""

    name: ClassVar[str] = "reply.sent"
    part: int
    found: bool


@dataclass(frozen=True, slots=True)
class TurnFinished:
    name: ClassVar[str] = "turn.finished"
    outcome: TurnOutcome


ErasedScope = Literal["person", "conversation", "turn", "age"]


@dataclass(frozen=True, slots=True)
class PayloadErased:
    """Texts were deleted: those of a ``person``, of a ``conversation``, of a ``turn``, or all of the workspace before a time
    (``age``).

    ``subject`` is the pseudonym, or the workspace's own where the time decides.
    """

    name: ClassVar[str] = "payload.erased"
    scope: ErasedScope
    subject: str
    before_us: int | None = None


@dataclass(frozen=True, slots=True)
class CheckpointSigned:
    """A checkpoint of the first ``size`` entries was signed. ``root`` in hex."""

    name: ClassVar[str] = "checkpoint.signed"
    size: int
    root: str


@dataclass(frozen=True, slots=True)
class KeyAdded:
    """``signing``: from here on this key signs too; ``public_key`` is Ed25519, in hex.

    ``provider``: somebody brought a key for a provider of models. ``platform``: the chat platform that ``provider`` names let
    CarPool into a workspace. ``service``: somebody connected the service of tools that ``provider`` names, or their token for
    it was renewed. Nothing of the key stands here.
    """

    name: ClassVar[str] = "key.added"
    kind: Literal["signing", "provider", "platform", "service"]
    public_key: str
    provider: str = ""


@dataclass(frozen=True, slots=True)
class KeyRemoved:
    name: ClassVar[str] = "key.removed"
    kind: Literal["signing", "provider", "platform", "service"]
    public_key: str
    provider: str = ""


Action: TypeAlias = (
    LedgerCreated
    | LedgerReopened
    | MessageReceived
    | MessageWithdrawn
    | StopAsked
    | CommandRun
    | ContextRead
    | SettingChanged
    | FeedbackGiven
    | RouteChosen
    | ModelCalled
    | ModelAnswered
    | ToolCalled
    | ToolAnswered
    | ApprovalAsked
    | ApprovalShown
    | ApprovalGiven
    | ApprovalRefused
    | ApprovalExpired
    | ReplyPrepared
    | ReplySent
    | TurnFinished
    | PayloadErased
    | CheckpointSigned
    | KeyAdded
    | KeyRemoved
    | PaymentAction
    | CreditAction
)

Nested: TypeAlias = Candidate | Limit | Absorbed

ACTIONS: Mapping[str, type[Action]] = {kind.name: kind for kind in get_args(Action)}

_FIELDS: Mapping[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in (*get_args(Action), *get_args(Nested))
}

_NESTED: Mapping[type, tuple[str, type[Nested]]] = {
    RouteChosen: ("candidates", Candidate),
    CreditReserved: ("limits", Limit),
    CreditSettled: ("absorbed", Absorbed),
}
"""The one field of a kind that is a list of records, and of which."""

Field: TypeAlias = None | bool | int | str | list[dict[str, "Field"]]


def encode_action(action: Action) -> dict[str, Field]:
    """The action's own fields, as they stand in an entry."""
    fields: dict[str, Field] = {}
    for name in _FIELDS[type(action)]:
        value = getattr(action, name)
        fields[name] = _encode(value) if type(value) is tuple else value  # the commonest need no look here
    return fields


def decode_action(name: str, data: Mapping[str, object]) -> Action:
    """The inverse of ``encode_action``; ``data`` may hold other keys. Raises ``InvalidEntry``."""
    kind = ACTIONS.get(name)
    if kind is None:
        raise InvalidEntry(f"no action is named {name!r}")
    given = {field: data[field] for field in field_names(kind) if field in data}
    try:
        if (nested := _NESTED.get(kind)) is not None and nested[0] in given:
            field, record = nested
            given[field] = tuple(record(**item) for item in given[field])  # type: ignore[attr-defined]  # a list, as written
        return kind(**given)  # type: ignore[arg-type]  # the canonical bytes were hashed as written
    except TypeError as error:
        raise InvalidEntry(f"{name}: {error}") from error


def field_names(kind: type) -> tuple[str, ...]:
    return _FIELDS[kind]


def _encode(value: object) -> Field:
    if value is None or isinstance(
        value, (str, int)
    ):  # a bool is an int; written as a union it would be made at each call
        return value
    if isinstance(value, tuple):
        return [{name: _encode(getattr(item, name)) for name in field_names(type(item))} for item in value]
    raise InvalidEntry(f"a field of type {type(value).__name__} has no canonical form")
