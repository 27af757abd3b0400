"""Model cards: what is known of each connected model before it is asked anything."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.messages import ModelName, ProviderName, Usage
from bot.sentences import ENGLISH, Sentences
from ledger.money import FREE, Money

URC_PER_USD_E12 = 10_000
"""Rates are whole numbers of 1e-12 USD a token; 1 uRC is 1e-8 USD."""


@dataclass(frozen=True, slots=True)
class Rates:
    """1e-12 USD a token. Tokens read from a provider's cache, or written to it, are input tokens at rates of their own;
    None where they cost what other input does."""

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    dearest_input: int = field(init=False, repr=False, compare=False)
    """Worked out once: it is asked for in each decision, as is the label of a card."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dearest_input", max(self.input, self.cache_read or 0, self.cache_write or 0))

    def units(self, usage: Usage) -> int:
        """What it costs, in 1e-12 USD, to the last unit."""
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        fresh = usage.input - usage.cache_read - usage.cache_write
        cached = usage.cache_read * read + usage.cache_write * write
        return fresh * self.input + cached + usage.output * self.output


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates of a request with more input tokens than ``above``: of all its tokens, not only of those beyond."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class ModelCard:
    """``context_tokens`` holds question and answer together. ``quality`` orders models, higher is better, from 0 to 100.

    ``rates`` is None where the price is not known, and zero where the model is free; ``tiers``, the lowest first, replace
    it for long requests, and ``priced_on`` says by what list, and from what day on, that is. ``languages`` are those that
    it speaks (ISO 639-1), empty where they are many; ``knows_until`` (YYYY-MM) is empty where its maker does not say.
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
    tiers: tuple[Tier, ...] = ()
    reasons: bool = False
    languages: tuple[str, ...] = ()
    knows_until: str = ""
    priced_on: str = ""
    label: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.provider}/{self.model}")

    def rates_for(self, input_tokens: int) -> Rates | None:
        """The rates of a request with so many input tokens."""
        return next((tier.rates for tier in reversed(self.tiers) if input_tokens > tier.above), self.rates)

    def cost(self, input_tokens: int, output_tokens: int) -> Money | None:
        """A ceiling in uRC, rounded up once: input at its dearest rate. None where the price is not known."""
        rates = self.rates_for(input_tokens)
        if rates is None:
            return None
        return _money(input_tokens * rates.dearest_input + output_tokens * rates.output)

    def cost_of(self, usage: Usage) -> Money | None:
        """What an answer cost, in uRC, rounded up once. None where the price is not known."""
        rates = self.rates_for(usage.input)
        return None if rates is None else _money(rates.units(usage))


def usd_text(rate: int) -> str:
    """A rate as people read price lists: USD for a million tokens.

    >>> usd_text(2_000_000), usd_text(125_000), usd_text(39)
    ('2.00', '0.125', '0.000039')
    """
    whole, part = divmod(rate, 1_000_000)
    decimals = f"{part:06d}".rstrip("0")
    return f"{whole}.{decimals:0<2}"


def price_text(card: ModelCard, say: Sentences = ENGLISH) -> str:
    """The rates of a short request, in a few words."""
    if card.rates is None:
        return say("price not known")
    if card.rates == Rates(0, 0):
        return say("free")
    return f"{usd_text(card.rates.input)} / {usd_text(card.rates.output)} USD"


def _money(units: int) -> Money:
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
