"""The decision: which models may serve, in which order, and why. The same input gives the same decision."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.lucidia.catalog import Catalog, ModelCard
from bot.lucidia.health import Health, ModelHealth
from bot.lucidia.needs import Needs, Task
from bot.lucidia.policy import Aim, PlanModels, Policy
from bot.lucidia.score import Scorer, estimate, score_by_rule
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


def route(
    needs: Needs,
    catalog: Catalog,
    pinned: str,
    policy: Policy = Policy(),
    health: Health = Health(),
    score: Scorer = score_by_rule,
) -> RoutingDecision:
    """Hard constraints first, then the score. ``pinned`` (``provider/model``, or empty) is the conversation's model: it goes
    first where it can serve, before the policy's. A model that is left aside for its health comes behind those that are not."""
    if not catalog.cards:
        return RoutingDecision((), "no model is connected")
    lacks = {card.label: _lacks(card, needs, policy) for card in catalog.cards}
    able = [card for card in catalog.cards if not lacks[card.label]]
    if not able:
        return RoutingDecision((), _why_none(lacks, policy))
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
    return RoutingDecision(choices, _why(ordered[0], by_score, aside, catalog, lacks, needs.task, pinned, policy))


def _lacks(card: ModelCard, needs: Needs, policy: Policy) -> str:
    """What keeps the model from serving, or nothing."""
    if policy.providers and card.provider not in policy.providers:
        return "is of a provider that is not allowed here"
    if beyond := _beyond_plan(card, policy):
        return beyond
    if needs.images and not card.sees_images:
        return "cannot see images"
    if needs.files and not card.reads_files:
        return "cannot read files"
    if needs.tools and not card.uses_tools:
        return "cannot use tools"
    if needs.input_tokens + min(needs.output_tokens, card.output_tokens_max) > card.context_tokens:
        return f"takes {card.context_tokens:,} tokens at the most"
    return "" if policy.budget is None else _exceeds(estimate(needs, card), policy.budget)


def _beyond_plan(card: ModelCard, policy: Policy) -> str:
    return "" if policy.plan is None or policy.plan.allows(card) else _not_in(policy.plan)


def _not_in(plan: PlanModels) -> str:
    return f"is not in the plan {plan.plan}"


def _exceeds(cost: Money | None, budget: Money) -> str:
    if cost is None:
        return "has no known price, and an answer has a budget here"
    return f"may cost {rc_text(cost)}, above the budget of {rc_text(budget)}" if cost > budget else ""


def _why(
    first: ModelCard,
    by_score: Sequence[ModelCard],
    aside: dict[str, ModelHealth],
    catalog: Catalog,
    lacks: dict[str, str],
    task: Task,
    pinned: str,
    policy: Policy,
) -> str:
    if first.label == pinned:
        return f"you chose {first.label} for this conversation"
    if pinned:
        missing = lacks.get(pinned, "is not connected any more")
        how = _how(missing, policy)
        return f"{pinned}, which you chose, {missing}; {first.label} can serve this{how}"
    if first.label == policy.pinned:
        return f"{first.label} is the model of this workspace"
    if how := _how(lacks.get(policy.pinned, ""), policy):
        return (
            f"{policy.pinned}, the model of this workspace, {lacks[policy.pinned]}; {first.label} can serve this{how}"
        )
    if len(catalog.cards) == 1:
        return f"{first.label} is the only model connected"
    if len(by_score) == 1:
        return f"{first.label} is the only connected model that can serve this"
    reason = f"{first.label} is {_AIMS[policy.aim]} of {len(by_score)} connected models that can serve {_TASKS[task]}"
    better = by_score[0]
    if better.label in aside and better is not first:
        return f"{reason}; {better.label} is left aside for now: {_shut(aside[better.label])}"
    return reason


def _shut(health: ModelHealth) -> str:
    return _SHUT.get(health.error, "its last calls failed")


def _why_none(lacks: dict[str, str], policy: Policy) -> str:
    said = "; ".join(f"{label} {lack}" for label, lack in list(lacks.items())[:LACKS_SAID_MAX])
    more = len(lacks) - LACKS_SAID_MAX
    how = next(filter(None, (_how(lack, policy) for lack in lacks.values())), "")
    return f"{said}; nor can {more} more{how}" if more > 0 else f"{said}{how}"


def _how(lack: str, policy: Policy) -> str:
    """What helps against it, where the plan is what keeps a model from serving."""
    by_plan = policy.plan is not None and lack == _not_in(policy.plan)
    return f" ({HOW_TO_CHANGE_PLAN})" if by_plan else ""
