"""@sigstore/verify accepts each entry of the log, canonicalize agrees on its bytes, and both refuse what is changed."""

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from ledger.note import Signer
from ledger.receipts import WORDS
from tests.emulators import EMULATORS, node
from tests.fakes.small_ledger import ORIGIN
from tests.processes import kept_environment
from tests.verifiers.big_log import BigLog
from tests.verifiers.judging import ACCEPTED, Judge, project_folder
from tests.verifiers.samples import Inclusion, Samples, wrong_inclusions


@pytest.fixture(scope="session")
def judge(log: BigLog) -> Judge:
    program = project_folder() / "tests" / "verifiers" / "node" / "judge.mjs"
    command = (str(node()), str(program), str(EMULATORS), log.key.text(), str(log.folder))
    return Judge(command, kept_environment())


def record(item: Inclusion) -> dict[str, object]:
    return {"kind": "record", **asdict(item)}


def receipt(data: bytes) -> dict[str, object]:
    return {"kind": "receipt", "receipt": data, "words": WORDS}


def canonical(leaf: bytes) -> dict[str, object]:
    return {"kind": "canonical", "leaf": leaf}


def test_each_entry_is_accepted_and_in_its_canonical_form(judge: Judge, log: BigLog) -> None:
    assert judge.accepts([{"kind": "log", "note": log.note}]) == 1
    older = log.notes[sorted(log.notes)[-2]]
    assert (
        judge.refuses([{"kind": "log", "note": older}]) == 1
    )  # its last tile has become full: it is not in this folder


def test_the_programs_own_proofs_and_receipts_are_accepted(judge: Judge, samples: Samples) -> None:
    assert judge.accepts(map(record, samples.inclusions)) > 150
    assert judge.accepts(map(receipt, samples.receipts)) > 15


def test_each_change_of_a_proof_is_refused(judge: Judge, samples: Samples) -> None:
    assert judge.refuses(map(record, wrong_inclusions(samples.deep, samples.inclusions[50]))) > 5_000


def test_each_bit_of_a_checkpoint_that_it_reads_counts(judge: Judge, log: BigLog) -> None:
    bits = range(len(log.note) * 8)
    verdicts = judge.verdicts({"kind": "note", "note": log.note, "bit": bit} for bit in bits)
    assert accepted(verdicts, log.note) <= spelling(log.note)


def test_each_bit_of_a_receipt_that_it_reads_counts(judge: Judge, samples: Samples) -> None:
    data = samples.receipts[3]
    verdicts = judge.verdicts(receipt(data) | {"bit": bit} for bit in range(len(data) * 8))
    assert accepted(verdicts, data) <= spelling(data)
    assert judge.refuses(receipt(data[:length]) for length in range(len(data) - 3)) > 800


def accepted(verdicts: list[str], data: bytes) -> set[int]:
    """The places, in bytes from the end."""
    return {len(data) - bit // 8 for bit, verdict in enumerate(verdicts) if verdict == ACCEPTED}


def spelling(note: bytes) -> set[int]:
    """Where Node's base64 reads the same bytes in another spelling: the last letter of the signature, and the padding. Our own
    parser takes one spelling."""
    end = note.rindex(b"=")
    return {len(note) - place for place in (end - 1, end)}


def test_another_logs_key_and_another_checkpoint_are_refused(judge: Judge, log: BigLog) -> None:
    assert judge.refuses({"kind": "note", "note": note} for note in strangers(log)) == 3


def strangers(log: BigLog) -> Iterator[bytes]:
    text = log.checkpoint(log.size).text()
    yield f"{text}\n{Signer(ORIGIN, b't' * 32).sign(text).line()}".encode()
    yield f"{text}\n{Signer('other.example', b's' * 32).sign(text).line()}".encode()
    older = log.notes[sorted(log.notes)[-2]]
    yield text.encode() + b"\n" + older[older.rindex("—".encode()) :]


def test_another_spelling_of_an_entry_is_not_its_canonical_form(judge: Judge, log: BigLog) -> None:
    leaf = next(leaf for leaf in log.leaves if "größer".encode() in leaf)
    assert judge.accepts([canonical(leaf)]) == 1
    changes = (
        (b",", b", "),
        (b'"v":1', b'"v":1.0'),
        (b'"v":1', b'"v":1e0'),
        ("größer".encode(), b"gr\\u00f6\\u00dfer"),
        (b'"action":', b'"\\u0061ction":'),
        (b"}", b"}\n"),
        (b'"stripe":{}', b'"stripe": {}'),
        (b"{", b"\xef\xbb\xbf{"),
        ("ö".encode(), b"\xf6"),
    )
    assert all(old in leaf for old, _ in changes)
    assert judge.refuses(canonical(leaf.replace(old, new, 1)) for old, new in changes) == len(changes)
    end = leaf.rindex(b",")
    assert judge.refuses([canonical(b"{" + leaf[end + 1 : -1] + b"," + leaf[1:end] + b"}")]) == 1
