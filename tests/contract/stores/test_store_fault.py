"""What each store promises of a ledger that was found changed: no process appends, all that stands can be read."""

import pytest

from ledger.actions import LedgerReopened, TurnFinished
from ledger.entry import HOUSE, Draft
from ledger.errors import KeyReused, StoreFailed
from ledger.roadchain import RoadChain
from ledger.store import Store
from tests.stores import Opens

FAULT = "RC004: entry 1: the hash is not that of the entry's bytes"


def draft(key: str) -> Draft:
    return Draft(TurnFinished("answered"), HOUSE, key)


async def refused(store: Store, key: str) -> None:
    async with RoadChain(store) as roadchain:
        for _ in range(2):
            with pytest.raises(StoreFailed) as caught:
                await roadchain.append(draft(key))
            assert caught.value.reason == "changed"
        assert str(roadchain.failure) == FAULT


async def test_nothing_is_appended_to_a_ledger_with_a_fault_by_any_process(opened: Opens) -> None:
    store, other = await opened(), await opened()
    async with RoadChain(store) as roadchain, RoadChain(other) as elsewhere:
        await roadchain.append(draft("a"))
        await elsewhere.append(draft("b"))
        head, entries = await store.head(), await store.entries(-1, 10)
        assert await other.fault() == ""
        await roadchain.stop_taking(FAULT)
        assert await other.fault() == FAULT
        with pytest.raises(StoreFailed):
            await elsewhere.append(draft("c"))
    await refused(store, "d")
    await refused(await opened(), "e")
    assert (await other.head(), await other.entries(-1, 10)) == (head, entries)


async def test_a_fault_stays_over_a_replay(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        await roadchain.append(draft("a"))
        await roadchain.stop_taking(FAULT)
    assert await store.replay() == 1
    assert await store.fault() == FAULT
    await refused(store, "b")


async def test_what_stands_already_is_told_though_there_is_a_fault(store: Store) -> None:
    await store.set_fault(FAULT)
    async with RoadChain(store) as roadchain:
        with pytest.raises(StoreFailed):
            await roadchain.append(draft("a"))
    await store.set_fault("")
    async with RoadChain(store) as roadchain:
        (first,) = await roadchain.append(draft("a"))
    await store.set_fault(FAULT)
    async with RoadChain(store) as roadchain:
        (again,) = await roadchain.append(draft("a"))
        with pytest.raises(KeyReused):
            await roadchain.append(Draft(TurnFinished("failed"), HOUSE, "a"))
        assert (again.seq, again.fresh, first.fresh) == (first.seq, False, True)


async def test_a_ledger_is_opened_again_by_the_entry_that_says_so(opened: Opens) -> None:
    store = await opened()
    await store.set_fault(FAULT)
    async with RoadChain(store) as roadchain:
        (receipt,) = await roadchain.append(Draft(LedgerReopened(FAULT), HOUSE, "reopened"))
    assert await store.fault() == ""
    other = await opened()
    async with RoadChain(other) as roadchain:
        (next_,) = await roadchain.append(draft("b"))
    assert (receipt.seq, next_.seq) == (0, 1)
    # Of an entry that opened it once, a replay does not open it again.
    await store.set_fault(FAULT)
    await store.replay()
    assert await other.fault() == FAULT
