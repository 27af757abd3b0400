"""From what is so at a rail to what is on the ledger: the entries that an object's state lacks, exactly once.

Entries are keyed by the economic object (``stripe:pi:<id>:paid``), not by the event that told of it: order, repeats and several
events for one payment come to the same. Money that fits nothing goes to suspense, where a person resolves it.
"""

import logging
from dataclasses import dataclass
from typing import assert_never

from integrations.payments.base import (
    RC_CURRENCY,
    CustomerDeleted,
    DisputeState,
    Fact,
    FeeTaken,
    InvoicePaid,
    InvoiceState,
    MovedByRail,
    ObjectRef,
    PayoutState,
    RefundState,
    SubscriptionEnded,
    TopupPaid,
    TopupState,
    urc,
)
from integrations.payments.going_back import record_dispute, record_refund
from integrations.payments.in_book import in_book
from integrations.payments.keys import THE_HOUSE, TRANSACTION, asked_key, deletion_key, scope_in, scope_of
from integrations.payments.periods import record_end, record_invoice
from integrations.payments.plans import Plans
from integrations.payments.records import Records, outcome_of
from integrations.payments.referrals import offered_key, reward_key, rewarded, taken_key
from integrations.payments.returned import returns_of
from ledger.accounts import is_part
from ledger.credit_actions import (
    BankPayout,
    CreditReversed,
    CreditTopup,
    PaymentFee,
    PaymentUnmatched,
    SuspenseResolved,
)
from ledger.entry import Draft, StripeObject
from ledger.money import FREE, Money
from ledger.payment_actions import PaymentAsked, PaymentClosed, PaymentOutcome, ReferralTaken
from ledger.store import Recorded

log = logging.getLogger("carpool.payments")


@dataclass(frozen=True, slots=True)
class Bridge(Records):
    """The one way from a rail into the book."""

    plans: Plans
    reward: Money = FREE

    async def record(self, fact: Fact) -> PaymentOutcome:
        """Append what the fact's object lacks. Durable on return; a second time nothing is appended.

        An invoice's earlier ones have to be recorded before it. Raises ``LedgerError``, ``StoreFailed``.
        """
        match fact:
            case TopupPaid():
                return await self.again(lambda: self._topup(fact))
            case InvoicePaid():
                return await record_invoice(self, self.plans, fact)
            case SubscriptionEnded():
                return await record_end(self, fact)
            case FeeTaken():
                return await self._fee(fact)
            case MovedByRail():
                return await self._moved(fact)
            case RefundState():
                return await record_refund(self, fact)
            case DisputeState():
                outcome = await record_dispute(self, fact)
                for fee in fact.fees:
                    await self._fee(fee)
                return outcome
            case PayoutState():
                return await self._payout(fact)
            case CustomerDeleted():
                about = StripeObject(fact.about.kind, fact.about.id)
                closed = PaymentClosed(self.rail, "customer")
                made = await self.once(Draft(closed, THE_HOUSE, self.key(fact.about, "deleted"), stripe=about))
                wanted = await self.journal.find(deletion_key(fact.about.id))
                if wanted is None and any(receipt.fresh for receipt in made):
                    log.error(
                        "a customer was deleted: `carpool billing reconcile` shows what no invoice pays",
                        extra={"customer": fact.about.id},
                    )
                return "recorded"
            case TopupState(state=state) | InvoiceState(state=state):
                return state
            case _:
                assert_never(fact)

    async def _fee(self, fact: FeeTaken) -> PaymentOutcome:
        if fact.cents:
            amount = in_book(abs(fact.cents), fact.currency)
            fee = PaymentFee(self.rail, *amount, back=fact.cents < 0, disputed=fact.disputed)
            about = StripeObject(TRANSACTION, fact.transaction)
            await self.once(Draft(fee, THE_HOUSE, self.fee_key(fact.transaction), stripe=about))
        return "recorded"

    async def _moved(self, fact: MovedByRail) -> PaymentOutcome:
        """Nobody knows what it is for: suspense is more, or less, until somebody says so."""
        amount, currency = in_book(abs(fact.amount.cents), fact.amount.currency)
        left = SuspenseResolved(self.rail, amount, currency, "returned")
        moved = PaymentUnmatched(self.rail, amount, currency) if fact.amount.cents > 0 else left
        about = StripeObject(TRANSACTION, fact.transaction)
        made = await self.once(Draft(moved, THE_HOUSE, self.moved_key(fact.transaction), stripe=about))
        if any(receipt.fresh for receipt in made):
            log.error(
                "the payment service moved its balance by itself, and suspense with it: its own account says why",
                extra={"transaction": fact.transaction},
            )
        return "unmatched"

    async def _topup(self, fact: TopupPaid) -> PaymentOutcome:
        if (standing := await self.stands(fact.about, "paid")) is not None:
            await self._reward(standing, fact.about)  # in case that somebody was cut off between the two
            return outcome_of(standing)
        fits = (
            fact.currency == RC_CURRENCY
            and fact.asked == fact.subtotal
            and fact.total == fact.subtotal - fact.discount + fact.tax
            and 0 <= fact.discount <= fact.subtotal
            and await self._was_asked(fact)
        )
        if not fits:
            return await self.unmatched(fact.about, fact.buyer, fact.total, fact.currency)
        lot = f"discount-{fact.about.id}" if fact.discount else ""
        paid = CreditTopup(self.rail, urc(fact.subtotal - fact.discount), urc(fact.tax), urc(fact.discount), lot)
        await self.once(self.draft(paid, fact.about, "paid", scope_of(fact.buyer)))
        if (standing := await self.stands(fact.about, "paid")) is not None:
            await self._reward(standing, fact.about)
        return "recorded"

    async def _reward(self, topup: Recorded, about: ObjectRef) -> None:
        """Where the workspace came by an invitation, and this is the first that it buys: once, for both. Not where less of it
        stays than the reward comes to: some went back already."""
        workspace = topup.entry.workspace
        if not self.reward or await self.journal.find(reward_key(workspace)) is not None:
            return
        taken = await self.journal.find(taken_key(workspace))
        code = taken.entry.action.code if taken is not None and isinstance(taken.entry.action, ReferralTaken) else ""
        offered = await self.journal.find(offered_key(code)) if code else None
        drafts = rewarded(self.reward, topup, taken, offered)
        returns = await returns_of(self, about)
        if drafts and returns.left_of_credit >= self.reward:
            await self.append((*drafts, *returns.rewarded(scope_in(topup))), drafts[0])

    async def _was_asked(self, fact: TopupPaid) -> bool:
        """What came back with the payment is what was recorded when it was asked for. A restored backup may lack that."""
        if fact.buyer is None or not is_part(fact.buyer.workspace):
            return False
        asked = await self.journal.find(asked_key(fact.buyer))
        if asked is None:
            return True
        action, entry = asked.entry.action, asked.entry
        same_amount = isinstance(action, PaymentAsked) and action.amount == urc(fact.subtotal)
        return same_amount and (entry.workspace, entry.actor) == (fact.buyer.workspace, fact.buyer.actor)

    async def _payout(self, fact: PayoutState) -> PaymentOutcome:
        paid = await self.stands(fact.about, "paid")
        if paid is None:
            payout = BankPayout(self.rail, *in_book(fact.amount.cents, fact.amount.currency))
            await self.once(self.draft(payout, fact.about, "paid", THE_HOUSE))
            paid = await self.stands(fact.about, "paid")
        if fact.state == "failed" and paid is not None:
            about = StripeObject(fact.about.kind, fact.about.id)
            parts = await self.parts_of(paid)
            first, *others = (
                Draft(CreditReversed(part.entry.seq), THE_HOUSE, f"reversal/{part.entry.seq}", stripe=about)
                for part in parts
            )
            await self.together(first, *others)
        return "recorded"
