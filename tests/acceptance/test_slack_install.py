"""`carpool web` as a process that many workspaces of Slack install."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession

from bot.http.slack_install import COOKIE
from tests.fakes.slack_oauth import CLIENT_ID, CLIENT_SECRET
from tests.fakes.slack_server import APP_TOKEN, running_slack_server
from tests.processes import Home, running


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("arguments", [("web",), ("web", "--socket")])
async def test_a_workspace_installs_carpool_and_it_stands_on_the_ledger(home: Home, arguments: tuple[str, ...]) -> None:
    async with running_slack_server() as slack, ClientSession() as session:
        home.settings = {
            "PORT": "0",
            "SLACK_API_URL": slack.api_url,
            "SLACK_CLIENT_ID": CLIENT_ID,
            "SLACK_CLIENT_SECRET": CLIENT_SECRET,
            "SLACK_SIGNING_SECRET": "s",
            "SLACK_APP_TOKEN": APP_TOKEN,
            "CARPOOL_PUBLIC_URL": "https://carpool.example.org",
        }
        async with running(home, *arguments) as (_, port):
            address = f"http://127.0.0.1:{port}/slack"
            async with session.get(f"{address}/install", allow_redirects=False) as setout:
                asked = parse_qs(urlsplit(setout.headers["Location"]).query)
                cookie = setout.cookies[COOKIE].value
            query = {"state": asked["state"][0], "code": slack.apps.consent("T0ONE", "chat:write")}
            headers = {"Cookie": f"{COOKIE}={cookie}"}
            async with session.get(f"{address}/oauth_redirect", params=query, headers=headers) as came:
                assert (came.status, "Team T0ONE" in await came.text()) == (200, True)
    added = [entry for entry in home.entries() if entry["action"] == "key.added"]
    assert "T0ONE" not in str(home.entries())
    assert len(added) == 1
    done = await home.run("keys", "list")
    assert (done.status, "installed/slack/w-" in done.out) == (0, True)
