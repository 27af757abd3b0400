"""The way in over HTTP: Slack's events and commands, Stripe's events, the ledger to be read, and the health of the process.

Each request that is not taken gets a status and a sentence, as JSON. A signature is checked before anything is parsed.
"""

import asyncio
import hmac
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from bot.http.answers import NOT_KEPT, NotTaken, read_body
from bot.http.connect import ConnectDoor
from bot.http.explorer import Explorer
from bot.http.payments import PaymentsDoor
from bot.http.slack_install import install_routes
from bot.platforms.slack_install import Installer
from bot.sentences import ENGLISH, Sentences
from ledger.roadchain import RoadChain

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.response import BoltResponse
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger("carpool.http")

Health: TypeAlias = Literal["ok", "read-only", "failed"]
"""``read-only``: the ledger was found changed, and nothing is recorded. ``failed``: nothing can be, and the process ends."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
SIGNATURE_AGE_S_MAX = 300
STAMP_DIGITS_MAX = 12
BACKLOG = 512


def health_of(roadchain: RoadChain) -> Health:
    failure = roadchain.failure
    if failure is None:
        return "ok"
    return "read-only" if failure.reason == "changed" else "failed"


def web_app(
    slack: "AsyncApp | None",
    signing_secret: str,
    body_bytes_max: int,
    healthy: Callable[[], Health],
    explorer: Explorer | None = None,
    clock_s: Callable[[], float] = time.time,
    payments: PaymentsDoor | None = None,
    installer: Installer | None = None,
    connect: ConnectDoor | None = None,
    say: Sentences = ENGLISH,
) -> "Starlette":
    """``slack``, ``explorer``, ``payments``, ``installer`` and ``connect`` None leave their ways out.

    A process that only reads is left alone by whoever asks for its health: a start would change nothing, and people are told
    why they get no answer. ``clock_s`` tells the age of signatures, in seconds since 1970. ``say`` is for the pages that people
    read: machines are refused in English.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def health(request: "Request") -> "Response":
        status = healthy()
        return JSONResponse({"status": status}, 503 if status == "failed" else 200)

    async def not_taken(request: "Request", error: Exception) -> "Response":
        if isinstance(error, NotTaken):
            return JSONResponse({"error": error.sentence}, error.status, {"Cache-Control": NOT_KEPT})
        if isinstance(error, HTTPException):
            headers = {**(error.headers or {}), "Cache-Control": NOT_KEPT}
            return JSONResponse({"error": _of_route(error)}, error.status_code, headers)
        log.error("a request failed", exc_info=error)
        return JSONResponse({"error": "Something went wrong here. Send it again."}, 500)

    routes = [Route("/health", health, methods=["GET"])]
    if slack is not None:
        routes.append(Route("/slack/events", _slack(slack, signing_secret, body_bytes_max, clock_s), methods=["POST"]))
    if explorer is not None:
        routes += explorer.routes()
    if payments is not None:
        routes += payments.routes(body_bytes_max)
    if installer is not None:
        routes += install_routes(installer, say)
    if connect is not None:
        routes += connect.routes()
    return Starlette(routes=routes, exception_handlers={NotTaken: not_taken, HTTPException: not_taken, 500: not_taken})


def _slack(
    app: "AsyncApp", signing_secret: str, body_bytes_max: int, clock_s: Callable[[], float]
) -> "Callable[[Request], Awaitable[Response]]":
    from slack_bolt.request.async_request import AsyncBoltRequest

    secret = signing_secret.encode()

    async def events(request: "Request") -> "Response":
        kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if kind not in (JSON, FORM):
            raise NotTaken(415, f"The content type has to be {JSON} or {FORM}.")
        body = await read_body(request, body_bytes_max)
        _check_signature(secret, request, body, clock_s())
        text = _parse(body, kind)
        headers: dict[str, str | Sequence[str]] = {
            name: value for name, value in request.headers.items() if name.startswith(("x-slack-", "content-"))
        }
        other = NotTaken(400, "The body is not one that Slack sends: a field of it is of another kind.")
        try:
            # It reads who, where and what off the body, and takes for granted that each is what Slack makes it.
            asked = AsyncBoltRequest(body=text, headers=headers)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise other from error
        event = asked.body.get("event", {"type": ""})
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise other
        return _response(await app.async_dispatch(asked))

    return events


def _check_signature(secret: bytes, request: "Request", body: bytes, now_s: float) -> None:
    """docs.slack.dev, "Verifying requests from Slack". The SDK's own check fails on a body that is not UTF-8."""
    stamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if not stamp or not signature:
        raise NotTaken(401, "The signature is missing: x-slack-signature and x-slack-request-timestamp.")
    # The length first: Python refuses to make a number of thousands of digits.
    number = stamp.isascii() and stamp.isdigit() and len(stamp) <= STAMP_DIGITS_MAX
    if not number or abs(now_s - int(stamp)) > SIGNATURE_AGE_S_MAX:
        raise NotTaken(401, f"The timestamp is more than {SIGNATURE_AGE_S_MAX} seconds away from now.")
    expected = f"v0={hmac.digest(secret, b'v0:%b:%b' % (stamp.encode(), body), 'sha256').hex()}"
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise NotTaken(401, "The signature does not fit the body and the signing secret.")


def _parse(body: bytes, kind: str) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise NotTaken(400, f"The body is not UTF-8: see the byte at position {error.start}.") from error
    if kind == JSON:
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NotTaken(400, "The body is not JSON.") from error
        if not isinstance(parsed, dict):
            raise NotTaken(400, "The body is not a JSON object.")
    return text


def _of_route(error: "HTTPException") -> str:
    sentences = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    return sentences.get(error.status_code, error.detail)


def _response(answer: "BoltResponse") -> "Response":
    from starlette.responses import JSONResponse, Response

    if answer.status == 404:
        return JSONResponse({"error": "Nothing here answers this kind of request."}, 404)
    if answer.status >= 500:
        return JSONResponse({"error": answer.body}, answer.status)
    headers = {name: values[0] for name, values in answer.headers.items() if values}
    return Response(answer.body, answer.status, headers)


async def serve(app: "Starlette", host: str, port: int, stop: asyncio.Event, on_started: Callable[[int], None]) -> None:
    """Serve until ``stop`` is set, or a signal comes. Port 0 takes a free one. Raises ``OSError`` where it is taken."""
    import uvicorn

    listener = socket.create_server((host, port), backlog=BACKLOG)
    # Taken over by each connection. asyncio does it only where a socket names its protocol; without it an answer over a
    # connection that is kept waits some 40 ms for the client's acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    on_started(listener.getsockname()[1])
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving
        listener.close()
