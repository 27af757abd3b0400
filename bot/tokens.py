"""How many tokens a message may have, estimated without a tokenizer."""

from dataclasses import dataclass
from typing import assert_never

from adapters.messages import File, Image, Message, ProviderState, Text, ToolCall, ToolResult


@dataclass(frozen=True, slots=True)
class Estimate:
    """``message`` and ``image`` are tokens: of what stands around each message, and of a picture."""

    bytes_per_token: int
    message: int
    image: int


ROOM = Estimate(3, 8, 1_500)
"""What it takes of a model's window. English has about four bytes a token: too high costs a little room, never an answer."""

CEILING = Estimate(1, 16, 6_500)
"""What is held for it: no tokenizer makes more tokens of a text than it has bytes, and of digits and signs some make as many.
Of a picture Together makes 6,404 at the most, GPT-4.1 nano 3,779 (1,536 patches at 2.46); other models fewer."""

FAVOUR = Estimate(4, 0, 85)
"""In favour of whoever pays, where a provider tells no usage."""


def tokens_in(message: Message, by: Estimate = ROOM) -> int:
    count = by.message
    for part in message.parts:
        match part:
            case Text(text):
                count += tokens_in_text(text, by)
            case Image():
                count += by.image
            case File(data=data, text=text):
                count += tokens_in_text(text, by) if text else len(data) // by.bytes_per_token
            case ToolCall(arguments=arguments):
                count += tokens_in_text(str(arguments), by)
            case ToolResult(content=content):
                count += tokens_in_text(content, by)
            case ProviderState(payload=payload):
                count += tokens_in_text(payload, by)
            case _:
                assert_never(part)
    return count


def tokens_in_text(text: str, by: Estimate = ROOM) -> int:
    return len(text.encode()) // by.bytes_per_token + 1
