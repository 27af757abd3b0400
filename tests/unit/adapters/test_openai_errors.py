from collections.abc import Iterator
from unittest.mock import Mock

import httpx2
import openai
import pytest

from adapters.errors import (
    AdapterError,
    BadReply,
    ConnectTimedOut,
    Filtered,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
)
from adapters.http_errors import retry_after_s
from adapters.openai_errors import as_adapter_error, sdk_errors

REQUEST = httpx2.Request("POST", "http://localhost/v1/chat/completions")


def response(status: int, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, request=REQUEST, headers={k.replace("_", "-"): v for k, v in headers.items()})


def of_status(kind: type[openai.APIStatusError], status: int, code: str | None = None) -> openai.APIStatusError:
    return kind("said by the server", response=response(status), body={"code": code, "type": "t"})


EXPECTED: dict[str, tuple[Exception, type[AdapterError]]] = {
    "OpenAIError": (openai.OpenAIError("x"), Unavailable),
    "APIError": (openai.APIError("x", REQUEST, body=None), Unavailable),
    "APIConnectionError": (openai.APIConnectionError(request=REQUEST), Unavailable),
    "APITimeoutError": (openai.APITimeoutError(REQUEST), TimedOut),
    "APIResponseValidationError": (openai.APIResponseValidationError(response(200), None), BadReply),
    "APIStatusError": (of_status(openai.APIStatusError, 418), Refused),
    "BadRequestError": (of_status(openai.BadRequestError, 400), Refused),
    "AuthenticationError": (of_status(openai.AuthenticationError, 401), RefusedKey),
    "OAuthError": (openai.OAuthError(response=response(401), body=None), RefusedKey),
    "PermissionDeniedError": (of_status(openai.PermissionDeniedError, 403), RefusedKey),
    "NotFoundError": (of_status(openai.NotFoundError, 404), Refused),
    "ConflictError": (of_status(openai.ConflictError, 409), Refused),
    "UnprocessableEntityError": (of_status(openai.UnprocessableEntityError, 422), Refused),
    "RateLimitError": (of_status(openai.RateLimitError, 429), RateLimited),
    "InternalServerError": (of_status(openai.InternalServerError, 529), Unavailable),
    "LengthFinishReasonError": (openai.LengthFinishReasonError(completion=Mock(usage=None)), BadReply),
    "ContentFilterFinishReasonError": (openai.ContentFilterFinishReasonError(), Filtered),
    "InvalidWebhookSignatureError": (openai.InvalidWebhookSignatureError(), BadReply),
    "WebSocketConnectionClosedError": (openai.WebSocketConnectionClosedError("x", unsent_messages=[]), Unavailable),
    "WebSocketQueueFullError": (openai.WebSocketQueueFullError("x"), Unavailable),
}
"""Each error that the SDK exports, made by hand, and what it is to us."""


def exported_errors() -> Iterator[type[Exception]]:
    for name in openai.__all__:
        value = getattr(openai, name)
        if isinstance(value, type) and issubclass(value, Exception):
            yield value


def test_no_error_of_the_sdk_is_without_a_kind_of_ours() -> None:
    assert {kind.__name__ for kind in exported_errors()} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_each_error_of_the_sdk_becomes_its_kind(name: str) -> None:
    error, kind = EXPECTED[name]
    assert type(error).__name__ == name
    assert isinstance(error, sdk_errors())
    assert type(as_adapter_error(error)) is kind


TRANSPORT: dict[type[Exception], type[AdapterError]] = {
    httpx2.ConnectError: Unavailable,
    httpx2.ReadError: Unavailable,
    httpx2.RemoteProtocolError: Unavailable,
    httpx2.ReadTimeout: TimedOut,
    httpx2.ConnectTimeout: ConnectTimedOut,
    httpx2.PoolTimeout: ConnectTimedOut,
    httpx2.DecodingError: Unavailable,
}


@pytest.mark.parametrize(("kind", "ours"), TRANSPORT.items())
def test_an_error_of_the_transport_becomes_its_kind(kind: type[Exception], ours: type[AdapterError]) -> None:
    error = kind("x")
    assert isinstance(error, sdk_errors())
    assert type(as_adapter_error(error)) is ours


def test_a_stream_that_was_closed_under_us_is_unavailable() -> None:
    assert type(as_adapter_error(httpx2.StreamClosed())) is Unavailable


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (400, "context_length_exceeded", RequestTooLong),
        (400, "content_policy_violation", Filtered),
        (400, "content_filter", Filtered),
        (429, "insufficient_quota", RefusedKey),
        (429, "rate_limit_exceeded", RateLimited),
        (400, "something_new", Refused),
        (413, None, RequestTooLong),
        (503, None, Unavailable),
        (504, None, Unavailable),
    ],
)
def test_a_code_says_more_than_its_status(status: int, code: str | None, ours: type[AdapterError]) -> None:
    assert type(as_adapter_error(of_status(openai.APIStatusError, status, code))) is ours


def test_nothing_that_the_server_wrote_is_repeated() -> None:
    for error, _ in EXPECTED.values():
        assert "said by the server" not in str(as_adapter_error(error))


@pytest.mark.parametrize("status", [429, 503])
def test_any_status_may_say_when_to_come_back(status: int) -> None:
    error = openai.APIStatusError("x", response=response(status, retry_after="3"), body=None)
    assert as_adapter_error(error).retry_after_s == 3.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
