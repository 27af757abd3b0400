"""Under which names what happens at a rail stands on the ledger, and whose it is.

An entry is keyed by the object that it is about and never by an event: so order, repeats and several events for one payment come
to the same entries.
"""

from collections.abc import Mapping

from integrations.payments.base import Buyer, ObjectKind
from ledger.accounts import is_part
from ledger.entry import Scope
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.store import Recorded

THE_HOUSE = Scope(WorkspaceId("house"), ActorId("house"), ConversationId(""), TurnId(""))
"""What belongs to no workspace: fees, payouts, money from nobody we know."""

SHORT: Mapping[ObjectKind, str] = {
    "checkout.session": "cs",
    "payment_intent": "pi",
    "charge": "ch",
    "invoice": "in",
    "subscription": "sub",
    "refund": "re",
    "dispute": "dp",
    "payout": "po",
    "customer": "cus",
    "transfer": "tr",
}

TRANSACTION = "balance_transaction"
"""The kind of a movement of the rail's balance, in an entry that is about nothing else."""

KINDS_BY_STRIPE: Mapping[str, ObjectKind] = {kind: kind for kind in SHORT}
"""The kind of an object by its name in an entry."""


def asked_key(buyer: Buyer) -> str:
    return f"payment.asked/{buyer.intent}"


def requested_key(intent: str) -> str:
    """Of a refund that somebody wants, and the operator decides on."""
    return f"payment.requested/{intent}"


def opened_key(name: str) -> str:
    """Of what the rail made: of a refund by our reference, of a page by the rail's own name."""
    return f"payment.opened/{name}"


def hold_key(intent: str) -> str:
    """Of the credit that waits for a refund to be sent; or of the end of a request that is declined."""
    return f"payment.hold/{intent}"


def deletion_key(name: str) -> str:
    """Of a customer that its workspace's owner wants deleted, and of each subscription that ends with it."""
    return f"payment.deletion/{name}"


def resolved_key(rail: str, payment: str) -> str:
    """Of money that waited in suspense until an operator gave it to a workspace, or some of it went back. Both have this key, so
    that of two at the same moment one decides."""
    return f"payment.resolved/{rail}/{payment}"


def returned_key(rail: str, payment: str) -> str:
    """Of money that waited in suspense, and of which some was given back: in older entries, beside ``resolved_key``."""
    return f"payment.returned/{rail}/{payment}"


def discount_key(paid: Recorded, step: int) -> str:
    """Of what goes of a purchase's discount, or comes again, with that step of what goes back of it."""
    return f"credit.discount/{paid.entry.idem}/{step}"


def scope_of(buyer: Buyer | None) -> Scope:
    if buyer is None or not is_part(buyer.workspace):
        return THE_HOUSE
    return Scope(buyer.workspace, buyer.actor, ConversationId(""), TurnId(""))


def scope_in(recorded: Recorded) -> Scope:
    entry = recorded.entry
    return Scope(entry.workspace, entry.actor, ConversationId(""), TurnId(""))
