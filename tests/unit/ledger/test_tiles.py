"""The export: each file as tlog-tiles has it, written once, the checkpoint last."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import ChainBroken, HashMismatch, NotFound
from ledger.merkle import EMPTY_FRONTIER, grow
from ledger.note import Signer
from ledger.tiles import Exported, export, parse_tile_path, read_tile, tile_path
from tests.fakes.memory_log import MemoryLog

SIGNER = Signer("carpool.local", b"s" * 32)
KEYS = [SIGNER.verifier()]


def log(count: int) -> MemoryLog:
    return MemoryLog(b"leaf %d" % n for n in range(count))


def note(tree: MemoryLog, *signers: Signer) -> bytes:
    return sign_checkpoint(Checkpoint("carpool.local", tree.edge.size, tree.edge.root()), list(signers or (SIGNER,)))


async def exported(tree: MemoryLog, folder: Path) -> Exported:
    return await export(tree, note(tree), KEYS, folder)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return list(files(folder))


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (999, 256, "tile/0/999"),
        (1000, 7, "tile/0/x001/000.p/7"),
        (1_234_067, 256, "tile/0/x001/x234/067"),
    ],
)
def test_a_tile_has_the_path_of_the_specification(index: int, width: int, path: str) -> None:
    assert tile_path(0, index, width) == path
    assert tile_path(None, index, width) == path.replace("/0/", "/entries/", 1)
    assert parse_tile_path(path) == (0, index, width)
    assert parse_tile_path(path.replace("/0/", "/entries/", 1)) == (None, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/-01",
        "tile/0/٠٠١",
        "tile/entries/../../roadchain.db",
        "tile/data/000",
        "tile/0/" + "x001/" * 40 + "000",
    ],
)
def test_a_path_in_another_spelling_is_no_tile(path: str) -> None:
    with pytest.raises(NotFound):
        parse_tile_path(path)


async def test_a_log_of_600_entries_is_three_tiles_and_three_bundles(tmp_path: Path) -> None:
    tree = log(600)
    assert (await exported(tree, tmp_path)).written == 7
    found = files(tmp_path)
    assert list(found) == sorted(
        ["checkpoint", "vkey", "tile/1/000.p/2"]
        + [f"tile/{level}/{name}" for level in ("0", "entries") for name in ("000", "001", "002.p/88")]
    )
    assert found["tile/0/000"] == b"".join(tree.hashes[0][:256])
    assert found["tile/0/002.p/88"] == b"".join(tree.hashes[0][512:])
    assert found["tile/1/000.p/2"] == b"".join(tree.hashes[1])
    bundle = found["tile/entries/002.p/88"]
    assert bundle.startswith(b"\x00\x08leaf 512\x00\x08leaf 513")
    assert found["checkpoint"] == note(tree)
    assert found["vkey"].decode() == KEYS[0].text() + "\n"


async def test_a_second_export_writes_what_is_new_and_drops_what_a_full_tile_holds(tmp_path: Path) -> None:
    tree = log(300)
    await exported(tree, tmp_path)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in names(tmp_path) if name.startswith("tile")}
    assert (await exported(tree, tmp_path)).written == 0
    tree.append([b"more %d" % n for n in range(300)])
    tree.reads.clear()
    assert (await exported(tree, tmp_path)).written == 5
    assert "tile/0/001.p/44" not in names(tmp_path)
    assert (tmp_path / "tile/0/000").stat().st_mtime_ns == before["tile/0/000"]
    assert sum(tree.reads) < 256 * 4
    assert "tile/1/000.p/1" in names(tmp_path)


async def test_growing_step_by_step_makes_the_same_files_as_at_once(tmp_path: Path) -> None:
    tree, step, once = MemoryLog(), tmp_path / "step", tmp_path / "once"
    for count in (1, 254, 1, 1, 255, 256, 300):
        tree.append([b"leaf %d" % n for n in range(count)])
        await exported(tree, step)
    await exported(tree, once)
    assert files(once).items() <= files(step).items()
    assert all(".p/" in name for name in files(step).keys() - files(once).keys())


async def test_the_tiles_above_are_right_beyond_65536_entries(tmp_path: Path) -> None:
    """A tree of 70,000: the specification's own example of how many tiles there are."""
    tree = log(70_000)
    await exported(tree, tmp_path)
    found = files(tmp_path)
    assert len([name for name in found if name.startswith("tile/0/") and ".p" not in name]) == 273
    partial = {name: len(data) // 32 for name, data in found.items() if ".p/" in name and "entries" not in name}
    assert partial == {"tile/0/273.p/112": 112, "tile/1/001.p/17": 17, "tile/2/000.p/1": 1}
    assert grow(EMPTY_FRONTIER, chunks(found["tile/1/000"]))[0].root() == found["tile/2/000.p/1"]


async def test_each_file_of_an_export_is_what_is_read_under_its_path(tmp_path: Path) -> None:
    tree = log(66_000)
    await exported(tree, tmp_path)
    found = {name: data for name, data in files(tmp_path).items() if name.startswith("tile/")}
    assert {name: (await read_tile(tree, name, 66_000)).data for name in found} == found
    assert (await read_tile(tree, "tile/0/000.p/17", 66_000)).data == found["tile/0/000"][: 17 * 32]


@pytest.mark.parametrize(
    "path", ["tile/0/002.p/89", "tile/0/002", "tile/entries/003.p/1", "tile/1/000.p/3", "tile/2/000.p/1", "tile/63/000"]
)
async def test_a_tile_that_the_tree_does_not_fill_is_not_there(path: str) -> None:
    tree = log(600)
    with pytest.raises(NotFound):
        await read_tile(tree, path, 600)
    assert not tree.reads


async def test_a_tile_that_contradicts_itself_is_not_read() -> None:
    for damage, path in ((swap_leaf, "tile/0/000"), (swap_leaf, "tile/entries/000"), (lose_root, "tile/1/000.p/2")):
        tree = log(600)
        damage(tree)
        with pytest.raises(ChainBroken):
            await read_tile(tree, path, 600)


def chunks(data: bytes) -> list[bytes]:
    return [data[n : n + 32] for n in range(0, len(data), 32)]


async def test_an_existing_tile_with_other_bytes_is_never_overwritten(tmp_path: Path) -> None:
    tree = log(256)
    await exported(tree, tmp_path)
    (tmp_path / "checkpoint").unlink()
    damaged = b"x" * 8192
    (tmp_path / "tile/0/000").write_bytes(damaged)
    with pytest.raises(ChainBroken, match="another tile/0/000"):
        await exported(tree, tmp_path)
    assert (tmp_path / "tile/0/000").read_bytes() == damaged
    assert not (tmp_path / "checkpoint").exists()


async def test_a_folder_is_never_taken_back_nor_onto_another_history(tmp_path: Path) -> None:
    tree = log(300)
    await exported(tree, tmp_path)
    before = files(tmp_path)
    fork = MemoryLog([*tree.stored[:100], b"other", *tree.stored[101:]])
    with pytest.raises(ChainBroken):
        await exported(fork, tmp_path)
    fork.append([b"more"])
    with pytest.raises(ChainBroken):
        await exported(fork, tmp_path)
    with pytest.raises(ChainBroken):
        await exported(log(299), tmp_path)
    assert files(tmp_path) == before


async def test_a_store_that_contradicts_the_checkpoint_publishes_nothing(tmp_path: Path) -> None:
    for damage in (swap_leaf, swap_leaf_and_hash, swap_root, lose_leaf, lose_root):
        tree = log(600)
        signed = note(tree)
        damage(tree)
        with pytest.raises(ChainBroken):
            await export(tree, signed, KEYS, tmp_path / damage.__name__)
        assert not (tmp_path / damage.__name__ / "checkpoint").exists()


def swap_leaf(tree: MemoryLog) -> None:
    tree.stored[3] = b"other"


def swap_leaf_and_hash(tree: MemoryLog) -> None:
    tree.stored[3] = b"other"
    tree.hashes[0][3] = hashlib.sha256(b"\x00other").digest()


def swap_root(tree: MemoryLog) -> None:
    tree.hashes[1][0] = bytes(32)


def lose_leaf(tree: MemoryLog) -> None:
    tree.stored.pop()


def lose_root(tree: MemoryLog) -> None:
    tree.hashes[1].pop()


async def test_a_folder_of_another_ledger_is_left_alone(tmp_path: Path) -> None:
    other = Signer("carpool.local", b"t" * 32)
    tree = log(5)
    await export(tree, note(tree, other), [other.verifier()], tmp_path)
    before = files(tmp_path)
    with pytest.raises(ChainBroken):
        await exported(tree, tmp_path)
    assert files(tmp_path) == before
    with pytest.raises(HashMismatch):
        await export(tree, note(tree, other), KEYS, tmp_path / "new")


async def test_after_a_rotation_both_keys_are_named_and_the_folder_goes_on(tmp_path: Path) -> None:
    new = Signer("carpool.local", b"n" * 32)
    tree = log(5)
    await exported(tree, tmp_path)
    tree.append([b"more"])
    keys = [new.verifier(), SIGNER.verifier()]
    await export(tree, note(tree, new, SIGNER), keys, tmp_path)
    assert (tmp_path / "vkey").read_text().split() == [key.text() for key in keys]


@pytest.mark.parametrize("step", range(7))
async def test_a_failure_at_any_file_leaves_the_last_checkpoint_and_the_next_export_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Five tiles are linked, then the vkey and the checkpoint are replaced: each of the seven fails once."""
    folder, whole = tmp_path / "folder", tmp_path / "whole"
    tree = log(300)
    await exported(tree, folder)
    signed = (folder / "checkpoint").read_bytes()
    tree.append([b"more %d" % n for n in range(300)])
    left, real_link = step, os.link

    def fail_in_time() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    def link(source: Path, target: Path) -> None:
        fail_in_time()
        real_link(source, target)

    def replace(path: Path, content: bytes) -> None:
        fail_in_time()
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr("os.link", link)
        patch.setattr("ledger.tiles.replace_file", replace)
        with pytest.raises(OSError, match="No space"):
            await exported(tree, folder)
    assert (folder / "checkpoint").read_bytes() == signed
    assert not [name for name in names(folder) if "/." in name]
    await exported(tree, folder)
    await exported(tree, whole)
    assert files(whole).items() <= files(folder).items()
