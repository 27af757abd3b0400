"""Lucidia's decision: constraints first, then quality, and a reason that is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import File, Image, Message, ModelName, ProviderName, Text, say
from bot.lucidia.cards import local_card
from bot.lucidia.catalog import Catalog, ModelCard, Rates
from bot.lucidia.needs import Needs, needs_of
from bot.lucidia.router import route
from tests.house import card

SMALL = Needs(100, 100, images=False, files=False, tools=False)


def labels(catalog: Catalog, needs: Needs = SMALL, pinned: str = "") -> list[str]:
    return [choice.card.label for choice in route(needs, catalog, pinned).candidates]


def test_the_best_comes_first_and_the_others_stand_behind_it() -> None:
    assert labels(Catalog.of([card("c", 1), card("a", 3), card("b", 2)])) == ["a/m", "b/m", "c/m"]


def test_the_order_of_equals_is_kept() -> None:
    assert labels(Catalog.of([card("b"), card("a")])) == ["b/m", "a/m"]


def test_what_cannot_serve_is_no_candidate() -> None:
    catalog = Catalog.of([card("blind", 9), card("sees", 1, images=True)])
    images = Needs(100, 100, images=True, files=False, tools=False)
    assert labels(catalog, images) == ["sees/m"]
    assert route(images, catalog, "").reason == "sees/m is the only connected model that can serve this"


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (Needs(1, 1, images=True, files=False, tools=False), "a/m cannot see images"),
        (Needs(1, 1, images=False, files=True, tools=False), "a/m cannot read files"),
        (Needs(1, 1, images=False, files=False, tools=True), "a/m cannot use tools"),
        (Needs(100_000, 1, images=False, files=False, tools=False), "a/m takes 100,000 tokens at the most"),
    ],
)
def test_where_nothing_can_serve_the_reason_says_what_is_lacking(needs: Needs, reason: str) -> None:
    decision = route(needs, Catalog.of([card("a", tools=False)]), "")
    assert (decision.candidates, decision.reason) == ((), reason)


def test_without_models_it_says_so() -> None:
    assert route(SMALL, Catalog.of([]), "").reason == "no model is connected"


def test_with_one_model_it_does_not_pretend_to_have_chosen() -> None:
    assert route(SMALL, Catalog.of([card("a")]), "").reason == "a/m is the only model connected"


def test_a_chosen_model_goes_first_and_the_others_stay_behind_it() -> None:
    catalog = Catalog.of([card("a", 3), card("b", 2), card("c", 1)])
    assert labels(catalog, pinned="b/m") == ["b/m", "a/m", "c/m"]
    assert route(SMALL, catalog, "b/m").reason == "you chose b/m for this conversation"


@pytest.mark.parametrize(("pinned", "why"), [("gone/m", "is not connected any more"), ("blind/m", "cannot see images")])
def test_where_the_chosen_model_cannot_serve_the_person_is_told_why(pinned: str, why: str) -> None:
    catalog = Catalog.of([card("blind", 9), card("sees", 1, images=True)])
    decision = route(Needs(1, 1, images=True, files=False, tools=False), catalog, pinned)
    assert decision.reason == f"{pinned}, which you chose, {why}; sees/m can serve this"


def test_the_cost_is_a_whole_number_rounded_up_once() -> None:
    priced = card("a", rates=Rates(2_000_000, 10_000_000))
    # 3 x 2e-6 USD + 7 x 1e-5 USD = 7.6e-5 USD = 7,600 uRC
    assert priced.cost(3, 7) == 7_600
    assert card("a", rates=Rates(1, 1)).cost(1, 0) == 1
    assert card("a").cost(5, 5) == 0


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_an_estimate_never_falls_below_the_price(rate_in: int, rate_out: int, tokens_in: int, tokens_out: int) -> None:
    cost = card("a", rates=Rates(rate_in, rate_out)).cost(tokens_in, tokens_out)
    exact = rate_in * tokens_in + rate_out * tokens_out
    assert cost is not None
    assert 0 <= cost * 10_000 - exact < 10_000


def test_a_model_is_found_by_its_label_or_alone_where_that_is_clear() -> None:
    catalog = Catalog.of([card("a"), card("b"), local_card("small", 2_048, 400)])
    assert catalog.find("A/M") == catalog.cards[0]
    assert catalog.find("small") == catalog.cards[2]
    assert catalog.find("m") is None
    assert catalog.find("none") is None


def test_needs_are_read_off_the_messages() -> None:
    messages = [say("system", "Be brief."), Message("user", (Text("x" * 300), Image("image/png", b"1")))]
    needs = needs_of(messages, 64, tools=True)
    assert needs.images
    assert not needs.files
    assert needs.tools
    assert needs.output_tokens == 64
    assert needs.input_tokens > 1_500
    assert needs_of([Message("user", (File("a", "text/plain", b"x" * 3_000),))], 1, tools=False).input_tokens > 1_000


def test_a_model_on_this_machine_costs_nothing() -> None:
    assert local_card("x", 2_048, 400).cost(1_000, 1_000) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 100)), max_size=6, unique_by=lambda item: item[0]))
def test_the_same_input_gives_the_same_decision_and_each_candidate_can_serve(models: list[tuple[str, int]]) -> None:
    cards = [card(name, quality) for name, quality in models]
    catalog = Catalog.of(cards)
    assert route(SMALL, catalog, "") == route(SMALL, Catalog.of(cards), "")
    qualities = [choice.card.quality for choice in route(SMALL, catalog, "").candidates]
    assert qualities == sorted(qualities, reverse=True)


def test_a_card_is_named_by_provider_and_model() -> None:
    made = ModelCard(ProviderName("p"), ModelName("m"), 1, 1, False, False, False, 1, None)
    assert made.label == "p/m"
