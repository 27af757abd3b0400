"""What the simulation lacks of Discord: the wire. A gateway with sessions that are resumed, and the REST API with its limits.

The unmodified SDK is connected to it through ``discord.http.Route.BASE``; the gateway's address it gets from ``/gateway/bot``.
As strict as Discord is documented to be (docs.discord.com, "Gateway", "Rate Limits", "Message Resource", "Component
Reference"), about what CarPool uses. Written by hand.
"""

import asyncio
import json
import math
import mimetypes
import time
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from bot.platforms.discord_seen import snowflake
from tests.discord_app import TOKEN
from tests.fakes.discord_interactions import Interactions, Slash

GUILD, CHANNEL, DIRECT = "200000000000000001", "200000000000000002", "200000000000000003"
BOT, ANNA, BOB, OWNER = "100000000000000001", "100000000000000002", "100000000000000003", "100000000000000004"
APPLICATION = BOT
DIRECTS = {ANNA: DIRECT, BOB: "200000000000000004", OWNER: "200000000000000005"}
NAMES = {BOT: "carpool", ANNA: "anna", BOB: "bob", OWNER: "olga"}

ADMINISTRATOR, MANAGE_GUILD = 1 << 3, 1 << 5
EVERYDAY = str((1 << 53) - 1 & ~ADMINISTRATOR & ~MANAGE_GUILD)
GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = 1, 1 << 9, 1 << 12, 1 << 15
PRIVILEGED = 1 << 1 | 1 << 8 | MESSAGE_CONTENT
COMPONENTS_V2 = 1 << 15
CONTENT_MAX, V2_TEXT_MAX, COMPONENTS_MAX, CUSTOM_ID_MAX, NONCE_MAX = 2_000, 4_000, 40, 100, 25

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 0, 1, 2, 6, 7, 9, 10, 11

JSON = Mapping[str, Any]


@dataclass
class Fault:
    """What happens to the next requests of a kind. ``done``: the work is done, and only the acknowledgement is lost.

    ``until_s`` is when it is over all the same, by the clock that only goes forward.
    """

    method: str
    part: str
    status: int
    times: int = 1
    done: bool = False
    body: JSON = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    until_s: float = math.inf


@dataclass
class Bucket:
    """So many requests in so many seconds, as the headers tell; of the limit over all they do not."""

    limit: int
    per_s: float
    used: list[float] = field(default_factory=list)

    def take(self, now: float) -> tuple[bool, int, float]:
        """Whether there is room, how much is left, and in how many seconds there is all of it again."""
        self.used = [at for at in self.used if now - at < self.per_s]
        free = len(self.used) < self.limit
        if free:
            self.used.append(now)
        reset_s = self.per_s - (now - self.used[0])
        return free, self.limit - len(self.used), reset_s


@dataclass
class Session:
    """What a connection said and was told. ``events`` are kept, as they were sent, for one that resumes."""

    id: str
    intents: int
    events: list[JSON] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None
    deflate: Any = None


class DiscordServer:
    """``messages`` by channel, in order. ``requests`` as ``method path``, in order."""

    def __init__(self) -> None:
        self.base_url = ""
        self.messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.threads: dict[str, dict[str, Any]] = {}
        self.commands: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.buckets: dict[str, Bucket] = {}
        self.buckets_of_channels: dict[str, tuple[int, float]] = {}
        """Such a bucket has each channel for itself."""
        self.all_together: Bucket | None = None
        self.too_many = 0
        self.sessions: list[Session] = []
        self.identified = 0
        self.resumed = 0
        self.approved_intents = 0
        self.heartbeat_ms = 41_250
        self.acknowledges_heartbeats = True
        self.guild_is_away = False
        self.is_down = False
        self.turned_away = 0
        self.closed_with: list[int] = []
        self.changed = asyncio.Condition()
        self._ids = 0
        self._nonces: dict[tuple[str, str], dict[str, Any]] = {}
        self.interactions = Interactions(
            self._by_bot, lambda channel: self.messages[channel], refused, as_json, refusal
        )

    # What people do there.

    async def say(
        self,
        text: str,
        channel: str = CHANNEL,
        author: str = ANNA,
        *,
        told: bool = True,
        files: Mapping[str, bytes] = {},
    ) -> dict[str, Any]:
        """``told`` is false for what nobody listened to: then it stands there, and no event tells of it."""
        message = self._message(channel, author, {"content": text, "uploads": files})
        self.messages[channel].append(message)
        if told:
            await self.tell_of(message)
        return message

    async def slash(self, name: str, author: str = ANNA, channel: str = CHANNEL, **options: str) -> Slash:
        """Somebody uses a command."""
        id_ = str(self._id())
        slash = Slash(id_, f"token-of-{id_}", channel)
        self.interactions.made[slash.token] = slash
        given = [{"type": 3, "name": option, "value": value} for option, value in options.items()]
        where: dict[str, Any] = {"channel_id": channel, "context": 1, "user": self._user(author)}
        if channel not in DIRECTS.values():
            member = {**self.member(), "user": self._user(author), "permissions": EVERYDAY}
            where = {"channel_id": channel, "guild_id": GUILD, "context": 0, "member": member}
        about = self._direct(channel) if channel in DIRECTS.values() else self.threads.get(channel, self._channel())
        told = {
            "id": slash.id,
            "application_id": APPLICATION,
            "type": 2,
            "token": slash.token,
            "version": 1,
            "data": {"id": "1", "name": name, "type": 1, "options": given},
            "channel": about,
            "locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": where.get("guild_id", "0")},
            "attachment_size_limit": 10 << 20,
            "app_permissions": EVERYDAY,
            **where,
        }
        await self.tell("INTERACTION_CREATE", told)
        return slash

    async def tell_of(self, message: JSON) -> None:
        await self.tell("MESSAGE_CREATE", self._seen_by_bot(message, live=True))

    async def edit(self, message: dict[str, Any], text: str) -> None:
        message |= {"content": text, "edited_timestamp": _now()}
        await self.tell("MESSAGE_UPDATE", self._seen_by_bot(message, live=True))

    async def delete(self, message: dict[str, Any]) -> None:
        channel = message["channel_id"]
        self.messages[channel].remove(message)
        where = {} if channel in DIRECTS.values() else {"guild_id": GUILD}
        await self.tell("MESSAGE_DELETE", {"id": message["id"], "channel_id": channel, **where})

    async def cdn(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    def mention(self, text: str) -> str:
        return f"<@{BOT}> {text}"

    def said(self, channel: str) -> list[str]:
        """The texts of what the bot has said there."""
        return [_texts(message)[0] for message in self.messages[channel] if message["author"]["id"] == BOT]

    async def until(self, seen: Any, timeout_s: float = 30.0) -> None:
        """Wait until it is true, looking again after each request and each connection."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(seen)

    # The gateway.

    async def tell(self, name: str, data: JSON) -> None:
        for session in self.sessions:
            wanted = DIRECT_MESSAGES if "guild_id" not in data else GUILD_MESSAGES
            if name.startswith("MESSAGE") and not session.intents & wanted:
                continue
            await self._dispatch(session, name, data)

    async def drop(self, code: int = 1006) -> None:
        """End every connection. 1006 is a line that went dead: no close frame says why."""
        for session in self.sessions:
            socket, session.socket = session.socket, None
            if socket is None or socket.closed:
                continue
            if code == 1006 and socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
            else:
                await socket.close(code=code)

    async def forget(self) -> None:
        """Let no session be resumed any more."""
        await self.drop()
        self.sessions.clear()

    async def lose_guild(self) -> None:
        """An outage of the server: what is said there meanwhile no event tells of."""
        self.guild_is_away = True
        await self.tell("GUILD_DELETE", {"id": GUILD, "unavailable": True})

    async def bring_guild(self) -> None:
        self.guild_is_away = False
        await self.tell("GUILD_CREATE", self._guild())

    async def send_op(self, op: int, data: object = None) -> None:
        for session in self.sessions:
            await self._send(session, {"op": op, "d": data, "s": None, "t": None})

    @property
    def connected(self) -> bool:
        return any(session.socket is not None for session in self.sessions)

    async def go_down(self) -> None:
        """Nobody is let in any more, and no session outlives it. ``turned_away`` counts those who try."""
        self.is_down = True
        await self.forget()

    def come_up(self) -> None:
        self.is_down = False

    async def _turn_away(self, request: web.Request) -> web.Response:
        self.turned_away += 1
        await self._notify()
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=503)

    async def gateway(self, request: web.Request) -> web.StreamResponse:
        if self.is_down:
            return await self._turn_away(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        session = Session("", 0, socket=socket)
        if request.query.get("compress") == "zlib-stream":
            session.deflate = zlib.compressobj()
        await self._send(session, {"op": HELLO, "d": {"heartbeat_interval": self.heartbeat_ms}, "s": None, "t": None})
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                await socket.close(code=4002)
                break
            said = json.loads(frame.data)
            match said.get("op"):
                case 1:
                    if self.acknowledges_heartbeats:
                        await self._send(session, {"op": HEARTBEAT_ACK, "d": None, "s": None, "t": None})
                case 2 if not session.id:
                    session = await self._identify(session, said["d"])
                case 6 if not session.id:
                    session = await self._resume(session, said["d"])
                case 2 | 6:
                    await socket.close(code=4005)
                case _ if not session.id:
                    await socket.close(code=4003)
                case 3 | 4 | 8:
                    pass
                case _:
                    await socket.close(code=4001)
        if session.socket is socket:
            session.socket = None
        self.closed_with.append(socket.close_code or 1006)
        await self._notify()
        return socket

    async def _identify(self, session: Session, said: JSON) -> Session:
        assert session.socket is not None
        if said.get("token") != TOKEN:
            await session.socket.close(code=4004)
            return session
        session.intents = int(said["intents"])
        if session.intents & PRIVILEGED & ~self.approved_intents:
            await session.socket.close(code=4014)
            return session
        self.identified += 1
        session.id = f"session-{self.identified}"
        self.sessions = [other for other in self.sessions if other.socket is not None]
        self.sessions.append(session)
        ready = {
            "v": 10,
            "user": self._user(BOT),
            "guilds": [{"id": GUILD, "unavailable": True}],
            "session_id": session.id,
            "resume_gateway_url": self._gateway_url,
            "shard": said["shard"],
            "application": {"id": APPLICATION, "flags": 0},
            "private_channels": [],
        }
        await self._dispatch(session, "READY", ready)
        if not self.guild_is_away:
            await self._dispatch(session, "GUILD_CREATE", self._guild())
        return session

    async def _resume(self, connection: Session, said: JSON) -> Session:
        session = next((item for item in self.sessions if item.id == said.get("session_id")), None)
        if session is None or said.get("token") != TOKEN:
            await self._send(connection, {"op": INVALID_SESSION, "d": False, "s": None, "t": None})
            return connection
        self.resumed += 1
        session.socket, session.deflate = connection.socket, connection.deflate
        for event in [event for event in session.events if event["s"] > said["seq"]]:
            await self._send(session, event)
        await self._dispatch(session, "RESUMED", {})
        return session

    async def _dispatch(self, session: Session, name: str, data: JSON) -> None:
        event = {"op": DISPATCH, "t": name, "s": len(session.events) + 1, "d": data}
        session.events.append(event)
        await self._send(session, event)
        await self._notify()

    async def _send(self, session: Session, payload: JSON) -> None:
        if session.socket is None or session.socket.closed:
            return
        data = json.dumps(payload).encode()
        try:
            if session.deflate is None:
                await session.socket.send_str(data.decode())
            else:
                packed = session.deflate.compress(data) + session.deflate.flush(zlib.Z_SYNC_FLUSH)
                await session.socket.send_bytes(packed)
        except ConnectionError:
            session.socket = None

    @property
    def _gateway_url(self) -> str:
        return self.base_url.replace("http", "ws") + "/gateway"

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    # The REST API.

    async def rest(self, request: web.Request) -> web.Response:
        path = "/" + request.match_info["path"]
        if self.is_down:
            return await self._turn_away(request)
        self.requests.append(f"{request.method} {path}")
        try:
            answer = await self._limited(request, path)
        finally:
            await self._notify()
        return answer

    async def _limited(self, request: web.Request, path: str) -> web.Response:
        self.faults = [item for item in self.faults if item.until_s > time.monotonic()]
        fault = next((item for item in self.faults if item.method == request.method and item.part in path), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            if fault.done:
                await self._answer(request, path)
            if fault.status == 0:
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=500)
            return as_json(fault.body, status=fault.status, headers=fault.headers)
        if self.all_together is not None and not path.startswith(("/webhooks", "/interactions")):
            free, _, reset_s = self.all_together.take(time.monotonic())
            if not free:
                self.too_many += 1
                body = {"message": "You are being rate limited.", "retry_after": reset_s, "global": True}
                told = {"Via": "1.1 fake", "X-RateLimit-Global": "true", "Retry-After": f"{reset_s:.3f}"}
                return as_json(body, status=429, headers=told)
        kind, headers = f"{request.method} {_kind(path)}", dict[str, str]()
        bucket = self.buckets.get(kind)
        if kind in self.buckets_of_channels:
            one = f"{kind} {path.split('/')[2]}"
            bucket = self.buckets.setdefault(one, Bucket(*self.buckets_of_channels[kind]))
        if bucket is not None:
            free, left, reset_s = bucket.take(time.monotonic())
            headers = {
                "X-RateLimit-Limit": str(bucket.limit),
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Reset": f"{time.time() + reset_s:.3f}",
                "X-RateLimit-Reset-After": f"{reset_s:.3f}",
                "X-RateLimit-Bucket": kind.replace(" ", "-"),
                "Via": "1.1 fake",
            }
            if not free:
                self.too_many += 1
                body = {"message": "You are being rate limited.", "retry_after": reset_s, "global": False}
                return as_json(body, status=429, headers={**headers, "Retry-After": f"{reset_s:.3f}"})
        answer = await self._answer(request, path)
        answer.headers.update(headers)
        return answer

    async def _answer(self, request: web.Request, path: str) -> web.Response:
        words = path.strip("/").split("/")
        if words[0] not in ("interactions", "webhooks") and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return refused(401, 0, "401: Unauthorized")
        body = await _body(request)
        match request.method, words:
            case "GET", ["users", "@me"]:
                return as_json(self._user(BOT))
            case "GET", ["oauth2", "applications", "@me"]:
                return as_json(self._application())
            case "GET", ["gateway", "bot"]:
                limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
                return as_json({"url": self._gateway_url, "shards": 1, "session_start_limit": limit})
            case "GET", ["applications", _, "commands"]:
                return as_json(self.commands)
            case "PUT", ["applications", _, "commands"]:
                self.commands = [{**item, "id": str(self._id()), "version": "1"} for item in body]
                return as_json(self.commands)
            case "POST", ["users", "@me", "channels"]:
                return as_json(self._direct(DIRECTS[str(body["recipient_id"])]))
            case "GET", ["guilds", _, "members", person]:
                return as_json({**self.member(), "user": self._user(person)})
            case "GET", ["channels", channel]:
                return as_json(self._direct(channel) if channel in DIRECTS.values() else self._channel())
            case "POST", ["interactions", interaction, token, "callback"]:
                return self.interactions.acknowledge(interaction, token, body)
            case _, ["webhooks", _, token, *rest]:
                return self.interactions.call(request.method, token, rest, body)
            case "POST", ["channels", _, "typing"]:
                return web.Response(status=204)
            case method, ["channels", channel, "messages", *rest]:
                if channel not in (CHANNEL, *DIRECTS.values(), *self.threads):
                    return refused(404, 10003, "Unknown Channel")
                return await self._messages(method, channel, rest, body, request.query)
        return refused(404, 0, "404: Not Found")

    async def _messages(self, method: str, channel: str, rest: list[str], body: Any, query: JSON) -> web.Response:
        there = self.messages[channel]
        match method, rest:
            case "GET", []:
                found = [item for item in there if int(item["id"]) > int(query.get("after", 0))]
                if "before" in query:
                    found = [item for item in found if int(item["id"]) < int(query["before"])]
                limit = int(query.get("limit", 50))
                # Behind a message the ones that follow it, else the newest; the newest first in either case.
                page = found[:limit] if "after" in query else found[-limit:]
                return as_json([self._seen_by_bot(item, live=False) for item in reversed(page)])
            case "POST", []:
                return await self._post(channel, body)
            case "POST", [message, "threads"]:
                return await self._begin_thread(channel, message, body)
        one = next((item for item in there if item["id"] == rest[0]), None) if rest else None
        if one is None:
            return refused(404, 10008, "Unknown Message")
        match method:
            case "GET":
                return as_json(one)
            case "PATCH":
                if one["author"]["id"] != BOT:
                    return refused(403, 50005, "Cannot edit a message authored by another user")
                if problem := refusal(body):
                    return refused(400, 50035, problem)
                one.update({name: body[name] for name in ("content", "components", "flags") if name in body})
                one["edited_timestamp"] = _now()
                return as_json(one)
            case "DELETE":
                there.remove(one)
                for slash in self.interactions.made.values():
                    self.interactions.forget(slash, one)
                return web.Response(status=204)
        return refused(405, 0, "405: Method Not Allowed")

    async def _post(self, channel: str, body: JSON) -> web.Response:
        if problem := refusal(body):
            return refused(400, 50035, problem)
        nonce = str(body.get("nonce") or "")
        before = self._nonces.get((channel, nonce)) if nonce and body.get("enforce_nonce") else None
        if before is not None:
            return as_json(before)
        message = self._message(channel, BOT, body)
        self.messages[channel].append(message)
        if nonce:
            self._nonces[channel, nonce] = message
        await self.tell("MESSAGE_CREATE", self._seen_by_bot(message, live=True))
        # A nonce is in this answer, and never in the history.
        return as_json({**message, "nonce": nonce or None})

    async def _begin_thread(self, channel: str, message: str, body: JSON) -> web.Response:
        if message in self.threads:
            return refused(400, 160004, "A thread has already been created for this message")
        if not any(item["id"] == message for item in self.messages[channel]):
            return refused(404, 10008, "Unknown Message")
        if not 1 <= len(str(body.get("name") or "")) <= 100:
            return refused(400, 50035, "name: Must be between 1 and 100 in length.")
        thread = self._thread(message, str(body["name"]))
        self.threads[message] = thread
        await self.tell("THREAD_CREATE", {**thread, "newly_created": True})
        return as_json(thread, status=201)

    # What things look like.

    @property
    def now(self) -> int:
        """An id below every one that is given out from here on."""
        return self._id()

    def _id(self) -> int:
        self._ids = max(self._ids + 1, snowflake(time.time()))
        return self._ids

    def _user(self, user: str) -> dict[str, Any]:
        return {
            "id": user,
            "username": NAMES.get(user, user),
            "discriminator": "0",
            "global_name": None,
            "avatar": None,
            "bot": user == BOT,
        }

    def member(self) -> dict[str, Any]:
        return {
            "roles": [],
            "joined_at": _now(),
            "deaf": False,
            "mute": False,
            "flags": 0,
            "nick": None,
            "avatar": None,
        }

    def _application(self) -> dict[str, Any]:
        return {
            "id": APPLICATION,
            "name": "CarPool",
            "icon": None,
            "description": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "00",
            "flags": 0,
            "owner": self._user(OWNER),
            "team": None,
            "summary": "",
        }

    def _channel(self) -> dict[str, Any]:
        last = self.messages[CHANNEL][-1]["id"] if self.messages[CHANNEL] else None
        return {
            "id": CHANNEL,
            "type": 0,
            "guild_id": GUILD,
            "name": "team",
            "position": 0,
            "permission_overwrites": [],
            "nsfw": False,
            "parent_id": None,
            "topic": None,
            "last_message_id": last,
            "rate_limit_per_user": 0,
        }

    def _direct(self, channel: str) -> dict[str, Any]:
        (person,) = [person for person, direct in DIRECTS.items() if direct == channel]
        return {"id": channel, "type": 1, "recipients": [self._user(person)], "last_message_id": None, "flags": 0}

    def _attachment(self, name: str, data: bytes) -> dict[str, Any]:
        id_ = str(self._id())
        self.files[id_] = data
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        url = f"{self.base_url}/cdn/{id_}/{name}"
        return {"id": id_, "filename": name, "size": len(data), "content_type": kind, "url": url, "proxy_url": url}

    def _thread(self, thread: str, name: str) -> dict[str, Any]:
        data = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": _now(), "locked": False}
        return {
            "id": thread,
            "type": 11,
            "guild_id": GUILD,
            "parent_id": CHANNEL,
            "owner_id": BOT,
            "name": name,
            "last_message_id": None,
            "message_count": 0,
            "member_count": 1,
            "rate_limit_per_user": 0,
            "flags": 0,
            "thread_metadata": data,
        }

    def _guild(self) -> dict[str, Any]:
        everyone = {
            "id": GUILD,
            "name": "@everyone",
            "permissions": EVERYDAY,
            "position": 0,
            "color": 0,
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }
        threads = [
            {**thread, "last_message_id": self.messages[name][-1]["id"] if self.messages[name] else None}
            for name, thread in self.threads.items()
        ]
        return {
            "id": GUILD,
            "name": "House",
            "owner_id": OWNER,
            "icon": None,
            "roles": [everyone],
            "emojis": [],
            "stickers": [],
            "features": [],
            "channels": [self._channel()],
            "threads": threads,
            "members": [{**self.member(), "user": self._user(BOT)}],
            "member_count": 3,
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "unavailable": False,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "premium_tier": 0,
            "system_channel_flags": 0,
            "preferred_locale": "en-US",
            "afk_timeout": 300,
            "afk_channel_id": None,
        }

    def _by_bot(self, channel: str, body: JSON) -> dict[str, Any]:
        return self._message(channel, BOT, body)

    def _message(self, channel: str, author: str, body: JSON) -> dict[str, Any]:
        content = str(body.get("content") or "")
        return {
            "id": str(self._id()),
            "channel_id": channel,
            "author": self._user(author),
            "content": content,
            "timestamp": _now(),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [self._user(user) for user in NAMES if f"<@{user}>" in content],
            "mention_roles": [],
            "attachments": [self._attachment(name, data) for name, data in (body.get("uploads") or {}).items()],
            "embeds": [],
            "components": body.get("components") or [],
            "pinned": False,
            "type": 0,
            "flags": int(body.get("flags") or 0),
            **({"message_reference": body["message_reference"]} if "message_reference" in body else {}),
        }

    def _seen_by_bot(self, message: JSON, *, live: bool) -> JSON:
        """As Discord gives it to this bot: without the Message Content intent most texts are empty."""
        direct = message["channel_id"] in DIRECTS.values()
        mentioned = any(user["id"] == BOT for user in message["mentions"])
        own = message["author"]["id"] == BOT
        all_texts = bool(self.approved_intents & MESSAGE_CONTENT)
        seen = dict(message)
        if not (direct or mentioned or own or all_texts):
            seen |= {"content": "", "attachments": [], "components": [], "embeds": []}
        if live and not direct:
            seen |= {"guild_id": GUILD, "member": self.member()}
        return seen


def buttons(server: DiscordServer, channel: str) -> list[str]:
    """The words on all buttons that stand there."""
    rows = [item for message in server.messages[channel] for item in message["components"] if item["type"] == 1]
    return [button["label"] for row in rows for button in row["components"]]


def refusal(body: JSON) -> str:
    """Why Discord does not take a message, or nothing."""
    flags, content = int(body.get("flags") or 0), str(body.get("content") or "")
    items = list(_walk(body.get("components") or []))
    if len(str(body.get("nonce") or "")) > NONCE_MAX:
        return "nonce: Must be 25 or fewer in length."
    if not flags & COMPONENTS_V2:
        if len(content) > CONTENT_MAX:
            return "content: Must be 2000 or fewer in length."
        return "" if content.strip() else "Cannot send an empty message"
    if content or body.get("embeds"):
        return "content: The 'content' field cannot be used with MessageFlags.IS_COMPONENTS_V2"
    if not items or len(items) > COMPONENTS_MAX:
        return "components: Must be between 1 and 40 in length."
    texts = [str(item["content"]) for item in items if item["type"] == 10]
    if any(not text.strip() for text in texts) or sum(map(len, texts)) > V2_TEXT_MAX:
        return "components: The total text of a message must be between 1 and 4000 characters."
    ids = [item["id"] for item in items if item.get("id")]
    if len(ids) != len(set(ids)) or any(not 0 < int(item) < 1 << 31 for item in ids):
        return "components: id: Component ids have to be unique 32-bit integers."
    uploaded = {f"attachment://{name}" for name in body.get("uploads") or {}}
    if {item["file"]["url"] for item in items if item["type"] == 13} != uploaded:
        return "components: file: Each file has to be uploaded, and each upload to be shown."
    custom = [str(item["custom_id"]) for item in items if "custom_id" in item]
    if len(custom) != len(set(custom)) or any(not 0 < len(item) <= CUSTOM_ID_MAX for item in custom):
        return "components: custom_id: Component custom ids have to be unique."
    if any(item["type"] == 1 and not 1 <= len(item["components"]) <= 5 for item in items):
        return "components: Must be between 1 and 5 in length."
    return ""


def as_json(data: Any, status: int = 200, headers: Mapping[str, str] = {}) -> web.Response:
    # The SDK knows it as JSON by this very word.
    return web.Response(body=json.dumps(data), status=status, headers={**headers, "Content-Type": "application/json"})


def refused(status: int, code: int, message: str) -> web.Response:
    return as_json({"message": message, "code": code}, status=status)


def _walk(components: Any) -> Any:
    for item in components:
        yield item
        yield from _walk(item.get("components") or [])


def _texts(message: JSON) -> list[str]:
    return [str(item["content"]) for item in message["components"] if item["type"] == 10] or [message["content"]]


def _kind(path: str) -> str:
    """A path with its ids left out: what a bucket is named by here."""
    return "/".join("*" if word.isdecimal() else word for word in path.strip("/").split("/"))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


async def _body(request: web.Request) -> Any:
    if request.content_type == "application/json":
        return await request.json()
    if request.content_type.startswith("multipart/"):
        form = await request.post()
        body = json.loads(str(form["payload_json"]))
        files = [form[f"files[{item['id']}]"] for item in body["attachments"]]
        return {
            **body,
            "uploads": {file.filename: file.file.read() for file in files if isinstance(file, web.FileField)},
        }
    return {}


@asynccontextmanager
async def running_discord_server() -> AsyncIterator[DiscordServer]:
    server = DiscordServer()
    app = web.Application()
    app.router.add_get("/gateway", server.gateway)
    app.router.add_get("/cdn/{id}/{name}", server.cdn)
    app.router.add_route("*", "/api/v10/{path:.*}", server.rest)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await server.drop(1001)
        await runner.cleanup()
