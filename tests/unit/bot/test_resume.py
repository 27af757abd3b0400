"""A turn that was cut off anywhere is carried on from its entries: answered once, or its asker told why it was not."""

import asyncio
from pathlib import Path

import pytest

from adapters.messages import ProviderName
from adapters.scripted import ScriptedAdapter, ScriptReply, answer
from bot.platforms.base import Presence
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import EMPTY_TOOLBOX, Toolbox
from ledger.actions import MessageReceived, ReplySent
from ledger.entry import Draft, Scope
from ledger.pseudonyms import TurnId
from ledger.roadchain import RoadChain
from ledger.store import Recorded
from tests.house import DATABASE, GENESIS, WANTS_TOOL, Open, RecordingPlatform, RecordingTool, asks, running_house


async def whole(folder: Path, text: str, script: list[ScriptReply], toolbox: Toolbox = EMPTY_TOOLBOX) -> list[Recorded]:
    """The journal of a turn that nothing cut off."""
    async with running_house(folder, RecordingPlatform(), script, toolbox=toolbox) as open_:
        turn, _ = await open_.ask(asks(text))
        return list(await open_.store.entries_of(turn))


async def write(folder: Path, journal: list[Recorded]) -> TurnId:
    """A ledger that ends with these entries, as a crash leaves it: the process that wrote them is gone."""
    received = journal[0].entry.action
    assert isinstance(received, MessageReceived)
    store = await SqliteStore.open(folder / DATABASE)
    async with RoadChain(store) as roadchain:
        await roadchain.append(GENESIS)
        for recorded in journal:
            entry = recorded.entry
            scope = Scope(entry.workspace, entry.actor, received.conversation, entry.turn)
            await roadchain.append(Draft(entry.action, scope, entry.idem, recorded.body))
    await store.aclose()
    return journal[0].entry.turn


async def carried_on(open_: Open, turn: TurnId) -> list[str]:
    while (names := await open_.journal(turn))[-1] != "turn.finished":
        await asyncio.sleep(0.001)  # nobody is told of the end of a turn that another process accepted
    return names


NOTICE_LOST = "CarPool was stopped while scripted/m was answering, and the answer is lost."
NOTICE_MAYBE = "CarPool was stopped just as an answer was being shown, and I cannot see whether it reached you."


@pytest.mark.parametrize(
    ("entries", "presence", "asked", "seen"),
    [
        (1, "absent", 1, "Hello."),
        (2, "absent", 1, "Hello."),
        (3, "absent", 0, NOTICE_LOST),
        (4, "absent", 0, "Hello."),
        (5, "absent", 0, "Hello."),
        (5, "there", 0, ""),
        (5, "unknown", 0, NOTICE_MAYBE),
        (6, "absent", 0, ""),
        (7, "absent", 0, ""),
    ],
)
async def test_after_any_entry_the_person_gets_one_answer_or_the_reason(
    tmp_path: Path, entries: int, presence: Presence, asked: int, seen: str
) -> None:
    journal = await whole(tmp_path / "before", "hello", [answer("Hello.")])
    turn = await write(tmp_path, journal[:entries])
    platform, adapter = RecordingPlatform(presence=presence), ScriptedAdapter(ProviderName("s"), (answer("Hello."),))
    async with running_house(tmp_path, platform, {"scripted": adapter}) as open_:
        names = await carried_on(open_, turn)
        recorded = await open_.store.entries_of(turn)
    assert len(adapter.requests) == asked
    assert len(platform.texts) == bool(seen)
    assert all(text.startswith(seen) for text in platform.texts)
    assert names.count("model.called") <= 1
    assert names.count("turn.finished") == 1
    if presence == "there":
        (sent,) = [item.entry.action for item in recorded if isinstance(item.entry.action, ReplySent)]
        assert sent.found


@pytest.mark.parametrize("entries", range(1, 12))
async def test_after_any_entry_of_a_turn_with_a_tool_that_reads_it_is_answered_once(
    tmp_path: Path, entries: int
) -> None:
    script = [WANTS_TOOL, answer("I saw it.")]
    journal = await whole(tmp_path / "before", "look", script, Toolbox({"look": RecordingTool("read")}))
    assert [item.entry.action.name for item in journal[3:7]] == [
        "model.answered",
        "tool.called",
        "tool.answered",
        "model.called",
    ]
    turn = await write(tmp_path, journal[:entries])
    answered_before = sum(item.entry.action.name == "model.answered" for item in journal[:entries])
    tool, platform = RecordingTool("read"), RecordingPlatform()
    adapter = ScriptedAdapter(ProviderName("s"), tuple(script[answered_before:]) or (answer("never"),))
    async with running_house(tmp_path, platform, {"scripted": adapter}, toolbox=Toolbox({"look": tool})) as open_:
        names = await carried_on(open_, turn)
    assert len(platform.texts) == (1 if entries < 10 else 0)
    assert "never" not in platform.texts
    assert names.count("turn.finished") == 1
    assert tool.calls == (1 if entries < 6 and entries != 3 else 0)  # at 3 the model's answer is lost


@pytest.mark.parametrize("entries", range(1, 7))
async def test_after_any_entry_a_command_takes_effect_once(tmp_path: Path, entries: int) -> None:
    journal = await whole(tmp_path / "before", "/model scripted/m", [answer("x")])
    assert [item.entry.action.name for item in journal] == [
        "message.received",
        "command.run",
        "setting.changed",
        "reply.prepared",
        "reply.sent",
        "turn.finished",
    ]
    if entries == 3:
        entries = 4  # these two are recorded together: nothing can fall between them
    turn = await write(tmp_path, journal[:entries])
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        names = await carried_on(open_, turn)
    assert names.count("setting.changed") == 1
    assert len(platform.texts) == (1 if entries < 5 else 0)


async def test_a_message_whose_text_was_erased_meanwhile_is_not_answered_and_its_asker_is_told(tmp_path: Path) -> None:
    journal = await whole(tmp_path / "before", "hello", [answer("Hello.")])
    turn = await write(tmp_path, journal[:1])
    store = await SqliteStore.open(tmp_path / DATABASE)
    store._writer.execute("DELETE FROM payload")
    await store.aclose()
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        await carried_on(open_, turn)
    assert platform.texts == [
        f"The text of that message has been erased, so I cannot answer it. (Reference: {turn})",
    ]
