"""One run of a turn: what it works with, and how its steps are recorded."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.messages import Message
from bot.agents.memory import recall
from bot.commands.base import Desk
from bot.commands.request import reference_of, requested_key
from bot.limits import Limits
from bot.platforms.base import Platform, Screen
from bot.rules import Rules, rules_of
from bot.story import Fact, Story, after
from integrations.documents.reading import DocumentReader
from integrations.payments.referrals import offered_key, taken_key
from integrations.tools.base import Toolbox
from ledger.actions import (
    Action,
    ApprovalAsked,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalRefused,
    ApprovalShown,
    ContextRead,
    ModelAnswered,
    ModelCalled,
    ReplyPrepared,
    ReplySent,
    ToolAnswered,
    ToolCalled,
)
from ledger.credit_actions import CreditRefused, CreditReserved, CreditSettled, CreditVoided
from ledger.entry import Draft, Scope
from ledger.payment_actions import AdjustmentRequested, ReferralOffered, ReferralTaken
from ledger.pseudonyms import ActorId, TurnId
from ledger.roadchain import RoadChain, clock_us
from ledger.store import Recorded


class TakenOver(Exception):
    """An entry of this turn stood already: another process is at work on it, and this one leaves it alone."""


class Suspended(Exception):
    """The turn waits for a person to decide on ``numbers``; it goes on when one is decided, or at ``until_us``."""

    def __init__(self, until_us: int, numbers: frozenset[int]) -> None:
        super().__init__("a person has to decide")
        self.until_us = until_us
        self.numbers = numbers


@dataclass(frozen=True, slots=True)
class House:
    """What a turn works with. Nothing in here knows of a turn."""

    roadchain: RoadChain
    desk: Desk
    platforms: Mapping[str, Platform]
    toolbox: Toolbox
    limits: Limits
    clock: Callable[[], int] = clock_us
    documents: DocumentReader = field(default_factory=DocumentReader)
    image_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signs:
    """What a turn under way is told: ``stop`` where the person has had enough of the answer; ``withdrawn`` where the question
    itself is gone, and nothing is posted any more."""

    stop: asyncio.Event
    withdrawn: asyncio.Event

    @classmethod
    def none(cls) -> "Signs":
        return cls(asyncio.Event(), asyncio.Event())

    def withdraw(self) -> None:
        self.withdrawn.set()
        self.stop.set()


class Past:
    """What was said in the conversation before, read once for a run."""

    def __init__(self) -> None:
        self._recorded: tuple[Recorded, ...] | None = None
        self._said: tuple[Message, ...] = ()

    async def of(self, story: Story, house: House) -> tuple[Message, ...]:
        if self._recorded is None:
            most = house.limits.history_messages_max
            self._recorded = await house.desk.store.said_in(story.scope.conversation, story.seq, most)
            self._said = recall(self._recorded)
        return self._said

    async def has_others(self, story: Story, house: House, tool: str) -> bool:
        """Whether words of others are among it: of another person who asked here, of what was read for an earlier turn, of a
        tool that was used for one, whose result an answer may repeat. What ``tool`` itself said counts not: its results come
        from where it was allowed to act."""
        await self.of(story, house)
        recorded = self._recorded or ()
        if any(_of_others(one, story.scope.actor) for one in recorded):
            return True
        harmless = house.toolbox.own | {tool}
        for turn in dict.fromkeys(one.entry.turn for one in recorded):
            actions = [one.entry.action for one in await house.desk.store.entries_of(turn)]
            if any(isinstance(action, ToolCalled) and action.tool not in harmless for action in actions):
                return True
        return False


def _of_others(recorded: Recorded, asker: ActorId) -> bool:
    action = recorded.entry.action
    if isinstance(action, ContextRead):
        return bool(action.messages or action.files)
    return recorded.entry.actor != asker


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a turn in this process. ``deadline_s`` on the event loop's clock. ``signs`` is what it is told meanwhile."""

    house: House
    platform: Platform
    signs: Signs
    deadline_s: float
    past: Past
    screen: Screen


async def rules_in(story: Story, run: Run) -> Rules:
    """What the workspace has set, as of now. Raises ``StoreFailed``."""
    return rules_of(await run.house.desk.store.settings(story.scope.workspace))


async def record(story: Story, run: Run, *actions: tuple[Action, bytes | None], beside: Sequence[Draft] = ()) -> Story:
    """Append these together, with what belongs to other turns ``beside``. Durable on return; gives the story that they make."""
    drafts = [draft_of(story.scope, action, body) for action, body in actions]
    receipts = await run.house.roadchain.append(*drafts, *beside)
    for (action, body), receipt in zip(actions, receipts[: len(actions)], strict=True):
        if not receipt.fresh:
            raise TakenOver(f"{story.scope.turn}: entry {receipt.seq} stood already")
        story = after(story, Fact(action, receipt.seq, body, False))
    return story


def decided(turn: TurnId, number: int) -> str:
    """The key of a decision: whichever is recorded first counts, and it counts once."""
    return f"{turn}/approval.decided/{number}"


def draft_of(scope: Scope, action: Action, body: bytes | None) -> Draft:
    """The key names the step, so that two processes cannot both take it."""
    match action:
        case ModelCalled(attempt=step) | ModelAnswered(attempt=step) | ReplyPrepared(part=step) | ReplySent(part=step):
            ordinal = str(step)
        case ToolCalled(round=round_, call=call) | ToolAnswered(round=round_, call=call):
            ordinal = f"{round_}/{call}"
        case ApprovalAsked(number=number) | ApprovalShown(number=number):
            ordinal = str(number)
        case ApprovalGiven(number=number) | ApprovalRefused(number=number) | ApprovalExpired(number=number):
            return Draft(action, scope, decided(scope.turn, number), body)
        case AdjustmentRequested():
            return Draft(action, scope, requested_key(reference_of(scope.turn)), body)
        case ReferralOffered(code=code):
            return Draft(action, scope, offered_key(code), body)
        case ReferralTaken():
            return Draft(action, scope, taken_key(scope.workspace), body)
        case CreditReserved(hold=hold) | CreditSettled(hold=hold) | CreditVoided(hold=hold):
            ordinal = hold
        case CreditRefused(kind=kind):
            ordinal = kind
        case _:
            ordinal = "1"
    return Draft(action, scope, f"{scope.turn}/{action.name}/{ordinal}", body)
