"""A person at a terminal, for the contract of conversations: what they type, and what stands on their screen.

The prompt is the real one, with a pipe for a keyboard; the screen is the real one, with a sheet of paper for a terminal.
"""

import asyncio
import io
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from adapters.scripted import ScriptReply
from bot.intake import Ending, Intake
from bot.limits import Limits
from bot.platforms.base import Accepted, Address, Incoming, Reply
from bot.platforms.terminal import LEAVE, Complete, Session, TerminalPlatform, converse
from bot.platforms.terminal_screen import TerminalScreen
from ledger.pseudonyms import ConversationId, TurnId
from tests.contract.platforms.room import ANNA, READS_ALL, Question, Room
from tests.house import Open, running_house

WIDTH = 100_000
"""So that no line of an answer is broken."""


class Paper(TerminalScreen):
    """A screen that keeps all that was ever on it."""

    def __init__(self) -> None:
        super().__init__(colour=False)
        self.sheet = io.StringIO()
        self._printer = Console(file=self.sheet, width=WIDTH, highlight=False, no_color=True)

    @property
    def console(self) -> Console:
        return self._printer


@dataclass(frozen=True)
class Said:
    """Up to where on the sheet a reply reaches, and what it was."""

    upto: int
    reply: Reply


class WatchedTerminal(TerminalPlatform):
    """Remembers which part of the sheet is which reply."""

    def __init__(self, paper: Paper) -> None:
        super().__init__(paper)
        self.paper = paper
        self.replies: list[Said] = []

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        await super().send(to, turn, part, reply)
        self.replies.append(Said(self.paper.sheet.tell(), reply))

    def texts(self, *, private: bool) -> list[str]:
        """What the replies say as they stand there, without their footers; what is not done yet as one of them."""
        sheet, texts, begin = self.paper.sheet.getvalue(), [], 0
        for said in self.replies:
            text, begin = sheet[begin : said.upto].strip(), said.upto
            if said.reply.footer is not None:
                assert text.endswith(said.reply.footer.line)
                text = text.removesuffix(said.reply.footer.line).strip()
            if said.reply.private == private:
                texts.append(text if said.reply.kind == "answer" else _unfilled(text))
        live = "" if private else sheet[begin:].strip()
        return [*texts, live] if live else texts


def _unfilled(text: str) -> str:
    """Without the spaces that a page of Markdown is filled up with."""
    return "\n".join(line.rstrip() for line in text.splitlines())


@dataclass
class WatchedTalk:
    """The intake, which tells when a line was taken."""

    intake: Intake
    taken: int = 0
    under_way: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def accept(self, incoming: Incoming) -> Accepted:
        accepted = await self.intake.accept(incoming)
        async with self.changed:
            self.taken += 1
            self.under_way += 1
            self.changed.notify_all()
        return accepted

    async def ended(self, turn: TurnId) -> Ending:
        try:
            return await self.intake.ended(turn)
        finally:
            self.under_way -= 1

    def stop(self, conversation: ConversationId) -> int:
        return self.intake.stop(conversation)

    async def until(self, seen: Callable[[], bool]) -> None:
        async with asyncio.timeout(15), self.changed:
            await self.changed.wait_for(seen)


@dataclass
class TerminalRoom:
    """One person's session. What they type while an answer is made waits for the next prompt."""

    open: Open
    platform: WatchedTerminal
    talk: WatchedTalk
    keyboard: PipeInput
    typed: int = 0
    piece_characters_max: int = 0

    async def ask(self, text: str, who: str = ANNA, files: Sequence[tuple[str, bytes]] = ()) -> Question:
        self.typed += 1
        self.keyboard.send_text(f"{text}\r")
        if not self.talk.under_way:
            await self.taken()
        return Question(str(self.typed), text, who)

    async def taken(self) -> None:
        await self.talk.until(lambda: self.talk.taken >= self.typed)

    async def stop(self) -> str:
        signal.raise_signal(signal.SIGINT)
        return ""

    async def redeliver(self, question: Question) -> None:
        raise AssertionError("a terminal has no such thing")

    async def edit(self, question: Question, text: str) -> None:
        raise AssertionError("a terminal has no such thing")

    async def delete(self, question: Question) -> None:
        raise AssertionError("a terminal has no such thing")

    async def seen(self) -> list[str]:
        return self.platform.texts(private=False)

    async def whispered(self, who: str = ANNA) -> list[str]:
        return self.platform.texts(private=True)

    async def files(self) -> dict[str, bytes]:
        raise AssertionError("a terminal has no such thing")


async def _nothing_to_complete() -> Complete:
    return lambda begun: ()


@asynccontextmanager
async def at_a_terminal(folder: Path, script: Sequence[ScriptReply], limits: Limits) -> AsyncIterator[Room]:
    paper = Paper()
    platform = WatchedTerminal(paper)
    async with AsyncExitStack() as stack:
        keyboard = stack.enter_context(create_pipe_input())
        stack.enter_context(create_app_session(input=keyboard, output=DummyOutput()))
        open_ = await stack.enter_async_context(running_house(folder, platform, script, limits=limits, cards=READS_ALL))
        talk = WatchedTalk(open_.intake)
        session = Session.lasting()
        talking = asyncio.create_task(converse(talk, platform, paper, session, (), _nothing_to_complete, open_.door))
        try:
            yield TerminalRoom(open_, platform, talk, keyboard)
        finally:
            keyboard.send_text(f"{LEAVE[0]}\r")
            async with asyncio.timeout(15):
                assert await talking == 0
