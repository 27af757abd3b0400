"""A writer killed at random moments, as `kill -9` does: what it acknowledged is there, what it did not is whole or absent."""

import signal
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.audit import Lost, audit, goes_on
from tests.faults.children import child
from tests.faults.writers import Faith, killed_writer

LIFE_MAX_S = 0.05
GROUPS_MAX = 1_000_000


def killed_often(path: Path, random: Random, kills: int, faith: Faith = "awaits") -> int:
    """How many groups were acknowledged, over all of its lives."""
    acknowledged: set[int] = set()
    for life in range(kills):
        with child(killed_writer, path, life * GROUPS_MAX, faith) as process:
            first = process.acknowledged()
            time.sleep(random.uniform(0, LIFE_MAX_S))
            process.signal(signal.SIGKILL)
            acknowledged |= {first, *process.rest()}
            assert process.ended() == -signal.SIGKILL
        audit(path, acknowledged)
    goes_on(path, kills * GROUPS_MAX)
    return len(acknowledged)


@pytest.mark.parametrize("seed", range(2))
def test_a_writer_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path, seed: int) -> None:
    assert killed_often(tmp_path / "x.db", Random(seed), 12) > 12


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("seed", range(100))
def test_a_writer_that_is_killed_many_times_more_loses_nothing(tmp_path: Path, seed: int) -> None:
    killed_often(tmp_path / "x.db", Random(seed), 50)


def test_a_writer_that_acknowledges_before_it_knows_is_found_out(tmp_path: Path) -> None:
    """The control."""
    with pytest.raises(Lost):
        killed_often(tmp_path / "x.db", Random(1), 40, "hopes")
