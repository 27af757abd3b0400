"""The doctor names each scope, event and setting that a Slack app lacks, asked of the fake with Slack's own SDK."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.config import load
from bot.doctor import Finding, examine
from bot.installs import Installs
from bot.opening import open_ledger, open_vault
from bot.platforms.base import PlatformName
from bot.platforms.slack_needs import SCOPES, TOOL_SCOPES, manifest
from bot.platforms.slack_tokens import Granted, Installation, InstalledTokens, SlackOAuth
from bot.secret import Secret
from bot.settings import Settings
from ledger.pseudonyms import Pseudonyms
from ledger.roadchain import RoadChain
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


async def test_where_slack_is_a_tool_each_scope_of_tools_that_is_missing_is_named(
    tmp_path: Path, slack: SlackServer
) -> None:
    found = await slack_findings(settings(tmp_path, slack, CARPOOL_SLACK_TOOLS="true"))
    assert {finding.state for finding in found} == {"wrong"}
    assert len(found) == len(TOOL_SCOPES)
    for scope, finding in zip(TOOL_SCOPES, found, strict=True):
        assert f"The scope {scope.name} is not granted" in finding.sentence
    slack.apps.scopes = ",".join(scope.name for scope in (*SCOPES, *TOOL_SCOPES))
    (found_on,) = await slack_findings(settings(tmp_path, slack, CARPOOL_SLACK_TOOLS="true"))
    assert found_on.state == "on"


async def test_of_an_app_in_many_workspaces_it_is_said_in_how_many_a_scope_is_missing(
    tmp_path: Path, slack: SlackServer
) -> None:
    given = settings(tmp_path, slack, **MANY, **ADDRESS, CARPOOL_SLACK_TOOLS="true")
    (before,) = await slack_findings(given)
    assert before.state == "on", "nobody installed it yet"
    tools = ",".join(scope.name for scope in TOOL_SCOPES)
    async with open_ledger(given) as (store, keys), RoadChain(store) as roadchain:
        vault = await open_vault(given, store)
        installs = Installs(vault, roadchain, Pseudonyms(keys.pseudonyms), PlatformName("slack"))
        tokens = InstalledTokens(installs, SlackOAuth("1.2", Secret("s"), slack.api_url))
        for number, scopes in enumerate((ALL, f"{ALL},{tools}", f"{ALL},{tools}".replace("reactions:read,", ""))):
            installation = Installation(Secret(f"xoxb-{number}"), scopes=tuple(scopes.split(",")))
            await tokens.keep(Granted(installation, f"T{number}", "Team", ""), f"use{number}")
        await tokens.learn("T3", "E0ORG")  # has no token of its own, so that nothing is missing in it
    found = await slack_findings(given)
    assert {finding.state for finding in found} == {"wrong"}
    said = [finding.sentence for finding in found]
    assert len(said) == len(TOOL_SCOPES)
    assert any("In 2 of 3 workspaces the scope reactions:read is not granted" in one for one in said)
    assert any("In 1 of 3 workspaces the scope reactions:write is not granted" in one for one in said)
    (without_tools,) = await slack_findings(settings(tmp_path, slack, **MANY, **ADDRESS))
    assert without_tools.state == "on"


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
