"""Verify a RoadChain database. This file stands alone: it imports nothing of the writer, and nothing but Python itself.

    python verify.py roadchain.db

It exits with 0 (verified), 1 (not verified: the code and the first bad entry are printed), 2 (usage: no file, or not one of
ours) or 3 (incomplete: there is nothing to verify yet). What it checks, entry by entry, in order:

- ``seq`` counts from 0 without a gap, and entry 0 is ``ledger.created``;
- the stored bytes are canonical JSON (RFC 8785, within RoadChain's profile);
- ``prev`` is the hash of the entry before, and the stored hash is ``SHA-256(0x00 || bytes)``;
- ``mono`` never decreases, no idempotency key stands twice, and the columns beside the bytes agree with them;
- each text beside the chain is the one that its entry commits to: ``SHA-256(salt || text)``, and its length;
- the recorded end of the chain is its last entry, and no text stands there that no entry names.
"""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APPLICATION_ID = 0x526F6164
SCHEMA_MAX = 1
GENESIS = "GENESIS"
INTEGER_MAX = 2**53 - 1

HASH_VERIFICATION_FAILED = "RC004"
CHAIN_INTEGRITY_VIOLATION = "RC011"

EXIT_VERIFIED = 0
EXIT_NOT_VERIFIED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3


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


def verify_database(path: Path) -> Verified:
    """Check all of it, as it was at one moment; the file is not changed. Raises ``NotVerified``, ``NotALedger``."""
    if not path.is_file():
        raise NotALedger(f"there is no file {path}")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as database:
            database.execute("BEGIN")
            _check_kind(database, path)
            return _verify(database)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
            raise NotALedger(f"{path} is not a SQLite database") from error
        raise NotVerified(CHAIN_INTEGRITY_VIOLATION, None, f"the database cannot be read: {error}") from error


def _check_kind(database: sqlite3.Connection, path: Path) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise NotALedger(f"{path} is not a RoadChain database")
    if not 1 <= version <= SCHEMA_MAX:
        raise NotALedger(f"{path} has schema {version}; this verifier knows up to {SCHEMA_MAX}")


def _verify(database: sqlite3.Connection) -> Verified:
    size, texts, erased, mono = 0, 0, 0, 0
    before = b""
    keys: set[str] = set()
    rows = database.execute(
        "SELECT entry.seq, leaf, hash, idem, turn, action, entry.commitment, salt, body"
        " FROM entry LEFT JOIN payload ON payload.commitment = entry.commitment ORDER BY entry.seq"
    )
    for seq, leaf, digest, idem, turn, action, commitment, salt, body in _typed(rows):
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
        if (entry["idem"], entry["turn"], entry["action"], named_here) != (idem, turn, action, commitment):
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, seq, "the columns beside the entry do not agree with it")
        if payload is not None:
            texts, erased = (texts, erased + 1) if body is None else (texts + 1, erased)
            _check_text(seq, payload, salt, body)
        keys.add(idem)
        before, mono, size = digest, entry["mono"], size + 1
    _check_end(database, size, before, mono, texts)
    return Verified(size, f"ps-sha256:{before.hex()}" if size else "", texts, erased)


def _typed(rows: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    """Rows whose columns are of the kinds they should be. SQLite's STRICT sees to that, in a file that is whole."""
    for count, row in enumerate(rows):
        seq, leaf, digest = row[:3]
        if type(seq) is not int or type(leaf) is not bytes or type(digest) is not bytes:
            raise NotVerified(CHAIN_INTEGRITY_VIOLATION, count, "the row is not one of an entry")
        yield row


def _parse(seq: int, leaf: bytes) -> dict[str, Any]:
    try:
        text = leaf.decode()
        entry: Any = json.loads(text)
        again = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "its bytes are not JSON") from error
    # The profile has no floats and ASCII keys only, so that Python's JSON and RFC 8785 agree on everything else.
    if again != text or not isinstance(entry, dict) or not _in_profile(entry):
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "its bytes are not canonical")
    payload = entry.get("payload")
    whole = (
        {key: type(entry.get(key)) for key in ("v", "seq", "mono", "idem", "turn", "action", "prev")}
        == {"v": int, "seq": int, "mono": int, "idem": str, "turn": str, "action": str, "prev": str}
        and "payload" in entry
        and (payload is None or (isinstance(payload, dict) and payload.keys() == {"commitment", "length"}))
    )
    if not whole:
        raise NotVerified(HASH_VERIFICATION_FAILED, seq, "it lacks a field that each entry has")
    return entry


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


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: verify.py DATABASE\n")
        return EXIT_USAGE
    try:
        verified = verify_database(Path(arguments[0]))
    except NotALedger as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    except NotVerified as error:
        sys.stdout.write(f"NOT VERIFIED: {error}\n")
        return EXIT_NOT_VERIFIED
    if verified.size == 0:
        sys.stdout.write("incomplete: the ledger has no entry yet\n")
        return EXIT_INCOMPLETE
    erased = f", {_count(verified.erased, 'text')} erased" if verified.erased else ""
    counted = f"{_count(verified.size, 'entry', 'entries')}, {_count(verified.texts, 'text')}"
    sys.stdout.write(f"verified: {counted}{erased}, end {verified.head}\n")
    return EXIT_VERIFIED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
