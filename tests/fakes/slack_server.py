"""What the emulator lacks of Slack: a response_url, Socket Mode, rate limits, refused tokens, answers that get lost.

As strict as Slack is documented to be about sizes and errors (docs.slack.dev, "chat.postMessage", "Markdown block", "Slash
commands: sending message responses", "Using Socket Mode"). Written by hand, and held to the same contract of platforms.
"""

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.slack_workspace import BOT_TOKEN, PERSON_TOKEN

TEXT_MAX = 40_000
MARKDOWN_MAX = 12_000
BLOCKS_MAX = 50
CONTEXT_TEXT_MAX = 3_000
RESPONSE_POSTS_MAX = 5
BOT, PERSON, TEAM, CHANNEL, IM = "U0BOT", "U0ANNA", "T0TEAM", "C0TEAM", "D0IM"
APP_TOKEN = "xapp-carpool"


@dataclass(frozen=True)
class Fault:
    """CarPool's next call of ``method`` gets this. ``after`` means that it took effect, and only its answer is lost."""

    method: str
    status: int = 200
    error: str = ""
    retry_after_s: int | None = None
    after: bool = False


@dataclass
class SlackServer:
    base_url: str = ""
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    ephemeral: list[dict[str, Any]] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    page: int = 200
    response_status: int = 200
    acknowledged: dict[str, Any] = field(default_factory=dict)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    _acks: asyncio.Condition = field(default_factory=asyncio.Condition)
    _socket: web.WebSocketResponse | None = None
    _clock: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def api_url(self) -> str:
        return f"{self.base_url}/api/"

    @property
    def response_url(self) -> str:
        return f"{self.base_url}/response/1"

    async def push(self, kind: str, payload: Mapping[str, Any], envelope: str, attempt: int = 0) -> Any:
        """Send an event or a command over the socket, and wait until it is acknowledged. Gives what came with that."""
        assert self._socket is not None
        message = {"envelope_id": envelope, "type": kind, "payload": payload, "retry_attempt": attempt}
        self.acknowledged.pop(envelope, None)
        await self._socket.send_json(message)
        async with self._acks:
            await self._acks.wait_for(lambda: envelope in self.acknowledged)
        return self.acknowledged[envelope]

    async def api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        self.calls.append(method)
        ours = PERSON_TOKEN not in request.headers.get("Authorization", "")
        fault = next((item for item in self.faults if item.method == method and ours), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault.after:
                await self._answer(method, request)
            return self._fail(fault, request)
        return web.json_response(await self._answer(method, request))

    async def _answer(self, method: str, request: web.Request) -> dict[str, Any]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = {APP_TOKEN} if method == "apps.connections.open" else {BOT_TOKEN, PERSON_TOKEN}
        if not token:
            return {"ok": False, "error": "not_authed"}
        if token not in wanted:
            return {"ok": False, "error": "invalid_auth"}
        user = PERSON if token == PERSON_TOKEN else BOT
        fields = await _fields(request)
        match method:
            case "auth.test":
                return {"ok": True, "user_id": user, "team_id": TEAM}
            case "conversations.list":
                return {"ok": True, "channels": [{"id": CHANNEL, "name": "team"}]}
            case "conversations.open":
                return {"ok": True, "channel": {"id": IM}}
            case "apps.connections.open":
                return {"ok": True, "url": f"{self.base_url.replace('http', 'ws')}/socket"}
            case "chat.postMessage":
                return self._post(fields, user)
            case "chat.postEphemeral":
                return self._post_ephemeral(fields)
            case "conversations.replies":
                return self._replies(fields)
        return {"ok": False, "error": "unknown_method"}

    def _post(self, fields: dict[str, Any], user: str) -> dict[str, Any]:
        if fields.get("channel") not in (CHANNEL, IM):
            return {"ok": False, "error": "channel_not_found"}
        if error := refusal(fields):
            return {"ok": False, "error": error}
        ts = f"17000000{next(self._clock):02}.000100"
        message = {"type": "message", "user": user, "ts": ts, **fields}
        self.messages[fields["channel"]].append(message)
        return {"ok": True, "channel": fields["channel"], "ts": ts, "message": message}

    def _post_ephemeral(self, fields: dict[str, Any]) -> dict[str, Any]:
        if error := refusal(fields):
            return {"ok": False, "error": error}
        self.ephemeral.append(fields)
        return {"ok": True, "message_ts": "1.1"}

    def _replies(self, fields: dict[str, Any]) -> dict[str, Any]:
        all_ = [
            message
            for message in self.messages[fields["channel"]]
            if fields["ts"] in (message["ts"], message.get("thread_ts"))
        ]
        if not all_:
            return {"ok": False, "error": "thread_not_found"}
        start = int(fields.get("cursor") or 0)
        count = min(self.page, int(fields.get("limit") or 1000))
        page = all_[start : start + count]
        more = start + count < len(all_)
        if fields.get("include_all_metadata") != "true":
            page = [{key: value for key, value in message.items() if key != "metadata"} for message in page]
        cursor = str(start + count) if more else ""
        return {"ok": True, "messages": page, "has_more": more, "response_metadata": {"next_cursor": cursor}}

    def _fail(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        if fault.status == 0:
            assert request.transport is not None
            request.transport.close()
        headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        if fault.status >= 500:
            return web.Response(status=fault.status, text="<html>Something went wrong</html>", headers=headers)
        return web.json_response(
            {"ok": False, "error": fault.error or "ratelimited"}, status=fault.status or 200, headers=headers
        )

    async def respond(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.response_status != 200:
            return web.Response(status=self.response_status, text="used_url")
        if len(self.responses) >= RESPONSE_POSTS_MAX:
            return web.Response(status=404, text="used_url")
        if error := refusal(body):
            return web.Response(status=400, text=error)
        self.responses.append(body)
        return web.Response(text="ok")

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A0"}})
        self._socket = socket
        self.connected.set()
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                ack = json.loads(message.data)
                async with self._acks:
                    self.acknowledged[ack["envelope_id"]] = ack.get("payload")
                    self._acks.notify_all()
        return socket


def refusal(fields: Mapping[str, Any]) -> str:
    """Slack's error for a message that it does not take, or nothing."""
    blocks = fields.get("blocks") or []
    if not fields.get("text") and not blocks:
        return "no_text"
    if len(str(fields.get("text") or "")) > TEXT_MAX:
        return "msg_too_long"
    if len(blocks) > BLOCKS_MAX:
        return "invalid_blocks"
    if sum(len(block.get("text", "")) for block in blocks if block["type"] == "markdown") > MARKDOWN_MAX:
        return "msg_blocks_too_long"
    for block in blocks:
        if block["type"] == "context" and any(len(item["text"]) > CONTEXT_TEXT_MAX for item in block["elements"]):
            return "invalid_blocks"
    return ""


async def _fields(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        fields: dict[str, Any] = await request.json()
        return fields
    form = dict(await request.post())
    for name in ("blocks", "metadata"):
        if isinstance(form.get(name), str):
            form[name] = json.loads(str(form[name]))
    return {**request.query, **form}


@asynccontextmanager
async def running_slack_server() -> AsyncIterator[SlackServer]:
    server = SlackServer()
    app = web.Application()
    app.router.add_post("/api/{method}", server.api)
    app.router.add_get("/api/{method}", server.api)
    app.router.add_post("/response/{id}", server.respond)
    app.router.add_get("/socket", server.socket)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
