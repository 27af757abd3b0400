"""Amounts as the book counts them: whole units of any currency, and what is too much for one posting in parts."""

from dataclasses import replace
from typing import TypeAlias

from integrations.payments.base import RC_CURRENCY, urc
from ledger.accounts import AMOUNT_MAX
from ledger.credit_actions import (
    BankPayout,
    DisputeLost,
    DisputeWithdrawn,
    DisputeWon,
    PaymentFee,
    PaymentUnmatched,
    SuspenseResolved,
)
from ledger.entry import Draft

InAnyCurrency: TypeAlias = (
    PaymentUnmatched | SuspenseResolved | PaymentFee | BankPayout | DisputeWithdrawn | DisputeWon | DisputeLost
)
_ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
_THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
_PLACES = 8
PARTS_MAX = 200
"""Stripe takes a trillion rupiah at the most, which are 112 parts."""


def in_book(cents: int, currency: str) -> tuple[int, str]:
    """An amount as suspense counts it: uRC of US dollars, hundred-millionths of any other currency.

    >>> in_book(100, "usd"), in_book(100, "eur"), in_book(100, "jpy"), in_book(1000, "kwd")
    ((100000000, 'RC'), (100000000, 'EUR'), (10000000000, 'JPY'), (100000000, 'KWD'))
    """
    if currency == RC_CURRENCY:
        return urc(cents), "RC"
    return cents * 10 ** (_PLACES - decimals_of(currency)), currency.upper()


def decimals_of(currency: str) -> int:
    """How many decimals Stripe's smallest unit of it is: yen have none."""
    return 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2


def in_parts(draft: Draft) -> tuple[Draft, ...]:
    """More than a posting can hold is several entries, under the key of the first and numbers: suspense counts every currency to
    eight decimals, in which 90 million dong are already too many. US dollars are never so many: Stripe takes less than a million
    at once."""
    action = draft.action
    if not isinstance(action, InAnyCurrency):
        return (draft,)
    fee = action.fee if isinstance(action, DisputeWithdrawn) else 0  # that goes with the last one
    if action.amount + fee <= AMOUNT_MAX:
        return (draft,)
    if action.amount > PARTS_MAX * AMOUNT_MAX:  # no rail takes so much at once: the ledger refuses it
        return (draft,)
    whole, rest = divmod(action.amount, AMOUNT_MAX)
    amounts = [AMOUNT_MAX] * whole + [rest] * (rest > 0)
    if fee and amounts[-1] + fee > AMOUNT_MAX:
        amounts.append(0)
    return tuple(
        replace(
            draft,
            action=_part(action, amount, last=n == len(amounts)),
            idem=draft.idem if n == 1 else part_key(draft.idem, n),
        )
        for n, amount in enumerate(amounts, 1)
    )


def part_key(idem: str, number: int) -> str:
    """Of the second and each later part."""
    return f"{idem}:{number}"


def _part(action: InAnyCurrency, amount: int, *, last: bool) -> InAnyCurrency:
    if isinstance(action, DisputeWithdrawn) and not last:
        return replace(action, amount=amount, fee=0)
    return replace(action, amount=amount)
