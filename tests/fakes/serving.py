"""An HTTP server on loopback, on a free port, until its block ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

ACCEPT_STEPS = 5
"""How many rounds of the loop it takes at the most until a connection that is there is accepted and known."""

STOP_S = 0.1
"""How long what is still being answered is waited for."""


@asynccontextmanager
async def serving_app(app: web.Application, stop_s: float = STOP_S) -> AsyncIterator[str]:
    """Gives its base URL."""
    runner = web.AppRunner(app, shutdown_timeout=stop_s)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        # One that its client gave up while it was being made may be about to be accepted: asyncio loses what it accepts for a
        # server that was closed meanwhile.
        for _ in range(ACCEPT_STEPS):
            await asyncio.sleep(0)
        await runner.cleanup()


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Every request goes to one function. Gives its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving_app(app) as url:
        yield url
