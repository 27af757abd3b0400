"""Bad input about money, from chat and from the web: each gets a clear answer, nothing moves, and it is on the ledger."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from aiohttp import ClientSession

from integrations.payments.base import Cents
from ledger.credit_actions import CreditRefused
from ledger.payment_actions import PaymentHandled, PaymentReceived, PaymentRefused
from tests.fakes.stripe_account import Thing
from tests.house import asks
from tests.house_at_a_till import Place, at_a_till, bought
from tests.payments import NOW_S, scope
from tests.payments_door import BODY_BYTES_MAX

AMOUNT = "from 1 to 1,000 US dollars"
OWN_ONLY = "and no other customer's"
SAID = {
    **{f"topup {amount}": (AMOUNT, "topup", "RC008") for amount in ("-10", "-0.01", "\N{MINUS SIGN}10")},
    **{
        f"topup {amount}": (AMOUNT, "topup", "RC002")
        for amount in (
            *("0", "0.99", "1000.01", "9" * 400, "1e3", "10.123456789", "NaN", "inf", "", "10 10", "10€"),
            *("\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT ZERO}", "\N{FULLWIDTH DIGIT ONE}0", "0x10", "ten"),
        )
    },
    "refund PAID -4": ("from 1 to 1,000 US dollars", "refund", "RC008"),
    "refund PAID 0": ("from 1 to 1,000 US dollars", "refund", "RC002"),
    "refund PAID 1.000000001": ("from 1 to 1,000 US dollars", "refund", "RC002"),
    "refund PAID NaN": ("from 1 to 1,000 US dollars", "refund", "RC002"),
    "refund PAID \N{ARABIC-INDIC DIGIT FOUR}": ("from 1 to 1,000 US dollars", "refund", "RC002"),
    "refund PAID 999": ("Less than 99900 RC", "refund", "RC001"),
    "refund OTHER 4": ("is no top-up of this workspace", "refund", "RC003"),
    "refund cus_000001 4": ("is no top-up of this workspace", "refund", "RC003"),
    "refund pi_`break`out 4": ("`pi_'break'out` is no top-up", "refund", "RC003"),
    **{
        f"subscribe {plan}": (f"There is no plan `{plan}`. Nothing was charged.\nThe plans:", "subscribe", "RC003")
        for plan in ("gold", "cus_000002", "NaN", "-1", "pro top")
    },
    "portal cus_000002": (OWN_ONLY, "portal", "RC010"),
    "portal --customer=cus_000002": (OWN_ONLY, "portal", "RC010"),
    "invoices cus_000002": (OWN_ONLY, "invoices", "RC010"),
}
"""What is said behind ``/billing``: a part of the answer, and what stands on the ledger of it."""


async def test_bad_input_is_answered_moves_nothing_and_is_on_the_ledger(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        till = place.till
        paid = [await bought(till), await bought(till, "w-other", "a-other")]
        before = await place.money()
        for number, (said, (answer, part, code)) in enumerate(SAID.items()):
            asked = f"/billing {said.replace('PAID', paid[0]).replace('OTHER', paid[1])}"
            turn, _ = await place.open.ask(replace(asks(asked, f"{number}"), standing="owner"))
            assert answer in place.platform.texts[-1], asked
            refused = [item.entry.action for item in await till.store.entries_of(turn)]
            assert CreditRefused(f"billing.{part}", code) in refused, asked
            assert await place.money() == before, asked
        assert till.account.of("billing_portal.session") == []
        assert len(till.account.of("checkout.session")) == 2


async def test_what_comes_from_the_web_and_is_not_stripes_moves_nothing_and_is_on_the_ledger(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place, ClientSession() as session:
        till = place.till
        await bought(till, "w-1")
        event = till.account.events[-1]
        before = await place.money()
        for name, secret, at_s, status, reason in (
            ("forged", "whsec_another", 0, 400, "signature"),
            ("replayed an hour later", None, NOW_S - 3600, 400, "timestamp"),
            ("of a time to come", None, NOW_S + 3600, 400, "timestamp"),
        ):
            begun = (await till.store.head()).size
            secrets = {} if secret is None else {"secret": secret}
            assert await till.stripe.post(session, till.webhook, event, at_s=at_s, **secrets) == status, name
            if name != "of a time to come":  # of one reason one entry a minute
                assert [item.entry.action for item in await place.recorded(begun)] == [PaymentRefused("stripe", reason)]
            assert await place.money() == before, name
        await replayed_at_once(place, event, before)
        await five_megabytes(place, before)
        await opened_by_somebody_else(place, before)


async def replayed_at_once(place: Place, event: Thing, before: dict[str, int]) -> None:
    """As Stripe itself sends it again: it is taken, and stands on the ledger once."""
    async with ClientSession() as session:
        assert await place.till.stripe.post(session, place.till.webhook, event) == 200
    await place.till.cashier.settled()
    key = f"payment.received/stripe/{event['id']}"
    assert [item.entry.idem for item in await place.recorded(0)].count(key) == 1
    found = await place.till.store.find(key)
    assert found is not None
    assert isinstance(found.entry.action, PaymentReceived)
    assert await place.money() == before


async def five_megabytes(place: Place, before: dict[str, int]) -> None:
    """Announced, or sent without a length: it is not read to its end."""
    begun = (await place.till.store.head()).size
    async with ClientSession() as session:
        for body in (io.BytesIO(b"x" * 5_000_000), pieces()):
            async with session.post(place.till.webhook, data=body) as answer:
                said = await answer.json()
                assert (answer.status, said["error"]) == (413, f"The body has more than {BODY_BYTES_MAX:,} bytes.")
    assert [item.entry.action for item in await place.recorded(begun)] == [PaymentRefused("stripe", "size")]
    assert await place.money() == before


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(50):
        yield b"x" * 100_000


async def opened_by_somebody_else(place: Place, before: dict[str, int]) -> None:
    """Whoever has a link may look at its page, and learns nothing; that they came is on the ledger."""
    link = await place.till.cashier.topup(scope("t-9", "a-9", "w-9"), Cents(1000))
    begun = (await place.till.store.head()).size
    async with ClientSession() as session:
        for _ in range(2):
            async with session.get(place.till.came_back, params={"session_id": link.about.id}) as page:
                text = await page.text()
                assert (page.status, "as soon as the payment has" in text) == (200, True)
                assert not any(name in text for name in ("w-9", "a-9", "1000", "10"))
    (came,) = await place.recorded(begun)
    assert came.entry.action == PaymentHandled("stripe", "waiting")
    assert came.entry.stripe is not None
    assert came.entry.stripe.id == link.about.id
    assert await place.money() == before
