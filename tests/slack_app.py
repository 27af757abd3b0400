"""CarPool in Slack, as `carpool web` builds it, on a free loopback port; a script in place of a model."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from aiohttp import ClientSession

from adapters.scripted import ScriptReply, answer
from bot.http.ingress import health_of, serve, web_app
from bot.limits import Limits
from bot.lucidia.catalog import ModelCard
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_handlers import bolt_app
from bot.platforms.slack_pace import Pace
from bot.platforms.slack_views import Views, together
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import EMPTY_TOOLBOX, Toolbox
from ledger.pseudonyms import TurnId
from tests.house import Connecting, Open, running_house
from tests.slack_workspace import BOT_TOKEN, SECRET, Signed


@dataclass(frozen=True)
class SlackUnderTest:
    open: Open
    platform: SlackPlatform
    url: str
    session: ClientSession

    async def deliver(self, request: Signed, more: Mapping[str, str] = {}) -> tuple[int, str]:
        """As Slack does it. Returns the status and the body."""
        headers = {**request.headers, **more}
        async with self.session.post(f"{self.url}/slack/events", data=BytesIO(request.body), headers=headers) as answer:
            return answer.status, await answer.text()

    async def turns(self) -> list[TurnId]:
        return [
            recorded.entry.turn
            for recorded in await self.open.all()
            if recorded.entry.action.name == "message.received"
        ]

    async def settled(self) -> None:
        """Wait until each message that was accepted has been answered."""
        for turn in await self.turns():
            await self.open.intake.ended(turn)


QUICK = Pace(begin_s=0.0, append_s=0.01, edit_s=0.01)
"""For tests of what is shown while an answer is made."""


@asynccontextmanager
async def running_slack(
    folder: Path,
    api_url: str,
    script: Sequence[ScriptReply] = (answer("Hello from CarPool."),),
    *,
    limits: Limits = Limits(),
    wrap: Callable[[SqliteStore], SqliteStore] = lambda store: store,
    clock_s: Callable[[], float] | None = None,
    pace: Pace = Pace(),
    stream_clock_s: Callable[[], float] = time.monotonic,
    toolbox: Toolbox = EMPTY_TOOLBOX,
    cards: Sequence[ModelCard] | None = None,
    platform: SlackPlatform | None = None,
    connecting: Connecting = lambda store, roadchain: None,
) -> AsyncIterator[SlackUnderTest]:
    platform = platform or SlackPlatform(BOT_TOKEN, api_url, pace, stream_clock_s)
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    try:
        async with (
            running_house(
                folder,
                platform,
                script,
                limits=limits,
                wrap=wrap,
                toolbox=toolbox,
                cards=cards,
                connecting=connecting,
            ) as open_,
            ClientSession() as session,
        ):
            views = Views(platform, open_.door)
            bolt = bolt_app(platform, open_.door, together(views), views.open)
            health, body_bytes_max = lambda: health_of(open_.roadchain), limits.body_bytes_max
            app = web_app(bolt, SECRET, body_bytes_max, health, None, clock_s or time.time)
            serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started.set_result))
            try:
                yield SlackUnderTest(open_, platform, f"http://127.0.0.1:{await started}", session)
            finally:
                stop.set()
                await serving
    finally:
        await platform.aclose()
