"""GitHub as the emulator ``emulate`` plays it, with a repository that has a file, a branch and a pull request."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.messages import Json, ToolCall, ToolCallId
from integrations.tools.base import Preview, Tool, Toolbox, Use
from ledger.pseudonyms import ActorId, WorkspaceId
from tests.emulators import PORT, running_emulator

TOKEN = "test_token_anna"
REPOSITORY = "anna/house"
CLIENT_ID, CLIENT_SECRET, BACK = "Iv1.carpool", "github-secret", "https://carpool.example/connect/callback"


@asynccontextmanager
async def emulated_github(folder: Path) -> AsyncIterator[str]:
    """Gives its base URL."""
    seed = folder / "github-seed.json"
    config = {
        "tokens": {TOKEN: {"login": "anna", "scopes": ["repo", "user"]}},
        "github": {
            "users": [{"login": "anna", "name": "Anna", "email": "anna@example.com"}],
            "repos": [{"owner": "anna", "name": "house", "auto_init": True}],
            "oauth_apps": [
                {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "name": "CarPool", "redirect_uris": [BACK]}
            ],
        },
    }
    seed.write_text(json.dumps(config), encoding="utf-8")
    async with running_emulator(
        "emulate", "start", "-s", "github", "-p", PORT, "--seed", str(seed), "--base-url", f"http://127.0.0.1:{PORT}"
    ) as url:
        yield url


def fields_of(preview: Preview) -> tuple[tuple[str, str], ...]:
    """As they are said in English."""
    return tuple((str(name), str(value)) for name, value in preview.fields)


def use_of(name: str, arguments: Mapping[str, Json], mark: str = "turn/1/call") -> Use:
    return Use(ToolCall(ToolCallId("call"), name, arguments), mark, WorkspaceId("w"), ActorId("a"))


async def done(tools: Mapping[str, Tool], name: str, arguments: Mapping[str, Json], mark: str = "turn/1/call") -> str:
    """What the tool says. Fails the test where the tool failed."""
    result = await Toolbox(tools).use(use_of(name, {"repository": REPOSITORY, **arguments}, mark))
    assert not result.failed, result.content
    return result.content
