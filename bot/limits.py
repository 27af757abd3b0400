"""Every limit of a turn: a name, a unit in the name, a default. What a person reads when one is met is in ``bot.errors``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    message_bytes_max: int = 32_000
    body_bytes_max: int = 1_048_576
    attachment_bytes_max: int = 20_000_000
    turn_s: int = 120
    tool_rounds_max: int = 8
    calls_max: int = 4
    output_tokens_max: int = 1024
    history_messages_max: int = 40
    concurrent_turns_max: int = 100
    queue_length_max: int = 1000
    reply_attempts_max: int = 5
    shutdown_s: int = 10
