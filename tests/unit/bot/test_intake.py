"""Messages come in once, are answered in order within a conversation and side by side between conversations."""

import asyncio
from pathlib import Path

import pytest

from adapters.base import ChatRequest
from adapters.messages import ProviderName, TextDelta
from adapters.scripted import ScriptedAdapter, ScriptReply, WaitFor, answer
from bot.limits import Limits
from bot.platforms.base import Address
from integrations.storage.sqlite import SqliteStore
from ledger.book import Wanted
from ledger.errors import StoreFailed
from ledger.store import Seal, Sealed
from tests.house import DATABASE, ME, RecordingPlatform, asks, running_house


def elsewhere(thread: str) -> Address:
    return Address(ME.platform, ME.workspace, ME.channel, thread, ME.person)


async def test_a_redelivered_message_is_the_same_turn_and_is_answered_once(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        first = await open_.intake.accept(asks("hello"))
        await open_.intake.ended(first.turn)
        again = await open_.intake.accept(asks("hello"))
    assert (first.fresh, again.fresh, first.turn) == (True, False, again.turn)
    assert platform.texts == ["Hello."]


async def test_many_deliveries_at_once_are_one_turn(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        accepted = await asyncio.gather(*(open_.intake.accept(asks("hello")) for _ in range(50)))
        await open_.intake.ended(accepted[0].turn)
    assert len({item.turn for item in accepted}) == 1
    assert sum(item.fresh for item in accepted) == 1
    assert platform.texts == ["Hello."]


async def test_the_same_event_with_another_text_changes_nothing(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        turn, _ = await open_.ask(asks("hello"))
        again = await open_.intake.accept(asks("hello, edited"))
    assert (again.turn, again.fresh) == (turn, False)
    assert platform.texts == ["Hello."]


async def test_messages_of_one_conversation_are_answered_in_their_order(tmp_path: Path) -> None:
    def echo(request: ChatRequest) -> ScriptReply:
        return answer(request.messages[-1].text)

    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, {"s": ScriptedAdapter(ProviderName("s"), echo)}) as open_:
        accepted = [await open_.intake.accept(asks(str(number), str(number))) for number in range(20)]
        await open_.intake.ended(accepted[-1].turn)
    assert platform.texts == [str(number) for number in range(20)]


async def test_conversations_do_not_wait_for_each_other(tmp_path: Path) -> None:
    gate = asyncio.Event()

    def one_waits(request: ChatRequest) -> ScriptReply:
        return (WaitFor(gate), *answer("slow")) if request.messages[-1].text == "slow" else answer("quick")

    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, {"s": ScriptedAdapter(ProviderName("s"), one_waits)}) as open_:
        slow = await open_.intake.accept(asks("slow", "1", elsewhere("a")))
        await open_.ask(asks("quick", "2", elsewhere("b")))
        assert platform.texts == ["quick"]
        gate.set()
        await open_.intake.ended(slow.turn)
    assert platform.texts == ["quick", "slow"]


async def test_no_more_than_the_limit_are_answered_at_once(tmp_path: Path) -> None:
    at_once, most = 0, 0
    gate = asyncio.Event()

    class Counting(ScriptedAdapter):
        async def chat(self, request: ChatRequest):  # type: ignore[no-untyped-def]  # as in the base class
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            if at_once == 3:
                gate.set()
            await gate.wait()
            async for event in super().chat(request):
                yield event
            at_once -= 1

    platform = RecordingPlatform()
    adapter = Counting(ProviderName("s"), (answer("x"),))
    limits = Limits(concurrent_turns_max=3)
    async with running_house(tmp_path, platform, {"s": adapter}, limits=limits) as open_:
        accepted = [await open_.intake.accept(asks("x", str(n), elsewhere(str(n)))) for n in range(12)]
        await asyncio.gather(*(open_.intake.ended(item.turn) for item in accepted))
    assert most == 3
    assert len(platform.texts) == 12


async def test_leaving_waits_for_answers_that_are_under_way(tmp_path: Path) -> None:
    platform = RecordingPlatform(live=True)
    gate = asyncio.Event()
    async with running_house(tmp_path, platform, [(TextDelta("Well, "), WaitFor(gate), *answer("yes."))]) as open_:
        accepted = await open_.intake.accept(asks("hello"))
        await platform.first_word(accepted.turn)
        asyncio.get_running_loop().call_later(0.05, gate.set)
    assert platform.texts == ["Well, yes."]


async def test_what_could_not_be_finished_when_leaving_is_finished_by_the_next_process(tmp_path: Path) -> None:
    gate = asyncio.Event()
    first, second = RecordingPlatform(), RecordingPlatform()
    async with running_house(tmp_path, first, [(WaitFor(gate),)], limits=Limits(shutdown_s=0)) as open_:
        accepted = await open_.intake.accept(asks("hello"))
        waiting = await open_.intake.accept(asks("and then", "2"))
    async with running_house(tmp_path, second, [answer("Second.")]) as open_:
        while (await open_.journal(waiting.turn))[-1] != "turn.finished":
            await asyncio.sleep(0.001)  # nobody is told of the end of a turn that another process accepted
        names = await open_.journal(accepted.turn)
    assert first.texts == []
    assert len(second.texts) == 2
    assert names[-1] == "turn.finished"


async def test_a_turn_of_a_process_that_lives_is_left_to_it(tmp_path: Path) -> None:
    gate = asyncio.Event()
    first, second = RecordingPlatform(), RecordingPlatform()
    async with running_house(tmp_path, first, [(WaitFor(gate), *answer("First."))]) as here:
        accepted = await here.intake.accept(asks("hello"))
        other = await SqliteStore.open(tmp_path / DATABASE)
        assert await other.claim(other.owner, [ME.platform], 10, 1 << 60) == ()
        await other.aclose()
        gate.set()
        assert await here.intake.ended(accepted.turn) == "answered"
    assert (first.texts, second.texts) == (["First."], [])


class Full(SqliteStore):
    """Takes so many commits, and then the disk is full."""

    left = 0

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        if Full.left == 0:
            raise StoreFailed("SQLite: database or disk is full", "disk_full")
        Full.left -= 1
        return await super().commit(wanted, seal)


def filling(store: SqliteStore) -> SqliteStore:
    store.__class__ = Full
    return store


@pytest.mark.parametrize("commits", range(1, 7))
async def test_when_nothing_can_be_recorded_any_more_whoever_waits_is_told_and_nothing_is_lost(
    tmp_path: Path, commits: int
) -> None:
    """One commit is genesis. The turn takes five: received, route, called, answered with its reply, sent with its end."""
    Full.left = commits
    platform, after = RecordingPlatform(), RecordingPlatform(presence="there" if commits == 5 else "absent")
    async with running_house(tmp_path, platform, wrap=filling) as open_:
        if commits == 6:
            await open_.ask(asks("hello"))
            with pytest.raises(StoreFailed):
                await open_.intake.accept(asks("again", "2"))
        else:
            with pytest.raises(StoreFailed):
                await open_.ask(asks("hello"))
            if commits > 1:
                assert open_.intake.failed.is_set()
    async with running_house(tmp_path, after) as open_:
        for recorded in await open_.all():
            turn = recorded.entry.turn
            while turn and (await open_.journal(turn))[-1] != "turn.finished":
                await asyncio.sleep(0.001)  # as above
        messages = [item for item in await open_.all() if item.entry.action.name == "message.received"]
    assert len(messages) == (0 if commits == 1 else 1)
    assert len(platform.texts) + len(after.texts) == len(messages)
