"""What of a conversation's past goes into a prompt: the latest exchanges that fit."""

from collections.abc import Sequence

from adapters.messages import Message, say
from bot.agents.registry import Agent
from bot.payloads import decode_asked
from bot.tokens import tokens_in
from ledger.actions import MessageReceived, ReplyPrepared
from ledger.store import Recorded


def recall(said: Sequence[Recorded]) -> tuple[Message, ...]:
    """Questions that were answered, each with its answer, in order. Commands, notices and erased texts are left out."""
    asked: dict[str, Message] = {}
    past: list[Message] = []
    for recorded in said:
        body, action = recorded.body, recorded.entry.action
        if body is None:
            continue
        if isinstance(action, MessageReceived) and action.kind == "message":
            asked[recorded.entry.turn] = Message("user", decode_asked(body).parts)
        elif isinstance(action, ReplyPrepared) and action.kind == "answer" and recorded.entry.turn in asked:
            past += [asked.pop(recorded.entry.turn), say("assistant", body.decode())]
    return tuple(past)


def compose(agent: Agent, past: Sequence[Message], question: Message, tokens_max: int) -> tuple[Message, ...]:
    """Instructions, as much of the past as fits (whole exchanges, the latest first), the question."""
    system = say("system", agent.instructions)
    room = tokens_max - tokens_in(system) - tokens_in(question)
    kept: list[Message] = []
    for start in range(len(past) - 2, -1, -2):
        exchange = past[start : start + 2]
        room -= sum(tokens_in(message) for message in exchange)
        if room < 0:
            break
        kept[:0] = exchange
    return (system, *kept, question)
