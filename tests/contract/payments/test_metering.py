"""What is used beyond a plan's credit: within its limit, told to the meter once, paid with the next invoice. On both stores."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.plan import overage_of
from integrations.payments.base import MeterReading, ObjectRef, PaymentUnavailable
from integrations.payments.metering import Metering, amount_under_way, reconcile_meters
from integrations.payments.reconcile import Difference, reconcile
from ledger.accounts import BAD_DEBT
from ledger.book import AccountRow
from ledger.credit_actions import CreditReserved, CreditReversed, CreditSettled, CreditVoided, DebtWrittenOff
from ledger.entry import Draft
from ledger.errors import InsufficientBalance, InvalidEntry
from ledger.money import URC_PER_RC
from ledger.payment_actions import UsageMetered
from ledger.pseudonyms import WorkspaceId
from ledger.roadchain import RoadChain
from ledger.verify import verify_database
from tests.fakes.stripe_account import MONTH_S, Thing
from tests.house import GENESIS
from tests.payments import METER, NOW_S, Till, W, open_till, scope
from tests.postgres import Server
from tests.stores import Kind, opening

RC = URC_PER_RC
HOUR_S = 3600


@dataclass
class Rail:
    """The till's, at which things go wrong: ``lost`` are told before the meter, ``unheard`` after it."""

    till: Till
    lost: int = 0
    unheard: int = 0
    sent: list[MeterReading] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.till.method, name)

    async def read_meter(self, reading: MeterReading) -> None:
        self.sent.append(reading)
        if self.lost:
            self.lost -= 1
            raise PaymentUnavailable("down")
        await self.till.method.read_meter(reading)
        if self.unheard:
            self.unheard -= 1
            raise PaymentUnavailable("cut off")


class Use:
    """A workspace that has subscribed and spent all but 10 RC of its plan."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.rail = Rail(till)
        self.metering = self.process()
        self.period = ""
        self._made = 0

    def process(self) -> Metering:
        """Another process that tells the meter."""
        account = self.till.account
        return Metering(self.till.cashier, self.rail, self.till.store, lambda: account.now_s * 1_000_000)

    async def begin(self) -> str:
        subscription = await self.till.subscribed(self.till.beyond)
        self.period = str(self.till.account.now_s + MONTH_S)
        await self.settle(await self.reserve(990), 990)
        return subscription

    async def reserve(self, rc: float, most: float = 500, hold: str = "", roadchain: RoadChain | None = None) -> str:
        self._made += 1
        hold = hold or f"h{self._made}"
        action = CreditReserved(
            hold, round(rc * RC), 0, "p", "m", overage_period=self.period, overage_max=round(most * RC)
        )
        await (roadchain or self.till.roadchain).append(Draft(action, scope("t-2"), f"{hold}/reserve"))
        return hold

    async def settle(self, hold: str, rc: float) -> int:
        action = CreditSettled(hold, round(rc * RC), "p", 0)
        (receipt,) = await self.till.roadchain.append(Draft(action, scope("t-2"), f"{hold}/settle"))
        return receipt.seq

    async def call(self, rc: float, ceiling: float = 0) -> int:
        return await self.settle(await self.reserve(ceiling or rc), rc)

    async def balances(self) -> dict[str, float]:
        """Of the workspace, short: what is not 0."""
        rows = await self.till.store.balances_of(W)
        return {
            row.account.split(":", 3)[3].replace(self.period, "now"): row.natural / RC for row in rows if row.natural
        }

    @property
    def counted(self) -> int:
        account = self.till.account
        customer = account.of("customer")[0]["id"]
        return account.counted(METER, customer, NOW_S, account.now_s + MONTH_S)

    @property
    def told(self) -> list[Thing]:
        return self.till.account.meter_events

    async def delete_customer(self) -> None:
        """At Stripe, and told of twice."""
        customer = await self.till.cashier.customer_of(W)
        self.till.account.delete_customer(customer)
        await self.till.delivered()
        await self.till.cashier.look_at(ObjectRef("customer", customer))

    async def write_off(self, told: float, used: float) -> int:
        self._made += 1
        action = DebtWrittenOff(0, round(told * RC), round(used * RC))
        (receipt,) = await self.till.roadchain.append(Draft(action, scope(), f"off-{self._made}"))
        return receipt.seq

    def alarms(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]

    async def of_meters(self) -> Sequence[Difference]:
        till, now_s = self.till, self.till.account.now_s
        return await reconcile_meters(till.cashier, till.method, till.store, NOW_S - HOUR_S, now_s)

    async def differences(self) -> Sequence[str]:
        of_money = (await reconcile(self.till.cashier, self.till.store, NOW_S - HOUR_S)).differences
        return [difference.kind for difference in (*of_money, *await self.of_meters())]


@pytest.fixture
async def use(till: Till) -> Use:
    return Use(till)


async def test_what_the_credit_lacks_is_paid_later_and_what_is_not_used_comes_back_first(use: Use) -> None:
    await use.begin()
    hold = await use.reserve(30)
    assert await use.balances() == {"held": 10, "overage:now": 20, "overage_held:now": 20}
    await use.settle(hold, 14.8)
    assert await use.balances() == {"overage:now": 4.8}
    hold = await use.reserve(7)
    await use.till.roadchain.append(Draft(CreditVoided(hold, "p"), scope(), f"{hold}/void"))
    assert await use.balances() == {"overage:now": 4.8}


async def test_credit_that_comes_later_is_spent_before_more_is_owed_and_pays_nothing_of_it(use: Use) -> None:
    await use.begin()
    await use.call(15)
    await use.till.bought(10)
    await use.call(20)
    assert await use.balances() == {"overage:now": 5, "paid": 980}


async def test_beyond_the_limit_of_a_period_no_call_is_held_for(use: Use) -> None:
    await use.begin()
    await use.call(510)
    with pytest.raises(InsufficientBalance):
        await use.reserve(0.000001)
    assert await use.metering.apply() == 1
    with pytest.raises(InsufficientBalance):  # told is not paid
        await use.reserve(1)
    with pytest.raises(InsufficientBalance):  # a plan without a meter
        await use.reserve(1, most=0)
    assert await use.balances() == {"metered:now": 500}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_fifty_calls_at_once_from_two_processes_stay_within_the_limit(
    kind: Kind, tmp_path: Path, postgres: Server
) -> None:
    async with opening(kind, tmp_path, postgres) as opens:
        async with open_till(await opens()) as till, RoadChain(await opens()) as second:
            use = Use(till)
            await use.begin()
            both = (till.roadchain, second)
            calls = (use.reserve(20, most=100, hold=f"at-once-{n}", roadchain=both[n % 2]) for n in range(50))
            done = await asyncio.gather(*calls, return_exceptions=True)
            refused = [one for one in done if isinstance(one, InsufficientBalance)]
            assert (len(done) - len(refused), len(refused)) == (5, 45)
            assert (await use.balances())["overage:now"] == 90
            assert (await use.balances())["held"] == 10


async def test_whole_units_are_told_once_an_hour_and_the_invoice_pays_them(use: Use) -> None:
    subscription = await use.begin()
    await use.call(14.8, ceiling=100)
    assert await use.metering.apply() == 1
    assert await use.metering.apply() == 0
    assert await use.balances() == {"metered:now": 4, "overage:now": 0.8}
    await use.call(0.4)
    assert await use.metering.apply() == 0  # of an hour there is one reading
    use.till.account.now_s += HOUR_S
    held = await use.reserve(100)
    assert await use.metering.apply() == 1
    assert (use.counted, [event["payload"]["value"] for event in use.told]) == (5, ["4", "1"])
    use.till.account.now_s += HOUR_S
    assert await use.metering.apply() == 0  # what is only held for is not told
    await use.settle(held, 0)
    assert await use.differences() == []
    use.till.account.renew(subscription)
    await use.till.delivered()
    assert await use.balances() == {"plan": 1000, "overage:now": 0.2}
    assert await use.differences() == []
    before = await use.till.store.balances()
    await use.till.store.replay()
    assert await use.till.store.balances() == before


async def test_a_reading_that_was_cut_off_is_sent_again_and_counts_once(use: Use) -> None:
    await use.begin()
    await use.call(17)
    use.rail.lost = 1
    assert await use.metering.apply() == 0
    assert await use.differences() == ["not_metered", "other_usage"]
    use.rail.unheard = 1
    assert await use.process().apply() == 0  # after a restart
    use.till.account.now_s += HOUR_S
    assert await use.process().apply() == 1
    assert len(use.rail.sent) == 3
    assert len({reading.id for reading in use.rail.sent}) == 1
    assert use.counted == 7
    assert await use.differences() == []
    entries = [item.entry.action.name for item in await use.till.store.entries(-1, 1000)]
    assert entries.index("credit.meter") < entries.index(UsageMetered.name)


@pytest.mark.parametrize(("lost", "unheard"), [(1, 0), (0, 1)])
async def test_after_a_day_a_reading_is_looked_for_before_it_is_sent_again(use: Use, lost: int, unheard: int) -> None:
    await use.begin()
    await use.call(17)
    use.rail.lost, use.rail.unheard = lost, unheard
    assert await use.metering.apply() == 0
    use.till.account.now_s += 2 * 86_400  # Stripe has forgotten key and identifier
    assert await use.process().apply() == 1
    assert (use.counted, len(use.told)) == (7, 1)
    assert await use.differences() == []


async def test_a_reading_that_is_too_old_for_the_meter_is_taken_back_and_told_as_of_now(use: Use) -> None:
    await use.begin()
    await use.call(17)
    use.rail.lost = 1
    assert await use.metering.apply() == 0
    use.till.account.now_s += 36 * 86_400
    assert await use.process().apply() == 0
    assert await use.balances() == {"overage:now": 7}
    assert await use.process().apply() == 1
    assert (use.counted, await use.differences()) == (7, [])


async def test_a_meter_that_takes_a_reading_and_does_not_count_it_is_found_out(use: Use) -> None:
    await use.begin()
    await use.call(17)
    assert await use.metering.apply() == 1
    use.till.account.dropped.add(use.told[0]["identifier"])
    assert await use.differences() == ["other_usage"]


async def test_two_processes_tell_a_meter_once(use: Use) -> None:
    await use.begin()
    await use.call(17)
    assert sum(await asyncio.gather(use.metering.apply(), use.process().apply())) == 1
    assert (use.counted, await use.differences()) == (7, [])


async def test_an_hour_without_stripe_costs_time_and_nothing_else(use: Use) -> None:
    await use.begin()
    await use.call(17)
    use.till.stripe.down = True
    assert await use.metering.apply() == 0
    use.till.stripe.down = False
    use.till.account.now_s += HOUR_S
    await use.call(2)
    assert await use.metering.apply() == 2
    assert (use.counted, await use.differences()) == (9, [])


async def test_a_reading_for_which_the_key_was_refused_is_told_once_with_the_new_one(use: Use) -> None:
    await use.begin()
    await use.call(17)
    method = use.till.roll()
    assert await use.metering.apply() == 0
    use.till.method = use.till.cashier.method = use.till.cashier.subscriptions = method
    use.till.account.now_s += HOUR_S
    assert await use.process().apply() == 1
    assert await use.process().apply() == 0
    assert (use.counted, len(use.told), await use.differences()) == (7, 1, [])
    await method.aclose()


async def test_what_a_deleted_customer_owes_is_named_until_it_is_written_off(
    use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    await use.begin()
    await use.call(17.8)
    assert await use.metering.apply() == 1
    await use.delete_customer()
    assert use.alarms(caplog) == ["a customer was deleted: `carpool billing reconcile` shows what no invoice pays"]
    for _ in range(2):
        assert await use.differences() == ["owed_by_deleted"]
    before = await use.balances()
    for told, used in ((7.000001, 0), (0, 0.800001), (8, 0.1)):
        with pytest.raises(InsufficientBalance):
            await use.write_off(told, used)
    assert await use.balances() == before == {"metered:now": 7, "overage:now": 0.8}
    await use.write_off(3, 0)
    seq = await use.write_off(4, 0.8)
    assert (await use.balances(), await use.differences()) == ({}, [])
    await use.till.roadchain.append(Draft(CreditReversed(seq), scope(), f"reversal/{seq}"))
    assert await use.balances() == {"metered:now": 4, "overage:now": 0.8}
    rows = await use.till.store.balances()
    assert [row.natural for row in rows if row.account == BAD_DEBT] == [3 * RC]
    await use.till.store.replay()
    assert await use.till.store.balances() == rows
    assert sum(row.balance for row in rows) == 0


async def test_where_another_customer_took_its_place_what_the_deleted_one_owes_is_named_all_the_same(use: Use) -> None:
    await use.begin()
    await use.call(17)
    assert await use.metering.apply() == 1
    await use.delete_customer()
    use.till.account.now_s += HOUR_S
    subscription = await use.till.subscribed(use.till.beyond)
    assert await use.differences() == ["owed_by_deleted"]
    use.period = str(use.till.account.now_s + MONTH_S)
    await use.call(1002)
    assert await use.metering.apply() == 1
    assert [item.in_ledger for item in await use.of_meters()] == [7 * RC]
    use.till.account.renew(subscription)  # pays what has been owed for longest
    await use.till.delivered()
    use.till.account.now_s += 25 * HOUR_S
    assert [item.in_ledger for item in await use.of_meters()] == [7 * RC]
    await use.write_off(7, 0)
    assert await use.differences() == []


async def test_a_reading_that_was_under_way_when_its_customer_was_deleted_goes_to_the_one_that_took_its_place(
    use: Use,
) -> None:
    await use.begin()
    await use.call(17)
    use.rail.lost = 1
    assert await use.metering.apply() == 0
    assert await amount_under_way(use.till.store, W) == 7 * RC
    await use.delete_customer()
    assert await use.metering.apply() == 0  # it is refused, and nobody can say yet whether the first one was
    use.till.account.now_s += 21 * HOUR_S
    assert await use.metering.apply() == 0
    assert (await use.balances(), await amount_under_way(use.till.store, W)) == ({"overage:now": 7}, 0)
    assert await use.differences() == ["owed_by_deleted"]
    await use.till.subscribed(use.till.beyond)
    use.period = str(use.till.account.now_s + MONTH_S)
    await use.call(1002)
    assert await use.metering.apply() == 1
    assert [event["payload"]["value"] for event in use.told] == ["9"]
    assert (await use.balances(), await use.differences()) == ({"metered:now": 9}, [])


async def test_what_was_used_at_the_end_of_a_period_is_told_as_of_its_end(use: Use) -> None:
    await use.begin()
    await use.call(17)
    use.till.account.now_s = int(use.period) + 60
    assert await use.metering.apply() == 1
    assert int(use.period) - 120 <= use.told[0]["timestamp"] < int(use.period)
    use.till.account.now_s = int(use.period) + 2 * HOUR_S
    await use.call(2)
    assert await use.metering.apply() == 1  # its invoice is closed: it goes on the next one
    assert use.told[1]["timestamp"] == use.till.account.now_s


async def test_what_a_period_left_untold_stands_on_the_next_ones_invoice(use: Use) -> None:
    subscription = await use.begin()
    await use.call(17)
    use.till.account.renew(subscription)  # its invoice is closed, and says nothing of it
    await use.till.delivered()
    use.till.account.now_s += 60
    assert await use.metering.apply() == 1
    assert use.told[0]["timestamp"] == use.till.account.now_s
    use.till.account.renew(subscription)
    await use.till.delivered()
    assert (await use.balances(), await use.differences()) == ({"plan": 1000}, [])


@pytest.mark.parametrize(("lost", "unheard"), [(1, 0), (0, 1)])
async def test_a_reading_that_was_cut_off_until_its_invoice_was_closed_is_not_sent_for_it(
    use: Use, lost: int, unheard: int
) -> None:
    subscription = await use.begin()
    await use.call(17)
    use.till.account.now_s = int(use.period) - 60
    use.rail.lost, use.rail.unheard = lost, unheard
    assert await use.metering.apply() == 0
    use.till.account.renew(subscription)
    await use.till.delivered()
    use.till.account.now_s += HOUR_S
    assert (await use.process().apply(), len(use.rail.sent)) == (0, 1)
    use.till.account.now_s += 20 * HOUR_S
    assert await use.process().apply() == unheard  # it is looked for, and taken back where it is not there
    assert await use.process().apply() == lost
    use.till.account.renew(subscription)
    await use.till.delivered()
    assert (await use.balances(), len(use.told), await use.differences()) == ({"plan": 1000}, 1, [])


async def test_a_clock_set_back_over_a_periods_end_tells_nothing_twice(use: Use) -> None:
    await use.begin()
    await use.call(17)
    use.till.account.now_s = int(use.period) + 60
    assert await use.metering.apply() == 1
    use.till.account.now_s = int(use.period) - 2 * HOUR_S
    assert await use.metering.apply() == 0
    await use.call(2)
    assert await use.metering.apply() == 1
    assert await use.process().apply() == 0
    assert ([event["payload"]["value"] for event in use.told], await use.differences()) == (["7", "2"], [])


async def test_the_last_invoice_of_a_plan_that_ended_pays_what_was_used(use: Use) -> None:
    subscription = await use.begin()
    await use.call(110)
    assert await use.metering.apply() == 1
    use.till.account.cancel(subscription)
    await use.till.delivered()
    assert await use.balances() == {}
    assert await use.differences() == []


async def test_an_invoice_of_more_than_was_used_here_leaves_the_rest_in_suspense(use: Use) -> None:
    subscription = await use.begin()
    await use.call(17)
    assert await use.metering.apply() == 1
    customer = use.till.account.of("customer")[0]["id"]
    reading = MeterReading("of-another", METER, customer, 3, use.till.account.now_s)
    await use.till.method.read_meter(reading)
    assert await use.differences() == ["other_usage"]
    use.till.account.renew(subscription)
    await use.till.delivered()
    rows = {str(row.account): row.natural for row in await use.till.store.balances()}
    assert rows["L:suspense:stripe"] == 3 * RC
    assert "metered:now" not in await use.balances()


async def test_a_charge_that_was_told_cannot_be_reversed_and_one_that_was_not_can(use: Use) -> None:
    await use.begin()
    first = await use.call(15)
    await use.till.roadchain.append(Draft(CreditReversed(first, "h2"), scope(), f"reversal/{first}"))
    assert await use.balances() == {"held": 10, "overage:now": 5, "overage_held:now": 5}
    await use.till.roadchain.append(Draft(CreditVoided("h2", "p"), scope(), "h2/void"))
    assert await use.balances() == {"plan": 10}
    second = await use.call(15)
    await use.metering.apply()
    with pytest.raises(InsufficientBalance):
        await use.till.roadchain.append(Draft(CreditReversed(second, "h3"), scope(), f"reversal/{second}"))


async def test_usage_of_a_plan_that_has_no_meter_any_more_waits(use: Use, caplog: pytest.LogCaptureFixture) -> None:
    await use.begin()
    await use.call(17)
    use.period = "1"
    object.__setattr__(use.till.cashier.bridge, "plans", type(use.till.cashier.bridge.plans)(()))
    assert await use.metering.apply() == 0
    assert "no meter to be told to" in caplog.text


async def test_what_was_used_before_a_change_to_a_plan_without_a_meter_is_told_and_paid(use: Use) -> None:
    """Changed within the hour, so that the meter was told of nothing yet."""
    subscription = await use.begin()
    await use.call(300)
    use.till.account.upgrade(subscription, use.till.pro.price)
    await use.till.delivered()
    # The new plan's part of the period is granted: what was used beyond the old one is owed.
    assert (await use.balances())["overage:now"] == 290
    assert (await use.metering.apply(), await use.metering.apply(), use.counted) == (1, 0, 290)
    use.till.account.renew(subscription)
    await use.till.delivered()
    assert {name for name in await use.balances() if name.startswith(("overage", "metered"))} == set()
    assert await use.differences() == []


@pytest.mark.parametrize("metered", [True, False])
async def test_usage_of_a_plans_last_hour_is_named_and_waits_for_the_invoice_of_the_next_plan(
    use: Use, metered: bool
) -> None:
    till = use.till
    subscription = await use.begin()
    await use.call(300)
    till.account.cancel(subscription)  # at the end of its period, and the house was down for the last hour
    till.account.now_s += 2 * HOUR_S
    await till.delivered()
    await till.cashier.scan()
    assert (await use.metering.apply(), use.counted) == (0, 0)  # no invoice would have it
    till.account.now_s += 24 * HOUR_S
    assert await use.differences() == ["owed_without_invoice"]
    subscription = await till.subscribed(till.beyond if metered else till.pro)
    assert (await use.metering.apply(), use.counted) == ((1, 290) if metered else (0, 0))
    till.account.renew(subscription)
    await till.delivered()
    owed = {name: amount for name, amount in (await use.balances()).items() if name.startswith(("overage", "metered"))}
    assert (owed, await use.differences()) == (
        ({}, []) if metered else ({"overage:now": 290}, ["owed_without_invoice"])
    )


async def test_a_ledger_with_overage_is_verified(tmp_path: Path, postgres: Server) -> None:
    async with opening("sqlite", tmp_path, postgres) as opens:
        async with open_till(await opens()) as till:
            await till.roadchain.append(GENESIS)
            use = Use(till)
            subscription = await use.begin()
            await use.call(17)
            await use.metering.apply()
            till.account.renew(subscription)
            await till.delivered()
            await use.call(1000.5)
            await use.write_off(0, 0.5)
    (database,) = tmp_path.rglob("*.db")
    verify_database(database)


async def test_a_workspace_whose_reading_the_ledger_refuses_keeps_no_other_from_being_told(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    use = Use(till)
    await use.begin()
    await use.call(300)
    other = CreditReserved("o", 5 * RC, 0, "p", "m", overage_period=use.period, overage_max=10 * RC)
    await till.roadchain.append(Draft(other, scope(workspace="w-0"), "o"))

    class Refused(Metering):
        async def _tell(self, workspace: WorkspaceId, rows: list[AccountRow]) -> int:
            if workspace == "w-0":
                raise InvalidEntry("refused each time")
            return await super()._tell(workspace, rows)

    metering = Refused(till.cashier, use.rail, till.store, lambda: till.account.now_s * 1_000_000)
    assert (await metering.apply(), use.counted) == (1, 290)
    assert [record.__dict__["cause"] for record in caplog.records if record.message == "usage cannot be told"] == [
        "RC002"
    ]


async def test_usage_of_a_plan_that_was_ended_without_an_invoice_is_named_and_no_more_is_lent(till: Till) -> None:
    use = Use(till)
    subscription = await use.begin()
    await use.settle(await use.reserve(300.5), 300.5)
    assert await use.metering.apply() == 1
    till.account.cancel(subscription, at_once=True, invoiced=False)
    await till.delivered()

    async def owed() -> list[tuple[str, int | None]]:
        differences = await reconcile_meters(till.cashier, till.method, till.store, NOW_S - 3600, till.account.now_s)
        return [(item.kind, item.in_ledger) for item in differences]

    async def lent() -> bool:
        rows, now_us = await till.store.balances_of(W), till.account.now_s * 1_000_000
        return await overage_of(till.store, till.cashier.bridge.plans, W, rows, now_us) is not None

    till.account.now_s = int(use.period) + HOUR_S
    await till.cashier.scan()
    assert await owed() == []  # its invoice may come for a day
    till.account.now_s += 24 * HOUR_S
    await till.cashier.scan()
    assert await owed() == [("owed_without_invoice", 290_500_000)]
    await till.subscribed(till.beyond)
    assert (await owed(), await lent()) == ([("owed_without_invoice", 290_500_000)], False)
    await use.write_off(290, 0)
    assert (await owed(), await lent()) == ([], True)


async def test_usage_whose_invoice_waits_for_its_payment_is_not_named(till: Till) -> None:
    use = Use(till)
    subscription = await use.begin()
    await use.call(300)
    await use.metering.apply()
    invoice = till.account.renew(subscription, paid=False)
    await till.delivered()
    till.account.now_s += 3 * 24 * HOUR_S
    now_s = till.account.now_s
    assert await reconcile_meters(till.cashier, till.method, till.store, NOW_S - 3600, now_s) == ()
    till.account.pay_invoice(invoice["id"])
    await till.delivered()
    assert await reconcile_meters(till.cashier, till.method, till.store, NOW_S - 3600, now_s) == ()
    rows = await till.store.balances_of(W)
    assert await overage_of(till.store, till.cashier.bridge.plans, W, rows, now_s * 1_000_000) is not None
