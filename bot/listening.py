"""Listening to one model until it has finished, fails, is stopped or runs out of time."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import assert_never

from adapters.errors import AdapterError, BadReply, Unavailable
from adapters.messages import (
    Finished,
    Message,
    Part,
    ProviderState,
    ReasoningDelta,
    ReplyEvent,
    Text,
    TextDelta,
    ToolCall,
)
from bot.platforms.base import Screen
from ledger.actions import CallOutcome


@dataclass(slots=True)
class Heard:
    """What came so far. It grows while the model speaks, and keeps its value however that ends.

    ``came_bytes`` is how long all was that came: the answer, what was thought, and tools that were asked for.
    """

    text: list[str] = field(default_factory=list)
    others: list[Part] = field(default_factory=list)
    finished: Finished | None = None
    outcome: CallOutcome = "failed"
    error: AdapterError | None = None
    shown: bool = False
    first_event_us: int | None = None
    took_us: int = 0
    came_bytes: int = 0
    asked: bool = True
    shut: bool = False

    @property
    def may_cost(self) -> bool:
        """Whether the provider may bill something of it: it was asked, and did not refuse before it began."""
        began = self.first_event_us is not None
        return began or (self.asked and (self.error is None or self.error.may_cost))

    def message(self) -> Message:
        text = "".join(self.text)
        return Message("assistant", (Text(text), *self.others) if text else tuple(self.others))


@dataclass(frozen=True, slots=True)
class Until:
    """How long is listened. After ``stop`` nothing more is shown or kept, and the stream is read on for ``drain_s`` at the most:
    its last event says what the answer took. Where the question is ``withdrawn`` before anything was shown, nobody waits for
    that."""

    stop: asyncio.Event
    withdrawn: asyncio.Event
    timeout_s: float
    drain_s: float


async def listen(events: AsyncIterator[ReplyEvent], screen: Screen, until: Until) -> Heard:
    """Read the stream to its end, showing it as it comes. Raises nothing of the adapter's: see ``Heard.outcome``."""
    heard = Heard()
    began = time.monotonic_ns()
    if until.stop.is_set():
        heard.outcome, heard.asked = "stopped", False
        await _close(events)
        return heard
    reading = asyncio.create_task(_read(events, screen, heard, began))
    stopping = asyncio.create_task(until.stop.wait())
    try:
        await asyncio.wait({reading, stopping}, timeout=until.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            heard.outcome = "answered"
            reading.result()
        elif until.stop.is_set():
            heard.outcome, heard.shut = "stopped", True
            # Where nobody got a word nothing is charged, so that there is nothing to wait for.
            if until.drain_s and (heard.shown or (heard.text and not until.withdrawn.is_set())):
                await asyncio.wait({reading}, timeout=until.drain_s)
        else:
            heard.outcome = "timed_out"
    except AdapterError as error:
        heard.outcome, heard.error = "failed", error
    finally:
        stopping.cancel()
        reading.cancel()
        # The adapter lets go of its connection or thread here; a failure of that changes nothing of what was heard.
        await asyncio.gather(reading, stopping, return_exceptions=True)
        heard.took_us = (time.monotonic_ns() - began) // 1000
    return heard


async def _read(events: AsyncIterator[ReplyEvent], screen: Screen, heard: Heard, began_ns: int) -> None:
    try:
        async for event in events:
            if heard.finished is not None:
                raise BadReply("an event came after Finished")
            if heard.first_event_us is None:
                heard.first_event_us = (time.monotonic_ns() - began_ns) // 1000
            heard.came_bytes += _bytes_of(event)
            match event:
                case Finished():
                    heard.finished = event
                case _ if heard.shut:
                    pass
                case TextDelta(delta):
                    heard.text.append(delta)
                    heard.shown = heard.shown or (screen.shows and bool(delta))
                    await screen.show(delta)
                case ReasoningDelta(delta):
                    await screen.reasoning(delta)
                case ToolCall() | ProviderState():
                    heard.others.append(event)
        if heard.finished is None:
            raise Unavailable("the stream ended without Finished")
    finally:
        await _close(events)


async def _close(events: AsyncIterator[ReplyEvent]) -> None:
    if isinstance(events, AsyncGenerator):
        await events.aclose()


def _bytes_of(event: ReplyEvent) -> int:
    match event:
        case TextDelta(text) | ReasoningDelta(text):
            return len(text.encode(errors="surrogatepass"))
        case ToolCall(name=name, arguments=arguments):
            return len(f"{name}{arguments}".encode(errors="surrogatepass"))
        case ProviderState() | Finished():
            return 0
        case _:
            assert_never(event)
