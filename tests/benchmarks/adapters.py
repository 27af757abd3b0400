"""What an adapter costs, beside its SDK alone and beside LiteLLM, each calling a server that answers at once with 20 pieces."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.calling import Round
from tests.benchmarks.figures import Figure, median, milliseconds

PROJECT = Path(__file__).parents[2]
LITELLM = PROJECT / ".venv-litellm" / "bin" / "python"
INTERFACES: Mapping[str, str] = {
    "completions": "OpenAI, chat completions",
    "responses": "OpenAI, Responses",
    "messages": "Anthropic",
    "gemini": "Google",
}
KINDS = ("ours", "bare", "litellm")
CALLS: Mapping[int, int] = {1: 40, 32: 160}
"""How many calls a round has, by how many are made at once."""
ROUNDS = 5
STREAMS = 1_000
PEERS_OF_STREAMS = {"completions": KINDS, "messages": KINDS[:2]}


@dataclass(frozen=True, slots=True)
class Worker:
    process: asyncio.subprocess.Process

    async def ask(self, name: str, at_once: int, calls: int) -> dict[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name} {at_once} {calls}\n".encode())
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker for {name} has ended")
        result: dict[str, float] = json.loads(line)
        return result


async def adapters(folder: Path) -> list[Figure]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(_process(sys.executable, "-m", "tests.benchmarks.echo_server"))
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(await server.stdout.readline())}"
        mine = Worker(await stack.enter_async_context(_worker("ours", url)))
        workers = {"ours": mine, "bare": mine}
        workers["litellm"] = Worker(await stack.enter_async_context(_worker("litellm", url)))
        figures = [await _overhead(workers, interface, at_once) for interface in INTERFACES for at_once in CALLS]
        return figures + [await _memory(interface, url) for interface in PEERS_OF_STREAMS]


async def _overhead(workers: Mapping[str, Worker], interface: str, at_once: int) -> Figure:
    rounds: dict[str, list[Round]] = {kind: [] for kind in KINDS}
    for kind in KINDS:  # warm
        await workers[kind].ask(f"{interface}/{kind}", at_once, at_once)
    # One after the other in turn, so that whatever else the machine does meets all of them.
    for _ in range(ROUNDS):
        for kind in KINDS:
            rounds[kind].append(Round(**await workers[kind].ask(f"{interface}/{kind}", at_once, CALLS[at_once])))
    ours, bare, litellm = (_middle(rounds[kind]) for kind in KINDS)
    return Figure(
        f"{INTERFACES[interface]}, {at_once} at once: calls a second on one core / p50 / first token",
        _said(ours),
        f"{_said(bare)} its SDK alone; {_said(litellm)} LiteLLM",
        f"{_times(ours, bare)}; {_times(ours, litellm)} of the time",
        "1.1; 0.5",
    )


async def _memory(interface: str, url: str) -> Figure:
    """Each in a new process: memory that was held once is not given back."""
    kinds = PEERS_OF_STREAMS[interface]
    grown: list[float] = []
    for kind in kinds:
        async with _worker(kind, url) as process:
            grown.append((await Worker(process).ask(f"{interface}/{kind}", STREAMS, 0))["bytes"])
    said = [f"{size / 1024:.0f} KiB" for size in grown]
    peers = ("its SDK alone", "LiteLLM")[: len(kinds) - 1]
    return Figure(
        f"{INTERFACES[interface]}, {STREAMS:,} answers at once: memory for each",
        said[0],
        "; ".join(f"{size} {peer}" for size, peer in zip(said[1:], peers, strict=True)),
        " / ".join(f"{grown[0] / size:.2f}" for size in grown[1:]),
    )


def _middle(rounds: list[Round]) -> Round:
    return Round(
        median(one.cpu_s for one in rounds), median(one.p50_s for one in rounds), median(one.first_s for one in rounds)
    )


def _said(round_: Round) -> str:
    return f"{1 / round_.cpu_s:,.0f} / {milliseconds(round_.p50_s)} / {milliseconds(round_.first_s)}"


def _times(ours: Round, theirs: Round) -> str:
    cpu, p50, first = ours.cpu_s / theirs.cpu_s, ours.p50_s / theirs.p50_s, ours.first_s / theirs.first_s
    return f"{cpu:.2f} / {p50:.2f} / {first:.2f}"


def _worker(kind: str, url: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    if kind != "litellm":
        return _process(sys.executable, "-m", "tests.benchmarks.adapter_worker", url)
    # Without the first it would fetch its prices at import; without the second the stream after the 500th would wait for ever.
    settings = ("LITELLM_LOCAL_MODEL_COST_MAP=True", f"AIOHTTP_CONNECTOR_LIMIT_PER_HOST={STREAMS}")
    return _process("env", *settings, str(LITELLM), "-m", "tests.benchmarks.litellm_streams", url)


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*arguments, cwd=PROJECT, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
