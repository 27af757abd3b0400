"""An entry: one recorded action, its canonical bytes and its hash.

Canonical bytes are RFC 8785 (JCS) under a strict profile: ASCII keys, no floats, integers up to 2^53 - 1, valid UTF-8
without NUL, and nothing but dict, list, str, int, bool and None. Inside the profile orjson writes what RFC 8785 asks
for and is some sixty times faster than a general implementation; outside of it orjson accepts what JCS does not, so the
profile is checked first.

``hash_i = SHA-256(0x00 || JCS(entry_i, with prev = hash_(i-1)))``: the chain's hash is the RFC 6962 leaf hash.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from ledger.accounts import Account, Currency, Posting
from ledger.actions import Action, decode_action, encode_action
from ledger.errors import InvalidEntry
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId

VERSION = 1
ENTRY_BYTES_MAX = 4096
INTEGER_MAX = 2**53 - 1
GENESIS = "GENESIS"
ENVELOPE = (
    "v",
    "seq",
    "ts",
    "mono",
    "action",
    "turn",
    "actor",
    "workspace",
    "idem",
    "postings",
    "stripe",
    "payload",
    "prev",
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Who does something, and where. ``turn`` and ``conversation`` are empty for what belongs to none."""

    workspace: WorkspaceId
    actor: ActorId
    conversation: ConversationId
    turn: TurnId


HOUSE = Scope(WorkspaceId(""), ActorId("house"), ConversationId(""), TurnId(""))


@dataclass(frozen=True, slots=True)
class StripeObject:
    """What an entry is about at Stripe: ``payment_intent`` and its id, say."""

    object: str
    id: str


@dataclass(frozen=True, slots=True)
class Draft:
    """An action that is to be recorded. ``idem`` makes it happen once; ``payload`` is kept beside the chain."""

    action: Action
    scope: Scope
    idem: str
    payload: bytes | None = None
    stripe: StripeObject | None = None


@dataclass(frozen=True, slots=True)
class Commitment:
    """What stands in the chain for a payload: ``SHA-256(salt(32) || payload)`` in hex, and its length in bytes."""

    digest: str
    length: int


@dataclass(frozen=True, slots=True)
class Entry:
    """``ts`` and ``mono`` in microseconds since 1970 (UTC); ``ts`` is what the clock said, ``mono`` never decreases."""

    seq: int
    ts: int
    mono: int
    action: Action
    turn: TurnId
    actor: ActorId
    workspace: WorkspaceId
    idem: str
    payload: Commitment | None
    prev: str
    postings: tuple[Posting, ...] = ()
    stripe: StripeObject | None = None


def encode_entry(entry: Entry) -> bytes:
    """The leaf: the canonical bytes. Raises ``InvalidEntry`` outside the profile or above 4 KiB."""
    action, payload, stripe = entry.action, entry.payload, entry.stripe
    # One by one: in one display with the action's own fields they take twice as long.
    fields: dict[str, object] = {**encode_action(action)}
    fields["v"] = VERSION
    fields["seq"] = entry.seq
    fields["ts"] = entry.ts
    fields["mono"] = entry.mono
    fields["action"] = action.name
    fields["turn"] = entry.turn
    fields["actor"] = entry.actor
    fields["workspace"] = entry.workspace
    fields["idem"] = entry.idem
    fields["postings"] = [_encode_posting(posting) for posting in entry.postings] if entry.postings else []
    fields["stripe"] = {} if stripe is None else {"object": stripe.object, "id": stripe.id}
    fields["payload"] = None if payload is None else {"commitment": payload.digest, "length": payload.length}
    fields["prev"] = entry.prev
    if economic := getattr(action, "type", None):
        fields["type"] = economic
    leaf = canonical(fields)
    if len(leaf) > ENTRY_BYTES_MAX:
        raise InvalidEntry(f"{action.name} has {len(leaf)} bytes; an entry has {ENTRY_BYTES_MAX} at the most")
    return leaf


def decode_entry(leaf: bytes) -> Entry:
    """Read a stored leaf. Its hash is not checked here. Raises ``InvalidEntry``."""
    try:
        data = orjson.loads(leaf)
        payload, stripe = data["payload"], data["stripe"]
        return Entry(
            seq=data["seq"],
            ts=data["ts"],
            mono=data["mono"],
            action=decode_action(data["action"], data),
            turn=TurnId(data["turn"]),
            actor=ActorId(data["actor"]),
            workspace=WorkspaceId(data["workspace"]),
            idem=data["idem"],
            payload=None if payload is None else Commitment(payload["commitment"], payload["length"]),
            prev=data["prev"],
            postings=tuple(
                Posting(Account(item["account"]), Currency(item["currency"]), int(item["amount"]))
                for item in data["postings"]
            ),
            stripe=StripeObject(stripe["object"], stripe["id"]) if stripe else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEntry(f"not an entry: {error!r}") from error


def _encode_posting(posting: Posting) -> dict[str, str]:
    # The amount as text: a reader of any language keeps it whole.
    return {"account": posting.account, "currency": posting.currency, "amount": str(posting.amount)}


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def commit(salt: bytes, body: bytes) -> Commitment:
    return Commitment(hashlib.sha256(salt + body).hexdigest(), len(body))


def hash_text(digest: bytes) -> str:
    """As people see a hash: ``ps-sha256:<hex>``."""
    return f"ps-sha256:{digest.hex()}"


def canonical(value: object) -> bytes:
    """RFC 8785 bytes of a value inside the profile. Raises ``InvalidEntry`` for any other."""
    try:
        _check_kinds((value,))
        written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONEncodeError, TypeError) as error:  # a key that is no string, an integer beyond 2^53 - 1
        raise InvalidEntry(f"no canonical form: {error}") from error
    # So is a NUL written, and also a backslash that somebody typed before these letters: then it is looked at closely.
    if b"\\u0000" in written and _has_nul(value):
        # PostgreSQL's text has no place for it, and a ledger must be the same wherever it is kept.
        raise InvalidEntry("a text with a NUL in it has no canonical form")
    return written


_PLAIN = frozenset((str, int, bool, type(None)))


def _check_kinds(values: Iterable[object]) -> None:
    # Exact types: a subclass (an enum, a bool where an int is meant) may be written otherwise than it compares.
    # One call for all that a container holds: each value of each entry is looked at.
    for value in values:
        kind = type(value)
        if kind in _PLAIN:
            continue
        if type(value) is dict:
            if not "".join(value).isascii():
                raise InvalidEntry("a key is not an ASCII string")
            _check_kinds(value.values())
        elif type(value) is list:
            _check_kinds(value)
        else:
            raise InvalidEntry(f"a value of type {kind.__name__} has no canonical form")


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_has_nul(item) for pair in value.items() for item in pair)
        case list():
            return any(map(_has_nul, value))
        case _:
            return False
