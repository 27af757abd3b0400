"""A server of a few lines for what the emulator does not do: it sends the bytes that it is told to, over real sockets.

What it sends is written by hand from the providers' documentation: no evidence that they themselves answer so.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast


@dataclass(slots=True)
class RawServer:
    """``reply`` is sent to each request. Then the connection takes the next one if ``keeps``, stays open with nothing said if
    ``holds``, and is closed if neither."""

    url: str = ""
    reply: bytes = b""
    holds: bool = False
    keeps: bool = False
    connections: int = 0
    bodies: list[dict[str, object]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def running_raw_server(reply: bytes, holds: bool = False, keeps: bool = False) -> AsyncIterator[RawServer]:
    server = RawServer(reply=reply, holds=holds, keeps=keeps)
    serving: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        serving[writer] = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            await answer(reader, writer)
            while server.keeps:
                await answer(reader, writer)
            if server.holds:
                await reader.read()
                server.client_left.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            server.client_left.set()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        _, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        server.heads.append(headers)
        if "content-length" in headers:
            server.bodies.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        key = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-goog-api-key", "")
        writer.write(server.reply.replace(b"{key}", key.encode()))
        await writer.drain()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server
    for writer in serving:
        writer.close()
    await asyncio.gather(*serving.values())


def http(status: int, body: bytes, **headers: str) -> bytes:
    headers = {"content_type": "application/json", **headers}
    lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(status: int, code: str | None = None, message: str = "no", **headers: str) -> bytes:
    body = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
    return http(status, json.dumps(body).encode(), **headers)


def stream(*lines: bytes, whole: bool = True) -> bytes:
    """Server-sent events of these data, chunked; without the last, empty chunk unless ``whole``."""
    return sent(*(b"data: " + line + b"\n\n" for line in lines), whole=whole)


def named_stream(*events: Mapping[str, object], whole: bool = True) -> bytes:
    """The same, where each event is named by its own type, as Anthropic and Responses do."""
    return sent(*(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events), whole=whole)


def sent(*events: bytes, whole: bool = True) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + (b"0\r\n\r\n" if whole else b"")


def chunk(text: str | None = None, reason: str | None = None, **others: object) -> bytes:
    delta: Mapping[str, object] = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
    return json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": choices, **others}).encode()
