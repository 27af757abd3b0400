"""Witnesses (C2SP tlog-witness): others who sign that this log only ever grew. Pure but for the transport, which is given.

A witness remembers the last size that it cosigned, and signs a larger one where a consistency proof leads there. That is what
stands between an operator who holds the key and another history: a witness never signs a second one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import ChainBroken, Code, HashMismatch, LedgerError
from ledger.merkle import HashReader, consistency_proof
from ledger.note import (
    Note,
    Signature,
    VerifierKey,
    cosigned_by,
    decode_decimal,
    encode_base64,
    parse_note,
    parse_signatures,
)

PROOF_MAX = 63
ATTEMPTS_MAX = 3
SIZE_TYPE = "text/x.tlog.size"
ANSWER_BYTES_MAX = 16 * 1024


class WitnessRefused(LedgerError):
    """It does not know this log, or not this key. It has to be told of them by whoever runs it."""

    code: ClassVar[Code] = Code.UNAUTHORISED


class WitnessUnavailable(Exception):
    """No answer, or none that the protocol knows. Worth another try later."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``media_type`` without parameters."""

    status: int
    media_type: str
    body: bytes


class Transport(Protocol):
    async def add_checkpoint(self, body: bytes) -> Reply:
        """POST it to ``add-checkpoint``. Raises ``WitnessUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class Conflict:
    """The witness cosigned this size last, and wants the proof from there."""

    size: int


def encode_request(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    if len(proof) > PROOF_MAX:
        raise HashMismatch(f"a consistency proof has {PROOF_MAX} hashes at the most")
    lines = [f"old {old_size}", *(encode_base64(digest) for digest in proof), ""]
    return "".join(f"{line}\n" for line in lines).encode() + note


def read_reply(reply: Reply, note: bytes, witnesses: Sequence[VerifierKey]) -> tuple[Signature, ...] | Conflict:
    """The cosignatures of the witnesses that are known here, verified; or the size that the witness has.

    Raises ``WitnessRefused``, ``WitnessUnavailable``, ``ChainBroken`` where it says that the log does not continue what it saw,
    and ``HashMismatch`` for an answer that is not what it should be.
    """
    match reply.status:
        case 200:
            return _read_cosignatures(reply.body, parse_note(note), witnesses)
        case 409 if reply.media_type == SIZE_TYPE:
            text = reply.body.decode("ascii", "replace")
            if not text.endswith("\n"):
                raise HashMismatch("the size that the witness names has no end")
            return Conflict(decode_decimal(text[:-1]))
        case 403:
            raise WitnessRefused("the witness does not trust the key of this log")
        case 404:
            raise WitnessRefused("the witness does not know this log")
        case 409:
            raise ChainBroken("the witness has seen another root of this size")
        case 422:
            raise ChainBroken("the witness finds that the log does not continue what it has seen")
        case _:
            raise WitnessUnavailable(f"the witness answered with status {reply.status}")


async def ask_witness(
    transport: Transport,
    reader: HashReader,
    note: bytes,
    keys: Sequence[VerifierKey],
    witnesses: Sequence[VerifierKey],
    old_size: int = 0,
) -> tuple[Signature, ...]:
    """Have a signed checkpoint cosigned; ``keys`` are the log's. Returns the verified lines: give them to ``Notary.add``.

    ``old_size`` is what the witness cosigned last, as far as is known; where that is not so it says so, and is asked again.
    Raises what ``read_reply`` raises, and ``ChainBroken`` where the witness has seen more of this log than there is.
    """
    checkpoint = open_checkpoint(note, keys)
    known = min(old_size, checkpoint.size)
    for _ in range(ATTEMPTS_MAX):
        proof = await consistency_proof(reader, known, checkpoint.size)
        answer = read_reply(await transport.add_checkpoint(encode_request(known, proof, note)), note, witnesses)
        if not isinstance(answer, Conflict):
            return answer
        _check_conflict(answer, known, checkpoint)
        known = answer.size
    raise WitnessUnavailable("the witness keeps naming another size")


def _check_conflict(conflict: Conflict, asked: int, checkpoint: Checkpoint) -> None:
    if conflict.size > checkpoint.size:
        raise ChainBroken(
            f"the witness has cosigned {conflict.size} entries of this log; it has {checkpoint.size}:"
            " it was put back to an older copy, or another process goes on with it"
        )
    if conflict.size == asked == checkpoint.size:
        raise ChainBroken(f"the witness has seen another root of {asked} entries")
    if conflict.size == asked:
        raise WitnessUnavailable("the witness names the size that it was given")


def _read_cosignatures(body: bytes, note: Note, witnesses: Sequence[VerifierKey]) -> tuple[Signature, ...]:
    if len(body) > ANSWER_BYTES_MAX:
        raise HashMismatch("the witness's answer is too long")
    try:
        lines = parse_signatures(body.decode())
    except UnicodeDecodeError as error:
        raise HashMismatch("the witness's answer is not UTF-8") from error
    # On a note of its own: what other witnesses signed before has no part in this answer.
    believed = {(key.name, key.key_id) for key, _ in cosigned_by(Note(note.text, lines), witnesses)}
    found = tuple(line for line in lines if (line.name, line.key_id) in believed)
    if not found:
        raise HashMismatch("no cosignature of a witness that is known here")
    return found
