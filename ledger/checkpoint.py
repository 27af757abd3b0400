"""Checkpoints (C2SP tlog-checkpoint): the size and the root of the tree at one moment, signed by the log.

``origin``, ``size`` and ``base64(root)``, one a line, in a signed note. During a rotation two keys sign each of them, so that
whoever holds either can verify it; witnesses add their lines below. Extension lines are refused: this log writes none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.errors import HashMismatch
from ledger.note import (
    Note,
    Signature,
    Signer,
    VerifierKey,
    cosigned_by,
    decode_decimal,
    decode_hash,
    encode_base64,
    parse_note,
    sign_note,
    verified_by,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness says that, at ``time_s`` (seconds since 1970), it had seen no other history of this log."""

    witness: str
    time_s: int


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> bytes:
    """The note, with one signature line for each signer, in their order. Each bears the origin as its name."""
    if not signers or any(signer.name != checkpoint.origin for signer in signers):
        raise HashMismatch(f"a checkpoint of {checkpoint.origin} is signed by keys of this name")
    return sign_note(checkpoint.text(), signers).encode()


def parse_checkpoint(text: str) -> Checkpoint:
    """The note's text. Raises ``HashMismatch``."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise HashMismatch("a checkpoint has three lines")
    return Checkpoint(lines[0], decode_decimal(lines[1]), decode_hash(lines[2]))


def open_checkpoint(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Believe a checkpoint: at least one of the log keys signed it, and the log is the one they are named for.

    Lines of unknown keys are left aside, as signed-note asks. Raises ``HashMismatch``.
    """
    parsed = parse_note(note)
    signed = verified_by(parsed, keys)
    if not signed:
        raise HashMismatch("no signature of a key that is trusted here")
    checkpoint = parse_checkpoint(parsed.text)
    if any(key.name != checkpoint.origin for key in signed):
        raise HashMismatch("the checkpoint is one of another log than its key")
    return checkpoint


def cosignatures(note: bytes, witnesses: Sequence[VerifierKey]) -> tuple[Cosigned, ...]:
    """Which of these witnesses stand behind it. Raises ``HashMismatch`` where the line of one of them does not verify."""
    return tuple(Cosigned(key.name, time_s) for key, time_s in cosigned_by(parse_note(note), witnesses))


def add_signatures(note: bytes, signatures: Iterable[Signature]) -> bytes:
    """The note with more lines. One that a key has there already is replaced: a witness's later time."""
    parsed = parse_note(note)
    lines = {(line.name, line.key_id): line for line in (*parsed.signatures, *signatures)}
    return Note(parsed.text, tuple(lines.values())).encode()
