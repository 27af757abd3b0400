"""The fake Stripe in a process of its own, with as many paid top-ups as its argument says. Prints its address.

For a line of its input, ``URL AT_ONCE``, it delivers all of their events and prints how many; for an empty one it prints how many
requests it has answered.
"""

import asyncio
import sys
import time

from aiohttp import ClientSession

from integrations.payments.base import Buyer, Cents, IntentId
from integrations.payments.stripe_facts import metadata_of
from ledger.pseudonyms import ActorId, WorkspaceId
from tests.fakes.stripe_account import Account
from tests.fakes.stripe_server import StripeServer, running_stripe

CENTS = Cents(1000)
WORKSPACES = tuple(WorkspaceId(f"w-{number}") for number in range(10))


def buyer(number: int) -> Buyer:
    return Buyer(WORKSPACES[number % len(WORKSPACES)], ActorId(f"a-{number}"), IntentId(f"a-{number}-{CENTS}-1"))


def pay(account: Account, buyer: Buyer) -> None:
    metadata = metadata_of(buyer, CENTS)
    price = {"currency": "usd", "unit_amount": str(CENTS)}
    session = account.session(
        {
            "mode": "payment",
            "client_reference_id": buyer.intent,
            "line_items": [{"price_data": price, "quantity": "1"}],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
        }
    )
    account.pay(session["id"])


async def deliver(server: StripeServer, url: str, at_once: int) -> int:
    events, server.pending[:] = list(server.pending), []
    waiting = iter(events)

    async def some(session: ClientSession) -> None:
        for event in waiting:
            status = await server.post(session, url, event, at_s=int(time.time()))
            assert status == 200, status

    async with ClientSession() as session:
        await asyncio.gather(*(some(session) for _ in range(at_once)))
    return len(events)


async def main(topups: int) -> None:
    account = Account(int(time.time()))
    async with running_stripe(account) as server:
        for number in range(topups):
            pay(account, buyer(number))
        print(server.base_url, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip():
                url, at_once = line.split()
                print(await deliver(server, url, int(at_once)), flush=True)
            else:
                print(len(server.requests), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
