"""The book in SQLite: what a batch touches is loaded before it is sealed, and what it changed is written after."""

import json
import sqlite3
from collections.abc import Iterable

from integrations.storage.hold_rows import decode_hold, encode_hold
from ledger.accounts import Account, Currency, Pocket, Posting, pocket_of, ranges_of
from ledger.book import NOTHING_STANDS, AccountRow, BookChange, Counter, Hold, HoldId, Standing, Wanted, pockets_of
from ledger.pseudonyms import WorkspaceId
from ledger.store import Row

_HOLD = "SELECT hold, workspace, state, drawn, expected, charged, counters FROM hold"
_ACCOUNT = "SELECT account, currency, balance, expires_us FROM account"


def load(database: sqlite3.Connection, wanted: Wanted) -> Standing:
    if not wanted.pockets:
        return NOTHING_STANDS
    postings = {seq: _postings(database, seq) for seq in wanted.entries}
    found = (hold for name in wanted.holds if (hold := read_hold(database, name)) is not None)
    holds = tuple(found)
    counters = wanted.counters.union(*(hold.counters for hold in holds))
    pockets = wanted.pockets.union(*(pockets_of(several) for several in postings.values()))
    drawn = (posting.account for hold in holds for posting in hold.drawn)
    posted = (posting.account for several in postings.values() for posting in several)
    return Standing(
        _accounts(database, pockets, wanted.lots.union(wanted.house, drawn, posted), wanted.workspaces),
        holds,
        tuple((counter, read_counter(database, counter)) for counter in counters),
        tuple(postings.items()),
    )


def write(database: sqlite3.Connection, rows: Iterable[Row], change: BookChange) -> None:
    database.executemany(
        "INSERT INTO posting (seq, n, account, currency, amount) VALUES (?, ?, ?, ?, ?)",
        [
            (row.entry.seq, n, posting.account, posting.currency, posting.amount)
            for row in rows
            for n, posting in enumerate(row.entry.postings)
        ],
    )
    write_change(database, change)


def write_change(database: sqlite3.Connection, change: BookChange) -> None:
    # Opened at 0 and then moved, not both in one: the CHECK would look at the movement as if it were the balance.
    database.executemany(
        "INSERT OR IGNORE INTO account (account, currency, workspace, owner, balance) VALUES (?, ?, ?, ?, 0)",
        [(row.account, row.currency, *_place(row.account)) for row in change.accounts],
    )
    database.executemany(
        "UPDATE account SET balance = balance + ?, expires_us = coalesce(?, expires_us)"
        " WHERE account = ? AND currency = ?",
        [(row.balance, row.expires_us, row.account, row.currency) for row in change.accounts],
    )
    database.executemany(
        "INSERT OR REPLACE INTO hold (hold, workspace, state, drawn, expected, charged, counters)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [encode_hold(hold) for hold in change.holds],
    )
    database.executemany(
        "INSERT OR REPLACE INTO counter (workspace, subject, period, amount) VALUES (?, ?, ?, ?)",
        [(counter.workspace, counter.subject, counter.period, amount) for counter, amount in change.counters],
    )


def read_hold(database: sqlite3.Connection, hold: HoldId) -> Hold | None:
    row = database.execute(f"{_HOLD} WHERE hold = ?", (hold,)).fetchone()
    return None if row is None else decode_hold(row)


def read_counter(database: sqlite3.Connection, counter: Counter) -> int:
    row = database.execute(
        "SELECT amount FROM counter WHERE workspace = ? AND subject = ? AND period = ?",
        (counter.workspace, counter.subject, counter.period),
    ).fetchone()
    return 0 if row is None else int(row[0])


def read_balances(database: sqlite3.Connection) -> tuple[AccountRow, ...]:
    rows = database.execute("SELECT account, currency, balance, expires_us FROM account ORDER BY account, currency")
    return tuple(AccountRow(Account(account), Currency(currency), *rest) for account, currency, *rest in rows)


def read_balances_of(database: sqlite3.Connection, workspace: WorkspaceId) -> tuple[AccountRow, ...]:
    # By the key alone, in which the names stand in order.
    query = (
        "SELECT account, currency, balance, expires_us FROM account WHERE account >= ? AND account < ?"
        " UNION ALL SELECT account, currency, balance, expires_us FROM account WHERE account >= ? AND account < ?"
        " ORDER BY 1, 2"
    )
    rows = database.execute(query, ranges_of(workspace))
    return tuple(AccountRow(Account(account), Currency(currency), *rest) for account, currency, *rest in rows)


def _accounts(
    database: sqlite3.Connection,
    pockets: Iterable[Pocket],
    named: Iterable[Account],
    workspaces: Iterable[WorkspaceId],
) -> tuple[AccountRow, ...]:
    """What is in the pockets and in all of the workspaces, without what is empty; and the named ones, empty or not."""
    rows = database.execute(
        f"{_ACCOUNT} WHERE workspace <> '' AND balance <> 0"  # noqa: S608  # text of ours
        " AND (workspace, owner) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))"
        f" UNION {_ACCOUNT} WHERE workspace <> '' AND balance <> 0 AND workspace IN (SELECT value FROM json_each(?))"
        f" UNION {_ACCOUNT} WHERE account IN (SELECT value FROM json_each(?))",
        (
            json.dumps([(pocket.workspace, pocket.owner) for pocket in pockets]),
            json.dumps(list(workspaces)),
            json.dumps(list(named)),
        ),
    )
    return tuple(AccountRow(Account(account), Currency(currency), *rest) for account, currency, *rest in rows)


def _postings(database: sqlite3.Connection, seq: int) -> tuple[Posting, ...]:
    rows = database.execute("SELECT account, currency, amount FROM posting WHERE seq = ? ORDER BY n", (seq,))
    return tuple(Posting(Account(account), Currency(currency), amount) for account, currency, amount in rows)


def _place(account: Account) -> tuple[str, str]:
    pocket = pocket_of(account)
    return ("", "") if pocket is None else (pocket.workspace, pocket.owner)
