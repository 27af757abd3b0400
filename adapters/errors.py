"""What can go wrong when a model is called.

    AdapterError
        RateLimited(retry_after_s)   429: the same call may work later
        Unavailable                  5xx, 529, connection refused or cut: the provider, not the request
        TimedOut                     no whole answer within the request's time, or the provider gave up itself (408)
            ConnectTimedOut          no connection in time: nothing was asked
            FirstTokenTimedOut       asked, and nothing was said in time
            WentSilent               nothing more was said for too long, in the midst of an answer
        RefusedKey                   401, 403: the key is missing, wrong or may not do this
        NotConfigured(remedy)        the adapter lacks a key, file or package; remedy says what to do
        RequestTooLong               413, or more tokens than the model takes
        Refused                      400, 404: the provider will not take this request or lacks this model
        Filtered                     the provider declined to answer for reasons of content
        BadReply                     an answer that cannot be read

Each SDK's errors become these in one place, by type and status, with the cause kept. The text of an AdapterError is for
the log; what a person reads is made from its ``code`` by ``bot.errors``.
"""

from typing import ClassVar


class AdapterError(Exception):
    """The root. ``code`` is recorded on RoadChain and never changes its meaning.

    ``may_cost``: the provider was asked, and did not refuse before it began to answer, so that it may bill something of it.
    """

    code: ClassVar[str] = "adapter_error"
    retry_after_s: float | None = None
    may_cost: bool = False


class RateLimited(AdapterError):
    code = "rate_limited"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(AdapterError):
    code = "unavailable"


class TimedOut(AdapterError):
    code = "timed_out"
    may_cost = True


class ConnectTimedOut(TimedOut):
    code = "connect_timed_out"
    may_cost = False


class FirstTokenTimedOut(TimedOut):
    code = "first_token_timed_out"


class WentSilent(TimedOut):
    code = "went_silent"


class RefusedKey(AdapterError):
    code = "refused_key"


class NotConfigured(AdapterError):
    """``remedy`` is a sentence for the operator, free of secrets and fit to be shown."""

    code = "not_configured"

    def __init__(self, remedy: str) -> None:
        super().__init__(remedy)
        self.remedy = remedy


class RequestTooLong(AdapterError):
    code = "request_too_long"


class Refused(AdapterError):
    code = "refused"


class Filtered(AdapterError):
    code = "filtered"


class BadReply(AdapterError):
    code = "bad_reply"
    may_cost = True
