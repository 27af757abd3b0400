"""From what is so at a rail to what is on the ledger: the entries that an object's state lacks, exactly once.

Entries are keyed by the economic object (``stripe:pi:<id>:paid``), not by the event that told of it: order, repeats and several
events for one payment come to the same. Money that fits nothing goes to suspense, where a person resolves it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, assert_never

from integrations.payments.base import (
    RC_CURRENCY,
    Buyer,
    CustomerDeleted,
    DisputeState,
    Fact,
    FeeTaken,
    InvoicePaid,
    InvoiceState,
    ObjectKind,
    ObjectRef,
    PaymentRefused,
    PayoutState,
    Rail,
    RefundState,
    SubscriptionEnded,
    TopupPaid,
    TopupState,
    urc,
)
from integrations.payments.plans import Plans
from integrations.payments.referrals import back_key, offered_key, reward_key, rewarded, taken_key
from integrations.payments.returned import NOTHING, Parts, Returns, returns_of
from ledger.accounts import AMOUNT_MAX, RC, frozen, is_part, plan
from ledger.book import AccountRow
from ledger.credit_actions import (
    BankPayout,
    CreditAction,
    CreditExpired,
    CreditFrozen,
    CreditReversed,
    CreditTopup,
    CreditUnfrozen,
    CustomerBalanceMoved,
    DisputeLost,
    DisputeWithdrawn,
    DisputeWon,
    OveragePaid,
    PaymentFee,
    PaymentUnmatched,
    PlanGranted,
    PlanReduced,
    RefundedOutside,
    RefundFailed,
    RefundHeld,
    RefundSent,
    RevenueRecognised,
    RewardGranted,
    RewardTakenBack,
    SuspenseResolved,
)
from ledger.entry import Draft, Scope, StripeObject
from ledger.errors import KeyReused
from ledger.money import FREE, Money
from ledger.payment_actions import PaymentAsked, PaymentClosed, PaymentHandled, PaymentOutcome, ReferralTaken
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Receipt, Recorded

THE_HOUSE = Scope(WorkspaceId("house"), ActorId("house"), ConversationId(""), TurnId(""))
"""What belongs to no workspace: fees, payouts, money from nobody we know."""

SHORT: Mapping[ObjectKind, str] = {
    "checkout.session": "cs",
    "payment_intent": "pi",
    "charge": "ch",
    "invoice": "in",
    "subscription": "sub",
    "refund": "re",
    "dispute": "dp",
    "payout": "po",
    "customer": "cus",
    "transfer": "tr",
}

KINDS_BY_STRIPE: Mapping[str, ObjectKind] = {kind: kind for kind in SHORT}
"""The kind of an object by its name in an entry."""

_ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
_THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
_PLACES = 8
PARTS_MAX = 200
"""Stripe takes a trillion rupiah at the most, which are 112 parts."""

log = logging.getLogger("carpool.payments")

STEPS_MAX = 20
"""So often a step of a payment's list is tried again, where others took it first."""


class Journal(Protocol):
    """What is read of a store."""

    async def find(self, idem: str) -> Recorded | None: ...

    async def planned(self, workspace: WorkspaceId) -> tuple[Recorded, ...]: ...

    async def balances_of(self, workspace: WorkspaceId) -> tuple[AccountRow, ...]: ...


@dataclass(frozen=True, slots=True)
class Bridge:
    """The one way from a rail into the book."""

    roadchain: RoadChain
    journal: Journal
    rail: Rail
    plans: Plans
    reward: Money = FREE

    async def record(self, fact: Fact) -> PaymentOutcome:
        """Append what the fact's object lacks. Durable on return; a second time nothing is appended.

        An invoice's earlier ones have to be recorded before it. Raises ``LedgerError``, ``StoreFailed``.
        """
        match fact:
            case TopupPaid():
                return await self._topup(fact)
            case InvoicePaid():
                return await self._invoice(fact)
            case SubscriptionEnded():
                return await self._ended(fact)
            case FeeTaken(transaction=transaction, cents=cents, currency=currency):
                if cents > 0:
                    key = f"{self.rail}:bt:{transaction}:fee"
                    about = StripeObject("balance_transaction", transaction)
                    fee = PaymentFee(self.rail, *in_book(cents, currency))
                    await self._once(Draft(fee, THE_HOUSE, key, stripe=about))
                return "recorded"
            case RefundState():
                return await self._refund(fact)
            case DisputeState():
                return await self._dispute(fact)
            case PayoutState():
                return await self._payout(fact)
            case CustomerDeleted():
                about = StripeObject(fact.about.kind, fact.about.id)
                closed = PaymentClosed(self.rail, "customer")
                made = await self._once(Draft(closed, THE_HOUSE, self.key(fact.about, "deleted"), stripe=about))
                if any(receipt.fresh for receipt in made):
                    log.error(
                        "a customer was deleted: `carpool billing reconcile` shows what no invoice pays",
                        extra={"customer": fact.about.id},
                    )
                return "recorded"
            case TopupState(state=state) | InvoiceState(state=state):
                return state
            case _:
                assert_never(fact)

    def key(self, about: ObjectRef, step: str) -> str:
        return f"{self.rail}:{SHORT[about.kind]}:{about.id}:{step}"

    async def find(self, idem: str) -> Recorded | None:
        return await self.journal.find(idem)

    async def stands(self, about: ObjectRef, step: str) -> Recorded | None:
        return await self.journal.find(self.key(about, step))

    async def _topup(self, fact: TopupPaid) -> PaymentOutcome:
        if (standing := await self.stands(fact.about, "paid")) is not None:
            await self._reward(standing)  # in case that somebody was cut off between the two
            return _outcome_of(standing)
        fits = (
            fact.currency == RC_CURRENCY
            and fact.asked == fact.subtotal
            and fact.total == fact.subtotal - fact.discount + fact.tax
            and 0 <= fact.discount <= fact.subtotal
            and await self._was_asked(fact)
        )
        if not fits:
            return await self._unmatched(fact.about, fact.buyer, fact.total, fact.currency)
        lot = f"discount-{fact.about.id}" if fact.discount else ""
        paid = CreditTopup(self.rail, urc(fact.subtotal - fact.discount), urc(fact.tax), urc(fact.discount), lot)
        await self._once(self._draft(paid, fact.about, "paid", _scope(fact.buyer)))
        if (standing := await self.stands(fact.about, "paid")) is not None:
            await self._reward(standing)
        return "recorded"

    async def _reward(self, topup: Recorded) -> None:
        """Where the workspace came by an invitation, and this is the first that it buys: once, for both."""
        workspace = topup.entry.workspace
        if not self.reward or await self.journal.find(reward_key(workspace)) is not None:
            return
        taken = await self.journal.find(taken_key(workspace))
        code = taken.entry.action.code if taken is not None and isinstance(taken.entry.action, ReferralTaken) else ""
        offered = await self.journal.find(offered_key(code)) if code else None
        drafts = rewarded(self.reward, topup, taken, offered)
        if drafts:
            await self._append(drafts, drafts[0])

    async def _rewards(self, returns: Returns) -> tuple[Recorded, ...]:
        """What a purchase earned: that of the workspace that came, and that of the one that invited it."""
        if returns.payment is None:
            return ()
        key = reward_key(returns.payment.entry.workspace)
        found = [await self.journal.find(name) for name in (key, f"{key}/from")]
        return tuple(item for item in found if item is not None and item.entry.stripe == returns.payment.entry.stripe)

    async def _rewards_lost(self, returns: Returns, back: str, parts: Parts) -> tuple[Draft, ...]:
        left = returns.left_of_credit
        return tuple(
            Draft(RewardTakenBack(granted.lot), _scope_of(item), back_key(item, back), stripe=item.entry.stripe)
            for item in await self._rewards(returns)
            if isinstance(granted := item.entry.action, RewardGranted) and left - parts.credit < granted.amount <= left
        )

    async def _rewards_again(self, returns: Returns, came: Parts) -> tuple[Draft, ...]:
        left, again = returns.left_of_credit, list[Draft]()
        for item in await self._rewards(returns):
            granted = item.entry.action
            if not isinstance(granted, RewardGranted) or not left < granted.amount <= left + came.credit:
                continue
            for back in returns.taken:
                taken = await self.journal.find(back_key(item, back))
                seq = 0 if taken is None or not taken.entry.postings else taken.entry.seq
                if seq and await self.journal.find(f"reversal/{seq}") is None:
                    again.append(
                        Draft(CreditReversed(seq), _scope_of(item), f"reversal/{seq}", stripe=item.entry.stripe)
                    )
        return tuple(again)

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

    async def _invoice(self, fact: InvoicePaid) -> PaymentOutcome:
        if (standing := await self.stands(fact.about, "paid")) is not None:
            return _outcome_of(standing)
        if fact.total == 0 and fact.balance == 0:
            return "recorded"
        granted = self.plans.granted(fact.lines) if fact.currency == RC_CURRENCY else None
        if (
            fact.buyer is None
            or not is_part(fact.buyer.workspace)
            or granted is None
            or granted.credit + granted.fee + granted.overage + urc(fact.tax) != urc(fact.total + fact.balance)
        ):
            return await self._unmatched(fact.about, fact.buyer, fact.total, fact.currency)
        scope = _scope(fact.buyer)
        group = await self._earned(fact.earlier, fact.about, scope) if fact.renews else []
        if group and not await self._granted_last(fact.subscription, fact.earlier, scope):
            del group[-1]  # what is there is another subscription's, and ends with that one's period
        if min(granted.credit, granted.fee, fact.tax) < 0:
            less = PlanReduced(self.rail, max(0, -granted.credit), max(0, -granted.fee), max(0, -urc(fact.tax)))
            group.insert(0, self._draft(less, fact.about, "reduced", scope))  # from what is there before it expires
        if fact.balance:
            way: Literal["used", "kept"] = "used" if fact.balance > 0 else "kept"
            moved = CustomerBalanceMoved(self.rail, way, urc(abs(fact.balance)))
            group.append(self._draft(moved, fact.about, "balance", scope))
        if fact.tax > 0:
            group.append(self._draft(CreditTopup(self.rail, 0, urc(fact.tax)), fact.about, "tax", scope))
        if not granted.plan:  # the last invoice of one that has ended
            used = OveragePaid(self.rail, granted.overage, granted.discount)
            await self._once(self._draft(used, fact.about, "paid", scope), *group)
            return "recorded"
        if granted.overage or granted.discount:
            used = OveragePaid(self.rail, granted.overage, granted.discount)
            group.append(self._draft(used, fact.about, "overage", scope))
        until_s = max((line.until_s for line in fact.lines), default=0)
        grant = PlanGranted(
            self.rail, granted.plan, max(0, granted.credit), max(0, granted.fee), until_s, fact.subscription
        )
        await self._once(self._draft(grant, fact.about, "paid", scope), *group)
        return "recorded"

    async def _ended(self, fact: SubscriptionEnded) -> PaymentOutcome:
        if fact.buyer is None or not is_part(fact.buyer.workspace) or await self.stands(fact.about, "expire"):
            return "nothing"
        scope = _scope(fact.buyer)
        # Read before it is asked whose it is: what another subscription grants meanwhile is not in it.
        there = await self._plan_credit(scope)
        *recognised, _ = await self._earned(fact.invoices, fact.about, scope)
        ends = CreditExpired("plan", there)
        if await self._granted_last(fact.about.id, fact.invoices, scope):
            await self._once(self._draft(ends, fact.about, "expire", scope), *recognised)
        else:
            about = StripeObject(fact.about.kind, fact.about.id)
            closed = PaymentClosed(self.rail, "subscription")
            await self._once(Draft(closed, scope, self.key(fact.about, "expire"), stripe=about), *recognised)
        return "recorded"

    async def _plan_credit(self, scope: Scope) -> int:
        rows = await self.journal.balances_of(scope.workspace)
        return sum(row.natural for row in rows if row.account == plan(scope.workspace) and row.currency == RC)

    async def _granted_last(self, subscription: str, invoices: tuple[str, ...], scope: Scope) -> bool:
        """Whether the plan's credit is that of ``subscription``, which these invoices were paid for: where another's was granted
        since, all that is there ends with that one's period."""
        for recorded in reversed(await self.journal.planned(scope.workspace)):
            grant, about = recorded.entry.action, recorded.entry.stripe
            if isinstance(grant, PlanGranted):
                by_invoice = about is None or about.id in invoices
                return grant.subscription == subscription if grant.subscription else by_invoice
        return True

    async def _earned(self, invoices: tuple[str, ...], about: ObjectRef, scope: Scope) -> list[Draft]:
        """The period is over; of its fees is earned what was not given back when the plan was made smaller."""
        less, marks = 0, list[Draft]()
        for name in invoices:
            invoice = ObjectRef("invoice", name)
            found = await self.stands(invoice, "reduced")
            reduced = None if found is None else found.entry.action
            if isinstance(reduced, PlanReduced) and await self.stands(invoice, "unearned") is None:
                less += reduced.deferred
                marks.append(self._draft(RevenueRecognised(0), invoice, "unearned", scope))  # it is counted once
        drafts: list[Draft] = []
        for draft in await self._period_over(invoices, about, scope):
            if isinstance(draft.action, RevenueRecognised):
                part = min(less, draft.action.amount)
                less, draft = less - part, replace(draft, action=RevenueRecognised(draft.action.amount - part))
            drafts.append(draft)
        return [*marks, *drafts]

    async def _period_over(self, invoices: tuple[str, ...], about: ObjectRef, scope: Scope) -> list[Draft]:
        """Each fee is earned, and what is left of the credit expires."""
        drafts: list[Draft] = []
        for name in invoices:
            invoice = ObjectRef("invoice", name)
            paid = await self.stands(invoice, "paid")
            grant = None if paid is None else paid.entry.action
            if isinstance(grant, PlanGranted) and grant.deferred and await self.stands(invoice, "recognised") is None:
                fee = grant.deferred - (await returns_of(self, invoice)).gone.fee
                # Also where nothing is left of it: what of it comes back later is earned then.
                drafts.append(self._draft(RevenueRecognised(fee), invoice, "recognised", scope))
        return [*drafts, self._draft(CreditExpired("plan"), about, "expire", scope)]

    async def _refund(self, fact: RefundState) -> PaymentOutcome:
        # What waited in suspense and became somebody's credit is given back by who has it.
        resolved = None if fact.payment is None else await self.journal.find(resolved_key(self.rail, fact.payment.id))
        scope = _scope(fact.buyer) if resolved is None else _scope_of(resolved)
        if await self.stands(fact.about, "sent") is None:
            await self._sent(fact, resolved, scope)
        sent = await self.stands(fact.about, "sent")
        if fact.state == "failed" and sent is not None and await self.stands(fact.about, "failed") is None:
            await self._came_back(fact, sent, scope)
        return "recorded"

    def _returned(self, payment: ObjectRef) -> Draft:
        """That nobody gets credit for it any more; the same of each of its refunds."""
        return Draft(PaymentHandled(self.rail, "nothing"), THE_HOUSE, returned_key(self.rail, payment.id))

    async def _sent(self, fact: RefundState, resolved: Recorded | None, scope: Scope) -> None:
        amount = urc(fact.amount.cents)
        if await self._waits(fact.payment, fact.amount.currency, resolved):
            if fact.payment is not None:
                # Before it, so that no operator makes credit of what is about to go back.
                await self.roadchain.append(self._returned(fact.payment))
            back = SuspenseResolved(self.rail, *in_book(fact.amount.cents, fact.amount.currency), "returned")
            await self._once(self._draft(back, fact.about, "sent", scope))
            return
        held = None if fact.asked is None else await self.journal.find(hold_key(fact.asked))
        if held is not None and isinstance(held.entry.action, RefundHeld):
            sent = RefundSent(self.rail, amount, amount - held.entry.action.amount)
            await self._once(self._draft(sent, fact.about, "sent", scope))
            return
        earned = await self._is_earned(fact.payment)

        def outside(parts: Parts, plan: bool) -> tuple[Draft, ...]:
            action = RefundedOutside(self.rail, amount, parts.tax, parts.fee, earned and parts.fee > 0, plan)
            return (self._draft(action, fact.about, "sent", scope),)

        await self.goes_back(fact.payment, fact.about.id, amount, scope, outside)

    async def _waits(self, payment: ObjectRef | None, currency: str, resolved: Recorded | None) -> bool:
        """Whether the money is nobody's credit, but waits in suspense; money of another currency always does."""
        paid = None if payment is None else await self.stands(payment, "paid")
        unmatched = paid is not None and isinstance(paid.entry.action, PaymentUnmatched) and resolved is None
        return unmatched or currency != RC_CURRENCY

    async def _came_back(self, fact: RefundState, sent: Recorded, scope: Scope) -> None:
        amount = urc(fact.amount.cents)
        if isinstance(sent.entry.action, SuspenseResolved):
            waits = PaymentUnmatched(self.rail, sent.entry.action.amount, sent.entry.action.currency)
            await self._once(self._draft(waits, fact.about, "failed", scope))
            return
        failed = RefundFailed(self.rail, amount, sent.entry.seq, await self._is_earned(fact.payment))
        name = fact.asked if isinstance(sent.entry.action, RefundSent) and fact.asked else fact.about.id
        await self.comes_back(fact.payment, name, scope, self._draft(failed, fact.about, "failed", scope))

    async def _is_earned(self, payment: ObjectRef | None) -> bool:
        """Whether the fee of a plan's period is deferred no more."""
        return payment is not None and await self.stands(payment, "recognised") is not None

    async def goes_back(
        self,
        payment: ObjectRef | None,
        back: str,
        amount: int,
        scope: Scope,
        drafts: Callable[[Parts, bool], tuple[Draft, ...]],
        *,
        ours: bool = False,
    ) -> None:
        """Record that ``amount`` of a payment goes back, with the ``drafts`` of its parts (and whether it paid for a plan).
        Nothing where the first of them stands. ``ours``: we are about to send it, and no more than is left. Raises
        ``PaymentRefused`` then, ``KeyReused`` where something else stands under its key, ``LedgerError``, ``StoreFailed``."""
        for tried in range(STEPS_MAX):
            returns = await returns_of(self, payment)
            parts = returns.part_of(back, amount)
            group = drafts(parts, returns.of_plan)
            stands = await self.journal.find(group[0].idem)
            if stands is not None:
                if type(stands.entry.action) is not type(group[0].action):  # it was decided otherwise
                    raise KeyReused(f"{group[0].idem} stands for something else")
                return
            if ours and returns.left < amount:
                raise PaymentRefused("less was paid, or some of it went back before", "amount_too_large")
            try:
                rewards = await self._rewards_lost(returns, back, parts)
                await self.roadchain.append(*group, *returns.step(back, parts, scope), *rewards)
                return
            except KeyReused:  # something else of the same payment went back at the same time
                if tried == STEPS_MAX - 1:
                    raise

    async def comes_back(self, payment: ObjectRef | None, back: str, scope: Scope, *drafts: Draft) -> None:
        """The other way: what went back as ``back`` is here again. Nothing where the first of the ``drafts`` stands."""
        for tried in range(STEPS_MAX):
            returns = await returns_of(self, payment)
            if await self.journal.find(drafts[0].idem) is not None:
                return
            try:
                came = returns.taken.get(back, NOTHING)
                rewards = await self._rewards_again(returns, came)
                await self.roadchain.append(*drafts, *returns.step(back, -came, scope), *rewards)
                return
            except KeyReused:
                if tried == STEPS_MAX - 1:
                    raise

    async def _dispute(self, fact: DisputeState) -> PaymentOutcome:
        if not fact.withdrawn:  # an inquiry: nothing has left
            return "waiting"
        resolved = await self.journal.find(resolved_key(self.rail, fact.payment.id))
        scope = _scope(fact.buyer) if resolved is None else _scope_of(resolved)
        if await self._waits(fact.payment, fact.amount.currency, resolved):
            return await self._dispute_of_waiting(fact, scope)
        amount = urc(fact.amount.cents)

        def withdrawn(parts: Parts, plan: bool) -> tuple[Draft, ...]:
            taken = DisputeWithdrawn(self.rail, amount, urc(fact.fee))
            freeze = CreditFrozen(parts.credit, plan)
            return (
                self._draft(taken, fact.about, "withdrawn", scope),
                self._draft(freeze, fact.about, "freeze", scope),
            )

        if await self.stands(fact.about, "withdrawn") is None:
            await self.goes_back(fact.payment, fact.about.id, amount, scope, withdrawn)
        ended = await self.stands(fact.about, "lost") or await self.stands(fact.about, "won")
        freeze = await self.stands(fact.about, "freeze")
        if ended is None and freeze is not None and fact.state == "won" and fact.reinstated:
            await self._won(fact, freeze, scope)
        if ended is None and freeze is not None and fact.state == "lost":
            parts = (await returns_of(self, fact.payment)).taken.get(fact.about.id, Parts(amount))
            earned = parts.fee > 0 and await self._earned_before(fact.payment, freeze)
            lost = DisputeLost(self.rail, amount, False, freeze.entry.seq, parts.tax, parts.fee, earned)
            await self._once(self._draft(lost, fact.about, "lost", scope))
        return "recorded"

    async def _dispute_of_waiting(self, fact: DisputeState, scope: Scope) -> PaymentOutcome:
        amount, currency = in_book(fact.amount.cents, fact.amount.currency)
        fee, _ = in_book(fact.fee, fact.amount.currency)
        await self.roadchain.append(self._returned(fact.payment))
        steps: list[tuple[str, CreditAction]] = [("withdrawn", DisputeWithdrawn(self.rail, amount, fee, currency))]
        if fact.state == "won" and fact.reinstated:
            steps.append(("won", DisputeWon(self.rail, amount, currency)))
        if fact.state == "lost":
            steps.append(("lost", DisputeLost(self.rail, amount, False, currency=currency, waited=True)))
        for step, action in steps:
            if await self.stands(fact.about, step) is None:
                await self._once(self._draft(action, fact.about, step, scope))
        return "recorded"

    async def _won(self, fact: DisputeState, freeze: Recorded, scope: Scope) -> None:
        there = sum(-item.amount for item in freeze.entry.postings if item.account == frozen(scope.workspace))
        group = [
            self._draft(DisputeWon(self.rail, urc(fact.amount.cents)), fact.about, "won", scope),
            self._draft(CreditUnfrozen(there, freeze.entry.seq), fact.about, "unfreeze", scope),
        ]
        fee = (await returns_of(self, fact.payment)).taken.get(fact.about.id, NOTHING).fee
        if fee and await self._is_earned(fact.payment) and not await self._earned_before(fact.payment, freeze):
            # The period ended meanwhile, and what was disputed of its fee was left out.
            group.append(self._draft(RevenueRecognised(fee), fact.about, "recognised", scope))
        await self.comes_back(fact.payment, fact.about.id, scope, *group)

    async def _earned_before(self, payment: ObjectRef, freeze: Recorded) -> bool:
        recognised = await self.stands(payment, "recognised")
        return recognised is not None and recognised.entry.seq < freeze.entry.seq

    async def _payout(self, fact: PayoutState) -> PaymentOutcome:
        paid = await self.stands(fact.about, "paid")
        if paid is None:
            payout = BankPayout(self.rail, *in_book(fact.amount.cents, fact.amount.currency))
            await self._once(self._draft(payout, fact.about, "paid", THE_HOUSE))
            paid = await self.stands(fact.about, "paid")
        if fact.state == "failed" and paid is not None:
            seq = paid.entry.seq
            about = StripeObject(fact.about.kind, fact.about.id)
            await self._once(Draft(CreditReversed(seq), THE_HOUSE, f"reversal/{seq}", stripe=about))
        return "recorded"

    async def _unmatched(self, about: ObjectRef, buyer: Buyer | None, cents: int, currency: str) -> PaymentOutcome:
        scope = _scope(buyer)
        unmatched = PaymentUnmatched(self.rail, *in_book(cents, currency))
        await self._once(self._draft(unmatched, about, "paid", scope))
        return "unmatched"

    def _draft(self, action: CreditAction, about: ObjectRef, step: str, scope: Scope) -> Draft:
        return Draft(action, scope, self.key(about, step), stripe=StripeObject(about.kind, about.id))

    async def _once(self, main: Draft, *before: Draft) -> tuple[Receipt, ...]:
        """Record ``before`` and ``main``, in this order and together, unless ``main`` stands."""
        return await self._append((*before, main), main)

    async def _together(self, main: Draft, *behind: Draft) -> tuple[Receipt, ...]:
        return await self._append((main, *behind), main)

    async def _append(self, group: tuple[Draft, ...], main: Draft) -> tuple[Receipt, ...]:
        try:
            return await self.roadchain.append(*(part for draft in group for part in in_parts(draft)))
        except KeyReused:
            # Another process was first, from another look at the same object.
            if await self.journal.find(main.idem) is None:
                raise
            return ()


def _outcome_of(standing: Recorded) -> PaymentOutcome:
    """What came of money, looked at again."""
    return "unmatched" if isinstance(standing.entry.action, PaymentUnmatched) else "recorded"


def asked_key(buyer: Buyer) -> str:
    return f"payment.asked/{buyer.intent}"


def requested_key(intent: str) -> str:
    """Of a refund that somebody wants, and the operator decides on."""
    return f"payment.requested/{intent}"


def opened_key(name: str) -> str:
    """Of what the rail made: of a refund by our reference, of a page by the rail's own name."""
    return f"payment.opened/{name}"


def hold_key(intent: str) -> str:
    """Of the credit that waits for a refund to be sent; or of the end of a request that is declined."""
    return f"payment.hold/{intent}"


def resolved_key(rail: str, payment: str) -> str:
    """Of money that waited in suspense until an operator gave it to a workspace."""
    return f"payment.resolved/{rail}/{payment}"


def returned_key(rail: str, payment: str) -> str:
    """Of money that waited in suspense, and of which some was given back."""
    return f"payment.returned/{rail}/{payment}"


def in_book(cents: int, currency: str) -> tuple[int, str]:
    """An amount as suspense counts it: uRC of US dollars, hundred-millionths of any other currency.

    >>> in_book(100, "usd"), in_book(100, "eur"), in_book(100, "jpy"), in_book(1000, "kwd")
    ((100000000, 'RC'), (100000000, 'EUR'), (10000000000, 'JPY'), (100000000, 'KWD'))
    """
    if currency == RC_CURRENCY:
        return urc(cents), "RC"
    decimals = 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2
    return cents * 10 ** (_PLACES - decimals), currency.upper()


def in_parts(draft: Draft) -> tuple[Draft, ...]:
    """More than a posting can hold is several entries, under the key of the first and numbers: suspense counts every currency to
    eight decimals, in which 90 million dong are already too many."""
    action = draft.action
    if not isinstance(action, PaymentUnmatched | SuspenseResolved | PaymentFee) or action.amount <= AMOUNT_MAX:
        return (draft,)
    if action.amount > PARTS_MAX * AMOUNT_MAX:  # no rail takes so much at once: the ledger refuses it
        return (draft,)
    whole, rest = divmod(action.amount, AMOUNT_MAX)
    amounts = [AMOUNT_MAX] * whole + [rest] * (rest > 0)
    return tuple(
        replace(draft, action=replace(action, amount=amount), idem=draft.idem if n == 1 else f"{draft.idem}:{n}")
        for n, amount in enumerate(amounts, 1)
    )


def _scope(buyer: Buyer | None) -> Scope:
    if buyer is None or not is_part(buyer.workspace):
        return THE_HOUSE
    return Scope(buyer.workspace, buyer.actor, ConversationId(""), TurnId(""))


def _scope_of(recorded: Recorded) -> Scope:
    entry = recorded.entry
    return Scope(entry.workspace, entry.actor, ConversationId(""), TurnId(""))
