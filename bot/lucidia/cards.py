"""The cards of models: those of the catalogue's files, and those that are made of what the operator says.

To add a model: `models.toml`, and `python -m tests.price_list` for its price.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.messages import ModelName, ProviderName
from bot.lucidia.catalog import ModelCard, Rates, Tier

OPENAI = ProviderName("openai")
ANTHROPIC = ProviderName("anthropic")
GOOGLE = ProviderName("google")
XAI = ProviderName("xai")
HUGGINGFACE = ProviderName("huggingface")
BLACKROAD = ProviderName("blackroad")
LOCAL = ProviderName("local")
SCRIPTED = ProviderName("scripted")

# What is offered of a provider where nothing else is set. The dearest models are there for whoever names them.
OPENAI_MODELS = ("gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna")
ANTHROPIC_MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")
GOOGLE_MODELS = ("gemini-4-argon", "gemini-3.8-flash", "gemini-3.5-flash-lite")
XAI_MODELS = ("grok-4.7",)
HUGGINGFACE_MODELS = ("zai-org/GLM-5.3:novita", "zai-org/GLM-5.3-Flash:novita", "openai/gpt-oss-120b:groq")

UNKNOWN_CONTEXT_TOKENS = 8_192
UNKNOWN_OUTPUT_TOKENS_MAX = 4_096
QUALITY_UNKNOWN = 50
QUALITY_LOCAL = 10
E12_PER_USD_A_MILLION = 1_000_000
"""1 USD for a million tokens is 1e-6 USD a token."""
USD_A_MILLION_MAX = 1_000_000

_FOLDER = Path(__file__).parent
_PRICE_FIELDS = ("input", "output", "cache_read", "cache_write")
_FIELDS: Mapping[str, tuple[str, type]] = {
    "context_tokens": ("context_tokens", int),
    "output_tokens_max": ("output_tokens_max", int),
    "images": ("sees_images", bool),
    "files": ("reads_files", bool),
    "tools": ("uses_tools", bool),
    "reasons": ("reasons", bool),
    "quality": ("quality", int),
    "languages": ("languages", list),
    "knows_until": ("knows_until", str),
    "price": ("price", dict),
}
"""What a file may say of a model: the card's field, and of what kind it is."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Every card of the catalogue, by label; ``said`` are those that the operator's own file names."""

    known: Mapping[str, ModelCard]
    said: frozenset[str]

    def card(self, provider: ProviderName, model: str) -> ModelCard:
        """One that is not known here gets a small window and no price: little is assumed of it."""
        return self.known.get(f"{provider}/{model}") or unknown_card(provider, model)

    def compatible_card(self, provider: ProviderName, model: str) -> ModelCard:
        """A model of another server that speaks a provider's interface: its name says nothing, the operator's file may."""
        return self.card(provider, model) if f"{provider}/{model}" in self.said else unknown_card(provider, model)


def read_shelf(own: Path | None, today: date) -> Shelf:
    """The catalogue with the prices of a day. ``own`` is a file of the operator's, whose word goes before ours.

    Raises ``ValueError`` with a sentence on what is wrong with that file.
    """
    prices = json.loads((_FOLDER / "prices.json").read_text(encoding="utf-8"))
    listed = _read_models(_FOLDER / "models.toml")
    said = {} if own is None else _read_models(own)
    known: dict[str, ModelCard] = {}
    for label in (*listed, *(label for label in said if label not in listed)):
        priced = prices["models"].get(label)
        found = {} if priced is None else _priced(priced, prices["source"], today)
        known[label] = _card(label, {**found, **listed.get(label, {}), **said.get(label, {})})
    return Shelf(known, frozenset(said))


def unknown_card(provider: ProviderName, model: str) -> ModelCard:
    return ModelCard(
        provider,
        ModelName(model),
        UNKNOWN_CONTEXT_TOKENS,
        UNKNOWN_OUTPUT_TOKENS_MAX,
        sees_images=False,
        reads_files=False,
        uses_tools=True,
        quality=QUALITY_UNKNOWN,
        rates=None,
    )


def local_card(model: str, context_tokens: int, output_tokens_max: int, languages: Sequence[str] = ()) -> ModelCard:
    """A model on this machine: it costs nothing. At least half of its window is kept for the question."""
    return ModelCard(
        LOCAL,
        ModelName(model),
        context_tokens,
        min(output_tokens_max, context_tokens // 2),
        sees_images=False,
        reads_files=False,
        uses_tools=False,
        quality=QUALITY_LOCAL,
        rates=Rates(0, 0),
        languages=tuple(languages),
    )


def fork_card(model: str, base: ModelCard) -> ModelCard:
    """A fork of the local model: it answers whoever names it, and goes behind the model itself."""
    return replace(base, model=ModelName(model), quality=base.quality - 1)


def folder_card(model: str, context_tokens: int) -> ModelCard:
    """A model out of a folder: whoever put it there meant it to be asked, before the one that is there anyway."""
    return replace(local_card(model, context_tokens, context_tokens), quality=QUALITY_LOCAL + 1)


def scripted_card() -> ModelCard:
    return ModelCard(
        SCRIPTED,
        ModelName("script"),
        1_000_000,
        100_000,
        sees_images=True,
        reads_files=True,
        uses_tools=True,
        quality=100,
        rates=Rates(0, 0),
        reasons=True,
    )


def _read_models(path: Path) -> dict[str, dict[str, Any]]:
    """What the file says of each model, as fields of a card. Numbers with a point are exact: no float is made of them."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read as TOML ({error})") from error
    return {label: _read_model(path, label, table) for label, table in tables.items()}


def _read_model(path: Path, label: str, table: Any) -> dict[str, Any]:
    provider, slash, name = label.partition("/")
    if not (provider and slash and name and isinstance(table, dict)):
        raise ValueError(f'{path}: {label} should be a table named ["provider/model"]')
    found: dict[str, Any] = {}
    for key, value in table.items():
        field, kind = _FIELDS.get(key, ("", object))
        if not field:
            raise ValueError(f"{path}: {label} has {key}, which is none of {', '.join(_FIELDS)}")
        if not _fits(value, kind):
            raise ValueError(f"{path}: {key} of {label} is of the wrong kind")
        if key == "price":
            found |= {"rates": _said_rates(path, label, value), "tiers": (), "priced_on": "as configured"}
        else:
            found[field] = tuple(value) if kind is list else value
    return found


def _fits(value: object, kind: type) -> bool:
    return type(value) is kind and not (isinstance(value, int) and value < 0)


def _said_rates(path: Path, label: str, price: Mapping[str, object]) -> Rates:
    rates: dict[str, int] = {}
    for name, value in price.items():
        usd = Decimal(value) if type(value) in (int, Decimal) else Decimal(-1)  # type: ignore[arg-type]  # one of them
        if name not in _PRICE_FIELDS or not usd.is_finite() or not 0 <= usd < USD_A_MILLION_MAX:
            raise ValueError(f"{path}: the price of {label} should have {', '.join(_PRICE_FIELDS)}, in USD")
        exact = usd * E12_PER_USD_A_MILLION
        if exact != int(exact):
            raise ValueError(f"{path}: the price of {label} has more than six decimals")
        rates[name] = int(exact)
    if not {"input", "output"} <= rates.keys():
        raise ValueError(f"{path}: the price of {label} needs input and output")
    return Rates(**rates)


def _priced(listed: Mapping[str, Any], source: str, today: date) -> dict[str, Any]:
    """The window, and the rates of a day: those of the latest period that has begun."""
    begun = [period for period in listed["prices"] if period["from"] <= today.isoformat()]
    since = begun[-1]["from"]
    tiers = [
        Tier(tier["above"], Rates(**{name: tier[name] for name in _PRICE_FIELDS if name in tier}))
        for tier in begun[-1]["tiers"]
    ]
    found = {
        "rates": tiers[0].rates,
        "tiers": tuple(tiers[1:]),
        "priced_on": f"{source}, from {since}" if since else source,
    }
    return found if listed["context_tokens"] is None else {**found, "context_tokens": listed["context_tokens"]}


def _card(label: str, found: Mapping[str, Any]) -> ModelCard:
    provider, _, model = label.partition("/")
    assumed = {
        "context_tokens": UNKNOWN_CONTEXT_TOKENS,
        "output_tokens_max": UNKNOWN_OUTPUT_TOKENS_MAX,
        "sees_images": False,
        "reads_files": False,
        "uses_tools": True,
        "quality": QUALITY_UNKNOWN,
        "rates": None,
    }
    return ModelCard(ProviderName(provider), ModelName(model), **{**assumed, **found})
