"""The live view of an answer in Discord: a message that is edited about once a second, with a button that stops it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.platforms.base import PlatformError, ToolStep
from bot.platforms.discord_pace import Pace
from bot.platforms.discord_places import Place
from bot.platforms.discord_wire import PIECE_CHARACTERS_MAX, Payload, Piece, clean, live_message_of, message_of, nonce
from bot.platforms.markdown import split
from bot.sentences import Sentences
from ledger.pseudonyms import TurnId

log = logging.getLogger("carpool.discord")

EDIT_EVERY_S = 1.2
"""Discord lets a message be edited about five times in five seconds."""

TYPING_EVERY_S = 8.0
"""It shows for ten seconds."""

SCREEN_S_MAX = 900.0
"""No answer is made for so long. Where a run ended without one, nobody is said to be typing for ever."""

FAILURES_MAX = 5
"""After so many calls that failed, the rest of the answer is not shown until all of it is sent."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that stands there: its id, and what was put into it last."""

    message: str
    content: Payload


class DiscordScreen:
    """Fits ``bot.platforms.base.Screen``. What is shown goes out in a task of its own: the answer never waits for it.

    An edit begins when the one before it has come through, so the SDK's own waiting at a rate limit slows it down. All
    screens share one ``pace``: where many answers are made at once, each is shown less often.
    """

    def __init__(
        self, place: Callable[[], Awaitable[Place]], turn: TurnId, edit_every_s: float, pace: Pace, say: Sentences
    ) -> None:
        self._find_place = place
        self._turn = turn
        self._edit_every_s = edit_every_s
        self._pace = pace
        self._say = say
        self._text: list[str] = []
        self._steps: dict[str, ToolStep] = {}
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._place: Place | None = None
        self._failures = 0
        self.posted: dict[int, Shown] = {}
        """What stands there of each piece, by number."""
        self.doubtful = False
        """Whether something may have been posted that Discord did not acknowledge."""

    @property
    def begun(self) -> bool:
        return self._pump is not None

    @property
    def shows(self) -> bool:
        return True

    async def begin(self) -> None:
        if self._pump is None and not self._ended.is_set():
            self._pump = asyncio.create_task(self._work(), name=f"screen {self._turn}")

    async def show(self, delta: str) -> None:
        if delta:
            self._text.append(delta)
            self._news.set()

    async def reasoning(self, delta: str) -> None:
        return None

    async def tool(self, step: ToolStep) -> None:
        self._steps[step.id] = step
        self._news.set()

    async def wait(self) -> None:
        await self.discard()

    async def discard(self) -> None:
        await self.end()
        if self._place is None:
            return
        for shown in self.posted.values():
            try:
                await self._place.delete(shown.message)
            except PlatformError as error:
                log.info("an answer that nobody wants still stands", extra={"turn": self._turn, "cause": str(error)})
        self.posted.clear()

    async def end(self) -> None:
        """Show nothing more. On return no call of this screen is under way."""
        self.abandon()
        if self._pump is not None:
            await asyncio.gather(self._pump, return_exceptions=True)

    def abandon(self) -> None:
        """Show nothing more, without waiting for what is under way."""
        self._ended.set()
        self._news.set()

    async def _work(self) -> None:
        until_s = asyncio.get_running_loop().time() + SCREEN_S_MAX
        while not self._ended.is_set() and self._failures < FAILURES_MAX:
            if asyncio.get_running_loop().time() > until_s:
                return
            try:
                await self._update()
            except PlatformError as error:
                self._failures += 1
                self.doubtful = True
                log.info("an answer is not shown as it comes", extra={"turn": self._turn, "cause": str(error)})
                if error.retry_after_s is None:
                    return
            except Exception:  # the view is best effort: a fault in it must not cost the answer
                log.exception("an answer is not shown as it comes", extra={"turn": self._turn})
                self.doubtful = True
                return
            await self._pause()

    async def _pause(self) -> None:
        """At least until the next edit may be, and then until there is something new or typing has to be shown again; and
        then until it is this screen's place among all."""
        await self._wait(self._ended, self._edit_every_s)
        await self._wait(self._news, TYPING_EVERY_S)
        if not self._ended.is_set() and (wait_s := self._pace.take()):
            await self._wait(self._ended, wait_s)

    async def _wait(self, event: asyncio.Event, wait_s: float) -> None:
        # News of the end may have been taken for those that were shown last.
        if self._ended.is_set():
            return
        try:
            await asyncio.wait_for(event.wait(), wait_s)
        except TimeoutError:
            pass

    async def _update(self) -> None:
        if self._place is None:
            self._place = await self._find_place()
        self._news.clear()
        text, steps = clean("".join(self._text)).strip(), tuple(self._steps.values())
        if not text and not steps:
            await self._place.typing()
            return
        texts = split(text, PIECE_CHARACTERS_MAX) if text else ("",)
        for number, piece in enumerate(texts, start=1):
            if self._ended.is_set():
                return
            if number < len(texts):
                # As the reply will have it: what was said stays as it is.
                await self._put(self._place, number, message_of(Piece(piece, number, False), self._turn, 1))
            else:
                await self._put(self._place, number, live_message_of(piece, steps, self._turn, number, self._say))

    async def _put(self, place: Place, number: int, content: Payload) -> None:
        shown = self.posted.get(number)
        if shown is None:
            message = await place.post(content, (), number == 1, nonce(self._turn, 1, number, live=True))
        elif shown.content == content:
            return
        else:
            message = shown.message
            await place.edit(message, content, ())
        self.posted[number] = Shown(message, content)
