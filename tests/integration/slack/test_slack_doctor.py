"""The doctor names each scope, event and setting that a Slack app lacks, asked of the fake with Slack's own SDK."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.config import load
from bot.doctor import Finding, examine
from bot.platforms.slack_needs import SCOPES, manifest
from bot.settings import Settings
from tests.fakes.slack_oauth import CONFIG_TOKEN
from tests.fakes.slack_server import APP_TOKEN, SlackServer, running_slack_server
from tests.slack_workspace import BOT_TOKEN

ALL = ",".join(scope.name for scope in SCOPES)


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with running_slack_server() as server:
        server.apps.scopes = ALL
        server.apps.manifest = manifest("", socket=True, rotation=False)
        yield server


def settings(folder: Path, slack: SlackServer, **more: str) -> Settings:
    given = {
        "CARPOOL_LOCAL_ENABLED": "false",
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
        **more,
    }
    loaded = load(given, folder, folder / "home")
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


async def slack_findings(settings: Settings) -> list[Finding]:
    return [finding for finding in await examine(settings) if finding.subject == "Slack"]


async def test_an_app_that_has_all_is_on_and_what_cannot_be_known_is_said(tmp_path: Path, slack: SlackServer) -> None:
    (found,) = await slack_findings(settings(tmp_path, slack))
    assert found.state == "on"
    assert "In Team." in found.sentence
    assert "All scopes are granted" in found.sentence
    assert "SLACK_CONFIG_TOKEN" in found.sentence


async def test_with_a_configuration_token_events_and_settings_are_compared(tmp_path: Path, slack: SlackServer) -> None:
    (found,) = await slack_findings(settings(tmp_path, slack, SLACK_CONFIG_TOKEN=CONFIG_TOKEN))
    assert (found.state, "events and settings are as they should be" in found.sentence) == ("on", True)
    slack.apps.manifest["settings"]["event_subscriptions"]["bot_events"] = ["app_mention"]
    found_wrong = await slack_findings(settings(tmp_path, slack, SLACK_CONFIG_TOKEN=CONFIG_TOKEN))
    assert {finding.state for finding in found_wrong} == {"wrong"}
    assert any("agent_session_stopped" in finding.sentence for finding in found_wrong)


async def test_each_missing_scope_is_named_with_how_to_add_it(tmp_path: Path, slack: SlackServer) -> None:
    slack.apps.scopes = ",".join(scope.name for scope in SCOPES if scope.name not in ("users:read", "files:read"))
    found = await slack_findings(settings(tmp_path, slack))
    assert [finding.state for finding in found] == ["wrong", "wrong"]
    assert "The scope files:read is not granted" in found[0].sentence
    assert "The scope users:read is not granted" in found[1].sentence
    assert all("Bot Token Scopes, and install the app again" in finding.sentence for finding in found)


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive"])
async def test_a_refused_token_is_said_with_slacks_word(tmp_path: Path, slack: SlackServer, error: str) -> None:
    slack.apps.revoke(BOT_TOKEN, error)
    (found,) = await slack_findings(settings(tmp_path, slack))
    assert (found.state, error in found.sentence) == ("wrong", True)
    assert BOT_TOKEN not in found.sentence


async def test_a_refused_app_token_and_configuration_token_are_said(tmp_path: Path, slack: SlackServer) -> None:
    given = settings(tmp_path, slack, SLACK_APP_TOKEN="xapp-other", SLACK_CONFIG_TOKEN="xoxe.xoxp-old")
    found = await slack_findings(given)
    assert [finding.state for finding in found] == ["wrong", "wrong"]
    assert "connections:write" in found[0].sentence
    assert "good for twelve hours" in found[1].sentence


async def test_a_slack_that_cannot_be_reached_is_no_fault_of_the_app(tmp_path: Path, slack: SlackServer) -> None:
    given = settings(tmp_path, slack, SLACK_API_URL="http://127.0.0.1:9/api/")
    (found,) = await slack_findings(given)
    assert (found.state, "could not be asked now" in found.sentence) == ("on", True)


MANY = {"SLACK_BOT_TOKEN": "", "SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "s3cr3t"}
ADDRESS = {"CARPOOL_PUBLIC_URL": "https://carpool.example.org"}


@pytest.mark.parametrize(
    ("given", "state", "said"),
    [
        ({**MANY, **ADDRESS}, "on", "installed at https://carpool.example.org/slack/install"),
        (MANY, "wrong", "Set CARPOOL_PUBLIC_URL"),
        ({**MANY, **ADDRESS, "SLACK_CLIENT_SECRET": ""}, "wrong", "SLACK_CLIENT_SECRET is missing"),
        ({**MANY, **ADDRESS, "SLACK_BOT_TOKEN": BOT_TOKEN}, "wrong", "are both set"),
        ({**MANY, **ADDRESS, "SLACK_APP_TOKEN": ""}, "wrong", "Set SLACK_SIGNING_SECRET"),
    ],
)
async def test_an_app_for_many_workspaces_is_looked_at_as_such(
    tmp_path: Path, slack: SlackServer, given: dict[str, str], state: str, said: str
) -> None:
    (found,) = await slack_findings(settings(tmp_path, slack, **given))
    assert (found.state, said in found.sentence) == (state, True), found.sentence
