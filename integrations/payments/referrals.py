"""What one workspace gets for having invited another, and that one for having come: once, when it first buys enough."""

from ledger.credit_actions import CreditTopup, RewardGranted
from ledger.entry import Draft, Scope
from ledger.money import Money
from ledger.pseudonyms import ConversationId, TurnId
from ledger.store import Recorded

REWARD_US = 90 * 86_400_000_000
"""How long a reward can be spent."""

NAME = "r-[0-9a-f]{16}"


def offered_key(code: str) -> str:
    return f"referral.offered/{code}"


def taken_key(workspace: str) -> str:
    return f"referral.taken/{workspace}"


def reward_key(workspace: str) -> str:
    """Of the workspace that came. Beside it stands what the other gets, in the same step."""
    return f"credit.reward/referral/{workspace}"


def back_key(reward: Recorded, back: str) -> str:
    """Of what a refund or a dispute of the purchase took back of a reward."""
    return f"{reward.entry.idem}/back/{back}"


def rewarded(reward: Money, topup: Recorded, taken: Recorded | None, offered: Recorded | None) -> tuple[Draft, ...]:
    """What both get for a top-up. Nothing where its workspace was not invited, or has bought less than it would get; a discount
    is not bought."""
    paid = topup.entry.action
    if taken is None or offered is None or not isinstance(paid, CreditTopup) or paid.paid < reward:
        return ()
    came, invited = topup.entry.workspace, offered.entry.workspace
    expires_us = topup.entry.mono + REWARD_US
    return (
        _draft(topup, taken, f"came-{invited}", reward, expires_us, reward_key(came)),
        _draft(topup, offered, f"invited-{came}", reward, expires_us, f"{reward_key(came)}/from"),
    )


def _draft(topup: Recorded, gets: Recorded, lot: str, amount: Money, expires_us: int, key: str) -> Draft:
    """What was bought stands beside it: where that goes back, so does what is left of this."""
    scope = Scope(gets.entry.workspace, gets.entry.actor, ConversationId(""), TurnId(""))
    return Draft(RewardGranted(lot, amount, expires_us), scope, key, stripe=topup.entry.stripe)
