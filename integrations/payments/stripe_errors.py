"""Stripe's errors as ours: mapped once, by their type and status, never by their text."""

import stripe
from aiohttp import ClientError

from integrations.payments.base import (
    PaymentConflict,
    PaymentError,
    PaymentMisconfigured,
    PaymentRefused,
    PaymentUnavailable,
    PaymentUnknown,
)

NOT_FOUND = 404
CAUGHT = (stripe.StripeError, ClientError, TimeoutError)
"""The SDK lets what goes wrong while a body is read through as it is."""


def payment_error(error: BaseException) -> PaymentError:
    """Its words are ours: Stripe's may quote what was sent."""
    match error:
        case stripe.APIConnectionError() | stripe.RateLimitError() | ClientError() | TimeoutError():
            return PaymentUnavailable("Stripe cannot be reached")
        case stripe.AuthenticationError() | stripe.PermissionError():
            return PaymentMisconfigured("Stripe refuses the key")
        case stripe.IdempotencyError():
            return PaymentConflict("Stripe saw this key with another request")
        case stripe.InvalidRequestError() if error.http_status == NOT_FOUND:
            return PaymentUnknown("Stripe has no such object")
        case stripe.InvalidRequestError() | stripe.CardError():
            return PaymentRefused("Stripe refuses the request", error.code or "")
        case stripe.APIError():
            return PaymentUnavailable("Stripe failed")
        case _:
            return PaymentRefused("Stripe refuses the request", type(error).__name__)
