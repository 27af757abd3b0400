"""The encoding of Anthropic's Messages API. Pure functions.

Source: Anthropic's API reference, "Messages", "Streaming", "Extended thinking", "Prompt caching", "Structured outputs".
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from adapters.base import ChatRequest
from adapters.errors import BadReply, Refused, Unavailable
from adapters.messages import (
    File,
    Finished,
    FinishReason,
    Image,
    JsonObject,
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
from adapters.openai_wire import Wire, own_state, text_of, whole_call

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def encode_request(request: ChatRequest, provider: ProviderName, thinking: JsonObject | None) -> Wire:
    """Raises ``Refused`` for a file or an image of a kind that it does not take."""
    system = "\n\n".join(message.text for message in request.messages if message.role == "system")
    body: Wire = {
        "model": request.model,
        "max_tokens": request.max_output_tokens,
        "messages": encode_messages(request.messages, provider),
        # The question goes into the cache up to its end: the next one of the conversation begins with the same.
        "cache_control": {"type": "ephemeral"},
        "stream": True,
    }
    if system:
        body["system"] = system
    if request.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
    if request.response_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": request.response_schema}}
    if request.effort is not None:
        body["output_config"] = {**body.get("output_config", {}), "effort": request.effort}
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    if thinking is not None:
        body["thinking"] = thinking
    return body


def encode_messages(messages: Sequence[Message], provider: ProviderName) -> list[Wire]:
    """Results of tools are the user's in this encoding. An empty text is refused by the provider, and so left out."""
    encoded: list[Wire] = []
    for message in messages:
        if message.role == "system":
            continue
        state = own_state(message, provider)
        content = json.loads(state) if state is not None else list(_encode_parts(message))
        if content:
            encoded.append({"role": "assistant" if message.role == "assistant" else "user", "content": content})
    return encoded


def _encode_parts(message: Message) -> Iterator[Wire]:
    for part in message.parts:
        match part:
            case Text(text):
                if text:
                    yield {"type": "text", "text": text}
            case Image(media_type, data):
                if media_type not in IMAGE_TYPES:
                    raise Refused(f"Anthropic takes no image of the type {media_type}")
                yield {"type": "image", "source": _base64(media_type, data)}
            case File(name, media_type, data):
                yield {"type": "document", "title": name, "source": _document(media_type, data)}
            case ToolCall(id, name, arguments):
                yield {"type": "tool_use", "id": id, "name": name, "input": arguments}
            case ToolResult(call_id, result, failed):
                yield {"type": "tool_result", "tool_use_id": call_id, "content": result, "is_error": failed}
            case ProviderState():
                pass
            case _:
                assert_never(part)


def _base64(media_type: str, data: bytes) -> Wire:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}


def _document(media_type: str, data: bytes) -> Wire:
    if media_type == "application/pdf":
        return _base64(media_type, data)
    try:
        if media_type.startswith("text/"):
            return {"type": "text", "media_type": "text/plain", "data": data.decode()}
    except UnicodeDecodeError as error:
        raise Refused("Anthropic takes text as UTF-8 only") from error
    raise Refused(f"Anthropic takes PDF and text, and no file of the type {media_type}")


@dataclass(slots=True)
class MessageDecoder:
    """Folds the events of one stream into ours. Where the model thought, the whole answer is kept as ``ProviderState``, as it
    was written: its signatures hold for thinking that is unchanged and in its place."""

    provider: ProviderName
    spoke: bool = False
    _begun: bool = False
    _blocks: dict[int, Wire] = field(default_factory=dict)
    _arguments: dict[int, list[str]] = field(default_factory=dict)
    _usage: dict[str, Any] = field(default_factory=dict)
    _reason: FinishReason | None = None

    def decode(self, chunk: Wire) -> Iterator[ReplyEvent]:
        """Raises ``BadReply`` for what is no event."""
        self._begun = True
        try:
            yield from self._decode(chunk)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise BadReply(f"an event that cannot be read: {type(error).__name__}") from error

    def _decode(self, event: Wire) -> Iterator[ReplyEvent]:
        match event["type"]:
            case "message_start":
                self._usage |= event["message"].get("usage") or {}
            case "content_block_start":
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                self.spoke = True
                yield from self._take(event["index"], event["delta"])
            case "message_delta":
                # Counts here are of the whole answer so far; one that is missing stands as it was.
                counted = event.get("usage") or {}
                self._usage |= {name: value for name, value in counted.items() if value is not None}
                if reason := event["delta"].get("stop_reason"):
                    self._reason = decode_reason(reason)

    def _take(self, index: int, delta: Wire) -> Iterator[ReplyEvent]:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                block["text"] = block.get("text", "") + text_of(delta["text"])
                if delta["text"]:
                    yield TextDelta(delta["text"])
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + text_of(delta["thinking"])
                if delta["thinking"]:
                    yield ReasoningDelta(delta["thinking"])
            case "signature_delta":
                block["signature"] = block.get("signature", "") + text_of(delta["signature"])
            case "input_json_delta":
                self._arguments.setdefault(index, []).append(text_of(delta["partial_json"]))

    def end(self) -> Iterator[ReplyEvent]:
        """What is due when the stream has ended. Raises ``Unavailable`` where that was too early, and ``BadReply``.

        A tool call in an answer that was cut short by length or filter is dropped: it may not be whole.
        """
        match self._reason:
            case None if not self._begun:
                raise BadReply("an answer without a single event")
            case None:
                raise Unavailable("the stream was cut: it ended without a stop reason")
            case "length" | "filtered":
                yield Finished(self._reason, decode_usage(self._usage))
            case "stop" | "tool_calls":
                yield from self._whole()
            case _:
                assert_never(self._reason)

    def _whole(self) -> Iterator[ReplyEvent]:
        blocks = [self._finished(index, block) for index, block in sorted(self._blocks.items())]
        calls = [block for block in blocks if block["type"] == "tool_use"]
        for block in calls:
            yield whole_call(str(block.get("id") or ""), block.get("name"), json.dumps(block["input"]))
        if any(block["type"] in ("thinking", "redacted_thinking") for block in blocks):
            yield ProviderState(self.provider, json.dumps(blocks, ensure_ascii=False))
        yield Finished("tool_calls" if calls else "stop", decode_usage(self._usage))

    def _finished(self, index: int, block: Wire) -> Wire:
        if block["type"] != "tool_use":
            return block
        call = whole_call("", block.get("name"), "".join(self._arguments.get(index, ())) or None)
        return {"type": "tool_use", "id": block.get("id"), "name": call.name, "input": call.arguments}


def decode_reason(reason: object) -> FinishReason:
    """Raises ``ValueError`` for a reason that nobody has told us of. ``pause_turn`` comes of tools that we do not use."""
    match reason:
        case "end_turn" | "stop_sequence":
            return "stop"
        case "max_tokens" | "model_context_window_exceeded":
            return "length"
        case "tool_use":
            return "tool_calls"
        case "refusal":
            return "filtered"
        case _:
            raise ValueError("an unknown stop reason")


def decode_usage(usage: Mapping[str, Any]) -> Usage | None:
    """Anthropic counts what the cache had beside the input, and we count it among that."""
    if not usage:
        return None
    read, written = int(usage.get("cache_read_input_tokens") or 0), int(usage.get("cache_creation_input_tokens") or 0)
    return Usage(
        input=int(usage.get("input_tokens") or 0) + read + written,
        output=int(usage.get("output_tokens") or 0),
        cache_read=read,
        cache_write=written,
        reasoning=int((usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0),
    )
