"""Cards of the providers beside OpenAI: little is assumed of their models, and no price is known here.

The names of models are those that the SDKs in ``constraints.txt`` know, or their documentation.
"""

from adapters.messages import ModelName, ProviderName
from bot.lucidia.cards import UNKNOWN_CONTEXT_TOKENS, UNKNOWN_OUTPUT_TOKENS_MAX
from bot.lucidia.catalog import ModelCard

ANTHROPIC = ProviderName("anthropic")
GOOGLE = ProviderName("google")
XAI = ProviderName("xai")
HUGGINGFACE = ProviderName("huggingface")
BLACKROAD = ProviderName("blackroad")

ANTHROPIC_MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")
GOOGLE_MODELS = ("gemini-3.8-flash", "gemini-3.5-flash-lite")
XAI_MODELS = ("grok-4.7",)

HOSTED_CONTEXT_TOKENS = 128_000
HOSTED_OUTPUT_TOKENS_MAX = 8_192
QUALITY_HOSTED = 60
QUALITY_UNKNOWN = 50


def anthropic_card(model: str) -> ModelCard:
    return _hosted(ANTHROPIC, model, reads_files=True)


def google_card(model: str) -> ModelCard:
    return _hosted(GOOGLE, model, reads_files=True)


def xai_card(model: str) -> ModelCard:
    return _hosted(XAI, model, reads_files=False)


def huggingface_card(model: str) -> ModelCard:
    return _unknown(HUGGINGFACE, model)


def blackroad_card(model: str) -> ModelCard:
    return _unknown(BLACKROAD, model)


def _hosted(provider: ProviderName, model: str, *, reads_files: bool) -> ModelCard:
    return ModelCard(
        provider,
        ModelName(model),
        HOSTED_CONTEXT_TOKENS,
        HOSTED_OUTPUT_TOKENS_MAX,
        sees_images=True,
        reads_files=reads_files,
        uses_tools=True,
        quality=QUALITY_HOSTED,
        rates=None,
    )


def _unknown(provider: ProviderName, model: str) -> ModelCard:
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
