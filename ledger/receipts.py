"""Receipts: the proof that one entry stands in the log, to be verified offline with the log's public key alone.

A receipt is a C2SP tlog-proof, unchanged: any reader of that format finds its index, its path and its checkpoint. The entry
itself rides in the ``extra`` line, so that one file of some 1.4 KB is enough. The line is opaque to others, and is trusted for
nothing: what it holds has to hash to the leaf that the path proves.

To fit, the entry is written in ``shorthand``: an entry's bytes are JSON and hold no byte below 0x20, so that those bytes stand
for what each entry repeats. 0x01 and 32 bytes are 64 hex digits; 0x02 to 0x1f are the ``WORDS``. There is one shorthand of
each entry (the longest word first), and any other is refused. The words never change: old receipts are read by them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import decode_entry, leaf_hash
from ledger.errors import HashMismatch, InvalidEntry, NotFound
from ledger.merkle import HashReader, TileCache, inclusion_proof, verify_inclusion
from ledger.note import VerifierKey, decode_base64, decode_decimal, decode_hash, encode_base64

HEADER = "c2sp.org/tlog-proof@v1"
PATH_MAX = 63
RECEIPT_BYTES_MAX = 80 * 1024
"""A note's most, a path's most, and an entry's."""

WORDS = (
    b'{"action":"',
    b'","actor":"',
    b'","idem":"',
    b'","mono":',
    b',"payload":{"commitment":"',
    b'","length":',
    b'},"postings":[',
    b'],"prev":"ps-sha256:',
    b'","seq":',
    b',"stripe":{},"ts":',
    b',"turn":"t-',
    b'","v":1,"workspace":"w-',
    b'{"account":"',
    b'","amount":"',
    b',"idem":"',
    b',"mono":',
    b',"part":',
    b',"attempt":',
    b',"kind":"',
    b',"outcome":"',
    b'"answered"',
    b'"answer"',
    b"_tokens",
    b'":"',
    b'","',
    b'":',
    b',"',
    b"true",
    b"false",
    b"null",
)
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_WORD = re.compile(b"|".join(re.escape(word) for word in sorted(WORDS, key=len, reverse=True)))
_CODE = re.compile(rb"\x01[\x00-\xff]{32}|[\x02-\x1f]")
_CODES = {word: bytes([2 + code]) for code, word in enumerate(WORDS)}


@dataclass(frozen=True, slots=True)
class Receipt:
    """``path`` leads from the leaf's sibling up; ``note`` is the signed checkpoint, verbatim."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    note: bytes


async def make_receipt(
    reader: HashReader,
    leaf: bytes,
    index: int,
    note: bytes,
    keys: Sequence[VerifierKey],
    kept: TileCache | None = None,
) -> bytes:
    """The receipt of an entry that a signed checkpoint covers. Raises ``NotFound`` where it does not cover it yet."""
    checkpoint = open_checkpoint(note, keys)
    if index >= checkpoint.size:
        raise NotFound(f"entry {index} is not covered by the checkpoint of {checkpoint.size} entries")
    path = await inclusion_proof(reader, index, checkpoint.size, kept)
    verify_inclusion(leaf_hash(leaf), index, checkpoint.size, path, checkpoint.root)
    return encode_receipt(Receipt(leaf, index, path, note))


def encode_receipt(receipt: Receipt) -> bytes:
    lines = [
        HEADER,
        f"extra {encode_base64(shorten(receipt.leaf))}",
        f"index {receipt.index}",
        *(encode_base64(digest) for digest in receipt.path),
    ]
    return "".join(f"{line}\n" for line in (*lines, "")).encode() + receipt.note


def decode_receipt(data: bytes) -> Receipt:
    """The shape alone; nothing of it is verified. Raises ``HashMismatch`` for any but the one spelling."""
    if len(data) > RECEIPT_BYTES_MAX:
        raise HashMismatch(f"the receipt is larger than {RECEIPT_BYTES_MAX} bytes")
    head, blank, note = data.partition(b"\n\n")
    if not blank or not head.isascii():
        raise HashMismatch("not a receipt")
    lines = head.decode().split("\n")
    if len(lines) < 3 or lines[0] != HEADER:
        raise HashMismatch("not a receipt")
    if len(lines) > 3 + PATH_MAX:
        raise HashMismatch("the inclusion proof is too long")
    return Receipt(
        leaf=lengthen(decode_base64(_word_after("extra ", lines[1]))),
        index=decode_decimal(_word_after("index ", lines[2])),
        path=tuple(decode_hash(line) for line in lines[3:]),
        note=note,
    )


def verify_receipt(data: bytes, keys: Sequence[VerifierKey]) -> tuple[Receipt, Checkpoint]:
    """Offline. The entry stands at its index in the tree that one of the keys signed. Raises ``HashMismatch``."""
    receipt = decode_receipt(data)
    checkpoint = open_checkpoint(receipt.note, keys)
    verify_inclusion(leaf_hash(receipt.leaf), receipt.index, checkpoint.size, receipt.path, checkpoint.root)
    try:
        seq = decode_entry(receipt.leaf).seq
    except InvalidEntry as error:
        raise HashMismatch("the receipt's leaf is no entry") from error
    if seq != receipt.index:
        raise HashMismatch(f"the entry at {receipt.index} says that it is entry {seq}")
    return receipt, checkpoint


def shorten(leaf: bytes) -> bytes:
    """The shorthand of an entry's bytes. Raises ``HashMismatch`` where they hold a control character: no entry does."""
    if leaf.translate(None, bytes(range(32))) != leaf:
        raise HashMismatch("an entry has no control characters")
    # Words first: they hold no hex digest, and bytes of a digest must not be taken for a word.
    parts: list[bytes] = []
    end = 0
    for digest in _HEX.finditer(leaf):
        parts += (_WORD.sub(_code, leaf[end : digest.start()]), b"\x01", bytes.fromhex(digest[0].decode()))
        end = digest.end()
    return b"".join((*parts, _WORD.sub(_code, leaf[end:])))


def lengthen(data: bytes) -> bytes:
    """The entry's bytes again. Raises ``HashMismatch`` for what ``shorten`` would not have written."""
    leaf = _CODE.sub(_written_out, data)
    if shorten(leaf) != data:
        raise HashMismatch("the receipt's entry is not in its one shorthand")
    return leaf


def _code(word: re.Match[bytes]) -> bytes:
    return _CODES[word[0]]


def _written_out(code: re.Match[bytes]) -> bytes:
    return code[0][1:].hex().encode() if code[0][0] == 1 else WORDS[code[0][0] - 2]


def _word_after(label: str, line: str) -> str:
    if not line.startswith(label):
        raise HashMismatch(f"a line of the receipt does not begin with {label.strip()}")
    return line.removeprefix(label)
