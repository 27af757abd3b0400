"""The book in PostgreSQL: what a batch touches is loaded before it is sealed, and what it changed is written after."""

from collections.abc import Iterable

from integrations.storage.hold_rows import decode_hold, encode_hold
from integrations.storage.postgres_schema import Connection
from ledger.accounts import Account, Currency, Pocket, Posting, pocket_of
from ledger.book import NOTHING_STANDS, AccountRow, BookChange, Counter, Hold, Standing, Wanted, pockets_of
from ledger.pseudonyms import WorkspaceId
from ledger.store import Row

HOLD = "SELECT hold, workspace, state, drawn, expected, charged, counters FROM hold"
BALANCES = "SELECT account, currency, balance, expires_us FROM account ORDER BY account, currency"

BALANCES_OF = """
SELECT account, currency, balance, expires_us FROM account WHERE account >= $1 AND account < $2
UNION ALL SELECT account, currency, balance, expires_us FROM account WHERE account >= $3 AND account < $4
ORDER BY 1, 2
"""
_ACCOUNTS = """
SELECT account, currency, balance, expires_us
FROM unnest($1::text[], $2::text[]) AS pocket (workspace, owner) JOIN account USING (workspace, owner)
WHERE workspace <> '' AND balance <> 0
UNION SELECT account, currency, balance, expires_us FROM account WHERE account = ANY($3::text[])
UNION SELECT account, currency, balance, expires_us
FROM account WHERE workspace <> '' AND balance <> 0 AND workspace = ANY($4::text[])
"""
_COUNTERS = """
SELECT workspace, subject, period, amount
FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (workspace, subject, period)
JOIN counter USING (workspace, subject, period)
"""
_POSTINGS = "SELECT seq, account, currency, amount FROM posting WHERE seq = ANY($1::bigint[]) ORDER BY seq, n"

_POST = "INSERT INTO posting (seq, n, account, currency, amount) VALUES ($1, $2, $3, $4, $5)"
# Opened at 0 and then moved, not both in one: the CHECK would look at the movement as if it were the balance.
_OPEN = "INSERT INTO account (account, currency, workspace, owner, balance) VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING"
_MOVE = """
UPDATE account SET balance = balance + $3, expires_us = coalesce($4, expires_us) WHERE account = $1 AND currency = $2
"""
_KEEP_HOLD = """
INSERT INTO hold (hold, workspace, state, drawn, expected, charged, counters) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (hold) DO UPDATE SET workspace = excluded.workspace, state = excluded.state, drawn = excluded.drawn,
    expected = excluded.expected, charged = excluded.charged, counters = excluded.counters
"""
_COUNT = """
INSERT INTO counter (workspace, subject, period, amount) VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace, subject, period) DO UPDATE SET amount = excluded.amount
"""


async def load(connection: Connection, wanted: Wanted) -> Standing:
    if not wanted.pockets:
        return NOTHING_STANDS
    postings: dict[int, tuple[Posting, ...]] = dict.fromkeys(wanted.entries, ())
    if wanted.entries:
        for seq, *posting in await connection.fetch(_POSTINGS, list(wanted.entries)):
            postings[seq] += (_posting(*posting),)
    holds: tuple[Hold, ...] = ()
    if wanted.holds:
        rows = await connection.fetch(f"{HOLD} WHERE hold = ANY($1::text[])", list(wanted.holds))
        holds = tuple(decode_hold(tuple(row)) for row in rows)
    counters = wanted.counters.union(*(hold.counters for hold in holds))
    pockets = wanted.pockets.union(*(pockets_of(several) for several in postings.values()))
    drawn = (posting.account for hold in holds for posting in hold.drawn)
    posted = (posting.account for several in postings.values() for posting in several)
    return Standing(
        await _accounts(connection, pockets, wanted.lots.union(wanted.house, drawn, posted), wanted.workspaces),
        holds,
        await _counters(connection, counters),
        tuple(postings.items()),
    )


async def write(connection: Connection, rows: Iterable[Row], change: BookChange) -> None:
    postings = [
        (row.entry.seq, n, posting.account, posting.currency, posting.amount)
        for row in rows
        for n, posting in enumerate(row.entry.postings)
    ]
    if postings:
        await connection.executemany(_POST, postings)
    await write_change(connection, change)


async def write_change(connection: Connection, change: BookChange) -> None:
    if change.accounts:
        opened = [(row.account, row.currency, *_place(row.account)) for row in change.accounts]
        await connection.executemany(_OPEN, opened)
        moved = [(row.account, row.currency, row.balance, row.expires_us) for row in change.accounts]
        await connection.executemany(_MOVE, moved)
    if change.holds:
        await connection.executemany(_KEEP_HOLD, [encode_hold(hold) for hold in change.holds])
    if change.counters:
        counted = [(counter.workspace, counter.subject, counter.period, amount) for counter, amount in change.counters]
        await connection.executemany(_COUNT, counted)


def account_row(account: str, currency: str, balance: int, expires_us: int | None) -> AccountRow:
    return AccountRow(Account(account), Currency(currency), balance, expires_us)


async def _accounts(
    connection: Connection, pockets: Iterable[Pocket], named: Iterable[Account], whole: Iterable[WorkspaceId]
) -> tuple[AccountRow, ...]:
    """What is in the pockets and in the whole workspaces, without what is empty; and the named ones, empty or not."""
    asked = list(pockets)
    workspaces, owners = [pocket.workspace for pocket in asked], [pocket.owner for pocket in asked]
    rows = await connection.fetch(_ACCOUNTS, workspaces, owners, list(named), list(whole))
    return tuple(account_row(*row) for row in rows)


async def _counters(connection: Connection, counters: Iterable[Counter]) -> tuple[tuple[Counter, int], ...]:
    """Those that stand; one that is not there is at 0."""
    asked = list(counters)
    if not asked:
        return ()
    rows = await connection.fetch(
        _COUNTERS,
        [counter.workspace for counter in asked],
        [counter.subject for counter in asked],
        [counter.period for counter in asked],
    )
    return tuple(
        (Counter(WorkspaceId(workspace), subject, period), amount) for workspace, subject, period, amount in rows
    )


def _posting(account: str, currency: str, amount: int) -> Posting:
    return Posting(Account(account), Currency(currency), amount)


def _place(account: Account) -> tuple[str, str]:
    pocket = pocket_of(account)
    return ("", "") if pocket is None else (pocket.workspace, pocket.owner)
