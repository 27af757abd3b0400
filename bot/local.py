"""The composition root's third part: the models of this machine. Nothing is imported or read before the first call."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.errors import NotConfigured
from adapters.messages import ModelName
from bot.lucidia import cards
from bot.lucidia.catalog import ModelCard
from bot.settings import Settings

if TYPE_CHECKING:
    from adapters.blackroad_local import LocalAdapter
    from adapters.local_models import LocalModels

EMBEDDED_TEMPERATURE = 0.0
"""The likeliest token each time. Of 14 simple questions, asked eight times each, 96 of 112 were answered so; at the 0.2 of
the model's card 81 and 88 in two runs. With llama.cpp's own 0.8 a model this small loses its thread."""
EMBEDDED_DRY_MULTIPLIER = 0.8
EMBEDDED_OUTPUT_TOKENS_MAX = 400
"""A model this small repeats itself where it should end; what it says after some 300 words is of no use to anybody."""

EMBEDDED_LANGUAGES = ("en",)


def local_models(settings: Settings) -> "LocalAdapter | LocalModels":
    """What answers for all of them."""
    from adapters.blackroad_local import LocalAdapter
    from adapters.local_models import LocalModels

    main = _local_adapter(settings)
    context_tokens, parallel_max = settings.local_context_tokens, settings.local_parallel_max
    others = {
        name: LocalAdapter(cards.LOCAL, path, (), context_tokens, parallel_max, settings.local_threads)
        for name, path in _others(settings).items()
    }
    return LocalModels(cards.LOCAL, main, others, settings.local_loaded_max) if others else main


def local_cards(settings: Settings) -> Sequence[ModelCard]:
    """What they offer: the main one, its forks, and those of the folder. Raises ``NotConfigured`` where two have one name."""
    from adapters.blackroad_local import EMBEDDED_MODEL

    context_tokens = settings.local_context_tokens
    if settings.local_model is None:
        main = cards.local_card(EMBEDDED_MODEL, context_tokens, EMBEDDED_OUTPUT_TOKENS_MAX, EMBEDDED_LANGUAGES)
    else:
        main = cards.local_card(settings.local_model.stem, context_tokens, context_tokens, ())
    forks = (cards.fork_card(fork, main) for fork in _forks(settings))
    return _named_apart([main, *forks, *(cards.folder_card(name, context_tokens) for name in _others(settings))])


def only_embedded(settings: Settings) -> bool:
    """Whether nobody gave this machine a better model than the one that comes with CarPool."""
    return not (settings.local_model or _others(settings))


async def try_local_model(settings: Settings) -> tuple[Path | None, str]:
    """The local model's file, after it was loaded once; or None, and what to do about it."""
    from adapters.blackroad_local import embedded_weights

    local = _local_adapter(settings)
    try:
        await local.warm_up()
        return settings.local_model or embedded_weights(), ""
    except NotConfigured as error:
        return None, error.remedy
    finally:
        await local.aclose()


def _local_adapter(settings: Settings) -> "LocalAdapter":
    from adapters.blackroad_local import LocalAdapter, LoraFork

    embedded = settings.local_model is None
    return LocalAdapter(
        cards.LOCAL,
        settings.local_model,
        tuple(LoraFork(path, scale) for path, scale in settings.local_lora),
        settings.local_context_tokens,
        settings.local_parallel_max,
        settings.local_threads,
        EMBEDDED_TEMPERATURE if embedded else None,
        EMBEDDED_DRY_MULTIPLIER if embedded else 0.0,
        _forks(settings),
    )


def _forks(settings: Settings) -> Mapping[ModelName, Path]:
    from adapters.blackroad_local import user_forks

    return {} if settings.local_forks is None else user_forks(settings.local_forks)


def _others(settings: Settings) -> Mapping[ModelName, Path]:
    from adapters.local_models import user_models

    return {} if settings.local_models is None else user_models(settings.local_models)


def _named_apart(local: Sequence[ModelCard]) -> Sequence[ModelCard]:
    """Raises ``NotConfigured`` where two have one name: nobody could say which of them is meant."""
    names = [card.model for card in local]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise NotConfigured(
            f"Two models on this machine are named {twice[0]}: rename its file in CARPOOL_LOCAL_MODELS or CARPOOL_LOCAL_FORKS."
        )
    return local
