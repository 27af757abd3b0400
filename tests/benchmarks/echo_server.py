"""A server with the interfaces of OpenAI, Anthropic and Google that answers at once, in a process of its own. Prints its port.

Where a stream is asked for, the answer comes in pieces, all of them in one write. From the model ``held`` comes the first piece
alone, and nothing more until the caller leaves.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from tests.benchmarks.calling import HELD, PIECES

REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "echo",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
USED = len(PIECES)


def completions() -> Iterator[bytes]:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "echo"}

    def chunk(delta: Mapping[str, str], reason: str | None = None) -> bytes:
        return _data({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    for piece in PIECES:
        yield chunk({"role": "assistant", "content": piece})
    yield chunk({}, "stop")
    usage = {"prompt_tokens": 10, "completion_tokens": USED, "total_tokens": 10 + USED}
    yield _data({**base, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def responses() -> Iterator[bytes]:
    response = {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "echo",
        "status": "in_progress",
        "output": [],
    }
    yield _event({"type": "response.created", "sequence_number": 0, "response": response})
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    for number, piece in enumerate(PIECES, 1):
        yield _event({"type": "response.output_text.delta", "sequence_number": number, "delta": piece, **place})
    content = [{"type": "output_text", "text": "".join(PIECES), "annotations": []}]
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    number = len(PIECES) + 1
    yield _event({"type": "response.output_item.done", "sequence_number": number, "output_index": 0, "item": item})
    usage = {
        "input_tokens": 10,
        "output_tokens": USED,
        "total_tokens": 10 + USED,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    whole = {**response, "status": "completed", "output": [item], "usage": usage}
    yield _event({"type": "response.completed", "sequence_number": number + 1, "response": whole})


def messages() -> Iterator[bytes]:
    message: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "echo", "content": []}
    begun = {**message, "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    yield _event({"type": "message_start", "message": begun})
    yield _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for piece in PIECES:
        yield _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    yield _event({"type": "content_block_stop", "index": 0})
    stopped = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": stopped, "usage": {"output_tokens": USED}})
    yield _event({"type": "message_stop"})


def gemini() -> Iterator[bytes]:
    for number, piece in enumerate(PIECES, 1):
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0}
        if number == len(PIECES):
            candidate["finishReason"] = "STOP"
        usage = {"promptTokenCount": 10, "candidatesTokenCount": number, "totalTokenCount": 10 + number}
        yield _data({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "echo"})


def _data(chunk: object) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _event(event: Mapping[str, object]) -> bytes:
    return f"event: {event['type']}\n".encode() + _data(event)


STREAMS: Mapping[str, tuple[bytes, ...]] = {
    "/v1/chat/completions": tuple(completions()),
    "/v1/responses": tuple(responses()),
    "/v1/messages": tuple(messages()),
}
GEMINI = tuple(gemini())


async def answer(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    if not asked.get("stream"):
        return web.json_response(REPLY)
    return await stream(request, STREAMS[request.path], held=asked["model"] == HELD)


async def answer_gemini(request: web.Request) -> web.StreamResponse:
    await request.read()
    return await stream(request, GEMINI, held=request.match_info["model"].startswith(HELD))


async def stream(request: web.Request, pieces: tuple[bytes, ...], *, held: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    if held:
        # Whatever comes before the first word: it is within the first three events of each interface.
        await response.write(b"".join(pieces[:3]))
        await asyncio.Event().wait()  # cancelled when the caller leaves
    await response.write(b"".join(pieces))
    return response


async def main() -> None:
    app = web.Application()
    for path in STREAMS:
        app.router.add_post(path, answer)
    app.router.add_post("/v1beta/models/{model}", answer_gemini)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
