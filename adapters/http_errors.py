"""What a failure over HTTP means, whichever SDK reports it: by status, by the transport's type, and by ``Retry-After``."""

import email.utils
import math
import time
from collections.abc import Mapping

from adapters.errors import (
    AdapterError,
    ConnectTimedOut,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
)


def of_status(status: int) -> AdapterError:
    text = f"status {status}"
    match status:
        case 401 | 402 | 403:
            return RefusedKey(text)
        case 408:
            return TimedOut(text)
        case 413:
            return RequestTooLong(text)
        case 429:
            return RateLimited(text)
        case _:
            return Unavailable(text) if status >= 500 else Refused(text)


def of_transport(error: BaseException | None) -> AdapterError:
    """An error of httpx2, which all our SDKs use; or of none, where an SDK kept no cause."""
    import httpx2

    kind = type(error).__name__
    match error:
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return ConnectTimedOut(kind)
        case httpx2.TimeoutException():
            return TimedOut(kind)
        case _:
            return Unavailable("no connection" if error is None else kind)


def was_sent(error: BaseException) -> bool:
    """Whether what an SDK raised came of a connection that failed after the question may have left by it: then something may
    have been made of an answer. Not so where there was no connection, or the answer was a status."""
    import httpx2

    before = (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.UnsupportedProtocol,
        httpx2.ProxyError,
    )
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, httpx2.TransportError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None and not isinstance(cause, before)


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


def without_key(error: Exception, key: str | None) -> Exception | None:
    """The cause to keep. A server may repeat the key in its message, and the cause's message reaches the log."""
    return None if key and key in str(error) else error
