"""How each provider says the same thing over the wire, and how it is asked.

All of it was written by hand from the providers' documentation: no evidence that they themselves answer so.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from adapters.anthropic import AnthropicAdapter
from adapters.base import BaseAdapter
from adapters.blackroad_proprietary import BlackRoadAdapter
from adapters.google import GoogleAdapter
from adapters.huggingface import HuggingFaceAdapter
from adapters.messages import ProviderName, Usage
from adapters.openai import OpenAIAdapter
from adapters.xai import XAIAdapter
from tests.contract.adapters.raw_server import chunk, http, named_stream, stream

KEY = "sk-a-key-that-nobody-must-see"

HostedName = Literal["openai", "responses", "anthropic", "google", "xai", "huggingface", "blackroad"]
HOSTED: tuple[HostedName, ...] = ("openai", "responses", "anthropic", "google", "xai", "huggingface", "blackroad")

End = Literal["stop", "length", "filtered"]
Call = tuple[str, str, Mapping[str, object]]
Event = dict[str, Any]

USED = Usage(input=30, output=12, cache_read=20, cache_write=0, reasoning=5)
"""What each dialect's ``used`` counts, in its own way."""


class Dialect(Protocol):
    """Replies are whole HTTP responses. ``text`` is cut after its pieces where ``end`` is None."""

    def text(self, *pieces: str, end: End | None = "stop") -> bytes: ...

    def calls(self, *calls: Call) -> bytes: ...

    def reasoned(self, thought: str, text: str, *calls: Call) -> bytes: ...

    def used(self) -> bytes: ...

    def garbage(self) -> bytes: ...

    def failed_on_the_way(self) -> bytes: ...

    def error(self, status: int, headers: Mapping[str, str], message: str = "no") -> bytes: ...

    def too_long(self) -> bytes: ...

    def results_in(self, body: Any) -> list[tuple[str, str]]:
        """What tools answered, as it was sent: the call and the text."""
        ...

    def schema_in(self, body: Any) -> Any: ...

    def effort_in(self, body: Any) -> Any:
        """How much the model was asked to think, and by what it was asked to show that; None where it was not."""
        ...


class ChatCompletions:
    def text(self, *pieces: str, end: End | None = "stop") -> bytes:
        chunks = [chunk(piece) for piece in pieces]
        if end is None:
            return stream(*chunks, whole=False)
        reason = {"filtered": "content_filter"}.get(end, end)
        return stream(*chunks, chunk(reason=reason), b"[DONE]")

    def calls(self, *calls: Call) -> bytes:
        return self._reply((), calls)

    def reasoned(self, thought: str, text: str, *calls: Call) -> bytes:
        return self._reply(({"reasoning_content": thought}, {"content": text}), calls)

    def _reply(self, deltas: Sequence[Event], calls: Sequence[Call]) -> bytes:
        for index, (call, name, arguments) in enumerate(calls):
            written = json.dumps(arguments)
            first = {
                "index": index,
                "id": call,
                "type": "function",
                "function": {"name": name, "arguments": written[:3]},
            }
            rest = {"index": index, "function": {"arguments": written[3:]}}
            deltas = [*deltas, {"tool_calls": [first]}, {"tool_calls": [rest]}]
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        end = chunk(reason="tool_calls" if calls else "stop")
        return stream(*(json.dumps(one).encode() for one in chunks), end, b"[DONE]")

    def used(self) -> bytes:
        usage = {
            "prompt_tokens": 30,
            "completion_tokens": 12,
            "total_tokens": 42,
            "prompt_tokens_details": {"cached_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 5},
        }
        last = json.dumps({"choices": [], "usage": usage}).encode()
        return stream(chunk("a"), chunk(reason="stop"), last, b"[DONE]")

    def garbage(self) -> bytes:
        return stream(chunk("a"), b"{torn")

    def failed_on_the_way(self) -> bytes:
        return stream(chunk("a"), b'{"error": {"message": "no", "type": "server_error", "code": "server_error"}}')

    def error(self, status: int, headers: Mapping[str, str], message: str = "no") -> bytes:
        return _error(status, {"error": {"message": message, "type": "t", "param": None, "code": None}}, headers)

    def too_long(self) -> bytes:
        return _error(400, {"error": {"message": "no", "type": "t", "code": "context_length_exceeded"}}, {})

    def results_in(self, body: Any) -> list[tuple[str, str]]:
        return [(item["tool_call_id"], item["content"]) for item in body["messages"] if item["role"] == "tool"]

    def schema_in(self, body: Any) -> Any:
        return body["response_format"]["json_schema"]["schema"]

    def effort_in(self, body: Any) -> Any:
        return body.get("reasoning_effort")


class XAICompletions(ChatCompletions):
    """Reasoning is counted beside the answer."""

    def used(self) -> bytes:
        usage = {
            "prompt_tokens": 30,
            "completion_tokens": 7,
            "total_tokens": 42,
            "prompt_tokens_details": {"cached_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 5},
        }
        last = json.dumps({"choices": [], "usage": usage}).encode()
        return stream(chunk("a"), chunk(reason="stop"), last, b"[DONE]")


class HuggingFaceCompletions(ChatCompletions):
    """By a server's address the SDK writes a schema as TGI has it."""

    def schema_in(self, body: Any) -> Any:
        return body["response_format"]["value"]


class Responses:
    def text(self, *pieces: str, end: End | None = "stop") -> bytes:
        deltas = [_of_type("response.output_text.delta", delta=piece) for piece in pieces]
        if end is None:
            return named_stream(*deltas, whole=False)
        return named_stream(*deltas, self._message("".join(pieces)), self._end(end))

    def calls(self, *calls: Call) -> bytes:
        return named_stream(*self._calls(calls), self._end("stop"))

    def reasoned(self, thought: str, text: str, *calls: Call) -> bytes:
        item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
        return named_stream(
            _of_type("response.reasoning_summary_text.delta", delta=thought),
            _of_type("response.output_item.done", item=item),
            _of_type("response.output_text.delta", delta=text),
            self._message(text),
            *self._calls(calls),
            self._end("stop"),
        )

    def _message(self, text: str) -> Event:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        return _of_type("response.output_item.done", item=item)

    def _calls(self, calls: Sequence[Call]) -> list[Event]:
        events = []
        for call, name, arguments in calls:
            written = json.dumps(arguments)
            item = {"type": "function_call", "id": "fc_1", "call_id": call, "name": name, "arguments": written}
            events += [
                _of_type("response.function_call_arguments.delta", delta=written),
                _of_type("response.output_item.done", item=item),
            ]
        return events

    def _end(self, end: End, usage: Event | None = None) -> Event:
        if end == "stop":
            return _of_type("response.completed", response={"status": "completed", "usage": usage})
        reason = {"length": "max_output_tokens", "filtered": "content_filter"}[end]
        return _of_type("response.incomplete", response={"incomplete_details": {"reason": reason}, "usage": usage})

    def used(self) -> bytes:
        usage = {
            "input_tokens": 30,
            "output_tokens": 12,
            "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 5},
        }
        return named_stream(_of_type("response.output_text.delta", delta="a"), self._end("stop", usage))

    def garbage(self) -> bytes:
        return stream(b'{"type": "response.output_text.delta", "delta": "a"}', b"{torn")

    def failed_on_the_way(self) -> bytes:
        failed = {"status": "failed", "error": {"code": "server_error", "message": "no"}}
        return named_stream(
            _of_type("response.output_text.delta", delta="a"), _of_type("response.failed", response=failed)
        )

    def error(self, status: int, headers: Mapping[str, str], message: str = "no") -> bytes:
        return ChatCompletions().error(status, headers, message)

    def too_long(self) -> bytes:
        return ChatCompletions().too_long()

    def results_in(self, body: Any) -> list[tuple[str, str]]:
        return [
            (item["call_id"], item["output"]) for item in body["input"] if item.get("type") == "function_call_output"
        ]

    def schema_in(self, body: Any) -> Any:
        return body["text"]["format"]["schema"]

    def effort_in(self, body: Any) -> Any:
        asked = body.get("reasoning") or {"summary": None}
        return asked.get("effort") if asked["summary"] == "auto" else None


class AnthropicMessages:
    TYPES: Mapping[int, str] = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        503: "api_error",
        529: "overloaded_error",
    }

    def text(self, *pieces: str, end: End | None = "stop") -> bytes:
        block = self._block(0, {"type": "text", "text": ""}, *({"type": "text_delta", "text": p} for p in pieces))
        if end is None:
            return named_stream(self._begin(), *block, whole=False)
        reason = {"stop": "end_turn", "length": "max_tokens", "filtered": "refusal"}[end]
        return named_stream(self._begin(), *block, *self._end(reason))

    def calls(self, *calls: Call) -> bytes:
        return named_stream(self._begin(), *self._calls(calls, 0), *self._end("tool_use"))

    def reasoned(self, thought: str, text: str, *calls: Call) -> bytes:
        return named_stream(
            self._begin(),
            *self._block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": thought},
                {"type": "signature_delta", "signature": "sealed"},
            ),
            *self._block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": text}),
            *self._calls(calls, 2),
            *self._end("tool_use" if calls else "end_turn"),
        )

    def _begin(self, **usage: object) -> Event:
        return _of_type("message_start", message={"type": "message", "usage": usage})

    def _block(self, index: int, block: Event, *deltas: Event) -> list[Event]:
        return [
            _of_type("content_block_start", index=index, content_block=block),
            *(_of_type("content_block_delta", index=index, delta=delta) for delta in deltas),
            _of_type("content_block_stop", index=index),
        ]

    def _calls(self, calls: Sequence[Call], first: int) -> list[Event]:
        events = []
        for index, (call, name, arguments) in enumerate(calls, first):
            written = json.dumps(arguments)
            block = {"type": "tool_use", "id": call, "name": name, "input": {}}
            pieces = ({"type": "input_json_delta", "partial_json": piece} for piece in ("", written[:3], written[3:]))
            events += self._block(index, block, *pieces)
        return events

    def _end(self, reason: str, **usage: object) -> list[Event]:
        return [_of_type("message_delta", delta={"stop_reason": reason}, usage=usage), _of_type("message_stop")]

    def used(self) -> bytes:
        begin = self._begin(input_tokens=10, cache_read_input_tokens=20, cache_creation_input_tokens=0, output_tokens=1)
        end = self._end("end_turn", output_tokens=12, output_tokens_details={"thinking_tokens": 5})
        return named_stream(begin, _of_type("ping"), *end)

    def garbage(self) -> bytes:
        begin = f"event: message_start\ndata: {json.dumps(self._begin())}\n\n".encode()
        return http(200, begin + b"event: content_block_start\ndata: {torn\n\n", content_type="text/event-stream")

    def failed_on_the_way(self) -> bytes:
        return named_stream(
            self._begin(),
            *self._block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}),
            _of_type("error", error={"type": "overloaded_error", "message": "no"}),
        )

    def error(self, status: int, headers: Mapping[str, str], message: str = "no") -> bytes:
        error = {"type": self.TYPES.get(status, "api_error"), "message": message}
        return _error(status, {"type": "error", "error": error}, headers)

    def too_long(self) -> bytes:
        return self.error(400, {}, "prompt is too long: 200001 tokens > 200000 maximum")

    def results_in(self, body: Any) -> list[tuple[str, str]]:
        blocks = [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        return [(block["tool_use_id"], block["content"]) for block in blocks if block["type"] == "tool_result"]

    def schema_in(self, body: Any) -> Any:
        return body["output_config"]["format"]["schema"]

    def effort_in(self, body: Any) -> Any:
        shown = body.get("thinking") == {"type": "adaptive", "display": "summarized"}
        return body["output_config"]["effort"] if shown else None


class Gemini:
    STATUSES: Mapping[int, str] = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
    }

    def text(self, *pieces: str, end: End | None = "stop") -> bytes:
        chunks = [self._chunk({"text": piece}) for piece in pieces]
        if end is None:
            return stream(*chunks, whole=False)
        return stream(*chunks, self._chunk(reason={"stop": "STOP", "length": "MAX_TOKENS", "filtered": "SAFETY"}[end]))

    def calls(self, *calls: Call) -> bytes:
        return stream(self._chunk(*self._calls(calls)), self._chunk(reason="STOP"))

    def reasoned(self, thought: str, text: str, *calls: Call) -> bytes:
        sealed = [{**part, "thoughtSignature": "c2VhbGVk"} for part in self._calls(calls)]  # "sealed"
        return stream(
            self._chunk({"text": thought, "thought": True}),
            self._chunk({"text": text[:1]}),
            self._chunk({"text": text[1:]}),
            self._chunk(*sealed),
            self._chunk(reason="STOP"),
        )

    def _chunk(self, *parts: Event, reason: str | None = None, **others: object) -> bytes:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        return json.dumps({"candidates": [candidate | ({"finishReason": reason} if reason else {})], **others}).encode()

    def _calls(self, calls: Sequence[Call]) -> list[Event]:
        return [{"functionCall": {"id": call, "name": name, "args": arguments}} for call, name, arguments in calls]

    def used(self) -> bytes:
        usage = {
            "promptTokenCount": 30,
            "cachedContentTokenCount": 20,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 42,
        }
        return stream(self._chunk({"text": "a"}, reason="STOP", usageMetadata=usage))

    def garbage(self) -> bytes:
        return stream(self._chunk({"text": "a"}), b"{torn")

    def failed_on_the_way(self) -> bytes:
        error = {"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}}
        return stream(self._chunk({"text": "a"}), json.dumps(error).encode())

    def error(self, status: int, headers: Mapping[str, str], message: str = "no") -> bytes:
        error = {"code": status, "message": message, "status": self.STATUSES.get(status, "UNKNOWN")}
        return _error(status, {"error": error}, headers)

    def too_long(self) -> bytes:
        return self.error(
            400, {}, "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
        )

    def results_in(self, body: Any) -> list[tuple[str, str]]:
        parts = [part for content in body["contents"] for part in content["parts"]]
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        return [(answer["id"], *answer["response"].values()) for answer in answers]

    def schema_in(self, body: Any) -> Any:
        return body["generationConfig"]["responseJsonSchema"]

    def effort_in(self, body: Any) -> Any:
        # The SDK sends what is inside of it by its names in snake case, which JSON for protobuf takes as well.
        asked = body["generationConfig"].get("thinkingConfig") or {}
        return asked["thinking_level"].lower() if asked.get("include_thoughts") else None


@dataclass(frozen=True, slots=True)
class Hosted:
    """A provider as it is tried here. ``build`` is given the address of a server that stands for it, and so is ``build_asking``
    where a key is checked at another address than the one that answers."""

    dialect: Dialect
    build: Callable[[str], BaseAdapter]
    build_asking: Callable[[str], BaseAdapter] | None = None
    reads_files: bool = False
    seals_reasoning: bool = False


def hosted(name: HostedName, key: str = KEY, connect_s: float = 10.0) -> Hosted:
    provider = ProviderName("openai" if name == "responses" else name)
    match name:
        case "openai":
            return Hosted(
                ChatCompletions(), lambda url: OpenAIAdapter(provider, key, url, connect_s=connect_s), reads_files=True
            )
        case "responses":
            return Hosted(
                Responses(),
                lambda url: OpenAIAdapter(provider, key, url, api="responses", connect_s=connect_s),
                reads_files=True,
                seals_reasoning=True,
            )
        case "anthropic":
            return Hosted(
                AnthropicMessages(),
                lambda url: AnthropicAdapter(provider, key, url.removesuffix("/v1"), connect_s=connect_s),
                reads_files=True,
                seals_reasoning=True,
            )
        case "google":
            return Hosted(
                Gemini(),
                lambda url: GoogleAdapter(provider, key, url.removesuffix("/v1"), connect_s=connect_s),
                reads_files=True,
                seals_reasoning=True,
            )
        case "xai":
            return Hosted(XAICompletions(), lambda url: XAIAdapter(provider, key, url, connect_s=connect_s))
        case "huggingface":
            return Hosted(
                HuggingFaceCompletions(),
                lambda url: HuggingFaceAdapter(provider, key, url, connect_s=connect_s),
                lambda url: HuggingFaceAdapter(provider, key, hub_url=url, connect_s=connect_s),
            )
        case "blackroad":
            return Hosted(ChatCompletions(), lambda url: BlackRoadAdapter(provider, key, url, connect_s=connect_s))


def _of_type(type: str, **fields: object) -> Event:
    return {"type": type, **fields}


def _error(status: int, body: Event, headers: Mapping[str, str]) -> bytes:
    return http(status, json.dumps(body).encode(), **headers)
