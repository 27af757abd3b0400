from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import AdapterError, BadReply, Unavailable
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
    ToolSpec,
    Usage,
    say,
)
from adapters.openai_wire import ChunkDecoder, encode_messages, encode_schema, encode_tools


def decoded(*chunks: Mapping[str, Any]) -> list[ReplyEvent]:
    decoder = ChunkDecoder()
    events = [event for chunk in chunks for event in decoder.decode(chunk)]
    return [*events, *decoder.end()]


def chunk(reason: str | None = None, **delta: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def fragment(index: int | None, id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    call = {"id": id, "function": {"name": name, "arguments": arguments}}
    return chunk(tool_calls=[call if index is None else {"index": index, **call}])


def test_plain_text_goes_as_a_string() -> None:
    assert encode_messages((say("system", "Be brief."), Message("user", (Text("a"), Text("b"))))) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "ab"},
    ]


def test_an_image_goes_as_a_data_url_beside_its_text() -> None:
    assert encode_messages((Message("user", (Text("what?"), Image("image/png", b"abc"))),)) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}},
            ],
        }
    ]


def test_a_file_goes_with_its_name() -> None:
    (message,) = encode_messages((Message("user", (File("a.pdf", "application/pdf", b"abc"),)),))
    assert message["content"] == [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,YWJj"}}
    ]


def test_tool_calls_and_their_results_go_in_the_order_they_came() -> None:
    call = ToolCall(ToolCallId("c1"), "look", {"where": "hére"})
    results = (ToolResult(ToolCallId("c1"), "found"), ToolResult(ToolCallId("c2"), "lost", failed=True))
    assert encode_messages((Message("assistant", (call,)), Message("tool", results))) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"where": "hére"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "tool", "tool_call_id": "c2", "content": "lost"},
    ]


def test_the_opaque_state_of_a_provider_is_dropped() -> None:
    state = ProviderState(ProviderName("anthropic"), "signature")
    assert encode_messages((Message("assistant", (Text("a"), state)), Message("assistant", (state,)))) == [
        {"role": "assistant", "content": "a"}
    ]


def test_an_empty_text_stays_a_string() -> None:
    assert encode_messages((say("user", ""),)) == [{"role": "user", "content": ""}]


def test_a_tool_goes_without_what_it_does_to_the_world() -> None:
    parameters = {"type": "object"}
    assert encode_tools((ToolSpec("look", "Looks.", parameters, "read"),)) == [
        {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": parameters}}
    ]


def test_a_schema_is_asked_for_strictly() -> None:
    assert encode_schema({"type": "object"})["json_schema"]["strict"] is True


def test_text_comes_as_it_was_cut_and_roles_and_blanks_do_not_come() -> None:
    chunks = (chunk(role="assistant", content=None), chunk(content="a"), chunk(content=""), chunk("stop", content="b"))
    assert decoded(*chunks) == [TextDelta("a"), TextDelta("b"), Finished("stop", None)]


def test_reasoning_is_kept_apart() -> None:
    assert decoded(chunk(reasoning_content="hm"), chunk("stop", content="a"))[:2] == [
        ReasoningDelta("hm"),
        TextDelta("a"),
    ]


def test_a_refusal_is_text_that_a_person_can_read() -> None:
    assert decoded(chunk("stop", refusal="I will not."))[0] == TextDelta("I will not.")


def test_tool_calls_are_put_together_from_their_fragments_and_come_at_the_end() -> None:
    chunks = (
        fragment(0, "c1", "look", '{"wh'),
        fragment(1, "c2", "hear"),
        fragment(0, arguments='ere": 1}'),
        chunk("tool_calls"),
    )
    assert decoded(*chunks) == [
        ToolCall(ToolCallId("c1"), "look", {"where": 1}),
        ToolCall(ToolCallId("c2"), "hear", {}),
        Finished("tool_calls", None),
    ]


def test_calls_without_an_index_are_whole_ones() -> None:
    events = decoded(fragment(None, "c1", "look"), fragment(None, "c2", "hear"), chunk("tool_calls"))
    assert [event.name for event in events if isinstance(event, ToolCall)] == ["look", "hear"]


def test_a_call_without_an_id_gets_one_of_its_own() -> None:
    events = decoded(fragment(0, None, "look"), fragment(1, None, "look"), chunk("tool_calls"))
    assert len({event.id for event in events if isinstance(event, ToolCall)}) == 2


def test_a_server_that_says_stop_but_calls_a_tool_means_the_tool() -> None:
    assert decoded(fragment(0, "c1", "look"), chunk("stop"))[-1] == Finished("tool_calls", None)


def test_a_server_that_says_tools_but_calls_none_has_stopped() -> None:
    assert decoded(chunk("tool_calls", content="a"))[-1] == Finished("stop", None)


@pytest.mark.parametrize(("reason", "ours"), [("length", "length"), ("content_filter", "filtered")])
def test_a_call_in_an_answer_that_was_cut_short_is_dropped(reason: str, ours: str) -> None:
    (finished,) = decoded(fragment(0, "c1", "pay", '{"amount": 1'), chunk(reason))
    assert finished == Finished(ours, None)  # type: ignore[arg-type]  # ours is one of the four


@pytest.mark.parametrize("arguments", ["{torn", "[1]", "7"])
def test_arguments_that_are_no_json_object_are_a_bad_reply(arguments: str) -> None:
    with pytest.raises(BadReply):
        decoded(fragment(0, "c1", "look", arguments), chunk("tool_calls"))


def test_a_call_of_nothing_is_a_bad_reply() -> None:
    with pytest.raises(BadReply):
        decoded(fragment(0, "c1"), chunk("tool_calls"))


def test_usage_may_come_in_a_chunk_of_its_own_after_the_end() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert decoded(chunk("stop", content="a"), {"choices": [], "usage": usage})[-1] == Finished(
        "stop", Usage(input=9, output=4, cache_read=3, cache_write=2, reasoning=1)
    )


def test_usage_whose_details_are_null_is_read() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None}
    assert decoded({**chunk("stop"), "usage": usage})[-1] == Finished("stop", Usage(input=9, output=4))


def test_a_stream_without_a_finish_reason_was_cut() -> None:
    with pytest.raises(Unavailable, match="cut"):
        decoded(chunk(content="a"))


def test_no_chunk_at_all_is_a_bad_reply() -> None:
    with pytest.raises(BadReply):
        decoded()


@pytest.mark.parametrize(
    "bad",
    [
        chunk("bored"),
        chunk(content=7),
        chunk(tool_calls=7),
        chunk(tool_calls=[{"index": "x"}]),
        {"choices": 7},
        {"choices": [7]},
        {"choices": [{"delta": "text"}]},
        {"usage": {"prompt_tokens": "many"}},
        {"usage": 7},
    ],
)
def test_a_chunk_of_another_shape_is_a_bad_reply(bad: Mapping[str, Any]) -> None:
    with pytest.raises(BadReply):
        decoded(bad, chunk("stop"))


JUNK: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
)


def chunk_like(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A thing of this shape, in which any part may be something else or missing."""
    return st.fixed_dictionaries({}, optional={name: JUNK | field for name, field in fields.items()}) | JUNK


FUNCTION = chunk_like(name=st.just("look"), arguments=st.just("{}"))
CALL = chunk_like(index=st.integers(0, 2), id=st.just("c"), function=FUNCTION)
DELTA = chunk_like(content=st.just("a"), reasoning_content=st.just("b"), tool_calls=st.lists(CALL, max_size=2))
CHOICE = chunk_like(delta=DELTA, finish_reason=st.sampled_from(["stop", "length", "tool_calls"]))
USAGE = chunk_like(prompt_tokens=st.integers(), prompt_tokens_details=chunk_like(cached_tokens=st.integers()))
CHUNK = st.fixed_dictionaries({"choices": JUNK | st.lists(CHOICE, max_size=2)}, optional={"usage": USAGE})


@given(st.lists(CHUNK, max_size=4))
def test_whatever_json_comes_nothing_but_an_adapter_error_is_raised(chunks: list[dict[str, Any]]) -> None:
    try:
        events = decoded(*chunks)
    except AdapterError:
        return
    assert isinstance(events[-1], Finished)


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.data())
def test_however_the_arguments_are_cut_they_come_out_the_same(arguments: dict[str, Any], data: st.DataObject) -> None:
    (wire,) = encode_messages((Message("assistant", (ToolCall(ToolCallId("c"), "look", arguments),)),))
    text = wire["tool_calls"][0]["function"]["arguments"]
    cut = data.draw(st.integers(0, len(text)))
    events = decoded(fragment(0, "c", "look", text[:cut]), fragment(0, arguments=text[cut:]), chunk("tool_calls"))
    assert events[0] == ToolCall(ToolCallId("c"), "look", arguments)
