"""`carpool web` as a place where anybody reads the ledger, without Slack."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.processes import Home, running


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def read(session: ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_the_ledger_is_read_over_http_while_another_process_writes_it(home: Home) -> None:
    await home.run("chat", given=b"hello")
    home.settings = {"CARPOOL_EXPLORER_ENABLED": "true", "PORT": "0"}
    async with running(home, "web") as (process, port), ClientSession() as session:
        url = f"http://127.0.0.1:{port}/v1/ledger/entries"
        before = home.entries()
        assert [shown["entry"] for shown in (await read(session, url))["entries"]] == before
        await home.run("chat", given=b"hello again")
        after = home.entries()
        assert len(after) > len(before)
        assert [shown["entry"] for shown in (await read(session, url))["entries"]] == after
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    assert home.entries() == after, "reading has written nothing"


async def test_slack_that_is_half_set_up_is_still_told_what_is_missing(home: Home) -> None:
    home.settings = {"CARPOOL_EXPLORER_ENABLED": "true", "PORT": "0", "SLACK_BOT_TOKEN": "xoxb-1"}
    done = await home.run("web")
    assert done.status == 2
    assert "Not set: SLACK_SIGNING_SECRET." in done.err
