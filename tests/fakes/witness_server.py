"""A strict witness (C2SP tlog-witness) in this process, for one log. It shares no code with the writer and the client."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.verify import Key, NotVerified, SignedRoot, _open_checkpoint, read_key
from tests.fakes.serving import serving_app

REQUEST = re.compile(rb"old (0|[1-9][0-9]*)\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.+)", re.DOTALL)


class FakeWitness:
    """``seen`` is the last checkpoint that it cosigned. ``answer`` is what it says instead: status, body, media type."""

    name = "witness.example/w1"

    def __init__(self, *vkeys: str, seed: bytes = b"w" * 32) -> None:
        self.seen = SignedRoot("", 0, hashlib.sha256(b"").digest(), ())
        self.requests: list[bytes] = []
        self.answer: tuple[int, bytes, str] | None = None
        self.time_s = 1_764_000_000
        self._logs = [read_key(vkey) for vkey in vkeys]
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._key = Key(self.name, 4, self._private.public_key().public_bytes_raw())

    @property
    def vkey(self) -> str:
        encoded = base64.b64encode(bytes([4]) + self._key.public_key).decode()
        return f"{self.name}+{self._key.key_id.hex()}+{encoded}"

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(body)
        if self.answer is not None:
            status, answer, media_type = self.answer
            return web.Response(status=status, body=answer, headers={"Content-Type": media_type})
        return self._judge(body)

    def _judge(self, body: bytes) -> web.Response:
        match = REQUEST.fullmatch(body)
        if match is None:
            return web.Response(status=400)
        old_size, note = int(match[1]), match[3]
        proof = [base64.b64decode(line) for line in match[2].split()]
        if note.split(b"\n")[0].decode() not in {key.name for key in self._logs}:
            return web.Response(status=404)
        try:
            new = _open_checkpoint(note, self._logs)
        except NotVerified:
            return web.Response(status=403)
        if old_size > new.size:
            return web.Response(status=400)
        if old_size != self.seen.size or (old_size == new.size and new.root != self.seen.root):
            return web.Response(
                status=409, body=f"{self.seen.size}\n".encode(), headers={"Content-Type": "text/x.tlog.size"}
            )
        if (not old_size or old_size == new.size) and proof:
            return web.Response(status=422)
        if 0 < old_size < new.size and roots(old_size, new.size, self.seen.root, proof) != (self.seen.root, new.root):
            return web.Response(status=422)
        self.seen = new
        return web.Response(body=self.cosign(note).encode())

    def cosign(self, note: bytes) -> str:
        text = note.decode().rpartition("\n\n")[0] + "\n"
        signature = self._private.sign(f"cosignature/v1\ntime {self.time_s}\n{text}".encode())
        data = self._key.key_id + self.time_s.to_bytes(8) + signature
        return f"— {self.name} {base64.b64encode(data).decode()}\n"


def roots(old_size: int, size: int, old_root: bytes, proof: list[bytes]) -> tuple[bytes, bytes] | None:
    """The old and the new root that a proof of RFC 6962, 2.1.2, leads to: its recursion, run on the proof."""
    rest = list(proof)

    def walk(old: int, new: int, whole: bool) -> tuple[bytes, bytes]:
        if old == new:
            node = old_root if whole else rest.pop(0)
            return node, node
        left = 1 << ((new - 1).bit_length() - 1)
        if old <= left:
            old_node, new_node = walk(old, left, whole)
            return old_node, pair(new_node, rest.pop(0))
        old_node, new_node = walk(old - left, new - left, False)
        sibling = rest.pop(0)
        return pair(sibling, old_node), pair(sibling, new_node)

    try:
        found = walk(old_size, size, True)
    except IndexError:
        return None
    return None if rest else found


def pair(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@asynccontextmanager
async def running_witness(witness: FakeWitness) -> AsyncIterator[str]:
    """Yields its submission prefix."""
    application = web.Application()
    application.router.add_post("/submit/add-checkpoint", witness.add_checkpoint)
    async with serving_app(application, 60.0) as url:
        yield f"{url}/submit"
