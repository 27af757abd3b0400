"""An HTTP server on loopback, on a free port, until its block ends."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

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
        await runner.cleanup()


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Every request goes to one function. Gives its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving_app(app) as url:
        yield url
