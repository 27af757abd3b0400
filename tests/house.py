"""A whole house in a folder: the real ledger, the real intake, a script in place of a model."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from adapters.base import BaseAdapter
from adapters.messages import Finished, ModelName, ProviderName, ToolCall, ToolCallId, ToolResult, ToolSpec
from adapters.scripted import ScriptedAdapter, ScriptReply, answer
from bot.billing import FREE_FOR_ALL, Billing
from bot.commands.base import Desk
from bot.connections import Build, Connected, Connections
from bot.door import HouseDoor
from bot.intake import Ending, Intake
from bot.limits import Limits
from bot.lucidia.catalog import Catalog, ModelCard, Rates, Tier
from bot.lucidia.policy import Policy
from bot.lucidia.watch import Watch
from bot.platforms.base import (
    Address,
    Attached,
    Door,
    Incoming,
    Overheard,
    Platform,
    PlatformError,
    PlatformName,
    Presence,
    Reply,
    Screen,
    ToolStep,
)
from bot.run import House
from bot.sentences import ENGLISH, Sentences
from bot.services import Services
from bot.vault import Vault
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import EMPTY_TOOLBOX, Preview, Toolbox, ToolLimits, Unknown, Use
from ledger.actions import LedgerCreated
from ledger.entry import HOUSE, Draft
from ledger.pseudonyms import Pseudonyms, TurnId
from ledger.roadchain import RoadChain, clock_us
from ledger.store import Receipt, Recorded

PSEUDONYMS = Pseudonyms(b"\x01" * 32)
DATABASE = "roadchain.db"
GENESIS = Draft(LedgerCreated("test", "00" * 16, "11" * 32), HOUSE, "ledger.created")
ME = Address(PlatformName("test"), "team", "channel", "thread", "person")


def card(
    name: str,
    quality: int = 50,
    *,
    images: bool = False,
    tools: bool = True,
    rates: Rates | None = None,
    tiers: tuple[Tier, ...] = (),
    reasons: bool = False,
    languages: tuple[str, ...] = (),
    knows_until: str = "",
    model: str = "m",
) -> ModelCard:
    return ModelCard(
        ProviderName(name),
        ModelName(model),
        100_000,
        4_096,
        images,
        False,
        tools,
        quality=quality,
        rates=rates or Rates(0, 0),
        tiers=tiers,
        reasons=reasons,
        languages=languages,
        knows_until=knows_until,
    )


def asks(text: str, event: str = "1", address: Address = ME, *, bare: bool = False) -> Incoming:
    return Incoming(address, event, text, bare_commands=bare)


class RecordingScreen:
    def __init__(self, shows: bool) -> None:
        self._shows = shows
        self.seen = ""
        self.begun = 0
        self.discarded = False
        self.steps: list[ToolStep] = []
        self.first = asyncio.Event()

    @property
    def shows(self) -> bool:
        return self._shows

    async def show(self, delta: str) -> None:
        self.seen += delta
        self.first.set()

    async def reasoning(self, delta: str) -> None:
        return None

    async def begin(self) -> None:
        self.begun += 1

    async def wait(self) -> None:
        self.discarded = True

    async def discard(self) -> None:
        self.discarded = True

    async def tool(self, step: ToolStep) -> None:
        self.steps.append(step)


WORD_S_MAX = 60


@dataclass
class RecordingPlatform:
    """Keeps what was sent. ``fails`` are raised by the next sends, in order; ``presence`` is what ``find`` says."""

    live: bool = False
    presence: Presence = "absent"
    fails: list[Exception] = field(default_factory=list)
    sent: list[tuple[TurnId, int, Reply]] = field(default_factory=list)
    screens: dict[TurnId, RecordingScreen] = field(default_factory=dict)
    looked: int = 0
    overheard: tuple[Overheard, ...] = ()
    aside: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> PlatformName:
        return ME.platform

    def screen(self, to: Address, turn: TurnId) -> Screen:
        return self.screens.setdefault(turn, RecordingScreen(self.live))

    async def first_word(self, turn: TurnId) -> None:
        """Wait until something of an answer is shown."""
        async with asyncio.timeout(WORD_S_MAX):
            await self.screens.setdefault(turn, RecordingScreen(self.live)).first.wait()

    async def say_aside(self, to: Address, text: str) -> None:
        self.aside.append(text)

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append((turn, part, reply))

    async def find(self, to: Address, turn: TurnId, part: int) -> Presence:
        self.looked += 1
        return self.presence

    async def overhear(self, to: Address, before: str, count_max: int) -> Sequence[Overheard]:
        return self.overheard[-count_max:]

    async def fetch(self, to: Address, attached: Attached, bytes_max: int) -> bytes:
        data = self.files.get(attached.reference)
        if data is None or len(data) > bytes_max:
            raise PlatformError("it is not there", None)
        return data

    @property
    def texts(self) -> list[str]:
        return [reply.text for _, _, reply in self.sent]


class Gate(asyncio.Event):
    """Says when somebody waits for it: a script that waits for it has come so far."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()


class RecordingTool:
    """A tool named ``look`` that counts how often it was used. ``found`` is what it says of a use that a crash cut off."""

    def __init__(self, effect: Literal["read", "write"], found: ToolResult | None | Unknown = None) -> None:
        self.calls = 0
        self.marks: list[str] = []
        self._found = found
        self._spec = ToolSpec("look", "Looks.", {"type": "object"}, effect)

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    @property
    def service(self) -> str:
        return ""

    @property
    def limits(self) -> ToolLimits:
        return ToolLimits()

    async def call(self, use: Use) -> ToolResult:
        self.calls += 1
        self.marks.append(use.mark)
        return ToolResult(use.call.id, f"seen {self.calls}")

    @property
    def undoes(self) -> bool:
        return False

    def undo(self, call: ToolCall, result: ToolResult) -> ToolCall | None:
        return None

    async def preview(self, use: Use) -> Preview:
        return Preview("Look at it", tuple((name, str(value)) for name, value in use.call.arguments.items()))

    async def look(self, use: Use) -> ToolResult | None:
        if isinstance(self._found, Unknown):
            raise self._found
        return self._found


WANTS_TOOL: ScriptReply = (ToolCall(ToolCallId("c1"), "look", {"at": "x"}), Finished("tool_calls", None))


@dataclass(frozen=True)
class Open:
    house: House
    intake: Intake
    door: Door
    store: SqliteStore
    roadchain: RoadChain

    async def ask(self, incoming: Incoming) -> tuple[TurnId, Ending]:
        accepted = await self.intake.accept(incoming)
        return accepted.turn, await self.intake.ended(accepted.turn)

    async def journal(self, turn: TurnId) -> list[str]:
        return [recorded.entry.action.name for recorded in await self.store.entries_of(turn)]

    async def all(self) -> tuple[Recorded, ...]:
        return await self.store.entries(-1, 100_000)


Brought: TypeAlias = Callable[[SqliteStore], tuple[()] | tuple[Vault, Build]]
"""The vault of keys that were brought, and what is made with one; nothing where nobody can bring any."""


Connecting: TypeAlias = Callable[[SqliteStore, RoadChain], Services | None]
"""What people can connect; None where that is nothing."""


@asynccontextmanager
async def running_house(
    folder: Path,
    platform: Platform,
    adapters: Mapping[str, BaseAdapter] | Sequence[ScriptReply] = (answer("Hello."),),
    *,
    cards: Sequence[ModelCard] | None = None,
    limits: Limits = Limits(),
    toolbox: Toolbox = EMPTY_TOOLBOX,
    policy: Policy = Policy(),
    wrap: Callable[[SqliteStore], SqliteStore] = lambda store: store,
    brought: Brought = lambda store: (),
    billing: Billing = FREE_FOR_ALL,
    connecting: Connecting = lambda store, roadchain: None,
    image_hosts: tuple[str, ...] = (),
    say: Sentences = ENGLISH,
) -> AsyncIterator[Open]:
    """``adapters`` by provider, or the script of the only one. ``cards`` as many as adapters, the first the best."""
    if not isinstance(adapters, Mapping):
        adapters = {"scripted": ScriptedAdapter(ProviderName("scripted"), tuple(adapters))}
    if cards is None:
        cards = [card(name, 90 - place) for place, name in enumerate(adapters)]
    async with AsyncExitStack() as stack:
        store = wrap(await SqliteStore.open(folder / DATABASE))
        stack.push_async_callback(store.aclose)
        roadchain = await stack.enter_async_context(RoadChain(store))
        await roadchain.append(GENESIS)
        by_provider = {ProviderName(name): adapter for name, adapter in adapters.items()}
        connections = Connections(Connected(by_provider, Catalog.of(cards)), *brought(store))
        watch = Watch(store, clock_us)
        desk = Desk(
            store,
            connections,
            lambda conversation: intake.stop(conversation),
            _no_receipt,
            watch,
            policy,
            PSEUDONYMS,
            billing=billing,
            services=connecting(store, roadchain),
            say=say,
        )
        house = House(roadchain, desk, {platform.name: platform}, toolbox, limits, image_hosts=image_hosts)
        intake = Intake(house, PSEUDONYMS, store.owner, clock_us)
        await stack.enter_async_context(intake)
        yield Open(house, intake, HouseDoor(intake, house), store, roadchain)


async def _no_receipt(recorded: Recorded) -> bytes | None:
    """A house of the tests signs nothing."""
    return None


class Batches:
    """What is appended together, by the names of the actions: between two of these, and nowhere else, a crash can come."""

    def __init__(self, roadchain: RoadChain, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[list[str]] = []
        append = roadchain.append

        async def noted(*drafts: Draft) -> tuple[Receipt, ...]:
            self.names.append([draft.action.name for draft in drafts])
            return await append(*drafts)

        monkeypatch.setattr(roadchain, "append", noted)

    @property
    def answered_at_once(self) -> int:
        """How many uses were recorded together with their answer."""
        return sum(names.count("tool.called") for names in self.names if "tool.answered" in names)
