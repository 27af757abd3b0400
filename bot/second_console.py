"""What one operator alone does not decide on: above a limit a grant, a write-off or a refund waits until another approves of it.

Nobody's name is checked: whoever sits at the console has the ledger in their hands. The names stand in the entries, and two of
them are needed: that keeps one person from a slip, and says afterwards who agreed.
"""

from bot.accruals import owed_before
from bot.console import EXIT_OK, EXIT_USAGE, complain, say
from bot.operating import Opened
from integrations.payments.base import Cents
from integrations.payments.requests import payment_object
from ledger.accounts import is_part
from ledger.credit_actions import CreditGranted, DebtWrittenOff, ProviderTruedUp
from ledger.entry import Draft, Scope
from ledger.errors import Code, InsufficientBalance
from ledger.money import URC_PER_RC
from ledger.payment_actions import AdjustmentAsked

DAY_US = 86_400_000_000
NO_NAME = (
    "More than ${0:,} is decided on by two operators: say who you are with --as NAME, of letters, digits, `-`, `_` and `.`. "
    "Nothing was changed."
)


def asked_key(reference: str) -> str:
    return f"adjustment.asked/{reference}"


def decided_key(reference: str) -> str:
    return f"adjustment.decided/{reference}"


def true_up_key(reference: str) -> str:
    return f"{ProviderTruedUp.name}/{reference}"


def is_much(house: Opened, amount: int) -> bool:
    """Whether an amount in uRC is more than one operator decides on."""
    return bool(house.second_above_usd) and amount > house.second_above_usd * 100 * URC_PER_RC


def names_somebody(operator: str) -> bool:
    return is_part(operator)


async def ask_second(
    house: Opened, asked: AdjustmentAsked, scope: Scope, reference: str, said: str, payment: str = ""
) -> int:
    """Put on record what is asked for; nothing moves. Gives the exit status."""
    if not names_somebody(asked.operator):
        complain(NO_NAME.format(house.second_above_usd))
        await house.refuse(asked.kind, Code.UNAUTHORISED, scope)
        return EXIT_USAGE
    about = payment_object(asked.rail, payment) if payment else None
    await house.roadchain.append(house.run(scope, said), Draft(asked, scope, asked_key(reference), stripe=about))
    say(
        f"{reference}: asked for. It is more than ${house.second_above_usd:,}, so another operator has to say "
        f"`carpool billing approve {reference} REASON --as NAME`. Nothing was changed yet."
    )
    return EXIT_OK


async def movement(house: Opened, asked: AdjustmentAsked, scope: Scope, reference: str) -> Draft:
    """What is recorded of all but a refund. How long a grant lasts is counted from now. Raises ``InsufficientBalance`` where a
    provider is owed less of the period than when it was asked for."""
    if asked.kind == "true_up":
        trued_up = ProviderTruedUp(asked.provider, asked.amount - asked.suspense, asked.suspense)
        owed = await owed_before(house.store, asked.provider, asked.until_s * 1_000_000)
        short = max(trued_up.accrued - owed.accrued, trued_up.suspense - owed.suspense)
        if short > 0:
            raise InsufficientBalance(f"{short} of {asked.amount} uRC are not owed to {asked.provider} any more", short)
        return Draft(trued_up, scope, true_up_key(reference))
    if asked.kind == "writeoff":
        return Draft(DebtWrittenOff(asked.amount), scope, f"credit.writeoff/{reference}")
    expires_us = (await house.store.head()).mono + asked.days * DAY_US if asked.days else None
    granted = CreditGranted(f"grant-{reference}", asked.amount, expires_us)
    return Draft(granted, scope, f"credit.grant/{reference}")


def cents_of(amount: int) -> Cents:
    return Cents(amount // URC_PER_RC)
