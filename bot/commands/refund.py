"""``/billing refund``: a billing admin asks for what was paid and not spent. The operator decides, and sends it.

Stripe keeps its fee of a payment that is given back, and a card that was stolen is best emptied through a refund: so nobody but
who runs the house sends money out of it.
"""

from datetime import UTC, datetime

from bot.billing import purse_of
from bot.commands.amounts import code_of, dollars_text, read_dollars
from bot.commands.base import Asking, Desk, Result
from integrations.payments.base import (
    Amount,
    IntentId,
    PaymentRefused,
    PaymentShown,
    PaymentUnknown,
    urc,
)
from integrations.payments.cashier import Cashier
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import rc_text

PAYMENTS_SHOWN = 10
KIND = "billing.refund"
NOTHING_MOVED = "No money was sent, and no credit taken."


async def refund(asking: Asking, desk: Desk, cashier: Cashier, rest: str) -> Result:
    """The same turn asks for the same refund, however often it is run."""
    payment, _, amount = rest.partition(" ")
    if not payment:
        return await _listed(asking, cashier)
    cents = read_dollars(amount)
    if cents is None:
        return _refused(
            "`/billing refund PAYMENT DOLLARS`: from 1 to 1,000 US dollars, with two decimals at the most.",
            code_of(amount),
        )
    scope = asking.scope
    purse = purse_of(await desk.store.balances_of(scope.workspace), scope.workspace, scope.actor, desk.clock())
    if purse.bought < urc(cents):
        said = f"Less than {rc_text(urc(cents))} of what was bought here is left: what was spent is not given back."
        return _refused(said, Code.INSUFFICIENT_BALANCE)
    intent = IntentId(f"ref-{scope.turn}")
    try:
        await cashier.request_refund(scope, payment, cents, intent)
    except PaymentUnknown:
        said = f"`{payment[:40]}` is no top-up of this workspace: `/billing refund` lists them."
        return _refused(said, Code.ENTITY_NOT_FOUND)
    except PaymentRefused:
        said = (
            f"{dollars_text(Amount(cents))} is more than was paid with `{payment}`: `/billing refund` shows how much."
        )
        return _refused(said, Code.INVALID_ENTRY_TYPE)
    return Result(
        f"Asked for: {dollars_text(Amount(cents))} back, the way they came. Whoever runs this CarPool decides on it; "
        f"its reference is `{intent}`. Until then the credit can be spent, and what is spent is not given back."
    )


async def _listed(asking: Asking, cashier: Cashier) -> Result:
    shown = await cashier.payments(asking.scope, PAYMENTS_SHOWN)
    left = [payment for payment in shown if payment.refunded.cents < payment.amount.cents]
    if not left:
        return Result("Nothing was paid here that could be given back.")
    how = "`/billing refund PAYMENT DOLLARS` asks for what was not spent, the way it came:"
    return Result("\n".join([how, "", *map(_line, left)]))


def _line(payment: PaymentShown) -> str:
    day = datetime.fromtimestamp(payment.created_s, UTC)
    back = f", {dollars_text(payment.refunded)} of it given back" if payment.refunded.cents else ""
    return f"- `{payment.id}`: {day:%Y-%m-%d}, {dollars_text(payment.amount)}{back}"


def _refused(said: str, code: Code) -> Result:
    return Result(f"{said} {NOTHING_MOVED}", (CreditRefused(KIND, code.value),))
