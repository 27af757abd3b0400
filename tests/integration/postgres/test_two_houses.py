"""Two processes, each with a house of its own, on one ledger in PostgreSQL."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.messages import ProviderName, TextDelta
from adapters.scripted import ScriptedAdapter, ScriptReply, WaitFor, answer
from bot.app import Models, open_house
from bot.config import load
from bot.lucidia.catalog import Catalog
from bot.settings import Settings
from tests.house import ME, RecordingPlatform, asks, card
from tests.postgres import Server

NEVER_S = 3_600.0


def settings(folder: Path, url: str) -> Settings:
    given = {"CARPOOL_DATABASE_URL": url, "CARPOOL_LOCAL_ENABLED": "false"}
    found = load(given, folder, folder / "home").settings
    assert found is not None
    return found


def models(*script: ScriptReply) -> Models:
    async def nothing() -> None:
        return None

    name = ProviderName("scripted")
    return Models({name: ScriptedAdapter(name, script)}, Catalog.of([card(name)]), nothing)


def texts(*platforms: RecordingPlatform) -> Sequence[list[str]]:
    return [platform.texts for platform in platforms]


async def test_whoever_holds_the_next_message_of_a_conversation_is_woken_when_another_has_answered_the_last(
    tmp_path: Path, postgres: Server, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.intake.POLL_S", NEVER_S)
    found, gate = settings(tmp_path, postgres.url(postgres_database)), asyncio.Event()
    first, second = RecordingPlatform(), RecordingPlatform()
    async with (
        open_house(found, models((WaitFor(gate), *answer("First."))), [first]) as here,
        open_house(found, models(answer("Second.")), [second]) as there,
        asyncio.timeout(30),
    ):
        one = await here.intake.accept(asks("hello"))
        two = await there.intake.accept(asks("and then", "2"))
        gate.set()
        assert await here.intake.ended(one.turn) == "answered"
        assert await there.intake.ended(two.turn) == "answered"
    assert texts(first, second) == [["First."], ["Second."]]


@pytest.mark.parametrize(("how", "ending"), [("stop", "stopped"), ("delete", "withdrawn")])
async def test_an_answer_is_stopped_or_withdrawn_by_whichever_process_hears_of_it(
    tmp_path: Path, postgres: Server, postgres_database: str, monkeypatch: pytest.MonkeyPatch, how: str, ending: str
) -> None:
    monkeypatch.setattr("bot.intake.POLL_S", NEVER_S)
    found = settings(tmp_path, postgres.url(postgres_database))
    first, second = RecordingPlatform(live=True), RecordingPlatform()
    waits = (TextDelta("So"), WaitFor(asyncio.Event()))
    async with (
        open_house(found, models(waits), [first]) as here,
        open_house(found, models(answer("Never.")), [second]) as there,
        asyncio.timeout(30),
    ):
        accepted = await here.intake.accept(asks("hello"))
        await first.first_word(accepted.turn)
        if how == "stop":
            await there.intake.accept(asks("/stop", "2"))
        else:
            await there.door.withdraw(ME, "1")
        assert await here.intake.ended(accepted.turn) == ending
    assert [text.partition("\n")[0] for text in first.texts if text != "Stopped."] == (["So"] if how == "stop" else [])


async def test_a_house_whose_session_the_server_has_ended_says_so_at_once(
    tmp_path: Path, postgres: Server, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.intake.POLL_S", NEVER_S)
    found = settings(tmp_path, postgres.url(postgres_database))
    async with open_house(found, models(answer("First.")), [RecordingPlatform()]) as here, asyncio.timeout(30):
        await postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{postgres_database}' AND pid <> pg_backend_pid()"
        )
        await here.intake.failed.wait()
