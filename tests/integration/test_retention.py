"""Texts are kept as long as they are to be kept, and no longer."""

from pathlib import Path

from adapters.scripted import answer
from bot.retention import DAY_US, Retention
from tests.house import RecordingPlatform, asks, running_house


async def test_only_what_is_older_than_the_days_is_erased_and_the_entries_stay(tmp_path: Path) -> None:
    async with running_house(tmp_path, RecordingPlatform(), [answer("Hello."), answer("Again.")]) as house:
        await house.ask(asks("hello", "1"))
        size = len(await house.all())
        said = (await house.all())[1].entry.mono
        early = Retention(house.roadchain, house.store, 30, lambda: said + 30 * DAY_US)
        late = Retention(house.roadchain, house.store, 30, lambda: said + 31 * DAY_US)
        assert await early.apply() == 0
        assert len(await house.all()) == size
        assert await late.apply() == 3
        assert await late.apply() == 0
        entries = await house.all()
        assert len(entries) == size + 1
        assert [recorded.body for recorded in entries if recorded.body is not None] == []
        await house.ask(asks("again", "2"))
        assert [recorded.body for recorded in await house.all() if recorded.body is not None]


async def test_with_no_days_given_everything_is_kept(tmp_path: Path) -> None:
    async with running_house(tmp_path, RecordingPlatform(), [answer("Hello.")]) as house:
        await house.ask(asks("hello", "1"))
        assert await Retention(house.roadchain, house.store, 0, lambda: 1 << 60).apply() == 0
        assert sum(recorded.body is not None for recorded in await house.all()) == 3
