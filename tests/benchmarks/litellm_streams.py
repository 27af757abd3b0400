"""The same calls by LiteLLM, in its own environment: of this project it imports what needs the standard library alone."""

import asyncio
import sys
from collections.abc import AsyncGenerator

import litellm

from tests.benchmarks.calling import HELD, QUESTION, Call, serve

KEY = "none"
KNOWN_MODEL = "gpt-4.1"
"""It streams Responses of models that it knows, and of no others."""
OUTPUT_TOKENS_MAX = 500


def chat(provider: str, url: str) -> Call:
    async def call(model: str) -> AsyncGenerator[str, None]:
        stream = await litellm.acompletion(
            model=f"{provider}/{model}",
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=OUTPUT_TOKENS_MAX,
            api_base=url,
            api_key=KEY,
            stream=True,
            stream_options={"include_usage": True},
            num_retries=0,
        )
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text

    return call


def responses(url: str) -> Call:
    async def call(model: str) -> AsyncGenerator[str, None]:
        assert model != HELD
        stream = await litellm.aresponses(
            model=f"openai/{KNOWN_MODEL}",
            input=QUESTION,
            max_output_tokens=OUTPUT_TOKENS_MAX,
            store=False,
            api_base=url,
            api_key=KEY,
            stream=True,
        )
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta

    return call


async def main(url: str) -> None:
    litellm.suppress_debug_info = True
    await serve(
        {
            "completions/litellm": chat("openai", f"{url}/v1"),
            "responses/litellm": responses(f"{url}/v1"),
            "messages/litellm": chat("anthropic", url),
            "gemini/litellm": chat("gemini", f"{url}/v1beta"),
        }
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
