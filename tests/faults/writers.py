"""What the killed, paused and poisoned processes of these tests run: writers that acknowledge what is recorded.

A program of its own for where the faults come from outside: python -m tests.faults.writers DATABASE FIRST COUNT [swallows]
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from integrations.storage.sqlite import SqliteStore
from ledger.credit_actions import CreditTopup
from ledger.entry import Draft
from ledger.errors import StoreFailed, StoreUnusable
from ledger.roadchain import RoadChain, clock_us, new_salt
from ledger.store import Receipt
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


def stopping_writer(acks: Connection, path: Path, number: int, where: Literal["before", "within"]) -> None:
    """Stops itself once, before its transaction or within it, and says so first; acknowledges when it was woken and is done."""

    def stop() -> None:
        acks.send("stops")
        os.kill(os.getpid(), signal.SIGSTOP)

    def clock() -> int:
        now_us = clock_us()
        if where == "before":
            stop()
        return now_us  # that of before it was stopped

    def salt() -> bytes:
        if where == "within":  # the store is sealing: it holds the lock, and has read the head
            stop()
        return new_salt()

    async def run() -> None:
        store = await SqliteStore.open(path)
        async with RoadChain(store, clock, salt) as roadchain:
            await roadchain.append(*group(number))
            acks.send(number)
        await store.aclose()

    asyncio.run(run())


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


class Swallowing(RoadChain):
    """Says that all is well when it is not."""

    async def append(self, *group: Draft) -> tuple[Receipt, ...]:
        try:
            return await super().append(*group)
        except StoreFailed:
            return ()


async def until_it_fails(path: Path, first: int, count: int, kind: type[RoadChain]) -> str:
    """One group after another; a line for each that is recorded, and at the end how it ended."""
    try:
        store = await SqliteStore.open(path)
    except StoreUnusable:
        return "unusable"
    roadchain = kind(store)
    try:
        async with roadchain:
            for number in range(first, first + count):
                await roadchain.append(*group(number))
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()
            return "whole"
    except StoreFailed as failed:
        after = [await _takes(writer, first + count) for writer in (roadchain, RoadChain(store))]
        return f"failed {failed.reason} {'goes on' if any(after) else 'poisoned'}"
    finally:
        await store.aclose()


async def _takes(writer: RoadChain, number: int) -> bool:
    """Whether a writer takes another group: the one that has failed, or a new one over the same store."""
    try:
        async with writer:
            await writer.append(*group(number))
    except StoreFailed:
        return False
    return True


if __name__ == "__main__":
    kind = Swallowing if sys.argv[4:] == ["swallows"] else RoadChain
    sys.stdout.write(asyncio.run(until_it_fails(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), kind)) + "\n")
