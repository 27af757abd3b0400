"""The Stripe tools, through the real SDK, against the Stripe of ``tests/fakes/stripe_server.py``."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
import pytest_asyncio
import stripe as sdk

from adapters.messages import Json
from bot.approvals import approver_of, may_decide
from bot.rules import Role, Rules
from bot.sentences import ENGLISH
from integrations.tools.base import Conflict, Invalid, NotAllowed, ReadTool, Toolbox, ToolLimits, Unknown
from integrations.tools.marker import marker
from integrations.tools.stripe_tools import stripe_tools
from ledger.actions import ApprovalAsked, Approver
from ledger.pseudonyms import ActorId
from tests.contract.payments.test_fake_stripe import unknown_fields
from tests.fakes import stripe_meters
from tests.fakes.answering_server import answering
from tests.fakes.stripe_account import Account
from tests.fakes.stripe_server import KEY, StripeServer, running_stripe
from tests.github_emulator import fields_of, use_of
from tests.undoing import taken_back

NOW_S = 1_795_000_000
ITEMS: Json = [{"amount": 1250, "description": "Öl für die Tür"}, {"amount": 99, "description": "post"}]


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with running_stripe(Account(NOW_S)) as server:
        yield server


def box_of(stripe: StripeServer, key: str = KEY) -> Toolbox:
    return Toolbox(stripe_tools(key, stripe.base_url), (key,))


async def done(stripe: StripeServer, name: str, arguments: Mapping[str, Json], mark: str = "turn/1/c") -> str:
    result = await box_of(stripe).use(use_of(name, arguments, mark))
    assert not result.failed, result.content
    return result.content


def customer(stripe: StripeServer, name: str = "Anna Öl", email: str = "anna@example.org") -> str:
    made = stripe.account.customer({})
    made |= {"name": name, "email": email}
    return str(made["id"])


def paid(stripe: StripeServer, who: str, cents: int = 1000) -> str:
    intent = stripe.account.foreign_payment(cents, "eur")
    intent["customer"] = who
    return str(intent["id"])


def writes(stripe: StripeServer) -> Mapping[str, Mapping[str, Json]]:
    who = customer(stripe)
    return {
        "stripe_draft_invoice": {"customer": who, "currency": "eur", "items": ITEMS},
        "stripe_refund": {"payment": paid(stripe, who), "amount": 400},
        "stripe_create_coupon": {"name": "Autumn", "percent_off": 12.5, "duration": "once", "max_redemptions": 5},
    }


async def test_a_customer_is_found_with_what_they_bought(stripe: StripeServer) -> None:
    who = customer(stripe)
    customer(stripe, "Bert", "bert@example.org")
    assert await done(stripe, "stripe_customers", {"email": "anna@example.org"}) == f"{who}: Anna Öl, anna@example.org"
    assert await done(stripe, "stripe_customers", {"email": "nobody@example.org"}) == "Nothing was found."
    stripe_meters.meter(stripe.account, "words")
    used = {"price": stripe_meters.metered_price(stripe.account, "words")["id"]}
    items = [{"price": stripe.account.price(2000)["id"], "quantity": 1}, used]
    params = {"mode": "subscription", "line_items": items, "customer": who}
    session = stripe.account.pay(stripe.account.session(params)["id"])
    said = await done(stripe, "stripe_subscriptions", {"customer": who})
    assert said == f"{session['subscription']}: active: 1 x 20.00 USD a month until 2026-12-18, " + (
        "what is used x 0.01 USD a month until 2026-12-18"
    )
    invoice = session["invoice"]
    assert f"{invoice} of 2026-11-18: paid, 20.00 USD, 20.00 USD of it paid" in await done(
        stripe, "stripe_invoices", {"customer": who}
    )
    assert f"customer: {who}\n- 20.00 USD: " in await done(stripe, "stripe_invoice", {"invoice": invoice})
    assert "succeeded, 20.00 USD" in await done(stripe, "stripe_payments", {"customer": who})
    stripe.account.cancel(session["subscription"], at_once=True)
    assert "canceled" in await done(stripe, "stripe_subscriptions", {"customer": who})


async def test_a_list_is_read_across_its_pages_and_says_where_it_ends(stripe: StripeServer) -> None:
    who = customer(stripe)
    for _ in range(130):
        paid(stripe, who)
    assert len((await done(stripe, "stripe_payments", {"customer": who})).splitlines()) == 130
    for _ in range(100):
        paid(stripe, who)
    said = await done(stripe, "stripe_payments", {"customer": who})
    assert len(said.splitlines()) == 201
    assert said.endswith("[There are more than these.]")


async def test_an_invoice_is_drafted_as_it_was_shown_and_sent_to_nobody(stripe: StripeServer) -> None:
    who = customer(stripe)
    use = use_of("stripe_draft_invoice", {"customer": who, "currency": "eur", "items": ITEMS, "days_until_due": 14})
    assert fields_of(await box_of(stripe).preview(use)) == (
        ("Customer", f"Anna Öl, anna@example.org ({who})"),
        ("Items", "12.50 EUR: Öl für die Tür\n0.99 EUR: post"),
        ("Total", "13.49 EUR"),
        ("Days until due", "14"),
    )
    assert not stripe.account.of("invoice")
    assert not (await box_of(stripe).use(use)).failed
    (invoice,) = stripe.account.of("invoice")
    assert (invoice["status"], invoice["total"], invoice["auto_advance"]) == ("draft", 1349, False)
    assert "- 12.50 EUR: Öl für die Tür\n- 0.99 EUR: post" in await done(
        stripe, "stripe_invoice", {"invoice": invoice["id"]}
    )


async def test_a_refund_is_shown_with_what_is_left_and_is_refused_above_it(stripe: StripeServer) -> None:
    payment = paid(stripe, customer(stripe))
    use = use_of("stripe_refund", {"payment": payment, "amount": 400})
    preview = await box_of(stripe).preview(use)
    assert fields_of(preview) == (
        ("Amount", "4.00 EUR"),
        ("Of the payment", f"{payment} of 10.00 EUR"),
        ("Refunded before", "0.00 EUR"),
        ("Customer", "Anna Öl, anna@example.org"),
        ("Reason", "requested_by_customer"),
    )
    assert "cannot be taken back" in str(preview.irreversible)
    assert "Refunded 4.00 EUR: re_" in (await box_of(stripe).use(use)).content
    with pytest.raises(Conflict):
        await box_of(stripe).preview(use_of("stripe_refund", {"payment": payment, "amount": 601}))
    assert (await box_of(stripe).use(use_of("stripe_refund", {"payment": payment, "amount": 601}, "turn/2/c"))).failed
    assert len(stripe.account.of("refund")) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"percent_off": 10, "amount_off": 100, "currency": "eur"},
        {"amount_off": 100},
        {"percent_off": 10, "currency": "eur"},
        {"percent_off": 10, "months": 2},
        {"percent_off": 10, "duration": "repeating"},
        {"percent_off": 101},
        {"percent_off": 0},
        {"amount_off": -1, "currency": "eur"},
    ],
)
async def test_a_coupon_that_makes_no_sense_is_shown_to_nobody(stripe: StripeServer, wrong: Mapping[str, Json]) -> None:
    whole: Mapping[str, Json] = {"name": "x", "duration": "once", "max_redemptions": 1, **wrong}
    with pytest.raises(Invalid):
        await box_of(stripe).preview(use_of("stripe_create_coupon", whole))
    assert stripe.requests == []


async def test_coupons_are_made_of_either_kind(stripe: StripeServer) -> None:
    rest: Mapping[str, Json] = {"name": "Herbst", "max_redemptions": 3}
    one = use_of(
        "stripe_create_coupon", {**rest, "amount_off": 500, "currency": "jpy", "duration": "repeating", "months": 3}
    )
    assert ("Takes off", "500 JPY") in fields_of(await box_of(stripe).preview(one))
    assert not (await box_of(stripe).use(one)).failed
    await done(stripe, "stripe_create_coupon", {**rest, "percent_off": 12.5, "duration": "once"}, "turn/2/c")
    assert {each["percent_off"] or each["amount_off"] for each in stripe.account.of("coupon")} == {500, 12.5}


NAMES = ("stripe_draft_invoice", "stripe_refund", "stripe_create_coupon")


async def test_what_the_fake_makes_has_only_fields_of_the_sdks_own_types(stripe: StripeServer) -> None:
    for name, arguments in writes(stripe).items():
        await done(stripe, name, arguments, f"turn/{name}")
    kinds: Mapping[str, type[sdk.StripeObject]] = {
        "invoice": sdk.Invoice,
        "invoiceitem": sdk.InvoiceItem,
        "coupon": sdk.Coupon,
    }
    made = [(each, kind) for name, kind in kinds.items() for each in stripe.account.of(name)]
    assert {each["object"] for each, _ in made} == kinds.keys()
    assert [field for each, kind in made for field in unknown_fields(each, kind, each["object"])] == []


@pytest.mark.parametrize("name", NAMES)
async def test_a_write_is_found_again_by_its_mark_and_one_with_another_mark_is_not(
    stripe: StripeServer, name: str
) -> None:
    arguments = writes(stripe)[name]
    await done(stripe, name, arguments, "turn/0/c")
    use = use_of(name, arguments)
    assert await box_of(stripe).look(use) is None
    result = await box_of(stripe).use(use)
    found = await box_of(stripe).look(use)
    assert found == result
    assert await box_of(stripe).look(use_of(name, arguments, "turn/2/c")) is None


@pytest.mark.parametrize("name", NAMES)
async def test_a_write_that_is_sent_again_is_done_once(stripe: StripeServer, name: str) -> None:
    """After a crash in the middle: what the look did not find yet is sent under the same key."""
    arguments = writes(stripe)[name]
    first, second = await done(stripe, name, arguments), await done(stripe, name, arguments)
    assert first == second
    assert len(stripe.account.of("invoice") + stripe.account.of("refund")) <= 1
    assert [invoice["total"] for invoice in stripe.account.of("invoice")] in ([], [1349])


@pytest.mark.parametrize("name", NAMES)
async def test_a_write_whose_answer_is_cut_is_found_and_not_done_twice(stripe: StripeServer, name: str) -> None:
    arguments = writes(stripe)[name]
    stripe.cut = True
    result = await box_of(stripe).use(use_of(name, arguments))
    made = {each["id"] for kind in ("invoice", "refund", "coupon") for each in stripe.account.of(kind)}
    assert len(made) == 1
    if name == "stripe_draft_invoice":  # its lines were not sent any more
        assert result.failed
        assert "not known whether it took place" in result.content
        with pytest.raises(Unknown, match="half of a draft"):
            await box_of(stripe).look(use_of(name, arguments))
    else:
        assert not result.failed
        assert made.pop() in result.content


async def test_half_a_draft_is_told(stripe: StripeServer) -> None:
    """Stripe takes the invoice, and not a line of it: that is an answer, and the draft is named."""
    who = customer(stripe)
    first = use_of("stripe_draft_invoice", {"customer": who, "currency": "eur", "items": ITEMS})
    mark = marker(first)
    stripe._seen[f"{mark}/1"] = (NOW_S, "/v1/other", (200, {}))  # a key of somebody else's making
    result = await box_of(stripe).use(first)
    assert result.failed
    assert "in_" in result.content
    assert "did not take all of its lines" in result.content


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("approver", ["asker", "another", "admin"])
async def test_money_is_moved_by_another_admin_whatever_is_set(
    stripe: StripeServer, name: str, approver: Approver
) -> None:
    preview = await box_of(stripe).preview(use_of(name, writes(stripe)[name]))
    asked = ApprovalAsked(1, 1, "c", name, "0" * 64, approver_of(name, preview, Rules(approvers={name: approver})), 1)
    asker, other = ActorId("a-1"), ActorId("a-2")
    roles: tuple[Role, ...] = ("owner", "admin", "billing_admin", "member", "guest", "outsider")
    assert not any(may_decide(asked, asker, asker, role, Rules(), ENGLISH) == "" for role in roles)
    assert [role for role in roles if may_decide(asked, asker, other, role, Rules(), ENGLISH) == ""] == [
        "owner",
        "admin",
    ]


async def test_each_refusal_is_a_sentence(stripe: StripeServer) -> None:
    box = box_of(stripe)
    said = (await box.use(use_of("stripe_invoice", {"invoice": "in_nowhere"}))).content
    assert said == "Stripe has nothing there, or does not show it."
    stripe.down = True
    assert "cannot be reached" in (await box.use(use_of("stripe_customers", {"email": "a@b"}))).content
    stripe.down = False
    wrong = box_of(stripe, "rk_live_wrong")
    refused = (await wrong.use(use_of("stripe_customers", {"email": "a@b"}))).content
    assert refused == "Stripe refused the credentials that it was given."
    assert "rk_live_wrong" not in repr(wrong) + repr(wrong.tools)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "does not accept"),
        (402, "does not accept"),
        (403, "does not allow"),
        (409, "conflicts"),
        (429, "try again in 7 seconds"),
        (500, "fault of its own"),
    ],
)
async def test_a_status_says_what_it_means_and_what_stripe_wrote_is_told_to_nobody(status: int, said: str) -> None:
    async with answering() as server:
        kind = {402: "card_error", 409: "idempotency_error"}.get(status, "invalid_request_error")
        server.status, server.body = status, f'{{"error": {{"type": "{kind}", "message": "internal {KEY}"}}}}'
        server.headers = {"Retry-After": "7"}
        result = await Toolbox(stripe_tools(KEY, server.url)).use(use_of("stripe_customers", {"email": "a@b"}))
    assert result.failed
    assert said in result.content
    assert "internal" not in result.content
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", ["", "{", "null", "[1]", '"x"', "{}", '{"data": 1}', "<html>"])
async def test_garbage_is_a_failed_result(body: str) -> None:
    async with answering() as server:
        server.body = body
        result = await Toolbox(stripe_tools(KEY, server.url)).use(use_of("stripe_customers", {"email": "a@b"}))
    assert result.failed
    assert "Stripe gave an answer that was not expected" in result.content


async def test_a_stripe_that_hangs_is_left_in_time_and_a_use_can_be_cancelled() -> None:
    async with answering() as server:
        server.hang = True
        tool = stripe_tools(KEY, server.url)["stripe_customers"]
        assert isinstance(tool, ReadTool)
        use = use_of("stripe_customers", {"email": "a@b"})
        box = Toolbox({"stripe_customers": replace(tool, limits=ToolLimits(timeout_s=0.2))})
        assert "took longer than 0.2 seconds" in (await box.use(use)).content
        before = len(server.asked)
        running = asyncio.create_task(Toolbox({"stripe_customers": tool}).use(use))
        await server.until_asked(before + 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_draft_is_taken_back_with_its_lines_and_one_that_was_sent_is_not(stripe: StripeServer) -> None:
    arguments = writes(stripe)["stripe_draft_invoice"]
    said = await taken_back(box_of(stripe), use_of("stripe_draft_invoice", arguments))
    assert said.startswith("Deleted the draft in_")
    assert not stripe.account.of("invoice")
    assert not stripe.account.of("invoiceitem"), "a line would come into the next invoice"
    await done(stripe, "stripe_draft_invoice", arguments, "turn/2/c")
    (invoice,) = stripe.account.of("invoice")
    invoice["status"] = "open"
    use = use_of("stripe_delete_draft", {"invoice": invoice["id"]})
    with pytest.raises(Conflict):
        await box_of(stripe).preview(use)
    assert (await box_of(stripe).use(use)).failed
    invoice |= {"status": "draft", "metadata": {}}
    with pytest.raises(NotAllowed):
        await box_of(stripe).preview(use)
    assert (await box_of(stripe).use(use)).failed
    assert stripe.account.of("invoice") == [invoice]


async def test_a_coupon_is_taken_back_and_a_refund_says_that_it_cannot_be(stripe: StripeServer) -> None:
    given = writes(stripe)
    use = use_of("stripe_create_coupon", given["stripe_create_coupon"])
    assert (await taken_back(box_of(stripe), use)).startswith("Deleted the coupon carpool-use-")
    assert not stripe.account.of("coupon")
    refund = use_of("stripe_refund", given["stripe_refund"])
    assert "cannot be taken back" in str((await box_of(stripe).preview(refund)).irreversible)
    assert box_of(stripe).undo_of(refund.call, await box_of(stripe).use(refund)) is None
