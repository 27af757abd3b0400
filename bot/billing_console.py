"""``carpool billing``: whether the payment service and the ledger agree, money that goes back, and money that came in another
way. They print, and give an exit status."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.commands.amounts import code_of, dollars_text, read_dollars, read_whole
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.movements import Wish
from bot.opening import ledger_exists
from bot.operating import NO_AMOUNT, Opened, opened, turned_away
from bot.second_console import ask_second, is_much
from bot.settings import Settings
from integrations.payments.balances import CustomersCompared, reconcile_customers
from integrations.payments.base import (
    Amount,
    Buyer,
    Cents,
    IntentId,
    ObjectRef,
    PaymentError,
    PaymentRefused,
    PaymentUnknown,
    urc,
)
from integrations.payments.cashier import Cashier
from integrations.payments.keys import THE_HOUSE, asked_key
from integrations.payments.metering import reconcile_meters
from integrations.payments.reconcile import Difference, on_record, reconcile
from ledger.entry import Draft, Scope
from ledger.errors import Code, InsufficientBalance, LedgerError
from ledger.money import Money, rc_text
from ledger.payment_actions import AdjustmentAsked, PaymentAsked
from ledger.roadchain import clock_us

DAY_S = 86_400
RECONCILED_DAYS_MAX = 365
BY_HAND = "inv-"
BANK = "invoiced"
"""The rail of what comes by hand."""

NOT_CONNECTED = "No payment service is connected: set STRIPE_API_KEY."

_WHAT = {
    "not_recorded": "the payment service moved money, and the ledger has no entry of it",
    "not_at_rail": "the ledger has an entry, and the payment service knows nothing of it",
    "other_balance": "the balance is another",
    "other_currency": "the balance in this currency is another",
    "customer_balance": "what this customer has at the payment service for later invoices is another than the ledger says:"
    " who changed it there?",
    "not_zero": "the accounts do not sum to 0",
    "not_metered": "it is not known yet whether the meter took this: the next hour sends it again",
    "set_aside": "it could not be recorded, and each scan tries it again",
    "other_usage": "the meter counts another usage than it was told",
    "owed_without_invoice": "no invoice had what was used in a plan's period: nothing more is used beyond a plan's credit until"
    " `carpool billing writeoff-usage` closes it",
    "owed_by_deleted": "its customer was deleted at the payment service, and no invoice pays what was used:"
    " `carpool billing writeoff-usage` closes it",
}


async def reconcile_payments(settings: Settings, days_text: str) -> int:
    """0 where all agrees, 1 where something differs; what was missing and could be told from the rail is recorded."""
    days = read_whole(days_text, 1, RECONCILED_DAYS_MAX)
    if days is None:
        complain(f"--days is a whole number from 1 to {RECONCILED_DAYS_MAX}.")
        return EXIT_USAGE
    if not await ledger_exists(settings):
        complain("There is no ledger yet.")
        return EXIT_USAGE
    async with opened(settings) as house:
        cashier = house.billing.cashier
        if cashier is None:
            complain(NOT_CONNECTED)
            return EXIT_USAGE
        try:
            scan = await cashier.scan()
            since_s = clock_us() // 1_000_000 - days * DAY_S
            done = await reconcile(cashier, house.store, since_s)
            of_customers = await _customers(cashier, house)
            differences = [*done.differences, *of_customers.differences, *await _meters(cashier, house, since_s)]
            told = [_told(difference, *await on_record(cashier, difference)) for difference in differences]
        except PaymentError as error:
            complain(f"{error}. {error.remedy}")
            return EXIT_WRONG
    found = (*done.found, *of_customers.found)
    for transaction in found:
        say(f"recorded now: {transaction}, of which nothing had been told")
    for sentence in told:
        complain(sentence)
    say(
        f"{scan.events:,} events, {done.settlements:,} movements and {done.entries:,} entries of {days} days: "
        f"{len(found)} were missing, {len(differences)} differ."
    )
    return EXIT_WRONG if differences or scan.left else EXIT_OK


async def _customers(cashier: Cashier, house: Opened) -> CustomersCompared:
    if cashier.subscriptions is None:
        return CustomersCompared()
    return await reconcile_customers(cashier, cashier.subscriptions, house.store)


async def _meters(cashier: Cashier, house: Opened, since_s: int) -> tuple[Difference, ...]:
    if cashier.subscriptions is None:
        return ()
    return await reconcile_meters(cashier, cashier.subscriptions, house.store, since_s, clock_us() // 1_000_000)


async def ask_by_hand(settings: Settings, platform: str, workspace: str, amount: str, *, new: bool = False) -> int:
    """What a workspace is to pay by bank transfer; prints the reference to pay it with. ``new``: one that the ledger knows
    nothing of."""
    cents = read_dollars(amount)
    if cents is None:
        return await turned_away(settings, "invoice", code_of(amount), NO_AMOUNT, platform, workspace)
    async with opened(settings) as house:
        if not new and await house.refuse_strange("invoice", platform, workspace, may_be_new=True):
            return EXIT_USAGE
        scope = house.scope(platform, workspace)
        buyer = Buyer(scope.workspace, scope.actor, IntentId(f"{BY_HAND}{secrets.token_hex(5)}"))
        await house.roadchain.append(Draft(_asked(cents), scope, asked_key(buyer)))
    say(buyer.intent)
    return EXIT_OK


async def paid_by_hand(settings: Settings, reference: str, operator: str = "") -> int:
    """The transfer has come: its credit is there afterwards, once however often this is said. More than ``operator`` decides on
    alone waits for another one."""
    async with opened(settings) as house:
        transfer = await house.store.find(f"payment.asked/{reference}")
        asked = None if transfer is None else transfer.entry.action
        if transfer is not None and isinstance(asked, PaymentAsked) and asked.rail == BANK and asked.kind == "topup":
            entry = transfer.entry
            scope = Scope(entry.workspace, entry.actor, THE_HOUSE.conversation, THE_HOUSE.turn)
            if is_much(house, asked.amount) and not await came_by_hand(house, reference):
                wish = AdjustmentAsked("paid", asked.amount, "", rail=BANK)
                return await ask_second(house, Wish(wish, scope, reference, reference), f"paid {reference}", operator)
        return await take_by_hand(house, reference)


async def came_by_hand(house: Opened, reference: str) -> bool:
    """Whether it is on the book that a transfer has come."""
    return await _by_hand(house).bridge.stands(ObjectRef("transfer", reference), "paid") is not None


async def take_by_hand(house: Opened, reference: str) -> int:
    """Record that it has come. Gives the exit status."""
    try:
        outcome = await _by_hand(house).look_at(ObjectRef("transfer", reference))
    except PaymentUnknown:
        complain(f"Nothing was asked for as {reference}. Nothing was changed.")
        await house.refuse("paid", Code.ENTITY_NOT_FOUND)
        return EXIT_USAGE
    except LedgerError as error:
        complain(str(error))
        await house.refuse("paid", error.code)
        return EXIT_WRONG
    say("The credit is there." if outcome == "recorded" else "It waits in suspense.")
    return EXIT_OK


def _by_hand(house: Opened) -> Cashier:
    if house.billing.invoiced is None:
        raise AssertionError("money can always come by hand")
    return house.billing.invoiced


async def refund(
    settings: Settings,
    platform: str,
    workspace: str,
    payment: str,
    amount: str,
    reason: str,
    reference: str,
    operator: str = "",
) -> int:
    """Money of a top-up goes back the way it came, from what was not spent. ``reference`` goes on with one that was begun. More
    than ``operator`` decides on alone waits for another one."""
    cents = read_dollars(amount)
    if cents is None:
        return await turned_away(settings, "refund", code_of(amount), NO_AMOUNT, platform, workspace)
    async with opened(settings) as house:
        if await house.refuse_strange("refund", platform, workspace):
            return EXIT_USAGE
        cashier = house.billing.invoiced if payment.startswith(BY_HAND) else house.billing.cashier
        if cashier is None:
            complain(NOT_CONNECTED)
            return EXIT_USAGE
        scope = house.scope(platform, workspace)
        intent = IntentId(reference or f"ref-{secrets.token_hex(5)}")
        said = f"refund {payment} {amount} {reason}"
        if is_much(house, urc(cents)):
            asked = AdjustmentAsked("refund", urc(cents), "", rail=cashier.rail)
            return await ask_second(house, Wish(asked, scope, intent, payment), said, operator)
        return await send_back(house, Sending(cashier, scope, payment, cents, intent, "refund"), said)


@dataclass(frozen=True, slots=True)
class Sending:
    """A refund that is to be sent. ``what`` is the command that says so."""

    cashier: Cashier
    scope: Scope
    payment: str
    cents: Cents
    intent: IntentId
    what: str


async def send_back(house: Opened, sending: Sending, said: str) -> int:
    """What is refused is on record, and why."""
    cashier, payment, cents = sending.cashier, sending.payment, sending.cents
    credit = rc_text(await cashier.credit_in(sending.scope.workspace, payment, cents))
    await house.roadchain.append(house.run(sending.scope, said))
    try:
        made = await cashier.refund(sending.scope, payment, cents, sending.intent)
        if cashier is house.billing.invoiced:  # whoever says so sends it
            await cashier.look_at(made)
    except PaymentUnknown:
        sentence = f"{payment} is no top-up of this workspace. Nothing was changed."
        code, status = Code.ENTITY_NOT_FOUND, EXIT_USAGE
    except InsufficientBalance as error:
        sentence = f"Less than {credit} of what was bought is left. Nothing was changed."
        code, status = error.code, EXIT_WRONG
    except PaymentRefused as error:
        if error.code == "amount_too_large":
            left = f"Less than {dollars_text(Amount(cents))} is left of {payment}"
            sentence = f"{left}: no money was sent, no credit taken."
            code = Code.INSUFFICIENT_BALANCE
        else:
            why = error.code or "no code"
            sentence = f"The payment service refuses it ({why}): no money was sent, no credit taken."
            code = Code.INVALID_ENTRY_TYPE
        status = EXIT_WRONG
    except LedgerError as error:  # another request has this reference, or it is none
        sentence = f"{sending.intent} is another refund. Nothing was changed."
        code, status = error.code, EXIT_USAGE
    except PaymentError as error:
        complain(
            f"{error}. The credit is held until it is known: run this again with --reference {sending.intent}."
            if sending.what == "refund"
            else f"{error}. The credit is held until it is known: run this again."
        )
        return EXIT_WRONG
    else:
        say(f"{made.id}: {credit} of credit goes back as money.")
        return EXIT_OK
    complain(sentence)
    await house.refuse(sending.what, code, sending.scope)
    return status


def _asked(cents: Cents) -> PaymentAsked:
    return PaymentAsked(BANK, "topup", urc(cents))


def _told(difference: Difference, ticket: str, since_s: int) -> str:
    sides = ((difference.at_rail, "there"), (difference.in_ledger, "in the ledger"))
    amounts = ", ".join(f"{rc_text(Money(amount))} {where}" for amount, where in sides if amount is not None)
    seen = f"{ticket}, first seen {datetime.fromtimestamp(since_s, UTC):%Y-%m-%d}" if since_s else ticket
    return f"{difference.about}: {_WHAT[difference.kind]} ({amounts or 'no amount'}). Ticket {seen}."
