"""Where platforms let CarPool in: the tokens of its installations, sealed in the vault and bound to whose they are.

Each that comes and each that goes stands on the ledger. A token itself never stands there, nor in a log.
"""

import contextlib
from dataclasses import dataclass

from adapters.messages import ProviderName
from bot.platforms.base import PlatformName
from bot.secret import Secret
from bot.vault import NotOpened, Vault
from ledger.actions import CommandRun, KeyAdded, KeyRemoved
from ledger.entry import HOUSE, Draft, Scope
from ledger.pseudonyms import ActorId, Pseudonyms, WorkspaceId
from ledger.roadchain import RoadChain


@dataclass(frozen=True, slots=True)
class InstalledIn:
    """Whose a token is. Fits ``bot.vault.Owner``: a sealed token that was moved to another workspace does not open."""

    platform: PlatformName
    workspace: WorkspaceId

    @property
    def text(self) -> str:
        return f"installed/{self.platform}/{self.workspace}"


async def installed(vault: Vault, platform: PlatformName) -> tuple[Secret, ...]:
    """What was kept of each place that let CarPool in; what does not open is left out. Raises ``StoreFailed``."""
    found: list[Secret] = []
    for sealed in await vault.of_kind(f"installed/{platform}/"):
        with contextlib.suppress(NotOpened):
            found.append(vault.opened(sealed))
    return tuple(found)


class Installs:
    """Of one platform. ``workspace`` is the platform's own id: of a workspace, or of an organisation that holds several."""

    def __init__(self, vault: Vault, roadchain: RoadChain, pseudonyms: Pseudonyms, platform: PlatformName) -> None:
        self._vault = vault
        self._roadchain = roadchain
        self._pseudonyms = pseudonyms
        self._platform = platform

    async def begin(self, what: str, use: str) -> bool:
        """Record that something is about to be done (``install``) with what is good for one ``use``.

        On disk on return. False where it was used before, by whatever process. Raises ``StoreFailed``.
        """
        draft = Draft(CommandRun(what), HOUSE, f"{self._platform}/{what}/{use}")
        (receipt,) = await self._roadchain.append(draft)
        return receipt.fresh

    async def keep(self, workspace: str, person: str, sealed: Secret, use: str) -> None:
        """In place of the one before. Durable on return, as is the entry of it. Raises ``StoreFailed``."""
        await self.remember(workspace, sealed)
        scope = self._scope(workspace, person)
        added = KeyAdded("platform", "", self._platform)
        await self._roadchain.append(Draft(added, scope, f"{added.name}/{self._platform}/{scope.workspace}/{use}"))

    async def remember(self, workspace: str, sealed: Secret) -> None:
        """What is no token, and so nothing for the ledger: to which organisation a workspace belongs."""
        await self._vault.keep(self._place(workspace), ProviderName(self._platform), sealed)

    async def drop(self, workspace: str, use: str) -> bool:
        """The platform took the token back. False where there was none. Raises ``StoreFailed``."""
        if await self.of(workspace) is None:
            return False
        scope = self._scope(workspace, "")
        removed = KeyRemoved("platform", "", self._platform)
        # Recorded first: the token is good for nothing any more, and being told of it again drops what a crash left.
        await self._roadchain.append(Draft(removed, scope, f"{removed.name}/{self._platform}/{scope.workspace}/{use}"))
        return await self._vault.drop(self._place(workspace), ProviderName(self._platform))

    async def forget(self, workspace: str) -> None:
        """The opposite of ``remember``. Durable on return. Raises ``StoreFailed``."""
        await self._vault.drop(self._place(workspace), ProviderName(self._platform))

    async def of(self, workspace: str) -> Secret | None:
        """What was kept. Raises ``NotOpened``, ``StoreFailed``."""
        held = await self._vault.held(self._place(workspace))
        return held[0].key if held else None

    def _place(self, workspace: str) -> InstalledIn:
        return InstalledIn(self._platform, self._pseudonyms.workspace(self._platform, workspace))

    def _scope(self, workspace: str, person: str) -> Scope:
        where = self._pseudonyms.workspace(self._platform, workspace)
        actor = self._pseudonyms.actor(self._platform, workspace, person) if person else ActorId(HOUSE.actor)
        return Scope(where, actor, HOUSE.conversation, HOUSE.turn)
