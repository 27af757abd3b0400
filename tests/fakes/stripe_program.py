"""Our Stripe as a program, for the live suite to be tried on: `python -m tests.fakes.stripe_program`.

It has the real time, and lists its events late.
"""

import asyncio
import time

from tests.fakes.stripe_account import Account
from tests.fakes.stripe_server import KEY, running_stripe

TICK_S = 0.2


async def run() -> None:
    account = Account(int(time.time()))
    async with running_stripe(account) as server:
        server.lags = True
        print(f"STRIPE_TEST_KEY={KEY} STRIPE_TEST_URL={server.base_url}", flush=True)  # to be copied
        while True:
            await asyncio.sleep(TICK_S)
            account.now_s = max(account.now_s, int(time.time()))


if __name__ == "__main__":
    asyncio.run(run())
