"""What each store promises the book, found where it was broken once by ``tests/faults/test_money.py``."""

import asyncio

import pytest

from ledger.accounts import promo
from ledger.book import HoldId
from ledger.credit_actions import (
    CreditAction,
    CreditGranted,
    CreditReserved,
    CreditReversed,
    CreditSettled,
    CreditTopup,
    CreditVoided,
    LateCost,
    ProviderBilled,
    ProviderTruedUp,
)
from ledger.entry import Draft, Scope
from ledger.errors import InsufficientBalance, InvalidEntry, NegativeAmount
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Receipt, Store

W = WorkspaceId("w1")
SCOPE = Scope(W, ActorId("a-1"), ConversationId(""), TurnId(""))
NOW_US = 1_000


def asked(name: str, amount: int) -> CreditReserved:
    return CreditReserved(name, amount, amount, "p", "m")


async def worth(store: Store) -> dict[str, int]:
    return {row.account: row.natural for row in await store.balances() if ":ws:" in row.account and row.balance}


async def end_us(store: Store, lot: str) -> int | None:
    return next(row.expires_us for row in await store.balances() if row.account == promo(W, lot))


class Till:
    """Appends movements one by one, or several at once, with keys of its own."""

    def __init__(self, roadchain: RoadChain) -> None:
        self._roadchain = roadchain
        self._made = 0

    async def __call__(self, action: CreditAction) -> Receipt:
        self._made += 1
        key = f"reversal/{action.entry}" if isinstance(action, CreditReversed) else f"{self._made}"
        (receipt,) = await self._roadchain.append(Draft(action, SCOPE, key))
        return receipt

    async def at_once(self, *actions: CreditAction) -> None:
        await asyncio.gather(*(self(action) for action in actions))


async def test_credit_that_comes_back_to_an_emptied_lot_is_spent_in_the_same_batch(store: Store) -> None:
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        till = Till(roadchain)
        await till(CreditGranted("spring", 10, NOW_US + 1))
        await till(asked("first", 10))
        await till.at_once(CreditVoided("first"), asked("second", 10))
    assert await worth(store) == {"L:ws:w1:held": 10}


async def test_credit_that_comes_back_to_an_emptied_lot_after_its_end_is_not_spent(store: Store) -> None:
    now_us = NOW_US
    async with RoadChain(store, clock=lambda: now_us) as roadchain:
        till = Till(roadchain)
        await till(CreditGranted("spring", 10, NOW_US + 1))
        await till(asked("first", 10))
        now_us += 1
        with pytest.raises(InsufficientBalance):
            await till.at_once(CreditVoided("first"), asked("second", 10))


async def test_a_later_grant_into_a_lot_moves_its_end_only_where_it_names_one(store: Store) -> None:
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        till = Till(roadchain)
        await till(CreditGranted("spring", 10, NOW_US + 5))
        await till(asked("all", 10))
        await till(CreditGranted("spring", 10))
        await till(CreditTopup("stripe", 0, discount=1, lot="spring"))
        assert await end_us(store, "spring") == NOW_US + 5
        await till(CreditGranted("summer", 10, NOW_US + 5))
        await till(CreditGranted("summer", 10, NOW_US + 9))
        await till(CreditGranted("summer", 0, NOW_US + 2))
        assert await end_us(store, "summer") == NOW_US + 9
    before = await store.balances()
    await store.replay()
    assert await store.balances() == before


async def test_what_a_reversed_settle_holds_again_is_given_back_by_a_void(store: Store) -> None:
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        till = Till(roadchain)
        await till(CreditTopup("stripe", 100))
        await till(asked("call", 20))
        settled = await till(CreditSettled("call", 5, "p", 4))
        with pytest.raises(InvalidEntry, match="its hold is named"):
            await till(CreditReversed(settled.seq))
        await till(CreditReversed(settled.seq, "call"))
        assert await worth(store) == {"L:ws:w1:paid": 80, "L:ws:w1:held": 20}
        with pytest.raises(InvalidEntry):
            await till(CreditSettled("call", 5, "p", 4))
        await till(CreditVoided("call"))
        with pytest.raises(InvalidEntry):
            await till(CreditVoided("call"))
    assert await worth(store) == {"L:ws:w1:paid": 100}
    hold = await store.hold(HoldId("call"))
    assert hold is not None
    assert (hold.state, hold.charged) == ("voided", 0)


async def test_a_reserve_and_a_void_are_not_reversed_so_that_no_hold_gives_back_twice(store: Store) -> None:
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        till = Till(roadchain)
        await till(CreditTopup("stripe", 100))
        reserved = await till(asked("one", 20))
        await till(asked("other", 20))
        with pytest.raises(InvalidEntry, match="only a settle"):
            await till(CreditReversed(reserved.seq))
        voided = await till(CreditVoided("one"))
        with pytest.raises(InvalidEntry, match="only a settle"):
            await till(CreditReversed(voided.seq))
        await till(CreditSettled("other", 20, "p", 1))
    assert await worth(store) == {"L:ws:w1:paid": 80}


async def test_a_provider_is_paid_no_more_than_it_is_owed_by_bills_at_once(store: Store) -> None:
    def owed() -> dict[str, int]:
        return {row.account: row.natural for row in rows if row.balance}

    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        till = Till(roadchain)
        await till(LateCost("p", 10, absorbed=False))
        await till(CreditReserved("lost", 0, 0, "p", "m"))
        await till(CreditVoided("lost", "p", 7))
        bills = (ProviderBilled("p", 8, 2), ProviderBilled("p", 8, 2), ProviderTruedUp("p", 3, 5))
        ended = await asyncio.gather(*(till(bill) for bill in bills), return_exceptions=True)
        assert [type(item).__name__ for item in ended] == ["Receipt", "InsufficientBalance", "InsufficientBalance"]
        for action in (ProviderBilled("p", 0, 6), ProviderTruedUp("p", 3, 0), ProviderTruedUp("new", 1, 0)):
            with pytest.raises(InsufficientBalance):
                await till(action)
        await till(ProviderTruedUp("p", 2, 5))
        await till(LateCost("p", 4, absorbed=True))
        with pytest.raises(NegativeAmount):
            await till(ProviderTruedUp("p", 4, -4))
        rows = await store.balances()
        assert owed() == {"A:bank": -10, "L:provider:p:accrued": 4, "X:absorbed": 6, "X:provider:p": 8}
        await store.replay()
        assert await store.balances() == rows


async def test_the_reversal_of_a_settle_does_not_take_another_calls_hold(store: Store) -> None:
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        till = Till(roadchain)
        await till(CreditTopup("stripe", 100))
        await till(asked("one", 20))
        await till(asked("other", 30))
        settled = await till(CreditSettled("one", 5, "p", 4))
        await till(CreditSettled("other", 5, "p", 4))
        with pytest.raises(InvalidEntry):
            await till(CreditReversed(settled.seq, "other"))
