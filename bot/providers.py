"""The composition root's other half: the providers that are reached over the network. It and ``app`` alone name them.

To add one: a few lines in ``hosted``, for the house's own key, and one in ``brought``, for those that people bring.
"""

from collections.abc import Iterable, Iterator

from adapters.base import BaseAdapter
from adapters.messages import ProviderName
from bot.connections import Built
from bot.lucidia import cards
from bot.lucidia.catalog import ModelCard
from bot.secret import Secret
from bot.settings import Settings


def hosted(settings: Settings, shelf: cards.Shelf) -> Iterator[Built]:
    """Every provider that is set up, with what it offers. No SDK is imported, and nobody is called."""
    connect_s = settings.limits.connect_s
    if settings.openai_api_key or settings.openai_base_url:
        from adapters.openai import OpenAIAdapter

        openai = OpenAIAdapter(
            cards.OPENAI,
            settings.openai_api_key.reveal(),
            settings.openai_base_url or None,
            organization=settings.openai_org_id,
            project=settings.openai_project_id,
            connect_s=connect_s,
        )
        yield openai, _offered(shelf, cards.OPENAI, settings.openai_models, own=not settings.openai_base_url)
    if settings.anthropic_api_key or settings.anthropic_base_url:
        from adapters.anthropic import AnthropicAdapter

        key, url = settings.anthropic_api_key.reveal(), settings.anthropic_base_url
        anthropic = AnthropicAdapter(cards.ANTHROPIC, key, url, connect_s=connect_s)
        yield anthropic, _offered(shelf, cards.ANTHROPIC, settings.anthropic_models)
    if settings.google_key or settings.google_base_url:
        from adapters.google import GoogleAdapter

        key, url, version = settings.google_key.reveal(), settings.google_base_url, settings.google_api_version
        google = GoogleAdapter(cards.GOOGLE, key, url, version, connect_s=connect_s)
        yield google, _offered(shelf, cards.GOOGLE, settings.google_models)
    if settings.xai_api_key or settings.xai_base_url:
        from adapters.xai import XAIAdapter

        xai = XAIAdapter(cards.XAI, settings.xai_api_key.reveal(), settings.xai_base_url, connect_s=connect_s)
        yield xai, _offered(shelf, cards.XAI, settings.xai_models)
    if settings.hf_token or settings.huggingface_base_url:
        from adapters.huggingface import HuggingFaceAdapter

        key, url = settings.hf_token.reveal(), settings.huggingface_base_url
        huggingface = HuggingFaceAdapter(cards.HUGGINGFACE, key, url, connect_s=connect_s)
        yield huggingface, _offered(shelf, cards.HUGGINGFACE, settings.huggingface_models, own=not url)
    if settings.blackroad_base_url:
        from adapters.blackroad_proprietary import BlackRoadAdapter

        key, url = settings.blackroad_api_key.reveal(), settings.blackroad_base_url
        blackroad = BlackRoadAdapter(cards.BLACKROAD, key, url, connect_s=connect_s)
        yield blackroad, _offered(shelf, cards.BLACKROAD, settings.blackroad_models)


def brought(provider: ProviderName, key: Secret, settings: Settings, shelf: cards.Shelf) -> Built | None:
    """A provider with somebody's own key: at its own address, and with nothing of the house's account. None where there is
    no such provider, or it has no address of its own and none is set."""
    adapter = _with_key(provider, key.reveal(), settings)
    if adapter is None:
        return None
    offered = {**OFFERED, cards.BLACKROAD: settings.blackroad_models}
    return adapter, _offered(shelf, provider, offered[provider])


def _with_key(provider: ProviderName, key: str, settings: Settings) -> BaseAdapter | None:
    connect_s = settings.limits.connect_s
    match provider:
        case cards.OPENAI:
            from adapters.openai import OpenAIAdapter

            return OpenAIAdapter(provider, key, connect_s=connect_s)
        case cards.ANTHROPIC:
            from adapters.anthropic import AnthropicAdapter

            return AnthropicAdapter(provider, key, connect_s=connect_s)
        case cards.GOOGLE:
            from adapters.google import GoogleAdapter

            return GoogleAdapter(provider, key, connect_s=connect_s)
        case cards.XAI:
            from adapters.xai import XAIAdapter

            return XAIAdapter(provider, key, connect_s=connect_s)
        case cards.HUGGINGFACE:
            from adapters.huggingface import HuggingFaceAdapter

            return HuggingFaceAdapter(provider, key, connect_s=connect_s)
        case cards.BLACKROAD if settings.blackroad_base_url:
            from adapters.blackroad_proprietary import BlackRoadAdapter

            return BlackRoadAdapter(provider, key, settings.blackroad_base_url, connect_s=connect_s)
        case _:
            return None


OFFERED = {
    cards.OPENAI: cards.OPENAI_MODELS,
    cards.ANTHROPIC: cards.ANTHROPIC_MODELS,
    cards.GOOGLE: cards.GOOGLE_MODELS,
    cards.XAI: cards.XAI_MODELS,
    cards.HUGGINGFACE: cards.HUGGINGFACE_MODELS,
}


def _offered(
    shelf: cards.Shelf, provider: ProviderName, models: Iterable[str], *, own: bool = True
) -> tuple[ModelCard, ...]:
    """``own`` is false where somebody else's server has those models, whose names may say nothing."""
    card = shelf.card if own else shelf.compatible_card
    return tuple(card(provider, model) for model in models)
