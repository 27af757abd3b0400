"""What every adapter keeps, tried on each of them."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import AsyncGeneratorType
from typing import Any, cast

import pytest
import pytest_asyncio

from adapters.base import collect
from adapters.errors import Refused, RequestTooLong, TimedOut
from adapters.messages import Finished, ReplyEvent, TextDelta, ToolCall
from tests.contract.adapters.dialects import HOSTED
from tests.contract.adapters.subjects import Case, Subject, SubjectName, ask, running_subject

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The emulator gives Google's tool calls a finish reason that Google does not have.
    pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason"),
]

NAMES: tuple[SubjectName, ...] = ("scripted", "local", *HOSTED)
AT_ONCE = 4


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=NAMES)
async def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Subject]:
    folder: Path = tmp_path_factory.mktemp("subject")
    async with running_subject(cast(SubjectName, request.param), folder) as running:
        yield running


async def events_of(subject: Subject, case: Case) -> list[ReplyEvent]:
    return [event async for event in subject.adapter.chat(ask(case))]


async def test_an_answer_comes_in_pieces_and_ends_with_the_only_finished(subject: Subject) -> None:
    events = await events_of(subject, "text")
    assert len([event for event in events if isinstance(event, TextDelta)]) >= 3
    assert [type(event) for event in events].count(Finished) == 1
    assert isinstance(events[-1], Finished)
    assert events[-1].reason in ("stop", "length")


async def test_no_piece_of_text_is_empty(subject: Subject) -> None:
    assert all(event.text for event in await events_of(subject, "text") if isinstance(event, TextDelta))


async def test_usage_counts_the_question_and_the_answer(subject: Subject) -> None:
    usage = (await collect(subject.adapter.chat(ask("text")))).usage
    assert usage is not None
    assert usage.input > 0
    assert 0 < usage.output <= ask("text").max_output_tokens


async def test_an_answer_to_a_schema_is_json_that_fits(subject: Subject) -> None:
    reply = json.loads((await collect(subject.adapter.chat(ask("schema")))).text)
    assert set(reply) == {"city", "people"}
    assert isinstance(reply["city"], str)
    assert isinstance(reply["people"], int)


@pytest.mark.parametrize("case", ["tool", "image"])
async def test_what_a_provider_cannot_do_is_refused_and_the_rest_is_answered(subject: Subject, case: Case) -> None:
    if case in subject.cannot:
        with pytest.raises(Refused, match="the local model"):
            await events_of(subject, case)
    else:
        assert isinstance((await events_of(subject, case))[-1], Finished)


async def test_a_tool_call_comes_whole_with_its_arguments_parsed(subject: Subject) -> None:
    if "tool" in subject.cannot:
        with pytest.raises(Refused):
            await events_of(subject, "tool")
        return
    *before, call, finished = await events_of(subject, "tool")
    assert not before
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("get_weather", {"city": "Paris"})
    assert call.id
    assert isinstance(finished, Finished)
    assert finished.reason == "tool_calls"


async def test_a_reader_that_stops_early_leaves_room_for_the_next(subject: Subject) -> None:
    for _ in range(AT_ONCE + 1):
        async with aclosing(cast(Any, subject.adapter.chat(ask("endless")))) as events:
            assert isinstance(await anext(events), TextDelta)
    assert isinstance((await events_of(subject, "text"))[-1], Finished)


async def test_a_cancelled_reader_leaves_room_for_the_next(subject: Subject) -> None:
    for _ in range(AT_ONCE + 1):
        begun = asyncio.Event()

        async def read(begun: asyncio.Event = begun) -> None:
            async for _ in subject.adapter.chat(ask("endless")):
                begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert isinstance((await events_of(subject, "text"))[-1], Finished)


async def test_nothing_is_left_reading_an_answer_for_the_collector_to_end(subject: Subject) -> None:
    await events_of(subject, "text")
    async with aclosing(cast(Any, subject.adapter.chat(ask("endless")))) as events:
        await anext(events)
    # What reads a response is held until it is ended: by the call, or else by the collector, in whichever thread that runs.
    readers = [found for found in gc.get_objects() if isinstance(found, AsyncGeneratorType)]
    names = {found.__qualname__ for found in readers if found.ag_frame is not None}
    assert names.isdisjoint({"Response.aiter_bytes", "Response.aiter_raw", "BoundAsyncStream.__aiter__"})


async def test_an_answer_that_is_not_whole_in_time_is_timed_out(subject: Subject) -> None:
    await events_of(subject, "text")  # what is loaded by the first call is loaded now
    began = time.monotonic()
    with pytest.raises(TimedOut):
        await collect(subject.adapter.chat(ask("endless", timeout_s=0.4)))
    assert 0.4 <= time.monotonic() - began < 5.0


async def test_a_question_over_the_context_is_too_long(subject: Subject) -> None:
    with pytest.raises(RequestTooLong):
        await events_of(subject, "too_long")


async def test_answers_made_at_once_do_not_mix(subject: Subject) -> None:
    alone = [(await collect(subject.adapter.chat(ask(case)))).text for case in ("text", "schema")]
    replies = await asyncio.gather(
        *(collect(subject.adapter.chat(ask(case))) for case in ("text", "schema") for _ in range(AT_ONCE // 2))
    )
    for reply, expected in zip(replies, [text for text in alone for _ in range(AT_ONCE // 2)], strict=True):
        assert reply.text[:5] == expected[:5]
        assert reply.text.startswith("{") == expected.startswith("{")
