"""Health out of the ledger: the same for each process that shares it, and after a restart."""

from pathlib import Path

from adapters.errors import RateLimited, RefusedKey, Unavailable
from adapters.messages import ProviderName
from adapters.scripted import Raise, ScriptedAdapter, ScriptReply, answer
from bot.limits import Limits
from bot.lucidia.watch import LOOK_BACK_ENTRIES, PAGE_ENTRIES, Watch
from integrations.storage.sqlite import SqliteStore
from ledger.actions import CommandRun, ModelAnswered, ModelCalled
from ledger.entry import Draft, Scope
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from tests.house import DATABASE, RecordingPlatform, asks, card, running_house

S = 1_000_000


def scripted(provider: str, *replies: ScriptReply) -> ScriptedAdapter:
    return ScriptedAdapter(ProviderName(provider), replies)


async def test_a_model_that_failed_three_times_is_not_asked_the_fourth_time_also_after_a_restart(
    tmp_path: Path,
) -> None:
    failing = scripted("a", (Raise(Unavailable("x")),))
    platform = RecordingPlatform()
    adapters, cards = {"a": failing, "b": scripted("b", answer("B."))}, [card("a", 90), card("b", 10)]
    for number in range(4):
        async with running_house(tmp_path, platform, adapters, cards=cards) as open_:
            await open_.ask(asks("hello", str(number)))
    assert platform.texts == ["B."] * 4
    assert len(failing.requests) == 3
    footer = platform.sent[-1][2].footer
    assert footer is not None
    assert footer.reason == (
        "the best for its price of 2 connected models that can serve this; "
        "a/m is left aside for now: its last calls failed"
    )


async def test_a_model_at_its_rate_limit_is_left_aside_by_every_process_until_its_time(tmp_path: Path) -> None:
    limited = scripted("a", (Raise(RateLimited("x", 30)),))
    adapters = {"a": limited, "b": scripted("b", answer("B."))}
    async with running_house(tmp_path, RecordingPlatform(), adapters) as here:
        elsewhere = await SqliteStore.open(tmp_path / DATABASE)
        before = Watch(elsewhere, lambda: 0)
        assert (await before.look()).models == {}
        turn, _ = await here.ask(asks("hello"))
        (failed,) = [
            recorded.entry.mono
            for recorded in await here.store.entries_of(turn)
            if isinstance(recorded.entry.action, ModelAnswered) and recorded.entry.action.error
        ]
        for watch in (before, Watch(elsewhere, lambda: 0)):
            health = (await watch.look()).of(card("a"))
            assert health.shut_until_us == failed + 30 * S
        await elsewhere.aclose()
        await here.ask(asks("and now?", "2"))
    assert len(limited.requests) == 1


async def test_after_a_refused_key_another_provider_is_asked_and_no_other_model_of_the_same(tmp_path: Path) -> None:
    keyless = scripted("a", (Raise(RefusedKey("x")),))
    other = scripted("b", answer("B."))
    cards = [card("a", 90), card("a", 80, model="second"), card("b", 70)]
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, {"a": keyless, "b": other}, cards=cards) as open_:
        await open_.ask(asks("hello"))
    assert platform.texts == ["B."]
    assert len(keyless.requests) == 1


async def test_where_every_provider_refuses_its_key_the_person_is_told_so(tmp_path: Path) -> None:
    keyless = scripted("a", (Raise(RefusedKey("x")),))
    cards = [card("a", 90), card("a", 80, model="second")]
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, {"a": keyless}, cards=cards, limits=Limits(calls_max=9)) as open_:
        _, outcome = await open_.ask(asks("hello"))
    assert outcome == "failed"
    assert len(keyless.requests) == 1
    assert "refused the key" in platform.texts[0]


def calls(number: int) -> tuple[Draft, Draft]:
    turn = TurnId(f"t{number}")
    scope = Scope(WorkspaceId("w"), ActorId("a"), ConversationId("c"), turn)
    answered = ModelAnswered(1, "answered", "stop", "", False, False, 0, 0, 0, 0, 0, 5, 1)
    return (
        Draft(ModelCalled(1, 0, "a", "m", 9), scope, f"{turn}/called"),
        Draft(answered, scope, f"{turn}/answered"),
    )


async def test_a_long_ledger_is_read_from_near_its_end_and_then_only_what_is_new(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / DATABASE)
    house = Scope(WorkspaceId("w"), ActorId("a"), ConversationId("c"), TurnId("t"))
    async with RoadChain(store) as roadchain:
        await roadchain.append(*calls(0))
        for start in range(0, LOOK_BACK_ENTRIES, 500):
            await roadchain.append(
                *(Draft(CommandRun("x"), house, f"x{number}") for number in range(start, start + 500))
            )
        watch = Watch(store, lambda: 0)
        assert (await watch.look()).models == {}  # what is told by the two first entries is too long ago
        await roadchain.append(*(draft for number in range(1, PAGE_ENTRIES + 1) for draft in calls(number)))
        assert (await watch.look()).of(card("a")).calls == 20
        reads: list[int] = []
        last = (await store.head()).size - 1

        async def counted(after: int, count_max: int) -> tuple[object, ...]:
            reads.append(after)
            return ()

        store.calls = counted  # type: ignore[method-assign, assignment]  # only counted: it has nothing new
        await watch.look()
    assert reads == [last]
    await store.aclose()


async def test_a_clock_that_was_set_back_opens_no_circuit_early(tmp_path: Path) -> None:
    async with running_house(tmp_path, RecordingPlatform()) as open_:
        turn, _ = await open_.ask(asks("hello"))
        entries = [recorded.entry for recorded in await open_.store.entries_of(turn)]
        (mono,) = [entry.mono for entry in entries if isinstance(entry.action, ModelAnswered)]
        assert (await Watch(open_.store, lambda: 0).look()).now_us == mono
        assert (await Watch(open_.store, lambda: mono + 5).look()).now_us == mono + 5
