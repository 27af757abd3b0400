"""The chat-completions encoding that OpenAI and compatible servers share. Pure functions.

Source: the OpenAI API reference, "Create chat completion" and its streaming chunks.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from adapters.errors import BadReply, Unavailable
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
    ToolCallId,
    ToolResult,
    ToolSpec,
    Usage,
)

Wire = dict[str, Any]
"""JSON of the provider's: its shape is checked where it is read."""


def encode_messages(messages: Sequence[Message]) -> list[Wire]:
    """A tool's results become messages of their own. Another provider's state is dropped: this encoding has none."""
    return [wire for message in messages for wire in _encode_message(message)]


def _encode_message(message: Message) -> Iterator[Wire]:
    content: list[Wire] = []
    calls: list[Wire] = []
    for part in message.parts:
        match part:
            case Text(text):
                content.append({"type": "text", "text": text})
            case Image(media_type, data):
                url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
                content.append({"type": "image_url", "image_url": {"url": url}})
            case File(name, media_type, data):
                url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
                content.append({"type": "file", "file": {"filename": name, "file_data": url}})
            case ToolCall(id, name, arguments):
                function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
                calls.append({"id": id, "type": "function", "function": function})
            case ToolResult(call_id, text):
                yield {"role": "tool", "tool_call_id": call_id, "content": text}
            case ProviderState():
                pass
            case _:
                assert_never(part)
    if not content and not calls:
        return
    # Plain text goes as a string: many compatible servers take no list.
    plain = all(item["type"] == "text" for item in content)
    wire: Wire = {
        "role": message.role,
        "content": ("".join(item["text"] for item in content) or None) if plain else content,
    }
    if calls:
        wire["tool_calls"] = calls
    elif wire["content"] is None:
        wire["content"] = ""
    yield wire


def encode_tools(tools: Sequence[ToolSpec]) -> list[Wire]:
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def encode_schema(schema: JsonObject) -> Wire:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ChunkDecoder:
    """Folds the chunks of one stream into events. Tool calls come in fragments, and go out whole."""

    _calls: dict[int, _Call] = field(default_factory=dict)
    _reason: FinishReason | None = None
    _usage: Usage | None = None
    _begun: bool = False
    spoke: bool = False

    def decode(self, chunk: Mapping[str, Any]) -> Iterator[ReplyEvent]:
        """Raises ``BadReply`` for what is no chunk."""
        self._begun = True
        try:
            if chunk.get("usage"):
                self._usage = decode_usage(chunk["usage"])
            for choice in chunk.get("choices") or ():
                yield from self._decode_choice(choice)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise BadReply(f"a chunk that cannot be read: {type(error).__name__}") from error

    def _decode_choice(self, choice: Mapping[str, Any]) -> Iterator[ReplyEvent]:
        delta = choice.get("delta") or {}
        if reasoning := delta.get("reasoning_content") or delta.get("reasoning"):
            self.spoke = True
            yield ReasoningDelta(text_of(reasoning))
        if text := delta.get("content") or delta.get("refusal"):
            self.spoke = True
            yield TextDelta(text_of(text))
        for fragment in delta.get("tool_calls") or ():
            self.spoke = True
            self._take_fragment(fragment)
        if reason := choice.get("finish_reason"):
            self._reason = decode_reason(reason)

    def _take_fragment(self, fragment: Mapping[str, Any]) -> None:
        index = fragment.get("index")
        # Some servers give no index: they send each call whole.
        call = self._calls.setdefault(len(self._calls) if index is None else int(index), _Call())
        function = fragment.get("function") or {}
        call.id = call.id or text_of(fragment.get("id") or "")
        call.name = call.name or text_of(function.get("name") or "")
        call.arguments.append(text_of(function.get("arguments") or ""))

    def end(self) -> Iterator[ReplyEvent]:
        """What is due when the stream has ended.

        Raises ``Unavailable`` where it ended without a reason to finish, and ``BadReply`` where it had no chunk at all (a
        body that is no stream) or a tool call cannot be read.
        A tool call in an answer that was cut short by length or filter is dropped: it may not be whole.
        """
        match self._reason:
            case None if not self._begun:
                raise BadReply("an answer without a single chunk")
            case None:
                raise Unavailable("the stream was cut: it ended without a finish reason")
            case "length" | "filtered":
                yield Finished(self._reason, self._usage)
            case "stop" | "tool_calls":
                for index, call in sorted(self._calls.items()):
                    yield whole_call(call.id or f"call_{index}", call.name, "".join(call.arguments))
                # Some servers say "stop" where they ask for tools, and the other way round.
                yield Finished("tool_calls" if self._calls else "stop", self._usage)
            case _:
                assert_never(self._reason)


def whole_call(id: str, name: object, arguments: object) -> ToolCall:
    """Raises ``BadReply`` for what cannot be carried out."""
    if not isinstance(name, str) or not name:
        raise BadReply("a tool call without a name")
    try:
        parsed = json.loads(text_of(arguments or "{}"))
    except (ValueError, TypeError) as error:
        raise BadReply("a tool call whose arguments are not JSON") from error
    if not isinstance(parsed, dict):
        raise BadReply("a tool call whose arguments are not a JSON object")
    return ToolCall(ToolCallId(id), name, parsed)


def own_state(message: Message, provider: ProviderName) -> str | None:
    """What this provider wrote as its whole answer, where it is to have that back in place of the other parts."""
    states = [part for part in message.parts if isinstance(part, ProviderState) and part.provider == provider]
    return states[-1].payload if states else None


def text_of(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def decode_reason(reason: object) -> FinishReason:
    """Raises ``ValueError`` for a reason that nobody has told us of."""
    match reason:
        case "stop" | "length" | "tool_calls":
            return reason
        case "eos" | "eos_token" | "stop_sequence":  # Hugging Face's servers
            return "stop"
        case "function_call":
            return "tool_calls"
        case "content_filter":
            return "filtered"
        case _:
            raise ValueError("an unknown finish reason")


def decode_usage(usage: Mapping[str, Any]) -> Usage:
    """xAI counts reasoning beside the answer's tokens, and not among them: its total tells."""
    read = usage.get("prompt_tokens_details") or {}
    written = usage.get("completion_tokens_details") or {}
    asked, output = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    reasoning = int(written.get("reasoning_tokens") or 0)
    if reasoning and usage.get("total_tokens") == asked + output + reasoning:
        output += reasoning
    return Usage(
        input=asked,
        output=output,
        cache_read=int(read.get("cached_tokens") or 0),
        cache_write=int(read.get("cache_write_tokens") or 0),
        reasoning=reasoning,
    )
