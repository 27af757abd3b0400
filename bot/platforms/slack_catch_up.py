"""What was said in Slack while nobody listened: read after a start where CarPool was asked lately, and answered.

Slack delivers an event again for some minutes and then no more. What is read twice is accepted once.
"""

import asyncio
import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.platforms.base import Address, Door, PlatformError
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_errors import answer_of
from bot.platforms.slack_handlers import Handlers, Place
from bot.platforms.slack_pieces import Payload
from bot.platforms.slack_threads import REPLIES_PAGE, pages_of
from bot.platforms.slack_wire import SLACK
from ledger.errors import StoreFailed

log = logging.getLogger("carpool.slack")

PLACES_MAX = 200
"""Threads that are looked into after a pause: those in which something was asked last."""

SAVED_EVERY_S = 5.0
OVERLAP_S = 60.0
"""So much before the last saving is read again: an event may have been on its way."""

MISSED_FOR_S = 86_400.0
"""What is older than this when it is found is not answered any more."""

BETWEEN_CALLS_S = 1.3
TRIES_MAX = 5
DIRECT = "D"


@dataclass(frozen=True, slots=True)
class _Thread:
    workspace: str
    channel: str
    thread: str


class SeenPlaces:
    """Fits ``Places``. A cursor in a file, and no journal: what is accepted stands on RoadChain."""

    def __init__(self, path: Path, clock_s: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock_s = clock_s
        self._places: OrderedDict[_Thread, str] = OrderedDict()
        self.caught_up = False
        self.floor_s = clock_s()
        self._read()

    @property
    def places(self) -> tuple[Place, ...]:
        """The last first."""
        return tuple(
            Place(place.workspace, place.channel, place.thread, since)
            for place, since in reversed(self._places.items())
        )

    def note(self, address: Address, ts: str) -> None:
        place = _Thread(address.workspace, address.channel, address.thread)
        since = self._places.pop(place, ts)
        self._places[place] = min(since, ts)
        while len(self._places) > PLACES_MAX:
            self._places.popitem(last=False)

    def save(self) -> None:
        """Nothing depends on it but how much is read again, so a disk that takes nothing is no reason to stop."""
        upto_s = self._clock_s() - OVERLAP_S if self.caught_up else self.floor_s
        places = [[place.workspace, place.channel, place.thread, since] for place, since in self._places.items()]
        waiting = self._path.with_suffix(".new")
        try:
            waiting.write_text(json.dumps({"upto_s": upto_s, "places": places}), encoding="utf-8")
            os.replace(waiting, self._path)
        except OSError as error:
            log.warning("what was heard of Slack could not be kept", extra={"cause": str(error.strerror)})

    def _read(self) -> None:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self.floor_s = max(min(float(kept["upto_s"]), self.floor_s), self.floor_s - MISSED_FOR_S)
            for workspace, channel, thread, since in kept["places"]:
                self._places[_Thread(str(workspace), str(channel), str(thread))] = str(since)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("what was heard of Slack before cannot be read: what was missed meanwhile stays unanswered")


async def catch_up(platform: SlackPlatform, door: Door, seen: SeenPlaces, between_s: float = BETWEEN_CALLS_S) -> None:
    """Hear what was missed, with so much time between calls of Slack. What Slack does not show is left out.

    Raises ``StoreFailed``.
    """
    hear = Handlers(platform, door, None, seen)
    places, floor = seen.places, f"{seen.floor_s:.6f}"
    channels = dict.fromkeys((place.workspace, place.channel) for place in places)
    for workspace, channel in channels:
        await _hear(hear, platform, Place(workspace, channel, "", floor))
        await asyncio.sleep(between_s)
    for place in places:
        await _hear(hear, platform, Place(place.workspace, place.channel, place.thread, max(place.since, floor)))
        await asyncio.sleep(between_s)
    seen.caught_up = True


async def _hear(hear: Handlers, platform: SlackPlatform, place: Place) -> None:
    """A thread, or the messages of a channel outside of threads."""
    for _ in range(TRIES_MAX):
        try:
            for message in await _since(platform, place):
                await hear.event(await _as_event(platform, place, message))
            return
        except PlatformError as error:
            if error.retry_after_s is None:
                log.info("what was missed in a conversation is not shown", extra={"cause": str(error)})
                return
            await asyncio.sleep(error.retry_after_s)


async def _since(platform: SlackPlatform, place: Place) -> list[Payload]:
    client = await platform.client_of(place.workspace)
    if not place.thread:
        data = {"channel": place.channel, "oldest": place.since, "limit": REPLIES_PAGE}
        page = await answer_of(client.api_call("conversations.history", data=data))
        return [message for message in reversed(page.get("messages") or ()) if message.get("ts", "") > place.since]
    address = Address(SLACK, place.workspace, place.channel, place.thread, "")
    try:
        pages = [message async for page in pages_of(client, address, place.since) for message in page]
    except LookupError:
        return []
    return [message for message in pages if message.get("ts", "") > place.since]


async def _as_event(platform: SlackPlatform, place: Place, message: Payload) -> dict[str, object]:
    kind = "im" if place.channel.startswith(DIRECT) else "channel"
    event = {**message, "type": "message", "channel": place.channel, "channel_type": kind}
    ours = await platform.user_in(place.workspace)
    return {"team_id": place.workspace, "authorizations": [{"user_id": ours}], "event": event}


@asynccontextmanager
async def keeping_up(platform: SlackPlatform, door: Door, seen: SeenPlaces) -> AsyncIterator[None]:
    """Catches up beside what comes in, and keeps up to where everything was heard."""

    async def keep() -> None:
        try:
            await catch_up(platform, door, seen)
        except StoreFailed as error:
            log.warning("what was missed could not be recorded", extra={"cause": str(error)})
            return
        while True:
            seen.save()
            await asyncio.sleep(SAVED_EVERY_S)

    keeping = asyncio.create_task(keep(), name="slack-catch-up")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        seen.save()
