"""How many tokens a message may have, estimated from above and without a tokenizer."""

from typing import assert_never

from adapters.messages import File, Image, Message, ProviderState, Text, ToolCall, ToolResult

BYTES_PER_TOKEN = 3
"""Low on purpose: English has about four bytes a token. An estimate that is too high costs a little room, never an answer."""

MESSAGE_TOKENS = 8
IMAGE_TOKENS = 1_500


def tokens_in(message: Message) -> int:
    count = MESSAGE_TOKENS
    for part in message.parts:
        match part:
            case Text(text):
                count += tokens_in_text(text)
            case Image():
                count += IMAGE_TOKENS
            case File(data=data, text=text):
                count += tokens_in_text(text) if text else len(data) // BYTES_PER_TOKEN
            case ToolCall(arguments=arguments):
                count += tokens_in_text(str(arguments))
            case ToolResult(content=content):
                count += tokens_in_text(content)
            case ProviderState(payload=payload):
                count += tokens_in_text(payload)
            case _:
                assert_never(part)
    return count


def tokens_in_text(text: str) -> int:
    return len(text.encode()) // BYTES_PER_TOKEN + 1
