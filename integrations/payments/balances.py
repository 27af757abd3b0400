"""Do customers have at the rail, for later invoices, what the ledger says? Each that differs is named; nothing is mended.

What an invoice takes of a balance leaves it when the invoice is made, and comes to the ledger when it is paid: between the two it
is on its way, and no difference. What an operator changes at the rail is one, until it is put right there.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from integrations.payments.base import BalanceMove, CustomerShown, ObjectRef, PaymentUnknown, Subscriptions
from integrations.payments.cashier import Cashier
from integrations.payments.in_book import in_book
from integrations.payments.reconcile import PAGE, Difference
from integrations.payments.setting_aside import FAILURES, passes
from ledger.accounts import RC, is_part
from ledger.credit_actions import CustomerBalanceMoved
from ledger.pseudonyms import WorkspaceId
from ledger.store import Recorded


class Reads(Protocol):
    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]: ...


@dataclass(frozen=True, slots=True)
class CustomersCompared:
    """``found`` are invoices of which nothing had been told, and that are recorded now."""

    found: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()


class _Believed:
    """By workspace and invoice, what the ledger says was taken out of a customer's balance (below 0: put there), in uRC."""

    def __init__(self, rail: str, book: Reads) -> None:
        self.of: dict[str, dict[str, int]] = defaultdict(dict)
        self._rail = rail
        self._book = book
        self._after = -1

    async def read(self) -> None:
        """On from where it was."""
        while page := await self._book.moved(self._after, PAGE):
            for recorded in page:
                entry, action = recorded.entry, recorded.entry.action
                if isinstance(action, CustomerBalanceMoved) and action.rail == self._rail and entry.stripe is not None:
                    moved = action.amount if action.direction == "used" else -action.amount
                    self.of[entry.workspace][entry.stripe.id] = moved
            self._after = page[-1].entry.seq


async def reconcile_customers(cashier: Cashier, rail: Subscriptions, book: Reads) -> CustomersCompared:
    """Of each customer that the ledger knows. Raises ``PaymentError``, ``StoreFailed``."""
    believed = _Believed(cashier.rail, book)
    await believed.read()
    differences: list[Difference] = []
    found: list[str] = []
    # All that are listed first, so that none waits for another's invoices.
    for shown in [item async for item in rail.customers()]:
        if not await _is_known(cashier, shown) or not (shown.balance.cents or shown.workspace in believed.of):
            continue
        try:
            balance, moves = await rail.balance_of(shown.id)
        except PaymentUnknown:  # deleted meanwhile
            continue
        found += await _looked_at(cashier, moves)
        await believed.read()
        there, currency = in_book(balance.cents, balance.currency)
        ours = believed.of.get(shown.workspace, {})
        taken = sum(ours.pop(move.invoice, 0) for move in moves)
        under_way = await _under_way(cashier, moves)
        if currency != RC or there != -taken - under_way:
            name = f"{shown.id} of workspace {shown.workspace}" + ("" if currency == RC else f", in {currency}")
            differences.append(Difference("customer_balance", name, there, -taken - under_way))
    return CustomersCompared(tuple(found), (*differences, *_of_the_gone(believed.of)))


def _of_the_gone(left: Mapping[str, Mapping[str, int]]) -> Iterable[Difference]:
    """What stands on the ledger of invoices that no customer has who is there."""
    sums = Counter({workspace: -sum(invoices.values()) for workspace, invoices in left.items()})
    for workspace, amount in sums.items():
        if amount:
            yield Difference("customer_balance", f"a deleted customer of workspace {workspace}", None, amount)


async def _is_known(cashier: Cashier, shown: CustomerShown) -> bool:
    return is_part(shown.workspace) and shown.id in await cashier.customers_of(WorkspaceId(shown.workspace))


async def _looked_at(cashier: Cashier, moves: Iterable[BalanceMove]) -> list[str]:
    """An invoice that a balance paid whole moves nothing else: where no event told of it, this is the only look at it."""
    found: list[str] = []
    for move in moves:
        about = ObjectRef("invoice", move.invoice)
        if move.state != "paid" or await cashier.bridge.stands(about, "paid") is not None:
            continue
        try:
            if await cashier.look_at(about) == "recorded":
                found.append(move.invoice)
        except FAILURES as error:
            if passes(error):
                raise
    return found


async def _under_way(cashier: Cashier, moves: Iterable[BalanceMove]) -> int:
    """What the rail has taken, and the ledger has yet to hear of."""
    waiting = 0
    for move in moves:
        known = await cashier.bridge.stands(ObjectRef("invoice", move.invoice), "paid") is not None
        if move.state != "lost" and not known:
            waiting += in_book(move.cents, "usd")[0]
    return waiting
