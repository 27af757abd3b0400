"""The way in for Stripe's events, and the page that Checkout leads back to.

A delivery is answered 200 once it is on the ledger, and 400 where it is not Stripe's: Stripe sends what was not taken again for
days. The page asks Stripe what became of the payment, so that credit is there even where the event is late.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.http.answers import NOT_KEPT, NotTaken, read_body
from bot.sentences import ENGLISH, Sentences
from integrations.payments.base import ObjectRef, PaymentError, PaymentUnknown, RefusedReason, WebhookRefused
from ledger.errors import LedgerError, StoreFailed

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

WEBHOOK_PATH = "/stripe/webhook"
RETURN_PATH = "/stripe/return"
_SESSION = re.compile(r"cs_[A-Za-z0-9_]{1,200}")


@dataclass(frozen=True, slots=True)
class PaymentsDoor:
    """``receive`` takes a delivery and its signature, ``refuse`` puts one on record that was not even read, ``come_back`` records
    what the object of a page comes to that somebody came back from."""

    receive: Callable[[bytes, str], Awaitable[None]]
    refuse: Callable[[RefusedReason], Awaitable[None]]
    come_back: Callable[[ObjectRef], Awaitable[str]]
    say: Sentences = ENGLISH

    def routes(self, body_bytes_max: int) -> "list[Route]":
        from starlette.responses import JSONResponse, PlainTextResponse
        from starlette.routing import Route

        async def webhook(request: "Request") -> "Response":
            try:
                body = await read_body(request, body_bytes_max)
            except NotTaken:
                with suppress(StoreFailed):
                    await self.refuse("size")
                raise
            try:
                await self.receive(body, request.headers.get("stripe-signature", ""))
            except WebhookRefused as error:
                sentence = f"Not taken: {error}."
                raise NotTaken(404 if error.reason == "off" else 400, sentence) from error
            except StoreFailed as error:
                raise NotTaken(503, "Nothing can be recorded just now. Send it again.") from error
            return JSONResponse({"received": True})

        async def come_back(request: "Request") -> "Response":
            session = request.query_params.get("session_id", "")
            if not _SESSION.fullmatch(session):
                raise NotTaken(400, self.say("session_id is missing, or is not one of a Checkout session."))
            try:
                outcome = await self.come_back(ObjectRef("checkout.session", session))
            except PaymentUnknown as error:
                raise NotTaken(404, self.say("There is no such payment.")) from error
            except (PaymentError, LedgerError, StoreFailed):
                outcome = "waiting"
            said = self.say(_SAID.get(outcome, _SAID["waiting"]))
            return PlainTextResponse(said, headers={"Cache-Control": NOT_KEPT})

        return [
            Route(WEBHOOK_PATH, webhook, methods=["POST"]),
            Route(RETURN_PATH, come_back, methods=["GET"]),
        ]


_SAID = {
    "recorded": "Thank you: the credit is there. You can close this page and go back to the chat.",
    "waiting": "Thank you: the credit comes as soon as the payment has. You can close this page and go back to the chat.",
    "failed": "The payment did not go through, and nothing was charged. Ask for a new link in the chat.",
    "expired": "This link has expired, and nothing was charged. Ask for a new one in the chat.",
    "unmatched": "The payment has come, and does not fit what was asked for: somebody will look at it.",
}
