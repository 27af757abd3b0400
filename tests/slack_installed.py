"""CarPool as an app that many workspaces of Slack install, on a free loopback port; a script in place of a model."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp import ClientSession
from slack_bolt.async_app import AsyncApp

from adapters.scripted import ScriptReply, answer
from bot.http.ingress import serve, web_app
from bot.http.slack_install import COOKIE
from bot.installs import Installs
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_handlers import bolt_app
from bot.platforms.slack_install import Installer
from bot.platforms.slack_tokens import InstalledTokens, SlackOAuth
from bot.platforms.slack_views import Views, together
from bot.secret import Secret
from bot.sentences import ENGLISH, Sentences
from bot.vault import Vault
from tests.fakes.slack_oauth import CLIENT_ID, CLIENT_SECRET
from tests.house import PSEUDONYMS, Open, running_house
from tests.slack_workspace import SECRET, Signed

PUBLIC_URL = "https://carpool.example.org"
VAULT_KEY = b"v" * 32


@dataclass
class Clock:
    now_s: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class InstalledApp:
    open: Open
    platform: SlackPlatform
    tokens: InstalledTokens
    bolt: AsyncApp
    url: str
    session: ClientSession

    async def deliver(self, request: Signed) -> tuple[int, str]:
        async with self.session.post(
            f"{self.url}/slack/events", data=BytesIO(request.body), headers=request.headers
        ) as got:
            return got.status, await got.text()

    async def set_out(self) -> tuple[dict[str, str], str]:
        """As a browser that opens the install page: what Slack's page is asked, and the cookie."""
        async with self.session.get(f"{self.url}/slack/install", allow_redirects=False) as got:
            assert got.status == 303
            asked = {name: values[0] for name, values in parse_qs(urlsplit(got.headers["Location"]).query).items()}
            return asked, got.cookies[COOKIE].value

    async def come_back(self, cookie: str, **query: str) -> tuple[int, str]:
        headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
        address = f"{self.url}/slack/oauth_redirect"
        async with self.session.get(address, params=query, headers=headers) as got:
            return got.status, await got.text()

    async def install(self, code: str) -> tuple[int, str]:
        asked, cookie = await self.set_out()
        return await self.come_back(cookie, code=code, state=asked["state"])

    async def recorded(self, *names: str) -> list[str]:
        return [item.entry.action.name for item in await self.open.all() if item.entry.action.name in names]


@asynccontextmanager
async def running_installed(
    folder: Path,
    api_url: str,
    script: Sequence[ScriptReply] = (answer("Hello from CarPool."),),
    clock_s: Callable[[], float] | None = None,
    say: Sentences = ENGLISH,
) -> AsyncIterator[InstalledApp]:
    platform = SlackPlatform("", api_url)
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    clock = clock_s or Clock()
    try:
        async with running_house(folder, platform, script) as open_, ClientSession() as session:
            installs = Installs(Vault(open_.store, [VAULT_KEY]), open_.roadchain, PSEUDONYMS, platform.name)
            oauth = SlackOAuth(CLIENT_ID, Secret(CLIENT_SECRET), api_url, clock)
            tokens = InstalledTokens(installs, oauth, clock)
            installer = Installer(oauth, installs, tokens, PUBLIC_URL, clock)
            platform.tokens = tokens
            views = Views(platform, open_.door)
            bolt = bolt_app(platform, open_.door, together(views, installer), views.open)
            app = web_app(bolt, SECRET, 1_000_000, lambda: "ok", installer=installer, say=say)
            serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started.set_result))
            try:
                yield InstalledApp(open_, platform, tokens, bolt, f"http://127.0.0.1:{await started}", session)
            finally:
                stop.set()
                await serving
    finally:
        await platform.aclose()
