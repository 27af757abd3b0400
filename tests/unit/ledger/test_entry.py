"""Canonical bytes, the hash, and what is refused."""

import hashlib
import json
from enum import IntEnum, StrEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.actions import ACTIONS, LedgerCreated, MessageReceived, RouteChosen, TurnFinished, field_names
from ledger.entry import (
    ENTRY_BYTES_MAX,
    ENVELOPE,
    INTEGER_MAX,
    Commitment,
    Entry,
    canonical,
    commit,
    decode_entry,
    encode_entry,
    hash_text,
    leaf_hash,
)
from ledger.errors import InvalidEntry
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId

KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-INTEGER_MAX, INTEGER_MAX),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


def entry(**changes: object) -> Entry:
    fields: dict[str, object] = {
        "seq": 1,
        "ts": 1_700_000_000_000_000,
        "mono": 1_700_000_000_000_001,
        "action": TurnFinished("answered"),
        "turn": TurnId("t-1"),
        "actor": ActorId("a-1"),
        "workspace": WorkspaceId("w-1"),
        "idem": "t-1/turn.finished/1",
        "payload": None,
        "prev": "ps-sha256:00",
        **changes,
    }
    return Entry(**fields)  # type: ignore[arg-type]  # fields by name


@given(VALUES)
def test_canonical_bytes_are_those_of_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    A = "a"


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        INTEGER_MAX + 1,
        -INTEGER_MAX - 1,
        {"ä": 1},
        {1: "x"},
        {"a": {"b": [0.5]}},
        (1, 2),
        b"bytes",
        {1, 2},
        "\ud800",
        "a\0b",
        ["x", "\udfff"],
        Number.ONE,
        Word.A,
        {Word.A: 1},
    ],
    ids=repr,
)
def test_what_is_outside_the_profile_is_refused(value: object) -> None:
    with pytest.raises(InvalidEntry, match="RC002"):
        canonical(value)


@given(
    st.integers(0, INTEGER_MAX),
    st.integers(0, INTEGER_MAX),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.none() | st.builds(Commitment, st.text("0123456789abcdef", max_size=64), st.integers(0, 1 << 40)),
)
def test_an_entry_is_read_back_as_it_was_written(seq: int, mono: int, idem: str, payload: Commitment | None) -> None:
    written = entry(seq=seq, mono=mono, idem=idem, payload=payload)
    assert decode_entry(encode_entry(written)) == written


def test_the_bytes_and_the_hash_of_a_known_entry() -> None:
    """A vector: whoever verifies the ledger in another language can start from it."""
    leaf = encode_entry(entry())
    assert leaf == (
        b'{"action":"turn.finished","actor":"a-1","idem":"t-1/turn.finished/1","mono":1700000000000001,'
        b'"outcome":"answered","payload":null,"postings":[],"prev":"ps-sha256:00","seq":1,"stripe":{},'
        b'"ts":1700000000000000,"turn":"t-1","v":1,"workspace":"w-1"}'
    )
    digest = hashlib.sha256(b"\x00" + leaf).digest()
    assert leaf_hash(leaf) == digest
    assert hash_text(digest) == f"ps-sha256:{digest.hex()}"


def test_every_field_of_an_entry_is_inside_the_hash() -> None:
    before = encode_entry(entry())
    changes: list[dict[str, object]] = [
        {"seq": 2},
        {"ts": 1},
        {"mono": 1},
        {"action": TurnFinished("failed")},
        {"turn": TurnId("t-2")},
        {"actor": ActorId("a-2")},
        {"workspace": WorkspaceId("w-2")},
        {"idem": "other"},
        {"payload": Commitment("00", 1)},
        {"prev": "ps-sha256:01"},
    ]
    assert all(encode_entry(entry(**change)) != before for change in changes)


def test_an_entry_above_four_kib_is_refused() -> None:
    with pytest.raises(InvalidEntry, match=str(ENTRY_BYTES_MAX)):
        encode_entry(entry(idem="x" * ENTRY_BYTES_MAX))


def test_no_field_of_an_action_has_a_name_of_the_envelope() -> None:
    for name, kind in ACTIONS.items():
        assert not set(field_names(kind)) & set(ENVELOPE), name


def test_the_envelope_is_what_each_entry_has() -> None:
    written = json.loads(encode_entry(entry()))
    assert set(written) == {*ENVELOPE, "outcome"}


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"[]",
        b"{}",
        b'{"action":"no.such"}',
        encode_entry(entry()).replace(b"turn.finished", b"turn.imagined", 1),
        encode_entry(entry()).replace(b'"outcome":"answered",', b""),
    ],
)
def test_what_is_not_an_entry_is_refused(leaf: bytes) -> None:
    with pytest.raises(InvalidEntry):
        decode_entry(leaf)


def test_a_route_keeps_its_candidates() -> None:
    from ledger.actions import Candidate

    route = RouteChosen((Candidate("a", "m", None), Candidate("b", "n", 5)), "why")
    assert decode_entry(encode_entry(entry(action=route))).action == route


def test_a_commitment_depends_on_the_salt() -> None:
    assert commit(b"1" * 32, b"x") != commit(b"2" * 32, b"x")
    assert commit(b"1" * 32, b"x") == Commitment(hashlib.sha256(b"1" * 32 + b"x").hexdigest(), 1)


def test_each_action_has_a_name_of_its_own_of_the_form_subject_event() -> None:
    assert all(len(name.split(".")) == 2 and name.islower() for name in ACTIONS)
    assert LedgerCreated.name == "ledger.created"
    assert MessageReceived("test", ConversationId("c"), "message", "").name == "message.received"
