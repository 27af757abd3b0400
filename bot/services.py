"""The services that people connect: what there is, how somebody comes to be connected, and how they leave again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bot.consent import Consent
from bot.credentials import ConnectedBy, Connection, Credentials
from bot.secret import Secret
from integrations.oauth import Grant, OAuthApp
from integrations.services import Service
from integrations.tools.base import NotAllowed, RefusedCredentials, ToolError
from ledger.entry import Scope

log = logging.getLogger("carpool.services")


class Way(Protocol):
    """From a platform to a service's page of consent, and back."""

    async def back(self, platform: str, oauth: OAuthApp) -> str:
        """Where the service sends a person of this platform back to; empty where it cannot reach them."""
        ...

    def there(self, platform: str, url: str) -> str:
        """The page of consent, as a link that this platform can show."""
        ...


class TokenRefused(Exception):
    """The service does not take a token that somebody brought."""


@dataclass(frozen=True, slots=True)
class Kept:
    """``checked`` is false where the service could not be asked whether it takes the token."""

    connection: Connection
    checked: bool


@dataclass(frozen=True, slots=True)
class Services:
    table: Mapping[str, Service]
    credentials: Credentials
    consent: Consent
    way: Way

    async def keep_pasted(self, service: str, scope: Scope, token: Secret, *, everybody: bool) -> Kept:
        """Raises ``TokenRefused``, and ``StoreFailed``."""
        try:
            account, checked = await self.table[service].who(token.reveal()), True
        except (RefusedCredentials, NotAllowed) as error:
            raise TokenRefused(service) from error
        except ToolError as error:
            log.info("a token could not be checked", extra={"cause": str(error)})
            account, checked = "", False
        connection = Connection.new(token, account)
        await self.credentials.keep(owner(scope, everybody=everybody), service, connection, scope)
        return Kept(connection, checked)

    async def keep_granted(
        self, service: str, scope: Scope, grant: Grant, now_s: float, *, everybody: bool
    ) -> Connection:
        """Raises ``StoreFailed``."""
        connection = Connection.new(Secret(grant.token)).renewed(grant, now_s)
        try:
            account = await self.table[service].who(grant.token)
        except ToolError as error:  # it was granted a moment ago: whose it is can wait
            log.info("an account could not be asked for", extra={"cause": str(error)})
            account = ""
        connection = connection.of(account)
        await self.credentials.keep(owner(scope, everybody=everybody), service, connection, scope)
        return connection

    async def disconnect(self, service: str, scope: Scope, *, everybody: bool) -> "Gone | None":
        """Taken back at the service where that can be done, and then forgotten; None where there was nothing. Raises
        ``StoreFailed``."""
        whose = owner(scope, everybody=everybody)
        found = await self.credentials.own(whose, service)
        known = self.table.get(service)
        revoked = False
        # Taken back before it is forgotten: where a crash comes between, doing it again finishes it.
        if found is not None and found.granted and known is not None and known.oauth is not None:
            try:
                await known.oauth.revoke((found.refresh or found.token).reveal())
                revoked = True
            except ToolError as error:
                log.warning("a connection could not be revoked", extra={"cause": str(error)})
        dropped = await self.credentials.drop(whose, service, scope)
        return None if dropped is None else Gone(revoked)


@dataclass(frozen=True, slots=True)
class Gone:
    """``revoked``: the service takes what was kept no more."""

    revoked: bool


def owner(scope: Scope, *, everybody: bool) -> ConnectedBy:
    return ConnectedBy(scope.workspace, None if everybody else scope.actor)
