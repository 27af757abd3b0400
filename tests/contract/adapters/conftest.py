"""What tests of models on this machine share."""

import asyncio
from asyncio.subprocess import Process
from typing import Any

import pytest


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The processes that were started, as they come."""
    processes: list[Process] = []
    start = asyncio.create_subprocess_exec

    async def recorded(*arguments: Any, **settings: Any) -> Process:
        processes.append(await start(*arguments, **settings))
        return processes[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", recorded)
    return processes
