"""Reading and writing what is recorded of a rail's objects: each step of an object once."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from integrations.payments.base import Buyer, ObjectRef, Rail
from integrations.payments.in_book import in_book, in_parts, part_key
from integrations.payments.keys import SHORT, resolved_key, returned_key, scope_of
from ledger.book import AccountRow
from ledger.credit_actions import CreditAction, PaymentUnmatched, SuspenseResolved
from ledger.entry import Draft, Scope, StripeObject
from ledger.errors import KeyReused
from ledger.payment_actions import PaymentHandled, PaymentOutcome
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Receipt, Recorded

STEPS_MAX = 20
"""So often a step of a payment's list is tried again, where others took it first."""


class Journal(Protocol):
    """What is read of a store."""

    async def find(self, idem: str) -> Recorded | None: ...

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]: ...

    async def moved(self, after: int, count_max: int) -> tuple[Recorded, ...]: ...

    async def balances_of(self, workspace: WorkspaceId) -> tuple[AccountRow, ...]: ...


async def resolved_by(journal: Journal, rail: str, payment: str) -> Recorded | None:
    """The entry by which an operator made credit of what waited in suspense."""
    found = await journal.find(resolved_key(rail, payment))
    return found if found is not None and isinstance(found.entry.action, SuspenseResolved) else None


async def went_back(journal: Journal, rail: str, payment: str) -> bool:
    """Whether some of what waited in suspense was given back: then nobody gets credit for it."""
    if await journal.find(returned_key(rail, payment)) is not None:
        return True
    found = await journal.find(resolved_key(rail, payment))
    return found is not None and isinstance(found.entry.action, PaymentHandled)


@dataclass(frozen=True, slots=True)
class Records:
    """Of one rail."""

    roadchain: RoadChain
    journal: Journal
    rail: Rail

    def key(self, about: ObjectRef, step: str) -> str:
        return f"{self.rail}:{SHORT[about.kind]}:{about.id}:{step}"

    def fee_key(self, transaction: str) -> str:
        return f"{self.rail}:bt:{transaction}:fee"

    def moved_key(self, transaction: str) -> str:
        """Of a movement that belongs to no object."""
        return f"{self.rail}:bt:{transaction}:moved"

    async def find(self, idem: str) -> Recorded | None:
        return await self.journal.find(idem)

    async def stands(self, about: ObjectRef, step: str) -> Recorded | None:
        return await self.journal.find(self.key(about, step))

    async def unmatched(self, about: ObjectRef, buyer: Buyer | None, cents: int, currency: str) -> PaymentOutcome:
        scope = scope_of(buyer)
        unmatched = PaymentUnmatched(self.rail, *in_book(cents, currency))
        await self.once(self.draft(unmatched, about, "paid", scope))
        return "unmatched"

    async def parts_of(self, first: Recorded) -> list[Recorded]:
        """All entries of an amount that no posting can hold."""
        parts = [first]
        while (found := await self.journal.find(part_key(first.entry.idem, len(parts) + 1))) is not None:
            parts.append(found)
        return parts

    def draft(self, action: CreditAction, about: ObjectRef, step: str, scope: Scope) -> Draft:
        return Draft(action, scope, self.key(about, step), stripe=StripeObject(about.kind, about.id))

    async def again(self, record: Callable[[], Awaitable[PaymentOutcome]]) -> PaymentOutcome:
        """Of what is worked out of a payment's list: where others took its next step meanwhile, it is worked out anew."""
        for _ in range(STEPS_MAX - 1):
            with suppress(KeyReused):
                return await record()
        return await record()

    async def once(self, main: Draft, *before: Draft) -> tuple[Receipt, ...]:
        """Record ``before`` and ``main``, in this order and together, unless ``main`` stands."""
        return await self.append((*before, main), main)

    async def together(self, main: Draft, *behind: Draft) -> tuple[Receipt, ...]:
        return await self.append((main, *behind), main)

    async def append(self, group: tuple[Draft, ...], main: Draft) -> tuple[Receipt, ...]:
        try:
            return await self.roadchain.append(*(part for draft in group for part in in_parts(draft)))
        except KeyReused:
            # Another process was first, from another look at the same object.
            if await self.journal.find(main.idem) is None:
                raise
            return ()


def outcome_of(standing: Recorded) -> PaymentOutcome:
    """What came of money, looked at again."""
    return "unmatched" if isinstance(standing.entry.action, PaymentUnmatched) else "recorded"
