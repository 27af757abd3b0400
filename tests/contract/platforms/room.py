"""What a place to talk with CarPool in has to be, for the contract of conversations."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from adapters.scripted import ScriptReply
from bot.limits import Limits
from tests.house import Open, card

ANNA, BERT, GUEST = "anna", "bert", "guest"
READS_ALL = (replace(card("scripted", images=True), reads_files=True),)
LOOKED_EVERY_S = 0.01


@dataclass(frozen=True)
class Question:
    """A message as it was said, so that it can be said again, changed or taken back."""

    id: str
    text: str
    who: str


class Room(Protocol):
    """One conversation with several people in it. ``open`` is the house."""

    @property
    def open(self) -> Open: ...

    async def ask(self, text: str, who: str = ANNA, files: Sequence[tuple[str, bytes]] = ()) -> Question:
        """On return CarPool has told the platform that it has taken the message."""
        ...

    async def taken(self) -> None:
        """Wait until all that was asked is taken, where one can type ahead."""
        ...

    async def stop(self) -> str:
        """Stop the answer that is being made, as one does it there. What CarPool says to that; empty where it is nothing."""
        ...

    async def redeliver(self, question: Question) -> None: ...

    async def edit(self, question: Question, text: str) -> None: ...

    async def delete(self, question: Question) -> None: ...

    async def seen(self) -> list[str]:
        """What CarPool's messages in the conversation say, for all to see; long ones in their pieces."""
        ...

    async def whispered(self, who: str = ANNA) -> list[str]:
        """What CarPool said to one person alone."""
        ...

    async def files(self) -> dict[str, bytes]:
        """What CarPool's messages in the conversation brought along, by name."""
        ...

    @property
    def piece_characters_max(self) -> int:
        """How long one message may be; 0 where there is no such limit."""
        ...


async def sees(room: Room, *texts: str) -> None:
    """Wait until the conversation shows these. The platforms have no common way to tell of a change."""
    async with asyncio.timeout(15):
        while await room.seen() != list(texts):
            await asyncio.sleep(LOOKED_EVERY_S)


async def settled(room: Room) -> None:
    """Wait until each message that was asked has been answered."""
    await room.taken()
    for recorded in await room.open.all():
        if recorded.entry.action.name == "message.received":
            await room.open.intake.ended(recorded.entry.turn)


class Opens(Protocol):
    def __call__(
        self, folder: Path, script: Sequence[ScriptReply], limits: Limits
    ) -> AbstractAsyncContextManager[Room]: ...
