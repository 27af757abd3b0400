"""``carpool billing`` and the payments of ``carpool web``, as processes, against the fake Stripe."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.stripe_account import Account
from tests.fakes.stripe_server import KEY, SECRET, StripeServer, running_stripe
from tests.processes import Home, running


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with running_stripe(Account(int(time.time()))) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, stripe: StripeServer) -> Home:
    settings = {
        "STRIPE_API_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_URL": stripe.base_url,
        "STRIPE_RETURN_URL": "http://carpool.test/back",
    }
    return Home(tmp_path, settings=settings)


async def test_a_person_tops_up_in_chat_and_the_operator_reconciles(home: Home, stripe: StripeServer) -> None:
    asked = await home.run("chat", given=b"/billing topup 10")
    assert "http://checkout.test/cs_test_" in asked.out
    assert (await home.run("billing", "reconcile")).out.endswith("0 were missing, 0 differ.\n")
    stripe.account.pay(stripe.account.of("checkout.session")[0]["id"])
    reconciled = await home.run("billing", "reconcile", "--days", "2")
    assert (reconciled.status, reconciled.err) == (0, "")
    assert reconciled.out.endswith("1 movements and 2 entries of 2 days: 0 were missing, 0 differ.\n")
    assert "**1000 RC** of credit can be spent" in (await home.run("chat", given=b"/billing")).out
    assert KEY not in "".join(str(entry) for entry in home.entries())
    assert "checkout.test" not in "".join(str(entry) for entry in home.entries())


async def test_money_that_nobody_knows_waits_in_suspense_and_a_difference_is_named(
    home: Home, stripe: StripeServer
) -> None:
    stripe.account.never = lambda kind: True
    assert (await home.run("chat", given=b"hello")).status == 0
    stripe.account.foreign_payment(500)
    found = await home.run("billing", "reconcile")
    assert (found.status, "recorded now: txn_" in found.out) == (0, True)
    assert "L:suspense:stripe" in (await home.run("ledger", "balances")).out
    listed = (await home.run("billing", "suspense")).out.splitlines()
    payment, today = (
        stripe.account.of("payment_intent")[0]["id"],
        time.strftime("%Y-%m-%d", time.gmtime(stripe.account.now_s)),
    )
    resolves = f"`carpool billing resolve PLATFORM WORKSPACE {payment} REASON` makes credit of it"
    assert [line.replace(today, "DAY") for line in listed] == [
        f"stripe  {payment}  5 USD  since DAY: {resolves}",
        "In suspense: 1.",
    ]
    stripe.account.transaction("payment_reversal", stripe.account.of("charge")[0], -25)
    differing = await home.run("billing", "reconcile")
    assert differing.status == 1
    lines = differing.err.splitlines()
    assert "the payment service moved money, and the ledger has no entry of it (-25 RC there)." in lines[0]
    assert lines[1].startswith("A:stripe:clearing RC: the balance is another (")


async def test_credit_is_granted_and_a_transfer_counts_once(home: Home) -> None:
    granted = await home.run("billing", "grant", "terminal", "local", "2.50", "for", "testing")
    assert granted.out.startswith("250 RC of promotional credit are there (entry ")
    reference = (await home.run("billing", "invoice", "terminal", "local", "10")).out.strip()
    for _ in range(2):
        assert (await home.run("billing", "paid", reference)).out == "The credit is there.\n"
    assert "**1250 RC**" in (await home.run("chat", given=b"/billing")).out
    unknown = await home.run("billing", "paid", "inv-none")
    assert (unknown.status, "Nothing was changed." in unknown.err) == (2, True)
    refused = await home.run("billing", "grant", "terminal", "local", "NaN", "x")
    assert (refused.status, "Nothing was changed." in refused.err) == (2, True)


async def test_what_an_operator_changes_by_hand_is_done_once_or_refused_in_a_sentence(
    home: Home, stripe: StripeServer
) -> None:
    await home.run("chat", given=b"hello")
    payment, returned = [stripe.account.foreign_payment(500)["id"] for _ in range(2)]
    stripe.account.refund(returned, 200, {})
    assert (await home.run("billing", "reconcile")).status == 0
    granted = await home.run("billing", "grant", "terminal", "local", "3", "a mistake", "--days", "30")
    entry = granted.out.rpartition(" ")[2].rstrip(").\n")
    for what, status, said in (
        (("reverse", entry, "it was none"), 0, f"Entry {entry} is reversed (entry "),
        (("reverse", entry, "again"), 1, f"Entry {entry} was reversed before."),
        (("reverse", "0", "genesis"), 2, "Entry 0 is none that can be taken back"),
        (("writeoff", "terminal", "local", "3", "nothing is owed"), 1, "Less than 300 RC is owed there."),
        (("writeoff", "terminal", "local", "1e3", "no amount"), 2, "Nothing was changed."),
        (("resolve", "terminal", "local", "pi_none", "unknown"), 2, "pi_none does not wait in suspense."),
        (("resolve", "terminal", "local", returned, "too late"), 1, f"{returned} was resolved or given back before."),
        (("resolve", "terminal", "local", payment, "they wrote to us"), 0, "500 RC of credit are there (entry "),
        (
            ("resolve", "terminal", "other", payment, "twice", "--new"),
            1,
            f"{payment} was resolved or given back before.",
        ),
    ):
        done = await home.run("billing", *what)
        assert (done.status, said in done.out + done.err) == (status, True), (what, done)
    assert "**500 RC** of credit can be spent" in (await home.run("chat", given=b"/billing")).out
    refused = [entry for entry in home.entries() if entry["action"] == "credit.refused"]
    assert [(entry["kind"], entry["code"]) for entry in refused] == [
        ("billing.reverse", "RC009"),
        ("billing.reverse", "RC002"),
        ("credit.writeoff", "RC001"),
        ("billing.writeoff", "RC002"),
        ("billing.resolve", "RC003"),
        ("billing.resolve", "RC009"),
        ("billing.resolve", "RC009"),
    ]


async def test_money_is_given_back_by_the_operator_and_each_refusal_is_a_sentence(
    home: Home, stripe: StripeServer
) -> None:
    await home.run("chat", given=b"/billing topup 10")
    payment = stripe.account.pay(stripe.account.of("checkout.session")[0]["id"])["payment_intent"]
    assert (await home.run("billing", "reconcile")).status == 0
    whose = ("billing", "refund", "terminal", "local")
    for what, status, said in (
        (("pi_unknown", "4", "sorry"), 2, "pi_unknown is no top-up of this workspace."),
        ((payment, "11", "sorry"), 1, f"Less than $11 is left of {payment}: no money was sent, no credit taken."),
        ((payment, "-4", "sorry"), 2, "Nothing was changed."),
        ((payment, "NaN", "sorry"), 2, "Nothing was changed."),
    ):
        done = await home.run(*whose, *what)
        assert (done.status, said in done.err, done.out) == (status, True, "")
    done = await home.run(*whose, payment, "4", "sorry", "for", "that")
    assert (done.status, done.out.endswith(": 400 RC of credit goes back as money.\n")) == (0, True)
    assert (await home.run("billing", "reconcile")).status == 0
    assert "**600 RC** of credit can be spent" in (await home.run("chat", given=b"/billing")).out
    reference = (await home.run("billing", "invoice", "terminal", "local", "10")).out.strip()
    assert (await home.run("billing", "paid", reference)).status == 0
    assert (await home.run(*whose, reference, "2", "too much")).status == 0
    asked = await home.run("chat", given=f"/billing refund {payment} 2".encode())
    request = asked.out.partition("its reference is ")[2].split()[0].strip("`.")
    assert f"{request}  " in (await home.run("billing", "requests")).out
    approved = await home.run("billing", "approve", request, "they were right")
    assert (approved.status, approved.out.endswith(": 200 RC of credit goes back as money.\n")) == (0, True)
    assert (await home.run("billing", "requests")).out.startswith("0 to decide on")
    assert (await home.run("billing", "approve", "ref-none", "x")).status == 2
    assert (await home.run("billing", "reconcile")).status == 0
    assert "L:ws" in (balances := await home.run("ledger", "balances")).out
    assert "refund_hold" in balances.out
    assert " 1,200,000,000 uRC" in balances.out


async def test_a_statement_is_printed_written_or_refused_in_a_sentence(home: Home) -> None:
    await home.run("chat", given=b"hello")
    whose = ("billing", "statement", "terminal", "local", "owner")
    printed = await home.run(*whose, "--month", "2026-10")
    issued = "For owner, in the workspace local of Terminal. Issued by "
    assert printed.out.startswith(f"CarPool statement, 2026-10\n{issued}")
    assert "\nThe whole month, by UTC.\n" in printed.out
    assert "0.000000 RC in all, for 0 charges." in printed.out
    page = home.folder / "page.pdf"
    assert (await home.run(*whose, "--as", "pdf", "--out", str(page))).status == 0
    assert page.read_bytes().startswith(b"%PDF-")
    for more, status, said in (
        (("--month", "2026-13"), 2, "2026-13 is no month"),
        (("--as", "email"), 2, "--from and --to"),
        (("--as", "csv", "--out", "/dev/null/x"), 1, "/dev/null/x cannot be written: Not a directory."),
    ):
        done = await home.run(*whose, *more)
        assert (done.status, said in done.err, done.out) == (status, True, "")


async def test_payments_are_taken_where_there_is_no_slack(home: Home, stripe: StripeServer) -> None:
    await home.run("chat", given=b"/billing topup 10")
    home.settings = {**home.settings, "PORT": "0"}
    async with running(home, "web") as (process, port):
        stripe.account.pay(stripe.account.of("checkout.session")[0]["id"])
        await stripe.deliver(f"http://127.0.0.1:{port}/stripe/webhook")
        assert set(stripe.statuses) == {200}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    assert any(entry["action"] == "payment.received" for entry in home.entries())
    assert (await home.run("billing", "reconcile")).out.endswith(" 0 were missing, 0 differ.\n")
    assert "**1000 RC**" in (await home.run("chat", given=b"/billing")).out


async def test_with_stripe_down_the_chat_answers_all_the_same(home: Home, stripe: StripeServer) -> None:
    stripe.down = True
    assert (await home.run("chat", given=b"hello")).out.startswith("Hello there.")
    assert "nothing was charged" in (await home.run("chat", given=b"/billing topup 10")).out
    failed = await home.run("billing", "reconcile")
    assert (failed.status, "Traceback" in failed.err) == (1, False)


async def test_a_plan_file_that_is_wrong_is_said_in_a_sentence(home: Home, tmp_path: Path) -> None:
    plans = tmp_path / "plans.toml"
    await asyncio.to_thread(plans.write_text, "[pro]\n")
    home.settings = {**home.settings, "CARPOOL_PLANS": str(plans)}
    failed = await home.run("chat", given=b"hello")
    assert (failed.status, "price is the id of a price at Stripe" in failed.err) == (2, True)


async def test_a_key_without_a_page_to_come_back_to_is_a_problem_that_is_named(home: Home) -> None:
    home.settings = {**home.settings, "STRIPE_RETURN_URL": ""}
    failed = await home.run("config")
    assert (failed.status, "STRIPE_RETURN_URL is not" in failed.err) == (2, True)
