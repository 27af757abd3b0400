"""The catalogue: what is known of models and their prices, and what an operator may say instead."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import ProviderName, Usage
from bot.lucidia import cards
from bot.lucidia.cards import OPENAI, Shelf, local_card, read_shelf
from bot.lucidia.catalog import ModelCard, Rates, Tier, price_text, usd_text
from ledger.money import Money
from tests.house import card
from tests.price_list import PRICE_LIST, price_list

TODAY = date(2026, 11, 24)
SHELF = read_shelf(None, TODAY)
TOKENS = st.integers(0, 10**7)
RATE = st.integers(0, 10**8)


def said(folder: Path, text: str) -> Shelf:
    (folder / "models.toml").write_text(text)
    return read_shelf(folder / "models.toml", TODAY)


def test_the_price_list_is_what_the_installed_package_says() -> None:
    assert PRICE_LIST.read_text() == price_list()


@pytest.mark.parametrize("tokens", [1, 100_000, 100_001, 199_999, 200_000, 272_000, 272_001, 900_000])
@pytest.mark.parametrize("label", ["openai/gpt-6.1-sol", "anthropic/claude-haiku-5-5", "xai/grok-4.7"])
def test_a_price_is_that_of_the_package_to_the_last_unit(label: str, tokens: int) -> None:
    from genai_prices import Usage as Theirs
    from genai_prices import calc_price

    provider, _, model = label.partition("/")
    usage = Usage(tokens, 1_234, cache_read=tokens // 3, cache_write=0)
    theirs = calc_price(
        Theirs(input_tokens=usage.input, output_tokens=usage.output, cache_read_tokens=usage.cache_read),
        model,
        provider_id={"xai": "x-ai"}.get(provider, provider),
    )
    rates = SHELF.known[label].rates_for(usage.input)
    assert rates is not None
    assert Decimal(rates.units(usage)) / 10**12 == theirs.total_price


def test_each_model_that_is_offered_is_known_with_a_price() -> None:
    offered = {
        cards.OPENAI: cards.OPENAI_MODELS,
        cards.ANTHROPIC: cards.ANTHROPIC_MODELS,
        cards.GOOGLE: cards.GOOGLE_MODELS,
        cards.XAI: cards.XAI_MODELS,
        cards.HUGGINGFACE: cards.HUGGINGFACE_MODELS,
    }
    for provider, models in offered.items():
        for model in models:
            known = SHELF.card(provider, model)
            assert known is SHELF.known[f"{provider}/{model}"]
            assert known.rates is not None
            assert known.priced_on.startswith("genai-prices ")
            assert 0 < known.output_tokens_max < known.context_tokens


def test_no_model_of_the_catalogue_is_marked_as_ended_by_its_provider() -> None:
    ended = {model.id for listed in providers for model in listed.models if model.deprecated}
    assert not {known.model.partition(":")[0] for known in SHELF.known.values()} & ended


def test_a_price_begins_on_its_day() -> None:
    before, after = (
        read_shelf(None, day).known["google/gemini-4-argon"] for day in (date(2026, 11, 30), date(2026, 12, 1))
    )
    assert (before.rates, after.rates) == (Rates(2_000_000, 10_000_000, 100_000), Rates(4_000_000, 20_000_000, 200_000))
    assert after.priced_on.endswith(", from 2026-12-01")


def test_of_a_model_that_is_not_known_little_is_assumed() -> None:
    unknown = SHELF.card(OPENAI, "gpt-of-2031")
    assert (unknown.rates, unknown.context_tokens, unknown.sees_images) == (None, 8_192, False)
    assert unknown.cost(1, 1) is None
    assert unknown.cost_of(Usage(1, 1)) is None


def test_a_server_that_speaks_openais_interface_has_none_of_openais_models() -> None:
    assert SHELF.compatible_card(OPENAI, "gpt-6.1-sol").rates is None


def test_a_file_of_the_operators_goes_before_what_is_known(tmp_path: Path) -> None:
    shelf = said(
        tmp_path,
        '["openai/gpt-6.1-sol"]\nquality = 1\nprice = {input = 2.5, output = 0.000001, cache_read = 0}\n'
        '["openai/qwen"]\ncontext_tokens = 40960\nlanguages = ["en", "zh"]\n',
    )
    sol, qwen = shelf.known["openai/gpt-6.1-sol"], shelf.known["openai/qwen"]
    assert (sol.quality, sol.rates, sol.tiers, sol.context_tokens) == (1, Rates(2_500_000, 1, 0), (), 1_050_000)
    assert sol.priced_on == "as configured"
    assert (qwen.context_tokens, qwen.rates, qwen.languages) == (40_960, None, ("en", "zh"))
    assert shelf.compatible_card(OPENAI, "qwen") is qwen


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[", "cannot be read as TOML"),
        ('name = "x"', 'should be a table named ["provider/model"]'),
        ("[sol]\nquality = 1", "should be a table"),
        ('["a/b"]\ncolour = 1', "a/b has colour, which is none of context_tokens"),
        ('["a/b"]\nquality = "high"', "quality of a/b is of the wrong kind"),
        ('["a/b"]\nquality = true', "wrong kind"),
        ('["a/b"]\ncontext_tokens = -1', "wrong kind"),
        ('["a/b"]\nprice = {input = 1}', "needs input and output"),
        ('["a/b"]\nprice = {input = 1, output = -1}', "in USD"),
        ('["a/b"]\nprice = {input = 1, output = nan}', "in USD"),
        ('["a/b"]\nprice = {input = 0.0000001, output = 1}', "more than six decimals"),
        ('["a/b"]\nprice = {input = 1, output = 1, tea = 1}', "should have input, output"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_a_sentence(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"models\.toml") as caught:
        said(tmp_path, text)
    assert wrong in str(caught.value)


def test_beyond_its_threshold_a_tier_is_the_price_of_all_tokens() -> None:
    tiered = card("a", rates=Rates(1_000_000, 2_000_000), tiers=(Tier(100, Rates(3_000_000, 4_000_000)),))
    assert tiered.cost(100, 1) == Money(10_200)
    assert tiered.cost(101, 1) == Money(30_700)


@given(st.builds(Rates, RATE, RATE, st.none() | RATE, st.none() | RATE), TOKENS, TOKENS, TOKENS, TOKENS)
def test_no_answer_costs_more_than_its_estimate(rates: Rates, fresh: int, read: int, write: int, output: int) -> None:
    priced = card("a", rates=rates)
    usage = Usage(fresh + read + write, output, read, write)
    estimate, cost = priced.cost(usage.input, usage.output), priced.cost_of(usage)
    assert estimate is not None
    assert cost is not None
    assert 0 <= cost <= estimate
    assert 0 <= cost * 10_000 - rates.units(usage) < 10_000


@pytest.mark.parametrize(
    ("rate", "text"), [(2_000_000, "2.00"), (125_000, "0.125"), (39, "0.000039"), (0, "0.00"), (12_500_000, "12.50")]
)
def test_a_rate_is_shown_as_price_lists_show_it(rate: int, text: str) -> None:
    assert usd_text(rate) == text


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (local_card("x", 2_048, 400), "free"),
        (cards.unknown_card(ProviderName("a"), "b"), "price not known"),
        (SHELF.known["anthropic/claude-opus-5-5"], "4.00 / 20.00 USD"),
    ],
)
def test_a_price_is_said_in_a_few_words(shown: ModelCard, text: str) -> None:
    assert price_text(shown) == text
