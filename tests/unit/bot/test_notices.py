"""A person who began a payment is told what came of it: once, alone, where they asked."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from bot.notices import Notices, sentence
from bot.sentences import ENGLISH
from integrations.payments.base import Buyer, Cents, IntentId, News, ObjectRef
from integrations.payments.requests import request_of
from ledger.actions import TurnFinished
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from tests.house import PSEUDONYMS, asks
from tests.house_at_a_till import Place, at_a_till, bought


async def told(place: Place, count: int) -> list[str]:
    """What was said behind the first ``count`` replies, once everything that is known was said."""
    await place.till.delivered()
    while await place.till.store.open_turns(PSEUDONYMS.workspace("test", "team")):
        await asyncio.sleep(0.01)  # the intake tells nobody
    return place.platform.texts[count:]


async def says(place: Place, text: str) -> TurnId:
    turn, _ = await place.open.ask(replace(asks(text, f"{len(place.platform.sent)}"), standing="owner"))
    return turn


def session_of(place: Place) -> str:
    newest: str = place.till.account.of("checkout.session")[0]["id"]
    return newest


async def test_a_topup_that_has_come_is_told_once_and_to_the_asker_alone(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        asked = await says(place, "/billing topup 10")
        assert await says(place, "/billing topup 10") != asked  # the same link
        place.till.account.pay(session_of(place))
        said = await told(place, 2)
        assert said == ["Your payment has come: 1000 RC of credit are there. `/billing` shows what can be spent."]
        turn, _, reply = place.platform.sent[-1]
        assert reply.private
        assert await place.open.journal(turn) == ["message.received", "reply.prepared", "reply.sent", "turn.finished"]
        assert (await place.till.cashier.scan()).left == 0
        assert len(await told(place, 2)) == 1


@pytest.mark.parametrize(
    ("currency", "outcome", "amount"),
    [("eur", "unmatched", "10 EUR"), ("jpy", "unmatched", "1,000 JPY"), ("jpy", "returned", "1,000 JPY")],
)
def test_what_came_in_another_currency_is_told_in_that_one(
    currency: str, outcome: Literal["unmatched", "returned"], amount: str
) -> None:
    buyer = Buyer(WorkspaceId("w-1"), ActorId("a-1"), IntentId("i-1"))
    news = News(buyer, ObjectRef("payment_intent", "pi_1"), outcome, Cents(1000), currency=currency)
    assert amount in sentence(news, ENGLISH)


async def test_a_bank_debit_that_fails_and_another_amount_are_told(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await says(place, "/billing topup 10")
        place.till.account.pay(session_of(place), later=True)
        assert await told(place, 1) == []
        place.till.account.debit_fails(session_of(place))
        (said,) = await told(place, 1)
        assert said.startswith("Your payment did not go through, and nothing was charged.")
        await says(place, "/billing topup 20")
        place.till.account.pay(session_of(place), pays=100)
        (said,) = await told(place, 3)
        assert said.startswith("A payment of $1 has come, and does not fit what was asked for.")


async def test_a_plan_is_told_when_it_begins_and_when_a_period_is_not_paid(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await says(place, "/billing subscribe pro")
        subscription = place.till.account.pay(session_of(place))["subscription"]
        assert await told(place, 1) == [
            "The plan pro is paid: 1500 RC of credit are there. `/billing` shows until when."
        ]
        place.till.account.renew(subscription)
        assert len(await told(place, 1)) == 1
        place.till.account.renew(subscription, paid=False)
        (said,) = await told(place, 2)
        assert said.startswith(
            "A payment for this workspace's plan did not go through. [Its page](http://invoice.test/1)"
        )


async def test_what_another_process_is_told_is_said_by_whoever_has_the_platform(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        place.till.cashier._tell = Notices(place.till.roadchain, place.till.store, PSEUDONYMS).tell
        await says(place, "/billing topup 10")
        place.till.account.pay(session_of(place))
        assert len(await told(place, 1)) == 1
        finished = [item.entry.action for item in await place.open.all()]
        assert sum(isinstance(action, TurnFinished) for action in finished) == 2


async def test_of_a_payment_that_nobody_here_asked_for_nothing_is_said(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await place.till.bought(10)
        place.till.account.foreign_payment(700)
        assert await told(place, 0) == []


async def test_who_asked_for_a_refund_is_told_once_what_was_decided(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        payment = await bought(place.till)
        notices = Notices(place.open.roadchain, place.open.store, PSEUDONYMS, frozenset({"test"}))
        decided: list[str] = []
        for sent in (True, False):
            turn = await says(place, f"/billing refund {payment} 4")
            request = await request_of(place.till.store, f"ref-{turn}")
            assert request is not None
            for _ in range(2):
                await notices.tell_decided(request, sent=sent)
            decided += (await told(place, 2 * len(decided) + 1))[:1]
            assert len(place.platform.sent) == 2 * len(decided)
            assert place.platform.sent[-1][2].private
        assert decided[0].endswith("` is on its way: $4 back, the way it was paid.")
        assert "`, $4 back, was declined by whoever runs this CarPool" in decided[1]
