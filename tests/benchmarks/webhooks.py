"""Webhooks of Stripe's handled to the end: delivered over HTTP, verified, recorded, the object fetched, its entries durable.

The fake Stripe has a process of its own on another core. Beside it, in the same run, the floor: the same process fetches as many
objects through the same SDK, and appends as many entries, and does nothing else.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.http.ingress import serve, web_app
from bot.http.payments import WEBHOOK_PATH, PaymentsDoor
from integrations.payments.base import urc
from integrations.payments.cashier import HANDLED_AT_ONCE, WAITING_MAX, Cashier
from integrations.payments.keys import asked_key
from integrations.payments.plans import NO_PLANS
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL, StripePayments
from integrations.storage.postgres import PostgresStore
from integrations.storage.sqlite import SqliteStore
from ledger.actions import CommandRun
from ledger.entry import Draft
from ledger.payment_actions import PaymentAsked
from ledger.roadchain import RoadChain, clock_us
from tests.benchmarks.figures import Cost, Figure, cost_of
from tests.benchmarks.stripe_worker import CENTS, WORKSPACES, buyer
from tests.fakes.stripe_server import KEY, SECRET
from tests.payments import scope
from tests.postgres import database_of, running_postgres
from tests.stores import AnyStore

PROJECT = Path(__file__).parents[2]
TOPUPS = 240
EVENTS = 4 * TOPUPS
"""What the fake makes of a top-up; fewer than may wait, so that none is left to a scan."""
AT_ONCE = 16
BODY_BYTES_MAX = 1_048_576


async def webhooks(folder: Path) -> list[Figure]:
    assert EVENTS < WAITING_MAX
    figures: list[Figure] = []
    with running_postgres() as server, _on_one_core() as others:
        async with database_of(server) as database:
            opens: dict[str, Callable[[], Awaitable[AnyStore]]] = {
                "SQLite": lambda: SqliteStore.open(folder / "webhooks.db"),
                "PostgreSQL": lambda: PostgresStore.open(server.url(database)),
            }
            for name, open_ in opens.items():
                figures += await _figures(name, open_, others)
    return figures


async def _figures(name: str, open_: Callable[[], Awaitable[AnyStore]], others: set[int]) -> list[Figure]:
    async with AsyncExitStack() as stack:
        stripe = await stack.enter_async_context(_stripe(others))
        method = StripePayments(KEY, [SECRET], stripe.url, "")
        stack.push_async_callback(method.aclose)
        store = await open_()
        stack.push_async_callback(store.aclose)
        roadchain = await stack.enter_async_context(RoadChain(store))
        for asked in map(buyer, range(TOPUPS)):
            place = replace(scope(actor=asked.actor), workspace=asked.workspace)
            await roadchain.append(Draft(PaymentAsked(RAIL, "topup", urc(CENTS)), place, asked_key(asked)))
        listed = await method.client.v1.payment_intents.list_async({"limit": 100})  # which imports the SDK, too
        payments = [payment.id async for payment in listed.auto_paging_iter()]
        entries, requests = (await store.head()).size, await stripe.ask("")
        handled = await _handled(stripe, method, Bridge(roadchain, store, RAIL, NO_PLANS))
        entries, requests = (await store.head()).size - entries, await stripe.ask("") - requests
        balances = [row for workspace in WORKSPACES for row in await store.balances_of(workspace)]
        assert sum(row.natural for row in balances) == TOPUPS * urc(CENTS)
        once = await _floor(method, roadchain, payments, 4, 4)
        as_often = await _floor(method, roadchain, payments, requests // TOPUPS, entries // TOPUPS)
    fetches = f"{requests / EVENTS:g} fetches and {entries / EVENTS:g} bare appends, as many as it made"
    return [
        Figure(
            f"Webhooks of top-ups handled to the end in {name}, on one core",
            str(handled),
            f"{once}: one fetch through the SDK and one bare append",
            f"{handled.cpu_s / once.cpu_s:.2f} of the CPU",
        ),
        Figure("The same", str(handled), f"{as_often}: {fetches}", f"{handled.cpu_s / as_often.cpu_s:.2f} of the CPU"),
    ]


async def _handled(stripe: "Stripe", method: StripePayments, bridge: Bridge) -> Cost:
    cashier = Cashier(method, bridge, clock_us)
    door = PaymentsDoor(cashier.receive, cashier.refuse, cashier.come_back)
    app = web_app(None, "", BODY_BYTES_MAX, lambda: "ok", payments=door)
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, port.set_result))
    handling = [asyncio.create_task(cashier._handle_waiting()) for _ in range(HANDLED_AT_ONCE)]
    try:
        url = f"http://127.0.0.1:{await port}{WEBHOOK_PATH}"

        async def work() -> None:
            assert await stripe.ask(f"{url} {AT_ONCE}") == EVENTS
            await cashier.settled()

        return await cost_of(EVENTS, work())
    finally:
        for task in handling:
            task.cancel()
        stop.set()
        await serving


async def _floor(
    method: StripePayments, roadchain: RoadChain, payments: list[str], requests: int, entries: int
) -> Cost:
    """So many bare fetches and appends for each top-up, as many top-ups at once as there are deliveries."""
    waiting = iter(payments)
    intents = method.client.v1.payment_intents

    async def some() -> None:
        for name in waiting:
            for _ in range(requests):
                await intents.retrieve_async(name, {"expand": ["latest_charge.balance_transaction"]})
            for number in range(entries):
                await roadchain.append(Draft(CommandRun("x"), scope(), f"bare/{requests}/{name}/{number}"))

    async def work() -> None:
        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    return await cost_of(EVENTS, work())


@dataclass(frozen=True, slots=True)
class Stripe:
    """The process of the fake Stripe."""

    url: str
    process: asyncio.subprocess.Process

    async def ask(self, line: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n".encode())
        return int(await self.process.stdout.readline())


@asynccontextmanager
async def _stripe(cores: set[int]) -> AsyncIterator[Stripe]:
    worker = (sys.executable, "-m", "tests.benchmarks.stripe_worker", str(TOPUPS))
    process = await asyncio.create_subprocess_exec(*worker, cwd=PROJECT, stdin=PIPE, stdout=PIPE)
    try:
        if cores:
            os.sched_setaffinity(process.pid, cores)
        assert process.stdout is not None
        yield Stripe((await process.stdout.readline()).decode().strip(), process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextmanager
def _on_one_core() -> Iterator[set[int]]:
    """What this process starts from now on has one core, where the system can do that. Gives the others."""
    if not hasattr(os, "sched_setaffinity"):
        yield set()
        return
    cores = os.sched_getaffinity(0)
    first = min(cores)
    os.sched_setaffinity(0, {first})
    try:
        yield cores - {first}
    finally:
        os.sched_setaffinity(0, cores)
