"""Slack under load, over HTTP and with a script in place of a model: how soon events are acknowledged, and whether any is lost.

A smaller run, to see it work: ``python -m tests.benchmarks.slack_load --events 2000 --restarts 3 --seconds 3 --idle 500``.
"""

import argparse
import asyncio
import itertools
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiohttp import ClientError, ClientSession, TCPConnector

from tests.benchmarks.figures import Figure, milliseconds, percentile
from tests.fakes.slack_server import IM, PERSON, TEAM, SlackServer, running_slack_server
from tests.processes import Home, running
from tests.slack_workspace import BOT_TOKEN, SECRET, Signed, Workspace, envelope, workspace_at

RATE = 200
ACK_S_MAX = 3.0
"""Slack delivers again what is acknowledged later."""

RATE_STEP = 2.0
RATE_MAX = 6_400
AT_ONCE = 64
AGAIN_EVERY = 10
"""Of so many events one is delivered twice."""

RETRY_S = 0.05
DRAINED_S_MAX = 3_600.0
WARM = 200
LOST = "and the answer is lost"


@dataclass(frozen=True, slots=True)
class Size:
    """``seconds`` of each rate; ``events`` with ``restarts`` in between; ``idle`` conversations that are weighed."""

    seconds: int = 30
    events: int = 100_000
    restarts: int = 20
    idle: int = 10_000


@dataclass
class Load:
    """People who each begin a conversation of their own with one question, and the program that they ask."""

    server: SlackServer
    workspace: Workspace
    home: Home
    session: ClientSession
    url: str = ""
    pid: int = 0
    asked: list[str] = field(default_factory=list)
    _times: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns() // 1_000))

    def ask(self) -> Signed:
        """A question that somebody wrote: it stands in Slack, and Slack is about to tell of it."""
        micros = next(self._times)
        ts = f"{micros // 1_000_000}.{micros % 1_000_000:06}"
        self.asked.append(ts)
        self.server.messages[IM].append({"type": "message", "user": PERSON, "ts": ts, "text": "hello"})
        return envelope(self.workspace.direct("hello", ts))

    async def deliver(self, event: Signed) -> bool:
        """Whether it was acknowledged."""
        try:
            async with self.session.post(self.url, data=event.body, headers=event.headers) as answer:
                await answer.read()
                return answer.status == 200
        except (ClientError, OSError):
            return False

    async def insist(self, event: Signed) -> None:
        """Deliver it until it is acknowledged, as Slack does, though sooner."""
        while not await self.deliver(event):
            await asyncio.sleep(RETRY_S)  # another process

    @asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        async with running(self.home, "web") as (process, port):
            assert port, "the program did not start"
            assert process.stderr is not None
            # What it logs has to be read, or it waits to be.
            reading = asyncio.create_task(_drain(process.stderr))
            self.url, self.pid = f"http://127.0.0.1:{port}/slack/events", process.pid
            try:
                yield
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def drained(self) -> None:
        """Wait until everybody has an answer."""
        async with asyncio.timeout(DRAINED_S_MAX):
            while not self.home.finished() or self.answers().keys() < set(self.asked):
                await asyncio.sleep(0.2)  # another process: nothing here is told when all is done

    def answers(self) -> Counter[str]:
        """How many messages of CarPool stand in each thread."""
        return Counter(message["thread_ts"] for message in self.server.messages[IM] if "thread_ts" in message)


async def _drain(lines: asyncio.StreamReader) -> None:
    while await lines.read(65_536):
        pass


@asynccontextmanager
async def loaded(folder: Path) -> AsyncIterator[Load]:
    async with (
        running_slack_server() as server,
        workspace_at(server.api_url) as workspace,
        ClientSession(connector=TCPConnector(limit=0)) as session,
    ):
        settings = {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": server.api_url,
            "PORT": "0",
            # How long the queue may be is the operator's to say, and not what is measured.
            "CARPOOL_QUEUE_LENGTH_MAX": "1000000",
        }
        assert workspace.team == TEAM
        yield Load(server, workspace, Home(folder, settings=settings), session)


async def offered(load: Load, rate: float, seconds: int) -> list[float]:
    """So many events a second, whether those before are acknowledged or not. Seconds from when each was due; an event that
    was not acknowledged counts as endless."""
    began = time.perf_counter()

    async def one(due: float) -> float:
        event = load.ask()
        if await load.deliver(event):
            return time.perf_counter() - due
        await load.insist(event)
        return float("inf")

    sent: list[asyncio.Task[float]] = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (wait_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        sent.append(asyncio.create_task(one(due)))
    return await asyncio.gather(*sent)


async def rates(folder: Path, seconds: int) -> list[Figure]:
    async with loaded(folder) as load, load.started():
        await offered(load, 20, 2)
        samples = await offered(load, RATE, seconds)
        await load.drained()
        best, worst, rate = 0.0, 0.0, float(RATE)
        acknowledged = samples
        while percentile(acknowledged, 99) < ACK_S_MAX:
            best, worst = rate, percentile(acknowledged, 99)
            if rate >= RATE_MAX:
                break
            rate *= RATE_STEP
            acknowledged = await offered(load, rate, seconds)
            await load.drained()
        # Between the last rate that held and the first that did not.
        for _ in range(2):
            if rate <= best:
                break
            middle = (best + rate) / 2
            acknowledged = await offered(load, middle, seconds)
            await load.drained()
            if percentile(acknowledged, 99) < ACK_S_MAX:
                best, worst = middle, percentile(acknowledged, 99)
            else:
                rate = middle
    p50, p99 = (milliseconds(percentile(samples, percent)) for percent in (50, 99))
    return [
        Figure(f"Acknowledgement at {RATE} Slack events/s offered for {seconds} s, p50 / p99", f"{p50} / {p99}"),
        Figure(
            f"Highest rate of Slack events with p99 of the acknowledgement below {ACK_S_MAX:.0f} s",
            f"{best:.0f}/s (p99 {milliseconds(worst)})",
        ),
    ]


async def restarts(folder: Path, events: int, times: int) -> list[Figure]:
    """Events with SIGKILL in between; what is not acknowledged, and some that are, is delivered again as Slack does it."""
    async with loaded(folder) as load:
        left, kill_at = itertools.count(), {events * (number + 1) // (times + 1) for number in range(times)}
        over = asyncio.Event()

        async def person() -> None:
            while (number := next(left)) < events:
                event = load.ask()
                if number in kill_at:
                    with suppress(ProcessLookupError):  # it is being started anew
                        os.kill(load.pid, signal.SIGKILL)
                await load.insist(event)
                if number % AGAIN_EVERY == 0:
                    await load.deliver(event)

        async def kept_running() -> None:
            while not over.is_set():
                async with load.started():
                    died = asyncio.create_task(_until_dead(load.pid))
                    done = asyncio.create_task(over.wait())
                    await asyncio.wait({died, done}, return_when=asyncio.FIRST_COMPLETED)
                    for task in (died, done):
                        task.cancel()
                        with suppress(asyncio.CancelledError):
                            await task

        running_ = asyncio.create_task(kept_running())
        while not load.url:
            await asyncio.sleep(RETRY_S)  # another process
        began = time.perf_counter()
        await asyncio.gather(*(person() for _ in range(AT_ONCE)))
        await load.drained()
        took_s = time.perf_counter() - began
        over.set()
        await running_
        answers = load.answers()
        cut = sum(1 for message in load.server.messages[IM] if LOST in message["text"])
    lost = sum(1 for ts in load.asked if not answers[ts])
    doubled = sum(1 for ts in load.asked if answers[ts] > 1)
    return [
        Figure(
            f"Of {events:,} Slack events with {times} restarts by SIGKILL: lost / doubled",
            f"{lost} / {doubled}",
            f"{cut} told that a restart cost the answer; {events / took_s:.0f} answers/s",
            goal="0 / 0",
        )
    ]


async def _until_dead(pid: int) -> None:
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        await asyncio.sleep(RETRY_S)  # another process


async def idle(folder: Path, conversations: int) -> list[Figure]:
    async with loaded(folder) as load, load.started():
        process = psutil.Process(load.pid)
        await offered(load, 100, WARM // 100)
        await load.drained()
        before = process.memory_info().rss
        for _ in range(0, conversations, AT_ONCE):
            await asyncio.gather(*(load.insist(load.ask()) for _ in range(AT_ONCE)))
        await load.drained()
        grown = process.memory_info().rss - before
    return [
        Figure(
            f"Memory of an idle Slack conversation, over {conversations:,}",
            f"{grown / conversations / 1024:.2f} KiB",
            f"{before / 2**20:.0f} MiB before the first",
        )
    ]


async def slack_load(folder: Path, size: Size = Size()) -> list[Figure]:
    return [
        *await rates(folder / "rates", size.seconds),
        *await idle(folder / "idle", size.idle),
        *await restarts(folder / "restarts", size.events, size.restarts),
    ]


async def main(size: Size) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for figure in await slack_load(Path(folder), size):
            sys.stdout.write(f"{figure.what}: {figure.value}. {figure.peer}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("seconds", "events", "restarts", "idle"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Size(), name))
    given = parser.parse_args()
    asyncio.run(main(Size(given.seconds, given.events, given.restarts, given.idle)))
