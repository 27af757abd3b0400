"""From the start of `carpool chat` to its prompt and to the first word, with the embedded model; and the memory it takes."""

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.figures import Figure, median
from tests.processes import Home
from tests.terminal import ENTER, PROMPT, terminal

STARTS = 7
LOCAL = {"CARPOOL_SCRIPTED": "", "CARPOOL_LOCAL_ENABLED": "true", "CARPOOL_OUTPUT_TOKENS_MAX": "40"}
PROVIDERS = ("openai", "anthropic", "google.genai", "huggingface_hub")


@dataclass(frozen=True, slots=True)
class Start:
    prompt_s: float
    word_s: float
    bytes_max: int


async def starting(folder: Path) -> list[Figure]:
    home = Home(folder, settings=LOCAL)
    await _start(home)  # the first one makes the keys, and reads the files from the disk
    starts = [await _start(home) for _ in range(STARTS)]
    floor = median([await _bare() for _ in range(STARTS)])
    prompt, word = median(start.prompt_s for start in starts), median(start.word_s for start in starts)
    memory = max(start.bytes_max for start in starts) / 1e6
    imported = await _imported(home)
    return [
        Figure(
            "Cold start of `carpool chat` to its prompt, median",
            f"{prompt:.2f} s",
            f"{floor:.2f} s Python with asyncio and sqlite3",
            f"{prompt / floor:.1f}",
            "0.7 s",
        ),
        Figure("The same to the first word of an answer, the question typed at the prompt", f"{word:.2f} s"),
        Figure("Peak memory while it answers, both processes, the weights among it", f"{memory:.0f} MB"),
        Figure("SDKs of providers imported by then", ", ".join(imported) or "none", goal="none"),
    ]


async def _start(home: Home) -> Start:
    began = time.perf_counter()
    # A new conversation each time: the past of the lasting one would grow with each start.
    async with terminal(home, "--new") as (screen, process):
        await screen.sees(PROMPT)
        prompt_s = time.perf_counter() - began
        screen.type(f"Tell me about the sea.{ENTER}")
        await screen.sees("thinking")
        peak = 0
        watching = asyncio.create_task(_watch(process.pid))
        try:
            await screen.sees_letter()
            word_s = time.perf_counter() - began
            await screen.sees(" · ")
            await screen.sees(PROMPT)
            screen.type(f"/quit{ENTER}")
            await asyncio.to_thread(process.wait)
        finally:
            watching.cancel()
            peak = (await asyncio.gather(watching, return_exceptions=True))[0] or 0  # type: ignore[assignment]  # an int
    return Start(prompt_s, word_s, peak)


async def _watch(pid: int) -> int:
    """The most memory that the process and its children held, in bytes."""
    peak = 0
    try:
        while True:
            whole = psutil.Process(pid)
            family = [whole, *whole.children(recursive=True)]
            peak = max(peak, sum(member.memory_info().rss for member in family))
            await asyncio.sleep(0.01)
    except (asyncio.CancelledError, psutil.NoSuchProcess):
        return peak


async def _bare() -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import asyncio, sqlite3")
    await process.wait()
    return time.perf_counter() - began


async def _imported(home: Home) -> list[str]:
    code = "import sys; from bot.__main__ import main; main(sys.argv[1:]); print(*sys.modules)"
    done = await home.run("chat", given=b"hello", program=("-c", code))
    modules = set(done.out.split())
    return [name for name in PROVIDERS if name in modules]
