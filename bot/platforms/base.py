"""What a chat surface hands over, and what it is asked to do.

This module is the vocabulary between the platforms and the turn: it imports no platform and no part of the turn.
"""

from dataclasses import dataclass
from typing import Literal, NewType, Protocol

from adapters.messages import File, Image
from ledger.actions import ReplyKind
from ledger.money import FREE, Money, rc_text
from ledger.pseudonyms import TurnId

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


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as a platform hands it over.

    ``event_identity`` is the platform's own name for the asking message: each redelivery, and each other event about the
    same message, has the same one. ``text`` is what the person wrote, without the mention of the bot. ``bare_commands``
    is set where a command needs no slash, because the bot was addressed by name (``@carpool help``).
    """

    address: Address
    event_identity: str
    text: str
    attachments: tuple[Image | File, ...] = ()
    bare_commands: bool = False


@dataclass(frozen=True, slots=True)
class Footer:
    """What stands under an answer. ``receipt`` is the turn's reference; ``cost`` is None where no price is known."""

    model: str
    reason: str
    cost: Money | None
    receipt: str

    @property
    def line(self) -> str:
        cost = "price not known" if self.cost is None else "free" if self.cost == FREE else rc_text(self.cost)
        return f"{self.model} · {self.reason} · {cost} · {self.receipt}"


@dataclass(frozen=True, slots=True)
class Reply:
    """``text`` is Markdown made by a model or by us: data for the platform to show, never its own markup."""

    kind: ReplyKind
    text: str
    footer: Footer | None = None


Presence = Literal["there", "absent", "unknown"]


class PlatformError(Exception):
    """The platform did not take a reply, or could not be asked. The text is for the log.

    ``retry_after_s`` is when to try again; None where trying again is of no use (the channel is gone, the bot was removed).
    """

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Screen(Protocol):
    """The live view of one answer while it is made. Best effort: it raises nothing, and a reply never depends on it."""

    @property
    def shows(self) -> bool:
        """Whether a person sees the text as it comes. Once they saw some, no other model is asked."""
        ...

    async def show(self, delta: str) -> None: ...

    async def reasoning(self, delta: str) -> None: ...


class Platform(Protocol):
    @property
    def name(self) -> PlatformName: ...

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


class Silent:
    """A screen that shows nothing: for a platform that posts whole replies only."""

    @property
    def shows(self) -> bool:
        return False

    async def show(self, delta: str) -> None:
        return None

    async def reasoning(self, delta: str) -> None:
        return None
