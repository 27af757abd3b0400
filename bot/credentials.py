"""What people connected services with: tokens, sealed in the vault and bound to whose they are, each renewed before it ends.

Each that comes, is renewed and goes stands on the ledger, by the random id of its connection. A token itself never stands
there, nor in a log. A person's own goes before their workspace's.
"""

import asyncio
import hashlib
import json
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from adapters.messages import ProviderName
from bot.secret import Secret
from bot.vault import NotOpened, Vault
from integrations.oauth import Declined, Grant
from integrations.secrets import SealedSecret
from integrations.services import Service
from integrations.tools.base import RefusedCredentials, ToolError
from ledger.actions import CommandRun, KeyAdded, KeyRemoved
from ledger.entry import HOUSE, Draft, Scope
from ledger.pseudonyms import ActorId, WorkspaceId
from ledger.roadchain import RoadChain

log = logging.getLogger("carpool.credentials")

RENEW_BEFORE_S = 300
"""A token that ends is renewed when so much is left: of the hour that Google gives it."""

NONE = Secret("")


@dataclass(frozen=True, slots=True)
class ConnectedBy:
    """Whose a connection is. Fits ``bot.vault.Owner``. ``person`` None: all of the workspace."""

    workspace: WorkspaceId
    person: ActorId | None = None

    @property
    def text(self) -> str:
        return f"connected/{self.workspace}/{self.person or ''}".rstrip("/")


@dataclass(frozen=True, slots=True)
class Connection:
    """``id`` is random, and names it on the ledger. ``account`` is whose the token is at the service; empty where that is not
    known.

    ``ends_s``: seconds since 1970; 0 where the token does not end. ``granted``: it came by OAuth, so that it can be revoked.
    """

    id: str
    token: Secret
    account: str = ""
    refresh: Secret = NONE
    ends_s: int = 0
    granted: bool = False

    @classmethod
    def new(cls, token: Secret, account: str = "") -> "Connection":
        return cls(secrets.token_hex(8), token, account)

    def of(self, account: str) -> "Connection":
        return replace(self, account=account)

    def renewed(self, grant: Grant, now_s: float) -> "Connection":
        """With what was granted now; a service may leave the refresh token as it is."""
        refresh = Secret(grant.refresh) if grant.refresh else self.refresh
        ends_s = int(now_s) + grant.lasts_s if grant.lasts_s else 0
        return replace(self, token=Secret(grant.token), refresh=refresh, ends_s=ends_s, granted=True)


@dataclass(frozen=True, slots=True)
class ConnectionShown:
    """A connection as its owner may see it. ``masked`` is empty where it does not open."""

    service: str
    person: bool
    account: str
    masked: str


class Credentials:
    """Fits ``integrations.tools.base.Tokens``."""

    def __init__(
        self,
        vault: Vault,
        roadchain: RoadChain,
        services: Mapping[str, Service],
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._vault = vault
        self._roadchain = roadchain
        self._services = services
        self._clock_s = clock_s
        self._renewing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def keep(self, owner: ConnectedBy, service: str, connection: Connection, scope: Scope) -> None:
        """In place of the one before. Durable on return, as is the entry of it. Raises ``StoreFailed``."""
        await self._vault.keep(owner, ProviderName(service), _sealed(connection))
        added = KeyAdded("service", "", service)
        await self._roadchain.append(Draft(added, scope, f"{added.name}/{connection.id}"))

    async def drop(self, owner: ConnectedBy, service: str, scope: Scope) -> Connection | None:
        """What was kept, for whoever revokes it; None where there was none. Durable on return. Raises ``StoreFailed``.

        One that does not open is dropped as well, and comes back without a token.
        """
        found = await self._sealed(owner, service)
        if found is None:
            return None
        try:
            connection = _unsealed(self._vault.opened(found))
        except NotOpened:
            connection = Connection(secrets.token_hex(8), NONE)
        if not await self._vault.drop(owner, ProviderName(service)):
            return None
        removed = KeyRemoved("service", "", service)
        await self._roadchain.append(Draft(removed, scope, f"{removed.name}/{connection.id}"))
        return connection

    async def own(self, owner: ConnectedBy, service: str) -> Connection | None:
        """What is kept for just this owner; None where that is nothing, or does not open. Raises ``StoreFailed``."""
        found = await self._sealed(owner, service)
        try:
            return None if found is None else self._opened(found)
        except RefusedCredentials:
            return None

    async def shown(self, workspace: WorkspaceId, actor: ActorId) -> tuple[ConnectionShown, ...]:
        """The connections that serve this person, the nearest first. Raises ``StoreFailed``."""
        return tuple(map(self._shown, await self._vault.sealed(*_nearest_first(workspace, actor))))

    async def connected(self, workspace: WorkspaceId, actor: ActorId) -> frozenset[str]:
        return frozenset(sealed.name for sealed in await self._vault.sealed(*_nearest_first(workspace, actor)))

    async def token(self, service: str, workspace: WorkspaceId, actor: ActorId) -> str:
        for owner in _nearest_first(workspace, actor):
            found = await self._sealed(owner, service)
            if found is not None:
                return (await self._good(owner, service, self._opened(found))).token.reveal()
        return ""

    async def _good(self, owner: ConnectedBy, service: str, found: Connection) -> Connection:
        if not self._ends_soon(found):
            return found
        # One at a time in this process; where another process was faster, what it got.
        async with self._renewing[found.id]:
            sealed = await self._sealed(owner, service)
            if sealed is None:
                raise _over(service, "it was disconnected")
            found = self._opened(sealed)
            return await self._renew(owner, service, found) if self._ends_soon(found) else found

    async def _renew(self, owner: ConnectedBy, service: str, found: Connection) -> Connection:
        oauth = known.oauth if (known := self._services.get(service)) else None
        if oauth is None or not found.refresh:
            if found.ends_s > self._clock_s():
                return found
            raise _over(service, "its token has ended")
        use = hashlib.sha256(f"{found.ends_s}/{found.token.reveal()}".encode()).hexdigest()[:32]
        scope = Scope(owner.workspace, owner.person or ActorId(HOUSE.actor), HOUSE.conversation, HOUSE.turn)
        await self._roadchain.append(Draft(CommandRun("renew"), scope, f"{CommandRun.name}/{found.id}/{use}"))
        try:
            grant = await oauth.renew(found.refresh.reveal())
        except ToolError as error:
            return await self._not_renewed(owner, service, found, error)
        renewed = found.renewed(grant, self._clock_s())
        if await self._sealed(owner, service) is None:  # disconnected meanwhile: it is not brought back
            raise _over(service, "it was disconnected")
        await self._vault.keep(owner, ProviderName(service), _sealed(renewed))
        added = KeyAdded("service", "", service)
        await self._roadchain.append(Draft(added, scope, f"{added.name}/{found.id}/{use}"))
        return renewed

    async def _not_renewed(self, owner: ConnectedBy, service: str, found: Connection, error: ToolError) -> Connection:
        """What another process got meanwhile; else the old one while it is good."""
        log.warning("a token could not be renewed", extra={"cause": str(error)})
        sealed = await self._sealed(owner, service)
        again = None if sealed is None else self._opened(sealed)
        if again is not None and not self._ends_soon(again):
            return again
        if found.ends_s > self._clock_s():
            return found
        raise _over(service, str(error)) if isinstance(error, Declined) else error

    async def _sealed(self, owner: ConnectedBy, service: str) -> SealedSecret | None:
        return next((sealed for sealed in await self._vault.sealed(owner) if sealed.name == service), None)

    def _opened(self, sealed: SealedSecret) -> Connection:
        """Raises ``RefusedCredentials``: somebody else's must not take the place of one that is there and does not open."""
        try:
            return _unsealed(self._vault.opened(sealed))
        except NotOpened as error:
            raise _over(sealed.name, str(error)) from error

    def _shown(self, sealed: SealedSecret) -> ConnectionShown:
        person = sealed.owner.count("/") == 2
        try:
            found = _unsealed(self._vault.opened(sealed))
        except NotOpened:
            return ConnectionShown(sealed.name, person, "", "")
        return ConnectionShown(sealed.name, person, found.account, found.token.masked)

    def _ends_soon(self, connection: Connection) -> bool:
        return bool(connection.ends_s) and connection.ends_s - self._clock_s() < RENEW_BEFORE_S


def _nearest_first(workspace: WorkspaceId, actor: ActorId) -> tuple[ConnectedBy, ConnectedBy]:
    return ConnectedBy(workspace, actor), ConnectedBy(workspace)


def _over(service: str, why: str) -> RefusedCredentials:
    return RefusedCredentials(
        f"{service}: {why}",
        "The connection to {0} is of no more use: the person can renew it with `/connect {0}`.",
        service,
    )


def _sealed(connection: Connection) -> Secret:
    """The token last, so that of what is shown masked its own last characters are seen."""
    facts = [connection.id, connection.account, connection.ends_s, connection.granted]
    return Secret(f"{json.dumps(facts)}\n{connection.refresh.reveal()}\n{connection.token.reveal()}")


def _unsealed(sealed: Secret) -> Connection:
    facts, refresh, token = sealed.reveal().split("\n")
    name, account, ends_s, granted = json.loads(facts)
    return Connection(name, Secret(token), account, Secret(refresh), ends_s, granted)
