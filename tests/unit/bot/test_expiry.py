"""Promotional credit that is over leaves the book: all that is left of its lot, and once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.expiry import HOUR_US, Expiry
from integrations.storage.sqlite import SqliteStore
from ledger.credit_actions import (
    CreditExpired,
    CreditFrozen,
    CreditGranted,
    CreditReserved,
    CreditTopup,
    CreditUnfrozen,
    CreditVoided,
    PlanGranted,
)
from ledger.entry import Draft, Scope, StripeObject
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain

ANNA = Scope(WorkspaceId("w-1"), ActorId("a-1"), ConversationId("c-1"), TurnId("t-1"))
END_US = 1_795_000_000_000_000


class Book:
    def __init__(self, store: SqliteStore, roadchain: RoadChain) -> None:
        self.store = store
        self.roadchain = roadchain
        self.now_us = END_US - HOUR_US
        self.expiry = Expiry(roadchain, store, lambda: self.now_us)

    async def add(self, *drafts: Draft) -> None:
        for draft in drafts:
            await self.roadchain.append(draft)

    async def balances(self) -> dict[str, int]:
        return {row.account: row.natural for row in await self.store.balances() if row.balance}


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    made: list[Book] = []
    async with RoadChain(store, lambda: made[0].now_us) as roadchain:
        made.append(Book(store, roadchain))
        yield made[0]
    await store.aclose()


async def test_a_lot_ends_at_its_moment_and_other_credit_stays(book: Book) -> None:
    await book.add(
        Draft(CreditGranted("ending", 50, END_US), ANNA, "g1"),
        Draft(CreditGranted("later", 7, END_US + 1), ANNA, "g2"),
        Draft(CreditGranted("lasting", 5), ANNA, "g3"),
        Draft(CreditTopup("stripe", 100), ANNA, "top"),
    )
    book.now_us = END_US - 1
    assert await book.expiry.apply() == 0
    book.now_us = END_US
    assert [await book.expiry.apply() for _ in range(2)] == [1, 0]
    assert await book.balances() == {
        "A:stripe:clearing": 100,
        "L:ws:w-1:paid": 100,
        "L:ws:w-1:promo:lasting": 5,
        "L:ws:w-1:promo:later": 7,
        "X:promo": 12,
    }
    (entry,) = [one.entry for one in await book.store.moved(-1, 10) if one.entry.action.name == "credit.expire"]
    assert (entry.workspace, entry.actor) == ("w-1", "house")


async def test_what_comes_back_to_a_lot_that_is_over_goes_with_the_next_hour(book: Book) -> None:  # S32
    await book.add(
        Draft(CreditGranted("ending", 50, END_US), ANNA, "g1"),
        Draft(CreditReserved("h", 20, 20, "openai", "m"), ANNA, "r"),
    )
    book.now_us = END_US
    assert await book.expiry.apply() == 1
    await book.add(Draft(CreditVoided("h"), ANNA, "v"))
    assert (await book.balances())["L:ws:w-1:promo:ending"] == 20
    book.now_us += HOUR_US
    assert await book.expiry.apply() == 1
    assert await book.balances() == {}


async def test_two_processes_end_a_lot_once(book: Book) -> None:
    await book.add(Draft(CreditGranted("ending", 50, END_US), ANNA, "g1"))
    book.now_us = END_US
    stale = await book.store.balances()
    assert await book.expiry.apply() == 1

    class Late:
        async def balances(self) -> object:
            return stale

    late: Any = Late()  # it looked before the other wrote
    assert await Expiry(book.roadchain, late, lambda: book.now_us).apply() == 0
    assert await book.balances() == {}


PLAN = "L:ws:w-1:plan"
GRANTED = Draft(PlanGranted("stripe", "pro", 1500, 500, END_US // 1_000_000, "sub_1"), ANNA, "in_1")
ENDED = Draft(CreditExpired("plan", 1000), ANNA, "sub_1/expire", stripe=StripeObject("subscription", "sub_1"))


async def test_a_plans_credit_that_comes_back_after_its_end_is_over(book: Book) -> None:
    """It was held for a call, or frozen by a dispute, while the plan ended."""
    await book.add(GRANTED, Draft(CreditReserved("h", 300, 300, "p", "m"), ANNA, "r"))
    freeze = (await book.roadchain.append(Draft(CreditFrozen(200, plan=True), ANNA, "freeze")))[0].seq
    book.now_us = END_US
    assert await book.expiry.apply() == 0  # the plan's own end, or the next invoice, takes what is there
    await book.add(ENDED, Draft(CreditVoided("h"), ANNA, "v"))
    assert (await book.balances())[PLAN] == 300
    assert [await book.expiry.apply() for _ in range(2)] == [1, 0]
    await book.add(Draft(CreditUnfrozen(200, freeze), ANNA, "unfreeze"))
    assert await book.expiry.apply() == 0  # of an hour the first one stands
    book.now_us += HOUR_US
    assert await book.expiry.apply() == 1
    assert PLAN not in await book.balances()
    assert (await book.balances())["R:breakage"] == 1500


async def test_of_a_plan_that_runs_nothing_is_over(book: Book) -> None:
    again = Draft(PlanGranted("stripe", "pro", 700, 0, END_US // 1_000_000 + 9, "sub_2"), ANNA, "in_2")
    await book.add(GRANTED, ENDED, again)
    book.now_us = END_US + HOUR_US
    assert await book.expiry.apply() == 0
    assert (await book.balances())[PLAN] == 1200
