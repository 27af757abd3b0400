"""What one operator alone does not decide on: whatever moves more money than a limit waits until another approves of it.

Nobody's name is checked: whoever sits at the console has the ledger in their hands. The names stand in the entries, with the
account of the operating system beside them, and two of them are needed: that keeps one person from a slip, and says afterwards
who agreed.
"""

import os
import pwd
from dataclasses import dataclass, replace
from typing import Literal

from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.movements import NOTHING, Movement, NotPossible, Wish, movement_of
from bot.operating import Opened
from integrations.payments.base import Cents
from integrations.payments.keys import requested_key
from ledger.accounts import is_part
from ledger.credit_actions import CreditRefused
from ledger.entry import Draft, Scope, StripeObject
from ledger.errors import Code, InsufficientBalance, KeyReused, LedgerError
from ledger.money import URC_PER_RC
from ledger.payment_actions import AdjustmentAsked, AdjustmentDecided

NO_NAME = (
    "More than ${0:,} is decided on by two operators: say who you are with --as NAME, of letters, digits, `-`, `_` and `.`. "
    "Nothing was changed."
)
CHANGED = (
    "{0} would do something else by now than what {1} asked for: decline it, and ask for it again. Nothing was changed."
)
ONE_ACCOUNT = "Both {0} and {1} sat at the account {2}: that they are two people stands on their word alone."


@dataclass(frozen=True, slots=True)
class Operator:
    """Who decides: ``name`` is what they said, or else their account's; ``said`` whether they did."""

    name: str
    account: str
    said: bool

    @property
    def has_name(self) -> bool:
        return is_part(self.name)


def operator_of(stated: str) -> Operator:
    account = account_name()
    return Operator(stated or account, account, bool(stated))


def account_name() -> str:
    """Of the operating system, as far as an entry may hold it; its number where it has no name."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    return name if is_part(name) else f"uid-{os.getuid()}"


def asked_key(reference: str) -> str:
    return f"adjustment.asked/{reference}"


def decided_key(reference: str) -> str:
    return f"adjustment.decided/{reference}"


def is_much(house: Opened, amount: int) -> bool:
    """Whether an amount in uRC is more than one operator decides on."""
    return bool(house.second_above_usd) and amount > house.second_above_usd * 100 * URC_PER_RC


async def decide(house: Opened, wish: Wish, said: str, stated: str) -> int:
    """Do what an operator asks for, or have a second one asked where it is much. Gives the exit status."""
    try:
        movement = await movement_of(house, wish)
    except NotPossible as why:
        return await turn_down(house, wish, why)
    if not is_much(house, movement.amount):
        return await carry_out(house, movement, said)
    asked = replace(movement.wish.asked, plan=movement.plan)
    status = await ask_second(house, replace(movement.wish, asked=asked), said, stated)
    if status == EXIT_OK and movement.told:
        say(movement.told)
    return status


async def preview(house: Opened, wish: Wish) -> int:
    """Only say what it would come to. Gives the exit status."""
    try:
        movement = await movement_of(house, wish)
    except NotPossible as why:
        return await turn_down(house, wish, why)
    say(f"{movement.told} {NOTHING}")
    return EXIT_OK


async def turn_down(house: Opened, wish: Wish, why: NotPossible) -> int:
    complain(why.sentence)
    await house.refuse(wish.asked.kind, why.code, wish.scope)
    return why.status


async def ask_second(house: Opened, wish: Wish, said: str, stated: str) -> int:
    """Put on record what is asked for; nothing moves. Gives the exit status."""
    operator, reference = operator_of(stated), wish.reference
    if not operator.has_name:
        complain(NO_NAME.format(house.second_above_usd))
        await house.refuse(wish.asked.kind, Code.UNAUTHORISED, wish.scope)
        return EXIT_USAGE
    if await _is_taken(house, wish):
        complain(f"{reference} was asked for before: `carpool billing requests` lists what waits. Nothing was changed.")
        await house.refuse(wish.asked.kind, Code.DUPLICATE_IDEMPOTENCY_KEY, wish.scope)
        return EXIT_USAGE
    asked = replace(wish.asked, operator=operator.name, account=operator.account)
    about = _object(asked, wish.payment)
    run = house.run(wish.scope, said)
    await house.roadchain.append(run, Draft(asked, wish.scope, asked_key(reference), stripe=about))
    say(
        f"{reference}: asked for by {operator.name}. It is more than ${house.second_above_usd:,}, so another operator has to say "
        f"`carpool billing approve {reference} REASON --as NAME`. Nothing was changed yet."
    )
    return EXIT_OK


async def _is_taken(house: Opened, wish: Wish) -> bool:
    """Whether an operator has asked for something under the reference, or, unless it is that refund, somebody in chat has."""
    if await house.store.find(asked_key(wish.reference)) is not None:
        return True
    refund = await house.store.find(requested_key(wish.reference))
    return refund is not None and wish.asked.kind != "refund"


def _object(asked: AdjustmentAsked, payment: str) -> StripeObject | None:
    if not payment:
        return None
    of_stripe = "invoice" if payment.startswith("in_") else "payment_intent"
    return StripeObject("transfer" if asked.rail == "invoiced" else of_stripe, payment)


async def carry_out(house: Opened, movement: Movement, said: str, *decision: Draft) -> int:
    """The reason, the ``decision`` and what follows from it, all or nothing. A refusal is on the ledger too."""
    scope = movement.wish.scope
    run = house.run(scope, said)
    try:
        receipts = await house.roadchain.append(run, *decision, *movement.drafts)
    except LedgerError as error:
        kind = movement.drafts[movement.main].action.name
        await house.roadchain.append(run, Draft(CreditRefused(kind, error.code.value), scope, f"{run.idem}/refused"))
        match error:
            case InsufficientBalance():
                complain(movement.short)
                return EXIT_WRONG
            case KeyReused():
                complain(movement.taken)
                return movement.taken_status
            case _:
                raise
    made = receipts[-len(movement.drafts) :][movement.main]
    say(movement.done.replace("ENTRY", str(made.seq)))
    return EXIT_OK


def decision_of(operator: Operator, scope: Scope, reference: str, decision: Literal["approved", "declined"]) -> Draft:
    return Draft(AdjustmentDecided(decision, operator.name, operator.account), scope, decided_key(reference))


async def is_another(house: Opened, wish: Wish, operator: Operator) -> bool:
    """Whether this is by name another operator than the first; where not, that is said, and on record. Who says no name is
    whoever their account says: another one only where that is another account."""
    first = wish.asked
    if not operator.has_name or not (operator.said or first.account not in ("", operator.account)):
        complain(NO_NAME.format(house.second_above_usd))
    elif operator.name.casefold() == first.operator.casefold():
        complain(
            f"{first.operator} was for it already: another operator has to approve of {wish.reference}. Nothing was changed."
        )
    else:
        return True
    await house.refuse("approve", Code.UNAUTHORISED, wish.scope)
    return False


def cents_of(amount: int) -> Cents:
    return Cents(amount // URC_PER_RC)
