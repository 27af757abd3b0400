"""``carpool billing provider-bill``, ``treasury``, ``operations``: the house's own money, which no payment service and no call
tells of. Each has a reason, which is kept beside the chain, and a reference, under which it counts once."""

import secrets
from collections.abc import Iterable

from bot.commands.amounts import HOUSE_DOLLARS_MAX, code_of, dollars_text, read_house_dollars
from bot.console import EXIT_OK, EXIT_USAGE, complain, say
from bot.operating import Opened, opened, turned_away
from bot.settings import Settings
from integrations.payments.base import Amount, Cents, urc
from integrations.payments.keys import THE_HOUSE
from ledger.accounts import RC, is_part, provider_accrued, provider_suspense
from ledger.book import AccountRow
from ledger.credit_actions import CreditAction, LateCost, OperationsPaid, ProviderBilled, TreasuryMoved
from ledger.entry import Draft
from ledger.errors import Code, KeyReused
from ledger.money import Money, rc_text

NO_AMOUNT = (
    f"The amount is in US dollars, above 0 and up to {HOUSE_DOLLARS_MAX:,}, such as 10 or 2.50. Nothing was changed."
)
NO_REFERENCE = "A reference is of letters, digits, `-`, `_` and `.`, up to 64 of them. Nothing was changed."


async def provider_bill(settings: Settings, provider: str, amount: str, reason: str, reference: str = "") -> int:
    """A provider's bill was paid from the bank: known calls first, then what was estimated of those whose answer nobody has, and
    what is more than both is the house's cost."""
    what = "provider-bill"
    if (cents := read_house_dollars(amount)) is None:
        return await turned_away(settings, what, code_of(amount), NO_AMOUNT)
    if not is_part(reference or "x"):
        return await turned_away(settings, what, Code.INVALID_ENTRY_TYPE, NO_REFERENCE)
    async with opened(settings) as house:
        rows = await house.store.balances()
        known = _providers(rows)
        if provider not in known:
            complain(
                f"{provider} has answered nothing here: known are {', '.join(known) or 'none'}. Nothing was changed."
            )
            await house.refuse(what, Code.ENTITY_NOT_FOUND)
            return EXIT_USAGE
        billed = urc(cents)
        accrued = min(billed, _there(rows, provider_accrued(provider)))
        suspense = min(billed - accrued, _there(rows, provider_suspense(provider)))
        more = billed - accrued - suspense
        late = [LateCost(provider, more, absorbed=True)] if more else []
        status = await _record(
            house, what, [*late, ProviderBilled(provider, accrued + more, suspense)], amount, reason, reference
        )
        if status == EXIT_OK:
            rows = await house.store.balances()
            say(
                f"{provider}: {rc_text(Money(accrued))} of calls that are known, {rc_text(Money(suspense))} of estimates, "
                f"{rc_text(Money(more))} of which nothing was known. Still owed: "
                f"{rc_text(Money(_there(rows, provider_accrued(provider))))} of calls, "
                f"{rc_text(Money(_there(rows, provider_suspense(provider))))} of estimates."
            )
    return status


async def treasury(settings: Settings, direction: str, amount: str, reason: str, reference: str = "") -> int:
    """The owner put money into the bank, or took it out."""
    if (cents := read_house_dollars(amount)) is None:
        return await turned_away(settings, "treasury", code_of(amount), NO_AMOUNT)
    moved = TreasuryMoved("in" if direction == "in" else "out", urc(cents))
    return await _alone(settings, "treasury", moved, amount, reason, reference)


async def operations(settings: Settings, amount: str, reason: str, reference: str = "") -> int:
    """Something that the house needs was paid from the bank."""
    if (cents := read_house_dollars(amount)) is None:
        return await turned_away(settings, "operations", code_of(amount), NO_AMOUNT)
    return await _alone(settings, "operations", OperationsPaid(urc(cents)), amount, reason, reference)


async def _alone(settings: Settings, what: str, action: CreditAction, amount: str, reason: str, reference: str) -> int:
    if not is_part(reference or "x"):
        return await turned_away(settings, what, Code.INVALID_ENTRY_TYPE, NO_REFERENCE)
    async with opened(settings) as house:
        return await _record(house, what, [action], amount, reason, reference)


async def _record(
    house: Opened, what: str, actions: list[CreditAction], amount: str, reason: str, reference: str
) -> int:
    """All of it, or nothing, once under a reference."""
    reference = reference or f"own-{secrets.token_hex(5)}"
    if await house.store.find(f"{actions[-1].name}/{reference}") is not None:
        return await _recorded_before(house, what, reference)
    drafts = [Draft(action, THE_HOUSE, f"{action.name}/{reference}") for action in actions]
    try:
        *_, made = await house.roadchain.append(house.run(THE_HOUSE, f"{what} {amount} {reason}"), *drafts)
    except KeyReused:  # meanwhile, by somebody else
        return await _recorded_before(house, what, reference)
    cents = read_house_dollars(amount) or Cents(0)
    say(f"{reference}: {dollars_text(Amount(cents))} are recorded (entry {made.seq}).")
    return EXIT_OK


async def _recorded_before(house: Opened, what: str, reference: str) -> int:
    complain(f"{reference} was recorded before. Nothing was changed.")
    await house.refuse(what, Code.DUPLICATE_IDEMPOTENCY_KEY)
    return EXIT_USAGE


def _providers(rows: Iterable[AccountRow]) -> list[str]:
    return sorted({row.account.split(":")[2] for row in rows if row.account.startswith("L:provider:")})


def _there(rows: Iterable[AccountRow], account: str) -> int:
    return max(0, next((row.natural for row in rows if (row.account, row.currency) == (account, RC)), 0))
