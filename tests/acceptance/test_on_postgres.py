"""The program as a process, with its ledger in PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.postgres import TEMPLATE, WITH_PASSWORD, Server, database_of, verified
from tests.processes import Home, steps_survived

PASSWORD = "crimson-secret"


@pytest.fixture
async def database(postgres: Server) -> AsyncIterator[str]:
    async with database_of(postgres) as name:
        yield name


@pytest.fixture
def home(tmp_path: Path, postgres: Server, database: str) -> Home:
    return Home(tmp_path, settings={"CARPOOL_DATABASE_URL": postgres.url(database)})


async def test_a_question_is_answered_listed_and_verified(home: Home) -> None:
    done = await home.run("chat", given=b"hello")
    assert (done.status, done.out) == (0, "Hello there.\n")
    lines = (await home.run("ledger", "entries")).out.splitlines()
    assert len(lines) == 8
    assert len((await home.run("ledger", "entries", "--json")).out.splitlines()) == 8
    checked = await home.run("ledger", "verify")
    assert (checked.status, checked.out.startswith("verified: 8 entries")) == (0, True)
    assert [item.name for item in (home.folder / "home").iterdir() if item.name.startswith("verify")] == []
    assert not home.ledger.exists()


async def test_a_change_is_found(home: Home, postgres: Server, database: str) -> None:
    await home.run("chat", given=b"hello")
    await postgres.execute(
        "ALTER TABLE carpool.entry DISABLE TRIGGER ALL",
        "UPDATE carpool.entry SET hash = decode(repeat('00', 32), 'hex') WHERE seq = 5",
        database=database,
    )
    changed = await home.run("ledger", "verify")
    assert (changed.status, changed.out) == (
        1,
        "NOT VERIFIED: RC004: entry 5: the hash is not that of the entry's bytes\n",
    )


async def test_what_was_found_changed_is_not_written_to_until_it_is_opened_again(
    home: Home, postgres: Server, database: str
) -> None:
    await home.run("chat", given=b"hello")
    await postgres.execute("UPDATE carpool.head SET fault = 'RC004: entry 5: so it was'", database=database)
    refused = await home.run("chat", given=b"hello")
    assert (refused.status, refused.out, "`carpool ledger reopen`" in refused.err) == (1, "", True)
    opened = await home.run("ledger", "reopen")
    assert (opened.status, opened.out.startswith("Found: RC004: entry 5: so it was\nverified: 8 entries")) == (0, True)
    assert (await home.run("chat", given=b"hello")).out == "Hello there.\n"
    assert [item.name for item in (home.folder / "home").iterdir() if item.name.startswith("verify")] == []


async def test_a_replay_makes_the_projections_anew(home: Home, postgres: Server, database: str) -> None:
    await home.run("chat", given=b"hello")
    query = "SELECT turn, state FROM carpool.turn"
    before = await postgres.fetch(query, database=database)
    await postgres.execute("UPDATE carpool.turn SET state = 'open'", database=database)
    done = await home.run("ledger", "replay")
    assert (done.status, done.out) == (0, "The projections were made anew from 8 entries.\n")
    assert await postgres.fetch(query, database=database) == before


async def test_before_the_first_conversation_there_is_no_ledger_and_looking_makes_none(
    home: Home, postgres: Server, database: str
) -> None:
    for command in ("verify", "entries", "replay"):
        done = await home.run("ledger", command)
        assert (done.status, "begins with the first" in done.err) == (2, True)
    assert f"/{database} is not there yet" in (await home.run("doctor")).out
    assert await postgres.fetch("SELECT 1 FROM pg_namespace WHERE nspname = 'carpool'", database=database) == []


async def test_the_password_is_shown_nowhere(home: Home, postgres: Server, database: str) -> None:
    await postgres.execute(
        f"CREATE ROLE {WITH_PASSWORD} LOGIN PASSWORD '{PASSWORD}'",
        f"ALTER DATABASE {database} OWNER TO {WITH_PASSWORD}",
    )
    home.settings = {"CARPOOL_DATABASE_URL": postgres.url(database, WITH_PASSWORD, PASSWORD)}
    try:
        seen = ""
        for command, status in ((("chat",), 0), (("config",), 0), (("doctor",), 0), (("ledger", "verify"), 0)):
            done = await home.run(*command, given=b"hello")
            assert done.status == status, done
            seen += done.out + done.err
        home.settings = {"CARPOOL_DATABASE_URL": postgres.url(database, WITH_PASSWORD, f"{PASSWORD}-wrong")}
        refused = await home.run("chat", given=b"hello")
        assert (refused.status, refused.out) == (1, "")
        assert "refuses this user or password. Correct the user and the password" in refused.err
        seen += refused.err
        logs = "".join(path.read_text() for path in (home.folder / "home" / "logs").iterdir())
        assert PASSWORD not in seen + logs
        assert f"{WITH_PASSWORD}:…@127.0.0.1" in seen
    finally:
        await postgres.drop(database)
        await postgres.execute(f"DROP ROLE {WITH_PASSWORD}")


async def test_a_server_that_is_not_there_is_a_sentence(home: Home, postgres: Server) -> None:
    home.settings = {"CARPOOL_DATABASE_URL": "postgresql://h.invalid/d"}
    done = await home.run("chat", given=b"hello")
    assert (done.status, done.out) == (1, "")
    assert "h.invalid/d cannot be reached. See that the server runs" in done.err
    assert "Traceback" not in done.err
    assert "wrong  RoadChain" in (await home.run("doctor")).out


async def test_two_machines_with_the_same_keys_answer_from_one_ledger(
    home: Home, tmp_path: Path, postgres: Server, database: str
) -> None:
    await home.run("chat", given=b"hello")
    other = Home(tmp_path / "other", settings=home.settings)
    other.folder.mkdir()
    assert "key is missing. Restore" in (await other.run("chat", given=b"hello")).err
    for key in ("ledger.key", "pseudonyms.key"):
        shutil.copy(home.folder / "home" / key, other.folder / "home" / key)
    done = await asyncio.gather(*(one.run("chat", "--new", given=b"hello") for one in (home, other, home, other)))
    assert [(one.status, one.out) for one in done] == [(0, "Hello there.\n")] * 4
    assert (await other.run("ledger", "verify")).out.startswith("verified: 36 entries")


async def killed_at(step: int, folder: Path, server: Server) -> bool:
    """As in ``test_killed_terminal``: whether the program was killed; what must be true after it is asserted."""
    async with database_of(server, TEMPLATE) as database:
        home = Home(folder, settings={"CARPOOL_DATABASE_URL": server.url(database)})
        first = await home.run(str(step), "chat", given=b"hello", program=("-m", "tests.faults.killed"))
        assert first.status in (-9, 0)
        async with asyncio.timeout(30):
            while await server.fetch(
                "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
                database,
                database=database,
            ):
                await asyncio.sleep(0.01)  # the server sees in a moment that the connections were closed
        second = await home.run("chat", "--new", given=b"/model")
        assert second.status == 0, second.err
        await verified(server.url(database), folder)
        rows = await server.fetch("SELECT leaf FROM carpool.entry ORDER BY seq", database=database)
    entries: list[dict[str, Any]] = [orjson.loads(leaf) for (leaf,) in rows]
    asked = [entry["turn"] for entry in entries if entry["action"] == "message.received" and entry["kind"] == "message"]
    finished = [entry["turn"] for entry in entries if entry["action"] == "turn.finished"]
    assert all(finished.count(turn) == 1 for turn in asked)
    seen = first.out + second.err
    notices = sum(seen.count(notice) for notice in ("and the answer is lost", "I cannot see whether it reached you"))
    assert seen.count("Hello there.") <= 1
    assert bool(asked) == bool(seen.count("Hello there.") + notices), f"step {step}: {first} {second}"
    return first.status == -9


@pytest.mark.timeout(300)  # some forty starts of the program
async def test_killed_at_each_step_a_question_is_answered_once_or_its_asker_told_why(
    tmp_path: Path, postgres: Server
) -> None:
    steps = await steps_survived(lambda step: killed_at(step, tmp_path / str(step), postgres))
    assert steps >= 16
