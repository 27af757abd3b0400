"""What is known of models, as cards. To add a model: a line here.

Rates and windows of OpenAI's models: genai-prices 0.2.3. Above 272,000 input tokens these models cost twice as much, so
the window ends there, and an estimate holds.
"""

from adapters.messages import ModelName, ProviderName
from bot.lucidia.catalog import ModelCard, Rates

OPENAI = ProviderName("openai")
LOCAL = ProviderName("local")
SCRIPTED = ProviderName("scripted")

OPENAI_CONTEXT_TOKENS = 272_000
UNKNOWN_CONTEXT_TOKENS = 8_192
UNKNOWN_OUTPUT_TOKENS_MAX = 4_096
QUALITY_UNKNOWN = 50
QUALITY_LOCAL = 10

_OPENAI_KNOWN = {
    "gpt-6.1-sol": (90, Rates(2_000_000, 10_000_000)),
    "gpt-6.1-terra": (80, Rates(1_000_000, 5_000_000)),
    "gpt-6-luna": (70, Rates(100_000, 500_000)),
}
OPENAI_MODELS = tuple(_OPENAI_KNOWN)


def openai_card(model: str) -> ModelCard:
    """A model of OpenAI's own. One that is not known here gets the family's window, and no price."""
    quality, rates = _OPENAI_KNOWN.get(model, (QUALITY_UNKNOWN, None))
    return ModelCard(
        OPENAI, ModelName(model), OPENAI_CONTEXT_TOKENS, 32_768, True, True, True, quality=quality, rates=rates
    )


def compatible_card(model: str) -> ModelCard:
    """A model behind another server that speaks OpenAI's interface: nothing is known of it, so little is assumed."""
    return ModelCard(
        OPENAI,
        ModelName(model),
        UNKNOWN_CONTEXT_TOKENS,
        UNKNOWN_OUTPUT_TOKENS_MAX,
        sees_images=False,
        reads_files=False,
        uses_tools=True,
        quality=QUALITY_UNKNOWN,
        rates=None,
    )


def local_card(model: str, context_tokens: int, output_tokens_max: int) -> ModelCard:
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
    )


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
    )
