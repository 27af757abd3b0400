"""Payments at random, in lives that end by a kill between any two steps. Stripe, the chat and the provider outlive them.

A life makes the moves that it is dealt (``payments_moves``), and is killed before or after one of its commits, of its requests to
Stripe, of a call or of a post: so that each step is at some time the last one. The next life goes on from disk. Some of the
events that Stripe should make are never made. In some books a workspace has a plan with a meter, and uses more than its credit:
what is told to the meter is cut off too.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from adapters.messages import ProviderName
from adapters.scripted import ScriptedAdapter
from bot.billing import Billing
from bot.commands.base import Desk
from bot.connections import Connected, Connections
from bot.expiry import Expiry
from bot.intake import Intake
from bot.limits import Limits
from bot.lucidia.catalog import Catalog, Rates
from bot.lucidia.policy import Policy
from bot.lucidia.watch import Watch
from bot.run import House
from integrations.payments.base import ObjectRef
from integrations.payments.cashier import Cashier
from integrations.payments.metering import Metering
from integrations.payments.plans import Plan, Plans
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import EMPTY_TOOLBOX
from ledger.entry import Draft
from ledger.money import URC_PER_RC, Money
from ledger.roadchain import RoadChain
from ledger.store import Receipt, Recorded
from tests.faults.payments_moves import BEYOND_CARDS, CARDS, OVERAGE_RC, REWARD_RC, Life
from tests.faults.payments_outside import Direct, Nameless, Outside, Provider, Room, Steps
from tests.house import GENESIS, PSEUDONYMS, card
from tests.payments import METER

ACTS = 9
STEPS_MAX = 36
"""A life that has made more steps than this ends by itself."""

NEVER = 25
"""One of so many events is never made."""

LEDGER = "ledger.db"
RATES = Rates(1_000_000_000, 5_000_000_000)
"""A long answer costs some six dollars: so credit is spent."""


class Stepping(RoadChain):
    """A commit is a step before and after. What is ``left_out`` is not recorded: a mutant."""

    steps: Steps
    left_out = ""

    async def append(self, *group: Draft) -> tuple[Receipt, ...]:
        self.steps.step()
        kept = [draft for draft in group if draft.action.name != self.left_out]
        receipts = iter(await super().append(*kept)) if kept else iter(())
        self.steps.step()
        return tuple(Receipt(0, b"", True) if draft.action.name == self.left_out else next(receipts) for draft in group)


class Scattered(Bridge):
    """A mutant: what an object is recorded as has no key of its own."""

    def key(self, about: ObjectRef, step: str) -> str:
        return f"{super().key(about, step)}/{os.urandom(8).hex()}"


def dealt(seed: int, *, metered: bool = False) -> Iterator[tuple[str, ...]]:
    """The moves of life after life: a deck is played to its end, and then shuffled again."""
    chance, left = Random(seed), list[str]()
    cards = {**CARDS, **BEYOND_CARDS} if metered else CARDS
    while True:
        while len(left) < ACTS:
            deck = [move for move, count in cards.items() for _ in range(count)]
            chance.shuffle(deck)
            left += deck
        yield tuple(left[:ACTS])
        del left[:ACTS]


def plans_of(outside: Outside) -> tuple[Plan, Plan, Plan]:
    pro, top, credit, unit = outside.prices
    overage = Money(OVERAGE_RC * URC_PER_RC)
    return (
        Plan("pro", pro, Money(1500 * URC_PER_RC), Money(500 * URC_PER_RC)),
        Plan("top", top, Money(5000 * URC_PER_RC), Money(1000 * URC_PER_RC)),
        Plan("beyond", credit, Money(1 * URC_PER_RC), Money(999 * URC_PER_RC), (), METER, unit, overage),
    )


@asynccontextmanager
async def living(
    folder: Path, random: Random, last: int = 0, mutant: str = "", *, metered: bool = False
) -> AsyncIterator[Life]:
    outside, steps = Outside(folder), Steps(last)
    account, plans = outside.account, plans_of(outside)
    offered = Plans(plans if metered else plans[:2])
    store = await SqliteStore.open(folder / LEDGER)

    def clock_us() -> int:
        return account.now_s * 1_000_000

    try:
        roadchain = Stepping(store, clock=clock_us)
        roadchain.steps, roadchain.left_out = steps, mutant
        async with roadchain:
            await roadchain.append(GENESIS)
            method = (Nameless if mutant == "identifier" else Direct)(outside, steps)
            make = Scattered if mutant == "keys" else Bridge
            bridge = make(roadchain, store, RAIL, offered, Money(REWARD_RC * URC_PER_RC))
            cashier = Cashier(method, bridge, clock_us, method)
            metering = Metering(cashier, method, store, clock_us)
            handling = asyncio.create_task(cashier._handle_waiting())
            billing = Billing("all", 2000, plans=offered, cashier=cashier, referral=bridge.reward)
            house = house_of(store, roadchain, outside, steps, billing, clock_us)
            try:
                async with Intake(house, PSEUDONYMS, store.owner, clock_us) as intake:
                    beyond = plans[2] if metered else None
                    expiry = Expiry(roadchain, store, clock_us)
                    yield Life(
                        outside,
                        store,
                        roadchain,
                        cashier,
                        random,
                        plans,
                        beyond,
                        metering,
                        method,
                        intake,
                        expiry,
                        steps,
                    )
            finally:
                handling.cancel()
    finally:
        await store.aclose()


@asynccontextmanager
async def beside(life: Life, name: str) -> AsyncIterator[tuple[Cashier, SqliteStore]]:
    """Another book of the same Stripe."""
    account = life.account

    def clock_us() -> int:
        return account.now_s * 1_000_000

    store = await SqliteStore.open(life.outside.folder / name)
    try:
        async with RoadChain(store, clock=clock_us) as roadchain:
            await roadchain.append(GENESIS)
            bridge = Bridge(roadchain, store, RAIL, life.cashier.bridge.plans)
            yield Cashier(life.method, bridge, clock_us, life.method), store
    finally:
        await store.aclose()


def house_of(
    store: SqliteStore,
    roadchain: RoadChain,
    outside: Outside,
    steps: Steps,
    billing: Billing,
    clock_us: Callable[[], int],
) -> House:
    """One model, which costs credit."""
    provider, room = ProviderName("scripted"), Room(outside=outside, step=steps.step)
    adapter = ScriptedAdapter(provider, Provider(outside, steps.step))
    model = replace(card(provider, rates=RATES), output_tokens_max=1_000)
    desk = Desk(
        store,
        Connections(Connected({provider: adapter}, Catalog.of([model]))),
        lambda conversation: 0,
        _no_receipt,
        Watch(store, clock_us),
        Policy(),
        PSEUDONYMS,
        clock=clock_us,
        billing=billing,
    )
    limits = Limits(output_tokens_max=1_000)
    return House(roadchain, desk, {room.name: room}, EMPTY_TOOLBOX, limits, clock=clock_us)


async def _no_receipt(recorded: Recorded) -> bytes | None:
    return None


async def live(life: Life, moves: Sequence[str], *, spared: bool = False) -> None:
    """Begin, and make these moves. ``spared``: no kill falls before the first of them."""
    last = life.steps.last
    life.steps.last = 0 if spared else last
    await life.begin()
    life.steps.last = last + life.steps.made if spared else last
    life.account.never = lambda kind: not life.random.randrange(NEVER)
    for move in moves:
        await life.act(move)


def payments_life(acks: Connection, folder: Path, seed: int, last: int, moves: Sequence[str], metered: bool) -> None:
    """One life, which a kill ends at its step ``last``, where it comes so far. Every other one is spared at its beginning."""

    async def run() -> None:
        async with living(folder, Random(seed), last, metered=metered) as life:
            await live(life, moves, spared=seed % 2 == 0)

    asyncio.run(run())
