"""Checkpoints and the notes that carry them: one spelling, and no bit of it may change."""

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoint import (
    Checkpoint,
    Cosigned,
    add_signatures,
    cosignatures,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.errors import HashMismatch
from ledger.note import (
    KeyKind,
    Signature,
    Signer,
    VerifierKey,
    cosigned_text,
    decode_decimal,
    log_key,
    parse_note,
    parse_signatures,
    parse_vkey,
    verified_by,
)

ORIGIN = "carpool.example/log"
OLD, NEW = Signer(ORIGIN, b"o" * 32), Signer(ORIGIN, b"n" * 32)
CHECKPOINT = Checkpoint(ORIGIN, 70_000, hashlib.sha256(b"root").digest())
WITNESS_SEED = b"w" * 32


def witness() -> VerifierKey:
    public = Ed25519PrivateKey.from_private_bytes(WITNESS_SEED).public_key().public_bytes_raw()
    return VerifierKey("witness.example", KeyKind.WITNESS, public)


def cosignature(text: str, time_s: int) -> Signature:
    value = Ed25519PrivateKey.from_private_bytes(WITNESS_SEED).sign(cosigned_text(text, time_s).encode())
    return Signature("witness.example", witness().key_id, time_s.to_bytes(8) + value)


def test_the_published_example_of_a_note_verifies() -> None:
    """From the documentation of Go's golang.org/x/mod/sumdb/note."""
    key = parse_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = parse_note(
        b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        b"\xe2\x80\x94 PeterNeumann "
        b"x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert verified_by(note, [key]) == (key,)


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    note = sign_checkpoint(CHECKPOINT, [OLD])
    lines = note.decode().split("\n")
    assert lines[:4] == [ORIGIN, "70000", base64.b64encode(CHECKPOINT.root).decode(), ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]
    assert open_checkpoint(note, [OLD.verifier()]) == CHECKPOINT
    assert parse_note(note).encode() == note


def test_both_keys_sign_during_a_rotation_and_either_verifies() -> None:
    note = sign_checkpoint(CHECKPOINT, [OLD, NEW])
    for keys in ([OLD.verifier()], [NEW.verifier()], [OLD.verifier(), NEW.verifier()]):
        assert open_checkpoint(note, keys) == CHECKPOINT
    assert verified_by(parse_note(note), [NEW.verifier(), OLD.verifier()]) == (OLD.verifier(), NEW.verifier())


def test_a_key_is_written_and_read_as_a_vkey() -> None:
    for key in (OLD.verifier(), witness()):
        assert parse_vkey(key.text()) == key
    assert log_key(ORIGIN, OLD.verifier().public_key) == OLD.verifier()


def test_each_bit_of_a_vkey_counts() -> None:
    text = OLD.verifier().text().encode()
    for changed in flips(text):
        try:
            key = parse_vkey(changed.decode())
        except (HashMismatch, UnicodeDecodeError):
            continue
        pytest.fail(f"{changed!r} was read as {key}")


def flips(data: bytes) -> list[bytes]:
    return [
        data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :] for bit in range(len(data) * 8)
    ]


def test_each_bit_of_a_checkpoint_counts() -> None:
    note = sign_checkpoint(CHECKPOINT, [OLD])
    key = OLD.verifier()
    for changed in flips(note):
        with pytest.raises(HashMismatch):
            open_checkpoint(changed, [key])


def test_a_checkpoint_that_was_cut_off_is_refused() -> None:
    note = sign_checkpoint(CHECKPOINT, [OLD])
    for length in range(len(note)):
        with pytest.raises(HashMismatch):
            open_checkpoint(note[:length], [OLD.verifier()])


def test_a_signature_of_an_unknown_key_is_left_aside_and_alone_is_not_enough() -> None:
    both = sign_checkpoint(CHECKPOINT, [OLD, NEW])
    damaged = both.replace(b"\n\xe2\x80\x94 carpool", b"\n\xe2\x80\x94 sarpool", 1)
    assert open_checkpoint(damaged, [NEW.verifier()]) == CHECKPOINT
    with pytest.raises(HashMismatch):
        open_checkpoint(sign_checkpoint(CHECKPOINT, [NEW]), [OLD.verifier()])
    with pytest.raises(HashMismatch):
        open_checkpoint(both, [])


def test_a_known_key_whose_signature_fails_refuses_the_whole_note() -> None:
    forged = sign_checkpoint(Checkpoint(ORIGIN, 1, bytes(32)), [OLD])
    note = add_signatures(sign_checkpoint(CHECKPOINT, [NEW]), parse_note(forged).signatures)
    assert open_checkpoint(note, [NEW.verifier()]) == CHECKPOINT
    with pytest.raises(HashMismatch):
        open_checkpoint(note, [OLD.verifier(), NEW.verifier()])


def test_a_checkpoint_of_another_log_is_refused() -> None:
    other = Signer("other.example", OLD.seed)
    text = Checkpoint(ORIGIN, 1, bytes(32)).text()
    signed = text + "\n" + other.sign(text).line()
    with pytest.raises(HashMismatch):
        open_checkpoint(signed.encode(), [other.verifier()])
    with pytest.raises(HashMismatch):
        sign_checkpoint(CHECKPOINT, [other])
    with pytest.raises(HashMismatch):
        sign_checkpoint(CHECKPOINT, [])


def test_a_witness_is_believed_for_the_time_that_it_signed() -> None:
    note = sign_checkpoint(CHECKPOINT, [OLD])
    line = cosignature(CHECKPOINT.text(), 1_764_000_000)
    cosigned = add_signatures(note, [line])
    assert cosignatures(cosigned, [witness()]) == (Cosigned("witness.example", 1_764_000_000),)
    assert cosignatures(note, [witness()]) == cosignatures(cosigned, [OLD.verifier()]) == ()
    assert open_checkpoint(cosigned, [OLD.verifier()]) == CHECKPOINT
    for changed in flips(line.value):
        with pytest.raises(HashMismatch):
            cosignatures(add_signatures(note, [Signature(line.name, line.key_id, changed)]), [witness()])


def test_a_later_cosignature_takes_the_place_of_the_earlier() -> None:
    note = sign_checkpoint(CHECKPOINT, [OLD])
    once = add_signatures(note, [cosignature(CHECKPOINT.text(), 1)])
    twice = add_signatures(once, [cosignature(CHECKPOINT.text(), 2)])
    assert cosignatures(twice, [witness()]) == (Cosigned("witness.example", 2),)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("70000", "070000"),
        lambda text: text.replace("70000", "+70000"),
        lambda text: text.replace("70000", "７0000"),
        lambda text: text.replace("70000", "70000 "),
        lambda text: text.replace("70000", ""),
        lambda text: text.replace("70000", str(2**63)),
        lambda text: text.replace("=\n", "\n"),
        lambda text: text.replace("=\n", "=\nextension\n"),
        lambda text: text.removeprefix(ORIGIN),
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
    ],
)
def test_a_checkpoint_has_one_spelling(change: Callable[[str], str]) -> None:
    text = CHECKPOINT.text()
    assert parse_checkpoint(text) == CHECKPOINT
    with pytest.raises(HashMismatch):
        parse_checkpoint(change(text))


def test_a_signature_line_has_one_spelling() -> None:
    line = OLD.sign(CHECKPOINT.text()).line()
    assert parse_signatures(line)[0].line() == line
    for changed in (
        line.rstrip("\n"),
        line.replace("— ", "—  "),
        line.replace("— ", "- "),
        line.replace("=\n", "\n"),
        line + "\n",
        line.replace("\n", " \n"),
        f"— {ORIGIN} AAAA\n",
        f"— a+b {line.split()[2]}\n",
        f"— a\u00a0b {line.split()[2]}\n",
        line * 33,
    ):
        with pytest.raises(HashMismatch):
            parse_signatures(changed)


def test_a_note_that_is_too_large_or_twice_signed_by_one_key_is_refused() -> None:
    note = sign_checkpoint(CHECKPOINT, [OLD])
    with pytest.raises(HashMismatch):
        open_checkpoint(note + OLD.sign(CHECKPOINT.text()).line().encode(), [OLD.verifier()])
    with pytest.raises(HashMismatch):
        parse_note(b"x" * 65_536 + b"\n\n" + note)


def test_a_decimal_is_read_as_it_is_written() -> None:
    assert [decode_decimal(text) for text in ("0", "10", str(2**63 - 1))] == [0, 10, 2**63 - 1]


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_a_note_cannot_carry_makes_no_key(name: str) -> None:
    with pytest.raises(HashMismatch):
        Signer(name, bytes(32))
    with pytest.raises(HashMismatch):
        log_key(name, bytes(32))
