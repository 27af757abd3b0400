"""What was said in Slack while nobody listened: read where CarPool was asked lately, and answered.

Slack delivers an event again for some minutes and then no more. So what was said is read after a start, after each time that the
connection was lost, and every hour, because nobody tells a process that it could not be reached. What is read twice is accepted
once.
"""

import asyncio
import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bot.platforms.base import Address, Door, PlatformError
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_handlers import Handlers, Place
from bot.platforms.slack_pieces import Payload
from bot.platforms.slack_threads import history_of, pages_of
from bot.platforms.slack_wire import SLACK
from ledger.errors import StoreFailed

log = logging.getLogger("carpool.slack")

PLACES_MAX = 200
"""Threads that are looked into after a pause: those in which something was asked last."""

CHANNELS_MAX = 200
"""The same of channels: many threads in one of them do not push out the others."""

SAVED_EVERY_S = 5.0
OVERLAP_S = 60.0
"""So much before the last reading is read again: an event may have been on its way."""

SWEEP_S = 3_600.0
"""How long after a reading all is read again."""

AGAIN_S = 60.0
"""The same, where Slack could not be asked for all of it."""

MISSED_FOR_S = 86_400.0
"""What is older than this when it is found is not answered any more."""

BETWEEN_CALLS_S = 1.3
TRIES_MAX = 5
DIRECT = "D"

Wait: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


@dataclass(frozen=True, slots=True)
class _Thread:
    workspace: str
    channel: str
    thread: str


class SeenPlaces:
    """Fits ``Places``. A cursor in a file, and no journal: what is accepted stands on RoadChain."""

    def __init__(self, path: Path, clock_s: Callable[[], float] = time.time) -> None:
        self._path = path
        self.clock_s = clock_s
        self._places: OrderedDict[_Thread, str] = OrderedDict()
        self._channels: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._newest = ""
        self.gap = asyncio.Event()
        """Set where something may have been missed just now: it is read as soon as that can be."""
        self.floor_s = clock_s()
        """All that was said before was heard."""
        self._read()

    @property
    def places(self) -> tuple[Place, ...]:
        """The last first."""
        return tuple(
            Place(place.workspace, place.channel, place.thread, since)
            for place, since in reversed(self._places.items())
        )

    @property
    def channels(self) -> tuple[tuple[str, str], ...]:
        """Workspace and channel, the last first."""
        return tuple(reversed(self._channels))

    def note(self, address: Address, ts: str) -> None:
        place = _Thread(address.workspace, address.channel, address.thread)
        channel = (place.workspace, place.channel)
        self._channels.setdefault(channel)
        self._places[place] = min(self._places.get(place, ts), ts)
        # What is read again is no sign that it was used just now.
        if ts >= self._newest:
            self._newest = ts
            self._places.move_to_end(place)
            self._channels.move_to_end(channel)
        while len(self._places) > PLACES_MAX:
            self._places.popitem(last=False)
        while len(self._channels) > CHANNELS_MAX:
            self._channels.popitem(last=False)

    def save(self) -> None:
        """Nothing depends on it but how much is read again, so a disk that takes nothing is no reason to stop."""
        places = [[place.workspace, place.channel, place.thread, since] for place, since in self._places.items()]
        waiting = self._path.with_suffix(".new")
        try:
            state = {"upto_s": self.floor_s, "places": places, "channels": list(self._channels)}
            waiting.write_text(json.dumps(state), encoding="utf-8")
            os.replace(waiting, self._path)
        except OSError as error:
            log.warning("what was heard of Slack could not be kept", extra={"cause": str(error.strerror)})

    def _read(self) -> None:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self.floor_s = max(min(float(kept["upto_s"]), self.floor_s), self.floor_s - MISSED_FOR_S)
            for workspace, channel, thread, since in kept["places"]:
                self._places[_Thread(str(workspace), str(channel), str(thread))] = str(since)
            named = [(str(workspace), str(channel)) for workspace, channel in kept.get("channels", ())]
            self._channels.update(dict.fromkeys(named or ((place.workspace, place.channel) for place in self._places)))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("what was heard of Slack before cannot be read: what was missed meanwhile stays unanswered")


async def catch_up(platform: SlackPlatform, door: Door, seen: SeenPlaces, wait: Wait = asyncio.sleep) -> bool:
    """Hear what was missed since all was heard the last time. What Slack does not show is left out.

    False where Slack could not be asked now: then the same has to be heard again. Raises ``StoreFailed``.
    """
    began_s = seen.clock_s()
    floor = f"{max(seen.floor_s, began_s - MISSED_FOR_S):.6f}"
    hear = Handlers(platform, door, None, seen)
    for workspace, channel in seen.channels:
        if not await _hear(hear, platform, Place(workspace, channel, "", floor), wait):
            return False
        seen.save()
        await wait(BETWEEN_CALLS_S)
    # Among them are by now the threads that began meanwhile.
    for place in seen.places:
        place = Place(place.workspace, place.channel, place.thread, max(place.since, floor))
        if not await _hear(hear, platform, place, wait):
            return False
        await wait(BETWEEN_CALLS_S)
    seen.floor_s = began_s - OVERLAP_S
    return True


async def _hear(hear: Handlers, platform: SlackPlatform, place: Place, wait: Wait) -> bool:
    """A thread, or the messages of a channel outside of threads. False where Slack cannot be asked now."""
    for _ in range(TRIES_MAX):
        try:
            for message in await _since(platform, place):
                await hear.event(await _as_event(platform, place, message))
            return True
        except PlatformError as error:
            if error.retry_after_s is None:
                log.info("what was missed in a conversation is not shown", extra={"cause": str(error)})
                return True
            await wait(error.retry_after_s)
    return False


async def _since(platform: SlackPlatform, place: Place) -> list[Payload]:
    """In the order in which it was said. Raises ``PlatformError``."""
    client = await platform.client_of(place.workspace)
    if not place.thread:
        found = await history_of(client, place.channel, place.since)
    else:
        address = Address(SLACK, place.workspace, place.channel, place.thread, "")
        try:
            found = [message async for page in pages_of(client, address, place.since) for message in page]
        except LookupError:
            return []
    later = [message for message in found if str(message.get("ts", "")) > place.since]
    return sorted(later, key=lambda message: str(message["ts"]))


async def _as_event(platform: SlackPlatform, place: Place, message: Payload) -> dict[str, object]:
    kind = "im" if place.channel.startswith(DIRECT) else "channel"
    event = {**message, "type": "message", "channel": place.channel, "channel_type": kind}
    ours = await platform.user_in(place.workspace)
    return {"team_id": place.workspace, "authorizations": [{"user_id": ours}], "event": event}


@asynccontextmanager
async def keeping_up(
    platform: SlackPlatform,
    door: Door,
    seen: SeenPlaces,
    wait: Wait = asyncio.sleep,
    saved_every_s: float = SAVED_EVERY_S,
) -> AsyncIterator[None]:
    """Catches up beside what comes in: at once, behind each gap, and every hour."""

    async def caught_up() -> bool:
        try:
            return await catch_up(platform, door, seen, wait)
        except StoreFailed as error:
            log.warning("what was missed could not be recorded", extra={"cause": str(error)})
        except Exception:  # one message that nobody foresaw must not end the catching up of all others
            log.exception("what was missed could not be heard")
        return False

    async def keep() -> None:
        due_s = seen.clock_s()
        while True:
            if seen.gap.is_set() or seen.clock_s() >= due_s:
                seen.gap.clear()
                due_s = (SWEEP_S if await caught_up() else AGAIN_S) + seen.clock_s()
            seen.save()
            with suppress(TimeoutError):
                await asyncio.wait_for(seen.gap.wait(), saved_every_s)

    keeping = asyncio.create_task(keep(), name="slack-catch-up")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        seen.save()
