"""The only place that makes the sentences a person reads when something did not go as asked.

Each says what happened, what to do, and the turn's reference. Nothing of an exception's own text comes in here: that goes
to the log.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from bot.limits import Limits
from bot.sentences import Sentences
from ledger.errors import StoreFailed
from ledger.pseudonyms import TurnId

NOT_TAKEN = "CarPool cannot take this at the moment, so nothing was done. Try again in a few minutes."
READ_ONLY = (
    "CarPool only reads at the moment: its ledger was changed by something else than CarPool (RC011). Nothing is answered, done "
    "or charged until whoever runs CarPool here has seen to it. Tell them, and ask again after that."
)

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


def explain(trouble: Trouble, reference: TurnId, limits: Limits, say: Sentences) -> str:
    return referred(_sentence(trouble, limits, say), reference, say)


def referred(said: str, reference: TurnId, say: Sentences) -> str:
    """A sentence that names the turn in which it was said."""
    return say("{0} (Reference: {1})", said, reference)


def _sentence(trouble: Trouble, limits: Limits, say: Sentences) -> str:
    match trouble.code:
        case "empty":
            return say("There was no text in that message. Write what you would like to know, or `/help`.")
        case "too_long":
            return say(
                "That message is longer than the {0:,} bytes I can take at once. Send it in parts, or shorten it.",
                limits.message_bytes_max,
            )
        case "queue_full":
            return say(
                "{0:,} messages of this workspace are waiting already, so this one was not taken. Try again in a "
                "few minutes.",
                limits.queue_length_max,
            )
        case "not_allowed":
            return say(
                "You may not use CarPool here: guests and people of other organisations are let in only where an "
                "admin allows it (`/settings guests allowed`)."
            )
        case "not_here":
            return say(
                "An admin has turned CarPool off in this channel. Write to me directly, or ask in another channel."
            )
        case "no_model":
            return say("No connected model can answer this: {0}. `/model` shows what is connected.", trouble.detail)
        case "interrupted":
            return say(
                "CarPool was stopped while {0} was answering, and the answer is lost. I did not ask again on my "
                "own: send your message once more if you still want an answer.",
                trouble.model,
            )
        case "maybe_delivered":
            return say(
                "CarPool was stopped just as an answer was being shown, and I cannot see whether it reached you. "
                "I do not repeat it unasked: `/history` shows it."
            )
        case "stopped":
            return say("Stopped, as you asked.")
        case "timed_out":
            return say(
                "{0} did not finish within {1} seconds, so I stopped waiting. Ask for something shorter, or "
                "choose another model with `/model`.",
                trouble.model or say("The answer"),
                limits.turn_s,
            )
        case "cut_short":
            return say(
                "The answer breaks off here: {0}. Send your message again to have it anew.",
                _failure(trouble, limits, say),
            )
        case "tool_rounds":
            return say(
                "I stopped after {0} rounds of tools without reaching an answer. Ask for a smaller step.",
                limits.tool_rounds_max,
            )
        case "length":
            return say(
                "The answer breaks off here, at the limit of {0:,} tokens. Write `go on` for more.", trouble.tokens_max
            )
        case "filtered":
            return say(
                "{0} declined to answer this. Put it in other words, or choose another model with `/model`.",
                trouble.model,
            )
        case "erased":
            return say("The text of that message has been erased, so I cannot answer it.")
        case "internal":
            return say(
                "Something went wrong on my side, and this was not answered. Please try again; the log has the details."
            )
        case "not_paid":
            return trouble.detail
        case "model_failed":
            return say("No answer: {0}. {1}", _failure(trouble, limits, say), _remedy(trouble, say))
        case _:
            assert_never(trouble.code)


def _failure(trouble: Trouble, limits: Limits, say: Sentences) -> str:
    model = trouble.model
    failures = {
        "connect_timed_out": say("{0} could not be reached within {1} seconds", model, limits.connect_s),
        "first_token_timed_out": say("{0} did not begin its answer within {1} seconds", model, limits.first_token_s),
        "went_silent": say("{0} said nothing more for {1} seconds", model, limits.between_tokens_s),
        "rate_limited": say("{0} is at its rate limit", model),
        "unavailable": say("the connection to {0} failed or was cut", model),
        "timed_out": say("{0} took too long", model),
        "refused_key": say("the provider of {0} refused the key", model),
        "not_configured": say("{0} is not set up", model),
        "request_too_long": say("the conversation is too long for {0}", model),
        "refused": say("{0} refused the request", model),
        "filtered": say("{0} declined to answer this", model),
        "bad_reply": say("{0} answered something unreadable", model),
    }
    return failures.get(trouble.error, say("{0} failed", model))


def _remedy(trouble: Trouble, say: Sentences) -> str:
    match trouble.error:
        case "rate_limited" if trouble.retry_after_s:
            return say("Try again in {0} seconds, or choose another model with `/model`.", trouble.retry_after_s)
        case "refused_key" | "not_configured":
            return say("Whoever runs CarPool can see what is missing with `carpool doctor`.")
        case "request_too_long":
            return say("Start a new conversation, or send less at once.")
        case "filtered" | "refused":
            return say("Put it in other words, or choose another model with `/model`.")
        case _:
            return say("Try again in a minute, or choose another model with `/model`.")


def not_taken(error: StoreFailed, say: Sentences) -> str:
    """What somebody is told whose message or form could not be recorded."""
    return say(READ_ONLY if error.reason == "changed" else NOT_TAKEN)
