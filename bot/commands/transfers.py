"""``/billing gift``, ``allocate``, ``reclaim``: credit between the people of one workspace. It never leaves the workspace.

What a person may give away is what was set aside for them; what a billing admin sets aside is of what the workspace has bought.
"""

import re

from bot.billing import purse_of
from bot.commands.amounts import RC_MAX, code_of, read_rc
from bot.commands.base import Asking, Desk, Result
from bot.payloads import decode_asked
from bot.sentences import Sentences
from bot.telling import notice
from ledger.actions import MessageReceived
from ledger.credit_actions import CreditAllocated, CreditRefused
from ledger.entry import Draft, Scope
from ledger.errors import Code
from ledger.money import Money, rc_text
from ledger.pseudonyms import ActorId, ConversationId

NOBODY_ELSE = ConversationId("")
NEWEST = 2**62
"""Above every ``seq``."""

NOTHING_MOVED = "Nothing was moved."
_PERSON = re.compile(r"<@!?([A-Za-z0-9]{1,64})(?:\|[^>]*)?>|@?([A-Za-z0-9][A-Za-z0-9._-]{0,63})")
"""A mention as Slack and Discord write it, or the id itself."""


async def gift(asking: Asking, desk: Desk, rest: str) -> Result:
    """Of what was set aside for the asker."""
    return await _moved(asking, desk, "gift", rest)


async def allocate(asking: Asking, desk: Desk, rest: str) -> Result:
    """Of what the workspace has bought, to one person alone."""
    return await _moved(asking, desk, "allocate", rest)


async def reclaim(asking: Asking, desk: Desk, rest: str) -> Result:
    """The other way."""
    return await _moved(asking, desk, "reclaim", rest)


async def _moved(asking: Asking, desk: Desk, what: str, rest: str) -> Result:
    """All of it, or nothing: the movement is recorded together with the reply."""
    person, _, amount_text = rest.partition(" ")
    found = _PERSON.fullmatch(person)
    if found is None:
        said = desk.say(
            "`/billing {0} PERSON RC`: the person as a mention, or by the id that the platform has for them.", what
        )
        return _refused(desk.say, what, said, Code.ENTITY_NOT_FOUND)
    amount = read_rc(amount_text)
    if amount is None:
        said = desk.say(
            "`/billing {0} PERSON RC`: above 0 and up to {1:,} RC, with six decimals at the most.", what, RC_MAX
        )
        return _refused(desk.say, what, said, code_of(amount_text))
    name = found[1] or found[2]
    actor = desk.pseudonyms.actor(asking.address.platform, asking.address.workspace, name)
    if what == "gift" and actor == asking.scope.actor:
        return _refused(desk.say, what, desk.say("That is you."), Code.TRANSFER_TO_SELF)
    if await desk.store.last_turn(NOBODY_ELSE, actor, NEWEST) is None:
        said = desk.say(
            "`{0}` has not asked me anything here yet, so I cannot tell whether there is such a person.", name
        )
        return _refused(desk.say, what, said, Code.ENTITY_NOT_FOUND)
    source, target = _pockets(what, asking.scope.actor, actor)
    there = await _there(asking, desk, source, actor)
    if there < amount:
        return _refused(desk.say, what, _less(what, name, amount, desk.say), Code.INSUFFICIENT_BALANCE)
    told = await _told(asking, desk, actor, amount) if what == "gift" else ()
    return Result(_said(what, name, amount, desk.say), (CreditAllocated(source, target, amount),), told=told)


async def _told(asking: Asking, desk: Desk, actor: ActorId, amount: Money) -> tuple[Draft, ...]:
    """Whoever is given something is told, where they asked last, and alone; nobody where that is not known any more."""
    turn = await desk.store.last_turn(NOBODY_ELSE, actor, NEWEST)
    first = () if turn is None else await desk.store.entries_of(turn)
    received = first[0].entry.action if first else None
    if not isinstance(received, MessageReceived) or first[0].body is None:
        return ()
    giver = asking.address.person
    text = desk.say("`{0}` gave you {1} of credit, for you alone. `/billing` shows it.", giver, rc_text(amount))
    person = Scope(asking.scope.workspace, actor, received.conversation, asking.scope.turn)
    address = decode_asked(first[0].body).address
    return notice(desk.pseudonyms, address, person, f"gift/{asking.scope.turn}", "billing", text)


def _pockets(what: str, asker: ActorId, person: ActorId) -> tuple[str, str]:
    theirs = f"user:{person}"
    match what:
        case "gift":
            return f"user:{asker}", theirs
        case "allocate":
            return "", theirs
        case _:
            return theirs, ""


async def _there(asking: Asking, desk: Desk, source: str, person: ActorId) -> int:
    scope = asking.scope
    whose = scope.actor if source in ("", f"user:{scope.actor}") else person
    purse = purse_of(await desk.store.balances_of(scope.workspace), scope.workspace, whose, desk.clock())
    return purse.set_aside if source else purse.bought


def _less(what: str, name: str, amount: Money, say: Sentences) -> str:
    match what:
        case "gift":
            return say(
                "Less than {0} is there that was set aside for you, and that is what you can give.", rc_text(amount)
            )
        case "allocate":
            return say("Less than {0} is there of what this workspace has bought.", rc_text(amount))
        case _:
            return say("Less than {0} is there that was set aside for `{1}`.", rc_text(amount), name)


def _said(what: str, name: str, amount: Money, say: Sentences) -> str:
    match what:
        case "gift":
            return say("{0} of what was set aside for you are now `{1}`'s.", rc_text(amount), name)
        case "allocate":
            return say(
                "{0} of this workspace's credit are set aside for `{1}`, who alone can spend them.",
                rc_text(amount),
                name,
            )
        case _:
            return say("{0} that were set aside for `{1}` are everybody's again.", rc_text(amount), name)


def _refused(say: Sentences, what: str, said: str, code: Code) -> Result:
    return Result(f"{said} {say(NOTHING_MOVED)}", (CreditRefused(f"billing.{what}", code.value),))
