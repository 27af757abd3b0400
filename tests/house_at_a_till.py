"""A house whose people pay at a till: one ledger, the real turns, the real SDK, and the fake Stripe behind it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.messages import ProviderName
from adapters.scripted import ScriptedAdapter, ScriptReply, answer
from bot.billing import Billing
from bot.lucidia.catalog import ModelCard
from bot.notices import Notices
from bot.sentences import ENGLISH, Sentences
from integrations.payments.base import Cents
from integrations.payments.plans import Plans
from integrations.storage.sqlite import SqliteStore
from ledger.money import URC_PER_RC
from ledger.store import Recorded
from tests.house import DATABASE, ME, PSEUDONYMS, Open, RecordingPlatform, running_house
from tests.payments import Till, open_till, scope

OURS = PSEUDONYMS.workspace(ME.platform, ME.workspace)
MINE = PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person)


@dataclass(frozen=True)
class Place:
    till: Till
    open: Open
    platform: RecordingPlatform

    async def recorded(self, after: int) -> list[Recorded]:
        return list(await self.till.store.entries(after - 1, 1000))

    async def money(self) -> dict[str, int]:
        return {row.account: row.balance for row in await self.till.store.balances()}

    async def rc(self, account: str) -> float:
        rows = await self.till.store.balances()
        return sum(row.natural for row in rows if row.account == account) / URC_PER_RC


@asynccontextmanager
async def at_a_till(
    folder: Path,
    script: Sequence[ScriptReply] = (answer("Hello."),),
    *,
    provider: str = "scripted",
    cards: Sequence[ModelCard] | None = None,
    billing: Billing = Billing(),
    say: Sentences = ENGLISH,
) -> AsyncIterator[Place]:
    """``billing`` is given the till's plans and its cashier."""
    store = await SqliteStore.open(folder / DATABASE)
    try:
        async with open_till(store, reward=billing.referral) as till:
            billing = replace(billing, plans=Plans((till.pro, till.top)), cashier=till.cashier)
            platform = RecordingPlatform()
            adapters = {provider: ScriptedAdapter(ProviderName(provider), tuple(script))}
            async with running_house(folder, platform, adapters, cards=cards, billing=billing, say=say) as open_:
                own = frozenset({str(platform.name)})
                till.cashier._tell = Notices(open_.roadchain, open_.store, PSEUDONYMS, own, say).tell
                yield Place(till, open_, platform)
    finally:
        await store.aclose()


async def bought(till: Till, workspace: str = OURS, actor: str = MINE, dollars: int = 10) -> str:
    """The payment."""
    link = await till.cashier.topup(scope("t-0", actor, workspace), Cents(dollars * 100))
    payment: str = till.account.pay(link.about.id)["payment_intent"]
    await till.delivered()
    return payment
