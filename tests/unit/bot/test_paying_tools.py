"""Tools with a price: what stands on RoadChain, what is left, what the model and the person read; and that nobody pays twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import Unavailable
from adapters.messages import Finished, ProviderName, ToolCall, ToolCallId, ToolResult
from adapters.scripted import SOME_USAGE, Raise, ScriptedAdapter, ScriptReply, answer
from bot.billing import Billing, Charges
from bot.limits import Limits
from bot.platforms.base import PlatformError
from bot.readers import prices
from integrations.payments.plans import Plan, Plans
from integrations.tools.base import NotFound, Tool, Toolbox, Use
from ledger.credit_actions import CreditRefused, CreditReserved, CreditSettled, CreditVoided, PlanGranted
from ledger.entry import Draft
from ledger.errors import Code
from ledger.money import FREE, URC_PER_RC, Money
from ledger.roadchain import clock_us
from ledger.store import Recorded
from tests.house import WANTS_TOOL, Batches, RecordingPlatform, RecordingTool, asks, card, running_house
from tests.unit.bot.test_paying import SCOPE, W, _write, balance, fund, left

PRICE = URC_PER_RC // 2
TILL = Billing("funded", tool_prices={"look": PRICE})
FREE_MODEL = [card("scripted")]
USED = [
    *("message.received", "route.chosen", "model.called", "model.answered"),
    *("credit.reserve", "tool.called", "credit.settle", "tool.answered"),
    *("model.called", "model.answered", "reply.prepared", "reply.sent", "turn.finished"),
]
ONCE: tuple[ScriptReply, ...] = (WANTS_TOOL, answer("I have looked."))


def wants(count: int) -> ScriptReply:
    calls = (ToolCall(ToolCallId(f"c{number}"), "look", {"at": str(number)}) for number in range(count))
    return (*calls, Finished("tool_calls", SOME_USAGE))


def of(tool: Tool) -> Toolbox:
    return Toolbox({"look": tool})


def credits_of(journal: Sequence[Recorded]) -> list[object]:
    return [item.entry.action for item in journal if item.entry.action.name.startswith("credit.")]


def results(adapter: ScriptedAdapter) -> list[ToolResult]:
    return [part for part in adapter.requests[-1].messages[-1].parts if isinstance(part, ToolResult)]


async def test_a_use_is_held_for_and_settled_in_the_steps_that_journal_it(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(
        tmp_path, platform, ONCE, cards=FREE_MODEL, billing=TILL, toolbox=of(RecordingTool("read"))
    ) as open_:
        await fund(open_.roadchain, 100)
        turn, outcome = await open_.ask(asks("look"))
        assert (outcome, await open_.journal(turn)) == ("answered", USED)
        hold = f"{turn}-tool-1"
        entries = [item.entry for item in await open_.store.entries_of(turn)]
        held, settled = (entry for entry in entries if entry.action.name.startswith("credit."))
        assert isinstance(held.action, CreditReserved)
        assert (held.action.hold, held.action.amount, held.action.model) == (hold, PRICE, "look")
        assert settled.action == CreditSettled(hold, PRICE, "tools", 0)
        assert await left(open_) == 100 * URC_PER_RC - PRICE
        assert await balance(open_, "R:usage") == PRICE
    footer = platform.sent[0][2].footer
    assert footer is not None
    assert footer.price == "0.5 RC"


@pytest.mark.parametrize("charges", ["none", "funded"])
async def test_where_nobody_pays_a_tool_costs_nothing(tmp_path: Path, charges: Charges) -> None:
    billing = replace(TILL, charges=charges)
    tool = RecordingTool("read")
    async with running_house(
        tmp_path, RecordingPlatform(), ONCE, cards=FREE_MODEL, billing=billing, toolbox=of(tool)
    ) as open_:
        turn, outcome = await open_.ask(asks("look"))
        assert (outcome, tool.calls, credits_of(await open_.store.entries_of(turn))) == ("answered", 1, [])


async def test_as_many_are_used_at_once_as_the_credit_is_enough_for(tmp_path: Path) -> None:
    tool, adapter = RecordingTool("read"), ScriptedAdapter(ProviderName("scripted"), (wants(3), answer("Well.")))
    async with running_house(
        tmp_path, RecordingPlatform(), {"scripted": adapter}, cards=FREE_MODEL, billing=TILL, toolbox=of(tool)
    ) as open_:
        await fund(open_.roadchain, 1.2)
        turn, outcome = await open_.ask(asks("look"))
        journal = await open_.store.entries_of(turn)
        assert (outcome, tool.calls, await left(open_)) == ("answered", 2, 200_000)
        assert await balance(open_, f"L:ws:{W}:held") == 0
    assert [result.failed for result in results(adapter)] == [False, False, True]
    assert results(adapter)[2].content.startswith("look costs 0.5 RC of credit, and less than that is left.")
    refused = [action for action in credits_of(journal) if isinstance(action, CreditRefused)]
    assert refused == [CreditRefused("tool/1/c2", Code.INSUFFICIENT_BALANCE.value)]


async def test_a_use_that_is_not_made_never_stands_there_as_if_it_had_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After a crash, what has begun and has no answer is done again, or looked for and done.
    tool, limits = RecordingTool("read"), Limits(tool_calls_max=3)
    async with running_house(
        tmp_path, RecordingPlatform(), [wants(4), answer("Well.")], cards=FREE_MODEL, billing=TILL, toolbox=of(tool),
        limits=limits,
    ) as open_:  # fmt: skip
        await fund(open_.roadchain, 1.2)
        batches = Batches(open_.roadchain, monkeypatch)
        turn, _ = await open_.ask(asks("look"))
        # One there is no credit for, and one is over the limit.
        assert (tool.calls, batches.answered_at_once) == (2, 2)
        assert (await open_.journal(turn)).count("tool.answered") == 4


async def test_a_tool_is_paid_for_later_where_the_plan_has_a_meter_and_the_credit_is_used_up(tmp_path: Path) -> None:
    tool = RecordingTool("read")
    plans = Plans((Plan("pro", "price_1", FREE, FREE, (), "meter", "price_2", Money(URC_PER_RC)),))
    platform = RecordingPlatform()
    async with running_house(
        tmp_path, platform, [wants(3), answer("Well.")], cards=FREE_MODEL, billing=replace(TILL, plans=plans),
        toolbox=of(tool),
    ) as open_:  # fmt: skip
        until_s = clock_us() // 1_000_000 + 3600
        await open_.roadchain.append(Draft(PlanGranted("stripe", "pro", 1, 0, until_s), SCOPE, "grant"))
        turn, outcome = await open_.ask(asks("look"))
        codes = [a.code for a in credits_of(await open_.store.entries_of(turn)) if isinstance(a, CreditRefused)]
        # 1 RC may be paid later, and a unit is there: two uses.
        assert (outcome, tool.calls, len(codes), await balance(open_, "R:usage")) == ("answered", 2, 1, 2 * PRICE)
        assert await balance(open_, f"A:ws:{W}:overage:{until_s}") == 2 * PRICE - 1
    assert platform.texts[0].startswith(
        "Well.\n\n_What may be used beyond the plan's credit in this period, and paid later, is used to "
    )


async def test_a_use_that_passes_a_mark_of_a_limit_is_told_of_once(tmp_path: Path) -> None:
    """As a call of a model: nothing with the second use, 80 per cent with the fourth, nothing again, and all with the fifth."""
    platform = RecordingPlatform()
    script = (WANTS_TOOL, answer("One."), wants(3), answer("Four."), answer("None."), WANTS_TOOL, answer("Five."))
    billing = replace(TILL, person_day_max=PRICE * 5)
    async with running_house(
        tmp_path, platform, script, cards=FREE_MODEL, billing=billing, toolbox=of(RecordingTool("read"))
    ) as open_:
        await fund(open_.roadchain, 100)
        for number in range(4):
            await open_.ask(asks(f"look {number}", f"{number}"))
        assert await left(open_) == 100 * URC_PER_RC - 5 * PRICE
    first, second, third, fourth = platform.texts
    assert (first, third) == ("One.", "None.")
    assert second.startswith("Four.\n\n_Your limit for ")
    assert second.endswith(" is used to 80 per cent._")
    assert fourth.endswith(" is used up._")


async def test_two_marks_that_tools_pass_before_the_model_fails_are_told_of_with_that(tmp_path: Path) -> None:
    platform, script = RecordingPlatform(), (wants(2), (Raise(Unavailable("gone")),))
    billing = replace(TILL, person_day_max=PRICE * 2)
    async with running_house(
        tmp_path, platform, script, cards=FREE_MODEL, billing=billing, toolbox=of(RecordingTool("read"))
    ) as open_:
        await fund(open_.roadchain, 100)
        await open_.ask(asks("look"))
    assert platform.texts[0].endswith(" is used up._")


async def test_a_limit_holds_for_tools_too(tmp_path: Path) -> None:
    tool, adapter = RecordingTool("read"), ScriptedAdapter(ProviderName("scripted"), (wants(3), answer("Well.")))
    billing = replace(TILL, person_day_max=PRICE)
    async with running_house(
        tmp_path, RecordingPlatform(), {"scripted": adapter}, cards=FREE_MODEL, billing=billing, toolbox=of(tool)
    ) as open_:
        await fund(open_.roadchain, 100)
        turn, _ = await open_.ask(asks("look"))
        codes = [a.code for a in credits_of(await open_.store.entries_of(turn)) if isinstance(a, CreditRefused)]
        assert (tool.calls, codes) == (1, [Code.RATE_LIMIT_EXCEEDED.value] * 2)
    assert "more than a limit here leaves" in results(adapter)[1].content


class Missing(RecordingTool):
    async def call(self, use: Use) -> ToolResult:
        raise NotFound("404", "It is not there.")


async def test_what_failed_costs_nothing(tmp_path: Path) -> None:
    async with running_house(
        tmp_path, RecordingPlatform(), ONCE, cards=FREE_MODEL, billing=TILL, toolbox=of(Missing("read"))
    ) as open_:
        await fund(open_.roadchain, 100)
        turn, _ = await open_.ask(asks("look"))
        held, voided = credits_of(await open_.store.entries_of(turn))
        assert isinstance(held, CreditReserved)
        assert voided == CreditVoided(held.hold, "tools")
        assert await left(open_) == 100 * URC_PER_RC


class Slow(RecordingTool):
    def __init__(self) -> None:
        super().__init__("read")
        self.began = asyncio.Event()

    async def call(self, use: Use) -> ToolResult:
        self.began.set()
        return await asyncio.Future[ToolResult]()


async def test_what_the_person_stopped_costs_nothing(tmp_path: Path) -> None:
    tool = Slow()
    async with running_house(
        tmp_path, RecordingPlatform(), ONCE, cards=FREE_MODEL, billing=TILL, toolbox=of(tool)
    ) as open_:
        await fund(open_.roadchain, 100)
        accepted = await open_.intake.accept(asks("look"))
        await tool.began.wait()
        assert await balance(open_, f"L:ws:{W}:held") == PRICE
        open_.intake.stop(accepted.conversation)
        await open_.intake.ended(accepted.turn)
        assert (await left(open_), await balance(open_, f"L:ws:{W}:held")) == (100 * URC_PER_RC, 0)


async def test_the_question_before_a_write_says_what_its_use_costs_and_a_refused_one_costs_nothing(
    tmp_path: Path,
) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    async with running_house(tmp_path, platform, ONCE * 2, cards=FREE_MODEL, billing=TILL, toolbox=of(tool)) as open_:
        await fund(open_.roadchain, 100)
        turn, ending = await open_.ask(asks("look"))
        assert (ending, await left(open_)) == ("suspended", 100 * URC_PER_RC)
        assert "Using this tool costs 0.5 RC of credit, where it succeeds." in platform.texts[0]
        await open_.ask(asks(f"/approve {turn}.1", "2"))
        assert await open_.intake.ended(turn) == "answered"
        assert (tool.calls, await left(open_)) == (1, 100 * URC_PER_RC - PRICE)
        other, _ = await open_.ask(asks("look", "3"))
        await open_.ask(asks(f"/refuse {other}.1", "4"))
        await open_.intake.ended(other)
        assert (tool.calls, await left(open_)) == (1, 100 * URC_PER_RC - PRICE)


async def test_of_an_answer_that_nobody_got_the_tools_are_taken_back_too(tmp_path: Path) -> None:
    platform = RecordingPlatform(fails=[PlatformError("the channel is gone", None)])
    async with running_house(
        tmp_path, platform, ONCE, cards=FREE_MODEL, billing=TILL, toolbox=of(RecordingTool("read"))
    ) as open_:
        await fund(open_.roadchain, 100)
        _, outcome = await open_.ask(asks("look"))
        assert (outcome, await left(open_)) == ("undelivered", 100 * URC_PER_RC)


@pytest.mark.parametrize("entries", [4, 6, 8, 10, 11], ids=["wanted", "held for", "settled", "answered", "replied"])
async def test_after_any_crash_a_use_is_paid_for_once(tmp_path: Path, entries: int) -> None:
    (tmp_path / "before").mkdir()
    async with running_house(
        tmp_path / "before",
        RecordingPlatform(),
        ONCE,
        cards=FREE_MODEL,
        billing=TILL,
        toolbox=of(RecordingTool("read")),
    ) as open_:
        await fund(open_.roadchain, 100)
        turn, _ = await open_.ask(asks("look"))
        journal = list(await open_.store.entries_of(turn))
    await _write(tmp_path, journal[:entries])
    async with running_house(
        tmp_path,
        RecordingPlatform(),
        ONCE[1:],
        cards=FREE_MODEL,
        billing=TILL,
        toolbox=of(RecordingTool("read")),
    ) as open_:
        while (names := await open_.journal(turn))[-1] != "turn.finished":
            await asyncio.sleep(0.001)  # nobody is told of the end of a turn that another process accepted
        assert (names.count("credit.reserve"), names.count("credit.settle")) == (1, 1)
        assert await left(open_) == 100 * URC_PER_RC - PRICE
        assert await balance(open_, f"L:ws:{W}:held") == 0


async def test_a_turn_that_is_withdrawn_lets_go_of_what_its_tools_held(tmp_path: Path) -> None:
    tool = Slow()
    async with running_house(
        tmp_path, RecordingPlatform(), ONCE, cards=FREE_MODEL, billing=TILL, toolbox=of(tool)
    ) as open_:
        await fund(open_.roadchain, 100)
        accepted = await open_.intake.accept(asks("look"))
        await tool.began.wait()
        await open_.door.withdraw(asks("look").address, asks("look").event_identity)
        await open_.intake.ended(accepted.turn)
        assert (await left(open_), await balance(open_, f"L:ws:{W}:held")) == (100 * URC_PER_RC, 0)


@pytest.mark.parametrize(
    "given", ["look", "look=", "look=-1", "look=1e3", "look=1.0000001", "=1", "a=1,a=2", "a b=1", "look=٥"]
)
def test_what_is_no_price_list_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"web_page=0\.1"):
        prices(given)
