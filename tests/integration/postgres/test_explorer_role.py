"""The explorer on a ledger in PostgreSQL: as a role that can read what is published, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from integrations.storage.postgres import PostgresStore
from integrations.storage.postgres_published import AS_EXPLORER, PublishedLog
from ledger.actions import TurnFinished
from ledger.entry import HOUSE, Draft
from ledger.merkle import inclusion_proof, verify_inclusion
from ledger.roadchain import RoadChain
from tests.house import GENESIS
from tests.postgres import Server, database_of

ENTRIES = 300


@asynccontextmanager
async def ledger(url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(url)
    async with RoadChain(store) as roadchain:
        await roadchain.append(GENESIS)
        drafts = [Draft(TurnFinished("answered"), HOUSE, f"k{number}", b"crimson") for number in range(1, ENTRIES)]
        await roadchain.append(*drafts)
        await store.keep_checkpoint(ENTRIES, (await store.frontier()).root(), b"a note")
        yield store
    await store.aclose()


async def test_it_reads_what_the_store_reads(postgres: Server, postgres_database: str) -> None:
    url = postgres.url(postgres_database)
    async with ledger(url) as store, PublishedLog.opened(url) as published:
        assert published is not None
        assert await published.leaves(3, 5) == await store.leaves(3, 5)
        assert await published.frontier() == await store.frontier()
        assert await published.latest_checkpoint() == b"a note"
        for level in (0, 1):
            assert await published.subtree_hashes(level, 0, 5) == await store.subtree_hashes(level, 0, 5) != ()
        path = await inclusion_proof(published, 42, ENTRIES)
        (leaf,) = await published.subtree_hashes(0, 42, 1)
        verify_inclusion(leaf, 42, ENTRIES, path, (await store.frontier()).root())


async def test_its_sessions_reach_no_table_and_write_nothing(postgres: Server, postgres_database: str) -> None:
    url = postgres.url(postgres_database)
    async with ledger(url):
        connection = await asyncpg.connect(url, server_settings=AS_EXPLORER)
        try:
            assert len(await connection.fetch("SELECT * FROM published_entry")) == ENTRIES
            for table in ("entry", "payload", "turn", "conversation", "head", "account"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"SELECT * FROM {table}")  # names of ours
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute("DELETE FROM published_entry")
        finally:
            await connection.close()


@pytest.mark.parametrize("options", ["CREATEROLE", "NOCREATEROLE"])
async def test_the_user_of_the_first_start_may_act_as_it_where_it_may_make_roles(
    postgres: Server, options: str
) -> None:
    """Where it may not, there is none that it could act as, and whoever opens the explorer is told."""
    async with database_of(postgres) as database:
        await postgres.execute(f"CREATE ROLE plain LOGIN {options}", f"ALTER DATABASE {database} OWNER TO plain")
        url = postgres.url(database, "plain")
        try:
            async with ledger(url), PublishedLog.opened(url) as published:
                assert (published is not None) == (options == "CREATEROLE")
                if published is not None:
                    assert len(await published.leaves(0, ENTRIES)) == ENTRIES
        finally:
            await postgres.drop(database)
            await postgres.execute("DROP ROLE plain")
