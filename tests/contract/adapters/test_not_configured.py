"""What each adapter says where its key or its address is missing: before anything is imported or sent."""

import pytest

from adapters.anthropic import AnthropicAdapter
from adapters.base import BaseAdapter, collect
from adapters.blackroad_proprietary import BlackRoadAdapter
from adapters.errors import NotConfigured
from adapters.google import GoogleAdapter
from adapters.huggingface import HuggingFaceAdapter
from adapters.messages import ProviderName
from adapters.openai import OpenAIAdapter
from adapters.xai import XAIAdapter
from tests.contract.adapters.subjects import ask

NAME = ProviderName("some")


@pytest.mark.parametrize(
    ("adapter", "remedy"),
    [
        (OpenAIAdapter(NAME, ""), "Set OPENAI_API_KEY"),
        (AnthropicAdapter(NAME, None), "Set ANTHROPIC_API_KEY"),
        (GoogleAdapter(NAME, None), "Set GEMINI_API_KEY"),
        (XAIAdapter(NAME, None), "Set XAI_API_KEY"),
        (HuggingFaceAdapter(NAME, None), "Set HF_TOKEN"),
        (HuggingFaceAdapter(NAME, "of-another-kind"), "a token that begins with hf_"),
        (BlackRoadAdapter(NAME, None, None), "Set CARPOOL_BLACKROAD_BASE_URL"),
        (BlackRoadAdapter(NAME, "key", None), "Set CARPOOL_BLACKROAD_BASE_URL"),
        (BlackRoadAdapter(NAME, None, "http://127.0.0.1/v1"), "CARPOOL_BLACKROAD_API_KEY"),
    ],
)
async def test_what_is_missing_is_named(adapter: BaseAdapter, remedy: str) -> None:
    with pytest.raises(NotConfigured, match=remedy):
        await collect(adapter.chat(ask("text")))
    await adapter.aclose()
