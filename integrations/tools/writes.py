"""A write as a service's file tells of it, and the tool that it makes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from adapters.messages import JsonObject, ToolSpec
from integrations.tools.base import Inverse, Preview, ToolLimits, Use, WriteTool

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)
S_co = TypeVar("S_co", covariant=True)
T = TypeVar("T")


class Client(Protocol[S_co]):
    """A service. ``run`` opens what a use works with, and makes every error that comes of it a ``ToolError``."""

    async def run(self, use: Use, work: Callable[[S_co, Use], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class Write(Generic[S_contra]):
    """``back`` says what takes it back, as ``WriteTool`` does."""

    name: str
    about: str
    takes: JsonObject
    work: Callable[[S_contra, Use], Awaitable[str]]
    show: Callable[[S_contra, Use], Awaitable[Preview]]
    seek: Callable[[S_contra, Use], Awaitable[str | None]]
    back: Inverse | None = None


def tool_of(client: Client[S], write: Write[S], limits: ToolLimits, service: str = "") -> WriteTool:
    async def call(use: Use) -> str:
        return await client.run(use, write.work)

    async def show(use: Use) -> Preview:
        return await client.run(use, write.show)

    async def seek(use: Use) -> str | None:
        return await client.run(use, write.seek)

    spec = ToolSpec(write.name, write.about, write.takes, "write")
    return WriteTool(spec, call, show, seek, limits, service, write.back)
