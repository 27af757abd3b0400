"""Commands that decide what a tool may do: ``/approve`` and ``/refuse``."""

from collections.abc import Mapping
from dataclasses import replace

from adapters.messages import ToolCall
from bot.approvals import digest, may_decide, read_reference, undecided
from bot.commands.base import Asking, Command, Decided, Desk, Result
from bot.payloads import decode_asked, decode_message
from bot.rules import Allowed
from ledger.actions import (
    ApprovalAsked,
    ApprovalGiven,
    ApprovalRefused,
    MessageReceived,
    ModelAnswered,
    SettingChanged,
)
from ledger.pseudonyms import ConversationId
from ledger.store import Recorded

NOTHING_OPEN = "There is nothing here that waits for an approval."
ELSEWHERE = "This is approved only where it was asked, under the question that says what would be done."

ALONE_WITH_US: Mapping[str, str] = {"slack": "D"}
"""How the id of a channel begins that a person has with CarPool alone. In Discord such a person is a workspace."""


async def _approve(asking: Asking, desk: Desk) -> Result:
    found = await _open(asking, desk)
    if isinstance(found, str):
        return Result(found)
    first, asked = found
    why_not = may_decide(asked, first.entry.actor, asking.scope.actor, asking.role, asking.rules, desk.say)
    if why_not:
        return Result(why_not)
    if not _is_there(asking, first, asked):
        return Result(desk.say(ELSEWHERE))
    decision = Decided(first.entry.turn, _conversation(first), ApprovalGiven(asked.number, asked.arguments))
    return Result(desk.say("Approved: `{0}`.", asked.tool), decided=(decision,))


async def _refuse(asking: Asking, desk: Desk) -> Result:
    found = await _open(asking, desk)
    if isinstance(found, str):
        return Result(found)
    first, asked = found
    if first.entry.actor != asking.scope.actor:
        why_not = may_decide(asked, first.entry.actor, asking.scope.actor, asking.role, asking.rules, desk.say)
        if why_not:
            return Result(why_not)
    decision = Decided(first.entry.turn, _conversation(first), ApprovalRefused(asked.number, "person"))
    return Result(desk.say("Refused: `{0}` is not used.", asked.tool), decided=(decision,))


async def _allow(asking: Asking, desk: Desk) -> Result:
    """``/allow`` lists, ``/allow REFERENCE [ARGUMENT ...]`` allows, ``/allow revoke N`` takes back."""
    first_word, _, rest = asking.arguments.partition(" ")
    if not first_word:
        return Result(_allowances(asking, desk))
    if first_word == "revoke":
        return _revoked(asking, desk, rest.strip())
    found = await _open(replace(asking, arguments=first_word), desk)
    if isinstance(found, str):
        return Result(found)
    first, asked = found
    if asked.approver != "asker" or first.entry.actor != asking.scope.actor:
        return Result(desk.say("Only the person who asked can allow this, and only what they may approve themselves."))
    if not _is_there(asking, first, asked):
        return Result(desk.say(ELSEWHERE))
    call = await _call(first, asked, desk)
    if call is None:
        return Result(desk.say(NOTHING_OPEN))
    names = tuple(sorted(rest.split() or call.arguments))
    missing = [name for name in names if name not in call.arguments]
    if missing:
        return Result(desk.say("There is no argument `{0}` in this call. Nothing was changed.", missing[0]))
    until_us = desk.clock() + desk.allowance_s * 1_000_000
    allowed = Allowed(asking.scope.actor, digest(call, names), asked.tool, names, until_us)
    change = SettingChanged("allow", allowed.value, ConversationId(""), allowed.person, allowed.digest)
    decision = Decided(first.entry.turn, _conversation(first), ApprovalGiven(asked.number, asked.arguments))
    fixed = ", ".join(names) or desk.say("no arguments")
    said = desk.say(
        "Approved, and for {0} days not asked about again: `{1}` with the same {2}.",
        desk.allowance_s // 86400,
        asked.tool,
        fixed,
    )
    return Result(said, (change,), decided=(decision,))


def _allowances(asking: Asking, desk: Desk) -> str:
    mine = [one for one in asking.rules.allowed if one.person == asking.scope.actor]
    if not mine:
        return desk.say("Nothing is allowed without asking.")
    lines = [f"{number}. {_allowance(one, desk)}" for number, one in enumerate(mine, start=1)]
    return "\n".join(
        [desk.say("Not asked about for you:"), "", *lines, "", desk.say("`/allow revoke N` takes one back.")]
    )


def _allowance(allowed: Allowed, desk: Desk) -> str:
    left_s = (allowed.until_us - desk.clock()) // 1_000_000
    until = desk.say("it has run out") if left_s <= 0 else desk.say("for {0:,} hours more", max(1, left_s // 3600))
    fixed = ", ".join(allowed.fields) or desk.say("no arguments")
    return desk.say("`{0}` with the same {1}, {2}", allowed.tool, fixed, until)


def _revoked(asking: Asking, desk: Desk, number: str) -> Result:
    mine = [one for one in asking.rules.allowed if one.person == asking.scope.actor]
    if not (number.isascii() and number.isdigit() and len(number) < 5 and 1 <= int(number) <= len(mine)):
        return Result(desk.say("`/allow revoke N`: a number of the list.\n\n{0}", _allowances(asking, desk)))
    allowed = mine[int(number) - 1]
    change = SettingChanged("allow", "", ConversationId(""), allowed.person, allowed.digest)
    return Result(desk.say("You are asked again: {0}.", _allowance(allowed, desk)), (change,))


async def _call(first: Recorded, asked: ApprovalAsked, desk: Desk) -> ToolCall | None:
    """The call that is asked about, from what the model said."""
    for recorded in await desk.store.entries_of(first.entry.turn):
        action = recorded.entry.action
        if isinstance(action, ModelAnswered) and action.attempt == asked.round and recorded.body is not None:
            for part in decode_message(recorded.body).parts:
                if isinstance(part, ToolCall) and part.id == asked.call:
                    return part
    return None


async def _open(asking: Asking, desk: Desk) -> tuple[Recorded, ApprovalAsked] | str:
    """The approval that is meant: the turn's message, and the question. Or why there is none."""
    named = read_reference(asking.arguments) if asking.arguments else None
    if asking.arguments and named is None:
        return desk.say("`/approve REFERENCE`: the reference stands in the question.")
    turn = named[0] if named else await desk.store.last_turn(asking.scope.conversation, asking.scope.actor, asking.seq)
    entries = () if turn is None else await desk.store.entries_of(turn)
    if not entries or entries[0].entry.workspace != asking.scope.workspace:
        return desk.say(NOTHING_OPEN)
    actions = [recorded.entry.action for recorded in entries]
    waiting = [one for one in undecided(actions) if named is None or one.number == named[1]]
    if not waiting:
        once = any(isinstance(action, ApprovalAsked) for action in actions)
        return desk.say("That was decided already.") if named and once else desk.say(NOTHING_OPEN)
    if len(waiting) > 1:
        return desk.say("Several things wait for an approval here: name one, `/approve REFERENCE`.")
    if waiting[0].expires_us <= desk.clock():
        return desk.say("That was not approved in time. Ask for it again.")
    return entries[0], waiting[0]


def _is_there(asking: Asking, first: Recorded, asked: ApprovalAsked) -> bool:
    """Whether this comes from where the question stands.

    A command without a thread counts for the threads of its channel, for Slack's slash commands know of none; and a question
    without a thread for its whole channel, where a press on it names its message. The one that another person has to approve
    of, and that only its asker can see, is approved of wherever that other person is told of its reference.
    """
    if first.body is None:
        return _conversation(first) == asking.scope.conversation
    there, here = decode_asked(first.body).address, asking.address
    alone = ALONE_WITH_US.get(there.platform)
    if alone and there.channel.startswith(alone) and asked.approver != "asker" and here.person != there.person:
        return True
    same_channel = (there.platform, there.workspace, there.channel) == (here.platform, here.workspace, here.channel)
    return same_channel and (there.thread == here.thread or not (there.thread and here.thread))


def _conversation(first: Recorded) -> ConversationId:
    action = first.entry.action
    if not isinstance(action, MessageReceived):
        raise AssertionError("a turn begins with message.received")
    return action.conversation


def _is_reference(arguments: str) -> bool:
    return not arguments or read_reference(arguments) is not None


APPROVE = Command("approve", "approve [REFERENCE]", "lets a tool do what it asks to", _approve, _is_reference)
ALLOW = Command(
    "allow",
    "allow [REFERENCE [ARGUMENT ...] | revoke N]",
    "shows what tools may do without asking you, or allows it",
    _allow,
    lambda arguments: not arguments or read_reference(arguments.partition(" ")[0]) is not None,
    private=True,
)
REFUSE = Command("refuse", "refuse [REFERENCE]", "keeps a tool from it", _refuse, _is_reference)
