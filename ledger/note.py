"""Signed notes (C2SP signed-note): a text and signature lines under it, and the keys that make and check them.

Two kinds of key sign here: a log's own (Ed25519 over the text), and a witness's (C2SP tlog-cosignature v1: Ed25519 over the
text and the time at which it was seen). The parser accepts one spelling of each note, key and number, so that what was
signed and what was read are the same bytes.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from ledger.errors import HashMismatch

NOTE_BYTES_MAX = 64 * 1024
SIGNATURES_MAX = 32
KEY_BYTES = 32
SIGNATURE_BYTES = 64
_DASH = "— "


class KeyKind(IntEnum):
    """The signature type byte of signed-note."""

    LOG = 1
    WITNESS = 4


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half. A log's key has the log's origin as its name."""

    name: str
    kind: KeyKind
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    def text(self) -> str:
        """The vkey: ``name+hex of the key id+base64 of kind and key``."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public_key)}"


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.value)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """``text`` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return (self.text + "\n" + "".join(signature.line() for signature in self.signatures)).encode()


@dataclass(frozen=True, slots=True)
class Signer:
    """A log's key. ``seed`` is that of RFC 8032, 32 bytes."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name)

    def verifier(self) -> VerifierKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # 0.1 s to import

        return VerifierKey(
            self.name,
            KeyKind.LOG,
            Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw(),
        )

    def sign(self, text: str) -> Signature:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        value = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return Signature(self.name, self.verifier().key_id, value)


def log_key(name: str, public_key: bytes) -> VerifierKey:
    """The key of a log by the public half that its genesis entry names."""
    _check_name(name)
    if len(public_key) != KEY_BYTES:
        raise HashMismatch(f"a public key has {KEY_BYTES} bytes, not {len(public_key)}")
    return VerifierKey(name, KeyKind.LOG, public_key)


def parse_vkey(text: str) -> VerifierKey:
    """Raises ``HashMismatch`` for any but the one spelling of a key of a kind that is known here."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    _check_name(name)
    material = decode_base64(encoded)
    if len(material) != 1 + KEY_BYTES or material[0] not in tuple(KeyKind):
        raise HashMismatch("not a verifier key of a kind that is known")
    key = VerifierKey(name, KeyKind(material[0]), material[1:])
    if key.key_id.hex() != key_id:
        raise HashMismatch("the id of the verifier key is not that of its name and bytes")
    return key


def parse_note(data: bytes) -> Note:
    """The shape alone: nothing of it counts before a signature was verified. Raises ``HashMismatch``."""
    if len(data) > NOTE_BYTES_MAX:
        raise HashMismatch(f"the note is larger than {NOTE_BYTES_MAX} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise HashMismatch("the note is not UTF-8") from error
    if any(letter < " " and letter != "\n" for letter in whole):
        raise HashMismatch("the note has control characters")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank:
        raise HashMismatch("the note has no signatures")
    return Note(text + "\n", parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """One or more signature lines, each ended by a newline. Raises ``HashMismatch``."""
    if not lines.endswith("\n"):
        raise HashMismatch("the last signature line has no end")
    found = lines[:-1].split("\n")
    if len(found) > SIGNATURES_MAX:
        raise HashMismatch(f"more than {SIGNATURES_MAX} signatures")
    return tuple(_parse_signature(line) for line in found)


def sign_note(text: str, signers: Iterable[Signer]) -> Note:
    return Note(text, tuple(signer.sign(text) for signer in signers))


def verified_by(note: Note, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Which of the log keys signed the text. A line of no such key is left aside; one that fails refuses the note."""
    return tuple(key for key, _ in _verified(note, keys, KeyKind.LOG))


def cosigned_by(note: Note, keys: Sequence[VerifierKey]) -> tuple[tuple[VerifierKey, int], ...]:
    """Which of the witness keys cosigned the text, and when (seconds since 1970). As ``verified_by``."""
    return tuple(
        (key, int.from_bytes(signature.value[:8])) for key, signature in _verified(note, keys, KeyKind.WITNESS)
    )


def cosigned_text(text: str, time_s: int) -> str:
    """What a witness signs: tlog-cosignature v1."""
    return f"cosignature/v1\ntime {time_s}\n{text}"


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decode_base64(text: str) -> bytes:
    """RFC 4648, 4, and no other spelling of the same bytes. Raises ``HashMismatch``."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HashMismatch("not base64") from error
    if encode_base64(data) != text:
        raise HashMismatch("base64 in another spelling than the usual one")
    return data


def decode_hash(text: str) -> bytes:
    data = decode_base64(text)
    if len(data) != hashlib.sha256().digest_size:
        raise HashMismatch(f"a hash has {len(data)} bytes")
    return data


def decode_decimal(text: str) -> int:
    """ASCII, no sign, no leading zeroes, below 2^63. Raises ``HashMismatch``."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (text[0] == "0" and text != "0"):
        raise HashMismatch("not a decimal number in its one spelling")
    number = int(text)
    if number >= 2**63:
        raise HashMismatch("a number of 2^63 or more")
    return number


def _verified(note: Note, keys: Sequence[VerifierKey], kind: KeyKind) -> list[tuple[VerifierKey, Signature]]:
    known = {(key.name, key.key_id): key for key in keys if key.kind is kind}
    found: dict[tuple[str, bytes], tuple[VerifierKey, Signature]] = {}
    for signature in note.signatures:
        identity = (signature.name, signature.key_id)
        key = known.get(identity)
        if key is None:
            continue
        if identity in found:
            raise HashMismatch(f"{key.name} signed twice")
        _check_signature(key, signature.value, note.text)
        found[identity] = key, signature
    return list(found.values())


def _check_signature(key: VerifierKey, value: bytes, text: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if key.kind is KeyKind.WITNESS:
        time_s, value = int.from_bytes(value[:8]), value[8:]
        text = cosigned_text(text, time_s)
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(value, text.encode())
    except (InvalidSignature, ValueError) as error:
        raise HashMismatch(f"the signature of {key.name} does not verify") from error


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise HashMismatch("not a signature line")
    _check_name(name)
    data = decode_base64(encoded)
    if len(data) <= 4:
        raise HashMismatch("a signature line without a signature")
    return Signature(name, data[:4], data[4:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(letter.isspace() or letter < " " for letter in name):
        raise HashMismatch("the name of a key is not empty and has no space and no plus")
