"""A process that asks for many calls at once, within what one person may spend in a day."""

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from ledger.book import Counter
from ledger.credit_actions import CreditReserved, Limit
from ledger.entry import Draft
from ledger.errors import LimitReached
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from tests.faults.money_moves import scope
from tests.stores import AnyStore

DAY = "2026-11-24"
CALL = 20
SPENT = Counter(WorkspaceId("w1"), "ann", DAY)


async def opened(place: str) -> AnyStore:
    """A ledger by its address at a server, or by its file."""
    return await (PostgresStore.open(place) if "://" in place else SqliteStore.open(Path(place)))


async def _ask(place: str, name: str, count: int, cap: int) -> tuple[int, int]:
    store = await opened(place)
    limits = (Limit("ann", DAY, cap),) if cap else ()

    async def call(number: int) -> bool:
        hold = f"{name}-{number}"
        reserved = CreditReserved(hold, CALL, CALL, "openai", "m", limits=limits)
        try:
            await roadchain.append(Draft(reserved, scope("w1", "ann"), f"{hold}/reserve"))
        except LimitReached:
            return False
        return True

    async with RoadChain(store) as roadchain:
        done = await asyncio.gather(*(call(number) for number in range(count)))
    await store.aclose()
    return sum(done), count - sum(done)


def limited_caller(acks: Connection, place: str, name: str, count: int, cap: int) -> None:
    """Says how many of its calls may run, and how many not. ``cap`` 0 is no limit."""
    acks.send(asyncio.run(_ask(place, name, count, cap)))
