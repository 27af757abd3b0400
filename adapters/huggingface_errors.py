"""huggingface_hub's errors as ours."""

from typing import TYPE_CHECKING

from adapters.errors import (
    AdapterError,
    BadReply,
    Refused,
    RequestTooLong,
    Unavailable,
)
from adapters.http_errors import of_status, of_transport, retry_after_s
from adapters.openai_errors import of_code

if TYPE_CHECKING:
    import httpx2


def sdk_errors() -> tuple[type[Exception], ...]:
    """What a call through huggingface_hub can raise, while a stream is read too. Imports the SDK."""
    import httpx2
    from huggingface_hub import errors

    # HTTPError is httpx2's own. ValueError: a line of the stream that is not JSON, or a text that has no UTF-8 form.
    # The SDK does not check what it makes of a line, so that one of another shape is an AttributeError or a TypeError.
    return (
        errors.OfflineModeIsEnabled,
        httpx2.HTTPError,
        httpx2.StreamError,
        ValueError,
        AttributeError,
        TypeError,
    )


def as_adapter_error(error: Exception) -> AdapterError:
    """One of ``sdk_errors()`` as ours, by type and status.

    Its text names the kind and the status, and repeats nothing that the server wrote.
    """
    import httpx2
    from huggingface_hub import errors

    kind = type(error).__name__
    match error:
        case errors.InferenceTimeoutError():
            return of_transport(error.__cause__)
        case errors.HfHubHTTPError():
            found = _of_body(error.response) or of_status(error.response.status_code)
            found.retry_after_s = retry_after_s(error.response.headers)
            return found
        case errors.ValidationError():
            return RequestTooLong(kind) if "tokens" in str(error) else Refused(kind)
        case errors.TextGenerationError():
            return Unavailable(f"{kind} in the stream")
        case httpx2.HTTPError() | httpx2.StreamError():
            return of_transport(error)
        case UnicodeEncodeError():
            return Refused(f"{kind}: the request has no UTF-8 form")
        case ValueError() | AttributeError() | TypeError():
            return BadReply(kind)
        case _:
            return Unavailable(kind)


def _of_body(response: "httpx2.Response") -> AdapterError | None:
    """A code says more than its status does, where the server gives one as OpenAI does."""
    try:
        error = response.json()["error"]
        return of_code(error.get("code"), error.get("type"))
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):  # RuntimeError: the body was not read
        return None
