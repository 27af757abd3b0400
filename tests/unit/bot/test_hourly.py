"""What is done each hour is done at once too, and goes on behind a failure."""

import asyncio

import pytest

from bot import hourly
from bot.hourly import Hourly
from ledger.errors import StoreFailed


async def test_it_is_done_at_once_and_a_failure_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hourly, "EVERY_S", 0.0)
    caplog.set_level("INFO")
    done, calls = asyncio.Event(), 0

    async def work() -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StoreFailed("busy", "busy")
        if calls == 2:
            raise KeyError("a shape that nobody expected")
        if calls == 4:
            done.set()
            await asyncio.Event().wait()
        return calls

    async with Hourly(work, "things done"):
        async with asyncio.timeout(20):
            await done.wait()
    failed = "not done this hour: things done"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", failed),
        ("ERROR", failed),
        ("INFO", "things done"),
    ]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nothing_done_is_nothing_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    begun = asyncio.Event()

    async def work() -> int:
        begun.set()
        return 0

    async with Hourly(work, "things done"):
        async with asyncio.timeout(20):
            await begun.wait()
    assert caplog.records == []
