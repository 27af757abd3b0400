"""The decision: which models may serve, in which order, and why. The same input gives the same decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.lucidia.catalog import Catalog, ModelCard
from bot.lucidia.health import Health, ModelHealth
from bot.lucidia.needs import Needs, Task
from bot.lucidia.policy import Aim, PlanModels, Policy
from bot.lucidia.score import Scorer, estimate, score_by_rule
from bot.sentences import ENGLISH, Sentences
from ledger.money import Money, rc_text

CANDIDATES_MAX = 8
"""More are never asked, and each takes room in the entry of the decision."""
LACKS_SAID_MAX = 3
HOW_TO_CHANGE_PLAN = "`/billing subscribe` shows the plans, `/billing portal` changes the one that runs"

_AIMS: dict[Aim, str] = {"cheapest": "the cheapest", "balanced": "the best for its price", "best": "the best"}
_TASKS: dict[Task, str] = {
    "chat": "this",
    "writing": "this, which is about writing",
    "code": "this, which is about code",
    "reasoning": "this, which takes reasoning",
}
_CALLS_FAILED = "its last calls failed"
_SHUT = {
    "rate_limited": "it is at its rate limit",
    "refused_key": "its provider refused the key",
    "not_configured": "it is not set up",
}


@dataclass(frozen=True, slots=True)
class Choice:
    card: ModelCard
    estimated_cost: Money | None


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """``candidates`` in the order in which they are asked; empty where none can serve, and then ``reason`` says why."""

    candidates: tuple[Choice, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Weighed:
    """What a decision was made of. ``lacks`` has every connected model, by its label, and what keeps it from serving;
    ``by_score`` those that nothing keeps; ``aside`` those of them whose health lets others go first."""

    task: Task
    pinned: str
    policy: Policy
    lacks: Mapping[str, str]
    by_score: Sequence[ModelCard]
    aside: Mapping[str, ModelHealth]


def route(
    needs: Needs,
    catalog: Catalog,
    pinned: str,
    policy: Policy = Policy(),
    health: Health = Health(),
    score: Scorer = score_by_rule,
    say: Sentences = ENGLISH,
) -> RoutingDecision:
    """Hard constraints first, then the score. ``pinned`` (``provider/model``, or empty) is the conversation's model: it goes
    first where it can serve, before the policy's. A model that is left aside for its health comes behind those that are not."""
    if not catalog.cards:
        return RoutingDecision((), say("no model is connected"))
    lacks = {card.label: _lacks(card, needs, policy, say) for card in catalog.cards}
    able = [card for card in catalog.cards if not lacks[card.label]]
    if not able:
        return RoutingDecision((), _why_none(lacks, policy, say))
    scored: list[tuple[int, int]] = []
    aside: dict[str, ModelHealth] = {}
    for place, card in enumerate(able):
        well = health.of(card)
        scored.append((-score(needs, card, well, policy), place))
        if well.shut_until_us and well.state(health.now_us) == "open":
            aside[card.label] = well
    scored.sort()
    by_score = [able[place] for _, place in scored]
    wanted = next((name for name in (pinned, policy.pinned) if name and not lacks.get(name, "?")), "")
    ordered = by_score
    if wanted or aside:
        ordered = sorted(by_score, key=lambda card: (card.label != wanted, card.label in aside))
    choices = tuple(Choice(card, estimate(needs, card)) for card in ordered[:CANDIDATES_MAX])
    weighed = _Weighed(needs.task, pinned, policy, lacks, by_score, aside)
    return RoutingDecision(choices, _why(ordered[0], weighed, say))


def _lacks(card: ModelCard, needs: Needs, policy: Policy, say: Sentences) -> str:
    """What keeps the model from serving, or nothing."""
    if policy.providers and card.provider not in policy.providers:
        return say("is of a provider that is not allowed here")
    if beyond := _beyond_plan(card, policy, say):
        return beyond
    if needs.images and not card.sees_images:
        return say("cannot see images")
    if needs.files and not card.reads_files:
        return say("cannot read files")
    if needs.tools and not card.uses_tools:
        return say("cannot use tools")
    if needs.input_tokens + min(needs.output_tokens, card.output_tokens_max) > card.context_tokens:
        return say("takes {0:,} tokens at the most", card.context_tokens)
    return "" if policy.budget is None else _exceeds(estimate(needs, card), policy.budget, say)


def _beyond_plan(card: ModelCard, policy: Policy, say: Sentences) -> str:
    return "" if policy.plan is None or policy.plan.allows(card) else _not_in(policy.plan, say)


def _not_in(plan: PlanModels, say: Sentences) -> str:
    return say("is not in the plan {0}", plan.plan)


def _exceeds(cost: Money | None, budget: Money, say: Sentences) -> str:
    if cost is None:
        return say("has no known price, and an answer has a budget here")
    return say("may cost {0}, above the budget of {1}", rc_text(cost), rc_text(budget)) if cost > budget else ""


def _why(first: ModelCard, weighed: _Weighed, say: Sentences) -> str:
    """The sentence for the person who asks why it was ``first``."""
    policy, lacks, label = weighed.policy, weighed.lacks, first.label
    if label == weighed.pinned:
        return say("you chose {0} for this conversation", label)
    if weighed.pinned:
        missing = lacks.get(weighed.pinned, say("is not connected any more"))
        how = _how(missing, policy, say)
        return say("{0}, which you chose, {1}; {2} can serve this{3}", weighed.pinned, missing, label, how)
    if label == policy.pinned:
        return say("{0} is the model of this workspace", label)
    if how := _how(lacks.get(policy.pinned, ""), policy, say):
        missing = lacks[policy.pinned]
        return say("{0}, the model of this workspace, {1}; {2} can serve this{3}", policy.pinned, missing, label, how)
    if len(lacks) == 1:
        return say("{0} is the only model connected", label)
    if len(weighed.by_score) == 1:
        return say("{0} is the only connected model that can serve this", label)
    aim, count, task = say(_AIMS[policy.aim]), len(weighed.by_score), say(_TASKS[weighed.task])
    reason = say("{0} is {1} of {2} connected models that can serve {3}", label, aim, count, task)
    better = weighed.by_score[0]
    if better.label in weighed.aside and better is not first:
        shut = _shut(weighed.aside[better.label], say)
        return say("{0}; {1} is left aside for now: {2}", reason, better.label, shut)
    return reason


def _shut(health: ModelHealth, say: Sentences) -> str:
    return say(_SHUT.get(health.error, _CALLS_FAILED))


def _why_none(lacks: Mapping[str, str], policy: Policy, say: Sentences) -> str:
    said = "; ".join(f"{label} {lack}" for label, lack in list(lacks.items())[:LACKS_SAID_MAX])
    more = len(lacks) - LACKS_SAID_MAX
    how = next(filter(None, (_how(lack, policy, say) for lack in lacks.values())), "")
    return say("{0}; nor can {1} more{2}", said, more, how) if more > 0 else f"{said}{how}"


def _how(lack: str, policy: Policy, say: Sentences) -> str:
    """What helps against it, where the plan is what keeps a model from serving."""
    by_plan = policy.plan is not None and lack == _not_in(policy.plan, say)
    return f" ({say(HOW_TO_CHANGE_PLAN)})" if by_plan else ""
