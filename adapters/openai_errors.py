"""The openai SDK's errors as ours, for each provider that is reached through it."""

from collections.abc import Mapping

from adapters.errors import (
    AdapterError,
    BadReply,
    Filtered,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
)
from adapters.http_errors import of_status, of_transport, retry_after_s


def sdk_errors() -> tuple[type[Exception], ...]:
    """What a call through the openai SDK can raise, while a stream is read too. Imports the SDK."""
    import httpx2
    import openai

    # ValueError: a line of the stream that is not JSON, or text that has no UTF-8 form.
    return (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError)


def as_adapter_error(error: Exception) -> AdapterError:
    """One of ``sdk_errors()`` as ours, by type and status.

    Its text names the kind and the status, and repeats nothing that the server wrote.
    """
    import httpx2
    import openai

    kind = type(error).__name__
    match error:
        case openai.APITimeoutError():
            return of_transport(error.__cause__) if error.__cause__ else TimedOut(kind)
        case openai.APIConnectionError():
            return Unavailable(kind)
        case httpx2.HTTPError() | httpx2.StreamError():
            return of_transport(error)
        case openai.APIResponseValidationError():
            return BadReply(kind)
        case openai.APIStatusError():
            return _of_status(error.status_code, error.code, error.type, error.response.headers)
        case openai.APIError():  # an error in the midst of a stream, whose status was 200
            return of_code(error.code, error.type) or Unavailable(f"{kind} in the stream")
        case openai.ContentFilterFinishReasonError():
            return Filtered(kind)
        case UnicodeEncodeError():
            return Refused(f"{kind}: the request has no UTF-8 form")
        case openai.WebSocketConnectionClosedError() | openai.WebSocketQueueFullError():
            return Unavailable(kind)
        case openai.LengthFinishReasonError() | ValueError():
            return BadReply(kind)
        case _:
            return Unavailable(kind)


def _of_status(status: int, code: str | None, kind: str | None, headers: Mapping[str, str]) -> AdapterError:
    error = of_code(code, kind) or of_status(status)
    error.retry_after_s = retry_after_s(headers)
    return error


def of_code(code: str | None, kind: str | None) -> AdapterError | None:
    """Codes that say more than a status does. OpenAI's errors have one; compatible servers may use ``type`` instead."""
    for name in (code, kind):
        match name:
            case "context_length_exceeded" | "string_above_max_length" | "exceed_context_size_error":
                return RequestTooLong(name)
            case "content_filter" | "content_policy_violation" | "image_content_policy_violation" | "bio_policy":
                return Filtered(name)
            case "insufficient_quota":  # status 429, but waiting does not help
                return RefusedKey(name)
            case "rate_limit_exceeded":
                return RateLimited(name)
    return None
