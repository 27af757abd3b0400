"""What a batch comes to: chained in order, once for each key, a bad group alone."""

import itertools

import pytest

from ledger.actions import Action, MessageReceived, SettingChanged, TurnFinished
from ledger.chain import project, seal
from ledger.entry import GENESIS, Draft, Scope, commit, hash_text, leaf_hash
from ledger.errors import InvalidEntry, KeyReused, LedgerError
from ledger.merkle import EMPTY_FRONTIER, grow
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.store import EMPTY, ConversationTouched, Found, Head, Known, ModelPinned, Sealed, TurnClosed, TurnOpened

SCOPE = Scope(WorkspaceId("w"), ActorId("a"), ConversationId("c"), TurnId("t"))


def draft(idem: str, payload: bytes | None = None, action: Action = TurnFinished("answered")) -> Draft:
    return Draft(action, SCOPE, idem, payload)


def sealed(*groups: tuple[Draft, ...], found: Found = Found(EMPTY, {}), now_us: int = 5) -> Sealed:
    numbers = itertools.count()
    return seal(found, groups, now_us, lambda: bytes([next(numbers)]) * 32)


def known(result: Sealed) -> Found:
    by_key = {row.entry.idem: Known(row.entry.seq, row.leaf, row.hash, row.salt) for row in result.rows}
    return Found(result.head, by_key)


def test_entries_are_chained_in_the_order_of_the_groups() -> None:
    result = sealed((draft("1"), draft("2")), (draft("3"),))
    assert [row.entry.seq for row in result.rows] == [0, 1, 2]
    assert [row.entry.prev for row in result.rows] == [GENESIS, *(hash_text(row.hash) for row in result.rows[:2])]
    assert all(row.hash == leaf_hash(row.leaf) for row in result.rows)
    frontier, _ = grow(EMPTY_FRONTIER, [row.hash for row in result.rows])
    assert result.head == Head(3, result.rows[-1].hash, 5, frontier)


def test_a_batch_goes_on_from_the_head() -> None:
    first = sealed((draft("1"),))
    second = sealed((draft("2"),), found=known(first))
    assert (second.rows[0].entry.seq, second.rows[0].entry.prev) == (1, hash_text(first.head.hash))


def test_the_time_of_the_chain_never_goes_backwards() -> None:
    first = sealed((draft("1"),), now_us=100)
    second = sealed((draft("2"),), found=known(first), now_us=40)
    assert (second.rows[0].entry.ts, second.rows[0].entry.mono) == (40, 100)


def test_the_same_request_again_gives_the_first_receipt() -> None:
    first = sealed((draft("1", b"text"),))
    again = sealed((draft("1", b"text"),), found=known(first), now_us=9)
    assert again.rows == ()
    (outcome,) = again.outcomes
    assert not isinstance(outcome, LedgerError)
    assert (outcome[0].seq, outcome[0].hash, outcome[0].fresh) == (0, first.rows[0].hash, False)


def test_the_same_request_twice_in_one_batch_is_recorded_once() -> None:
    result = sealed((draft("1"),), (draft("1"),))
    assert len(result.rows) == 1
    assert [outcome[0].fresh for outcome in result.outcomes if not isinstance(outcome, LedgerError)] == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        draft("1", b"other text"),
        draft("1", None),
        draft("1", b"text", TurnFinished("failed")),
        Draft(
            TurnFinished("answered"),
            Scope(WorkspaceId("w2"), SCOPE.actor, SCOPE.conversation, SCOPE.turn),
            "1",
            b"text",
        ),
        Draft(
            TurnFinished("answered"), Scope(SCOPE.workspace, ActorId("b"), SCOPE.conversation, SCOPE.turn), "1", b"text"
        ),
    ],
)
def test_another_request_under_the_same_key_is_refused(other: Draft) -> None:
    first = sealed((draft("1", b"text"),))
    (outcome,) = sealed((other,), found=known(first)).outcomes
    assert isinstance(outcome, KeyReused)
    assert "RC009" in str(outcome)


def test_after_its_text_was_erased_a_request_is_still_known_again() -> None:
    first = sealed((draft("1", b"text"),))
    row = first.rows[0]
    found = Found(first.head, {"1": Known(0, row.leaf, row.hash, None)})
    (outcome,) = sealed((draft("1", b"text"),), found=found).outcomes
    assert not isinstance(outcome, LedgerError)
    assert not outcome[0].fresh


def test_a_group_of_which_only_a_part_stands_is_refused_whole() -> None:
    first = sealed((draft("1"),))
    result = sealed((draft("1"), draft("2")), found=known(first))
    assert result.rows == ()
    assert isinstance(result.outcomes[0], KeyReused)


def test_a_group_with_the_same_key_twice_is_refused() -> None:
    result = sealed((draft("1"), draft("1")))
    assert result.rows == ()
    assert isinstance(result.outcomes[0], KeyReused)


def test_a_bad_group_fails_alone_and_leaves_no_trace() -> None:
    result = sealed((draft("1"),), (draft("2"), draft("x" * 5_000)), (draft("3"),))
    assert [row.entry.idem for row in result.rows] == ["1", "3"]
    assert result.rows[1].entry.prev == hash_text(result.rows[0].hash)
    assert isinstance(result.outcomes[1], InvalidEntry)


def test_a_payload_stands_beside_the_entry_under_its_commitment() -> None:
    (row,) = sealed((draft("1", b"secret words"),)).rows
    assert b"secret" not in row.leaf
    assert row.salt is not None
    assert row.body is not None
    assert row.entry.payload == commit(row.salt, row.body)


def test_projections_follow_from_the_entry_alone() -> None:
    received = MessageReceived("slack", ConversationId("c"), "message", "")
    rows = sealed(
        (draft("1", None, received), draft("2", None, SettingChanged("model", "a/m", ConversationId("c"))), draft("3"))
    ).rows
    assert [project(row.entry) for row in rows] == [
        (
            TurnOpened(TurnId("t"), 0, WorkspaceId("w"), ActorId("a"), ConversationId("c"), "slack", "message"),
            ConversationTouched(ConversationId("c"), WorkspaceId("w"), "slack", 0),
        ),
        (ModelPinned(ConversationId("c"), "a/m"),),
        (TurnClosed(TurnId("t"), "answered"),),
    ]
