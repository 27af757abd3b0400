"""Receipts: small enough to hand over in a chat, and void when a bit of them changes."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.actions import ModelAnswered, ReplyPrepared, ReplySent, TurnFinished
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.entry import GENESIS, Commitment, Entry, encode_entry, hash_text, leaf_hash
from ledger.errors import HashMismatch, NotFound
from ledger.merkle import verify_inclusion
from ledger.note import Signer, decode_base64, decode_hash
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from ledger.receipts import (
    WORDS,
    Receipt,
    decode_receipt,
    encode_receipt,
    lengthen,
    make_receipt,
    shorten,
    verify_receipt,
)
from tests.fakes.memory_log import MemoryLog

SIGNER = Signer("carpool.local", b"s" * 32)
KEYS = [SIGNER.verifier()]
ANSWERED = ModelAnswered(1, "answered", "stop", "", True, True, 1234, 345, 0, 0, 0, 345_678, 1_234_567)


def entry(seq: int, prev: str, action: ReplyPrepared | ReplySent | ModelAnswered | TurnFinished) -> bytes:
    """As an answer in Slack is recorded."""
    return encode_entry(
        Entry(
            seq=seq,
            ts=1_764_011_111_123_456,
            mono=1_764_011_111_123_456,
            action=action,
            turn=TurnId("t-0123456789abcdef"),
            actor=ActorId("a-q8rs7vwxyz01234k"),
            workspace=WorkspaceId("w-9n8m7k6j5h4g3f2e"),
            idem="t-0123456789abcdef/prepared/0",
            payload=Commitment(leaf_hash(b"%d" % seq).hex(), 1234),
            prev=prev,
        )
    )


@cache
def log(size: int) -> MemoryLog:
    leaves, prev = [], GENESIS
    for seq in range(size):
        leaves.append(entry(seq, prev, ReplyPrepared(0, "answer", "answered")))
        prev = hash_text(leaf_hash(leaves[-1]))
    return MemoryLog(leaves)


def note(tree: MemoryLog, *signers: Signer) -> bytes:
    return sign_checkpoint(Checkpoint("carpool.local", tree.edge.size, tree.edge.root()), list(signers or (SIGNER,)))


async def receipt(tree: MemoryLog, index: int) -> bytes:
    return await make_receipt(tree, tree.stored[index], index, note(tree), KEYS)


@pytest.mark.parametrize("size", [1, 2, 7, 300])
async def test_each_entry_of_a_log_has_a_receipt_that_verifies(size: int) -> None:
    tree = log(size)
    for index in range(size):
        data = await receipt(tree, index)
        proof, checkpoint = verify_receipt(data, KEYS)
        assert (proof.leaf, proof.index) == (tree.stored[index], index)
        assert (checkpoint.size, checkpoint.root) == (size, tree.edge.root())
        assert encode_receipt(decode_receipt(data)) == data


async def test_it_is_a_tlog_proof_that_others_can_read() -> None:
    """Taken apart as the specification says, with the extra line ignored."""
    tree = log(300)
    head, _, checkpoint = (await receipt(tree, 200)).decode().partition("\n\n")
    header, extra, index, *path = head.split("\n")
    assert header == "c2sp.org/tlog-proof@v1"
    assert extra.startswith("extra ")
    assert index == "index 200"
    origin, size, root, *_ = checkpoint.split("\n")
    assert origin == "carpool.local"
    hashes = [decode_base64(line) for line in path]
    verify_inclusion(leaf_hash(tree.stored[200]), 200, int(size), hashes, decode_hash(root))


async def test_each_bit_of_a_receipt_counts() -> None:
    data = await receipt(log(7), 4)
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(HashMismatch):
            verify_receipt(bytes(changed), KEYS)


async def test_a_receipt_that_was_cut_off_or_lengthened_is_refused() -> None:
    data = await receipt(log(7), 4)
    for changed in (*(data[:length] for length in range(len(data))), data + b"\n", data + data):
        with pytest.raises(HashMismatch):
            verify_receipt(changed, KEYS)


async def test_the_receipt_of_another_entry_or_key_is_refused() -> None:
    tree = log(7)
    mine, other = decode_receipt(await receipt(tree, 3)), decode_receipt(await receipt(tree, 4))
    for swapped in (
        Receipt(other.leaf, mine.index, mine.path, mine.note),
        Receipt(mine.leaf, other.index, mine.path, mine.note),
        Receipt(mine.leaf, mine.index, other.path, mine.note),
        Receipt(mine.leaf, mine.index, mine.path, note(log(2))),
    ):
        with pytest.raises(HashMismatch):
            verify_receipt(encode_receipt(swapped), KEYS)
    with pytest.raises(HashMismatch):
        verify_receipt(await receipt(tree, 3), [Signer("carpool.local", b"t" * 32).verifier()])


async def test_an_entry_that_says_it_is_another_is_refused() -> None:
    moved = MemoryLog([entry(5, GENESIS, TurnFinished("answered"))])
    with pytest.raises(HashMismatch, match="says that it is entry 5"):
        verify_receipt(await receipt(moved, 0), KEYS)
    garbage = MemoryLog([b"not an entry"])
    with pytest.raises(HashMismatch, match="no entry"):
        verify_receipt(await receipt(garbage, 0), KEYS)


async def test_no_receipt_before_a_checkpoint_covers_the_entry() -> None:
    tree = log(7)
    with pytest.raises(NotFound):
        await make_receipt(tree, tree.stored[6], 6, note(log(2)), KEYS)
    with pytest.raises(HashMismatch):
        await make_receipt(tree, tree.stored[5], 6, note(tree), KEYS)


@pytest.mark.parametrize(
    "action", [ReplyPrepared(0, "answer", "answered"), ReplySent(0, False), TurnFinished("answered")]
)
def test_at_a_million_entries_the_receipt_of_an_answer_has_at_most_1500_bytes(
    action: ReplyPrepared | ReplySent | TurnFinished,
) -> None:
    assert len(receipt_at_a_million(action)) <= 1500


def test_even_the_largest_entry_of_a_turn_stays_near_it() -> None:
    assert len(receipt_at_a_million(ANSWERED)) <= 1750


def receipt_at_a_million(action: ReplyPrepared | ReplySent | ModelAnswered | TurnFinished) -> bytes:
    size = 1_000_000
    leaf = entry(size - 300_000, hash_text(leaf_hash(b"before")), action)
    signed = sign_checkpoint(Checkpoint("carpool.local", size, leaf_hash(b"root")), [SIGNER])
    return encode_receipt(Receipt(leaf, size - 300_000, (leaf_hash(b"sibling"),) * 20, signed))


PIECES = st.sampled_from([*WORDS, b"a" * 64, b"0" * 65, b"f" * 63, b"x", "ü".encode(), b"0123456789abcdef" * 4])


@given(st.lists(PIECES | st.binary().map(lambda data: bytes(byte for byte in data if byte >= 32)), max_size=12))
def test_shorthand_gives_back_each_entry(pieces: list[bytes]) -> None:
    leaf = b"".join(pieces)
    assert lengthen(shorten(leaf)) == leaf


@given(st.binary(max_size=80))
def test_shorthand_has_one_spelling(data: bytes) -> None:
    try:
        leaf = lengthen(data)
    except HashMismatch:
        return
    assert shorten(leaf) == data


def test_the_words_of_old_receipts_never_change() -> None:
    """A change here makes receipts unreadable that people hold."""
    assert leaf_hash(b"\n".join(WORDS)).hex() == "6876bb0422ab68f584989457faf9abb7e61fd172005e480bb4fb990a54f5ea73"
