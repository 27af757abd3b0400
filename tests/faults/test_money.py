"""The money under random movements, with the store closed or its process killed between any two of them.

After each step: every entry sums to 0, so do all accounts; nothing of a workspace is below 0; balances, holds and limits are
those of a book that is kept another way (``money_model``), those of a fold over the entries' bytes, and those of a replay.
"""

import asyncio
import signal
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.storage.hold_rows import encode_hold
from ledger.accounts import RC
from ledger.book import Book
from ledger.entry import Entry
from tests.faults.children import child
from tests.faults.money_model import Model
from tests.faults.money_moves import Moves
from tests.faults.money_play import begin, check_entries, keys_at, play, recover
from tests.faults.writers import money_writer

KILLS = 24
LIFE_MAX_S = 0.06


def played(random: Random, steps: int) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "money.db", random, steps))


def killed_often(path: Path, seed: int, kills: int) -> int:
    """Kill the process that moves the money, hold what is on disk against the model, and let another go on from there."""
    model, moves = Model(), Moves(Random(seed))
    chance = Random(seed)  # apart from the moves', which come out the same in the killed process and here
    asyncio.run(begin(path, model))
    batches = 0
    for _ in range(kills):
        with child(money_writer, path, model, moves) as process:
            process.acknowledged()
            time.sleep(chance.uniform(0, LIFE_MAX_S))
            process.signal(signal.SIGKILL)
            acknowledged = 1 + len(process.rest())
            assert process.ended() == -signal.SIGKILL
        for _ in range(acknowledged):
            now_us = moves.tick()
            for group in moves.batch(model):
                model.record(group, now_us)
        there = keys_at(path)
        assert there[: len(model.drafts)] == [draft.idem for draft in model.drafts]
        now_us = moves.tick()
        for group in moves.batch(model):  # the one under way: each group of it whole, or not there
            keys = {draft.idem for draft in group}
            if keys & set(there):
                assert keys <= set(there)
                assert model.record(group, now_us) is None
        check_entries(path, model)
        if chance.randrange(4) == 0:
            asyncio.run(recover(path, model, moves))
        batches += acknowledged
    asyncio.run(recover(path, model, moves))
    return batches


@settings(max_examples=12)
@given(st.randoms(use_true_random=False), st.integers(5, 40))
def test_the_book_is_that_of_the_model_after_each_step(random: Random, steps: int) -> None:
    played(random, steps)


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
@settings(max_examples=2_000)
@given(st.randoms(use_true_random=False), st.integers(5, 120))
def test_the_book_is_that_of_the_model_after_each_of_many_steps(random: Random, steps: int) -> None:
    played(random, steps)


def test_the_book_is_that_of_the_model_however_often_its_process_is_killed(tmp_path: Path) -> None:
    assert killed_often(tmp_path / "money.db", 1, KILLS) > KILLS


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("seed", range(100))
def test_the_book_is_that_of_the_model_after_many_more_kills(tmp_path: Path, seed: int) -> None:
    killed_often(tmp_path / "money.db", seed, 20)


def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.book.is_guarded", lambda account: False)


def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Book, "_count", lambda self, counters, amount: None)


def returned_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    enter = Book.enter

    def twice(self: Book, entry: Entry) -> None:
        enter(self, entry)
        for posting in entry.postings if entry.action.name == "credit.void" else ():
            self._set(self._moved, (posting.account, RC), self._moved[posting.account, RC] + posting.amount)

    monkeypatch.setattr(Book, "enter", twice)


def never_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "integrations.storage.sqlite_book.encode_hold", lambda hold: encode_hold(replace(hold, state="open"))
    )


@pytest.mark.parametrize("fault", [unguarded, uncounted, returned_twice, never_closed])
def test_a_book_with_a_fault_is_found_out(fault: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same play on books that were broken on purpose."""
    assert callable(fault)
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        for seed in range(5):
            played(Random(seed), 40)
