"""google-genai's errors as ours."""

from collections.abc import Mapping
from typing import Any

from adapters.errors import AdapterError, BadReply, RateLimited, Refused, RefusedKey, RequestTooLong, Unavailable
from adapters.http_errors import of_status, of_transport, retry_after_s

TOO_LONG = "exceeds the maximum number of tokens"
"""A question over the context is an ``INVALID_ARGUMENT`` like many others, and has no reason of its own: its message is all
that tells."""


def sdk_errors() -> tuple[type[Exception], ...]:
    """What a call through google-genai can raise, while a stream is read too. Imports the SDK."""
    import httpx2
    from google.genai import errors

    # ValueError: a chunk that is not JSON or not of its shape, or text that has no UTF-8 form.
    return (errors.APIError, errors.ContinuationInterruptedError, httpx2.HTTPError, httpx2.StreamError, ValueError)


def as_adapter_error(error: Exception) -> AdapterError:
    """One of ``sdk_errors()`` as ours, by type and status.

    Its text names the kind and the status, and repeats nothing that the server wrote.
    """
    import httpx2
    from google.genai import errors

    kind = type(error).__name__
    match error:
        case errors.APIError():
            return _of_api_error(error.code, error.status, str(error.message or ""), error.details, error.response)
        case httpx2.HTTPError() | httpx2.StreamError():
            return of_transport(error)
        case UnicodeEncodeError():
            return Refused(f"{kind}: the request has no UTF-8 form")
        case ValueError():
            return BadReply(kind)
        case _:
            return Unavailable(kind)


def _of_api_error(code: Any, status: Any, message: str, body: Any, response: Any) -> AdapterError:
    details = _details(body)
    found = _of_reason(status, message, details) or (of_status(code) if isinstance(code, int) else None)
    if found is None:  # an error in the midst of a stream may have no number
        found = RateLimited("in the stream") if status == "RESOURCE_EXHAUSTED" else Unavailable("in the stream")
    found.retry_after_s = retry_after_s(getattr(response, "headers", None) or {})
    for detail in details:
        if found.retry_after_s is None and str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            found.retry_after_s = _seconds(detail.get("retryDelay"))
    return found


def _of_reason(status: Any, message: str, details: list[Mapping[str, Any]]) -> AdapterError | None:
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in details):  # its status is 400
        return RefusedKey("API_KEY_INVALID")
    if status == "INVALID_ARGUMENT" and TOO_LONG in message:
        return RequestTooLong("INVALID_ARGUMENT")
    return None


def _details(body: Any) -> list[Mapping[str, Any]]:
    error = body.get("error", body) if isinstance(body, Mapping) else {}
    details = error.get("details") if isinstance(error, Mapping) else None
    return [item for item in details if isinstance(item, Mapping)] if isinstance(details, list) else []


def _seconds(delay: Any) -> float | None:
    """A protobuf duration as JSON has it: ``3.5s``."""
    try:
        return max(0.0, float(str(delay).removesuffix("s")))
    except ValueError:
        return None
