"""Databases that are not as they should be: refused with a sentence that gives no password away, and left as they were."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from integrations.storage.postgres import PostgresStore
from integrations.storage.postgres_errors import place
from ledger.actions import MessageReceived, TurnFinished
from ledger.entry import HOUSE, Draft, Scope
from ledger.errors import StoreFailed, StoreUnusable
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from tests.benchmarks.logs import fill, turn
from tests.emulators import free_port
from tests.postgres import WITH_PASSWORD, Server, database_of

PASSWORD = "crimson-secret"


def draft(idem: str, payload: bytes | None = None) -> Draft:
    return Draft(TurnFinished("answered"), HOUSE, idem, payload)


def received(turn: str) -> Draft:
    scope = Scope(WorkspaceId("w"), ActorId("a"), ConversationId("c"), TurnId(turn))
    return Draft(MessageReceived("test", ConversationId("c"), "message", ""), scope, turn)


async def refused(url: str, what: str) -> StoreUnusable:
    with pytest.raises(StoreUnusable, match=what) as caught:
        await PostgresStore.open(url)
    assert caught.value.remedy
    assert PASSWORD not in f"{caught.value} {caught.value.remedy} {caught.value.__cause__}"
    return caught.value


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(url)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
async def empty(postgres: Server) -> AsyncIterator[str]:
    async with database_of(postgres) as name:
        yield name


async def test_a_server_that_is_not_there_is_said(postgres: Server) -> None:
    await refused(f"postgresql://somebody:{PASSWORD}@127.0.0.1:{free_port()}/x", "127.0.0.1:.*/x cannot be reached")


async def test_a_host_that_there_is_not_is_said() -> None:
    await refused(f"postgresql://somebody:{PASSWORD}@no-such-host.invalid/x", "cannot be reached")


async def test_something_else_that_listens_there_is_no_database() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await refused(f"postgresql://somebody:{PASSWORD}@127.0.0.1:{port}/x", "cannot be")


async def test_a_wrong_password_is_said_and_not_repeated(postgres: Server, empty: str) -> None:
    await postgres.execute(f"CREATE ROLE {WITH_PASSWORD} LOGIN PASSWORD 'right'")
    try:
        error = await refused(postgres.url(empty, WITH_PASSWORD, PASSWORD), "refuses this user or password")
        assert "CARPOOL_DATABASE_URL" in error.remedy
    finally:
        await postgres.execute(f"DROP ROLE {WITH_PASSWORD}")


async def test_a_user_that_there_is_not_is_said(postgres: Server, empty: str) -> None:
    await refused(postgres.url(empty, "stranger"), "refuses this user")


async def test_a_database_that_there_is_not_is_said(postgres: Server) -> None:
    assert "createdb" in (await refused(postgres.url("nowhere"), "/nowhere does not exist")).remedy


async def test_a_user_who_may_make_nothing_is_told_who_can_help(postgres: Server, empty: str) -> None:
    await postgres.execute("CREATE ROLE guest LOGIN")
    try:
        assert "GRANT CREATE" in (await refused(postgres.url(empty, "guest"), "does not permit this")).remedy
    finally:
        await postgres.execute("DROP ROLE guest")


async def test_the_schema_of_another_program_is_refused_and_left_as_it_is(postgres: Server, empty: str) -> None:
    await postgres.execute("CREATE SCHEMA carpool CREATE TABLE shopping (what text)", database=empty)
    await refused(postgres.url(empty), "another program's")
    tables = await postgres.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'carpool'::regnamespace", database=empty
    )
    assert tables == [("shopping",)]


@pytest.mark.parametrize(
    "table",
    [
        "migration (application bigint, version bigint)",
        "migration (id int)",
        "migration AS SELECT 1 AS application, 1 AS version",
    ],
)
async def test_a_mark_that_is_not_ours_is_refused(postgres: Server, empty: str, table: str) -> None:
    await postgres.execute("CREATE SCHEMA carpool", f"CREATE TABLE carpool.{table}", database=empty)
    await refused(postgres.url(empty), "another program's")


async def test_other_programs_may_stand_beside_it(postgres: Server, empty: str) -> None:
    await postgres.execute("CREATE TABLE entry (what text)", "CREATE TABLE head (what text)", database=empty)
    async with opened(postgres.url(empty)) as store, RoadChain(store) as roadchain:
        await roadchain.append(draft("1"))
    assert await postgres.fetch("SELECT * FROM public.entry", database=empty) == []


async def test_a_newer_schema_is_refused(postgres: Server, postgres_database: str) -> None:
    await postgres.execute("UPDATE carpool.migration SET version = 99", database=postgres_database)
    assert "newer version" in (await refused(postgres.url(postgres_database), "newer CarPool")).remedy


@pytest.mark.parametrize("level", ["off", "local", "remote_write"])
async def test_a_database_whose_commits_may_be_lost_is_refused(
    postgres: Server, postgres_database: str, level: str
) -> None:
    await postgres.execute(f"ALTER DATABASE {postgres_database} SET synchronous_commit = {level}")
    error = await refused(postgres.url(postgres_database), f"synchronous_commit={level}")
    assert "synchronous_commit = on" in error.remedy


async def test_a_database_that_cannot_hold_every_letter_is_refused(postgres: Server, empty: str) -> None:
    await postgres.execute(f"CREATE DATABASE {empty}_latin TEMPLATE template0 ENCODING 'LATIN1'")
    try:
        await refused(postgres.url(f"{empty}_latin"), "encoding LATIN1")
    finally:
        await postgres.drop(f"{empty}_latin")


async def test_a_database_that_may_only_be_read_is_refused(postgres: Server, empty: str) -> None:
    await postgres.execute(f"ALTER DATABASE {empty} SET default_transaction_read_only = on")
    assert "primary" in (await refused(postgres.url(empty), "may only be read")).remedy


async def test_first_starts_at_once_wait_for_each_other(postgres: Server, empty: str) -> None:
    stores = await asyncio.gather(*(PostgresStore.open(postgres.url(empty)) for _ in range(6)))
    assert [(await store.head()).size for store in stores] == [0] * 6
    for store in stores:
        await store.aclose()


async def test_whether_there_is_a_ledger_is_found_out_without_making_one(postgres: Server, empty: str) -> None:
    assert not await PostgresStore.exists(postgres.url(empty))
    await (await PostgresStore.open(postgres.url(empty))).aclose()
    assert await PostgresStore.exists(postgres.url(empty))


async def test_the_owner_of_a_database_needs_no_other_right(postgres: Server, empty: str) -> None:
    await postgres.execute("CREATE ROLE plain LOGIN", f"ALTER DATABASE {empty} OWNER TO plain")
    try:
        async with opened(postgres.url(empty, "plain")) as store, RoadChain(store) as roadchain:
            await roadchain.append(received("t1"), draft("1", b"text"))
            assert len(await store.claim(store.owner, ["test"], 10, 1 << 60)) == 1
            assert await store.replay() == 2
            await store.scrub()
    finally:
        await postgres.drop(empty)
        await postgres.execute("DROP ROLE plain")


@pytest.mark.parametrize(
    "statement", ["UPDATE carpool.entry SET turn = 'x'", "DELETE FROM carpool.entry", "TRUNCATE carpool.entry"]
)
@pytest.mark.parametrize("role", ["origin", "replica"])
async def test_nobody_changes_or_removes_an_entry(
    postgres: Server, postgres_database: str, statement: str, role: str
) -> None:
    async with opened(postgres.url(postgres_database)) as store, RoadChain(store) as roadchain:
        await roadchain.append(draft("1"))
        with pytest.raises(asyncpg.RaiseError, match="RC011"):
            await postgres.execute(f"SET session_replication_role = {role}", statement, database=postgres_database)
        assert (await store.entries(-1, 10))[0].entry.turn == ""


async def test_the_explorer_reads_hashes_and_no_text(postgres: Server, empty: str) -> None:
    async with opened(postgres.url(empty)) as store, RoadChain(store) as roadchain:
        await roadchain.append(draft("1", b"crimson"))
    await postgres.execute("CREATE ROLE reader LOGIN IN ROLE carpool_explorer")
    reader = await asyncpg.connect(postgres.url(empty, "reader"))
    try:
        (row,) = await reader.fetch("SELECT * FROM carpool.published_entry")
        assert b"crimson" not in row["leaf"]
        assert await reader.fetchval("SELECT size FROM carpool.published_head") == 1
        tables = ("entry", "payload", "turn", "conversation", "head")
        for statement in (
            *(f"SELECT * FROM carpool.{table}" for table in tables),
            "DELETE FROM carpool.published_entry",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.fetch(statement)
    finally:
        await reader.close()
        await postgres.execute("DROP ROLE reader")


async def test_a_commit_that_failed_counts_for_nothing_and_nothing_more_is_taken(
    postgres: Server, postgres_database: str
) -> None:
    full = (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$"
    )
    url = postgres.url(postgres_database)
    async with opened(url) as store, RoadChain(store) as roadchain:
        await roadchain.append(draft("1"))
        trigger = "CREATE TRIGGER full_disk BEFORE INSERT ON carpool.payload EXECUTE FUNCTION full_disk()"
        await postgres.execute(full, trigger, database=postgres_database)
        with pytest.raises(StoreFailed) as caught:
            await roadchain.append(draft("2", b"text"))
        assert caught.value.reason == "disk_full"
        await postgres.execute("DROP TRIGGER full_disk ON carpool.payload", database=postgres_database)
        for refused_too in (roadchain.append(draft("3")), store.claim(store.owner, ["test"], 1, 0)):
            with pytest.raises(StoreFailed):
                await refused_too
    async with opened(url) as store, RoadChain(store) as roadchain:
        assert (await store.head()).size == 1
        await roadchain.append(draft("2", b"text"))


async def test_a_session_that_the_server_ends_is_told_at_once(postgres: Server, postgres_database: str) -> None:
    told = asyncio.Event()
    async with opened(postgres.url(postgres_database)) as store, RoadChain(store) as roadchain:
        store.on_turns(told.set)
        await postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{postgres_database}' AND pid <> pg_backend_pid()"
        )
        async with asyncio.timeout(30):
            await told.wait()
        with pytest.raises(StoreFailed) as caught:
            await roadchain.append(draft("1"))
        assert caught.value.reason == "unreachable"
        # Reading holds no lease: it goes on with another session.
        assert (await store.head()).size == 0


async def test_others_are_told_of_turns_that_open_end_or_are_given_back(
    postgres: Server, postgres_database: str
) -> None:
    told, url = asyncio.Event(), postgres.url(postgres_database)
    async with opened(url) as here, opened(url) as there, RoadChain(here) as roadchain:
        there.on_turns(told.set)
        here.on_turns(lambda: pytest.fail("who did it knows it"))

        async def hears() -> None:
            async with asyncio.timeout(30):
                await told.wait()
            told.clear()

        await roadchain.append(received("t1"))
        await hears()
        await here.claim(here.owner, ["test"], 10, 1)
        await here.release(TurnId("t1"), 0)
        await hears()
        scope = Scope(WorkspaceId("w"), ActorId("a"), ConversationId("c"), TurnId("t1"))
        await roadchain.append(Draft(TurnFinished("answered"), scope, "t1/end"))
        await hears()


async def test_a_server_without_fsync_is_named_as_a_doubt(postgres: Server, postgres_database: str) -> None:
    async with opened(postgres.url(postgres_database)) as store:
        assert await store.doubts() == ()
        await postgres.execute("ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
        try:
            async with asyncio.timeout(30):
                while await store.doubts() != ("full_page_writes is off",):
                    await asyncio.sleep(0.01)  # each session hears of it in its own time
        finally:
            await postgres.execute("ALTER SYSTEM RESET full_page_writes", "SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://a:b@h:1/d?password=b", "h:1/d"),
        ("postgresql:///d?host=/run/postgresql", "this machine/d"),
    ],
)
def test_a_place_is_named_without_who_goes_there(url: str, where: str) -> None:
    assert place(url) == where


# The schema before texts and the entries of a turn were kept by the number of an entry, made of the one after it.
_OLDER = """
SET search_path = carpool;
ALTER TABLE head DROP COLUMN fault;
DROP INDEX entry_plan;
DROP INDEX entry_began;
DROP INDEX entry_unopened;
ALTER TABLE entry DROP COLUMN began;
CREATE INDEX entry_turn ON entry (turn, seq) WHERE turn <> '';
CREATE TABLE old (commitment text COLLATE "C" PRIMARY KEY, salt bytea NOT NULL, body bytea NOT NULL);
INSERT INTO old SELECT commitment, salt, body FROM payload JOIN entry USING (seq);
DROP TABLE payload;
ALTER TABLE old RENAME TO payload;
UPDATE migration SET version = 3
"""


async def test_an_older_database_is_carried_over_whole(postgres: Server, empty: str) -> None:
    url, scope = postgres.url(empty), turn(1)[0].scope
    async with opened(url) as store:
        await fill(store, 100)
        async with RoadChain(store) as roadchain:
            await roadchain.append(Draft(TurnFinished("answered"), replace(scope, turn=TurnId("unopened")), "u"))
        entries, of_turn = await store.entries(-1, 200), await store.entries_of(scope.turn)
    await postgres.execute(_OLDER, database=empty)
    async with opened(url) as store:
        assert await store.entries(-1, 200) == entries
        assert len(of_turn) == 7
        assert await store.entries_of(scope.turn) == of_turn
        assert [recorded.entry.idem for recorded in await store.entries_of(TurnId("unopened"))] == ["u"]
    with pytest.raises(asyncpg.PostgresError, match="RC011"):
        await postgres.execute("UPDATE carpool.entry SET began = 1 WHERE seq = 1", database=empty)
