"""``/billing refund``: a billing admin asks for what was paid and not spent. The operator decides, and sends it.

Stripe keeps its fee of a payment that is given back, and a card that was stolen is best emptied through a refund: so nobody but
who runs the house sends money out of it.
"""

from datetime import UTC, datetime

from bot.billing import purse_of
from bot.commands.amounts import code_of, dollars_text, in_code, read_dollars
from bot.commands.base import Asking, Desk, Result
from bot.sentences import Sentences
from integrations.payments.base import (
    Amount,
    IntentId,
    PaymentRefused,
    PaymentShown,
    PaymentUnknown,
)
from integrations.payments.cashier import Cashier
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import rc_text

PAYMENTS_SHOWN = 10
KIND = "billing.refund"
REFERENCE = "ref-"
"""Behind it stands the turn that asked."""

NOTHING_MOVED = "No money was sent, and no credit taken."


async def refund(asking: Asking, desk: Desk, cashier: Cashier, rest: str) -> Result:
    """The same turn asks for the same refund, however often it is run."""
    payment, _, amount = rest.partition(" ")
    if not payment:
        return await _listed(asking, cashier, desk.say)
    cents = read_dollars(amount)
    if cents is None:
        return _refused(
            desk.say,
            desk.say("`/billing refund PAYMENT DOLLARS`: from 1 to 1,000 US dollars, with two decimals at the most."),
            code_of(amount),
        )
    scope = asking.scope
    purse = purse_of(await desk.store.balances_of(scope.workspace), scope.workspace, scope.actor, desk.clock())
    credit = await cashier.credit_in(scope.workspace, payment, cents)
    if purse.bought < credit:
        said = desk.say(
            "Less than {0} of what was bought here is left: what was spent is not given back.", rc_text(credit)
        )
        return _refused(desk.say, said, Code.INSUFFICIENT_BALANCE)
    intent = IntentId(f"{REFERENCE}{scope.turn}")
    try:
        await cashier.request_refund(scope, payment, cents, intent)
    except PaymentUnknown:
        said = desk.say("{0} is no top-up of this workspace: `/billing refund` lists them.", in_code(payment))
        return _refused(desk.say, said, Code.ENTITY_NOT_FOUND)
    except PaymentRefused as error:
        if error.code == "asked_before":
            said = desk.say(
                "Less than {0} is left of {1}: the rest was given back, or asked for before and waits to be decided on.",
                dollars_text(Amount(cents)),
                in_code(payment),
            )
            return _refused(desk.say, said, Code.INSUFFICIENT_BALANCE)
        said = desk.say(
            "{0} is more than was paid with {1}: `/billing refund` shows how much.",
            dollars_text(Amount(cents)),
            in_code(payment),
        )
        return _refused(desk.say, said, Code.INVALID_ENTRY_TYPE)
    return Result(
        desk.say(
            "Asked for: {0} back, the way it was paid. Whoever runs this CarPool decides on it; its reference "
            "is `{1}`. Until then the credit can be spent, and what is spent is not given back.",
            dollars_text(Amount(cents)),
            intent,
        )
    )


async def _listed(asking: Asking, cashier: Cashier, say: Sentences) -> Result:
    shown = await cashier.payments(asking.scope, PAYMENTS_SHOWN)
    left = [payment for payment in shown if payment.refunded.cents < payment.amount.cents]
    if not left:
        return Result(say("Nothing was paid here that could be given back."))
    how = say("`/billing refund PAYMENT DOLLARS` asks for what was not spent, the way it came:")
    return Result("\n".join([how, "", *(_line(payment, say) for payment in left)]))


def _line(payment: PaymentShown, say: Sentences) -> str:
    day = datetime.fromtimestamp(payment.created_s, UTC)
    back = say(", {0} of it given back", dollars_text(payment.refunded)) if payment.refunded.cents else ""
    return f"- `{payment.id}`: {day:%Y-%m-%d}, {dollars_text(payment.amount)}{back}"


def _refused(say: Sentences, said: str, code: Code) -> Result:
    return Result(f"{said} {say(NOTHING_MOVED)}", (CreditRefused(KIND, code.value),))
