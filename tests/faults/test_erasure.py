"""What was erased is in no file any more, byte for byte, and nothing that was proven before has changed."""

import asyncio
import logging
import random
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.messages import Finished, TextDelta, ToolCall, ToolCallId
from adapters.scripted import ScriptReply, answer
from bot.keys import create_keys, read_keys
from bot.logs import JsonLines, LogFile
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import Toolbox
from ledger import verify
from ledger.actions import MessageReceived, PayloadErased
from ledger.entry import HOUSE, INTEGER_MAX, Draft, Scope
from ledger.erasure import Erased, OfConversation, OfPerson, OlderThan, Texts, erase
from ledger.errors import StoreFailed
from ledger.merkle import root_at
from ledger.notary import Notary
from ledger.note import Signer
from ledger.pseudonyms import ActorId, ConversationId, Pseudonyms, TurnId
from ledger.receipts import make_receipt
from ledger.roadchain import RoadChain, clock_us
from ledger.tiles import export
from tests.house import DATABASE, ME, PSEUDONYMS, Open, RecordingPlatform, RecordingTool, asks, running_house

SIGNER = Signer("test", b"s" * 32)
VKEY = verify.read_key(SIGNER.verifier().text())
ADA = replace(ME, person="ada", channel="garden", thread="1")
BEN = replace(ME, person="ben", channel="garden", thread="2")
ADA_ELSEWHERE = replace(ADA, channel="orchard", thread="3")
WORKSPACE = PSEUDONYMS.workspace(ME.platform, ME.workspace)


def long(word: str) -> str:
    """Longer than a page of the database, so that it is spread over several; found by any of its pieces."""
    return " ".join(f"{word}{number}" for number in range(700))


ASKED = {"adasays": ADA, "bensays": BEN, "adaasks": ADA_ELSEWHERE}
"""The word that a person's messages are made of, and where they are said."""
SCRIPT: tuple[ScriptReply, ...] = (
    (ToolCall(ToolCallId("c1"), "look", {"at": "adatool"}), Finished("tool_calls", None)),
    (TextDelta(long("toada")), Finished("stop", None)),
    answer(long("toben")),
    answer(long("elsewhere")),
    answer("Hello."),
)
WORDS = {"adasays", "adatool", "toada", "bensays", "toben", "adaasks", "elsewhere"}


@dataclass(frozen=True)
class Before:
    """What was handed out before anything was erased."""

    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    receipts: tuple[bytes, ...]
    files: dict[str, bytes]


@dataclass(frozen=True)
class Home:
    folder: Path
    open: Open
    notary: Notary

    @property
    def database(self) -> Path:
        return self.folder / DATABASE

    def words(self) -> set[str]:
        """Those that stand in any file under the home."""
        contents = [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()]
        return {word for word in WORDS if any(word.encode() in content for content in contents)}

    def names(self, word: str) -> set[str]:
        """The files in which a word stands."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {path.name for path in files if word.encode() in path.read_bytes()}

    async def erase(self, texts: Texts) -> Erased:
        return await erase(self.open.roadchain, self.open.store, texts)

    async def hand_out(self) -> Before:
        """Sign, export, and write a receipt of each entry."""
        store = self.open.store
        note = await self.notary.sign() or await self.notary.latest()
        assert note is not None
        await export(store, note, self.notary.keys, self.folder / "export")
        recorded = await self.open.all()
        receipts = [await make_receipt(store, item.leaf, item.entry.seq, note, self.notary.keys) for item in recorded]
        for number, receipt in enumerate(receipts):
            (self.folder / f"{number}.receipt").write_bytes(receipt)
        return Before(
            len(recorded),
            (await store.frontier()).root(),
            tuple(item.hash for item in recorded),
            tuple(receipts),
            {
                path.relative_to(self.folder).as_posix(): path.read_bytes()
                for path in (self.folder / "export").rglob("*")
                if path.is_file() and path.name != "checkpoint"
            },
        )


@contextmanager
def logging_to(folder: Path) -> Iterator[Path]:
    """As the program logs, and everything that there is to log."""
    folder.mkdir()
    handler = LogFile(folder / "carpool.log")
    handler.setFormatter(JsonLines())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield folder / "carpool.log"
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


@asynccontextmanager
async def talking(folder: Path) -> AsyncIterator[Home]:
    """A home in which two people have talked, one of them in two places; keys, logs and a checkpoint lie in it too."""
    create_keys(folder)
    platform = RecordingPlatform()
    toolbox = Toolbox({"look": RecordingTool("read")})
    with logging_to(folder / "logs"):
        async with running_house(folder, platform, SCRIPT, toolbox=toolbox) as house:
            for event, (word, address) in enumerate(ASKED.items()):
                await house.ask(asks(long(word), f"event{event}", address))
            notary = await Notary.open(house.store, [SIGNER], folder / "checkpoint")
            yield Home(folder, house, notary)


@pytest.mark.parametrize(
    ("texts", "gone"),
    [
        (
            OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "ada")),
            {"adasays", "adatool", "toada", "adaasks", "elsewhere"},
        ),
        (
            OfConversation(WORKSPACE, PSEUDONYMS.conversation(ME.platform, ME.workspace, "garden", "1")),
            {"adasays", "adatool", "toada"},
        ),
        (OlderThan(WORKSPACE, INTEGER_MAX), WORDS),
    ],
    ids=["person", "conversation", "age"],
)
async def test_what_was_erased_is_in_no_file_and_all_that_was_proven_stands(
    tmp_path: Path, texts: Texts, gone: set[str]
) -> None:
    async with talking(tmp_path) as home:
        store = home.open.store
        before = await home.hand_out()
        assert home.words() == WORDS, "the control: until then each is found"
        erased = await home.erase(texts)
        assert erased.receipt is not None
        assert erased.receipt.seq == before.size
        assert home.words() == WORDS - gone, "with everything still open"
        assert await root_at(store, before.size) == before.root
        assert tuple(item.hash for item in await home.open.all())[:-1] == before.hashes
        after = await home.hand_out()
        assert after.size == before.size + 1
        assert before.files.items() <= {**after.files, **{n: b for n, b in before.files.items() if ".p/" in n}}.items()
        assert await store.replay() == after.size
        assert home.words() == WORDS - gone
    assert home.words() == WORDS - gone, "and when all is closed"
    assert (tmp_path / "logs" / "carpool.log").stat().st_size > 0
    for seq, receipt in enumerate(before.receipts):
        found = verify.verify_receipt(receipt, [VKEY])
        assert (found.seq, found.checkpoint.size, found.checkpoint.root) == (seq, before.size, before.root)
    assert verify.verify_folder(tmp_path / "export", [VKEY]).checkpoint.size == after.size
    verified = verify.verify_database(home.database)
    assert (verified.size, verified.erased) == (after.size, erased.texts)


async def test_only_what_is_older_is_erased_by_age(tmp_path: Path) -> None:
    async with talking(tmp_path) as home:
        third = PSEUDONYMS.turn(ME.platform, ME.workspace, "event2")
        (asked, *_) = await home.open.store.entries_of(third)
        await home.erase(OlderThan(WORKSPACE, asked.entry.mono))
        assert home.words() == {"adaasks", "elsewhere"}


async def test_a_second_erase_records_nothing_and_does_no_harm(tmp_path: Path) -> None:
    async with talking(tmp_path) as home:
        first = await home.erase(OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "ada")))
        size = (await home.open.store.head()).size
        again = await home.erase(OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "ada")))
        assert (again, (await home.open.store.head()).size) == (Erased(0, None), size)
        await home.open.ask(asks(long("adasays"), "later", ADA))
        later = await home.erase(OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "ada")))
        assert later.receipt is not None
        assert first.receipt is not None
        assert later.receipt.fresh
        assert "adasays" not in home.words(), "what was said since is erased as well"
    verify.verify_database(home.database)


async def test_two_erases_at_once_are_one_on_record(tmp_path: Path) -> None:
    async with talking(tmp_path) as home:
        ada = OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "ada"))
        await asyncio.gather(home.erase(ada), home.erase(ada))
        names = [item.entry.action.name for item in await home.open.all()]
        assert names.count("payload.erased") == 1
        assert home.words() == {"bensays", "toben"}


async def test_nobody_of_another_workspace_or_another_name_is_touched(tmp_path: Path) -> None:
    other = Pseudonyms(b"\x01" * 32).workspace(ME.platform, "another team")
    async with talking(tmp_path) as home:
        ada = PSEUDONYMS.actor(ME.platform, ME.workspace, "ada")
        for texts in (
            OfPerson(other, ada),
            OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "adam")),
            OlderThan(other, clock_us()),
            OlderThan(WORKSPACE, 0),
        ):
            assert await home.erase(texts) == Erased(0, None)
        assert home.words() == WORDS


async def test_an_erased_message_is_known_again_and_shown_as_erased(tmp_path: Path) -> None:
    async with talking(tmp_path) as home:
        platform = home.open.house.platforms[ME.platform]
        assert isinstance(platform, RecordingPlatform)
        await home.erase(OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "ada")))
        sent = len(platform.sent)
        again = await home.open.intake.accept(asks(long("adasays"), "event0", ADA))
        assert not again.fresh
        await home.open.ask(asks("/history", "history", ADA))
        assert len(platform.sent) == sent + 1
        assert platform.texts[-1] == "**You:** (erased)\n\n**CarPool:** (erased)"


async def test_without_going_through_the_files_a_deleted_text_is_still_in_them(tmp_path: Path) -> None:
    """The control of all the above: deleting the rows is not enough, neither in the log nor in the database itself."""
    async with talking(tmp_path) as home:
        with closing(sqlite3.connect(home.database)) as other:
            assert other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0
        assert home.names("adasays") == {DATABASE, f"{DATABASE}-wal"}
        ada = PSEUDONYMS.actor(ME.platform, ME.workspace, "ada")
        scope = replace(HOUSE, workspace=WORKSPACE)
        await home.open.roadchain.append(Draft(PayloadErased("person", ada), scope, "erased"))
        assert not [item for item in await home.open.all() if item.entry.actor == ada and item.body is not None]
        assert home.names("adasays") == {DATABASE, f"{DATABASE}-wal"}
        await home.open.store.scrub()
        assert home.names("adasays") == set()
        assert home.names("bensays") == {DATABASE}


def said_by(person: int, number: int) -> Draft:
    scope = Scope(WORKSPACE, ActorId(f"a-{person}"), ConversationId("c"), TurnId(f"t{number}"))
    body = (b"bensays ", b"adasays ")[person] * (1 + number * 7 % 400)
    return Draft(MessageReceived("test", ConversationId("c"), "message", ""), scope, f"{number}", body)


async def test_what_deleted_rows_leave_behind_in_the_file_is_gone_too(tmp_path: Path) -> None:
    """The control: where SQLite does not zero what it deletes, 500 erased texts are still in the file, the log emptied."""
    salts = random.Random(7)
    path = tmp_path / DATABASE
    store = await SqliteStore.open(path)
    store._writer.execute("PRAGMA secure_delete = OFF")
    async with RoadChain(store, salt=lambda: salts.randbytes(32)) as roadchain:
        for first in range(0, 1_000, 10):
            await roadchain.append(*(said_by(number % 2, number) for number in range(first, first + 10)))
        await roadchain.append(Draft(PayloadErased("person", "a-1"), replace(HOUSE, workspace=WORKSPACE), "erased"))
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
        assert path.read_bytes().count(b"adasays") > 0
        assert await erase(roadchain, store, OfPerson(WORKSPACE, ActorId("a-1"))) == Erased(0, None)
    await store.aclose()
    content = path.read_bytes()
    assert b"adasays" not in content
    assert b"bensays" in content


async def test_while_another_process_reads_it_says_so_and_the_next_one_finishes(tmp_path: Path) -> None:
    async with talking(tmp_path) as home:
        ada = OfPerson(WORKSPACE, PSEUDONYMS.actor(ME.platform, ME.workspace, "ada"))
        do_not_wait(home.open.store)
        with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM payload").fetchone()
            with pytest.raises(StoreFailed) as caught:
                await home.erase(ada)
            assert caught.value.reason == "busy"
            assert home.names("adasays"), "the one who reads still needs them"
            await home.open.ask(asks("hello", "meanwhile", BEN))
        assert await home.erase(ada) == Erased(0, None)
        assert home.words() == {"bensays", "toben"}
        await home.open.ask(asks("hello", "after", BEN))
    verify.verify_database(home.database)


async def test_while_another_process_writes_it_says_so_and_entries_are_taken_afterwards(tmp_path: Path) -> None:
    async with talking(tmp_path) as home:
        pass
    store = await SqliteStore.open(home.database)
    do_not_wait(store)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed) as caught:
            await store.scrub()
        assert caught.value.reason == "busy"
        other.execute("ROLLBACK")
    async with RoadChain(store) as roadchain:
        erased = await erase(roadchain, store, OlderThan(WORKSPACE, clock_us()))
    await store.aclose()
    assert erased.texts > 0
    assert home.words() == set()


def do_not_wait(store: SqliteStore) -> None:
    """SQLite waits ten seconds for others; here nothing would come of it."""
    store._writer.execute("PRAGMA busy_timeout = 0")


async def test_the_keys_and_what_was_signed_are_as_they_were(tmp_path: Path) -> None:
    async with talking(tmp_path) as home:
        await home.hand_out()
        names = ("ledger.key", "pseudonyms.key", "checkpoint")
        before, keys = [(tmp_path / name).read_bytes() for name in names], read_keys(tmp_path)
        await home.erase(OlderThan(WORKSPACE, INTEGER_MAX))
        assert [(tmp_path / name).read_bytes() for name in names] == before
        assert read_keys(tmp_path) == keys
        assert await home.notary.sign() is not None, "the log goes on from what was signed"
