"""A house as every process opens it, at the fake Stripe: its key is replaced, and its usage is told to a meter."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import stripe

from adapters.messages import ProviderName
from adapters.scripted import ScriptedAdapter, answer
from bot.app import Models, OpenHouse, open_house
from bot.config import load
from bot.doctor import Finding, examine
from bot.lucidia.catalog import Catalog
from bot.settings import Settings
from integrations.payments.base import PaymentMisconfigured
from integrations.payments.cashier import Cashier
from integrations.payments.reconcile import reconcile
from ledger.credit_actions import CreditReserved, CreditSettled, OverageMetered
from ledger.entry import Draft, Scope
from ledger.money import URC_PER_RC
from ledger.pseudonyms import ConversationId, TurnId
from tests.fakes.stripe_account import Account, Thing
from tests.fakes.stripe_meters import meter, metered_price
from tests.fakes.stripe_server import KEY, SECRET, StripeServer, running_stripe
from tests.house import ME, RecordingPlatform, asks, card
from tests.payments import METER, ROLLED

TOLD_S_MAX = 30


@dataclass
class House:
    """The house, and what it said."""

    open: OpenHouse
    platform: RecordingPlatform

    @property
    def cashier(self) -> Cashier:
        cashier = self.open.house.desk.billing.cashier
        assert cashier is not None
        return cashier

    async def says(self, text: str, event: str) -> tuple[TurnId, str]:
        accepted = await self.open.intake.accept(replace(asks(text, event), standing="owner"))
        await self.open.intake.ended(accepted.turn)
        return accepted.turn, next(reply.text for turn, _, reply in self.platform.sent if turn == accepted.turn)

    async def deliver(self, event: Thing) -> None:
        body = json.dumps(event)
        await self.cashier.receive(body.encode(), stripe.WebhookSignature.generate_signature_header(body, SECRET))
        await self.cashier.settled()

    async def names(self) -> list[str]:
        return [item.entry.action.name for item in await self.open.house.desk.store.entries(-1, 1000)]


@pytest.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with running_stripe(Account(int(time.time()))) as running:
        yield running


def settings(folder: Path, server: StripeServer, key: str = KEY, plans: str = "") -> Settings:
    given = {
        "CARPOOL_LOCAL_ENABLED": "false",
        "CARPOOL_PLANS": plans,
        "STRIPE_API_KEY": key,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_URL": server.base_url,
        "STRIPE_RETURN_URL": "http://carpool.test/back",
    }
    loaded = load({name: value for name, value in given.items() if value}, folder, folder / "home")
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[House]:
    async def nothing() -> None:
        return None

    name, platform = ProviderName("scripted"), RecordingPlatform()
    models = Models({name: ScriptedAdapter(name, (answer("Hello."),))}, Catalog.of([card(name)]), nothing)
    async with open_house(settings, models, [platform]) as house:
        yield House(house, platform)


async def test_a_key_that_was_replaced_is_said_and_with_the_new_one_all_that_waited_is_done(
    tmp_path: Path, server: StripeServer, caplog: pytest.LogCaptureFixture
) -> None:
    account = server.account
    async with opened(settings(tmp_path, server)) as house:
        assert "http://checkout.test/" in (await house.says("/billing topup 10", "1"))[1]
        server.key = ROLLED
        account.pay(account.of("checkout.session")[0]["id"])
        for event in list(server.pending):
            await house.deliver(event)
        turn, said = await house.says("/billing topup 20", "2")
        assert said == f"{PaymentMisconfigured.remedy} (Reference: {turn})"
        assert (await house.says("hello", "3"))[1] == "Hello."
        with pytest.raises(PaymentMisconfigured):
            await house.cashier.scan()
        names = await house.names()
        assert "payment.received" in names
        assert not {"payment.handled", "credit.topup"} & set(names)
    alarms = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert set(alarms) == {
        "Stripe refuses the key: payments wait until STRIPE_API_KEY is replaced and CarPool started again"
    }
    async with opened(settings(tmp_path, server, ROLLED)) as house:
        for event in list(server.pending):  # Stripe's second try may come before the scan, and beside it
            await house.deliver(event)
        assert (await house.cashier.scan()).left == 0
        assert "**1000 RC** of credit can be spent" in (await house.says("/billing", "4"))[1]
        assert "http://checkout.test/" in (await house.says("/billing topup 20", "5"))[1]
        store = house.open.house.desk.store
        assert (await reconcile(house.cashier, store, account.now_s - 3600)).differences == ()
        assert (await house.names()).count("credit.topup") == 1
        assert len(account.of("customer")) == 1
    assert not any(key in caplog.text for key in (KEY, ROLLED))


@pytest.mark.parametrize(
    ("key", "state", "said"),
    [
        (KEY, "on", "It takes the key. Payments are taken; nothing is charged (CARPOOL_CHARGES)."),
        (ROLLED, "wrong", "It does not take the key in STRIPE_API_KEY: make a new one there, set that, and start"),
    ],
)
async def test_the_doctor_asks_stripe_whether_it_takes_the_key(
    tmp_path: Path, server: StripeServer, key: str, state: str, said: str
) -> None:
    finding = await examined(settings(tmp_path, server, key))
    assert (finding.state, finding.sentence[: len(said)]) == (state, said)


async def test_while_stripe_is_down_the_doctor_says_that_it_could_not_be_asked(
    tmp_path: Path, server: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.payments.stripe.RETRIES_MAX", 0)
    server.down = True
    finding = await examined(settings(tmp_path, server))
    assert (finding.state, "could not be found out now. Payments are taken" in finding.sentence) == ("on", True)


async def examined(settings: Settings) -> Finding:
    (finding,) = [finding for finding in await examine(settings) if finding.subject == "Stripe"]
    return finding


class Told(list[Thing]):
    """What a meter was told; ``first`` is set by the first of it."""

    def __init__(self) -> None:
        self.first = asyncio.Event()

    def append(self, event: Thing) -> None:
        super().append(event)
        self.first.set()


async def test_a_house_with_a_plan_that_has_a_meter_tells_it_what_was_used_beyond_the_credit(
    tmp_path: Path, server: StripeServer
) -> None:
    account, told = server.account, Told()
    account.meter_events = told
    meter(account, METER)
    price, later = account.price(1000)["id"], metered_price(account, METER)["id"]
    plans = tmp_path / "plans.toml"
    await asyncio.to_thread(
        plans.write_text,
        f'[beyond]\nprice = "{price}"\ncredit_rc = 1000\nmeter = "{METER}"\noverage_price = "{later}"\n',
    )
    found = settings(tmp_path, server, plans=str(plans))
    async with opened(found) as house:
        await house.says("/billing subscribe beyond", "1")
        subscription = account.pay(account.of("checkout.session")[0]["id"])["subscription"]
        assert (await house.cashier.scan()).left == 0
        period = account.things[subscription]["items"]["data"][0]["current_period_end"]
        await use_beyond(house, str(period))
    async with opened(found), asyncio.timeout(TOLD_S_MAX):  # what an hour would do is done at each start
        await told.first.wait()
    async with opened(found) as house:
        (reading,) = [
            item.entry
            for item in await house.open.house.desk.store.entries(-1, 1000)
            if isinstance(item.entry.action, OverageMetered)
        ]
    (event,) = told
    assert (event["identifier"], event["payload"]["value"]) == (reading.idem, "4")
    assert event["payload"]["stripe_customer_id"] == account.of("customer")[0]["id"]


async def use_beyond(house: House, period: str) -> None:
    """All of the plan's credit, and 4.8 RC more."""
    rc = round(1004.8 * URC_PER_RC)
    pseudonyms, roadchain = house.open.pseudonyms, house.open.house.roadchain
    workspace = pseudonyms.workspace(ME.platform, ME.workspace)
    actor = pseudonyms.actor(ME.platform, ME.workspace, ME.person)
    scope = Scope(workspace, actor, ConversationId(""), TurnId("t-use"))
    hold = CreditReserved("h", rc, 0, "p", "m", overage_period=period, overage_max=10 * URC_PER_RC)
    await roadchain.append(Draft(hold, scope, "h/reserve"), Draft(CreditSettled("h", rc, "p", 0), scope, "h/settle"))
