"""Tools: actions that an agent may take, and the box that they are kept in."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from adapters.messages import ToolCall, ToolResult, ToolSpec
from ledger.money import Money
from ledger.pseudonyms import ActorId, WorkspaceId


class ToolError(Exception):
    """A tool could not do it. ``sentence`` is for the model and the person; the message is for the log."""

    def __init__(self, message: str, sentence: str) -> None:
        super().__init__(message)
        self.sentence = sentence


class Unknown(ToolError):
    """Whether a write took place cannot be told."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool. ``mark`` names it for ever: the idempotency key, or the marker that is left at the service."""

    call: ToolCall
    mark: str
    workspace: WorkspaceId
    actor: ActorId


@dataclass(frozen=True, slots=True)
class Preview:
    """What exactly a write would do, in plain words. ``irreversible`` says what of it cannot be taken back."""

    title: str
    fields: tuple[tuple[str, str], ...]
    diff: str = ""
    irreversible: str = ""
    cost: Money | None = None


@dataclass(frozen=True, slots=True)
class ToolLimits:
    timeout_s: float = 30.0
    result_bytes_max: int = 64_000


class Tool(Protocol):
    @property
    def spec(self) -> ToolSpec: ...

    @property
    def limits(self) -> ToolLimits: ...

    async def call(self, use: Use) -> ToolResult:
        """Raises ``ToolError``."""
        ...

    async def preview(self, use: Use) -> Preview:
        """What the call would change. Nothing is changed. Raises ``ToolError``."""
        ...

    async def look(self, use: Use) -> ToolResult | None:
        """The result of a write that took place, found by its mark; None where it certainly did not. Raises ``Unknown``."""
        ...


@dataclass(frozen=True, slots=True)
class Toolbox:
    tools: Mapping[str, Tool]

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())

    @property
    def changes_something(self) -> bool:
        return any(tool.spec.effect == "write" for tool in self.tools.values())

    def find(self, name: str) -> Tool | None:
        return self.tools.get(name)

    async def use(self, use: Use) -> ToolResult:
        """Do it, within the tool's limits. What goes wrong is a failed result with a sentence."""
        tool = self.tools[use.call.name]
        try:
            async with asyncio.timeout(tool.limits.timeout_s):
                result = await tool.call(use)
        except ToolError as error:
            return ToolResult(use.call.id, error.sentence, True)
        except TimeoutError:
            return ToolResult(use.call.id, f"{use.call.name} took longer than {tool.limits.timeout_s:g} seconds.", True)
        return _shortened(result, tool.limits.result_bytes_max)

    async def preview(self, use: Use) -> Preview:
        """Raises ``ToolError``."""
        return await self.tools[use.call.name].preview(use)

    async def look(self, use: Use) -> ToolResult | None:
        """Raises ``Unknown``."""
        tool = self.tools.get(use.call.name)
        if tool is None:
            raise Unknown(f"there is no tool {use.call.name} any more", "It is not known what became of this.")
        return await tool.look(use)


def _shortened(result: ToolResult, most: int) -> ToolResult:
    whole = result.content.encode(errors="replace")
    if len(whole) <= most:
        return result
    kept = whole[:most].decode(errors="ignore")
    return replace(result, content=f"{kept}\n[Shortened: the first {most:,} of {len(whole):,} bytes stand above.]")


EMPTY_TOOLBOX = Toolbox({})
