"""After the ledger was found changed: nothing is answered, done or charged, and whoever waits is told why."""

import asyncio
from pathlib import Path

import pytest

from adapters.messages import Finished, ProviderName, TextDelta
from adapters.scripted import SOME_USAGE, ScriptedAdapter, WaitFor, answer
from bot.errors import READ_ONLY
from bot.http.ingress import health_of
from ledger.errors import StoreFailed
from tests.house import RecordingPlatform, asks, running_house

FAULT = "RC004: entry 1: the hash is not that of the entry's bytes"


async def test_whoever_waits_for_an_answer_is_told_and_gets_none(tmp_path: Path) -> None:
    platform, gate = RecordingPlatform(live=True), asyncio.Event()
    script = [(TextDelta("The half of "), WaitFor(gate), TextDelta("it."), Finished("stop", SOME_USAGE))]
    async with running_house(tmp_path, platform, script) as open_:
        accepted = await open_.intake.accept(asks("hello"))
        ended = asyncio.create_task(open_.intake.ended(accepted.turn))
        await platform.first_word(accepted.turn)
        before = await open_.journal(accepted.turn)
        await open_.roadchain.stop_taking(FAULT)
        gate.set()
        with pytest.raises(StoreFailed):
            await ended
        assert platform.aside == [READ_ONLY]
        assert platform.screens[accepted.turn].discarded
        assert (platform.texts, await open_.journal(accepted.turn)) == ([], before)
        assert health_of(open_.roadchain) == "read-only"


async def test_nobody_is_answered_any_more_and_no_model_is_asked(tmp_path: Path) -> None:
    platform, adapter = RecordingPlatform(), ScriptedAdapter(ProviderName("scripted"), (answer("Hello."),))
    async with running_house(tmp_path, platform, {"scripted": adapter}) as open_:
        await open_.ask(asks("hello"))
        await open_.roadchain.stop_taking(FAULT)
        for text in ("and now", "/help", "/billing"):
            with pytest.raises(StoreFailed) as refused:
                await open_.intake.accept(asks(text, text))
            assert refused.value.reason == "changed"
        await asyncio.wait_for(open_.intake.failed.wait(), 60)
    assert (platform.texts, len(adapter.requests)) == (["Hello."], 1)


async def test_a_turn_that_was_open_waits_for_the_ledger_to_be_opened_again(tmp_path: Path) -> None:
    first, gate = RecordingPlatform(live=True), asyncio.Event()
    script = [(TextDelta("The half of "), WaitFor(gate), TextDelta("it."), Finished("stop", SOME_USAGE))]
    async with running_house(tmp_path, first, script) as open_:
        accepted = await open_.intake.accept(asks("hello"))
        await first.first_word(accepted.turn)
        await open_.roadchain.stop_taking(FAULT)
        gate.set()
        await open_.intake.failed.wait()
        await open_.store.set_fault("")
    second = RecordingPlatform()
    async with running_house(tmp_path, second, [answer("Anew.")]) as open_:
        while (await open_.journal(accepted.turn))[-1] != "turn.finished":
            await asyncio.sleep(0.001)  # nobody is told of the end of a turn that another process accepted
    assert len(second.sent) == 1
