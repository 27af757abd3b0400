"""The errors of Anthropic's, Google's and Hugging Face's SDKs, made by hand, and what each is to us."""

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest
from google.genai import errors as google
from huggingface_hub import errors as hf

from adapters import anthropic_errors, google_errors, huggingface_errors
from adapters.errors import (
    AdapterError,
    BadReply,
    ConnectTimedOut,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
)

REQUEST = httpx2.Request("POST", "http://localhost/v1/messages")
SAID = "said by the server"


def response(status: int, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, request=REQUEST, headers={k.replace("_", "-"): v for k, v in headers.items()})


def of_anthropic(status: int, kind: str | None, message: str = SAID) -> anthropic.APIStatusError:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return anthropic.APIStatusError(message, response=response(status), body=body)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


ANTHROPIC: tuple[tuple[Exception, type[AdapterError]], ...] = (
    (of_anthropic(400, "invalid_request_error"), Refused),
    (of_anthropic(400, "invalid_request_error", "prompt is too long: 9 tokens > 8"), RequestTooLong),
    (of_anthropic(401, "authentication_error"), RefusedKey),
    (of_anthropic(402, "billing_error"), RefusedKey),
    (of_anthropic(403, "permission_error"), RefusedKey),
    (of_anthropic(404, "not_found_error"), Refused),
    (of_anthropic(408, None), TimedOut),
    (of_anthropic(413, "request_too_large"), RequestTooLong),
    (of_anthropic(429, "rate_limit_error"), RateLimited),
    (of_anthropic(500, "api_error"), Unavailable),
    (of_anthropic(529, "overloaded_error"), Unavailable),
    (of_anthropic(418, None), Refused),
    (of_anthropic(503, None), Unavailable),
    # In the midst of a stream, whose own status was 200.
    (of_anthropic(200, "overloaded_error"), Unavailable),
    (of_anthropic(200, "rate_limit_error"), RateLimited),
    (of_anthropic(200, None), Unavailable),
    (anthropic.APIConnectionError(request=REQUEST), Unavailable),
    (anthropic.APITimeoutError(REQUEST), TimedOut),
    (caused(anthropic.APITimeoutError(REQUEST), httpx2.ConnectTimeout("x")), ConnectTimedOut),
    (anthropic.APIResponseValidationError(response(200), None), BadReply),
    (anthropic.AnthropicError("x"), Unavailable),
)


def of_google(code: int, status: str, message: str = SAID, *details: dict[str, Any]) -> google.APIError:
    body = {"error": {"code": code, "status": status, "message": message, "details": list(details)}}
    return google.APIError(code, body, response(code))


GOOGLE: tuple[tuple[Exception, type[AdapterError]], ...] = (
    (of_google(400, "INVALID_ARGUMENT"), Refused),
    (of_google(400, "INVALID_ARGUMENT", SAID, {"reason": "API_KEY_INVALID"}), RefusedKey),
    (of_google(400, "INVALID_ARGUMENT", "9 exceeds the maximum number of tokens allowed (8)"), RequestTooLong),
    (of_google(403, "PERMISSION_DENIED"), RefusedKey),
    (of_google(404, "NOT_FOUND"), Refused),
    (of_google(429, "RESOURCE_EXHAUSTED"), RateLimited),
    (of_google(503, "UNAVAILABLE"), Unavailable),
    (google.ClientError(401, {"message": SAID}, None), RefusedKey),
    (google.ServerError(500, {"message": SAID}, None), Unavailable),
    (google.APIError(0, {"message": SAID}, None), Unavailable),
    (google.UnknownApiResponseError(SAID), BadReply),
    (google.ContinuationInterruptedError(SAID), Unavailable),
)


def of_hub(status: int, **body: Any) -> hf.HfHubHTTPError:
    return hf.HfHubHTTPError(SAID, response=httpx2.Response(status, request=REQUEST, json={"error": body}))


HUGGINGFACE: tuple[tuple[Exception, type[AdapterError]], ...] = (
    (of_hub(400), Refused),
    (of_hub(400, code="context_length_exceeded"), RequestTooLong),
    (of_hub(401), RefusedKey),
    (of_hub(402), RefusedKey),
    (of_hub(413), RequestTooLong),
    (of_hub(429), RateLimited),
    (of_hub(503), Unavailable),
    (hf.HfHubHTTPError(SAID, response=response(504)), Unavailable),
    (hf.InferenceTimeoutError(SAID), Unavailable),
    (caused(hf.InferenceTimeoutError(SAID), httpx2.ConnectTimeout("x")), ConnectTimedOut),
    (caused(hf.InferenceTimeoutError(SAID), httpx2.ReadTimeout("x")), TimedOut),
    (hf.OverloadedError(SAID), Unavailable),
    (hf.ValidationError(SAID), Refused),
    (hf.ValidationError("`inputs` tokens + `max_new_tokens` must be <= 4096"), RequestTooLong),
    (hf.OfflineModeIsEnabled(SAID), Unavailable),
)

ANY: tuple[tuple[Exception, type[AdapterError]], ...] = (
    (httpx2.ConnectError("x"), Unavailable),
    (httpx2.ReadError("x"), Unavailable),
    (httpx2.RemoteProtocolError("x"), Unavailable),
    (httpx2.ConnectTimeout("x"), ConnectTimedOut),
    (httpx2.PoolTimeout("x"), ConnectTimedOut),
    (httpx2.ReadTimeout("x"), TimedOut),
    (httpx2.StreamClosed(), Unavailable),
    (ValueError("x"), BadReply),
    (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"), Refused),
)

SDKS: dict[str, tuple[Any, tuple[tuple[Exception, type[AdapterError]], ...]]] = {
    "anthropic": (anthropic_errors, ANTHROPIC + ANY),
    "google": (google_errors, GOOGLE + ANY),
    "huggingface": (huggingface_errors, HUGGINGFACE + ANY),
}
CASES = [
    pytest.param(mapping, error, ours, id=f"{name}-{type(error).__name__}-{number}")
    for name, (mapping, cases) in SDKS.items()
    for number, (error, ours) in enumerate(cases)
]


@pytest.mark.parametrize(("mapping", "error", "ours"), CASES)
def test_each_error_becomes_its_kind_and_repeats_nothing_that_the_server_wrote(
    mapping: Any, error: Exception, ours: type[AdapterError]
) -> None:
    assert isinstance(error, mapping.sdk_errors())
    found = mapping.as_adapter_error(error)
    assert type(found) is ours
    assert SAID not in str(found)


def errors_in(module: Any, of: Callable[[type[Exception]], bool]) -> list[type[Exception]]:
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Exception)]
    return [kind for kind in found if of(kind)]


def test_no_error_that_the_sdks_export_goes_past_us() -> None:
    """Those of a status are told by it. Others are named here, so that a new one is seen when the SDK grows it."""
    others = errors_in(anthropic, lambda kind: not issubclass(kind, anthropic.APIStatusError))
    assert {kind.__name__ for kind in others} == ANTHROPIC_OTHERS
    assert all(issubclass(kind, anthropic.AnthropicError) for kind in others)
    theirs = errors_in(google, lambda kind: kind.__module__ == google.__name__)
    assert {kind.__name__ for kind in theirs if not issubclass(kind, google_errors.sdk_errors())} == set()


ANTHROPIC_OTHERS = {
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APITimeoutError",
    "APIWebhookValidationError",
    "AnthropicError",
    "CredentialsError",
    "IdentityTokenFileError",
    "RetryableError",
    "WorkloadIdentityError",
}


@pytest.mark.parametrize("delay", ["7s", "7.0s"])
def test_google_says_in_the_body_when_to_come_back(delay: str) -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    assert google_errors.as_adapter_error(of_google(429, "RESOURCE_EXHAUSTED", SAID, retry)).retry_after_s == 7.0


def test_a_delay_that_is_none_is_left_out() -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "soon"}
    assert google_errors.as_adapter_error(of_google(429, "RESOURCE_EXHAUSTED", SAID, retry)).retry_after_s is None
