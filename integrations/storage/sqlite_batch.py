"""The statements of one batch, between the write lock and the commit; and a replay, which is one long batch.

Each takes the connection that writes, with a transaction begun on it.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import assert_never

from integrations.storage import sqlite_book, sqlite_texts
from ledger.book import Wanted
from ledger.chain import Replay
from ledger.entry import decode_entry
from ledger.merkle import Subtree, decode_frontier, encode_frontier
from ledger.store import (
    Change,
    ConversationTouched,
    Found,
    Head,
    Known,
    ModelPinned,
    OwnerId,
    Row,
    Sealed,
    SettingKept,
    TextsErased,
    TurnClosed,
    TurnOpened,
    TurnResumed,
    TurnTold,
)

# The turns that a batch opens are there before its entries, which name the entry with which their turn began.
_TURN = """
INSERT INTO turn (turn, seq, workspace, actor, conversation, platform, kind, lease_owner, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open')
"""
_ENTRY = """
INSERT INTO entry (seq, leaf, hash, idem, turn, conversation, action, actor, workspace, mono, commitment, began)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, (SELECT turn.seq FROM turn WHERE turn.turn = ?5 AND turn.seq <= ?1))
"""
_PAYLOAD = "INSERT INTO payload (seq, salt, body) VALUES (?, ?, ?)"
_SUBTREE = "INSERT INTO subtree (level, number, hash) VALUES (?, ?, ?)"
_SET_HEAD = "UPDATE head SET size = ?, hash = ?, mono = ?, frontier = ?"
_UNSET = "DELETE FROM setting WHERE (workspace, name, item, conversation, person) = (?, ?, ?, ?, ?)"
_SET = "INSERT INTO setting (workspace, name, item, conversation, person, value) VALUES (?, ?, ?, ?, ?, ?)"
_PROJECTIONS = ("turn", "conversation", "setting", "account", "hold", "counter", "subtree")


def find(database: sqlite3.Connection, wanted: Wanted) -> tuple[Found, str]:
    """Read what the batch needs. Returns the ledger's fault too."""
    standing = sqlite_book.load(database, wanted)
    return Found(head(database), _known(database, wanted.keys), standing), fault(database)


def write(database: sqlite3.Connection, sealed: Sealed, holder: OwnerId) -> None:
    _open_turns(database, sealed.changes, holder)
    database.executemany(_ENTRY, _entry_values(sealed.rows))
    database.executemany(_PAYLOAD, [(row.entry.seq, row.salt, row.body) for row in sealed.rows if row.salt])
    database.executemany(_SUBTREE, _subtree_values(sealed.subtrees))
    sqlite_book.write(database, sealed.rows, sealed.book)
    for change in sealed.changes:
        _apply(database, change)
    database.execute(_SET_HEAD, _head_values(sealed.head))


def replay(database: sqlite3.Connection) -> int:
    """As ``Store.replay``."""
    for projection in _PROJECTIONS:
        database.execute(f"DELETE FROM {projection}")  # noqa: S608  # names of ours
    rebuilt = Replay()
    for leaf, digest in database.execute("SELECT leaf, hash FROM entry ORDER BY seq"):
        changes = rebuilt.read(decode_entry(leaf), digest)
        _open_turns(database, changes, None)
        for change in changes:
            _apply(database, change)
    sqlite_book.write_change(database, rebuilt.book.change())
    database.executemany(_SUBTREE, _subtree_values(rebuilt.subtrees))
    database.execute(_SET_HEAD, _head_values(rebuilt.head))
    return rebuilt.head.size


def head(database: sqlite3.Connection) -> Head:
    size, digest, mono, frontier = database.execute("SELECT size, hash, mono, frontier FROM head").fetchone()
    return Head(size, digest, mono, decode_frontier(size, frontier))


def fault(database: sqlite3.Connection) -> str:
    (fault,) = database.execute("SELECT fault FROM head").fetchone()
    return str(fault)


def _head_values(head: Head) -> tuple[int, bytes, int, bytes]:
    return head.size, head.hash, head.mono, encode_frontier(head.frontier)


def _subtree_values(subtrees: Sequence[Subtree]) -> list[tuple[int, int, bytes]]:
    return [(subtree.level, subtree.index, subtree.hash) for subtree in subtrees]


def _known(database: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Known]:
    rows = database.execute(
        "SELECT entry.idem, entry.seq, entry.leaf, entry.hash, payload.salt"
        " FROM entry LEFT JOIN payload ON payload.seq = entry.seq"
        " WHERE entry.idem IN (SELECT value FROM json_each(?))",
        (json.dumps(keys),),
    )
    return {idem: Known(seq, leaf, digest, salt) for idem, seq, leaf, digest, salt in rows}


def _entry_values(rows: Sequence[Row]) -> list[tuple[str | int | bytes | None, ...]]:
    values: list[tuple[str | int | bytes | None, ...]] = []
    for row in rows:
        entry = row.entry
        digest = None if entry.payload is None else entry.payload.digest
        chained = (entry.seq, row.leaf, row.hash, entry.idem, entry.turn, row.conversation)
        values.append((*chained, entry.action.name, entry.actor, entry.workspace, entry.mono, digest))
    return values


def _open_turns(database: sqlite3.Connection, changes: Sequence[Change], holder: OwnerId | None) -> None:
    database.executemany(
        _TURN,
        [
            (turn.turn, turn.seq, turn.workspace, turn.actor, turn.conversation, turn.platform, turn.kind, holder)
            for turn in changes
            if isinstance(turn, TurnOpened)
        ],
    )


def _apply(database: sqlite3.Connection, change: Change) -> None:
    match change:
        case TurnOpened():
            pass  # the turns were opened before
        case TurnClosed(turn, outcome):
            database.execute("UPDATE turn SET state = ?, lease_owner = NULL WHERE turn = ?", (outcome, turn))
        case TurnResumed(turn):
            database.execute("UPDATE turn SET not_before_us = 0, attempts = 0 WHERE turn = ?", (turn,))
        case TurnTold():
            pass  # one process works on the turns of a file, and it heard of this from itself
        case ConversationTouched(conversation, workspace, platform, seq):
            database.execute(
                "INSERT INTO conversation (conversation, workspace, platform, first_seq, last_seq, turns)"
                " VALUES (?, ?, ?, ?, ?, 1)"
                " ON CONFLICT (conversation) DO UPDATE SET last_seq = excluded.last_seq, turns = turns + 1",
                (conversation, workspace, platform, seq, seq),
            )
        case ModelPinned(conversation, model):
            database.execute("UPDATE conversation SET pinned_model = ? WHERE conversation = ?", (model, conversation))
        case SettingKept(workspace, setting, value, conversation, person, item):
            key = (workspace, setting, item, conversation, person)
            database.execute(_UNSET, key)
            if value:
                database.execute(_SET, (*key, value))
        case TextsErased():
            sqlite_texts.erase(database, change)
        case _:
            assert_never(change)
