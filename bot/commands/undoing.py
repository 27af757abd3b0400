"""``/undo``: what a tool did is taken back, where its service has a way. The turn does it; here is found what is meant."""

from dataclasses import dataclass

from adapters.messages import ToolCall, ToolResult
from bot.approvals import read_reference
from bot.commands.base import Asking, Command, Desk, Result, Undo, undo_key
from bot.payloads import decode_asked, decode_message
from ledger.actions import ApprovalAsked, ApprovalGiven, MessageReceived, ToolAnswered, ToolCalled
from ledger.entry import Scope
from ledger.pseudonyms import ActorId
from ledger.store import Recorded

NOTHING_DONE = "There is nothing here that a tool did and that could be taken back."
TOO_LATE = "That is too long ago: what a tool did can be taken back for {0:,} hours."
BEFORE = "That was taken back before, or it was tried: the answer to that says what came of it."
NOT_YOURS = "Only the person who asked for it, who approved of it, or an admin can take it back."
ERASED = "What was done is not known here any more: its texts were erased."


@dataclass
class _Done:
    """What is known of one write of a turn, as its entries are gone through."""

    asked: ApprovalAsked
    approver: ActorId | None = None
    call: ToolCall | None = None
    result: ToolResult | None = None
    ended_us: int = 0


async def _undo(asking: Asking, desk: Desk) -> Result:
    named = read_reference(asking.arguments) if asking.arguments else None
    if asking.arguments and named is None:
        return Result(desk.say("`/undo REFERENCE`: the reference stood in the question before it was done."))
    turn = named[0] if named else await desk.store.last_turn(asking.scope.conversation, asking.scope.actor, asking.seq)
    entries = () if turn is None else await desk.store.entries_of(turn)
    first = entries[0] if entries else None
    if first is None or first.entry.workspace != asking.scope.workspace:
        return Result(desk.say(NOTHING_DONE))
    done = [one for one in _writes(entries) if one.ended_us and named in (None, (turn, one.asked.number))]
    if not done:
        return Result(desk.say(NOTHING_DONE))
    return await _of(asking, desk, first, done[-1])


async def _of(asking: Asking, desk: Desk, first: Recorded, done: _Done) -> Result:
    who, received = first.entry, first.entry.action
    may = asking.scope.actor in (who.actor, done.approver) or asking.rules.may(asking.role, "settings")
    if not (may and asking.rules.may(asking.role, "ask")):
        return Result(desk.say(NOT_YOURS))
    begun = await desk.store.find(undo_key(who.turn, done.asked.number))
    # What this very turn began before a crash, it carries to its end.
    if begun is not None and begun.entry.turn != asking.scope.turn:
        return Result(desk.say(BEFORE))
    if begun is None and done.ended_us + desk.undo_s * 1_000_000 <= desk.clock():
        return Result(desk.say(TOO_LATE, desk.undo_s // 3_600))
    if done.call is None or done.result is None or first.body is None or not isinstance(received, MessageReceived):
        return Result(desk.say(ERASED))
    scope = Scope(who.workspace, who.actor, received.conversation, who.turn)
    return Result("", undo=Undo(done.asked.number, done.call, done.result, scope, decode_asked(first.body).address))


def _writes(entries: tuple[Recorded, ...]) -> list[_Done]:
    """Those that a person was asked about, in order."""
    found: dict[tuple[int, str], _Done] = {}
    for recorded in entries:
        match recorded.entry.action:
            case ApprovalAsked(round=round_, call=call) as asked:
                found[round_, call] = _Done(asked)
            case ApprovalGiven(number=number):
                for one in found.values():
                    if one.asked.number == number:
                        one.approver = recorded.entry.actor
            case ToolCalled(round=round_, call=call) if (round_, call) in found and recorded.body is not None:
                called = decode_message(recorded.body).parts[0]
                found[round_, call].call = called if isinstance(called, ToolCall) else None
            case ToolAnswered(round=round_, call=call, failed=False) if (round_, call) in found:
                one = found[round_, call]
                one.ended_us = recorded.entry.ts
                said = None if recorded.body is None else decode_message(recorded.body).parts[0]
                one.result = said if isinstance(said, ToolResult) else None
            case _:
                pass
    return [one for one in found.values() if one.approver is not None]


UNDO = Command(
    "undo",
    "undo [REFERENCE]",
    "takes back what a tool did, where there is a way",
    _undo,
    lambda arguments: not arguments or read_reference(arguments) is not None,
)
