"""OAuth 2.0 as a client: RFC 6749 with PKCE (RFC 7636, S256 alone), revocation (RFC 7009) and the device flow (RFC 8628).

Nothing is kept here, and nothing is tried twice: a code and a refresh token may be good only once. Raises ``ToolError``.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

from adapters.messages import JsonObject
from integrations.tools.base import RefusedCredentials
from integrations.tools.rest import Answer, Rest

TOKEN_CHARACTERS_MAX = 4_096
LASTS_S_MAX = 10 * 365 * 86_400
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_S_MAX = 900

Revocation = Literal["rfc7009", "github"]


class Declined(RefusedCredentials):
    """The service gives nothing for this code or refresh token: it was used, has run out, or was taken back."""


@dataclass(frozen=True, slots=True)
class Grant:
    """``lasts_s`` is 0 where the token does not end. ``refresh`` is empty where there is none, or the one before stays good."""

    token: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    lasts_s: int = 0
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """``user_code`` is typed by a person at ``url``; ``code`` is what the grant is asked for with."""

    code: str = field(repr=False)
    user_code: str
    url: str
    lasts_s: int


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """This CarPool as a service knows it. ``more`` are parameters of the authorization request that the service has of its
    own."""

    service: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    authorize_url: str
    token_url: str
    revoke_url: str
    revocation: Revocation = "rfc7009"
    device_url: str = ""
    loopback: bool = False
    """Whether the service leads back to a port of the person's own machine (RFC 8252, 7.3)."""
    more: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 15.0

    def consent_url(self, redirect_url: str, state: str, verifier: str) -> str:
        """Where a person agrees. ``verifier`` itself does not stand in it (RFC 7636, 4.2)."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_url,
            "scope": " ".join(self.scopes),
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            **self.more,
        }
        return f"{self.authorize_url}?{urlencode(query)}"

    async def exchange(self, code: str, redirect_url: str, verifier: str) -> Grant:
        return await self._grant(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_url,
                "code_verifier": verifier,
            }
        )

    async def renew(self, refresh: str) -> Grant:
        """Raises ``Declined`` where the connection is over."""
        return await self._grant({"grant_type": "refresh_token", "refresh_token": refresh})

    async def revoke(self, token: str) -> None:
        """Of RFC 7009 the refresh token, with which the service drops all that came of it. One that is known no more is no
        error."""
        rest = Rest(self.service, self.revoke_url, self.timeout_s)
        if self.revocation == "github":
            named = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
            answer = await rest.call("DELETE", "", {"Authorization": f"Basic {named}"}, body={"access_token": token})
            gone = answer.status in (204, 404, 422)
        else:
            answer = await _posted(rest, {"token": token})
            gone = answer.status == 200 or answer.body.get("error") == "invalid_token"
        if not gone:
            raise rest.refusal(answer)

    async def begin_device(self) -> DeviceCode:
        rest = Rest(self.service, self.device_url, self.timeout_s)
        answer = await _posted(rest, {"client_id": self.client_id, "scope": " ".join(self.scopes)})
        if answer.status != 200:
            raise rest.refusal(answer)
        body = answer.body
        lasts_s = min(_whole(body, "expires_in") or DEVICE_S_MAX, DEVICE_S_MAX)
        found = DeviceCode(
            _text(rest, body, "device_code"),
            _text(rest, body, "user_code"),
            _text(rest, body, "verification_uri"),
            lasts_s,
        )
        if not found.url.startswith(("https://", "http://127.0.0.1")):
            raise rest.unexpected("a verification address without TLS")
        return found

    async def device_grant(self, code: str) -> Grant | None:
        """None where the person has not agreed yet. Raises ``Declined``."""
        rest = Rest(self.service, self.token_url, self.timeout_s)
        answer = await _posted(rest, {"grant_type": DEVICE_GRANT, "client_id": self.client_id, "device_code": code})
        if answer.body.get("error") in ("authorization_pending", "slow_down"):
            return None
        return self._read(rest, answer)

    async def _grant(self, form: Mapping[str, str]) -> Grant:
        rest = Rest(self.service, self.token_url, self.timeout_s)
        answer = await _posted(rest, {**form, "client_id": self.client_id, "client_secret": self.client_secret})
        return self._read(rest, answer)

    def _read(self, rest: Rest, answer: Answer) -> Grant:
        """GitHub says with 200 what others say with 400."""
        error = answer.body.get("error")
        if answer.status in (200, 400, 401) and isinstance(error, str):
            kind = error[:60] if error.isascii() and error.isprintable() else "?"
            raise Declined(f"{self.service}: {kind}", "{0} did not grant it.", self.service)
        if answer.status != 200:
            raise rest.refusal(answer)
        body = answer.body
        if str(body.get("token_type") or "bearer").casefold() != "bearer":
            raise rest.unexpected("a token of another type")
        granted = body.get("scope")
        scopes = tuple(granted.replace(",", " ").split()) if isinstance(granted, str) and granted else self.scopes
        return Grant(
            _text(rest, body, "access_token"),
            _text(rest, body, "refresh_token") if body.get("refresh_token") else "",
            _whole(body, "expires_in"),
            scopes,
        )


def challenge(verifier: str) -> str:
    """
    >>> challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")  # RFC 7636, appendix B
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return unpadded(hashlib.sha256(verifier.encode()).digest())


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def _posted(rest: Rest, form: Mapping[str, str]) -> Answer:
    return await rest.call("POST", "", {}, form=form)


def _text(rest: Rest, body: JsonObject, name: str) -> str:
    found = body.get(name)
    usable = isinstance(found, str) and 0 < len(found) <= TOKEN_CHARACTERS_MAX
    if not (isinstance(found, str) and usable and found.isascii() and found.isprintable() and " " not in found):
        raise rest.unexpected(f"no usable {name}")
    return found


def _whole(body: JsonObject, name: str) -> int:
    """0 where there is none, or none that is usable. Some services write it as text."""
    found = body.get(name)
    if isinstance(found, str) and found.isdigit() and len(found) < 12:
        found = int(found)
    return min(found, LASTS_S_MAX) if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0
