"""``/billing``: what is there, what was spent, and how to pay. Its replies are for the asker alone, links most of all."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from bot.billing import Billing, Purse, days_before, purse_of
from bot.commands.amounts import DOLLARS_MAX, DOLLARS_MIN, code_of, dollars_text, in_code, read_dollars
from bot.commands.base import Asking, Command, Desk, Result, no_arguments
from bot.commands.forget import forget
from bot.commands.limit import channel_of, limit
from bot.commands.referral import referral
from bot.commands.refund import refund
from bot.commands.request import request
from bot.commands.statement import statement
from bot.commands.transfers import allocate, gift, reclaim
from bot.errors import referred
from bot.plan import Overage, RunningPlan, overage_of, running_plan
from bot.platforms.base import Button
from bot.sentences import Sentences
from integrations.payments.base import Amount, Cents, InvoiceShown, Link, PaymentError
from integrations.payments.cashier import Cashier
from integrations.payments.plans import Plan, Plans
from ledger.book import Counter
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import URC_PER_RC, Money, rc_text

DAYS_SHOWN = 14
BAR_CELLS = 24
INVOICES_SHOWN = 10
NOT_YOURS = "Only a billing admin of this workspace can do that: its owner names them with `/settings role PERSON billing_admin`."
NO_WAY_TO_PAY = "Nobody can pay here: whoever runs this CarPool has connected no payment service. Answers cost nothing."
BOUGHT, OF_PLAN, PROMOTIONAL = "{0} bought", "{0} of the plan", "{0} promotional"
BY_WORKSPACE, BY_YOU = "Spent by this workspace in the last {0} days (UTC):", "Spent by you in the last {0} days (UTC):"
FOR_YOU_ALONE = "The link is for you alone and closes by itself."
AND_THEN = "The credit is here as soon as it is paid."
STATEMENT = "`/billing statement` lists what your answers were charged."
INVOICE_STATES = {
    "draft": "draft",
    "open": "open",
    "paid": "paid",
    "uncollectible": "uncollectible",
    "void": "void",
}
"""Stripe's own words for where an invoice stands."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"


async def _billing(asking: Asking, desk: Desk) -> Result:
    name, _, rest = asking.arguments.partition(" ")
    what = _PARTS.get(name.casefold())
    if not name:
        return await _overview(asking, desk)
    if (own := _OWN.get(name.casefold()) or _OWNERS.get(name.casefold())) is not None:
        return await own(asking, desk, rest.strip())
    at_home = _AT_HOME.get(name.casefold())
    if what is None and at_home is None:
        return Result(desk.say("{0} is not known. {1}", in_code(f"/billing {name}"), _how(desk.billing, desk.say)))
    if not asking.rules.may(asking.role, "billing"):
        return Result(desk.say(NOT_YOURS), (CreditRefused(f"billing.{name.casefold()}", Code.UNAUTHORISED.value),))
    if at_home is not None:
        return await at_home(asking, desk, rest.strip())
    if what is None or desk.billing.cashier is None:
        return Result(desk.say(NO_WAY_TO_PAY))
    try:
        return await what(asking, desk, desk.billing.cashier, rest.strip())
    except PaymentError as error:
        return Result(referred(desk.say(error.remedy), asking.scope.turn, desk.say))


async def _overview(asking: Asking, desk: Desk) -> Result:
    """A member sees their own use; who may pay sees the workspace's."""
    billing, scope = desk.billing, asking.scope
    now_us = desk.clock()
    whole = asking.rules.may(asking.role, "billing")
    rows = await desk.store.balances_of(scope.workspace)
    purse = purse_of(rows, scope.workspace, scope.actor, now_us)
    days = days_before(now_us, DAYS_SHOWN)
    subject = str(scope.workspace if whole else scope.actor)
    spent = [await desk.store.spent(Counter(scope.workspace, subject, day)) for day in days]
    plan = await running_plan(desk.store, billing.plans, scope.workspace)
    balance = _balance(purse, desk.say) if whole else _set_aside(purse, desk.say)
    lines = [
        *_runs(plan, desk.say),
        *(
            _later(await overage_of(desk.store, billing.plans, scope.workspace, rows, now_us), desk.say)
            if whole
            else []
        ),
        *await _limits(asking, desk, days[-1], whole=whole),
    ]
    picture = ["```", *bars(dict(zip(days, spent, strict=True))), "```"] if any(spent) else [desk.say("Nothing yet.")]
    apart = [""] if balance and lines else []  # or the list above goes on with it
    text = [*balance, *apart, *lines, "", desk.say(BY_WORKSPACE if whole else BY_YOU, DAYS_SHOWN), "", *picture]
    buttons = (Button(desk.say("Top up $10"), "billing topup 10"),) if whole and billing.cashier is not None else ()
    return Result("\n".join([*text, "", _how(billing, desk.say)]).strip(), buttons=buttons)


def _balance(purse: Purse, say: Sentences) -> list[str]:
    lines = [say("**{0}** of credit can be spent (1 RC is a US cent).", rc_text(purse.spendable))]
    parts = ((BOUGHT, purse.bought), (OF_PLAN, purse.of_plan), (PROMOTIONAL, purse.promotional))
    lines += [f"- {say(name, rc_text(amount))}" for name, amount in parts if amount]
    lines += _set_aside(purse, say)
    if purse.others:
        lines.append(say("- besides, {0} is set aside for others", rc_text(purse.others)))
    if purse.held:
        lines.append(say("- besides, {0} is held for answers that are being made", rc_text(purse.held)))
    if purse.refunding:
        lines.append(say("- besides, {0} is held for a refund that is on its way", rc_text(purse.refunding)))
    if purse.frozen:
        lines.append(
            say(
                "- besides, {0} is frozen, since its payment is disputed at the bank: it is back if the dispute is won",
                rc_text(purse.frozen),
            )
        )
    if purse.owed:
        lines.append(
            say(
                "- {0} is owed: a payment was taken back after it was spent. The next top-up pays it.",
                rc_text(purse.owed),
            )
        )
    return lines


def _set_aside(purse: Purse, say: Sentences) -> list[str]:
    return [say("- {0} set aside for you", rc_text(purse.set_aside))] if purse.set_aside else []


def _runs(plan: RunningPlan | None, say: Sentences) -> list[str]:
    if plan is None:
        return []
    said = [say("The plan {0} runs.", plan.name)]
    if plan.until_s:
        said = [
            say("The plan {0} runs, paid until {1:%Y-%m-%d}.", plan.name, datetime.fromtimestamp(plan.until_s, UTC))
        ]
    if plan.models:
        said.append(say("Its models: {0}.", ", ".join(plan.models)))
    return [" ".join(said)]


def _later(later: Overage | None, say: Sentences) -> list[str]:
    """What is used beyond the credit, and what it will cost: whole cents go on an invoice, the rest on the next one."""
    if later is None:
        return []
    cost = Amount(Cents((later.used - later.held) // URC_PER_RC))
    said = say("{0} of {1} beyond the credit is used in this period.", rc_text(later.used), rc_text(later.most))
    return [f"{said} {say('It comes to {0}, on the next invoice of the plan.', dollars_text(cost))}"]


async def _limits(asking: Asking, desk: Desk, today: str, *, whole: bool) -> list[str]:
    """The asker's own, and the channel's and the workspace's for who may see them."""
    scope, channel, say = asking.scope, channel_of(asking, desk), desk.say
    caps, month, lines = asking.rules.caps(desk.billing.caps, channel), today[: len("2026-11")], list[str]()

    async def used(subject: str, period: str, cap: int) -> tuple[str, str]:
        spent = await desk.store.spent(Counter(scope.workspace, subject, period))
        return rc_text(Money(spent)), rc_text(Money(cap))

    if cap := caps.person_day:
        lines.append(say("{0} of your {1} for today is spent.", *await used(scope.actor, today, cap)))
    if cap := caps.person_month:
        lines.append(say("{0} of your {1} for this month is spent.", *await used(scope.actor, month, cap)))
    if whole and (cap := caps.channel_month):
        lines.append(say("{0} of this channel's {1} for this month is spent.", *await used(channel, month, cap)))
    if whole and (cap := caps.workspace_day):
        amounts = await used(scope.workspace, today, cap)
        lines.append(say("{0} of this workspace's {1} for today is spent.", *amounts))
    if whole and (cap := caps.workspace_month):
        amounts = await used(scope.workspace, month, cap)
        lines.append(say("{0} of this workspace's {1} for this month is spent.", *amounts))
    return lines


def bars(spent: Mapping[str, int]) -> list[str]:
    """A line for each day: its bar is as long as its share of the dearest one, to an eighth of a cell."""
    most = max(spent.values(), default=0)
    lines: list[str] = []
    for day, amount in spent.items():
        eighths = -(-amount * BAR_CELLS * 8 // most) if most else 0
        full, part = divmod(eighths, 8)
        bar = "█" * full + (_EIGHTHS[part] if part else "")
        lines.append(f"{day[5:]}  {bar:<{BAR_CELLS}}  {rc_text(Money(amount))}".rstrip())
    return lines


async def _topup(asking: Asking, desk: Desk, cashier: Cashier, rest: str) -> Result:
    cents = read_dollars(rest)
    if cents is None:
        return Result(
            desk.say(
                "`/billing topup DOLLARS`: from {0} to {1:,} US dollars, with two decimals at the most, such as "
                "`/billing topup 10`. Nothing was charged.",
                DOLLARS_MIN,
                DOLLARS_MAX,
            ),
            (CreditRefused("billing.topup", code_of(rest).value),),
        )
    link = await cashier.topup(asking.scope, cents)
    what = desk.say("Pay {0} for {1} of credit", dollars_text(Amount(cents)), rc_text(Money(cents * URC_PER_RC)))
    return Result(_to_pay(what, link, desk.say) + await _from_then_on(asking, desk))


async def _subscribe(asking: Asking, desk: Desk, cashier: Cashier, rest: str) -> Result:
    plan = _named(desk.billing.plans, rest)
    if plan is None:
        unknown = [desk.say("There is no plan {0}. Nothing was charged.", in_code(rest))] if rest else []
        refused = (CreditRefused("billing.subscribe", Code.ENTITY_NOT_FOUND.value),) if rest else ()
        return Result("\n".join([*unknown, *_offered(desk.billing.plans, desk.say)]), refused)
    price = dollars_text(Amount(Cents((plan.credit + plan.fee) // URC_PER_RC)))
    try:
        link = await cashier.subscribe(asking.scope, plan)
    except PaymentError as error:
        if getattr(error, "code", "") == "subscribed":
            return Result(desk.say("This workspace has a plan already: `/billing portal` changes or ends it."))
        raise
    what = desk.say("Subscribe to {0}: {1} a month for {2} of credit", plan.name, price, rc_text(plan.credit))
    return Result(_to_pay(what + _beyond(plan, desk.say), link, desk.say) + await _from_then_on(asking, desk))


def _named(plans: Plans, name: str) -> Plan | None:
    """As it is written, or else whatever its case, where that is one plan alone."""
    alike = [plan for plan in plans.all if plan.name.casefold() == name.casefold()]
    return plans.named(name) or (alike[0] if len(alike) == 1 else None)


def _offered(plans: Plans, say: Sentences) -> list[str]:
    if not plans.all:
        return [say("There are no plans here: `/billing topup 10` buys credit.")]
    listed = (
        say(
            "- `/billing subscribe {0}`: {1} of credit a month, for {2}",
            plan.name,
            rc_text(plan.credit),
            dollars_text(Amount(Cents((plan.credit + plan.fee) // URC_PER_RC))),
        )
        + _beyond(plan, say)
        for plan in plans.all
    )
    return [say("The plans:"), "", *listed]


def _beyond(plan: Plan, say: Sentences) -> str:
    """What whoever subscribes agrees to pay later."""
    if not plan.meter:
        return ""
    most = dollars_text(Amount(Cents(plan.overage // URC_PER_RC)))
    return say("; what is used beyond it is paid with the next invoice, up to {0} a month", most)


async def _portal(asking: Asking, desk: Desk, cashier: Cashier, rest: str) -> Result:
    if rest:
        return _of_this_workspace_only("portal", desk.say)
    return Result(
        _linked(desk.say("Cards, plan and receipts of this workspace"), await cashier.portal(asking.scope), desk.say)
    )


async def _invoices(asking: Asking, desk: Desk, cashier: Cashier, rest: str) -> Result:
    if rest:
        return _of_this_workspace_only("invoices", desk.say)
    shown = await cashier.invoices(asking.scope, INVOICES_SHOWN)
    if not shown:
        return Result(
            desk.say("There are no invoices yet. Receipts of top-ups come by e-mail, and stand in `/billing portal`.")
        )
    return Result("\n".join([desk.say("The latest invoices:"), "", *(_invoice(item, desk.say) for item in shown)]))


def _of_this_workspace_only(part: str, say: Sentences) -> Result:
    """Whatever is named behind it, a customer or an account, is not looked at."""
    return Result(
        say(
            "`/billing {0}` shows what is this workspace's own, and no other customer's. Say it with nothing "
            "behind it.",
            part,
        ),
        (CreditRefused(f"billing.{part}", Code.UNAUTHORISED.value),),
    )


def _invoice(item: InvoiceShown, say: Sentences) -> str:
    day = datetime.fromtimestamp(item.created_s, UTC)
    state = say(INVOICE_STATES[item.state]) if item.state in INVOICE_STATES else item.state
    said = f"{day:%Y-%m-%d}, {dollars_text(item.amount)}, {state}"
    return f"- [{item.number}]({item.url}): {said}" if item.url else f"- {item.number}: {said}"


def _linked(what: str, link: Link, say: Sentences) -> str:
    return f"[{what}]({link.url})\n\n{say(FOR_YOU_ALONE)}"


def _to_pay(what: str, link: Link, say: Sentences) -> str:
    return f"{_linked(what, link, say)} {say(AND_THEN)}"


async def _from_then_on(asking: Asking, desk: Desk) -> str:
    """What a workspace agrees to with its first purchase, where only who ever had credit pays for answers."""
    rows, scope = await desk.store.balances_of(asking.scope.workspace), asking.scope
    if desk.billing.charges != "funded" or purse_of(rows, scope.workspace, scope.actor, desk.clock()).funded:
        return ""
    said = desk.say(
        "So far answers cost nothing here. Once this is paid, everybody's answers in this workspace cost credit, but for those "
        "with a key of your own (`/keys`)."
    )
    return f"\n\n{said}"


def _how(billing: Billing, say: Sentences) -> str:
    if billing.cashier is None:
        return (
            say(NO_WAY_TO_PAY)
            if billing.charges == "none"
            else f"{say('Whoever runs this CarPool grants credit.')} {say(STATEMENT)}"
        )
    paying = say(
        "`/billing topup 10` buys credit, `/billing portal` and `/billing invoices` show what was paid, "
        "`/billing refund` asks for money back that was not spent."
    )
    plans = [say("`/billing subscribe` shows the plans.")] if billing.plans.all else []
    return " ".join((paying, *plans, say(STATEMENT)))


_PARTS: Mapping[str, Callable[[Asking, Desk, Cashier, str], Awaitable[Result]]] = {
    "topup": _topup,
    "subscribe": _subscribe,
    "portal": _portal,
    "invoices": _invoices,
    "refund": refund,
}

_OWN: Mapping[str, Callable[[Asking, Desk, str], Awaitable[Result]]] = {"statement": statement, "gift": gift}
"""What everybody may do with what is their own."""

_AT_HOME: Mapping[str, Callable[[Asking, Desk, str], Awaitable[Result]]] = {
    "allocate": allocate,
    "reclaim": reclaim,
    "referral": referral,
    "limit": limit,
    "request": request,
}

_OWNERS: Mapping[str, Callable[[Asking, Desk, str], Awaitable[Result]]] = {"forget": forget}
"""What looks itself who may: more is asked for than to be a billing admin."""
"""What billing admins do without a payment service."""

BILLING = Command(
    "billing",
    "billing [statement [MONTH] | gift PERSON RC | topup DOLLARS | subscribe [PLAN] | portal | invoices | "
    "refund [PAYMENT DOLLARS] | allocate PERSON RC | reclaim PERSON RC | referral [CODE] | "
    "limit [person | person-month | channel | workspace | workspace-day RC] | "
    "request grant | reward | writeoff DOLLARS REASON | forget]",
    "shows the credit and what was spent, and how to pay",
    _billing,
    no_arguments,
    private=True,
    home="Credit",
)
