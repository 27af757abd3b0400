"""Agreeing at a service: the way to its page of consent, back, and to the chat in which it began (RFC 6749, 7636, RFC 9700).

The ``state`` of the way counts once and for ten minutes, and is bound to the person who set out and to their workspace,
without saying who that is. Nothing is kept meanwhile: the verifier of PKCE is an HMAC of the state. Whoever comes back gets a
short code to type in the chat, and what they agreed to is fetched when the one who set out types it. So nobody can agree for
another: somebody who follows another person's link reads a code that only that other person could use, and that is told so.
"""

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.messages import ProviderName
from bot.secret import Secret
from bot.vault import NotOpened, Vault
from integrations.oauth import Declined, DeviceCode, Grant, OAuthApp, unpadded
from integrations.sentence import Sentence
from integrations.services import Service
from ledger.actions import CommandRun
from ledger.entry import HOUSE, Draft, Scope
from ledger.pseudonyms import ActorId, WorkspaceId
from ledger.roadchain import RoadChain

log = logging.getLogger("carpool.consent")

CALLBACK_PATH = "/connect/callback"
STATE_AGE_S_MAX = 600
CODE_AGE_S_MAX = 300
STATE_CHARACTERS_MAX = 300
GRANT_CHARACTERS_MAX = 2_000
NONCE_BYTES = 16
CODE_LETTERS = 8
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE = re.compile(r"[0-9A-Za-z]{4}-?[0-9A-Za-z]{4}")
"""A code as it may be typed. No token of a service is so short."""

STALE = "This link is too old, was used before, or is not one of this CarPool. Ask for a new one in the chat."
DECLINED = "Nothing was connected: {0} says that it was declined."
NO_CODE = (
    "There is no such code for you: it is good once, for {0} minutes, and for whoever asked for the link. Begin again with "
    "`/connect {1}`."
)
LESS = "{0} did not grant all that is needed. Begin again with `/connect {1}`, and leave every box ticked."


class NotConsented(Exception):
    """``told`` is for the person: what happened, and what to do."""

    def __init__(self, status: int, english: str, *values: object) -> None:
        super().__init__(english)
        self.status = status
        self.told = Sentence(english, values)


@dataclass(frozen=True, slots=True)
class CameBack:
    """``typed`` is what the person has to say in the chat."""

    service: Service
    typed: str


@dataclass(frozen=True, slots=True)
class Agreed:
    grant: Grant
    everybody: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the person still has to do for a device flow."""

    user_code: str
    url: str


@dataclass(frozen=True, slots=True)
class _Pending:
    """Whose a consent under way is. Fits ``bot.vault.Owner``. ``bound`` tells nobody who that is."""

    bound: str
    way: str = "code"

    @property
    def text(self) -> str:
        return f"pending/{self.way}/{self.bound}"


@dataclass(frozen=True, slots=True)
class _State:
    service: str
    everybody: bool
    ends_s: int
    bound: str


class Consent:
    """``key`` is secret and the same in each process of this CarPool."""

    def __init__(
        self,
        key: bytes,
        vault: Vault,
        roadchain: RoadChain,
        services: Mapping[str, Service],
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._key = _state_key(key)
        self._vault = vault
        self._roadchain = roadchain
        self._services = services
        self._clock_s = clock_s

    def __repr__(self) -> str:
        return "Consent(key=…)"

    def set_out(
        self, service: str, workspace: WorkspaceId, actor: ActorId, redirect_url: str, *, everybody: bool
    ) -> str:
        """The address of the service's page of consent."""
        ends_s, nonce = int(self._clock_s()) + STATE_AGE_S_MAX, secrets.token_hex(NONCE_BYTES)
        begun = f"{service}.{'w' if everybody else 'm'}.{ends_s}.{nonce}.{self.bound(workspace, actor)}"
        state = f"{begun}.{self._mac('state', begun)}"
        return self._oauth(service).consent_url(redirect_url, state, self._verifier(state))

    async def come_back(self, query: Mapping[str, str], redirect_url: str) -> CameBack:
        """Whoever was sent back by the service. Nothing is fetched yet. Raises ``NotConsented``, ``StoreFailed``."""
        text = query.get("state", "")
        state = self._read(text)
        if state is None or state.ends_s < self._clock_s():
            raise NotConsented(400, STALE)
        if not await self._first("callback", text, HOUSE):
            raise NotConsented(400, STALE)
        service = self._services[state.service]
        granted = query.get("code", "")
        if query.get("error") or not 0 < len(granted) <= GRANT_CHARACTERS_MAX or not granted.isprintable():
            raise NotConsented(400, DECLINED, service.shown)
        code = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LETTERS))
        facts = [text, redirect_url, self._mac("code", code), int(self._clock_s()) + CODE_AGE_S_MAX]
        kept = Secret(f"{json.dumps(facts)}\n{granted}")
        await self._vault.keep(_Pending(state.bound), ProviderName(state.service), kept)
        return CameBack(service, f"/connect {state.service} {code[:4]}-{code[4:]}")

    async def finish(self, service: str, scope: Scope, typed: str, *, may_for_everybody: bool) -> Agreed:
        """Fetch what was agreed to. Good once. Raises ``NotConsented``, ``ToolError``, ``StoreFailed``."""
        no_code = NotConsented(400, NO_CODE, CODE_AGE_S_MAX // 60, service)
        pending = _Pending(self.bound(scope.workspace, scope.actor))
        kept = await self._held(pending, service)
        if kept is None:
            raise no_code
        facts, _, granted = kept.reveal().partition("\n")
        text, redirect_url, digest, ends_s = json.loads(facts)
        state = self._read(text)
        right = hmac.compare_digest(digest, self._mac("code", _as_shown(typed)))
        if not right or ends_s < self._clock_s() or state is None or state.bound != pending.bound:
            raise no_code
        if state.everybody and not may_for_everybody:
            raise NotConsented(403, "Only an admin of this workspace can connect a service for everybody in it.")
        if not await self._vault.drop(pending, ProviderName(service)) or not await self._first("exchange", text, scope):
            raise no_code
        oauth = self._oauth(service)
        try:
            grant = await oauth.exchange(granted, redirect_url, self._verifier(text))
        except Declined as error:
            log.warning("a consent was not granted", extra={"cause": str(error)})
            raise NotConsented(502, "{0} Begin again with `/connect {1}`.", error.told, service) from error
        if not set(oauth.scopes) <= set(grant.scopes):
            await oauth.revoke(grant.refresh or grant.token)
            raise NotConsented(400, LESS, self._services[service].shown, service)
        return Agreed(grant, state.everybody)

    async def by_device(self, service: str, scope: Scope) -> Grant | Waiting:
        """Where the person's own machine asks: what they have to do, or what they agreed to meanwhile. Raises ``ToolError``,
        ``StoreFailed``."""
        oauth, pending = self._oauth(service), _Pending(self.bound(scope.workspace, scope.actor), "device")
        kept = await self._held(pending, service)
        if kept is not None:
            facts, _, device = kept.reveal().partition("\n")
            user_code, url, ends_s = json.loads(facts)
            try:
                if ends_s > self._clock_s():
                    grant = await oauth.device_grant(device)
                    if grant is None:
                        return Waiting(user_code, url)
                    await self._vault.drop(pending, ProviderName(service))
                    return grant
            except Declined as error:
                log.warning("a device was not granted", extra={"cause": str(error)})
        begun: DeviceCode = await oauth.begin_device()
        facts = json.dumps([begun.user_code, begun.url, int(self._clock_s()) + begun.lasts_s])
        await self._vault.keep(pending, ProviderName(service), Secret(f"{facts}\n{begun.code}"))
        return Waiting(begun.user_code, begun.url)

    def bound(self, workspace: WorkspaceId, actor: ActorId) -> str:
        """The asker, as the state names them: nobody without the key can tell who that is."""
        return _bound(self._key, workspace, actor)

    def _read(self, text: str) -> _State | None:
        """What a state says, where it is one of ours; however old."""
        begun, _, mac = text.rpartition(".")
        if not (text.isascii() and len(text) <= STATE_CHARACTERS_MAX):
            return None
        if not hmac.compare_digest(mac, self._mac("state", begun)):
            return None
        service, whose, ends_s, _, bound = begun.split(".")
        known = self._services.get(service)
        return None if known is None or known.oauth is None else _State(service, whose == "w", int(ends_s), bound)

    async def _first(self, step: str, state: str, scope: Scope) -> bool:
        """Record that a state is used for this. False where it was before, by whatever process."""
        use = hashlib.sha256(state.encode()).hexdigest()[:32]
        (receipt,) = await self._roadchain.append(Draft(CommandRun("connect"), scope, f"connect/{step}/{use}"))
        return receipt.fresh

    async def _held(self, pending: _Pending, service: str) -> Secret | None:
        for sealed in await self._vault.sealed(pending):
            if sealed.name == service:
                try:
                    return self._vault.opened(sealed)
                except NotOpened as error:
                    log.warning("a consent under way does not open", extra={"cause": str(error)})
        return None

    def _oauth(self, service: str) -> OAuthApp:
        oauth = self._services[service].oauth
        if oauth is None:
            raise AssertionError(f"nobody can agree at {service}")
        return oauth

    def _verifier(self, state: str) -> str:
        return unpadded(hmac.digest(self._key, f"verifier/{state}".encode(), hashlib.sha256))

    def _mac(self, what: str, text: str) -> str:
        return _mac(self._key, what, text)


def pending_owners(key: bytes, workspace: WorkspaceId, actor: ActorId) -> tuple[str, ...]:
    """Under which owners of the vault a person's consents under way are. ``key`` is that of ``Consent``."""
    bound = _bound(_state_key(key), workspace, actor)
    return _Pending(bound).text, _Pending(bound, "device").text


def _state_key(key: bytes) -> bytes:
    return hmac.digest(key, b"carpool connect state", hashlib.sha256)


def _bound(key: bytes, workspace: WorkspaceId, actor: ActorId) -> str:
    return _mac(key, "asker", f"{workspace}/{actor}")[:32]


def _mac(key: bytes, what: str, text: str) -> str:
    return hmac.digest(key, f"{what}/{text}".encode(errors="surrogatepass"), hashlib.sha256).hex()


def _as_shown(typed: str) -> str:
    """A code as it was shown: people write small letters, leave the line out, and take 0 for O and 1 for I or L."""
    return typed.upper().replace("-", "").translate(str.maketrans("OIL", "011"))
