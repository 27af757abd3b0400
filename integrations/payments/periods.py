"""A plan's periods: what an invoice grants, what of the one before is earned and expires, and how a plan ends."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from integrations.payments.base import RC_CURRENCY, InvoicePaid, ObjectRef, SubscriptionEnded, urc
from integrations.payments.keys import scope_of
from integrations.payments.plans import Granted, Plans
from integrations.payments.records import Records, outcome_of
from integrations.payments.returned import PERIOD_OVER, Returns, returns_of
from ledger.accounts import RC, is_part, plan
from ledger.credit_actions import (
    CreditExpired,
    CreditTopup,
    CustomerBalanceMoved,
    OveragePaid,
    PlanGranted,
    PlanReduced,
    RevenueRecognised,
)
from ledger.entry import Draft, Scope, StripeObject
from ledger.payment_actions import PaymentClosed, PaymentOutcome


async def record_invoice(records: Records, plans: Plans, fact: InvoicePaid) -> PaymentOutcome:
    """Of an invoice that was paid: as ``Bridge.record``."""
    return await records.again(lambda: _record_invoice(records, plans, fact))


async def record_end(records: Records, fact: SubscriptionEnded) -> PaymentOutcome:
    """Of a subscription whose last period is over: as ``Bridge.record``."""
    return await records.again(lambda: _record_end(records, fact))


async def _record_invoice(records: Records, plans: Plans, fact: InvoicePaid) -> PaymentOutcome:
    if (standing := await records.stands(fact.about, "paid")) is not None:
        return outcome_of(standing)
    free = fact.total == 0 and fact.balance == 0
    if free and not fact.renews and not any(line.gross for line in fact.lines):
        return "recorded"  # a trial: nothing was bought yet, and nothing has ended
    granted = plans.granted(fact.lines) if fact.currency == RC_CURRENCY else None
    if (
        fact.buyer is None
        or not is_part(fact.buyer.workspace)
        or granted is None
        or granted.credit + granted.fee + granted.overage + urc(fact.tax) != urc(fact.total + fact.balance)
    ):
        return "recorded" if free else await records.unmatched(fact.about, fact.buyer, fact.total, fact.currency)
    scope = scope_of(fact.buyer)
    fees, group = await _fees(records, fact.earlier), list[Draft]()
    if min(granted.credit, granted.fee, fact.tax) < 0:
        group += await _made_smaller(records, granted, fact, fees, scope)  # from what is there before it expires
    if fact.renews:
        group += await _earned(records, fees, fact.earlier, fact.about, scope)
        if not await _granted_last(records, fact.subscription, fact.earlier, scope):
            del group[-1]  # what is there is another subscription's, and ends with that one's period
    if fact.balance:
        way: Literal["used", "kept"] = "used" if fact.balance > 0 else "kept"
        moved = CustomerBalanceMoved(records.rail, way, urc(abs(fact.balance)))
        group.append(records.draft(moved, fact.about, "balance", scope))
    if fact.tax > 0:
        group.append(records.draft(CreditTopup(records.rail, 0, urc(fact.tax)), fact.about, "tax", scope))
    if not granted.plan:  # the last invoice of one that has ended
        used = OveragePaid(records.rail, granted.overage, granted.discount)
        await records.once(records.draft(used, fact.about, "paid", scope), *group)
        return "recorded"
    if granted.overage or granted.discount:
        used = OveragePaid(records.rail, granted.overage, granted.discount)
        group.append(records.draft(used, fact.about, "overage", scope))
    until_s = max((line.until_s for line in fact.lines), default=0)
    meter = "" if plans.meter_of(granted.plan) else await _meter_before(records, plans, fact.subscription, scope)
    grant = PlanGranted(
        records.rail, granted.plan, max(0, granted.credit), max(0, granted.fee), until_s, fact.subscription, meter
    )
    await records.once(records.draft(grant, fact.about, "paid", scope), *group)
    return "recorded"


async def _meter_before(records: Records, plans: Plans, subscription: str, scope: Scope) -> str:
    """Of the plan that was granted last, where the same subscription had it: another has no price of its meter."""
    for recorded in reversed(await records.journal.planned(scope.workspace)):
        if isinstance(grant := recorded.entry.action, PlanGranted) and grant.subscription == subscription:
            return plans.meter_of(grant.plan) or grant.meter
    return ""


async def _record_end(records: Records, fact: SubscriptionEnded) -> PaymentOutcome:
    # Of one that nobody pays any more each payment may be the last one: it goes on with the next.
    step = f"unpaid:{fact.invoices[-1]}" if fact.unpaid else "expire"
    if fact.buyer is None or not is_part(fact.buyer.workspace) or await records.stands(fact.about, step):
        return "nothing"
    scope = scope_of(fact.buyer)
    # Read before it is asked whose it is: what another subscription grants meanwhile is not in it.
    there = await _plan_credit(records, scope)
    fees = await _fees(records, fact.invoices)
    *recognised, _ = await _earned(records, fees, fact.invoices, fact.about, scope)
    ends = CreditExpired("plan", there)
    if await _granted_last(records, fact.about.id, fact.invoices, scope):
        await records.once(records.draft(ends, fact.about, step, scope), *recognised)
    else:
        about = StripeObject(fact.about.kind, fact.about.id)
        closed = PaymentClosed(records.rail, "subscription")
        await records.once(Draft(closed, scope, records.key(fact.about, step), stripe=about), *recognised)
    return "recorded"


async def _plan_credit(records: Records, scope: Scope) -> int:
    rows = await records.journal.balances_of(scope.workspace)
    return sum(row.natural for row in rows if row.account == plan(scope.workspace) and row.currency == RC)


async def _granted_last(records: Records, subscription: str, invoices: tuple[str, ...], scope: Scope) -> bool:
    """Whether the plan's credit is that of ``subscription``, which these invoices were paid for: where another's was granted
    since, all that is there ends with that one's period."""
    for recorded in reversed(await records.journal.planned(scope.workspace)):
        grant, about = recorded.entry.action, recorded.entry.stripe
        if isinstance(grant, PlanGranted):
            by_invoice = about is None or about.id in invoices
            return grant.subscription == subscription if grant.subscription else by_invoice
    return True


async def _fees(records: Records, invoices: tuple[str, ...]) -> dict[ObjectRef, Returns]:
    """What went back of each invoice whose fee is not earned yet."""
    fees: dict[ObjectRef, Returns] = {}
    for invoice in (ObjectRef("invoice", name) for name in invoices):
        if await records.stands(invoice, PERIOD_OVER) is None:
            returns = await returns_of(records, invoice)
            if returns.whole.fee:
                fees[invoice] = returns
    return fees


async def _made_smaller(
    records: Records, granted: Granted, fact: InvoicePaid, fees: dict[ObjectRef, Returns], scope: Scope
) -> list[Draft]:
    """What is given back of the fee is no more than what is deferred in ``fees``, the latest first, and is written there. What is
    beyond that went back before, with a payment: it is taken as credit."""
    less, steps = max(0, -granted.fee), list[Draft]()
    for invoice, returns in reversed(fees.items()):
        part = min(less, max(0, returns.whole.fee - returns.reduced - await _fee_sent_back(records, returns)))
        if part:
            fees[invoice], step = returns.made_smaller(part, scope)
            steps += step
            less -= part
    reduced = PlanReduced(
        records.rail, max(0, -granted.credit) + less, max(0, -granted.fee) - less, max(0, -urc(fact.tax))
    )
    # Older ones have no such steps: what they gave back is left out where the period ends, and marked so there.
    marked = records.draft(RevenueRecognised(0), fact.about, "unearned", scope)
    return [*steps, records.draft(reduced, fact.about, "reduced", scope), marked]


async def _fee_sent_back(records: Records, returns: Returns) -> int:
    """What is disputed is deferred until the dispute is lost."""
    sent = 0
    for name, parts in returns.taken.items():
        dispute = ObjectRef("dispute", name)
        disputed = await records.stands(dispute, "freeze") is not None
        if not disputed or await records.stands(dispute, "lost") is not None:
            sent += parts.fee
    return sent


async def _earned(
    records: Records, fees: dict[ObjectRef, Returns], invoices: tuple[str, ...], about: ObjectRef, scope: Scope
) -> list[Draft]:
    """The period is over; of its fees is earned what was not given back when the plan was made smaller."""
    less, marks = 0, list[Draft]()
    for name in invoices:
        invoice = ObjectRef("invoice", name)
        found = await records.stands(invoice, "reduced")
        reduced = None if found is None else found.entry.action
        if isinstance(reduced, PlanReduced) and await records.stands(invoice, "unearned") is None:
            less += reduced.deferred
            marks.append(records.draft(RevenueRecognised(0), invoice, "unearned", scope))  # it is counted once
    drafts: list[Draft] = []
    for draft in _period_over(records, fees, about, scope):
        if isinstance(draft.action, RevenueRecognised):
            part = min(less, draft.action.amount)
            less, draft = less - part, replace(draft, action=RevenueRecognised(draft.action.amount - part))
        drafts.append(draft)
    return [*marks, *drafts]


def _period_over(records: Records, fees: Mapping[ObjectRef, Returns], about: ObjectRef, scope: Scope) -> list[Draft]:
    """Each fee is earned, and what is left of the credit expires."""
    drafts: list[Draft] = []
    for invoice, returns in fees.items():
        # Also where nothing is left of it: what of it comes back later is earned then.
        drafts.append(records.draft(RevenueRecognised(returns.fee_left), invoice, "recognised", scope))
        drafts += returns.period_over(scope)
    return [*drafts, records.draft(CreditExpired("plan"), about, "expire", scope)]
