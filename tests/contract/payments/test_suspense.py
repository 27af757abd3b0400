"""What waits in suspense, as the operator sees it."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bot.suspense_console import in_suspense, told
from integrations.payments.base import ObjectRef
from integrations.payments.keys import resolved_key
from ledger.credit_actions import SuspenseResolved
from ledger.entry import Draft
from ledger.errors import KeyReused
from ledger.money import URC_PER_RC
from ledger.store import Recorded
from tests.payments import Till, scope

GIVE_BACK = "give it back where it came from"


async def test_each_payment_that_waits_is_listed_with_its_amount_and_what_resolves_it(till: Till) -> None:
    dollars, euros, dong, partly, wholly, resolved = (
        till.account.foreign_payment(cents, currency)["id"]
        for cents, currency in (
            (700, "usd"),
            (705, "eur"),
            (91_000_000, "vnd"),
            (900, "usd"),
            (100, "usd"),
            (300, "usd"),
        )
    )
    till.account.refund(partly, 150, {})
    till.account.refund(wholly, None, {})
    await till.delivered()
    await till.bought(10)  # is none
    paid = SuspenseResolved("stripe", 300 * URC_PER_RC, "RC", "paid")
    await till.roadchain.append(Draft(paid, scope(), resolved_key("stripe", resolved)))
    resolves = f"`carpool billing resolve PLATFORM WORKSPACE {dollars} REASON` makes credit of it"
    waiting = await in_suspense(till.store, till.cashier)
    assert [told(item) for item in waiting] == [
        f"stripe  {dollars}  7 USD  since 2026-11-18: {resolves}",
        f"stripe  {euros}  7.05 EUR  since 2026-11-18: {GIVE_BACK}",
        f"stripe  {dong}  91,000,000 VND  since 2026-11-18: {GIVE_BACK}",
        f"stripe  {partly}  7.5 USD  since 2026-11-18: {GIVE_BACK}",
    ]


async def balances(till: Till) -> dict[str, int]:
    return {row.account: row.natural for row in await till.store.balances() if row.natural}


def resolved(payment: str) -> Draft:
    """What the console appends, after it has looked whether some of it went back."""
    return Draft(SuspenseResolved("stripe", 1000 * URC_PER_RC, "RC", "paid"), scope(), resolved_key("stripe", payment))


@pytest.mark.parametrize("back", ["refund", "dispute"])
async def test_money_that_went_back_is_nobodys_credit_however_close_the_two_come(till: Till, back: str) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0
    payment = till.account.foreign_payment(1000)["id"]
    await till.delivered()
    if back == "refund":
        till.account.refund(payment, None, {})
    else:
        till.account.close_dispute(till.account.dispute(payment, fee=0)["id"], won=False)
    await till.delivered()
    with pytest.raises(KeyReused):
        await till.roadchain.append(resolved(payment))
    assert await balances(till) == {}


@dataclass(frozen=True, slots=True)
class Between:
    """A store at which an operator resolves a payment just after somebody has looked whether one did."""

    till: Till
    payment: str
    done: list[bool] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.till.store, name)

    async def find(self, idem: str) -> Recorded | None:
        found = await self.till.store.find(idem)
        if idem == resolved_key("stripe", self.payment) and not self.done:
            self.done.append(True)
            await self.till.roadchain.append(resolved(self.payment))
        return found


@pytest.mark.parametrize("back", ["refund", "dispute"])
async def test_what_an_operator_made_credit_of_at_the_same_moment_goes_back_as_credit(till: Till, back: str) -> None:
    till.account.fee_bps = till.account.fee_fixed = 0
    payment = till.account.foreign_payment(1000)["id"]
    await till.delivered()
    if back == "refund":
        about = ObjectRef("refund", till.account.refund(payment, None, {})["id"])
    else:
        about = ObjectRef("dispute", till.account.dispute(payment, fee=0)["id"])
        till.account.close_dispute(about.id, won=False)
    bridge = replace(till.cashier.bridge, journal=Between(till, payment))
    for fact in await till.method.fetch(about):
        await bridge.record(fact)
        await bridge.record(fact)
    assert await balances(till) == {}


@pytest.mark.parametrize("won", [True, False])
async def test_a_payment_whose_dispute_is_lost_waits_no_more(till: Till, won: bool) -> None:
    strange = till.account.foreign_payment(700, "usd")["id"]
    dispute = till.account.dispute(strange)["id"]
    await till.delivered()
    assert [item.payment for item in await in_suspense(till.store, till.cashier)] == [strange]
    till.account.close_dispute(dispute, won=won)
    await till.delivered()
    waiting = await in_suspense(till.store, till.cashier)
    assert [(item.payment, item.amount) for item in waiting] == ([(strange, 700 * URC_PER_RC)] if won else [])
