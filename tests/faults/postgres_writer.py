"""A process that appends to a ledger in PostgreSQL, and says of each append that returned which entries it became.

python -m tests.faults.postgres_writer '{"url": ..., "name": ...}'

Each line it prints is JSON: ``{"ready": OWNER}``, ``{"seqs": [...], "key": ...}``, and at the end ``{"failed": REASON}`` or
``{"done": true}``. It opens a turn first where it is told to, so that it holds one.
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass

from integrations.storage.postgres import PostgresStore
from integrations.storage.postgres_schema import Patience
from ledger.actions import MessageReceived, TurnFinished
from ledger.book import Wanted
from ledger.entry import HOUSE, Draft, Scope
from ledger.errors import StoreFailed
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Found, Seal, Sealed

GROUP = 3


@dataclass(frozen=True)
class Orders:
    url: str
    name: str
    """The beginning of its keys."""
    appends: int = 1_000_000
    callers: int = 8
    turn: str = ""
    stops_at: int = 0
    """The batch in whose middle it stops itself, as SIGSTOP does; 0: none."""
    stops_when_ready: bool = False
    """Stop before the first append, between two batches."""
    pause_max_s: float = 10.0
    asynchronous: bool = False
    """The control: commits return before they are on disk."""


class Stopping(PostgresStore):
    """Stops in the middle of a batch: the head is locked, and what is to be written is worked out."""

    left = 0

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        def sealing(found: Found) -> Sealed:
            sealed = seal(found)
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            return sealed

        return await super().commit(wanted, sealing)


def group(name: str, number: int) -> tuple[Draft, ...]:
    """Entries that stand together or not at all."""
    return tuple(
        Draft(TurnFinished("answered"), HOUSE, f"{name}/{number}/{part}", b"text " * 20) for part in range(GROUP)
    )


def opened(turn: str) -> Draft:
    where = ConversationId(f"c-{turn}")
    return Draft(MessageReceived("test", where, "message", ""), Scope(W, ActorId("a"), where, TurnId(turn)), turn, b"?")


W = WorkspaceId("w")


def say(**what: object) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


async def main(orders: Orders) -> None:
    store = await Stopping.open(orders.url, Patience(orders.pause_max_s, 60.0))
    assert isinstance(store, Stopping)
    store.left = orders.stops_at
    if orders.asynchronous:
        await store._writer.execute("SET synchronous_commit = off")
    numbers = iter(range(orders.appends))

    async def call(roadchain: RoadChain) -> None:
        for number in numbers:
            receipts = await roadchain.append(*group(orders.name, number))
            say(key=f"{orders.name}/{number}", seqs=[receipt.seq for receipt in receipts], fresh=receipts[0].fresh)

    try:
        async with RoadChain(store) as roadchain:
            if orders.turn:
                await roadchain.append(opened(orders.turn))
            say(ready=store.owner)
            if orders.stops_when_ready:
                os.kill(os.getpid(), signal.SIGSTOP)
            await asyncio.gather(*(call(roadchain) for _ in range(orders.callers)))
        say(done=True)
    except StoreFailed as error:
        say(failed=error.reason)
    finally:
        await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(Orders(**json.loads(sys.argv[1]))))
