"""What waits in suspense, as the operator sees it."""

from bot.suspense_console import in_suspense, told
from integrations.payments.keys import resolved_key
from ledger.credit_actions import SuspenseResolved
from ledger.entry import Draft
from ledger.money import URC_PER_RC
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
