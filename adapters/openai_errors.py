"""The openai SDK's errors as ours, for each provider that is reached through it."""

import email.utils
import math
import time
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
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return TimedOut(kind)
        case openai.APIConnectionError() | httpx2.HTTPError() | httpx2.StreamError():
            return Unavailable(kind)
        case openai.APIResponseValidationError():
            return BadReply(kind)
        case openai.APIStatusError():
            return _of_status(error.status_code, error.code, error.type, error.response.headers)
        case openai.APIError():  # an error in the midst of a stream, whose status was 200
            return _of_code(error.code, error.type) or Unavailable(f"{kind} in the stream")
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
    error = _of_code(code, kind) or _of_bare_status(status)
    error.retry_after_s = retry_after_s(headers)
    return error


def _of_bare_status(status: int) -> AdapterError:
    text = f"status {status}"
    match status:
        case 401 | 403:
            return RefusedKey(text)
        case 408:
            return TimedOut(text)
        case 413:
            return RequestTooLong(text)
        case 429:
            return RateLimited(text)
        case _:
            return Unavailable(text) if status >= 500 else Refused(text)


def _of_code(code: str | None, kind: str | None) -> AdapterError | None:
    """The codes that say more than their status does. OpenAI's have one; compatible servers may use ``type`` instead."""
    for name in (code, kind):
        match name:
            case "context_length_exceeded" | "string_above_max_length" | "exceed_context_size_error":
                return RequestTooLong(name)
            case "content_filter" | "content_policy_violation":
                return Filtered(name)
            case "insufficient_quota":  # status 429, but waiting does not help
                return RefusedKey(name)
            case "rate_limit_exceeded":
                return RateLimited(name)
    return None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds from now, of ``Retry-After`` (a number or an HTTP date: RFC 9110, section 10.2.3) or OpenAI's own header."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit_s
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None
