"""What a tool did is taken back once, by whom it may be, while it may be; and what came of it is told as it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from adapters.messages import Finished, ToolCall, ToolCallId, ToolSpec
from adapters.scripted import ScriptReply, answer
from bot.limits import Limits
from bot.platforms.base import Incoming, Standing
from integrations.tools.base import NotFound, Preview, Toolbox, ToolError, Unknown, Use, WriteTool, parameters
from integrations.tools.status import error_of
from ledger.actions import ToolAnswered, ToolCalled
from ledger.pseudonyms import TurnId
from tests.house import ME, Open, RecordingPlatform, asks, running_house
from tests.unit.bot.test_resume import carried_on, write

CALLS = (ToolCall(ToolCallId("c1"), "make", {"at": "x"}),)
SCRIPT: list[ScriptReply] = [(*CALLS, Finished("tool_calls", None)), answer("I made it.")]


@dataclass
class Things:
    """A service: what was made there and stands, and what it was asked for, by which mark and for whom."""

    standing: list[str] = field(default_factory=list)
    done: list[tuple[str, Use]] = field(default_factory=list)
    fails: ToolError | None = None
    takes_effect: bool = True
    undone: str | None | Unknown = None
    final: bool = False

    @property
    def box(self) -> Toolbox:
        takes = parameters({"at": {"type": "string"}}, ("at",))
        make = WriteTool(
            ToolSpec("make", "Makes.", takes, "write"),
            self.make,
            self.show,
            self.sought,
            back=None if self.final else lambda call, said: ("unmake", {"at": said.removeprefix("Made ")}),
        )
        unmake = WriteTool(ToolSpec("unmake", "Unmakes.", takes, "write"), self.unmake, self.show_unmake, self.sought)
        return Toolbox({"make": make, "unmake": unmake})

    async def make(self, use: Use) -> str:
        self.standing.append(use.text("at"))
        return f"Made {use.text('at')}"

    async def show(self, use: Use) -> Preview:
        return Preview("Make it", (("At", use.text("at")),))

    async def unmake(self, use: Use) -> str:
        self.done.append(("unmake", use))
        if self.takes_effect:
            self.standing.remove(use.text("at"))
        if self.fails is not None:
            raise self.fails
        return f"Unmade {use.text('at')} at https://evil.example/`x`"

    async def show_unmake(self, use: Use) -> Preview:
        if use.text("at") not in self.standing:
            raise NotFound("gone", "There is no such thing any more.")
        return Preview("Unmake it", ())

    async def sought(self, use: Use) -> str | None:
        if isinstance(self.undone, Unknown):
            raise self.undone
        return self.undone


@asynccontextmanager
async def made(
    folder: Path, things: Things, limits: Limits = Limits(), approver: str = ME.person, standing: Standing = "member"
) -> AsyncIterator[tuple[Open, RecordingPlatform, TurnId]]:
    """A house in which a person asked for a write, and ``approver`` approved of it."""
    platform = RecordingPlatform()
    async with running_house(folder, platform, SCRIPT, toolbox=things.box, limits=limits) as opened:
        turn, _ = await opened.ask(asks("make it", "1"))
        await opened.ask(person(f"/approve {turn}.1", "yes", approver, standing))
        assert await opened.intake.ended(turn) == "answered"
        assert things.standing == ["x"]
        yield opened, platform, turn


def person(text: str, event: str, who: str = ME.person, standing: Standing = "member") -> Incoming:
    return replace(asks(text, event, replace(ME, person=who)), standing=standing)


async def test_under_the_answer_stands_undo_which_takes_back_what_was_done_and_each_step_is_recorded(
    tmp_path: Path,
) -> None:
    things = Things()
    async with made(tmp_path, things) as (opened, platform, turn):
        (button,) = [one for one in platform.sent[-1][2].buttons if one.label == "Undo"]
        assert button.invocation == f"undo {turn}.1"
        undoing, _ = await opened.ask(person(f"/{button.invocation}", "2"))
        assert platform.texts[-1] == "Taken back: `Unmade x at https://evil.example/ x`"
        assert things.standing == []
        ((_, use),) = things.done
        assert (use.mark, use.where and use.where.person) == (f"{turn}/undo/1", ME.person)
        journal = await opened.journal(undoing)
        assert journal[1:6] == ["command.run", "tool.called", "tool.answered", "reply.prepared", "reply.sent"]
        called = [one.entry.action for one in await opened.store.entries_of(undoing)][2]
        assert isinstance(called, ToolCalled)
        assert (called.tool, called.effect, called.call) == ("unmake", "write", f"{turn}.1")
        # Pressed again, or said by somebody else: it is done once.
        for event, said in (("3", f"/undo {turn}.1"), ("4", "/undo")):
            await opened.ask(person(said, event))
            assert "taken back before" in platform.texts[-1]
        assert len(things.done) == 1


async def test_without_a_reference_the_last_thing_done_here_is_meant(tmp_path: Path) -> None:
    things = Things()
    async with made(tmp_path, things) as (opened, platform, _):
        await opened.ask(person("/undo", "2"))
        assert platform.texts[-1].startswith("Taken back: ")
        assert things.standing == []


@pytest.mark.parametrize(
    ("who", "standing", "may"),
    [
        ("person", "member", True),
        ("approver", "member", True),
        ("third", "admin", True),
        ("third", "member", False),
        ("third", "guest", False),
    ],
)
async def test_who_asked_who_approved_and_an_admin_may_take_it_back(
    tmp_path: Path, who: str, standing: Standing, may: bool
) -> None:
    things = Things()
    async with made(tmp_path, things, approver="approver", standing="admin") as (opened, platform, turn):
        await opened.ask(person(f"/undo {turn}.1", "2", who, standing))
        assert (things.standing == []) is may
        assert platform.texts[-1].startswith("Taken back: ") is may
        # Whoever says it: it is done as the one who asked for it did it.
        assert all(use.where is not None and use.where.person == ME.person for _, use in things.done)


async def test_what_was_done_too_long_ago_stays(tmp_path: Path) -> None:
    things = Things()
    async with made(tmp_path, things) as (opened, platform, turn):
        answered = next(
            one.entry for one in await opened.store.entries_of(turn) if isinstance(one.entry.action, ToolAnswered)
        )
        desk = opened.house.desk
        late = replace(desk, clock=lambda: answered.ts + desk.undo_s * 1_000_000)
        object.__setattr__(opened.house, "desk", late)
        await opened.ask(person(f"/undo {turn}.1", "2"))
        assert platform.texts[-1] == "That is too long ago: what a tool did can be taken back for 24 hours."
        object.__setattr__(opened.house, "desk", replace(late, clock=lambda: late.clock() - 1))
        await opened.ask(person(f"/undo {turn}.1", "3"))
        assert things.standing == []


async def test_what_has_no_way_back_says_so_in_the_question_and_has_no_button(tmp_path: Path) -> None:
    things = Things(final=True)
    async with made(tmp_path, things) as (opened, platform, turn):
        assert "This cannot be undone: CarPool has no way to take it back." in platform.texts[0]
        assert "Undo" not in [one.label for _, _, reply in platform.sent for one in reply.buttons]
        await opened.ask(person(f"/undo {turn}.1", "2"))
        assert platform.texts[-1] == "What `make` did cannot be taken back from here."


async def test_what_can_be_taken_back_does_not_say_that_it_cannot(tmp_path: Path) -> None:
    async with made(tmp_path, Things()) as (_, platform, _turn):
        assert "cannot be undone" not in platform.texts[0]


async def test_what_is_gone_already_is_not_begun_and_may_be_tried_again(tmp_path: Path) -> None:
    things = Things()
    async with made(tmp_path, things) as (opened, platform, turn):
        things.standing.clear()
        undoing, _ = await opened.ask(person(f"/undo {turn}.1", "2"))
        assert platform.texts[-1] == "It was not taken back: `There is no such thing any more.`"
        assert "tool.called" not in await opened.journal(undoing)
        things.standing.append("x")
        await opened.ask(person(f"/undo {turn}.1", "3"))
        assert platform.texts[-1].startswith("Taken back: ")


@pytest.mark.parametrize(
    ("fails", "found", "said"),
    [
        (error_of("Service", 403), None, "It was not taken back: `Service does not allow this"),
        (error_of("Service", 503), "It is gone.", "Taken back: `It is gone.`"),
        (error_of("Service", 503), None, "It is not known whether it was taken back: `Service cannot be reached"),
        (error_of("Service", 503), Unknown("x", "y"), "It is not known whether it was taken back: `Service cannot"),
    ],
)
async def test_what_came_of_it_is_told_as_it_is_and_it_is_not_done_twice(
    tmp_path: Path, fails: ToolError, found: str | None | Unknown, said: str
) -> None:
    things = Things(fails=fails, undone=found)
    async with made(tmp_path, things) as (opened, platform, turn):
        await opened.ask(person(f"/undo {turn}.1", "2"))
        assert platform.texts[-1].startswith(said)
        assert "tell the person" not in platform.texts[-1]
        await opened.ask(person(f"/undo {turn}.1", "3"))
        assert len(things.done) == 1


@pytest.mark.parametrize(
    ("found", "said", "times"),
    [
        ("It is gone.", "Taken back: `It is gone.`", 0),
        (None, "Taken back: `Unmade x", 1),
        (Unknown("x", "Nobody knows."), "It is not known whether it was taken back: `Nobody knows.`", 0),
    ],
)
async def test_one_that_a_crash_cut_off_is_looked_for_and_not_simply_done_again(
    tmp_path: Path, found: str | None | Unknown, said: str, times: int
) -> None:
    async with made(tmp_path, Things()) as (opened, _, turn):
        undoing, _ = await opened.ask(person(f"/undo {turn}.1", "2"))
        whole = await opened.store.entries_of(turn)
        begun = (await opened.store.entries_of(undoing))[:3]
    assert [one.entry.action.name for one in begun][-1] == "tool.called"
    folder = tmp_path / "after"
    folder.mkdir()
    await write(folder, [*whole, *begun])
    things, platform = Things(standing=["x"], undone=found), RecordingPlatform()
    async with running_house(folder, platform, SCRIPT, toolbox=things.box) as again:
        await carried_on(again, undoing)
        assert any(text.startswith(said) for text in platform.texts)
    assert len(things.done) == times


@pytest.mark.parametrize("about", ["t-0000000000000000.1", "x", "t-0000000000000000"])
async def test_what_there_is_not_is_not_taken_back(tmp_path: Path, about: str) -> None:
    things = Things()
    async with made(tmp_path, things) as (opened, _, _turn):
        await opened.ask(person(f"/undo {about}", "2"))
        elsewhere = replace(ME, workspace="another team")
        await opened.ask(replace(asks(f"/undo {_turn}.1", "3"), address=elsewhere))
        assert things.standing == ["x"]
        assert things.done == []
