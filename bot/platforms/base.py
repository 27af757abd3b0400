"""What a chat surface hands over, and what it is asked to do.

This module is the vocabulary between the platforms and the turn: it imports no platform and no part of the turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NewType, Protocol, TypeAlias

from adapters.messages import File, Image
from ledger.actions import ReplyKind
from ledger.pseudonyms import ConversationId, TurnId

PlatformName = NewType("PlatformName", str)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a reply goes, in the platform's own ids. It is kept in the message's payload, never in an entry.

    ``thread`` is empty where the channel has none. ``reply_url`` is set where the platform gave a short-lived address for
    a private answer (a Slack slash command); then the reply goes there and only its asker sees it.
    """

    platform: PlatformName
    workspace: str
    channel: str
    thread: str
    person: str
    reply_url: str = ""


Standing: TypeAlias = Literal["owner", "admin", "member", "guest", "outsider"]
"""What the platform itself says of a person. ``guest``: let into single channels; ``outsider``: of another organisation."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that lies with the platform. ``reference`` is how the platform finds it again; it is no secret.

    It is read while the turn is worked on, by ``Platform.fetch``: accepting a message waits for no download.
    """

    name: str
    media_type: str
    size_bytes: int
    reference: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as a platform hands it over.

    ``event_identity`` is the platform's own name for the asking message: each redelivery, and each other event about the
    same message, has the same one. ``text`` is what the person wrote, without the mention of the bot. ``bare_commands``
    is set where a command needs no slash, because the bot was addressed by name (``@carpool help``). ``attachments`` are
    here already, ``attached`` lie with the platform. ``in_thread`` says that others may have talked there before:
    the first time that CarPool is asked in it, what they said is read (``Platform.overhear``).
    """

    address: Address
    event_identity: str
    text: str
    attachments: tuple[Image | File, ...] = ()
    bare_commands: bool = False
    attached: tuple[Attached, ...] = ()
    in_thread: bool = False
    standing: Standing = "member"


@dataclass(frozen=True, slots=True)
class Accepted:
    """``fresh`` is false for a message that was accepted before: nothing more happens then."""

    turn: TurnId
    conversation: ConversationId
    fresh: bool


@dataclass(frozen=True, slots=True)
class Overheard:
    """What somebody said in a thread before CarPool was asked: data for a model, never instructions."""

    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Footer:
    """What stands under an answer. ``price`` is what it cost, in words; ``receipt`` the turn's reference."""

    model: str
    reason: str
    price: str
    receipt: str

    @property
    def line(self) -> str:
        return f"{self.model} · {self.reason} · {self.price} · {self.receipt}"


@dataclass(frozen=True, slots=True)
class Button:
    """Pressing it is saying ``invocation`` (``why t-…``), a command like any other: the platform accepts it as a message of
    the person who pressed, whose ``event_identity`` is that of the press. One whose invocation asks for a form
    (``Door.form``) opens it instead. A platform without buttons shows ``/invocation`` where that helps."""

    label: str
    invocation: str
    style: Literal["plain", "primary", "danger"] = "plain"


@dataclass(frozen=True, slots=True)
class Reply:
    """``text`` is Markdown made by a model or by us: data for the platform to show, never its own markup.

    ``private``: for the person who asked alone, wherever they asked (Slack and Discord: ephemeral, else a direct message).
    """

    kind: ReplyKind
    text: str
    footer: Footer | None = None
    files: tuple[File, ...] = ()
    buttons: tuple[Button, ...] = ()
    private: bool = False


Presence = Literal["there", "absent", "unknown"]


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """A question of a form. ``secret`` is never shown, kept or echoed; ``choice`` has ``choices``; ``value`` stands there at
    first. ``name`` is what the answer is filed under."""

    name: str
    label: str
    kind: Literal["line", "text", "secret", "choice", "person"] = "line"
    hint: str = ""
    value: str = ""
    choices: tuple[Choice, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked in private: a modal, or prompts of a terminal. ``name`` comes back with what was filled in."""

    name: str
    title: str
    fields: tuple[Field, ...]
    submit: str = "Save"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was sent. It is no message: nothing of it is recorded but what its handler records.

    ``event_identity`` is the platform's name for the sending, so that a redelivered one does nothing twice.
    """

    address: Address
    event_identity: str
    standing: Standing
    form: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a form: ``text`` for the person alone; or ``errors`` by field, and then nothing was done."""

    text: str
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that a person had: where, and what they asked there last, as plain text in one line."""

    address: Address
    asked: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a person's own page (Slack's App Home). ``text`` is Markdown; of ``talks`` the platform makes links."""

    title: str
    text: str
    buttons: tuple[Button, ...] = ()
    talks: tuple[Talk, ...] = ()


class Door(Protocol):
    """What the house is to a platform: the way in."""

    async def accept(self, incoming: Incoming) -> Accepted:
        """Record a message. **On return it is on disk** and will be answered once, whatever happens to this process.

        Raises ``StoreFailed`` where it could not be recorded: then the platform must not be told that it was.
        """
        ...

    async def amend(self, incoming: Incoming, edit: str) -> None:
        """The message was edited; ``edit`` is the platform's name for this edit. Raises ``StoreFailed``.

        While it is being answered, that answer is stopped and the new text is asked. Later, an edit changes nothing.
        """
        ...

    async def withdraw(self, address: Address, event_identity: str) -> None:
        """The message was deleted. An answer under way is stopped, and its text goes from the house. Raises ``StoreFailed``."""
        ...

    def stop(self, conversation: ConversationId) -> int: ...

    def conversation(self, address: Address) -> ConversationId: ...

    async def knows(self, address: Address) -> bool:
        """Whether CarPool was asked in this conversation before. Raises ``StoreFailed``."""
        ...

    async def form(self, address: Address, standing: Standing, text: str) -> Form | None:
        """The form that this text asks for (``/keys add openai``); None where it asks for none. Raises ``StoreFailed``."""
        ...

    async def fill(self, filled: Filled) -> Taken:
        """Carry out what a form asks. **What it changed is on disk on return.** Raises ``StoreFailed``."""
        ...

    async def home(self, address: Address, standing: Standing) -> tuple[Section, ...]:
        """A person's own page. Raises ``StoreFailed``."""
        ...


class PlatformError(Exception):
    """The platform did not take a reply, or could not be asked. The text is for the log.

    ``retry_after_s`` is when to try again; None where trying again is of no use (the channel is gone, the bot was removed).
    """

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class ToolStep:
    """A tool at work for an answer. ``id`` is of the turn; ``title`` in plain words."""

    id: str
    title: str
    state: Literal["running", "done", "failed"]


class Screen(Protocol):
    """The live view of one answer while it is made. Best effort: it raises nothing, and a reply never depends on it.

    It ends with the ``send`` of the turn's first reply, which has all that was shown in it, and more.
    """

    async def begin(self) -> None:
        """Somebody is at work on it: "thinking"."""
        ...

    @property
    def shows(self) -> bool:
        """Whether a person sees the text as it comes. Once they saw some, no other model is asked."""
        ...

    async def show(self, delta: str) -> None: ...

    async def reasoning(self, delta: str) -> None: ...

    async def tool(self, step: ToolStep) -> None: ...

    async def wait(self) -> None:
        """A person has to decide before the turn goes on: take away what was shown of the answer. It is shown anew then."""
        ...

    async def discard(self) -> None:
        """Nobody wants this answer any more (its question was deleted): take away what was shown of it. No ``send`` follows."""
        ...


class Platform(Protocol):
    @property
    def name(self) -> PlatformName: ...

    async def say_aside(self, to: Address, text: str) -> None:
        """Say something that is no reply of a turn, to a person alone where the platform can. Best effort: raises nothing."""
        ...

    def screen(self, to: Address, turn: TurnId) -> Screen: ...

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        """Post the whole reply (long ones in several pieces). On return the platform has all of it.

        ``turn`` and ``part`` mark what is posted, so that ``find`` can recognise it. What is posted of this part already
        is not posted again where the platform can tell. Raises ``PlatformError``.
        """
        ...

    async def find(self, to: Address, turn: TurnId, part: int) -> Presence:
        """Whether the whole reply is there. ``unknown`` where the platform keeps nothing that can be looked at.

        Raises ``PlatformError`` where it cannot be asked now.
        """
        ...

    async def overhear(self, to: Address, before: str, count_max: int) -> Sequence[Overheard]:
        """What others said in the thread before the message whose ``event_identity`` is ``before``: the last ones, in order.

        Empty where it may not be read. Raises ``PlatformError`` where it cannot be asked now.
        """
        ...

    async def fetch(self, to: Address, attached: Attached, bytes_max: int) -> bytes:
        """The file; more than ``bytes_max`` is not read. Raises ``PlatformError`` (``retry_after_s`` None: it is gone,
        too long, or may not be read)."""
        ...


class Silent:
    """A screen that shows nothing: for a platform that posts whole replies only."""

    async def begin(self) -> None:
        return None

    async def tool(self, step: ToolStep) -> None:
        return None

    async def wait(self) -> None:
        return None

    async def discard(self) -> None:
        return None

    @property
    def shows(self) -> bool:
        return False

    async def show(self, delta: str) -> None:
        return None

    async def reasoning(self, delta: str) -> None:
        return None
