"""``/billing request``: a billing admin asks for credit, or for a debt to be written off. Whoever runs the house decides on it,
at the console; it moves nothing before.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from bot.billing import purse_of
from bot.commands.amounts import code_of, dollars_text, read_dollars
from bot.commands.base import Asking, Desk, Result
from bot.sentences import Sentences
from integrations.payments.base import Amount, urc
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.payment_actions import AdjustmentRequested
from ledger.pseudonyms import TurnId

KIND = "billing.request"
REFERENCE = "req-"
"""Behind it stands the turn that asked."""

REASON_CHARACTERS_MAX = 500
Requested: TypeAlias = Literal["grant", "reward", "writeoff"]
KINDS: Mapping[str, Requested] = {
    "grant": "grant",
    "reward": "reward",
    "writeoff": "writeoff",
    "write-off": "writeoff",
}


def reference_of(turn: TurnId) -> str:
    return f"{REFERENCE}{turn}"


def requested_key(reference: str) -> str:
    return f"adjustment.requested/{reference}"


def reason_in(arguments: str) -> str:
    """Of what was typed behind ``/billing``: empty where it has none."""
    words = arguments.split(maxsplit=3)
    return words[3] if len(words) > 3 and words[0].casefold() == "request" else ""


def named(kind: Requested, amount: Amount, say: Sentences) -> str:
    match kind:
        case "grant":
            return say("a grant of {0}", dollars_text(amount))
        case "reward":
            return say("a reward of {0}", dollars_text(amount))
        case "writeoff":
            return say("a write-off of {0}", dollars_text(amount))


async def request(asking: Asking, desk: Desk, rest: str) -> Result:
    """The request is recorded together with the reply: the same turn asks for the same, however often it is run."""
    what, _, more = rest.partition(" ")
    amount_text, _, reason = more.strip().partition(" ")
    kind, reason = KINDS.get(what.casefold()), reason.strip()
    if kind is None or not reason or len(reason) > REASON_CHARACTERS_MAX:
        said = desk.say(
            "`/billing request grant DOLLARS REASON`, or `reward` or `writeoff` in its place: the reason in up to {0} letters. A "
            "refund is asked for with `/billing refund`.",
            REASON_CHARACTERS_MAX,
        )
        return _refused(said, Code.INVALID_ENTRY_TYPE, desk.say)
    cents = read_dollars(amount_text)
    if cents is None:
        said = desk.say("The amount is in US dollars, from 1 to 1,000, with two decimals at the most.")
        return _refused(said, code_of(amount_text), desk.say)
    scope = asking.scope
    purse = purse_of(await desk.store.balances_of(scope.workspace), scope.workspace, scope.actor, desk.clock())
    if kind == "writeoff" and purse.owed < urc(cents):
        said = desk.say("Less than {0} is owed here.", dollars_text(Amount(cents)))
        return _refused(said, Code.INSUFFICIENT_BALANCE, desk.say)
    return Result(
        desk.say(
            "Asked for: {0}. Whoever runs this CarPool decides on it, reads your reason, and you are told here what came of it. "
            "Its reference is `{1}`.",
            named(kind, Amount(cents), desk.say),
            reference_of(scope.turn),
        ),
        (AdjustmentRequested(kind, urc(cents)),),
    )


def _refused(said: str, code: Code, say: Sentences) -> Result:
    return Result(f"{said} {say('Nothing was asked for.')}", (CreditRefused(KIND, code.value),))
