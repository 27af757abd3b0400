"""The doctor asks each provider whether it takes the house's key, by the provider's own SDK."""

import json
from pathlib import Path

import pytest

from bot.config import load
from bot.doctor import Finding, examine
from tests.contract.adapters.raw_server import error, http, running_raw_server

KEY = "sk-0123456789abcdefghij"
NO_MODELS = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None, "models": []}
ADDRESSES = {
    "OpenAI": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1"),
    "Anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", ""),
    "Google": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", ""),
    "xAI": ("XAI_API_KEY", "XAI_BASE_URL", "/v1"),
    "BlackRoad": ("CARPOOL_BLACKROAD_API_KEY", "CARPOOL_BLACKROAD_BASE_URL", "/v1"),
}


async def found(folder: Path, subject: str, url: str, key: str = KEY) -> Finding:
    key_name, url_name, path = ADDRESSES[subject]
    given = {
        "CARPOOL_LOCAL_ENABLED": "false",
        key_name: key,
        url_name: f"{url}{path}",
        "CARPOOL_OPENAI_MODELS": "house",
        "CARPOOL_BLACKROAD_MODELS": "house",
    }
    loaded = load(given, folder, folder / "home")
    assert loaded.settings is not None, loaded.problems
    (finding,) = [finding for finding in await examine(loaded.settings) if finding.subject == subject]
    assert KEY not in finding.sentence
    return finding


@pytest.mark.parametrize("subject", ADDRESSES)
async def test_a_key_that_is_taken_is_on(tmp_path: Path, subject: str) -> None:
    async with running_raw_server(http(200, json.dumps(NO_MODELS).encode())) as server:
        finding = await found(tmp_path, subject, server.url.removesuffix("/v1"))
    assert (finding.state, "It takes the key." in finding.sentence) == ("on", True), finding
    assert any(KEY in value for value in server.heads[0].values())


@pytest.mark.parametrize("subject", ADDRESSES)
async def test_a_key_that_is_refused_is_wrong_and_its_setting_is_named(tmp_path: Path, subject: str) -> None:
    async with running_raw_server(error(401, message="no such key: {key}")) as server:
        finding = await found(tmp_path, subject, server.url.removesuffix("/v1"))
    assert (finding.state, ADDRESSES[subject][0] in finding.sentence) == ("wrong", True), finding


async def test_a_provider_that_cannot_be_asked_now_is_on_and_that_is_said(tmp_path: Path) -> None:
    async with running_raw_server(b"") as server:
        url = server.url.removesuffix("/v1")
    finding = await found(tmp_path, "OpenAI", url)
    assert (finding.state, "could not be found out now" in finding.sentence) == ("on", True), finding


async def test_a_server_of_ones_own_without_a_key_answers(tmp_path: Path) -> None:
    async with running_raw_server(http(200, json.dumps(NO_MODELS).encode())) as server:
        finding = await found(tmp_path, "OpenAI", server.url.removesuffix("/v1"), key="")
    assert (finding.state, "It answers." in finding.sentence) == ("on", True), finding
