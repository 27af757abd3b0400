"""A delivery of Stripe's, as a plain event: after the signature, the time, the mode and the account were checked.

docs.stripe.com/webhooks#verify-official-libraries. The SDK's own helper compares the signature; it accepts a time that is far
ahead, so the time is checked here.
"""

import json
import re
from collections.abc import Mapping, Sequence

from integrations.payments.base import Event, ObjectKind, ObjectRef, WebhookRefused

SIGNATURE_AGE_S_MAX = 300
SIGNATURES_MAX = 20
_ITEM = re.compile(r"([A-Za-z0-9_]{1,16})=([A-Za-z0-9]{1,256})")
_STAMP = re.compile(r"[0-9]{1,12}")

KINDS: Mapping[str, ObjectKind] = {
    "checkout.session": "checkout.session",
    "payment_intent": "payment_intent",
    "charge": "charge",
    "invoice": "invoice",
    "subscription": "subscription",
    "refund": "refund",
    "dispute": "dispute",
    "payout": "payout",
    "customer": "customer",
}
"""What money depends on, by the name that Stripe gives to the kind of object."""

_DELETED = "customer.deleted"


def verified(body: bytes, header: str, secrets: Sequence[str], *, live: bool, now_s: float) -> Event:
    """``secrets`` are several while one is being replaced; none: nothing is accepted. Raises ``WebhookRefused``."""
    from stripe import SignatureVerificationError, WebhookSignature

    if not secrets:
        raise WebhookRefused("the endpoint is off: it has no secret", "off")
    stamp = _stamp(header)
    if stamp is None:
        raise WebhookRefused("the signature is not of the form of Stripe's", "signature")
    for secret in secrets:
        try:
            WebhookSignature.verify_header(body, header, secret)
            break
        except (SignatureVerificationError, UnicodeDecodeError):
            continue
    else:
        raise WebhookRefused("the signature does not fit the body and the secret", "signature")
    if abs(now_s - stamp) > SIGNATURE_AGE_S_MAX:
        raise WebhookRefused(f"it was signed more than {SIGNATURE_AGE_S_MAX} seconds away from now", "timestamp")
    return read_event(body, live=live)


def read_event(body: bytes, *, live: bool) -> Event:
    """Raises ``WebhookRefused`` where it is no event, or one of another mode or account."""
    try:
        given = json.loads(body)
        event = event_of(given)
        mode, account = given["livemode"], given.get("account")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WebhookRefused("the body is not an event", "body") from error
    if mode is not live:
        raise WebhookRefused("it is of the other mode, live or test", "mode")
    if account is not None:
        raise WebhookRefused("it is of a connected account", "account")
    return event


def event_of(given: Mapping[str, object]) -> Event:
    """An event's own fields; of its object the kind and the id alone. Raises ``KeyError``, ``TypeError``."""
    data = given["data"]
    about = data["object"] if isinstance(data, Mapping) else None
    if given.get("object") != "event" or not isinstance(about, Mapping):
        raise TypeError("not an event")
    kind = KINDS.get(str(about.get("object")))
    if kind == "customer" and given.get("type") != _DELETED:  # of a customer nothing else matters: no name, no address
        kind = None
    if about.get("id") is None:  # an invoice that is only announced
        kind = None
    ref = None if kind is None else ObjectRef(kind, _text(about["id"]))
    created = given["created"]
    if type(created) is not int:
        raise TypeError("an event has a time")
    return Event(_text(given["id"]), _text(given["type"]), ref, created)


def _stamp(header: str) -> int | None:
    """When it was signed; None where the header is not of the form ``t=1795000000,v1=5257a8…,v0=6ffbb5…``, with one time. The
    SDK's helper reads more than that, and fails over some of it in ways of its own."""
    items = [_ITEM.fullmatch(item) for item in header.split(",", SIGNATURES_MAX)]
    named = [(item[1], item[2]) for item in items if item is not None]
    stamps = [value for name, value in named if name == "t"]
    if len(named) < len(items) or len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        return None
    return int(stamps[0])


def _text(value: object) -> str:
    """An id becomes a part of a key: short, and of a plain alphabet."""
    if not isinstance(value, str) or not value.isascii() or not 1 <= len(value) <= 255 or not value.isprintable():
        raise TypeError("not an id")
    return value
