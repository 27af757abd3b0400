"""A till for each store that there is, and a house that drives our fake as a sandbox is driven."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NoReturn, cast

import pytest

from integrations.payments.base import Buyer, IntentId
from integrations.payments.stripe_facts import WORKSPACE, metadata_of
from ledger.pseudonyms import ActorId, WorkspaceId
from tests.fakes.stripe_account import Account, Thing
from tests.fakes.stripe_clocks import CLOCK
from tests.fakes.stripe_server import KEY, running_stripe
from tests.payments import NOW_S, Till, open_till
from tests.postgres import Server
from tests.stores import Kind, opening
from tests.stripe_place import Place
from tests.stripe_world import World, open_world

LOOKS = 10
"""What our fake does a moment later, it does after a question or two."""


@pytest.fixture(params=["sqlite", "postgres"])
async def till(request: pytest.FixtureRequest, tmp_path: Path, postgres: Server) -> AsyncIterator[Till]:
    async with AsyncExitStack() as stack:
        opens = await stack.enter_async_context(opening(cast(Kind, request.param), tmp_path, postgres))
        yield await stack.enter_async_context(open_till(await opens()))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """In an account that others use too. What was made there is gone at the end."""
    account = Account(NOW_S)
    used(account)
    others = {thing["id"] for thing in account.things.values()}
    async with running_stripe(account) as server:
        place = Place(KEY, server.base_url, lambda: float(account.now_s), LOOKS, 0, _cannot)
        async with open_world(place, tmp_path) as opened:
            yield opened
    left = [thing for name, thing in account.things.items() if name not in others]
    assert [thing["id"] for thing in left if thing["object"] == CLOCK] == []
    assert [thing["id"] for thing in left if thing["object"] == "customer" and not thing.get("deleted")] == []
    running = [thing["id"] for thing in left if thing["object"] == "subscription" and thing["status"] != "canceled"]
    assert running == []


def used(account: Account) -> None:
    """What another house did there: credit, a plan that it ended, a dispute, and money of nobody's."""
    customer = account.customer({WORKSPACE: "w-another"})["id"]
    metadata = metadata_of(Buyer(WorkspaceId("w-another"), ActorId("a-another"), IntentId("i-another")), 1000)
    price = account.price(2000)["id"]
    bought: Thing = {
        "line_items": [{"price_data": {"unit_amount": "1000"}}],
        "payment_intent_data": {"metadata": metadata},
    }
    began: Thing = {"line_items": [{"price": price, "quantity": "1"}], "subscription_data": {"metadata": metadata}}
    credit = account.pay(account.session({"mode": "payment", "customer": customer, **bought})["id"])
    plan = account.pay(account.session({"mode": "subscription", "customer": customer, **began})["id"])
    account.cancel(plan["subscription"], at_once=True)
    account.close_dispute(account.dispute(credit["payment_intent"])["id"], won=False)
    account.foreign_payment(700)


def _cannot(why: str) -> NoReturn:
    raise AssertionError(f"our fake can all of it: {why}")
