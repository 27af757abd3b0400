"""Usage that is paid later, and that no invoice had in time."""

from collections.abc import Iterable

from ledger.accounts import period_of
from ledger.book import AccountRow

INVOICED_S = 86_400
"""So long after its end the invoice of a period may take to come."""


def overdue(rows: Iterable[AccountRow], now_s: int) -> int:
    """What a workspace owes of periods whose invoice should have come by now. Less than one RC of it is told with the next
    reading."""
    owed = 0
    for row in rows:
        for kind, sign in (("metered", 1), ("overage", 1), ("overage_held", -1)):
            period = period_of(row.account, kind)
            owed += sign * row.natural if period.isdecimal() and int(period) + INVOICED_S <= now_s else 0
    return owed
