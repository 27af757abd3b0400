"""What an agent may do in somebody's Gmail: search and read; with approval draft, send and label (``gmail_writes``)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.messages import Json, JsonObject, ToolSpec
from integrations.tools.base import BadAnswer, ReadTool, Tool, ToolLimits, Use, parameters
from integrations.tools.gmail_mail import HTML_CHARACTERS_MAX, OTHERS, SERVICE, Mail, read_mail
from integrations.tools.rest import Rest

API = "https://gmail.googleapis.com"
CONNECTION = "gmail"
LIMITS = ToolLimits(timeout_s=30.0, result_bytes_max=64_000)
FOUND_MAX = 50
PAGE = 25
THREAD_MAX = 50
AT_ONCE_MAX = 5
"""Gmail counts what is asked per person and second."""
PAGES_MAX = 20
LISTED_HEADERS = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "References",
    "X-CarPool-Use",
    "X-Google-Original-Message-ID",
)

ID: JsonObject = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
QUERY: JsonObject = {"type": "string", "minLength": 1, "maxLength": 500}


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Of whoever the token of a use is of. Raises ``ToolError``."""

    rest: Rest

    @asynccontextmanager
    async def together(self) -> "AsyncIterator[Mailbox]":
        """For what takes several calls."""
        async with self.rest.together() as rest:
            yield Mailbox(rest)

    async def mail(self, token: str, name: str, *, headers_only: bool = False) -> Mail:
        query = "format=metadata" + "".join(f"&metadataHeaders={header}" for header in LISTED_HEADERS)
        path = f"/gmail/v1/users/me/messages/{name}?{query if headers_only else 'format=full'}"
        return read_mail(await self.rest.get(path, token))

    async def find(self, token: str, query: str, most: int) -> tuple[list[str], bool]:
        """The ids of the newest, across pages, and whether there are more."""
        found: list[str] = []
        page = ""
        for _ in range(PAGES_MAX):
            asked: dict[str, str | int] = {"q": query, "maxResults": min(most + 1, 100)}
            answer = await self.rest.get(
                "/gmail/v1/users/me/messages", token, asked | ({"pageToken": page} if page else {})
            )
            found += [_id(item) for item in items(answer, "messages")]
            following = answer.get("nextPageToken")
            page = following if isinstance(following, str) else ""
            if not page or len(found) > most:
                break
        return found[:most], len(found) > most or bool(page)

    async def heads(self, token: str, names: list[str]) -> list[Mail]:
        """Of several at once, a few at a time, in order."""
        slots = asyncio.Semaphore(AT_ONCE_MAX)

        async def head(name: str) -> Mail:
            async with slots:
                return await self.mail(token, name, headers_only=True)

        tasks = [asyncio.create_task(head(name)) for name in names]
        try:
            return list(await asyncio.gather(*tasks))
        finally:  # where one failed, nobody waits for the others
            for task in tasks:
                task.cancel()

    async def labels(self, token: str) -> dict[str, str]:
        """The ids of the labels, by their names."""
        answer = await self.rest.get("/gmail/v1/users/me/labels", token)
        found: dict[str, str] = {}
        for label in items(answer, "labels"):
            name = label.get("name") if isinstance(label, Mapping) else None
            if not isinstance(name, str):
                raise unexpected("a label without a name")
            found[name] = _id(label)
        return found


def gmail_tools(url: str = API, timeout_s: float = 15.0) -> Mapping[str, Tool]:
    """By name. None holds credentials: each is used with what the asker connected."""
    from integrations.tools.gmail_writes import writing_tools

    mailbox = Mailbox(Rest(SERVICE, url, timeout_s))
    return {tool.spec.name: tool for tool in (*_reading_tools(mailbox), *writing_tools(mailbox))}


def _reading_tools(mailbox: Mailbox) -> list[Tool]:
    async def search(use: Use) -> str:
        most = min(use.number("most", PAGE), FOUND_MAX)
        async with mailbox.together() as opened:
            names, more = await opened.find(use.token, use.text("query"), most)
            lines = [mail.line for mail in await opened.heads(use.token, names)]
        return _listed([OTHERS, *lines], more) if lines else "Nothing was found."

    async def read(use: Use) -> str:
        mail = await mailbox.mail(use.token, use.text("id"))
        # It takes a moment where a mail is long, in which nobody else is to wait.
        return f"{OTHERS}\n\n{await asyncio.to_thread(mail.shown)}"

    async def thread(use: Use) -> str:
        answer = await mailbox.rest.get(f"/gmail/v1/users/me/threads/{use.text('id')}?format=full", use.token)
        mails = [read_mail(item) for item in items(answer, "messages")]
        shown = await asyncio.to_thread(_shown, mails[-THREAD_MAX:])
        left = len(mails) - THREAD_MAX
        older = f"[{left} older mails of this thread are left out.]\n\n" if left > 0 else ""
        return f"{OTHERS}\n\n{older}{shown or 'There is no mail in it.'}"

    async def labels(use: Use) -> str:
        return "\n".join(sorted(await mailbox.labels(use.token))) or "There are no labels."

    most: JsonObject = {"type": "integer", "minimum": 1, "maximum": FOUND_MAX}
    about = (
        (
            "gmail_search",
            "Searches the person's mails in Gmail's own query language, the newest first.",
            parameters({"query": QUERY, "most": most}, ("query",)),
            search,
        ),
        ("gmail_read", "Reads one mail.", parameters({"id": ID}, ("id",)), read),
        ("gmail_thread", "Reads a thread of mails.", parameters({"id": ID}, ("id",)), thread),
        ("gmail_labels", "Lists the labels of the person's mailbox.", parameters({}), labels),
    )
    return [
        ReadTool(ToolSpec(name, what, takes, "read"), work, LIMITS, CONNECTION) for name, what, takes, work in about
    ]


def _shown(mails: Sequence[Mail]) -> str:
    share = HTML_CHARACTERS_MAX // max(1, len(mails))
    return "\n\n---\n\n".join(mail.shown(share) for mail in mails)


def items(answer: JsonObject, name: str) -> list[Json]:
    """A list, which Gmail leaves out where it is empty."""
    found = answer.get(name, [])
    if not isinstance(found, list):
        raise unexpected(f"{name} is no list")
    return found


def unexpected(what: str) -> BadAnswer:
    return BadAnswer(f"{SERVICE}: {what}", "{0} gave an answer that was not expected.", SERVICE)


def _id(item: Json) -> str:
    found = item.get("id") if isinstance(item, Mapping) else None
    # It goes into an address.
    if not isinstance(found, str) or not found.replace("-", "").replace("_", "").isalnum() or not found.isascii():
        raise unexpected("no usable id")
    return found


def _listed(lines: list[str], more: bool) -> str:
    return "\n".join([*lines, *(["[There are more than these.]"] if more else [])])
