"""What an operator asks for at the console, as the entries that it comes to.

They are worked out when it is asked for, and again when a second operator approves of it: what is done is what was asked for, or
nothing.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot.accruals import Parts, day_text, entry_of, late_key, owed_before, owed_to, true_up_key
from bot.commands.amounts import dollars_text
from bot.console import EXIT_USAGE, EXIT_WRONG
from bot.operating import Opened
from integrations.payments.base import Amount, Cents
from integrations.payments.keys import resolved_key
from integrations.payments.metering import amount_under_way, owed_later
from integrations.payments.records import went_back
from ledger.accounts import RC
from ledger.actions import encode_action
from ledger.book import AccountRow
from ledger.credit_actions import (
    CreditAction,
    CreditAllocated,
    CreditExpired,
    CreditGranted,
    CreditReversed,
    DebtWrittenOff,
    LateCost,
    OperationsPaid,
    PaymentUnmatched,
    ProviderBilled,
    ProviderTruedUp,
    RewardGranted,
    SuspenseResolved,
    TreasuryMoved,
)
from ledger.entry import Draft, Entry, Scope
from ledger.errors import Code
from ledger.money import URC_PER_RC, Money, rc_text
from ledger.payment_actions import AdjustmentAsked
from ledger.pseudonyms import ConversationId, TurnId

DAY_US = 86_400_000_000
NOT_REVERSIBLE = (
    "Entry {0} is none that can be taken back: a grant, a reward, an allocation, a write-off, an expiry, "
    "a provider's bill."
)
REVERSIBLE = (
    *(CreditGranted, RewardGranted, CreditAllocated, CreditExpired, DebtWrittenOff),
    *(ProviderBilled, ProviderTruedUp),
)
"""What moves credit alone, and what an operator said of a provider's bill. What else came in or went out as money is set right
where the money is."""

NOTHING = "Nothing was changed."


class NotPossible(Exception):
    """``sentence`` says why; ``code`` stands on the ledger, ``status`` is the program's."""

    def __init__(self, sentence: str, code: Code, status: int = EXIT_WRONG) -> None:
        super().__init__(sentence)
        self.sentence, self.code, self.status = sentence, code, status


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, in whose name, under which reference, and about which payment; empty for none."""

    asked: AdjustmentAsked
    scope: Scope
    reference: str
    payment: str = ""


@dataclass(frozen=True, slots=True)
class Movement:
    """``drafts`` are recorded together or not at all; ``done`` says so, with the number of the ``main`` one's entry in place of
    ``ENTRY``. ``told`` is how the amount is made up, where that is not the wish. ``short`` is said where the book has less,
    ``taken`` where it was recorded before."""

    wish: Wish
    drafts: tuple[Draft, ...]
    done: str
    short: str = "The book has less than that by now. Nothing was changed."
    taken: str = "That was recorded before. Nothing was changed."
    taken_status: int = EXIT_WRONG
    told: str = ""
    main: int = -1

    @property
    def amount(self) -> int:
        """All that moves, in uRC: by this it is decided how many operators it takes."""
        return self.wish.asked.amount + self.wish.asked.true_up

    @property
    def plan(self) -> str:
        """What it comes to, in a few letters. When a grant ends is counted from its approval, so that it stands not in it."""
        listed = [
            [draft.action.name, {**encode_action(draft.action), "expires_us": None}, draft.idem, draft.scope.workspace]
            for draft in self.drafts
        ]
        return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()


async def movement_of(house: Opened, wish: Wish) -> Movement:
    """Where the amount follows from what it is about, the movement's wish names it. Raises ``NotPossible``, ``StoreFailed``."""
    match wish.asked.kind:
        case "grant" | "reward":
            return await _given(house, wish)
        case "writeoff":
            return _written_off(wish)
        case "writeoff-usage":
            return await _usage_written_off(house, wish)
        case "resolve":
            return await _resolved(house, wish)
        case "reverse":
            return await _reversed(house, wish)
        case "treasury":
            direction = wish.asked.detail
            return await _own(house, wish, TreasuryMoved("in" if direction == "in" else "out", wish.asked.amount))
        case "operations":
            return await _own(house, wish, OperationsPaid(wish.asked.amount))
        case "provider-bill":
            return await _billed(house, wish)
        case "refund" | "paid":
            raise AssertionError("that moves at a rail, by its cashier")


async def _given(house: Opened, wish: Wish) -> Movement:
    """How long it lasts is counted from now."""
    asked, reference = wish.asked, wish.reference
    expires_us = (await house.store.head()).mono + asked.days * DAY_US if asked.days else None
    if asked.kind == "reward":
        rewarded = RewardGranted(f"reward-{reference}", asked.amount, expires_us)
        done = f"A reward of {rc_text(Money(asked.amount))} is there (entry ENTRY)."
        return Movement(wish, (Draft(rewarded, wish.scope, f"credit.reward/{reference}"),), done)
    granted = CreditGranted(f"grant-{reference}", asked.amount, expires_us)
    done = f"{rc_text(Money(asked.amount))} of promotional credit are there (entry ENTRY)."
    return Movement(wish, (Draft(granted, wish.scope, f"credit.grant/{reference}"),), done)


def _written_off(wish: Wish) -> Movement:
    amount = rc_text(Money(wish.asked.amount))
    draft = Draft(DebtWrittenOff(wish.asked.amount), wish.scope, f"credit.writeoff/{wish.reference}")
    short = f"Less than {amount} is owed there. {NOTHING}"
    return Movement(wish, (draft,), f"{amount} of debt are written off (entry ENTRY).", short)


async def _usage_written_off(house: Opened, wish: Wish) -> Movement:
    amount, workspace = wish.asked.amount, wish.scope.workspace
    owed = owed_later(await house.store.balances_of(workspace))
    waits = await amount_under_way(house.store, workspace)
    if amount > owed.all - waits:
        more = f", and {rc_text(Money(waits))} of it wait for the meter's answer" if waits else ""
        raise NotPossible(
            f"{rc_text(Money(owed.all))} of usage is owed by the workspace {workspace}{more}: that is less than "
            f"{rc_text(Money(amount))}. {NOTHING}",
            Code.INSUFFICIENT_BALANCE,
        )
    told = min(amount, owed.told - waits)
    draft = Draft(DebtWrittenOff(0, told, amount - told), wish.scope, f"credit.writeoff/{wish.reference}")
    return Movement(
        wish,
        (draft,),
        f"{wish.reference}: {rc_text(Money(amount))} of usage are written off (entry ENTRY).",
        f"Meanwhile a meter was told of it, or it was paid: run this again. {NOTHING}",
        f"{wish.reference} is another write-off. {NOTHING}",
        EXIT_USAGE,
    )


async def _resolved(house: Opened, wish: Wish) -> Movement:
    payment, cashier = wish.payment, house.billing.cashier
    waiting = None if cashier is None else await cashier.paid_as(payment)
    action = None if waiting is None else waiting.entry.action
    if not isinstance(action, PaymentUnmatched):
        raise NotPossible(f"{payment} does not wait in suspense. {NOTHING}", Code.ENTITY_NOT_FOUND, EXIT_USAGE)
    if action.currency != RC:
        raise NotPossible(
            f"It came in {action.currency}, and credit is counted in US dollars: give it back where it came from.",
            Code.INVALID_CURRENCY,
        )
    taken = f"{payment} was resolved or given back before. {NOTHING}"
    key = resolved_key(action.rail, payment)
    if await house.store.find(key) is not None or await went_back(house.store, action.rail, payment):
        raise NotPossible(taken, Code.DUPLICATE_IDEMPOTENCY_KEY)
    draft = Draft(SuspenseResolved(action.rail, action.amount, action.currency, "paid"), wish.scope, key)
    wish = replace(wish, asked=replace(wish.asked, amount=action.amount, rail=action.rail))
    return Movement(wish, (draft,), f"{rc_text(Money(action.amount))} of credit are there (entry ENTRY).", taken=taken)


async def _reversed(house: Opened, wish: Wish) -> Movement:
    seq = int(wish.asked.detail)
    found = await entry_of(house.store, seq)
    entry = None if found is None else found.entry
    if entry is None or not isinstance(entry.action, REVERSIBLE) or not entry.postings:
        code = Code.ENTITY_NOT_FOUND if entry is None else Code.INVALID_ENTRY_TYPE
        raise NotPossible(NOT_REVERSIBLE.format(seq), code, EXIT_USAGE)
    taken = f"Entry {seq} was reversed before. {NOTHING}"
    if await house.store.find(f"reversal/{seq}") is not None:
        raise NotPossible(taken, Code.DUPLICATE_IDEMPOTENCY_KEY)
    scope = Scope(entry.workspace, entry.actor, ConversationId(""), TurnId(""))
    all_of_it = (entry, *await _of_bill(house, entry))
    true_up = sum(_moved(item) for item in all_of_it[1:] if isinstance(item.action, ProviderTruedUp))
    wish = replace(wish, scope=scope, asked=replace(wish.asked, amount=_moved(entry), true_up=true_up))
    # The bill first: what nobody knew of is owed again then, and can be taken back.
    drafts = tuple(Draft(CreditReversed(item.seq), scope, f"reversal/{item.seq}") for item in all_of_it)
    short = f"Some of it was spent: it cannot be taken back whole. {NOTHING}"
    return Movement(wish, drafts, f"Entry {seq} is reversed (entry ENTRY).", short, taken, main=0)


async def _of_bill(house: Opened, bill: Entry) -> list[Entry]:
    """What was recorded with a provider's bill goes with it: what nobody knew of, and what it did not ask for."""
    entries: list[Entry] = []
    reference = bill.idem.removeprefix(f"{ProviderBilled.name}/")
    for key in (late_key(reference), true_up_key(reference)) if isinstance(bill.action, ProviderBilled) else ():
        found = await house.store.find(key)
        if found is not None and await house.store.find(f"reversal/{found.entry.seq}") is None:
            entries.append(found.entry)
    return entries


def _moved(entry: Entry) -> int:
    return sum(posting.amount for posting in entry.postings if posting.amount > 0)


async def _billed(house: Opened, wish: Wish) -> Movement:
    """Known calls first, then what was estimated of those whose answer nobody has; what is more is the house's cost. The last
    bill of a period takes back what it does not ask for."""
    asked, provider = wish.asked, wish.asked.detail
    rows = await house.store.balances()
    known = _providers(rows)
    if provider not in known:
        raise NotPossible(
            f"{provider} has answered nothing here: known are {', '.join(known) or 'none'}. {NOTHING}",
            Code.ENTITY_NOT_FOUND,
            EXIT_USAGE,
        )
    owed = now = owed_to(provider, rows)
    if asked.until_s:
        owed = await owed_before(house.store, provider, asked.until_s * 1_000_000)
    parts = Parts.of(asked.amount, owed, closes=bool(asked.until_s))
    over, until = parts.over, day_text(asked.until_s)
    late = [LateCost(provider, parts.more, absorbed=True)] if parts.more else []
    trued_up = [ProviderTruedUp(provider, over.accrued, over.suspense)] if over.all else []
    bill = ProviderBilled(provider, parts.accrued + parts.more, parts.suspense)
    made = await _own(house, replace(wish, asked=replace(asked, true_up=over.all)), *late, *trued_up, bill)
    told = (
        f"{provider}: {rc_text(Money(parts.accrued))} of calls that are known, {rc_text(Money(parts.suspense))} of "
        f"estimates, {rc_text(Money(parts.more))} of which nothing was known."
    )
    if asked.until_s:
        told += (
            f" Less than was known before {until}: {rc_text(Money(over.accrued))} of calls and "
            f"{rc_text(Money(over.suspense))} of estimates, which are no cost."
        )
    left = (now.accrued - parts.accrued - over.accrued, now.suspense - parts.suspense - over.suspense)
    calls, estimates = (rc_text(Money(max(0, amount))) for amount in left)
    done = f"{made.done}\n{told} Still owed: {calls} of calls, {estimates} of estimates."
    short = f"Another bill was paid at the same time: run this again. {NOTHING}"
    return replace(made, done=done, short=short, told=told)


async def _own(house: Opened, wish: Wish, *actions: CreditAction) -> Movement:
    """The house's own money: all of it, or nothing, once under a reference."""
    taken = f"{wish.reference} was recorded before. {NOTHING}"
    if await house.store.find(f"{actions[-1].name}/{wish.reference}") is not None:
        raise NotPossible(taken, Code.DUPLICATE_IDEMPOTENCY_KEY, EXIT_USAGE)
    drafts = tuple(Draft(action, wish.scope, f"{action.name}/{wish.reference}") for action in actions)
    dollars = dollars_text(Amount(Cents(wish.asked.amount // URC_PER_RC)))
    return Movement(
        wish,
        drafts,
        f"{wish.reference}: {dollars} are recorded (entry ENTRY).",
        taken=taken,
        taken_status=EXIT_USAGE,
    )


def _providers(rows: Iterable[AccountRow]) -> list[str]:
    return sorted({row.account.split(":")[2] for row in rows if row.account.startswith("L:provider:")})
