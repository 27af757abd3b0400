"""From a setting to the wire: what is written down for a model reaches its provider."""

import asyncio
from pathlib import Path

import pytest

from adapters.base import collect
from adapters.errors import NotConfigured
from adapters.messages import ProviderName
from bot.app import embedded_is_best, open_models
from bot.config import load
from bot.lucidia import cards
from bot.providers import OFFERED
from bot.secret import Secret
from bot.settings import Settings
from tests.contract.adapters.dialects import HostedName, hosted
from tests.contract.adapters.raw_server import chunk, running_raw_server, stream
from tests.contract.adapters.subjects import ask

OPENAI = ProviderName("openai")


def settings_in(folder: Path, **environment: str) -> Settings:
    result = load({"CARPOOL_LOCAL_ENABLED": "false", **environment}, folder, folder / "home")
    assert result.settings is not None, result.problems
    return result.settings


@pytest.mark.parametrize("place", ["environment", ".env", "carpool.toml"])
async def test_who_is_billed_at_openai_is_told_wherever_it_is_written(tmp_path: Path, place: str) -> None:
    given = {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-1"}
    if place == ".env":
        (tmp_path / place).write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    if place == "carpool.toml":
        (tmp_path / place).write_text("".join(f'{name.lower()} = "{value}"\n' for name, value in given.items()))
    environment = given if place == "environment" else {}
    async with running_raw_server(stream(chunk("a", "stop"))) as server:
        environment |= {"OPENAI_BASE_URL": server.url, "CARPOOL_OPENAI_MODELS": "m"}
        async with open_models(settings_in(tmp_path, **environment)) as models:
            await collect(models.adapters[OPENAI].chat(ask("text")))
    (head,) = server.heads
    assert (head["openai-organization"], head["openai-project"]) == ("org-1", "proj-1")


async def test_nobody_is_named_as_billed_who_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK looks into the environment by itself: it is not to tell a server what was not meant for it."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-of-somebody")
    async with running_raw_server(stream(chunk("a", "stop"))) as server:
        settings = settings_in(tmp_path, OPENAI_BASE_URL=server.url, CARPOOL_OPENAI_MODELS="m")
        async with open_models(settings) as models:
            await collect(models.adapters[OPENAI].chat(ask("text")))
    assert not [name for name in server.heads[0] if name.startswith("openai-")]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"GEMINI_API_KEY": "gemini"}, "gemini"),
        ({"GOOGLE_API_KEY": "google"}, "google"),
        ({"GEMINI_API_KEY": "gemini", "GOOGLE_API_KEY": "google"}, "google"),
    ],
)
def test_googles_key_has_two_names_and_the_sdks_order(tmp_path: Path, given: dict[str, str], key: str) -> None:
    assert settings_in(tmp_path, **given).google_key.reveal() == key


@pytest.mark.parametrize(
    ("name", "base_url", "others"),
    [
        ("anthropic", "ANTHROPIC_BASE_URL", {"ANTHROPIC_API_KEY": "the-key"}),
        ("google", "GOOGLE_GEMINI_BASE_URL", {"GOOGLE_API_KEY": "the-key"}),
        ("google", "GOOGLE_GEMINI_BASE_URL", {"GEMINI_API_KEY": "the-key"}),
        ("xai", "XAI_BASE_URL", {"XAI_API_KEY": "the-key"}),
        ("huggingface", "CARPOOL_HUGGINGFACE_BASE_URL", {"HF_TOKEN": "the-key", "CARPOOL_HUGGINGFACE_MODELS": "a/m"}),
        (
            "blackroad",
            "CARPOOL_BLACKROAD_BASE_URL",
            {"CARPOOL_BLACKROAD_API_KEY": "the-key", "CARPOOL_BLACKROAD_MODELS": "m"},
        ),
    ],
)
async def test_each_provider_is_asked_at_its_address_with_its_key(
    tmp_path: Path, name: HostedName, base_url: str, others: dict[str, str]
) -> None:
    async with running_raw_server(hosted(name).dialect.text("Hello.")) as server:
        url = server.url.removesuffix("/v1") if name in ("anthropic", "google") else server.url
        async with open_models(settings_in(tmp_path, **{base_url: url}, **others)) as models:
            assert {card.provider for card in models.catalog.cards} == {name}
            reply = await collect(models.adapters[ProviderName(name)].chat(ask("text")))
    assert reply.text == "Hello."
    assert "the-key" in str(server.heads[0])


@pytest.mark.parametrize("name", ["HUGGINGFACE", "BLACKROAD"])
def test_a_server_whose_models_nobody_knows_wants_them_named(tmp_path: Path, name: str) -> None:
    (problem,) = load({f"CARPOOL_{name}_BASE_URL": "http://h/v1"}, tmp_path, tmp_path / "home").problems
    assert f"Name them in CARPOOL_{name}_MODELS" in problem.remedy


def test_each_fork_in_the_folder_is_offered_behind_the_model_itself(tmp_path: Path) -> None:
    (tmp_path / "pirate.gguf").write_bytes(b"GGUF")
    settings = settings_in(tmp_path, CARPOOL_LOCAL_ENABLED="true", CARPOOL_LOCAL_FORKS=str(tmp_path))

    async def labels() -> list[str]:
        async with open_models(settings) as models:
            return [card.label for card in models.catalog.cards]

    assert asyncio.run(labels()) == ["local/SmolLM2-135M-Instruct", "local/pirate"]


def test_a_folder_of_forks_that_is_not_there_is_named(tmp_path: Path) -> None:
    (problem,) = load({"CARPOOL_LOCAL_FORKS": str(tmp_path / "gone")}, tmp_path, tmp_path / "home").problems
    assert "there is no folder of that name" in problem.what


PROVIDERS = [*OFFERED, cards.BLACKROAD]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_key_that_somebody_brings_reaches_its_provider_and_has_its_models(
    tmp_path: Path, provider: ProviderName
) -> None:
    house = {"CARPOOL_BLACKROAD_BASE_URL": "http://127.0.0.1/v1", "CARPOOL_BLACKROAD_MODELS": "m"}
    async with open_models(settings_in(tmp_path, **house)) as models:
        built = models.build(provider, Secret("hf_a-key"))
        assert built is not None
        adapter, offered = built
        assert adapter.provider == provider
        assert offered
        assert {card.provider for card in offered} == {provider}
        await adapter.aclose()


async def test_a_key_for_nobody_known_and_for_an_address_that_is_not_set_builds_nothing(tmp_path: Path) -> None:
    async with open_models(settings_in(tmp_path)) as models:
        assert models.build(ProviderName("nobody"), Secret("k")) is None
        assert models.build(cards.BLACKROAD, Secret("k")) is None


async def test_each_file_of_a_folder_is_a_model_that_goes_before_the_embedded_one(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("wise", "witty"):
        (folder / f"{name}.gguf").write_bytes(b"GGUF")
    settings = settings_in(tmp_path, CARPOOL_LOCAL_ENABLED="true", CARPOOL_LOCAL_MODELS=str(folder))
    async with open_models(settings) as models:
        labels = [card.label for card in models.catalog.cards]
        assert labels == ["local/wise", "local/witty", "local/SmolLM2-135M-Instruct"]
        assert not embedded_is_best(settings, models.catalog)


async def test_two_models_on_this_machine_with_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("models", "forks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pirate.gguf").write_bytes(b"GGUF")
    settings = settings_in(
        tmp_path,
        CARPOOL_LOCAL_ENABLED="true",
        CARPOOL_LOCAL_MODELS=str(tmp_path / "models"),
        CARPOOL_LOCAL_FORKS=str(tmp_path / "forks"),
    )
    with pytest.raises(NotConfigured, match="Two models on this machine are named pirate"):
        async with open_models(settings):
            pass
