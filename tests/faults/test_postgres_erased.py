"""What was erased is in no file of the server, as far as its owner lets go of its log."""

from collections.abc import Iterator

import pytest

from integrations.storage.postgres import PostgresStore
from ledger.actions import MessageReceived, PayloadErased
from ledger.entry import Draft, Scope
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from tests.postgres import Server, database_of, running_postgres

SCOPE = Scope(WorkspaceId("w"), ActorId("a"), ConversationId("c"), TurnId("t"))
TEXTS = [f"crimson {number} unmistakable".encode() for number in range(200)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """It throws its log away instead of writing over it, as the README of the store says that it should."""
    with running_postgres({"wal_recycle": "off", "min_wal_size": "32MB"}) as running:
        yield running


def files_with(server: Server, text: bytes) -> set[str]:
    return {
        str(path.relative_to(server.data).parts[0])
        for path in server.data.rglob("*")
        if path.is_file() and text in path.read_bytes()
    }


async def test_a_text_that_was_erased_and_scrubbed_is_in_no_file_of_the_server(server: Server) -> None:
    async with database_of(server) as database:
        store = await PostgresStore.open(server.url(database))
        async with RoadChain(store) as roadchain:
            for number, text in enumerate(TEXTS):
                where = MessageReceived("test", SCOPE.conversation, "message", "")
                await roadchain.append(Draft(where, Scope(*_scope(number)), f"t{number}", text))
            await server.execute("ANALYZE", "CHECKPOINT", database=database)
            assert files_with(server, b"unmistakable") == {"base", "pg_wal"}
            await roadchain.append(Draft(PayloadErased("person", "a"), SCOPE, "erase"))
            await server.execute("CHECKPOINT", database=database)
            # The control: a deleted row is still in the table's file, and in the log.
            assert files_with(server, b"unmistakable") == {"base", "pg_wal"}
        await store.scrub()
        assert files_with(server, b"unmistakable") <= {"pg_wal"}
        await server.execute("SELECT pg_switch_wal()", "CHECKPOINT", database=database)
        assert files_with(server, b"unmistakable") == set()
        assert [item.body for item in await store.entries(-1, 1_000)] == [None] * (len(TEXTS) + 1)
        await store.aclose()


def _scope(number: int) -> tuple[WorkspaceId, ActorId, ConversationId, TurnId]:
    return SCOPE.workspace, SCOPE.actor, SCOPE.conversation, TurnId(f"t{number}")
