"""Of a turn whose answer could not be brought to anybody: what was charged for nothing comes back."""

from collections.abc import Iterable

from bot.run import draft_of
from bot.story import tool_hold
from ledger.accounts import USAGE
from ledger.actions import ModelAnswered, ToolCalled
from ledger.credit_actions import CreditGranted, CreditReversed, CreditSettled, CreditVoided, LateCost
from ledger.entry import Draft, Entry, Scope


def taken_back(scope: Scope, entries: Iterable[Entry]) -> list[Draft]:
    """Of a turn whose answer nobody got: what was charged comes back, and what its providers take is the house's."""
    drafts: list[Draft] = []
    for entry, settled in _for_nothing(scope, entries):
        # The reversal alone has a key of its own form: nothing is reversed twice.
        reversal = Draft(CreditReversed(entry.seq, settled.hold), scope, f"reversal/{entry.seq}")
        drafts += [reversal, draft_of(scope, CreditVoided(settled.hold, settled.provider), None)]
        if settled.cost:
            late = LateCost(settled.provider, settled.cost, absorbed=True)
            drafts.append(Draft(late, scope, f"{scope.turn}/{late.name}/{settled.hold}"))
    return drafts


def made_good(scope: Scope, entries: Iterable[Entry]) -> list[Draft]:
    """The same where the charge cannot come back, since it stands on an invoice, or the rest of its hold was spent meanwhile: it
    comes as credit."""
    drafts: list[Draft] = []
    for entry, settled in _for_nothing(scope, entries):
        if charged := charge_of(entry):
            grant = CreditGranted(f"undelivered-{settled.hold}", charged)
            drafts.append(Draft(grant, scope, f"{scope.turn}/{grant.name}/{settled.hold}"))
    return drafts


def _for_nothing(scope: Scope, entries: Iterable[Entry]) -> list[tuple[Entry, CreditSettled]]:
    """What was charged to somebody who got nothing of it. What was shown as it came was got, with all that led to it; and what a
    tool changed is changed."""
    entries = list(entries)
    answers = [entry.action for entry in entries if isinstance(entry.action, ModelAnswered)]
    seen = max((answered.attempt for answered in answers if answered.shown), default=0)
    kept = {f"{scope.turn}-{attempt}" for attempt in range(1, seen + 1)}
    uses = [entry.action for entry in entries if isinstance(entry.action, ToolCalled)]
    kept |= {
        tool_hold(scope.turn, place)
        for place, called in enumerate(uses, 1)
        if called.effect == "write" or called.round <= seen
    }
    # What counted, and was no credit, stays counted: the provider took it from the asker's own key.
    return [
        (entry, entry.action)
        for entry in entries
        if isinstance(entry.action, CreditSettled) and entry.postings and entry.action.hold not in kept
    ]


def charge_of(entry: Entry) -> int:
    """What the entry charges, after what was waived; 0 where it settles nothing."""
    if not isinstance(entry.action, CreditSettled):
        return 0
    return -sum(posting.amount for posting in entry.postings if posting.account == USAGE)
