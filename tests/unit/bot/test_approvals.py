"""A tool that changes something waits for a person, does exactly what they approved, and does it once."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.messages import Finished, ProviderName, ToolCall, ToolCallId, ToolResult
from adapters.scripted import ScriptedAdapter, ScriptReply, answer
from bot.approvals import approver_of, digest, question, read_reference, reference
from bot.commands.approving import ELSEWHERE
from bot.intake import Ending
from bot.limits import Limits
from bot.platforms.base import Incoming, PlatformError, PlatformName, Presence, Standing
from bot.rules import Rules
from bot.sentences import ENGLISH
from integrations.tools.base import Preview, Toolbox, ToolError, Unknown
from ledger.actions import ApprovalAsked, ApprovalGiven
from ledger.money import FREE, Money
from ledger.pseudonyms import TurnId
from tests.house import ME, WANTS_TOOL, Batches, Open, RecordingPlatform, RecordingTool, asks, running_house
from tests.unit.bot.test_resume import carried_on, write

SCRIPT: list[ScriptReply] = [WANTS_TOOL, answer("I did it.")]
SECOND = replace(ME, person="another")
CALL = ToolCall(ToolCallId("c1"), "look", {"at": "x"})


def person(text: str, event: str, who: str = ME.person, standing: Standing = "member") -> Incoming:
    return replace(asks(text, event, replace(ME, person=who)), standing=standing)


async def result_for_model(adapter: ScriptedAdapter) -> ToolResult:
    (result,) = adapter.requests[-1].messages[-1].parts
    assert isinstance(result, ToolResult)
    return result


async def decided(opened: Open, text: str, event: str = "decision", who: str = ME.person) -> Ending:
    return (await opened.ask(person(text, event, who)))[1]


async def test_a_write_is_done_once_a_person_approved_of_it_and_each_step_is_recorded(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, ending = await opened.ask(asks("look", "1"))
        assert (ending, tool.calls) == ("suspended", 0)
        ((_, _, asked),) = platform.sent
        assert "**Look at it** (`look`)" in asked.text
        assert "- at: `x`" in asked.text
        assert [button.invocation for button in asked.buttons] == [
            f"{word} {turn}.1" for word in ("approve", "refuse", "allow")
        ]
        await decided(opened, f"/approve {turn}.1")
        assert await opened.intake.ended(turn) == "answered"
        assert tool.calls == 1
        assert platform.texts[-1] == "I did it."
        assert (await opened.journal(turn))[3:9] == [
            "model.answered",
            "approval.asked",
            "approval.shown",
            "approval.given",
            "tool.called",
            "tool.answered",
        ]
        actions = [item.entry.action for item in await opened.store.entries_of(turn)]
        (question_,) = [action for action in actions if isinstance(action, ApprovalAsked)]
        (given,) = [action for action in actions if isinstance(action, ApprovalGiven)]
        assert question_.arguments == given.arguments == digest(CALL)


async def test_a_refused_write_is_not_done_and_the_model_is_told(tmp_path: Path) -> None:
    platform, tool, adapter = (
        RecordingPlatform(),
        RecordingTool("write"),
        ScriptedAdapter(ProviderName("s"), tuple(SCRIPT)),
    )
    async with running_house(tmp_path, platform, {"s": adapter}, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        await decided(opened, "/refuse")
        assert await opened.intake.ended(turn) == "answered"
        assert tool.calls == 0
        result = await result_for_model(adapter)
        assert result.failed
        assert "refused" in result.content


async def test_a_refused_write_never_stands_there_as_if_it_had_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After a crash, a write that has begun and that the service does not know of is done: nobody may have refused that one.
    tool = RecordingTool("write")
    async with running_house(tmp_path, RecordingPlatform(), SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        batches = Batches(opened.roadchain, monkeypatch)
        turn, _ = await opened.ask(asks("look", "1"))
        await decided(opened, "/refuse")
        assert await opened.intake.ended(turn) == "answered"
        assert (tool.calls, batches.answered_at_once) == (0, 1)


async def test_an_approval_is_good_once(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        await asyncio.gather(*(decided(opened, f"/approve {turn}.1", f"d{number}") for number in range(5)))
        await opened.intake.ended(turn)
        assert await decided(opened, f"/refuse {turn}.1", "late") == "command"
        assert platform.texts[-1] == "That was decided already."
        assert tool.calls == 1
        assert (await opened.journal(turn)).count("approval.given") == 1


async def test_what_nobody_approves_in_time_is_not_done(tmp_path: Path) -> None:
    platform, tool, adapter = (
        RecordingPlatform(),
        RecordingTool("write"),
        ScriptedAdapter(ProviderName("s"), tuple(SCRIPT)),
    )
    limits = Limits(approval_s=0)
    async with running_house(
        tmp_path, platform, {"s": adapter}, toolbox=Toolbox({"look": tool}), limits=limits
    ) as opened:
        turn, ending = await opened.ask(asks("look", "1"))
        if ending == "suspended":
            ending = await opened.intake.ended(turn)
        assert "approval.expired" in await opened.journal(turn)
        assert tool.calls == 0
        assert "in time" in (await result_for_model(adapter)).content


async def test_whoever_writes_something_else_has_not_approved(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    script = [WANTS_TOOL, answer("Very well."), answer("To the other.")]
    async with running_house(tmp_path, platform, script, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        _, ending = await opened.ask(asks("no, look elsewhere", "2"))
        assert ending == "answered"
        assert await opened.intake.ended(turn) == "answered"
        assert tool.calls == 0
        assert "approval.refused" in await opened.journal(turn)
        assert platform.texts[-2:] == ["Very well.", "To the other."]


async def test_only_the_asker_or_an_admin_approves_what_costs_nothing(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        await decided(opened, f"/approve {turn}.1", "d1", "another")
        assert platform.texts[-1] == "Only the person who asked, or an admin, can approve this."
        await opened.ask(person(f"/approve {turn}.1", "d2", "third", "admin"))
        assert await opened.intake.ended(turn) == "answered"
        assert tool.calls == 1


class Costly(RecordingTool):
    async def preview(self, use: object) -> Preview:
        return Preview("Refund", (("to", "Ann"),), irreversible="the money is gone", cost=Money(2_000_000))


async def test_the_asker_alone_never_approves_what_costs_money(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), Costly("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(person("look", "1", standing="owner"))
        assert "It costs 2 RC." in platform.texts[0]
        assert "This cannot be undone: the money is gone" in platform.texts[0]
        await opened.ask(person(f"/approve {turn}.1", "d1", standing="owner"))
        assert "somebody other than the person who asked" in platform.texts[-1]
        await decided(opened, f"/approve {turn}.1", "d2", "another")
        assert await opened.intake.ended(turn) == "answered"
        assert tool.calls == 1


class InSlack(RecordingPlatform):
    @property
    def name(self) -> PlatformName:
        return PlatformName("slack")


async def test_what_only_its_asker_can_see_another_approves_of_from_where_they_were_told_of_it(tmp_path: Path) -> None:
    platform, tool = InSlack(), Costly("write")
    alone = replace(ME, platform=platform.name, channel="D1")
    there = replace(alone, channel="channel", thread="")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1", alone))
        await opened.ask(asks(f"/approve {turn}.1", "d1", there))
        assert "somebody other than the person who asked" in platform.texts[-1]
        await opened.ask(asks(f"/approve {turn}.1", "d2", replace(there, person="another")))
        assert await opened.intake.ended(turn) == "answered"
        assert tool.calls == 1


async def test_what_its_asker_may_approve_is_approved_in_their_own_conversation_alone(tmp_path: Path) -> None:
    platform, tool = InSlack(), RecordingTool("write")
    alone = replace(ME, platform=platform.name, channel="D1")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1", alone))
        for number, who in enumerate((ME.person, "boss")):
            said = asks(f"/approve {turn}.1", f"d{number}", replace(alone, channel="channel", thread="", person=who))
            await opened.ask(replace(said, standing="admin"))
            assert platform.texts[-1] == ELSEWHERE
        assert tool.calls == 0
        await opened.ask(asks(f"/approve {turn}.1", "d3", replace(alone, thread="")))
        assert await opened.intake.ended(turn) == "answered"


async def test_a_guest_approves_nothing(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), Costly("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        assert (await opened.ask(person(f"/approve {turn}.1", "d1", "g", "guest")))[1] == "refused"
        assert tool.calls == 0


TWO: ScriptReply = (
    ToolCall(ToolCallId("c1"), "look", {"at": "x"}),
    ToolCall(ToolCallId("c2"), "look", {"at": "y"}),
    ToolCall(ToolCallId("c3"), "see", {}),
    Finished("tool_calls", None),
)


async def test_of_several_calls_the_reading_ones_go_ahead_and_each_write_is_decided_by_itself(tmp_path: Path) -> None:
    platform, tool, reads = RecordingPlatform(), RecordingTool("write"), RecordingTool("read")
    adapter = ScriptedAdapter(ProviderName("s"), (TWO, answer("Half done.")))
    async with running_house(
        tmp_path, platform, {"s": adapter}, toolbox=Toolbox({"look": tool, "see": reads})
    ) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        assert (tool.calls, reads.calls) == (0, 1)
        await decided(opened, "/approve", "d0")
        assert platform.texts[-1] == "Several things wait for an approval here: name one, `/approve REFERENCE`."
        await decided(opened, f"/approve {turn}.2", "d1")
        while tool.calls == 0:
            await asyncio.sleep(0.001)
        assert tool.marks == [f"{turn}/1/c2"]
        await decided(opened, f"/refuse {turn}.1", "d2")
        assert await opened.intake.ended(turn) == "answered"
        results = [part for part in adapter.requests[-1].messages[-1].parts if isinstance(part, ToolResult)]
        assert {(result.call_id, result.failed) for result in results} == {("c1", True), ("c2", False), ("c3", False)}


async def test_stop_ends_a_turn_that_waits_for_an_approval(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        await decided(opened, "/stop")
        assert platform.texts[-1] == "Stopped."
        assert await opened.intake.ended(turn) in ("answered", "stopped")
        assert tool.calls == 0


async def test_a_question_that_could_not_be_shown_is_shown_later_and_once(tmp_path: Path) -> None:
    platform = RecordingPlatform(fails=[PlatformError("busy", 0.01)])
    tool = RecordingTool("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        turn, ending = await opened.ask(asks("look", "1"))
        assert ending == "suspended"
        assert len(platform.texts) == 1
        await decided(opened, f"/approve {turn}.1")
        assert await opened.intake.ended(turn) == "answered"


class Wrong(RecordingTool):
    async def preview(self, use: object) -> Preview:
        raise ToolError("400", "There is no such page.")


async def test_a_write_that_cannot_be_previewed_is_not_asked_about(tmp_path: Path) -> None:
    platform, tool, adapter = RecordingPlatform(), Wrong("write"), ScriptedAdapter(ProviderName("s"), tuple(SCRIPT))
    async with running_house(tmp_path, platform, {"s": adapter}, toolbox=Toolbox({"look": tool})) as opened:
        assert (await opened.ask(asks("look", "1")))[1] == "answered"
        assert (await result_for_model(adapter)).content == "There is no such page."
        assert platform.texts == ["I did it."]


async def test_more_tools_than_the_limit_allows_are_not_used(tmp_path: Path) -> None:
    many: ScriptReply = (
        *(ToolCall(ToolCallId(f"c{number}"), "see", {}) for number in range(5)),
        Finished("tool_calls", None),
    )
    platform, reads = RecordingPlatform(), RecordingTool("read")
    adapter = ScriptedAdapter(ProviderName("s"), (many, answer("So.")))
    limits = Limits(tool_calls_max=3)
    async with running_house(
        tmp_path, platform, {"s": adapter}, toolbox=Toolbox({"see": reads}), limits=limits
    ) as opened:
        assert (await opened.ask(asks("look", "1")))[1] == "answered"
        assert reads.calls == 3
        results = [part for part in adapter.requests[-1].messages[-1].parts if isinstance(part, ToolResult)]
        assert sum(result.failed for result in results) == 2


NAMES = [
    "message.received",
    "route.chosen",
    "model.called",
    "model.answered",
    "approval.asked",
    "approval.shown",
    "approval.given",
    "tool.called",
    "tool.answered",
    "model.called",
    "model.answered",
    "reply.prepared",
    "reply.sent",
    "turn.finished",
]


@pytest.mark.parametrize("presence", ["absent", "there"])
@pytest.mark.parametrize("found", ["done", "not done", "unknown"])
@pytest.mark.parametrize("entries", range(4, 12))
async def test_after_any_entry_of_a_turn_with_a_write_it_is_done_once_at_the_most(
    tmp_path: Path, entries: int, found: str, presence: Presence
) -> None:
    """At 3 and at 10 the answer of a model is lost, which is told elsewhere."""
    async with running_house(
        tmp_path / "before", RecordingPlatform(), SCRIPT, toolbox=Toolbox({"look": RecordingTool("write")})
    ) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        await decided(opened, "/approve")
        await opened.intake.ended(turn)
        journal = list(await opened.store.entries_of(turn))
    assert [item.entry.action.name for item in journal] == NAMES
    turn = await write(tmp_path, journal[:entries])
    outcomes = {
        "done": ToolResult(CALL.id, "It stands already."),
        "not done": None,
        "unknown": Unknown("?", "It is not known."),
    }
    tool = RecordingTool("write", outcomes[found])
    platform = RecordingPlatform(presence=presence)
    answered_before = sum(item.entry.action.name == "model.answered" for item in journal[:entries])
    adapter = ScriptedAdapter(ProviderName("s"), tuple(SCRIPT[answered_before:]) or (answer("never"),))
    async with running_house(tmp_path, platform, {"scripted": adapter}, toolbox=Toolbox({"look": tool})) as opened:
        if entries < 7:
            while "approval.shown" not in await opened.journal(turn):
                await asyncio.sleep(0.001)
            await decided(opened, f"/approve {turn}.1")
        await carried_on(opened, turn)
        names = await opened.journal(turn)
    done_before = entries >= 8
    assert tool.calls == (0 if done_before and (entries > 8 or found != "not done") else 1)
    assert names.count("turn.finished") == names.count("tool.answered") == 1
    shown = sum("**Look at it**" in text for text in platform.texts)
    assert shown == (1 if entries == 4 or (entries == 5 and presence == "absent") else 0)
    if entries == 8:
        content = {"done": "It stands already.", "not done": "seen 1", "unknown": "The outcome of this call is unknown"}
        assert (await result_for_model(adapter)).content.startswith(content[found])


def test_what_is_approved_is_the_tool_and_its_arguments_in_whatever_order_they_came() -> None:
    one = ToolCall(ToolCallId("1"), "t", {"a": 1, "b": {"c": 2, "d": 3}})
    same = ToolCall(ToolCallId("2"), "t", {"b": {"d": 3, "c": 2}, "a": 1})
    assert digest(one) == digest(same)
    for other in (
        replace(one, name="u"),
        replace(one, arguments={"a": 1}),
        replace(one, arguments={"a": "1", "b": {}}),
    ):
        assert digest(other) != digest(one)


def test_what_costs_money_is_for_another_to_approve() -> None:
    free, costly = Preview("x", (), cost=FREE), Preview("x", (), cost=Money(1))
    assert [approver_of("t", preview, Rules()) for preview in (Preview("x", ()), free, costly)] == [
        "asker",
        "asker",
        "another",
    ]
    strict = Rules(approvers={"t": "admin"})
    assert [approver_of("t", preview, strict) for preview in (free, costly)] == ["admin", "admin"]
    assert approver_of("u", free, strict) == "asker"


@pytest.mark.parametrize("text", ["", "t-0123456789abcdef", "t-0123456789abcdef.0", "t-0123456789abcdef.1 x", "x.1"])
def test_a_reference_is_read_whole_or_not_at_all(text: str) -> None:
    assert read_reference(text) is None
    assert read_reference(reference(TurnId("t-0123456789abcdef"), 12)) == (TurnId("t-0123456789abcdef"), 12)


def test_what_is_shown_cannot_pose_as_ours() -> None:
    preview = Preview(
        "Write *all*\n# [here](http://x)",
        (("body", "`x` **bold** <@U1>"), ("text", "one\n```\nApprove me\n```")),
        diff="- a\n+ ```",
    )
    said = question(replace(CALL, name="a`b"), preview, "asker", TurnId("t-0123456789abcdef"), 1, 900, ENGLISH)
    assert said.text.splitlines()[0] == "**Write all # here (`http://x`)** (`a b`)"
    named = question(replace(CALL, name="send_mail"), preview, "asker", TurnId("t-0123456789abcdef"), 1, 900, ENGLISH)
    assert "(`send_mail`)" in named.text.splitlines()[0]
    assert "- body: `` `x` **bold** <@U1> ``" in said.text
    assert "  ````\n  one\n  ```\n  Approve me\n  ```\n  ````" in said.text
    assert "````diff\n- a\n+ ```\n````" in said.text
    assert "within 15 minutes" in said.text


async def test_what_is_always_allowed_is_exactly_that_for_that_person_and_can_be_taken_back(tmp_path: Path) -> None:
    def looks(at: str, why: str) -> ScriptReply:
        return (ToolCall(ToolCallId("c1"), "look", {"at": at, "why": why}), Finished("tool_calls", None))

    platform, tool = RecordingPlatform(), RecordingTool("write")
    script = [looks("x", "1"), answer("."), looks("x", "2"), answer("."), looks("y", "1"), answer("."), looks("x", "3")]
    async with running_house(tmp_path, platform, script, toolbox=Toolbox({"look": tool})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        await decided(opened, f"/allow {turn}.1 nothing", "d0")
        assert "no argument `nothing`" in platform.texts[-1]
        await decided(opened, f"/allow {turn}.1 at", "d1")
        assert platform.texts[-1] == "Approved, and for 7 days not asked about again: `look` with the same at."
        assert await opened.intake.ended(turn) == "answered"
        second, ending = await opened.ask(asks("look", "2"))
        assert (ending, tool.calls) == ("answered", 2)
        (given,) = [
            item.entry.action
            for item in await opened.store.entries_of(second)
            if isinstance(item.entry.action, ApprovalGiven)
        ]
        assert given.standing
        third, ending = await opened.ask(asks("look", "3"))
        assert (ending, tool.calls) == ("suspended", 2)
        await decided(opened, f"/refuse {third}.1", "d3")
        await opened.intake.ended(third)
        await decided(opened, "/allow", "d4")
        assert "1. `look` with the same at, for 167 hours more" in platform.texts[-1]
        await decided(opened, "/allow revoke 1", "d5")
        await decided(opened, "/allow revoke 1", "d6")
        assert platform.texts[-1].endswith("Nothing is allowed without asking.")
        assert (await opened.ask(asks("look", "4")))[1] == "suspended"
        assert tool.calls == 2


async def test_nobody_allows_for_another_nor_what_costs_money(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": Costly("write")})) as opened:
        turn, _ = await opened.ask(asks("look", "1"))
        assert not any(button.invocation.startswith("allow") for button in platform.sent[0][2].buttons)
        for number, who in enumerate((ME.person, "another")):
            await decided(opened, f"/allow {turn}.1", f"d{number}", who)
            assert platform.texts[-1].startswith("Only the person who asked can allow this")


async def test_an_admin_sets_who_approves_of_a_tool(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        await opened.ask(person("/settings approver look admin", "s", "boss", "admin"))
        turn, _ = await opened.ask(asks("look", "1"))
        await decided(opened, f"/approve {turn}.1", "d1")
        assert platform.texts[-1] == "Only an admin can approve this."
        await opened.ask(person(f"/approve {turn}.1", "d2", "boss", "admin"))
        assert await opened.intake.ended(turn) == "answered"
        assert tool.calls == 1


@pytest.mark.parametrize(
    ("preview", "whole"),
    [
        (Preview("Send", (("to", "Ann"), ("text", "x" * 1_001))), b"to:\nAnn\n\ntext:\n" + b"x" * 1_001 + b"\n"),
        (Preview("Change", (("at", "y"),), diff="+" * 4_001), b"at:\ny\n\ndiff:\n" + b"+" * 4_001 + b"\n"),
        (Preview("Send", (("text", "\u202e" * 200),)), b"text:\n" + b"\\u{202e}" * 200 + b"\n"),
    ],
    ids=["a long argument", "a long difference", "what is long once it is seen"],
)
def test_what_does_not_fit_into_a_question_goes_along_as_a_file(preview: Preview, whole: bytes) -> None:
    said = question(CALL, preview, "asker", TurnId("t-0000000000000000"), 1, 60, ENGLISH)
    assert "more characters, in the file)" in said.text
    assert [(file.name, file.data) for file in said.files] == [("t-0000000000000000.1.txt", whole)]


def test_a_question_that_fits_has_no_file() -> None:
    preview = Preview("Send", (("text", "x" * 1_000),), diff="+" * 4_000)
    assert question(CALL, preview, "asker", TurnId("t-0000000000000000"), 1, 60, ENGLISH).files == ()


class Long(RecordingTool):
    async def preview(self, use: object) -> Preview:
        return Preview("Send", (("text", "x" * 2_000),))


async def test_the_file_of_a_question_reaches_the_person(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": Long("write")})) as opened:
        await opened.ask(asks("look", "1"))
    ((_, _, asked),) = platform.sent
    assert asked.files[0].data.endswith(b"x" * 2_000 + b"\n")
