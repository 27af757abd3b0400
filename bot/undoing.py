"""Taking back what a tool did: a use of the tool that undoes it, on RoadChain before it leaves and after it came back.

It is done as the one who asked for it did it, with their credentials, once: whoever begins it first does it, and one that a crash
cut off is looked for at the service.
"""

import re
from dataclasses import dataclass

from adapters.messages import Message, ToolCall, ToolResult
from bot.commands.base import Undo, undo_key
from bot.commands.undoing import BEFORE
from bot.payloads import encode_message
from bot.run import Run
from bot.sentences import Sentences
from bot.story import Fact, Story, after
from bot.visible import visible
from integrations.tools.base import NOT_KNOWN, ToolError, Unknown, Use, Where
from ledger.actions import Action, ToolAnswered, ToolCalled
from ledger.entry import Draft
from ledger.errors import KeyReused

SHOWN_CHARACTERS_MAX = 300
ROUND = 0
"""Of no model: those count from one."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What its asker reads, and what is recorded together with that."""

    text: str
    entries: tuple[tuple[Action, bytes | None], ...] = ()


async def take_back(undo: Undo, story: Story, run: Run) -> tuple[Story, Taken]:
    """Do it, where it can be and was not begun before. Raises ``StoreFailed``."""
    box, say = run.house.toolbox, run.house.desk.say
    inverse = box.undo_of(undo.call, undo.result)
    if inverse is None:
        return story, Taken(say("What {0} did cannot be taken back from here.", _code(undo.call.name)))
    to = undo.address
    where = Where(to.platform, to.workspace, to.channel, to.thread, to.person)
    use = Use(inverse, f"{undo.scope.turn}/undo/{undo.number}", undo.scope.workspace, undo.scope.actor, where=where)
    if story.tools:  # a crash came between
        return story, _taken(undo, inverse, await _looked(use, run), say)
    try:
        await box.preview(use)
    except ToolError as error:  # nothing has left, and it may be tried again
        return story, Taken(say("It was not taken back: {0}", _code(say.of(error.told))))
    called = ToolCalled(ROUND, undo.reference, inverse.name, "write")
    body = encode_message(Message("assistant", (inverse,)))
    key = undo_key(undo.scope.turn, undo.number)
    try:
        (receipt,) = await run.house.roadchain.append(Draft(called, story.scope, key, body))
        fresh = receipt.fresh
    except KeyReused:
        fresh = False
    if not fresh:
        return story, Taken(say(BEFORE))
    story = after(story, Fact(called, receipt.seq, body, False))
    return story, _taken(undo, inverse, await box.use(use), say)


async def _looked(use: Use, run: Run) -> ToolResult:
    try:
        found = await run.house.toolbox.look(use)
    except Unknown as error:
        return ToolResult(use.call.id, f"{error.sentence} {NOT_KNOWN}", True)
    return await run.house.toolbox.use(use) if found is None else found


def _taken(undo: Undo, inverse: ToolCall, result: ToolResult, say: Sentences) -> Taken:
    entry = ToolAnswered(ROUND, undo.reference, result.failed)
    said = _code(result.content.replace(NOT_KNOWN, "").strip())
    if not result.failed:
        text = say("Taken back: {0}", said)
    elif NOT_KNOWN in result.content:
        text = say("It is not known whether it was taken back: {0} Look at the service; it is not tried again.", said)
    else:
        text = say("It was not taken back: {0}", said)
    return Taken(text, ((entry, encode_message(Message("tool", (result,)))),))


def _code(text: str) -> str:
    """What a service or a tool says, on one line, and no markup."""
    plain = re.sub(r"[`\s]+", " ", visible(text)).strip()
    return f"`{plain[:SHOWN_CHARACTERS_MAX]}`"
