"""Tools: actions that an agent may take, and the box that they are kept in.

ToolError
+-- Invalid             the arguments, or what they ask for, are not usable
+-- NotConnected        nobody gave credentials for this service
+-- RefusedCredentials  the service does not know them (401)
+-- NotAllowed          it knows them, and they do not suffice (403)
+-- NotFound            (404)
+-- Conflict            what is there has changed, or is there already (409)
+-- RateLimited         (429)
+-- Unavailable         no connection, or a fault of the service (5xx)
+-- TimedOut
+-- BadAnswer           the service said something that it should not
+-- Unknown             whether a write took place cannot be told
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias, TypeVar

from adapters.messages import Json, JsonObject, ToolCall, ToolResult, ToolSpec
from integrations.sentence import Sentence, Told
from ledger.money import Money
from ledger.pseudonyms import ActorId, WorkspaceId

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

FAULT_CHARS_MAX = 300
HIDDEN = "[hidden]"
NOT_KNOWN = "It is not known whether it took place. Do not repeat it; tell the person."
NOT_TAKEN_BACK = Sentence("CarPool has no way to take it back.")
_TAGS = re.compile("[\U000e0000-\U000e007f]")
"""Characters without a shape, in which a whole text can be hidden from a person and told to a model."""

T = TypeVar("T")


class ToolError(Exception):
    """A tool could not do it. ``told`` is for the person, ``sentence`` the same for the model, in English; the message is for
    the log.

    ``outcome_open``: a write that ends so may have taken place all the same.
    """

    outcome_open: ClassVar[bool] = False

    def __init__(self, message: str, english: str, /, *values: object) -> None:
        super().__init__(message)
        self.told = Sentence(english, values)

    @property
    def sentence(self) -> str:
        return str(self.told)


class Invalid(ToolError):
    pass


class NotConnected(ToolError):
    pass


class RefusedCredentials(ToolError):
    pass


class NotAllowed(ToolError):
    pass


class NotFound(ToolError):
    pass


class Conflict(ToolError):
    pass


class RateLimited(ToolError):
    """``retry_after_s`` is None where the service did not say."""

    def __init__(self, message: str, english: str, /, *values: object, retry_after_s: float | None = None) -> None:
        super().__init__(message, english, *values)
        self.retry_after_s = retry_after_s


class Unavailable(ToolError):
    outcome_open = True


class TimedOut(ToolError):
    outcome_open = True


class BadAnswer(ToolError):
    outcome_open = True


class Unknown(ToolError):
    """Whether a write took place cannot be told."""


@dataclass(frozen=True, slots=True)
class Where:
    """By whom and in which conversation a use was asked for, in the platform's own ids."""

    platform: str
    workspace: str
    channel: str
    thread: str
    person: str


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool. ``mark`` names it for ever: the idempotency key, or the marker that is left at the service.

    ``token`` is what the asker, or else their workspace, connected the tool's service with; empty where nobody did. The box
    puts it there for each use anew.
    """

    call: ToolCall
    mark: str
    workspace: WorkspaceId
    actor: ActorId
    token: str = field(default="", repr=False)
    where: Where | None = None

    def text(self, name: str, default: str = "") -> str:
        """Raises ``Invalid`` where the argument is no text."""
        value = self.call.arguments.get(name, default)
        if not isinstance(value, str):
            raise Invalid(f"{self.call.name}: {name} is no text", "{0} has to be text.", name)
        return value

    def number(self, name: str, default: int = 0) -> int:
        """Raises ``Invalid`` where the argument is no whole number."""
        value = self.call.arguments.get(name, default)
        if isinstance(value, float) and value.is_integer():
            return int(value)  # JSON Schema counts 3.0 as an integer
        if not isinstance(value, int) or isinstance(value, bool):
            raise Invalid(f"{self.call.name}: {name} is no whole number", "{0} has to be a whole number.", name)
        return value


@dataclass(frozen=True, slots=True)
class Preview:
    """What exactly a write would do, in plain words. ``irreversible`` says what of it cannot be taken back. ``by_another_admin``:
    it moves money, so that whatever is set, an admin approves of it who is not the one who asked."""

    title: Told
    fields: tuple[tuple[Told, Told], ...]
    diff: str = ""
    irreversible: Told = ""
    cost: Money | None = None
    by_another_admin: bool = False


@dataclass(frozen=True, slots=True)
class ToolLimits:
    timeout_s: float = 30.0
    result_bytes_max: int = 64_000


class Tokens(Protocol):
    """What people connected services with."""

    async def token(self, service: str, workspace: WorkspaceId, actor: ActorId) -> str:
        """That of the person, else of the workspace; empty where neither has one. Raises ``ToolError`` where it is of no more use
        or cannot be read now: then nobody else's takes its place."""
        ...

    async def connected(self, workspace: WorkspaceId, actor: ActorId) -> frozenset[str]:
        """The services of which there is one."""
        ...


PlaceToken: TypeAlias = Callable[[Where], Awaitable[str]]
"""The token of the place where something was asked for, whoever asked; empty where it has none. Raises ``ToolError``."""


Inverse: TypeAlias = Callable[[ToolCall, str], tuple[str, JsonObject] | None]
"""Of a write and what it said: the tool that takes it back, with its arguments; None where nothing does. Pure."""


class Tool(Protocol):
    """``service`` names whose credentials it takes; empty where it takes none of anybody's. ``undoes``: what it did can be taken
    back, by what ``undo`` gives."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def service(self) -> str: ...

    @property
    def limits(self) -> ToolLimits: ...

    @property
    def undoes(self) -> bool: ...

    def undo(self, call: ToolCall, result: ToolResult) -> ToolCall | None:
        """What takes back what this call did, as its result tells; None where nothing does. Pure."""
        ...

    async def call(self, use: Use) -> ToolResult:
        """Raises ``ToolError``."""
        ...

    async def preview(self, use: Use) -> Preview:
        """What the call would change. Nothing is changed. Raises ``ToolError``."""
        ...

    async def look(self, use: Use) -> ToolResult | None:
        """The result of a write that took place, found by its mark; None where it certainly did not. Raises ``ToolError``,
        and ``Unknown`` where it cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class ReadTool:
    """A tool that changes nothing. ``read`` gives the text for the model, and raises ``ToolError``."""

    spec: ToolSpec
    read: Callable[[Use], Awaitable[str]]
    limits: ToolLimits = ToolLimits()
    service: str = ""

    @property
    def undoes(self) -> bool:
        return False

    def undo(self, call: ToolCall, result: ToolResult) -> ToolCall | None:
        return None

    async def call(self, use: Use) -> ToolResult:
        return ToolResult(use.call.id, await self.read(use))

    async def preview(self, use: Use) -> Preview:
        return Preview(self.spec.description, ())

    async def look(self, use: Use) -> ToolResult | None:
        """It changed nothing, so that it may be done again."""
        return None


@dataclass(frozen=True, slots=True)
class WriteTool:
    """A tool that changes something: ``write`` does it, ``show`` says what it would do, ``seek`` finds what it did, ``back``
    names what takes it back; None where nothing can."""

    spec: ToolSpec
    write: Callable[[Use], Awaitable[str]]
    show: Callable[[Use], Awaitable[Preview]]
    seek: Callable[[Use], Awaitable[str | None]]
    limits: ToolLimits = ToolLimits()
    service: str = ""
    back: Inverse | None = None

    @property
    def undoes(self) -> bool:
        return self.back is not None

    def undo(self, call: ToolCall, result: ToolResult) -> ToolCall | None:
        if self.back is None or (found := self.back(call, result.content)) is None:
            return None
        name, arguments = found
        return ToolCall(call.id, name, arguments)

    async def call(self, use: Use) -> ToolResult:
        return ToolResult(use.call.id, await self.write(use))

    async def preview(self, use: Use) -> Preview:
        return await self.show(use)

    async def look(self, use: Use) -> ToolResult | None:
        found = await self.seek(use)
        return None if found is None else ToolResult(use.call.id, found)


def parameters(properties: Mapping[str, JsonObject], required: tuple[str, ...] = ()) -> JsonObject:
    """The JSON Schema of arguments that are these, and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Toolbox:
    """``secrets`` are the credentials that the tools hold: none of them stands in what the box gives out. ``own`` names the tools
    whose results have nobody else's words in them: of a clock, say. ``unconnected`` names those that hold no credentials of their
    own: they are there for whoever connected their service, by ``tokens``. ``places`` are the services whose token is that of the
    place where something is asked for: of a workspace that let CarPool in."""

    tools: Mapping[str, Tool]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    own: frozenset[str] = frozenset()
    tokens: Tokens | None = None
    unconnected: frozenset[str] = frozenset()
    places: Mapping[str, PlaceToken] = field(default_factory=dict)
    _validators: "dict[str, Draft202012Validator]" = field(default_factory=dict, init=False, repr=False, compare=False)
    """Of the tools that were used: checking a schema itself takes a hundred times as long as checking arguments by it."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())

    @property
    def changes_something(self) -> bool:
        return any(tool.spec.effect == "write" for tool in self.tools.values())

    def find(self, name: str) -> Tool | None:
        return self.tools.get(name)

    async def offered(self, workspace: WorkspaceId, actor: ActorId) -> tuple[ToolSpec, ...]:
        """What this person may be offered: not what they have nothing connected for. Raises ``StoreFailed``."""
        if not self.unconnected:
            return self.specs
        connected = await self.tokens.connected(workspace, actor) if self.tokens else frozenset[str]()
        return tuple(
            tool.spec for name, tool in self.tools.items() if name not in self.unconnected or tool.service in connected
        )

    async def use(self, use: Use) -> ToolResult:
        """Do it, within the tool's limits. What goes wrong is a failed result with a sentence."""
        tool = self.tools[use.call.name]
        try:
            self._check(tool.spec, use.call.arguments)
            use = await self._with_token(tool, use)
        except ToolError as error:  # nothing has left
            return self._clean(tool, use, ToolResult(use.call.id, error.sentence, True))
        try:
            result = await _in_time(tool, tool.call(use))
        except ToolError as error:
            if not error.outcome_open or tool.spec.effect == "read":
                return self._clean(tool, use, ToolResult(use.call.id, error.sentence, True))
            result = await self._after_fault(tool, use, error)
        return self._clean(tool, use, result)

    async def preview(self, use: Use) -> Preview:
        """Raises ``ToolError``."""
        tool = self.tools[use.call.name]
        self._check(tool.spec, use.call.arguments)
        use = await self._with_token(tool, use)
        shown = await _in_time(tool, tool.preview(use))
        title, diff = self._told_without_secrets(shown.title, use), self._without_secrets(shown.diff, use)
        fields = tuple((name, self._told_without_secrets(value, use)) for name, value in shown.fields)
        final = shown.irreversible or ("" if tool.undoes else NOT_TAKEN_BACK)
        return replace(shown, title=title, fields=fields, diff=diff, irreversible=final)

    def undo_of(self, call: ToolCall, result: ToolResult) -> ToolCall | None:
        """What takes back what this write did; None where it did nothing, or nothing does."""
        tool = self.tools.get(call.name)
        undo = None if tool is None or result.failed else tool.undo(call, result)
        return undo if undo is not None and undo.name in self.tools else None

    async def look(self, use: Use) -> ToolResult | None:
        """Raises ``Unknown``."""
        tool = self.tools.get(use.call.name)
        if tool is None:
            raise Unknown(f"there is no tool {use.call.name} any more", "It is not known what became of this.")
        try:
            use = await self._with_token(tool, use)
            found = await _in_time(tool, tool.look(use))
        except Unknown:
            raise
        except ToolError as error:
            # Nobody could be asked, which is no answer.
            raise Unknown(str(error), "It is not known what became of this: {0}", error.told) from error
        return None if found is None else self._clean(tool, use, found)

    async def _with_token(self, tool: Tool, use: Use) -> Use:
        """Raises ``ToolError``. Renewing a token takes from the tool's time."""
        if (of_place := self.places.get(tool.service)) is not None:
            return use if use.where is None else replace(use, token=await _in_time(tool, of_place(use.where)))
        if not tool.service or self.tokens is None:
            return use
        token = await _in_time(tool, self.tokens.token(tool.service, use.workspace, use.actor))
        if not token and tool.spec.name in self.unconnected:
            raise NotConnected(
                f"nobody connected {tool.service}",
                "{0} is not connected: the person can do that with `/connect {0}`.",
                tool.service,
            )
        return replace(use, token=token)

    def _check(self, spec: ToolSpec, arguments: JsonObject) -> None:
        """Raises ``Invalid`` where these arguments do not fit the tool's schema."""
        from jsonschema.exceptions import SchemaError, best_match
        from referencing.exceptions import Unresolvable

        try:
            if spec.name not in self._validators:
                self._validators[spec.name] = _validator(spec)
            fault = best_match(self._validators[spec.name].iter_errors(arguments))
        except (SchemaError, Unresolvable, RecursionError) as error:
            raise Invalid(f"the schema of {spec.name}: {error}", "{0} cannot say what it takes.", spec.name) from error
        if fault is not None:
            said = fault.message if len(fault.message) <= FAULT_CHARS_MAX else f"{fault.message[:FAULT_CHARS_MAX]}…"
            raise Invalid(
                f"arguments of {spec.name}",
                "These arguments do not fit {0}: {1}: {2}",
                spec.name,
                fault.json_path,
                said,
            )

    async def _after_fault(self, tool: Tool, use: Use, error: ToolError) -> ToolResult:
        """A write whose answer did not come. That it is not there now does not say that it will not be: it is not repeated."""
        try:
            found = await self.look(use)
        except Unknown:
            found = None
        if found is not None:
            return found
        return ToolResult(use.call.id, f"{error.sentence} {NOT_KNOWN}", True)

    def _clean(self, tool: Tool, use: Use, result: ToolResult) -> ToolResult:
        # A secret written with characters between that nobody sees is one all the same; and a cut would leave half of it.
        content = self._without_secrets(_TAGS.sub("", result.content), use)
        return _shortened(replace(result, content=content), tool.limits.result_bytes_max)

    def _told_without_secrets(self, told: Told, use: Use) -> Told:
        if isinstance(told, str):
            return self._without_secrets(told, use)
        said = (self._told_without_secrets(it, use) if isinstance(it, Sentence | str) else it for it in told.values)
        return replace(told, values=tuple(said))

    def _without_secrets(self, text: str, use: Use) -> str:
        for secret in sorted(filter(None, (*self.secrets, use.token)), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


async def _in_time(tool: Tool, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(tool.limits.timeout_s):
            return await work
    except TimeoutError as error:
        name, most_s = tool.spec.name, tool.limits.timeout_s
        raise TimedOut(f"{name} timed out", "{0} took longer than {1:g} seconds.", name, most_s) from error


def _validator(spec: ToolSpec) -> "Draft202012Validator":
    """Raises ``SchemaError``."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    Draft202012Validator.check_schema(spec.parameters)
    # An empty registry: a schema of somebody else's server must not make us fetch what it refers to.
    validator: Draft202012Validator = extend(Draft202012Validator, {"pattern": _pattern})(
        spec.parameters, registry=Registry()
    )
    return validator


def _pattern(validator: object, pattern: str, instance: Json, schema: object) -> "Iterator[ValidationError]":
    """As JSON Schema has it (ECMA-262), where `$` is the very end of a text: Python's lets a line break behind it through."""
    from jsonschema.exceptions import ValidationError

    whole = rf"{pattern[:-1]}\Z" if pattern.endswith("$") else pattern
    if isinstance(instance, str) and re.search(whole, instance) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _shortened(result: ToolResult, most: int) -> ToolResult:
    whole = result.content.encode(errors="replace")
    if len(whole) <= most:
        return result
    kept = whole[:most].decode(errors="ignore")
    return replace(result, content=f"{kept}\n[Shortened: the first {most:,} of {len(whole):,} bytes stand above.]")


EMPTY_TOOLBOX = Toolbox({})
