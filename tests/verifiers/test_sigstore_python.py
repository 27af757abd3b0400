"""sigstore-python accepts each entry of the log by its checkpoint and inclusion proof, and refuses what is changed in them.

Its parts for Rekor's log are used as they are; a log's key is found by the first bytes of its id, as in a signed note.
"""

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint, verify_checkpoint
from sigstore._internal.trust import Keyring, RekorKeyring
from sigstore.errors import VerificationError
from sigstore.models import TransparencyLogEntry
from sigstore_models.common.v1 import LogId, PublicKey, PublicKeyDetails
from sigstore_models.rekor.v1 import Checkpoint, InclusionProof, KindVersion
from sigstore_models.rekor.v1 import TransparencyLogEntry as Inner

from ledger.errors import HashMismatch
from ledger.note import Signer, VerifierKey
from ledger.receipts import decode_receipt
from tests.fakes.small_ledger import ORIGIN
from tests.verifiers.big_log import BigLog
from tests.verifiers.paths import paths
from tests.verifiers.samples import Inclusion, Samples, flips, wrong_inclusions

Refusal = (VerificationError, ValueError)


def keyring(key: VerifierKey) -> RekorKeyring:
    der = Ed25519PublicKey.from_public_bytes(key.public_key).public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    known = PublicKey(raw_bytes=base64.b64encode(der), key_details=PublicKeyDetails.PKIX_ED25519)
    return RekorKeyring(Keyring([known]))


def entry(item: Inclusion, note: bytes, key: VerifierKey) -> TransparencyLogEntry:
    proof = InclusionProof.model_construct(
        log_index=item.index,
        root_hash=item.root,
        tree_size=item.size,
        hashes=list(item.path),
        checkpoint=Checkpoint.model_construct(envelope=note.decode()),
    )
    inner = Inner.model_construct(
        log_index=item.index,
        log_id=LogId.model_construct(key_id=key.key_id.ljust(32, b"\x00")),
        kind_version=KindVersion.model_construct(kind="entry", version="1"),
        integrated_time=0,
        inclusion_promise=None,
        inclusion_proof=proof,
        canonicalized_body=item.leaf,
    )
    return TransparencyLogEntry(inner)


def verify(item: Inclusion, note: bytes, key: VerifierKey, keys: RekorKeyring) -> None:
    """As a client of Rekor does: the checkpoint's signature and root, its size, and the path of the entry."""
    shown = entry(item, note, key)
    verify_checkpoint(keys, shown)
    if SignedCheckpoint.from_text(note.decode()).checkpoint.log_size != item.size:
        raise VerificationError("the checkpoint is of another size")
    verify_merkle_inclusion(shown)


def test_each_entry_is_accepted_by_the_path_that_the_tiles_give(log: BigLog) -> None:
    root, size = log.root, log.size
    verify_checkpoint(keyring(log.key), entry(Inclusion(b"", 0, size, root, ()), log.note, log.key))
    count = 0
    for index, path in enumerate(paths(log.folder, size)):
        verify_merkle_inclusion(entry(Inclusion(log.leaves[index], index, size, root, path), log.note, log.key))
        count += 1
    assert count == size


def test_the_programs_own_proofs_and_receipts_are_accepted(log: BigLog, samples: Samples) -> None:
    keys = keyring(log.key)
    for item in samples.inclusions:
        verify(item, log.note, log.key, keys)
    for data in samples.receipts:
        receipt = decode_receipt(data)
        item = Inclusion(receipt.leaf, receipt.index, log.size, log.root, receipt.path)
        verify(item, receipt.note, log.key, keys)


def test_each_change_of_a_proof_is_refused(log: BigLog, samples: Samples) -> None:
    keys = keyring(log.key)
    count = 0
    for item in wrong_inclusions(samples.deep, samples.inclusions[50]):
        shown = entry(item, log.note, log.key)
        with pytest.raises(Refusal):
            verify_merkle_inclusion(shown)
            verify(item, log.note, log.key, keys)
        count += 1
    assert count > 5_000


def test_each_bit_of_a_checkpoint_that_it_reads_counts(log: BigLog, samples: Samples) -> None:
    """It does not read the name before a signature, and takes base64 in more than one spelling. Our own parser does neither."""
    keys = keyring(log.key)
    accepted = []
    for bit, note in enumerate(flips(log.note)):
        try:
            verify(samples.deep, note, log.key, keys)
        except Refusal:
            continue
        accepted.append(bit)
    assert {log.note[bit // 8 : bit // 8 + 1] for bit in accepted if not in_name(log.note, bit)} <= {
        spare(log.note),
        b"=",
    }
    assert len(accepted) < len(log.note)


def test_each_bit_of_a_receipt_that_it_reads_counts(log: BigLog, samples: Samples) -> None:
    """A receipt is read by our own parser, which refuses what is in another spelling; sigstore says of the rest."""
    keys, data = keyring(log.key), samples.receipts[3]
    accepted, judged = [], 0
    for bit, changed in enumerate(flips(data)):
        try:
            receipt = decode_receipt(changed)
        except HashMismatch:
            continue
        judged += 1
        item = Inclusion(receipt.leaf, receipt.index, log.size, log.root, receipt.path)
        try:
            verify(item, receipt.note, log.key, keys)
        except Refusal:
            continue
        accepted.append(bit)
    assert judged > 3_000
    assert {data[bit // 8 : bit // 8 + 1] for bit in accepted if not in_name(data, bit)} <= {spare(data), b"="}
    assert len(accepted) < len(log.note)


def in_name(note: bytes, bit: int) -> bool:
    start = note.rindex(ORIGIN.encode())
    return start <= bit // 8 < start + len(ORIGIN)


def spare(note: bytes) -> bytes:
    end = note.index(b"=", note.rindex(b" "))
    return note[end - 1 : end]


def test_another_key_and_another_checkpoint_are_refused(log: BigLog, samples: Samples) -> None:
    for note in strangers(log):
        with pytest.raises(Refusal):
            verify(samples.deep, note, log.key, keyring(log.key))
    stranger = Signer(ORIGIN, b"t" * 32).verifier()
    with pytest.raises(Refusal):
        verify(samples.deep, log.note, log.key, keyring(stranger))
    older = replace(samples.deep, size=sorted(log.notes)[-2])
    with pytest.raises(Refusal):
        verify(older, log.notes[older.size], log.key, keyring(log.key))


def strangers(log: BigLog) -> Iterator[bytes]:
    text = log.checkpoint(log.size).text()
    yield f"{text}\n{Signer(ORIGIN, b't' * 32).sign(text).line()}".encode()
    older = log.notes[sorted(log.notes)[-2]]
    yield text.encode() + b"\n" + older[older.rindex("—".encode()) :]
