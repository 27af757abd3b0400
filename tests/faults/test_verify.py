"""The verifier finds each way in which a ledger can be other than it was written, and says at which entry."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters.scripted import answer
from integrations.storage.sqlite import SqliteStore
from ledger import verify
from ledger.actions import LedgerCreated
from ledger.credit_actions import CreditAction, CreditReserved, CreditSettled, CreditTopup
from ledger.entry import HOUSE, Draft, Scope
from ledger.merkle import EMPTY_FRONTIER, encode_frontier, grow
from ledger.notary import Notary
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.verify import NotALedger, NotVerified, Verified, verify_database
from tests.benchmarks.logs import GENESIS, SIGNER, fill, turn
from tests.house import DATABASE, RecordingPlatform, asks, running_house

Change = Callable[[sqlite3.Connection], object]
VERIFY = Path(verify.__file__)


@pytest.fixture
async def ledger(tmp_path: Path) -> Path:
    """Genesis, two turns of seven entries."""
    async with running_house(tmp_path, RecordingPlatform(), [answer("Hello.")]) as open_:
        await open_.ask(asks("hello", "1"))
        await open_.ask(asks("again", "2"))
    return tmp_path / DATABASE


def forge(path: Path, change: Change) -> None:
    """Change the file as somebody would who has it in hand: without the triggers."""
    with closing(sqlite3.connect(path)) as database:
        for name in ("entry_keeps", "entry_stays", "posting_keeps", "posting_stays"):
            database.execute(f"DROP TRIGGER IF EXISTS {name}")
        change(database)
        database.commit()


def rewrite(database: sqlite3.Connection, seq: int, change: Callable[[dict[str, object]], object]) -> None:
    """A forged entry with a hash that fits it: only the chain gives it away."""
    (leaf,) = database.execute("SELECT leaf FROM entry WHERE seq = ?", (seq,)).fetchone()
    entry = json.loads(leaf)
    change(entry)
    forged = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.sha256(b"\x00" + forged).digest()
    database.execute("UPDATE entry SET leaf = ?, hash = ? WHERE seq = ?", (forged, digest, seq))


def sql(statement: str) -> Change:
    return lambda database: database.execute(statement)


def edited(seq: int, /, **fields: object) -> Change:
    return lambda database: rewrite(database, seq, lambda entry: entry.update(fields))


def swapped(database: sqlite3.Connection) -> None:
    for old, new in ((3, -1), (4, 3), (-1, 4)):
        database.execute("UPDATE entry SET seq = ? WHERE seq = ?", (new, old))


def cut_to(size: int, *, mend_head: bool) -> Change:
    def cut(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM payload WHERE seq >= ?", (size,))
        database.execute("DELETE FROM entry WHERE seq >= ?", (size,))
        if mend_head:
            (digest,) = database.execute("SELECT hash FROM entry WHERE seq = ?", (size - 1,)).fetchone()
            database.execute("UPDATE head SET size = ?, hash = ?", (size, digest))

    return cut


def respaced(database: sqlite3.Connection) -> None:
    (leaf,) = database.execute("SELECT leaf FROM entry WHERE seq = 5").fetchone()
    spaced = leaf.replace(b",", b", ", 1)
    digest = hashlib.sha256(b"\x00" + spaced).digest()
    database.execute("UPDATE entry SET leaf = ?, hash = ? WHERE seq = 5", (spaced, digest))


async def test_a_whole_ledger_is_verified_and_its_file_is_not_changed(ledger: Path) -> None:
    before = ledger.read_bytes()
    verified = verify_database(ledger)
    assert ledger.read_bytes() == before
    store = await SqliteStore.open(ledger)
    head = await store.head()
    await store.aclose()
    assert verified == Verified(15, f"ps-sha256:{head.hash.hex()}", 6, 0)


@pytest.mark.parametrize(
    ("change", "code", "seq"),
    [
        (sql("UPDATE entry SET leaf = CAST(leaf || ' ' AS BLOB) WHERE seq = 4"), "RC004", 4),
        (sql("UPDATE entry SET leaf = CAST(replace(leaf, 'answered', 'failed') AS BLOB) WHERE seq = 4"), "RC004", 4),
        (sql("UPDATE entry SET hash = zeroblob(32) WHERE seq = 4"), "RC004", 4),
        (sql("DELETE FROM entry WHERE seq = 4"), "RC011", 4),
        (sql("DELETE FROM entry WHERE seq = 0"), "RC011", 0),
        (swapped, "RC011", 3),
        (cut_to(12, mend_head=False), "RC011", 12),
        (sql("UPDATE head SET size = 14"), "RC011", 15),
        (sql("UPDATE head SET hash = zeroblob(32)"), "RC011", 15),
        (sql("UPDATE entry SET idem = 'other' WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET turn = 'other' WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET action = 'model.called' WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET actor = 'other' WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET workspace = 'other' WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET mono = mono + 1 WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET began = NULL WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET began = 8 WHERE seq = 6"), "RC011", 6),
        (sql("UPDATE entry SET conversation = 'other' WHERE action = 'message.received' AND seq > 1"), "RC011", 8),
        (edited(4, outcome="failed"), "RC011", 5),
        (edited(4, seq=7), "RC011", 4),
        (edited(4, mono=1), "RC011", 4),
        (edited(4, mono=1.5), "RC004", 4),
        (edited(4, prev="GENESIS"), "RC011", 4),
        (edited(4, action="ledger.created"), "RC011", 4),
        (edited(0, action="turn.finished"), "RC011", 0),
        (edited(4, payload="x"), "RC004", 4),
        (respaced, "RC004", 5),
        (sql("UPDATE payload SET body = CAST(body || ' ' AS BLOB)"), "RC004", 1),
        (sql("UPDATE payload SET salt = zeroblob(32)"), "RC004", 1),
        (sql("UPDATE payload SET seq = 2 WHERE seq = 1"), "RC011", 2),
        (sql("INSERT INTO payload VALUES (1000000, x'00', x'00')"), "RC011", None),
    ],
)
def test_each_change_is_found_at_the_first_entry_that_shows_it(
    ledger: Path, change: Change, code: str, seq: int | None
) -> None:
    forge(ledger, change)
    with pytest.raises(NotVerified) as caught:
        verify_database(ledger)
    assert (caught.value.code, caught.value.seq) == (code, seq)


def test_a_flipped_bit_anywhere_in_an_entry_is_found(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as database:
        rows = database.execute("SELECT seq, leaf FROM entry ORDER BY seq").fetchall()
    copy = ledger.with_name("copy.db")
    for seq, leaf in rows[::5]:
        for place in range(0, len(leaf), 7):
            shutil.copy(ledger, copy)
            flipped = bytearray(leaf)
            flipped[place] ^= 1
            forge(copy, sql(f"UPDATE entry SET leaf = x'{flipped.hex()}' WHERE seq = {seq}"))
            with pytest.raises(NotVerified):
                verify_database(copy)


async def signed_twice(folder: Path) -> Path:
    """700 entries, with a checkpoint in the middle of the second tile, and one in the third."""
    store = await SqliteStore.open(folder / "roadchain.db")
    notary = await Notary.open(store, [SIGNER], folder / "checkpoint")
    async with RoadChain(store) as roadchain:
        for size, more in ((300, 300), (700, 400)):
            await roadchain.append(*drafts_to(size)[-more:])
            await notary.sign()
    await store.aclose()
    return folder / "roadchain.db"


def drafts_to(size: int) -> list[Draft]:
    return [GENESIS, *(draft for number in range(size // 7 + 1) for draft in turn(number))][:size]


def in_pieces(monkeypatch: pytest.MonkeyPatch, processors: int) -> None:
    """700 entries are three pieces of a tile."""
    monkeypatch.setattr(verify, "PIECE_ENTRIES", verify.TILE_WIDTH)
    monkeypatch.setattr("os.cpu_count", lambda: processors)


@pytest.mark.parametrize("processors", [1, 2])
async def test_a_whole_ledger_is_verified_without_looking_at_each_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    in_pieces(monkeypatch, processors)
    path = await signed_twice(tmp_path)
    entry_by_entry = verify._verify
    monkeypatch.setattr(verify, "_verify", pytest.fail)
    verified = verify_database(path, [verify.read_key(SIGNER.verifier().text())])
    with closing(sqlite3.connect(path)) as database:
        verify._lay_out(database)
        assert verified == entry_by_entry(database)


@pytest.mark.parametrize("processors", [1, 2])
async def test_balances_are_rebuilt_without_looking_at_each_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    in_pieces(monkeypatch, processors)
    path = await paid_for(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        verify._lay_out(database)
        assert verify._verify_at_once(database, path) == verify._verify(database)


@pytest.mark.parametrize(
    ("change", "code", "entry"),
    [
        (sql("UPDATE posting SET amount = amount + 1 WHERE seq = 601"), "RC011", 601),
        (sql("DELETE FROM posting WHERE seq = 601"), "RC011", 601),
        (sql("INSERT INTO posting VALUES (599, 0, 'A:bank', 'RC', 5)"), "RC011", None),
        (sql("UPDATE account SET balance = balance + 1 WHERE account = 'R:usage'"), "RC011", None),
    ],
)
async def test_money_that_differs_in_a_later_piece_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, code: str, entry: int | None
) -> None:
    in_pieces(monkeypatch, 1)
    path = await paid_for(tmp_path)
    forge(path, change)
    with closing(sqlite3.connect(path)) as database:
        assert verify._verify_at_once(database, path) is None
    with pytest.raises(NotVerified) as found:
        verify_database(path)
    assert (found.value.code, found.value.seq) == (code, entry)


def test_an_account_that_falls_below_0_between_two_entries_of_a_piece_is_found() -> None:
    """It had 10 before the piece, and has 10 after it: what counts is what it had between."""
    spent = [posted("L:ws:w-1:paid", -10), posted("L:ws:w-1:paid", 10), posted("L:ws:w-1:paid", -10)]
    too_much = [posted("L:ws:w-1:paid", -10), posted("L:ws:w-1:paid", 11), posted("L:ws:w-1:paid", -11)]
    owed = [posted("A:ws:w-1:debt", 10), posted("A:ws:w-1:debt", -10), posted("A:ws:w-1:debt", 10)]
    paid_twice = [posted("A:ws:w-1:debt", 10), posted("A:ws:w-1:debt", -11), posted("A:ws:w-1:debt", 11)]
    assert [falls_below_0(entries) for entries in (spent, too_much, owed, paid_twice)] == [False, True, False, True]


def posted(account: str, amount: int) -> list[tuple[str, int]]:
    return [(account, amount), ("A:bank", -amount)]


def falls_below_0(entries: list[list[tuple[str, int]]]) -> bool:
    """The first entry is a piece of its own, the others are another one."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE posting (seq, n, account, currency, amount)")
        for seq, entry in enumerate(entries):
            rows = [(seq, n, account, "RC", amount) for n, (account, amount) in enumerate(entry)]
            database.executemany("INSERT INTO posting VALUES (?, ?, ?, ?, ?)", rows)
        texts = [
            json.dumps(
                [{"account": account, "amount": str(amount), "currency": "RC"} for account, amount in entry]
            ).encode()
            for entry in entries
        ]
        book, before, after = verify._Book(database), verify._Moves(), verify._Moves()
        before.follow(database, 0, texts[:1])
        after.follow(database, 1, texts[1:])
        book.add(before)
        try:
            book.add(after)
        except ValueError:
            return True
        return False


async def test_what_is_recorded_of_a_turn_before_it_is_opened_does_not_slow_the_verification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "roadchain.db"
    store = await SqliteStore.open(path)
    first, *others = turn(0)
    async with RoadChain(store) as roadchain:
        await roadchain.append(GENESIS, others[0], first, *others[1:])
    await store.aclose()
    monkeypatch.setattr(verify, "_verify", pytest.fail)
    assert verify_database(path).size == 8


async def paid_for(folder: Path) -> Path:
    """700 entries, of turns that are paid for."""
    store = await SqliteStore.open(folder / "paid.db")
    await fill(store, 700, paid=True)
    await store.aclose()
    return folder / "paid.db"


@pytest.mark.parametrize(("size", "entry"), [(300, 299), (700, 699)])
async def test_a_checkpoint_over_other_entries_is_found_wherever_it_was_signed(
    tmp_path: Path, size: int, entry: int
) -> None:
    path = await signed_twice(tmp_path)
    forge(path, lambda database: database.execute("UPDATE checkpoint SET root = zeroblob(32) WHERE size = ?", (size,)))
    with pytest.raises(NotVerified, match="a checkpoint was signed over other entries") as found:
        verify_database(path)
    assert found.value.seq == entry


def rechained(seq: int, /, **fields: object) -> Change:
    """An entry forged, and all that follows from it made to fit, in a table without rules."""

    def change(database: sqlite3.Connection) -> None:
        database.execute("CREATE TABLE forged AS SELECT * FROM entry")
        database.execute("DROP TABLE entry")
        database.execute("ALTER TABLE forged RENAME TO entry")
        (size,) = database.execute("SELECT size FROM head").fetchone()
        rewrite(database, seq, lambda entry: entry.update(fields))
        for later in range(seq + 1, size):
            (digest,) = database.execute("SELECT hash FROM entry WHERE seq = ?", (later - 1,)).fetchone()
            rewrite(database, later, lambda entry: entry.update(prev=f"ps-sha256:{digest.hex()}"))  # noqa: B023  # called here
        for name, value in fields.items():
            database.execute(f"UPDATE entry SET {name} = ? WHERE seq = ?", (value, seq))
        hashes = [digest for (digest,) in database.execute("SELECT hash FROM entry ORDER BY seq")]
        _, subtrees = grow(EMPTY_FRONTIER, hashes)
        database.execute("DELETE FROM checkpoint")
        database.execute("UPDATE head SET hash = ?", (hashes[-1],))
        for subtree in subtrees:
            database.execute("UPDATE subtree SET hash = ? WHERE number = ?", (subtree.hash, subtree.index))
        mend_tree(database)

    return change


async def test_a_ledger_that_was_forged_as_a_whole_is_whole_in_itself(tmp_path: Path) -> None:
    """What the forgeries below have in common is not what is found in them."""
    path = await signed_twice(tmp_path)
    forge(path, rechained(300, idem="other"))
    assert verify_database(path).size == 700


@pytest.mark.parametrize("processors", [1, 2])
@pytest.mark.parametrize(
    ("change", "entry", "reason"),
    [
        (edited(255, ts=1), 256, "does not follow the entry before"),
        (rechained(256, mono=1), 256, "goes backwards"),
        (rechained(600, idem=drafts_to(21)[20].idem), 600, "stands at an earlier entry already"),
        (sql("DELETE FROM entry WHERE seq = 255"), 255, "the entry is missing"),
        (sql("DELETE FROM entry WHERE seq >= 512"), 512, "the recorded end"),
    ],
)
async def test_a_change_is_found_where_two_pieces_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int, change: Change, entry: int, reason: str
) -> None:
    in_pieces(monkeypatch, processors)
    path = await signed_twice(tmp_path)
    forge(path, change)
    with closing(sqlite3.connect(path)) as database:
        assert verify._verify_at_once(database, path) is None
    with pytest.raises(NotVerified, match=reason) as found:
        verify_database(path)
    assert found.value.seq == entry


async def test_where_no_process_can_be_started_the_ledger_is_verified_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(method: str) -> None:
        raise OSError(method)

    in_pieces(monkeypatch, 2)
    monkeypatch.setattr(verify, "get_context", refused)
    assert verify_database(await signed_twice(tmp_path)).size == 700


def test_an_erased_text_leaves_the_chain_verified(ledger: Path) -> None:
    forge(ledger, sql("DELETE FROM payload WHERE seq = (SELECT min(seq) FROM payload)"))
    verified = verify_database(ledger)
    assert (verified.size, verified.texts, verified.erased) == (15, 5, 1)


def test_a_chain_that_was_cut_with_its_end_mended_is_whole_in_itself(ledger: Path) -> None:
    """Nothing inside the file can show this: it takes a signed checkpoint or a receipt. So it is said, not hidden."""
    forge(ledger, cut_to(8, mend_head=True))
    with pytest.raises(NotVerified) as caught:
        verify_database(ledger)  # the time of the chain in `head` was not mended
    assert caught.value.seq == 8
    forge(
        ledger,
        sql("UPDATE head SET mono = (SELECT json_extract(CAST(leaf AS TEXT), '$.mono') FROM entry WHERE seq = 7)"),
    )
    with pytest.raises(NotVerified, match="tree"):
        verify_database(ledger)
    forge(ledger, mend_tree)
    assert verify_database(ledger).size == 8


def mend_tree(database: sqlite3.Connection) -> None:
    hashes = [digest for (digest,) in database.execute("SELECT hash FROM entry ORDER BY seq")]
    frontier, _ = grow(EMPTY_FRONTIER, hashes)
    database.execute("UPDATE head SET frontier = ?", (encode_frontier(frontier),))


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (sql("UPDATE head SET frontier = x'00'"), "RC004", "stored tree"),
        (sql("INSERT INTO subtree VALUES (1, 0, x'00')"), "RC004", "stored tree"),
        (sql("INSERT INTO checkpoint VALUES (3, x'00', x'00')"), "RC004", "signed over other entries"),
        (sql("INSERT INTO checkpoint VALUES (99, x'00', x'00')"), "RC011", "the rest is gone"),
        (sql("INSERT INTO posting VALUES (3, 0, 'A:bank', 'RC', 5)"), "RC011", "no entry has"),
        (sql("INSERT INTO account VALUES ('A:bank', 'RC', '', '', 5, NULL)"), "RC011", "stored balances"),
    ],
)
def test_what_stands_beside_the_chain_is_compared_with_it(ledger: Path, change: Change, code: str, reason: str) -> None:
    forge(ledger, change)
    with pytest.raises(NotVerified, match=reason) as caught:
        verify_database(ledger)
    assert caught.value.code == code


async def book_of(folder: Path) -> Path:
    """Genesis, a top-up, and a call that was held and settled."""
    moves: list[CreditAction] = [
        CreditTopup("stripe", 1_000),
        CreditReserved("call-1", 20, 20, "p", "m"),
        CreditSettled("call-1", 5, "p", 4),
    ]
    scope = Scope(WorkspaceId("w-1"), ActorId("a-1"), ConversationId("c-1"), TurnId(""))
    store = await SqliteStore.open(folder / "book.db")
    async with RoadChain(store) as roadchain:
        await roadchain.append(Draft(LedgerCreated("test", "0", "0"), HOUSE, "ledger.created"))
        for number, move in enumerate(moves):
            await roadchain.append(Draft(move, scope, str(number)))
    await store.aclose()
    return folder / "book.db"


@pytest.mark.parametrize(
    ("change", "code", "seq"),
    [
        (edited(3, postings=[{"account": "A:bank", "currency": "RC", "amount": "1"}]), "RC002", 3),
        (
            edited(
                3,
                postings=[
                    {"account": "L:ws:w-1:paid", "currency": "RC", "amount": "5000"},
                    {"account": "R:usage", "currency": "RC", "amount": "-5000"},
                ],
            ),
            "RC001",
            3,
        ),
        (edited(3, postings="none"), "RC002", 3),
        (sql("UPDATE posting SET amount = amount + 1 WHERE seq = 2 AND n = 0"), "RC011", 2),
        (sql("UPDATE account SET balance = balance - 1 WHERE account = 'R:usage'"), "RC011", None),
    ],
)
async def test_money_that_does_not_add_up_is_found(tmp_path: Path, change: Change, code: str, seq: int | None) -> None:
    book = await book_of(tmp_path)
    assert verify_database(book).size == 4
    forge(book, change)
    with pytest.raises(NotVerified) as caught:
        verify_database(book)
    assert (caught.value.code, caught.value.seq) == (code, seq)


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_what_is_no_ledger_is_named_as_such(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotALedger):
        verify_database(path)


def test_a_newer_schema_is_not_judged(ledger: Path) -> None:
    forge(ledger, sql("PRAGMA user_version = 99"))
    with pytest.raises(NotALedger, match="schema 99"):
        verify_database(ledger)


def test_a_change_that_the_loss_of_power_left_half_done_is_incomplete_and_not_a_refusal(
    ledger: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(ledger, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO payload VALUES (1000000, x'00', zeroblob(100000))")
        for end in ("", "-journal"):
            shutil.copy(f"{ledger}{end}", f"{copy}{end}")
        database.execute("ROLLBACK")
    status, said = run(str(copy))
    assert (status, said.startswith("incomplete: the database was not closed")) == (3, True)
    assert "start CarPool once" in said
    assert "-wal" in said
    with closing(sqlite3.connect(copy)) as started:
        started.execute("SELECT count(*) FROM entry").fetchone()
    assert run(str(copy))[0] == 0


def test_a_schema_whose_words_are_no_text_is_not_verified(ledger: Path) -> None:
    data = ledger.read_bytes()
    place = data.index(b"CREATE TABLE entry") + len("CREATE ")
    ledger.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    with pytest.raises(NotVerified, match="cannot be read"):
        verify_database(ledger)


def run(*arguments: str) -> tuple[int, str]:
    """The one file alone, as an auditor would run it: isolated, without this project on the path."""
    done = subprocess.run(
        [sys.executable, "-I", str(VERIFY), *arguments], capture_output=True, text=True, check=False, cwd="/"
    )
    return done.returncode, done.stdout + done.stderr


async def test_the_one_file_alone_says_verified_not_usage_and_incomplete(ledger: Path, tmp_path: Path) -> None:
    status, said = run(str(ledger))
    assert (status, said.startswith("verified: 15 entries, 6 texts, end ps-sha256:")) == (0, True)
    forge(ledger, sql("DELETE FROM entry WHERE seq = 4"))
    assert run(str(ledger)) == (1, "NOT VERIFIED: RC011: entry 4: the entry is missing\n")
    assert run(str(tmp_path / "nothing.db"))[0] == 2
    assert run()[0] == 2
    assert run("--help")[0] == 2
    await (await SqliteStore.open(tmp_path / "empty.db")).aclose()
    assert run(str(tmp_path / "empty.db"))[0] == 3


def test_the_verifier_imports_nothing_of_the_writer() -> None:
    code = f"import runpy, sys; runpy.run_path({str(VERIFY)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"ledger", "bot", "adapters", "integrations", "orjson", "cryptography"}


async def test_fed_through_standard_input_it_verifies_without_a_word_on_stderr(tmp_path: Path) -> None:
    """Enough entries for several processes, which have no file there to begin from."""
    store = await SqliteStore.open(tmp_path / "x.db")
    await fill(store, verify.PIECE_ENTRIES + 100)
    await store.aclose()
    assert said_by_one_that_is_fed(tmp_path / "x.db").startswith("verified: 16,484 entries, ")


def said_by_one_that_is_fed(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-", str(path)], input=VERIFY.read_bytes(), capture_output=True, check=True
    )
    return (done.stderr + done.stdout).decode()
