"""The house as the operator opens it at the console: its ledger and its tills, and in whose name something is done there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.app import open_billing
from bot.billing import Billing
from bot.notices import Notices
from bot.opening import found_ledger, open_ledger
from bot.settings import Settings
from ledger.entry import Scope
from ledger.pseudonyms import ConversationId, Pseudonyms, TurnId
from ledger.roadchain import RoadChain
from ledger.store import Store

OPERATOR = "operator"
NO_AMOUNT = "The amount is in US dollars, from 1 to 1,000, such as 10 or 2.50. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Opened:
    store: Store
    roadchain: RoadChain
    billing: Billing
    pseudonyms: Pseudonyms

    def scope(self, platform: str, workspace: str) -> Scope:
        """The operator, in a workspace."""
        actor = self.pseudonyms.actor(platform, workspace, OPERATOR)
        return Scope(self.pseudonyms.workspace(platform, workspace), actor, ConversationId(""), TurnId(""))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """No event is handled meanwhile. Raises ``StoreUnusable``, ``StoreFailed``, ``NotConfigured``."""
    async with open_ledger(settings) as (store, keys), RoadChain(store) as roadchain:
        await found_ledger(roadchain, store, keys, settings.origin)
        pseudonyms = Pseudonyms(keys.pseudonyms)
        notices = Notices(roadchain, store, pseudonyms)
        async with open_billing(settings, store, roadchain, notices, at_work=False) as billing:
            yield Opened(store, roadchain, billing, pseudonyms)
