"""``/billing refund``: a billing admin gives back, the way it came, what was paid and not spent."""

from datetime import UTC, datetime

from bot.billing import Billing
from bot.commands.amounts import dollars_text, read_dollars
from bot.commands.base import Asking, Result
from integrations.payments.base import (
    Amount,
    IntentId,
    PaymentError,
    PaymentRefused,
    PaymentShown,
    PaymentUnknown,
    urc,
)
from integrations.payments.cashier import Cashier
from ledger.credit_actions import CreditRefused
from ledger.errors import Code, InsufficientBalance
from ledger.money import rc_text

PAYMENTS_SHOWN = 10
KIND = "billing.refund"
NOTHING_MOVED = "No money was sent, and no credit taken."


async def refund(asking: Asking, billing: Billing, cashier: Cashier, rest: str) -> Result:
    """The same turn asks for the same refund, however often it is run."""
    payment, _, amount = rest.partition(" ")
    if not payment:
        return await _listed(asking, cashier)
    cents = read_dollars(amount)
    if cents is None:
        return _refused(
            "`/billing refund PAYMENT DOLLARS`: from 1 to 1,000 US dollars, with two decimals at the most.",
            Code.INVALID_ENTRY_TYPE,
        )
    intent = IntentId(f"ref-{asking.scope.turn}")
    try:
        made = await cashier.refund(asking.scope, payment, cents, intent)
    except PaymentUnknown:
        said = f"`{payment[:40]}` is no top-up of this workspace: `/billing refund` lists them."
        return _refused(said, Code.ENTITY_NOT_FOUND)
    except InsufficientBalance:
        said = f"Less than {rc_text(urc(cents))} of what was bought here is left: what was spent is not given back."
        return _refused(said, Code.INSUFFICIENT_BALANCE)
    except PaymentRefused as error:
        if error.code == "amount_too_large":
            said = (
                f"{dollars_text(Amount(cents))} is more than is left of `{payment}`: `/billing refund` shows how much."
            )
        else:
            said = "The payment service does not give this back. Whoever runs this CarPool can see why."
        return _refused(said, Code.INVALID_ENTRY_TYPE)
    except PaymentError:
        return Result(
            f"The payment service does not answer just now. {rc_text(urc(cents))} are set aside for the refund, and whoever runs "
            f"this CarPool goes on with it: its reference is `{intent}`."
        )
    return Result(
        f"{dollars_text(Amount(cents))} go back the way they came, which takes a bank some days ({made.id}). "
        f"{rc_text(urc(cents))} of credit are gone."
    )


async def _listed(asking: Asking, cashier: Cashier) -> Result:
    shown = await cashier.payments(asking.scope, PAYMENTS_SHOWN)
    left = [payment for payment in shown if payment.refunded.cents < payment.amount.cents]
    if not left:
        return Result("Nothing was paid here that could be given back.")
    how = "`/billing refund PAYMENT DOLLARS` gives back what was not spent, the way it came:"
    return Result("\n".join([how, "", *map(_line, left)]))


def _line(payment: PaymentShown) -> str:
    day = datetime.fromtimestamp(payment.created_s, UTC)
    back = f", {dollars_text(payment.refunded)} of it given back" if payment.refunded.cents else ""
    return f"- `{payment.id}`: {day:%Y-%m-%d}, {dollars_text(payment.amount)}{back}"


def _refused(said: str, code: Code) -> Result:
    return Result(f"{said} {NOTHING_MOVED}", (CreditRefused(KIND, code.value),))
