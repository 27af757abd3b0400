"""A server of a few lines for what the emulator does not do: it sends the bytes that it is told to, over real sockets.

Written by hand from OpenAI's documentation: no evidence that OpenAI itself answers so.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class RawServer:
    """``reply`` is sent to each request, and then the connection stays open if ``holds``, and is closed if not."""

    url: str = ""
    reply: bytes = b""
    holds: bool = False
    bodies: list[dict[str, object]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def running_raw_server(reply: bytes, holds: bool = False) -> AsyncIterator[RawServer]:
    server = RawServer(reply=reply, holds=holds)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        _, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        server.heads.append(headers)
        length = int(headers["content-length"])
        server.bodies.append(json.loads(await reader.readexactly(length)))
        echo = headers["authorization"].removeprefix("Bearer ").encode()
        writer.write(server.reply.replace(b"{key}", echo))
        await writer.drain()
        if server.holds:
            await reader.read()
            server.client_left.set()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server


def http(status: int, body: bytes, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(status: int, code: str | None = None, message: str = "no", **headers: str) -> bytes:
    body = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
    return http(status, json.dumps(body).encode(), **headers)


def stream(*lines: bytes, whole: bool = True) -> bytes:
    """Server-sent events, chunked; without the last, empty chunk unless ``whole``."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    events = [b"data: " + line + b"\n\n" for line in lines]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + (b"0\r\n\r\n" if whole else b"")


def chunk(text: str | None = None, reason: str | None = None, **others: object) -> bytes:
    delta: Mapping[str, object] = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
    return json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": choices, **others}).encode()
