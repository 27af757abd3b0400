"""CarPool in a terminal: a conversation, or one question through a pipe."""

import asyncio
import errno
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from bot.intake import Ending
from bot.limits import Limits
from bot.platforms.base import (
    Accepted,
    Address,
    Attached,
    Field,
    Filled,
    Form,
    Incoming,
    Overheard,
    PlatformError,
    PlatformName,
    Presence,
    Reply,
    Screen,
    Silent,
    Standing,
    Taken,
    ToolStep,
)
from bot.platforms.terminal_keys import silent_keys
from bot.platforms.terminal_screen import TerminalScreen, drop_output, say_aside, write_whole
from bot.sentences import ENGLISH, Sentences
from ledger.actions import TurnOutcome
from ledger.pseudonyms import ConversationId, TurnId

TERMINAL = PlatformName("terminal")
APPROVE = "approve"
LEAVE = ("/quit", "/exit")
WENT_WELL: tuple[TurnOutcome, ...] = ("answered", "command")

EXIT_ANSWERED = 0
EXIT_NOT_ANSWERED = 1
EXIT_USAGE = 2


Complete: TypeAlias = Callable[[str], Sequence[str]]
"""The whole lines that a begun one may be meant to be."""


class Talk(Protocol):
    """What a terminal needs of the intake."""

    async def accept(self, incoming: Incoming) -> Accepted: ...

    async def ended(self, turn: TurnId) -> Ending: ...

    def stop(self, conversation: ConversationId) -> int: ...


class Forms(Protocol):
    """What a terminal needs of the door."""

    async def form(self, address: Address, standing: Standing, text: str) -> Form | None: ...

    async def fill(self, filled: Filled) -> Taken: ...


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the program at a terminal. ``thread`` is empty for the conversation that lasts over all of them."""

    id: str
    thread: str

    @classmethod
    def lasting(cls) -> "Session":
        return cls(secrets.token_hex(8), "")

    @classmethod
    def new(cls) -> "Session":
        name = secrets.token_hex(8)
        return cls(name, name)

    @property
    def address(self) -> Address:
        return Address(TERMINAL, "local", "terminal", self.thread, "owner")


class _Live:
    """An answer as it comes, on the screen of the person who asked."""

    def __init__(self, screen: TerminalScreen, shown: list[str]) -> None:
        self._screen = screen
        self._shown = shown

    @property
    def shows(self) -> bool:
        return True

    async def show(self, delta: str) -> None:
        self._shown.append(delta)
        self._screen.stream(delta)

    async def reasoning(self, delta: str) -> None:
        return None

    async def begin(self) -> None:
        self._screen.think()

    async def wait(self) -> None:
        self._screen.settle()

    async def discard(self) -> None:
        self._screen.settle()

    async def tool(self, step: ToolStep) -> None:
        if step.state == "running":
            self._screen.line(f"{step.title} …", dim=True)


class TerminalPlatform:
    """Fits ``bot.platforms.base.Platform``. A terminal keeps nothing that could be looked at after a restart.

    ``screen`` None means a pipe: the answer alone goes to standard output, whole; all else to standard error.
    """

    def __init__(self, screen: TerminalScreen | None, say: Sentences = ENGLISH) -> None:
        self.say = say
        self._screen = screen
        self._shown: dict[TurnId, list[str]] = {}
        self._mine: set[TurnId] = set()
        self._questions: list[str] = []
        self._aside: set[TurnId] = set()

    @property
    def name(self) -> PlatformName:
        return TERMINAL

    def expect(self, turn: TurnId) -> None:
        """This turn was asked here: its answer belongs on this screen. Others were left by a session that ended."""
        self._mine.add(turn)

    def expect_aside(self, turn: TurnId) -> None:
        """This turn decides about another: what is said of it is no answer."""
        self._mine.add(turn)
        self._aside.add(turn)

    def question(self) -> str:
        """The reference of the oldest approval that was asked for here and not answered yet; empty where there is none."""
        return self._questions.pop(0) if self._questions else ""

    def screen(self, to: Address, turn: TurnId) -> Screen:
        if self._screen is None or turn not in self._mine:
            return Silent()
        return _Live(self._screen, self._shown.setdefault(turn, []))

    async def say_aside(self, to: Address, text: str) -> None:
        if self._screen is None:
            say_aside(text)
        else:
            self._screen.line(text)

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        asked = (button.invocation.partition(" ") for button in reply.buttons)
        self._questions += [about for command, _, about in asked if command == APPROVE]
        if self._screen is None:
            self._pipe(turn, reply)
            return
        shown = "".join(self._shown.pop(turn, [])).strip()
        if turn not in self._mine:
            self._screen.line(self.say("To what you asked earlier:"), dim=True)
        # What was streamed stands on the screen already: only what came after it is printed.
        rest = reply.text[len(shown) :] if shown and reply.text.startswith(shown) else reply.text
        if reply.kind != "answer":
            self._screen.markdown(rest)
        elif rest.strip() and rest != reply.text:
            self._screen.markdown(rest)  # behind what a model said, this is of our own making
        elif rest.strip():
            self._screen.line(rest)
        if reply.kind == "notice":
            for file in reply.files:  # of a question: what did not fit into it
                self._screen.line(f"{file.name}:\n{file.data.decode(errors='replace')}")
        self._screen.settle()
        if reply.footer is not None:
            self._screen.line(reply.footer.line, dim=True)
        self._screen.line("")

    async def find(self, to: Address, turn: TurnId, part: int) -> Presence:
        return "unknown"

    async def overhear(self, to: Address, before: str, count_max: int) -> Sequence[Overheard]:
        return ()

    async def fetch(self, to: Address, attached: Attached, bytes_max: int) -> bytes:
        raise PlatformError("a terminal keeps no files", None)

    def _pipe(self, turn: TurnId, reply: Reply) -> None:
        if turn not in self._mine:
            say_aside(f"{self.say('To what you asked earlier:')} {reply.text}")
        elif reply.kind == "notice" or turn in self._aside:
            say_aside(reply.text)
        else:
            _give(reply.text)


def _give(text: str) -> None:
    """The answer, to standard output. Raises ``PlatformError`` where that takes nothing: then nobody got it."""
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        write_whole(text, sys.stdout)
    except OSError as error:
        drop_output()
        say_aside(f"The answer could not be written to standard output: {error.strerror}.")
        raise PlatformError("standard output takes nothing", None) from error


async def answer_pipe(talk: Talk, platform: TerminalPlatform, question: str) -> int:
    """One question, one answer. Returns the exit status."""
    # `echo` adds a line break, and small models answer otherwise for it.
    outcome = await _ask(talk, platform, Session.new(), question.rstrip("\r\n"), _nobody_there)
    return EXIT_ANSWERED if outcome in WENT_WELL else EXIT_NOT_ANSWERED


def read_question(limits: Limits) -> str:
    """All of standard input. One byte above the limit is enough to be told of it. Raises ``UnicodeDecodeError``."""
    given = b"" if sys.stdin is None else sys.stdin.buffer.read(limits.message_bytes_max + 1)
    if len(given) > limits.message_bytes_max:
        return given.decode(errors="replace")
    return given.decode()


async def converse(
    talk: Talk,
    platform: TerminalPlatform,
    screen: TerminalScreen,
    session: Session,
    asked_before: Sequence[str],
    completing: Callable[[], Awaitable[Complete]],
    forms: Forms,
) -> int:
    """Prompt, answer, until the person leaves. ``asked_before`` is what the arrow keys bring back, the oldest first;
    ``completing`` gives what Tab offers, anew for each prompt: what may be meant changes between two of them."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import DummyHistory, InMemoryHistory
    from prompt_toolkit.patch_stdout import patch_stdout
    from prompt_toolkit.shortcuts import CompleteStyle

    complete = await completing()

    class Lines(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
            begun = document.text_before_cursor
            yield from (Completion(line, start_position=-len(begun)) for line in complete(begun))

    prompt: PromptSession[str] = PromptSession(
        "you> ",
        history=InMemoryHistory(asked_before),
        completer=Lines(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,  # a menu would keep eight lines below the prompt for itself
    )

    async def _ask_field(field: Field) -> str:
        """A secret is typed blind. These prompts keep no history."""
        asking: PromptSession[str] = PromptSession(history=DummyHistory())
        choices = f" ({' | '.join(choice.value for choice in field.choices)})" if field.choices else ""
        return await asking.prompt_async(
            f"{field.label}{choices}> ", default=field.value, is_password=field.kind == "secret"
        )

    async def approves() -> bool:
        screen.settle()
        try:
            return (await prompt.prompt_async(platform.say("Approve? y/n> "))).strip().casefold() in ("y", "yes")
        except (EOFError, KeyboardInterrupt):
            return False

    while True:
        try:
            # What arrives meanwhile (an answer left over from an earlier session) is printed above the prompt.
            with patch_stdout(raw=True):
                text = await prompt.prompt_async()
        except EOFError:
            return EXIT_ANSWERED
        except KeyboardInterrupt:
            screen.line(platform.say("Ctrl-D or /quit leaves."), dim=True)
            continue
        if text.strip().casefold() in LEAVE:
            return EXIT_ANSWERED
        form = await forms.form(session.address, "owner", text) if text.strip() else None
        if form is not None:
            screen.line(platform.say("Ctrl-C leaves this, and nothing is changed."), dim=True)
            try:
                screen.markdown(await _fill(forms, form, session, _ask_field, screen.markdown))
            except (EOFError, KeyboardInterrupt):
                screen.line(platform.say("Nothing was changed."), dim=True)
        elif text.strip():
            screen.think()
            try:
                await _ask(talk, platform, session, text, approves, bare=True)
            finally:
                screen.settle()
            complete = await completing()


async def _fill(
    forms: Forms,
    form: Form,
    session: Session,
    ask: Callable[[Field], Awaitable[str]],
    tell: Callable[[str], None],
) -> str:
    """What the form says, then one question after the other; what was wrong is said, and all of it asked again. Returns what
    came of it."""
    if form.text:
        tell(form.text)
    while True:
        values = {field.name: (await ask(field)).strip() for field in form.fields}
        identity = f"{session.id}/{secrets.token_hex(8)}"
        taken = await forms.fill(Filled(session.address, identity, "owner", form.name, values))
        if not taken.errors:
            return taken.text
        for sentence in taken.errors.values():
            say_aside(sentence)


async def _nobody_there() -> bool:
    """Of a pipe nobody can be asked: what needs an approval is not done."""
    return False


async def _ask(
    talk: Talk,
    platform: TerminalPlatform,
    session: Session,
    text: str,
    approves: Callable[[], Awaitable[bool]],
    *,
    bare: bool = False,
) -> Ending:
    accepted = await talk.accept(_said(session, text, bare=bare))
    platform.expect(accepted.turn)
    while True:
        with silent_keys(), _interrupts(lambda: talk.stop(accepted.conversation)):
            ending = await talk.ended(accepted.turn)
        if ending != "suspended":
            return ending
        about = platform.question()
        decision = "approve" if await approves() else "refuse"
        decided = await talk.accept(_said(session, f"/{decision} {about}".strip()))
        platform.expect_aside(decided.turn)
        await talk.ended(decided.turn)


def _said(session: Session, text: str, *, bare: bool = False) -> Incoming:
    """Whoever sits at the terminal owns what runs there. Who talks needs no slash for a command; a pipe does."""
    return Incoming(session.address, f"{session.id}/{secrets.token_hex(8)}", text, bare_commands=bare, standing="owner")


@contextmanager
def _interrupts(stop: Callable[[], object]) -> Iterator[None]:
    """Inside, Ctrl-C stops the answer and not the program."""
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(stop))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
