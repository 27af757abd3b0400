"""A log of more than 70,000 entries of all actions, made by the program: its writer, its store, its notary, its export."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from integrations.storage.sqlite import SqliteStore
from ledger.actions import CheckpointSigned, KeyAdded, KeyRemoved, LedgerCreated, LedgerReopened
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import HOUSE, Draft
from ledger.notary import Notary
from ledger.note import Signer, VerifierKey
from ledger.roadchain import RoadChain
from ledger.store import Receipt
from ledger.tiles import export
from tests.fakes.small_ledger import ORIGIN, SIGNER
from tests.verifiers.money_drafts import Tour, reversals, tour
from tests.verifiers.turn_drafts import WORKSPACES, turn

START_US = 1_764_000_000_000_000
BATCH_US = 7 * 60 * 1_000_000
SIZE_MIN = 70_000
TURNS_AT_ONCE = 80
TOURS_EVERY = 16
EXPORT_TWICE_AT = 40_000
NEXT_SIGNER = Signer(ORIGIN, b"n" * 32)


@dataclass(frozen=True)
class BigLog:
    """``notes`` are the signed checkpoints by their size: of the beginning, of moments between, and of the end."""

    database: Path
    folder: Path
    notes: dict[int, bytes]
    leaves: tuple[bytes, ...]
    hashes: tuple[bytes, ...]
    key: VerifierKey = field(default_factory=SIGNER.verifier)

    @property
    def size(self) -> int:
        return len(self.leaves)

    @property
    def note(self) -> bytes:
        return self.notes[self.size]

    def checkpoint(self, size: int) -> Checkpoint:
        return open_checkpoint(self.notes[size], [self.key])

    @property
    def root(self) -> bytes:
        return self.checkpoint(self.size).root

    @asynccontextmanager
    async def store(self) -> AsyncIterator[SqliteStore]:
        store = await SqliteStore.open(self.database)
        try:
            yield store
        finally:
            await store.aclose()


@dataclass
class _Builder:
    store: SqliteStore
    roadchain: RoadChain
    notary: Notary
    folder: Path
    notes: dict[int, bytes] = field(default_factory=dict)
    size: int = 0

    async def append(self, *groups: Sequence[Draft]) -> list[tuple[Receipt, ...]]:
        receipts = await asyncio.gather(*(self.roadchain.append(*group) for group in groups))
        self.size += sum(map(len, groups))
        return receipts

    async def sign(self) -> None:
        """Sign the head, and record that: so the entry about it is beyond it."""
        note = await self.notary.sign()
        assert note is not None
        checkpoint = open_checkpoint(note, self.notary.keys)
        assert checkpoint.size == self.size
        self.notes[checkpoint.size] = note

    async def record_checkpoint(self) -> None:
        checkpoint = open_checkpoint(self.notes[max(self.notes)], self.notary.keys)
        signed = CheckpointSigned(checkpoint.size, checkpoint.root.hex())
        await self.append([Draft(signed, HOUSE, f"checkpoint/{checkpoint.size}")])

    async def export(self) -> None:
        await export(self.store, self.notes[max(self.notes)], self.notary.keys, self.folder)


async def build(home: Path) -> BigLog:
    """Deterministic: the same clock, salts and order give the same bytes each time."""
    database, folder = home / "roadchain.db", home / "export"
    folder.mkdir()
    store = await SqliteStore.open(database)
    clock = itertools.count(START_US, BATCH_US)
    salts = (hashlib.sha256(b"salt %d" % n).digest() for n in itertools.count())
    async with RoadChain(store, lambda: next(clock), lambda: next(salts)) as roadchain:
        notary = await Notary.open(store, [SIGNER], home / "checkpoint")
        builder = _Builder(store, roadchain, notary, folder)
        await _fill(builder)
    leaves = await store.leaves(0, builder.size)
    hashes = await store.subtree_hashes(0, 0, builder.size)
    await store.aclose()
    return BigLog(database, folder, builder.notes, leaves, hashes)


async def _fill(builder: _Builder) -> None:
    created = LedgerCreated(ORIGIN, "ab" * 16, SIGNER.verifier().public_key.hex())
    await builder.append([Draft(created, HOUSE, "ledger.created")])
    await builder.sign()
    await builder.record_checkpoint()
    public_key = NEXT_SIGNER.verifier().public_key.hex()
    reopened = LedgerReopened("RC011: the stored balances are not those of the entries")
    for action in (KeyAdded("signing", public_key), KeyRemoved("signing", public_key), reopened):
        await builder.append([Draft(action, HOUSE, action.name)])
    turns = itertools.count()
    for round_ in itertools.count():
        if round_ % TOURS_EVERY == 0:
            await _move_money(builder, round_ // TOURS_EVERY)
            await builder.sign()
            await builder.record_checkpoint()
        await builder.append(*_turns(turns))
        if builder.size > EXPORT_TWICE_AT and not (builder.folder / "checkpoint").exists():
            await builder.sign()
            await builder.export()
        if builder.size >= SIZE_MIN:
            break
    await builder.sign()
    await builder.export()


async def _move_money(builder: _Builder, number: int) -> None:
    """Each kind of movement, in each workspace."""
    tours: list[Tour] = [tour(workspace, number) for workspace in range(WORKSPACES)]
    receipts = await builder.append(*(list(made.drafts) for made in tours))
    await builder.append(*(reversals(made, receipt) for made, receipt in zip(tours, receipts, strict=True)))


def _turns(numbers: "itertools.count[int]") -> Iterator[list[Draft]]:
    for number in itertools.islice(numbers, TURNS_AT_ONCE):
        yield turn(number % WORKSPACES, number)
