"""A turn from its message to its end, with the real ledger and a script in place of a model."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.base import BaseAdapter, ChatRequest
from adapters.errors import (
    AdapterError,
    ConnectTimedOut,
    FirstTokenTimedOut,
    RateLimited,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
    WentSilent,
)
from adapters.messages import (
    Finished,
    ProviderName,
    ReplyEvent,
    TextDelta,
    ToolCallId,
    ToolResult,
    Usage,
)
from adapters.scripted import Pause, Raise, ScriptedAdapter, WaitFor, answer
from bot.limits import Limits
from bot.lucidia.catalog import Rates
from bot.lucidia.policy import Policy
from bot.platforms.base import PlatformError
from integrations.tools.base import Toolbox
from ledger.actions import ModelAnswered, RouteChosen
from ledger.money import Money, rc_text
from tests.house import WANTS_TOOL, RecordingPlatform, RecordingTool, asks, card, running_house

WHOLE = [
    "message.received",
    "route.chosen",
    "model.called",
    "model.answered",
    "reply.prepared",
    "reply.sent",
    "turn.finished",
]


def scripted(*replies: object, provider: str = "scripted") -> ScriptedAdapter:
    return ScriptedAdapter(ProviderName(provider), replies)  # type: ignore[arg-type]  # tuples of steps


async def test_a_message_is_answered_and_each_step_stands_on_roadchain(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, [answer("Good ", "day.")]) as open_:
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "answered"
        assert await open_.journal(turn) == WHOLE
    ((_, part, reply),) = platform.sent
    assert (part, reply.kind, reply.text) == (1, "answer", "Good day.")
    assert reply.footer is not None
    assert (reply.footer.model, reply.footer.reason, reply.footer.price, reply.footer.receipt) == (
        "scripted/m",
        "the only model connected",
        "free",
        turn,
    )


async def test_the_next_candidate_answers_where_the_first_fails_before_anything_was_shown(tmp_path: Path) -> None:
    platform = RecordingPlatform(live=True)
    first, second = scripted((Raise(Unavailable("x")),), provider="a"), scripted(answer("Second."), provider="b")
    async with running_house(tmp_path, platform, {"a": first, "b": second}) as open_:
        turn, outcome = await open_.ask(asks("hello"))
        assert (await open_.journal(turn)).count("model.called") == 2
    assert outcome == "answered"
    ((_, _, reply),) = platform.sent
    assert reply.text == "Second."
    assert reply.footer is not None
    assert reply.footer.reason == "a/m is not available; b/m answered instead"


async def test_no_other_model_is_asked_once_a_person_saw_the_beginning(tmp_path: Path) -> None:
    platform = RecordingPlatform(live=True)
    first = scripted((TextDelta("Once upon"), Raise(Unavailable("x"))), provider="a")
    second = scripted(answer("Second."), provider="b")
    async with running_house(tmp_path, platform, {"a": first, "b": second}) as open_:
        _, outcome = await open_.ask(asks("hello"))
    assert outcome == "failed"
    assert second.requests == []
    (text,) = platform.texts
    assert text.startswith("Once upon\n\n_The answer breaks off here")


async def test_a_stream_that_is_cut_ends_with_what_came_and_the_reason(tmp_path: Path) -> None:
    platform = RecordingPlatform(live=True)
    async with running_house(tmp_path, platform, [(TextDelta("Once upon a "),)]) as open_:
        turn, outcome = await open_.ask(asks("hello"))
    assert outcome == "failed"
    (text,) = platform.texts
    assert text.startswith(
        "Once upon a\n\n_The answer breaks off here: the connection to scripted/m failed or was cut."
    )
    assert turn in text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RateLimited("secret words", 7), "at its rate limit. Try again in 7 seconds"),
        (Unavailable("secret words"), "failed or was cut"),
        (TimedOut("secret words"), "took too long"),
        (ConnectTimedOut("secret words"), "could not be reached within 10 seconds"),
        (FirstTokenTimedOut("secret words"), "did not begin its answer within 90 seconds"),
        (WentSilent("secret words"), "said nothing more for 60 seconds"),
        (RefusedKey("secret words"), "carpool doctor"),
        (RequestTooLong("secret words"), "too long for scripted/m"),
    ],
)
async def test_each_failure_is_a_sentence_with_a_reference_and_without_the_errors_words(
    tmp_path: Path, error: AdapterError, said: str
) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, [(Raise(error),)]) as open_:
        turn, outcome = await open_.ask(asks("hello"))
    assert outcome == "failed"
    ((_, _, reply),) = platform.sent
    assert reply.kind == "notice"
    assert said in reply.text
    assert f"(Reference: {turn})" in reply.text
    assert "secret" not in reply.text


async def test_without_a_model_the_person_is_told_so(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, [answer("x")], cards=[]) as open_:
        _, outcome = await open_.ask(asks("hello"))
    assert outcome == "failed"
    assert "no model is connected" in platform.texts[0]


async def test_an_answer_that_takes_too_long_is_cut_at_the_limit(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    limits = Limits(turn_s=1)
    async with running_house(tmp_path, platform, [(TextDelta("Well, "), Pause(60))], limits=limits) as open_:
        _, outcome = await open_.ask(asks("hello"))
    assert outcome == "timed_out"
    assert platform.texts[0].startswith("Well,\n\n_")
    assert "within 1 seconds" in platform.texts[0]


async def test_a_stopped_answer_keeps_what_came(tmp_path: Path) -> None:
    platform = RecordingPlatform(live=True)
    script = [(TextDelta("One, two"), WaitFor(asyncio.Event()))]
    async with running_house(tmp_path, platform, script) as open_:
        accepted = await open_.intake.accept(asks("count"))
        ending = asyncio.create_task(open_.intake.ended(accepted.turn))
        await platform.first_word(accepted.turn)
        assert open_.intake.stop(accepted.conversation) == 1
        assert await ending == "stopped"
    assert platform.texts[0].startswith("One, two\n\n_Stopped, as you asked.")


async def test_the_stop_command_is_not_kept_waiting_by_the_answer_it_stops(tmp_path: Path) -> None:
    platform = RecordingPlatform(live=True)
    script = [(TextDelta("One, two"), WaitFor(asyncio.Event()))]
    async with running_house(tmp_path, platform, script) as open_:
        accepted = await open_.intake.accept(asks("count", "1"))
        ending = asyncio.create_task(open_.intake.ended(accepted.turn))
        await platform.first_word(accepted.turn)
        assert (await open_.ask(asks("/stop", "2")))[1] == "command"
        assert await ending == "stopped"
    assert "Stopped." in platform.texts


@pytest.mark.parametrize(
    ("reply", "outcome", "said"),
    [
        ((Finished("stop", None),), "failed", "unreadable"),
        (
            (TextDelta("half"), Finished("length", None)),
            "answered",
            "half\n\n_The answer breaks off here, at the limit of 1,024 tokens. Write `go on`",
        ),
        ((Finished("filtered", None),), "failed", "declined to answer"),
    ],
)
async def test_answers_that_are_not_whole_say_why(
    tmp_path: Path, reply: tuple[ReplyEvent, ...], outcome: str, said: str
) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, [reply]) as open_:
        assert (await open_.ask(asks("hello")))[1] == outcome
    assert said in platform.texts[0]


@pytest.mark.parametrize(
    ("text", "limits", "said"),
    [
        ("   ", Limits(), "no text in that message"),
        ("ä" * 60, Limits(message_bytes_max=100), "longer than the 100 bytes"),
    ],
)
async def test_a_message_that_is_refused_is_a_turn_with_a_sentence(
    tmp_path: Path, text: str, limits: Limits, said: str
) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, limits=limits) as open_:
        turn, outcome = await open_.ask(asks(text))
        journal = await open_.journal(turn)
    assert outcome == "refused"
    assert said in platform.texts[0]
    assert journal == ["message.received", "reply.prepared", "reply.sent", "turn.finished"]


async def test_a_message_over_the_limit_is_not_kept(tmp_path: Path) -> None:
    async with running_house(tmp_path, RecordingPlatform(), limits=Limits(message_bytes_max=100)) as open_:
        await open_.ask(asks("secret" * 100))
        bodies = [recorded.body or b"" for recorded in await open_.all()]
    assert not any(b"secret" in body for body in bodies)


async def test_when_too_many_wait_the_next_is_told_so(tmp_path: Path) -> None:
    gate = asyncio.Event()
    platform = RecordingPlatform()
    limits = Limits(queue_length_max=2)
    async with running_house(tmp_path, platform, [(WaitFor(gate), *answer("x"))], limits=limits) as open_:
        first = [await open_.intake.accept(asks("hello", str(number))) for number in range(2)]
        _, outcome = await open_.ask(asks("/help", "3"))
        assert outcome == "refused"
        assert "2 messages of this workspace are waiting" in platform.texts[0]
        gate.set()
        assert [await open_.intake.ended(item.turn) for item in first[1:]] == ["answered"]


class Faulty(BaseAdapter):
    """An adapter with a fault of ours in it."""

    provider = ProviderName("faulty")

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        raise RuntimeError("token xoxb-123 in /home")
        yield TextDelta("")


async def test_a_fault_of_ours_is_an_apology_and_no_stack_trace(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, {"faulty": Faulty()}) as open_:
        turn, outcome = await open_.ask(asks("hello"))
    assert outcome == "failed"
    assert platform.texts == [
        "Something went wrong on my side, and this was not answered. Please try again; the log has the details."
        f" (Reference: {turn})"
    ]


async def test_a_reply_that_the_platform_does_not_take_yet_is_posted_later_and_once(tmp_path: Path) -> None:
    platform = RecordingPlatform(fails=[PlatformError("busy", 0.01), PlatformError("busy", 0.01)])
    async with running_house(tmp_path, platform) as open_:
        turn, outcome = await open_.ask(asks("hello"))
        assert await open_.journal(turn) == WHOLE
    assert outcome == "answered"
    assert platform.texts == ["Hello."]
    assert platform.looked == 2


async def test_a_reply_that_can_never_be_posted_closes_the_turn_as_undelivered(tmp_path: Path) -> None:
    platform = RecordingPlatform(fails=[PlatformError("gone", None)])
    async with running_house(tmp_path, platform) as open_:
        turn, outcome = await open_.ask(asks("hello"))
        assert (await open_.journal(turn))[-1] == "turn.finished"
    assert outcome == "undelivered"
    assert platform.sent == []


async def test_a_tool_is_used_and_its_result_goes_back_to_the_model(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("read")
    adapter = scripted(WANTS_TOOL, answer("I saw it."))
    toolbox = Toolbox({"look": tool})
    async with running_house(tmp_path, platform, {"scripted": adapter}, toolbox=toolbox) as open_:
        turn, outcome = await open_.ask(asks("look"))
        journal = await open_.journal(turn)
    assert outcome == "answered"
    assert platform.texts == ["I saw it."]
    assert journal[4:6] == ["tool.called", "tool.answered"]
    assert [part for message in adapter.requests[1].messages for part in message.parts][-1] == ToolResult(
        ToolCallId("c1"), "seen 1"
    )


async def test_the_tool_loop_ends_at_its_limit(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("read")
    async with running_house(
        tmp_path, platform, [WANTS_TOOL], toolbox=Toolbox({"look": tool}), limits=Limits(tool_rounds_max=3)
    ) as open_:
        _, outcome = await open_.ask(asks("look"))
    assert outcome == "failed"
    assert tool.calls == 3
    assert "3 rounds of tools" in platform.texts[0]


async def test_an_unknown_tool_is_a_failed_result_and_not_a_crash(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    adapter = scripted(WANTS_TOOL, answer("So be it."))
    async with running_house(tmp_path, platform, {"scripted": adapter}) as open_:
        await open_.ask(asks("look"))
    assert platform.texts == ["So be it."]
    (result,) = adapter.requests[1].messages[-1].parts
    assert isinstance(result, ToolResult)
    assert result.failed


async def test_the_past_of_the_conversation_goes_into_the_question(tmp_path: Path) -> None:
    adapter = scripted(answer("One."), answer("Two."))
    async with running_house(tmp_path, RecordingPlatform(), {"scripted": adapter}) as open_:
        await open_.ask(asks("first", "1"))
        await open_.ask(asks("/help", "2"))
        await open_.ask(asks("second", "3"))
    assert [(message.role, message.text) for message in adapter.requests[1].messages[1:]] == [
        ("user", "first"),
        ("assistant", "One."),
        ("user", "second"),
    ]


async def test_the_decision_is_recorded_with_its_reason_and_cost(tmp_path: Path) -> None:
    cards = [card("a", 90), card("b", 80)]
    adapters = {name: scripted(answer("x"), provider=name) for name in ("a", "b")}
    async with running_house(tmp_path, RecordingPlatform(), adapters, cards=cards) as open_:
        turn, _ = await open_.ask(asks("hello"))
        actions = [recorded.entry.action for recorded in await open_.store.entries_of(turn)]
    (route,) = [action for action in actions if isinstance(action, RouteChosen)]
    assert [(candidate.provider, candidate.estimated_cost) for candidate in route.candidates] == [("a", 0), ("b", 0)]
    assert route.reason == "a/m is the best for its price of 2 connected models that can serve this"


PRICED = Rates(2_000_000_000, 10_000_000_000, cache_read=1_000_000_000)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        # 10 x 2e-3 + 5 x 1e-2 USD = 0.07 USD
        (Usage(10, 5), "7 RC"),
        # four of the ten were in the provider's cache
        (Usage(10, 5, cache_read=4), "6.6 RC"),
        (None, "price not known"),
    ],
)
async def test_the_footer_and_the_reason_say_what_the_answer_cost(
    tmp_path: Path, usage: Usage | None, cost: str
) -> None:
    platform = RecordingPlatform()
    script = [answer("x", usage=usage)]
    async with running_house(tmp_path, platform, script, cards=[card("scripted", rates=PRICED)]) as open_:
        await open_.ask(asks("hello"))
        await open_.ask(asks("/why", "2"))
    footer = platform.sent[0][2].footer
    assert footer is not None
    assert footer.line.split(" · ")[2] == cost
    assert (cost if usage else "did not say how many tokens") in platform.texts[1]


async def test_the_cost_of_an_answer_is_that_of_all_its_calls(tmp_path: Path) -> None:
    platform, toolbox = RecordingPlatform(), Toolbox({"look": RecordingTool("read")})
    wants = (*WANTS_TOOL[:-1], Finished("tool_calls", Usage(10, 5)))
    script = [wants, (Raise(Unavailable("x")),), answer("x", usage=Usage(10, 5))]
    cards = [card("scripted", 90, rates=PRICED), card("scripted", 80, rates=PRICED, model="second")]
    async with running_house(tmp_path, platform, script, cards=cards, toolbox=toolbox) as open_:
        await open_.ask(asks("look"))
    footer = platform.sent[0][2].footer
    assert footer is not None
    assert footer.price == rc_text(Money(14_000_000))


async def test_no_text_stands_in_an_entry(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, [answer("an indigo answer")]) as open_:
        await open_.ask(asks("a crimson question"))
        leaves = b"".join(recorded.leaf for recorded in await open_.all())
        bodies = b"".join(recorded.body or b"" for recorded in await open_.all())
    for word in (b"crimson", b"indigo", b"person", b"channel"):
        assert word not in leaves
        assert word in bodies or word in (b"indigo",)


async def test_usage_is_recorded_as_the_provider_reported_it(tmp_path: Path) -> None:
    async with running_house(tmp_path, RecordingPlatform(), [answer("x", usage=None)]) as open_:
        turn, _ = await open_.ask(asks("hello"))
        actions = [recorded.entry.action for recorded in await open_.store.entries_of(turn)]
    (answered,) = [action for action in actions if isinstance(action, ModelAnswered)]
    assert not answered.usage_known
    assert answered.input_tokens == 0


@pytest.mark.parametrize(("reasons", "asked"), [(True, "high"), (False, None)])
async def test_how_much_to_think_is_asked_of_models_that_think_and_of_no_others(
    tmp_path: Path, reasons: bool, asked: str | None
) -> None:
    thinker = ScriptedAdapter(ProviderName("a"), (answer("Yes."),))
    cards = [card("a", reasons=reasons)]
    policy = Policy(effort="high")
    async with running_house(tmp_path, RecordingPlatform(), {"a": thinker}, cards=cards, policy=policy) as open_:
        await open_.ask(asks("hello"))
    assert [request.effort for request in thinker.requests] == [asked]
