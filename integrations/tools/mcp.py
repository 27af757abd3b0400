"""The tools of MCP servers, through the official SDK: a program that is started (stdio), or an address (streamable HTTP).

Each use has a connection of its own: a server that hangs or dies takes nothing with it, and none keeps running unused. So a
server remembers nothing from one use to the next. What a server says, descriptions too, is data. What changes nothing is what
the server says so of (``readOnlyHint``); everything else is a write, and a write that was cut off cannot be looked for.
"""

import json
import logging
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from adapters.messages import Json, JsonObject, ToolCall, ToolResult, ToolSpec
from integrations.sentence import Sentence, Told
from integrations.tools.base import BadAnswer, Invalid, Preview, Tool, ToolError, ToolLimits, Unavailable, Unknown, Use
from integrations.tools.status import error_of

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, ContentBlock
    from mcp_types import Tool as Described

log = logging.getLogger(__name__)

TOOLS_MAX = 200
PAGES_MAX = 50
DESCRIPTION_CHARS_MAX = 1_000
NAME_CHARS_MAX = 64
LIMITS = ToolLimits(timeout_s=60.0)


@dataclass(frozen=True, slots=True)
class McpServer:
    """Either ``command`` with its arguments, or ``url``. ``environment`` is all that a program gets beside the SDK's own few
    variables, ``token`` what an address is asked with. ``distrusted``: whatever it says of its tools, each one is a write."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str = field(default="", repr=False)
    distrusted: bool = False


async def mcp_tools(server: McpServer) -> Mapping[str, Tool]:
    """What the server has now, by the name that models see. Raises ``ToolError``."""
    found: list[Described] = []
    async with _connected(server) as client:
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if not cursor or len(found) >= TOOLS_MAX:
                break
    tools: dict[str, Tool] = {}
    for described in found[:TOOLS_MAX]:
        name = _name(server.name, described.name)
        if name in tools:
            log.warning("two tools of the MCP server %s have the name %s; the first one counts", server.name, name)
            continue
        tools[name] = McpTool(server, described.name, _spec(server, name, described))
    return tools


def _name(server: str, tool: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{tool}")[:NAME_CHARS_MAX]


def _spec(server: McpServer, name: str, described: "Described") -> ToolSpec:
    said_so = described.annotations is not None and described.annotations.read_only_hint is True
    about = (described.description or described.title or described.name)[:DESCRIPTION_CHARS_MAX]
    effect: Literal["read", "write"] = "read" if said_so and not server.distrusted else "write"
    return ToolSpec(name, about, without_patterns(described.input_schema), effect)


_DATA = frozenset({"enum", "const", "default", "examples"})
_NAMED = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_BY_PATTERN = frozenset({"pattern", "patternProperties"})
_ALL_OTHERS = frozenset({"additionalProperties", "unevaluatedProperties"})


def without_patterns(schema: JsonObject) -> JsonObject:
    """A JSON Schema without its regular expressions: one of somebody else's may take for ever on a text that a model made, and a
    match cannot be stopped. The server checks by itself what it gets.

    Where there were patterns for names, other names are let through.
    """
    left_out = _BY_PATTERN | (_ALL_OTHERS if "patternProperties" in schema else frozenset())
    return {key: _within(key, value) for key, value in schema.items() if key not in left_out}


def _within(key: str, value: Json) -> Json:
    if key in _DATA:
        return value
    if key in _NAMED and isinstance(value, Mapping):
        return {name: _schema(part) for name, part in value.items()}
    return _schema(value)


def _schema(value: Json) -> Json:
    if isinstance(value, Mapping):
        return without_patterns(value)
    return [_schema(part) for part in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class McpTool:
    server: McpServer
    tool: str
    """Its name at the server."""
    spec: ToolSpec
    limits: ToolLimits = LIMITS
    service: str = ""

    async def call(self, use: Use) -> ToolResult:
        async with _connected(self.server) as client:
            result = await client.call_tool(self.tool, dict(use.call.arguments))
        return ToolResult(use.call.id, _said(result), result.is_error)

    @property
    def undoes(self) -> bool:
        return False

    def undo(self, call: ToolCall, result: ToolResult) -> ToolCall | None:
        return None

    async def preview(self, use: Use) -> Preview:
        """The names are the server's own words, so that they stand where a person sees that they are quoted."""
        fields = (
            (Sentence("Tool"), self.tool),
            *(_argument(name, value) for name, value in use.call.arguments.items()),
        )
        title = Sentence("Use a tool of the MCP server {0}", (self.server.name,))
        return Preview(title, fields, irreversible=Sentence("What it does cannot be taken back from here."))

    async def look(self, use: Use) -> ToolResult | None:
        if self.spec.effect == "read":
            return None
        raise Unknown(f"{self.server.name}: no marks", "An MCP server cannot be asked what became of a call.")


_ORDINARY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")


def _argument(name: str, value: object) -> tuple[Told, Told]:
    """What is no word alone could be taken for one of CarPool's sentences."""
    return (name, _plain(value)) if _ORDINARY.fullmatch(name) else (Sentence("Argument"), f"{name}: {_plain(value)}")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _said(result: "CallToolResult") -> str:
    if not result.content and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(map(_text, result.content)) or "(nothing)"


def _text(block: "ContentBlock") -> str:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return f"[{block.type}, {block.mime_type}, {len(block.data) * 3 // 4:,} bytes]"
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
        case "resource":
            text = getattr(block.resource, "text", None)
            return text if isinstance(text, str) else f"[{block.resource.uri}]"


@asynccontextmanager
async def _connected(server: McpServer) -> "AsyncIterator[Client]":
    """Raises ``ToolError`` alone, from the block too: every error of the SDK and of what it calls with becomes one here."""
    import httpx2
    from anyio import BrokenResourceError, ClosedResourceError
    from mcp import Client, MCPError, StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from pydantic import ValidationError

    try:
        async with AsyncExitStack() as stack:
            if server.command:
                program, *arguments = server.command
                started = StdioServerParameters(command=program, args=arguments, env=dict(server.environment))
                # What a server writes to its standard error may hold anything, and is nobody's to read here.
                nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: ASYNC230, SIM115 - of the null device; the stack closes it
                transport = stdio_client(started, nowhere)
            else:
                headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
                http = httpx2.AsyncClient(headers=headers, timeout=LIMITS.timeout_s, trust_env=False)
                transport = streamable_http_client(server.url, http_client=await stack.enter_async_context(http))
            yield await stack.enter_async_context(Client(transport, read_timeout_seconds=LIMITS.timeout_s))
    except (MCPError, httpx2.HTTPError, OSError, BrokenResourceError, ClosedResourceError, ValidationError) as error:
        raise _ours(server, error) from error
    except ExceptionGroup as group:
        errors = _leaves(group)
        ours = [error for error in errors if isinstance(error, ToolError)]
        raise ours[0] if ours else _ours(server, errors[0]) from group


def _leaves(group: ExceptionGroup[Exception]) -> Sequence[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, ExceptionGroup) else [error]
    return found


def _ours(server: McpServer, error: Exception) -> ToolError:
    import httpx2
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS

    who = f"The MCP server {server.name}"
    if isinstance(error, ToolError):
        return error
    if isinstance(error, httpx2.HTTPStatusError):
        return error_of(who, error.response.status_code)
    if isinstance(error, httpx2.HTTPError | OSError):
        return Unavailable(f"{who}: {error!r}", "{0} cannot be reached at the moment.", who)
    if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED:
        return Unavailable(f"{who}: {error}", "{0} broke off.", who)
    if isinstance(error, MCPError) and error.code == INVALID_PARAMS:
        return Invalid(f"{who}: {error}", "{0} does not accept these arguments.", who)
    if isinstance(error, MCPError):
        return BadAnswer(f"{who}: {error.code} {error}", "{0} did not do what it was asked.", who)
    return BadAnswer(f"{who}: {error!r}", "{0} gave an answer that was not expected.", who)
