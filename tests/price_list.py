"""The price list of the catalogue, made from the package genai-prices: `python -m tests.price_list` writes it anew.

It is kept in the repository, so that the program does not load a package of 200 ms for it, and so that a change of prices is
a difference that somebody reads. A test compares it with what the installed package says.
"""

import json
import tomllib
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, StartDateConstraint, TieredPrices

LUCIDIA = Path(__file__).parent.parent / "bot" / "lucidia"
PRICE_LIST = LUCIDIA / "prices.json"
THEIR_NAMES = {"openai": "openai", "anthropic": "anthropic", "google": "google", "xai": "x-ai"}
TAKEN = "2026-11-24"
"""The day on which the installed version of the package was looked at; the package itself carries no date."""
FIELDS = ("input", "output", "cache_read", "cache_write")
E12_PER_USD_A_MILLION = 1_000_000
"""1 USD for a million tokens is 1e-6 USD a token."""


def price_list() -> str:
    """A line a model: its window, and the rates from each day on, in 1e-12 USD a token."""
    labels = tomllib.loads((LUCIDIA / "models.toml").read_text())
    lines = [f"{json.dumps(label)}: {json.dumps(_entry(_model(label)))}" for label in sorted(labels)]
    source = json.dumps(f"genai-prices {version('genai-prices')}, taken {TAKEN}")
    return f'{{"source": {source}, "models": {{\n' + ",\n".join(lines) + "\n}}\n"


def _model(label: str) -> ModelInfo:
    provider, _, name = label.partition("/")
    if provider == "huggingface":
        name, _, runner = name.partition(":")
        theirs = f"huggingface_{runner}"
    else:
        theirs = THEIR_NAMES[provider]
    (listed,) = [item for item in providers if item.id == theirs]
    (model,) = [item for item in listed.models if item.id == name]
    return model


def _entry(model: ModelInfo) -> dict[str, Any]:
    periods = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    return {"context_tokens": model.context_window, "prices": [_period(period) for period in periods]}


def _period(period: ConditionalPrice) -> dict[str, Any]:
    start = period.constraint
    if start is not None and not isinstance(start, StartDateConstraint):
        raise ValueError("a price that depends on the hour has no place in the list")
    thresholds = sorted({0, *(above for name in FIELDS for above in _thresholds(period.prices, name))})
    tiers = [{"above": above, **_rates(period.prices, above)} for above in thresholds]
    return {"from": "" if start is None else start.start_date.isoformat(), "tiers": tiers}


def _thresholds(prices: ModelPrice, name: str) -> list[int]:
    price = getattr(prices, f"{name}_mtok")
    return [tier.start for tier in price.tiers] if isinstance(price, TieredPrices) else []


def _rates(prices: ModelPrice, above: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in FIELDS:
        price = getattr(prices, f"{name}_mtok")
        if isinstance(price, TieredPrices):
            price = next((tier.price for tier in reversed(price.tiers) if above >= tier.start), price.base)
        if price is not None:
            found[name] = _whole(price)
    return found


def _whole(price: Decimal) -> int:
    whole = price * E12_PER_USD_A_MILLION
    if whole != int(whole):
        raise ValueError(f"{price} USD is no whole number of 1e-12 USD a token")
    return int(whole)


if __name__ == "__main__":
    PRICE_LIST.write_text(price_list())
