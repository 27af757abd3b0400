"""The payments side killed between any two steps, again and again: at the end book, journal and Stripe agree to the unit."""

import asyncio
import signal
from pathlib import Path
from random import Random

import pytest

from ledger.verify import verify_database
from tests.faults.children import child
from tests.faults.payments_checks import MOVES_MONEY, settle
from tests.faults.payments_play import LEDGER, STEPS_MAX, dealt, living, payments_life

A_BOOK = 20
"""So many lives go on with one book; then another is begun."""

BOOKS = 15
METERED = 3
"""In each third of the books there is a plan with a meter."""


RARE = {"credit.writeoff", "credit.late_cost", "credit.overage_paid"}
"""Kinds of entries that few of the books come to: which ones, where a kill falls decides."""


def lived(folder: Path, seed: int, lives: int) -> tuple[int, set[str]]:
    """How many of the lives were killed, and the kinds of entries of the money that they made."""
    metered = seed % METERED == 0
    chance, deal, killed = Random(seed), dealt(seed, metered=metered), 0
    for number in range(lives):
        step, moves = chance.randrange(1, STEPS_MAX), next(deal)
        with child(payments_life, folder, seed * 1_000 + number, step, moves, metered) as process:
            status = process.ended()
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
    made = asyncio.run(settled(folder, seed, metered))
    verify_database(folder / LEDGER)
    return killed, made


async def settled(folder: Path, seed: int, metered: bool) -> set[str]:
    """The kinds of entries of the money that were made before the last life, by those that could be killed."""
    async with living(folder, Random(seed), metered=metered) as life:
        made = {entry.action.name for entry in await life.entries()} & MOVES_MONEY
        await settle(life, Random(seed))
        return made


@pytest.mark.timeout(1_200)
def test_the_books_agree_however_often_the_payments_side_is_killed(tmp_path: Path) -> None:
    made = set[str]()
    for seed in range(BOOKS):
        (folder := tmp_path / f"seed-{seed}").mkdir()
        more, kinds = lived(folder, seed, A_BOOK)
        assert more > A_BOOK // 2
        made |= kinds
    assert made >= MOVES_MONEY - RARE, "the play has stopped covering a kind of entry"


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("seed", range(100, 600))
def test_the_books_agree_after_many_more_kills(tmp_path: Path, seed: int) -> None:
    lived(tmp_path, seed, A_BOOK)
