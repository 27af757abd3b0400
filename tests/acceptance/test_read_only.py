"""Scenario S44 with the program as a process: a row is edited while it is at work. It records nothing more until all is whole."""

import sqlite3
from asyncio.subprocess import Process
from contextlib import closing
from pathlib import Path

from aiohttp import ClientSession

from bot.errors import READ_ONLY
from tests.fakes.slack_server import IM, SlackServer, running_slack_server
from tests.processes import Home, running
from tests.slack_workspace import BOT_TOKEN, SECRET, Signed, envelope, workspace_at

FOUND = "RC004: entry 1: the hash is not that of the entry's bytes"


def edit(database: Path, before: str, after: str) -> None:
    with closing(sqlite3.connect(database)) as shell:
        shell.execute("DROP TRIGGER IF EXISTS entry_keeps")
        query = "UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), ?, ?) AS BLOB) WHERE seq = 1"
        assert shell.execute(query, (before, after)).rowcount == 1
        shell.commit()


async def until_logged(process: Process, words: bytes) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words!r}")


async def deliver(request: Signed, port: int) -> int:
    async with ClientSession() as session:
        address = f"http://127.0.0.1:{port}/slack/events"
        async with session.post(address, data=request.body, headers=request.headers) as answer:
            return answer.status


async def health(port: int) -> object:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as answer:
        return (await answer.json())["status"]


async def refused(home: Home, server: SlackServer, asked: Signed, port: int, told: int) -> None:
    """A message is told why it is not taken, and nothing is recorded of it."""
    size = len(ledger_actions(home))
    assert await deliver(asked, port) == 200
    await server.until(lambda: len(server.ephemeral) == told)
    assert server.ephemeral[-1]["text"] == READ_ONLY
    assert await health(port) == "read-only"
    assert len(ledger_actions(home)) == size


def ledger_actions(home: Home) -> list[str]:
    with closing(sqlite3.connect(home.ledger)) as database:
        return [name for (name,) in database.execute("SELECT action FROM entry ORDER BY seq")]


async def test_a_ledger_that_is_edited_under_way_is_not_written_to_until_it_is_whole_and_opened_again(
    tmp_path: Path,
) -> None:
    async with running_slack_server() as server, workspace_at(server.api_url) as workspace:
        home = Home(
            tmp_path,
            settings={
                "SLACK_BOT_TOKEN": BOT_TOKEN,
                "SLACK_SIGNING_SECRET": SECRET,
                "SLACK_API_URL": server.api_url,
                "PORT": "0",
                "CARPOOL_AUDIT_S": "1",
            },
        )
        async with running(home, "web") as (process, port):
            assert await health(port) == "ok"
            ts = await workspace.say("hello", workspace.im)
            assert await deliver(envelope(workspace.direct("hello", ts)), port) == 200
            await server.until(lambda: any(message.get("thread_ts") == ts for message in server.messages[IM]))
            edit(home.ledger, '"slack"', '"slock"')
            await until_logged(process, b"the ledger was changed")
            await refused(home, server, envelope(workspace.direct("and now", "2.2")), port, 1)
        async with running(home, "web") as (_, port):
            await refused(home, server, envelope(workspace.direct("after a start", "3.3")), port, 2)
        asked = await home.run("chat", given=b"hello")
        assert (asked.status, asked.out, "`carpool ledger reopen`" in asked.err) == (1, "", True)
        assert f"was found changed ({FOUND})" in (await home.run("doctor")).out
        exported = await home.run("ledger", "export", str(tmp_path / "export"))
        assert (exported.status, FOUND in exported.err, (tmp_path / "export").exists()) == (1, True, False)
        reopened = await home.run("ledger", "reopen")
        assert (reopened.status, reopened.out) == (1, f"Found: {FOUND}\nNOT VERIFIED: {FOUND}\n")
        assert "It stays closed" in reopened.err
        edit(home.ledger, '"slock"', '"slack"')
        reopened = await home.run("ledger", "reopen")
        assert (reopened.status, "The ledger is open again." in reopened.out) == (0, True)
        assert (await home.run("chat", given=b"hello")).out == "Hello there.\n"
        assert ledger_actions(home).count("ledger.reopened") == 1
        assert (await home.run("ledger", "verify")).status == 0
        again = await home.run("ledger", "reopen")
        assert (again.status, again.out) == (0, "Nothing was found wrong with the ledger: it is open.\n")
