"""What each store promises of the book, the tree and erasure; and that two stores come to the same, entry for entry."""

import asyncio
import random
from pathlib import Path

import pytest

from ledger import accounts as chart
from ledger.accounts import RC, Account
from ledger.actions import Action, MessageReceived, PayloadErased, TurnFinished
from ledger.book import AccountRow, Counter, HoldId
from ledger.chain import Replay
from ledger.credit_actions import (
    CreditAllocated,
    CreditExpired,
    CreditGranted,
    CreditReserved,
    CreditReversed,
    CreditSettled,
    CreditTopup,
    CreditVoided,
    Limit,
    PlanGranted,
    RefundedOutside,
    RefundHeld,
)
from ledger.entry import HOUSE, Draft, Scope
from ledger.errors import InsufficientBalance, LedgerError, LimitReached
from ledger.merkle import EMPTY_FRONTIER, grow
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Store, TextsErased
from tests.postgres import Server
from tests.stores import Opens, opening

W = WorkspaceId("w1")
DAY = "2026-11-24"
SPENT = Counter(W, "a1", DAY)


def money(key: str, action: Action, workspace: WorkspaceId = W, actor: str = "a1") -> Draft:
    return Draft(action, Scope(workspace, ActorId(actor), ConversationId(""), TurnId("")), key)


def reserve(hold: str, amount: int, cap: int = 1 << 40) -> Draft:
    limits = (Limit("a1", DAY, cap),)
    return money(f"reserve/{hold}", CreditReserved(hold, amount, amount, "openai", "m", "", limits))


def settle(hold: str, price: int) -> Draft:
    return money(f"settle/{hold}", CreditSettled(hold, price, "openai", price // 2))


async def balance(store: Store, account: Account) -> int:
    return sum(row.natural for row in await store.balances() if row.account == account)


async def test_a_call_is_reserved_settled_and_what_is_left_returned(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        await roadchain.append(money("top", CreditTopup("stripe", 1_000)))
        await roadchain.append(reserve("h1", 400))
        assert await balance(store, chart.held(W)) == 400
        assert await store.spent(SPENT) == 400
        await roadchain.append(settle("h1", 150))
    assert (await balance(store, chart.held(W)), await balance(store, chart.paid(W))) == (0, 850)
    assert await store.spent(SPENT) == 150
    hold = await store.hold(HoldId("h1"))
    assert hold is not None
    assert (hold.state, hold.charged, hold.counters) == ("settled", 150, (SPENT,))
    assert await store.hold(HoldId("h2")) is None
    assert await store.spent(Counter(W, "a2", DAY)) == 0
    assert sum(row.balance for row in await store.balances()) == 0


async def test_whoever_asks_for_more_than_there_is_fails_alone(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        outcomes = await asyncio.gather(
            roadchain.append(money("top", CreditTopup("stripe", 1_000))),
            roadchain.append(reserve("h1", 700)),
            roadchain.append(reserve("h2", 700)),
            roadchain.append(reserve("h3", 300)),
            roadchain.append(reserve("h4", 1, cap=1)),
            return_exceptions=True,
        )
    assert [type(outcome) for outcome in outcomes] == [tuple, tuple, InsufficientBalance, tuple, LimitReached]
    assert await balance(store, chart.paid(W)) == 0
    assert await store.hold(HoldId("h2")) is None


async def test_many_writers_at_once_cannot_spend_the_same_credit_twice(opened: Opens) -> None:
    stores = [await opened() for _ in range(3)]
    async with RoadChain(stores[0]) as one, RoadChain(stores[1]) as two, RoadChain(stores[2]) as three:
        await one.append(money("top", CreditTopup("stripe", 1_000)))
        writers = (one, two, three)
        outcomes = await asyncio.gather(
            *(writers[number % 3].append(reserve(f"h{number}", 100)) for number in range(60)), return_exceptions=True
        )
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 10
    assert sum(isinstance(outcome, InsufficientBalance) for outcome in outcomes) == 50
    assert (await balance(stores[0], chart.held(W)), await balance(stores[0], chart.paid(W))) == (1_000, 0)


async def test_a_settle_is_reversed_to_the_unit_and_the_limit_forgets_it(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        await roadchain.append(money("top", CreditTopup("stripe", 1_000)))
        before = await store.balances()
        await roadchain.append(reserve("h1", 400))
        (settled,) = await roadchain.append(settle("h1", 150))
        seq = settled.seq
        await roadchain.append(money(f"reversal/{seq}", CreditReversed(seq, "h1")))
        after = {row.account: row.balance for row in await store.balances()}
        # The reserve stands, its settle does not: what was held is held again.
        assert after[chart.held(W)] == -400
        assert await store.spent(SPENT) == 0
        with pytest.raises(LedgerError):
            await roadchain.append(money(f"reversal/{seq + 7}", CreditReversed(seq, "h1")))
    assert {row.account for row in before} <= set(after)


async def test_entries_that_move_money_are_found(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        await roadchain.append(Draft(TurnFinished("answered"), HOUSE, "0", b"text"))
        await roadchain.append(money("top", CreditTopup("stripe", 1_000)))
        await roadchain.append(Draft(TurnFinished("answered"), HOUSE, "2"))
        await roadchain.append(reserve("h1", 400))
    assert [(found.entry.seq, found.body) for found in await store.moved(-1, 10)] == [(1, None), (3, None)]
    assert [found.entry.seq for found in await store.moved(1, 10)] == [3]
    assert [found.entry.seq for found in await store.moved(-1, 1)] == [1]


async def test_the_accounts_of_a_workspace_are_all_of_its_own_and_no_others(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        for name in ("w1", "w10", "w", "w1.x", "W1"):
            await roadchain.append(money(f"top-{name}", CreditTopup("stripe", 1_000), WorkspaceId(name)))
        await roadchain.append(money("owed", RefundedOutside("stripe", 1_500)))
        await roadchain.append(money("lot", CreditGranted("lot-1", 70), WorkspaceId("w10")))
    rows = await store.balances()
    for name in ("w1", "w10", "w", "w1.x", "W1", "w2"):
        own = await store.balances_of(WorkspaceId(name))
        assert own == tuple(row for row in rows if f":ws:{name}:" in row.account)
    assert [(row.account, row.natural) for row in await store.balances_of(W)] == [
        ("A:ws:w1:debt", 500),
        ("L:ws:w1:paid", 0),
    ]


async def test_what_a_person_was_charged_is_found_apart_from_what_others_were(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        await roadchain.append(money("top", CreditTopup("stripe", 1_000)))
        await roadchain.append(reserve("h1", 400))
        (settled,) = await roadchain.append(settle("h1", 150))
        await roadchain.append(money(f"reversal/{settled.seq}", CreditReversed(settled.seq, "h1")))
        await roadchain.append(money("other", CreditReserved("h2", 10, 10, "openai", "m"), actor="a2"))
        await roadchain.append(money("void", CreditVoided("h1", "openai", 0)))
    a1 = ActorId("a1")
    assert [(found.entry.seq, found.body) for found in await store.charged(W, a1, -1, 10)] == [
        (1, None),
        (2, None),
        (3, None),
    ]
    assert [found.entry.seq for found in await store.charged(W, a1, 1, 1)] == [2]
    assert [found.entry.seq for found in await store.charged(W, ActorId("a2"), -1, 10)] == [4]
    assert await store.charged(WorkspaceId("w2"), a1, -1, 10) == ()


async def test_a_plan_is_its_latest_grant_and_what_expired_since(store: Store) -> None:
    async def planned(workspace: str = W) -> list[int]:
        return [found.entry.seq for found in await store.planned(WorkspaceId(workspace))]

    async with RoadChain(store) as roadchain:
        assert await planned() == []
        await roadchain.append(money("early", CreditExpired("plan")))
        assert await planned() == []
        await roadchain.append(money("p1", PlanGranted("stripe", "pro", 100, 20)))
        await roadchain.append(money("top", CreditTopup("stripe", 1_000)))
        assert await planned() == [1]
        await roadchain.append(money("e1", CreditExpired("plan")), money("p2", PlanGranted("stripe", "top", 300, 60)))
        await roadchain.append(money("other", PlanGranted("stripe", "pro", 100, 20), WorkspaceId("w2")))
        assert (await planned(), await planned("w2")) == ([4], [5])
        await roadchain.append(money("e2", CreditExpired("plan")))
        await roadchain.append(money("e3", CreditExpired("plan"), WorkspaceId("w2")))
        assert (await planned(), await planned("w2"), await planned("w")) == ([4, 6], [5, 7], [])


async def test_the_tree_is_that_of_the_entries_however_they_came_in(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        for first, last in ((0, 1), (1, 300), (300, 301), (301, 600)):
            drafts = [Draft(TurnFinished("answered"), HOUSE, str(number)) for number in range(first, last)]
            await asyncio.gather(*(roadchain.append(draft) for draft in drafts))
    recorded = await store.entries(-1, 1_000)
    hashes = tuple(item.hash for item in recorded)
    frontier, subtrees = grow(EMPTY_FRONTIER, hashes)
    assert (await store.head()).frontier == await store.frontier() == frontier
    assert await store.subtree_hashes(1, 0, 10) == tuple(subtree.hash for subtree in subtrees)
    assert len(subtrees) == 2
    assert await store.subtree_hashes(0, 250, 20) == hashes[250:270]
    assert await store.subtree_hashes(1, 1, 10) == (subtrees[1].hash,)
    assert await store.leaves(590, 20) == tuple(item.leaf for item in recorded[590:])
    assert await store.leaves(600, 1) == ()


async def test_the_largest_checkpoint_is_the_latest_one(store: Store) -> None:
    assert await store.latest_checkpoint() is None
    await store.keep_checkpoint(5, b"r" * 32, b"five")
    await store.keep_checkpoint(3, b"r" * 32, b"three")
    assert await store.latest_checkpoint() == b"five"
    await store.keep_checkpoint(5, b"r" * 32, b"five, cosigned")
    assert await store.latest_checkpoint() == b"five, cosigned"


def said(turn: str, workspace: str, actor: str, conversation: str) -> Draft:
    where = ConversationId(conversation)
    scope = Scope(WorkspaceId(workspace), ActorId(actor), where, TurnId(turn))
    return Draft(MessageReceived("test", where, "message", ""), scope, turn, f"text of {turn}".encode())


@pytest.mark.parametrize(
    ("erased", "left"),
    [
        (PayloadErased("person", "a1"), ["t2", "t3", "t4"]),
        (PayloadErased("conversation", "c1"), ["t1", "t3", "t4"]),
        (PayloadErased("age", "w1"), ["t3"]),
        (PayloadErased("age", "w1", 1_500), ["t2", "t3", "t4"]),
    ],
)
async def test_a_text_that_is_erased_is_gone_and_its_entry_stands(
    store: Store, erased: PayloadErased, left: list[str]
) -> None:
    times = iter((1_000, 1_100, 2_000, 2_100, 2_200, 2_300, 2_400))
    async with RoadChain(store, clock=lambda: next(times)) as roadchain:
        for draft in (
            said("t0", "w1", "a1", "c1"),
            said("t1", "w1", "a1", "c2"),
            said("t2", "w1", "a2", "c1" if erased.scope == "conversation" else "c3"),
            said("t3", "w2", "a9", "c1"),
            said("t4", "w1", "a3", "c4"),
        ):
            await roadchain.append(draft)
        hashes = [item.hash for item in await store.entries(-1, 10)]
        found = TextsErased(WorkspaceId("w1"), erased.scope, erased.subject, erased.before_us, 5)
        assert await store.texts(found) == 5 - len(left)
        await roadchain.append(money("erase", erased))
        await roadchain.append(said("t5", "w1", "a1", "c1"))
        assert await store.texts(found) == 0
    recorded = await store.entries(-1, 10)
    assert [item.entry.turn for item in recorded if item.body is not None] == [*left, "t5"]
    assert [item.hash for item in recorded][:5] == hashes
    await store.scrub()
    assert await store.entries(-1, 10) == recorded
    assert await store.replay() == 7
    assert await store.entries(-1, 10) == recorded


def random_money(random_: random.Random, count: int) -> list[Draft]:
    """Movements of every way of writing the book, many of which are refused."""
    drafts: list[Draft] = []
    for number in range(count):
        workspace = WorkspaceId(random_.choice(("w1", "w2")))
        amount, hold = random_.randrange(1, 400), f"h{random_.randrange(12)}"
        action: Action = random_.choice(
            (
                CreditTopup("stripe", amount * 3),
                CreditTopup("stripe", amount, discount=50, lot=f"lot{number % 3}", expires_us=1 << 52),
                CreditGranted(f"lot{number % 3}", amount, expires_us=1 << 52),
                CreditExpired(f"promo:lot{number % 3}"),
                CreditAllocated("", "user:a1", amount),
                CreditAllocated("user:a1", "agent:b", amount),
                CreditReserved(hold, amount, amount // 2, "openai", "m", "b", (Limit("a1", DAY, 2_000),)),
                CreditSettled(hold, amount, "openai", amount // 2),
                CreditVoided(hold, "openai", 3),
                RefundHeld(amount),
            )
        )
        drafts.append(money(f"m{number}", action, workspace))
        if number % 9 == 8:
            seq = random_.randrange(number)
            drafts.append(money(f"reversal/{seq}", CreditReversed(seq), workspace))
    return drafts


async def everything(store: Store) -> tuple[object, ...]:
    """All that follows from the entries."""
    holds = [await store.hold(HoldId(f"h{number}")) for number in range(12)]
    spent = [await store.spent(Counter(WorkspaceId(name), "a1", DAY)) for name in ("w1", "w2")]
    rows = [row for row in await store.balances() if row.balance]
    return await store.head(), rows, holds, spent, await store.subtree_hashes(1, 0, 100)


@pytest.mark.parametrize("seed", range(3))
async def test_both_stores_come_to_the_same_from_the_same_batches(tmp_path: Path, postgres: Server, seed: int) -> None:
    results = []
    for kind in ("sqlite", "postgres"):
        random_ = random.Random(seed)
        async with opening(kind, tmp_path, postgres) as open_:
            store = await open_()
            ticks = iter(range(1, 1_000_000))
            async with RoadChain(store, ticks.__next__, lambda: b"s" * 32) as roadchain:
                drafts = random_money(random_, 300)
                while drafts:
                    batch, drafts = drafts[: (size := random_.randrange(1, 40))], drafts[size:]
                    outcomes = await asyncio.gather(
                        *(roadchain.append(draft) for draft in batch), return_exceptions=True
                    )
                    assert all(isinstance(outcome, tuple | LedgerError) for outcome in outcomes)
            before = await everything(store)
            replayed = Replay()
            for recorded in await store.entries(-1, 1_000):
                replayed.read(recorded.entry, recorded.hash)
            expected = sorted(
                (row for row in replayed.book.change().accounts if row.balance),
                key=lambda row: (row.account, row.currency),
            )
            assert before[1] == expected
            await store.replay()
            assert await everything(store) == before
            results.append((before, [item.hash for item in await store.entries(-1, 1_000)]))
    assert results[0] == results[1]
    rows = results[0][0][1]
    assert isinstance(rows, list)
    assert len(rows) > 8
    assert all(isinstance(row, AccountRow) and row.currency == RC for row in rows)
