"""The operator's file of MCP servers.

[wiki]
url = "https://wiki.example/mcp"
token = "..."

[files]
command = ["files-server", "--read-only"]
environment = { FILES_ROOT = "/srv/files" }
every_tool_writes = true     # whatever it says of its tools: each is asked about first
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.readers import file
from bot.readers import url as address
from bot.secret import Secret

KEYS = frozenset({"command", "url", "environment", "token", "every_tool_writes"})


@dataclass(frozen=True, slots=True)
class ServerTable:
    """Either ``command`` or ``url`` is there. What the environment holds may be a secret, so that all of it is one."""

    name: str
    command: tuple[str, ...]
    url: str
    environment: Mapping[str, Secret]
    token: Secret
    every_tool_writes: bool


def mcp_servers(given: str) -> tuple[ServerTable, ...]:
    """Raises ``ValueError``, which says what is wrong and holds no value of the file."""
    path = file(given)
    if path is None:
        return ()
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return tuple(_server(name, table) for name, table in tables.items())


def _server(name: str, table: object) -> ServerTable:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name) or not isinstance(table, dict):
        raise ValueError("each server is a table, whose name has up to 32 letters, digits, - and _")
    if strangers := table.keys() - KEYS:
        raise ValueError(f"{name} has {min(strangers)}, which there is not")
    command, url, token = table.get("command", []), table.get("url", ""), table.get("token", "")
    environment = table.get("environment", {})
    if not isinstance(command, list) or not isinstance(environment, dict):
        raise ValueError(f"of {name}, command is a list, and environment a table")
    if not all(isinstance(text, str) for text in (*command, *environment.values(), url, token)):
        raise ValueError(f"{name} has a value that is no text")
    if bool(command) == bool(url):
        raise ValueError(f"{name} needs either command or url")
    if (url and environment) or (command and token):
        raise ValueError(f"of {name}, environment goes with command, and token with url")
    every_tool_writes = table.get("every_tool_writes", False)
    if not isinstance(every_tool_writes, bool):
        raise ValueError(f"every_tool_writes of {name} is true or false")
    secrets = {variable: Secret(value) for variable, value in environment.items()}
    return ServerTable(name, tuple(command), address(url), secrets, Secret(token), every_tool_writes)
