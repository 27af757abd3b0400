"""``/billing referral``: one workspace invites another. When the other first buys credit, both are rewarded."""

import hashlib
import re

from bot.commands.base import Asking, Desk, Result
from bot.sentences import Sentences
from integrations.payments.referrals import NAME, offered_key, taken_key
from ledger.accounts import paid
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import rc_text
from ledger.payment_actions import ReferralOffered, ReferralTaken

KIND = "billing.referral"
OFF = "Nothing is given for an invitation here."
_CODE = re.compile(NAME)


async def referral(asking: Asking, desk: Desk, rest: str) -> Result:
    """Without a code the workspace's own, with one that of whoever invited it."""
    if not desk.billing.referral:
        return Result(desk.say(OFF))
    return await _taken(asking, desk, rest) if rest else await _offered(asking, desk)


async def _offered(asking: Asking, desk: Desk) -> Result:
    # Not the workspace's pseudonym, which stands in public entries: what is made of a name that is nobody's else.
    address = asking.address
    secret = desk.pseudonyms.turn(address.platform, address.workspace, "referral")
    code = f"r-{hashlib.sha256(secret.encode()).hexdigest()[:16]}"
    known = await desk.store.find(offered_key(code)) is not None
    reward = rc_text(desk.billing.referral)
    return Result(
        desk.say(
            "Another workspace says `/billing referral {0}` before it buys its first credit. Once it has "
            "bought {1} or more, you and they get {1} each, to be spent within 90 days. What is left of that goes again if "
            "that purchase is given back.",
            code,
            reward,
        ),
        () if known else (ReferralOffered(code),),
    )


async def _taken(asking: Asking, desk: Desk, code: str) -> Result:
    workspace = asking.scope.workspace
    offered = await desk.store.find(offered_key(code)) if _CODE.fullmatch(code) else None
    if offered is None:
        return _refused(desk.say, desk.say("There is no such invitation."), Code.ENTITY_NOT_FOUND)
    if offered.entry.workspace == workspace:
        return _refused(
            desk.say, desk.say("That is your own invitation: it is for another workspace."), Code.TRANSFER_TO_SELF
        )
    if await desk.store.find(taken_key(workspace)) is not None:
        return _refused(
            desk.say, desk.say("This workspace has taken an invitation before."), Code.DUPLICATE_IDEMPOTENCY_KEY
        )
    # What a plan brought is bought as well, and stands in no account of its own once it is over.
    if await desk.store.planned(workspace) or any(
        row.account == paid(workspace) for row in await desk.store.balances_of(workspace)
    ):
        return _refused(desk.say, desk.say("This workspace has bought credit already."), Code.UNAUTHORISED)
    reward = rc_text(desk.billing.referral)
    said = desk.say(
        "Once this workspace has bought {0} of credit or more, it gets {0} besides, and so does who invited it.", reward
    )
    return Result(said, (ReferralTaken(code),))


def _refused(say: Sentences, said: str, code: Code) -> Result:
    return Result(f"{said} {say('Nothing was given.')}", (CreditRefused(KIND, code.value),))
