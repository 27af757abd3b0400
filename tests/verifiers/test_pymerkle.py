"""pymerkle grows the same tree from the same entries, makes the same proofs, and refuses those that were changed."""

from dataclasses import replace

import pytest
from pymerkle import InclusionProof, InmemoryTree, InvalidProof
from pymerkle.core import _inclusion_path_layout

from ledger.errors import HashMismatch
from ledger.receipts import decode_receipt
from tests.verifiers.big_log import BigLog
from tests.verifiers.samples import Inclusion, Samples, flips, wrong_growths, wrong_inclusions


@pytest.fixture(scope="module")
def tree(log: BigLog) -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(log.leaves)
    return tree


def verify_inclusion(item: Inclusion, hasher: InmemoryTree) -> None:
    """Its proofs have the leaf's own hash in front, and count from 1."""
    leaf = hasher.hash_buff(item.leaf)
    rule, _ = _inclusion_path_layout(item.index + 1, item.size) if 0 <= item.index < item.size else ([], [])
    proof = InclusionProof("sha256", True, item.size, item.index + 1, rule, [leaf, *item.path])
    proof.verify(leaf, item.root, index=item.index + 1, size=item.size)


def test_the_same_entries_give_the_same_root_at_each_size_that_was_signed(tree: InmemoryTree, log: BigLog) -> None:
    assert tree.get_size() == log.size
    for size in log.notes:
        assert tree.get_root(size) == log.checkpoint(size).root


def test_each_entry_has_the_same_hash(tree: InmemoryTree, log: BigLog) -> None:
    assert tuple(tree.get_leaf(index + 1) for index in range(log.size)) == log.hashes


def test_the_programs_inclusion_proofs_are_the_same_and_are_accepted(tree: InmemoryTree, samples: Samples) -> None:
    for item in samples.inclusions:
        assert tree.prove_inclusion(item.index + 1, item.size).path[1:] == list(item.path)
        verify_inclusion(item, tree)


def test_each_change_of_an_inclusion_proof_is_refused(tree: InmemoryTree, samples: Samples) -> None:
    count = 0
    for item in wrong_inclusions(samples.deep, samples.inclusions[50]):
        with pytest.raises(InvalidProof):
            verify_inclusion(item, tree)
        count += 1
    assert count > 5_000


def test_each_bit_of_a_receipt_counts_that_is_no_part_of_the_note(
    tree: InmemoryTree, samples: Samples, log: BigLog
) -> None:
    """A receipt is read by our own parser. Of the note pymerkle knows nothing: it is given the root that was signed."""
    data = samples.receipts[3]
    judged = 0
    for changed in flips(data[: -len(log.note)]):
        try:
            receipt = decode_receipt(changed + log.note)
        except HashMismatch:
            continue
        judged += 1
        with pytest.raises(InvalidProof):
            verify_inclusion(Inclusion(receipt.leaf, receipt.index, log.size, log.root, receipt.path), tree)
    assert judged > 2_000


def test_its_consistency_proofs_hold_between_the_roots_that_were_signed(tree: InmemoryTree, samples: Samples) -> None:
    """Its proofs are of another form than RFC 6962's: it makes them itself, from the log's entries."""
    for growth in samples.growths:
        proof = tree.prove_consistency(growth.old_size, growth.size)
        proof.verify(growth.old_root, growth.root, prior_size=growth.old_size, later_size=growth.size)


def test_no_other_roots_or_sizes_pass_with_its_consistency_proof(tree: InmemoryTree, samples: Samples) -> None:
    good = samples.growths[-1]
    proof = tree.prove_consistency(good.old_size, good.size)
    count = 0
    for item in wrong_growths(good, samples.growths[0]):
        if item.path == good.path:
            with pytest.raises(InvalidProof):
                proof.verify(item.old_root, item.root, prior_size=item.old_size, later_size=item.size)
            count += 1
    assert count > 500


def test_an_edited_a_swapped_or_a_missing_entry_gives_another_root(log: BigLog) -> None:
    size = next(size for size in sorted(log.notes) if size > 1_000)
    leaves, root = log.leaves[:size], log.checkpoint(size).root
    assert root_of(leaves) == root
    for leaf in flips(leaves[500], every=29):
        assert root_of((*leaves[:500], leaf, *leaves[501:])) != root
    assert root_of((*leaves[:500], leaves[501], leaves[500], *leaves[502:])) != root
    assert root_of((*leaves[:500], *leaves[501:])) != root
    assert root_of((*leaves, leaves[-1])) != root


def root_of(leaves: tuple[bytes, ...]) -> bytes:
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(leaves)
    root: bytes = tree.get_root()
    return root


def test_a_proof_of_another_size_is_refused(tree: InmemoryTree, samples: Samples) -> None:
    for item in samples.inclusions[::20]:
        for size in (item.size - 1, item.size + 1):
            with pytest.raises(InvalidProof):
                proof = tree.prove_inclusion(item.index + 1, item.size)
                proof.verify(tree.hash_buff(item.leaf), item.root, size=size)
            if item.index < item.size - 1:
                with pytest.raises(InvalidProof):
                    verify_inclusion(replace(item, index=item.index + 1), tree)
