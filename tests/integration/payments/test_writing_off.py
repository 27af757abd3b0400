"""What a deleted customer leaves owed: the operator sees it, and closes it by a command, on both stores."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adjusting_console import reverse, write_off_usage
from bot.billing_console import reconcile_payments
from bot.config import load
from bot.operating import opened
from bot.settings import Settings
from integrations.payments.base import Cents, MeterReading
from ledger.credit_actions import CreditReserved, CreditSettled, OverageMetered
from ledger.entry import Draft, StripeObject
from ledger.money import URC_PER_RC
from ledger.payment_actions import UsageMetered
from ledger.verify import verify_database
from tests.fakes.stripe_account import Account
from tests.fakes.stripe_meters import meter
from tests.fakes.stripe_server import KEY, StripeServer, running_stripe
from tests.payments import METER
from tests.postgres import Server

RC = URC_PER_RC
PERIOD = "1900000000"
Printed = pytest.CaptureFixture[str]


@pytest.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with running_stripe(Account(int(time.time()))) as running:
        meter(running.account, METER)
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, server: StripeServer, postgres: Server, postgres_database: str
) -> Settings:
    given = {
        "CARPOOL_LOCAL_ENABLED": "false",
        "STRIPE_API_KEY": KEY,
        "STRIPE_API_URL": server.base_url,
        "STRIPE_RETURN_URL": "http://carpool.test/back",
    }
    if request.param == "postgres":
        given["CARPOOL_DATABASE_URL"] = postgres.url(postgres_database)
    loaded = load(given, tmp_path, tmp_path / "home")
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


async def owing(settings: Settings, server: StripeServer) -> str:
    """A workspace that was deleted at Stripe: of 7.5 RC that it used beyond its credit its meter was told 5."""
    async with opened(settings) as house:
        scope, cashier = house.scope("terminal", "local"), house.billing.cashier
        assert cashier is not None
        assert cashier.subscriptions is not None
        await cashier.topup(scope, Cents(1000))  # makes a customer
        customer, at_s = await cashier.customer_of(scope.workspace), server.account.now_s
        key = f"credit.meter/stripe/{scope.workspace}/{at_s // 3600}"
        hold = CreditReserved("h", 15 * RC // 2, 0, "p", "m", overage_period=PERIOD, overage_max=10 * RC)
        told = OverageMetered("stripe", METER, PERIOD, 5 * RC, at_s)
        taken = UsageMetered("stripe", METER)
        about = StripeObject("customer", customer)
        await house.roadchain.append(
            Draft(hold, scope, "h/reserve"),
            Draft(CreditSettled("h", 15 * RC // 2, "p", 0), scope, "h/settle"),
            Draft(told, scope, key, stripe=about),
            Draft(taken, scope, f"payment.metered/{key}", stripe=about),
        )
        await cashier.subscriptions.read_meter(MeterReading(key, METER, customer, 5, at_s))
    server.account.delete_customer(customer)
    return scope.workspace


async def balances(settings: Settings) -> dict[str, int]:
    async with opened(settings) as house:
        return {row.account: row.natural for row in await house.store.balances()}


async def test_what_a_deleted_customer_leaves_owed_is_named_and_written_off_once(
    settings: Settings, server: StripeServer, capsys: Printed, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = await owing(settings, server)
    named = (
        f"workspace {workspace}: its customer was deleted at the payment service, and no invoice pays what was used: "
        "`carpool billing writeoff-usage` closes it (7.5 RC in the ledger). Ticket dif-"
    )
    told: list[str] = []
    for _ in range(2):
        assert await reconcile_payments(settings, "30") == 1
        told.append(capsys.readouterr().err)
    assert (told[0].startswith(named), told[0].count("\n"), told[1]) == (True, 1, told[0])
    assert [record.levelname for record in caplog.records if "a customer was deleted" in record.message] == ["ERROR"]

    before = await balances(settings)
    for whose, amount, status, said in (
        (workspace, "-1", 2, "The amount is in RC, above 0"),
        (workspace, "0", 2, "The amount is in RC, above 0"),
        (workspace, "NaN", 2, "The amount is in RC, above 0"),
        (workspace, "1e3", 2, "The amount is in RC, above 0"),
        (workspace, "٣", 2, "The amount is in RC, above 0"),
        (workspace, "7.5000001", 2, "The amount is in RC, above 0"),
        (workspace, "7.500001", 1, f"7.5 RC of usage is owed by the workspace {workspace}: that is less than"),
        ("w-nobody", "1", 1, "0 RC of usage is owed by the workspace w-nobody: that is less than 1 RC."),
        ("w:1/../x", "1", 2, "A workspace and a reference are letters, digits"),
    ):
        done = await write_off_usage(settings, whose, amount, "bad input", "r-1")
        printed = capsys.readouterr()
        assert (done, printed.err.startswith(said), printed.out) == (status, True, ""), (amount, printed)
        assert printed.err.endswith("Nothing was changed.\n")
    assert await balances(settings) == before

    assert await write_off_usage(settings, workspace, "7.5", "they left", "r-1") == 0
    first = capsys.readouterr().out
    assert first.startswith("r-1: 7.5 RC of usage are written off (entry ")
    assert await write_off_usage(settings, workspace, "7.5", "they left", "r-1") == 0
    assert capsys.readouterr().out == first.replace("are written off", "were written off before")
    for whose, amount in ((workspace, "1"), ("w-nobody", "7.5")):
        assert await write_off_usage(settings, whose, amount, "another", "r-1") == 2
        assert capsys.readouterr().err == "r-1 is another write-off. Nothing was changed.\n"
    after = await balances(settings)
    assert after["X:baddebt"] == 15 * RC // 2
    assert (after[f"A:ws:{workspace}:metered:{PERIOD}"], after[f"A:ws:{workspace}:overage:{PERIOD}"]) == (0, 0)
    assert (await reconcile_payments(settings, "30"), capsys.readouterr().err) == (0, "")

    entry = int(first.rpartition(" ")[2].rstrip(").\n"))
    assert await reverse(settings, str(entry), "they came back") == 0
    assert await balances(settings) == {**before, "X:baddebt": 0}
    if isinstance(settings.database, Path):
        verify_database(settings.database)


async def test_what_waits_for_the_meters_answer_is_not_written_off(
    settings: Settings, server: StripeServer, capsys: Printed
) -> None:
    workspace = await owing(settings, server)
    async with opened(settings) as house:
        scope = house.scope("terminal", "local")
        told = OverageMetered("stripe", METER, PERIOD, 2 * RC, server.account.now_s)
        await house.roadchain.append(Draft(told, scope, "credit.meter/later", stripe=StripeObject("customer", "cus_1")))
    assert await write_off_usage(settings, workspace, "6", "they left") == 1
    assert capsys.readouterr().err == (
        f"7.5 RC of usage is owed by the workspace {workspace}, and 2 RC of it wait for the meter's answer: that is less than "
        "6 RC. Nothing was changed.\n"
    )
    assert await write_off_usage(settings, workspace, "5.5", "they left") == 0
    assert (await balances(settings))[f"A:ws:{workspace}:metered:{PERIOD}"] == 2 * RC
