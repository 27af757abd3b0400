"""The notary signs only what continues what it signed, and finds out a store that was put back."""

from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import ChainBroken, NotFound
from ledger.notary import Notary
from ledger.note import Signature, Signer, parse_note
from tests.fakes.memory_log import MemoryLog

SIGNER, NEXT = Signer("carpool.local", b"s" * 32), Signer("carpool.local", b"n" * 32)


def log(count: int) -> MemoryLog:
    return MemoryLog(b"leaf %d" % n for n in range(count))


async def signed(tree: MemoryLog, home: Path) -> bytes:
    note = await (await Notary.open(tree, [SIGNER], home / "checkpoint")).sign()
    assert note is not None
    return note


async def test_the_head_is_signed_and_kept_in_both_places(tmp_path: Path) -> None:
    tree = log(300)
    note = await signed(tree, tmp_path)
    assert open_checkpoint(note, [SIGNER.verifier()]) == Checkpoint("carpool.local", 300, tree.edge.root())
    assert (tmp_path / "checkpoint").read_bytes() == tree.checkpoints[300] == note


async def test_nothing_is_signed_where_nothing_was_appended(tmp_path: Path) -> None:
    tree = MemoryLog()
    notary = await Notary.open(tree, [SIGNER], tmp_path / "checkpoint")
    assert await notary.sign() is None
    assert await notary.latest() is None
    tree.append([b"one"])
    note = await notary.sign()
    assert await notary.latest() == note is not None
    assert await notary.sign() is None
    tree.append([b"two"])
    assert await notary.sign() is not None


async def test_a_store_behind_the_signed_checkpoint_is_refused(tmp_path: Path) -> None:
    await signed(log(300), tmp_path)
    with pytest.raises(ChainBroken, match="300 were signed for already"):
        await Notary.open(log(299), [SIGNER], tmp_path / "checkpoint")


async def test_a_store_that_was_put_back_and_grew_another_way_is_refused(tmp_path: Path) -> None:
    tree = log(300)
    await signed(tree, tmp_path)
    fork = MemoryLog([*tree.stored[:200], *(b"other %d" % n for n in range(200))])
    for count in (100, 101, 200):
        with pytest.raises(ChainBroken, match="others than those that were signed for"):
            await Notary.open(MemoryLog(fork.stored[: 200 + count]), [SIGNER], tmp_path / "checkpoint")


async def test_the_stores_own_checkpoint_counts_where_the_file_is_gone(tmp_path: Path) -> None:
    tree = log(300)
    await signed(tree, tmp_path)
    cut = log(200)
    cut.checkpoints = tree.checkpoints
    with pytest.raises(ChainBroken):
        await Notary.open(cut, [SIGNER], tmp_path / "elsewhere")
    notary = await Notary.open(tree, [SIGNER], tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere").read_bytes() == tree.checkpoints[300]
    assert await notary.sign() is None


async def test_a_crash_between_the_file_and_the_store_is_healed_at_the_start(tmp_path: Path) -> None:
    tree = log(300)
    note = await signed(tree, tmp_path)
    tree.checkpoints.clear()
    await Notary.open(tree, [SIGNER], tmp_path / "checkpoint")
    assert tree.checkpoints == {300: note}


async def test_an_end_that_is_not_that_of_its_entries_is_refused(tmp_path: Path) -> None:
    tree = log(300)
    tree.edge = log(301).edge
    with pytest.raises(ChainBroken):
        await Notary.open(tree, [SIGNER], tmp_path / "checkpoint")
    tree = log(300)
    tree.hashes[1][0] = bytes(32)
    with pytest.raises(ChainBroken):
        await Notary.open(tree, [SIGNER], tmp_path / "checkpoint")


@pytest.mark.parametrize("where", ["file", "store"])
async def test_a_damaged_checkpoint_is_refused_and_not_taken_for_none(tmp_path: Path, where: str) -> None:
    tree = log(3)
    note = await signed(tree, tmp_path)
    for damaged in (b"", note[:-1], note.replace(b"\n3\n", b"\n2\n")):
        if where == "file":
            (tmp_path / "checkpoint").write_bytes(damaged)
        else:
            tree.checkpoints[3] = damaged
        with pytest.raises(ChainBroken, match="not signed by this ledger's key"):
            await Notary.open(tree, [SIGNER], tmp_path / "checkpoint")


async def test_a_running_notary_never_signs_a_fork(tmp_path: Path) -> None:
    tree = log(300)
    notary = await Notary.open(tree, [SIGNER], tmp_path / "checkpoint")
    note = await notary.sign()
    fork = MemoryLog([b"other", *tree.stored[1:], b"more"])
    tree.edge, tree.hashes = fork.edge, fork.hashes
    with pytest.raises(ChainBroken):
        await notary.sign()
    tree.edge, tree.hashes = log(200).edge, log(200).hashes
    with pytest.raises(ChainBroken):
        await notary.sign()
    assert (tmp_path / "checkpoint").read_bytes() == tree.checkpoints[300] == note


async def test_during_a_rotation_both_keys_sign_and_afterwards_the_new_one_goes_on(tmp_path: Path) -> None:
    tree = log(3)
    await signed(tree, tmp_path)
    with pytest.raises(ChainBroken):
        await Notary.open(tree, [NEXT], tmp_path / "checkpoint")
    overlap = await Notary.open(tree, [NEXT, SIGNER], tmp_path / "checkpoint")
    both = await overlap.sign()
    assert both is not None
    for signer in (SIGNER, NEXT):
        assert open_checkpoint(both, [signer.verifier()]).size == 3
    assert await overlap.sign() is None
    after = await Notary.open(tree, [NEXT], tmp_path / "checkpoint")
    tree.append([b"more"])
    assert await after.sign() is not None


async def test_witnesses_lines_are_kept_under_the_checkpoint_that_they_stand_behind(tmp_path: Path) -> None:
    tree = log(3)
    notary = await Notary.open(tree, [SIGNER], tmp_path / "checkpoint")
    line = Signature("witness.example", b"1234", b"x" * 72)
    behind = sign_checkpoint(Checkpoint("carpool.local", 3, tree.edge.root()), [SIGNER])
    with pytest.raises(NotFound):
        await notary.add([line], behind)
    await notary.sign()
    note = await notary.add([line], behind)
    assert parse_note(note).signatures[-1] == line
    assert tree.checkpoints[3] == (tmp_path / "checkpoint").read_bytes() == note
    assert await notary.sign() is None
    tree.append([b"more"])
    later = await notary.sign()
    assert await notary.add([line], behind) == later


async def test_a_checkpoint_signed_by_another_process_is_not_undone(tmp_path: Path) -> None:
    tree = log(3)
    first = await Notary.open(tree, [SIGNER], tmp_path / "first")
    second = await Notary.open(tree, [SIGNER], tmp_path / "second")
    await first.sign()
    assert await second.sign() is None
    tree.checkpoints[2] = sign_checkpoint(Checkpoint("carpool.local", 2, bytes(32)), [SIGNER])
    assert await second.sign() is None
