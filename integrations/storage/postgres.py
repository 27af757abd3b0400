"""The ledger in a PostgreSQL database: any number of processes, on any number of machines, append to one chain.

The algorithm is that of ``sqlite.py``: a batch is one transaction, which locks the head row before it reads, so that a
chain cannot fork; a commit that returned is on the server's disk.

One session writes and is this process's presence: it holds an advisory lock, and a lease counts for as long as its owner's
lock is held. Whoever loses the session loses the leases and the pen at the same moment, so that a turn is taken over at
once from a process that died, never from one that is only slow, and nothing is written by one that was given up.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg

from integrations.secrets import SealedSecret
from integrations.storage import postgres_batch, postgres_book, postgres_changes, postgres_copy, postgres_schema
from integrations.storage.hold_rows import decode_hold
from integrations.storage.postgres_errors import FOREIGN, failed, unusable
from integrations.storage.postgres_schema import Connection, Patience
from ledger.accounts import ranges_of
from ledger.book import AccountRow, Counter, Hold, HoldId, Wanted
from ledger.entry import decode_entry
from ledger.errors import StoreFailed
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
    TurnClosed,
    TurnOpened,
    TurnResumed,
    TurnTold,
)

T = TypeVar("T")

log = logging.getLogger("carpool.postgres")

CHANNEL = "carpool_turns"
READERS_MAX = 4

_RECORDED = """
SELECT entry.leaf, entry.hash, payload.body
FROM entry LEFT JOIN payload ON payload.seq = entry.seq
"""
_OF_TURN = """
WHERE (entry.began = (SELECT turn.seq FROM turn WHERE turn.turn = $1 AND turn.turn <> '')
       OR (entry.began IS NULL AND entry.turn = $1 AND entry.turn <> ''))
ORDER BY entry.seq
"""

_LAST_HERE = "SELECT turn FROM turn WHERE conversation = $1 AND seq < $2 AND kind = 'message' ORDER BY seq DESC LIMIT 1"
_LAST_ANYWHERE = "SELECT turn FROM turn WHERE actor = $1 AND seq < $2 AND kind = 'message' ORDER BY seq DESC LIMIT 1"

_HOLDERS_ALIVE = """
SELECT lpad(to_hex(classid::bigint), 8, '0') || lpad(to_hex(objid::bigint), 8, '0') FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_CLAIM = f"""
UPDATE turn SET lease_owner = $1, attempts = attempts + 1
WHERE turn IN (
    SELECT turn FROM turn AS mine
    WHERE state = 'open' AND not_before_us <= $2 AND platform = ANY($3::text[])
      AND (lease_owner IS NULL OR (lease_owner = $1 AND attempts = 0)
           OR (lease_owner <> $1 AND lease_owner NOT IN ({_HOLDERS_ALIVE})))
      AND (kind = 'command' OR NOT EXISTS (
          SELECT 1 FROM turn AS earlier
          WHERE earlier.conversation = mine.conversation AND earlier.seq < mine.seq
            AND earlier.state = 'open' AND earlier.kind = 'message'))
    ORDER BY seq LIMIT $4 FOR UPDATE SKIP LOCKED)
RETURNING turn, workspace, actor, conversation, platform, kind, attempts, seq
"""  # noqa: S608  # both parts are constants

_KEEP_CHECKPOINT = """
INSERT INTO checkpoint (size, root, note) VALUES ($1, $2, $3)
ON CONFLICT (size) DO UPDATE SET root = excluded.root, note = excluded.note
"""
_KEEP_SEALED = """
INSERT INTO secret (owner, name, sealed) VALUES ($1, $2, $3)
ON CONFLICT (owner, name) DO UPDATE SET sealed = excluded.sealed
"""
_SEALED = "SELECT owner, name, sealed FROM secret ORDER BY owner, name"
_SEALED_OF = "SELECT owner, name, sealed FROM secret WHERE owner = ANY($1::text[]) ORDER BY owner, name"
_MOVED = """
SELECT leaf, hash, NULL FROM entry WHERE seq > $1 AND EXISTS (SELECT 1 FROM posting WHERE posting.seq = entry.seq AND n = 0)
ORDER BY seq LIMIT $2
"""
_CHARGED = """
SELECT leaf, hash, NULL FROM entry
WHERE seq > $1 AND action IN ('credit.reserve', 'credit.settle', 'credit.reversal') AND workspace = $2 AND actor = $3
ORDER BY seq LIMIT $4
"""
_PLANNED = """
SELECT leaf, hash, NULL FROM entry
WHERE workspace = $1 AND action IN ('credit.plan_grant', 'credit.expire') AND seq >= (
    SELECT max(seq) FROM entry WHERE workspace = $1 AND action = 'credit.plan_grant')
ORDER BY seq
"""
_SETTINGS = "SELECT name, value, conversation, person, item FROM setting WHERE workspace = $1 ORDER BY 1, 5, 3, 4"

_TOLD = """
SELECT turn, action FROM entry
WHERE turn = ANY($1::text[]) AND turn <> '' AND action IN ('stop.asked', 'message.withdrawn') ORDER BY seq
"""

_CALLS = """
SELECT leaf, hash, NULL FROM entry WHERE seq > $1 AND action IN ('model.called', 'model.answered') ORDER BY seq LIMIT $2
"""


_SET_FAULT = "UPDATE head SET fault = $1"


class PostgresStore:
    """Build with ``open``. Fits ``ledger.store.Store``."""

    def __init__(self, owner: OwnerId, writer: Connection, readers: "asyncpg.Pool") -> None:
        self._owner = owner
        self._writer = writer
        self._readers = readers
        self._turn_to_write = asyncio.Lock()
        self._writing: set[asyncio.Task[Any]] = set()
        self._broken: StoreFailed | None = None
        self._closing = False
        self._wake: Callable[[], None] | None = None

    @classmethod
    async def open(cls, url: str, patience: Patience = Patience()) -> Self:
        """Open the database's ledger, or begin it.

        Raises ``StoreUnusable``: not reached, not permitted, not durable, foreign, of a newer schema.
        """
        writer = await postgres_schema.connect(url, postgres_schema.writing(patience))
        try:
            await postgres_schema.prepare(writer, url)
            owner = await _come_in(writer)
            readers = await asyncpg.create_pool(
                url,
                min_size=0,  # a pool that keeps some open tries for ever to, while the server is gone
                max_size=READERS_MAX,
                timeout=postgres_schema.CONNECT_TIMEOUT_S,
                server_settings=postgres_schema.READING,
                reset=_as_it_is,
            )
            store = cls(owner, writer, readers)
            writer.add_termination_listener(store._lost)
            await writer.add_listener(CHANNEL, store._heard)
        except FOREIGN as error:
            writer.terminate()
            raise unusable(error, url) from error
        except BaseException:
            writer.terminate()
            raise
        return store

    @classmethod
    async def exists(cls, url: str) -> bool:
        """Whether the database has a ledger; nothing is made. Raises ``StoreUnusable``."""
        connection = await postgres_schema.connect(url, postgres_schema.READING)
        try:
            return await postgres_schema.exists(connection)
        except FOREIGN as error:
            raise unusable(error, url) from error
        finally:
            connection.terminate()

    @property
    def owner(self) -> OwnerId:
        """This process, as the holder of leases."""
        return self._owner

    def on_turns(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when another process has opened, ended, given back or told a turn, and when this store has failed."""
        self._wake = wake

    async def doubts(self) -> tuple[str, ...]:
        """What of the server's settings might lose entries in a power cut."""
        async with self._readers.acquire() as connection:
            return await postgres_schema.doubts(connection)

    async def copy(self, path: Path) -> None:
        """The ledger as it is at this moment, as a SQLite file of ours, which must not be there yet."""
        try:
            async with self._readers.acquire() as connection:
                await postgres_copy.copy(connection, path)
        except FOREIGN as error:
            raise failed(error) from error

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        return await self._write(lambda: self._commit(wanted, seal))

    async def fault(self) -> str:
        return str((await self._one("SELECT fault FROM head"))[0])

    async def set_fault(self, fault: str) -> None:
        await self._write(lambda: self._writer.execute(_SET_FAULT, fault))

    async def head(self) -> Head:
        return postgres_batch.as_head(*await self._one("SELECT size, hash, mono, frontier FROM head"))

    async def frontier(self) -> Frontier:
        return (await self.head()).frontier

    async def leaves(self, first: int, count: int) -> tuple[bytes, ...]:
        return await self._column("SELECT leaf FROM entry WHERE seq >= $1 ORDER BY seq LIMIT $2", first, count)

    async def subtree_hashes(self, level: int, first: int, count: int) -> tuple[bytes, ...]:
        if level == 0:
            return await self._column("SELECT hash FROM entry WHERE seq >= $1 ORDER BY seq LIMIT $2", first, count)
        return await self._column(
            "SELECT hash FROM subtree WHERE level = $1 AND number >= $2 ORDER BY number LIMIT $3", level, first, count
        )

    async def latest_checkpoint(self) -> bytes | None:
        notes = await self._column("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
        return notes[0] if notes else None

    async def keep_checkpoint(self, size: int, root: bytes, note: bytes) -> None:
        await self._write(lambda: self._writer.execute(_KEEP_CHECKPOINT, size, root, note))

    async def balances(self) -> tuple[AccountRow, ...]:
        rows = await self._read(lambda: self._readers.fetch(postgres_book.BALANCES))
        return tuple(postgres_book.account_row(*row) for row in rows)

    async def balances_of(self, workspace: WorkspaceId) -> tuple[AccountRow, ...]:
        query, ranges = postgres_book.BALANCES_OF, ranges_of(workspace)
        rows = await self._read(lambda: self._readers.fetch(query, *ranges))
        return tuple(postgres_book.account_row(*row) for row in rows)

    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return _recorded(await self._read(lambda: self._readers.fetch(_MOVED, after, count_max)))

    async def charged(self, workspace: WorkspaceId, actor: ActorId, after: int, count_max: int) -> tuple[Recorded, ...]:
        return _recorded(await self._read(lambda: self._readers.fetch(_CHARGED, after, workspace, actor, count_max)))

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]:
        return _recorded(await self._read(lambda: self._readers.fetch(_PLANNED, workspace)))

    async def hold(self, hold: HoldId) -> Hold | None:
        row = await self._one(f"{postgres_book.HOLD} WHERE hold = $1", hold)
        return None if row is None else decode_hold(tuple(row))

    async def spent(self, counter: Counter) -> int:
        row = await self._one(
            "SELECT amount FROM counter WHERE workspace = $1 AND subject = $2 AND period = $3",
            counter.workspace,
            counter.subject,
            counter.period,
        )
        return 0 if row is None else int(row[0])

    async def texts(self, erased: TextsErased) -> int:
        query, values = postgres_changes.texts_found(erased)
        return int(await self._read(lambda: self._readers.fetchval(query, *values)))

    async def scrub(self) -> None:
        """As far as a client can: what the server's log (until it has moved on), standbys and backups keep is the operator's
        to see to; the README says how."""
        await self._write(self._scrub)

    async def keep_secrets(self, secrets: Sequence[SealedSecret]) -> None:
        rows = [(secret.owner, secret.name, secret.sealed) for secret in secrets]
        await self._write(lambda: self._writer.executemany(_KEEP_SEALED, rows))

    async def drop_secret(self, owner: str, name: str) -> bool:
        query = "DELETE FROM secret WHERE owner = $1 AND name = $2 RETURNING true"
        return bool(await self._write(lambda: self._writer.fetchval(query, owner, name)))

    async def secrets(self, owners: Sequence[str]) -> tuple[SealedSecret, ...]:
        rows = await self._read(lambda: self._readers.fetch(_SEALED_OF, list(owners)))
        return tuple(SealedSecret(*row) for row in rows)

    async def all_secrets(self) -> tuple[SealedSecret, ...]:
        rows = await self._read(lambda: self._readers.fetch(_SEALED))
        return tuple(SealedSecret(*row) for row in rows)

    async def entries(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return await self._recorded("WHERE entry.seq > $1 ORDER BY entry.seq LIMIT $2", after, count_max)

    async def find(self, idem: str) -> Recorded | None:
        found = await self._recorded("WHERE entry.idem = $1", idem) if postgres_batch.may_stand(idem) else ()
        return found[0] if found else None

    async def entries_of(self, turn: TurnId) -> tuple[Recorded, ...]:
        return await self._recorded(_OF_TURN, turn)

    async def said_in(self, conversation: ConversationId, before: int, count_max: int) -> tuple[Recorded, ...]:
        said = await self._recorded(
            "JOIN turn ON turn.turn = entry.turn AND turn.kind = 'message'"
            " WHERE entry.conversation = $1 AND entry.seq < $2"
            " AND action IN ('message.received', 'context.read', 'reply.prepared')"
            " ORDER BY entry.seq DESC LIMIT $3",
            conversation,
            before,
            count_max,
        )
        return said[::-1]

    async def calls(self, after: int, count_max: int) -> tuple[Recorded, ...]:
        return _recorded(await self._read(lambda: self._readers.fetch(_CALLS, after, count_max)))

    async def last_turn(self, conversation: ConversationId, actor: ActorId, before: int) -> TurnId | None:
        row = await self._one(_LAST_HERE, conversation, before) or await self._one(_LAST_ANYWHERE, actor, before)
        return None if row is None else TurnId(row[0])

    async def conversation(self, conversation: ConversationId) -> Conversation | None:
        row = await self._one("SELECT pinned_model, turns FROM conversation WHERE conversation = $1", conversation)
        return None if row is None else Conversation(conversation, row[0], row[1])

    async def settings(self, workspace: WorkspaceId) -> tuple[SettingKept, ...]:
        rows = await self._read(lambda: self._readers.fetch(_SETTINGS, workspace))
        return tuple(SettingKept(workspace, *row) for row in rows)

    async def workspaces(self) -> tuple[WorkspaceId, ...]:
        rows = await self._read(lambda: self._readers.fetch("SELECT DISTINCT workspace FROM conversation ORDER BY 1"))
        return tuple(WorkspaceId(workspace) for (workspace,) in rows)

    async def told(self, turns: Sequence[TurnId]) -> tuple[tuple[TurnId, str], ...]:
        rows = await self._read(lambda: self._readers.fetch(_TOLD, list(turns)))
        return tuple((TurnId(turn), action) for turn, action in rows)

    async def open_turns(self, workspace: WorkspaceId) -> int:
        row = await self._one("SELECT count(*) FROM turn WHERE state = 'open' AND workspace = $1", workspace)
        return int(row[0])

    async def claim(
        self, owner: OwnerId, platforms: Sequence[str], count_max: int, now_us: int
    ) -> tuple[OpenTurn, ...]:
        rows = await self._write(lambda: self._writer.fetch(_CLAIM, owner, now_us, list(platforms), count_max))
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
            for turn, workspace, actor, conversation, platform, kind, attempts, _ in sorted(
                rows, key=lambda row: row[-1]
            )
        )

    async def release(self, turn: TurnId, not_before_us: int) -> None:
        await self._write(lambda: self._release(turn, not_before_us))

    async def replay(self) -> int:
        return await self._write(lambda: postgres_batch.replay(self._writer))

    async def aclose(self) -> None:
        self._closing = True
        await asyncio.gather(*self._writing, return_exceptions=True)
        try:
            async with asyncio.timeout(postgres_schema.CONNECT_TIMEOUT_S):
                await self._readers.close()
                if not self._writer.is_closed():
                    await self._writer.remove_listener(CHANNEL, self._heard)
                    await self._writer.close()
        except FOREIGN:  # nothing of ours is open in it: a commit that returned is on disk
            self._readers.terminate()
            self._writer.terminate()

    async def _commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        found, fault = await postgres_batch.find(self._writer, wanted)
        sealed = seal(found)
        if not sealed.rows:
            await self._writer.execute("ROLLBACK")
            return sealed
        if fault:
            if not sealed.reopens:
                await self._writer.execute("ROLLBACK")
                raise StoreFailed(fault, "changed")
            await self._writer.execute(_SET_FAULT, "")
        await postgres_batch.write(self._writer, sealed, self._owner)
        told = any(isinstance(change, TurnOpened | TurnClosed | TurnResumed | TurnTold) for change in sealed.changes)
        await self._writer.execute(f"NOTIFY {CHANNEL}; COMMIT" if told else "COMMIT")
        return sealed

    async def _scrub(self) -> None:
        """The table is written anew. The server's log still has what was written once, until it is taken over."""
        await self._writer.execute("VACUUM (FULL) payload")
        try:
            await self._writer.execute("CHECKPOINT")
        except asyncpg.InsufficientPrivilegeError:
            log.info(
                "the server's log keeps erased texts until its next checkpoints", extra={"cause": "no right to ask"}
            )

    async def _release(self, turn: TurnId, not_before_us: int) -> None:
        await self._writer.execute(
            "UPDATE turn SET lease_owner = NULL, not_before_us = $2 WHERE turn = $1 AND state = 'open'",
            turn,
            not_before_us,
        )
        await self._writer.execute(f"NOTIFY {CHANNEL}")

    async def _recorded(self, where: str, *values: str | int) -> tuple[Recorded, ...]:
        return _recorded(await self._read(lambda: self._readers.fetch(f"{_RECORDED} {where}", *values)))

    async def _column(self, query: str, *values: int) -> tuple[bytes, ...]:
        return tuple(value for (value,) in await self._read(lambda: self._readers.fetch(query, *values)))

    async def _one(self, query: str, *values: str | int) -> Any:
        return await self._read(lambda: self._readers.fetchrow(query, *values))

    async def _read(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except FOREIGN as error:
            raise failed(error) from error

    async def _write(self, work: Callable[[], Awaitable[T]]) -> T:
        """To the end, also where the caller is cancelled: half a conversation with the server helps nobody."""
        task = asyncio.create_task(self._in_turn(work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turn_to_write:
            if self._broken is not None:
                raise StoreFailed(str(self._broken), self._broken.reason)
            try:
                return await work()
            except FOREIGN as error:
                self._break(failed(error))
                raise failed(error) from error
            except StoreFailed:  # refused, with nothing begun
                raise
            except BaseException:
                self._break(StoreFailed("PostgreSQL: the batch was left in its middle", "input_output"))
                raise

    def _break(self, failure: StoreFailed) -> None:
        """Whether the last commit stands is not known: this store takes no more, and lets go of its leases."""
        if self._broken is None:
            self._broken = failure
            self._writer.terminate()
            if self._wake is not None:
                self._wake()

    def _lost(self, _: Connection) -> None:
        if not self._closing:
            self._break(StoreFailed("PostgreSQL: the session of this process has ended", "unreachable"))

    def _heard(self, connection: Connection, sender: int, channel: str, payload: str) -> None:
        if self._wake is not None and sender != self._writer.get_server_pid():
            self._wake()


async def _come_in(writer: Connection) -> OwnerId:
    """Take the lock that says that this process lives, under a number that nobody else has."""
    number = secrets.randbits(64)
    await writer.execute("SELECT pg_advisory_lock($1)", number - (1 << 64) if number >> 63 else number)
    return OwnerId(f"{number:016x}")


async def _as_it_is(_: Connection) -> None:
    """A reader leaves nothing behind that would have to be reset."""


def _recorded(rows: Iterable[tuple[bytes, bytes, bytes | None]]) -> tuple[Recorded, ...]:
    return tuple(Recorded(decode_entry(leaf), leaf, digest, body) for leaf, digest, body in rows)
