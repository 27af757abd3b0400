"""The tree, against RFC 6962 as it is written: a recursion over all of the leaves."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import leaf_hash
from ledger.errors import ChainBroken, HashMismatch, NotFound
from ledger.merkle import (
    EMPTY_FRONTIER,
    Subtree,
    TileCache,
    consistency_proof,
    frontier_at,
    grow,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.fakes.memory_log import MemoryLog


async def test_a_tile_that_was_read_lately_is_not_read_again_and_the_proofs_are_the_same() -> None:
    tree, kept = log(70_000), TileCache()
    for size in (69_000, 70_000):  # the last tiles of the one grow in the other
        for index in (0, 1, 255, 256, 65_535, 65_536, 68_999):
            expected = await inclusion_proof(tree, index, size)
            assert await inclusion_proof(tree, index, size, kept) == expected
        assert await root_at(tree, size, kept) == await root_at(tree, size)
        assert await consistency_proof(tree, 300, size, kept) == await consistency_proof(tree, 300, size)
    tree.reads.clear()
    await inclusion_proof(tree, 68_999, 70_000, kept)
    assert tree.reads == []
    await inclusion_proof(tree, 1_000, 70_000, kept)
    assert tree.reads == [256]


async def test_no_more_tiles_are_kept_than_it_was_told() -> None:
    tree, kept = log(2_560), TileCache(2)
    for index in (0, 300, 600):
        await inclusion_proof(tree, index, 256 * (index // 256 + 1), kept)
    tree.reads.clear()
    for index in (600, 300):
        await inclusion_proof(tree, index, 256 * (index // 256 + 1), kept)
    assert 256 not in tree.reads[1:]
    tree.reads.clear()
    await inclusion_proof(tree, 0, 256, kept)
    assert tree.reads == [256]


def leaves(count: int) -> list[bytes]:
    return [b"leaf %d" % n for n in range(count)]


def log(count: int) -> MemoryLog:
    return MemoryLog(leaves(count))


def naive_root(hashes: list[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = split(len(hashes))
    return hashlib.sha256(b"\x01" + naive_root(hashes[:middle]) + naive_root(hashes[middle:])).digest()


def naive_path(index: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    middle = split(len(hashes))
    if index < middle:
        return [*naive_path(index, hashes[:middle]), naive_root(hashes[middle:])]
    return [*naive_path(index - middle, hashes[middle:]), naive_root(hashes[:middle])]


def naive_consistency(old_size: int, hashes: list[bytes], whole: bool = True) -> list[bytes]:
    if old_size == len(hashes):
        return [] if whole else [naive_root(hashes)]
    middle = split(len(hashes))
    if old_size <= middle:
        return [*naive_consistency(old_size, hashes[:middle], whole), naive_root(hashes[middle:])]
    return [*naive_consistency(old_size - middle, hashes[middle:], False), naive_root(hashes[:middle])]


def split(size: int) -> int:
    middle = 1
    while middle * 2 < size:
        middle *= 2
    return middle


SIZES = st.integers(1, 1400)


@given(SIZES, st.data())
async def test_roots_and_proofs_are_those_of_rfc_6962(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old_size = data.draw(st.integers(1, size))
    tree = log(size)
    hashes = tree.hashes[0]
    root = naive_root(hashes)
    assert tree.edge.root() == root == await root_at(tree, size)
    assert await frontier_at(tree, size) == tree.edge
    path = await inclusion_proof(tree, index, size)
    assert list(path) == naive_path(index, hashes)
    verify_inclusion(hashes[index], index, size, path, root)
    proof = await consistency_proof(tree, old_size, size)
    assert list(proof) == naive_consistency(old_size, hashes)
    verify_consistency(old_size, naive_root(hashes[:old_size]), size, root, proof)


@given(st.lists(st.integers(0, 300), max_size=8))
def test_batches_of_any_size_grow_the_same_tree(batches: list[int]) -> None:
    hashes = [leaf_hash(leaf) for leaf in leaves(sum(batches))]
    frontier, completed, start = EMPTY_FRONTIER, tuple[Subtree, ...](), 0
    for count in batches:
        frontier, more = grow(frontier, hashes[start : start + count])
        completed, start = completed + more, start + count
    assert frontier.root() == naive_root(hashes)
    assert frontier.size == len(hashes)
    assert completed == tuple(
        Subtree(1, n, naive_root(hashes[n * 256 : n * 256 + 256])) for n in range(len(hashes) // 256)
    )


def test_subtrees_come_at_each_eighth_height() -> None:
    _, completed = grow(EMPTY_FRONTIER, [bytes(32)] * 2**16)
    assert [subtree.level for subtree in completed] == [1] * 256 + [2]
    assert completed[-1].index == 0
    node = bytes(32)
    for _ in range(16):
        node = hashlib.sha256(b"\x01" + node + node).digest()
    assert completed[-1].hash == node


@given(SIZES, st.data())
async def test_a_changed_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    tree = log(size)
    index = data.draw(st.integers(0, size - 1))
    leaf, root = tree.hashes[0][index], tree.edge.root()
    path = list(await inclusion_proof(tree, index, size))
    for position in range(len(path)):
        for changed in (flip(path, position), path[:position] + path[position + 1 :]):
            with pytest.raises(HashMismatch):
                verify_inclusion(leaf, index, size, changed, root)
    for other in {index - 1, index + 1, index ^ 1, size - 1 - index} - {index}:
        with pytest.raises(HashMismatch):
            verify_inclusion(leaf, other, size, path, root)
    for bad_leaf, bad_path, bad_root in (
        (bytes(32), path, root),
        (leaf, [*path, root], root),
        (leaf, path, bytes(32)),
    ):
        with pytest.raises(HashMismatch):
            verify_inclusion(bad_leaf, index, size, bad_path, bad_root)


@given(SIZES, st.data())
async def test_a_changed_consistency_proof_is_refused(size: int, data: st.DataObject) -> None:
    tree = log(size)
    old_size = data.draw(st.integers(1, size))
    old_root, root = naive_root(tree.hashes[0][:old_size]), tree.edge.root()
    proof = list(await consistency_proof(tree, old_size, size))
    for position in range(len(proof)):
        for changed in (flip(proof, position), proof[:position] + proof[position + 1 :]):
            with pytest.raises(HashMismatch):
                verify_consistency(old_size, old_root, size, root, changed)
    for bad_old, bad_new, bad_proof in (
        (bytes(32), root, proof),
        (old_root, bytes(32), proof),
        (old_root, root, [*proof, root]),
    ):
        with pytest.raises(HashMismatch):
            verify_consistency(old_size, bad_old, size, bad_new, bad_proof)
    with pytest.raises(HashMismatch):
        verify_consistency(size + 1, old_root, size, root, proof)


def flip(hashes: list[bytes], position: int) -> list[bytes]:
    old = hashes[position]
    return [*hashes[:position], bytes([old[0] ^ 1]) + old[1:], *hashes[position + 1 :]]


async def test_from_nothing_and_to_itself_the_consistency_proof_is_empty() -> None:
    tree = log(5)
    nothing = hashlib.sha256(b"").digest()
    root = tree.edge.root()
    assert await consistency_proof(tree, 0, 5) == await consistency_proof(tree, 5, 5) == ()
    assert await root_at(tree, 0) == EMPTY_FRONTIER.root() == nothing
    verify_consistency(0, nothing, 5, root, ())
    verify_consistency(5, root, 5, root, ())
    for old_size, old_root, proof in ((0, root, ()), (5, nothing, ()), (0, nothing, (root,)), (5, root, (root,))):
        with pytest.raises(HashMismatch):
            verify_consistency(old_size, old_root, 5, root, proof)


async def test_what_the_tree_does_not_hold_is_not_found() -> None:
    tree = log(5)
    for index in (-1, 5):
        with pytest.raises(NotFound):
            await inclusion_proof(tree, index, 5)
    for old_size in (-1, 6):
        with pytest.raises(NotFound):
            await consistency_proof(tree, old_size, 5)


async def test_a_store_that_lost_hashes_is_a_broken_chain() -> None:
    tree = log(300)
    tree.hashes[1].clear()
    with pytest.raises(ChainBroken):
        await root_at(tree, 300)


async def test_proofs_read_a_few_tiles_and_no_more() -> None:
    tree = MemoryLog()
    size = 2**17 + 2**9 + 3
    tree.edge, completed = grow(tree.edge, [b"%032d" % n for n in range(size)])
    tree.hashes[0] = [b"%032d" % n for n in range(size)]
    for subtree in completed:
        tree.hashes.setdefault(subtree.level, []).append(subtree.hash)
    root = tree.edge.root()
    for index in (0, 255, 256, 65_535, 65_536, size - 4, size - 1):
        tree.reads.clear()
        verify_inclusion(tree.hashes[0][index], index, size, await inclusion_proof(tree, index, size), root)
        assert len(tree.reads) <= 6
        assert max(tree.reads) <= 256
    for old_size in (1, 255, 65_537, size - 1):
        tree.reads.clear()
        proof = await consistency_proof(tree, old_size, size)
        assert len(tree.reads) <= 6
        verify_consistency(old_size, await root_at(tree, old_size), size, root, proof)
