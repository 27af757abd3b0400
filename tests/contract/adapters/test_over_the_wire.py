"""What every hosted provider's adapter keeps, each with its real SDK and over real sockets: see ``dialects``."""

import asyncio
import base64
import json
import logging
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from adapters.base import BaseAdapter, ChatRequest, Patience, collect
from adapters.errors import (
    AdapterError,
    BadReply,
    ConnectTimedOut,
    FirstTokenTimedOut,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
    WentSilent,
)
from adapters.messages import (
    File,
    Finished,
    Image,
    Message,
    ProviderName,
    ProviderState,
    ReasoningDelta,
    ReplyEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallId,
    ToolResult,
    say,
)
from tests.contract.adapters.dialects import HOSTED, KEY, USED, Hosted, HostedName, hosted
from tests.contract.adapters.raw_server import RawServer, http, running_raw_server
from tests.contract.adapters.subjects import SCHEMA, WEATHER, ask
from tests.emulators import free_port

PARIS, ROME = {"city": "Paris"}, {"city": "Rome"}
TWO_CALLS = (("call_1", "get_weather", PARIS), ("call_2", "get_weather", ROME))
OUR_CALLS = tuple(ToolCall(ToolCallId(call), name, arguments) for call, name, arguments in TWO_CALLS)


@pytest.fixture(params=HOSTED)
def name(request: pytest.FixtureRequest) -> HostedName:
    return cast(HostedName, request.param)


@pytest.fixture
def one(name: HostedName) -> Hosted:
    return hosted(name)


async def events_of(one: Hosted, server: RawServer, request: ChatRequest) -> list[ReplyEvent]:
    adapter = one.build(server.url)
    try:
        return [event async for event in adapter.chat(request)]
    finally:
        await adapter.aclose()


async def reply_to(one: Hosted, reply: bytes, request: ChatRequest | None = None) -> list[ReplyEvent]:
    async with running_raw_server(reply) as server:
        return await events_of(one, server, request or ask("text"))


async def sent(one: Hosted, request: ChatRequest) -> Any:
    """The body of the request, as JSON."""
    async with running_raw_server(one.dialect.text("a")) as server:
        await events_of(one, server, request)
    (body,) = server.bodies
    return body


async def failure_of(one: Hosted, reply: bytes) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await reply_to(one, reply)
    return caught.value


async def test_an_answer_comes_in_its_pieces(one: Hosted) -> None:
    *pieces, finished = await reply_to(one, one.dialect.text("The sea ", "is ", "wide."))
    assert pieces == [TextDelta("The sea "), TextDelta("is "), TextDelta("wide.")]
    assert isinstance(finished, Finished)
    assert finished.reason == "stop"


@pytest.mark.parametrize("end", ["length", "filtered"])
async def test_why_an_answer_ended_early_is_told(one: Hosted, end: Any) -> None:
    *_, finished = await reply_to(one, one.dialect.text("well", end=end))
    assert isinstance(finished, Finished)
    assert finished.reason == end


async def test_parallel_tool_calls_come_whole_and_in_their_order(one: Hosted) -> None:
    *calls, finished = await reply_to(one, one.dialect.calls(*TWO_CALLS), ask("tool"))
    assert tuple(calls) == OUR_CALLS
    assert isinstance(finished, Finished)
    assert finished.reason == "tool_calls"


async def test_a_tool_is_offered_with_its_schema(one: Hosted) -> None:
    body = json.dumps(await sent(one, ask("tool")))
    assert WEATHER.name in body
    assert WEATHER.description in body
    assert json.dumps(WEATHER.parameters) in body


async def test_what_tools_answered_goes_back_beside_the_calls(one: Hosted) -> None:
    results = (
        ToolResult(ToolCallId("call_1"), "sunny in Paris"),
        ToolResult(ToolCallId("call_2"), "no such place", failed=True),
    )
    messages = (say("user", "Weather?"), Message("assistant", OUR_CALLS), Message("tool", results))
    body = await sent(one, replace(ask("tool"), messages=messages))
    assert one.dialect.results_in(body) == [("call_1", "sunny in Paris"), ("call_2", "no such place")]
    assert "Paris" in json.dumps(body).replace("sunny in Paris", "")


async def test_an_image_goes_as_it_is(one: Hosted) -> None:
    image = Image("image/png", b"\x89PNG of nothing")
    body = json.dumps(await sent(one, replace(ask("text"), messages=(Message("user", (Text("what?"), image)),))))
    assert base64.b64encode(image.data).decode() in body
    assert "image/png" in body


async def test_a_file_goes_as_it_is_or_is_refused_before_anything_is_sent(one: Hosted) -> None:
    file = File("report.pdf", "application/pdf", b"%PDF-1.7 of nothing")
    request = replace(ask("text"), messages=(Message("user", (Text("what?"), file)),))
    if one.reads_files:
        assert base64.b64encode(file.data).decode() in json.dumps(await sent(one, request))
        return
    async with running_raw_server(one.dialect.text("a")) as server:
        with pytest.raises(Refused, match="reads no files"):
            await events_of(one, server, request)
        assert not server.bodies


async def test_an_answer_to_a_schema_is_asked_for_by_it(one: Hosted) -> None:
    assert one.dialect.schema_in(await sent(one, ask("schema"))) == SCHEMA


@pytest.mark.parametrize("effort", ["low", "medium", "high", None])
async def test_how_much_to_think_is_asked_for_and_to_be_shown_it_or_nothing_is(one: Hosted, effort: Any) -> None:
    assert one.dialect.effort_in(await sent(one, replace(ask("text"), effort=effort))) == effort


async def test_to_think_so_much_may_be_asked_for_beside_a_schema(one: Hosted) -> None:
    body = await sent(one, replace(ask("schema"), effort="high"))
    assert (one.dialect.effort_in(body), one.dialect.schema_in(body)) == ("high", SCHEMA)


async def test_reasoning_comes_apart_from_the_answer(one: Hosted) -> None:
    events = await reply_to(one, one.dialect.reasoned("six times seven", "42", TWO_CALLS[0]), ask("tool"))
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) in ("six times seven")
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "42"
    states = [event for event in events if isinstance(event, ProviderState)]
    assert len(states) == (1 if one.seals_reasoning else 0)


async def test_sealed_reasoning_goes_back_to_its_own_provider_and_to_no_other(name: HostedName, one: Hosted) -> None:
    """The whole answer goes back as it was written, or else in this house's own words."""
    theirs = await reply_to(one, one.dialect.reasoned("six times seven", "42", TWO_CALLS[0]), ask("tool"))
    said = Message(
        "assistant", (Text("42"), *(event for event in theirs if isinstance(event, ToolCall | ProviderState)))
    )
    result = Message("tool", (ToolResult(ToolCallId("call_1"), "sunny"),))
    request = replace(ask("tool"), messages=(say("user", "Weather?"), said, result))
    for other in HOSTED:
        body = json.dumps(await sent(hosted(other), request))
        seal = "c2VhbGVk" if name == "google" else "sealed"
        is_own = one.seals_reasoning and (other == name or (name == "responses" and other == "responses"))
        assert (seal in body) is is_own, other
        assert body.count("Paris") == 1, other
        assert "42" in body


async def test_usage_with_cached_and_reasoning_tokens_is_counted_as_ours_is(one: Hosted) -> None:
    assert (await reply_to(one, one.dialect.used()))[-1] == Finished("stop", USED)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, RefusedKey),
        (403, RefusedKey),
        (404, Refused),
        (413, RequestTooLong),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
        (529, Unavailable),
    ],
)
async def test_each_status_becomes_its_own_kind(one: Hosted, status: int, kind: type[AdapterError]) -> None:
    failure = await failure_of(one, one.dialect.error(status, {}))
    assert type(failure) is kind
    assert failure.retry_after_s is None
    assert not failure.may_cost  # it refused before it made anything


async def test_a_provider_that_gave_up_waiting_is_timed_out_or_unavailable(name: HostedName, one: Hosted) -> None:
    """Anthropic's own word for it is that of its gateway's time limit, which is the provider's trouble."""
    failure = await failure_of(one, one.dialect.error(408, {}))
    assert type(failure) is (Unavailable if name == "anthropic" else TimedOut)
    assert not failure.may_cost


async def test_a_question_over_the_context_is_too_long(one: Hosted) -> None:
    assert type(await failure_of(one, one.dialect.too_long())) is RequestTooLong


@pytest.mark.parametrize("status", [429, 503])
async def test_when_to_come_back_is_told(one: Hosted, status: int) -> None:
    assert (await failure_of(one, one.dialect.error(status, {"retry_after": "7"}))).retry_after_s == 7.0


@pytest.mark.parametrize("status", [500, 502])
async def test_an_error_that_is_no_json_is_told_by_its_status(one: Hosted, status: int) -> None:
    reply = http(status, b"<html>Bad gateway</html>", content_type="text/html")
    assert type(await failure_of(one, reply)) is Unavailable


async def test_an_error_in_the_midst_of_an_answer_comes_after_what_was_said(one: Hosted) -> None:
    async with running_raw_server(one.dialect.failed_on_the_way()) as server:
        adapter = one.build(server.url)
        async with aclosing(cast(Any, adapter.chat(ask("text")))) as events:
            assert await anext(events) == TextDelta("a")
            with pytest.raises(Unavailable) as caught:
                await anext(events)
        await adapter.aclose()
    assert caught.value.may_cost


async def test_a_stream_that_is_cut_is_unavailable_after_its_pieces(one: Hosted) -> None:
    async with running_raw_server(one.dialect.text("a", "b", end=None)) as server:
        adapter = one.build(server.url)
        async with aclosing(cast(Any, adapter.chat(ask("text")))) as events:
            assert [await anext(events), await anext(events)] == [TextDelta("a"), TextDelta("b")]
            with pytest.raises(Unavailable) as caught:
                await anext(events)
        await adapter.aclose()
    assert caught.value.may_cost


async def test_garbage_is_a_bad_reply(one: Hosted) -> None:
    failure = await failure_of(one, one.dialect.garbage())
    assert type(failure) is BadReply
    assert failure.may_cost


@pytest.mark.parametrize("reply", [b"", b"SSH-2.0-x\r\n"])
async def test_a_server_that_speaks_something_else_is_unavailable(one: Hosted, reply: bytes) -> None:
    failure = await failure_of(one, reply)
    assert type(failure) is Unavailable
    assert failure.may_cost  # the question was sent, and what became of it is not known


async def test_a_refused_connection_is_unavailable(one: Hosted) -> None:
    adapter = one.build(f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(Unavailable) as caught:
        await collect(adapter.chat(ask("text")))
    assert not caught.value.may_cost
    await adapter.aclose()


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port where nobody answers: the places of those who wait there are all taken."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


async def test_a_server_that_cannot_be_reached_in_time_is_told_from_one_that_says_nothing(name: HostedName) -> None:
    with deaf_port() as port:
        adapter = hosted(name, connect_s=0.2).build(f"http://127.0.0.1:{port}/v1")
        with pytest.raises(ConnectTimedOut) as caught:
            await collect(adapter.chat(ask("text")))
        assert not caught.value.may_cost
        await adapter.aclose()


async def test_a_model_that_does_not_begin_is_told_from_one_that_goes_silent(one: Hosted) -> None:
    patience = Patience(first_token_s=0.3, between_tokens_s=0.2)
    request = replace(ask("text"), patience=patience)
    async with running_raw_server(b"", holds=True) as server:
        adapter = one.build(server.url)
        began = time.monotonic()
        with pytest.raises(FirstTokenTimedOut) as caught:
            await collect(adapter.chat(request))
        assert caught.value.may_cost
        assert time.monotonic() - began >= 0.3
        server.reply = one.dialect.text("a", end=None)
        async with aclosing(cast(Any, adapter.chat(request))) as events:
            assert await anext(events) == TextDelta("a")
            await asyncio.sleep(0.4)  # the reader's own time does not count
            with pytest.raises(WentSilent):
                await anext(events)
        await adapter.aclose()


async def test_an_answer_that_is_not_whole_in_time_is_timed_out(one: Hosted) -> None:
    async with running_raw_server(one.dialect.text("a", end=None), holds=True) as server:
        adapter = one.build(server.url)
        await asyncio.wait_for(anext(aiter(adapter.chat(ask("text")))), 10)  # what is imported once is there now
        with pytest.raises(TimedOut) as caught:
            await collect(adapter.chat(ask("text", timeout_s=0.3)))
        assert type(caught.value) is TimedOut
        await adapter.aclose()


async def test_a_reader_that_stops_closes_the_connection(one: Hosted) -> None:
    async with running_raw_server(one.dialect.text("a", end=None), holds=True) as server:
        adapter = one.build(server.url)
        async with aclosing(cast(Any, adapter.chat(ask("text")))) as events:
            assert await anext(events) == TextDelta("a")
        async with asyncio.timeout(20):
            await server.client_left.wait()
        await adapter.aclose()


async def test_nothing_is_tried_twice(one: Hosted) -> None:
    async with running_raw_server(one.dialect.error(503, {"retry_after": "0"})) as server:
        with pytest.raises(Unavailable):
            await events_of(one, server, ask("text"))
    assert len(server.bodies) == 1


async def test_answers_one_after_another_share_a_connection(one: Hosted) -> None:
    async with running_raw_server(one.dialect.text("a"), keeps=True) as server:
        adapter = one.build(server.url)
        for _ in range(3):
            await collect(adapter.chat(ask("text")))
        await adapter.aclose()
    assert len(server.bodies) == 3
    assert server.connections == 1


async def test_the_key_goes_to_the_server_and_into_no_error_representation_or_log(
    one: Hosted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_raw_server(one.dialect.error(401, {}, "Incorrect API key provided: {key}")) as server:
        adapter = one.build(server.url)
        with pytest.raises(RefusedKey) as caught:
            await collect(adapter.chat(ask("text")))
        await adapter.aclose()
    assert KEY in json.dumps(server.heads)
    seen = [repr(adapter), repr(caught.value), "".join(traceback.format_exception(caught.value)), caplog.text]
    assert not [text for text in seen if KEY in text]


async def test_text_that_has_no_utf8_form_is_refused_before_it_is_sent(one: Hosted) -> None:
    async with running_raw_server(one.dialect.text("a")) as server:
        with pytest.raises(Refused):
            await events_of(one, server, replace(ask("text"), messages=(say("user", "\ud800"),)))
        assert not server.bodies


def test_every_provider_has_its_own_name() -> None:
    names = {hosted(name).build("http://127.0.0.1/v1").provider for name in HOSTED}
    assert names == {ProviderName(name) for name in HOSTED if name != "responses"}


ASKABLE: tuple[HostedName, ...] = ("openai", "anthropic", "google", "xai", "huggingface", "blackroad")
NO_MODELS = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None, "models": []}


@pytest.mark.parametrize("askable", ASKABLE)
async def test_a_key_that_the_provider_takes_is_taken(askable: HostedName) -> None:
    reply = http(200, json.dumps(NO_MODELS).encode())
    async with running_raw_server(reply) as server:
        adapter = _asking(hosted(askable), server.url)
        try:
            await adapter.check()
        finally:
            await adapter.aclose()
    assert server.bodies == []
    assert any(KEY in value for value in server.heads[0].values())


@pytest.mark.parametrize("askable", ASKABLE)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, RefusedKey), (403, RefusedKey), (404, Refused), (429, RateLimited), (500, Unavailable), (503, Unavailable)],
)
async def test_a_key_that_is_not_taken_or_cannot_be_checked_says_which(
    askable: HostedName, status: int, kind: type[AdapterError]
) -> None:
    one = hosted(askable)
    async with running_raw_server(one.dialect.error(status, {}, "Incorrect API key provided: {key}")) as server:
        adapter = _asking(one, server.url)
        try:
            with pytest.raises(kind) as caught:
                await adapter.check()
        finally:
            await adapter.aclose()
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_a_server_of_ones_own_behind_hugging_face_has_no_call_that_only_checks_a_key() -> None:
    with pytest.raises(Refused):
        await hosted("huggingface").build("http://127.0.0.1:1").check()


def _asking(one: Hosted, url: str) -> BaseAdapter:
    return (one.build_asking or one.build)(url)
