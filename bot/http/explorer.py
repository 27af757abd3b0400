"""The ledger, to be read by anybody over HTTP: entries, proofs, the signed checkpoint, and the log as C2SP tlog-tiles.

Nothing here writes, and nothing here can reach a text or a platform's id: the port through which the ledger is read gives
canonical bytes and hashes, and what is served is made of those. The addresses and each field stand in ``bot.http.openapi``.
"""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import orjson

from bot.http.answers import NotTaken, kept
from bot.http.openapi import document
from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.entry import hash_text, leaf_hash
from ledger.errors import NotFound
from ledger.merkle import Frontier, TileCache, consistency_proof, inclusion_proof, root_at
from ledger.note import parse_note
from ledger.tiles import LogReader, read_tile

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

JSON = "application/json"
TEXT = "text/plain"
BYTES = "application/octet-stream"

_NUMBER = re.compile("0|[1-9][0-9]{0,15}")


class Log(LogReader, Protocol):
    """What is read of a store."""

    async def frontier(self) -> Frontier: ...

    async def latest_checkpoint(self) -> bytes | None: ...


class Explorer:
    """``page_entries_max`` is how many entries a page has at the most."""

    def __init__(self, log: Log, page_entries_max: int) -> None:
        self._log = log
        self._kept = TileCache()
        self._page_entries_max = page_entries_max
        self._described = orjson.dumps(document(page_entries_max))

    def routes(self) -> "list[Route]":
        from starlette.routing import Route

        handlers: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/v1/openapi.json": self._openapi,
            "/v1/ledger/entries": self._entries,
            "/v1/ledger/entries/{seq}": self._entry,
            "/v1/ledger/proof/{seq}": self._proof,
            "/v1/ledger/consistency": self._consistency,
            "/v1/ledger/checkpoint": self._checkpoint,
            "/ledger/checkpoint": self._note,
            "/ledger/tile/{path:path}": self._tile,
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]

    async def _openapi(self, request: "Request") -> "Response":
        _parameters(request)
        return kept(request, self._described, JSON, lasting=False)

    async def _entries(self, request: "Request") -> "Response":
        given = _parameters(request, "after", "limit")
        limit = given.get("limit", self._page_entries_max)
        if not 1 <= limit <= self._page_entries_max:
            raise NotTaken(400, f"limit is a number from 1 to {self._page_entries_max}.")
        first = given["after"] + 1 if "after" in given else 0
        size = await self._size()
        if first > size:
            raise _beyond(size, f"entry {first - 1}")
        leaves = await self._log.leaves(first, min(limit, size - first))
        end = first + len(leaves)
        page = {"entries": [_shown(leaf) for leaf in leaves], "next": end - 1 if end < size else None, "size": size}
        return kept(request, orjson.dumps(page), JSON, lasting=False)

    async def _entry(self, request: "Request") -> "Response":
        _parameters(request)
        seq = _number("The entry", request.path_params["seq"])
        return kept(request, orjson.dumps(_shown(await self._leaf(seq, await self._size()))), JSON, lasting=True)

    async def _proof(self, request: "Request") -> "Response":
        given = _parameters(request, "size")
        seq = _number("The entry", request.path_params["seq"])
        now = await self._size()
        leaf = await self._leaf(seq, now)
        size = given["size"] if "size" in given else await self._signed_or(now, seq + 1)
        if size <= seq:
            raise NotTaken(400, f"A tree of {size} entries does not hold entry {seq}: size has to be above {seq}.")
        if size > now:
            raise _beyond(now, f"tree of {size} entries")
        found = {
            "seq": seq,
            "size": size,
            "hash": hash_text(leaf_hash(leaf)),
            "root": (await root_at(self._log, size, self._kept)).hex(),
            "path": [digest.hex() for digest in await inclusion_proof(self._log, seq, size, self._kept)],
        }
        return kept(request, orjson.dumps(found), JSON, lasting="size" in given)

    async def _consistency(self, request: "Request") -> "Response":
        given = _parameters(request, "from", "to")
        if not given.get("from"):
            raise NotTaken(400, "from has to name the size of the older tree: a number from 1.")
        old, now = given["from"], await self._size()
        if old > now:
            raise _beyond(now, f"tree of {old} entries")
        new = given["to"] if "to" in given else await self._signed_or(now, old)
        if new < old:
            raise NotTaken(400, f"from is the older tree: {old} is above {new}.")
        if new > now:
            raise _beyond(now, f"tree of {new} entries")
        found = {
            "from": old,
            "to": new,
            "from_root": (await root_at(self._log, old)).hex(),
            "to_root": (await root_at(self._log, new)).hex(),
            "path": [digest.hex() for digest in await consistency_proof(self._log, old, new, self._kept)],
        }
        return kept(request, orjson.dumps(found), JSON, lasting="to" in given)

    async def _checkpoint(self, request: "Request") -> "Response":
        _parameters(request)
        note, checkpoint = await self._signed()
        found = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "note": note.decode(),
        }
        return kept(request, orjson.dumps(found), JSON, lasting=False)

    async def _note(self, request: "Request") -> "Response":
        _parameters(request)
        return kept(request, (await self._signed())[0], TEXT, lasting=False)

    async def _tile(self, request: "Request") -> "Response":
        _parameters(request)
        # Of what is signed alone, as an export has it: that is what an address may promise for ever.
        size = (await self._signed())[1].size
        try:
            tile = await read_tile(self._log, f"tile/{request.path_params['path']}", size)
        except NotFound as error:
            raise NotTaken(404, f"The signed tree of {size} entries has no such tile.") from error
        return kept(request, tile.data, BYTES, lasting=True)

    async def _size(self) -> int:
        return (await self._log.frontier()).size

    async def _leaf(self, seq: int, size: int) -> bytes:
        if seq >= size:
            raise _beyond(size, f"entry {seq}")
        (leaf,) = await self._log.leaves(seq, 1)
        return leaf

    async def _signed(self) -> tuple[bytes, Checkpoint]:
        note = await self._log.latest_checkpoint()
        if note is None:
            raise NotTaken(404, "Nothing has been signed yet.")
        return note, parse_checkpoint(parse_note(note).text)

    async def _signed_or(self, size: int, size_min: int) -> int:
        """The size that was signed last, where that is enough; else ``size``."""
        note = await self._log.latest_checkpoint()
        signed = 0 if note is None else parse_checkpoint(parse_note(note).text).size
        return signed if signed >= size_min else size


def _shown(leaf: bytes) -> dict[str, str | orjson.Fragment]:
    """The canonical bytes go in as they are: whoever writes ``entry`` in its RFC 8785 form gets ``hash`` from it."""
    return {"hash": hash_text(leaf_hash(leaf)), "entry": orjson.Fragment(leaf)}


def _parameters(request: "Request", *names: str) -> dict[str, int]:
    """What stands behind the ``?``: each once, a whole number, and nothing else. Raises ``NotTaken``."""
    given: dict[str, int] = {}
    for name, text in request.query_params.multi_items():
        if name not in names:
            raise NotTaken(400, f"This address takes {' and '.join(names) or 'no parameters'}, and nothing else.")
        if name in given:
            raise NotTaken(400, f"{name} is given twice.")
        given[name] = _number(name, text)
    return given


def _number(what: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise NotTaken(400, f"{what} has to be a whole number in decimal digits, below 10^16 and without a sign.")
    return int(text)


def _beyond(size: int, what: str) -> NotTaken:
    return NotTaken(404, f"The ledger has {size} entries: there is no {what} yet.")
