"""Listening to a model: what is shown and kept of it, and how long it is waited for."""

import asyncio
from collections.abc import AsyncIterator

from adapters.base import ChatRequest
from adapters.errors import Unavailable
from adapters.messages import Finished, ModelName, ProviderName, ReasoningDelta, ReplyEvent, TextDelta, Usage, say
from adapters.scripted import Raise, ScriptedAdapter, ScriptStep, WaitFor
from bot.listening import Heard, Until, listen
from tests.house import RecordingScreen

LONG_S = 3_600
SOON_S = 0.01
USAGE = Usage(input=10, output=5)


class Model:
    """Says ``before``, then waits until it is told to go on, and says ``behind``."""

    def __init__(self, *before: ScriptStep, behind: tuple[ScriptStep, ...] = ()) -> None:
        self.go_on, self.screen = asyncio.Event(), RecordingScreen(True)
        self.stop, self.withdrawn = asyncio.Event(), asyncio.Event()
        self.closed = False
        self.adapter = ScriptedAdapter(ProviderName("p"), ((*before, WaitFor(self.go_on), *behind),))

    async def chat(self) -> AsyncIterator[ReplyEvent]:
        try:
            async for event in self.adapter.chat(ChatRequest(ModelName("m"), (say("user", "?"),), 100, LONG_S)):
                yield event
        finally:
            self.closed = True

    def listen(self, timeout_s: float = LONG_S, drain_s: float = LONG_S) -> "asyncio.Task[Heard]":
        until = Until(self.stop, self.withdrawn, timeout_s, drain_s)
        return asyncio.create_task(listen(self.chat(), self.screen, until))


async def everything_is_heard() -> None:
    """Nothing here waits for the world outside: a few rounds of the loop do all that can be done."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_after_a_stop_nothing_more_is_shown_or_kept_and_what_it_took_is_still_told() -> None:
    model = Model(TextDelta("One, "), behind=(TextDelta("two"), Finished("stop", USAGE)))
    listening = model.listen()
    await everything_is_heard()
    model.stop.set()
    await everything_is_heard()
    model.go_on.set()
    heard = await listening
    assert (heard.outcome, heard.message().text, model.screen.seen) == ("stopped", "One, ", "One, ")
    assert heard.finished == Finished("stop", USAGE)
    assert heard.came_bytes == len("One, two")


async def test_a_stopped_answer_that_does_not_end_is_let_go_of_after_a_while() -> None:
    model = Model(TextDelta("One, "))
    listening = model.listen(drain_s=SOON_S)
    await everything_is_heard()
    model.stop.set()
    heard = await listening
    assert (heard.outcome, heard.finished, model.closed) == ("stopped", None, True)


async def test_what_goes_wrong_after_a_stop_is_nobodys_trouble() -> None:
    model = Model(TextDelta("One, "), behind=(Raise(Unavailable("cut")),))
    listening = model.listen()
    await everything_is_heard()
    model.stop.set()
    await everything_is_heard()
    model.go_on.set()
    heard = await listening
    assert (heard.outcome, heard.error, heard.may_cost) == ("stopped", None, True)


async def test_nobody_waits_for_the_figure_of_an_answer_without_a_word() -> None:
    model = Model(ReasoningDelta("Hm."))
    listening = model.listen()
    await everything_is_heard()
    model.stop.set()
    heard = await listening
    assert (heard.outcome, heard.came_bytes, model.closed) == ("stopped", len("Hm."), True)


async def test_of_what_was_shown_the_figure_is_waited_for_also_where_the_question_is_gone() -> None:
    # Or whoever deletes the question at the end of its answer has read it, and pays for the little that can be estimated.
    model = Model(TextDelta("One, "), behind=(Finished("stop", USAGE),))
    listening = model.listen()
    await everything_is_heard()
    model.withdrawn.set()
    model.stop.set()
    await everything_is_heard()
    model.go_on.set()
    heard = await listening
    assert (heard.outcome, heard.shown, heard.finished) == ("stopped", True, Finished("stop", USAGE))


async def test_nobody_waits_for_the_figure_of_an_answer_that_nobody_saw_and_whose_question_is_gone() -> None:
    model = Model(TextDelta("One, "))
    model.screen = RecordingScreen(False)
    listening = model.listen()
    await everything_is_heard()
    model.withdrawn.set()
    model.stop.set()
    heard = await listening
    assert (heard.outcome, model.closed) == ("stopped", True)


async def test_who_has_stopped_before_asks_nobody() -> None:
    model = Model(TextDelta("One, "))
    model.stop.set()
    heard = await model.listen()
    assert (heard.outcome, heard.may_cost, model.adapter.requests) == ("stopped", False, [])


async def test_what_came_within_the_time_is_kept() -> None:
    model = Model(TextDelta("One, "))
    heard = await model.listen(timeout_s=SOON_S)
    assert (heard.outcome, heard.message().text, model.closed) == ("timed_out", "One, ", True)


async def test_a_refusal_costs_nothing_and_a_connection_that_is_cut_may() -> None:
    model = Model()
    for error, costs in ((Unavailable("503"), False), (Unavailable("cut"), True)):
        error.may_cost = costs
        model.adapter = ScriptedAdapter(ProviderName("p"), ((Raise(error),),))
        heard = await model.listen()
        assert (heard.outcome, heard.error, heard.may_cost) == ("failed", error, costs)
