"""The time limits of an answer, kept with one timer for all that is waited for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.base import ChatRequest, Patience
from adapters.deadline import Deadline
from adapters.errors import FirstTokenTimedOut, TimedOut, WentSilent
from adapters.messages import ModelName, say

REQUEST = ChatRequest(ModelName("m"), (say("user", "hello"),), 10, timeout_s=30.0)


def patient(first_token_s: float = 30.0, between_tokens_s: float = 30.0, timeout_s: float = 30.0) -> Deadline:
    return Deadline(replace(REQUEST, patience=Patience(first_token_s, between_tokens_s), timeout_s=timeout_s))


async def pieces(*pauses_s: float) -> AsyncIterator[float]:
    for pause_s in pauses_s:
        await asyncio.sleep(pause_s)
        yield pause_s


async def test_each_limit_has_its_own_error() -> None:
    whole = patient(timeout_s=0.01)
    with pytest.raises(TimedOut) as caught:
        await whole.next(pieces(30))
    assert type(caught.value) is TimedOut
    first = patient(first_token_s=0.01)
    first.asked()
    with pytest.raises(FirstTokenTimedOut):
        await first.next(pieces(30))
    between = patient(between_tokens_s=0.01)
    between.asked()
    between.spoke()
    with pytest.raises(WentSilent):
        await between.next(pieces(30))


async def test_waits_that_are_short_enough_may_together_be_longer_than_a_limit_for_each() -> None:
    deadline = patient(between_tokens_s=0.2)
    deadline.spoke()
    chunks = pieces(0.08, 0.08, 0.08, 0.08, 30)
    began = asyncio.get_running_loop().time()
    for _ in range(4):
        assert await deadline.next(chunks) == 0.08
    with pytest.raises(WentSilent):
        await deadline.next(chunks)
    assert 0.5 < asyncio.get_running_loop().time() - began < 5.0


async def test_a_limit_that_comes_sooner_than_the_one_before_is_kept_too() -> None:
    deadline = patient(first_token_s=30.0, between_tokens_s=0.01)
    deadline.asked()
    chunks = pieces(0, 30)
    assert await deadline.next(chunks) == 0
    deadline.spoke()
    async with asyncio.timeout(20):
        with pytest.raises(WentSilent):
            await deadline.next(chunks)


async def test_the_readers_own_time_counts_for_nothing() -> None:
    deadline = patient(between_tokens_s=0.05)
    deadline.spoke()
    chunks = pieces(0, 0, 30)
    assert await deadline.next(chunks) == 0
    await asyncio.sleep(0.15)
    assert await deadline.next(chunks) == 0
    with pytest.raises(WentSilent):
        await deadline.next(chunks)


async def test_whoever_cancels_the_reader_is_not_mistaken_for_a_limit() -> None:
    deadline = patient()
    reading = asyncio.create_task(deadline.next(pieces(30)))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_limit_of_somebody_around_it_is_theirs() -> None:
    deadline = patient()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await deadline.next(pieces(30))


async def test_a_reader_that_was_timed_out_can_go_on_with_something_else() -> None:
    deadline = patient(timeout_s=0.01)
    with pytest.raises(TimedOut):
        await deadline.next(pieces(30))
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_all_waits_of_an_answer_share_a_timer_and_none_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    call_at = loop.call_at

    def recorded(when: float, *arguments: object) -> asyncio.TimerHandle:
        timers.append(call_at(when, *arguments))  # type: ignore[arg-type]  # what it was given
        return timers[-1]

    monkeypatch.setattr(loop, "call_at", recorded)
    deadline = patient()
    deadline.spoke()
    chunks = pieces(0, 0, 0)
    while await deadline.next(chunks) is not None:
        pass
    assert [timer.cancelled() for timer in timers] == [False]
    deadline.over()
    assert [timer.cancelled() for timer in timers] == [True]
