"""A customer is deleted at the rail because its workspace's owner wants it: asked for on the ledger, made, and recorded.

What was cut off in between goes on when it is asked for again; and where the rail had done it already, its own event says so.
"""

from integrations.payments.base import CustomerDeleted, ObjectRef
from integrations.payments.cashier import Cashier
from integrations.payments.keys import deletion_key
from ledger.entry import Draft, Scope, StripeObject
from ledger.payment_actions import PaymentAsked


async def delete_customer(cashier: Cashier, scope: Scope) -> bool:
    """Whether there was one. Durable on return: no request is made in its name again, and its plan lets nothing more be paid
    later.

    Raises ``PaymentError``, after which it may be gone or not; ``LedgerError``, ``StoreFailed``. A second call does what is
    missing.
    """
    rail, customer = cashier.subscriptions, await cashier.customer_of(scope.workspace)
    if rail is None or not customer:
        return False
    about = ObjectRef("customer", customer)
    if await cashier.bridge.find(deletion_key(customer)) is None:
        asked = [_asked(cashier, scope, item) for item in (about, *await rail.running(customer))]
        await cashier.bridge.append(tuple(asked), asked[0])
    await rail.delete_customer(customer)
    await cashier.bridge.record(CustomerDeleted(about))
    return True


def _asked(cashier: Cashier, scope: Scope, about: ObjectRef) -> Draft:
    asked, stripe = PaymentAsked(cashier.rail, "deletion", 0), StripeObject(about.kind, about.id)
    return Draft(asked, scope, deletion_key(about.id), stripe=stripe)
