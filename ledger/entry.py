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
    payload, stripe = entry.payload, entry.stripe
    economic = getattr(entry.action, "type", None)
    leaf = canonical(
        {
            **encode_action(entry.action),
            **({"type": economic} if economic else {}),
            "v": VERSION,
            "seq": entry.seq,
            "ts": entry.ts,
            "mono": entry.mono,
            "action": entry.action.name,
            "turn": entry.turn,
            "actor": entry.actor,
            "workspace": entry.workspace,
            "idem": entry.idem,
            "postings": [_encode_posting(posting) for posting in entry.postings],
            "stripe": {} if stripe is None else {"object": stripe.object, "id": stripe.id},
            "payload": None if payload is None else {"commitment": payload.digest, "length": payload.length},
            "prev": entry.prev,
        }
    )
    if len(leaf) > ENTRY_BYTES_MAX:
        raise InvalidEntry(f"{entry.action.name} has {len(leaf)} bytes; an entry has {ENTRY_BYTES_MAX} at the most")
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
        _check((value,))
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError) as error:  # a key that is no string, too
        raise InvalidEntry(f"no canonical form: {error}") from error


def _check(values: Iterable[object]) -> None:
    # Exact types: a subclass (an enum, a bool where an int is meant) may be written otherwise than it compares.
    # The commonest first, and one call for all that a container holds: each value of each entry is looked at.
    for value in values:
        if type(value) is str:
            # PostgreSQL's text has no place for it, and a ledger must be the same wherever it is kept.
            if "\0" in value:
                raise InvalidEntry("a text with a NUL in it has no canonical form")
        elif type(value) is int:
            if not -INTEGER_MAX <= value <= INTEGER_MAX:
                raise InvalidEntry(f"the integer {value} is beyond 2^53 - 1")
        elif value is None or type(value) is bool:
            continue
        elif type(value) is dict:
            if not "".join(value).isascii():
                raise InvalidEntry("a key is not an ASCII string")
            _check(value.values())
        elif type(value) is list:
            _check(value)
        else:
            raise InvalidEntry(f"a value of type {type(value).__name__} has no canonical form")
