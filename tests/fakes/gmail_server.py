"""Gmail on loopback, strict where the emulator is not: written by hand after Google's reference of the Gmail API (v1).

It gives a mail that is sent another Message-ID and keeps the one of before, as Gmail does; takes only tokens that it
knows; refuses a mail without a recipient; and lists no more than asked for at once. ``before_answering`` is run once a
send has taken place.
"""

import base64
import email
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.policy import default
from typing import Any

from aiohttp import web

from tests.fakes.serving import serving

ANN = "ann@example.com"


@dataclass
class Mailbox:
    """``fails``: the status of every answer, or of one to the ending of a path."""

    url: str = ""
    tokens: dict[str, str] = field(default_factory=lambda: {"token-ann": ANN})
    mails: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fails: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    page: int = 100
    before_answering: Callable[[], Awaitable[None]] | None = None
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def add(self, payload: dict[str, Any], *labels: str) -> str:
        """The newest. Gives its id."""
        name = f"m{next(self.numbers)}"
        self.mails.insert(0, {"id": name, "threadId": f"t-{name}", "labelIds": list(labels), "payload": payload})
        return name

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [mail for mail in self.mails if "SENT" in mail["labelIds"]]

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        if (request.headers.get("Authorization") or "").removeprefix("Bearer ") not in self.tokens:
            return _error(401, "UNAUTHENTICATED", "authError")
        for ending, status in self.fails.items():
            if request.path.endswith(ending):
                return _error(status, "FAILED", self.reason)
        path = request.path.removeprefix("/gmail/v1/users/me")
        match request.method, path:
            case "GET", "/profile":
                return web.json_response({"emailAddress": ANN})
            case "GET", "/messages":
                return self._list(request)
            case "GET", "/labels":
                return web.json_response({"labels": [{"id": "INBOX", "name": "INBOX"}, {"id": "L_1", "name": "Ops"}]})
            case "POST", "/messages/send":
                return await self._take(await request.json(), "SENT")
            case "POST", "/drafts":
                return await self._take((await request.json())["message"], "DRAFT")
            case "GET", "/drafts":
                drafts = [mail for mail in self.mails if "DRAFT" in mail["labelIds"]]
                listed = [{"id": f"r-{mail['id']}", "message": {"id": mail["id"]}} for mail in drafts]
                return web.json_response({"drafts": listed} if listed else {})
            case "GET" | "DELETE" as method, _ if path.startswith("/drafts/r-"):
                name = path.removeprefix("/drafts/r-")
                draft = next((mail for mail in self.mails if (mail["id"], mail["labelIds"]) == (name, ["DRAFT"])), None)
                if draft is None:
                    return _error(404, "NOT_FOUND", "notFound")
                if method == "GET":
                    return web.json_response({"id": f"r-{name}", "message": draft})
                self.mails.remove(draft)
                return web.Response(status=204)
            case "POST", _ if path.endswith("/modify"):
                return self._modify(path.split("/")[2], await request.json())
            case "GET", _ if path.startswith("/messages/"):
                found = next((mail for mail in self.mails if mail["id"] == path.removeprefix("/messages/")), None)
                return web.json_response(found) if found else _error(404, "NOT_FOUND", "notFound")
        return _error(404, "NOT_FOUND", "notFound")

    def _modify(self, name: str, body: dict[str, Any]) -> web.Response:
        mail = next((mail for mail in self.mails if mail["id"] == name), None)
        if mail is None:
            return _error(404, "NOT_FOUND", "notFound")
        kept = [label for label in mail["labelIds"] if label not in body["removeLabelIds"]]
        mail["labelIds"] = [*kept, *(label for label in body["addLabelIds"] if label not in kept)]
        return web.json_response({"id": name, "threadId": mail["threadId"], "labelIds": mail["labelIds"]})

    def _list(self, request: web.Request) -> web.Response:
        query, most = request.query.get("q", ""), min(int(request.query["maxResults"]), self.page)
        found = [mail for mail in self.mails if all(_fits(mail, term) for term in query.split())]
        start = int(request.query.get("pageToken") or 0)
        page = found[start : start + most]
        body: dict[str, Any] = {"resultSizeEstimate": len(found)}
        if page:
            body["messages"] = [{"id": mail["id"], "threadId": mail["threadId"]} for mail in page]
        if start + most < len(found):
            body["nextPageToken"] = str(start + most)
        return web.json_response(body)

    async def _take(self, body: dict[str, Any], label: str) -> web.Response:
        mail = email.message_from_bytes(base64.urlsafe_b64decode(body["raw"]), policy=default)
        if label == "SENT" and not (mail["To"] or mail["Cc"] or mail["Bcc"]):
            return _error(400, "INVALID_ARGUMENT", "invalidArgument")
        headers = [{"name": name, "value": str(value)} for name, value in mail.items()]
        if label == "SENT":
            for header in headers:
                if header["name"] == "Message-ID":
                    header["name"] = "X-Google-Original-Message-ID"
            headers.append({"name": "Message-ID", "value": f"<CA{next(self.numbers)}@mail.gmail.com>"})
        text = mail.get_content()
        data = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        name = self.add({"mimeType": "text/plain", "headers": headers, "body": {"data": data}}, label)
        if "threadId" in body:
            self.mails[0]["threadId"] = body["threadId"]
        if self.before_answering is not None:
            await self.before_answering()
        made = {"id": name, "threadId": self.mails[0]["threadId"], "labelIds": [label]}
        return web.json_response(made if label == "SENT" else {"id": f"r-{name}", "message": made})


def part(text: str, kind: str = "text/plain", **headers: str) -> dict[str, Any]:
    """A payload with one body."""
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]
    data = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return {"mimeType": kind, "filename": "", "headers": named, "body": {"data": data, "size": len(text)}}


def _fits(mail: dict[str, Any], term: str) -> bool:
    kind, _, value = term.partition(":")
    headers = {header["name"]: header["value"] for header in mail["payload"].get("headers", [])}
    match kind:
        case "in":
            return {"sent": "SENT", "drafts": "DRAFT", "inbox": "INBOX"}[value] in mail["labelIds"]
        case "rfc822msgid":
            return str(headers.get("Message-ID", "")).strip("<>") == value
        case "after":
            return True
    return term.casefold() in str(headers.get("Subject", "")).casefold()


def _error(status: int, kind: str, reason: str) -> web.Response:
    said = {"code": status, "message": "internal detail", "status": kind, "errors": [{"reason": reason}]}
    return web.json_response({"error": said}, status=status)


@asynccontextmanager
async def running_gmail() -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    async with serving(mailbox.answer) as mailbox.url:
        yield mailbox
