"""What an HTTP status means for a tool, alike for each service."""

from integrations.tools.base import (
    BadAnswer,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    RateLimited,
    RefusedCredentials,
    ToolError,
    Unavailable,
)


def error_of(service: str, status: int, detail: str = "", retry_after_s: float | None = None) -> ToolError:
    """``detail`` is what the service said, for the log alone: it may quote what nobody should read."""
    message = f"{service} answered {status}: {detail}"
    match status:
        case 401:
            return RefusedCredentials(message, "{0} refused the credentials that it was given.", service)
        case 403:
            return NotAllowed(message, "{0} does not allow this with the credentials that it was given.", service)
        case 404 | 410:
            return NotFound(message, "{0} has nothing there, or does not show it.", service)
        case 409 | 412:
            return Conflict(message, "{0} says that this conflicts with what is there.", service)
        case 429:
            if retry_after_s is None:
                return RateLimited(message, "{0} is asked too often; try again later.", service)
            return RateLimited(
                message,
                "{0} is asked too often; try again in {1:g} seconds.",
                service,
                retry_after_s,
                retry_after_s=retry_after_s,
            )
        case 400 | 405 | 413 | 415 | 422:
            return Invalid(message, "{0} does not accept this request as it is.", service)
        case 408 | 502 | 503 | 504:
            return Unavailable(message, "{0} cannot be reached at the moment.", service)
        case _ if status >= 500:
            return Unavailable(message, "{0} has a fault of its own at the moment.", service)
        case _:
            return BadAnswer(message, "{0} gave an answer that was not expected.", service)
