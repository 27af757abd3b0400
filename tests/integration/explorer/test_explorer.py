"""The explorer over HTTP, on a ledger of real turns: what it answers, what it keeps back, what it refuses."""

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from jsonschema import Draft202012Validator
from yarl import URL

from adapters.messages import Finished, TextDelta, ToolCall, ToolCallId
from adapters.scripted import answer
from bot.http.explorer import Explorer, Log
from bot.http.ingress import serve, web_app
from bot.http.openapi import document
from bot.limits import Limits
from integrations.tools.base import Toolbox
from ledger import verify
from ledger.entry import canonical, leaf_hash
from ledger.merkle import verify_consistency, verify_inclusion
from ledger.notary import Notary
from ledger.note import Signer
from ledger.tiles import export
from tests.fakes.memory_log import MemoryLog
from tests.fakes.small_ledger import ORIGIN, SIGNER, VKEY, signed, small_ledger
from tests.house import ME, Open, RecordingPlatform, RecordingTool, asks, running_house

PAGE = 7
ADDRESS = replace(ME, workspace="T0TEAM7", channel="C0CHANNEL7", thread="1764.000700", person="U0PERSON7")
SAID = ("crimson heron", "violet ibis", "amber finch", "seen 1", "teal godwit", "umber crake")
IDS = (ADDRESS.workspace, ADDRESS.channel, ADDRESS.thread, ADDRESS.person, "Ev0EVENT7", "Ev1EVENT7", "Ev2EVENT7")
SCRIPT = (
    (ToolCall(ToolCallId("c1"), "look", {"at": "amber finch"}), Finished("tool_calls", None)),
    (TextDelta("The violet ibis."), Finished("stop", None)),
    answer("Another violet ibis."),
)
DOCUMENT = document(PAGE)
LEAVES = small_ledger(620).stored


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any


@dataclass(frozen=True)
class Client:
    url: str
    session: ClientSession

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        # As it is written: a path with a dot, or half a percent sign, has to reach the server so.
        async with self.session.request(method, URL(self.url + path, encoded=True), headers=named) as got:
            body = await got.read()
            is_json = got.content_type == "application/json" and body
            return Answer(got.status, got.headers, body, await got.json() if is_json else None)


@asynccontextmanager
async def exploring(log: Log, page_entries_max: int = PAGE) -> AsyncIterator[Client]:
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    app = web_app(None, "", 1_000, lambda: "ok", Explorer(log, page_entries_max))
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started.set_result))
    try:
        async with ClientSession() as session:
            yield Client(f"http://127.0.0.1:{await started}", session)
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def talked(folder: Path) -> AsyncIterator[Open]:
    """A house in which a question with a tool, a command, a question, and one too long were answered; then signed."""
    toolbox = Toolbox({"look": RecordingTool("read")})
    limits = Limits(message_bytes_max=100)
    async with running_house(folder, RecordingPlatform(), SCRIPT, toolbox=toolbox, limits=limits) as house:
        for event, text in enumerate(
            ("What of the crimson heron?", "/model teal godwit", "And the crimson heron now?")
        ):
            await house.ask(asks(text, f"Ev{event}EVENT7", ADDRESS))
        await house.ask(asks("umber crake" * 10, "Ev3EVENT7", ADDRESS))
        await house.ask(asks("umber crake", "Ev4EVENT7", ADDRESS))
        notary = await Notary.open(house.store, [Signer("test", b"s" * 32)], folder / "checkpoint")
        await notary.sign()
        yield house


@pytest.fixture
async def small() -> AsyncIterator[tuple[Client, MemoryLog]]:
    """600 entries, of which the first 590 are signed."""
    log = MemoryLog(LEAVES[:590])
    await log.keep_checkpoint(590, log.edge.root(), signed(log))
    log.append(LEAVES[590:600])
    async with exploring(log) as client:
        yield client, log


def check_described(path: str, answer: Answer) -> None:
    """What was answered stands in the description: the address, the status, the kind of body, each field."""
    responses = DOCUMENT["paths"][path]["get"]["responses"][str(answer.status)]
    if answer.status == 304:
        assert not answer.body
        return
    content = responses["content"]
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in content
    if kind == "application/json":
        validator(content[kind]["schema"].get("$ref", "#")).validate(answer.json)


@cache
def validator(reference: str) -> Draft202012Validator:
    own = {} if reference == "#" else {"$ref": reference}
    return Draft202012Validator({**own, "components": DOCUMENT["components"]})


def described_path(path: str) -> str:
    for template in DOCUMENT["paths"]:
        pattern = re.sub(r"\\{path\\}", ".+", re.sub(r"\\{seq\\}", "[^/]+", re.escape(template)))
        if re.fullmatch(pattern, path.partition("?")[0]):
            return str(template)
    raise AssertionError(f"{path} is not described")


async def everything(client: Client, house: Open, folder: Path) -> dict[str, Answer]:
    """Each address that the ledger gives rise to, asked once."""
    size = (await house.store.head()).size
    note = await house.store.latest_checkpoint()
    assert note is not None
    await export(house.store, note, [Signer("test", b"s" * 32).verifier()], folder)
    tiles = [
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != "vkey"
    ]
    paths = [
        "/v1/openapi.json",
        "/v1/ledger/entries",
        *(f"/v1/ledger/entries?after={seq}&limit=3" for seq in range(size)),
        *(f"/v1/ledger/entries/{seq}" for seq in range(size)),
        *(f"/v1/ledger/proof/{seq}{query}" for seq in range(size) for query in ("", f"?size={size}")),
        *(f"/v1/ledger/consistency?from={old}&to={size}" for old in range(1, size + 1)),
        "/v1/ledger/consistency?from=1",
        "/v1/ledger/checkpoint",
        *(f"/ledger/{name}" for name in tiles),
    ]
    return {path: await client.get(path) for path in paths}


async def test_no_answer_shows_a_text_or_a_platforms_id(tmp_path: Path) -> None:
    async with talked(tmp_path) as house, exploring(house.store) as client:
        kept = b"".join(recorded.body or b"" for recorded in await house.all())
        answers = await everything(client, house, tmp_path / "export")
        bad = [await client.get(f"/v1/ledger/entries/{word}") for word in (ADDRESS.person, "999")]
    for word in (*SAID, *IDS[:4]):
        assert word.encode() in kept, "the control: it was said, and it is recorded beside the chain"
    plain = [form for word in (*SAID, *IDS) for form in (word, hashlib.sha256(word.encode()).hexdigest())]
    for path, got in answers.items():
        assert got.status == 200, path
        seen = got.body.decode("latin-1") + repr(got.headers)
        assert not [form for form in plain if form.casefold() in seen.casefold()], path
    assert all(ADDRESS.person.encode() not in got.body for got in bad)


async def test_every_address_and_every_field_is_described(tmp_path: Path) -> None:
    async with talked(tmp_path) as house, exploring(house.store) as client:
        answers = await everything(client, house, tmp_path / "export")
        assert (await client.get("/v1/openapi.json")).json == DOCUMENT
        seen = {described_path(path) for path in answers}
        actions = {recorded.entry.action.name for recorded in await house.all()}
    for path, got in answers.items():
        check_described(described_path(path), got)
    served = {route.path_format for route in Explorer(MemoryLog(), PAGE).routes()}
    assert seen == served == DOCUMENT["paths"].keys()
    assert {"message.received", "tool.called", "command.run", "model.answered", "reply.sent"} <= actions


async def test_the_pages_together_are_the_ledger_and_each_hash_is_that_of_its_entry(tmp_path: Path) -> None:
    async with talked(tmp_path) as house, exploring(house.store) as client:
        recorded = await house.all()
        found: list[Any] = []
        page = (await client.get("/v1/ledger/entries")).json
        while True:
            assert len(page["entries"]) <= PAGE
            assert page["size"] == len(recorded)
            found += page["entries"]
            if page["next"] is None:
                break
            page = (await client.get(f"/v1/ledger/entries?after={page['next']}")).json
        after_the_end = (await client.get(f"/v1/ledger/entries?after={len(recorded) - 1}")).json
        assert [(await client.get(f"/v1/ledger/entries/{n}")).json for n in range(len(found))] == found
    assert [canonical(shown["entry"]) for shown in found] == [item.leaf for item in recorded]
    assert [shown["hash"] for shown in found] == [f"ps-sha256:{item.hash.hex()}" for item in recorded]
    assert after_the_end == {"entries": [], "next": None, "size": len(recorded)}


async def test_a_mirror_made_over_http_is_verified_with_the_key_alone(tmp_path: Path) -> None:
    """As a monitor does it: the checkpoint, then the tiles that its size asks for, then the one-file verifier."""
    log = MemoryLog(LEAVES[:600])
    await log.keep_checkpoint(600, log.edge.root(), signed(log))
    names = [f"tile/{kind}/{n}" for kind in ("0", "entries") for n in ("000", "001", "002.p/88")] + ["tile/1/000.p/2"]
    async with exploring(log) as client:
        for name in ("checkpoint", *names):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((await client.get(f"/ledger/{name}")).body)
        checkpoint = (await client.get("/v1/ledger/checkpoint")).json
    assert verify.verify_folder(tmp_path, [verify.read_key(VKEY)]).checkpoint.size == 600
    assert checkpoint == {
        "origin": ORIGIN,
        "size": 600,
        "root": log.edge.root().hex(),
        "note": (tmp_path / "checkpoint").read_text(),
    }
    await export(log, signed(log), [SIGNER.verifier()], tmp_path)  # the same files: none is refused as another


@pytest.mark.parametrize(("seq", "query", "size"), [(0, "", 590), (589, "", 590), (590, "", 600), (3, "?size=4", 4)])
async def test_a_proof_proves_its_entry(small: tuple[Client, MemoryLog], seq: int, query: str, size: int) -> None:
    """Without a size: in the tree that is signed, or in the whole one where that has not got so far."""
    client, log = small
    proof = (await client.get(f"/v1/ledger/proof/{seq}{query}")).json
    leaf = leaf_hash(log.stored[seq])
    assert (proof["seq"], proof["size"], proof["hash"]) == (seq, size, f"ps-sha256:{leaf.hex()}")
    path, root = [bytes.fromhex(item) for item in proof["path"]], bytes.fromhex(proof["root"])
    verify_inclusion(leaf, seq, size, path, root)
    assert root == MemoryLog(LEAVES[:size]).edge.root()


@pytest.mark.parametrize(("old", "query", "new"), [(1, "", 590), (595, "", 600), (3, "&to=256", 256), (9, "&to=9", 9)])
async def test_a_consistency_proof_proves_that_nothing_was_changed(
    small: tuple[Client, MemoryLog], old: int, query: str, new: int
) -> None:
    client, _ = small
    proof = (await client.get(f"/v1/ledger/consistency?from={old}{query}")).json
    assert (proof["from"], proof["to"]) == (old, new)
    path = [bytes.fromhex(item) for item in proof["path"]]
    verify_consistency(old, bytes.fromhex(proof["from_root"]), new, bytes.fromhex(proof["to_root"]), path)
    assert proof["from_root"] == MemoryLog(LEAVES[:old]).edge.root().hex()


@pytest.mark.parametrize(
    ("path", "lasting"),
    [
        ("/v1/ledger/entries/3", True),
        ("/v1/ledger/proof/3?size=9", True),
        ("/v1/ledger/consistency?from=3&to=9", True),
        ("/ledger/tile/0/000", True),
        ("/ledger/tile/entries/001", True),
        ("/ledger/tile/0/002.p/78", True),
        ("/v1/ledger/entries", False),
        ("/v1/ledger/proof/3", False),
        ("/v1/ledger/consistency?from=3", False),
        ("/v1/ledger/checkpoint", False),
        ("/ledger/checkpoint", False),
        ("/v1/openapi.json", False),
    ],
)
async def test_a_cache_may_keep_what_never_changes_and_asks_again_for_the_rest(
    small: tuple[Client, MemoryLog], path: str, lasting: bool
) -> None:
    client, log = small
    first = await client.get(path)
    assert ("immutable" in first.headers["Cache-Control"]) is lasting
    assert ("max-age=2" in first.headers["Cache-Control"]) is not lasting
    tag = first.headers["ETag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await client.get(path, if_none_match=given)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        check_described(described_path(path), again)
    assert (await client.get(path, if_none_match='"other"')).body == first.body
    log.append(LEAVES[600:])
    await log.keep_checkpoint(620, log.edge.root(), signed(log))
    changed = (await client.get(path, if_none_match=tag)).status == 200
    assert changed is (not lasting and path != "/v1/openapi.json")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/ledger/checkpoint", "text/plain; charset=utf-8"),
        ("/ledger/tile/0/000", "application/octet-stream"),
        ("/ledger/tile/entries/000", "application/octet-stream"),
        ("/v1/ledger/checkpoint", "application/json"),
    ],
)
async def test_each_body_has_the_content_type_of_the_specification(
    small: tuple[Client, MemoryLog], path: str, kind: str
) -> None:
    got = await small[0].get(path)
    head = await small[0].get(path, "HEAD")
    assert got.headers["Content-Type"] == kind
    assert (head.status, head.body) == (200, b"")
    same = ("Content-Type", "Content-Length", "ETag", "Cache-Control")
    assert [head.headers[name] for name in same] == [got.headers[name] for name in same]


ENTRIES, ENTRY = "/v1/ledger/entries", "/v1/ledger/entries/"
PROOF, CONSISTENCY, TILE = "/v1/ledger/proof/", "/v1/ledger/consistency", "/ledger/tile/"
HUGE = "9" * 40


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        *(
            (f"{ENTRY}{text}", 400, "The entry has to be a whole number")
            for text in ("x", "-1", "+1", "01", "1.0", HUGE)
        ),
        *((f"{ENTRY}{text}", 400, "whole number") for text in ("%D9%A1", "1%20", "%00", "1%0A", "%FF", "9" * 5_000)),
        (f"{ENTRY}600", 404, "has 600 entries: there is no entry 600"),
        (f"{ENTRY}9999999999999999", 404, "has 600 entries"),
        (f"{ENTRY}3?full=1", 400, "takes no parameters"),
        (f"{ENTRIES}?limit=0", 400, f"limit is a number from 1 to {PAGE}"),
        (f"{ENTRIES}?limit={PAGE + 1}", 400, f"limit is a number from 1 to {PAGE}"),
        (f"{ENTRIES}?limit=", 400, "limit has to be a whole number"),
        (f"{ENTRIES}?limit={HUGE}", 400, "limit has to be a whole number"),
        (f"{ENTRIES}?after=-1", 400, "after has to be a whole number"),
        (f"{ENTRIES}?after=1&after=2", 400, "after is given twice"),
        (f"{ENTRIES}?after=600", 404, "there is no entry 600"),
        (f"{ENTRIES}?page=2", 400, "takes after and limit, and nothing else"),
        (f"{PROOF}x", 400, "The entry has to be"),
        (f"{PROOF}600", 404, "no entry 600"),
        (f"{PROOF}3?size=0", 400, "does not hold entry 3"),
        (f"{PROOF}3?size=3", 400, "size has to be above 3"),
        (f"{PROOF}3?size=601", 404, "no tree of 601 entries"),
        (f"{PROOF}3?size=-1", 400, "size has to be a whole number"),
        (f"{PROOF}3?size=4&x=1", 400, "takes size, and nothing else"),
        (CONSISTENCY, 400, "from has to name"),
        (f"{CONSISTENCY}?from=0&to=9", 400, "a number from 1"),
        (f"{CONSISTENCY}?from=9&to=8", 400, "9 is above 8"),
        (f"{CONSISTENCY}?from=9&to=0", 400, "9 is above 0"),
        (f"{CONSISTENCY}?from=601", 404, "no tree of 601 entries"),
        (f"{CONSISTENCY}?from=9&to=601", 404, "no tree of 601 entries"),
        (f"{CONSISTENCY}?from=a&to=b", 400, "from has to be a whole number"),
        ("/v1/ledger/checkpoint?size=3", 400, "takes no parameters"),
        ("/ledger/checkpoint?x", 400, "takes no parameters"),
        (f"{TILE}0/000?x=1", 400, "takes no parameters"),
        *(
            (f"{TILE}{text}", 404, "590 entries has no such tile")
            for text in ("0/003", "0/002", "0/002.p/79", "2/000.p/1")
        ),
        *(
            (f"{TILE}{text}", 404, "no such tile")
            for text in ("0/0", "64/000", "x", "0/000.p/256", "0/000.p/0", "-1/000")
        ),
        *(
            (f"{TILE}{text}", 404, "no such tile")
            for text in ("entries/%2e%2e/%2e%2e/checkpoint", "0/" + "x999/" * 900)
        ),
        ("/v1/ledger", 404, "nothing at this address"),
        ("/v1/ledger/entries/3/text", 404, "nothing at this address"),
        ("/ledger/vkey", 404, "nothing at this address"),
    ],
)
async def test_a_bad_request_gets_its_status_and_a_sentence(
    small: tuple[Client, MemoryLog], path: str, status: int, sentence: str
) -> None:
    got = await small[0].get(path)
    assert got.status == status
    assert sentence in got.json["error"]
    assert got.json.keys() == {"error"}
    assert got.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_is_written_by_any_method(small: tuple[Client, MemoryLog], method: str) -> None:
    client, _ = small
    for path in DOCUMENT["paths"]:
        got = await client.get(path.replace("{seq}", "3").replace("{path}", "0/000"), method)
        assert got.status == 405
        assert sorted(got.headers["Allow"].split(", ")) == ["GET", "HEAD"]
        check_described(path, got)


async def test_before_anything_is_signed_there_is_no_checkpoint_and_no_tile_but_proofs_there_are() -> None:
    async with exploring(MemoryLog(LEAVES[:3])) as client:
        for path in ("/v1/ledger/checkpoint", "/ledger/checkpoint", "/ledger/tile/0/000.p/3"):
            got = await client.get(path)
            assert (got.status, got.json) == (404, {"error": "Nothing has been signed yet."})
        assert (await client.get("/v1/ledger/proof/1")).json["size"] == 3


async def test_an_empty_ledger_has_an_empty_page() -> None:
    async with exploring(MemoryLog()) as client:
        assert (await client.get(ENTRIES)).json == {"entries": [], "next": None, "size": 0}
        assert (await client.get(f"{ENTRY}0")).status == 404


async def test_without_an_explorer_its_addresses_are_not_there() -> None:
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(web_app(None, "", 1_000, lambda: "ok"), "127.0.0.1", 0, stop, started.set_result)
    )
    async with ClientSession() as session:
        client = Client(f"http://127.0.0.1:{await started}", session)
        assert [(await client.get(path)).status for path in (ENTRIES, "/v1/openapi.json", "/health")] == [404, 404, 200]
    stop.set()
    await serving


async def test_an_answer_does_not_wait_for_the_clients_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TCP_NODELAY each answer over a kept connection takes 40 ms."""
    listeners: list[socket.socket] = []
    create_server = socket.create_server

    def create(address: tuple[str, int], *, backlog: int) -> socket.socket:
        listeners.append(create_server(address, backlog=backlog))
        return listeners[-1]

    monkeypatch.setattr(socket, "create_server", create)
    async with exploring(MemoryLog()) as client:
        assert (await client.get("/health")).status == 200
        (listener,) = listeners
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_ledger_that_contradicts_itself_is_not_shown_as_if_it_were_whole(
    small: tuple[Client, MemoryLog], caplog: pytest.LogCaptureFixture
) -> None:
    client, log = small
    log.stored[3] = log.stored[4]
    got = await client.get("/ledger/tile/entries/000")
    assert (got.status, got.json["error"]) == (500, "Something went wrong here. Send it again.")
    assert "a request failed" in caplog.text
