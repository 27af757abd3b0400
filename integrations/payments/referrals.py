"""What one workspace gets for having invited another, and that one for having come: once, when it first buys enough."""

from ledger.credit_actions import CreditTopup, RewardGranted
from ledger.entry import Draft, Scope
from ledger.money import Money
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
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


def rewarded(reward: Money, topup: Recorded, taken: Recorded | None, offered: Recorded | None) -> tuple[Draft, ...]:
    """What both get for a top-up. Nothing where its workspace was not invited, or has bought less than it would get; a discount
    is not bought."""
    paid = topup.entry.action
    if taken is None or offered is None or not isinstance(paid, CreditTopup) or paid.paid < reward:
        return ()
    came, invited = topup.entry.workspace, offered.entry.workspace
    expires_us = topup.entry.mono + REWARD_US
    return (
        _draft(came, taken.entry.actor, f"came-{invited}", reward, expires_us, reward_key(came)),
        _draft(invited, offered.entry.actor, f"invited-{came}", reward, expires_us, f"{reward_key(came)}/from"),
    )


def _draft(workspace: WorkspaceId, actor: ActorId, lot: str, amount: Money, expires_us: int, key: str) -> Draft:
    scope = Scope(workspace, actor, ConversationId(""), TurnId(""))
    return Draft(RewardGranted(lot, amount, expires_us), scope, key)
