"""The way back from a service's page of consent, for people who asked in Slack or Discord."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.consent import CALLBACK_PATH, Consent
from bot.consent_page import PAGE_HEADERS, come_back_page
from bot.sentences import ENGLISH, Sentences

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class ConnectDoor:
    """``redirect_url`` is the address of the way back, as browsers reach it."""

    consent: Consent
    redirect_url: str
    say: Sentences = ENGLISH

    def routes(self) -> "list[Route]":
        from starlette.responses import HTMLResponse
        from starlette.routing import Route

        async def come_back(request: "Request") -> "Response":
            status, page = await come_back_page(self.consent, dict(request.query_params), self.redirect_url, self.say)
            return HTMLResponse(page, status, PAGE_HEADERS)

        return [Route(CALLBACK_PATH, come_back, methods=["GET"])]
