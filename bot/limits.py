"""Every limit: a name, a unit in the name, a default. What a person reads when one is met is in ``bot.errors``."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    message_bytes_max: int = 32_000
    body_bytes_max: int = 1_048_576
    turn_s: int = 120
    connect_s: int = 10
    first_token_s: int = 90
    between_tokens_s: int = 60
    drain_s: int = 3
    tool_rounds_max: int = 8
    calls_max: int = 4
    output_tokens_max: int = 1024
    history_messages_max: int = 40
    concurrent_turns_max: int = 100
    queue_length_max: int = 1000
    reply_attempts_max: int = 20
    shutdown_s: int = 10
    page_entries_max: int = 256
    attachment_bytes_max: int = 10_000_000
    attachments_max: int = 10
    document_s: int = 20
    document_memory_bytes_max: int = 512_000_000
    document_unpacked_bytes_max: int = 50_000_000
    document_text_bytes_max: int = 200_000
    documents_at_once_max: int = 2
    overheard_messages_max: int = 50
    approval_s: int = 900
    allowance_s: int = 604_800
    undo_s: int = 86_400
    tool_calls_max: int = 32


ABOUT: Mapping[str, str] = {
    "message_bytes_max": "how long a message may be",
    "body_bytes_max": "how long the body of a request over HTTP may be",
    "turn_s": "how long an answer may take",
    "connect_s": "how long a model's provider may take to be reached",
    "first_token_s": "how long a model may take to begin its answer",
    "between_tokens_s": "how long a model may say nothing in the midst of its answer",
    "drain_s": "how long a stopped answer is read on, with nothing shown, for what it took",
    "tool_rounds_max": "how often a model may use tools for one answer",
    "calls_max": "how many models are asked for one answer, where the first ones fail",
    "output_tokens_max": "how long an answer may be",
    "history_messages_max": "how much of the past goes into a question",
    "concurrent_turns_max": "how many messages are answered at once",
    "queue_length_max": "how many messages of a workspace may wait",
    "reply_attempts_max": "how often a reply is tried that the platform does not take",
    "shutdown_s": "how long answers under way are waited for when the program ends",
    "page_entries_max": "how many entries a page of the explorer has",
    "attachment_bytes_max": "how long a file may be that is sent along",
    "attachments_max": "how many files of one message are read",
    "document_s": "how long reading the text of a file may take",
    "document_memory_bytes_max": "how much memory reading the text of a file may take",
    "document_unpacked_bytes_max": "how long what is packed in a file may be",
    "document_text_bytes_max": "how much of the text of a file is kept",
    "documents_at_once_max": "how many files are read as text at once",
    "overheard_messages_max": "how much of a thread is read when CarPool is asked in it for the first time",
    "approval_s": "how long a person's approval of a tool is waited for",
    "allowance_s": "how long a tool stays allowed without asking",
    "undo_s": "how long what a tool did can be taken back with /undo",
    "tool_calls_max": "how many tools a model may use for one answer",
}
"""What each is, for whoever sets it."""
