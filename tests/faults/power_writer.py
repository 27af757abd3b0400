"""A writer for the power to be lost under: with the checkpoints of SQLite's log often, and never a clean end.

python -m tests.faults.power_writer DATABASE ACKS COUNT SYNCHRONOUS
"""

import asyncio
import os
import sys
from pathlib import Path

from integrations.storage.sqlite import SqliteStore
from ledger.roadchain import RoadChain
from tests.faults.money_moves import GENESIS
from tests.faults.writers import group

CHECKPOINT_PAGES = 24


async def write(path: Path, acks: Path, count: int, synchronous: str) -> None:
    store = await SqliteStore.open(path)
    store._writer.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    if synchronous != "FULL":  # the store's own is FULL, and is left as the store has set it
        store._writer.execute(f"PRAGMA synchronous = {synchronous}")
    with acks.open("wb", buffering=0) as file:
        async with RoadChain(store) as roadchain:
            await roadchain.append(GENESIS)
            for number in range(count):
                await roadchain.append(*group(number))
                file.write(b"%d\n" % number)
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
