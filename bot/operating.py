"""The house as the operator opens it at the console: its ledger and its tills, in whose name something is done there, and how
what was typed is turned away."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.app import open_billing
from bot.billing import Billing
from bot.console import EXIT_USAGE, complain
from bot.notices import Notices
from bot.opening import found_ledger, ledger_exists, open_ledger
from bot.sentences import sentences_of
from bot.settings import Settings
from integrations.payments.keys import THE_HOUSE
from ledger.actions import CommandRun
from ledger.credit_actions import CreditRefused
from ledger.entry import Draft, Scope
from ledger.errors import Code
from ledger.pseudonyms import ConversationId, Pseudonyms, TurnId
from ledger.roadchain import RoadChain
from ledger.store import Store

OPERATOR = "operator"
NO_AMOUNT = "The amount is in US dollars, from 1 to 1,000, such as 10 or 2.50. Nothing was changed."
UNKNOWN = "The ledger knows no workspace {0} of {1}: is its id written as the platform does?"
HERE = ("terminal", "local")
"""The one workspace that there is before anybody has said anything."""


async def is_known(store: Store, pseudonyms: Pseudonyms, platform: str, workspace: str) -> bool:
    """Whether somebody has said something there, or money is on record for it."""
    name = pseudonyms.workspace(platform, workspace)
    return (platform, workspace) == HERE or bool(await store.balances_of(name)) or name in await store.workspaces()


@dataclass(frozen=True, slots=True)
class Opened:
    """``second_above_usd``: more than that a second operator decides on, 0: nothing."""

    store: Store
    roadchain: RoadChain
    billing: Billing
    pseudonyms: Pseudonyms
    notices: Notices
    second_above_usd: int

    def scope(self, platform: str, workspace: str) -> Scope:
        """The operator, in a workspace."""
        actor = self.pseudonyms.actor(platform, workspace, OPERATOR)
        return Scope(self.pseudonyms.workspace(platform, workspace), actor, ConversationId(""), TurnId(""))

    def run(self, scope: Scope, said: str) -> Draft:
        """That a command was run; what was said with it is kept beside the chain."""
        return Draft(CommandRun("billing"), scope, f"command.run/{secrets.token_hex(8)}", said.encode())

    async def refuse(self, what: str, code: Code, scope: Scope = THE_HOUSE) -> None:
        """Put on record that something was asked for at the console and refused. Raises ``StoreFailed``."""
        refused = CreditRefused(f"billing.{what}", code.value)
        await self.roadchain.append(Draft(refused, scope, f"credit.refused/{secrets.token_hex(8)}"))

    async def refuse_strange(self, what: str, platform: str, workspace: str, *, may_be_new: bool = False) -> bool:
        """Whether the ledger knows nothing of a workspace: that is said, and on record."""
        if await is_known(self.store, self.pseudonyms, platform, workspace):
            return False
        new = " If it is a new one, add --new." if may_be_new else ""
        complain(f"{UNKNOWN.format(workspace, platform)}{new} Nothing was changed.")
        await self.refuse(what, Code.ENTITY_NOT_FOUND, self.scope(platform, workspace))
        return True


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """No event is handled meanwhile. Raises ``StoreUnusable``, ``StoreFailed``, ``NotConfigured``."""
    async with open_ledger(settings) as (store, keys), RoadChain(store) as roadchain:
        await found_ledger(roadchain, store, keys, settings.origin)
        pseudonyms = Pseudonyms(keys.pseudonyms)
        notices = Notices(roadchain, store, pseudonyms, say=sentences_of(settings.language))
        async with open_billing(settings, store, roadchain, notices, at_work=False) as billing:
            yield Opened(store, roadchain, billing, pseudonyms, notices, settings.second_operator_above_usd)


async def turned_away(
    settings: Settings, what: str, code: Code, sentence: str, platform: str = "", workspace: str = ""
) -> int:
    """What was typed cannot be done: that is said, and on record where there is a ledger. What was typed is not: it may be
    anything. Gives the exit status."""
    complain(sentence)
    if await ledger_exists(settings):
        async with opened(settings) as house:
            await house.refuse(what, code, house.scope(platform, workspace) if platform else THE_HOUSE)
    return EXIT_USAGE
