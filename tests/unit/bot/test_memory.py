"""What of a conversation goes into a prompt, whoever answers next."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import Unavailable
from adapters.messages import (
    File,
    Finished,
    Image,
    Message,
    ProviderName,
    ProviderState,
    Text,
    ToolCall,
    ToolCallId,
    ToolResult,
    say,
)
from adapters.scripted import Raise, ScriptedAdapter, answer
from bot.agents.memory import RESULT_TOKENS_MAX, RESULT_TOKENS_MIN, compose, fit
from bot.agents.registry import CARPOOL
from bot.lucidia.catalog import ModelCard
from bot.tokens import tokens_in, tokens_in_text
from integrations.tools.base import Toolbox
from tests.house import RecordingPlatform, RecordingTool, asks, card, running_house

QUESTION = say("user", "and now?")
SYSTEM = say("system", CARPOOL.instructions)
A, B = ProviderName("a"), ProviderName("b")


def round_of(*contents: str) -> tuple[Message, Message]:
    calls = tuple(ToolCall(ToolCallId(f"c{place}"), "look", {}) for place in range(len(contents)))
    results = (ToolResult(call.id, content) for call, content in zip(calls, contents, strict=True))
    return Message("assistant", calls), Message("tool", tuple(results))


def contents(messages: tuple[Message, ...]) -> list[str]:
    return [part.content for message in messages for part in message.parts if isinstance(part, ToolResult)]


def size(messages: tuple[Message, ...]) -> int:
    return sum(map(tokens_in, messages))


def test_results_that_fit_go_in_whole_and_the_past_gets_the_room_that_is_left() -> None:
    past = [say("user", "one"), say("assistant", "1"), say("user", "two"), say("assistant", "2")]
    rounds = round_of("short")
    room = size((SYSTEM, QUESTION, *rounds, *past[2:]))
    assert compose(CARPOOL, past, QUESTION, room, rounds) == (SYSTEM, *past[2:], QUESTION, *rounds)
    assert compose(CARPOOL, past, QUESTION, room - 1, rounds) == (SYSTEM, QUESTION, *rounds)


def test_a_long_result_is_shortened_with_a_note_and_a_short_one_beside_it_is_not() -> None:
    made = compose(CARPOOL, (), QUESTION, 1_000, round_of("x" * 90_000, "short"))
    long, short = contents(made)
    kept, _, note = long.rpartition("\n")
    assert set(kept) == {"x"}
    assert note == f"[Shortened: the first {len(kept):,} of 90,000 bytes stand above.]"
    assert short == "short"
    assert 900 < size(made) <= 1_000


def test_no_result_takes_more_than_its_share_of_a_large_window() -> None:
    (long,) = contents(compose(CARPOOL, (), QUESTION, 1_000_000, round_of("x" * 900_000)))
    assert RESULT_TOKENS_MAX - 20 < tokens_in_text(long) <= RESULT_TOKENS_MAX


def test_a_letter_is_not_cut_in_its_middle() -> None:
    (long,) = contents(compose(CARPOOL, (), QUESTION, 1_000, round_of("ä" * 9_000)))
    assert set(long.partition("\n")[0]) == {"ä"}


@given(
    st.lists(st.lists(st.integers(0, 3_000), min_size=1, max_size=3), max_size=3),
    st.integers(0, 3_000),
    st.integers(0, 4),
)
def test_a_prompt_with_results_fits_where_anything_can_make_it_fit(
    results: list[list[int]], room: int, exchanges: int
) -> None:
    rounds = tuple(message for lengths in results for message in round_of(*("x" * length for length in lengths)))
    past = [say(role, "y" * 99) for _ in range(exchanges) for role in ("user", "assistant")]
    made = compose(CARPOOL, past, QUESTION, room, rounds)
    lengths = [length for inner in results for length in inner]
    least = size((SYSTEM, QUESTION, *rounds)) - sum(
        max(0, tokens_in_text("x" * length) - RESULT_TOKENS_MIN) for length in lengths
    )
    assert size(made) <= max(room, least)
    assert [len(message.parts) for message in made[-len(rounds) :] if rounds] == [
        len(message.parts) for message in rounds
    ]
    assert made[0] == SYSTEM


@pytest.mark.parametrize(
    ("known", "parts"),
    [
        (
            card("b", images=True),
            (Image("image/png", b"1"), Text("[A file named a.pdf was here, which you cannot read.]")),
        ),
        (
            card("b"),
            (
                Text("[An image was here, which you cannot see.]"),
                Text("[A file named a.pdf was here, which you cannot read.]"),
            ),
        ),
        (None, (Image("image/png", b"1"), File("a.pdf", "application/pdf", b"2"))),
    ],
)
def test_what_a_model_cannot_take_of_the_past_is_named_in_its_place(
    known: ModelCard | None, parts: tuple[Text | Image | File, ...]
) -> None:
    past = [Message("user", (Image("image/png", b"1"), File("a.pdf", "application/pdf", b"2")))]
    assert fit(past, B, known) == (Message("user", parts),)


def test_what_a_provider_left_for_itself_goes_back_to_it_alone() -> None:
    state = ProviderState(A, "signature")
    said = Message("assistant", (Text("Well."), state))
    assert fit([said], A, card("a")) == (said,)
    assert fit([said], B, card("b")) == (say("assistant", "Well."),)


def test_opaque_state_counts_as_the_tokens_that_it_takes() -> None:
    assert tokens_in(Message("assistant", (ProviderState(A, "x" * 3_000),))) > 1_000


async def test_a_provider_that_takes_over_in_mid_turn_gets_the_tools_results_and_no_state_of_the_one_before(
    tmp_path: Path,
) -> None:
    call, state = ToolCall(ToolCallId("c1"), "look", {"at": "x"}), ProviderState(A, "signature")
    first = ScriptedAdapter(A, ((state, call, Finished("tool_calls", None)), (Raise(Unavailable("x")),)))
    second = ScriptedAdapter(B, (answer("Seen."),))
    platform, toolbox = RecordingPlatform(), Toolbox({"look": RecordingTool("read")})
    async with running_house(tmp_path, platform, {"a": first, "b": second}, toolbox=toolbox) as open_:
        await open_.ask(asks("look"))
    assert platform.texts == ["Seen."]
    assert first.requests[1].messages[-2:] == (
        Message("assistant", (state, call)),
        Message("tool", (ToolResult(call.id, "seen 1"),)),
    )
    assert second.requests[0].messages[-2:] == (
        Message("assistant", (call,)),
        Message("tool", (ToolResult(call.id, "seen 1"),)),
    )


async def test_the_past_is_the_same_whichever_provider_answers(tmp_path: Path) -> None:
    first, second = ScriptedAdapter(A, (answer("One."),)), ScriptedAdapter(B, (answer("Two."),))
    async with running_house(tmp_path, RecordingPlatform(), {"a": first, "b": second}) as open_:
        await open_.ask(asks("one?", "1"))
        await open_.ask(asks("/model b/m", "2"))
        await open_.ask(asks("two?", "3"))
        await open_.ask(asks("/model a/m", "4"))
        await open_.ask(asks("three?", "5"))
    exchanges = [say("user", "one?"), say("assistant", "One."), say("user", "two?"), say("assistant", "Two.")]
    assert second.requests[0].messages == (SYSTEM, *exchanges[:2], say("user", "two?"))
    assert first.requests[1].messages == (SYSTEM, *exchanges, say("user", "three?"))
