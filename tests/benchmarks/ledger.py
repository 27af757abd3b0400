"""The ledger as it grows: appends, proofs, receipts and full verification at 10,000, 100,000 and 1,000,000 entries.

Each figure stands beside a floor or a peer of the same run. Writes the picture in ``ledger/README.md`` too.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from ledger import verify
from ledger.merkle import TileCache, inclusion_proof
from ledger.notary import Notary
from ledger.receipts import make_receipt
from ledger.store import Store
from tests.benchmarks.appends import (
    MANY,
    Rate,
    bare_rate,
    paid_calls,
    rate,
    ready_made_rate,
    single_appends,
    unpaid_calls,
)
from tests.benchmarks.figures import Figure, fdatasync_samples, milliseconds, percentile
from tests.benchmarks.growth import Line, picture
from tests.benchmarks.logs import SIGNER, fill
from tests.benchmarks.verification import Verification, verification_of
from tests.postgres import Server, database_of, running_postgres

SIZES = (10_000, 100_000, 1_000_000)
CALLERS = 100
PROOFS = 400
RECEIPTS = 50
TURN_ENTRIES = 7
ANSWER = 5
"""The sequence of the first turn's answer."""
SMALL_IS_READ = 3
"""How often a ledger is verified; the largest once, which takes long enough."""

PROJECT = Path(__file__).parents[2]
PICTURE = PROJECT / "ledger" / "growth.svg"
PYMERKLE = PROJECT / ".venv-pymerkle" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Point:
    """Seconds, at one size. The time of an append and of a proof is the median."""

    size: int
    append: float
    disk: float
    proof: float


@dataclass(frozen=True, slots=True)
class Receipts:
    """Of an answer, at the largest size: the largest in bytes, the median of the seconds that it takes to verify one."""

    bytes_max: int
    verified: float


async def ledger(folder: Path) -> list[Figure]:
    points: list[Point] = []
    verifications: list[Verification] = []
    for size in SIZES:
        path = folder / f"{size}.db"
        store = await SqliteStore.open(path)
        await fill(store, size)
        proof = await _proof(store, size)
        receipts = await _receipts(store, size, folder)
        await store.aclose()
        verifications.append(verification_of(path, 1 if size == SIZES[-1] else SMALL_IS_READ))
        store = await SqliteStore.open(path)
        disk = percentile(fdatasync_samples(folder, 200), 50)
        points.append(Point(size, percentile((await rate(store, CALLERS)).samples, 50), disk, proof))
        await store.aclose()
        for file in folder.glob(f"{size}.db*"):
            if file.is_file():
                file.unlink()
    peer = await _pymerkle(folder)
    pymerkle = {size: percentile(samples, 50) for size, samples in peer.items()}
    with running_postgres() as server:
        remote = [await _postgres_point(server, size, folder) for size in SIZES]
        figures = [
            *await _throughput(folder),
            *_flat("SQLite", points),
            *_flat("PostgreSQL", remote),
            *_proofs(points, remote, pymerkle, [len(samples) for samples in peer.values()]),
            *_verified(verifications),
            *_receipted(receipts),
            *await _money(folder, server),
        ]
    PICTURE.write_text(picture(SIZES, _lines(points, remote, verifications, pymerkle)), encoding="utf-8")
    return figures


async def _proof(store: SqliteStore | PostgresStore, size: int) -> float:
    """The median over entries here and there, made as the explorer does: with the tiles that it read lately."""
    chosen, kept = random.Random(size), TileCache()
    samples: list[float] = []
    for _ in range(PROOFS):
        index = chosen.randrange(size)
        began = time.perf_counter()
        await inclusion_proof(store, index, size, kept)
        samples.append(time.perf_counter() - began)
    return percentile(samples, 50)


async def _receipts(store: SqliteStore, size: int, folder: Path) -> Receipts:
    notary = await Notary.open(store, [SIGNER], folder / f"{size}.checkpoint")
    note = await notary.sign()
    assert note is not None
    keys = [verify.read_key(SIGNER.verifier().text())]
    lengths: list[int] = []
    samples: list[float] = []
    # Here and there, not at the end: the path is shorter there.
    for number in random.Random(size).sample(range(size // TURN_ENTRIES), RECEIPTS):
        (recorded,) = await store.entries(TURN_ENTRIES * number + ANSWER - 1, 1)
        assert recorded.entry.action.name == "reply.prepared"
        receipt = await make_receipt(store, recorded.leaf, recorded.entry.seq, note, notary.keys)
        began = time.perf_counter()
        verify.verify_receipt(receipt, keys)
        samples.append(time.perf_counter() - began)
        lengths.append(len(receipt))
    return Receipts(max(lengths), percentile(samples, 50))


async def _pymerkle(folder: Path) -> dict[int, list[float]]:
    """The seconds of each proof, at each size that pymerkle reaches."""
    worker = str(Path(__file__).parent / "pymerkle_worker.py")
    process = await asyncio.create_subprocess_exec(
        str(PYMERKLE), worker, str(folder), *map(str, SIZES), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return {int(size): samples for size, samples in json.loads(output).items()}


async def _postgres_point(server: Server, size: int, folder: Path) -> Point:
    async with database_of(server) as database:
        store = await PostgresStore.open(server.url(database))
        await fill(store, size)
        proof = await _proof(store, size)
        disk = percentile(fdatasync_samples(folder, 200), 50)
        append = percentile((await rate(store, CALLERS)).samples, 50)
        await store.aclose()
        return Point(size, append, disk, proof)


async def _throughput(folder: Path) -> list[Figure]:
    store = await SqliteStore.open(folder / "many.db")
    ours = await rate(store, MANY)
    await store.aclose()
    bare = bare_rate(folder / "bare.db")
    store = await SqliteStore.open(folder / "ready-made.db")
    ready_made = await ready_made_rate(store)
    await store.aclose()
    what = f"SQLite, {MANY:,} callers: durable entries a second, with texts, tree and projections"
    return [
        Figure(
            what,
            f"{ours.a_second:,.0f}",
            f"{bare:,.0f} rows of the same size by executemany(1000), no chain, no key, no text",
            f"{ours.a_second / bare:.2f}",
            "0.5",
        ),
        Figure(
            "The same, beside the same rows in the same tables",
            f"{ours.a_second:,.0f}",
            f"{ready_made:,.0f} by the same statements, worked out beforehand",
            f"{ours.a_second / ready_made:.2f}",
        ),
    ]


def _flat(where: str, points: Sequence[Point]) -> list[Figure]:
    first, last = points[0], points[-1]
    return [
        Figure(
            f"{where}, one append among {CALLERS} callers in a ledger of {_sizes()} entries, p50",
            _each([point.append for point in points]),
            f"{_each([point.disk for point in points])} one fdatasync of 4 KiB",
            f"{last.append / first.append:.2f} the largest beside the smallest",
            "flat",
        )
    ]


def _proofs(
    points: Sequence[Point], remote: Sequence[Point], pymerkle: dict[int, float], counts: Sequence[int]
) -> list[Figure]:
    """``counts``: of pymerkle's proofs, at each size."""
    reached = max(pymerkle)
    theirs = " / ".join(milliseconds(pymerkle[size]) if size in pymerkle else "not reached" for size in SIZES)
    return [
        Figure(
            f"Inclusion proof from SQLite, {_sizes()} entries, p50 of {PROOFS}",
            _each([point.proof for point in points]),
            f"{theirs} pymerkle's SQLite, p50 of {' / '.join(map(str, counts))}",
            " / ".join(f"{pymerkle[point.size] / point.proof:.1f}" for point in points if point.size in pymerkle)
            + f" times as fast, the last at {reached:,}",
            "10",
        ),
        Figure(
            "The same from PostgreSQL",
            _each([point.proof for point in remote]),
            f"{_each([point.proof for point in points])} from SQLite",
            f"{remote[-1].proof / points[-1].proof:.1f}",
        ),
    ]


def _verified(verifications: Sequence[Verification]) -> list[Figure]:
    ours = _each([one.verified for one in verifications], "s")
    return [
        Figure(
            f"Full verification from SQLite, {_sizes()} entries",
            ours,
            f"{_each([one.hashing for one in verifications], 's')} SHA-256 of the same leaves, in memory",
            " / ".join(f"{one.verified / one.hashing:.1f}" for one in verifications),
            "1.5",
        ),
        Figure(
            "The same",
            ours,
            f"{_each([one.reading for one in verifications], 's')} the rows read, and leaves, texts and nodes hashed",
            " / ".join(f"{one.verified / one.reading:.2f}" for one in verifications),
        ),
    ]


def _receipted(receipts: Receipts) -> list[Figure]:
    where = f"of an answer at {SIZES[-1]:,} entries"
    return [
        Figure(f"Receipt {where}", f"{receipts.bytes_max:,} bytes", goal="1,500 bytes"),
        Figure(f"Offline verification of a receipt {where}, p50", milliseconds(receipts.verified), goal="1 ms"),
    ]


async def _money(folder: Path, server: Server) -> list[Figure]:
    local = await SqliteStore.open(folder / "money.db")
    figures = [await _pairs("SQLite", local)]
    await local.aclose()
    async with database_of(server) as database:
        remote = await PostgresStore.open(server.url(database))
        figures.append(await _pairs("PostgreSQL", remote))
        await remote.aclose()
    return figures


async def _pairs(where: str, store: Store) -> Figure:
    plain: Rate = await single_appends(store, unpaid_calls(CALLERS))
    paid: Rate = await single_appends(store, await paid_calls(store, CALLERS))
    return Figure(
        f"{where}, {CALLERS} at once: durable pairs of reserve and settle a second",
        f"{paid.a_second / 2:,.0f}",
        f"{plain.a_second / 2:,.0f} pairs of appends that move no money",
        f"{paid.a_second / plain.a_second:.2f}",
    )


def _lines(
    points: Sequence[Point],
    remote: Sequence[Point],
    verifications: Sequence[Verification],
    pymerkle: dict[int, float],
) -> list[Line]:
    return [
        Line("full verification", "#b3261e", tuple(one.verified for one in verifications)),
        Line("SHA-256 of its leaves", "#b3261e", tuple(one.hashing for one in verifications), dashed=True),
        Line("append, PostgreSQL", "#1b5e9b", tuple(point.append for point in remote), dashed=True),
        Line("append, SQLite", "#1b5e9b", tuple(point.append for point in points)),
        Line("proof, pymerkle", "#2e7d32", tuple(pymerkle[size] for size in SIZES if size in pymerkle), dashed=True),
        Line("proof, SQLite", "#2e7d32", tuple(point.proof for point in points)),
    ]


def _sizes() -> str:
    return " / ".join(f"{size:,}" for size in SIZES)


def _each(seconds: Sequence[float], unit: str = "ms") -> str:
    return " / ".join(milliseconds(value) if unit == "ms" else f"{value:.2f} s" for value in seconds)
