"""Listening to one model until it has finished, fails, is stopped or runs out of time."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

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
    """What came so far. It grows while the model speaks, and keeps its value however that ends."""

    text: list[str] = field(default_factory=list)
    others: list[Part] = field(default_factory=list)
    finished: Finished | None = None
    outcome: CallOutcome = "failed"
    error: AdapterError | None = None
    shown: bool = False
    first_event_us: int | None = None
    took_us: int = 0

    def message(self) -> Message:
        text = "".join(self.text)
        return Message("assistant", (Text(text), *self.others) if text else tuple(self.others))


async def listen(events: AsyncIterator[ReplyEvent], screen: Screen, stop: asyncio.Event, timeout_s: float) -> Heard:
    """Read the stream to its end, showing it as it comes. Raises nothing of the adapter's: see ``Heard.outcome``."""
    heard = Heard()
    began = time.monotonic_ns()
    reading = asyncio.create_task(_read(events, screen, heard, began))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({reading, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            heard.outcome = "answered"
            reading.result()
        else:
            heard.outcome = "stopped" if stop.is_set() else "timed_out"
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
            match event:
                case TextDelta(delta):
                    heard.text.append(delta)
                    heard.shown = heard.shown or (screen.shows and bool(delta))
                    await screen.show(delta)
                case ReasoningDelta(delta):
                    await screen.reasoning(delta)
                case ToolCall() | ProviderState():
                    heard.others.append(event)
                case Finished():
                    heard.finished = event
        if heard.finished is None:
            raise Unavailable("the stream ended without Finished")
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
