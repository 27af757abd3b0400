"""What a model that can serve is worth for a question: the place of a learned scorer, which would have the same signature."""

from collections.abc import Callable
from typing import TypeAlias, assert_never

from bot.lucidia.catalog import ModelCard
from bot.lucidia.health import ModelHealth
from bot.lucidia.needs import Needs, Task
from bot.lucidia.policy import Policy
from ledger.money import Money

Scorer: TypeAlias = Callable[[Needs, ModelCard, ModelHealth, Policy], int]
"""Higher is better. A pure function, of whole numbers: the same input gives the same order, on every machine."""

GOOD_ENOUGH: dict[Task, int] = {"chat": 400, "writing": 550, "code": 700, "reasoning": 800}
"""How good a model should be for a task; all points are tenths of the card's quality."""

POINTS_NO_REASONING = 150
POINTS_OTHER_LANGUAGE = 300
POINTS_A_FAILURE = 20
POINTS_A_MONTH_KNOWN = 1
KNOWN_FROM_YEAR = 2024
POINTS_A_DOUBLED_COST = 15
POINTS_A_DOUBLED_WAIT = 4
SHARE_ABOVE_ENOUGH = 4
"""What a model is better than good enough counts a quarter, where the price counts too."""
UNKNOWN_COST = Money(10_000_000)
UNKNOWN_WAIT_MS = 500
WAIT_UNNOTICED_MS = 250
"""Shorter waits for the first word are worth no more."""


def score_by_rule(needs: Needs, card: ModelCard, health: ModelHealth, policy: Policy) -> int:
    """A ``Scorer``, by rules that can be read."""
    points, enough = _points(needs, card, health), GOOD_ENOUGH[needs.task]
    cost = estimate(needs, card)
    if cost is None:
        cost = UNKNOWN_COST
    wait_ms = UNKNOWN_WAIT_MS if health.first_event_us is None else health.first_event_us // 1_000
    wait_ms = max(wait_ms, WAIT_UNNOTICED_MS)
    match policy.aim:
        case "best":
            return points * 1_000 - cost.bit_length() * 10 - wait_ms.bit_length()
        case "cheapest":
            # Those that are good enough by their price; behind them the others, the best first.
            return (1 << 60) - cost * 1_000 + points if points >= enough else points
        case "balanced":
            useful = points if points <= enough else enough + (points - enough) // SHARE_ABOVE_ENOUGH
            return useful - cost.bit_length() * POINTS_A_DOUBLED_COST - wait_ms.bit_length() * POINTS_A_DOUBLED_WAIT
        case _:
            assert_never(policy.aim)


def estimate(needs: Needs, card: ModelCard) -> Money | None:
    """What one call costs at the most, in uRC: as much of the past goes along as the window has room for."""
    output, asked, past = needs.output_tokens, needs.input_tokens, needs.past_tokens
    if output > card.output_tokens_max:
        output = card.output_tokens_max
    if past and past > (room := card.context_tokens - output - asked):
        past = max(0, room)
    return card.cost(asked + past, output)


def _points(needs: Needs, card: ModelCard, health: ModelHealth) -> int:
    points = card.quality * 10 - health.failures * POINTS_A_FAILURE
    if needs.reasoning and not card.reasons:
        points -= POINTS_NO_REASONING
    if needs.language and card.languages and needs.language not in card.languages:
        points -= POINTS_OTHER_LANGUAGE
    if needs.recent and card.knows_until:
        year, _, month = card.knows_until.partition("-")
        points += max(0, (int(year) - KNOWN_FROM_YEAR) * 12 + int(month)) * POINTS_A_MONTH_KNOWN
    return points
