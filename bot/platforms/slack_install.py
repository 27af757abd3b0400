"""Installing CarPool in a workspace of Slack, or in all of an organisation: the way to Slack's page, and back.

The way back counts once, for ten minutes, and in the browser that set out (RFC 6749, 10.12; docs.slack.dev, "Installing with
OAuth"): the ``state`` is signed, bound to a cookie, and its use is an entry of the ledger.
"""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from bot.installs import Installs
from bot.platforms.slack_errors import SlackError
from bot.platforms.slack_needs import REDIRECT_PATH, scopes_needed
from bot.platforms.slack_tokens import InstalledTokens, SlackOAuth
from integrations.sentence import Sentence

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

log = logging.getLogger("carpool.slack")

STATE_AGE_S_MAX = 600
NONCE_BYTES = 24
STATE_CHARACTERS_MAX = 200

OTHER_BROWSER = "This is not the browser in which the installation began, or it is too long ago. Begin again."
USED = "This installation was finished before. If CarPool does not answer, begin again."
DECLINED = "Nothing was installed: Slack says that it was declined."
NOT_GRANTED = "Slack did not grant it. Begin again."
NOT_NOW = "Slack cannot be reached at the moment. Begin again in a few minutes."


class NotInstalled(Exception):
    """``told`` is for the person: what happened, and what to do."""

    def __init__(self, status: int, english: str) -> None:
        super().__init__(english)
        self.status = status
        self.told = Sentence(english)


@dataclass(frozen=True, slots=True)
class Setout:
    """``url`` is Slack's page; ``cookie`` has to come back with whom Slack sends back."""

    url: str
    cookie: str


class Installer:
    def __init__(
        self,
        oauth: SlackOAuth,
        installs: Installs,
        tokens: InstalledTokens,
        public_url: str,
        clock_s: Callable[[], float] = time.time,
        *,
        tools: bool = False,
    ) -> None:
        self._oauth = oauth
        self._installs = installs
        self._tokens = tokens
        self._redirect_url = f"{public_url}{REDIRECT_PATH}"
        self._clock_s = clock_s
        self._scopes = [scope.name for scope in scopes_needed(tools=tools)]
        # Each process has it, and nobody outside.
        self._key = hmac.digest(oauth.client_secret.reveal().encode(), b"carpool slack install state", hashlib.sha256)

    def set_out(self) -> Setout:
        from slack_sdk.oauth import AuthorizeUrlGenerator

        cookie = secrets.token_urlsafe(NONCE_BYTES)
        generator = AuthorizeUrlGenerator(
            client_id=self._oauth.client_id,
            redirect_uri=self._redirect_url,
            scopes=self._scopes,
            authorization_url=urljoin(self._oauth.api_url, "../oauth/v2/authorize"),
        )
        begun = f"{int(self._clock_s())}.{secrets.token_urlsafe(NONCE_BYTES)}"
        return Setout(generator.generate(f"{begun}.{self._sign(begun, cookie)}"), cookie)

    async def come_back(self, query: Mapping[str, str], cookie: str) -> str:
        """Finish it; durable on return. Returns the name of the workspace. Raises ``NotInstalled``, ``StoreFailed``."""
        state = query.get("state", "")
        self._check(state, cookie)
        use = hashlib.sha256(state.encode()).hexdigest()[:32]
        if not await self._installs.begin("install", use):
            raise NotInstalled(400, USED)
        if query.get("error") or not query.get("code"):
            raise NotInstalled(400, DECLINED)
        try:
            granted = await self._oauth.exchange(query["code"], self._redirect_url)
        except SlackError as error:
            log.warning("an installation was not granted", extra={"cause": str(error)})
            raise NotInstalled(502, NOT_GRANTED if error.retry_after_s is None else NOT_NOW) from error
        if not (granted.place and granted.installation.token):
            raise NotInstalled(502, NOT_GRANTED)
        await self._tokens.keep(granted, use)
        return granted.name

    def _check(self, state: str, cookie: str) -> None:
        begun, _, signature = state.rpartition(".")
        begun_s, _, _ = begun.partition(".")
        if not (cookie and state.isascii() and len(state) <= STATE_CHARACTERS_MAX and begun_s.isdigit()):
            raise NotInstalled(400, OTHER_BROWSER)
        genuine = hmac.compare_digest(signature, self._sign(begun, cookie))
        if not genuine or not -1 <= self._clock_s() - int(begun_s) <= STATE_AGE_S_MAX:
            raise NotInstalled(400, OTHER_BROWSER)

    def _sign(self, begun: str, cookie: str) -> str:
        bound = hashlib.sha256(cookie.encode(errors="surrogatepass")).hexdigest()
        return hmac.digest(self._key, f"{begun}.{bound}".encode(), hashlib.sha256).hex()

    def register(self, app: "AsyncApp") -> None:
        """The events by which Slack says that a token is good for nothing any more."""

        async def on_uninstalled(body: dict[str, Any]) -> None:
            await self._dropped(body)

        async def on_revoked(body: dict[str, Any], event: dict[str, Any]) -> None:
            tokens = event.get("tokens")
            # People's own tokens are none of ours: none is asked for.
            if isinstance(tokens, dict) and tokens.get("bot"):
                await self._dropped(body)

        async def on_access_revoked(body: dict[str, Any], event: dict[str, Any]) -> None:
            for team in event.get("team_ids") or ():
                await self._tokens.drop(str(team), f"{body.get('event_id')}")

        app.event("app_uninstalled")(on_uninstalled)
        app.event("tokens_revoked")(on_revoked)
        app.event("team_access_revoked")(on_access_revoked)

    async def _dropped(self, body: Mapping[str, Any]) -> None:
        """Of the workspace, or of the whole organisation where that had installed it: whichever Slack takes no more."""
        event = str(body.get("event_id") or "")
        for place in dict.fromkeys((body.get("team_id"), body.get("enterprise_id"))):
            if isinstance(place, str) and place:
                await self._tokens.drop(place, event)
