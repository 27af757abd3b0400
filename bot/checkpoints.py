"""Signing while the house is open: a checkpoint each second in which something was appended, or each 256 entries.

Where several processes work from one home, one of them signs at a time; the others leave it to that one.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from ledger.actions import CheckpointSigned
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import HOUSE, Draft
from ledger.errors import ChainBroken, LedgerError, StoreFailed
from ledger.merkle import HashReader, TileCache
from ledger.notary import Notary
from ledger.note import VerifierKey
from ledger.receipts import make_receipt
from ledger.roadchain import RoadChain
from ledger.store import Recorded
from ledger.witness import Transport, WitnessUnavailable, ask_witness

CHECKPOINT_S = 1.0
CHECKPOINT_ENTRIES = 256

log = logging.getLogger("carpool.checkpoints")


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody else who cosigns what we sign, and remembers it."""

    transport: Transport
    key: VerifierKey


class Checkpoints:
    """Use as ``async with``; leaving signs what is not signed yet. ``lock`` is a file that one process holds while it signs."""

    def __init__(
        self, notary: Notary, roadchain: RoadChain, reader: HashReader, lock: Path, witness: Witness | None = None
    ) -> None:
        self._notary = notary
        self._roadchain = roadchain
        self._reader = reader
        self._kept = TileCache()
        self._lock = FileLock(lock)
        self._witness = witness
        self._witnessed = 0
        self._size = 0
        self._covered = 0
        self._wake = asyncio.Event()
        self._one = asyncio.Lock()
        self._closing = False
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Checkpoints":
        self._roadchain.watch(self._committed)
        self._running = asyncio.create_task(self._run(), name="checkpoints")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake.set()
        if self._running is not None:
            await self._running

    async def receipt(self, recorded: Recorded) -> bytes | None:
        """The receipt of an entry, signed now where no checkpoint covers it yet; None where that cannot be done just now."""
        note = await self._notary.latest()
        if note is None or self._read(note).size <= recorded.entry.seq:
            await self._sign()
            note = await self._notary.latest()
        if note is None or self._read(note).size <= recorded.entry.seq:
            return None
        return await make_receipt(self._reader, recorded.leaf, recorded.entry.seq, note, self._notary.keys, self._kept)

    def _committed(self, size: int) -> None:
        self._size = size
        if size - self._covered >= CHECKPOINT_ENTRIES:
            self._wake.set()

    async def _run(self) -> None:
        while not self._closing:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), CHECKPOINT_S)
            self._wake.clear()
            if self._size > self._covered:
                await self._sign_and_tell()

    async def _sign_and_tell(self) -> None:
        checkpoint = await self._sign()
        if checkpoint is None or self._closing:
            return
        told = CheckpointSigned(checkpoint.size, checkpoint.root.hex())
        # A ledger that takes no more says so to those who wait for it.
        with suppress(StoreFailed):
            (receipt,) = await self._roadchain.append(Draft(told, HOUSE, f"checkpoint/{checkpoint.size}"))
            # That entry alone is no reason for the next checkpoint.
            if receipt.seq == self._covered:
                self._covered += 1

    async def _sign(self) -> Checkpoint | None:
        async with self._one:
            if self._roadchain.failure is not None:
                return None  # what stands is not to be trusted, or may not be on disk
            try:
                with self._lock.acquire(timeout=0):
                    note = await self._notary.sign()
            except Timeout:
                return None
            except ChainBroken as error:
                log.critical("the ledger is not what was signed", extra={"cause": str(error)})
                await self._roadchain.stop_taking(str(error))
                return None
            except StoreFailed as error:
                log.error("nothing could be signed", extra={"cause": error.reason})
                return None
            if note is None:
                self._covered = self._size
                return None
            checkpoint = self._read(note)
            self._covered = checkpoint.size
            await self._have_witnessed(note)
            return checkpoint

    async def _have_witnessed(self, note: bytes) -> None:
        if self._witness is None:
            return
        keys, witness = self._notary.keys, self._witness
        try:
            lines = await ask_witness(witness.transport, self._reader, note, keys, [witness.key], self._witnessed)
            await self._notary.add(lines, note)
            self._witnessed = self._read(note).size
        except (LedgerError, WitnessUnavailable) as error:
            # The checkpoint stands without the cosignature; the next one is shown to the witness again.
            log.warning("the witness did not cosign", extra={"cause": str(error)})

    def _read(self, note: bytes) -> Checkpoint:
        return open_checkpoint(note, self._notary.keys)
