"""A log in memory: leaves, and the tree over them as a store keeps it."""

from collections.abc import Iterable, Sequence

from ledger.entry import leaf_hash
from ledger.merkle import EMPTY_FRONTIER, Frontier, Subtree, grow


class MemoryLog:
    """Has ``subtree_hashes`` and ``leaves``, as a store has, and counts the hashes of each read."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.frontier: Frontier = EMPTY_FRONTIER
        self.stored: list[bytes] = []
        self.hashes: dict[int, list[bytes]] = {0: []}
        self.reads: list[int] = []
        self.append(list(leaves))

    def append(self, leaves: Sequence[bytes]) -> tuple[Subtree, ...]:
        fresh = [leaf_hash(leaf) for leaf in leaves]
        self.frontier, completed = grow(self.frontier, fresh)
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
