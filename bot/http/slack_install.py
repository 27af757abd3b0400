"""The pages of an installation in Slack: ``/slack/install`` leads to Slack's own, ``/slack/oauth_redirect`` is the way back."""

import html
import logging
from typing import TYPE_CHECKING

from bot.http.answers import NOT_KEPT
from bot.platforms.slack_install import STATE_AGE_S_MAX, Installer, NotInstalled
from bot.platforms.slack_needs import INSTALL_PATH, REDIRECT_PATH
from bot.sentences import ENGLISH, Sentences
from ledger.errors import StoreFailed

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

log = logging.getLogger("carpool.http")

COOKIE = "__Host-carpool-install"
"""Browsers take a cookie of such a name over TLS only, and from this very host."""

NOT_RECORDED = "CarPool cannot record anything at the moment, so nothing was installed. Begin again in a few minutes."
HEADERS = {
    "Cache-Control": NOT_KEPT,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def install_routes(installer: Installer, say: Sentences = ENGLISH) -> "list[Route]":
    from starlette.responses import HTMLResponse, RedirectResponse
    from starlette.routing import Route

    async def install(request: "Request") -> "Response":
        setout = installer.set_out()
        answer = RedirectResponse(setout.url, 303, HEADERS)
        # Lax: it has to come along when Slack sends the person back.
        answer.set_cookie(COOKIE, setout.cookie, STATE_AGE_S_MAX, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    async def come_back(request: "Request") -> "Response":
        try:
            name = await installer.come_back(dict(request.query_params), request.cookies.get(COOKIE, ""))
            status = 200
            sentence = (
                say("CarPool is installed in {0}. You can close this page.", name)
                if name
                else say("CarPool is installed in your workspace. You can close this page.")
            )
        except NotInstalled as refused:
            status, sentence = refused.status, say.of(refused.told)
        except StoreFailed as error:
            log.error("an installation could not be recorded", exc_info=error)
            status, sentence = 503, say(NOT_RECORDED)
        answer = HTMLResponse(_page(sentence, say, again=status != 200), status, HEADERS)
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    return [Route(INSTALL_PATH, install, methods=["GET"]), Route(REDIRECT_PATH, come_back, methods=["GET"])]


def _page(sentence: str, say: Sentences, *, again: bool) -> str:
    link = f'<p><a href="{INSTALL_PATH}">{html.escape(say("Begin again"))}</a></p>' if again else ""
    return (
        f'<!doctype html><html lang="{html.escape(say.code)}"><meta charset="utf-8"><title>CarPool</title>'
        f"<h1>CarPool</h1><p>{html.escape(sentence)}</p>{link}</html>"
    )
