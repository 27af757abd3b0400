"""The real endpoint of payments over HTTP, in front of a cashier."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.http.ingress import serve, web_app
from bot.http.payments import PaymentsDoor
from integrations.payments.cashier import Cashier

BODY_BYTES_MAX = 1_048_576


@asynccontextmanager
async def open_door(cashier: Cashier) -> AsyncIterator[str]:
    """What comes in is handled; no scan runs by itself. Gives the base URL."""
    handling = asyncio.create_task(cashier._handle_waiting())
    door = PaymentsDoor(cashier.receive, cashier.refuse, cashier.come_back)
    app = web_app(None, "", BODY_BYTES_MAX, lambda: "ok", payments=door)
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, port.set_result))
    try:
        yield f"http://127.0.0.1:{await port}"
    finally:
        stop.set()
        await serving
        handling.cancel()
