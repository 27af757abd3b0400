"""The only place that makes the sentences a person reads when something did not go as asked.

Each says what happened, what to do, and the turn's reference. Nothing of an exception's own text comes in here: that goes
to the log.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from bot.limits import Limits
from ledger.pseudonyms import TurnId

TroubleCode: TypeAlias = Literal[
    "empty",
    "too_long",
    "queue_full",
    "not_allowed",
    "not_here",
    "no_model",
    "interrupted",
    "maybe_delivered",
    "stopped",
    "timed_out",
    "cut_short",
    "tool_rounds",
    "length",
    "filtered",
    "erased",
    "internal",
    "model_failed",
    "not_paid",
]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong. ``error`` is an AdapterError's code where a model failed; ``tokens_max`` is what the answer
    was allowed; ``detail`` is a sentence of ours."""

    code: TroubleCode
    model: str = ""
    error: str = ""
    retry_after_s: int | None = None
    tokens_max: int = 0
    detail: str = ""


def explain(trouble: Trouble, reference: TurnId, limits: Limits) -> str:
    return f"{_sentence(trouble, limits)} (Reference: {reference})"


def _sentence(trouble: Trouble, limits: Limits) -> str:
    match trouble.code:
        case "empty":
            return "There was no text in that message. Write what you would like to know, or `/help`."
        case "too_long":
            return (
                f"That message is longer than the {limits.message_bytes_max:,} bytes I can take at once. "
                "Send it in parts, or shorten it."
            )
        case "queue_full":
            return (
                f"{limits.queue_length_max:,} messages of this workspace are waiting already, so this one was not taken. "
                "Try again in a few minutes."
            )
        case "not_allowed":
            return (
                "You may not use CarPool here: guests and people of other organisations are let in only where an admin "
                "allows it (`/settings guests allowed`)."
            )
        case "not_here":
            return "An admin has turned CarPool off in this channel. Write to me directly, or ask in another channel."
        case "no_model":
            return f"No connected model can answer this: {trouble.detail}. `/model` shows what is connected."
        case "interrupted":
            return (
                f"CarPool was stopped while {trouble.model} was answering, and the answer is lost. "
                "I did not ask again on my own: send your message once more if you still want an answer."
            )
        case "maybe_delivered":
            return (
                "CarPool was stopped just as an answer was being shown, and I cannot see whether it reached you. "
                "I do not repeat it unasked: `/history` shows it."
            )
        case "stopped":
            return "Stopped, as you asked."
        case "timed_out":
            return (
                f"{trouble.model or 'The answer'} did not finish within {limits.turn_s} seconds, so I stopped waiting. "
                "Ask for something shorter, or choose another model with `/model`."
            )
        case "cut_short":
            return f"The answer breaks off here: {_failure(trouble, limits)}. Send your message again to have it anew."
        case "tool_rounds":
            return (
                f"I stopped after {limits.tool_rounds_max} rounds of tools without reaching an answer. "
                "Ask for a smaller step."
            )
        case "length":
            return f"The answer breaks off here, at the limit of {trouble.tokens_max:,} tokens. Write `go on` for more."
        case "filtered":
            return f"{trouble.model} declined to answer this. Put it in other words, or choose another model with `/model`."
        case "erased":
            return "The text of that message has been erased, so I cannot answer it."
        case "internal":
            return (
                "Something went wrong on my side, and this was not answered. Please try again; the log has the details."
            )
        case "not_paid":
            return trouble.detail
        case "model_failed":
            return f"No answer: {_failure(trouble, limits)}. {_remedy(trouble)}"
        case _:
            assert_never(trouble.code)


def _failure(trouble: Trouble, limits: Limits) -> str:
    model = trouble.model
    failures = {
        "connect_timed_out": f"{model} could not be reached within {limits.connect_s} seconds",
        "first_token_timed_out": f"{model} did not begin its answer within {limits.first_token_s} seconds",
        "went_silent": f"{model} said nothing more for {limits.between_tokens_s} seconds",
        "rate_limited": f"{model} is at its rate limit",
        "unavailable": f"the connection to {model} failed or was cut",
        "timed_out": f"{model} took too long",
        "refused_key": f"the provider of {model} refused the key",
        "not_configured": f"{model} is not set up",
        "request_too_long": f"the conversation is too long for {model}",
        "refused": f"{model} refused the request",
        "filtered": f"{model} declined to answer this",
        "bad_reply": f"{model} answered something unreadable",
    }
    return failures.get(trouble.error, f"{model} failed")


def _remedy(trouble: Trouble) -> str:
    match trouble.error:
        case "rate_limited" if trouble.retry_after_s:
            return f"Try again in {trouble.retry_after_s} seconds, or choose another model with `/model`."
        case "refused_key" | "not_configured":
            return "Whoever runs CarPool can see what is missing with `carpool doctor`."
        case "request_too_long":
            return "Start a new conversation, or send less at once."
        case "filtered" | "refused":
            return "Put it in other words, or choose another model with `/model`."
        case _:
            return "Try again in a minute, or choose another model with `/model`."
