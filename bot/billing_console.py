"""``carpool billing``: whether the payment service and the ledger agree, credit that the operator grants, and money that came by
another way. They print, and give an exit status."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.app import found_ledger, ledger_exists, open_billing, open_ledger
from bot.billing import Billing
from bot.commands.billing import read_dollars
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.settings import Settings
from integrations.payments.base import (
    Buyer,
    Cents,
    IntentId,
    ObjectRef,
    PaymentError,
    PaymentRefused,
    PaymentUnknown,
    urc,
)
from integrations.payments.reconcile import Difference, reconcile
from integrations.payments.roadchain_bridge import asked_key
from ledger.actions import CommandRun
from ledger.credit_actions import CreditGranted
from ledger.entry import Draft, Scope
from ledger.errors import InsufficientBalance, KeyReused, LedgerError
from ledger.money import Money, rc_text
from ledger.payment_actions import PaymentAsked
from ledger.pseudonyms import ConversationId, Pseudonyms, TurnId
from ledger.roadchain import RoadChain, clock_us
from ledger.store import Store

DAY_S = 86_400
OPERATOR = "operator"
BY_HAND = "inv-"
NOT_CONNECTED = "No payment service is connected: set STRIPE_API_KEY."

_WHAT = {
    "not_recorded": "the payment service moved money, and the ledger has no entry of it",
    "not_at_rail": "the ledger has an entry, and the payment service knows nothing of it",
    "other_balance": "the balance is another",
    "other_currency": "the balance in this currency is another",
    "not_zero": "the accounts do not sum to 0",
}


@dataclass(frozen=True, slots=True)
class _Opened:
    store: Store
    roadchain: RoadChain
    billing: Billing
    pseudonyms: Pseudonyms


async def reconcile_payments(settings: Settings, days: int) -> int:
    """0 where all agrees, 1 where something differs; what was missing and could be told from the rail is recorded."""
    if not await ledger_exists(settings):
        complain("There is no ledger yet.")
        return EXIT_USAGE
    async with _opened(settings) as opened:
        cashier = opened.billing.cashier
        if cashier is None:
            complain(NOT_CONNECTED)
            return EXIT_USAGE
        try:
            scan = await cashier.scan()
            done = await reconcile(cashier, opened.store, clock_us() // 1_000_000 - days * DAY_S)
        except PaymentError as error:
            complain(f"{error}. {error.remedy}")
            return EXIT_WRONG
    for transaction in done.found:
        say(f"recorded now: {transaction}, of which nothing had been told")
    for difference in done.differences:
        complain(_told(difference))
    say(
        f"{scan.events:,} events, {done.settlements:,} movements and {done.entries:,} entries of {days} days: "
        f"{len(done.found)} were missing, {len(done.differences)} differ."
    )
    return EXIT_WRONG if done.differences or scan.left else EXIT_OK


async def grant(settings: Settings, platform: str, workspace: str, amount: str, reason: str) -> int:
    """Promotional credit for a workspace. ``reason`` is kept beside the chain."""
    cents = read_dollars(amount)
    if cents is None:
        complain("The amount is in US dollars, from 1 to 1,000, such as 10 or 2.50. Nothing was changed.")
        return EXIT_USAGE
    async with _opened(settings) as opened:
        scope = _scope(opened.pseudonyms, platform, workspace)
        name = secrets.token_hex(8)
        said = f"grant {amount} {reason}".encode()
        granted = Draft(CreditGranted(f"grant-{name}", urc(cents)), scope, f"credit.grant/{name}")
        await opened.roadchain.append(Draft(CommandRun("billing"), scope, f"command.run/{name}", said), granted)
    say(f"{rc_text(urc(cents))} of promotional credit are there.")
    return EXIT_OK


async def ask_by_hand(settings: Settings, platform: str, workspace: str, amount: str) -> int:
    """What a workspace is to pay by bank transfer; prints the reference to pay it with."""
    cents = read_dollars(amount)
    if cents is None:
        complain("The amount is in US dollars, from 1 to 1,000, such as 10 or 2.50. Nothing was changed.")
        return EXIT_USAGE
    async with _opened(settings) as opened:
        scope = _scope(opened.pseudonyms, platform, workspace)
        buyer = Buyer(scope.workspace, scope.actor, IntentId(f"{BY_HAND}{secrets.token_hex(5)}"))
        await opened.roadchain.append(Draft(_asked(cents), scope, asked_key(buyer)))
    say(buyer.intent)
    return EXIT_OK


async def paid_by_hand(settings: Settings, reference: str) -> int:
    """The transfer has come: its credit is there afterwards, once however often this is said."""
    async with _opened(settings) as opened:
        by_hand = opened.billing.invoiced
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
        complain("The amount is in US dollars, from 1 to 1,000, such as 10 or 2.50. Nothing was changed.")
        return EXIT_USAGE
    async with _opened(settings) as opened:
        by_hand = payment.startswith(BY_HAND)
        cashier = opened.billing.invoiced if by_hand else opened.billing.cashier
        if cashier is None:
            complain(NOT_CONNECTED)
            return EXIT_USAGE
        scope = _scope(opened.pseudonyms, platform, workspace)
        intent = IntentId(reference or f"ref-{secrets.token_hex(5)}")
        said = f"refund {payment} {amount} {reason}".encode()
        await opened.roadchain.append(Draft(CommandRun("billing"), scope, f"command.run/{secrets.token_hex(8)}", said))
        try:
            made = await cashier.refund(scope, payment, cents, intent)
            if by_hand:  # whoever says so sends it
                await cashier.look_at(made)
        except PaymentUnknown:
            complain(f"{payment} is no top-up of this workspace. Nothing was changed.")
            return EXIT_USAGE
        except InsufficientBalance:
            complain(f"Less than {rc_text(urc(cents))} of what was bought is left. Nothing was changed.")
            return EXIT_WRONG
        except PaymentRefused as error:
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


def _scope(pseudonyms: Pseudonyms, platform: str, workspace: str) -> Scope:
    actor = pseudonyms.actor(platform, workspace, OPERATOR)
    return Scope(pseudonyms.workspace(platform, workspace), actor, ConversationId(""), TurnId(""))


def _told(difference: Difference) -> str:
    sides = ((difference.at_rail, "there"), (difference.in_ledger, "in the ledger"))
    amounts = ", ".join(f"{rc_text(Money(amount))} {where}" for amount, where in sides if amount is not None)
    return f"{difference.about}: {_WHAT[difference.kind]} ({amounts or 'no amount'})."


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Opened]:
    async with open_ledger(settings) as (store, keys), RoadChain(store) as roadchain:
        await found_ledger(roadchain, store, keys, settings.origin)
        async with open_billing(settings, store, roadchain, at_work=False) as billing:
            yield _Opened(store, roadchain, billing, Pseudonyms(keys.pseudonyms))
