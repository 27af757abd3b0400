"""The projections' changes as a few statements, whatever the batch is.

A batch of a thousand entries changes a thousand rows of several tables, in an order that matters only where two changes
meet in one row. So changes of a kind are gathered into runs, and each run is one pipelined statement.
"""

from collections.abc import Sequence
from typing import TypeAlias, assert_never

from integrations.storage.postgres_schema import Connection
from ledger.store import (
    Change,
    ConversationTouched,
    ModelPinned,
    OwnerId,
    SettingKept,
    TextsErased,
    TurnClosed,
    TurnOpened,
    TurnResumed,
    TurnTold,
)

Values: TypeAlias = tuple[str | int | None, ...]
Written: TypeAlias = (
    TurnOpened | TurnClosed | TurnResumed | ConversationTouched | ModelPinned | SettingKept | TextsErased
)
"""Changes of which something is written; the others are told alone."""
Touched: TypeAlias = tuple[str, str]
"""A table, and the key of a row in it."""

_OPEN = """
INSERT INTO turn (turn, seq, workspace, actor, conversation, platform, kind, lease_owner, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open')
"""
_CLOSE = "UPDATE turn SET state = $2, lease_owner = NULL WHERE turn = $1"
_RESUME = "UPDATE turn SET not_before_us = 0, attempts = 0 WHERE turn = $1"
_TOUCH = """
INSERT INTO conversation (conversation, workspace, platform, first_seq, last_seq, turns) VALUES ($1, $2, $3, $4, $4, 1)
ON CONFLICT (conversation) DO UPDATE SET last_seq = excluded.last_seq, turns = conversation.turns + 1
"""
_PIN = "UPDATE conversation SET pinned_model = $2 WHERE conversation = $1"
_SET = """
INSERT INTO setting (workspace, name, item, conversation, person, value) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (workspace, name, item, conversation, person) DO UPDATE SET value = excluded.value
"""
_UNSET = "DELETE FROM setting WHERE (workspace, name, item, conversation, person) = ($1, $2, $3, $4, $5)"

NEVER_US = 2**63 - 1

_WHOSE = {"person": "actor", "conversation": "conversation", "turn": "turn", "age": "workspace"}
_FOUND = {
    scope: "WHERE payload.seq = entry.seq AND entry.commitment IS NOT NULL"
    f" AND entry.workspace = $1 AND entry.seq < $2 AND entry.mono < $3 AND entry.{column} = $4"
    for scope, column in _WHOSE.items()
}


async def apply(connection: Connection, changes: Sequence[Change], holder: OwnerId | None) -> None:
    """``holder`` keeps the turns that are opened: a process has what it accepted for as long as it lives."""
    steps = [_statement(change, holder) for change in changes if not isinstance(change, TurnTold)]
    for statement, rows in runs(steps):
        if len(rows) == 1:
            await connection.execute(statement, *rows[0])
        else:
            await connection.executemany(statement, rows)


def texts_found(erased: TextsErased) -> tuple[str, Values]:
    """The query that counts what this would delete, and its values."""
    query = f"SELECT count(*) FROM payload, entry {_FOUND[erased.scope]}"  # noqa: S608  # names of ours
    return query, _erased_values(erased)


def _erased_values(erased: TextsErased) -> Values:
    limit = NEVER_US if erased.before_us is None else erased.before_us
    return erased.workspace, erased.seq, limit, erased.subject


def runs(steps: Sequence[tuple[str, Touched, Values]]) -> list[tuple[str, list[Values]]]:
    """Gather steps with the same statement; two steps that touch the same row keep their order."""
    gathered: list[tuple[str, list[Values]]] = []
    latest: dict[str, int] = {}  # statement -> its newest run
    touched: dict[Touched, int] = {}  # row -> the last run that touches it
    for statement, row, values in steps:
        run = latest.get(statement, -1)
        if run < touched.get(row, 0):
            run = -1
        if run < 0:
            gathered.append((statement, []))
            run = latest[statement] = len(gathered) - 1
        gathered[run][1].append(values)
        touched[row] = run
    return gathered


def _statement(change: Written, holder: OwnerId | None) -> tuple[str, Touched, Values]:
    match change:
        case TurnOpened(turn, seq, workspace, actor, conversation, platform, kind):
            return _OPEN, ("turn", turn), (turn, seq, workspace, actor, conversation, platform, kind, holder)
        case TurnClosed(turn, outcome):
            return _CLOSE, ("turn", turn), (turn, outcome)
        case TurnResumed(turn):
            return _RESUME, ("turn", turn), (turn,)
        case ConversationTouched(conversation, workspace, platform, seq):
            return _TOUCH, ("conversation", conversation), (conversation, workspace, platform, seq)
        case ModelPinned(conversation, model):
            return _PIN, ("conversation", conversation), (conversation, model)
        case SettingKept(workspace, setting, value, conversation, person, item):
            key = (workspace, setting, item, conversation, person)
            row = ("setting", " ".join(key))
            return (_SET, row, (*key, value)) if value else (_UNSET, row, key)
        case TextsErased(scope=scope, subject=subject):
            statement = f"DELETE FROM payload USING entry {_FOUND[scope]}"  # noqa: S608  # names of ours
            return statement, ("payload", f"{scope} {subject}"), _erased_values(change)
        case _:
            assert_never(change)
