"""The adapters that the contract is tried on, each told in its own way what to answer to the same questions."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapters.base import BaseAdapter, ChatRequest
from adapters.blackroad_local import LocalAdapter
from adapters.errors import RequestTooLong
from adapters.messages import (
    Finished,
    Image,
    JsonObject,
    Message,
    ModelName,
    ProviderName,
    Text,
    ToolCall,
    ToolCallId,
    ToolSpec,
    say,
)
from adapters.scripted import Raise, ScriptedAdapter, ScriptReply, WaitFor, answer
from tests.contract.adapters.dialects import HostedName, hosted
from tests.emulators import running_aimock

Case = Literal["text", "schema", "tool", "image", "endless", "too_long"]
SubjectName = Literal["scripted", "local"] | HostedName

LOCAL_CONTEXT_TOKENS = 512
LOCAL_THREADS = 1
"""llama.cpp's threads wait for each other by spinning: two models on two cores beside each other hardly move with more."""
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
ENDLESS_SCHEMA: JsonObject = {"type": "array", "items": {"type": "integer"}, "minItems": 300}
"""A small model stops counting soon: this keeps it at it."""
WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "read",
)
ANSWER = json.dumps({"city": "Paris", "people": 2_000_000})
CALL = ToolCall(ToolCallId("call_1"), "get_weather", {"city": "Paris"})

QUESTIONS: dict[Case, str] = {
    "text": "Tell me about the sea.",
    "schema": "Name a city and how many people live there.",
    "tool": "What is the weather in Paris?",
    "image": "What do you see?",
    "endless": "Count from one to one thousand.",
    "too_long": "word " * 2 * LOCAL_CONTEXT_TOKENS,
}


SCHEMAS: dict[Case, JsonObject] = {"schema": SCHEMA, "endless": ENDLESS_SCHEMA}


def ask(case: Case, timeout_s: float = 30.0) -> ChatRequest:
    parts = (Text(QUESTIONS[case]), *((Image("image/png", b"\x89PNG"),) if case == "image" else ()))
    return ChatRequest(
        model=ModelName("some-model"),
        messages=(say("system", "You are brief."), Message("user", parts)),
        max_output_tokens=400 if case == "endless" else 60,
        timeout_s=timeout_s,
        tools=(WEATHER,) if case == "tool" else (),
        response_schema=SCHEMAS.get(case),
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """``cannot`` is what this provider does not do: it must be refused."""

    adapter: BaseAdapter
    cannot: frozenset[Case]


@asynccontextmanager
async def running_subject(name: SubjectName, folder: Path) -> AsyncIterator[Subject]:
    match name:
        case "scripted":
            subject = Subject(ScriptedAdapter(ProviderName("scripted"), _script()), frozenset())
            yield subject
        case "local":
            local = LocalAdapter(
                ProviderName("local"), None, (), LOCAL_CONTEXT_TOKENS, threads=LOCAL_THREADS, temperature=0.0
            )
            subject = Subject(local, frozenset({"tool", "image"}))
            yield subject
        case _:
            async with running_aimock(aimock(name), folder) as url:
                subject = Subject(hosted(name).build(url), frozenset())
                yield subject
                await subject.adapter.aclose()
                return
    await subject.adapter.aclose()


def _script() -> Callable[[ChatRequest], ScriptReply]:
    never = asyncio.Event()
    replies: dict[str, ScriptReply] = {
        QUESTIONS["text"]: answer("The sea ", "is wide ", "and blue."),
        QUESTIONS["schema"]: answer(ANSWER[:10], ANSWER[10:]),
        QUESTIONS["tool"]: (CALL, Finished("tool_calls", None)),
        QUESTIONS["image"]: answer("A point."),
        QUESTIONS["endless"]: (*answer("one, ", "two, ")[:2], WaitFor(never)),
        QUESTIONS["too_long"]: (Raise(RequestTooLong("scripted")),),
    }
    return lambda request: replies[request.messages[-1].text]


def aimock(name: HostedName) -> tuple[dict[str, object], ...]:
    """Written by hand from the providers' documentation: no evidence that they themselves answer so."""
    # The emulator knows what was asked for only where it is asked for as OpenAI has it.
    names_schema = name in ("openai", "xai", "blackroad")
    return (
        {
            "match": {"userMessage": QUESTIONS["text"]},
            "response": {
                "content": "The sea is wide and blue.",
                "usage": {"prompt_tokens": 21, "completion_tokens": 7, "total_tokens": 28},
            },
            "chunkSize": 6,
        },
        {
            "match": {
                "userMessage": QUESTIONS["schema"],
                **({"responseFormat": "json_schema"} if names_schema else {}),
            },
            "response": {"content": ANSWER},
        },
        {
            "match": {"userMessage": QUESTIONS["tool"], "toolName": WEATHER.name},
            "response": {"toolCalls": [{"id": CALL.id, "name": CALL.name, "arguments": CALL.arguments}]},
            "chunkSize": 4,
        },
        {"match": {"userMessage": QUESTIONS["image"]}, "response": {"content": "A point."}},
        {
            "match": {"userMessage": QUESTIONS["endless"]},
            "response": {"content": ", ".join(str(number) for number in range(1000))},
            "chunkSize": 6,
            "latency": 50,
        },
        {
            "match": {"userMessage": QUESTIONS["too_long"]},
            "response": {"error": TOO_LONG.get(name, OPENAI_TOO_LONG), "status": 400},
        },
    )


OPENAI_TOO_LONG = {"message": "Too long.", "type": "invalid_request_error", "code": "context_length_exceeded"}
TOO_LONG: dict[HostedName, dict[str, str]] = {
    "anthropic": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"},
    "google": {"type": "INVALID_ARGUMENT", "message": "9 exceeds the maximum number of tokens allowed (8)."},
}
