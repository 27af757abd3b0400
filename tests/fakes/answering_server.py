"""An HTTP server on loopback that answers what it is told to, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.fakes.serving import serving

ASKED_S_MAX = 60


@dataclass(slots=True)
class Answers:
    """``by_path`` is looked at by path and query, then by path; everything else is ``status`` and ``body``."""

    status: int = 200
    body: str = "{}"
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    by_path: dict[str, tuple[int, str, Mapping[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    """What each request had as its authorization."""
    hang: bool = False
    url: str = ""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_asked(self, count: int = 1) -> None:
        """Wait until it was asked so often."""
        async with asyncio.timeout(ASKED_S_MAX), self.changed:
            await self.changed.wait_for(lambda: len(self.asked) >= count)


@asynccontextmanager
async def answering() -> AsyncIterator[Answers]:
    answers, over = Answers(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        answers.asked.append(f"{request.method} {request.path_qs}")
        answers.tokens.append(request.headers.get("Authorization", ""))
        async with answers.changed:
            answers.changed.notify_all()
        if answers.hang:
            await over.wait()
        told = answers.by_path.get(request.path_qs) or answers.by_path.get(request.path)
        status, body, headers = told or (answers.status, answers.body, answers.headers)
        headers = {"Content-Type": answers.content_type, **headers}
        return web.Response(status=status, body=body.encode(), headers=headers)

    async with serving(answer) as answers.url:
        try:
            yield answers
        finally:
            over.set()
