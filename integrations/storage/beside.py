"""What stands beside the entries of a ledger's file is compared with what they come to: limits, holds, ends of lots, settings.

    python -m integrations.storage.beside roadchain.db

``ledger/verify.py`` proves the entries, their texts, postings and balances. This proves the rest of what money and rights are
read from, with the very functions that write it: so it is run after that, in the same way, and exits with the same numbers. It
reads only the entries that change any of it, some at a time; what they come to stands in a file of SQLite's own, without texts.
"""

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from integrations.storage import sqlite_book
from ledger.actions import SettingChanged
from ledger.book import Book, is_money, wanted
from ledger.chain import project
from ledger.entry import Draft, Entry, Scope, decode_entry
from ledger.errors import Code, LedgerError
from ledger.pseudonyms import ConversationId
from ledger.store import SettingKept

EXIT_VERIFIED = 0
EXIT_NOT_VERIFIED = 1
EXIT_INCOMPLETE = 3
ENTRIES_AT_ONCE = 1000

TABLES = {
    "account": "account, currency, balance, expires_us",
    "hold": "hold, workspace, state, drawn, expected, charged, counters",
    "counter": "workspace, subject, period, amount",
    "setting": "workspace, name, item, conversation, person, value",
}
_MADE = "SELECT sql FROM there.sqlite_master WHERE type = 'table' AND name IN ('account', 'hold', 'counter', 'setting')"
_ENTRIES = "SELECT leaf FROM there.entry WHERE action GLOB 'credit.*' OR action = ? ORDER BY seq"
_SET = "INSERT INTO main.setting (workspace, name, conversation, person, item, value) VALUES (?, ?, ?, ?, ?, ?)"


def what_differs(path: Path) -> str:
    """The table of which a row is not what the entries come to, or none. The file is not changed, and read as of one moment."""
    # A main database without a name is SQLite's own, in memory or a file that nobody else sees.
    with closing(sqlite3.connect("", uri=True, isolation_level=None)) as database:
        database.execute("ATTACH ? AS there", (f"{path.absolute().as_uri()}?mode=ro",))
        database.execute("BEGIN")
        tables = [sql for (sql,) in database.execute(_MADE)]
        if len(tables) < len(TABLES):
            return ""  # of an older schema: CarPool makes them anew when it opens it
        for sql in tables:
            database.execute(sql)
        try:
            _add_up(database)
        except LedgerError:  # an entry that cannot follow what is there
            return "account"
        return next((table for table in TABLES if _differs(database, table)), "")


def _add_up(database: sqlite3.Connection) -> None:
    settings: dict[tuple[str, ...], str] = {}
    entries = (decode_entry(leaf) for (leaf,) in database.execute(_ENTRIES, (SettingChanged.name,)))
    for page in _pages(entries):
        moving = [entry for entry in page if is_money(entry.action)]
        # As in a batch: what is not found in the new tables is looked for in the file's, which is so of postings alone.
        book = Book(sqlite_book.load(database, wanted(map(_asked, moving))))
        for entry in moving:
            book.enter(entry)
        sqlite_book.write_change(database, book.change())
        for change in (change for entry in page for change in project(entry)):
            if isinstance(change, SettingKept):
                kept = (change.workspace, change.setting, change.conversation, change.person, change.item)
                settings[kept] = change.value
    database.executemany(_SET, [(*kept, value) for kept, value in settings.items() if value])


def _pages(entries: Iterator[Entry]) -> Iterator[Sequence[Entry]]:
    while page := list(islice(entries, ENTRIES_AT_ONCE)):
        yield page


def _asked(entry: Entry) -> Draft:
    """As it was asked for, as far as that says what is touched."""
    return Draft(entry.action, Scope(entry.workspace, entry.actor, ConversationId(""), entry.turn), entry.idem)


def _differs(database: sqlite3.Connection, table: str) -> bool:
    made, there = (f"SELECT {TABLES[table]} FROM {where}.{table}" for where in ("main", "there"))  # noqa: S608  # names of ours
    query = f"SELECT * FROM ({made} EXCEPT {there}) UNION ALL SELECT * FROM ({there} EXCEPT {made}) LIMIT 1"  # noqa: S608  # the same
    return database.execute(query).fetchone() is not None


def main(arguments: Sequence[str]) -> int:
    (path,) = arguments
    try:
        table = what_differs(Path(path))
    except sqlite3.Error as error:
        sys.stdout.write(f"incomplete: what stands beside the entries cannot be read just now ({error})\n")
        return EXIT_INCOMPLETE
    if not table:
        return EXIT_VERIFIED
    sys.stdout.write(
        f"NOT VERIFIED: {Code.CHAIN_INTEGRITY_VIOLATION.value}: what stands in `{table}` is not what the entries come to: "
        "`carpool ledger replay` makes it anew\n"
    )
    return EXIT_NOT_VERIFIED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
