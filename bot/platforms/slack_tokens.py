"""With which token CarPool speaks in a workspace of Slack: the one of the settings, or the one of its installation there."""

import asyncio
import base64
import hashlib
import json
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.installs import Installs
from bot.platforms.base import PlatformError
from bot.platforms.slack_errors import SlackError, answer_of
from bot.secret import Secret
from bot.vault import NotOpened
from integrations.tools.base import NotConnected, PlaceToken, Unavailable, Where

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("carpool.slack")

TOKEN_AGE_S_MAX = 60.0
"""How long a token is used before it is looked whether another process dropped or renewed it."""

RENEW_BEFORE_S = 7_200
"""A token that ends is renewed when so much is left: of the twelve hours that Slack gives it."""

REMEMBERED_MAX = 10_000
CALL_TIMEOUT_S = 15


NONE = Secret("")


@dataclass(frozen=True, slots=True)
class Installation:
    """``bot`` is the bot's user id; empty where it is not known. ``ends_s``: seconds since 1970; 0 where the token does not end.

    ``organisation``: there is no token of the workspace's own, because that organisation installed CarPool in all of its.
    """

    token: Secret
    bot: str = ""
    scopes: tuple[str, ...] = ()
    refresh: Secret = NONE
    ends_s: int = 0
    organisation: str = ""


class Tokens(Protocol):
    async def of(self, workspace: str) -> Installation:
        """Raises ``PlatformError`` (``retry_after_s`` None: CarPool is not installed there), ``StoreFailed``."""
        ...

    async def learn(self, workspace: str, organisation: str) -> None:
        """Slack says that this workspace is reached by what its organisation installed. Raises ``StoreFailed``."""
        ...


class OneToken:
    """The token of the settings, for the one workspace that it is of."""

    def __init__(self, token: Secret) -> None:
        self._installation = Installation(token)

    async def of(self, workspace: str) -> Installation:
        return self._installation

    async def learn(self, workspace: str, organisation: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Granted:
    """What Slack gives for a code, or for a token that is to be renewed. ``place``: the workspace, or the organisation."""

    installation: Installation
    place: str
    name: str
    person: str


class SlackOAuth:
    """The app as Slack knows it. Each call is tried once. Raises ``SlackError``."""

    def __init__(
        self, client_id: str, client_secret: Secret, api_url: str, clock_s: Callable[[], float] = time.time
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.api_url = api_url
        self._clock_s = clock_s

    async def exchange(self, code: str, redirect_url: str) -> Granted:
        """What a person agreed to on Slack's page."""
        answer = await self._access({"code": code, "redirect_uri": redirect_url})
        whole = bool(answer.get("is_enterprise_install"))
        place = _object(answer, "enterprise" if whole else "team")
        person = _object(answer, "authed_user")
        return Granted(
            self._read(answer), str(place.get("id") or ""), str(place.get("name") or ""), str(person.get("id") or "")
        )

    async def renew(self, before: Installation) -> Installation:
        answer = await self._access({"grant_type": "refresh_token", "refresh_token": before.refresh.reveal()})
        renewed = self._read(answer)
        return replace(renewed, bot=renewed.bot or before.bot, scopes=renewed.scopes or before.scopes)

    async def is_good(self, token: Secret) -> bool:
        """Whether Slack takes a token. Raises ``SlackError`` where it cannot be asked now."""
        try:
            await answer_of(self._client(token).auth_test())
        except SlackError as error:
            if error.retry_after_s is not None:
                raise
            return False
        return True

    async def _access(self, fields: dict[str, str]) -> dict[str, Any]:
        # The SDK's own wrapper makes the header in a way that aiohttp is about to drop.
        named = f"{self.client_id}:{self.client_secret.reveal()}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(named).decode()}"}
        return await answer_of(self._client().api_call("oauth.v2.access", data=fields, headers=headers))

    def _client(self, token: Secret = NONE) -> "AsyncWebClient":
        from slack_sdk.web.async_client import AsyncWebClient

        return AsyncWebClient(
            token=token.reveal() or None,
            base_url=self.api_url,
            timeout=CALL_TIMEOUT_S,
            retry_handlers=[],
            logger=logging.getLogger("slack_sdk"),
        )

    def _read(self, answer: dict[str, Any]) -> Installation:
        lasts_s = answer.get("expires_in")
        return Installation(
            Secret(str(answer.get("access_token") or "")),
            str(answer.get("bot_user_id") or ""),
            tuple(name for name in str(answer.get("scope") or "").split(",") if name),
            Secret(str(answer.get("refresh_token") or "")),
            int(self._clock_s()) + int(lasts_s) if lasts_s else 0,
        )


class InstalledTokens:
    """Fits ``Tokens``: those of the installations, renewed before they end."""

    def __init__(
        self,
        installs: Installs,
        oauth: SlackOAuth,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._installs = installs
        self._oauth = oauth
        self._clock_s = clock_s
        self._seen: OrderedDict[str, tuple[Installation, float]] = OrderedDict()
        self._renewing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, workspace: str) -> Installation:
        kept, at_s = self._seen.get(workspace, (None, 0.0))
        if kept is not None and self._clock_s() - at_s < TOKEN_AGE_S_MAX and not self._ends_soon(kept):
            return kept
        found = await self._read(workspace)
        if found is not None and found.organisation:
            return await self.of(found.organisation)
        if found is not None and self._ends_soon(found):
            found = await self._renewed(workspace)
        if found is None:
            self.forget(workspace)
            raise PlatformError("Slack: CarPool is not installed in this workspace", None)
        self._seen[workspace] = found, self._clock_s()
        self._seen.move_to_end(workspace)
        while len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return found

    async def learn(self, workspace: str, organisation: str) -> None:
        found = await self._read(workspace)
        if found is None or (found.organisation and found.organisation != organisation):
            # Kept, because a turn that is resumed after a restart knows its workspace alone.
            await self._installs.remember(workspace, _sealed(Installation(NONE, organisation=organisation)))

    async def keep(self, granted: Granted, use: str) -> None:
        """Durable on return. Raises ``StoreFailed``."""
        await self._installs.keep(granted.place, granted.person, _sealed(granted.installation), use)
        self.forget(granted.place)

    async def drop(self, place: str, use: str) -> bool:
        """Slack says that it took the token back. Where it takes it all the same, CarPool was installed anew meanwhile.

        Raises ``SlackError`` where Slack cannot be asked now, ``StoreFailed``.
        """
        found = await self._read(place)
        if found is not None and found.organisation:
            await self._installs.forget(place)
            self.forget(place)
            return True
        if found is None or (found.token and await self._oauth.is_good(found.token)):
            return False
        self.forget(place)
        return await self._installs.drop(place, use)

    def forget(self, place: str) -> None:
        self._seen.pop(place, None)

    async def _read(self, workspace: str) -> Installation | None:
        try:
            sealed = await self._installs.of(workspace)
        except NotOpened as error:
            log.error("the token of an installation does not open", extra={"cause": str(error)})
            return None
        return None if sealed is None else _unsealed(sealed)

    async def _renewed(self, workspace: str) -> Installation | None:
        """One at a time in this process; where another process was faster, what it got. Old and good beats none."""
        async with self._renewing[workspace]:
            found = await self._read(workspace)
            if found is None or not self._ends_soon(found):
                return found
            use = hashlib.sha256(found.refresh.reveal().encode()).hexdigest()[:32]
            await self._installs.begin("renew", use)
            try:
                renewed = await self._oauth.renew(found)
            except SlackError as error:
                log.warning("a token could not be renewed", extra={"cause": str(error)})
                again = await self._read(workspace)
                if again is not None and not self._ends_soon(again):
                    return again
                if found.ends_s > self._clock_s():
                    return found
                raise
            await self._installs.keep(workspace, "", _sealed(renewed), use)
            return renewed

    def _ends_soon(self, installation: Installation) -> bool:
        return bool(installation.ends_s) and installation.ends_s - self._clock_s() < RENEW_BEFORE_S


def for_tools(tokens: Tokens) -> PlaceToken:
    """What tools act with in a workspace: the token of CarPool's installation there, and no other's."""

    async def token(where: Where) -> str:
        if where.platform != "slack":
            return ""
        try:
            return (await tokens.of(where.workspace)).token.reveal()
        except PlatformError as error:
            if error.retry_after_s is None:
                raise NotConnected(
                    str(error), "CarPool is not installed in this workspace of Slack any more."
                ) from error
            raise Unavailable(str(error), "Slack cannot be reached at the moment.") from error

    return token


def scopes_granted(sealed: Secret) -> tuple[str, ...] | None:
    """Of what an installation was kept as; None where an organisation's token serves in its place."""
    found = _unsealed(sealed)
    return None if found.organisation else found.scopes


def _sealed(installation: Installation) -> Secret:
    """The token last, so that of what is shown masked its own last characters are seen."""
    facts = asdict(replace(installation, token=NONE, refresh=NONE))
    del facts["token"], facts["refresh"]
    return Secret(f"{json.dumps(facts)}\n{installation.refresh.reveal()}\n{installation.token.reveal()}")


def _unsealed(sealed: Secret) -> Installation:
    facts, refresh, token = sealed.reveal().split("\n")
    read = json.loads(facts)
    return Installation(
        Secret(token), read["bot"], tuple(read["scopes"]), Secret(refresh), read["ends_s"], read["organisation"]
    )


def _object(answer: dict[str, Any], name: str) -> dict[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, dict) else {}
