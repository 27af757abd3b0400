"""An answer in Slack while it is made: a native stream where the channel takes one, else a message edited again and again.

What comes from the model is only kept by ``show``; one task for each answer brings it to Slack, as much at a time as came
since the last. ``finish`` of ``slack_writing`` makes the messages whole.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bot.platforms.base import PlatformError, ToolStep
from bot.platforms.markdown import close_fence, piece_at, piece_between
from bot.platforms.slack_errors import NOT_STREAMING, RATE_LIMITED, SlackError
from bot.platforms.slack_pace import Meter, Meters, Pace
from bot.platforms.slack_pieces import PIECE_CHARACTERS_MAX, Piece, defuse
from bot.platforms.slack_writing import Writer, Written

log = logging.getLogger("carpool.slack")

SHOWN_CHARACTERS_MAX = 9_000
"""Of one message while the answer grows: between here and the most that a piece holds, a good place to cut is looked for."""

# What more text might make a call of somebody out of.
_BEGUN_CALL = re.compile(r"<[!@#]?$")


class LiveAnswer:
    """What of a turn's answer is shown, over all its calls of models. ``written`` are its messages, in order."""

    def __init__(
        self,
        writer: Callable[[], Awaitable[Writer]],
        meters: Meters,
        pace: Pace,
        clock_s: Callable[[], float],
        streams: bool,
    ) -> None:
        self.written: list[Written] = []
        self.lost = False
        """A message may stand in the thread of which we were not told."""
        self.refused = False
        """Slack takes no stream here."""
        self._writer = writer
        self._meters = meters
        self._pace = pace
        self._clock_s = clock_s
        self._streams = streams
        self._text = ""
        self._begins = True
        self._steps: dict[str, ToolStep] = {}
        self._unsaid: list[ToolStep] = []
        self._takes_steps = True
        self._quiet = False
        self._finishing = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        """What can be shown by now: never what more text may change. It ends with no white space."""
        return defuse(_BEGUN_CALL.sub("", self._text.rstrip()).rstrip())

    def fits(self, text: str) -> bool:
        """Whether a reply with this text goes on from what was shown."""
        return text.startswith(self.text[: self._shown_to])

    @property
    def busy(self) -> frozenset[str]:
        return frozenset(message.ts for message in self.written)

    def show(self, delta: str) -> None:
        said = delta.lstrip() if self._begins else delta
        self._begins = self._begins and not said
        self._text += said
        self._begin()

    def step(self, step: ToolStep) -> None:
        self._steps[step.id] = step
        self._unsaid = [other for other in self._unsaid if other.id != step.id] + [step]
        self._begin()

    async def settle(self) -> None:
        """Nothing more is shown: what is on its way to Slack arrives, and ``written`` stays as it is from then on."""
        self._finishing.set()
        if self._pump is not None:
            with suppress(asyncio.CancelledError):
                await self._pump

    def cancel(self) -> None:
        if self._pump is not None:
            self._pump.cancel()

    def _begin(self) -> None:
        over = self._pump is None or self._pump.done()
        if over and not self._quiet and not self._finishing.is_set() and self._has_more():
            self._pump = asyncio.create_task(self._bring(), name="slack-live")

    def _has_more(self) -> bool:
        return len(self.text) > self._shown_to or bool(self._unsaid)

    @property
    def _shown_to(self) -> int:
        return self.written[-1].shown if self.written else 0

    async def _bring(self) -> None:
        if not self.written:
            await self._pause(self._pace.begin_s)
        while not self._finishing.is_set() and not self._quiet and self._has_more():
            try:
                await self._flush()
            except PlatformError as error:
                log.info("an answer is not shown as it comes", extra={"cause": str(error)})
                self._quiet = True
            except Exception:  # the answer is whole without its view, and must not fail with it
                log.exception("the view of an answer failed")
                self._quiet = self.lost = True

    async def _pause(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._finishing.wait(), wait_s)

    async def _flush(self) -> None:
        """Bring what there is by now to Slack, and wait as long as its limits ask before the next time."""
        message = self.written[-1] if self.written else None
        if message is None or message.state in ("finished", "closed"):
            await self._open()
        elif message.state == "streaming":
            await self._append(message)
        elif message.state == "edited":
            await self._edit(message)
        else:
            self._quiet = True

    async def _open(self) -> None:
        start = self._shown_to
        text, shown, _ = self._growing(start, start)
        if not text and not (self._takes_steps and self._unsaid):
            self._unsaid = []
            return
        if self._streams:
            if self._meters.starts.wait_s > self._pace.patience_s:
                self._streams = False
                return
            await self._start(start, text, shown)
        else:
            await self._post(start, text, shown)

    async def _start(self, start: int, text: str, shown: int) -> None:
        await self._room(self._meters.starts)
        if self._finishing.is_set():
            return
        steps, began_s = self._take_steps(), self._clock_s()
        try:
            ts = await (await self._writer()).start(text, steps)
        except SlackError as error:
            if not error.refused:
                self.lost = True
                raise
            if steps and error.code.startswith("invalid"):
                self._takes_steps = False
                return
            self._unsaid = [*steps, *self._unsaid]
            self._streams = False
            self.refused = error.code != RATE_LIMITED
            return
        self.written.append(Written(ts, start, shown, text, "streaming", began_s))
        await self._pause(self._pace.append_s)

    async def _post(self, start: int, text: str, shown: int) -> None:
        await self._room(self._meters.edits)
        if self._finishing.is_set():
            return
        said = self._with_steps(text)
        try:
            ts = await (await self._writer()).post_open(said)
        except SlackError as error:
            self.lost = not error.refused
            raise
        self.written.append(Written(ts, start, shown, text, "edited"))
        await self._pause(self._pace.edit_s)

    async def _append(self, message: Written) -> None:
        if not self._tells(message):
            return await self._pause(self._pace.append_s)  # it is nearly full, and more text decides where it is cut
        await self._room(self._meters.appends)
        if self._finishing.is_set():
            return
        text, shown, full = self._growing(message.start, message.shown)
        age_s = self._clock_s() - message.began_s
        if not full and age_s > self._pace.roll_s:
            text, shown, full = self._rolled(message, text, shown, age_s > self._pace.roll_hard_s)
        rest, steps = text[len(message.text) :], self._take_steps()
        if not (rest or steps or full):
            return
        try:
            writer = await self._writer()
            if full:
                # The steps would end with this message: they come in the next one.
                self._unsaid = [*steps, *self._unsaid]
                piece = Piece(text, self._number(message), shown, last=False)
                await writer.stop(message.ts, rest, piece)
            else:
                await writer.append(message.ts, rest, steps)
        except SlackError as error:
            return await self._not_appended(message, steps, error)
        message.text, message.shown = text, shown
        message.state = "finished" if full else "streaming"
        await self._pause(self._pace.append_s)

    async def _not_appended(self, message: Written, steps: list[ToolStep], error: SlackError) -> None:
        if error.code == RATE_LIMITED:
            self._unsaid = [*steps, *self._unsaid]
            self._meters.appends.hold(error.retry_after_s or 0)
        elif error.code == NOT_STREAMING:
            # Slack ended it, after five minutes or because the person pressed Stop: the next one goes on.
            self._unsaid = [*steps, *self._unsaid]
            message.state = "closed"
        elif steps and error.refused and self._takes_steps:
            self._takes_steps = False
        else:
            message.state = "doubtful"
            raise error

    async def _edit(self, message: Written) -> None:
        if not self._tells(message):
            return await self._pause(self._pace.edit_s)  # as above
        await self._room(self._meters.edits)
        if self._finishing.is_set():
            return
        text, shown, full = self._growing(message.start, message.shown)
        self._unsaid = []
        try:
            writer = await self._writer()
            if full:
                await writer.update_marked(message.ts, text, self._number(message), shown)
            else:
                await writer.update_open(message.ts, self._with_steps(text))
        except SlackError as error:
            if error.retry_after_s is None:
                message.state = "doubtful"
                raise
            # It is written anew each time, so nothing is lost by trying again.
            self._meters.edits.hold(error.retry_after_s)
            return
        message.text, message.shown = text, shown
        message.state = "finished" if full else "edited"
        await self._pause(self._pace.edit_s)

    def _growing(self, start: int, shown: int) -> tuple[str, int, bool]:
        """What the message that begins at ``start`` says now, up to where, and whether it is full."""
        whole = self.text
        piece, end = piece_at(whole, start, PIECE_CHARACTERS_MAX, shown - start)
        if end < len(whole):
            return piece, end, True
        most = max(shown, min(end, start + SHOWN_CHARACTERS_MAX))
        return piece[: len(piece) - (end - most)], most, False

    def _tells(self, message: Written) -> bool:
        """Whether there is anything that this message could say now, or to be said in the next one."""
        text, _, full = self._growing(message.start, message.shown)
        return full or bool(self._unsaid) or text != message.text

    def _rolled(self, message: Written, text: str, shown: int, hard: bool) -> tuple[str, int, bool]:
        """The same, for a stream that Slack will end soon: cut at the end of a line, later of a word, at last anywhere."""
        whole = self.text
        for seam in ("\n", " ") if hard else ("\n",):
            cut = whole.rfind(seam, message.shown, shown) + 1
            if cut > message.shown:
                return piece_between(whole, message.start, cut), cut, True
        cut = shown - 1
        if hard and cut > message.shown:
            return piece_between(whole, message.start, cut), cut, True
        return text, shown, False

    def _number(self, message: Written) -> int:
        """Which piece of the answer it is. Messages that hold nothing of it are taken away in the end."""
        return 1 + sum(1 for other in self.written if other is not message and other.shown > other.start)

    def _take_steps(self) -> list[ToolStep]:
        taken, self._unsaid = self._unsaid, []
        return taken if self._takes_steps else []

    def _with_steps(self, text: str) -> str:
        running = [step.title for step in self._steps.values() if step.state == "running"]
        self._unsaid = []
        return "\n\n".join(filter(None, (close_fence(text), *(f"_{title} …_" for title in running)))) or "…"

    async def _room(self, meter: Meter) -> None:
        """Wait until there is room for one call of this kind, unless the answer is finished before."""
        while (wait_s := meter.wait_s) > 0 and not self._finishing.is_set():
            await self._pause(wait_s)
        meter.take()
