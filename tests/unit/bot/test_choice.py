"""Lucidia's choice: what a message needs, what a workspace wants, how the models do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import ProviderName, say
from bot.lucidia.catalog import Catalog, ModelCard, Rates
from bot.lucidia.health import Health, ModelHealth
from bot.lucidia.needs import Needs, Task, needs_of
from bot.lucidia.policy import AIMS, Aim, Policy
from bot.lucidia.router import CANDIDATES_MAX, RoutingDecision, route
from bot.lucidia.score import estimate
from ledger.entry import ENTRY_BYTES_MAX
from ledger.money import Money
from tests.house import card

CHAT = Needs(500, 1_000, images=False, files=False, tools=False)
DEAR, FAIR, CHEAP = Rates(10_000_000, 50_000_000), Rates(1_000_000, 5_000_000), Rates(100_000, 500_000)
MODELS = Catalog.of(
    [
        card("great", 95, rates=DEAR, reasons=True),
        card("good", 82, rates=FAIR, reasons=True),
        card("small", 60, rates=CHEAP),
        card("tiny", 10, languages=("en",)),
    ]
)


def asked(text: str) -> Needs:
    return needs_of([say("system", "Be brief."), say("user", text)], 1_000, tools=False)


def chosen(needs: Needs, policy: Policy, health: Health = Health(), pinned: str = "") -> list[str]:
    return [str(choice.card.provider) for choice in route(needs, MODELS, pinned, policy, health).candidates]


@pytest.mark.parametrize(
    ("text", "task", "language", "recent"),
    [
        ("What is the capital of Peru?", "chat", "en", False),
        ("Why does this Python function raise a TypeError?", "code", "en", False),
        ("```\nx = 1\n```", "code", "", False),
        ("Prove that the square root of 2 is irrational.", "reasoning", "en", False),
        ("Translate this letter, please: Guten Tag", "writing", "en", False),
        ("What is the latest news from Peru?", "chat", "en", True),
        ("Wie ist das Wetter heute?", "chat", "de", True),
        ("Pourquoi le ciel est-il bleu ?", "chat", "fr", False),
        ("¿Por qué el cielo es azul?", "chat", "es", False),
        ("Почему небо голубое?", "chat", "ru", False),
        ("なぜ空は青いのですか", "chat", "ja", False),
        ("天空为什么是蓝色的", "chat", "zh", False),
        ("하늘은 왜 파란가요", "chat", "ko", False),
        ("12 + 30", "chat", "", False),
        ("", "chat", "", False),
    ],
)
def test_what_a_question_is_about_is_read_off_its_words(text: str, task: Task, language: str, recent: bool) -> None:
    needs = asked(text)
    assert (needs.task, needs.language, needs.recent) == (task, language, recent)
    assert needs.reasoning == (task == "reasoning")


def test_behind_a_long_paste_the_question_at_its_end_is_still_read() -> None:
    assert asked("zzz " * 5_000 + "Please debug this function.").task == "code"


@pytest.mark.parametrize(
    ("aim", "task", "order"),
    [
        ("best", "chat", ["great", "good", "small", "tiny"]),
        ("best", "code", ["great", "good", "small", "tiny"]),
        # The cheapest of those that are good enough, and behind them the others, the best first.
        ("cheapest", "chat", ["small", "good", "great", "tiny"]),
        ("cheapest", "code", ["good", "great", "small", "tiny"]),
        ("cheapest", "reasoning", ["good", "great", "small", "tiny"]),
        ("balanced", "chat", ["small", "good", "great", "tiny"]),
        ("balanced", "reasoning", ["good", "great", "small", "tiny"]),
    ],
)
def test_what_is_wanted_decides_among_those_that_can_serve(aim: Aim, task: Task, order: list[str]) -> None:
    needs = Needs(500, 1_000, images=False, files=False, tools=False, task=task, reasoning=task == "reasoning")
    assert chosen(needs, Policy(aim)) == order


@pytest.mark.parametrize(
    ("aim", "task", "reason"),
    [
        ("best", "chat", "great/m is the best of 4 connected models that can serve this"),
        ("cheapest", "code", "good/m is the cheapest of 4 connected models that can serve this, which is about code"),
        (
            "balanced",
            "reasoning",
            "good/m is the best for its price of 4 connected models that can serve this, which takes reasoning",
        ),
    ],
)
def test_the_reason_says_what_was_wanted_and_what_for(aim: Aim, task: Task, reason: str) -> None:
    needs = Needs(500, 1_000, images=False, files=False, tools=False, task=task)
    assert route(needs, MODELS, "", Policy(aim)).reason == reason


def test_the_model_of_a_workspace_goes_first_and_that_of_a_conversation_before_it() -> None:
    policy = Policy("best", pinned="tiny/m")
    assert chosen(CHAT, policy)[0] == "tiny"
    assert route(CHAT, MODELS, "", policy).reason == "tiny/m is the model of this workspace"
    assert chosen(CHAT, policy, pinned="small/m")[0] == "small"


def test_a_model_of_a_workspace_that_cannot_serve_leaves_the_choice_to_the_score() -> None:
    assert chosen(CHAT, Policy("best", pinned="gone/m"))[0] == "great"


def test_providers_that_are_not_allowed_are_not_asked_whoever_chose_them() -> None:
    policy = Policy("best", providers=(ProviderName("small"), ProviderName("tiny")))
    assert chosen(CHAT, policy) == ["small", "tiny"]
    decision = route(CHAT, MODELS, "great/m", policy)
    assert decision.reason == (
        "great/m, which you chose, is of a provider that is not allowed here; small/m can serve this"
    )


def test_a_budget_keeps_out_what_may_cost_more_and_what_has_no_price() -> None:
    unpriced = ModelCard(ProviderName("own"), CHAT_MODEL, 100_000, 4_096, False, False, True, quality=99, rates=None)
    catalog = Catalog.of([*MODELS.cards, unpriced])
    # 500 x 1e-6 + 1,000 x 5e-6 USD = 550,000 uRC
    budget = Policy("best", budget=Money(550_000))
    assert [choice.card.provider for choice in route(CHAT, catalog, "", budget).candidates] == ["good", "small", "tiny"]
    only = route(CHAT, Catalog.of([MODELS.cards[0], unpriced]), "", budget)
    assert only.candidates == ()
    assert only.reason == (
        "own/m has no known price, and an answer has a budget here; "
        "great/m may cost 5.5 RC, above the budget of 0.55 RC"
    )


CHAT_MODEL = MODELS.cards[0].model


def test_the_estimate_counts_the_past_as_far_as_the_window_has_room_for_it() -> None:
    small = ModelCard(ProviderName("a"), CHAT_MODEL, 2_000, 400, False, False, True, quality=1, rates=Rates(10_000, 0))
    needs = Needs(500, 1_000, images=False, files=False, tools=False, past_tokens=300)
    assert estimate(needs, small) == Money(800)
    assert estimate(Needs(500, 1_000, False, False, False, past_tokens=9_999), small) == Money(1_600)


@pytest.mark.parametrize(
    ("needs", "better", "worse"),
    [
        (asked("Почему небо голубое?"), card("b", 40, languages=("ru",)), card("a", 50, languages=("en",))),
        (asked("Why is that so?"), card("a", 50, languages=("en",)), card("b", 40, languages=("ru",))),
        (asked("Prove it."), card("b", 70, reasons=True), card("a", 80)),
        (asked("What is the latest news?"), card("b", 70, knows_until="2026-06"), card("a", 71, knows_until="2024-06")),
    ],
)
def test_language_reasoning_and_recency_move_a_model(needs: Needs, better: ModelCard, worse: ModelCard) -> None:
    assert [choice.card for choice in route(needs, Catalog.of([worse, better]), "").candidates] == [better, worse]


def test_a_model_that_is_left_aside_comes_behind_the_others_and_the_reason_says_why() -> None:
    health = Health({"great/m": ModelHealth(shut_until_us=100, error="rate_limited")}, now_us=50)
    assert chosen(CHAT, Policy("best"), health) == ["good", "small", "tiny", "great"]
    assert route(CHAT, MODELS, "", Policy("best"), health).reason == (
        "good/m is the best of 4 connected models that can serve this; "
        "great/m is left aside for now: it is at its rate limit"
    )
    over = Health(health.models, now_us=100)
    assert chosen(CHAT, Policy("best"), over)[0] == "great"


def test_a_model_that_somebody_chose_is_asked_also_while_it_is_left_aside() -> None:
    health = Health({"great/m": ModelHealth(shut_until_us=100, error="unavailable")}, now_us=50)
    assert chosen(CHAT, Policy(), health, pinned="great/m")[0] == "great"


def test_where_all_are_left_aside_all_are_asked_all_the_same() -> None:
    health = Health({f"{name}/m": ModelHealth(shut_until_us=100) for name in ("great", "good", "small", "tiny")}, 50)
    assert chosen(CHAT, Policy("best"), health) == ["great", "good", "small", "tiny"]


def test_of_equals_the_one_that_fails_less_and_answers_sooner_is_asked_first() -> None:
    pair = Catalog.of([card("a"), card("b")])
    failing = Health({"a/m": ModelHealth(calls=5, failed=1)})
    slow = Health({"a/m": ModelHealth(first_event_us=9_000_000), "b/m": ModelHealth(first_event_us=300_000)})
    for health in (failing, slow):
        assert [choice.card.provider for choice in route(CHAT, pair, "", Policy(), health).candidates] == ["b", "a"]


def test_a_decision_among_many_models_fits_into_an_entry() -> None:
    many = Catalog.of([card(f"{'provider' * 4}{number}", number % 100) for number in range(200)])
    decision = route(CHAT, many, "")
    assert len(decision.candidates) == CANDIDATES_MAX
    nothing = route(Needs(1, 1, images=True, files=False, tools=False), many, "")
    assert nothing.reason.endswith("; nor can 197 more")
    assert len(nothing.reason) < ENTRY_BYTES_MAX // 4


def test_a_scorer_of_another_kind_takes_the_place_of_the_rule() -> None:
    def by_name(needs: Needs, card: ModelCard, health: ModelHealth, policy: Policy) -> int:
        return -ord(card.provider[0])

    decision = route(CHAT, MODELS, "", Policy(), Health(), by_name)
    assert decision.candidates[0].card.provider == "great"
    assert [choice.card.provider for choice in decision.candidates] == ["great", "good", "small", "tiny"]


QUALITY = st.integers(0, 100)


@given(st.lists(QUALITY, min_size=1, max_size=8), st.sampled_from(AIMS), st.integers(0, 10**6), st.data())
def test_a_decision_is_pure_and_names_none_that_cannot_serve(
    qualities: list[int], aim: Aim, past: int, data: st.DataObject
) -> None:
    cards = [card(f"p{place}", quality, images=quality % 2 == 0) for place, quality in enumerate(qualities)]
    health = Health({"p0/m": ModelHealth(shut_until_us=data.draw(st.integers(0, 100)))}, 50)
    needs = Needs(10, 10, images=True, files=False, tools=False, past_tokens=past)

    def decide() -> RoutingDecision:
        return route(needs, Catalog.of(cards), "", Policy(aim), health)

    assert decide() == decide()
    assert {choice.card.label for choice in decide().candidates} == {c.label for c in cards if c.sees_images}
