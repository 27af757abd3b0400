"""Commands that decide what a tool may do: ``/approve`` and ``/refuse``."""

from bot.approvals import may_decide, read_reference, undecided
from bot.commands.base import Asking, Command, Decided, Desk, Result
from ledger.actions import ApprovalAsked, ApprovalGiven, ApprovalRefused, MessageReceived
from ledger.pseudonyms import ConversationId
from ledger.store import Recorded

NOTHING_OPEN = "There is nothing here that waits for an approval."


async def _approve(asking: Asking, desk: Desk) -> Result:
    found = await _open(asking, desk)
    if isinstance(found, str):
        return Result(found)
    first, asked = found
    why_not = may_decide(asked, first.entry.actor, asking.scope.actor, asking.role, asking.rules)
    if why_not:
        return Result(why_not)
    decision = Decided(first.entry.turn, _conversation(first), ApprovalGiven(asked.number, asked.arguments))
    return Result(f"Approved: `{asked.tool}`.", decided=(decision,))


async def _refuse(asking: Asking, desk: Desk) -> Result:
    found = await _open(asking, desk)
    if isinstance(found, str):
        return Result(found)
    first, asked = found
    if first.entry.actor != asking.scope.actor:
        why_not = may_decide(asked, first.entry.actor, asking.scope.actor, asking.role, asking.rules)
        if why_not:
            return Result(why_not)
    decision = Decided(first.entry.turn, _conversation(first), ApprovalRefused(asked.number, "person"))
    return Result(f"Refused: `{asked.tool}` is not used.", decided=(decision,))


async def _open(asking: Asking, desk: Desk) -> tuple[Recorded, ApprovalAsked] | str:
    """The approval that is meant: the turn's message, and the question. Or why there is none."""
    named = read_reference(asking.arguments) if asking.arguments else None
    if asking.arguments and named is None:
        return "`/approve REFERENCE`: the reference stands in the question."
    turn = named[0] if named else await desk.store.last_turn(asking.scope.conversation, asking.scope.actor, asking.seq)
    entries = () if turn is None else await desk.store.entries_of(turn)
    if not entries or entries[0].entry.workspace != asking.scope.workspace:
        return NOTHING_OPEN
    actions = [recorded.entry.action for recorded in entries]
    waiting = [one for one in undecided(actions) if named is None or one.number == named[1]]
    if not waiting:
        once = any(isinstance(action, ApprovalAsked) for action in actions)
        return "That was decided already." if named and once else NOTHING_OPEN
    if len(waiting) > 1:
        return "Several things wait for an approval here: name one, `/approve REFERENCE`."
    if waiting[0].expires_us <= desk.clock():
        return "That was not approved in time. Ask for it again."
    return entries[0], waiting[0]


def _conversation(first: Recorded) -> ConversationId:
    action = first.entry.action
    if not isinstance(action, MessageReceived):
        raise AssertionError("a turn begins with message.received")
    return action.conversation


def _is_reference(arguments: str) -> bool:
    return not arguments or read_reference(arguments) is not None


APPROVE = Command("approve", "approve [REFERENCE]", "lets a tool do what it asks to", _approve, _is_reference)
REFUSE = Command("refuse", "refuse [REFERENCE]", "keeps a tool from it", _refuse, _is_reference)
