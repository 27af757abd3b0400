"""What a message requires of a model, worked out without asking one."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.messages import File, Image, Message
from bot.tokens import tokens_in


@dataclass(frozen=True, slots=True)
class Needs:
    """Tokens are estimates from above."""

    input_tokens: int
    output_tokens: int
    images: bool
    files: bool
    tools: bool


def needs_of(messages: Sequence[Message], output_tokens: int, tools: bool) -> Needs:
    parts = [part for message in messages for part in message.parts]
    return Needs(
        input_tokens=sum(tokens_in(message) for message in messages),
        output_tokens=output_tokens,
        images=any(isinstance(part, Image) for part in parts),
        files=any(isinstance(part, File) for part in parts),
        tools=tools,
    )
