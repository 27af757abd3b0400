"""What a person reads in their browser who comes back from a service's page of consent."""

import html
import logging
from collections.abc import Mapping

from bot.consent import Consent, NotConsented
from bot.sentences import ENGLISH, Sentences
from ledger.errors import StoreFailed

log = logging.getLogger("carpool.consent")

PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
NOT_RECORDED = (
    "CarPool cannot record anything at the moment, so nothing was connected. Ask for a new link in a few minutes."
)
NOT_YOURS = (
    "If you did not ask CarPool for this yourself a moment ago, close this page and tell nobody the code: nothing is "
    "connected then."
)


async def come_back_page(
    consent: Consent, query: Mapping[str, str], redirect_url: str, say: Sentences = ENGLISH
) -> tuple[int, str]:
    """A status, and the page. A code is shown on it, and stands in no address, header or log."""
    try:
        came = await consent.come_back(query, redirect_url)
    except NotConsented as refused:
        return refused.status, _page(_paragraph(say.of(refused.told)), say)
    except StoreFailed as error:
        log.error("a consent could not be recorded", exc_info=error)
        return 503, _page(_paragraph(say(NOT_RECORDED)), say)
    almost = say("{0} is almost connected. Say this where you asked for the link:", came.service.shown)
    typed = f"<p><code>{html.escape(came.typed)}</code></p>"
    return 200, _page(f"{_paragraph(almost)}{typed}{_paragraph(say(NOT_YOURS))}", say)


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _page(body: str, say: Sentences) -> str:
    head = '<meta charset="utf-8"><title>CarPool</title><h1>CarPool</h1>'
    return f'<!doctype html><html lang="{html.escape(say.code)}">{head}{body}</html>'
