"""The export of a log to a folder, in the C2SP tlog-tiles layout: files that any web server hands out.

    checkpoint   vkey   tile/<level>/<index>[.p/<width>]   tile/entries/<index>[.p/<width>]

Leaves and hashes, never what stands beside the chain. Every tile is written once, under a name that is its own for ever, and
the checkpoint last: whoever reads the folder at any moment, or after a crash, finds under it all that its checkpoint covers.
A second export writes what is new. One export at a time to a folder.
"""

import asyncio
import contextlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import leaf_hash
from ledger.errors import ChainBroken, HashMismatch, NotFound
from ledger.files import replace_file, sync_folder
from ledger.merkle import TILE_HEIGHT, TILE_WIDTH, Frontier, HashReader, Subtree, frontier_at, grow
from ledger.note import VerifierKey

CHECKPOINT_FILE = "checkpoint"
VKEY_FILE = "vkey"
LEVEL_MAX = 63
_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


class LeafReader(Protocol):
    async def leaves(self, first: int, count: int) -> tuple[bytes, ...]:
        """The bytes of ``count`` entries, from the ``first``."""
        ...


class LogReader(HashReader, LeafReader, Protocol):
    pass


@dataclass(frozen=True, slots=True)
class Exported:
    """``written`` counts the tiles and bundles that were not there before."""

    checkpoint: Checkpoint
    written: int


@dataclass(frozen=True, slots=True)
class Tile:
    """``level`` None is a bundle of entries. ``width`` is 256 where it is full."""

    level: int | None
    index: int
    width: int
    data: bytes

    def path(self) -> str:
        return tile_path(self.level, self.index, self.width)


def tile_path(level: int | None, index: int, width: int) -> str:
    """``tile/0/x001/234.p/17``: three digits an element, all but the last with an ``x``."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{'/'.join(reversed(groups))}{suffix}"


def parse_tile_path(path: str) -> tuple[int | None, int, int]:
    """Level, index and width: the inverse of ``tile_path``. Raises ``NotFound`` for any but the one spelling."""
    match = _PATH.fullmatch(path)
    if match is not None:
        level = None if match[1] == "entries" else int(match[1])
        index = int(re.sub("[x/]", "", match[2]))
        width = TILE_WIDTH if match[3] is None else int(match[3])
        if (level or 0) <= LEVEL_MAX and width > 0 and tile_path(level, index, width) == path:
            return level, index, width
    raise NotFound(f"no tile has the path {path!r}")


async def read_tile(reader: LogReader, path: str, size: int) -> Tile:
    """The tile with this path, of a tree of ``size``: the bytes that ``export`` writes there.

    A tile may be narrower than the tree has it: earlier trees had it so. Raises ``NotFound`` for one that this tree has not,
    and ``ChainBroken`` where the store contradicts itself.
    """
    level, index, width = parse_tile_path(path)
    if width > (size >> (TILE_HEIGHT * (level or 0))) - index * TILE_WIDTH:
        raise NotFound(f"a tree of {size} entries has no {path}")
    if level:
        return Tile(level, index, width, b"".join(await _read_roots(reader, level, index, width)))
    leaves, hashes = await _read_leaves(reader, index, width)
    return Tile(level, index, width, encode_bundle(leaves) if level is None else b"".join(hashes))


def encode_bundle(leaves: Sequence[bytes]) -> bytes:
    """Each leaf after its length in two bytes, big-endian."""
    return b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves)


async def export(
    reader: LogReader,
    note: bytes,
    keys: Sequence[VerifierKey],
    folder: Path,
    former: Sequence[VerifierKey] = (),
) -> Exported:
    """Bring a folder up to a signed checkpoint. On return all of it is on disk.

    Nothing is published that was not worked out again: each leaf is hashed, the root is made from the hashes, and the tree has
    to continue the one that the folder's checkpoint covers. ``keys`` are the log's; they are written to ``vkey``. What is in
    the folder may be signed by a ``former`` one. Raises ``ChainBroken`` where the folder or the store contradicts the
    checkpoint: the folder's checkpoint then stays as it was.
    """
    new = open_checkpoint(note, keys)
    old = await asyncio.to_thread(_published, folder, [*keys, *former], new)
    frontier = await frontier_at(reader, old.size) if old else Frontier(0, ())
    if old is not None and frontier.root() != old.root:
        raise ChainBroken(f"the folder's checkpoint of {old.size} entries has another root than the ledger has there")
    made = _Made(frontier, [])
    sink = _Sink(folder)
    async for tile in _tiles(reader, made, new.size):
        await asyncio.to_thread(sink.put, tile)
    if made.frontier.root() != new.root:
        raise ChainBroken(f"the ledger's first {new.size} entries have another root than the checkpoint says")
    await asyncio.to_thread(sink.finish, note, "".join(f"{key.text()}\n" for key in keys).encode())
    return Exported(new, sink.written)


@dataclass(slots=True)
class _Made:
    """The tree as far as it was worked out again: its right edge, and the subtrees that were completed on the way."""

    frontier: Frontier
    completed: list[Subtree]


def _published(folder: Path, keys: Sequence[VerifierKey], new: Checkpoint) -> Checkpoint | None:
    try:
        note = (folder / CHECKPOINT_FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        old = open_checkpoint(note, keys)
    except HashMismatch as error:
        raise ChainBroken(f"the folder has a checkpoint that none of this ledger's keys signed: {error}") from error
    if old.size > new.size:
        raise ChainBroken(f"the folder's checkpoint has {old.size} entries; this one would take it back to {new.size}")
    if old.size == new.size and old.root != new.root:
        raise ChainBroken(f"the folder has another checkpoint of {old.size} entries")
    return old


async def _tiles(reader: LogReader, made: _Made, size: int) -> AsyncIterator[Tile]:
    """The tiles of a tree of ``size`` that one of ``made.frontier.size`` has not: level 0 and bundles, then each level above."""
    old_size = made.frontier.size
    for first in range(old_size - old_size % TILE_WIDTH, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        leaves, hashes = await _read_leaves(reader, first // TILE_WIDTH, width)
        made.frontier, completed = grow(made.frontier, hashes[max(0, old_size - first) :])
        made.completed += completed
        yield Tile(None, first // TILE_WIDTH, width, encode_bundle(leaves))
        yield Tile(0, first // TILE_WIDTH, width, b"".join(hashes))
    known = {(subtree.level, subtree.index): subtree.hash for subtree in made.completed}
    level = 1
    while (count := size >> (TILE_HEIGHT * level)) > 0:
        old_count = old_size >> (TILE_HEIGHT * level)
        for first in range(old_count - old_count % TILE_WIDTH, count, TILE_WIDTH) if count > old_count else ():
            width = min(TILE_WIDTH, count - first)
            hashes = await _read_roots(reader, level, first // TILE_WIDTH, width)
            # The old ones are bound by the old root, which was made from them; the new ones were just worked out.
            if any(known.get((level, first + n), digest) != digest for n, digest in enumerate(hashes)):
                raise ChainBroken(f"a stored root at level {level} is not that of its entries")
            yield Tile(level, first // TILE_WIDTH, width, b"".join(hashes))
        level += 1


async def _read_leaves(reader: LogReader, index: int, width: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The entries of a bundle, and their hashes, which are worked out again."""
    first = index * TILE_WIDTH
    hashes = await reader.subtree_hashes(0, first, width)
    leaves = await reader.leaves(first, width)
    if len(hashes) != width or len(leaves) != width:
        raise ChainBroken(f"entries from {first} are missing")
    for seq, (leaf, digest) in enumerate(zip(leaves, hashes, strict=True), first):
        if leaf_hash(leaf) != digest:
            raise ChainBroken(f"entry {seq} has another hash than the one that is stored for it")
    return leaves, hashes


async def _read_roots(reader: HashReader, level: int, index: int, width: int) -> tuple[bytes, ...]:
    first = index * TILE_WIDTH
    hashes = await reader.subtree_hashes(level, first, width)
    if len(hashes) != width:
        raise ChainBroken(f"roots at level {level} from {first} are missing")
    return hashes


class _Sink:
    """Puts tiles into the folder: each whole or not at all, none ever changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._touched: set[Path] = set()
        self._filled: list[Path] = []
        self.written = 0

    def put(self, tile: Tile) -> None:
        path = self._folder / tile.path()
        self._make(path.parent)
        self._touched.add(path.parent)
        if tile.width == TILE_WIDTH:
            self._filled.append(path)
        if path.exists():
            self._compare(path, tile)
            return
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with draft.open("xb") as file:
                file.write(tile.data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
                self.written += 1
            except FileExistsError:
                self._compare(path, tile)
        finally:
            draft.unlink(missing_ok=True)

    def finish(self, note: bytes, vkeys: bytes) -> None:
        for folder in self._touched:
            sync_folder(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._folder / VKEY_FILE, vkeys)
        replace_file(self._folder / CHECKPOINT_FILE, note)
        for path in self._filled:  # what a full tile holds, nobody needs in parts any more
            self._remove_parts(path.with_name(f"{path.name}.p"))

    def _compare(self, path: Path, tile: Tile) -> None:
        if path.read_bytes() != tile.data:
            raise ChainBroken(f"the folder has another {tile.path()}")

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        self._touched.add(folder.parent)

    def _remove_parts(self, folder: Path) -> None:
        if folder.is_dir():
            for part in folder.iterdir():
                part.unlink(missing_ok=True)
            folder.rmdir()
