"""The chart of accounts, and a posting to one of them.

An account's name says what it is: ``A`` asset, ``L`` liability, ``E`` equity, ``R`` revenue, ``X`` expense. Amounts are signed,
debits above 0 and credits below, so that the postings of an entry, and all accounts together, sum to 0 in each currency.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

from ledger.errors import InvalidCurrency, InvalidEntry, SystemAccountRestricted
from ledger.pseudonyms import WorkspaceId

Account = NewType("Account", str)
Currency = NewType("Currency", str)

RC = Currency("RC")
"""RoadCoin, counted in uRC. Money of another currency waits in suspense, counted in hundred-millionths of its unit."""

AMOUNT_MAX = 2**53 - 1
"""In one posting: some 90 million dollars. It is what a JSON reader of any language keeps exactly."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_OWNER = re.compile(r"(user|agent):[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

BANK = Account("A:bank")
TAX = Account("L:tax")
DEFERRED = Account("L:deferred")
TREASURY = Account("E:treasury")
USAGE = Account("R:usage")
SUBSCRIPTION = Account("R:subscription")
BREAKAGE = Account("R:breakage")
ABSORBED = Account("X:absorbed")
PROMOTION = Account("X:promo")
REWARDS = Account("X:rewards")
DISPUTE_COSTS = Account("X:dispute")
BAD_DEBT = Account("X:baddebt")
OPERATIONS = Account("X:operations")


@dataclass(frozen=True, slots=True)
class Posting:
    account: Account
    currency: Currency
    amount: int


@dataclass(frozen=True, slots=True)
class Pocket:
    """The accounts of a workspace that belong to one owner: empty for what is common, else ``user:<id>`` or ``agent:<id>``."""

    workspace: WorkspaceId
    owner: str


def is_part(text: str) -> bool:
    return _PART.fullmatch(text) is not None


def part(text: str) -> str:
    """The name of a rail, a provider, a lot, as a part of an account's name. Raises ``InvalidEntry``."""
    if not is_part(text):
        raise InvalidEntry(f"{text!r} cannot be a part of an account's name")
    return text


def currency(text: str) -> Currency:
    """``RC`` or three capital letters (ISO 4217). Raises ``InvalidCurrency``."""
    if text != RC and not _CURRENCY.fullmatch(text):
        raise InvalidCurrency(f"{text!r} is not a currency")
    return Currency(text)


def clearing(rail: str) -> Account:
    return Account(f"A:{part(rail)}:clearing")


def disputed(rail: str) -> Account:
    return Account(f"A:{part(rail)}:disputed")


def suspense(rail: str) -> Account:
    return Account(f"L:suspense:{part(rail)}")


def customers_balance(rail: str) -> Account:
    """What customers have at a rail for later invoices; below 0 what they owe there."""
    return Account(f"L:balance:{part(rail)}")


def fees(rail: str) -> Account:
    return Account(f"X:fees:{part(rail)}")


def provider_cost(provider: str) -> Account:
    return Account(f"X:provider:{part(provider)}")


def provider_accrued(provider: str) -> Account:
    return Account(f"L:provider:{part(provider)}:accrued")


def provider_suspense(provider: str) -> Account:
    return Account(f"L:provider:{part(provider)}:suspense")


def debt(workspace: WorkspaceId) -> Account:
    return Account(f"A:ws:{part(workspace)}:debt")


def paid(workspace: WorkspaceId, owner: str = "") -> Account:
    """What was paid for and not spent. Raises ``SystemAccountRestricted`` where the owner is neither a user nor an agent."""
    if owner and not _OWNER.fullmatch(owner):
        raise SystemAccountRestricted(f"{owner!r} is not a user or an agent of the workspace")
    return Account(f"L:ws:{part(workspace)}:paid" + (f":{owner}" if owner else ""))


def plan(workspace: WorkspaceId) -> Account:
    return Account(f"L:ws:{part(workspace)}:plan")


def ranges_of(workspace: WorkspaceId) -> tuple[str, str, str, str]:
    """Where the names of a workspace's accounts stand among all, in the order of their bytes: from and below, twice.

    >>> ranges_of(WorkspaceId("w1"))
    ('A:ws:w1:', 'A:ws:w1;', 'L:ws:w1:', 'L:ws:w1;')
    """
    name = part(workspace)
    return f"A:ws:{name}:", f"A:ws:{name};", f"L:ws:{name}:", f"L:ws:{name};"


def promo(workspace: WorkspaceId, lot: str) -> Account:
    return Account(f"L:ws:{part(workspace)}:promo:{part(lot)}")


def held(workspace: WorkspaceId) -> Account:
    return Account(f"L:ws:{part(workspace)}:held")


def overage(workspace: WorkspaceId, period: str) -> Account:
    """What was used beyond the credit in a plan's period, and is held for; it is paid later. ``period`` is the plan's end."""
    return Account(f"A:ws:{part(workspace)}:overage:{part(period)}")


def overage_held(workspace: WorkspaceId, period: str) -> Account:
    """What of ``overage`` is only held for calls that run."""
    return Account(f"L:ws:{part(workspace)}:overage_held:{part(period)}")


def metered(workspace: WorkspaceId, period: str) -> Account:
    """What of a period's overage a rail's meter was told, until its invoice is paid."""
    return Account(f"A:ws:{part(workspace)}:metered:{part(period)}")


def period_of(account: Account, kind: str) -> str:
    """The period of an ``overage``, an ``overage_held`` or a ``metered`` account; empty where it is no ``kind``.

    >>> period_of(Account("A:ws:w1:overage:1797000000"), "overage"), period_of(Account("L:ws:w1:paid"), "overage")
    ('1797000000', '')
    """
    parts = account.split(":")
    return parts[4] if parts[1] == "ws" and len(parts) == 5 and parts[3] == kind else ""


def paid_later(postings: Iterable[Posting]) -> int:
    """What of a settled call, or of its reversal, stands on no credit but on a later invoice."""
    kinds = ("overage", "overage_held")
    return sum(posting.amount for posting in postings if any(period_of(posting.account, kind) for kind in kinds))


def refund_hold(workspace: WorkspaceId) -> Account:
    return Account(f"L:ws:{part(workspace)}:refund_hold")


def frozen(workspace: WorkspaceId) -> Account:
    return Account(f"L:ws:{part(workspace)}:frozen")


def pocket_of(account: Account) -> Pocket | None:
    """Whose the account is; None where it is the house's."""
    parts = account.split(":")
    if parts[1] != "ws":
        return None
    owner = ":".join(parts[4:6]) if parts[3] == "paid" else ""
    return Pocket(WorkspaceId(parts[2]), owner)


def is_guarded(account: Account) -> bool:
    """Whether its natural balance never falls below 0: everything that belongs to a workspace."""
    return account.startswith(("L:ws:", "A:ws:"))


def natural(account: Account, balance: int) -> int:
    """The balance with the sign that its kind is read with: liabilities, equity and revenue grow by credits."""
    return balance if account[0] in "AX" else -balance
