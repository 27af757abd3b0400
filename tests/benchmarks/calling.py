"""Rounds of calls in a process of their own, which is asked for them over its standard input.

The standard library alone: a peer's environment runs this too.
"""

import asyncio
import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

QUESTION = "What is it?"
PIECES = tuple(f"word{number} " for number in range(20))
"""What each call is answered."""
ANSWER = "".join(PIECES)
BEGINNING_MAX = 50
"""More connections than these are not opened at once: the SDKs wait for one a few seconds only."""
HELD = "held"
"""The model whose answers never end."""

Call: TypeAlias = Callable[[str], AsyncGenerator[str, None]]
"""Asks a model ``QUESTION``, and gives the pieces of text that it answers."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds: of CPU for each call, and the medians of a call and of its first piece."""

    cpu_s: float
    p50_s: float
    first_s: float


async def measured(call: Call, at_once: int, calls: int) -> Round:
    whole: list[float] = []
    first: list[float] = []

    async def converse() -> None:
        for _ in range(calls // at_once):
            began = time.perf_counter()
            pieces: list[str] = []
            async for piece in call("echo"):
                if not pieces:
                    first.append(time.perf_counter() - began)
                pieces.append(piece)
            whole.append(time.perf_counter() - began)
            assert "".join(pieces) == ANSWER

    gc.collect()
    cpu = time.process_time()
    await asyncio.gather(*(converse() for _ in range(at_once)))
    cpu = time.process_time() - cpu
    return Round(cpu / len(whole), statistics.median(whole), statistics.median(first))


async def bytes_a_stream(call: Call, at_once: int) -> float:
    """How much more memory the process holds for each of so many answers, each with its first piece there."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    enough = asyncio.Event()
    beginning = asyncio.Semaphore(BEGINNING_MAX)

    async def listen(begun: asyncio.Future[None]) -> None:
        try:
            async with aclosing(call(HELD)) as pieces:
                async with beginning:
                    assert await anext(pieces) == PIECES[0]
                begun.set_result(None)
                await enough.wait()
        finally:
            if not begun.done():
                begun.set_exception(RuntimeError("an answer did not begin"))

    async def hold(count: int) -> list[asyncio.Task[None]]:
        begun: list[asyncio.Future[None]] = [asyncio.get_running_loop().create_future() for _ in range(count)]
        tasks = [asyncio.create_task(listen(future)) for future in begun]
        await asyncio.gather(*begun)
        return tasks

    listening = await hold(1)  # among them: an SDK lets no more than a thousand connections be open
    gc.collect()
    before = _memory_bytes()
    listening += await hold(at_once - 1)
    gc.collect()
    grown = _memory_bytes() - before
    enough.set()
    await asyncio.gather(*listening)
    return grown / (at_once - 1)


def _memory_bytes() -> int:
    """What the process has in memory now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def serve(calls: Mapping[str, Call]) -> None:
    """Carries out each line of the input, ``NAME AT_ONCE CALLS``, and prints a line for it. No calls: memory is measured."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, at_once, count = line.split()
        if int(count):
            result = asdict(await measured(calls[name], int(at_once), int(count)))
        else:
            result = {"bytes": await bytes_a_stream(calls[name], int(at_once))}
        print(json.dumps(result), flush=True)
