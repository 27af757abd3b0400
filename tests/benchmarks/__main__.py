"""`make bench`: each figure beside a floor or a peer of the same run, as a table, and into RESULTS.md."""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.adapters import adapters
from tests.benchmarks.discord_streams import discord_streams
from tests.benchmarks.figures import Figure, machine
from tests.benchmarks.ledger import ledger
from tests.benchmarks.lucidia import lucidia
from tests.benchmarks.payments import matching, payments
from tests.benchmarks.postgres import postgres
from tests.benchmarks.slack import slack
from tests.benchmarks.slack_load import slack_load
from tests.benchmarks.slack_streams import slack_streams
from tests.benchmarks.starting import starting
from tests.benchmarks.store import store
from tests.benchmarks.tools import tools
from tests.benchmarks.turn import turn
from tests.benchmarks.verification import verification
from tests.benchmarks.webhooks import webhooks

RESULTS = Path(__file__).parent / "RESULTS.md"
BENCHMARKS: dict[str, Callable[[Path], Awaitable[list[Figure]]]] = {
    "turn": turn,
    "slack": slack,
    "slack_streams": slack_streams,
    "discord_streams": discord_streams,
    "slack_load": slack_load,
    "lucidia": lucidia,
    "adapters": adapters,
    "tools": tools,
    "payments": payments,
    "webhooks": webhooks,
    "matching": matching,
    "starting": starting,
    "store": store,
    "postgres": postgres,
    "ledger": ledger,
    "verification": verification,
}
COLUMNS = ("What", "CarPool", "Beside it, in the same run", "Ratio", "Goal")


def table(figures: list[Figure]) -> str:
    rows = [COLUMNS, tuple("---" for _ in COLUMNS)]
    rows += [(figure.what, figure.value, figure.peer, figure.ratio, figure.goal) for figure in figures]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


async def main(names: list[str]) -> None:
    figures: list[Figure] = []
    for name in names or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            figures += await BENCHMARKS[name](Path(folder))
    print(table(figures))
    if not names:  # a part of the figures is no result
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        heading = f"# Figures\n\nMade by `make bench` on {today}: {machine()}."
        RESULTS.write_text(f"{heading}\n\n{table(figures)}\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
