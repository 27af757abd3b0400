"""Full verification of a large ledger of turns that are paid for: each entry, and each balance rebuilt."""

import hashlib
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from integrations.storage.sqlite import SqliteStore
from ledger import verify
from tests.benchmarks.figures import Figure
from tests.benchmarks.logs import fill

SIZE = 1_000_000
RUNS = 3


@dataclass(frozen=True, slots=True)
class Verification:
    """Seconds for the whole ledger, the shortest of the runs. ``cpu``: of all processes. ``hashing``: SHA-256 of its leaves, from
    memory. ``reading``: the rows of entries and texts read from SQLite, and every leaf, text and node of the tree hashed, with
    nothing else looked at.
    """

    verified: float
    cpu: float
    hashing: float
    reading: float


async def verification(folder: Path) -> list[Figure]:
    path = folder / "paid.db"
    store = await SqliteStore.open(path)
    await fill(store, SIZE, paid=True)
    await store.aclose()
    found = verification_of(path, RUNS)
    hashing = f"{found.hashing:.2f} s SHA-256 of the same leaves, in memory"
    return [
        Figure(
            f"{SIZE:,} entries of turns that are paid for verified, and balances rebuilt",
            f"{found.verified:.2f} s",
            hashing,
            f"{found.verified / found.hashing:.1f}",
            "3 s",
        ),
        Figure("The same, CPU of all processes", f"{found.cpu:.2f} s", hashing, f"{found.cpu / found.hashing:.1f}"),
    ]


def verification_of(path: Path, times: int) -> Verification:
    def timed(work: Callable[[], float]) -> float:
        return min(work() for _ in range(times))

    verified, cpu = map(min, zip(*(_verified(path) for _ in range(times)), strict=True))
    return Verification(verified, cpu, timed(lambda: _hashing(path)), timed(lambda: _reading(path)))


def _verified(path: Path) -> tuple[float, float]:
    """The time that passes and the CPU, as somebody has it who has the one file: with what it takes to start."""
    before, began = _cpu_of_children(), time.perf_counter()
    subprocess.run([sys.executable, "-I", verify.__file__, str(path)], check=True, capture_output=True)
    return time.perf_counter() - began, _cpu_of_children() - before


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _hashing(path: Path) -> float:
    sha256, seconds = hashlib.sha256, 0.0
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT leaf FROM entry ORDER BY seq")
        while some := rows.fetchmany(10_000):
            leaves = [leaf for (leaf,) in some]
            began = time.perf_counter()
            for leaf in leaves:
                sha256(b"\x00" + leaf).digest()
            seconds += time.perf_counter() - began
    return seconds


def _reading(path: Path) -> float:
    sha256 = hashlib.sha256
    began = time.perf_counter()
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT leaf, hash, idem, turn, action, commitment, seq FROM entry ORDER BY seq")
        while some := rows.fetchmany(256):
            hashes = [sha256(b"\x00" + row[0]).digest() for row in some]
            while len(hashes) > 1:
                hashes = [sha256(b"\x01" + hashes[n] + hashes[n + 1]).digest() for n in range(0, len(hashes) - 1, 2)]
        rows = database.execute("SELECT seq, salt, body FROM payload")
        while some := rows.fetchmany(256):
            for _, salt, body in some:
                sha256(salt + body).hexdigest()
    return time.perf_counter() - began
