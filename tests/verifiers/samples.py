"""What is shown to a verifier: proofs and receipts of the big log as the program gives them, and ways to change them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ledger.merkle import consistency_proof, inclusion_proof
from ledger.receipts import make_receipt
from tests.verifiers.big_log import BigLog

STEP = 499
EDGES = (0, 1, 2, 254, 255, 256, 257, 40_079, 40_080, 65_279, 65_535, 65_536, 65_537)


@dataclass(frozen=True)
class Inclusion:
    leaf: bytes
    index: int
    size: int
    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Growth:
    old_size: int
    old_root: bytes
    size: int
    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Samples:
    inclusions: tuple[Inclusion, ...]
    growths: tuple[Growth, ...]
    receipts: tuple[bytes, ...]

    @property
    def deep(self) -> Inclusion:
        """One with a path of many hashes on both sides."""
        return next(item for item in self.inclusions if item.index == 40_079)


async def take(log: BigLog) -> Samples:
    indexes = sorted({*EDGES, *range(0, log.size, STEP), log.size - 2, log.size - 1})
    sizes = sorted(log.notes)
    async with log.store() as store:
        inclusions = [
            Inclusion(log.leaves[index], index, log.size, log.root, await inclusion_proof(store, index, log.size))
            for index in indexes
        ]
        growths = [
            Growth(
                old,
                log.checkpoint(old).root,
                new,
                log.checkpoint(new).root,
                await consistency_proof(store, old, new),
            )
            for old in sizes
            for new in sizes
            if old < new
        ]
        receipts = [await make_receipt(store, log.leaves[index], index, log.note, [log.key]) for index in indexes[::10]]
    return Samples(tuple(inclusions), tuple(growths), tuple(receipts))


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flips(data: bytes, every: int = 1) -> Iterator[bytes]:
    """The data with one bit changed: each of them, or every so many."""
    return (flipped(data, bit) for bit in range(0, len(data) * 8, every))


def wrong_inclusions(good: Inclusion, other: Inclusion) -> Iterator[Inclusion]:
    """Each bit of the leaf, of the path and of the root; another entry, another index, a path too long or too short.

    A size is bound by the signature over it and the root; here it is one that gives the path another shape.
    """
    for leaf in flips(good.leaf):
        yield replace(good, leaf=leaf)
    for root in flips(good.root):
        yield replace(good, root=root)
    for path in wrong_paths(good.path):
        yield replace(good, path=path)
    for index in (good.index - 1, good.index + 1, good.index ^ 256, other.index, good.size, 2**62):
        yield replace(good, index=index)
    for size in (good.index, good.index + 1, 1 << 16, (1 << 17) + 1, 0):
        yield replace(good, size=size)
    yield replace(good, leaf=other.leaf)
    yield replace(good, path=other.path)


def wrong_growths(good: Growth, other: Growth) -> Iterator[Growth]:
    for old_root in flips(good.old_root):
        yield replace(good, old_root=old_root)
    for root in flips(good.root):
        yield replace(good, root=root)
    for path in wrong_paths(good.path):
        yield replace(good, path=path)
    for old_size in (good.old_size - 1, good.old_size + 1, good.old_size ^ 256, good.size):
        yield replace(good, old_size=old_size)
    for size in (good.old_size, good.old_size + 1, (1 << 17) + 1):
        yield replace(good, size=size)
    yield replace(good, old_root=good.root, root=good.old_root)
    yield replace(good, path=other.path)


def wrong_paths(path: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    for place, digest in enumerate(path):
        for changed in flips(digest):
            yield (*path[:place], changed, *path[place + 1 :])
        yield (*path[:place], *path[place + 1 :])
    for place in range(len(path) - 1):
        yield (*path[:place], path[place + 1], path[place], *path[place + 2 :])
    yield (*path, bytes(32))
    yield ()
