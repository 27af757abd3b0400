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
            return RefusedCredentials(message, f"{service} refused the credentials that it was given.")
        case 403:
            return NotAllowed(message, f"{service} does not allow this with the credentials that it was given.")
        case 404 | 410:
            return NotFound(message, f"{service} has nothing there, or does not show it.")
        case 409 | 412:
            return Conflict(message, f"{service} says that this conflicts with what is there.")
        case 429:
            when = "later" if retry_after_s is None else f"in {retry_after_s:g} seconds"
            return RateLimited(message, f"{service} is asked too often; try again {when}.", retry_after_s)
        case 400 | 405 | 413 | 415 | 422:
            return Invalid(message, f"{service} does not accept this request as it is.")
        case 408 | 502 | 503 | 504:
            return Unavailable(message, f"{service} cannot be reached at the moment.")
        case _ if status >= 500:
            return Unavailable(message, f"{service} has a fault of its own at the moment.")
        case _:
            return BadAnswer(message, f"{service} gave an answer that was not expected.")
