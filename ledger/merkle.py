"""The Merkle tree over the chain: RFC 6962, whose leaf hash is the chain's own hash.

The tree is never kept whole. The writer carries its right edge (``Frontier``: about one SHA-256 an entry), and stores a root
for every 256 entries, every 65,536 and so on (``Subtree``: the hashes of the tiles above level 0 in C2SP tlog-tiles).
Every proof is made from those and the entries' hashes, in O(log n) reads of at most 256 hashes each. Who makes many keeps the
tiles that were read lately (``TileCache``): then it is one read, of the entry's own tile.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.errors import ChainBroken, HashMismatch, NotFound

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILES_KEPT_MAX = 64
"""About 33 KB each."""
HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Subtree:
    """The root of a complete subtree of ``256**level`` leaves (level 1 and above), the ``index``-th of them from 0."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The compact range of the first ``size`` leaves: the roots of their complete subtrees, the largest first."""

    size: int
    hashes: tuple[bytes, ...]

    def root(self) -> bytes:
        return _fold(self.hashes)


EMPTY_FRONTIER = Frontier(0, ())


def encode_frontier(frontier: Frontier) -> bytes:
    """As it is stored: the hashes, one after the other."""
    return b"".join(frontier.hashes)


def decode_frontier(size: int, data: bytes) -> Frontier:
    return Frontier(size, tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))


def grow(frontier: Frontier, leaves: Iterable[bytes]) -> tuple[Frontier, tuple[Subtree, ...]]:
    """Push leaf hashes. Returns the new frontier, and the subtrees of 256, 65,536, ... leaves that they completed."""
    sha256 = hashlib.sha256
    stack = list(frontier.hashes)
    size = frontier.size
    completed: list[Subtree] = []
    for leaf in leaves:
        node = leaf
        size += 1
        # Each trailing zero bit of the new size is a pair of equal subtrees that becomes one.
        rest = size
        height = 0
        while not rest & 1:
            node = sha256(b"\x01" + stack.pop() + node).digest()
            rest >>= 1
            height += 1
            if not height % TILE_HEIGHT:
                completed.append(Subtree(height // TILE_HEIGHT, rest - 1, node))
        stack.append(node)
    return Frontier(size, tuple(stack)), tuple(completed)


class HashReader(Protocol):
    """What is stored of the tree."""

    async def subtree_hashes(self, level: int, first: int, count: int) -> tuple[bytes, ...]:
        """``count`` hashes from the ``first``: of entries at level 0, of complete subtrees of ``256**level`` above."""
        ...


class TileCache:
    """The tiles that were read lately, and their nodes as far as they were asked for. A tile of as many hashes never changes.

    Whoever looks for what was changed in the store reads it anew, without one.
    """

    def __init__(self, tiles_max: int = TILES_KEPT_MAX) -> None:
        self._tiles_max = tiles_max
        self._tiles: OrderedDict[tuple[int, int, int], list[Sequence[bytes]]] = OrderedDict()

    def get(self, level: int, number: int, count: int) -> list[Sequence[bytes]] | None:
        """The rows of the tile's nodes, its hashes first; whoever needs more of them adds them."""
        rows = self._tiles.get((level, number, count))
        if rows is not None:
            self._tiles.move_to_end((level, number, count))
        return rows

    def keep(self, level: int, number: int, hashes: Sequence[bytes]) -> list[Sequence[bytes]]:
        rows = self._tiles[level, number, len(hashes)] = [hashes]
        if len(self._tiles) > self._tiles_max:
            self._tiles.popitem(last=False)
        return rows


async def inclusion_proof(
    reader: HashReader, index: int, size: int, kept: TileCache | None = None
) -> tuple[bytes, ...]:
    """The audit path of RFC 6962, 2.1.1: from the leaf's sibling up. Raises ``NotFound`` where the tree has no such leaf."""
    if not 0 <= index < size:
        raise NotFound(f"a tree of {size} entries has no entry {index}")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return await _roots(_Tiles(reader, size, kept), ranges[::-1])


async def consistency_proof(
    reader: HashReader, old_size: int, new_size: int, kept: TileCache | None = None
) -> tuple[bytes, ...]:
    """The proof of RFC 6962, 2.1.2. It is empty from size 0 and between equal sizes. Raises ``NotFound``."""
    if not 0 <= old_size <= new_size:
        raise NotFound(f"a tree of {new_size} entries does not hold one of {old_size}")
    if old_size in (0, new_size):
        return ()
    ranges: list[tuple[int, int]] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # where the old tree is itself a subtree of the new one, the verifier holds its root already
        ranges.append((start, end))
    return await _roots(_Tiles(reader, new_size, kept), ranges[::-1])


async def root_at(reader: HashReader, size: int, kept: TileCache | None = None) -> bytes:
    return (await frontier_at(reader, size, kept)).root()


async def frontier_at(reader: HashReader, size: int, kept: TileCache | None = None) -> Frontier:
    tiles = _Tiles(reader, size, kept)
    return Frontier(size, tuple([await tiles.node(height, index) for height, index in _complete(0, size)]))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """``leaf`` is a leaf hash. RFC 9162, 2.1.3.2. Raises ``HashMismatch``."""
    if not 0 <= index < size:
        raise HashMismatch(f"a tree of {size} entries has no entry {index}")
    node, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            raise HashMismatch("the inclusion proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise HashMismatch("the inclusion proof is too short")
    if node != root:
        raise HashMismatch(f"entry {index} is not in the tree of {size} entries with this root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """RFC 9162, 2.1.4.2, with an empty proof from size 0 and between equal sizes. Raises ``HashMismatch``."""
    if not 0 <= old_size <= new_size:
        raise HashMismatch(f"a tree of {new_size} entries does not hold one of {old_size}")
    if old_size in (0, new_size):
        if proof:
            raise HashMismatch("the consistency proof is too long")
        if old_root != (new_root if old_size == new_size else EMPTY_ROOT):
            raise HashMismatch(f"the roots of size {old_size} differ")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise HashMismatch("the consistency proof is too short")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise HashMismatch("the consistency proof is too long")
        if position & 1 or position == last:
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_node = node_hash(new_node, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise HashMismatch("the consistency proof is too short")
    if old_node != old_root or new_node != new_root:
        raise HashMismatch(f"the tree of {new_size} entries does not continue the one of {old_size}")


class _Tiles:
    """The nodes of the tree of ``size`` leaves, each tile read and hashed once however many of its nodes are asked for."""

    def __init__(self, reader: HashReader, size: int, kept: TileCache | None = None) -> None:
        self._reader = reader
        self._size = size
        self._kept = TileCache() if kept is None else kept

    async def node(self, height: int, index: int) -> bytes:
        level, above = divmod(height, TILE_HEIGHT)
        number, offset = divmod(index, TILE_WIDTH >> above)
        first = number * TILE_WIDTH
        count = min(TILE_WIDTH, (self._size >> (level * TILE_HEIGHT)) - first)
        rows = self._kept.get(level, number, count)
        if rows is None:
            rows = self._kept.keep(level, number, await self._read(level, first, count))
        sha256 = hashlib.sha256
        while len(rows) <= above:
            below = rows[-1]
            rows.append([sha256(b"\x01" + below[n] + below[n + 1]).digest() for n in range(0, len(below) - 1, 2)])
        return rows[above][offset]

    async def _read(self, level: int, first: int, count: int) -> tuple[bytes, ...]:
        tile = await self._reader.subtree_hashes(level, first, count)
        if len(tile) != count:
            raise ChainBroken(f"of {count} hashes from {first} at level {level}, {len(tile)} are there")
        return tile


async def _roots(tiles: _Tiles, ranges: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    roots: list[bytes] = []
    for start, end in ranges:
        nodes = [await tiles.node(height, index) for height, index in _complete(start, end)]
        roots.append(_fold(nodes))
    return tuple(roots)


def _complete(start: int, end: int) -> list[tuple[int, int]]:
    """The complete subtrees of a range that a split left: (height, index), the largest first."""
    nodes: list[tuple[int, int]] = []
    while start < end:
        height = (end - start).bit_length() - 1
        nodes.append((height, start >> height))
        start += 1 << height
    return nodes


def _split(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    node = hashes[-1]
    for left in hashes[-2::-1]:
        node = node_hash(left, node)
    return node
