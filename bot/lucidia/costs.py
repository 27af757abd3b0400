"""What a call cost, out of the tokens that the ledger has of it and the prices of the catalogue."""

from adapters.messages import Usage
from bot.lucidia.catalog import Catalog
from ledger.actions import ModelAnswered, ModelCalled
from ledger.money import Money


def cost_of_call(called: ModelCalled, answered: ModelAnswered, catalog: Catalog) -> Money | None:
    """In uRC. None where the provider did not say how many tokens it took, or no price is known."""
    card = catalog.find(f"{called.provider}/{called.model}")
    if card is None or not answered.usage_known:
        return None
    return card.cost_of(usage_of(answered))


def usage_of(answered: ModelAnswered) -> Usage:
    """What the provider said that it took; where it said nothing, nothing."""
    return Usage(
        answered.input_tokens,
        answered.output_tokens,
        answered.cache_read_tokens,
        answered.cache_write_tokens,
        answered.reasoning_tokens,
    )
