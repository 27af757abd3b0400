"""A hold as a row, the same in each store: what was drawn and what it counts against are JSON text."""

import json
from typing import TypeAlias

from ledger.accounts import Account, Currency, Posting
from ledger.book import Counter, Hold, HoldId, HoldState
from ledger.pseudonyms import WorkspaceId

HoldRow: TypeAlias = tuple[str, str, HoldState, str, int, int, str]
"""hold, workspace, state, drawn, expected, charged, counters"""


def encode_hold(hold: Hold) -> HoldRow:
    drawn = [[posting.account, posting.currency, posting.amount] for posting in hold.drawn]
    counters = [[counter.subject, counter.period] for counter in hold.counters]
    return (
        hold.hold,
        hold.workspace,
        hold.state,
        json.dumps(drawn),
        hold.expected,
        hold.charged,
        json.dumps(counters),
    )


def decode_hold(row: HoldRow) -> Hold:
    hold, workspace, state, drawn, expected, charged, counters = row
    return Hold(
        HoldId(hold),
        WorkspaceId(workspace),
        state,
        tuple(Posting(Account(account), Currency(currency), amount) for account, currency, amount in json.loads(drawn)),
        expected,
        charged,
        tuple(Counter(WorkspaceId(workspace), subject, period) for subject, period in json.loads(counters)),
    )
