"""Tools: actions that an agent may take. The box that they are kept in; it is empty so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from adapters.messages import ToolCall, ToolResult, ToolSpec


class Tool(Protocol):
    @property
    def spec(self) -> ToolSpec: ...

    async def call(self, call: ToolCall) -> ToolResult:
        """Raises nothing that a model should hear of: a failure is a failed result."""
        ...


@dataclass(frozen=True, slots=True)
class Toolbox:
    tools: Mapping[str, Tool]

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())

    def find(self, name: str) -> Tool | None:
        return self.tools.get(name)


EMPTY_TOOLBOX = Toolbox({})
