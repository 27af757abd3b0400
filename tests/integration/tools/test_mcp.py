"""The tools of an MCP server made with the official SDK, over both transports."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from integrations.tools.base import Toolbox, ToolLimits, Unavailable, Unknown
from integrations.tools.mcp import McpServer, McpTool, mcp_tools
from tests.emulators import free_port
from tests.github_emulator import use_of

ROOT = str(Path(__file__).parents[3])
STDIO = McpServer("t", (sys.executable, "-m", "tests.mcp_server", "stdio"), environment={"PYTHONPATH": ROOT})


@asynccontextmanager
async def serving(transport: str) -> AsyncIterator[McpServer]:
    if transport == "stdio":
        yield STDIO
        return
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.mcp_server", "http", str(port)),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async for line in process.stderr:
            if b"running on" in line:
                break
        yield McpServer("t", url=f"http://127.0.0.1:{port}/mcp")
    finally:
        with suppress(ProcessLookupError):  # `t_die` ends the server, and asyncio may know of it already.
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_the_tools_of_a_server_are_used(transport: str) -> None:
    async with serving(transport) as server:
        box = Toolbox(await mcp_tools(server))
        effects = {name: tool.spec.effect for name, tool in box.tools.items()}
        assert effects["t_add"] == "read"
        assert effects["t_write"] == "write"  # nothing is said of it, and that is what counts
        assert (await box.use(use_of("t_add", {"first": 2, "second": 3}))).content == "5"
        assert (await box.use(use_of("t_write", {"text": "Grüße"}))).content == "Wrote: Grüße"
        refused = await box.use(use_of("t_add", {"first": "x"}))
        assert "do not fit" in refused.content
        failed = await box.use(use_of("t_fail", {}))
        assert failed.failed
        died = await box.use(use_of("t_die", {}))
        assert died.failed


async def test_of_a_server_that_is_not_trusted_each_tool_is_a_write() -> None:
    async with serving("http") as server:
        tools = await mcp_tools(replace(server, distrusted=True))
    assert {tool.spec.effect for tool in tools.values()} == {"write"}


async def test_a_server_that_hangs_is_left_in_time_and_the_next_use_has_another() -> None:
    async with serving("http") as server:
        tools = await mcp_tools(server)
        hanging = tools["t_hang"]
        assert isinstance(hanging, McpTool)
        box = Toolbox({**tools, "t_hang": replace(hanging, limits=ToolLimits(timeout_s=1.0))})
        result = await box.use(use_of("t_hang", {}))
        assert result.content == "t_hang took longer than 1 seconds."
        assert (await box.use(use_of("t_add", {"first": 2, "second": 3}))).content == "5"


async def test_what_became_of_a_write_is_unknown() -> None:
    async with serving("http") as server:
        box = Toolbox(await mcp_tools(server))
        assert await box.look(use_of("t_add", {"first": 1, "second": 1})) is None
        with pytest.raises(Unknown):
            await box.look(use_of("t_write", {"text": "x"}))


@pytest.mark.parametrize(
    "server",
    [
        McpServer("gone", url="http://127.0.0.1:9/mcp"),
        McpServer("none", ("/nowhere/server",)),
        McpServer("quits", (sys.executable, "-c", "")),
    ],
    ids=["no address", "no program", "a program that ends"],
)
async def test_a_server_that_is_not_there_is_one_sentence(server: McpServer) -> None:
    with pytest.raises(Unavailable) as raised:
        await mcp_tools(server)
    assert raised.value.sentence.startswith(f"The MCP server {server.name} ")
