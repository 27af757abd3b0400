"""The decision: which models may serve, in which order, and why. The same input gives the same decision."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.lucidia.catalog import Catalog, ModelCard
from bot.lucidia.needs import Needs
from ledger.money import Money


@dataclass(frozen=True, slots=True)
class Choice:
    card: ModelCard
    estimated_cost: Money | None


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """``candidates`` in the order in which they are asked; empty where none can serve, and then ``reason`` says why."""

    candidates: tuple[Choice, ...]
    reason: str


def route(needs: Needs, catalog: Catalog, pinned: str) -> RoutingDecision:
    """Hard constraints first, then quality. ``pinned`` (``provider/model``, or empty) goes first where it can serve."""
    if not catalog.cards:
        return RoutingDecision((), "no model is connected")
    lacks = {card.label: _lacks(card, needs) for card in catalog.cards}
    able = [card for card in catalog.cards if not lacks[card.label]]
    if not able:
        return RoutingDecision((), _why_none(lacks))
    chosen = next((card for card in able if card.label == pinned), None)
    if chosen is not None:
        able = [chosen, *(card for card in able if card is not chosen)]
    choices = tuple(Choice(card, card.cost(needs.input_tokens, needs.output_tokens)) for card in able)
    return RoutingDecision(choices, _why(able, catalog, lacks, pinned))


def _lacks(card: ModelCard, needs: Needs) -> str:
    """What the model cannot do of what is needed, or nothing."""
    if needs.images and not card.sees_images:
        return "cannot see images"
    if needs.files and not card.reads_files:
        return "cannot read files"
    if needs.tools and not card.uses_tools:
        return "cannot use tools"
    if needs.input_tokens + needs.output_tokens > card.context_tokens:
        return f"takes {card.context_tokens:,} tokens at the most"
    return ""


def _why(able: Sequence[ModelCard], catalog: Catalog, lacks: dict[str, str], pinned: str) -> str:
    first = able[0]
    if first.label == pinned:
        return f"you chose {first.label} for this conversation"
    if pinned:
        missing = lacks.get(pinned, "is not connected any more")
        return f"{pinned}, which you chose, {missing}; {first.label} can serve this"
    if len(catalog.cards) == 1:
        return f"{first.label} is the only model connected"
    if len(able) == 1:
        return f"{first.label} is the only connected model that can serve this"
    return f"{first.label} is the best of {len(able)} connected models that can serve this"


def _why_none(lacks: dict[str, str]) -> str:
    return "; ".join(f"{label} {lack}" for label, lack in lacks.items())
