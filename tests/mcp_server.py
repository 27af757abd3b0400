"""An MCP server made with the official SDK: `python -m tests.mcp_server stdio`, or `... http PORT`."""

import os
import sys

from mcp.server import MCPServer
from mcp_types import ToolAnnotations


def server() -> MCPServer:
    made = MCPServer("tests")
    written: list[str] = []

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(first: int, second: int) -> str:
        """Adds two numbers."""
        return str(first + second)

    @made.tool()
    def write(text: str) -> str:
        """Writes something down."""
        written.append(text)
        return f"Wrote: {text}"

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    def fail() -> str:
        """Fails."""
        raise ValueError("The well is dry.")

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    def long(size: int) -> str:
        """Says a lot."""
        return "ä" * size

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    def die() -> str:
        """Ends the server."""
        os._exit(3)

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def hang() -> str:
        """Never answers."""
        import asyncio

        await asyncio.Event().wait()
        return ""

    return made


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server().run("stdio")
    else:
        server().run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
