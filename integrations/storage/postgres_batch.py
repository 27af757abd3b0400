"""The statements of one batch, between the lock on the head and the commit; and a replay, which is one long batch.

Each takes the session that writes. A batch of a thousand entries is as many round trips as one of a single entry.
"""

from collections.abc import Sequence
from typing import Any

from integrations.storage import postgres_book
from integrations.storage.postgres_changes import apply
from integrations.storage.postgres_schema import Connection
from ledger.book import Wanted
from ledger.chain import Replay
from ledger.entry import decode_entry
from ledger.merkle import Subtree, decode_frontier, encode_frontier
from ledger.store import Found, Head, Known, OwnerId, Row, Sealed, TurnOpened

REPLAY_ENTRIES = 1000

# Two statements: the second sees what was committed while the first waited for the head.
_LOCK_HEAD = "BEGIN; SELECT 1 FROM head FOR UPDATE"
_FIND = """
SELECT head.size, head.hash, head.mono, head.frontier, head.fault, entry.idem, entry.seq, entry.leaf, entry.hash,
       (SELECT salt FROM payload WHERE payload.seq = entry.seq)
FROM head LEFT JOIN entry ON entry.idem = ANY($1::text[])
"""

_INSERT = """
WITH entries AS (
    INSERT INTO entry (seq, leaf, hash, idem, turn, conversation, action, actor, workspace, mono, commitment, began)
    SELECT row.*, (SELECT turn.seq FROM turn WHERE turn.turn = row.turn AND turn.seq <= row.seq)
    FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::bigint[], $11::text[])
         AS row (seq, leaf, hash, idem, turn, conversation, action, actor, workspace, mono, commitment)
), payloads AS (
    INSERT INTO payload (seq, salt, body) SELECT * FROM unnest($12::bigint[], $13::bytea[], $14::bytea[])
)
UPDATE head SET size = $15, hash = $16, mono = $17, frontier = $18
"""
_SET_HEAD = "UPDATE head SET size = $1, hash = $2, mono = $3, frontier = $4"
_SUBTREE = "INSERT INTO subtree (level, number, hash) VALUES ($1, $2, $3)"

_IN_HAND = "SELECT turn, lease_owner, not_before_us, attempts FROM turn WHERE state = 'open'"
_PUT_IN_HAND = "UPDATE turn SET lease_owner = $2, not_before_us = $3, attempts = $4 WHERE turn = $1 AND state = 'open'"
_PROJECTIONS = ("turn", "conversation", "setting", "account", "hold", "counter", "subtree")


async def find(writer: Connection, wanted: Wanted) -> tuple[Found, str]:
    """Begin the transaction, wait for the head, and read what the batch needs. Nobody else appends until it has ended.

    Returns the ledger's fault too.
    """
    await writer.execute(_LOCK_HEAD)
    rows = await writer.fetch(_FIND, [key for key in wanted.keys if may_stand(key)])
    known = {row[5]: Known(*row[6:]) for row in rows if row[5] is not None}
    return Found(as_head(*rows[0][:4]), known, await postgres_book.load(writer, wanted)), rows[0][4]


async def write(writer: Connection, sealed: Sealed, holder: OwnerId) -> None:
    # The turns that a batch opens are there before its entries, which name the entry with which their turn began.
    opened = [change for change in sealed.changes if isinstance(change, TurnOpened)]
    await apply(writer, opened, holder)
    await writer.execute(_INSERT, *_columns(sealed.rows), *_head_values(sealed.head))
    await _write_subtrees(writer, sealed.subtrees)
    await postgres_book.write(writer, sealed.rows, sealed.book)
    await apply(writer, [change for change in sealed.changes if not isinstance(change, TurnOpened)], holder)


async def replay(writer: Connection) -> int:
    """As ``Store.replay``, in one transaction. What processes hold stays theirs: others may be at work."""
    await writer.execute(_LOCK_HEAD)
    in_hand = await writer.fetch(_IN_HAND)
    await writer.execute("; ".join(f"DELETE FROM {table}" for table in _PROJECTIONS))  # noqa: S608  # names of ours
    rebuilt = Replay()
    while page := await writer.fetch(
        "SELECT leaf, hash FROM entry WHERE seq >= $1 ORDER BY seq LIMIT $2", rebuilt.head.size, REPLAY_ENTRIES
    ):
        changes = [change for leaf, digest in page for change in rebuilt.read(decode_entry(leaf), digest)]
        await apply(writer, changes, None)
    await postgres_book.write_change(writer, rebuilt.book.change())
    await _write_subtrees(writer, rebuilt.subtrees)
    await writer.execute(_SET_HEAD, *_head_values(rebuilt.head))
    await writer.executemany(_PUT_IN_HAND, [tuple(row) for row in in_hand])
    await writer.execute("COMMIT")
    return rebuilt.head.size


def as_head(size: int, digest: bytes, mono: int, frontier: bytes) -> Head:
    return Head(size, digest, mono, decode_frontier(size, frontier))


def _head_values(head: Head) -> tuple[int, bytes, int, bytes]:
    return head.size, head.hash, head.mono, encode_frontier(head.frontier)


async def _write_subtrees(writer: Connection, subtrees: Sequence[Subtree]) -> None:
    if subtrees:
        await writer.executemany(_SUBTREE, [(subtree.level, subtree.index, subtree.hash) for subtree in subtrees])


def may_stand(key: str) -> bool:
    """Whether PostgreSQL can hold the key. What it cannot hold stands nowhere, and no entry is made of it."""
    try:
        return b"\0" not in key.encode()
    except UnicodeEncodeError:
        return False


def _columns(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    entries = [row.entry for row in rows]
    texts = [(row.entry.seq, row.salt, row.body) for row in rows if row.salt]
    return (
        [entry.seq for entry in entries],
        [row.leaf for row in rows],
        [row.hash for row in rows],
        [entry.idem for entry in entries],
        [entry.turn for entry in entries],
        [row.conversation for row in rows],
        [entry.action.name for entry in entries],
        [entry.actor for entry in entries],
        [entry.workspace for entry in entries],
        [entry.mono for entry in entries],
        [None if entry.payload is None else entry.payload.digest for entry in entries],
        [seq for seq, _, _ in texts],
        [salt for _, salt, _ in texts],
        [body for _, _, body in texts],
    )
