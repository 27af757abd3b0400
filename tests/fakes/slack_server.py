"""What the emulator lacks of Slack: streams, sessions, files, a response_url, Socket Mode, rate limits, answers that get lost.

As strict as Slack is documented to be about sizes and errors (docs.slack.dev, "chat.postMessage", "chat.startStream",
"Markdown block", "Agent sessions", "Working with files", "Slash commands: sending message responses", "Using Socket Mode"),
and stricter about arguments: what the SDK's own method does not name is refused. Written by hand, and held to the same
contract of platforms. What blocks Slack makes of a stream is not documented: here it is one markdown block.
"""

import asyncio
import inspect
import itertools
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiohttp import WSMsgType, web
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.serving import serving_app
from tests.fakes.slack_doings import Doings
from tests.fakes.slack_oauth import Apps
from tests.fakes.slack_views import Views
from tests.slack_workspace import BOT_TOKEN, PERSON_TOKEN

TEXT_MAX = 40_000
MARKDOWN_MAX = 12_000
BLOCKS_MAX = 50
CONTEXT_TEXT_MAX = 3_000
MESSAGE_MAX = 13_200
STREAM_S = 300.0
WAIT_MAX_S = 15.0
STOP_S = 60.0
ACTIONS_MAX = 25
VALUE_MAX = 2_000
LABEL_MAX = 75
TIERS = {
    "chat.startStream": 20,
    "chat.appendStream": 100,
    "chat.stopStream": 20,
    "chat.update": 50,
    "conversations.replies": 50,
    "users.info": 100,
    "agents.sessions.setStatus": 50,
}
"""Calls a minute, for ``SlackServer.rates``."""

CHUNKS = {
    "markdown_text": {"type", "text"},
    "task_update": {"type", "id", "title", "status", "details", "output", "sources"},
    "plan_update": {"type", "title"},
    "blocks": {"type", "blocks"},
}
TASK_STATES = ("pending", "in_progress", "complete", "error")
RESPONSE_POSTS_MAX = 5
BOT, PERSON, TEAM, CHANNEL, IM = "U0BOT", "U0ANNA", "T0TEAM", "C0TEAM", "D0IM"
APP_TOKEN = "xapp-carpool"
FIRST_S = 1_700_000_000
"""When the first message is written; each other a second later."""


@dataclass(frozen=True)
class Fault:
    """CarPool's next call of ``method`` gets this. ``after`` means that it took effect, and only its answer is lost."""

    method: str
    status: int = 200
    error: str = ""
    retry_after_s: int | None = None
    after: bool = False
    garbage: bool = False
    """What says that it is JSON is none."""


class Channel(list[dict[str, Any]]):
    """The messages of a channel in their order, which finds one of them, or those of a thread, without a look at all."""

    def __init__(self) -> None:
        super().__init__()
        self._by_ts: dict[str, dict[str, Any]] = {}
        self._threads: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def append(self, message: dict[str, Any]) -> None:
        super().append(message)
        self._by_ts.setdefault(message["ts"], message)
        for root in {message["ts"], message.get("thread_ts") or message["ts"]}:
            self._threads[root].append(message)

    def __iadd__(self, messages: Iterable[dict[str, Any]]) -> "Channel":  # type: ignore[override, misc]  # as a list's
        for message in messages:
            self.append(message)
        return self

    def remove(self, message: dict[str, Any]) -> None:
        super().remove(message)
        del self._by_ts[message["ts"]]
        for root in {message["ts"], message.get("thread_ts") or message["ts"]}:
            self._threads[root].remove(message)

    def at(self, ts: str) -> dict[str, Any] | None:
        return self._by_ts.get(ts)

    def thread(self, ts: str) -> list[dict[str, Any]]:
        """The message and what stands in its thread."""
        return list(self._threads.get(ts, ()))


@dataclass
class SlackServer:
    base_url: str = ""
    apps: Apps = field(default_factory=Apps)
    views: Views = field(init=False)
    doings: Doings = field(init=False)
    messages: dict[str, "Channel"] = field(default_factory=lambda: defaultdict(Channel))
    ephemeral: list[dict[str, Any]] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=lambda: {PERSON: "Anna", "U0BERT": "Bert"})
    without_scope: set[str] = field(default_factory=set)
    """Methods that answer ``missing_scope``."""
    without_streams: set[str] = field(default_factory=set)
    """Channels that take no stream."""
    rates: dict[str, int] = field(default_factory=dict)
    away: bool = False
    """CarPool cannot reach it: what people do in it goes on."""
    turned_away: int = 0
    refuses_token: bool = False
    limited: int = 0
    """So many more calls of CarPool, whatever they are, are beyond its limit."""
    later_s: float = 0.0
    """How far the clock of this Slack is ahead."""
    shown: asyncio.Condition = field(default_factory=asyncio.Condition)
    calls: list[str] = field(default_factory=list)
    page: int = 200
    response_status: int = 200
    acknowledged: dict[str, Any] = field(default_factory=dict)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    _acks: asyncio.Condition = field(default_factory=asyncio.Condition)
    _socket: web.WebSocketResponse | None = None
    _called: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _clock: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.views = Views(lambda: self.now_s)
        members = {CHANNEL: [BOT, PERSON, "U0BERT"], IM: [BOT, PERSON]}
        self.doings = Doings(self.messages, lambda fields: str(self._post(fields, BOT)["ts"]), BOT, members)
        self.doings.names[CHANNEL] = "team"
        self.doings.private.add(IM)

    @property
    def api_url(self) -> str:
        return f"{self.base_url}/api/"

    @property
    def response_url(self) -> str:
        return f"{self.base_url}/response/1"

    @property
    def now_s(self) -> float:
        return time.monotonic() + self.later_s

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so: looked at after each call."""
        async with asyncio.timeout(WAIT_MAX_S), self.shown:
            await self.shown.wait_for(true)

    def texts(self, thread: str) -> list[str]:
        """What CarPool's messages in a thread say."""
        return [
            "".join(block["text"] for block in message.get("blocks") or () if block["type"] == "markdown")
            for messages in self.messages.values()
            for message in messages
            if message.get("thread_ts") == thread and message["user"] == BOT and not message.get("files")
        ]

    async def cut(self) -> None:
        """End the connection of Socket Mode."""
        assert self._socket is not None
        self.connected.clear()
        await self._socket.close()

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
        try:
            return await self._called_with(method, request)
        finally:
            self.calls.append(method)
            async with self.shown:
                self.shown.notify_all()

    async def _called_with(self, method: str, request: web.Request) -> web.StreamResponse:
        ours = PERSON_TOKEN not in request.headers.get("Authorization", "")
        fault = next((item for item in self.faults if item.method == method and ours), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault.after:
                await self._answer(method, request)
            return self._fail(fault, request)
        if ours and self.limited:
            self.limited -= 1
            return self._fail(Fault(method, 429, "ratelimited", 0), request)
        if ours and self.refuses_token:
            return self._fail(Fault(method, 200, "invalid_auth"), request)
        if ours and self.away:
            self.turned_away += 1
            return self._fail(Fault(method, 503), request)
        if ours and (wait_s := self._too_often(method)):
            return self._fail(Fault(method, 429, "ratelimited", wait_s), request)
        if (of_apps := await self.apps.answer(method, request)) is not None:
            return of_apps
        return web.json_response(await self._answer(method, request))

    def _too_often(self, method: str) -> int:
        """How many seconds this method is not to be called."""
        most, now_s = self.rates.get(method, 0), self.now_s
        if not most:
            return 0
        calls = self._called[method] = [at_s for at_s in self._called[method] if at_s > now_s - 60]
        if len(calls) >= most:
            return max(1, round(calls[0] + 60 - now_s))
        calls.append(now_s)
        return 0

    async def _answer(self, method: str, request: web.Request) -> dict[str, Any]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = {APP_TOKEN} if method == "apps.connections.open" else {BOT_TOKEN, PERSON_TOKEN, *self.apps.grants}
        if not token:
            return {"ok": False, "error": "not_authed"}
        if token not in wanted:
            return {"ok": False, "error": "invalid_auth"}
        user = PERSON if token == PERSON_TOKEN else BOT
        if method in self.without_scope and user == BOT:
            return {"ok": False, "error": "missing_scope", "needed": "some:scope", "provided": "chat:write"}
        fields = await _fields(request)
        if error := wrong_arguments(method, fields):
            return {"ok": False, "error": "invalid_arguments", "response_metadata": {"messages": [error]}}
        team = self.apps.grants[token].team if token in self.apps.grants else TEAM
        if (of_views := self.views.answer(method, fields, team, self.names)) is not None:
            return of_views
        if (of_doings := self.doings.answer(method, fields, user)) is not None:
            return of_doings
        match method:
            case "auth.test":
                return {"ok": True, "user_id": user, "team_id": TEAM}
            case "conversations.list":
                return {"ok": True, "channels": [{"id": CHANNEL, "name": "team"}]}
            case "conversations.open":
                return {"ok": True, "channel": {"id": IM}}
            case "agents.sessions.setStatus" | "agents.sessions.rename":
                return self._session(method, fields)
            case "assistant.threads.setSuggestedPrompts":
                return self._suggest(fields)
            case "chat.startStream":
                return self._start_stream(fields)
            case "chat.appendStream":
                return self._append_stream(fields)
            case "chat.stopStream":
                return self._stop_stream(fields)
            case "chat.update":
                return self._update(fields)
            case "chat.delete":
                return self._delete(fields)
            case "files.getUploadURLExternal":
                return self._upload_url(fields)
            case "files.completeUploadExternal":
                return self._complete_upload(fields)
            case "files.info":
                file = self.files.get(fields["file"])
                return {"ok": True, "file": _told(file)} if file else _error("file_not_found")
            case "apps.connections.open":
                return {"ok": True, "url": f"{self.base_url.replace('http', 'ws')}/socket"}
            case "chat.getPermalink":
                found = self._find({"channel": fields["channel"], "ts": fields["message_ts"]})
                link = f"https://team.example.org/archives/{fields['channel']}/p{fields['message_ts'].replace('.', '')}"
                return {"ok": True, "permalink": link} if found else _error("message_not_found")
            case "chat.postMessage":
                return self._post(fields, user)
            case "chat.postEphemeral":
                return self._post_ephemeral(fields)
            case "conversations.replies":
                return self._replies(fields)
            case "conversations.history":
                return self._history(fields)
        return {"ok": False, "error": "unknown_method"}

    def _post(self, fields: dict[str, Any], user: str) -> dict[str, Any]:
        if fields.get("channel") not in self.doings.members:
            return {"ok": False, "error": "channel_not_found"}
        if user not in self.doings.members[fields["channel"]]:
            return {"ok": False, "error": "not_in_channel"}
        if error := refusal(fields):
            return {"ok": False, "error": error}
        ts = f"{FIRST_S + next(self._clock)}.000100"
        message = {"type": "message", "user": user, "ts": ts, **fields}
        self.messages[fields["channel"]].append(message)
        return {"ok": True, "channel": fields["channel"], "ts": ts, "message": message}

    def _find(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        return self.messages[fields["channel"]].at(fields["ts"])

    def _start_stream(self, fields: dict[str, Any]) -> dict[str, Any]:
        channel = fields["channel"]
        if channel not in (CHANNEL, IM):
            return _error("channel_not_found")
        if channel in self.without_streams:
            return _error("channel_type_not_supported")
        if channel != IM and not (fields.get("recipient_user_id") and fields.get("recipient_team_id")):
            return _error("missing_recipient_user_id")
        if error := streamed(fields, ""):
            return _error(error)
        message = {
            "type": "message",
            "user": BOT,
            "ts": f"{FIRST_S + next(self._clock)}.000100",
            "channel": channel,
            "thread_ts": fields["thread_ts"],
            "text": "",
            "blocks": [],
            "until_s": self.now_s + STREAM_S,
            "tasks": {},
        }
        self.messages[channel].append(message)
        _extend(message, fields)
        return {"ok": True, "channel": channel, "ts": message["ts"]}

    def _append_stream(self, fields: dict[str, Any]) -> dict[str, Any]:
        message = self._find(fields)
        if message is None:
            return _error("message_not_found")
        if not self._streams(message):
            return _error("message_not_in_streaming_state")
        if not (fields.get("markdown_text") or fields.get("chunks")):
            return _error("no_text")
        if error := streamed(fields, message["text"]):
            return _error(error)
        _extend(message, fields)
        return {"ok": True, "channel": fields["channel"], "ts": fields["ts"]}

    def _stop_stream(self, fields: dict[str, Any]) -> dict[str, Any]:
        message = self._find(fields)
        if message is None:
            return _error("message_not_found")
        if not self._streams(message):
            return _error("message_not_in_streaming_state")
        blocks = fields.get("blocks") or []
        if error := streamed(fields, message["text"]) or refusal({"text": "x", "blocks": blocks}):
            return _error(error)
        _extend(message, fields)
        message["until_s"] = 0.0
        message["blocks"] += blocks
        if "metadata" in fields:
            message["metadata"] = fields["metadata"]
        return {"ok": True, "channel": fields["channel"], "ts": fields["ts"], "message": message}

    def _streams(self, message: Mapping[str, Any]) -> bool:
        return bool(message.get("until_s", 0.0) > self.now_s)

    def _update(self, fields: dict[str, Any]) -> dict[str, Any]:
        message = self._find(fields)
        if message is None:
            return _error("message_not_found")
        if message["user"] != BOT:
            return _error("cant_update_message")
        if self._streams(message):
            return _error("streaming_state_conflict")
        if error := refusal(fields):
            return _error(error)
        message.update({name: value for name, value in fields.items() if name in ("text", "blocks", "metadata")})
        return {"ok": True, "channel": fields["channel"], "ts": fields["ts"], "text": message["text"]}

    def _delete(self, fields: dict[str, Any]) -> dict[str, Any]:
        message = self._find(fields)
        if message is None:
            return _error("message_not_found")
        if message["user"] != BOT:
            return _error("cant_delete_message")
        self.messages[fields["channel"]].remove(message)
        return {"ok": True, "channel": fields["channel"], "ts": fields["ts"]}

    def _session(self, method: str, fields: dict[str, Any]) -> dict[str, Any]:
        if len(fields.get("title") or "") > 200:
            return _error("title_too_long")
        if method == "agents.sessions.setStatus" and fields["status"] not in (
            "active",
            "processing",
            "suspended",
            "closed",
        ):
            return _error("invalid_status")
        self.sessions.append({"method": method, **fields})
        return {"ok": True}

    def _suggest(self, fields: dict[str, Any]) -> dict[str, Any]:
        prompts = fields["prompts"]
        if not 1 <= len(prompts) <= 4 or any(set(prompt) != {"title", "message"} for prompt in prompts):
            return _error("invalid_arguments")
        self.prompts.append(fields)
        return {"ok": True}

    def _upload_url(self, fields: dict[str, Any]) -> dict[str, Any]:
        if int(fields["length"]) < 1:
            return _error("invalid_arguments")
        name = f"F{len(self.files):04}"
        self.files[name] = {
            "id": name,
            "name": fields["filename"],
            "size": int(fields["length"]),
            "url_private": f"{self.base_url}/file/{name}",
        }
        return {"ok": True, "file_id": name, "upload_url": f"{self.base_url}/upload/{name}"}

    def _complete_upload(self, fields: dict[str, Any]) -> dict[str, Any]:
        files = [self.files[item["id"]] for item in json.loads(fields["files"])]
        if any("data" not in file for file in files):
            return _error("file_not_found")
        shared = [_told(file) for file in files]
        if channel := fields.get("channel_id"):
            ts = f"{FIRST_S + next(self._clock)}.000100"
            where = {"thread_ts": fields["thread_ts"]} if fields.get("thread_ts") else {}
            self.messages[channel].append(
                {"type": "message", "user": BOT, "ts": ts, "text": "", "files": shared, **where}
            )
        return {"ok": True, "files": shared}

    async def upload(self, request: web.Request) -> web.Response:
        file = self.files[request.match_info["id"]]
        data = await request.read()
        if len(data) != file["size"]:
            return web.Response(status=400, text="wrong length")
        file["data"] = data
        return web.Response(text=f"OK - {len(data)}")

    async def download(self, request: web.Request) -> web.StreamResponse:
        file = self.files[request.match_info["id"]]
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}" or "files" in self.without_scope:
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        if moved := file.get("moved"):
            return web.Response(status=302, headers={"Location": moved})
        return web.Response(body=file["data"], content_type=file.get("mimetype", "text/plain"))

    def _post_ephemeral(self, fields: dict[str, Any]) -> dict[str, Any]:
        if error := refusal(fields):
            return {"ok": False, "error": error}
        self.ephemeral.append(fields)
        return {"ok": True, "message_ts": "1.1"}

    def _replies(self, fields: dict[str, Any]) -> dict[str, Any]:
        all_ = self.messages[fields["channel"]].thread(fields["ts"])
        # The first message of the thread comes always.
        all_ = [message for message in all_ if message["ts"] == fields["ts"] or _within(message["ts"], fields)]
        if not all_:
            return {"ok": False, "error": "thread_not_found"}
        start = int(fields.get("cursor") or 0)
        count = min(self.page, int(fields.get("limit") or 1000))
        page = all_[start : start + count]
        more = start + count < len(all_)
        if not _with_metadata(fields):
            page = [_without_metadata(message) for message in page]
        cursor = str(start + count) if more else ""
        return {"ok": True, "messages": page, "has_more": more, "response_metadata": {"next_cursor": cursor}}

    def _history(self, fields: dict[str, Any]) -> dict[str, Any]:
        """What stands in a channel outside of threads, the newest first."""
        found = [
            message
            for message in self.messages[fields["channel"]]
            if message.get("thread_ts") in (None, message["ts"]) and _within(message["ts"], fields)
        ]
        start, count = int(fields.get("cursor") or 0), min(self.page, int(fields.get("limit") or 100))
        cursor = str(start + count) if start + count < len(found) else ""
        page = found[::-1][start : start + count]
        if not _with_metadata(fields):
            page = [_without_metadata(message) for message in page]
        return {"ok": True, "messages": page, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}

    def _fail(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        if fault.status == 0:
            assert request.transport is not None
            request.transport.close()
        headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        if fault.garbage:
            return web.Response(text="{", content_type="application/json")
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
        async with self.shown:
            self.shown.notify_all()
        return web.Response(text="ok")

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        if self.away:
            raise web.HTTPServiceUnavailable
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


def _within(ts: str, fields: Mapping[str, Any]) -> bool:
    """Between ``oldest`` and ``latest``, and where it is said also one of the two."""
    oldest, latest = str(fields.get("oldest") or ""), str(fields.get("latest") or "9")
    inclusive = fields.get("inclusive") in ("true", "1") and ts in (oldest, latest)
    return inclusive or oldest < ts < latest


def _with_metadata(fields: Mapping[str, Any]) -> bool:
    return fields.get("include_all_metadata") in ("true", "1")


def _without_metadata(message: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "metadata"}


def _error(code: str) -> dict[str, Any]:
    return {"ok": False, "error": code}


def _told(file: Mapping[str, Any]) -> dict[str, Any]:
    """A file as messages tell of it."""
    return {name: value for name, value in file.items() if name not in ("data", "moved")}


def _extend(message: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for chunk in fields.get("chunks") or ():
        if chunk["type"] == "task_update":
            message["tasks"][chunk["id"]] = chunk
    message["text"] += _text_in(fields)
    message["blocks"] = [{"type": "markdown", "text": message["text"]}]


def _text_in(fields: Mapping[str, Any]) -> str:
    chunks = "".join(chunk["text"] for chunk in fields.get("chunks") or () if chunk["type"] == "markdown_text")
    return (fields.get("markdown_text") or "") + chunks


def streamed(fields: Mapping[str, Any], before: str) -> str:
    """Slack's error for what is streamed behind ``before``, or nothing."""
    chunks = fields.get("chunks") or []
    if chunks and fields.get("markdown_text"):
        return "invalid_arguments"
    for chunk in chunks:
        if set(chunk) - CHUNKS.get(chunk.get("type"), set()):
            return "invalid_chunks"
        if chunk["type"] == "task_update" and not (chunk["id"] and chunk["title"] and chunk["status"] in TASK_STATES):
            return "invalid_chunks"
    text = _text_in(fields)
    return "msg_too_long" if len(text) > MARKDOWN_MAX or len(before) + len(text) > MESSAGE_MAX else ""


def wrong_arguments(method: str, fields: Mapping[str, Any]) -> str:
    """What the SDK's own method does not name, or asks for; nothing where it has no such method."""
    taken = _arguments(method)
    if taken is None:
        return ""
    names, asked_for = taken
    if unknown := set(fields) - names:
        return f"unknown: {sorted(unknown)}"
    missing = asked_for - set(fields)
    return f"missing: {sorted(missing)}" if missing else ""


@cache
def _arguments(method: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """What the SDK's method takes, and what of that it asks for."""
    known = getattr(AsyncWebClient, method.replace(".", "_"), None)
    if known is None:
        return None
    parameters = [item for item in inspect.signature(known).parameters.values() if item.name not in ("self", "kwargs")]
    asked_for = {item.name for item in parameters if item.default is inspect.Parameter.empty}
    # The SDK sends this one as the token.
    return frozenset({"token", *(item.name for item in parameters)}), frozenset(asked_for - {"app_token"})


def _wrong_block(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements") or []
    match block["type"]:
        case "markdown":
            return not block.get("text")
        case "context":
            return any(len(item["text"]) > CONTEXT_TEXT_MAX for item in elements)
        case "actions":
            ids = {item["action_id"] for item in elements}
            return (
                not 1 <= len(elements) <= ACTIONS_MAX or len(ids) < len(elements) or any(map(_wrong_button, elements))
            )
        case "context_actions":
            return not 1 <= len(elements) <= 5 or any(
                element["type"] != "feedback_buttons"
                or set(element) != {"type", "action_id", "positive_button", "negative_button"}
                or any(_wrong_label(element[name]) for name in ("positive_button", "negative_button"))
                for element in elements
            )
        case _:
            return block["type"] not in ("section", "divider", "header", "image")


def _wrong_button(button: Mapping[str, Any]) -> bool:
    unknown = set(button) - {"type", "action_id", "text", "value", "style"}
    return bool(unknown) or button.get("style", "primary") not in ("primary", "danger") or _wrong_label(button)


def _wrong_label(button: Mapping[str, Any]) -> bool:
    label = button["text"]
    return label["type"] != "plain_text" or not 0 < len(label["text"]) <= LABEL_MAX or len(button["value"]) > VALUE_MAX


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
    return "invalid_blocks" if any(map(_wrong_block, blocks)) else ""


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
    app.router.add_post("/upload/{id}", server.upload)
    app.router.add_get("/file/{id}", server.download)
    app.router.add_get("/socket", server.socket)
    async with serving_app(app, STOP_S) as server.base_url:
        yield server
