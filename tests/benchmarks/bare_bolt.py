"""Bolt as its own documentation starts it, with a handler that does nothing: what an acceptance costs without storage."""

import asyncio
import json
import socket
import sys

import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.slack_workspace import BOT_TOKEN, SECRET


async def authorize() -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=None, team_id=None, bot_user_id="U0BOT", bot_token=BOT_TOKEN)


async def nothing() -> None:
    return None


def main() -> None:
    bolt = AsyncApp(signing_secret=SECRET, authorize=authorize, process_before_response=True)
    bolt.event("message")(nothing)
    handler = AsyncSlackRequestHandler(bolt)

    async def events(request: Request) -> Response:
        return await handler.handle(request)

    app = Starlette(routes=[Route("/slack/events", events, methods=["POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stderr.write(json.dumps({"message": "listening", "port": listener.getsockname()[1]}) + "\n")
    sys.stderr.flush()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
