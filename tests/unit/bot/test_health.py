"""How a model does, read off its last calls: left aside when it fails, tried by one call, and back when that goes well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import ProviderName
from bot.lucidia.health import (
    CALLS_KEPT,
    FORGET_S,
    PAUSE_MAX_S,
    PAUSE_S,
    PROBE_S,
    UNKNOWN,
    Fold,
    Health,
    ModelHealth,
    answered,
    called,
)
from ledger.actions import CallOutcome, ModelAnswered, ModelCalled, RouteChosen
from ledger.entry import GENESIS, Entry
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from tests.house import card

S = 1_000_000


def outcome(
    kind: CallOutcome = "answered", error: str = "", first_event_us: int | None = None, retry_after_s: int | None = None
) -> ModelAnswered:
    return ModelAnswered(1, kind, "", error, False, False, 0, 0, 0, 0, 0, first_event_us, 1, retry_after_s)


def failed(error: str, retry_after_s: int | None = None) -> ModelAnswered:
    return outcome("failed", error, None, retry_after_s)


def after(*answers: ModelAnswered, at_us: int = 100 * S) -> ModelHealth:
    health = UNKNOWN
    for answer in answers:
        health = answered(called(health, at_us), answer, at_us)
    return health


UNAVAILABLE = failed("unavailable")


@pytest.mark.parametrize(
    ("answers", "shut_s"),
    [
        ((), 0),
        ((outcome(),), 0),
        ((UNAVAILABLE,), 0),
        ((UNAVAILABLE, UNAVAILABLE), 0),
        ((UNAVAILABLE,) * 3, PAUSE_S),
        ((UNAVAILABLE,) * 4, 2 * PAUSE_S),
        ((UNAVAILABLE,) * 40, PAUSE_MAX_S),
        ((UNAVAILABLE, UNAVAILABLE, outcome(), UNAVAILABLE), 0),
        ((outcome("timed_out"),) * 3, PAUSE_S),
        ((failed("bad_reply"),) * 3, PAUSE_S),
        ((failed("rate_limited", 7),), 7),
        ((failed("rate_limited", 0),), 1),
        ((failed("rate_limited", 99_999),), PAUSE_MAX_S),
        ((failed("rate_limited"),), PAUSE_S),
        ((failed("rate_limited"),) * 2, 2 * PAUSE_S),
        ((failed("refused_key"),), PAUSE_S),
        ((failed("not_configured"),), PAUSE_S),
        ((failed("refused"),) * 9, 0),
        ((failed("request_too_long"),) * 9, 0),
        ((failed("filtered"),) * 9, 0),
        ((outcome("stopped"),) * 9, 0),
        ((UNAVAILABLE,) * 3 + (outcome(),), 0),
        ((UNAVAILABLE,) * 3 + (outcome("stopped", first_event_us=1),), 0),
    ],
)
def test_a_model_is_left_aside_for_as_long_as_its_failures_say(answers: tuple[ModelAnswered, ...], shut_s: int) -> None:
    health, now = after(*answers), 100 * S
    assert health.shut_until_us == (now + shut_s * S if shut_s else 0)
    assert health.state(now) == ("open" if shut_s else "closed")


def test_after_the_pause_one_call_tries_and_the_others_wait_for_it() -> None:
    health = after(*(UNAVAILABLE,) * 3)
    then = health.shut_until_us
    assert health.state(then - 1) == "open"
    assert health.state(then) == "half_open"
    probing = called(health, then)
    assert probing.state(then + 1) == "open"
    # Its process may be gone: after a while another may try.
    assert probing.state(then + PROBE_S * S) == "half_open"
    assert answered(probing, outcome(), then + 1).state(then + 1) == "closed"
    again = answered(probing, UNAVAILABLE, then + 1)
    assert again.shut_until_us == then + 1 + 2 * PAUSE_S * S


def test_a_probe_that_says_nothing_of_the_model_lets_another_try() -> None:
    health = after(*(UNAVAILABLE,) * 3)
    probing = called(health, health.shut_until_us)
    assert (
        answered(probing, failed("filtered"), health.shut_until_us + 1).state(health.shut_until_us + 2) == "half_open"
    )


def test_a_call_that_left_before_the_pause_is_no_probe() -> None:
    health = after(*(UNAVAILABLE,) * 3)
    assert called(health, health.shut_until_us - 1) == health


def test_the_wait_for_a_first_word_is_smoothed() -> None:
    assert after(outcome(first_event_us=400)).first_event_us == 400
    assert after(outcome(first_event_us=400), outcome(first_event_us=800)).first_event_us == 500
    assert after(outcome(first_event_us=400), outcome()).first_event_us == 400


@given(st.lists(st.sampled_from([outcome(), UNAVAILABLE, failed("rate_limited", 3), failed("filtered")]), max_size=60))
def test_of_the_last_calls_it_is_known_how_many_failed(answers: list[ModelAnswered]) -> None:
    health = after(*answers)
    counted = [answer.error in ("unavailable", "rate_limited") for answer in answers if answer.error != "filtered"]
    assert health.calls == min(len(counted), CALLS_KEPT)
    assert health.failures == sum(counted[-CALLS_KEPT:])


def test_failures_of_long_ago_count_no_more() -> None:
    health = Health({"a/m": after(UNAVAILABLE, at_us=100 * S)}, now_us=(100 + FORGET_S) * S)
    assert health.of(card("a")).failures == 1
    assert Health(health.models, health.now_us + 1).of(card("a")).failures == 0
    assert health.of(card("b")) == UNKNOWN


def entry(seq: int, action: ModelCalled | ModelAnswered | RouteChosen, turn: str) -> Entry:
    return Entry(seq, seq * S, seq * S, action, TurnId(turn), ActorId("a"), WorkspaceId("w"), str(seq), None, GENESIS)


def test_answers_find_their_calls_though_turns_are_interleaved() -> None:
    fold = Fold()
    fold.take(entry(1, ModelCalled(1, 0, "a", "m", 9), "t1"))
    fold.take(entry(2, ModelCalled(1, 0, "b", "m", 9), "t2"))
    fold.take(entry(3, failed("rate_limited", 5), "t1"))
    fold.take(entry(4, outcome(), "t2"))
    fold.take(entry(5, UNAVAILABLE, "t3"))  # its call is of before the first entry that was read
    fold.take(entry(6, RouteChosen((), ""), "t4"))
    assert fold.models["a/m"].shut_until_us == 8 * S
    assert (fold.models["b/m"].calls, fold.models["b/m"].failures) == (1, 0)
    assert set(fold.models) == {"a/m", "b/m"}


def test_a_key_that_was_brought_has_a_health_of_its_own() -> None:
    fold = Fold()
    fold.take(entry(1, ModelCalled(1, 0, "a", "m", 9, "w/p"), "t1"))
    fold.take(entry(2, failed("refused_key"), "t1"))
    assert Health(fold.models, 3 * S).of(card("a")) == UNKNOWN
    assert Health(fold.models, 3 * S, {ProviderName("a"): "w/p"}).of(card("a")).state(3 * S) == "open"
    assert Health(fold.models, 3 * S, {ProviderName("a"): "w/q"}).of(card("a")) == UNKNOWN


def test_calls_that_nobody_answers_take_no_memory_for_ever() -> None:
    fold = Fold()
    for seq in range(5_000):
        fold.take(entry(seq, ModelCalled(1, 0, "a", "m", 9), f"t{seq}"))
    assert len(fold._under_way) == 1_000
