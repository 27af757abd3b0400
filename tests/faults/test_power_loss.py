"""The power is lost at any moment, under SQLite: what was acknowledged is there, what was not is whole or absent."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ledger.verify import NotVerified
from tests.faults.audit import Lost, audit, goes_on
from tests.faults.power_loss import ACKS, Step, acknowledged, build_library, lose_power, run_recorded

GROUPS = 60
MOMENTS = 200


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("library"))


def recorded(library: Path, folder: Path, synchronous: str) -> list[Step]:
    home = folder / "home"
    home.mkdir()
    paths = str(home / "x.db"), str(home / ACKS)
    return run_recorded(library, home, "tests.faults.power_writer", *paths, str(GROUPS), synchronous)


def lose_often(steps: list[Step], folder: Path, random: Random, moments: int) -> None:
    """Each time at another moment after the first acknowledgement, and with another part of what was not flushed."""
    first = next(place for place, step in enumerate(steps) if step.name == ACKS)
    for number in range(moments):
        until = steps[: random.randrange(first + 1, len(steps) + 1)]
        disk = folder / str(number)
        lose_power(until, random, disk)
        # The verifier only reads: SQLite's recovery, which a start does, comes before it.
        with closing(sqlite3.connect(disk / "x.db")) as start:
            start.execute("PRAGMA synchronous = OFF")
            start.execute("SELECT count(*) FROM entry").fetchone()
            audit(disk / "x.db", acknowledged(until))
        if number % 10 == 0:
            goes_on(disk / "x.db", GROUPS)
        shutil.rmtree(disk)


def test_what_was_acknowledged_outlives_the_loss_of_power(library: Path, tmp_path: Path) -> None:
    steps = recorded(library, tmp_path, "FULL")
    assert acknowledged(steps) == set(range(GROUPS))
    # SQLite took its log over into the database several times, so that those moments are among them.
    assert sum(step.kind == "flush" and step.name == "x.db" for step in steps) > 3
    lose_often(steps, tmp_path, Random(1), MOMENTS)


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
def test_what_was_acknowledged_outlives_many_more_losses_of_power(library: Path, tmp_path: Path) -> None:
    lose_often(recorded(library, tmp_path, "FULL"), tmp_path, Random(2), 10_000)


@pytest.mark.parametrize(
    ("synchronous", "found"), [("NORMAL", Lost), ("OFF", (Lost, NotVerified, sqlite3.DatabaseError))]
)
def test_a_store_that_does_not_flush_each_commit_is_found_out(
    library: Path, tmp_path: Path, synchronous: str, found: type[Exception] | tuple[type[Exception], ...]
) -> None:
    """The control: NORMAL loses entries, OFF more than that."""
    steps = recorded(library, tmp_path, synchronous)
    assert acknowledged(steps) == set(range(GROUPS))
    with pytest.raises(found):
        lose_often(steps, tmp_path, Random(1), MOMENTS)
