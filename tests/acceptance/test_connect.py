"""`/connect` at a terminal, and `carpool web` as the place that services lead people back to, as a person meets them."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from aiohttp import ClientSession

from tests.processes import Home, running
from tests.terminal import ENTER, PROMPT, terminal

CLIENT = {"GOOGLE_CLIENT_ID": "client.example", "GOOGLE_CLIENT_SECRET": "crimson-secret"}


async def test_at_the_terminal_a_short_link_leads_to_google_and_back_to_this_machine(tmp_path: Path) -> None:
    home = Home(tmp_path, settings=CLIENT)
    async with terminal(home) as (screen, _), ClientSession() as session:
        await screen.sees(PROMPT)
        screen.type(f"/connect{ENTER}")
        await screen.sees("Gmail (gmail): not connected")
        await screen.sees(PROMPT)
        screen.type(f"/connect gmail{ENTER}")
        said = await screen.sees("CODE")
        link = re.search(r"http://127\.0\.0\.1:\d+/connect/to/[A-Za-z0-9_-]+", said)
        assert link is not None, said
        async with session.get(link[0], allow_redirects=False) as led:
            to = urlsplit(led.headers["Location"])
        query = dict(parse_qsl(to.query))
        assert (led.status, to.hostname, to.path) == (303, "accounts.google.com", "/o/oauth2/v2/auth")
        assert query["redirect_uri"].startswith("http://127.0.0.1:")
        assert query["scope"] == "https://www.googleapis.com/auth/gmail.modify"
        assert "crimson" not in to.query
        async with session.get(query["redirect_uri"], params={"state": query["state"], "code": "granted"}) as back:
            page = await back.text()
        assert re.search(r"<code>/connect gmail [0-9A-Z]{4}-[0-9A-Z]{4}</code>", page) is not None
        screen.type(f"/connect notion{ENTER}")
        await screen.sees("Notion makes one under My integrations")
        await screen.sees("Service (notion)>")
        screen.type(ENTER)
        await screen.sees("Token>")
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"crimson" not in path.read_bytes()


async def test_without_slack_the_way_back_is_there_and_takes_no_state_of_others(tmp_path: Path) -> None:
    home = Home(tmp_path, settings={**CLIENT, "CARPOOL_PUBLIC_URL": "https://carpool.example", "PORT": "0"})
    async with running(home, "web") as (_, port), ClientSession() as session:
        url = f"http://127.0.0.1:{port}/connect/callback"
        async with session.get(url, params={"state": "gmail.m.1.2.3.4", "code": "granted"}) as answer:
            assert answer.status == 400
            assert "Ask for a new one in the chat" in await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"
