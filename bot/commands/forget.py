"""``/billing forget``: the workspace's owner has its billing data deleted, after reading what goes, what stays, and what it ends.

The turn does it; here is found what is meant. The code that confirms it names what was there when it was read: where that has
changed since, it is asked again.
"""

import hashlib
from datetime import UTC, datetime

from bot.billing import Purse, purse_of
from bot.commands.base import Asking, Desk, Result
from bot.plan import RunningPlan, running_plan
from bot.platforms.base import Button
from bot.sentences import Sentences
from integrations.payments.keys import deletion_key
from ledger.accounts import RC, Account, period_of
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import Money, rc_text

KIND = "billing.forget"
OWNERS = "Only the owner of this workspace can do that. Nothing was deleted."
CODE_CHARACTERS = 8


async def forget(asking: Asking, desk: Desk, rest: str) -> Result:
    """Shows what would be done; with the code that stands there, has it done."""
    if not asking.rules.may(asking.role, "delete_billing"):
        return Result(desk.say(OWNERS), (CreditRefused(KIND, Code.UNAUTHORISED.value),))
    rows = await desk.store.balances_of(asking.scope.workspace)
    plan = await running_plan(desk.store, desk.billing.plans, asking.scope.workspace)
    customer, before = await _customers(asking, desk)
    beyond = sum(row.natural for row in rows if row.currency == RC and _is_later(row.account))
    if customer and beyond:
        return Result(_owed(Money(beyond), desk.say), (CreditRefused(KIND, Code.INSUFFICIENT_BALANCE.value),))
    code = _code(asking, customer, plan)
    # A press that was cut off, or comes twice, finds the customer gone that it was about.
    if rest and rest in (code, _code(asking, before, plan) if before and not customer else code):
        return Result("", forget=True)
    purse = purse_of(rows, asking.scope.workspace, asking.scope.actor, desk.clock())
    changed = [desk.say("That is not the code for what is here now. Nothing was deleted."), ""] if rest else []
    text = "\n".join([*changed, *_shown(purse, plan, bool(customer), desk.say), "", _how(code, desk.say)])
    return Result(text, buttons=(Button(desk.say("Delete the billing data"), f"billing forget {code}", "danger"),))


async def _customers(asking: Asking, desk: Desk) -> tuple[str, str]:
    """The one that stands, and the last one whose deletion was asked for here; each empty where there is none."""
    if desk.billing.cashier is None:
        return "", ""
    *gone, standing = await desk.billing.cashier.customers_of(asking.scope.workspace)
    last = gone[-1] if gone else ""
    wanted = await desk.store.find(deletion_key(last)) if last else None
    return standing, "" if wanted is None else last


def _is_later(account: Account) -> bool:
    return any(period_of(account, kind) for kind in ("overage", "metered"))


def _code(asking: Asking, customer: str, plan: RunningPlan | None) -> str:
    there = (asking.scope.workspace, asking.scope.actor, customer, "" if plan is None else plan.subscription)
    return hashlib.sha256("\n".join(there).encode()).hexdigest()[:CODE_CHARACTERS]


def _owed(beyond: Money, say: Sentences) -> str:
    return say(
        "{0} were used beyond the plan's credit and are not paid yet; the invoice for them would go with the customer. Nothing "
        "was deleted. Once that invoice is paid, or whoever runs this CarPool has written the amount off, say this again; "
        "`/billing portal` ends the plan with its period.",
        rc_text(beyond),
    )


def _shown(purse: Purse, plan: RunningPlan | None, customer: bool, say: Sentences) -> list[str]:
    lines = [say("**Delete the billing data of this workspace?** It cannot be undone."), "", say("What goes:"), ""]
    if customer:
        lines.append(
            say(
                "- at the payment service, what it knows of this workspace as a customer: e-mail address, cards and addresses, "
                "and with them each later payment by itself"
            )
        )
    lines.append(
        say("- here, the texts of `/billing`: what was typed, what was answered, statements and notices, of everybody")
    )
    if customer and plan is not None:
        lines += ["", say("What it ends:"), "", _ended(plan, say)]
    lines += ["", say("What stays:"), ""]
    lines.append(say("- {0} of credit, which can be spent as before", rc_text(purse.spendable)))
    if purse.owed:
        lines.append(say("- {0} that are owed: the next top-up pays them", rc_text(purse.owed)))
    lines.append(
        say(
            "- the entries of the ledger: amounts, times and pseudonyms, and no text. They are the book, from which nothing can "
            "be taken without it being seen"
        )
    )
    if customer:
        lines.append(
            say(
                "- payments, invoices and receipts at the payment service, with what was written on them: they are its own "
                "records, which it has to keep"
            )
        )
    lines.append(
        say(
            "- why credit was granted or written off, in the words of whoever runs this CarPool: vouchers of their book"
        )
    )
    lines.append(
        say("- limits, and who is a billing admin: those are settings (`/billing limit`, `/settings role PERSON none`)")
    )
    if customer:
        lines += [
            "",
            say("Money comes back by no deletion: ask for what was not spent before it, with `/billing refund`."),
        ]
    return lines


def _ended(plan: RunningPlan, say: Sentences) -> str:
    if not plan.until_s:
        return say("- the plan {0}, at once. Its price is not paid back by itself", plan.name)
    until = datetime.fromtimestamp(plan.until_s, UTC)
    return say(
        "- the plan {0}, at once. Its price is not paid back by itself, and its credit can be spent until {1:%Y-%m-%d}",
        plan.name,
        until,
    )


def _how(code: str, say: Sentences) -> str:
    return say("`/billing forget {0}` does it.", code)
