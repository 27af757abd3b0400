"""An authorization server on loopback that is strict where the emulator is not: RFC 6749, 7636, 7009 and 8628, written by hand.

A code is good once, for ten minutes, for the client and the redirect address that it was given for, and never without the
verifier; one that comes a second time takes back what came of it (RFC 6749, 4.1.2). Revoking a refresh token ends its access
tokens (RFC 7009, 2.1). With ``rotates`` a refresh token is good once. The account of a token is told at ``/me``.
"""

import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from integrations.oauth import OAuthApp
from tests.fakes.serving import serving

CLIENT_ID, CLIENT_SECRET = "client-1", "client-secret-1"
CODE_S = 600


@dataclass
class Consented:
    account: str
    redirect: str
    challenge: str
    scope: str
    at_s: float
    tokens: list[str] = field(default_factory=list)
    used: bool = False


@dataclass
class Device:
    account: str = ""
    denied: bool = False


@dataclass
class OAuthServer:
    """``tokens`` and ``refreshes`` are those that are good, each with its account. ``fails`` is the status of every answer."""

    url: str = ""
    now_s: float = 1_000_000.0
    lasts_s: int = 3_600
    rotates: bool = False
    fails: int = 0
    codes: dict[str, Consented] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def app(self, *, device: bool = False, revocation: str = "rfc7009") -> OAuthApp:
        return OAuthApp(
            "Mail",
            CLIENT_ID,
            CLIENT_SECRET,
            ("mail.modify",),
            f"{self.url}/authorize",
            f"{self.url}/token",
            f"{self.url}/applications/{CLIENT_ID}/token" if revocation == "github" else f"{self.url}/revoke",
            "github" if revocation == "github" else "rfc7009",
            f"{self.url}/device" if device else "",
            loopback=True,
            timeout_s=2.0,
        )

    def consent(self, query: Mapping[str, str], account: str) -> str:
        """Somebody agrees on the page that ``query`` leads to. Returns the code with which they are sent back."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert query["state"]
        code = f"code-{next(self.numbers)}"
        self.codes[code] = Consented(
            account, query["redirect_uri"], query["code_challenge"], query["scope"], self.now_s
        )
        return code

    def grant(self, account: str, scope: str = "mail.modify") -> dict[str, Any]:
        number = next(self.numbers)
        token, refresh = f"access-token-{number:05}-{account}", f"refresh-{number}-{account}"
        self.tokens[token] = account, self.now_s + self.lasts_s
        self.refreshes[refresh] = account
        return {
            "access_token": token,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lasts_s,
            "scope": scope,
        }

    def account(self, token: str) -> str:
        found, ends_s = self.tokens.get(token, ("", 0.0))
        return found if ends_s > self.now_s else ""

    async def answer(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.path, form))
        if self.fails:
            return web.json_response({"error": "temporarily_unavailable"}, status=self.fails)
        match request.method, request.path:
            case "GET", "/me":
                account = self.account(request.headers.get("Authorization", "").removeprefix("Bearer "))
                return web.json_response({"login": account}) if account else _refused("invalid_token", 401)
            case "POST", "/token":
                return self._token(form)
            case "POST", "/revoke":
                return self._revoke(form.get("token", ""))
            case "POST", "/device" if form.get("client_id") == CLIENT_ID:
                return self._device()
            case "DELETE", _ if request.path == f"/applications/{CLIENT_ID}/token":
                named = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
                if request.headers.get("Authorization") != f"Basic {named}":
                    return _refused("Requires authentication", 401)
                token = (await request.json())["access_token"]
                self.revoked.append(token)
                return web.Response(status=204 if self.tokens.pop(token, None) else 404)
        return _refused("invalid_request", 404)

    def _token(self, form: dict[str, str]) -> web.Response:
        if form.get("client_id") != CLIENT_ID:
            return _refused("invalid_client", 401)
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code":
            return self._of_device(form.get("device_code", ""))
        if form.get("client_secret") != CLIENT_SECRET:
            return _refused("invalid_client", 401)
        if form.get("grant_type") == "refresh_token":
            return self._renew(form.get("refresh_token", ""))
        if form.get("grant_type") != "authorization_code":
            return _refused("unsupported_grant_type")
        consented = self.codes.get(form.get("code", ""))
        if consented is None or self.now_s - consented.at_s > CODE_S:
            return _refused("invalid_grant")
        if consented.used:
            for token in consented.tokens:
                self.tokens.pop(token, None)
                self.refreshes.pop(token, None)
            return _refused("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != consented.challenge:
            return _refused("invalid_grant")
        if form.get("redirect_uri") != consented.redirect or not 43 <= len(form["code_verifier"]) <= 128:
            return _refused("invalid_grant")
        consented.used = True
        body = self.grant(consented.account, consented.scope)
        consented.tokens += [body["access_token"], body["refresh_token"]]
        return web.json_response(body)

    def _renew(self, refresh: str) -> web.Response:
        account = self.refreshes.get(refresh)
        if account is None:
            return _refused("invalid_grant")
        body = self.grant(account)
        if self.rotates:
            del self.refreshes[refresh]
        else:
            del self.refreshes[body.pop("refresh_token")]
        return web.json_response(body)

    def _revoke(self, token: str) -> web.Response:
        self.revoked.append(token)
        account = self.refreshes.pop(token, None) or self.tokens.pop(token, ("", 0.0))[0]
        if not account:
            return _refused("invalid_token")
        self.tokens = {name: held for name, held in self.tokens.items() if held[0] != account}
        return web.json_response({})

    def _device(self) -> web.Response:
        number = next(self.numbers)
        self.devices[f"device-{number}"] = Device()
        return web.json_response(
            {
                "device_code": f"device-{number}",
                "user_code": f"WDJB-{number:04}",
                "verification_uri": f"{self.url}/login/device",
                "expires_in": 900,
                "interval": 5,
            }
        )

    def _of_device(self, code: str) -> web.Response:
        """As GitHub does it: with 200, whatever it says."""
        device = self.devices.get(code)
        if device is None:
            return _refused("incorrect_device_code", 200)
        if device.denied:
            return _refused("access_denied", 200)
        if not device.account:
            return _refused("authorization_pending", 200)
        del self.devices[code]
        body = self.grant(device.account)
        return web.json_response({"access_token": body["access_token"], "token_type": "bearer", "scope": ""})


def _refused(error: str, status: int = 400) -> web.Response:
    return web.json_response({"error": error}, status=status)


@asynccontextmanager
async def running_oauth_server() -> AsyncIterator[OAuthServer]:
    server = OAuthServer()
    async with serving(server.answer) as server.url:
        yield server
