"""The path of each entry, as a client makes it that has nothing but the tiles at level 0."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

HASH_BYTES = 32
TILE_WIDTH = 256


def paths(folder: Path, size: int) -> Iterator[tuple[bytes, ...]]:
    """From entry 0 on. Every row of the tree is made once; a node without a sibling moves up as it is."""
    rows = [[*_leaf_hashes(folder, size)]]
    while len(rows[-1]) > 1:
        below = rows[-1]
        above = [_node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
        rows.append(above + below[len(above) * 2 :])
    for index in range(size):
        path = []
        for height, row in enumerate(rows[:-1]):
            sibling = index >> height ^ 1
            if sibling < len(row):
                path.append(row[sibling])
        yield tuple(path)


def _leaf_hashes(folder: Path, size: int) -> Iterator[bytes]:
    for tile in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - tile * TILE_WIDTH)
        name = f"tile/0/{tile:03}" + ("" if width == TILE_WIDTH else f".p/{width}")
        data = (folder / name).read_bytes()
        assert len(data) == width * HASH_BYTES
        yield from (data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
