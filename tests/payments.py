"""A till for tests: the fake Stripe, the real SDK, a cashier, a ledger, and the real endpoint over HTTP between them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bot.http.payments import RETURN_PATH, WEBHOOK_PATH
from integrations.payments.base import Cents, Link
from integrations.payments.cashier import Cashier
from integrations.payments.plans import Plan, Plans
from integrations.payments.roadchain_bridge import Bridge
from integrations.payments.stripe import RAIL, StripePayments
from ledger.entry import Scope
from ledger.money import URC_PER_RC, Money
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from tests.fakes.stripe_account import Account
from tests.fakes.stripe_meters import meter, metered_price
from tests.fakes.stripe_server import KEY, SECRET, Adversary, StripeServer, running_stripe
from tests.payments_door import open_door
from tests.stores import AnyStore

W = WorkspaceId("w-1")
NOW_S = 1_795_000_000
METER = "carpool_overage"
ROLLED = "sk_test_rolled"


def scope(turn: str = "t-1", actor: str = "a-1", workspace: str = W) -> Scope:
    return Scope(WorkspaceId(workspace), ActorId(actor), ConversationId("c-1"), TurnId(turn))


@dataclass
class Till:
    """``pro`` and ``top`` are plans of 20 and 60 dollars a month: 1500 RC and 5000 RC of it are credit. ``beyond`` costs ten
    dollars: 1000 RC, and up to 500 RC more are paid later."""

    store: AnyStore
    stripe: StripeServer
    method: StripePayments
    cashier: Cashier
    roadchain: RoadChain
    pro: Plan
    top: Plan
    beyond: Plan
    webhook: str
    came_back: str

    @property
    def account(self) -> Account:
        return self.stripe.account

    def roll(self) -> StripePayments:
        """Stripe takes another key from now on. Gives what a process does with it that is started then."""
        self.stripe.key = ROLLED
        clock_s = self.method._clock_s
        return StripePayments(ROLLED, [SECRET], self.stripe.base_url, "http://carpool.test/", clock_s=clock_s)

    async def delivered(self) -> None:
        """Deliver what is pending, and wait until it was handled."""
        await self.stripe.deliver(self.webhook)
        await self.cashier.settled()

    async def topup(self, dollars: int = 10, turn: str = "t-1") -> Link:
        return await self.cashier.topup(scope(turn), Cents(dollars * 100))

    async def bought(self, dollars: int = 10) -> str:
        """Credit that was bought, and all of it told. Gives the payment."""
        link = await self.topup(dollars)
        payment: str = self.account.pay(link.about.id)["payment_intent"]
        await self.delivered()
        return payment

    async def subscribed(self, plan: Plan | None = None) -> str:
        """The subscription."""
        link = await self.cashier.subscribe(scope(), plan or self.pro)
        subscription: str = self.account.pay(link.about.id)["subscription"]
        await self.delivered()
        return subscription


@asynccontextmanager
async def open_till(
    store: AnyStore, adversary: Adversary | None = None, account: Account | None = None, reward: Money = Money(0)
) -> AsyncIterator[Till]:
    """No scan runs by itself: a test says when. ``account`` is one that other tills know too."""
    async with AsyncExitStack() as stack:
        account = account or Account(NOW_S)
        stripe = await stack.enter_async_context(running_stripe(account, adversary))
        pro = Plan("pro", account.price(2000)["id"], _rc(1500), _rc(500))
        top = Plan("top", account.price(6000)["id"], _rc(5000), _rc(1000))
        meter(account, METER)
        beyond = Plan(
            "beyond",
            account.price(1000)["id"],
            _rc(1000),
            _rc(0),
            (),
            METER,
            metered_price(account, METER)["id"],
            _rc(500),
        )
        method = StripePayments(
            KEY, [SECRET], stripe.base_url, "http://carpool.test/", clock_s=lambda: float(account.now_s)
        )
        stack.push_async_callback(method.aclose)

        def clock_us() -> int:
            return account.now_s * 1_000_000

        roadchain = await stack.enter_async_context(RoadChain(store, clock=clock_us))
        bridge = Bridge(roadchain, store, RAIL, Plans((pro, top, beyond)), reward)
        cashier = Cashier(method, bridge, clock_us, method)
        url = await stack.enter_async_context(open_door(cashier))
        yield Till(store, stripe, method, cashier, roadchain, pro, top, beyond, url + WEBHOOK_PATH, url + RETURN_PATH)


def _rc(amount: int) -> Money:
    return Money(amount * URC_PER_RC)
