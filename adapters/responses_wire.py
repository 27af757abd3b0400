"""The encoding of OpenAI's Responses API. Pure functions.

Source: the OpenAI API reference, "Create a model response" and its streaming events. Nothing is kept at the provider
(``store`` false): the conversation goes with each question, and reasoning comes back to it encrypted, as part of that.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from adapters.base import ChatRequest
from adapters.errors import BadReply, Unavailable
from adapters.messages import (
    File,
    Finished,
    FinishReason,
    Image,
    Message,
    ProviderName,
    ProviderState,
    ReasoningDelta,
    ReplyEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)
from adapters.openai_errors import of_code
from adapters.openai_wire import Wire, own_state, text_of, whole_call


def encode_request(request: ChatRequest, provider: ProviderName) -> Wire:
    body: Wire = {
        "model": request.model,
        "input": encode_input(request.messages, provider),
        "max_output_tokens": request.max_output_tokens,
        "store": False,
        "stream": True,
    }
    if request.tools:
        # Not strict: that allows a part of JSON Schema only, and makes each argument a required one.
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": False,
            }
            for tool in request.tools
        ]
    if request.response_schema is not None:
        wanted = {"type": "json_schema", "name": "answer", "strict": True, "schema": request.response_schema}
        body["text"] = {"format": wanted}
    if request.effort is not None:
        body["reasoning"] = {"effort": request.effort, "summary": "auto"}
    return body


def encode_input(messages: Sequence[Message], provider: ProviderName) -> list[Wire]:
    return [item for message in messages for item in _encode_message(message, provider)]


def _encode_message(message: Message, provider: ProviderName) -> Iterator[Wire]:
    if (state := own_state(message, provider)) is not None:
        yield from json.loads(state)
        return
    content: list[Wire] = []
    after: list[Wire] = []
    for part in message.parts:
        match part:
            case Text(text):
                content.append({"type": "output_text" if message.role == "assistant" else "input_text", "text": text})
            case Image(media_type, data):
                content.append({"type": "input_image", "detail": "auto", "image_url": _data_url(media_type, data)})
            case File(name, media_type, data):
                content.append({"type": "input_file", "filename": name, "file_data": _data_url(media_type, data)})
            case ToolCall(id, name, arguments):
                written = json.dumps(arguments, ensure_ascii=False)
                after.append({"type": "function_call", "call_id": id, "name": name, "arguments": written})
            case ToolResult(call_id, result):
                after.append({"type": "function_call_output", "call_id": call_id, "output": result})
            case ProviderState():
                pass
            case _:
                assert_never(part)
    if content:
        yield {"role": message.role, "content": content}
    yield from after


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@dataclass(slots=True)
class ResponseDecoder:
    """Folds the events of one stream into ours. Where the model reasoned, the whole answer is kept as ``ProviderState``, as
    it was written: reasoning has to go back in its place among the other items."""

    provider: ProviderName
    spoke: bool = False
    _begun: bool = False
    _items: list[Wire] = field(default_factory=list)
    _reason: FinishReason | None = None
    _usage: Usage | None = None

    def decode(self, chunk: Wire) -> Iterator[ReplyEvent]:
        """Raises ``BadReply`` for what is no event, and for a response that failed what its code stands for."""
        self._begun = True
        try:
            yield from self._decode(chunk)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise BadReply(f"an event that cannot be read: {type(error).__name__}") from error

    def _decode(self, event: Wire) -> Iterator[ReplyEvent]:
        match event["type"]:
            case "response.output_text.delta" | "response.refusal.delta":
                self.spoke = True
                if text := text_of(event["delta"]):
                    yield TextDelta(text)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self.spoke = True
                if text := text_of(event["delta"]):
                    yield ReasoningDelta(text)
            case "response.function_call_arguments.delta":
                self.spoke = True
            case "response.output_item.done":
                self._items.append(dict(event["item"]))
            case "response.completed":
                self._reason = "stop"
                self._usage = decode_usage(event["response"].get("usage"))
            case "response.incomplete":
                self._reason = _why_incomplete(event["response"])
                self._usage = decode_usage(event["response"].get("usage"))
            case "response.failed":
                _fail(event["response"].get("error") or {})
            case "error":
                _fail(event)

    def end(self) -> Iterator[ReplyEvent]:
        """What is due when the stream has ended. Raises ``Unavailable`` where that was too early, and ``BadReply``."""
        match self._reason:
            case None if not self._begun:
                raise BadReply("an answer without a single event")
            case None:
                raise Unavailable("the stream was cut: the response was not completed")
            case "stop":
                yield from self._whole()
            case _:
                yield Finished(self._reason, self._usage)

    def _whole(self) -> Iterator[ReplyEvent]:
        calls = [item for item in self._items if item.get("type") == "function_call"]
        for item in calls:
            yield whole_call(str(item.get("call_id") or ""), item.get("name"), item.get("arguments"))
        if any(item.get("type") == "reasoning" for item in self._items):
            yield ProviderState(self.provider, json.dumps(self._items, ensure_ascii=False))
        yield Finished("tool_calls" if calls else "stop", self._usage)


def _why_incomplete(response: Mapping[str, Any]) -> FinishReason:
    match (response.get("incomplete_details") or {}).get("reason"):
        case "max_output_tokens":
            return "length"
        case "content_filter":
            return "filtered"
        case _:
            raise ValueError("an unknown reason to be incomplete")


def _fail(error: Mapping[str, Any]) -> None:
    code = error.get("code")
    raise of_code(code, None) or Unavailable(f"the response failed: {code if code == 'server_error' else 'other'}")


def decode_usage(usage: Mapping[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    read = usage.get("input_tokens_details") or {}
    written = usage.get("output_tokens_details") or {}
    return Usage(
        input=int(usage.get("input_tokens") or 0),
        output=int(usage.get("output_tokens") or 0),
        cache_read=int(read.get("cached_tokens") or 0),
        cache_write=int(read.get("cache_write_tokens") or 0),
        reasoning=int(written.get("reasoning_tokens") or 0),
    )
