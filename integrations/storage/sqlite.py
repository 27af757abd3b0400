"""The ledger in one SQLite file.

Two threads, each with a connection of its own: one writes, one reads. WAL, ``synchronous=FULL``: a commit is on disk when
it returns. Several processes may work on one file; each batch takes SQLite's write lock before it reads the head.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from integrations.secrets import SealedSecret
from integrations.storage import sqlite_batch, sqlite_book, sqlite_schema, sqlite_secrets, sqlite_texts
from integrations.storage.presence import Presence
from integrations.storage.sqlite_schema import FAILURES, SqliteFailure, primary_code, transaction
from ledger.book import AccountRow, Counter, Hold, HoldId, Wanted
from ledger.entry import decode_entry
from ledger.errors import FailureReason, StoreFailed
from ledger.merkle import Frontier
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.store import (
    Conversation,
    Head,
    OpenTurn,
    OwnerId,
    Recorded,
    Seal,
    Sealed,
    SettingKept,
    TextsErased,
)

T = TypeVar("T")

_RECORDED = """
SELECT entry.leaf, entry.hash, payload.body
FROM entry LEFT JOIN payload ON payload.seq = entry.seq
"""
_OF_TURN = """
WHERE (entry.began = (SELECT turn.seq FROM turn WHERE turn.turn = ?1 AND turn.turn <> '')
       OR (entry.began IS NULL AND entry.turn = ?1 AND entry.turn <> ''))
ORDER BY entry.seq
"""

_MOVES = "EXISTS (SELECT 1 FROM posting WHERE posting.seq = entry.seq AND n = 0)"
_LAST_HERE = "SELECT turn FROM turn WHERE conversation = ? AND seq < ? AND kind = 'message' ORDER BY seq DESC LIMIT 1"
_LAST_ANYWHERE = "SELECT turn FROM turn WHERE actor = ? AND seq < ? AND kind = 'message' ORDER BY seq DESC LIMIT 1"

_SETTINGS = "SELECT name, value, conversation, person, item FROM setting WHERE workspace = ? ORDER BY 1, 5, 3, 4"

# The index on these two is used only where a query names both of them, as it does.
_PLANNED = """
SELECT leaf, hash FROM entry
WHERE workspace = ?1 AND action IN ('credit.plan_grant', 'credit.expire') AND seq >= (
    SELECT max(seq) FROM entry
    WHERE workspace = ?1 AND action = 'credit.plan_grant' AND action IN ('credit.plan_grant', 'credit.expire'))
ORDER BY seq
"""

_TOLD = """
SELECT turn, action FROM entry
WHERE turn IN (SELECT value FROM json_each(?)) AND turn <> '' AND action IN ('stop.asked', 'message.withdrawn')
ORDER BY seq
"""

_CLAIM = """
UPDATE turn SET lease_owner = :owner, attempts = attempts + 1
WHERE turn IN (
    SELECT turn FROM turn AS mine
    WHERE state = 'open' AND (lease_owner IS NULL OR (lease_owner = :owner AND attempts = 0))
      AND not_before_us <= :now_us
      AND platform IN (SELECT value FROM json_each(:platforms))
      AND (kind = 'command' OR NOT EXISTS (
          SELECT 1 FROM turn AS earlier
          WHERE earlier.conversation = mine.conversation AND earlier.seq < mine.seq
            AND earlier.state = 'open' AND earlier.kind = 'message'))
    ORDER BY seq LIMIT :count_max)
RETURNING turn, workspace, actor, conversation, platform, kind, attempts, seq
"""

_SET_FAULT = "UPDATE head SET fault = ?"


class SqliteStore:
    """Build with ``open``. Fits ``ledger.store.Store``."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, presence: Presence) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._presence = presence
        self._write_thread = ThreadPoolExecutor(1, "ledger-write")
        self._read_thread = ThreadPoolExecutor(1, "ledger-read")
        self._broken: StoreFailed | None = None

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the file, or make it. Raises ``StoreUnusable``: foreign, corrupt, of a newer schema, not permitted."""
        return await asyncio.to_thread(cls._open, path)

    @classmethod
    def _open(cls, path: Path) -> "SqliteStore":
        writer = sqlite_schema.connect(path)
        try:
            sqlite_schema.prepare(writer, path)
            reader = sqlite_schema.connect(path)
            reader.execute("PRAGMA query_only = ON")
        except BaseException:
            writer.close()
            raise
        return cls(path, writer, reader, Presence(path.with_name(path.name + ".running")))

    @property
    def owner(self) -> OwnerId:
        """This process, as the holder of leases."""
        return self._presence.owner

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        return await self._write(lambda: self._commit(wanted, seal))

    async def fault(self) -> str:
        return await self._read(lambda: sqlite_batch.fault(self._reader))

    async def set_fault(self, fault: str) -> None:
        await self._write(lambda: self._set_fault(fault))

    async def head(self) -> Head:
        return await self._read(lambda: sqlite_batch.head(self._reader))

    async def entries(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return await self._recorded("WHERE entry.seq > ? ORDER BY entry.seq LIMIT ?", after, count_max)

    async def frontier(self) -> Frontier:
        return (await self.head()).frontier

    async def leaves(self, first: int, count: int) -> tuple[bytes, ...]:
        return await self._column("SELECT leaf FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?", first, count)

    async def subtree_hashes(self, level: int, first: int, count: int) -> tuple[bytes, ...]:
        if level == 0:
            return await self._column("SELECT hash FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?", first, count)
        return await self._column(
            "SELECT hash FROM subtree WHERE level = ? AND number >= ? ORDER BY number LIMIT ?", level, first, count
        )

    async def latest_checkpoint(self) -> bytes | None:
        notes = await self._column("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
        return notes[0] if notes else None

    async def keep_checkpoint(self, size: int, root: bytes, note: bytes) -> None:
        await self._write(lambda: self._keep_checkpoint(size, root, note))

    async def balances(self) -> tuple[AccountRow, ...]:
        return await self._read(lambda: sqlite_book.read_balances(self._reader))

    async def balances_of(self, workspace: WorkspaceId) -> tuple[AccountRow, ...]:
        return await self._read(lambda: sqlite_book.read_balances_of(self._reader, workspace))

    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return await self._without_payloads(_MOVES, after, count_max)

    async def charged(self, workspace: WorkspaceId, actor: ActorId, after: int, count_max: int) -> tuple[Recorded, ...]:
        which = "action IN ('credit.reserve', 'credit.settle', 'credit.reversal') AND workspace = ? AND actor = ?"
        return await self._without_payloads(which, after, count_max, workspace, actor)

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]:
        def read() -> tuple[Recorded, ...]:
            rows = self._reader.execute(_PLANNED, (workspace,))
            return tuple(Recorded(decode_entry(leaf), leaf, digest, None) for leaf, digest in rows)

        return await self._read(read)

    async def hold(self, hold: HoldId) -> Hold | None:
        return await self._read(lambda: sqlite_book.read_hold(self._reader, hold))

    async def spent(self, counter: Counter) -> int:
        return await self._read(lambda: sqlite_book.read_counter(self._reader, counter))

    async def texts(self, erased: TextsErased) -> int:
        return await self._read(lambda: sqlite_texts.count(self._reader, erased))

    async def scrub(self) -> None:
        await self._write(lambda: sqlite_texts.scrub(self._writer))

    async def keep_secrets(self, secrets: Sequence[SealedSecret]) -> None:
        await self._write(lambda: sqlite_secrets.keep(self._writer, secrets))

    async def drop_secret(self, owner: str, name: str) -> bool:
        return await self._write(lambda: sqlite_secrets.drop(self._writer, owner, name))

    async def secrets(self, owners: Sequence[str]) -> tuple[SealedSecret, ...]:
        return await self._read(lambda: sqlite_secrets.read(self._reader, owners))

    async def all_secrets(self) -> tuple[SealedSecret, ...]:
        return await self._read(lambda: sqlite_secrets.read_all(self._reader))

    async def find(self, idem: str) -> Recorded | None:
        found = await self._recorded("WHERE idem = ?", idem)
        return found[0] if found else None

    async def entries_of(self, turn: TurnId) -> tuple[Recorded, ...]:
        return await self._recorded(_OF_TURN, turn)

    async def said_in(self, conversation: ConversationId, before: int, count_max: int) -> tuple[Recorded, ...]:
        said = await self._recorded(
            "JOIN turn ON turn.turn = entry.turn AND turn.kind = 'message'"
            " WHERE entry.conversation = ? AND entry.seq < ? AND action IN ('message.received', 'context.read', 'reply.prepared')"
            " ORDER BY entry.seq DESC LIMIT ?",
            conversation,
            before,
            count_max,
        )
        return said[::-1]

    async def calls(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return await self._without_payloads("action IN ('model.called', 'model.answered')", after, count_max)

    async def last_turn(self, conversation: ConversationId, actor: ActorId, before: int) -> TurnId | None:
        row = await self._one(_LAST_HERE, conversation, before) or await self._one(_LAST_ANYWHERE, actor, before)
        return None if row is None else TurnId(str(row[0]))

    async def conversation(self, conversation: ConversationId) -> Conversation | None:
        row = await self._one("SELECT pinned_model, turns FROM conversation WHERE conversation = ?", conversation)
        return None if row is None else Conversation(conversation, str(row[0]), int(row[1]))

    async def settings(self, workspace: WorkspaceId) -> tuple[SettingKept, ...]:
        def read() -> tuple[SettingKept, ...]:
            return tuple(SettingKept(workspace, *row) for row in self._reader.execute(_SETTINGS, (workspace,)))

        return await self._read(read)

    async def workspaces(self) -> tuple[WorkspaceId, ...]:
        rows = await self._read(
            lambda: self._reader.execute("SELECT DISTINCT workspace FROM conversation ORDER BY 1").fetchall()
        )
        return tuple(WorkspaceId(workspace) for (workspace,) in rows)

    async def told(self, turns: Sequence[TurnId]) -> tuple[tuple[TurnId, str], ...]:
        def read() -> tuple[tuple[TurnId, str], ...]:
            rows = self._reader.execute(_TOLD, (json.dumps(turns),))
            return tuple((TurnId(turn), str(action)) for turn, action in rows)

        return await self._read(read)

    async def open_turns(self, workspace: WorkspaceId) -> int:
        row = await self._one("SELECT count(*) FROM turn WHERE state = 'open' AND workspace = ?", workspace)
        return 0 if row is None else int(row[0])

    async def claim(
        self, owner: OwnerId, platforms: Sequence[str], count_max: int, now_us: int
    ) -> tuple[OpenTurn, ...]:
        values: dict[str, str | int] = {
            "owner": owner,
            "now_us": now_us,
            "platforms": json.dumps(list(platforms)),
            "count_max": count_max,
        }
        return await self._write(lambda: self._claim(values))

    async def release(self, turn: TurnId, not_before_us: int) -> None:
        await self._write(lambda: self._release(turn, not_before_us))

    async def replay(self) -> int:
        return await self._write(self._replay)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._write_thread.shutdown()
        self._read_thread.shutdown()
        self._reader.close()
        self._writer.close()
        self._presence.release()

    def _commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        with transaction(database := self._writer):
            found, fault = sqlite_batch.find(database, wanted)
            sealed = seal(found)
            if not sealed.rows:
                return sealed
            if fault:
                if not sealed.reopens:
                    raise StoreFailed(fault, "changed")
                database.execute(_SET_FAULT, ("",))
            # A process keeps what it accepted for as long as it lives: an answer in a terminal belongs on that terminal.
            sqlite_batch.write(database, sealed, self.owner)
        return sealed

    def _set_fault(self, fault: str) -> None:
        with transaction(database := self._writer):
            database.execute(_SET_FAULT, (fault,))

    def _keep_checkpoint(self, size: int, root: bytes, note: bytes) -> None:
        with transaction(database := self._writer):
            database.execute(
                "INSERT OR REPLACE INTO checkpoint (size, root, note) VALUES (?, ?, ?)", (size, root, note)
            )

    def _claim(self, values: dict[str, str | int]) -> tuple[OpenTurn, ...]:
        with transaction(database := self._writer):
            holders = database.execute(
                "SELECT DISTINCT lease_owner FROM turn WHERE state = 'open' AND lease_owner IS NOT NULL"
            ).fetchall()
            for (holder,) in holders:
                if not self._presence.alive(OwnerId(holder)):
                    database.execute(
                        "UPDATE turn SET lease_owner = NULL WHERE state = 'open' AND lease_owner = ?", (holder,)
                    )
            claimed = database.execute(_CLAIM, values).fetchall()
        claimed.sort(key=lambda row: row[-1])
        return tuple(
            OpenTurn(
                TurnId(turn),
                WorkspaceId(workspace),
                ActorId(actor),
                ConversationId(conversation),
                platform,
                kind,
                attempts,
            )
            for turn, workspace, actor, conversation, platform, kind, attempts, _ in claimed
        )

    def _release(self, turn: TurnId, not_before_us: int) -> None:
        with transaction(database := self._writer):
            database.execute(
                "UPDATE turn SET lease_owner = NULL, not_before_us = ? WHERE turn = ? AND state = 'open'",
                (not_before_us, turn),
            )

    def _replay(self) -> int:
        with transaction(database := self._writer):
            return sqlite_batch.replay(database)

    async def _recorded(self, where: str, *values: str | int) -> tuple[Recorded, ...]:
        def read() -> tuple[Recorded, ...]:
            rows = self._reader.execute(f"{_RECORDED} {where}", values)
            return tuple(Recorded(decode_entry(leaf), leaf, digest, body) for leaf, digest, body in rows)

        return await self._read(read)

    async def _without_payloads(self, which: str, after: int, count_max: int, *values: str) -> tuple[Recorded, ...]:
        def read() -> tuple[Recorded, ...]:
            query = f"SELECT leaf, hash FROM entry WHERE seq > ? AND {which} ORDER BY seq LIMIT ?"  # noqa: S608  # words of ours
            rows = self._reader.execute(query, (after, *values, count_max))
            return tuple(Recorded(decode_entry(leaf), leaf, digest, None) for leaf, digest in rows)

        return await self._read(read)

    async def _column(self, query: str, *values: int) -> tuple[bytes, ...]:
        return await self._read(lambda: tuple(value for (value,) in self._reader.execute(query, values)))

    async def _one(self, query: str, *values: str | int) -> tuple[str | int, ...] | None:
        def read() -> tuple[str | int, ...] | None:
            row: tuple[str | int, ...] | None = self._reader.execute(query, values).fetchone()
            return row

        return await self._read(read)

    async def _read(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._read_thread, work)
        except FAILURES as error:
            raise _failed(error) from error

    async def _write(self, work: Callable[[], T]) -> T:
        if self._broken is not None:
            raise StoreFailed(str(self._broken), self._broken.reason)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._write_thread, work)
        except FAILURES as error:
            self._broken = _failed(error)
            raise self._broken from error


def _failed(error: SqliteFailure) -> StoreFailed:
    reasons: dict[int, FailureReason] = {sqlite3.SQLITE_FULL: "disk_full", sqlite3.SQLITE_BUSY: "busy"}
    return StoreFailed(f"SQLite: {error}", reasons.get(primary_code(error), "input_output"))
