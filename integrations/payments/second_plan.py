"""A workspace has one plan: a second subscription that comes all the same is ended at the rail, and its money goes back.

Two links may be paid at once, whatever was closed before. Which is the second one, all processes agree on: the one that began
later, or the one that was told of after another was granted. Nothing is granted for it, what came in waits in suspense until it
has gone back, and each step is on the ledger before it is made; one that was cut off goes on at the next look. What it took of
the customer's balance at the rail goes back there.
"""

import logging

from integrations.payments.base import (
    Buyer,
    Cents,
    IntentId,
    InvoicePaid,
    ObjectRef,
    PaymentMethod,
    PaymentRefused,
    RefundAsked,
    Subscriptions,
)
from integrations.payments.in_book import in_book
from integrations.payments.keys import THE_HOUSE, asked_key, opened_key, resolved_key
from integrations.payments.roadchain_bridge import Bridge
from ledger.credit_actions import PaymentUnmatched, PlanGranted
from ledger.entry import Draft, Scope, StripeObject
from ledger.errors import KeyReused
from ledger.payment_actions import PaymentAsked, PaymentClosed, PaymentHandled, PaymentOpened
from ledger.pseudonyms import ConversationId, TurnId

RETURNED = "charge_already_refunded"
"""What a rail says where an operator was faster."""

log = logging.getLogger("carpool.payments")


async def is_second(bridge: Bridge, rail: Subscriptions, customer: str, fact: InvoicePaid) -> bool:
    """Whether another subscription of the same workspace runs, and this one came after it. Only the first invoice is asked
    about, and only before it was recorded. Raises ``PaymentError``, ``StoreFailed``."""
    if fact.buyer is None or fact.earlier or fact.renews or not customer:
        return False
    if await bridge.journal.find(asked_key(_buyer(fact, fact.buyer))) is not None:
        return True
    if await bridge.stands(fact.about, "paid") is not None:
        return False
    running = [item.id for item in await rail.running(customer)]
    if fact.subscription in running[1:]:
        return True
    others = {name for name in running if name != fact.subscription}
    grants = [item.entry.action for item in await bridge.journal.planned(fact.buyer.workspace)]
    return any(isinstance(grant, PlanGranted) and grant.subscription in others for grant in grants)


async def give_back(bridge: Bridge, rail: Subscriptions, method: PaymentMethod, fact: InvoicePaid) -> bool:
    """End it, and send its money back. False where it was recorded as a plan meanwhile. Raises ``PaymentError``,
    ``LedgerError``, ``StoreFailed``; a second call does what is missing."""
    if fact.buyer is None:
        raise AssertionError("whose it is was looked at")
    buyer = _buyer(fact, fact.buyer)
    done = Draft(PaymentHandled(bridge.rail, "nothing"), THE_HOUSE, bridge.key(fact.about, "given_back"))
    if await bridge.journal.find(done.idem) is not None:
        return True
    if not await _begun(bridge, buyer, fact):
        return False
    await rail.end(fact.subscription)
    scope = _scope(buyer)
    ended = ObjectRef("subscription", fact.subscription)
    closed, about = PaymentClosed(bridge.rail, "subscription"), StripeObject(ended.kind, ended.id)
    # Under the key of what its end takes from the plan's credit: it has none there.
    await bridge.roadchain.append(Draft(closed, scope, bridge.key(ended, "expire"), stripe=about))
    for payment, cents in await rail.paid_with(fact.about.id):
        await _sent_back(
            bridge, method, Buyer(buyer.workspace, buyer.actor, IntentId(f"second-{payment}")), payment, cents
        )
    if fact.balance:
        await _balance_back(
            bridge, rail, Buyer(buyer.workspace, buyer.actor, IntentId(f"balance-{fact.about.id}")), fact
        )
    await bridge.roadchain.append(done)
    return True


async def _begun(bridge: Bridge, buyer: Buyer, fact: InvoicePaid) -> bool:
    """On record that it is a second one, with its money in suspense, where no operator can make credit of it."""
    scope, about = _scope(buyer), StripeObject(fact.about.kind, fact.about.id)
    asked = Draft(PaymentAsked(bridge.rail, "cancellation", 0), scope, asked_key(buyer), stripe=about)
    unmatched = PaymentUnmatched(bridge.rail, *in_book(fact.total, fact.currency))
    waits = Draft(unmatched, scope, bridge.key(fact.about, "paid"), stripe=about)
    back = Draft(PaymentHandled(bridge.rail, "nothing"), THE_HOUSE, resolved_key(bridge.rail, fact.about.id))
    try:
        receipts = await bridge.roadchain.append(asked, waits, back)
    except KeyReused:  # another process took it for the first one
        return False
    if receipts[0].fresh:
        log.error(
            "a second subscription of one workspace is ended, and its money sent back",
            extra={"subscription": fact.subscription, "invoice": fact.about.id},
        )
    return True


async def _sent_back(bridge: Bridge, method: PaymentMethod, buyer: Buyer, payment: str, cents: Cents) -> None:
    scope, paid = _scope(buyer), StripeObject("payment_intent", payment)
    if await bridge.journal.find(opened_key(buyer.intent)) is not None:
        return
    asked = PaymentAsked(bridge.rail, "refund", in_book(cents, "usd")[0])
    await bridge.roadchain.append(Draft(asked, scope, asked_key(buyer), stripe=paid))
    try:
        made = await method.refund(RefundAsked(buyer, payment, cents))
    except PaymentRefused as error:
        if error.code != RETURNED:
            raise
        return
    opened = Draft(
        PaymentOpened(bridge.rail, "refund"), scope, opened_key(buyer.intent), stripe=StripeObject(made.kind, made.id)
    )
    await bridge.roadchain.append(opened)


async def _balance_back(bridge: Bridge, rail: Subscriptions, buyer: Buyer, fact: InvoicePaid) -> None:
    """What the invoice took of the customer's balance was never recorded as used: at the rail it is there again."""
    scope, invoice = _scope(buyer), StripeObject(fact.about.kind, fact.about.id)
    if await bridge.journal.find(opened_key(buyer.intent)) is not None:
        return
    asked = PaymentAsked(bridge.rail, "balance", in_book(abs(fact.balance), fact.currency)[0])
    await bridge.roadchain.append(Draft(asked, scope, asked_key(buyer), stripe=invoice))
    made = StripeObject("customer_balance_transaction", await rail.give_balance(buyer, fact.about.id, fact.balance))
    await bridge.roadchain.append(
        Draft(PaymentOpened(bridge.rail, "balance"), scope, opened_key(buyer.intent), stripe=made)
    )


def _buyer(fact: InvoicePaid, buyer: Buyer) -> Buyer:
    return Buyer(buyer.workspace, buyer.actor, IntentId(f"second-{fact.subscription}"))


def _scope(buyer: Buyer) -> Scope:
    return Scope(buyer.workspace, buyer.actor, ConversationId(""), TurnId(""))
