"""What goes back of a payment, and what of that comes again: refunds, disputes, and the rewards that the purchase earned."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from integrations.payments.base import RC_CURRENCY, DisputeState, ObjectRef, PaymentRefused, RefundState, urc
from integrations.payments.in_book import in_book
from integrations.payments.keys import (
    THE_HOUSE,
    discount_key,
    hold_key,
    resolved_key,
    scope_in,
    scope_of,
)
from integrations.payments.records import STEPS_MAX, Records, resolved_by
from integrations.payments.referrals import back_key, reward_key
from integrations.payments.returned import NOTHING, Parts, Returns, returns_of
from ledger.accounts import frozen, promo
from ledger.credit_actions import (
    CreditAction,
    CreditFrozen,
    CreditGranted,
    CreditReversed,
    CreditTopup,
    CreditUnfrozen,
    DiscountTakenBack,
    DisputeLost,
    DisputeWithdrawn,
    DisputeWon,
    PaymentUnmatched,
    RefundedOutside,
    RefundFailed,
    RefundHeld,
    RefundSent,
    RevenueRecognised,
    RewardGranted,
    RewardTakenBack,
    SuspenseResolved,
)
from ledger.entry import Draft, Scope
from ledger.errors import KeyReused
from ledger.payment_actions import PaymentHandled, PaymentOutcome
from ledger.store import Recorded


async def record_refund(records: Records, fact: RefundState) -> PaymentOutcome:
    """Of a refund, whoever made it: as ``Bridge.record``."""
    if await records.stands(fact.about, "sent") is None:
        await _sent(records, fact)
    sent = await records.stands(fact.about, "sent")
    if fact.state == "failed" and sent is not None and await records.stands(fact.about, "failed") is None:
        await _came_back(records, fact, sent, _scope(fact, await _resolved(records, fact.payment)))
    return "recorded"


async def _resolved(records: Records, payment: ObjectRef | None) -> Recorded | None:
    return None if payment is None else await resolved_by(records.journal, records.rail, payment.id)


def _scope(fact: RefundState | DisputeState, resolved: Recorded | None) -> Scope:
    """What waited in suspense and became somebody's credit is given back by who has it."""
    return scope_of(fact.buyer) if resolved is None else scope_in(resolved)


async def _nobodys(records: Records, payment: ObjectRef | None) -> Recorded | None:
    """From now on nobody gets credit for what waits, of which some goes back; the same of each of its refunds. Where an operator
    was faster, the entry by which it became somebody's."""
    if payment is None:
        return None
    key = resolved_key(records.rail, payment.id)
    with suppress(KeyReused):
        await records.roadchain.append(Draft(PaymentHandled(records.rail, "nothing"), THE_HOUSE, key))
    return await _resolved(records, payment)


async def _sent(records: Records, fact: RefundState) -> None:
    amount, resolved = urc(fact.amount.cents), await _resolved(records, fact.payment)
    waits = await _waits(records, fact.payment, fact.amount.currency, resolved)
    if waits and (resolved := await _nobodys(records, fact.payment)) is not None:
        waits = False
    scope = _scope(fact, resolved)
    if waits:
        back = SuspenseResolved(records.rail, *in_book(fact.amount.cents, fact.amount.currency), "returned")
        await records.once(records.draft(back, fact.about, "sent", scope))
        return
    held = None if fact.asked is None else await records.journal.find(hold_key(fact.asked))
    if held is not None and isinstance(held.entry.action, RefundHeld):
        sent = RefundSent(records.rail, amount, amount - held.entry.action.amount)
        await records.once(records.draft(sent, fact.about, "sent", scope))
        return

    def outside(parts: Parts, returns: Returns) -> tuple[Draft, ...]:
        earned = returns.recognised is not None and parts.fee > 0
        action = RefundedOutside(records.rail, amount, parts.tax, parts.fee, earned, returns.of_plan)
        return (records.draft(action, fact.about, "sent", scope),)

    await goes_back(records, fact.payment, fact.about.id, amount, scope, outside)


async def _waits(records: Records, payment: ObjectRef | None, currency: str, resolved: Recorded | None) -> bool:
    """Whether the money is nobody's credit, but waits in suspense; money of another currency always does."""
    paid = None if payment is None else await records.stands(payment, "paid")
    unmatched = paid is not None and isinstance(paid.entry.action, PaymentUnmatched) and resolved is None
    return unmatched or currency != RC_CURRENCY


async def _came_back(records: Records, fact: RefundState, sent: Recorded, scope: Scope) -> None:
    amount = urc(fact.amount.cents)
    if isinstance(sent.entry.action, SuspenseResolved):
        # As the rail says it: what was sent may be the first of several entries.
        waits = PaymentUnmatched(records.rail, *in_book(fact.amount.cents, fact.amount.currency))
        await records.once(records.draft(waits, fact.about, "failed", scope))
        return
    name = fact.asked if isinstance(sent.entry.action, RefundSent) and fact.asked else fact.about.id

    def failed(returns: Returns) -> tuple[Draft, ...]:
        action = RefundFailed(records.rail, amount, sent.entry.seq, returns.recognised is not None)
        return (records.draft(action, fact.about, "failed", scope),)

    await comes_back(records, fact.payment, name, scope, failed)


async def goes_back(
    records: Records,
    payment: ObjectRef | None,
    back: str,
    amount: int,
    scope: Scope,
    drafts: Callable[[Parts, Returns], tuple[Draft, ...]],
    *,
    ours: bool = False,
) -> None:
    """Record that ``amount`` of a payment goes back, with the ``drafts`` of its parts (and what went back before).
    Nothing where the first of them stands. ``ours``: we are about to send it, and no more than is left. Raises
    ``PaymentRefused`` then, ``KeyReused`` where something else stands under its key, ``LedgerError``, ``StoreFailed``."""
    for tried in range(STEPS_MAX):
        returns = await returns_of(records, payment)
        parts = returns.part_of(back, amount)
        group = drafts(parts, returns)
        stands = await records.journal.find(group[0].idem)
        if stands is not None:
            if type(stands.entry.action) is not type(group[0].action):  # it was decided otherwise
                raise KeyReused(f"{group[0].idem} stands for something else")
            return
        if ours and returns.left < amount:
            raise PaymentRefused("less was paid, or some of it went back before", "amount_too_large")
        try:
            step, rewards = returns.step(back, parts, scope), await _rewards_lost(records, returns, back, parts)
            discount = await _discount(records, returns, parts) if step else ()
            await records.roadchain.append(*group, *step, *rewards, *discount)
            return
        except KeyReused:  # something else of the same payment went back at the same time
            if tried == STEPS_MAX - 1:
                raise


async def comes_back(
    records: Records,
    payment: ObjectRef | None,
    back: str,
    scope: Scope,
    drafts: Callable[[Returns], tuple[Draft, ...]],
) -> None:
    """The other way: what went back as ``back`` is here again. Nothing where the first of the ``drafts`` stands."""
    for tried in range(STEPS_MAX):
        returns = await returns_of(records, payment)
        group = drafts(returns)
        if await records.journal.find(group[0].idem) is not None:
            return
        try:
            came = returns.taken.get(back, NOTHING)
            step, rewards = returns.step(back, -came, scope), await _rewards_again(records, returns, came)
            discount = await _discount(records, returns, -came) if step else ()
            await records.roadchain.append(*group, *step, *rewards, *discount)
            return
        except KeyReused:
            if tried == STEPS_MAX - 1:
                raise


async def record_dispute(records: Records, fact: DisputeState) -> PaymentOutcome:
    """Of a dispute: as ``Bridge.record``."""
    if not fact.withdrawn:  # an inquiry: nothing has left
        return "waiting"
    resolved = await _resolved(records, fact.payment)
    if await _waits(records, fact.payment, fact.amount.currency, resolved):
        resolved = await _nobodys(records, fact.payment)
        if resolved is None:
            return await _dispute_of_waiting(records, fact, scope_of(fact.buyer))
    scope = _scope(fact, resolved)
    amount = urc(fact.amount.cents)

    def withdrawn(parts: Parts, returns: Returns) -> tuple[Draft, ...]:
        taken = DisputeWithdrawn(records.rail, amount, urc(fact.fee))
        freeze = CreditFrozen(parts.credit, returns.of_plan)
        return (
            records.draft(taken, fact.about, "withdrawn", scope),
            records.draft(freeze, fact.about, "freeze", scope),
        )

    if await records.stands(fact.about, "withdrawn") is None:
        await goes_back(records, fact.payment, fact.about.id, amount, scope, withdrawn)
    ended = await records.stands(fact.about, "lost") or await records.stands(fact.about, "won")
    freeze = await records.stands(fact.about, "freeze")
    if ended is None and freeze is not None and fact.state == "won" and fact.reinstated:
        await _won(records, fact, freeze, scope)
    if ended is None and freeze is not None and fact.state == "lost":
        return await records.again(partial(_lost, records, fact, freeze, scope))
    return "recorded"


async def _lost(records: Records, fact: DisputeState, freeze: Recorded, scope: Scope) -> PaymentOutcome:
    amount, returns = urc(fact.amount.cents), await returns_of(records, fact.payment)
    parts = returns.taken.get(fact.about.id, Parts(amount))
    fee = max(0, parts.fee - returns.fee_twice)
    earned = fee > 0 and _earned_before(returns, freeze)
    lost = DisputeLost(records.rail, amount, False, freeze.entry.seq, parts.tax, fee, earned)
    await records.once(records.draft(lost, fact.about, "lost", scope), *returns.lost(fact.about.id, fee, scope))
    return "recorded"


async def _dispute_of_waiting(records: Records, fact: DisputeState, scope: Scope) -> PaymentOutcome:
    amount, currency = in_book(fact.amount.cents, fact.amount.currency)
    fee, _ = in_book(fact.fee, fact.amount.currency)
    steps: list[tuple[str, CreditAction]] = [("withdrawn", DisputeWithdrawn(records.rail, amount, fee, currency))]
    if fact.state == "won" and fact.reinstated:
        steps.append(("won", DisputeWon(records.rail, amount, currency)))
    if fact.state == "lost":
        steps.append(("lost", DisputeLost(records.rail, amount, False, currency=currency, waited=True)))
    for step, action in steps:
        if await records.stands(fact.about, step) is None:
            await records.once(records.draft(action, fact.about, step, scope))
    return "recorded"


async def _won(records: Records, fact: DisputeState, freeze: Recorded, scope: Scope) -> None:
    there = sum(-item.amount for item in freeze.entry.postings if item.account == frozen(scope.workspace))
    won = records.draft(DisputeWon(records.rail, urc(fact.amount.cents)), fact.about, "won", scope)
    unfreeze = records.draft(CreditUnfrozen(there, freeze.entry.seq), fact.about, "unfreeze", scope)

    def drafts(returns: Returns) -> tuple[Draft, ...]:
        fee = returns.taken.get(fact.about.id, NOTHING).fee
        if not fee or returns.recognised is None or _earned_before(returns, freeze):
            return won, unfreeze
        # The period ended meanwhile, and what was disputed of its fee was left out.
        earned = RevenueRecognised(max(0, fee - returns.fee_twice))
        return won, unfreeze, records.draft(earned, fact.about, "recognised", scope)

    await comes_back(records, fact.payment, fact.about.id, scope, drafts)


def _earned_before(returns: Returns, freeze: Recorded) -> bool:
    return returns.recognised is not None and returns.recognised.entry.seq < freeze.entry.seq


async def _rewards(records: Records, returns: Returns) -> tuple[Recorded, ...]:
    """What a purchase earned: that of the workspace that came, and that of the one that invited it."""
    if returns.payment is None:
        return ()
    key = reward_key(returns.payment.entry.workspace)
    found = [await records.journal.find(name) for name in (key, f"{key}/from")]
    return tuple(item for item in found if item is not None and item.entry.stripe == returns.payment.entry.stripe)


async def _rewards_lost(records: Records, returns: Returns, back: str, parts: Parts) -> tuple[Draft, ...]:
    left = returns.left_of_credit
    return tuple(
        Draft(RewardTakenBack(granted.lot), scope_in(item), back_key(item, back), stripe=item.entry.stripe)
        for item in await _rewards(records, returns)
        if isinstance(granted := item.entry.action, RewardGranted) and left - parts.credit < granted.amount <= left
    )


async def _rewards_again(records: Records, returns: Returns, came: Parts) -> tuple[Draft, ...]:
    left, again = returns.left_of_credit, list[Draft]()
    for item in await _rewards(records, returns):
        granted = item.entry.action
        if not isinstance(granted, RewardGranted) or not left < granted.amount <= left + came.credit:
            continue
        for back in returns.taken:
            taken = await records.journal.find(back_key(item, back))
            seq = 0 if taken is None or not taken.entry.postings else taken.entry.seq
            if seq and await records.journal.find(f"reversal/{seq}") is None:
                again.append(Draft(CreditReversed(seq), scope_in(item), f"reversal/{seq}", stripe=item.entry.stripe))
    return tuple(again)


async def _discount(records: Records, returns: Returns, parts: Parts) -> tuple[Draft, ...]:
    """Of a purchase's discount goes what the credit that is gone is of all that was bought, less what went before: with ``parts``
    more of it, or below 0 fewer. It stands beside a step of the payment's list, under that step's number."""
    paid = returns.payment
    topup = None if paid is None else paid.entry.action
    if paid is None or not isinstance(topup, CreditTopup) or not topup.discount:
        return ()
    lot, before = promo(paid.entry.workspace, topup.lot), 0
    for step in range(returns.steps):
        moved = await records.journal.find(discount_key(paid, step))
        before += 0 if moved is None else sum(item.amount for item in moved.entry.postings if item.account == lot)
    gone, whole = returns.gone.credit + parts.credit, returns.whole.credit
    more = (topup.discount if gone >= whole else topup.discount * gone // whole) - before
    if not more:
        return ()
    action = DiscountTakenBack(topup.lot, more) if more > 0 else CreditGranted(topup.lot, -more)
    return (Draft(action, scope_in(paid), discount_key(paid, returns.steps), stripe=paid.entry.stripe),)
