"""What the loop around tools costs: of each call, of many at once, and of tools that are set up and not used."""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from adapters.messages import Finished, ToolCall, ToolCallId, ToolResult
from adapters.scripted import ScriptReply, answer
from bot.limits import Limits
from bot.platforms.base import Address
from integrations.tools.base import Toolbox, Use
from integrations.tools.calculator import calculator_tool
from ledger.pseudonyms import ActorId, WorkspaceId
from tests.benchmarks.figures import Figure, fdatasync_samples, median, milliseconds
from tests.house import ME, RecordingPlatform, RecordingTool, asks, running_house

PROJECT = Path(__file__).parents[2]
TURNS = 40
ROUNDS = 8
AT_ONCE = 50
TAKES_S = 0.2
STARTS = 7
SUM = {"expression": "2 + 2"}
SDKS = ("github", "requests", "aiohttp", "mcp", "jsonschema")
EVERYTHING = {
    "GITHUB_TOKEN": "ghp_x",
    "CARPOOL_GITHUB_ENABLED": "true",
    "CARPOOL_WEB_HOSTS": "example.org,*.example.org",
}
STARTED = """
import asyncio, json, sys
from pathlib import Path
from bot.config import load
from bot.tooling import toolbox_of
loaded = load(json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[2]))
box = asyncio.run(toolbox_of(loaded.settings, lambda: 0))
print(json.dumps([len(box.tools), [name for name in sys.argv[3].split() if name in sys.modules]]))
"""


async def tools(folder: Path) -> list[Figure]:
    (folder / "loop").mkdir()
    with_tools, without, bare = await _loop(folder / "loop")
    a_call = (with_tools - without) / ROUNDS
    floor = median(fdatasync_samples(folder, 200))
    (folder / "many").mkdir()
    many = await _many(folder / "many")
    nothing, _, _ = await _started(folder, {"CARPOOL_TOOLS_ENABLED": "false"})
    everything, count, imported = await _started(folder, EVERYTHING)
    return [
        Figure(
            f"A round of one tool call in a turn: call of a model, of a sum, and four entries on disk, median of {TURNS} turns",
            milliseconds(a_call),
            f"{milliseconds(bare)} the same sum through the box alone; {milliseconds(floor)} one fdatasync of 4 KiB",
            f"{a_call / bare:.0f}; {a_call / floor:.1f}",
        ),
        Figure(
            f"{AT_ONCE} calls of one round, each of a tool that takes {TAKES_S * 1e3:.0f} ms: the whole turn, median of 5",
            milliseconds(many),
            f"{milliseconds(TAKES_S)} one call; {milliseconds(AT_ONCE * TAKES_S)} one after the other",
            f"{many / TAKES_S:.2f}; {many / (AT_ONCE * TAKES_S):.3f}",
        ),
        Figure(
            f"Start of a process with {count} tools set up and none used, median of {STARTS}",
            milliseconds(everything),
            f"{milliseconds(nothing)} the same with tools turned off",
            f"{everything / nothing:.2f}",
        ),
        Figure("SDKs of tools imported by then", ", ".join(imported) or "none", goal="none"),
    ]


def _call(number: int, name: str = "calculator") -> ToolCall:
    return ToolCall(ToolCallId(f"c{number}"), name, SUM)


async def _loop(folder: Path) -> tuple[float, float, float]:
    """A turn with rounds of one call, one without, and the bare call; seconds, medians, taken in turns."""
    a_round: ScriptReply = (_call(1), Finished("tool_calls", None))
    script = [reply for _ in range(TURNS + 1) for reply in (*[a_round] * ROUNDS, answer("Four."), answer("Hello."))]
    box = Toolbox({"calculator": calculator_tool()}, own=frozenset({"calculator"}))
    used: list[float] = []
    plain: list[float] = []
    bare: list[float] = []
    async with running_house(
        folder, RecordingPlatform(), script, toolbox=box, limits=Limits(tool_rounds_max=ROUNDS)
    ) as one:
        for number in range(TURNS + 1):
            for kind, samples in (("sum", used), ("plain", plain)):
                began = time.perf_counter()
                # Another person each time: nobody's past grows.
                _, ending = await one.ask(asks("What is it?", f"{kind}/{number}", _somebody(f"{kind}{number}")))
                samples.append(time.perf_counter() - began)
                assert ending == "answered"
            began = time.perf_counter()
            result = await box.use(Use(_call(1), "mark", WorkspaceId("w"), ActorId("a")))
            bare.append(time.perf_counter() - began)
            assert result.content == "4"
    return median(used[1:]), median(plain[1:]), median(bare[1:])


def _somebody(name: str) -> Address:
    return replace(ME, person=name, thread=name)


class _Slow(RecordingTool):
    async def call(self, use: Use) -> ToolResult:
        await asyncio.sleep(TAKES_S)
        return await super().call(use)


async def _many(folder: Path) -> float:
    a_round: ScriptReply = (*(_call(number, "look") for number in range(AT_ONCE)), Finished("tool_calls", None))
    script = [reply for _ in range(6) for reply in (a_round, answer("Done."))]
    slow = _Slow("read")
    samples: list[float] = []
    limits = Limits(tool_calls_max=AT_ONCE)
    async with running_house(
        folder, RecordingPlatform(), script, toolbox=Toolbox({"look": slow}), limits=limits
    ) as one:
        for number in range(6):
            began = time.perf_counter()
            await one.ask(asks("Look.", str(number), _somebody(str(number))))
            samples.append(time.perf_counter() - began)
    assert slow.calls == 6 * AT_ONCE
    return median(samples[1:])


async def _started(folder: Path, environment: dict[str, str]) -> tuple[float, int, list[str]]:
    arguments = (sys.executable, "-c", STARTED, json.dumps(environment), str(folder), " ".join(SDKS))
    samples: list[float] = []
    out = b""
    for _ in range(STARTS + 1):
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*arguments, cwd=PROJECT, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        samples.append(time.perf_counter() - began)
    count, imported = json.loads(out)
    return median(samples[1:]), count, imported
