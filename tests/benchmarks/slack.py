"""From a signed event over HTTP to its 200, beside Bolt without any storage, and beside one fdatasync."""

import asyncio
import sys
import time
from pathlib import Path

from aiohttp import ClientSession

from tests.benchmarks.figures import Figure, fdatasync_samples, p50_p99, percentile
from tests.fakes.slack_server import running_slack_server
from tests.processes import Home, running
from tests.slack_workspace import BOT_TOKEN, SECRET, Signed, Workspace, envelope, workspace_at

EVENTS = 400
WARM = 40
BETWEEN_S = 0.03
"""Time for the turn of one event, so that the next one is not measured behind it."""


async def slack(folder: Path) -> list[Figure]:
    async with running_slack_server() as server, workspace_at(server.api_url) as workspace:
        settings = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_SIGNING_SECRET": SECRET, "SLACK_API_URL": server.api_url}
        home = Home(folder / "carpool", settings={**settings, "PORT": "0"})
        async with running(home, "web") as (_, port):
            ours = await _deliver(f"http://127.0.0.1:{port}/slack/events", workspace)
        bare = Home(folder / "bare", settings=settings)
        worker = ("-m", "tests.benchmarks.bare_bolt")
        async with running(bare, program=worker) as (_, port):
            bolt = await _deliver(f"http://127.0.0.1:{port}/slack/events", workspace)
    disk = fdatasync_samples(folder, EVENTS)
    return [
        Figure(
            "Acceptance of a signed Slack event, HTTP to durable to 200, p50 / p99",
            p50_p99(ours),
            f"{p50_p99(bolt)} bare Bolt, nothing stored",
            f"{percentile(ours, 50) / percentile(bolt, 50):.2f} / {percentile(ours, 99) / percentile(bolt, 99):.2f}",
        ),
        Figure(
            "The same, beside one fdatasync of 4 KiB",
            p50_p99(ours),
            f"{p50_p99(disk)} one fdatasync",
            f"{percentile(ours, 50) / percentile(disk, 50):.2f} / {percentile(ours, 99) / percentile(disk, 99):.2f}",
        ),
    ]


async def _deliver(url: str, workspace: Workspace) -> list[float]:
    samples: list[float] = []
    async with ClientSession() as session:
        for number in range(WARM + EVENTS):
            event = envelope(workspace.direct("What is it?", f"{time.time_ns()}.{number:06}"))
            took = await _post(session, url, event)
            if number >= WARM:
                samples.append(took)
            await asyncio.sleep(BETWEEN_S)
    return samples


async def _post(session: ClientSession, url: str, event: Signed) -> float:
    began = time.perf_counter()
    async with session.post(url, data=event.body, headers=event.headers) as answer:
        await answer.read()
        assert answer.status == 200, sys.stderr.write(str(answer))
    return time.perf_counter() - began
