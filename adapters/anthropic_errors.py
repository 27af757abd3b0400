"""The anthropic SDK's errors as ours."""

from typing import TYPE_CHECKING

from adapters.errors import (
    AdapterError,
    BadReply,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
)
from adapters.http_errors import of_status, of_transport, retry_after_s

if TYPE_CHECKING:
    import anthropic

TOO_LONG = "prompt is too long"
"""A question over the context is an ``invalid_request_error`` like many others, and has no code of its own: what the
message begins with is all that tells."""


def sdk_errors() -> tuple[type[Exception], ...]:
    """What a call through the anthropic SDK can raise, while a stream is read too. Imports the SDK."""
    import anthropic
    import httpx2

    # ValueError: a line of the stream that is not JSON, or text that has no UTF-8 form.
    return (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError, ValueError)


def as_adapter_error(error: Exception) -> AdapterError:
    """One of ``sdk_errors()`` as ours, by type and status.

    Its text names the kind and the status, and repeats nothing that the server wrote.
    """
    import anthropic
    import httpx2

    kind = type(error).__name__
    match error:
        case anthropic.APITimeoutError():
            return of_transport(error.__cause__) if error.__cause__ else TimedOut(kind)
        case anthropic.APIConnectionError():
            return Unavailable(kind)
        case httpx2.HTTPError() | httpx2.StreamError():
            return of_transport(error)
        case anthropic.APIStatusError():
            found = _of_status(error)
            found.retry_after_s = retry_after_s(error.response.headers)
            return found
        case UnicodeEncodeError():
            return Refused(f"{kind}: the request has no UTF-8 form")
        case anthropic.CredentialsError():
            return RefusedKey(kind)
        case anthropic.APIResponseValidationError() | anthropic.APIWebhookValidationError() | ValueError():
            return BadReply(kind)
        case _:
            return Unavailable(kind)


def _of_status(error: "anthropic.APIStatusError") -> AdapterError:
    """By the error's type, since one in the midst of a stream has the stream's own status, 200."""
    match error.type:
        case "invalid_request_error" if str(error.api_message).startswith(TOO_LONG):
            return RequestTooLong(error.type)
        case "overloaded_error" | "api_error" | "timeout_error":
            return Unavailable(error.type)
        case "rate_limit_error":
            return RateLimited(error.type)
        case "authentication_error" | "permission_error" | "billing_error":
            return RefusedKey(error.type)
        case "request_too_large":
            return RequestTooLong(error.type)
        case _:
            return Unavailable("an error in the stream") if error.status_code < 400 else of_status(error.status_code)
