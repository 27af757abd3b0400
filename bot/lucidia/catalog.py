"""Model cards: what is known of each connected model before it is asked anything."""

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.messages import ModelName, ProviderName
from ledger.money import FREE, Money

URC_PER_USD_E12 = 10_000
"""Rates are whole numbers of 1e-12 USD a token; 1 uRC is 1e-8 USD."""


@dataclass(frozen=True, slots=True)
class Rates:
    """1e-12 USD a token."""

    input: int
    output: int


@dataclass(frozen=True, slots=True)
class ModelCard:
    """``context_tokens`` holds question and answer together. ``quality`` orders models, higher is better.

    ``rates`` is None where the price is not known, and zero where the model is free.
    """

    provider: ProviderName
    model: ModelName
    context_tokens: int
    output_tokens_max: int
    sees_images: bool
    reads_files: bool
    uses_tools: bool
    quality: int
    rates: Rates | None

    @property
    def label(self) -> str:
        return f"{self.provider}/{self.model}"

    def cost(self, input_tokens: int, output_tokens: int) -> Money | None:
        """In uRC, rounded up once. None where the price is not known."""
        if self.rates is None:
            return None
        units = input_tokens * self.rates.input + output_tokens * self.rates.output
        return FREE if units == 0 else Money(-(-units // URC_PER_USD_E12))


@dataclass(frozen=True, slots=True)
class Catalog:
    cards: tuple[ModelCard, ...]

    @classmethod
    def of(cls, cards: Iterable[ModelCard]) -> "Catalog":
        """Best first; the order of equals is kept."""
        return cls(tuple(sorted(cards, key=lambda card: -card.quality)))

    def find(self, name: str) -> ModelCard | None:
        """By ``provider/model``, or by the model alone where only one provider has it."""
        wanted = name.casefold()
        whole = [card for card in self.cards if card.label.casefold() == wanted]
        alone = [card for card in self.cards if card.model.casefold() == wanted]
        found = whole or alone
        return found[0] if len(found) == 1 else None
