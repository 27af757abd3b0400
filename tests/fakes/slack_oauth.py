"""Slack's apps for the fake: what a token is good for, who installed what, and the app's own manifest.

Written by hand after docs.slack.dev ("oauth.v2.access", "auth.test", "Using token rotation", "apps.manifest.export").
"""

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CLIENT_ID, CLIENT_SECRET = "111.222", "c11e47-5ec7e7"
CONFIG_TOKEN = "xoxe.xoxp-1-config"
ROTATION_S = 43_200


@dataclass
class Grant:
    """An installation as Slack knows it. ``team`` is empty where it is of a whole organisation."""

    token: str
    team: str
    enterprise: str
    scopes: str
    bot: str
    person: str
    refresh: str = ""
    error: str = ""


@dataclass
class Apps:
    """``codes`` are what Slack's consent page would have given; each is good once. ``errors`` by token: what Slack answers it."""

    grants: dict[str, Grant] = field(default_factory=dict)
    codes: dict[str, Grant] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    scopes: str | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    exchanged: list[dict[str, str]] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    """Each call: the method, and the token that it came with."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def consent(
        self, team: str, scopes: str, *, enterprise: str = "", rotation: bool = False, person: str = "U0ADMIN"
    ) -> str:
        """Somebody agrees on Slack's page. Returns the code with which Slack sends them back."""
        number = next(self._numbers)
        refresh = f"xoxe-1-{number}" if rotation else ""
        token = f"xoxe.xoxb-{number}" if rotation else f"xoxb-{number}"
        code = f"code{number}"
        self.codes[code] = Grant(token, team, enterprise, scopes, "U0BOT", person, refresh)
        return code

    def revoke(self, token: str, error: str = "token_revoked") -> None:
        self.errors[token] = error

    async def answer(self, method: str, request: web.Request) -> web.Response | None:
        """None for what is another's to answer."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.used.append((method, token))
        if token in self.errors:
            return web.json_response({"ok": False, "error": self.errors[token]})
        match method:
            case "oauth.v2.access":
                return web.json_response(self._access(request, dict(await request.post())))
            case "auth.test" if token in self.grants:
                grant = self.grants[token]
                body = {"ok": True, "user_id": grant.bot, "team_id": grant.team or grant.enterprise, "bot_id": "B0BOT"}
                return web.json_response(body, headers={"x-oauth-scopes": grant.scopes})
            case "auth.test" if self.scopes is not None and token.startswith("xoxb-"):
                body = {"ok": True, "user_id": "U0BOT", "team_id": "T0TEAM", "team": "Team", "bot_id": "B0BOT"}
                return web.json_response(body, headers={"x-oauth-scopes": self.scopes})
            case "bots.info":
                return web.json_response({"ok": True, "bot": {"id": "B0BOT", "app_id": "A0CARPOOL"}})
            case "apps.manifest.export":
                if token != CONFIG_TOKEN:
                    return web.json_response({"ok": False, "error": "invalid_auth"})
                return web.json_response({"ok": True, "manifest": self.manifest})
        return None

    def _access(self, request: web.Request, fields: Mapping[str, Any]) -> dict[str, Any]:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or base64.b64decode(given).decode() != f"{CLIENT_ID}:{CLIENT_SECRET}":
            return {"ok": False, "error": "invalid_client_id"}
        self.exchanged.append({name: str(value) for name, value in fields.items()})
        if fields.get("grant_type") == "refresh_token":
            return self._renew(str(fields.get("refresh_token") or ""))
        grant = self.codes.pop(str(fields.get("code") or ""), None)
        if grant is None:
            return {"ok": False, "error": "invalid_code"}
        if not fields.get("redirect_uri"):
            return {"ok": False, "error": "bad_redirect_uri"}
        self.grants[grant.token] = grant
        return _granted(grant)

    def _renew(self, refresh: str) -> dict[str, Any]:
        grant = next((item for item in self.grants.values() if refresh and item.refresh == refresh), None)
        if grant is None:
            return {"ok": False, "error": "invalid_refresh_token"}
        number = next(self._numbers)
        renewed = Grant(
            f"xoxe.xoxb-{number}",
            grant.team,
            grant.enterprise,
            grant.scopes,
            grant.bot,
            grant.person,
            f"xoxe-1-{number}",
        )
        grant.refresh = ""
        self.grants[renewed.token] = renewed
        return _granted(renewed)


def _granted(grant: Grant) -> dict[str, Any]:
    body: dict[str, Any] = {
        "ok": True,
        "app_id": "A0CARPOOL",
        "authed_user": {"id": grant.person},
        "scope": grant.scopes,
        "token_type": "bot",
        "access_token": grant.token,
        "bot_user_id": grant.bot,
        "team": {"id": grant.team, "name": f"Team {grant.team}"} if grant.team else None,
        "enterprise": {"id": grant.enterprise, "name": "Org"} if grant.enterprise else None,
        "is_enterprise_install": not grant.team,
    }
    if grant.refresh:
        body |= {"refresh_token": grant.refresh, "expires_in": ROTATION_S}
    return json.loads(json.dumps(body))  # type: ignore[no-any-return]  # as it would come over the wire
