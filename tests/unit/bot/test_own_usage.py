"""A model is told what the asking person has spent, and nothing else of money."""

from dataclasses import replace
from pathlib import Path

from adapters.messages import Finished, ProviderName, ToolCall, ToolCallId, ToolResult, Usage
from adapters.scripted import ScriptedAdapter, answer
from bot.own_usage import own_usage
from integrations.tools.base import Toolbox, Use
from integrations.tools.usage import NAME, usage_tool
from ledger.money import URC_PER_RC
from tests.house import ME, Open, RecordingPlatform, asks, running_house
from tests.unit.bot.test_paying import FUNDED, HELLO, fund, priced

OTHER = replace(ME, person="somebody else")
ASKS = (ToolCall(ToolCallId("c1"), NAME, {}), Finished("tool_calls", Usage(input=0, output=0)))


async def test_it_tells_of_the_asker_alone(tmp_path: Path) -> None:
    houses: list[Open] = []

    async def tell(use: Use) -> str:
        return await own_usage(use, houses[0].house.desk)

    adapter = ScriptedAdapter(ProviderName("scripted"), (HELLO, HELLO, HELLO, ASKS, answer("Well.")))
    billing = replace(FUNDED, person_day_max=10 * URC_PER_RC)
    box = Toolbox({NAME: usage_tool(tell)}, own=frozenset({NAME}))
    async with running_house(
        tmp_path, RecordingPlatform(), {"scripted": adapter}, cards=priced("scripted"), billing=billing, toolbox=box
    ) as open_:
        houses.append(open_)
        await fund(open_.roadchain, 100)
        for number, who in enumerate((ME, OTHER, OTHER)):
            await open_.ask(asks("hello", str(number), who))
        await open_.ask(asks("what did I spend?", "3"))
    (result,) = (part for part in adapter.requests[-1].messages[-1].parts if isinstance(part, ToolResult))
    today, lately, _ = result.content.splitlines()
    assert today.startswith("Spent today (20")
    assert today.endswith(", UTC): 0.48 RC; limit for a day: 10 RC.")
    assert lately == "Spent in the last 14 days: 0.48 RC."
    assert "97" not in result.content  # of the hundred that the workspace has
