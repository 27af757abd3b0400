"""What the killed, paused and poisoned processes of these tests run: writers that acknowledge what is recorded.

A program of its own for where the faults come from outside: python -m tests.faults.writers DATABASE FIRST COUNT [OPTION]
"""

import asyncio
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from integrations.storage.sqlite import SqliteStore
from ledger.credit_actions import CreditTopup
from ledger.entry import HOUSE, Draft
from ledger.errors import StoreFailed, StoreUnusable
from ledger.roadchain import RoadChain
from tests.faults.money_model import Model
from tests.faults.money_moves import GENESIS, Moves, scope
from tests.faults.money_play import record

AT_ONCE = 3
GROUP_DRAFTS_MAX = 3

Faith = Literal["awaits", "hopes"]


def group(number: int) -> tuple[Draft, ...]:
    """One to three drafts that stand or fall together, with texts; the number tells how many."""
    return tuple(
        Draft(CreditTopup("stripe", 1 + part), scope("w1", "ann"), f"{number}/{part}", b"text %d" % number * part)
        for part in range(1 + number % GROUP_DRAFTS_MAX)
    )


async def write(path: Path, first: int, count: int, acknowledge: Callable[[int], object], faith: Faith) -> None:
    """Append groups from the ``first``, a few at once. A writer that ``hopes`` acknowledges before it knows."""
    store = await SqliteStore.open(path)
    async with RoadChain(store) as roadchain:
        await roadchain.append(GENESIS)

        async def several(begin: int) -> None:
            for number in range(begin, first + count, AT_ONCE):
                if faith == "hopes":
                    acknowledge(number)
                await roadchain.append(*group(number))
                if faith == "awaits":
                    acknowledge(number)

        await asyncio.gather(*(several(first + place) for place in range(AT_ONCE)))
    await store.aclose()


def killed_writer(acks: Connection, path: Path, first: int, faith: Faith) -> None:
    """Writes until it is killed."""
    asyncio.run(write(path, first, 1_000_000, acks.send, faith))


def counted_writer(acks: Connection, path: Path, first: int, count: int) -> None:
    asyncio.run(write(path, first, count, acks.send, "awaits"))


def money_writer(acks: Connection, path: Path, model: Model, moves: Moves) -> None:
    """Moves money until it is killed; acknowledges each batch once all of it was recorded or refused."""

    async def run() -> None:
        store = await SqliteStore.open(path)
        step = 0
        while True:
            now_us = moves.tick()
            async with RoadChain(store, clock=lambda: now_us) as roadchain:  # noqa: B023  # it ends with this step
                await record(roadchain, model, moves.batch(model), now_us)
            acks.send(step)
            step += 1

    asyncio.run(run())


async def until_it_fails(path: Path, first: int, count: int) -> str:
    """One group after another; a line for each that is recorded, and at the end how it ended."""

    def say(number: int) -> None:
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()

    try:
        store = await SqliteStore.open(path)
    except StoreUnusable:
        return "unusable"
    roadchain = RoadChain(store)
    try:
        async with roadchain:
            for number in range(first, first + count):
                await roadchain.append(*group(number))
                say(number)
            return "whole"
    except StoreFailed as failed:
        return f"failed {failed.reason} {await _goes_on(store, roadchain)}"
    finally:
        await store.aclose()


async def _goes_on(store: SqliteStore, roadchain: RoadChain) -> str:
    """Whether a writer that has failed, or another over the same store, takes anything after it."""
    for writer in (roadchain, RoadChain(store)):
        try:
            async with writer:
                await writer.append(Draft(GENESIS.action, HOUSE, "after the failure"))
        except StoreFailed:
            continue
        return "goes-on"
    return "poisoned"


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(until_it_fails(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))) + "\n")
