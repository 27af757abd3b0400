"""The neutral vocabulary of a conversation with a model.

Pure values: no ids of ours, no storage, no provider's types. All that an adapter is given and all that it gives
back is made of these. This module imports nothing of ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NewType, TypeAlias, Union

Json: TypeAlias = Union[None, bool, int, float, str, Sequence["Json"], Mapping[str, "Json"]]
JsonObject: TypeAlias = Mapping[str, Json]

ProviderName = NewType("ProviderName", str)
"""A provider as the catalogue names it: ``openai``, ``local``."""

ModelName = NewType("ModelName", str)
"""A model as its provider names it, without the provider."""

ToolCallId = NewType("ToolCallId", str)
"""The id that a model gave to one of its tool calls; unique within one answer."""

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class File:
    """``text`` is what was read of it for models that read no files; empty where nothing was."""

    name: str
    media_type: str
    data: bytes
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. ``arguments`` is parsed JSON, not yet checked against the tool's schema."""

    id: ToolCallId
    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered, as text for the model. ``failed`` results go back to the model like the others."""

    call_id: ToolCallId
    content: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Opaque leftovers of an answer (a thinking signature, say).

    They go back verbatim to the provider that made them, and are dropped for every other.
    """

    provider: ProviderName
    payload: str


Part: TypeAlias = Text | Image | File | ToolCall | ToolResult | ProviderState


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, joined; the other parts are left out."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


def say(role: Role, text: str) -> Message:
    """A message of one text part."""
    return Message(role, (Text(text),))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it. ``parameters`` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: JsonObject
    effect: Literal["read", "write"]


TOKENS_MAX = 10**9
"""More than any model takes, or can make in an answer."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them.

    ``input`` includes what was read from or written to the provider's cache; ``output`` includes reasoning. The other
    three say how much of those it was. An adapter reports usage; it never computes money.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def is_possible(self) -> bool:
        """Whether any answer can have taken this."""
        parts = (self.input, self.output, self.cache_read, self.cache_write, self.reasoning)
        return min(parts) >= 0 and max(parts) <= TOKENS_MAX and self.cache_read + self.cache_write <= self.input


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


FinishReason = Literal["stop", "length", "tool_calls", "filtered"]


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of each whole stream, exactly once. ``usage`` is None where the provider reported none."""

    reason: FinishReason
    usage: Usage | None


ReplyEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCall | ProviderState | Finished
