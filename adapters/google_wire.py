"""The encoding of Google's Gemini API. Pure functions.

Source: Google's API reference, "Generating content", "Function calling", "Thought signatures", "Structured outputs", and the
types of google-genai, whose names in snake case are used here.
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
    Usage,
)
from adapters.openai_wire import Wire, own_state, text_of

OUR_ID = "call-without-id-"
"""Before an id of ours, for a call that came without one: it is not sent back, since it was not theirs."""


def encode_contents(messages: Sequence[Message], provider: ProviderName) -> list[Wire]:
    """What a tool answered is the user's in this encoding, and names the tool: that is found in the call it answers."""
    names = {part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCall)}
    encoded: list[Wire] = []
    for message in messages:
        if message.role == "system":
            continue
        state = own_state(message, provider)
        parts = _decode_state(state) if state is not None else list(_encode_parts(message, names))
        if parts:
            encoded.append({"role": "model" if message.role == "assistant" else "user", "parts": parts})
    return encoded


def _encode_parts(message: Message, names: Mapping[ToolCallId, str]) -> Iterator[Wire]:
    for part in message.parts:
        match part:
            case Text(text):
                if text:
                    yield {"text": _utf8(text)}
            case Image(media_type, data) | File(media_type=media_type, data=data):
                yield {"inline_data": {"mime_type": media_type, "data": data}}
            case ToolCall(id, name, arguments):
                yield {"function_call": {**_their_id(id), "name": name, "args": dict(arguments)}}
            case ToolResult(call_id, result, failed):
                response = {"error" if failed else "output": _utf8(result)}
                name = names.get(call_id, "unknown")
                yield {"function_response": {**_their_id(call_id), "name": name, "response": response}}
            case ProviderState():
                pass
            case _:
                assert_never(part)


def _utf8(text: str) -> str:
    """The SDK would send half a pair of surrogates as an escape, which is no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused("the request has no UTF-8 form") from error
    return text


def _their_id(id: str) -> Wire:
    return {} if id.startswith(OUR_ID) else {"id": id}


def encode_config(request: ChatRequest) -> Wire:
    """What google-genai calls the config. It is to carry out no call and ask no second time by itself."""
    config: Wire = {
        "max_output_tokens": request.max_output_tokens,
        "automatic_function_calling": {"disable": True},
        "automatic_continuation": False,
    }
    if system := "\n\n".join(message.text for message in request.messages if message.role == "system"):
        config["system_instruction"] = _utf8(system)
    if request.tools:
        config["tools"] = [
            {
                "function_declarations": [
                    {"name": tool.name, "description": tool.description, "parameters_json_schema": tool.parameters}
                    for tool in request.tools
                ]
            }
        ]
    if request.response_schema is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": request.response_schema}
    if request.effort is not None:
        config["thinking_config"] = {"include_thoughts": True, "thinking_level": request.effort.upper()}
    return config


@dataclass(slots=True)
class GeminiDecoder:
    """Folds the chunks of one stream into events. Where a part is signed, the whole answer is kept as ``ProviderState``: a
    signature has to go back in the very part that it came in."""

    provider: ProviderName
    spoke: bool = False
    _begun: bool = False
    _parts: list[Wire] = field(default_factory=list)
    _calls: list[ToolCall] = field(default_factory=list)
    _reason: FinishReason | None = None
    _usage: Usage | None = None

    def decode(self, chunk: Wire) -> Iterator[ReplyEvent]:
        """Raises ``BadReply`` for what is no chunk, and for an answer that Google itself calls malformed."""
        self._begun = True
        try:
            if counted := chunk.get("usage_metadata"):
                self._usage = decode_usage(counted)
            if (chunk.get("prompt_feedback") or {}).get("block_reason"):
                self._reason = "filtered"
            for candidate in (chunk.get("candidates") or ())[:1]:
                for part in (candidate.get("content") or {}).get("parts") or ():
                    self.spoke = True
                    yield from self._take(part)
                if reason := candidate.get("finish_reason"):
                    self._reason = decode_reason(reason)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise BadReply(f"a chunk that cannot be read: {type(error).__name__}") from error

    def _take(self, part: Wire) -> Iterator[ReplyEvent]:
        self._keep(part)
        if call := part.get("function_call"):
            call_id = ToolCallId(call.get("id") or f"{OUR_ID}{len(self._calls)}")
            self._calls.append(ToolCall(call_id, text_of(call["name"]), call.get("args") or {}))
        elif text := part.get("text"):
            yield ReasoningDelta(text_of(text)) if part.get("thought") else TextDelta(text_of(text))

    def _keep(self, part: Wire) -> None:
        """A summary of thoughts need not go back unless it is signed; pieces of plain text become one."""
        last = self._parts[-1] if self._parts else {}
        if part.get("thought") and not part.get("thought_signature"):
            return
        if part.keys() == last.keys() == {"text"}:
            last["text"] += part["text"]
        else:
            self._parts.append(dict(part))

    def end(self) -> Iterator[ReplyEvent]:
        """What is due when the stream has ended. Raises ``Unavailable`` where that was too early, and ``BadReply``."""
        match self._reason:
            case None if not self._begun:
                raise BadReply("an answer without a single chunk")
            case None:
                raise Unavailable("the stream was cut: it ended without a finish reason")
            case "stop" | "tool_calls":
                yield from self._calls
                if any(part.get("thought_signature") for part in self._parts):
                    yield ProviderState(self.provider, _encode_state(self._parts))
                yield Finished("tool_calls" if self._calls else "stop", self._usage)
            case _:
                yield Finished(self._reason, self._usage)


def _encode_state(parts: Sequence[Wire]) -> str:
    """Signatures are bytes, and JSON has none."""
    return json.dumps(
        [
            {**part, "thought_signature": base64.b64encode(part["thought_signature"]).decode()}
            if part.get("thought_signature")
            else part
            for part in parts
        ],
        ensure_ascii=False,
    )


def _decode_state(payload: str) -> list[Wire]:
    return [
        {**part, "thought_signature": base64.b64decode(part["thought_signature"])}
        if "thought_signature" in part
        else part
        for part in json.loads(payload)
    ]


def decode_reason(reason: object) -> FinishReason:
    """Raises ``ValueError`` for a malformed answer, and for a reason that nobody has told us of."""
    match str(getattr(reason, "value", reason)):
        case "STOP":
            return "stop"
        case "MAX_TOKENS" | "CONTINUATION":
            return "length"
        case "FUNCTION_CALL":  # not Google's own: it says STOP
            return "tool_calls"
        case (
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "ESCALATION"
            | "MODEL_ARMOR"
        ):
            return "filtered"
        case _:
            raise ValueError("an answer that is malformed, or ended for an unknown reason")


def decode_usage(usage: Mapping[str, Any]) -> Usage:
    """Google counts thoughts beside the answer's tokens, and we count them among those."""
    thoughts = int(usage.get("thoughts_token_count") or 0)
    return Usage(
        input=int(usage.get("prompt_token_count") or 0) + int(usage.get("tool_use_prompt_token_count") or 0),
        output=int(usage.get("candidates_token_count") or 0) + thoughts,
        cache_read=int(usage.get("cached_content_token_count") or 0),
        reasoning=thoughts,
    )
