"""The forty-four scenarios of money, by direct appends: the entries and the closing balances are those of ``scenarios.txt``.

What Stripe or a person does in a scenario is another room's; here stands what of it reaches the book.
"""

import asyncio
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

import pytest

from ledger.accounts import Account, natural
from ledger.credit_actions import (
    Absorbed,
    BankPayout,
    CreditAction,
    CreditExpired,
    CreditFrozen,
    CreditRefused,
    CreditReserved,
    CreditReversed,
    CreditSettled,
    CreditTopup,
    CreditUnfrozen,
    CreditVoided,
    DisputeLost,
    DisputeWithdrawn,
    DisputeWon,
    Limit,
    PaymentFee,
    PaymentUnmatched,
    PlanGranted,
    RefundedOutside,
    RefundFailed,
    RefundHeld,
    RefundSent,
    RevenueRecognised,
    RewardGranted,
)
from ledger.entry import Draft, Entry, Scope
from ledger.errors import InsufficientBalance, LedgerError, LimitReached
from ledger.money import URC_PER_RC
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Store

W = WorkspaceId("w-1")
SCOPE = Scope(W, ActorId("a-1"), ConversationId("c-1"), TurnId(""))
RAIL = "stripe"
DAY_US = 86_400_000_000
NOW_US = 100 * DAY_US
SCENARIOS = Path(__file__).with_name("scenarios.txt").read_text().splitlines()[1:]

Step: TypeAlias = tuple[str, CreditAction]
Refused: TypeAlias = type[LedgerError]
Amounts: TypeAlias = dict[str, int]
Rc: TypeAlias = int | str

NAMES = {
    "A:stripe:clearing": "STR",
    "A:stripe:disputed": "DISP",
    "A:bank": "BANK",
    "A:ws:w-1:debt": "DEBT",
    "L:ws:w-1:paid": "PAID",
    "L:ws:w-1:plan": "PLAN",
    "L:ws:w-1:held": "HELD",
    "L:ws:w-1:refund_hold": "RHOLD",
    "L:ws:w-1:frozen": "FROZEN",
    "L:provider:p:accrued": "PROV",
    "L:provider:p:suspense": "PROVSUS",
    "L:tax": "TAX",
    "L:deferred": "DEFER",
    "L:suspense:stripe": "SUSP",
    "R:usage": "RU",
    "R:subscription": "RS",
    "R:breakage": "RB",
    "X:fees:stripe": "FEE",
    "X:provider:p": "COGS",
    "X:absorbed": "ABS",
    "X:promo": "XPROMO",
    "X:dispute": "XDISP",
    "X:baddebt": "XBAD",
}
"""An account's name as the scenarios write it; promotional lots count as one, PROMO."""


def urc(rc: Rc) -> int:
    exact = Decimal(rc) * URC_PER_RC
    assert exact == int(exact)
    return int(exact)


def topup(amount: Rc = 1000, key: str = "stripe:pi:X:paid", tax: Rc = 0, discount: Rc = 0) -> Step:
    lot = "discount-X" if discount else ""
    return key, CreditTopup(RAIL, urc(amount), urc(tax), urc(discount), lot)


def reserve(n: int = 1, hold: Rc = 20, expected: Rc | None = None, *limits: Limit) -> Step:
    due = urc(hold if expected is None else expected)
    return f"call/{n}/reserve", CreditReserved(f"call-{n}", urc(hold), due, "p", "m", "", limits)


def settle(n: int = 1, price: Rc = "4.8", cost: Rc = 4, absorbed: Rc = 0) -> Step:
    lost = (Absorbed("p", urc(absorbed)),) if absorbed else ()
    return f"call/{n}/settle", CreditSettled(f"call-{n}", urc(price), "p", urc(cost), lost)


def void(n: int = 1, estimate: Rc = 0) -> Step:
    return f"call/{n}/void", CreditVoided(f"call-{n}", "p", urc(estimate))


def plan(credit: Rc, deferred: Rc) -> Step:
    return "stripe:in:X:paid", PlanGranted(RAIL, "pro", urc(credit), urc(deferred))


CAP = Limit("a-1", "2026-11-24", urc(10))
CALL = [reserve(), settle()]
DISPUTE: list[Step] = [
    ("stripe:dp:X:withdrawn", DisputeWithdrawn(RAIL, urc(1000), urc(1500))),
    ("stripe:dp:X:freeze", CreditFrozen(urc(1000))),
]

STEPS: dict[str, Sequence[Step | list[Step]]] = {
    "S01": [topup(), ("stripe:bt:X:fee", PaymentFee(RAIL, urc(59)))],
    "S02": [[topup()] * 5],
    "S03": [topup(), topup(), topup()],
    "S04": [topup()],
    "S05": [topup()],
    "S06": [[topup(), topup()]],
    "S07": [topup()],
    "S08": [],
    "S09": [],
    "S10": [[topup(), topup()]],
    "S11": [topup(tax=200)],
    "S12": [topup(900, discount=100)],
    "S13": [],
    "S14": [("stripe:pi:X:paid", PaymentUnmatched(RAIL, urc(100), "RC"))],
    "S15": CALL,
    "S16": [reserve(), void()],
    "S17": [reserve(), void()],
    "S18": [reserve(), void(estimate=4)],
    "S19": CALL,
    "S20": CALL,
    "S21": CALL,
    "S22": [[reserve(n) for n in range(50)]],
    "S23": [reserve(hold=5), settle(price="7.2", cost=6)],
    "S24": [reserve(), settle(price=3, cost="2.5")],
    "S25": [reserve(), reserve(), settle(), settle()],
    "S26": CALL,
    "S27": [],
    "S28": [reserve(), settle(absorbed=1)],
    "S29": [reserve(), settle(price="0.41499", cost="0.345825")],
    "S30": [reserve(1, 20, "4.8", CAP), settle(1), reserve(2, 20, "4.8", CAP), settle(2), reserve(3, 20, "4.8", CAP)],
    "S31": CALL,
    "S32": [reserve(), ("e1", CreditExpired("promo:opening")), void(), ("e2", CreditExpired("promo:opening"))],
    "S33": [plan(1500, 500)],
    "S34": [("r", RevenueRecognised(urc(500))), ("e", CreditExpired("plan")), plan(1500, 500), plan(1500, 500)],
    "S35": [plan(1500, 500)],
    "S36": [plan(1750, 250)],
    "S37": [("r", RevenueRecognised(urc(500))), ("e", CreditExpired("plan"))],
    "S38": [
        ("stripe:re:X:hold", RefundHeld(urc(700))),
        ("stripe:re:X:sent", RefundSent(RAIL, urc(700))),
        ("stripe:re:X:failed", RefundFailed(RAIL, urc(700))),
    ],
    "S39": [("stripe:re:X:sent", RefundedOutside(RAIL, urc(1000))), topup(500)],
    "S40": [*DISPUTE, ("stripe:dp:X:lost", DisputeLost(RAIL, urc(1000), False))],
    "S41": [*DISPUTE, ("won", DisputeWon(RAIL, urc(1000))), ("unfreeze", CreditUnfrozen(urc(700)))],
    "S42": [("denied", CreditRefused("credit.refund_hold", "RC010"))],
    "S43": [topup()],
    "S44": [],
}
REFUSED: dict[str, tuple[int, Refused]] = {"S22": (45, InsufficientBalance), "S30": (1, LimitReached)}
"""How many of the steps are refused, and as what."""


@pytest.mark.parametrize("line", SCENARIOS, ids=[line[:3] for line in SCENARIOS])
async def test_a_scenario_comes_to_its_entries_and_balances(store: Store, line: str) -> None:
    name, _, opening, entries, closing = line.split(" | ")
    refused = 0
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        for key, action in opened(amounts(opening)):
            await roadchain.append(Draft(action, SCOPE, key))
        begun = (await store.head()).size
        for step in STEPS[name]:
            together = step if isinstance(step, list) else [step]
            drafts = [Draft(action, SCOPE, key) for key, action in together]
            outcomes = await asyncio.gather(*(roadchain.append(draft) for draft in drafts), return_exceptions=True)
            errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            assert all(isinstance(error, REFUSED[name][1]) for error in errors)
            refused += len(errors)
    recorded = [item.entry for item in await store.entries(begun - 1, 100)]
    assert [told(entry) for entry in recorded if entry.postings] == expected(entries)
    assert refused == REFUSED.get(name, (0, LedgerError))[0]
    await check_balances(store, amounts(closing))


async def check_balances(store: Store, wanted: Amounts) -> None:
    rows = await store.balances()
    assert sum(row.balance for row in rows) == 0
    found: Amounts = {}
    for row in rows:
        short = short_name(row.account)
        found[short] = found.get(short, 0) + natural(row.account, row.balance)
    assert {short: found.get(short, 0) for short in wanted} == wanted
    await store.replay()
    assert await store.balances() == rows


def opened(balances: Amounts) -> list[Step]:
    """Entries that come to the opening balances without touching another account that a scenario names."""
    steps: list[Step] = []
    there, paid = balances.get("STR", 0), balances.get("PAID", 0)
    if there:
        steps.append(("o1", RefundFailed(RAIL, there)))
    if paid < there:
        steps += [("o2", RefundHeld(there - paid)), ("o3", RefundSent("opening", there - paid))]
    if paid > there:
        steps.append(("o4", CreditTopup("opening", paid - there)))
    if "PLAN" in balances or "DEFER" in balances:
        steps.append(("o5", PlanGranted("opening", "pro", balances.get("PLAN", 0), balances.get("DEFER", 0))))
    if "PROMO" in balances:
        steps.append(("o6", RewardGranted("opening", balances["PROMO"], NOW_US + DAY_US)))
    return steps


def told(entry: Entry) -> tuple[str, Amounts]:
    kind = entry.action.name.removeprefix("credit.").replace("payment_fee", "stripe_fee")
    return kind, {short_name(posting.account): posting.amount for posting in entry.postings}


def short_name(account: Account) -> str:
    return "PROMO" if ":promo:" in account else NAMES.get(account, account)


def amounts(text: str) -> Amounts:
    return {name: urc(amount) for name, amount in re.findall(r"([A-Z]+) (-?[\d.]+)", text)}


def expected(text: str) -> list[tuple[str, Amounts]]:
    """As the table writes them: ``kind ACCOUNT amount, ...; kind x5 ...``. Five alike draw a share each."""
    entries: list[tuple[str, Amounts]] = []
    for entry in text.split("; ") if text not in ("none", "-") else []:
        kind, times = entry.split()[0], re.match(r"\w+ x(\d+)", entry)
        count = int(times[1]) if times else 1
        share = {name: amount // count for name, amount in amounts(entry).items()}
        entries += [(kind, share)] * count
    return entries


async def test_an_answer_that_could_not_be_delivered_is_taken_back_whole_and_once(store: Store) -> None:
    async with RoadChain(store, clock=lambda: NOW_US) as roadchain:
        for key, action in [topup(), reserve(1, 20, "4.8", CAP), settle()]:
            receipts = await roadchain.append(Draft(action, SCOPE, key))
        seq = receipts[0].seq
        taken_back = Draft(CreditReversed(seq, "call-1"), SCOPE, f"reversal/{seq}")
        (first,) = await roadchain.append(taken_back)
        (again,) = await roadchain.append(taken_back)
        with pytest.raises(LedgerError, match="RC002"):
            await roadchain.append(Draft(CreditReversed(seq, "call-1"), SCOPE, "another key"))
        await roadchain.append(Draft(BankPayout(RAIL, urc(1)), SCOPE, "payout"))
    assert (first.fresh, again.fresh) == (True, False)
    await check_balances(store, {"PAID": urc(980), "HELD": urc(20), "RU": 0, "COGS": 0, "PROV": 0, "BANK": urc(1)})
