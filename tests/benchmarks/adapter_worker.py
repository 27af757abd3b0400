"""Our adapters, and beside each of them its SDK alone, as a program that has nothing else would use it."""

import asyncio
import sys
from collections.abc import AsyncGenerator

import anthropic
import openai
from google import genai

from adapters.anthropic import AnthropicAdapter
from adapters.base import BaseAdapter, ChatRequest
from adapters.google import GoogleAdapter
from adapters.messages import ModelName, ProviderName, TextDelta, say
from adapters.openai import OpenAIAdapter
from tests.benchmarks.calling import QUESTION, Call, serve

KEY = "none"
OUTPUT_TOKENS_MAX = 500


def ours(adapter: BaseAdapter) -> Call:
    async def call(model: str) -> AsyncGenerator[str, None]:
        request = ChatRequest(ModelName(model), (say("user", QUESTION),), OUTPUT_TOKENS_MAX, 120.0)
        async for event in adapter.chat(request):
            if isinstance(event, TextDelta):
                yield event.text

    return call


def bare_completions(url: str) -> Call:
    client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)

    async def call(model: str) -> AsyncGenerator[str, None]:
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=OUTPUT_TOKENS_MAX,
            stream=True,
            stream_options={"include_usage": True},
        )
        async with stream:
            async for chunk in stream:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    yield text

    return call


def bare_responses(url: str) -> Call:
    client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)

    async def call(model: str) -> AsyncGenerator[str, None]:
        stream = await client.responses.create(
            model=model, input=QUESTION, max_output_tokens=OUTPUT_TOKENS_MAX, store=False, stream=True
        )
        async with stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    yield event.delta

    return call


def bare_messages(url: str) -> Call:
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0)

    async def call(model: str) -> AsyncGenerator[str, None]:
        stream = await client.messages.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=OUTPUT_TOKENS_MAX,
            stream=True,
        )
        async with stream:
            async for event in stream:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text

    return call


def bare_gemini(url: str) -> Call:
    client = genai.Client(api_key=KEY, vertexai=False, http_options={"base_url": url, "api_version": "v1beta"})

    async def call(model: str) -> AsyncGenerator[str, None]:
        stream = await client.aio.models.generate_content_stream(
            model=model, contents=QUESTION, config={"max_output_tokens": OUTPUT_TOKENS_MAX}
        )
        async for chunk in stream:
            if chunk.text:
                yield chunk.text

    return call


async def main(url: str) -> None:
    openai_name = ProviderName("openai")
    await serve(
        {
            "completions/ours": ours(OpenAIAdapter(openai_name, KEY, f"{url}/v1")),
            "completions/bare": bare_completions(url),
            "responses/ours": ours(OpenAIAdapter(openai_name, KEY, f"{url}/v1", api="responses")),
            "responses/bare": bare_responses(url),
            "messages/ours": ours(AnthropicAdapter(ProviderName("anthropic"), KEY, url)),
            "messages/bare": bare_messages(url),
            "gemini/ours": ours(GoogleAdapter(ProviderName("google"), KEY, url)),
            "gemini/bare": bare_gemini(url),
        }
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
