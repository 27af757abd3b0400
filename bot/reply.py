"""What the person gets: the reply, made of the story alone, so that a resumed turn says the same; and its footer."""

from adapters.messages import ToolCallId
from bot.approvals import reference
from bot.commands.table import is_private
from bot.errors import Trouble, TroubleCode, explain
from bot.limits import Limits
from bot.lucidia.catalog import Catalog
from bot.lucidia.costs import cost_of_call
from bot.payloads import ERASED
from bot.platforms.base import Button, Footer, Reply
from bot.sentences import Sentences
from bot.story import Attempt, Story
from integrations.tools.base import Toolbox
from ledger.actions import ReplyKind, ReplyPrepared, TurnOutcome
from ledger.money import FREE, Money, rc_text
from ledger.pseudonyms import TurnId

UNDOS_MAX = 5
"""So many buttons stand under an answer; the rest is taken back with `/undo REFERENCE`."""


def compose_reply(story: Story, limits: Limits, say: Sentences) -> tuple[ReplyKind, TurnOutcome, str]:
    """The answer, as far as there is one, and behind it the reason where it is not whole."""
    trouble, outcome = _trouble(story, limits)
    said = story.last.said if story.last is not None and story.last.heard else None
    text = "" if said is None else said.text.strip()
    if story.last is not None and not story.last.tool_calls:
        text = "\n\n".join(filter(None, (*story.interim, text)))
    if trouble is None:
        return "answer", outcome, text
    sentence = explain(trouble, story.scope.turn, limits, say)
    if not text:
        return "notice", outcome, sentence
    return "answer", outcome, f"{text}\n\n_{sentence}_"


def footer_of(story: Story, catalog: Catalog, toolbox: Toolbox, say: Sentences) -> Reply:
    """The prepared reply as it is posted. An answer says which model made it, why, and at what cost; with it comes what takes
    back what was done for it."""
    reply = story.reply
    if reply is None:
        raise AssertionError("a reply is prepared before it is shown")
    last, route = story.last, story.route
    if reply.action.kind != "answer" or last is None or route is None:
        private = bool(story.received.refusal) or is_private(story.asked.invocation)
        said = reply.said
        return Reply(reply.action.kind, said.text, files=said.files, buttons=said.buttons, private=private)
    footer = Footer(_label(last), _reason(story, say), _price(_cost(story, catalog), say), story.scope.turn)
    return Reply(
        "answer", reply.said.text, footer, buttons=(*_buttons(story.scope.turn, say), *_undos(story, toolbox, say))
    )


def _buttons(turn: TurnId, say: Sentences) -> tuple[Button, ...]:
    return (
        Button(say("Why"), f"why {turn}"),
        Button(say("Again"), f"again {turn}"),
        Button(say("Good"), f"good {turn}"),
        Button(say("Bad"), f"bad {turn}"),
        Button(say("Receipt"), f"receipt {turn}"),
    )


def _undos(story: Story, toolbox: Toolbox, say: Sentences) -> tuple[Button, ...]:
    """For each thing done that can be taken back; where there are several, by the tools that did them."""
    calls = {(attempt.called.attempt, call.id): call for attempt in story.attempts for call in attempt.tool_calls}
    results = {(use.called.round, use.called.call): use.result for use in story.tools}
    done: list[tuple[str, int]] = []
    for approval in story.approvals:
        call = calls.get((approval.asked.round, ToolCallId(approval.asked.call)))
        result = results.get((approval.asked.round, approval.asked.call))
        if call is not None and result is not None and toolbox.undo_of(call, result) is not None:
            done.append((call.name, approval.asked.number))
    labels = [say("Undo")] if len(done) == 1 else [say("Undo {0}", name) for name, _ in done]
    return tuple(
        Button(label, f"undo {reference(story.scope.turn, number)}")
        for label, (_, number) in zip(labels[:UNDOS_MAX], done, strict=False)
    )


def _price(cost: Money | None, say: Sentences) -> str:
    return say("price not known") if cost is None else say("free") if cost == FREE else rc_text(cost)


def _cost(story: Story, catalog: Catalog) -> Money | None:
    """What was charged; where nothing is, what all calls that said something cost. None where one of them is not known."""
    if story.charged is not None:
        return Money(story.charged)
    total = 0
    for attempt in story.attempts:
        answered = attempt.answered
        if answered is None or not (attempt.heard or answered.usage_known):
            continue  # it failed before it said anything, and its provider counted nothing
        if story.candidate(attempt.called.candidate).estimated_cost == FREE:
            continue
        cost = cost_of_call(attempt.called, answered, catalog)
        if cost is None:
            return None
        total += cost
    return Money(total)


def maybe_delivered(story: Story, limits: Limits, say: Sentences) -> tuple[ReplyPrepared, bytes]:
    """A second reply, about a first one that may have reached the person or not."""
    part = 2 if story.reply is None else story.reply.action.part + 1
    outcome = "interrupted" if story.reply is None else story.reply.action.outcome
    return ReplyPrepared(part, "notice", outcome), explain(
        Trouble("maybe_delivered"), story.scope.turn, limits, say
    ).encode()


def _reason(story: Story, say: Sentences) -> str:
    """Lucidia's reason, and what became of the models before the one that answered."""
    failed = [attempt for attempt in story.attempts if attempt.answered is not None and not attempt.heard]
    if story.route is None:
        return ""
    if not failed:
        # The footer names the model just before.
        return story.route.reason.removeprefix(say("{0} is ", _label(story.attempts[-1])))
    causes = ", ".join(f"{_label(attempt)} {_cause(attempt, say)}" for attempt in failed)
    return say("{0}; {1} answered instead", causes, _label(story.attempts[-1]))


def _cause(attempt: Attempt, say: Sentences) -> str:
    error = "" if attempt.answered is None else attempt.answered.error
    causes = {
        "rate_limited": say("is at its rate limit"),
        "unavailable": say("is not available"),
        "timed_out": say("took too long"),
        "connect_timed_out": say("could not be reached"),
        "first_token_timed_out": say("did not begin its answer"),
        "went_silent": say("went silent"),
        "refused_key": say("refused the key"),
        "not_configured": say("is not set up"),
        "request_too_long": say("cannot take a conversation this long"),
        "refused": say("refused the request"),
        "filtered": say("declined"),
        "bad_reply": say("answered something unreadable"),
    }
    return causes.get(error, say("failed"))


def _trouble(story: Story, limits: Limits) -> tuple[Trouble | None, TurnOutcome]:
    if story.received.refusal:
        return Trouble(story.received.refusal), "refused"
    if story.asked == ERASED:
        return Trouble("erased"), "failed"
    if story.lost is not None:
        return Trouble("interrupted", _label(story.lost)), "interrupted"
    last = story.last
    if last is None or last.answered is None:
        return Trouble("no_model", detail="" if story.route is None else story.route.reason), "failed"
    answered, model = last.answered, _label(last)
    match answered.outcome:
        case "stopped":
            return Trouble("stopped"), "stopped"
        case "timed_out":
            return Trouble("timed_out", model), "timed_out"
        case "failed":
            code: TroubleCode = "cut_short" if last.heard else "model_failed"
            return Trouble(code, model, answered.error, answered.retry_after_s), "failed"
        case "answered":
            return _of_answer(story, last, answered.finish_reason, model)


def _of_answer(story: Story, last: Attempt, finish_reason: str, model: str) -> tuple[Trouble | None, TurnOutcome]:
    if last.tool_calls:
        return Trouble("tool_rounds"), "failed"
    if finish_reason == "length":
        return Trouble("length", model, tokens_max=last.called.output_tokens_max), "answered"
    if finish_reason == "filtered":
        return Trouble("filtered", model), "failed"
    if last.said is None or not last.said.text.strip():
        return Trouble("model_failed", model, "bad_reply"), "failed"
    return None, "answered"


def _label(attempt: Attempt) -> str:
    return f"{attempt.called.provider}/{attempt.called.model}"
