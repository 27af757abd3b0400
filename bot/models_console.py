"""``carpool models``: every model that is known, its price, and whether it can be used now or what is missing."""

import sys
from collections.abc import Mapping

from adapters.messages import ProviderName
from bot.app import open_models, open_shelf
from bot.lucidia import cards
from bot.lucidia.catalog import ModelCard, price_text, usd_text
from bot.settings import Settings

EXIT_OK = 0


async def list_models(settings: Settings) -> int:
    """Usable ones first, best first. Nobody is called for it: whether a key is accepted shows in the first answer."""
    async with open_models(settings) as models:
        connected = {card.label: card for card in models.catalog.cards}
    others = [card for label, card in open_shelf(settings).known.items() if label not in connected]
    rows = [(card, "usable") for card in connected.values()]
    missing = _missing(settings)
    rows += [(card, missing.get(card.provider, "no adapter has its name")) for card in others]
    rows.sort(key=lambda row: (row[1] != "usable", row[0].provider if row[1] != "usable" else "", -row[0].quality))
    width = max((len(card.label) for card, _ in rows), default=0)
    for card, state in rows:
        sys.stdout.write(
            f"{card.label:<{width}}  {_price(card):<34}  {card.context_tokens:>9,}  {_does(card):<27}  {state}\n"
        )
    sys.stdout.write(
        "\nPrices are for a million tokens, in / out; `*`: higher ones for long requests. Then the window, in tokens.\n"
    )
    if not settings.blackroad_base_url:
        sys.stdout.write("Not in the list: blackroad, the house's own endpoint (set CARPOOL_BLACKROAD_BASE_URL).\n")
    if not settings.local_enabled:
        sys.stdout.write("Not in the list: the model on this machine (set CARPOOL_LOCAL_ENABLED=true).\n")
    for source in sorted({card.priced_on for card, _ in rows if card.priced_on}):
        sys.stdout.write(f"Price list: {source}.\n")
    return EXIT_OK


def _missing(settings: Settings) -> Mapping[ProviderName, str]:
    """Of each provider, what a model of it lacks that is not connected."""
    keys = {
        cards.OPENAI: ("OPENAI_API_KEY", settings.openai_api_key, "CARPOOL_OPENAI_MODELS"),
        cards.ANTHROPIC: ("ANTHROPIC_API_KEY", settings.anthropic_api_key, "CARPOOL_ANTHROPIC_MODELS"),
        cards.GOOGLE: ("GEMINI_API_KEY", settings.google_key, "CARPOOL_GOOGLE_MODELS"),
        cards.XAI: ("XAI_API_KEY", settings.xai_api_key, "CARPOOL_XAI_MODELS"),
        cards.HUGGINGFACE: ("HF_TOKEN", settings.hf_token, "CARPOOL_HF_MODELS"),
    }
    return {
        provider: f"not offered: name it in {models}" if key else f"no key: set {variable}"
        for provider, (variable, key, models) in keys.items()
    }


def _price(card: ModelCard) -> str:
    read = None if card.rates is None else card.rates.cache_read
    cached = "" if read is None else f" (cached {usd_text(read)})"
    return f"{price_text(card)}{cached}{' *' if card.tiers else ''}"


def _does(card: ModelCard) -> str:
    does = {
        "images": card.sees_images,
        "files": card.reads_files,
        "tools": card.uses_tools,
        "reasons": card.reasons,
    }
    return " ".join(name for name, can in does.items() if can) or "text"
