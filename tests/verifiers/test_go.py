"""Go's checksum database code (golang.org/x/mod/sumdb) accepts all of the log, and refuses what is changed in it."""

import base64
import random
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import pytest

from ledger.note import Signer
from ledger.receipts import WORDS
from tests.fakes.small_ledger import ORIGIN
from tests.processes import kept_environment
from tests.verifiers.big_log import BigLog
from tests.verifiers.judging import ACCEPTED, Judge, project_folder
from tests.verifiers.samples import Growth, Inclusion, Samples, flipped, wrong_growths, wrong_inclusions

NOTHING: Mapping[str, bytes] = {}


@pytest.fixture(scope="session")
def go(log: BigLog, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    program = tmp_path_factory.mktemp("go") / "judge"
    environment = {
        **kept_environment(),
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOFLAGS": "-buildvcs=false",
        "GOCACHE": str(project_folder() / ".emulators" / "go-cache"),
    }
    source = project_folder() / "tests" / "verifiers" / "go"
    subprocess.run(["go", "build", "-o", str(program)], cwd=source, env=environment, check=True, timeout=100)
    return Judge((str(program), log.key.text(), str(log.folder)), environment)


def bundles(log: BigLog, first: int, count: int = 1, overlay: Mapping[str, bytes] = NOTHING) -> dict[str, object]:
    """``overlay``: what stands in some of the folder's files instead."""
    return {"kind": "bundles", "note": log.note, "first": first, "count": count, "overlay": overlay}


def record(item: Inclusion) -> dict[str, object]:
    return {"kind": "record", **asdict(item)}


def tree(item: Growth) -> dict[str, object]:
    return {"kind": "tree", **asdict(item)}


def receipt(data: bytes) -> dict[str, object]:
    return {"kind": "receipt", "receipt": data, "words": WORDS}


def test_all_entries_and_tiles_are_accepted(go: Judge, log: BigLog) -> None:
    count = -(-log.size // 256)
    assert go.accepts(bundles(log, n) for n in range(count)) == count
    assert go.refuses([bundles(log, count)]) == 1


def test_an_older_checkpoint_is_accepted_from_the_same_folder(go: Judge, log: BigLog) -> None:
    """Its last tiles have become full since: of one that was never exported, those that are not full yet were never written."""
    older = sorted(size for size in log.notes if size < log.size and _are_full(size, log.size))
    assert len(older) > 5
    assert go.accepts(bundles(log, 0, -(-size // 256)) | {"note": log.notes[size]} for size in older) == len(older)


def _are_full(size: int, now: int) -> bool:
    """Whether each tile that a log of ``size`` ends with is full, or just so long, in one of ``now``. A tile has 256 hashes."""
    widths = [(size >> 8 * level, now >> 8 * level) for level in range(3)]
    return all(then % 256 == 0 or then == since or then >> 8 < since >> 8 for then, since in widths)


def test_proofs_and_receipts_are_accepted(go: Judge, samples: Samples) -> None:
    assert go.accepts(map(record, samples.inclusions)) > 150
    assert go.accepts(map(tree, samples.growths)) > 30
    assert go.accepts(map(receipt, samples.receipts)) > 15


def test_a_bit_of_a_leaf_or_a_tile_is_refused(go: Judge, log: BigLog) -> None:
    """Of each kind of tile, with a step that leaves none of its hashes out; of bundles, one in each 400 bytes.

    Two bundles: an entry's own path does not go through the hash that the tile above has of its tile, its neighbour's does.
    """
    last, rest = divmod(log.size, 256)
    chosen = random.Random(1)
    cases = [
        bundles(log, under, 2 if under + 1 < last else 1)
        | {"flip": {"name": name, "bit": min(start + chosen.randrange(every), bits - 1)}}
        for name, under, every in (
            (f"tile/0/{last}.p/{rest}", last, 16),
            ("tile/0/007", 7, 32),
            ("tile/1/000", 7, 64),
            (f"tile/1/001.p/{last % 256}", 256, 4),
            ("tile/2/000.p/1", last, 1),
            (f"tile/entries/{last}.p/{rest}", last, 3200),
            ("tile/entries/000", 0, 3200),
            ("tile/entries/255", 255, 3200),
        )
        for bits in ((log.folder / name).stat().st_size * 8,)
        for start in range(0, bits, every)
    ]
    assert go.refuses(cases) == len(cases)
    assert len(cases) > 5_000


def test_swapped_missing_and_repeated_entries_are_refused(go: Judge, log: BigLog) -> None:
    leaves, entries, tile = list(log.leaves[256:512]), "tile/entries/001", "tile/0/001"
    swapped = bundle([leaves[1], leaves[0], *leaves[2:]])
    assert go.accepts([bundles(log, 1, 1, {entries: bundle(leaves)})]) == 1
    shorter, longer, repeated = leaves[:-1], [*leaves, leaves[-1]], [*leaves[:-1], leaves[-2]]
    changes = [swapped, bundle(shorter), bundle(longer), bundle(repeated)]
    assert go.refuses(bundles(log, 1, 1, {entries: changed}) for changed in changes) == 4
    hashes = (log.folder / tile).read_bytes()
    assert go.refuses([bundles(log, 1, 1, {entries: swapped, tile: hashes[32:64] + hashes[:32] + hashes[64:]})]) == 1
    neighbour = {name: (log.folder / name.replace("001", "002")).read_bytes() for name in (entries, tile)}
    assert go.refuses([bundles(log, 1, 1, neighbour)]) == 1


def bundle(leaves: list[bytes]) -> bytes:
    return b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves)


def test_each_change_of_an_inclusion_proof_is_refused(go: Judge, samples: Samples) -> None:
    assert go.refuses(map(record, wrong_inclusions(samples.deep, samples.inclusions[50]))) > 5_000


def test_each_change_of_a_consistency_proof_is_refused(go: Judge, samples: Samples) -> None:
    for good in (samples.growths[-1], samples.growths[len(samples.growths) // 2]):
        assert go.refuses(map(tree, wrong_growths(good, samples.growths[0]))) > 1_000


def test_each_bit_of_a_checkpoint_counts(go: Judge, log: BigLog) -> None:
    verdicts = go.verdicts(
        {"kind": "note", "note": log.note, "flip": {"name": "note", "bit": bit}} for bit in range(len(log.note) * 8)
    )
    assert accepted(verdicts) == spare_bits(log.note)


def test_each_bit_of_a_receipt_counts(go: Judge, samples: Samples) -> None:
    data = samples.receipts[3]
    bits = range(len(data) * 8)
    verdicts = go.verdicts(receipt(data) | {"flip": {"name": "receipt", "bit": bit}} for bit in bits)
    assert accepted(verdicts) == spare_bits(data)
    assert go.refuses(receipt(data[:length]) for length in range(len(data))) == len(data)


def accepted(verdicts: list[str]) -> list[int]:
    return [bit for bit, verdict in enumerate(verdicts) if verdict == ACCEPTED]


def spare_bits(note: bytes) -> list[int]:
    """Go's base64 leaves aside what is over in a signature's last letter: the same bytes in another spelling, which our own
    parser refuses. Which flips of that letter give the same bytes is asked of another decoder."""
    end = note.index(b"=", note.rindex(b" "))
    value = note[note.rindex(b" ") + 1 : end + 1]
    return [
        (end - 1) * 8 + bit for bit in range(8) if decodes(flipped(value, (len(value) - 2) * 8 + bit)) == decodes(value)
    ]


def decodes(value: bytes) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def test_another_logs_key_and_another_checkpoint_are_refused(go: Judge, log: BigLog) -> None:
    assert go.refuses({"kind": "note", "note": note} for note in strangers(log)) == 3


def strangers(log: BigLog) -> Iterator[bytes]:
    text = log.checkpoint(log.size).text()
    yield f"{text}\n{Signer(ORIGIN, b't' * 32).sign(text).line()}".encode()
    yield f"{text}\n{Signer('other.example', b's' * 32).sign(text).line()}".encode()
    older = log.notes[sorted(log.notes)[-2]]
    yield text.encode() + b"\n" + older[older.rindex("—".encode()) :]
