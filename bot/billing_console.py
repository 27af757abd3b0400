"""``carpool billing``: whether the payment service and the ledger agree, money that goes back, and money that came in another
way. They print, and give an exit status."""

import secrets
from datetime import UTC, datetime

from bot.commands.amounts import dollars_text, read_dollars
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.opening import ledger_exists
from bot.operating import NO_AMOUNT, Opened, opened
from bot.settings import Settings
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
from integrations.payments.cashier import Cashier, opened_key
from integrations.payments.metering import reconcile_meters
from integrations.payments.reconcile import Difference, reconcile
from integrations.payments.roadchain_bridge import asked_key, requested_key
from ledger.actions import CommandRun
from ledger.entry import Draft, Scope
from ledger.errors import InsufficientBalance, KeyReused, LedgerError
from ledger.money import URC_PER_RC, Money, rc_text
from ledger.payment_actions import PaymentAsked
from ledger.pseudonyms import ConversationId, TurnId
from ledger.roadchain import clock_us

DAY_S = 86_400
PAGE = 1000
BY_HAND = "inv-"
NOT_CONNECTED = "No payment service is connected: set STRIPE_API_KEY."

_WHAT = {
    "not_recorded": "the payment service moved money, and the ledger has no entry of it",
    "not_at_rail": "the ledger has an entry, and the payment service knows nothing of it",
    "other_balance": "the balance is another",
    "other_currency": "the balance in this currency is another",
    "not_zero": "the accounts do not sum to 0",
    "not_metered": "it is not known yet whether the meter took this: the next hour sends it again",
    "other_usage": "the meter counts another usage than it was told",
    "owed_by_deleted": "its customer was deleted at the payment service, and no invoice pays what was used:"
    " `carpool billing writeoff-usage` closes it",
}


async def reconcile_payments(settings: Settings, days: int) -> int:
    """0 where all agrees, 1 where something differs; what was missing and could be told from the rail is recorded."""
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
            differences = [*done.differences, *await _meters(cashier, house, since_s)]
        except PaymentError as error:
            complain(f"{error}. {error.remedy}")
            return EXIT_WRONG
    for transaction in done.found:
        say(f"recorded now: {transaction}, of which nothing had been told")
    for difference in differences:
        complain(_told(difference))
    say(
        f"{scan.events:,} events, {done.settlements:,} movements and {done.entries:,} entries of {days} days: "
        f"{len(done.found)} were missing, {len(differences)} differ."
    )
    return EXIT_WRONG if differences or scan.left else EXIT_OK


async def _meters(cashier: Cashier, house: Opened, since_s: int) -> tuple[Difference, ...]:
    if cashier.subscriptions is None:
        return ()
    return await reconcile_meters(cashier, cashier.subscriptions, house.store, since_s, clock_us() // 1_000_000)


async def ask_by_hand(settings: Settings, platform: str, workspace: str, amount: str) -> int:
    """What a workspace is to pay by bank transfer; prints the reference to pay it with."""
    cents = read_dollars(amount)
    if cents is None:
        complain(NO_AMOUNT)
        return EXIT_USAGE
    async with opened(settings) as house:
        scope = house.scope(platform, workspace)
        buyer = Buyer(scope.workspace, scope.actor, IntentId(f"{BY_HAND}{secrets.token_hex(5)}"))
        await house.roadchain.append(Draft(_asked(cents), scope, asked_key(buyer)))
    say(buyer.intent)
    return EXIT_OK


async def paid_by_hand(settings: Settings, reference: str) -> int:
    """The transfer has come: its credit is there afterwards, once however often this is said."""
    async with opened(settings) as house:
        by_hand = house.billing.invoiced
        if by_hand is None:
            raise AssertionError("money can always come by hand")
        try:
            outcome = await by_hand.look_at(ObjectRef("transfer", reference))
        except PaymentUnknown:
            complain(f"Nothing was asked for as {reference}. Nothing was changed.")
            return EXIT_USAGE
        except LedgerError as error:
            complain(str(error))
            return EXIT_WRONG
    say("The credit is there." if outcome == "recorded" else "It waits in suspense.")
    return EXIT_OK


async def refund(
    settings: Settings, platform: str, workspace: str, payment: str, amount: str, reason: str, reference: str
) -> int:
    """Money of a top-up goes back the way it came, from what was not spent. ``reference`` goes on with one that was begun."""
    cents = read_dollars(amount)
    if cents is None:
        complain(NO_AMOUNT)
        return EXIT_USAGE
    async with opened(settings) as house:
        cashier = house.billing.invoiced if payment.startswith(BY_HAND) else house.billing.cashier
        if cashier is None:
            complain(NOT_CONNECTED)
            return EXIT_USAGE
        scope = house.scope(platform, workspace)
        intent = IntentId(reference or f"ref-{secrets.token_hex(5)}")
        return await _send_back(house, cashier, scope, payment, cents, intent, f"refund {payment} {amount} {reason}")


async def approve(settings: Settings, reference: str, reason: str) -> int:
    """Send the refund that a billing admin asked for in chat, once."""
    async with opened(settings) as house:
        cashier = house.billing.cashier
        if cashier is None:
            complain(NOT_CONNECTED)
            return EXIT_USAGE
        found = await house.store.find(requested_key(reference))
        request = None if found is None else found.entry
        if request is None or not isinstance(request.action, PaymentAsked) or request.stripe is None:
            complain(
                f"No refund was asked for as {reference}: `carpool billing requests` lists them. Nothing was changed."
            )
            return EXIT_USAGE
        scope = Scope(request.workspace, request.actor, ConversationId(""), TurnId(""))
        cents = Cents(request.action.amount // URC_PER_RC)
        said = f"approve {reference} {reason}"
        return await _send_back(house, cashier, scope, request.stripe.id, cents, IntentId(reference), said)


async def requests(settings: Settings) -> int:
    """The refunds that were asked for in chat and not sent, the oldest first."""
    if not await ledger_exists(settings):
        complain("There is no ledger yet.")
        return EXIT_USAGE
    waiting = 0
    async with opened(settings) as house:
        after = -1
        while page := await house.store.entries(after, PAGE):
            for recorded in page:
                entry = recorded.entry
                if not isinstance(entry.action, PaymentAsked) or entry.action.kind != "refund_request":
                    continue
                reference = entry.idem.removeprefix(requested_key(""))
                if entry.stripe is None or await house.store.find(opened_key(reference)) is not None:
                    continue
                waiting += 1
                day = datetime.fromtimestamp(entry.mono // 1_000_000, UTC)
                amount = dollars_text(Amount(Cents(entry.action.amount // URC_PER_RC)))
                say(f"{reference}  {day:%Y-%m-%d}  {amount} of {entry.stripe.id}, for workspace {entry.workspace}")
            after = page[-1].entry.seq
    say(f"{waiting} to decide on: `carpool billing approve REFERENCE REASON` sends one.")
    return EXIT_OK


async def _send_back(
    house: Opened, cashier: Cashier, scope: Scope, payment: str, cents: Cents, intent: IntentId, said: str
) -> int:
    run = CommandRun("billing")
    await house.roadchain.append(Draft(run, scope, f"command.run/{secrets.token_hex(8)}", said.encode()))
    try:
        made = await cashier.refund(scope, payment, cents, intent)
        if cashier is house.billing.invoiced:  # whoever says so sends it
            await cashier.look_at(made)
    except PaymentUnknown:
        complain(f"{payment} is no top-up of this workspace. Nothing was changed.")
        return EXIT_USAGE
    except InsufficientBalance:
        complain(f"Less than {rc_text(urc(cents))} of what was bought is left. Nothing was changed.")
        return EXIT_WRONG
    except PaymentRefused as error:
        if error.code == "amount_too_large":
            left = f"Less than {dollars_text(Amount(cents))} is left of {payment}"
            complain(f"{left}: no money was sent, no credit taken.")
            return EXIT_WRONG
        complain(f"The payment service refuses it ({error.code or 'no code'}): no money was sent, no credit taken.")
        return EXIT_WRONG
    except KeyReused:
        complain(f"{intent} is another refund. Nothing was changed.")
        return EXIT_USAGE
    except PaymentError as error:
        complain(f"{error}. The credit is held until it is known: run this again with --reference {intent}.")
        return EXIT_WRONG
    say(f"{made.id}: {rc_text(urc(cents))} of credit goes back as money.")
    return EXIT_OK


def _asked(cents: Cents) -> PaymentAsked:
    return PaymentAsked("invoiced", "topup", urc(cents))


def _told(difference: Difference) -> str:
    sides = ((difference.at_rail, "there"), (difference.in_ledger, "in the ledger"))
    amounts = ", ".join(f"{rc_text(Money(amount))} {where}" for amount, where in sides if amount is not None)
    return f"{difference.about}: {_WHAT[difference.kind]} ({amounts or 'no amount'})."
