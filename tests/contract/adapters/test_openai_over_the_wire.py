"""The OpenAI adapter and its real SDK against real sockets: aimock, and raw bytes where aimock lacks the case."""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import pytest
import pytest_asyncio

from adapters.base import ChatRequest, collect
from adapters.errors import (
    AdapterError,
    BadReply,
    Filtered,
    NotConfigured,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
)
from adapters.messages import Finished, ProviderName, ReasoningDelta, TextDelta, ToolCall, Usage, say
from adapters.openai import OpenAIAdapter
from tests.contract.adapters.raw_server import chunk, error, http, running_raw_server, stream
from tests.contract.adapters.subjects import ask
from tests.emulators import free_port, running_aimock

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENAI = ProviderName("openai")
KEY = "sk-a-key-that-nobody-must-see"


def failing(question: str, status: int, **others: object) -> dict[str, object]:
    body = {"message": "No.", "type": "some_error", **({"code": others.pop("code")} if "code" in others else {})}
    return {"match": {"userMessage": question}, "response": {"error": body, "status": status, **others}}


# Written by hand from OpenAI's documentation: no evidence that OpenAI itself answers so.
FIXTURES: tuple[dict[str, object], ...] = (
    failing("be busy", 429, retryAfter=7),
    failing("be out of credit", 429, code="insufficient_quota"),
    failing("be broken", 500),
    failing("be overloaded", 529),
    failing("refuse my key", 401),
    failing("forbid it", 403),
    failing("lack the model", 404),
    failing("be unable", 400),
    failing("be full", 413),
    failing("be shocked", 400, code="content_policy_violation"),
    {"match": {"userMessage": "cut"}, "response": {"content": "a b c d e"}, "chunkSize": 2, "truncateAfterChunks": 3},
    {"match": {"userMessage": "mangle"}, "response": {"content": "a"}, "chaos": {"malformedRate": 1}},
    {"match": {"userMessage": "hang up"}, "response": {"content": "a"}, "chaos": {"disconnectRate": 1}},
    {
        "match": {"userMessage": "be slow"},
        "response": {"content": "at last"},
        "streamingProfile": {"ttft": 5000, "tps": 50},
    },
    {"match": {"userMessage": "think"}, "response": {"content": "42", "reasoning": "six times seven"}},
    {"match": {"userMessage": "be long"}, "response": {"content": "and so", "finishReason": "length"}},
    {"match": {"userMessage": "censor"}, "response": {"content": "well", "finishReason": "content_filter"}},
    {"match": {"userMessage": "invent"}, "response": {"content": "well", "finishReason": "bored"}},
    {
        "match": {"userMessage": "call twice"},
        "response": {
            "toolCalls": [
                {"id": "call_1", "name": "get_weather", "arguments": {"city": "Paris"}},
                {"id": "call_2", "name": "get_weather", "arguments": {"city": "Rome"}},
            ]
        },
        "chunkSize": 3,
    },
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aimock(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenAIAdapter]:
    async with running_aimock(FIXTURES, tmp_path_factory.mktemp("aimock")) as url:
        adapter = OpenAIAdapter(OPENAI, KEY, url)
        yield adapter
        await adapter.aclose()


def saying(question: str, timeout_s: float = 20.0) -> ChatRequest:
    return replace(ask("text", timeout_s), messages=(say("user", question),))


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("be busy", RateLimited),
        ("be out of credit", RefusedKey),
        ("be broken", Unavailable),
        ("be overloaded", Unavailable),
        ("refuse my key", RefusedKey),
        ("forbid it", RefusedKey),
        ("lack the model", Refused),
        ("be unable", Refused),
        ("be full", RequestTooLong),
        ("be shocked", Filtered),
        ("cut", Unavailable),
        ("hang up", Unavailable),
        ("mangle", BadReply),
        ("invent", BadReply),
    ],
)
async def test_each_failure_becomes_its_own_kind(
    aimock: OpenAIAdapter, question: str, kind: type[AdapterError]
) -> None:
    with pytest.raises(AdapterError) as caught:
        await collect(aimock.chat(saying(question)))
    assert type(caught.value) is kind


async def test_a_busy_server_says_when_to_come_back(aimock: OpenAIAdapter) -> None:
    with pytest.raises(RateLimited) as caught:
        await collect(aimock.chat(saying("be busy")))
    assert caught.value.retry_after_s == 7.0


async def test_a_server_that_does_not_begin_is_timed_out(aimock: OpenAIAdapter) -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut):
        await collect(aimock.chat(saying("be slow", timeout_s=0.3)))
    assert time.monotonic() - began < 5.0


async def test_reasoning_comes_apart_from_the_answer(aimock: OpenAIAdapter) -> None:
    events = [event async for event in aimock.chat(saying("think"))]
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "six times seven"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "42"


@pytest.mark.parametrize(("question", "reason"), [("be long", "length"), ("censor", "filtered")])
async def test_why_an_answer_ended_is_told(aimock: OpenAIAdapter, question: str, reason: str) -> None:
    assert (await collect(aimock.chat(saying(question)))).reason == reason


async def test_two_tool_calls_keep_their_order_and_their_ids(aimock: OpenAIAdapter) -> None:
    events = [event async for event in aimock.chat(saying("call twice"))]
    calls = [(event.id, event.arguments["city"]) for event in events if isinstance(event, ToolCall)]
    assert calls == [("call_1", "Paris"), ("call_2", "Rome")]


async def events_from(reply: bytes) -> list[object]:
    async with running_raw_server(reply) as server:
        adapter = OpenAIAdapter(OPENAI, KEY, server.url)
        try:
            return [event async for event in adapter.chat(ask("text"))]
        finally:
            await adapter.aclose()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (stream(chunk("a"), chunk("b"), whole=False), Unavailable),
        (stream(chunk("a"), b"[DONE]"), Unavailable),
        (stream(chunk("a"), b"{torn"), BadReply),
        (stream(b"7"), BadReply),
        (stream(b'{"choices": 7}'), BadReply),
        (stream(chunk("a"), b'{"error": {"message": "no", "code": "server_error"}}'), Unavailable),
        (stream(b'{"error": {"message": "no", "code": "context_length_exceeded"}}'), RequestTooLong),
        (http(200, b"<html>"), BadReply),
        (b"", Unavailable),
        (b"SSH-2.0-x\r\n", Unavailable),
        (error(504), Unavailable),
        (error(408), TimedOut),
        (http(502, b"<html>Bad gateway</html>"), Unavailable),
        (error(400, "exceed_context_size_error"), RequestTooLong),
    ],
)
async def test_what_the_emulator_cannot_send_becomes_its_own_kind_too(reply: bytes, kind: type[AdapterError]) -> None:
    with pytest.raises(AdapterError) as caught:
        await events_from(reply)
    assert type(caught.value) is kind


async def test_the_pieces_before_a_cut_are_given() -> None:
    async with running_raw_server(stream(chunk("a"), chunk("b"), whole=False)) as server:
        adapter = OpenAIAdapter(OPENAI, KEY, server.url)
        async with aclosing(cast(Any, adapter.chat(ask("text")))) as events:
            assert [await anext(events), await anext(events)] == [TextDelta("a"), TextDelta("b")]
            with pytest.raises(Unavailable):
                await anext(events)
        await adapter.aclose()


async def test_a_stream_that_stalls_is_timed_out() -> None:
    async with running_raw_server(stream(chunk("a"), whole=False), holds=True) as server:
        adapter = OpenAIAdapter(OPENAI, KEY, server.url)
        async with aclosing(cast(Any, adapter.chat(ask("text", timeout_s=0.3)))) as events:
            assert await anext(events) == TextDelta("a")
            with pytest.raises(TimedOut):
                await anext(events)
        await adapter.aclose()


async def test_usage_with_cached_and_reasoning_tokens_is_read_from_the_last_chunk() -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    last = b'{"choices": [], "usage": %s}' % str(usage).replace("'", '"').encode()
    events = await events_from(stream(chunk("a"), chunk(reason="stop"), last, b"[DONE]"))
    assert events[-1] == Finished("stop", Usage(input=30, output=12, cache_read=20, reasoning=5))


async def test_a_retry_date_is_read_as_seconds_from_now() -> None:
    with pytest.raises(RateLimited) as caught:
        await events_from(error(429, retry_after="Wed, 21 Oct 2099 07:28:00 GMT"))
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 3600


async def test_a_reader_that_stops_closes_the_connection() -> None:
    async with running_raw_server(stream(chunk("a"), whole=False), holds=True) as server:
        adapter = OpenAIAdapter(OPENAI, KEY, server.url)
        async with aclosing(cast(Any, adapter.chat(ask("text")))) as events:
            await anext(events)
        async with asyncio.timeout(20):
            await server.client_left.wait()
        await adapter.aclose()


async def test_nothing_is_tried_twice() -> None:
    async with running_raw_server(error(500)) as server:
        adapter = OpenAIAdapter(OPENAI, KEY, server.url)
        with pytest.raises(Unavailable):
            await collect(adapter.chat(ask("text")))
        await adapter.aclose()
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("output_limit", "field"), [(None, "max_tokens"), ("max_completion_tokens", "max_completion_tokens")]
)
async def test_the_ceiling_is_sent_in_the_field_that_the_server_knows(output_limit: Any, field: str) -> None:
    async with running_raw_server(stream(chunk("a", "stop"))) as server:
        adapter = OpenAIAdapter(OPENAI, None, server.url, output_limit)
        await collect(adapter.chat(ask("text")))
        await adapter.aclose()
        (body,) = server.bodies
        assert {name: body[name] for name in body if name.startswith("max")} == {field: 60}
        assert body["stream_options"] == {"include_usage": True}
        assert "tools" not in body


async def test_a_refused_connection_is_unavailable() -> None:
    adapter = OpenAIAdapter(OPENAI, KEY, f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(Unavailable):
        await collect(adapter.chat(ask("text")))
    await adapter.aclose()


async def test_text_that_has_no_utf8_form_is_refused_before_it_is_sent() -> None:
    async with running_raw_server(b"") as server:
        adapter = OpenAIAdapter(OPENAI, KEY, server.url)
        with pytest.raises(Refused):
            await collect(adapter.chat(saying("\ud800")))
        await adapter.aclose()
        assert not server.bodies


@pytest.mark.parametrize("key", [None, ""])
async def test_without_a_key_openai_is_not_configured_and_says_what_to_set(key: str | None) -> None:
    with pytest.raises(NotConfigured, match="Set OPENAI_API_KEY"):
        await collect(OpenAIAdapter(OPENAI, key).chat(ask("text")))


async def test_the_key_is_in_no_representation_error_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_raw_server(error(401, message="Incorrect API key provided: {key}")) as server:
        adapter = OpenAIAdapter(OPENAI, KEY, server.url)
        with pytest.raises(RefusedKey) as caught:
            await collect(adapter.chat(ask("text")))
        await adapter.aclose()
    seen = [repr(adapter), repr(caught.value), "".join(traceback.format_exception(caught.value)), caplog.text]
    assert not [text for text in seen if KEY in text]
    assert caplog.text
