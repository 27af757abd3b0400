"""Verify a RoadChain ledger. This file stands alone: it imports nothing of the writer, and nothing but Python itself; a
signature is checked with the package ``cryptography``, which is imported only then.

    python verify.py [--db] roadchain.db [--key VKEY]
    python verify.py --dir FOLDER --key VKEY       an export: C2SP tlog-tiles
    python verify.py --receipt FILE --key VKEY     a receipt: C2SP tlog-proof with the entry in its extra line

It exits with 0 (verified), 1 (not verified: the code and the first bad entry are printed), 2 (usage: no file, or not one of
ours) or 3 (incomplete: there is nothing to verify yet, or a file of the export is missing). ``VKEY`` is the log's public key
as text (``name+id+base64``) or a file that holds it; a witness's key beside it has its cosignature checked too.

What it checks, entry by entry, in order:

- ``seq`` counts from 0 without a gap, and entry 0 is ``ledger.created``;
- the bytes are canonical JSON (RFC 8785, within RoadChain's profile);
- ``prev`` is the hash of the entry before, and the stored hash is ``SHA-256(0x00 || bytes)``;
- ``mono`` never decreases, and no idempotency key stands twice.

In a database also: the columns beside the bytes agree with them; each text beside the chain is the one that its entry commits
to, ``SHA-256(salt || text)``, and its length; the recorded end of the chain is its last entry, and no text stands there that
no entry names. The Merkle tree that is stored beside the chain, and the root of each checkpoint, are those of the entries;
with a key, the last checkpoint's signature is checked. The money: each entry's postings sum to 0, no account of a workspace
ever fell below 0, and the stored postings and balances are those of the entries.

In an export: every hash of every tile, the root that they come to (RFC 6962), and that the checkpoint's signature is over this
root and size. In a receipt: the path from the entry to the root of the signed checkpoint.
"""

import base64
import gc
import hashlib
import json
import os
import re
import sqlite3
import sys
from binascii import hexlify
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

APPLICATION_ID = 0x526F6164
SCHEMA_MAX = 6
GENESIS = "GENESIS"
INTEGER_MAX = 2**53 - 1
TILE_HEIGHT = 8
TILE_WIDTH = 256
HASH_BYTES = 32
PIECE_ENTRIES = 64 * TILE_WIDTH
"""What one process reads at a time, in whole tiles."""

INSUFFICIENT_BALANCE = "RC001"
INVALID_ENTRY_TYPE = "RC002"
HASH_VERIFICATION_FAILED = "RC004"
CHAIN_INTEGRITY_VIOLATION = "RC011"

EXIT_VERIFIED = 0
EXIT_NOT_VERIFIED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3

USAGE = """usage: verify.py [--db] DATABASE [--key VKEY ...]
       verify.py --dir FOLDER --key VKEY [--key VKEY ...]
       verify.py --receipt FILE --key VKEY [--key VKEY ...]
"""


@dataclass(frozen=True, slots=True)
class Verified:
    """``head`` is the last entry's hash; ``texts`` counts the texts that are there, ``erased`` those that are gone."""

    size: int
    head: str
    texts: int
    erased: int


class NotVerified(Exception):
    """``seq`` is the first bad entry; None where the fault belongs to none."""

    def __init__(self, code: str, seq: int | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.seq = seq

    def __str__(self) -> str:
        where = "" if self.seq is None else f"entry {self.seq}: "
        return f"{self.code}: {where}{super().__str__()}"


class NotALedger(Exception):
    """There is no file, or it is not one that this verifier knows."""


class Incomplete(Exception):
    """Nothing is wrong as far as there is something to verify, and that is not all."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, as it is given by the person who verifies. ``kind`` 1 is a log's, 4 a witness's."""

    name: str
    kind: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """``witnesses``: the name and the time (seconds since 1970) of each cosignature of a key that was given."""

    origin: str
    size: int
    root: bytes
    witnesses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class VerifiedFolder:
    checkpoint: SignedRoot
    head: str


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    checkpoint: SignedRoot
    seq: int
    leaf: bytes
    hash: str


def verify_database(path: Path, keys: Sequence[Key] = ()) -> Verified:
    """Check all of it, as it was at one moment; the file is not changed. With keys, the last checkpoint's signature too.

    Raises ``NotVerified``, ``NotALedger``, and ``Incomplete`` where a signature is asked for and there is none.
    """
    if not path.is_file():
        raise NotALedger(f"there is no file {path}")
    try:
        with closing(_open(path)) as database:
            database.execute("BEGIN")
            _check_kind(database, path)
            _lay_out(database)
            # Where the quick way does not find all in order, the other says what is wrong, and with which entry.
            verified = _verify_at_once(database, path) or _verify(database)
            if keys:
                _check_signature_of_last(database, keys)
            return verified
    except UnicodeDecodeError as error:  # SQLite's message of a damaged file quotes what it found there
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, None, "the database cannot be read: it is damaged") from error
    except sqlite3.DatabaseError as error:
        primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if primary == sqlite3.SQLITE_NOTADB:
            raise NotALedger(f"{path} is not a SQLite database") from error
        if primary == sqlite3.SQLITE_READONLY:
            # What a writer began has to be finished or taken back first, and this only reads.
            raise Incomplete(
                "the database was not closed (the power was lost, or it was copied while in use): start CarPool once,"
                " or copy it with its -wal or -journal file, then verify again"
            ) from error
        if primary in _PASSING:
            raise Incomplete(
                f"the database cannot be read just now ({error}): see its disk, then verify again"
            ) from error
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, None, f"the database cannot be read: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


_PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)
"""What says nothing of the ledger: a full disk, a lock, a permission."""


def _check_kind(database: sqlite3.Connection, path: Path) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise NotALedger(f"{path} is not a RoadChain database")
    if not 1 <= version <= SCHEMA_MAX:
        raise NotALedger(f"{path} has schema {version}; this verifier knows up to {SCHEMA_MAX}")


def _lay_out(database: sqlite3.Connection) -> None:
    """Show entries and texts as schema 4 has them. Before it a text stood by its commitment, and ``began`` did not."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    database.execute("PRAGMA temp_store = MEMORY")
    for view in _AS_IT_IS if version >= 4 else _AS_IT_WAS:
        database.execute(f"CREATE TEMP VIEW {view}")


_AS_IT_IS = (
    "chained AS SELECT * FROM main.entry",
    "text AS SELECT seq, salt, body FROM main.payload",
)
_AS_IT_WAS = (
    "chained AS SELECT *, (SELECT seq FROM main.turn WHERE turn.turn = entry.turn AND turn.seq <= entry.seq) AS began"
    " FROM main.entry",
    "text AS SELECT seq, salt, body FROM main.payload LEFT JOIN main.entry USING (commitment)",
)


def _verify(database: sqlite3.Connection) -> Verified:
    size, texts, erased, mono = 0, 0, 0, 0
    before = b""
    keys: set[str] = set()
    opened: dict[str, int] = {}
    tree, book = _Tree(_checkpoints(database)), _Book(database)
    rows = database.execute(
        "SELECT chained.seq, leaf, hash, idem, turn, action, actor, workspace, mono, commitment, began, conversation, salt, body"
        " FROM chained LEFT JOIN text ON text.seq = chained.seq ORDER BY chained.seq"
    )
    for seq, leaf, digest, *beside, conversation, salt, body in _typed(rows):
        if seq != size:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, size, "the entry is missing")
        entry = _parse(seq, leaf)
        _check_link(entry, seq, before)
        if hashlib.sha256(b"\x00" + leaf).digest() != digest:
            raise NotVerified(HASH_VERIFICATION_FAILED, seq, "the hash is not that of the entry's bytes")
        if entry["mono"] < mono:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "the time of the chain goes backwards")
        if entry["idem"] in keys:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "its idempotency key stands at an earlier entry already")
        payload = entry["payload"]
        named_here = None if payload is None else payload["commitment"]
        if entry["action"] == "message.received":
            opened.setdefault(entry["turn"], seq)
        told = [*(entry[name] for name in ("idem", "turn", "action", "actor", "workspace", "mono")), named_here]
        told.append(opened.get(entry["turn"]))
        if told != beside or (
            entry["action"] == "message.received" and json.loads(leaf).get("conversation") != conversation
        ):
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "the columns beside the entry do not agree with it")
        if payload is not None:
            texts, erased = (texts, erased + 1) if body is None else (texts + 1, erased)
            _check_text(seq, payload, salt, body)
        elif body is not None:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "it has a text, and commits to none")
        if entry["postings"] != _NO_POSTINGS:
            book.post(seq, json.loads(leaf).get("postings"))
        tree.push(digest)
        keys.add(entry["idem"])
        before, mono, size = digest, entry["mono"], size + 1
    _check_end(database, size, before, mono, texts)
    tree.check(database)
    book.check()
    return Verified(size, f"ps-sha256:{before.hex()}" if size else "", texts, erased)


_COLUMNS = """
SELECT leaf, hash, CAST(action AS BLOB), CAST(actor AS BLOB), CAST(idem AS BLOB), CAST(mono AS BLOB),
    CAST(commitment AS BLOB), CAST(turn AS BLOB), CAST(workspace AS BLOB), CAST(conversation AS BLOB), began, seq
FROM chained WHERE seq >= ? AND seq < ? ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Entries in a row that are in order among themselves, and with their texts and postings: what is left to compare with the
    others.

    ``before`` and ``after``: the hash and the time of the chain up to the first entry, and with the last. ``keys`` are lines.
    ``roots`` are those of whole tiles, ``rest`` the hashes of the entries after them, ``parts`` the roots of a tile's first
    entries, by the size of the ledger there. ``told``: the checkpoints that entries tell of. ``opened``: the entry that opened
    each turn; ``older`` is what entries say of turns that none of these opened. ``texts`` counts those that are there,
    ``named`` those that entries commit to. ``moves``: what the entries move on each account.
    """

    before: tuple[bytes, int]
    after: tuple[bytes, int]
    keys: bytes
    roots: bytes
    rest: bytes
    parts: dict[int, bytes]
    told: tuple[tuple[int, bytes], ...]
    opened: dict[bytes, int]
    older: frozenset[tuple[bytes, int | None]]
    texts: int
    named: int
    moves: "_Moves"


def _verify_at_once(database: sqlite3.Connection, path: Path) -> Verified | None:
    """What ``_verify`` checks, as comparisons of whole lists, a tile at a time and on each processor. None where something is
    not in order. The processes read what never changes, so that they need not read at the same moment as this one; where a
    text was erased meanwhile, their number is not the one of this moment.
    """
    try:
        signed = _kept_checkpoints(database)
        sizes = frozenset(signed)
        tree, book = _Tree(dict(signed)), _Book(database)
        first, last = database.execute("SELECT min(seq), max(seq) FROM entry").fetchone()
        if first != 0:
            return None
        size = last + 1
        end = (b"", 0)
        texts, named, counted = 0, 0, 0
        keys: set[bytes] = set()
        opened: dict[bytes, int] = {}
        bounds = [(start, min(start + PIECE_ENTRIES, size)) for start in range(0, size, PIECE_ENTRIES)]
        with _processes(len(bounds)) as run:
            for piece in run(_read_piece, [(path, *bound, sizes.intersection(range(*bound))) for bound in bounds]):
                # Of a checkpoint that is kept, the root is checked when the tree has its size; any other is for the other way.
                if piece.before != end or any(root not in signed.get(count, ()) for count, root in piece.told):
                    return None
                tree.push_piece(piece)
                book.add(piece.moves)
                lines = piece.keys.split(b"\n")
                keys.update(lines)
                if any(opened.get(turn) != began for turn, began in piece.older):
                    return None
                opened.update(piece.opened)
                end = piece.after
                texts, named, counted = texts + piece.texts, named + piece.named, counted + len(lines)
        # As many lines as entries: no key is made of two.
        if not len(keys) == counted == size:
            return None
        _check_end(database, size, *end, texts)
        tree.check(database)
        book.check()
        return Verified(size, f"ps-sha256:{end[0].hex()}", texts, named - texts)
    except (NotVerified, sqlite3.DatabaseError, OSError, RuntimeError, TypeError, ValueError, IndexError, KeyError):
        return None  # the other way says what it is; where it is that no process could be started, it does without


@contextmanager
def _processes(pieces: int) -> Iterator[Callable[..., Iterable[_Piece]]]:
    """What ``map`` does, by a process on each processor where there is work enough for several."""
    count = min(pieces, os.cpu_count() or 1)
    # Fed through standard input, this stands in no file that another process could begin from.
    if count < 2 or not Path(globals().get("__file__", "")).is_file():
        yield map
        return
    # What is read makes no cycles: to look for some after each few hundred tuples would take a tenth of the time.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=gc.disable) as pool:
        yield pool.map


def _read_piece(work: tuple[Path, int, int, frozenset[int]]) -> _Piece:
    """The entries from a first one to before an end; ``signed`` are the sizes among them at which a checkpoint was signed.

    Raises ``ValueError`` where one is not in order; ``_verify`` finds which.
    """
    path, first, end, signed = work
    with closing(_open(path)) as database:
        _lay_out(database)
        row = database.execute("SELECT hash, mono FROM entry WHERE seq = ?", (first - 1,)).fetchone()
        before: tuple[bytes, int] = (row[0], row[1]) if row else (b"", 0)
        chain = _Chain(None, *before)
        keys, texts, named = list[bytes](), 0, 0
        roots, rest, parts = list[bytes](), b"", dict[int, bytes]()
        told = list[tuple[int, bytes]]()
        turns, moves = _Turns({}, set()), _Moves()
        rows = database.execute(_COLUMNS, (first, end))
        size = first
        while tile := rows.fetchmany(TILE_WIDTH):
            digests = [row[1] for row in tile]
            leaves, actions, idems, commitments, lengths, postings = _read_tile_of(tile, size, chain, turns)
            keys.append(b"\n".join(idems))
            texts += _count_texts(database, size, commitments, lengths)
            named += len(tile) - commitments.count(b"")
            if postings.count(_NO_POSTINGS) != len(tile):
                moves.follow(database, size, postings)
            if _SIGNED in actions:
                telling = [(seq, leaves[seq - size]) for seq, action in enumerate(actions, size) if action == _SIGNED]
                told += _told_checkpoints(telling)
            if len(tile) < TILE_WIDTH:
                rest = b"".join(digests)
            else:
                roots.append(_tile_root(b"".join(digests)))
                for count in signed.intersection(range(size + 1, size + TILE_WIDTH)):
                    parts[count] = _tile_root(b"".join(digests[: count - size]))
            size += len(tile)
        if size != end:
            raise ValueError("an entry is missing")
        after = (chain.before, chain.mono)
        tree = (b"".join(roots), rest, parts, tuple(told))
        return _Piece(before, after, b"\n".join(keys), *tree, *turns.result(), texts, named, moves)


@dataclass(frozen=True, slots=True)
class _Turns:
    """Which of the entries that were read opened each turn, and what others say of turns that none of these had opened."""

    opened: dict[bytes, int]
    older: set[tuple[bytes, int | None]]

    def follow(self, first: int, received: Sequence[int], turns: Sequence[bytes], began: Sequence[int | None]) -> None:
        """``received``: the entries that open a turn. Raises ``ValueError`` where one says otherwise of its turn."""
        for seq in received:
            self.opened.setdefault(turns[seq - first], seq)
        if tuple(map(self.opened.get, turns)) != began:
            for seq, (turn, said) in enumerate(zip(turns, began, strict=True), first):
                if self.opened.get(turn, seq + 1) > seq:
                    self.older.add((turn, said))
                elif self.opened[turn] != said:
                    raise ValueError("an entry does not name the one that opened its turn")

    def result(self) -> tuple[dict[bytes, int], frozenset[tuple[bytes, int | None]]]:
        return self.opened, frozenset(self.older)


def _read_tile_of(
    tile: Sequence[tuple[Any, ...]], first: int, chain: "_Chain", opened: _Turns
) -> tuple[tuple[bytes, ...], ...]:
    """Of entries that follow on the chain, and agree with the columns beside them: bytes, actions, keys, commitments, lengths,
    postings.
    """
    leaves, digests, actions, actors, idems, monos, commitments, turns, places, conversations, began, seqs = zip(
        *tile, strict=True
    )
    fields = chain.follow(first, leaves, b"".join(digests))
    *told_first, told_commitments, lengths, postings, _, _, told_turns, told_places = zip(*fields, strict=True)
    received = [seq for seq, action in enumerate(actions, first) if action == _RECEIVED]
    if (
        told_first != [actions, actors, idems, monos]
        or told_commitments != tuple([commitment or b"" for commitment in commitments])
        or (told_turns, told_places) != (turns, places)
        or b"" in commitments
        # Only a message that is received says in its bytes where. A quotation mark inside of a string would be escaped.
        or not all(b'"conversation":"%s"' % conversations[seq - first] in leaves[seq - first] for seq in received)
        or seqs != tuple(range(first, first + len(tile)))
    ):
        raise ValueError("the columns beside an entry do not agree with it")
    opened.follow(first, received, turns, began)
    return leaves, actions, idems, told_commitments, lengths, postings


def _count_texts(
    database: sqlite3.Connection, first: int, commitments: Sequence[bytes], lengths: Sequence[bytes]
) -> int:
    """Of entries in a row: how many texts are there. Raises ``ValueError`` where one is not what its entry commits to."""
    sha256, count = hashlib.sha256, 0
    bounds = (first, first + len(commitments))
    rows = database.execute("SELECT seq, salt, body FROM text WHERE seq >= ? AND seq < ?", bounds)
    while some := rows.fetchmany(TILE_WIDTH):
        texts = [(hexlify(sha256(salt + body).digest()), b"%d" % len(body)) for _, salt, body in some]
        if texts != [(commitments[seq - first], lengths[seq - first]) for seq, _, _ in some]:
            raise ValueError("a text is not the one that its entry commits to")
        count += len(some)
    return count


def _typed(rows: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    """Rows whose columns are of the kinds they should be. SQLite's STRICT sees to that, in a file that is whole."""
    for count, row in enumerate(rows):
        seq, leaf, digest = row[:3]
        if type(seq) is not int or type(leaf) is not bytes or type(digest) is not bytes:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, count, "the row is not one of an entry")
        yield row


# The entries of an action look alike but for their values. The first of each shape is read as JSON and written again; from it a
# pattern is made of the same keys in the same order, with plain ASCII strings and integers of at most 2^53 - 1 for values: what
# such a pattern matches is canonical, and is found to be so in a fraction of the time.
_STRING = rb"[ !#-\[\]-~]*+"
_INTEGERS = rb"[1-8][0-9]{0,15}|9[0-9]{0,14}|0|-[1-9][0-9]{0,14}"
_INTEGER = b"(?>" + _INTEGERS + b")"
_SIMPLE = b'(?>"' + _STRING + b'"|' + _INTEGERS + b"|null|true|false)"
_PAYLOAD = b'(?:null|\\{"commitment":"(' + _STRING + b')","length":(' + _INTEGER + b")\\})"
_READ = {
    "action": str,
    "actor": str,
    "idem": str,
    "mono": int,
    "payload": dict,
    "prev": str,
    "seq": int,
    "turn": str,
    "v": int,
    "workspace": str,
}
_SHAPES_MAX = 1024
_SHAPE_KEY_BYTES = 24
_shapes: dict[bytes, list[re.Pattern[bytes]]] = {}


def _parse(seq: int, leaf: bytes) -> dict[str, Any]:
    """The fields that each entry has. Raises ``NotVerified`` where the bytes are not canonical or lack one."""
    action, actor, idem, mono, commitment, length, postings, prev, number, turn, workspace = _fields(seq, [leaf])[0]
    return {
        "action": action.decode(),
        "actor": actor.decode(),
        "idem": idem.decode(),
        "mono": int(mono),
        "payload": {"commitment": commitment.decode(), "length": int(length)} if length else None,
        "postings": postings,
        "prev": prev.decode(),
        "seq": int(number),
        "turn": turn.decode(),
        "workspace": workspace.decode(),
    }


def _fields(first: int, leaves: Iterable[bytes]) -> list[tuple[bytes, ...]]:
    """Of entries in a row, as they are written: action, actor, idem, mono, commitment, length, postings, prev, seq, turn,
    workspace.

    The commitment and the length are empty where there is no payload, the postings where none are said. Raises
    ``NotVerified`` where the bytes are not canonical or lack a field that each entry has.
    """
    found: list[tuple[bytes, ...]] = []
    for seq, leaf in enumerate(leaves, first):
        for pattern in _shapes.get(leaf[:_SHAPE_KEY_BYTES], ()):
            match = pattern.fullmatch(leaf)
            if match is not None:
                found.append(match.groups(b""))
                break
        else:
            found.append(_learn(seq, leaf))
    return found


def _learn(seq: int, leaf: bytes) -> tuple[bytes, ...]:
    """The ``_fields`` of an entry that no pattern matches so far. The next one like it is found by its pattern."""
    entry = _read_json(seq, leaf)
    shape = re.compile(_shape(entry))
    known = _shapes.setdefault(leaf[:_SHAPE_KEY_BYTES], [])
    # One with other letters than those of ASCII matches no pattern, not even its own.
    if shape not in known and sum(map(len, _shapes.values())) < _SHAPES_MAX:
        known.append(shape)
    payload = entry["payload"] or {"commitment": "", "length": ""}
    values = {**entry, **payload, "postings": _json(entry["postings"]) if "postings" in entry else ""}
    names = ("action", "actor", "idem", "mono", "commitment", "length", "postings", "prev", "seq", "turn", "workspace")
    return tuple(str(values[name]).encode() for name in names)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _read_json(seq: int, leaf: bytes) -> dict[str, Any]:
    try:
        text = leaf.decode()
        entry: Any = json.loads(text)
        again = _json(entry)
        # The profile has no floats and ASCII keys only, so that Python's JSON and RFC 8785 agree on everything else.
        canonical = again == text and isinstance(entry, dict) and _in_profile(entry)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "its bytes are not JSON") from error
    if not canonical:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "its bytes are not canonical")
    whole = all(
        type(entry.get(name)) is kind or (name == "payload" and name in entry and entry[name] is None)
        for name, kind in _READ.items()
    )
    if whole and entry["payload"] is not None:
        kinds = {name: type(value) for name, value in entry["payload"].items()}
        whole = kinds == {"commitment": str, "length": int}
    if not whole:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "it lacks a field that each entry has")
    fields: dict[str, Any] = entry
    return fields


def _shape(entry: dict[str, Any]) -> bytes:
    """A pattern of what is written like this entry; what ``_fields`` gives is in its groups, in the order of the keys."""
    items: list[bytes] = []
    for name, value in sorted(entry.items()):
        match name:
            case "payload":
                pattern = _PAYLOAD if "postings" in entry else _PAYLOAD + b"()"
            case "postings":
                pattern = b"(" + _value_shape(value) + b")"
            case "v":
                pattern = _INTEGER
            case _ if name in _READ:
                pattern = b'"(' + _STRING + b')"' if _READ[name] is str else b"(" + _INTEGER + b")"
            case _:
                pattern = _value_shape(value)
        items.append(_item_shape(name, pattern))
    return b"\\{" + b",".join(items) + b"\\}"


def _item_shape(name: str, pattern: bytes) -> bytes:
    return re.escape(json.dumps(name).encode()) + b":" + pattern


def _value_shape(value: Any) -> bytes:
    """Of a value that is only looked at for being canonical: any simple one may stand for another, and so may their number in
    a list of values that are alike.
    """
    match value:
        case dict():
            items = [_item_shape(name, _value_shape(item)) for name, item in sorted(value.items())]
            return b"\\{" + b",".join(items) + b"\\}"
        case list():
            items = [_value_shape(item) for item in value]
            if len(set(items)) == 1:
                return b"\\[(?>%s(?:,%s)*)\\]" % (items[0], items[0])
            return b"\\[" + b",".join(items) + b"\\]"
        case _:
            return _SIMPLE


def _in_profile(value: object) -> bool:
    match value:
        case dict():
            return all(key.isascii() for key in value) and all(_in_profile(item) for item in value.values())
        case list():
            return all(_in_profile(item) for item in value)
        case float():
            return False
        case bool():
            return True
        case int():
            return -INTEGER_MAX <= value <= INTEGER_MAX
        case _:
            return True


def _check_link(entry: dict[str, Any], seq: int, before: bytes) -> None:
    if entry["seq"] != seq:
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, f"its bytes say that it is entry {entry['seq']}")
    if entry["prev"] != (f"ps-sha256:{before.hex()}" if seq else GENESIS):
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "it does not follow the entry before")
    if (seq == 0) != (entry["action"] == "ledger.created"):
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "the genesis entry stands first, and once")


def _check_text(seq: int, payload: dict[str, Any], salt: object, body: object) -> None:
    if body is None and salt is None:
        return
    if type(salt) is not bytes or type(body) is not bytes:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "its text is only partly there")
    if hashlib.sha256(salt + body).hexdigest() != payload["commitment"] or len(body) != payload["length"]:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "its text is not the one that it commits to")


def _check_end(database: sqlite3.Connection, size: int, digest: bytes, mono: int, texts: int) -> None:
    ends = database.execute("SELECT size, hash, mono FROM head").fetchall()
    if ends != [(size, digest, mono)]:
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, size, "the recorded end of the chain is not its last entry")
    (stored,) = database.execute("SELECT count(*) FROM payload").fetchone()
    if stored != texts:
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, None, f"{_count(stored - texts, 'text')} that no entry commits to")


class _Tree:
    """The Merkle tree over the entries, grown beside the reading of them."""

    def __init__(self, roots: dict[int, list[bytes]]) -> None:
        self.size = 0
        self.stack: list[bytes] = []
        self.subtrees: list[tuple[int, int, bytes]] = []
        self._roots = roots

    def push(self, node: bytes, height: int = 0) -> None:
        """The next entry's hash; or the root of the next ``2**height`` of them, where the size is a multiple of that."""
        self.size += 1 << height
        rest = self.size >> height
        while True:
            if height and height % TILE_HEIGHT == 0:
                self.subtrees.append((height // TILE_HEIGHT, rest - 1, node))
            if rest & 1:
                break
            node = hashlib.sha256(b"\x01" + self.stack.pop() + node).digest()
            rest >>= 1
            height += 1
        self.stack.append(node)
        if self.size in self._roots:
            self._check_root(self.size, self.root())

    def push_piece(self, piece: _Piece) -> None:
        """The next tiles at once, and the entries after them one by one."""
        for start in range(0, len(piece.roots), HASH_BYTES):
            for size in piece.parts.keys() & range(self.size + 1, self.size + TILE_WIDTH):
                self._check_root(size, _folded([*self.stack, piece.parts[size]]))
            self.push(piece.roots[start : start + HASH_BYTES], TILE_HEIGHT)
        for start in range(0, len(piece.rest), HASH_BYTES):
            self.push(piece.rest[start : start + HASH_BYTES])

    def root(self) -> bytes:
        return _folded(self.stack)

    def _check_root(self, size: int, root: bytes) -> None:
        if any(signed != root for signed in self._roots.pop(size)):
            raise NotVerified(HASH_VERIFICATION_FAILED, size - 1, "a checkpoint was signed over other entries")

    def check(self, database: sqlite3.Connection) -> None:
        if self._roots:
            largest = max(self._roots)
            raise NotVerified(
                CHAIN_INTEGRITY_VIOLATION,
                self.size,
                f"a checkpoint was signed over {largest} entries: the rest is gone",
            )
        (frontier,) = database.execute("SELECT frontier FROM head").fetchone()
        stored = database.execute("SELECT level, number, hash FROM subtree ORDER BY level, number").fetchall()
        if frontier != b"".join(self.stack) or stored != sorted(self.subtrees):
            raise NotVerified(HASH_VERIFICATION_FAILED, None, "the stored tree is not that of the entries")


def _folded(stack: Sequence[bytes]) -> bytes:
    *rest, node = stack
    for left in reversed(rest):
        node = hashlib.sha256(b"\x01" + left + node).digest()
    return node


def _checkpoints(database: sqlite3.Connection) -> dict[int, list[bytes]]:
    """The roots that were signed, by size: those that are kept, and those that entries tell of."""
    roots = _kept_checkpoints(database)
    entries = database.execute("SELECT seq, leaf FROM entry WHERE action = 'checkpoint.signed'")
    for size, root in _told_checkpoints(entries):
        roots.setdefault(size, []).append(root)
    return roots


def _kept_checkpoints(database: sqlite3.Connection) -> dict[int, list[bytes]]:
    roots: dict[int, list[bytes]] = {}
    for size, root in database.execute("SELECT size, root FROM checkpoint"):
        roots.setdefault(size, []).append(root)
    return roots


def _told_checkpoints(entries: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for seq, leaf in entries:
        try:
            told = json.loads(leaf)
            yield int(told["size"]), bytes.fromhex(told["root"])
        except (ValueError, KeyError, TypeError) as error:
            raise NotVerified(HASH_VERIFICATION_FAILED, seq, "it does not say which checkpoint was signed") from error


_RECEIVED = b"message.received"
_SIGNED = b"checkpoint.signed"
_NO_POSTINGS = b"[]"


class _Book:
    """The balances, added up beside the reading of the entries. Debits are above 0."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._balances: dict[_Account, int] = {}
        self._count = 0

    def post(self, seq: int, postings: Any) -> None:
        rows = _read_postings(seq, postings)
        for _, _, account, currency, amount in rows:
            self._balances[account, currency] = self._balances.get((account, currency), 0) + amount
        for _, _, account, currency, _ in rows:
            balance = self._balances[account, currency]
            if _is_below_0(account, balance, balance):
                raise NotVerified(INSUFFICIENT_BALANCE, seq, f"{account} falls below 0")
        if _stored_postings(self._database, seq, seq + 1) != rows:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "the postings beside the entry do not agree with it")
        self._count += len(rows)

    def add(self, moves: "_Moves") -> None:
        """What the next entries move. Raises ``ValueError`` where that is more than one may."""
        for where, moved in moves.total.items():
            before = self._balances.get(where, 0)
            if _is_below_0(where[0], before + moves.lowest.get(where, 0), before + moves.highest.get(where, 0)):
                raise ValueError("an account falls below 0")
            self._balances[where] = before + moved
        self._count += moves.count

    def check(self) -> None:
        (count,) = self._database.execute("SELECT count(*) FROM posting").fetchone()
        if count != self._count:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, None, "there are postings that no entry has")
        stored = self._database.execute("SELECT account, currency, balance FROM account").fetchall()
        if {(account, currency): balance for account, currency, balance in stored} != self._balances:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, None, "the stored balances are not those of the entries")


_Account = tuple[str, str]
"""Its name and the currency."""


@dataclass(slots=True)
class _Moves:
    """What entries in a row move on each account: ``total`` is all of it; ``lowest`` and ``highest`` are what it had come to
    after some entry of them, where that is below or above 0. ``count`` is that of their postings.
    """

    total: dict[_Account, int] = field(default_factory=dict)
    lowest: dict[_Account, int] = field(default_factory=dict)
    highest: dict[_Account, int] = field(default_factory=dict)
    count: int = 0

    def follow(self, database: sqlite3.Connection, first: int, postings: Sequence[bytes]) -> None:
        """``postings``: of the next entries, as they are written. Raises ``ValueError`` where others stand beside them."""
        rows: list[tuple[int, int, str, str, int]] = []
        for seq, text in enumerate(postings, first):
            if text == _NO_POSTINGS:
                continue
            posted = _read_postings(seq, json.loads(text))
            for _, _, account, currency, amount in posted:
                self.total[account, currency] = self.total.get((account, currency), 0) + amount
            for where in {(account, currency) for _, _, account, currency, _ in posted}:
                moved = self.total[where]
                if moved < self.lowest.get(where, 0):
                    self.lowest[where] = moved
                elif moved > self.highest.get(where, 0):
                    self.highest[where] = moved
            rows += posted
        if _stored_postings(database, first, first + len(postings)) != rows:
            raise ValueError("the postings beside an entry do not agree with it")
        self.count += len(rows)


def _read_postings(seq: int, postings: Any) -> list[tuple[int, int, str, str, int]]:
    """Of an entry: its number, and the number, account, currency and amount of each posting."""
    sums: dict[str, int] = {}
    rows: list[tuple[int, int, str, str, int]] = []
    try:
        for n, posting in enumerate(postings):
            account, currency, amount = posting["account"], posting["currency"], int(posting["amount"])
            rows.append((seq, n, account, currency, amount))
            sums[currency] = sums.get(currency, 0) + amount
    except (KeyError, TypeError, ValueError) as error:
        raise NotVerified(INVALID_ENTRY_TYPE, seq, "its postings are not readable") from error
    if any(sums.values()):
        raise NotVerified(INVALID_ENTRY_TYPE, seq, "its postings do not sum to 0")
    return rows


def _stored_postings(database: sqlite3.Connection, first: int, end: int) -> list[tuple[int, int, str, str, int]]:
    return database.execute(
        "SELECT seq, n, account, currency, amount FROM posting WHERE seq >= ? AND seq < ? ORDER BY seq, n", (first, end)
    ).fetchall()


def _is_below_0(account: str, lowest: int, highest: int) -> bool:
    """Credit is a debt to the workspace, and stands below 0 while there is some; what a workspace owes stands above."""
    return (account.startswith("L:ws:") and highest > 0) or (account.startswith("A:ws:") and lowest < 0)


def _check_signature_of_last(database: sqlite3.Connection, keys: Sequence[Key]) -> None:
    row = database.execute("SELECT size, root, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        raise Incomplete("nothing was signed yet")
    signed = _open_checkpoint(row[2], keys)
    if (signed.size, signed.root) != tuple(row[:2]):
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "the last checkpoint is not the one that was signed")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


# An export


def verify_folder(folder: Path, keys: Sequence[Key]) -> VerifiedFolder:
    """Check all that the checkpoint covers. Raises ``NotVerified``, ``NotALedger``; ``Incomplete`` where a file is missing."""
    if not folder.is_dir():
        raise NotALedger(f"there is no folder {folder}")
    checkpoint = _open_checkpoint(_read(folder / "checkpoint"), keys)
    if checkpoint.size == 0:
        raise Incomplete("the ledger has no entry yet")
    chain = _Chain(checkpoint.origin, keys=set())
    roots: list[bytes] = []
    rest = b""
    for index, width in _tiles_of(checkpoint.size):
        first = index * TILE_WIDTH
        hashes = _read_tile(folder / "tile" / "0", index, width, first)
        leaves = _split_bundle(_read_part(folder / "tile" / "entries", index, width), width, first)
        chain.follow(first, leaves, hashes)
        if width == TILE_WIDTH:
            roots.append(_tile_root(hashes))
        else:
            rest = _tile_root(hashes)
    level = 1
    while roots:
        complete: list[bytes] = []
        for index, width in _tiles_of(len(roots)):
            made = b"".join(roots[index * TILE_WIDTH : index * TILE_WIDTH + width])
            first = index * TILE_WIDTH ** (level + 1)
            if _read_tile(folder / "tile" / str(level), index, width, first) != made:
                raise NotVerified(HASH_VERIFICATION_FAILED, first, f"tile {level}/{index} is not made of its entries")
            if width == TILE_WIDTH:
                complete.append(_tile_root(made))
            else:
                rest = _tile_root(made + rest)
        roots, level = complete, level + 1
    if rest != checkpoint.root:
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, None, "the entries have another root than the one that was signed")
    return VerifiedFolder(checkpoint, f"ps-sha256:{chain.before.hex()}")


class _Chain:
    """What each entry has to be, given all of those before it."""

    def __init__(
        self, origin: str | None, before: bytes = b"", mono: int = 0, *, keys: set[bytes] | None = None
    ) -> None:
        """``origin``: the name under which the ledger has to be begun, where one is known. ``before`` and ``mono``: the hash
        and the time of the entry that is followed. ``keys``: those of the entries so far, which none may have again; None
        where that is seen to elsewhere.
        """
        self.before = before
        self.mono = mono
        self._origin = origin
        self._keys = keys

    def follow(self, first: int, leaves: Sequence[bytes], hashes: bytes) -> list[tuple[bytes, ...]]:
        """The next entries, and their hashes in a row. Returns their ``_fields``. Raises ``NotVerified`` at the first bad one."""
        digests = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
        try:
            fields = _fields(first, leaves)
        except NotVerified:
            fields = []
        if b"".join(digests) != hashes or not fields or not self._fits(first, fields, digests):
            raise self._first_fault(first, leaves, hashes)
        if first == 0 and self._origin is not None and json.loads(leaves[0]).get("origin") != self._origin:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, 0, "the ledger was begun under another name")
        self.before = digests[-1]
        return fields

    def _fits(self, first: int, fields: Sequence[tuple[bytes, ...]], digests: Sequence[bytes]) -> bool:
        """All of it at once, as comparisons of whole lists: ``_first_fault`` says what is wrong where this does not hold."""
        actions, _, keys, monos, _, _, _, prevs, seqs, _, _ = zip(*fields, strict=True)
        times = [self.mono, *map(int, monos)]
        expected = [b"ps-sha256:" + hexlify(digest) for digest in (self.before, *digests[:-1])]
        if first == 0:
            expected[0] = GENESIS.encode()
        fits = (
            list(prevs) == expected
            and list(seqs) == [b"%d" % seq for seq in range(first, first + len(fields))]
            and times == sorted(times)
            and [seq for seq, action in enumerate(actions, first) if action == b"ledger.created"] == [0] * (first == 0)
            and self._are_new(keys)
        )
        if fits:
            self.mono = times[-1]
        return fits

    def _are_new(self, keys: Sequence[bytes]) -> bool:
        if self._keys is None:
            return True
        fresh = set(keys)
        if len(fresh) < len(keys) or not self._keys.isdisjoint(fresh):
            return False
        self._keys |= fresh
        return True

    def _first_fault(self, first: int, leaves: Sequence[bytes], hashes: bytes) -> NotVerified:
        """Entry by entry, in the order of the checks."""
        keys, before, mono = set(self._keys or ()), self.before, self.mono
        for seq, leaf in enumerate(leaves, first):
            try:
                entry = _parse(seq, leaf)
                _check_link(entry, seq, before)
            except NotVerified as error:
                return error
            before = hashlib.sha256(b"\x00" + leaf).digest()
            start = (seq - first) * HASH_BYTES
            if before != hashes[start : start + HASH_BYTES]:
                return NotVerified(HASH_VERIFICATION_FAILED, seq, "the hash is not that of the entry's bytes")
            if entry["mono"] < mono:
                return NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "the time of the chain goes backwards")
            key = entry["idem"].encode()
            if key in keys:
                return NotVerified(
                    CHAIN_INTEGRITY_VIOLATION, seq, "its idempotency key stands at an earlier entry already"
                )
            mono = entry["mono"]
            keys.add(key)
        return NotVerified(CHAIN_INTEGRITY_VIOLATION, first, "the entries do not fit together")


def _tiles_of(count: int) -> Iterator[tuple[int, int]]:
    """Index and width of the tiles that ``count`` hashes make."""
    for index in range(0, count, TILE_WIDTH):
        yield index // TILE_WIDTH, min(TILE_WIDTH, count - index)


def _tile_root(hashes: bytes) -> bytes:
    """The RFC 6962 root over hashes of equal subtrees, the last of which may be a smaller one. One odd at the end moves up."""
    sha256 = hashlib.sha256
    while len(hashes) > HASH_BYTES:
        pairs = len(hashes) // 64 * 64
        nodes = [sha256(b"\x01" + hashes[n : n + 64]).digest() for n in range(0, pairs, 64)]
        hashes = b"".join(nodes) + hashes[pairs:]
    return hashes


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Incomplete(f"{path} is missing") from error
    except OSError as error:
        raise Incomplete(f"{path} cannot be read: {error.strerror}") from error


def _read_part(folder: Path, index: int, width: int) -> bytes:
    """A file of the export; where a partial one is gone, the full one that took its place. May hold more than ``width``."""
    name = f"{index % 1000:03}"
    while index := index // 1000:
        name = f"x{index % 1000:03}/{name}"
    if width == TILE_WIDTH:
        return _read(folder / name)
    part = folder / f"{name}.p" / str(width)
    return _read(part if part.exists() or not (folder / name).exists() else folder / name)


def _read_tile(folder: Path, index: int, width: int, first: int) -> bytes:
    hashes = _read_part(folder, index, width)
    if len(hashes) not in (width * HASH_BYTES, TILE_WIDTH * HASH_BYTES):
        raise NotVerified(HASH_VERIFICATION_FAILED, first, f"the tile {index} of {folder} has {len(hashes)} bytes")
    return hashes[: width * HASH_BYTES]


def _split_bundle(data: bytes, width: int, first: int) -> list[bytes]:
    leaves: list[bytes] = []
    position, size = 0, len(data)
    while position + 2 <= size:
        start = position + 2
        position = start + (data[position] << 8 | data[position + 1])
        leaves.append(data[start:position])
    if position != size:
        raise NotVerified(
            HASH_VERIFICATION_FAILED, first + max(0, len(leaves) - 1), "its bundle ends in the middle of it"
        )
    if len(leaves) not in (width, TILE_WIDTH):
        raise NotVerified(HASH_VERIFICATION_FAILED, first, f"its bundle has {len(leaves)} entries, not {width}")
    return leaves[:width]


# A receipt

RECEIPT_HEADER = "c2sp.org/tlog-proof@v1"

# What the bytes 0x02 to 0x1f stand for in the entry of a receipt; 0x01 and 32 bytes are 64 hex digits.
WORDS = (
    b'{"action":"',
    b'","actor":"',
    b'","idem":"',
    b'","mono":',
    b',"payload":{"commitment":"',
    b'","length":',
    b'},"postings":[',
    b'],"prev":"ps-sha256:',
    b'","seq":',
    b',"stripe":{},"ts":',
    b',"turn":"t-',
    b'","v":1,"workspace":"w-',
    b'{"account":"',
    b'","amount":"',
    b',"idem":"',
    b',"mono":',
    b',"part":',
    b',"attempt":',
    b',"kind":"',
    b',"outcome":"',
    b'"answered"',
    b'"answer"',
    b"_tokens",
    b'":"',
    b'","',
    b'":',
    b',"',
    b"true",
    b"false",
    b"null",
)
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_CODE = re.compile(rb"\x01[\x00-\xff]{32}|[\x02-\x1f]")
_WORD = re.compile(b"|".join(map(re.escape, sorted(WORDS, key=len, reverse=True))))


def verify_receipt(data: bytes, keys: Sequence[Key]) -> VerifiedReceipt:
    """Offline: the entry stands in the tree that the log's key signed. Raises ``NotVerified``."""
    head, blank, note = data.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    if not blank or len(lines) < 3 or lines[0] != RECEIPT_HEADER:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "the file is not a receipt")
    checkpoint = _open_checkpoint(note, keys)
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "the receipt has no entry or no index")
    leaf = _lengthen(_base64(lines[1][6:]))
    seq = _decimal(lines[2][6:])
    path = [_hash(line) for line in lines[3:]]
    entry = _parse(seq, leaf)
    digest = hashlib.sha256(b"\x00" + leaf).digest()
    if _climb(digest, seq, checkpoint.size, path) != checkpoint.root:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "the entry is not in the tree that was signed")
    if entry["seq"] != seq:
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, f"its bytes say that it is entry {entry['seq']}")
    return VerifiedReceipt(checkpoint, seq, leaf, f"ps-sha256:{digest.hex()}")


def _climb(digest: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a path of RFC 6962, 2.1.1, leads to; empty where it has not the length of the one to this entry."""
    # From the root down: at each split, whether the entry is on the left. The path comes from the leaf up.
    turns: list[bool] = []
    while size > 1:
        left = 1 << ((size - 1).bit_length() - 1)
        turns.append(index < left)
        index, size = (index, left) if index < left else (index - left, size - left)
    if size != 1 or index != 0 or len(turns) != len(path):
        return b""
    for on_left, sibling in zip(reversed(turns), path, strict=True):
        digest = hashlib.sha256(b"\x01" + (digest + sibling if on_left else sibling + digest)).digest()
    return digest


def _lengthen(data: bytes) -> bytes:
    """The entry's bytes from their shorthand. There is one of each entry: the longest word first, digests whole."""
    leaf = _CODE.sub(lambda code: code[0][1:].hex().encode() if code[0][0] == 1 else WORDS[code[0][0] - 2], data)
    again: list[bytes] = []
    end = 0
    for digest in _HEX.finditer(leaf):
        again += (_shorten(leaf[end : digest.start()]), b"\x01", bytes.fromhex(digest[0].decode()))
        end = digest.end()
    if b"".join((*again, _shorten(leaf[end:]))) != data:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "the receipt's entry is not in its one shorthand")
    return leaf


def _shorten(text: bytes) -> bytes:
    return _WORD.sub(lambda word: bytes([2 + WORDS.index(word[0])]), text)


# Signatures


def read_key(text: str) -> Key:
    """A vkey: ``name+hex of the key's id+base64 of kind and key``. Raises ``NotALedger``."""
    try:
        name, key_id, encoded = text.strip().split("+", 2)
        material = _base64(encoded)
    except (ValueError, NotVerified) as error:
        raise NotALedger(f"not a public key: {text.strip()[:100]}") from error
    key = Key(name, material[0] if material else 0, material[1:])
    if key.kind not in (1, 4) or len(key.public_key) != 32 or key.key_id.hex() != key_id or not _is_name(name):
        raise NotALedger(f"not a public key: {text.strip()[:100]}")
    return key


def _open_checkpoint(note: bytes, keys: Sequence[Key]) -> SignedRoot:
    """C2SP signed-note and tlog-checkpoint: three lines, an empty one, signatures. Raises ``NotVerified``."""
    text, lines = _split_note(note)
    fields = text.split("\n")
    if len(fields) != 4 or fields[3] or not fields[0]:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "a checkpoint has three lines")
    known = {(key.name, key.key_id): key for key in keys}
    signed = False
    witnesses: list[tuple[str, int]] = []
    seen: set[tuple[str, bytes]] = set()
    for name, key_id, signature in lines:
        key = known.get((name, key_id))
        if key is None:
            continue
        if (name, key_id) in seen:
            raise NotVerified(HASH_VERIFICATION_FAILED, None, f"{name} signed the checkpoint twice")
        seen.add((name, key_id))
        if key.kind == 1:
            _check_signature(key, signature, text)
            if name != fields[0]:
                raise NotVerified(
                    HASH_VERIFICATION_FAILED, None, f"the checkpoint is one of {fields[0]}, not of {name}"
                )
            signed = True
        else:
            time_s = int.from_bytes(signature[:8], "big")
            _check_signature(key, signature[8:], f"cosignature/v1\ntime {time_s}\n{text}")
            witnesses.append((name, time_s))
    if not signed:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "the checkpoint is not signed by the key that was given")
    return SignedRoot(fields[0], _decimal(fields[1]), _hash(fields[2]), tuple(witnesses))


def _split_note(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "the checkpoint is not UTF-8") from error
    text, blank, below = whole.rpartition("\n\n")
    if not blank or not below.endswith("\n") or any(letter < " " and letter != "\n" for letter in whole):
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "the checkpoint is not a signed note")
    lines: list[tuple[str, bytes, bytes]] = []
    for line in below[:-1].split("\n"):
        name, space, encoded = line.removeprefix("\u2014 ").partition(" ")
        data = _base64(encoded)
        if not line.startswith("\u2014 ") or not space or not _is_name(name) or len(data) <= 4:
            raise NotVerified(HASH_VERIFICATION_FAILED, None, "the checkpoint has a line that is no signature")
        lines.append((name, data[:4], data[4:]))
    return text + "\n", lines


def _check_signature(key: Key, signature: bytes, text: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, text.encode())
    except (InvalidSignature, ValueError) as error:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, f"the signature of {key.name} does not verify") from error


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(letter.isspace() or letter < " " for letter in name)


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "a line is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "a line is not base64 in its one spelling")
    return data


def _hash(text: str) -> bytes:
    data = _base64(text)
    if len(data) != HASH_BYTES:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, f"a hash has {len(data)} bytes")
    return data


def _decimal(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) >= 2**63:
        raise NotVerified(HASH_VERIFICATION_FAILED, None, "a number is not in its one spelling")
    return int(text)


# The command


def main(arguments: Sequence[str]) -> int:
    try:
        kind, path, keys = _arguments(arguments)
    except ValueError:
        sys.stderr.write(USAGE)
        return EXIT_USAGE
    try:
        sys.stdout.write(f"verified: {_verify_one(kind, path, keys)}\n")
    except NotALedger as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    except Incomplete as error:
        sys.stdout.write(f"incomplete: {error}\n")
        return EXIT_INCOMPLETE
    except NotVerified as error:
        sys.stdout.write(f"NOT VERIFIED: {error}\n")
        return EXIT_NOT_VERIFIED
    return EXIT_VERIFIED


def _arguments(arguments: Sequence[str]) -> tuple[str, Path, list[str]]:
    """Which kind, where, and the keys. Raises ``ValueError``."""
    targets: list[tuple[str, str]] = []
    keys: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in ("--db", "--dir", "--receipt", "--key"):
            if not rest:
                raise ValueError(word)
            keys.append(rest.pop(0)) if word == "--key" else targets.append((word, rest.pop(0)))
        elif word.startswith("-"):
            raise ValueError(word)
        else:
            targets.append(("--db", word))
    ((kind, path),) = targets
    if kind != "--db" and not keys:
        raise ValueError("a signature is checked with a key")
    return kind, Path(path), keys


def _verify_one(kind: str, path: Path, texts: Sequence[str]) -> str:
    """What was verified, in a sentence. Raises what the functions above raise."""
    keys = _read_keys(texts)
    if kind == "--db":
        found = verify_database(path, keys)
        if found.size == 0:
            raise Incomplete("the ledger has no entry yet")
        erased = f", {_count(found.erased, 'text')} erased" if found.erased else ""
        return f"{_count(found.size, 'entry', 'entries')}, {_count(found.texts, 'text')}{erased}, end {found.head}"
    if kind == "--dir":
        folder = verify_folder(path, keys)
        return f"{_count(folder.checkpoint.size, 'entry', 'entries')}, end {folder.head}{_signed_by(folder.checkpoint)}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotALedger(f"{path} cannot be read: {error.strerror}") from error
    receipt = verify_receipt(data, keys)
    return f"entry {receipt.seq} of {receipt.checkpoint.size:,}, {receipt.hash}{_signed_by(receipt.checkpoint)}\n" + (
        receipt.leaf.decode()
    )


def _read_keys(texts: Sequence[str]) -> list[Key]:
    """Each a vkey, or a file that holds one on each line."""
    keys: list[Key] = []
    for text in texts:
        lines = Path(text).read_text(encoding="utf-8").splitlines() if Path(text).is_file() else [text]
        keys += [read_key(line) for line in lines if line.strip()]
    return keys


def _signed_by(checkpoint: SignedRoot) -> str:
    times = [f", cosigned by {name} at {time_s} s" for name, time_s in checkpoint.witnesses]
    return f", signed by {checkpoint.origin}{''.join(times)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
