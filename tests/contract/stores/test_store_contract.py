"""What each store promises the ledger: one suite, run on each of them."""

import asyncio
from itertools import pairwise

import pytest

from ledger.actions import (
    Action,
    ContextRead,
    MessageReceived,
    MessageWithdrawn,
    ModelAnswered,
    ModelCalled,
    PayloadErased,
    ReplyPrepared,
    SettingChanged,
    SettingName,
    StopAsked,
    TurnFinished,
    TurnKind,
)
from ledger.book import Wanted
from ledger.chain import seal
from ledger.entry import HOUSE, Draft, Scope
from ledger.errors import InvalidEntry, KeyReused
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Conversation, OwnerId, Sealed, SettingKept, Store
from tests.stores import AnyStore, Opens

W = WorkspaceId("w")
LATER_US = 1 << 60


def scope(turn: str, conversation: str = "c", actor: str = "a") -> Scope:
    return Scope(W, ActorId(actor), ConversationId(conversation), TurnId(turn))


def received(turn: str, conversation: str = "c", kind: TurnKind = "message", actor: str = "a") -> Draft:
    action = MessageReceived("test", ConversationId(conversation), kind, "")
    return Draft(action, scope(turn, conversation, actor), turn, f"asked {turn}".encode())


def then(turn: str, action: Action, body: bytes | None = None, conversation: str = "c") -> Draft:
    return Draft(action, scope(turn, conversation), f"{turn}/{action.name}", body)


async def append(store: Store, *drafts: Draft) -> None:
    async with RoadChain(store) as roadchain:
        for draft in drafts:
            await roadchain.append(draft)


def owner_of(store: Store) -> OwnerId:
    assert isinstance(store, AnyStore)
    return store.owner


async def claimed(store: Store, count_max: int = 10, now_us: int = LATER_US) -> list[str]:
    return [turn.turn for turn in await store.claim(owner_of(store), ["test"], count_max, now_us)]


async def test_what_was_committed_is_read_back_as_it_was(store: Store) -> None:
    await append(store, received("t1"), then("t1", TurnFinished("answered")))
    first, second = await store.entries(-1, 10)
    assert (first.entry.seq, first.body, second.body) == (0, b"asked t1", None)
    assert (await store.head()).hash == second.hash
    assert await store.entries(0, 10) == (second,)
    assert await store.entries(-1, 1) == (first,)
    assert await store.entries_of(TurnId("t1")) == (first, second)
    assert await store.entries_of(TurnId("")) == ()


async def test_batches_at_once_make_one_chain(store: Store) -> None:
    async with RoadChain(store) as one, RoadChain(store) as other:
        await asyncio.gather(
            *(writer.append(received(f"t{number}-{writer is one}")) for writer in (one, other) for number in range(50))
        )
    entries = await store.entries(-1, 200)
    assert [recorded.entry.seq for recorded in entries] == list(range(100))
    assert all(b.entry.prev == f"ps-sha256:{a.hash.hex()}" for a, b in pairwise(entries))


async def test_open_turns_are_claimed_oldest_first_and_once(store: Store) -> None:
    await append(store, *(received(f"t{number}", f"c{number}") for number in range(4)))
    assert await claimed(store, 3) == ["t0", "t1", "t2"]
    assert await claimed(store, 3) == ["t3"]
    assert await claimed(store) == []


async def test_of_a_conversation_one_message_is_claimed_at_a_time(store: Store) -> None:
    await append(store, received("t1"), received("t2"))
    assert await claimed(store) == ["t1"]
    await append(store, then("t1", TurnFinished("answered")))
    assert await claimed(store) == ["t2"]


async def test_a_command_does_not_wait_for_a_message(store: Store) -> None:
    await append(store, received("t1"), received("t2", kind="command"))
    assert await claimed(store) == ["t1", "t2"]


async def test_a_turn_of_another_platform_is_not_claimed(store: Store) -> None:
    await append(store, received("t1"))
    assert await store.claim(owner_of(store), ["slack"], 10, LATER_US) == ()


async def test_a_released_turn_is_claimed_again_not_before_its_time(store: Store) -> None:
    await append(store, received("t1"))
    await claimed(store)
    await store.release(TurnId("t1"), 1_000)
    assert await claimed(store, now_us=999) == []
    (turn,) = await store.claim(owner_of(store), ["test"], 10, 1_000)
    assert (turn.turn, turn.kind, turn.attempts) == ("t1", "message", 2)


async def test_a_finished_turn_is_not_claimed_whatever_was_released(store: Store) -> None:
    await append(store, received("t1"), then("t1", TurnFinished("answered")))
    await store.release(TurnId("t1"), 0)
    assert await claimed(store) == []
    assert await store.open_turns(W) == 0


async def test_open_turns_are_counted_for_each_workspace(store: Store) -> None:
    await append(store, received("t1"), received("t2"))
    assert await store.open_turns(W) == 2
    assert await store.open_turns(WorkspaceId("other")) == 0


async def test_what_was_said_is_the_last_of_it_in_order_and_without_commands(store: Store) -> None:
    await append(
        store,
        received("t1"),
        then("t1", ReplyPrepared(1, "answer", "answered"), b"one"),
        received("t2", kind="command"),
        then("t2", ReplyPrepared(1, "command", "command"), b"helped"),
        received("t3"),
        received("t4", "elsewhere"),
    )
    said = await store.said_in(ConversationId("c"), 1_000, 10)
    assert [recorded.body for recorded in said] == [b"asked t1", b"one", b"asked t3"]
    assert [item.body for item in await store.said_in(ConversationId("c"), 1_000, 2)] == [b"one", b"asked t3"]
    assert [item.body for item in await store.said_in(ConversationId("c"), 1, 10)] == [b"asked t1"]


def model_called(attempt: int) -> ModelCalled:
    return ModelCalled(attempt, 0, "a", "m", 9)


def model_answered(attempt: int) -> ModelAnswered:
    return ModelAnswered(attempt, "answered", "stop", "", False, False, 0, 0, 0, 0, 0, None, 1)


async def test_the_calls_of_models_are_read_in_order_from_where_the_reader_was_and_without_what_was_said(
    store: Store,
) -> None:
    await append(
        store,
        received("t1"),
        then("t1", model_called(1)),
        received("t2", "d"),
        then("t1", model_answered(1), b"the answer"),
        then("t2", model_called(1), conversation="d"),
        then("t1", TurnFinished("answered")),
    )
    calls = await store.calls(-1, 10)
    assert [(recorded.entry.seq, recorded.entry.action) for recorded in calls] == [
        (1, model_called(1)),
        (3, model_answered(1)),
        (4, model_called(1)),
    ]
    assert [recorded.body for recorded in calls] == [None, None, None]
    assert await store.calls(1, 1) == (calls[1],)
    assert await store.calls(4, 10) == ()


async def test_the_last_turn_is_that_of_the_conversation_or_else_of_the_person(store: Store) -> None:
    await append(store, received("t1"), received("t2", "d"), received("t3", "d", "command"))
    a = ActorId("a")
    assert await store.last_turn(ConversationId("c"), a, 99) == "t1"
    assert await store.last_turn(ConversationId("new"), a, 99) == "t2"
    assert await store.last_turn(ConversationId("new"), ActorId("b"), 99) is None
    assert await store.last_turn(ConversationId("c"), a, 0) is None


async def test_a_conversation_remembers_its_model(store: Store) -> None:
    await append(store, received("t1"), then("t1", SettingChanged("model", "a/m", ConversationId("c"))))
    assert await store.conversation(ConversationId("c")) == Conversation(ConversationId("c"), "a/m", 1)
    assert await store.conversation(ConversationId("d")) is None


async def test_a_replay_makes_the_same_projections(store: Store) -> None:
    await append(
        store,
        received("t1"),
        then("t1", SettingChanged("model", "a/m", ConversationId("c"))),
        then("t1", TurnFinished("answered")),
        received("t2"),
    )
    before = await store.conversation(ConversationId("c"))
    assert await store.replay() == 4
    assert await store.conversation(ConversationId("c")) == before
    assert await store.open_turns(W) == 1
    assert await claimed(store) == ["t2"]


async def test_a_batch_that_comes_to_nothing_writes_nothing(store: Store) -> None:
    sealed: Sealed = await store.commit(Wanted(()), lambda found: seal(found, [], 1, lambda: b"0" * 32))
    assert sealed.rows == ()
    assert (await store.head()).size == 0


async def test_a_key_that_can_stand_in_no_entry_fails_alone(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        outcomes = await asyncio.gather(
            roadchain.append(received("t1")),
            roadchain.append(Draft(TurnFinished("failed"), HOUSE, "nul\0")),
            roadchain.append(Draft(TurnFinished("failed"), HOUSE, "half a letter \ud800")),
            roadchain.append(received("t2")),
            return_exceptions=True,
        )
    assert [isinstance(outcome, InvalidEntry) for outcome in outcomes] == [False, True, True, False]
    assert await store.find("nul\0") is None
    assert (await store.head()).size == 2


async def test_of_a_hundred_at_once_with_one_key_one_is_recorded_and_all_have_its_receipt(opened: Opens) -> None:
    stores = [await opened(), await opened()]
    async with RoadChain(stores[0]) as one, RoadChain(stores[1]) as other:
        receipts = await asyncio.gather(*((one, other)[n % 2].append(received("t1")) for n in range(100)))
    assert len({(receipt.seq, receipt.hash) for (receipt,) in receipts}) == 1
    assert [receipt.fresh for (receipt,) in receipts].count(True) == 1
    assert (await stores[0].head()).size == 1


async def test_the_same_key_with_another_request_is_refused_wherever_the_first_was_recorded(opened: Opens) -> None:
    here, there = await opened(), await opened()
    await append(here, received("t1"))
    with pytest.raises(KeyReused, match="RC009"):
        await append(there, received("t1", "elsewhere"))


async def test_an_await_that_is_cancelled_takes_no_entry_back_and_holds_nothing_up(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        tasks = [asyncio.create_task(roadchain.append(received(f"t{number}", f"c{number}"))) for number in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(outcome, asyncio.CancelledError) for outcome in done[:2]] == [True, False]
        await roadchain.append(received("last", "last"))
    assert (await store.head()).size == 41


async def test_a_claim_whose_caller_went_away_leaves_the_store_as_it_was_promised(opened: Opens) -> None:
    store = await opened()
    await append(store, received("t1"))
    claiming = asyncio.create_task(claimed(store))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.gather(claiming, return_exceptions=True)
    await append(store, received("t2", "other"))
    assert (await store.head()).size == 2


async def test_what_a_process_accepted_is_its_own_until_it_ends(opened: Opens) -> None:
    here, there = await opened(), await opened()
    await append(here, received("t1"))
    assert await claimed(there) == []
    assert await claimed(here) == ["t1"]
    assert await claimed(there) == []
    await here.aclose()
    (turn,) = await there.claim(owner_of(there), ["test"], 10, LATER_US)
    assert (turn.turn, turn.attempts) == ("t1", 2)


async def test_what_a_process_gives_back_is_anybodys(opened: Opens) -> None:
    here, there = await opened(), await opened()
    await append(here, received("t1"))
    await claimed(here)
    await here.release(TurnId("t1"), 0)
    assert await claimed(there) == ["t1"]


async def test_of_claimers_at_once_each_turn_goes_to_one(opened: Opens) -> None:
    stores = [await opened() for _ in range(4)]
    await append(stores[0], *(received(f"t{number}", f"c{number}") for number in range(40)))
    for number in range(40):
        await stores[0].release(TurnId(f"t{number}"), 0)
    taken: list[str] = []
    while len(taken) < 40:
        found = await asyncio.gather(*(claimed(store, 3) for store in stores))
        taken += [turn for turns in found for turn in turns]
    assert sorted(taken) == sorted(f"t{number}" for number in range(40))


async def test_a_batch_that_opens_and_ends_turns_again_and_again_is_projected_in_its_order(store: Store) -> None:
    drafts = [
        draft
        for number in range(30)
        for draft in (
            received(f"t{number}", f"c{number % 3}"),
            then(f"t{number}", SettingChanged("model", f"a/{number}", ConversationId(f"c{number % 3}"))),
            then(f"t{number}", TurnFinished("answered")),
        )
    ]
    async with RoadChain(store) as roadchain:
        await roadchain.append(*drafts, received("open", "c0"))
    before = [await store.conversation(ConversationId(f"c{number}")) for number in range(3)]
    assert before == [
        Conversation(ConversationId("c0"), "a/27", 11),
        Conversation(ConversationId("c1"), "a/28", 10),
        Conversation(ConversationId("c2"), "a/29", 10),
    ]
    assert await claimed(store) == ["open"]
    await store.replay()
    assert [await store.conversation(ConversationId(f"c{number}")) for number in range(3)] == before
    assert await store.open_turns(W) == 1


def setting(name: SettingName, value: str, conversation: str = "", person: str = "") -> Action:
    return SettingChanged(name, value, ConversationId(conversation), ActorId(person))


async def test_the_last_of_each_setting_is_kept_until_it_is_taken_back(store: Store) -> None:
    changes = [
        setting("policy", "best"),
        setting("here", "off", "c1"),
        setting("role", "admin", person="a1"),
        setting("policy", "cheapest"),
        setting("here", "", "c1"),
        setting("role", "member", person="a2"),
    ]
    drafts = [Draft(change, scope(""), f"s{number}") for number, change in enumerate(changes)]
    await append(store, *drafts)
    kept = (
        SettingKept(W, "policy", "cheapest", ConversationId(""), ActorId("")),
        SettingKept(W, "role", "admin", ConversationId(""), ActorId("a1")),
        SettingKept(W, "role", "member", ConversationId(""), ActorId("a2")),
    )
    assert await store.settings(W) == kept
    assert await store.settings(WorkspaceId("another")) == ()
    await store.replay()
    assert await store.settings(W) == kept


async def test_settings_that_change_in_one_batch_end_as_the_last_says(store: Store) -> None:
    async with RoadChain(store) as roadchain:
        await roadchain.append(
            Draft(setting("guests", "allowed"), scope(""), "1"),
            Draft(setting("guests", ""), scope(""), "2"),
            Draft(setting("guests", "allowed"), scope(""), "3"),
        )
    assert [kept.value for kept in await store.settings(W)] == ["allowed"]


async def test_what_was_read_of_a_thread_belongs_to_what_was_said(store: Store) -> None:
    await append(store, received("t1"), then("t1", ContextRead(2, 0, 0), b"read"), then("t1", TurnFinished("answered")))
    said = await store.said_in(ConversationId("c"), 100, 10)
    assert [recorded.body for recorded in said] == [b"asked t1", b"read"]


async def test_the_texts_of_one_turn_can_be_erased_alone(store: Store) -> None:
    await append(store, received("t1"), received("t2"))
    await append(store, then("t1", PayloadErased("turn", "t1")))
    bodies = [recorded.body for recorded in await store.entries(-1, 10)]
    assert bodies == [None, b"asked t2", None]


async def test_what_was_told_to_a_turn_is_found_among_its_entries(store: Store) -> None:
    await append(
        store, received("t1"), received("t2"), then("t1", StopAsked()), then("t2", MessageWithdrawn("deleted"))
    )
    assert await store.told([TurnId("t1"), TurnId("t3")]) == ((TurnId("t1"), "stop.asked"),)
    assert await store.told([TurnId("t1"), TurnId("t2")]) == (
        (TurnId("t1"), "stop.asked"),
        (TurnId("t2"), "message.withdrawn"),
    )
    assert await store.told([]) == ()
