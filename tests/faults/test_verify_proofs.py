"""The verifier finds each way in which an export or a receipt can be other than it was made."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import receipts, verify
from ledger.actions import LedgerCreated
from ledger.entry import Entry
from ledger.note import Signer
from ledger.pseudonyms import TurnId
from ledger.receipts import make_receipt
from ledger.tiles import encode_bundle, export
from ledger.verify import Incomplete, NotALedger, NotVerified, read_key, verify_folder, verify_receipt
from tests.fakes.memory_log import MemoryLog
from tests.fakes.small_ledger import ORIGIN, SIGNER, VKEY, chained, entries, signed, small_ledger

KEY = read_key(VKEY)
VERIFY = Path(verify.__file__)


async def folder_of(log: MemoryLog, folder: Path, *signers: Signer) -> Path:
    keys = [signer.verifier() for signer in signers or (SIGNER,)]
    await export(log, signed(log, *signers), keys, folder)
    return folder


async def receipt_of(log: MemoryLog, index: int) -> bytes:
    return await make_receipt(log, log.stored[index], index, signed(log), [SIGNER.verifier()])


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 600])
async def test_a_whole_export_is_verified(tmp_path: Path, size: int) -> None:
    log = small_ledger(size)
    verified = verify_folder(await folder_of(log, tmp_path), [KEY])
    assert (verified.checkpoint.size, verified.checkpoint.root) == (size, log.edge.root())
    assert verified.head == f"ps-sha256:{log.hashes[0][-1].hex()}"


async def test_an_export_of_more_than_two_levels_is_verified(tmp_path: Path) -> None:
    """65,536 + 256 + 1: a full tile at level 1, partial ones at 0, 1 and 2."""
    log = small_ledger(65_793)
    folder = await folder_of(log, tmp_path)
    assert verify_folder(folder, [KEY]).checkpoint.root == log.edge.root()
    for name in ("tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1", "tile/0/256", "tile/entries/257.p/1"):
        path = folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(NotVerified):
            verify_folder(folder, [KEY])
        path.write_bytes(whole)


async def test_an_older_checkpoint_is_verified_from_the_full_tiles_of_a_newer_export(tmp_path: Path) -> None:
    log = small_ledger(200)
    older = (await folder_of(log, tmp_path) / "checkpoint").read_bytes()
    log.append(small_ledger(600).stored[200:])
    await folder_of(log, tmp_path)
    (tmp_path / "checkpoint").write_bytes(older)
    assert verify_folder(tmp_path, [KEY]).checkpoint.size == 200


async def test_each_bit_of_an_export_counts(tmp_path: Path) -> None:
    folder = await folder_of(small_ledger(3), tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "vkey"]
    assert len(files) == 3
    for path in files:
        whole = path.read_bytes()
        for bit in range(len(whole) * 8):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            with pytest.raises(NotVerified):
                verify_folder(folder, [KEY])
        path.write_bytes(whole)
    assert verify_folder(folder, [KEY]).checkpoint.size == 3


async def test_a_file_cut_off_or_lengthened_at_any_byte_is_refused(tmp_path: Path) -> None:
    folder = await folder_of(small_ledger(3), tmp_path)
    for path in [path for path in folder.rglob("*") if path.is_file() and path.name != "vkey"]:
        whole = path.read_bytes()
        for changed in (*(whole[:length] for length in range(len(whole))), whole + b"\n", whole + whole):
            path.write_bytes(changed)
            with pytest.raises(NotVerified):
                verify_folder(folder, [KEY])
        path.write_bytes(whole)


async def test_a_missing_file_is_incomplete(tmp_path: Path) -> None:
    folder = await folder_of(small_ledger(300), tmp_path)
    for path in [path for path in folder.rglob("*") if path.is_file() and path.name != "vkey"]:
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(Incomplete, match=path.name):
            verify_folder(folder, [KEY])
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        (lambda leaves: [*leaves[:3], leaves[4], leaves[3], *leaves[5:]], 3),
        (lambda leaves: [*leaves[:3], *leaves[4:], leaves[3]], 3),
        (lambda leaves: [*leaves[:3], leaves[3].replace(b"1234", b"1235"), *leaves[4:]], 3),
        (lambda leaves: [*leaves[:3], leaves[3].replace(b",", b", ", 1), *leaves[4:]], 3),
        (lambda leaves: [*leaves[:3], leaves[2], *leaves[4:]], 3),
    ],
)
async def test_entries_that_were_swapped_or_edited_in_a_bundle_are_found(
    tmp_path: Path, change: Callable[[Sequence[bytes]], Sequence[bytes]], seq: int
) -> None:
    log = small_ledger(9)
    folder = await folder_of(log, tmp_path)
    (folder / "tile/entries/000.p/9").write_bytes(encode_bundle(change(log.stored)))
    with pytest.raises(NotVerified) as caught:
        verify_folder(folder, [KEY])
    assert caught.value.seq == seq


@pytest.mark.parametrize(
    ("change", "code", "seq"),
    [
        (lambda made: made[5:6] + made[1:], "RC011", 0),
        (lambda made: [replace(made[0], action=LedgerCreated("other", "a", "b")), *made[1:]], "RC011", 0),
        (lambda made: [*made[:5], replace(made[5], seq=6), *made[6:]], "RC011", 5),
        (lambda made: [*made[:5], replace(made[5], mono=1), *made[6:]], "RC011", 5),
        (lambda made: [*made[:5], replace(made[5], idem=made[2].idem), *made[6:]], "RC011", 5),
        (lambda made: [*made[:5], replace(made[5], action=made[0].action), *made[6:]], "RC011", 5),
        (lambda made: [*made[:300], replace(made[300], idem=made[2].idem), *made[301:]], "RC011", 300),
        (lambda made: [*made[:300], replace(made[300], mono=1), *made[301:]], "RC011", 300),
    ],
)
async def test_what_the_log_itself_signed_is_still_checked_entry_by_entry(
    tmp_path: Path, change: Callable[[list[Entry]], list[Entry]], code: str, seq: int
) -> None:
    """A program that signs nonsense: every hash and signature fits."""
    folder = await folder_of(MemoryLog(chained(change(entries(310)))), tmp_path)
    with pytest.raises(NotVerified) as caught:
        verify_folder(folder, [KEY])
    assert (caught.value.code, caught.value.seq) == (code, seq)


async def test_a_signed_chain_with_a_broken_link_is_found(tmp_path: Path) -> None:
    leaves = chained(entries(300))
    other = chained([replace(entry, ts=1) for entry in entries(300)])
    folder = await folder_of(MemoryLog([*leaves[:280], *other[280:]]), tmp_path)
    with pytest.raises(NotVerified, match="does not follow") as caught:
        verify_folder(folder, [KEY])
    assert caught.value.seq == 280


@pytest.mark.parametrize(
    "leaf", [b"", b"{}", b"[]", b"x", b'{"action":1.5}', b'{"a":' * 400 + b"1" + b"}" * 400, b"[" * 4000]
)
async def test_signed_bytes_that_are_no_entry_are_found(tmp_path: Path, leaf: bytes) -> None:
    folder = await folder_of(MemoryLog([*chained(entries(2)), leaf]), tmp_path)
    with pytest.raises(NotVerified) as caught:
        verify_folder(folder, [KEY])
    assert caught.value.seq == 2


async def test_another_fields_kind_or_spelling_is_found_after_its_shape_was_learnt(tmp_path: Path) -> None:
    """The patterns that the first entries teach match nothing but canonical bytes."""
    leaves = chained(entries(30))
    last = leaves[-1]
    for old, new in (
        (b'"seq":29', b'"seq":029'),
        (b'"seq":29', b'"seq":2.9e1'),
        (b'"seq":29', b'"seq":"29"'),
        (b'"v":1', b'"v":-0'),
        (b'"v":1', b'"v":9007199254740992'),
        (b'"v":1', b'"v":true'),
        (b'"turn":"t-', b'"turn":"\\u0074-'),
        (b'"turn":"t-', b'"turn":"t\x7f\xff-'),
        (b'"turn":"t-', b'"turn":"t\n'),
        (b',"v":1', b""),
        (b',"v":1', b',"v":1,"v":1'),
        (b',"payload":null', b',"payload":{}'),
        (b'"postings":[]', b'"postings":[1.0]'),
        (b"}", b"} "),
    ):
        assert old in last
        folder = tmp_path / f"{old.hex()}-{new.hex()}"
        await folder_of(MemoryLog([*leaves[:-1], last.replace(old, new, 1)]), folder)
        with pytest.raises(NotVerified) as caught:
            verify_folder(folder, [KEY])
        assert (caught.value.code, caught.value.seq) == ("RC004", 29)


async def test_canonical_entries_beyond_plain_text_are_verified(tmp_path: Path) -> None:
    made = entries(3)
    for turn in ("ü", '"quoted" \\ ', "\x01\n", "\u2028", "😀"):
        changed = [*made[:2], replace(made[2], turn=TurnId(turn))]
        folder = tmp_path / turn.encode().hex()
        assert verify_folder(await folder_of(MemoryLog(chained(changed)), folder), [KEY]).checkpoint.size == 3


async def test_only_the_key_that_was_given_is_believed(tmp_path: Path) -> None:
    other = Signer(ORIGIN, b"t" * 32)
    log = small_ledger(3)
    folder = await folder_of(log, tmp_path / "one")
    with pytest.raises(NotVerified, match="not signed by the key"):
        verify_folder(folder, [read_key(other.verifier().text())])
    with pytest.raises(NotVerified):
        verify_receipt(await receipt_of(log, 1), [read_key(other.verifier().text())])
    both = await folder_of(log, tmp_path / "both", SIGNER, other)
    for signer in (SIGNER, other):
        assert verify_folder(both, [read_key(signer.verifier().text())]).checkpoint.size == 3


@pytest.mark.parametrize("text", ["", "a+b", VKEY[:-1], VKEY.replace("carpool", "darpool"), VKEY + "+", "+" + VKEY])
def test_what_is_no_key_is_usage(text: str) -> None:
    with pytest.raises(NotALedger):
        read_key(text)


@pytest.mark.parametrize("size", [1, 2, 7, 300])
async def test_receipts_are_verified(size: int) -> None:
    log = small_ledger(size)
    for index in range(size):
        verified = verify_receipt(await receipt_of(log, index), [KEY])
        assert (verified.seq, verified.leaf) == (index, log.stored[index])
        assert verified.checkpoint.root == log.edge.root()
        assert verified.hash == f"ps-sha256:{log.hashes[0][index].hex()}"


async def test_each_bit_of_a_receipt_counts() -> None:
    data = await receipt_of(small_ledger(7), 4)
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotVerified):
            verify_receipt(bytes(changed), [KEY])
    for length in range(len(data)):
        with pytest.raises(NotVerified):
            verify_receipt(data[:length], [KEY])


def test_the_verifier_reads_the_writers_shorthand() -> None:
    assert verify.WORDS == receipts.WORDS


def run(*arguments: str | Path) -> tuple[int, str]:
    """As a person would who has that one file: ``-I`` keeps the rest of the program out of reach."""
    done = subprocess.run(
        [sys.executable, "-I", str(VERIFY), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def text(digest: bytes) -> str:
    return f"ps-sha256:{digest.hex()}"


async def test_the_command_says_what_it_found_and_exits_by_it(tmp_path: Path) -> None:
    log = small_ledger(300)
    folder = await folder_of(log, tmp_path / "folder")
    receipt = tmp_path / "answer.tlog-proof"
    receipt.write_bytes(await receipt_of(log, 299))
    code, said = run("--dir", folder, "--key", VKEY)
    assert (code, said) == (0, f"verified: 300 entries, end {text(log.hashes[0][-1])}, signed by carpool.local\n")
    code, said = run("--receipt", receipt, "--key", folder / "vkey")
    assert (code, said.split("\n")[0]) == (
        0,
        f"verified: entry 299 of 300, {text(log.hashes[0][-1])}, signed by carpool.local",
    )
    assert said.split("\n")[1].encode() == log.stored[299]
    (folder / "tile/0/000").write_bytes(bytes(8192))
    code, said = run("--dir", folder, "--key", VKEY)
    assert (code, said) == (1, "NOT VERIFIED: RC004: entry 0: the hash is not that of the entry's bytes\n")
    (folder / "tile/0/000").unlink()
    code, said = run("--dir", folder, "--key", VKEY)
    assert code == 3
    assert said.startswith("incomplete: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dir", "."),
        ("--dir",),
        ("--receipt", "x"),
        ("--receipt", "x", "--key"),
        ("--key", VKEY),
        ("--db", "x", "--key", VKEY),
        ("--dir", ".", "--receipt", "x", "--key", VKEY),
        ("--dir", "/nowhere", "--key", VKEY),
        ("--receipt", "/nowhere", "--key", VKEY),
        ("--receipt", "x", "--key", "no key"),
        ("--what", "x"),
    ],
)
def test_what_is_asked_wrongly_is_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err
