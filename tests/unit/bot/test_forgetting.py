"""``/billing forget``: the owner alone, after reading what goes and what stays; the press is looked at anew."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bot.platforms.base import Standing
from integrations.payments.forgetting import delete_customer
from ledger.actions import PayloadErased
from ledger.credit_actions import CreditRefused, CreditReserved
from ledger.entry import Draft
from ledger.money import URC_PER_RC
from tests.house import ME, asks
from tests.house_at_a_till import MINE, OURS, Place, at_a_till, bought
from tests.payments import scope
from tests.unit.bot.test_notices import told

SHOWN = """\
**Delete the billing data of this workspace?** It cannot be undone.

What goes:

- at the payment service, what it knows of this workspace as a customer: e-mail address, cards and addresses, and with them \
each later payment by itself
- here, the texts of `/billing`: what was typed, what was answered, statements and notices, of everybody

What it ends:

- the plan pro, at once. Its price is not paid back by itself, and its credit can be spent until 2026-12-18

What stays:

- 2500 RC of credit, which can be spent as before
- the entries of the ledger: amounts, times and pseudonyms, and no text. They are the book, from which nothing can be taken \
without it being seen
- payments, invoices and receipts at the payment service, with what was written on them: they are its own records, which it \
has to keep
- why credit was granted or written off, in the words of whoever runs this CarPool: vouchers of their book
- limits, and who is a billing admin: those are settings (`/billing limit`, `/settings role PERSON none`)

Money comes back by no deletion: ask for what was not spent before it, with `/billing refund`.

`/billing forget CODE` does it."""


async def says(place: Place, text: str, standing: Standing = "owner", person: str = ME.person) -> str:
    """What is answered. Each saying is another message."""
    size = (await place.till.store.head()).size
    incoming = replace(asks(text, f"say-{size}"), standing=standing)
    turn, _ = await place.open.ask(replace(incoming, address=replace(incoming.address, person=person)))
    return next(reply.text for of, _, reply in reversed(place.platform.sent) if of == turn)


def code_in(said: str) -> str:
    (code,) = re.findall(r"`/billing forget ([0-9a-f]{8})` does it\.", said)
    return str(code)


def customers(place: Place) -> list[bool]:
    """Of each whether it is deleted, the newest first."""
    return [bool(item.get("deleted")) for item in place.till.account.of("customer")]


async def texts(place: Place) -> list[bytes]:
    return [item.body for item in await place.till.store.entries(-1, 1000) if item.body is not None]


async def test_the_owner_reads_what_goes_and_what_stays_and_then_it_is_done(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await says(place, "What is a kestrel?")
        await says(place, "/billing topup 10")
        place.till.account.pay(place.till.account.of("checkout.session")[0]["id"])
        await told(place, 2)
        await says(place, "/billing subscribe pro")
        place.till.account.pay(place.till.account.of("checkout.session")[0]["id"])
        await told(place, 4)
        await says(place, "/billing statement", "member", "carol")
        asked = await says(place, "/billing forget")
        code = code_in(asked)
        assert asked.replace(code, "CODE") == SHOWN
        (button,) = place.platform.sent[-1][2].buttons
        assert (button.invocation, button.style) == (f"billing forget {code}", "danger")
        assert customers(place) == [False]
        money = await place.money()
        done = await says(place, f"/{button.invocation}")
        assert done == (
            "The customer of this workspace is deleted at the payment service, and what it subscribed to has ended. "
            "Texts of `/billing` that were erased here: 16. Credit and entries are as before. Whoever buys here again is a new "
            "customer."
        )
        assert customers(place) == [True]
        assert await place.money() == money
        left = b"\n".join(await texts(place))
        assert b"checkout.test" not in left
        assert b"CarPool statement" not in left
        assert b"kestrel" in left
        erased = [item.entry.action for item in await place.recorded(0) if isinstance(item.entry.action, PayloadErased)]
        assert {action.scope for action in erased} == {"turn"}
        again = await says(place, f"/billing forget {code}")  # a second press
        assert again.startswith("Texts of `/billing` that were erased here: 3.")


@pytest.mark.parametrize("standing", ["member", "admin"])
async def test_nobody_but_the_owner_has_it_done_though_they_have_the_code(tmp_path: Path, standing: Standing) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        code = code_in(await says(place, "/billing forget"))
        for words in ("", f" {code}"):
            assert await says(place, f"/billing forget{words}", standing) == (
                "Only the owner of this workspace can do that. Nothing was deleted."
            )
        assert customers(place) == [False]
        refused = [item.entry.action for item in await place.recorded(0)]
        assert refused.count(CreditRefused("billing.forget", "RC010")) == 2


async def test_a_billing_admin_is_no_owner_and_an_admin_names_none(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        refused = await says(place, "/settings role carol billing_admin", "admin", "dave")
        assert refused.startswith("Only an owner of this workspace says who is a billing admin")
        assert await says(place, "/settings role carol billing_admin") == "`carol` is billing admin here."
        assert (await says(place, "/billing portal", "member", "carol")).startswith("[Cards")
        assert (await says(place, "/billing forget", "member", "carol")).startswith("Only the owner")
        for role in ("none", "member"):
            assert (await says(place, f"/settings role carol {role}", "admin", "dave")).startswith("Only an owner")
        assert (await says(place, "/billing portal", "member", "carol")).startswith("[Cards")
        assert await says(place, "/settings role erin member", "admin", "dave") == "`erin` is member here."


async def test_a_code_that_was_for_something_else_deletes_nothing_and_is_asked_about_anew(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        code = code_in(await says(place, "/billing forget"))
        for wrong in ("00000000", "yes", f"{code}x"):
            said = await says(place, f"/billing forget {wrong}")
            assert said.startswith("That is not the code for what is here now. Nothing was deleted.\n")
        await says(place, "/billing subscribe pro")
        place.till.account.pay(place.till.account.of("checkout.session")[0]["id"])
        await told(place, 0)
        assert (await says(place, f"/billing forget {code}")).startswith("That is not the code")
        other = code_in(await says(place, "/billing forget", person="another-owner"))
        assert (await says(place, f"/billing forget {other}")).startswith("That is not the code")
        assert customers(place) == [False]


async def test_while_something_is_to_be_paid_later_it_is_refused(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        code = code_in(await says(place, "/billing forget"))
        beyond = CreditReserved("h", 1020 * URC_PER_RC, 0, "p", "m", overage_period="1900000000", overage_max=10**10)
        await place.till.roadchain.append(Draft(beyond, scope("t-9", MINE, OURS), "h/reserve"))
        for words in ("", f" {code}"):
            said = await says(place, f"/billing forget{words}")
            assert said.startswith("20 RC were used beyond the plan's credit and are not paid yet; the invoice")
        assert customers(place) == [False]
        assert CreditRefused("billing.forget", "RC001") in [item.entry.action for item in await place.recorded(0)]


async def test_with_stripe_down_nothing_is_erased_and_the_next_press_does_it(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await says(place, "/billing topup 10")
        code = code_in(await says(place, "/billing forget"))
        place.till.stripe.down = True
        said = await says(place, f"/billing forget {code}")
        assert said.startswith("The payment service did not say whether the customer is deleted")
        assert b"checkout.test" in b"\n".join(await texts(place))
        place.till.stripe.down = False
        assert (await says(place, f"/billing forget {code}")).startswith("The customer of this workspace is deleted")
        assert b"checkout.test" not in b"\n".join(await texts(place))


async def test_where_nothing_was_ever_bought_the_texts_go_alone(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await says(place, "/billing")
        asked = await says(place, "/billing forget")
        assert "payment service" not in asked
        assert (await says(place, f"/billing forget {code_in(asked)}")).startswith(
            "Texts of `/billing` that were erased here: 6."
        )
        assert place.till.stripe.requests == []


async def test_what_was_cut_off_after_the_customer_was_gone_is_carried_to_its_end(tmp_path: Path) -> None:
    """Whoever does it again, the turn itself or its owner, comes with the code of the customer that is gone."""
    async with at_a_till(tmp_path) as place:
        await says(place, "/billing topup 10")
        code = code_in(await says(place, "/billing forget"))
        await delete_customer(place.till.cashier, scope("t-1", MINE, OURS))
        assert (customers(place), b"checkout.test" in b"\n".join(await texts(place))) == ([True], True)
        done = await says(place, f"/billing forget {code}")
        assert done.startswith("Texts of `/billing` that were erased here: 6.")
        assert b"checkout.test" not in b"\n".join(await texts(place))
