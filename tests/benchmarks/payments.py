"""What money adds to a turn, how fast deliveries are taken and holds opened and settled, and what comparing two books takes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from stripe import WebhookSignature

from bot.billing import Billing
from bot.lucidia.catalog import Rates
from integrations.payments.base import Amount, Cents, ObjectRef, Settlement, urc
from integrations.payments.cashier import Cashier
from integrations.payments.plans import NO_PLANS
from integrations.payments.reconcile import reconcile
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL, StripePayments
from integrations.storage.sqlite import SqliteStore
from ledger.actions import CommandRun
from ledger.credit_actions import CreditGranted, CreditReserved, CreditSettled, CreditTopup, PaymentFee
from ledger.entry import Draft, StripeObject
from ledger.roadchain import RoadChain, clock_us
from tests.benchmarks.figures import Cost, Figure, cost_of, median
from tests.fakes.stripe_server import KEY, SECRET
from tests.house import ME, PSEUDONYMS, RecordingPlatform, asks, card, running_house
from tests.payments import scope

TURNS = 200
DELIVERIES = 2_000
PAIRS = 2_000
AT_ONCE = 100
OBJECTS = 20_000
OBJECTS_MANY = 1_000_000
GROUP = 500
RATES = Rates(2_000_000, 10_000_000)


async def payments(folder: Path) -> list[Figure]:
    free, free_commits = await _turns(folder / "free", Billing())
    paid, paid_commits = await _turns(folder / "paid", Billing("funded", 2000))
    taken, bare = await _deliveries(folder)
    pairs, pairs_bare = await _pairs(folder)
    return [
        Figure(
            "Money in a turn: CPU added, median",
            f"{(paid - free) * 1e3:.2f} ms",
            f"{free * 1e3:.2f} ms the same turn without",
            f"{paid / free:.2f}",
        ),
        Figure(
            "Money in a turn: commits",
            f"{paid_commits / TURNS:.2f}",
            f"{free_commits / TURNS:.2f} without",
            "",
            "none added",
        ),
        Figure(
            f"Deliveries of Stripe's verified and recorded, {AT_ONCE} at once",
            str(taken),
            f"{bare}: a bare append",
            f"{taken.cpu_s / bare.cpu_s:.2f} of the CPU",
        ),
        Figure(
            f"Holds reserved and settled, durable, {AT_ONCE} at once",
            str(pairs),
            f"{pairs_bare}: a pair of bare appends",
            f"{pairs.cpu_s / pairs_bare.cpu_s:.2f} of the CPU",
        ),
        await _matched(folder, OBJECTS),
    ]


async def matching(folder: Path) -> list[Figure]:
    return [await _matched(folder, OBJECTS_MANY)]


async def _turns(folder: Path, billing: Billing) -> tuple[float, int]:
    """The median CPU of a turn, and how often the ledger was committed to."""
    folder.mkdir()
    took: list[float] = []
    sizes: list[int] = []
    cards = [card("scripted", rates=RATES)]
    async with running_house(folder, RecordingPlatform(), cards=cards, billing=billing) as open_:
        workspace = replace(scope(), workspace=PSEUDONYMS.workspace(ME.platform, ME.workspace))
        await open_.roadchain.append(Draft(CreditGranted("gift", urc(100_000)), workspace, "gift"))
        open_.roadchain.watch(sizes.append)
        for number in range(TURNS):
            began = time.process_time()
            await open_.ask(asks("hello", str(number), replace(ME, thread=str(number))))
            took.append(time.process_time() - began)
    return median(took), len(sizes)


async def _many(count: int, one: Callable[[int], Awaitable[object]]) -> Cost:
    """``AT_ONCE`` at a time."""

    async def some(first: int) -> None:
        for number in range(first, count, AT_ONCE):
            await one(number)

    return await cost_of(count, asyncio.gather(*(some(first) for first in range(AT_ONCE))))


async def _deliveries(folder: Path) -> tuple[Cost, Cost]:
    store = await SqliteStore.open(folder / "deliveries.db")
    async with RoadChain(store) as roadchain:
        cashier = Cashier(StripePayments(KEY, [SECRET], "", ""), Bridge(roadchain, store, RAIL, NO_PLANS), clock_us)
        signed = [_signed(number) for number in range(DELIVERIES)]
        taken = await _many(DELIVERIES, lambda number: cashier.receive(*signed[number]))
        bare = await _many(
            DELIVERIES, lambda number: roadchain.append(Draft(CommandRun("x"), scope(), f"bare/{number}"))
        )
    await store.aclose()
    return taken, bare


def _signed(number: int) -> tuple[bytes, str]:
    about = {"id": f"pi_{number}", "object": "payment_intent", "amount": 1000, "currency": "usd", "metadata": {}}
    event = {"id": f"evt_{number}", "object": "event", "type": "payment_intent.succeeded", "livemode": False}
    body = json.dumps({**event, "created": int(time.time()), "data": {"object": about}})
    return body.encode(), WebhookSignature.generate_signature_header(body, SECRET)


async def _pairs(folder: Path) -> tuple[Cost, Cost]:
    store = await SqliteStore.open(folder / "pairs.db")
    async with RoadChain(store) as roadchain:
        await roadchain.append(Draft(CreditTopup(RAIL, urc(1_000_000)), scope(), "topup"))

        async def hold(number: int) -> None:
            name = f"h-{number}"
            await roadchain.append(Draft(CreditReserved(name, 20_000_000, 5_000_000, "p", "m"), scope(), f"{name}/r"))
            await roadchain.append(Draft(CreditSettled(name, 4_800_000, "p", 4_000_000), scope(), f"{name}/s"))

        async def bare(number: int) -> None:
            for step in ("r", "s"):
                await roadchain.append(Draft(CommandRun("x"), scope(), f"bare/{number}/{step}"))

        pairs = await _many(PAIRS, hold)
        peer = await _many(PAIRS, bare)
    await store.aclose()
    return pairs, peer


class _Settled(StripePayments):
    """Stripe's own list, without the way to it."""

    objects: int

    async def settlements(self, since_s: int) -> AsyncIterator[Settlement]:
        for number in range(self.objects):
            about = ObjectRef("payment_intent", f"pi_{number}")
            yield Settlement(f"txn_{number}", about, "charge", Cents(941), Cents(59), "usd", 0)

    async def balance(self) -> tuple[Amount, ...]:
        return (Amount(Cents(941 * self.objects)),)


async def _matched(folder: Path, objects: int) -> Figure:
    store = await SqliteStore.open(folder / "matched.db")
    async with RoadChain(store) as roadchain:
        for first in range(0, objects, GROUP):
            await roadchain.append(
                *(draft for number in range(first, min(first + GROUP, objects)) for draft in _recorded(number))
            )
        method = _Settled(KEY, [SECRET], "", "")
        method.objects = objects
        cashier = Cashier(method, Bridge(roadchain, store, RAIL, NO_PLANS), clock_us)
        began, cpu = time.perf_counter(), time.process_time()
        done = await reconcile(cashier, store, 0)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        assert (done.settlements, done.entries, done.found, done.differences) == (objects, 2 * objects, (), ())
    floor, after = time.process_time(), -1
    while page := await store.moved(after, 1000):
        after = page[-1].entry.seq
    floor = time.process_time() - floor
    await store.aclose()
    return Figure(
        f"{objects:,} movements of Stripe's compared with the ledger",
        f"{took:.2f} s, {cpu:.2f} s of CPU",
        f"{floor:.2f} s of CPU to read the same entries once",
        f"{cpu / floor:.2f} of the CPU",
    )


def _recorded(number: int) -> tuple[Draft, Draft]:
    paid, fee = StripeObject("payment_intent", f"pi_{number}"), StripeObject("balance_transaction", f"txn_{number}")
    return (
        Draft(CreditTopup(RAIL, urc(1000)), scope(), f"stripe:pi:pi_{number}:paid", stripe=paid),
        Draft(PaymentFee(RAIL, urc(59)), scope(), f"stripe:bt:txn_{number}:fee", stripe=fee),
    )
