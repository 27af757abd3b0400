"""A model that plays a script: for tests and demonstrations. It keeps the contract of ``BaseAdapter`` like any other."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from adapters.base import BaseAdapter, ChatRequest
from adapters.deadline import Deadline
from adapters.errors import (
    AdapterError,
    BadReply,
    ConnectTimedOut,
    Filtered,
    FirstTokenTimedOut,
    NotConfigured,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
    WentSilent,
)
from adapters.messages import (
    Finished,
    ProviderName,
    ReasoningDelta,
    ReplyEvent,
    TextDelta,
    ToolCall,
    ToolCallId,
    Usage,
)

ERRORS = (
    BadReply,
    ConnectTimedOut,
    Filtered,
    FirstTokenTimedOut,
    NotConfigured,
    RateLimited,
    Refused,
    RefusedKey,
    RequestTooLong,
    TimedOut,
    Unavailable,
    WentSilent,
)
SOME_USAGE = Usage(input=10, output=5)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing comes for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Raise:
    error: AdapterError


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Nothing comes until the event is set."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class KillThisProcess:
    """The process ends here, as by ``kill -9``: for tests of what a crash leaves behind."""


ScriptStep: TypeAlias = ReplyEvent | Pause | Raise | WaitFor | KillThisProcess
ScriptReply: TypeAlias = tuple[ScriptStep, ...]
Script: TypeAlias = tuple[ScriptReply, ...] | Callable[[ChatRequest], ScriptReply]


def answer(*deltas: str, usage: Usage | None = SOME_USAGE) -> ScriptReply:
    """A reply of these pieces of text."""
    return (*(TextDelta(delta) for delta in deltas), Finished("stop", usage))


class ScriptedAdapter(BaseAdapter):
    """A script is a pure function of the request, or a tuple of replies: one a call, in order, and then the last again.

    A reply is played as written, so one without ``Finished`` is a stream that was cut. Without a pause it takes no time.
    ``requests`` holds what was asked, in order.
    """

    def __init__(self, provider: ProviderName, script: Script) -> None:
        if not script:
            raise NotConfigured("The script has no reply: give it at least one.")
        self.provider = provider
        self.requests: list[ChatRequest] = []
        self._script = script

    @classmethod
    def from_file(cls, provider: ProviderName, path: Path) -> "ScriptedAdapter":
        """Read a JSON file: a list of replies, each a list of steps, whose forms adapters/README.md gives.

        Raises ``NotConfigured`` where the file is missing or a step has no such form.
        """
        try:
            replies = json.loads(path.read_text(encoding="utf-8"))
            script = tuple(tuple(_step(step) for step in reply) for reply in replies)
        except (OSError, ValueError, TypeError) as error:
            raise NotConfigured(f"The script {path} cannot be read: adapters/README.md gives its form.") from error
        return cls(provider, script)

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        script = self._script
        reply = script(request) if callable(script) else script[min(len(self.requests), len(script) - 1)]
        self.requests.append(request)
        deadline = Deadline(request)
        deadline.asked()
        try:
            for step in reply:
                match step:
                    case Pause(seconds):
                        with deadline.waiting():
                            await asyncio.sleep(seconds)
                    case WaitFor(event):
                        with deadline.waiting():
                            await event.wait()
                    case Raise(error):
                        raise error
                    case KillThisProcess():
                        os.kill(os.getpid(), signal.SIGKILL)
                    case _:
                        deadline.spoke()
                        yield step
        finally:
            deadline.over()


def _step(step: Any) -> ScriptStep:
    match step:
        case {"text": str(text), **rest} if not rest:
            return TextDelta(text)
        case {"reasoning": str(text), **rest} if not rest:
            return ReasoningDelta(text)
        case {"tool_call": {"id": str(id), "name": str(name), "arguments": dict(arguments)}, **rest} if not rest:
            return ToolCall(ToolCallId(id), name, arguments)
        case {"pause_s": int() | float() as seconds, **rest} if not rest:
            return Pause(seconds)
        case {"error": "rate_limited", "retry_after_s": int() | float() as seconds, **rest} if not rest:
            return Raise(RateLimited("scripted", seconds))
        case {"error": str(code), **rest} if not rest:
            return Raise(_error(code))
        case {"finish": "stop" | "length" | "tool_calls" | "filtered" as reason, "usage": dict(usage), **rest} if (
            not rest
        ):
            return Finished(reason, Usage(**usage))
        case {"finish": "stop" | "length" | "tool_calls" | "filtered" as reason, **rest} if not rest:
            return Finished(reason, None)
        case {"kill": True, **rest} if not rest:
            return KillThisProcess()
        case _:
            raise ValueError(f"no step of a script has the form {step!r}")


def _error(code: str) -> AdapterError:
    for kind in ERRORS:
        if kind.code == code:
            return kind("scripted")
    raise ValueError(f"no error has the code {code!r}")
