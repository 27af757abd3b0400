import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, create_subprocess_exec
from pathlib import Path

import pytest

from adapters.base import ChatRequest, collect
from adapters.errors import AdapterError, BadReply, NotConfigured, RateLimited, TimedOut, Unavailable
from adapters.messages import (
    Finished,
    ModelName,
    ProviderName,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallId,
    Usage,
    say,
)
from adapters.scripted import Pause, Raise, Script, ScriptedAdapter, WaitFor, answer

REPOSITORY = Path(__file__).parents[3]


def request(text: str = "hello", timeout_s: float = 5.0) -> ChatRequest:
    return ChatRequest(ModelName("m"), (say("user", text),), max_output_tokens=10, timeout_s=timeout_s)


def scripted(script: Script) -> ScriptedAdapter:
    return ScriptedAdapter(ProviderName("scripted"), script)


def from_json(path: Path, replies: object) -> ScriptedAdapter:
    path.write_text(json.dumps(replies))
    return ScriptedAdapter.from_file(ProviderName("scripted"), path)


async def text_of(adapter: ScriptedAdapter, question: str = "hello") -> str:
    return (await collect(adapter.chat(request(question)))).text


async def test_replies_are_given_in_order_and_then_the_last_again() -> None:
    adapter = scripted((answer("one"), answer("two")))
    assert [await text_of(adapter) for _ in range(4)] == ["one", "two", "two", "two"]


async def test_a_function_answers_the_question_that_was_asked() -> None:
    adapter = scripted(lambda asked: answer(asked.messages[-1].text.upper()))
    assert await text_of(adapter, "quietly") == "QUIETLY"


async def test_what_was_asked_is_kept_in_order() -> None:
    adapter = scripted((answer("yes"),))
    await text_of(adapter, "first")
    await text_of(adapter, "second")
    assert [asked.messages[-1].text for asked in adapter.requests] == ["first", "second"]


async def test_an_error_comes_after_the_pieces_before_it() -> None:
    events = scripted(((TextDelta("so"), Raise(Unavailable("cut"))),)).chat(request())
    assert await anext(events) == TextDelta("so")
    with pytest.raises(Unavailable):
        await anext(events)


async def test_a_reply_without_finished_is_a_stream_that_was_cut() -> None:
    with pytest.raises(BadReply):
        await collect(scripted(((TextDelta("so"),),)).chat(request()))


async def test_it_waits_until_the_event_is_set() -> None:
    may_go = asyncio.Event()
    reading = asyncio.create_task(text_of(scripted(((WaitFor(may_go), *answer("gone")),))))
    await asyncio.sleep(0)
    assert not reading.done()
    may_go.set()
    assert await reading == "gone"


@pytest.mark.parametrize("step", [Pause(60), WaitFor(asyncio.Event())])
async def test_waiting_longer_than_the_request_allows_is_timed_out(step: Pause | WaitFor) -> None:
    with pytest.raises(TimedOut):
        await collect(scripted(((step, *answer("late")),)).chat(request(timeout_s=0.01)))


async def test_the_time_that_the_reader_takes_cancels_nothing_in_the_reader() -> None:
    events = scripted((answer("a", "b"),)).chat(request(timeout_s=0.01))
    await anext(events)
    await asyncio.sleep(0.03)
    assert await anext(events) == TextDelta("b")


def test_an_empty_script_is_not_configured() -> None:
    with pytest.raises(NotConfigured):
        scripted(())


async def test_each_step_has_a_form_in_a_file(tmp_path: Path) -> None:
    steps = [
        {"reasoning": "hm"},
        {"text": "Hello"},
        {"pause_s": 0},
        {"tool_call": {"id": "c1", "name": "look", "arguments": {"where": "here"}}},
        {"finish": "tool_calls", "usage": {"input": 3, "output": 2, "reasoning": 1}},
    ]
    adapter = from_json(tmp_path / "script.json", [steps, [{"finish": "stop"}]])
    assert [event async for event in adapter.chat(request())] == [
        ReasoningDelta("hm"),
        TextDelta("Hello"),
        ToolCall(ToolCallId("c1"), "look", {"where": "here"}),
        Finished("tool_calls", Usage(input=3, output=2, reasoning=1)),
    ]
    assert [event async for event in adapter.chat(request())] == [Finished("stop", None)]


@pytest.mark.parametrize("code", [kind.code for kind in AdapterError.__subclasses__()])
async def test_each_error_can_be_raised_from_a_file(tmp_path: Path, code: str) -> None:
    adapter = from_json(tmp_path / "script.json", [[{"error": code}]])
    with pytest.raises(AdapterError) as caught:
        await collect(adapter.chat(request()))
    assert caught.value.code == code


async def test_a_rate_limit_in_a_file_says_when_to_come_back(tmp_path: Path) -> None:
    adapter = from_json(tmp_path / "script.json", [[{"error": "rate_limited", "retry_after_s": 3}]])
    with pytest.raises(RateLimited) as caught:
        await collect(adapter.chat(request()))
    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize(
    "replies",
    [
        7,
        [],
        [7],
        [["text"]],
        [[{"txt": "typo"}]],
        [[{"text": "a", "more": 1}]],
        [[{"error": "no such code"}]],
        [[{"finish": "whenever"}]],
        [[{"finish": "stop", "usage": {"inputs": 1}}]],
        [[{"kill": False}]],
    ],
)
def test_a_file_with_anything_else_in_it_is_not_configured(tmp_path: Path, replies: object) -> None:
    with pytest.raises(NotConfigured):
        from_json(tmp_path / "script.json", replies)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"gone\.json"):
        ScriptedAdapter.from_file(ProviderName("scripted"), tmp_path / "gone.json")


async def test_the_kill_step_ends_the_process_at_once(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps([[{"text": "last words"}, {"kill": True}, {"finish": "stop"}]]))
    program = (
        "import asyncio, pathlib, sys\n"
        "from adapters.base import ChatRequest, collect\n"
        "from adapters.scripted import ScriptedAdapter\n"
        "adapter = ScriptedAdapter.from_file('s', pathlib.Path(sys.argv[1]))\n"
        "asyncio.run(collect(adapter.chat(ChatRequest('m', (), 1, 5.0))))\n"
    )
    process = await create_subprocess_exec(sys.executable, "-c", program, str(path), cwd=REPOSITORY, stderr=DEVNULL)
    assert await process.wait() == -9
