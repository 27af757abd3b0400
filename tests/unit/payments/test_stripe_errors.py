"""Every error of Stripe's SDK, made by hand, and what it is to us."""

import inspect
from typing import Any

import aiohttp
import pytest
import stripe
from stripe import _error

from integrations.payments.base import (
    PaymentConflict,
    PaymentError,
    PaymentMisconfigured,
    PaymentRefused,
    PaymentUnavailable,
    PaymentUnknown,
)
from integrations.payments.stripe_errors import payment_error

SAID = "said by Stripe of card 4242"


def made(kind: Any, *words: str, http_status: int | None = None) -> Exception:
    """Half of their constructors have no types."""
    error: Exception = kind(*words) if http_status is None else kind(*words, http_status=http_status)
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (made(stripe.APIConnectionError, SAID), PaymentUnavailable),
        (made(stripe.RateLimitError, SAID, http_status=429), PaymentUnavailable),
        (made(stripe.APIError, SAID, http_status=500), PaymentUnavailable),
        (aiohttp.ClientPayloadError(SAID), PaymentUnavailable),
        (TimeoutError(SAID), PaymentUnavailable),
        (made(stripe.AuthenticationError, SAID, http_status=401), PaymentMisconfigured),
        (made(stripe.PermissionError, SAID, http_status=403), PaymentMisconfigured),
        (made(stripe.IdempotencyError, SAID, http_status=400), PaymentConflict),
        (made(stripe.InvalidRequestError, SAID, "id", "resource_missing", http_status=404), PaymentUnknown),
        (made(stripe.InvalidRequestError, SAID, "amount", "amount_too_small", http_status=400), PaymentRefused),
        (made(stripe.CardError, SAID, "number", "card_declined", http_status=402), PaymentRefused),
        (made(stripe.SignatureVerificationError, SAID, "t=1"), PaymentRefused),
    ],
)
def test_an_error_is_told_by_its_type(error: Exception, kind: type[PaymentError]) -> None:
    mapped = payment_error(error)
    assert type(mapped) is kind
    assert SAID not in f"{mapped} {mapped.remedy}"


def test_each_error_that_the_sdk_has_is_one_of_ours() -> None:
    everything = inspect.getmembers(
        _error, inspect.isclass
    )  # the package shows them one by one, when they are asked for
    kinds = [kind for _, kind in everything if issubclass(kind, stripe.StripeError)]
    assert len(kinds) > 10
    for kind in kinds:
        error = kind.__new__(kind)
        error.code, error.http_status = None, 400
        assert isinstance(payment_error(error), PaymentError)
