"""FAILING on purpose: each shows a fault that stands. Not collected by name; run as `pytest tests/unit/bot/audit_failing.py`.

When one is mended, its test moves to the suite of its subject.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from adapters.errors import Unavailable
from adapters.messages import Finished, TextDelta, ToolResult, Usage
from adapters.scripted import Pause, Raise, WaitFor, answer
from bot.limits import Limits
from integrations.tools.base import Toolbox, Use
from ledger.money import URC_PER_RC
from tests.house import WANTS_TOOL, RecordingPlatform, RecordingTool, asks, card, running_house
from tests.house_at_a_till import at_a_till, bought
from tests.unit.bot.test_paying import FUNDED, HELLO, PRICE_URC, RATES, USAGE, balance, fund, left, priced, scripts

LONG = "word " * 2_000


async def test_who_stops_an_answer_pays_for_what_they_read(tmp_path: Path) -> None:
    """Where an answer is not shown as it comes, what came is in the reply all the same: today it costs nothing."""
    platform, written = RecordingPlatform(), asyncio.Event()

    script = [(TextDelta(LONG), Pause(0.0), WaitFor(written))]
    async with running_house(tmp_path, platform, script, cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        accepted = await open_.intake.accept(asks("write me something long"))
        ended = asyncio.create_task(open_.intake.ended(accepted.turn))
        for _ in range(200):
            await asyncio.sleep(0.01)
            if "model.called" in await open_.journal(accepted.turn):
                break
        await asyncio.sleep(0.3)
        open_.intake.stop(accepted.conversation)
        assert await ended == "stopped"
        assert platform.texts[0].startswith("word word word")
        assert await left(open_) < 100 * URC_PER_RC


async def test_an_answer_that_took_too_long_and_was_read_is_paid_for(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    script = [(TextDelta(LONG), Pause(60))]
    async with running_house(
        tmp_path, platform, script, cards=priced("scripted"), billing=FUNDED, limits=Limits(turn_s=1)
    ) as open_:
        await fund(open_.roadchain, 100)
        await open_.ask(asks("write me something long"))
        assert platform.texts[0].startswith("word word word")
        assert await left(open_) < 100 * URC_PER_RC


async def test_a_stopped_answer_is_settled_at_what_the_provider_says_that_it_took(tmp_path: Path) -> None:
    """S24: the exact figure comes last, also after a stop."""
    platform, go_on = RecordingPlatform(live=True), asyncio.Event()
    script = [(TextDelta("One, two"), WaitFor(go_on), Finished("stop", Usage(input=10_000, output=500)))]
    async with running_house(tmp_path, platform, script, cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 1_000)
        accepted = await open_.intake.accept(asks("count"))
        ended = asyncio.create_task(open_.intake.ended(accepted.turn))
        await platform.first_word(accepted.turn)
        open_.intake.stop(accepted.conversation)
        await asyncio.sleep(0.05)
        go_on.set()
        assert await ended == "stopped"
        assert await left(open_) == 997 * URC_PER_RC


async def test_a_credit_that_is_short_is_said_without_contradiction(tmp_path: Path) -> None:
    """Today: "An answer would take under 0.01 RC of credit or more"."""
    platform, adapters = RecordingPlatform(), scripts(cheap=[HELLO])
    cards = [card("cheap", 10, rates=replace(RATES, input=100, output=100))]
    async with running_house(
        tmp_path, platform, adapters, cards=cards, billing=replace(FUNDED, charges="all")
    ) as open_:
        await open_.ask(asks("hello"))
    assert "under 0.01 RC of credit or more" not in platform.texts[-1]


async def test_the_plan_stands_apart_from_the_list_above_it(tmp_path: Path) -> None:
    async with at_a_till(tmp_path, billing=FUNDED) as place:
        await bought(place.till)
        await place.open.ask(replace(asks("/billing subscribe pro", "1"), standing="owner"))
        place.till.account.pay(place.till.account.of("checkout.session")[0]["id"])
        await place.till.delivered()
        await place.open.ask(replace(asks("/billing", "2"), standing="owner"))
        text = place.platform.texts[-1]
        assert "\n\nThe plan pro runs" in text


async def test_the_link_of_the_portal_promises_no_credit(tmp_path: Path) -> None:
    async with at_a_till(tmp_path, billing=FUNDED) as place:
        await place.open.ask(replace(asks("/billing portal", "1"), standing="owner"))
        assert "credit is here as soon as it is paid" not in place.platform.texts[-1]


async def test_a_warning_says_how_much_is_used(tmp_path: Path) -> None:
    """At 96 per cent it says 80."""
    platform = RecordingPlatform()
    billing = replace(FUNDED, person_day_max=PRICE_URC * 2 * 100 // 96)
    limits = Limits(output_tokens_max=32)
    async with running_house(
        tmp_path, platform, [HELLO] * 3, cards=priced("scripted"), billing=billing, limits=limits
    ) as open_:
        await fund(open_.roadchain, 100)
        for number in range(2):
            await open_.ask(asks("hello", str(number)))
    assert "to 80 per cent" not in platform.texts[1]


async def test_an_owner_sees_their_own_limit(tmp_path: Path) -> None:
    billing = replace(FUNDED, person_day_max=10 * URC_PER_RC, workspace_month_max=100 * URC_PER_RC)
    async with at_a_till(tmp_path, billing=billing) as place:
        await place.open.ask(replace(asks("/billing", "1"), standing="owner"))
        assert "10 RC" in place.platform.texts[-1]
        assert "100 RC" in place.platform.texts[-1]


async def test_what_a_model_took_before_it_failed_is_on_the_book(tmp_path: Path) -> None:
    """S28: the house bears it, and owes it to the provider. Today nothing of it is recorded, and two holds are opened."""
    adapters = scripts(first=[(TextDelta("Well"), Raise(Unavailable("cut")))], second=[HELLO])
    cards = priced("first", "second")
    async with running_house(tmp_path, RecordingPlatform(), adapters, cards=cards, billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        await open_.ask(asks("hello"))
        assert await balance(open_, "X:absorbed") > 0


async def test_what_a_stopped_answer_may_cost_the_house_is_on_the_book(tmp_path: Path) -> None:
    """As S18: the provider made it. Today a void without an estimate."""
    script = [(TextDelta(LONG), Pause(60))]
    limits = Limits(turn_s=1)
    async with running_house(
        tmp_path, RecordingPlatform(), script, cards=priced("scripted"), billing=FUNDED, limits=limits
    ) as open_:
        await fund(open_.roadchain, 100)
        await open_.ask(asks("hello"))
        assert await balance(open_, "X:absorbed") + await balance(open_, "X:provider:scripted") > 0


class Verbose(RecordingTool):
    async def call(self, use: Use) -> ToolResult:
        self.calls += 1
        return ToolResult(use.call.id, "seen " * 40_000)


async def test_a_limit_holds_in_a_turn_whose_tools_say_much(tmp_path: Path) -> None:
    """What counts against it is the estimate from before the tools spoke; each further round may cost ten times as much."""
    script = [(*WANTS_TOOL[:1], answer(usage=USAGE)[-1]), answer("Hello.", usage=Usage(input=60_000, output=200))]
    cap = 5 * URC_PER_RC
    async with running_house(
        tmp_path,
        RecordingPlatform(),
        script,
        cards=priced("scripted"),
        billing=replace(FUNDED, person_day_max=cap),
        toolbox=Toolbox({"look": Verbose("read")}),
    ) as open_:
        await fund(open_.roadchain, 1_000)
        await open_.ask(asks("hello"))
        assert await balance(open_, "R:usage") <= cap
