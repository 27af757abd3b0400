"""The CPU that a whole turn takes, beside one call of LiteLLM's router to a server that answers at once."""

import asyncio
import json
import sys
from pathlib import Path

from tests.benchmarks.figures import Figure, milliseconds

PROJECT = Path(__file__).parents[2]
LITELLM = PROJECT / ".venv-litellm" / "bin" / "python"
CONVERSATIONS = 100
TURNS_EACH = 20


async def turn(folder: Path) -> list[Figure]:
    ours = await _run(sys.executable, "-m", "tests.benchmarks.turn_worker", str(folder), CONVERSATIONS, TURNS_EACH)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.echo_server", cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        port = int(await server.stdout.readline())
        worker = str(Path(__file__).parent / "litellm_worker.py")
        # Without this it would fetch its prices at import.
        offline = ("env", "LITELLM_LOCAL_MODEL_COST_MAP=True")
        theirs = await _run(*offline, str(LITELLM), worker, f"http://127.0.0.1:{port}/v1", CONVERSATIONS, TURNS_EACH)
    finally:
        server.kill()
        await server.communicate()
    mine, other = ours["cpu_s"] / ours["turns"], theirs["cpu_s"] / theirs["turns"]
    rate = f"{ours['turns'] / ours['wall_s']:.0f} turns a second"
    return [
        Figure(
            f"CPU of a whole turn, {CONVERSATIONS} conversations at once ({rate})",
            milliseconds(mine),
            f"{milliseconds(other)} one `litellm.Router.acompletion`",
            f"{mine / other:.2f}",
            "below 1",
        )
    ]


async def _run(*arguments: object) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(str(argument) for argument in arguments), cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{arguments[1:3]} ended with {process.returncode}")
    result: dict[str, float] = json.loads(out.splitlines()[-1])
    return result
