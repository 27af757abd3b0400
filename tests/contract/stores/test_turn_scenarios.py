"""The scenarios of money that are calls of a model, through whole turns, to the entries and balances of ``scenarios.txt``.

A hold of theirs is 20 RC, or 5. Here it is the most that the turn's request can come to, and the entries shift by the difference.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from adapters.base import BaseAdapter
from adapters.errors import Unavailable
from adapters.messages import ProviderName, TextDelta, Usage
from adapters.scripted import Raise, ScriptedAdapter, ScriptReply, WaitFor, answer
from bot.billing import Billing
from bot.connections import Build
from bot.limits import Limits
from bot.lucidia.catalog import ModelCard, Rates
from bot.platforms.base import Address
from bot.secret import Secret
from bot.vault import KeyOwner, Vault
from integrations.storage.sqlite import SqliteStore
from ledger.accounts import Account
from ledger.actions import ModelCalled
from ledger.credit_actions import (
    CreditAction,
    CreditRefused,
    CreditReserved,
    CreditSettled,
    CreditTopup,
    PlanGranted,
    RewardGranted,
)
from ledger.entry import Draft, Entry, Scope
from ledger.pseudonyms import ConversationId, TurnId
from ledger.roadchain import clock_us
from tests.contract.stores.test_money_scenarios import (
    DAY_US,
    SCENARIOS,
    Amounts,
    amounts,
    expected,
    short_name,
    told,
    urc,
)
from tests.house import ME, PSEUDONYMS, Brought, Gate, Open, RecordingPlatform, asks, card, running_house
from tests.stores import AnyStore

LINES = {line[:3]: line.split(" | ") for line in SCENARIOS}
RATES = Rates(2_000_000, 10_000_000)
DOUBLED = Rates(4_000_000, 20_000_000)
CACHED = Rates(3_000_000, 15_000_000, 300_000, 3_750_000)
TAKEN = Billing("all", 2000)
W = PSEUDONYMS.workspace(ME.platform, ME.workspace)
SCOPE = Scope(W, PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person), ConversationId(""), TurnId(""))
USED = answer("Hello.", usage=Usage(input=10_000, output=2_000))


@dataclass
class Play:
    """A scenario in a house. ``begun`` is where its own entries begin."""

    name: str
    open: Open
    store: AnyStore
    begun: int = 0
    outcomes: list[str] = field(default_factory=list)

    async def given(self, *actions: CreditAction) -> None:
        """What the workspace begins with."""
        for number, action in enumerate(actions):
            await self.open.roadchain.append(Draft(action, SCOPE, f"opening/{number}"))
        self.begun = (await self.store.head()).size

    async def ask(self, number: int = 0) -> None:
        _, outcome = await self.open.ask(asks("hello", f"{number}", in_thread(number)))
        self.outcomes.append(outcome)

    async def stop(self, number: int = 0) -> None:
        """On return the answer under way in the thread knows of it."""
        assert (await self.open.ask(asks("/stop", f"stop {number}", in_thread(number))))[1] == "command"

    async def entries(self) -> list[Entry]:
        return [item.entry for item in await self.store.entries(self.begun - 1, 10_000)]

    async def check(self, hold: int = urc(20)) -> None:
        """The entries and the closing balances are those of the scenario, whose hold is ``hold``."""
        _, _, _, wanted, closing = LINES[self.name]
        entered = await self.entries()
        held = next((entry.action.amount for entry in entered if isinstance(entry.action, CreditReserved)), hold)
        moved = [shifted(kind, lines, held - hold) for kind, lines in expected(wanted)]
        assert [told(own(entry)) for entry in entered if entry.postings] == moved
        rows, found = await self.store.balances(), dict[str, int]()
        for row in rows:
            name = short_name(Account(row.account.replace(W, "w-1")))
            found[name] = found.get(name, 0) + row.natural
        assert sum(row.balance for row in rows) == 0
        assert {name: found.get(name, 0) for name in amounts(closing)} == amounts(closing)
        await self.store.replay()
        assert await self.store.balances() == rows


def in_thread(number: int) -> Address:
    return replace(ME, thread=f"{number}")


def shifted(kind: str, lines: Amounts, more: int) -> tuple[str, Amounts]:
    """With ``more`` held than in the scenario: so much more is taken, and so much more comes back."""
    taken = more if kind == "reserve" else -more
    lines = {**lines, "PAID": lines.get("PAID", 0) + taken, "HELD": lines["HELD"] - taken}
    return kind, {name: amount for name, amount in lines.items() if amount}


def own(entry: Entry) -> Entry:
    """With its accounts named as in the scenarios."""
    postings = (replace(item, account=Account(item.account.replace(W, "w-1"))) for item in entry.postings)
    return replace(entry, postings=tuple(postings))


@asynccontextmanager
async def playing(
    name: str,
    store: AnyStore,
    folder: Path,
    script: Sequence[ScriptReply],
    *,
    rates: Rates | None = RATES,
    billing: Billing = TAKEN,
    output_tokens: int = 16_000,
    brought: Brought | None = None,
) -> AsyncIterator[Play]:
    """Its turns are recorded in ``store``. The workspace begins with nothing. ``brought``: that key alone has the model."""
    beside: list[SqliteStore] = []

    def instead(opened: SqliteStore) -> SqliteStore:
        beside.append(opened)
        return cast(SqliteStore, store)

    adapters: Mapping[str, BaseAdapter] = {"p": ScriptedAdapter(ProviderName("p"), tuple(script))}
    cards: Sequence[ModelCard] = [] if brought else [replace(card("p"), rates=rates, output_tokens_max=16_000)]
    limits = Limits(output_tokens_max=output_tokens)
    house = running_house(
        folder,
        RecordingPlatform(),
        adapters,
        cards=cards,
        limits=limits,
        billing=billing,
        wrap=instead,
        brought=brought or (lambda store: ()),
    )
    async with house as open_:
        try:
            yield Play(name, open_, store)
        finally:
            await beside[0].aclose()


BOUGHT = CreditTopup("opening", urc(1000))


async def test_s15_a_call_is_held_for_and_settled_at_what_it_took(store: AnyStore, tmp_path: Path) -> None:
    async with playing("S15", store, tmp_path, [USED]) as play:
        await play.given(BOUGHT)
        await play.ask()
        await play.check()


async def test_s16_a_call_that_fails_is_given_back(store: AnyStore, tmp_path: Path) -> None:
    async with playing("S16", store, tmp_path, [(Raise(Unavailable("503")),)]) as play:
        await play.given(BOUGHT)
        await play.ask()
        assert play.outcomes == ["failed"]
        await play.check()


async def test_s22_of_fifty_calls_at_once_as_many_run_as_there_is_credit_for(store: AnyStore, tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with playing("S22", store, tmp_path, [USED, *[(WaitFor(go_on), *USED)] * 5]) as play:
        await play.given(BOUGHT)
        await play.ask()
        hold = next(entry.action.amount for entry in await play.entries() if isinstance(entry.action, CreditReserved))
        left = urc("995.2")
        before = CreditReserved("before", left - 5 * hold, 0, "p", "m")
        await play.open.roadchain.append(Draft(before, SCOPE, "before"))
        play.begun = (await store.head()).size
        asked = [asyncio.create_task(play.ask(number)) for number in range(1, 51)]
        while len(play.outcomes) < 1 + 45:
            await asyncio.sleep(0.01)  # the intake tells of each turn alone
        entered = await play.entries()
        held = [told(own(entry)) for entry in entered if entry.postings]
        assert held == [("reserve", {"PAID": hold, "HELD": -hold})] * 5
        assert sum(isinstance(entry.action, ModelCalled) for entry in entered) == 5
        assert play.outcomes[1:] == ["refused"] * 45
        go_on.set()
        await asyncio.gather(*asked)
        assert play.outcomes.count("answered") == 1 + 5


async def test_s23_what_neither_the_hold_nor_the_balance_covers_is_waived(store: AnyStore, tmp_path: Path) -> None:
    used = answer("Hello.", usage=Usage(input=15_000, output=3_000))
    async with playing("S23", store, tmp_path, [used], output_tokens=4_000) as play:
        await play.given(CreditTopup("opening", urc(6)))
        await play.ask()
        await play.check(urc(5))


async def test_s24_a_stopped_answer_is_settled_at_what_the_provider_says_that_it_took(
    store: AnyStore, tmp_path: Path
) -> None:
    here = Gate()
    used = (TextDelta("One, "), WaitFor(here), *answer("two", usage=Usage(input=10_000, output=500)))
    async with playing("S24", store, tmp_path, [used]) as play:
        await play.given(BOUGHT)
        asked = asyncio.create_task(play.ask())
        await here.reached.wait()
        await play.stop()
        here.set()
        await asked
        assert play.outcomes == ["stopped"]
        await play.check()


async def test_s25_a_message_that_is_told_of_four_times_is_paid_for_once(store: AnyStore, tmp_path: Path) -> None:
    async with playing("S25", store, tmp_path, [USED] * 4) as play:
        await play.given(BOUGHT)
        accepted = await asyncio.gather(*(play.open.intake.accept(asks("hello")) for _ in range(3)))
        await play.open.intake.ended(accepted[0].turn)
        assert not (await play.open.intake.accept(asks("hello"))).fresh
        await play.check()


async def test_s26_a_call_is_settled_at_the_price_it_was_held_for(store: AnyStore, tmp_path: Path) -> None:
    here, vaults, of_house = Gate(), list[Vault](), KeyOwner()
    model = ScriptedAdapter(ProviderName("p"), ((WaitFor(here), *USED), USED))
    prices = [replace(card("p"), rates=rates, output_tokens_max=16_000) for rates in (RATES, DOUBLED)]

    def brought(of: SqliteStore) -> tuple[Vault, Build]:
        vaults.append(Vault(of, [b"v" * 32]))
        return vaults[0], lambda provider, key: (model, (prices[int(key.reveal())],))

    async with playing("S26", store, tmp_path, [USED], brought=brought) as play:
        await vaults[0].keep(of_house, ProviderName("p"), Secret("0"))
        await play.given(BOUGHT)
        asked = asyncio.create_task(play.ask())
        await here.reached.wait()
        await vaults[0].keep(of_house, ProviderName("p"), Secret("1"))
        here.set()
        await asked
        await play.check()
        await play.ask(1)
        prices_paid = [entry.action.price for entry in await play.entries() if isinstance(entry.action, CreditSettled)]
        assert prices_paid == [urc("4.8"), urc("9.6")]


@pytest.mark.parametrize("rates", [Rates(-1, -1), Rates(0, 10_000_000), None], ids=["negative", "zero", "unknown"])
async def test_s27_a_model_without_a_price_is_not_called(store: AnyStore, tmp_path: Path, rates: Rates | None) -> None:
    async with playing("S27", store, tmp_path, [USED], rates=rates) as play:
        await play.given(BOUGHT)
        await play.ask()
        entered = await play.entries()
        assert play.outcomes == ["refused"]
        assert not any(isinstance(entry.action, ModelCalled) for entry in entered)
        assert any(isinstance(entry.action, CreditRefused) for entry in entered)
        await play.check()


async def test_s29_each_kind_of_token_has_its_own_rate(store: AnyStore, tmp_path: Path) -> None:
    # What is cached is among the input: 504 of 727 tokens are neither read nor written there.
    used = answer("Hello.", usage=Usage(input=727, output=97, cache_read=100, cache_write=123))
    async with playing("S29", store, tmp_path, [used], rates=CACHED) as play:
        await play.given(BOUGHT)
        await play.ask()
        await play.check()


async def test_s30_the_third_call_would_pass_the_limit_of_the_day(store: AnyStore, tmp_path: Path) -> None:
    billing = replace(TAKEN, person_day_max=urc(10))
    async with playing("S30", store, tmp_path, [USED] * 3, billing=billing, output_tokens=2_000) as play:
        await play.given(BOUGHT)
        for number in range(3):
            await play.ask(number)
        assert play.outcomes == ["answered", "answered", "refused"]
        await play.check()


async def test_s31_lots_are_spent_promotional_first_and_given_back_the_other_way(
    store: AnyStore, tmp_path: Path
) -> None:
    async with playing("S31", store, tmp_path, [USED]) as play:
        ends_us = clock_us() + DAY_US
        await play.given(BOUGHT, PlanGranted("opening", "pro", urc(2), 0), RewardGranted("friend", urc(3), ends_us))
        await play.ask()
        await play.check()
