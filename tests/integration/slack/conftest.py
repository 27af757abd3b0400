"""The fake Slack, and a workspace to talk in."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.slack_server import SlackServer, running_slack_server
from tests.slack_workspace import Workspace, workspace_at


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with running_slack_server() as server:
        yield server


@pytest.fixture
async def workspace(server: SlackServer) -> AsyncIterator[Workspace]:
    async with workspace_at(server.api_url) as workspace:
        yield workspace
