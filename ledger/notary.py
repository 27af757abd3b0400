"""The notary: signs the head of the chain, and never one that does not continue what it signed before.

The last signed checkpoint is kept in the store, and in a file beside the keys: a store that was put back to an older state is
found out at the start, by the file. The notary has no clock; whoever runs it decides when (each second in which something was
appended, or each 256 entries). One process signs at a time.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ledger.checkpoint import Checkpoint, add_signatures, open_checkpoint, sign_checkpoint
from ledger.errors import ChainBroken, HashMismatch, NotFound
from ledger.files import replace_file
from ledger.merkle import Frontier, HashReader, consistency_proof, root_at, verify_consistency
from ledger.note import Signature, Signer, VerifierKey, parse_note, verified_by

CHECKPOINT_FILE = "checkpoint"


class SignedStore(HashReader, Protocol):
    async def frontier(self) -> Frontier:
        """The right edge of the tree, of the entries that are durable."""
        ...

    async def latest_checkpoint(self) -> bytes | None:
        """The note that was kept with the largest size."""
        ...

    async def keep_checkpoint(self, size: int, root: bytes, note: bytes) -> None:
        """Durable on return. A note of the same size takes the place of the earlier: it has more signatures."""
        ...


class Notary:
    """``Notary.open`` checks the store against what was signed; nothing is appended before it has returned."""

    def __init__(self, store: SignedStore, signers: Sequence[Signer], file: Path) -> None:
        """``signers``: the key in use, and during a rotation the one before it too. All bear the origin as their name."""
        self._store = store
        self._signers = tuple(signers)
        self._file = file
        self._keys: tuple[VerifierKey, ...] = ()

    @classmethod
    async def open(cls, store: SignedStore, signers: Sequence[Signer], file: Path) -> "Notary":
        """Raises ``ChainBroken`` where the store is behind the last signed checkpoint, or has another history."""
        notary = cls(store, signers, file)
        notary._keys = tuple([signer.verifier() for signer in signers])
        await notary._check()
        return notary

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return self._keys

    async def latest(self) -> bytes | None:
        """The last signed checkpoint: the larger of the store's and the file's."""
        found = await self._last()
        return None if found is None else found[1]

    async def sign(self) -> bytes | None:
        """Sign the head as it is now. Durable in the file, then in the store, on return.

        None where nothing was appended since, and no key is new. Raises ``ChainBroken`` where the head does not continue the
        last signed checkpoint: nothing is signed then.
        """
        head = await self._store.frontier()
        last = await self._last()
        if last is None:
            if head.size == 0:
                return None
        else:
            await self._check_continues(last[0], head)
            if last[0].size == head.size and len(verified_by(parse_note(last[1]), self._keys)) == len(self._keys):
                return None
        checkpoint = Checkpoint(self._signers[0].name, head.size, head.root())
        note = sign_checkpoint(checkpoint, self._signers)
        if last is not None and last[0] == checkpoint:  # signed by fewer keys so far; its witnesses stay
            note = add_signatures(last[1], parse_note(note).signatures)
        await self._keep(checkpoint, note)
        return note

    async def add(self, signatures: Sequence[Signature], note: bytes) -> bytes:
        """Keep witnesses' lines under the checkpoint of ``note``, which they stand behind. Returns the last note, with them.

        Where another checkpoint was signed meanwhile they come too late, and it is as it was. The caller has verified them.
        """
        last = await self._last()
        if last is None:
            raise NotFound("nothing was signed yet")
        if last[0] != open_checkpoint(note, self._keys):
            return last[1]
        note = add_signatures(last[1], signatures)
        await self._keep(last[0], note)
        return note

    async def _keep(self, checkpoint: Checkpoint, note: bytes) -> None:
        await asyncio.to_thread(replace_file, self._file, note)
        await self._store.keep_checkpoint(checkpoint.size, checkpoint.root, note)

    async def _check(self) -> None:
        head = await self._store.frontier()
        if await root_at(self._store, head.size) != head.root():
            raise ChainBroken("the end of the ledger is not that of its entries: restore it from a copy that is whole")
        stored, filed = await self._stored(), await self._filed()
        for last in (stored, filed):
            if last is not None:
                await self._check_continues(last[0], head)
        # A crash between the file and the store leaves one behind the other.
        if filed is not None and (stored is None or stored[0].size < filed[0].size):
            await self._store.keep_checkpoint(filed[0].size, filed[0].root, filed[1])
        elif stored is not None and (filed is None or filed[0].size < stored[0].size):
            await asyncio.to_thread(replace_file, self._file, stored[1])

    async def _check_continues(self, last: Checkpoint, head: Frontier) -> None:
        if head.size < last.size:
            raise ChainBroken(
                f"the ledger has {head.size} entries, and {last.size} were signed for already: it was cut off or put back"
                f" to an older copy. Restore the copy that has them all."
            )
        try:
            proof = await consistency_proof(self._store, last.size, head.size)
            verify_consistency(last.size, last.root, head.size, head.root(), proof)
        except HashMismatch as error:
            raise ChainBroken(
                f"the first {last.size} entries are others than those that were signed for: the ledger was changed."
                f" Restore the copy that was signed."
            ) from error

    async def _last(self) -> tuple[Checkpoint, bytes] | None:
        found = [last for last in (await self._stored(), await self._filed()) if last is not None]
        return max(found, key=lambda last: last[0].size, default=None)

    async def _stored(self) -> tuple[Checkpoint, bytes] | None:
        return self._believed(await self._store.latest_checkpoint(), "The checkpoint in the ledger")

    async def _filed(self) -> tuple[Checkpoint, bytes] | None:
        return self._believed(await asyncio.to_thread(_read, self._file), f"The checkpoint in {self._file}")

    def _believed(self, note: bytes | None, what: str) -> tuple[Checkpoint, bytes] | None:
        if note is None:
            return None
        try:
            return open_checkpoint(note, self._keys), note
        except HashMismatch as error:
            raise ChainBroken(f"{what} is not signed by this ledger's key: {error}") from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
