"""What people can rely on wherever they talk with CarPool: the same on each platform."""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest

from adapters.errors import Unavailable
from adapters.messages import Finished, TextDelta
from adapters.scripted import SOME_USAGE, Raise, ScriptedAdapter, ScriptReply, WaitFor, answer
from bot.limits import Limits
from ledger.store import Recorded
from tests import house
from tests.contract.platforms.room import BERT, GUEST, Room, sees, settled
from tests.contract.platforms.rooms import ROOMS, rooms_with

CODE = "\n".join(f"print({number:06})" for number in range(2_500))
FENCED = f"Here it is:\n\n```python\n{CODE}\n```\n\nThat was all."
LONG = "\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(80)).strip()

Enter: TypeAlias = Callable[..., AbstractAsyncContextManager[Room]]


@pytest.fixture(params=ROOMS)
def enter(request: pytest.FixtureRequest, tmp_path: Path) -> Enter:
    def entered(*script: ScriptReply, limits: Limits = Limits()) -> AbstractAsyncContextManager[Room]:
        return ROOMS[request.param](tmp_path, script or (answer("Hello."),), limits)

    return entered


def where_there_is(notion: str) -> pytest.MarkDecorator:
    """In the rooms that can have it: ``LACKS`` says why the others cannot."""
    return pytest.mark.parametrize("enter", rooms_with(notion), indirect=True)


def held(text: str, gate: asyncio.Event, rest: str = "") -> ScriptReply:
    return (TextDelta(text), WaitFor(gate), TextDelta(rest), Finished("stop", SOME_USAGE))


def requests(room: Room) -> Sequence[str]:
    """What the model was asked last in each of its calls."""
    return [request.messages[-1].text for request in _adapter(room).requests]


def _adapter(room: Room) -> ScriptedAdapter:
    (adapter,) = room.open.house.desk.connections.house.adapters.values()
    assert isinstance(adapter, ScriptedAdapter)
    return adapter


async def test_a_question_gets_its_answer(enter: Enter) -> None:
    async with enter() as room:
        await room.ask("hello")
        await settled(room)
        assert await room.seen() == ["Hello."]
        assert requests(room) == ["hello"]


async def test_an_answer_is_seen_while_it_is_made_and_is_whole_in_the_end(enter: Enter) -> None:
    gate = asyncio.Event()
    async with enter(held("The first half ", gate, "and the second.")) as room:
        await room.ask("hello")
        await sees(room, "The first half")
        gate.set()
        await settled(room)
        assert await room.seen() == ["The first half and the second."]


async def test_stop_stops_the_answer_and_says_so(enter: Enter) -> None:
    async with enter(held("The first half ", asyncio.Event())) as room:
        await room.ask("hello")
        await sees(room, "The first half")
        confirmed = await room.stop()
        await settled(room)
        told = await room.seen() + await room.whispered()
        (stopped,) = [text for text in told if text != confirmed]
        assert re.match(r"The first half\s+_?Stopped, as you asked\.", stopped)
        assert len(told) == (2 if confirmed else 1)


async def test_nothing_of_a_long_answer_is_lost(enter: Enter) -> None:
    async with enter(answer(LONG)) as room:
        await room.ask("write")
        await settled(room)
        pieces = await room.seen()
        assert "".join(pieces) == LONG
        if room.piece_characters_max:
            assert len(pieces) > 1
            assert all(len(piece) <= room.piece_characters_max for piece in pieces)


async def test_a_code_block_that_is_cut_is_closed_and_opened_again(enter: Enter) -> None:
    async with enter(answer(FENCED)) as room:
        await room.ask("write")
        await settled(room)
        pieces = await room.seen()
        assert all(piece.count("```") % 2 == 0 for piece in pieces)
        assert "".join(pieces).replace("\n``````python\n", "\n") == FENCED


@where_there_is("files in")
async def test_a_file_that_is_sent_along_reaches_the_model(enter: Enter) -> None:
    async with enter() as room:
        await room.ask("what is it?", files=[("notes.txt", b"hello")])
        await settled(room)
        said = _adapter(room).requests[-1].messages[-1].text
        assert "notes.txt" in said
        assert "> hello\n" in said


@where_there_is("files out")
async def test_a_file_that_belongs_to_a_reply_comes_with_it(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receipt(recorded: Recorded) -> bytes:
        return b"signed"

    monkeypatch.setattr(house, "_no_receipt", receipt)
    async with enter() as room:
        await room.ask("hello")
        await settled(room)
        await room.ask("/receipt")
        await settled(room)
        ((name, data),) = (await room.files()).items()
        assert name.endswith(".receipt")
        assert data == b"signed"


async def test_a_command_is_answered_by_the_house_and_costs_no_call(enter: Enter) -> None:
    async with enter() as room:
        for said in ("!model", "help", "/why"):
            await room.ask(said)
        await settled(room)
        told = await room.seen() + await room.whispered()
        assert len(told) == 3
        assert any(text.startswith("Connected models") for text in told)
        assert requests(room) == []


@where_there_is("people without rights")
async def test_a_command_that_may_not_be_used_is_refused_with_a_sentence(enter: Enter) -> None:
    async with enter() as room:
        await room.ask("/settings guests allowed")
        await settled(room)
        (told,) = await room.seen() + await room.whispered()
        assert "admin" in told
        names = [recorded.entry.action.name for recorded in await room.open.all()]
        assert "setting.changed" not in names


async def test_a_model_that_fails_is_a_sentence_with_a_reference(enter: Enter) -> None:
    async with enter((Raise(Unavailable("secret detail")),)) as room:
        await room.ask("hello")
        await settled(room)
        (told,) = await room.seen()
        assert "No answer:" in told
        assert "(Reference: t-" in told
        assert "secret detail" not in told


@where_there_is("redelivery")
async def test_a_message_that_is_delivered_again_is_answered_once(enter: Enter) -> None:
    async with enter() as room:
        question = await room.ask("hello")
        await asyncio.gather(*(room.redeliver(question) for _ in range(4)))
        await settled(room)
        await room.redeliver(question)
        await settled(room)
        assert await room.seen() == ["Hello."]
        assert len(requests(room)) == 1


@where_there_is("editing")
async def test_a_question_that_is_edited_while_it_is_answered_is_answered_as_it_is_now(enter: Enter) -> None:
    async with enter(held("To the old one", asyncio.Event()), answer("To the new one.")) as room:
        question = await room.ask("old")
        await sees(room, "To the old one")
        await room.edit(question, "new")
        await settled(room)
        assert await room.seen() == ["To the new one."]
        assert requests(room)[-1] == "new"


@where_there_is("editing")
async def test_an_edit_after_the_answer_changes_nothing(enter: Enter) -> None:
    async with enter() as room:
        question = await room.ask("old")
        await settled(room)
        await room.edit(question, "new")
        await settled(room)
        assert await room.seen() == ["Hello."]
        assert requests(room) == ["old"]


@where_there_is("deletion")
async def test_a_question_that_is_deleted_while_it_is_answered_gets_no_answer(enter: Enter) -> None:
    async with enter(held("Half of it", asyncio.Event())) as room:
        question = await room.ask("hello")
        await sees(room, "Half of it")
        await room.delete(question)
        await settled(room)
        assert await room.seen() == []


@where_there_is("several people")
async def test_several_people_in_one_conversation_share_it(enter: Enter) -> None:
    async with enter(answer("One."), answer("Two.")) as room:
        await room.ask("first")
        await settled(room)
        await room.ask("second", BERT)
        await settled(room)
        assert await room.seen() == ["One.", "Two."]
        past = [message.text for message in _adapter(room).requests[-1].messages[1:]]
        assert [text for text in past if text in ("first", "One.")] == ["first", "One."]


async def test_two_questions_at_once_are_answered_one_after_the_other_in_their_order(enter: Enter) -> None:
    gate = asyncio.Event()
    async with enter(held("One ", gate, "and all."), answer("Two.")) as room:
        await room.ask("first")
        await sees(room, "One")
        await room.ask("second", BERT)
        assert requests(room) == ["first"]
        gate.set()
        await sees(room, "One and all.", "Two.")


@where_there_is("people without rights")
async def test_who_has_no_right_to_ask_is_told_so_alone(enter: Enter) -> None:
    async with enter() as room:
        await room.ask("hello", GUEST)
        await settled(room)
        assert await room.seen() == []
        (told,) = await room.whispered(GUEST)
        assert "You may not use CarPool here" in told
        assert requests(room) == []


async def test_a_message_that_is_too_long_is_refused_with_a_sentence(enter: Enter) -> None:
    async with enter(limits=Limits(message_bytes_max=100)) as room:
        await room.ask("x" * 101)
        await settled(room)
        (told,) = await room.whispered()
        assert "longer than the 100 bytes" in told
