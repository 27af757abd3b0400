"""A log in memory: leaves, the tree over them as a store keeps it, and the checkpoints that were signed."""

from collections.abc import Iterable, Sequence

from ledger.entry import leaf_hash
from ledger.merkle import EMPTY_FRONTIER, Frontier, Subtree, grow


class MemoryLog:
    """What the proofs, the export and the notary ask of a store; it counts the hashes of each read."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.edge: Frontier = EMPTY_FRONTIER
        self.checkpoints: dict[int, bytes] = {}
        self.stored: list[bytes] = []
        self.hashes: dict[int, list[bytes]] = {0: []}
        self.reads: list[int] = []
        self.append(list(leaves))

    def append(self, leaves: Sequence[bytes]) -> tuple[Subtree, ...]:
        fresh = [leaf_hash(leaf) for leaf in leaves]
        self.edge, completed = grow(self.edge, fresh)
        self.stored += leaves
        self.hashes[0] += fresh
        for subtree in completed:
            level = self.hashes.setdefault(subtree.level, [])
            assert len(level) == subtree.index
            level.append(subtree.hash)
        return completed

    async def subtree_hashes(self, level: int, first: int, count: int) -> tuple[bytes, ...]:
        self.reads.append(count)
        return tuple(self.hashes[level][first : first + count])

    async def leaves(self, first: int, count: int) -> tuple[bytes, ...]:
        return tuple(self.stored[first : first + count])

    async def frontier(self) -> Frontier:
        return self.edge

    async def latest_checkpoint(self) -> bytes | None:
        return self.checkpoints[max(self.checkpoints)] if self.checkpoints else None

    async def keep_checkpoint(self, size: int, root: bytes, note: bytes) -> None:
        assert f"\n{size}\n".encode() in note
        self.checkpoints[size] = note
