"""A Slack workspace to talk in, as a person's Slack would: messages through the Web API, events signed as Slack signs them.

The emulator knows no `app_mention`, no `channel_type` and no slash command, so the envelopes are written here, by hand after
docs.slack.dev ("Events API", "Slash commands"): they are no evidence of what Slack sends, only of what we do with it.
"""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators import PORT, running_emulator

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BOT_TOKEN = "xoxb-carpool"
PERSON_TOKEN = "xoxp-anna"
SCOPES = ["chat:write", "channels:read", "channels:history", "im:write", "im:read", "im:history", "users:read"]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Signed:
    """A request as Slack would send it."""

    body: bytes
    headers: dict[str, str]


def sign(body: bytes, content_type: str = JSON, *, at_s: float | None = None, secret: str = SECRET) -> Signed:
    stamp = str(int(time.time() if at_s is None else at_s))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"content-type": content_type, "x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}
    return Signed(body, headers)


@dataclass
class Workspace:
    """``bot`` and ``person`` are user ids. ``channel`` is public, ``im`` the person's conversation with the bot."""

    api_url: str
    team: str
    bot: str
    person: str
    channel: str
    im: str
    client: AsyncWebClient
    events: int = field(default=0)

    async def say(self, text: str, channel: str, thread: str = "") -> str:
        """Post as the person. Returns the message's ts."""
        answer = await self.client.chat_postMessage(channel=channel, text=text, thread_ts=thread or None)
        return str(answer["ts"])

    async def thread(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """What stands in a thread behind its first message."""
        # By POST: the emulator knows no GET.
        data = {"channel": channel, "ts": ts, "include_all_metadata": "true"}
        answer = await self.client.api_call("conversations.replies", data=data)
        return [message for message in answer["messages"] if message["ts"] != ts]

    def mention(self, text: str, ts: str, **more: object) -> dict[str, Any]:
        return self.event(type="app_mention", channel=self.channel, text=f"<@{self.bot}> {text}", ts=ts, **more)

    def direct(self, text: str, ts: str, **more: object) -> dict[str, Any]:
        return self.event(type="message", channel=self.im, channel_type="im", text=text, ts=ts, **more)

    def event(self, **event: object) -> dict[str, Any]:
        self.events += 1
        return {
            "token": "verification",
            "team_id": self.team,
            "api_app_id": "A0CARPOOL",
            "type": "event_callback",
            "event_id": f"Ev{self.events:08}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": self.team, "user_id": self.bot, "is_bot": True}],
            "event": {"user": self.person, "team": self.team, **event},
        }

    def command(self, text: str, response_url: str, trigger: str = "1.2.3") -> Signed:
        fields = {
            "command": "/carpool",
            "text": text,
            "team_id": self.team,
            "channel_id": self.channel,
            "user_id": self.person,
            "trigger_id": trigger,
            "response_url": response_url,
        }
        return sign(urlencode(fields).encode(), FORM)


def envelope(event: Mapping[str, object]) -> Signed:
    return sign(json.dumps(event).encode())


@asynccontextmanager
async def emulated_workspace(folder: Path) -> AsyncIterator[Workspace]:
    """A workspace in the emulator ``emulate``, with a person, the bot, a channel and their direct conversation."""
    seed = folder / "slack-seed.json"
    tokens = [
        {"token": BOT_TOKEN, "user": "carpool", "scopes": SCOPES},
        {"token": PERSON_TOKEN, "user": "anna", "scopes": SCOPES},
    ]
    users = [{"name": "anna"}, {"name": "carpool"}]
    config = {"slack": {"users": users, "channels": [{"name": "team"}], "tokens": tokens, "strict_scopes": True}}
    seed.write_text(json.dumps(config), encoding="utf-8")
    async with running_emulator("emulate", "start", "-s", "slack", "-p", PORT, "--seed", str(seed)) as url:
        async with workspace_at(f"{url}/api/") as workspace:
            yield workspace


@asynccontextmanager
async def workspace_at(api_url: str) -> AsyncIterator[Workspace]:
    from aiohttp import ClientSession

    async with ClientSession() as session:
        person = AsyncWebClient(token=PERSON_TOKEN, base_url=api_url, session=session)
        bot = AsyncWebClient(token=BOT_TOKEN, base_url=api_url, session=session)
        me, it = await person.auth_test(), await bot.auth_test()
        listed = await person.api_call("conversations.list")
        (channel,) = [item["id"] for item in listed["channels"] if item["name"] == "team"]
        opened = await person.api_call("conversations.open", data={"users": it["user_id"]})
        yield Workspace(api_url, me["team_id"], it["user_id"], me["user_id"], channel, opened["channel"]["id"], person)
