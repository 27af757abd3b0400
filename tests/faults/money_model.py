"""A book that is kept the simple way, to hold the real one against: one dict of balances, all of it tried on a copy.

Written from the chart of accounts and the table of entry kinds, and sharing no code with ``ledger.book`` or ``ledger.rules``.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger import credit_actions as kinds
from ledger.actions import LedgerCreated
from ledger.entry import Draft

Purse = tuple[str, str]


COMES_BACK = (
    kinds.CreditSettled,
    kinds.CreditVoided,
    kinds.CreditUnfrozen,
    kinds.RefundFailed,
    kinds.SuspenseResolved,
    kinds.CreditReversed,
)


class Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class ModelHold:
    workspace: str
    drawn: list[tuple[str, int]]
    expected: int
    counters: Sequence[tuple[str, str, str]]
    state: str = "open"
    charged: int = 0
    total: int = 0
    later: int = 0
    period: str = ""


@dataclass
class Model:
    """``balances`` with debits above 0. ``moves`` has, by its place in the chain, what each entry posted."""

    balances: dict[Purse, int] = field(default_factory=dict)
    lots: dict[str, int | None] = field(default_factory=dict)
    holds: dict[str, ModelHold] = field(default_factory=dict)
    moves: list[list[tuple[str, str, int]]] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    now_us: int = 0

    def record(self, group: Sequence[Draft], now_us: int) -> str | None:
        """The code with which the group is refused, or None where all of it stands."""
        holds = {name: copy.copy(hold) for name, hold in self.holds.items()}
        now_us = max(self.now_us, now_us)
        trial = Model(dict(self.balances), dict(self.lots), holds, list(self.moves), list(self.drafts), now_us)
        try:
            for draft in group:
                trial._record(draft)
        except Refused as refused:
            return refused.code
        self.__dict__.update(trial.__dict__)
        return None

    def worth(self, account: str, currency: str = "RC") -> int:
        """As its owner reads it: what is in a purse, or owed, is above 0."""
        balance = self.balances.get((account, currency), 0)
        return balance if account[0] in "AX" else -balance

    def spent(self, counter: tuple[str, str, str]) -> int:
        """Counted anew from the holds, each time."""
        total = 0
        for hold in self.holds.values():
            if counter in hold.counters:
                total += {"open": hold.expected, "settled": hold.charged}.get(hold.state, 0)
        return total

    def open_holds(self) -> list[tuple[str, str]]:
        return [(name, hold.workspace) for name, hold in self.holds.items() if hold.state in ("open", "reversed")]

    def held(self, workspace: str) -> int:
        """What the holds say is held: a hold whose settle was reversed holds again until it is voided."""
        return sum(
            hold.total - hold.later
            for hold in self.holds.values()
            if hold.workspace == workspace and hold.state in ("open", "reversed")
        )

    def _record(self, draft: Draft) -> None:
        posted: list[tuple[str, str, int]] = []
        self._posted = posted
        self._act(draft)
        if isinstance(draft.action, COMES_BACK):
            self._debt_first(draft.scope.workspace)
        for account, currency, amount in posted:
            self.balances[account, currency] = self.balances.get((account, currency), 0) + amount
        for account, currency, _ in posted:
            if ":ws:" in account and self.worth(account, currency) < 0:
                raise Refused("RC001")
        self.moves.append(posted)
        self.drafts.append(draft)

    def _move(self, debit: str, credit: str, amount: int, currency: str = "RC") -> None:
        if amount:
            self._posted.append((debit, currency, amount))
            self._posted.append((credit, currency, -amount))

    def _act(self, draft: Draft) -> None:
        w, action = draft.scope.workspace, draft.action
        paid, debt, frozen = f"L:ws:{w}:paid", f"A:ws:{w}:debt", f"L:ws:{w}:frozen"
        refund = f"L:ws:{w}:refund_hold"
        if any(
            isinstance(value := getattr(action, name, 0), int) and value < 0 for name in ("amount", "paid", "price")
        ):
            raise Refused("RC008")
        match action:
            case kinds.CreditTopup(rail=rail, paid=amount, tax=tax, discount=discount, lot=lot, expires_us=until):
                owed = min(amount, self.worth(debt))
                self._move(f"A:{rail}:clearing", debt, owed)
                self._move(f"A:{rail}:clearing", paid, amount - owed)
                self._move(f"A:{rail}:clearing", "L:tax", tax)
                if discount:
                    self._lot("X:promo", w, lot, discount, until)
            case kinds.CreditGranted(lot=lot, amount=amount, expires_us=until):
                self._lot("X:promo", w, lot, amount, until)
            case kinds.RewardGranted(lot=lot, amount=amount, expires_us=until):
                self._lot("X:rewards", w, lot, amount, until)
            case kinds.PlanGranted(rail=rail, credit=credit, deferred=deferred):
                self._move(f"A:{rail}:clearing", f"L:ws:{w}:plan", credit)
                self._move(f"A:{rail}:clearing", "L:deferred", deferred)
            case kinds.RevenueRecognised(amount=amount):
                self._move("L:deferred", "R:subscription", amount)
            case kinds.CreditExpired(pool=pool, most=most):
                account = f"L:ws:{w}:{pool}"
                left = self.worth(account) if most is None else min(most, self.worth(account))
                self._move(account, "X:promo" if pool.startswith("promo") else "R:breakage", left)
            case kinds.PlanReduced(rail=rail, credit=credit, deferred=deferred, tax=tax):
                of_plan = min(credit, self.worth(f"L:ws:{w}:plan"))
                bought = min(credit - of_plan, self.worth(paid))
                self._move(f"L:ws:{w}:plan", f"A:{rail}:clearing", of_plan)
                self._move(paid, f"A:{rail}:clearing", bought)
                self._move(debt, f"A:{rail}:clearing", credit - of_plan - bought)
                self._move("L:deferred", f"A:{rail}:clearing", deferred)
                self._move("L:tax", f"A:{rail}:clearing", tax)
            case kinds.CustomerBalanceMoved(rail=rail, direction=direction, amount=amount):
                balance, at_rail = f"L:balance:{rail}", f"A:{rail}:clearing"
                self._move(*((balance, at_rail) if direction == "used" else (at_rail, balance)), amount)
            case kinds.CreditAllocated(source=source, target=target, amount=amount):
                if source == target:
                    raise Refused("RC007")
                self._move(f"{paid}:{source}".rstrip(":"), f"{paid}:{target}".rstrip(":"), amount)
            case kinds.RefundHeld(amount=amount):
                self._move(paid, refund, amount)
            case kinds.RefundSent(rail=rail, amount=amount, tax=tax):
                self._parts(amount, tax, 0)
                self._move(refund, f"A:{rail}:clearing", amount - tax)
                self._move("L:tax", f"A:{rail}:clearing", tax)
            case kinds.RefundFailed(rail=rail, amount=amount, sent=0):
                self._move(f"A:{rail}:clearing", paid, amount)
            case kinds.RefundFailed(rail=rail, amount=amount, sent=sent, earned=earned):
                here = self.moves[sent] if sent < len(self.moves) else []
                if amount != -sum(moved for account, _, moved in here if account == f"A:{rail}:clearing"):
                    raise Refused("RC002")
                for account, currency, moved in here:
                    back = paid if account in (debt, refund) else account
                    back = "R:subscription" if back == "L:deferred" and earned else back
                    self._posted.append((back, currency, -moved))
            case kinds.RefundedOutside(rail=rail, amount=amount, tax=tax, fee=fee, earned=earned, plan=plan):
                amount = self._parts(amount, tax, fee)
                self._move("L:tax", f"A:{rail}:clearing", tax)
                self._move("R:subscription" if earned else "L:deferred", f"A:{rail}:clearing", fee)
                for purse in self._bought(w, plan):
                    amount -= self._take(purse, f"A:{rail}:clearing", amount)
                self._move(debt, f"A:{rail}:clearing", amount)
            case kinds.DisputeWithdrawn(rail=rail, amount=amount, fee=fee):
                self._move(f"A:{rail}:disputed", f"A:{rail}:clearing", amount)
                self._move("X:dispute", f"A:{rail}:clearing", fee)
            case kinds.CreditFrozen(amount=amount, plan=plan):
                for purse in self._bought(w, plan):
                    amount -= self._take(purse, frozen, amount)
            case kinds.CreditUnfrozen(amount=amount, freeze=0):
                self._move(frozen, paid, amount)
            case kinds.CreditUnfrozen(amount=amount, freeze=freeze):
                if amount != self._frozen_by(freeze, frozen):
                    raise Refused("RC002")
                for account, _, moved in self.moves[freeze] if amount else []:
                    if account != frozen:
                        self._move(frozen, account, moved)
            case kinds.DisputeWon(rail=rail, amount=amount):
                self._move(f"A:{rail}:clearing", f"A:{rail}:disputed", amount)
            case kinds.DisputeLost(rail=rail, amount=amount, owed=owed, freeze=freeze, tax=tax, fee=fee):
                amount = self._parts(amount, tax, fee)
                self._move("L:tax", f"A:{rail}:disputed", tax)
                self._move("R:subscription" if action.earned else "L:deferred", f"A:{rail}:disputed", fee)
                there = min(amount, self._frozen_by(freeze, frozen) if freeze else self.worth(frozen))
                self._move(frozen, f"A:{rail}:disputed", there)
                self._move(debt if owed else "X:baddebt", f"A:{rail}:disputed", amount - there)
            case kinds.DebtWrittenOff(amount=amount, told=told, used=used):
                self._move("X:baddebt", debt, amount)
                self._write_off(told, [(name, self.worth(name)) for name in self._owed(w, "metered")])
                self._write_off(
                    used, [(f"A:ws:{w}:overage:{p}", self._not_told(w, p)) for p in self._periods(w, "overage")]
                )
            case kinds.PaymentUnmatched(rail=rail, amount=amount, currency=currency):
                self._move(f"A:{rail}:clearing", f"L:suspense:{rail}", amount, currency)
            case kinds.SuspenseResolved(rail=rail, amount=amount, currency=currency, target=target):
                if target == "paid" and currency != "RC":
                    raise Refused("RC006")
                into = paid if target == "paid" else f"A:{rail}:clearing"
                self._move(f"L:suspense:{rail}", into, amount, currency)
            case kinds.OverageMetered(period=period, amount=amount):
                for other in self._periods(w, "overage"):
                    taken = max(0, min(amount, self._not_told(w, other)))
                    self._move(f"A:ws:{w}:metered:{period}", f"A:ws:{w}:overage:{other}", taken)
                    amount -= taken
                if amount:
                    raise Refused("RC001")
            case kinds.OveragePaid(rail=rail, amount=amount, discount=discount):
                due = [(name, self.worth(name)) for name in self._owed(w, "metered")]
                due += [
                    (f"A:ws:{w}:overage:{other}", self._not_told(w, other)) for other in self._periods(w, "overage")
                ]
                for name, there in [*due, (f"L:suspense:{rail}", amount + discount)]:
                    for source in (f"A:{rail}:clearing", "X:promo"):
                        left = amount if source != "X:promo" else discount
                        taken = max(0, min(left, there))
                        self._move(source, name, taken)
                        there -= taken
                        amount, discount = (
                            (amount - taken, discount) if source != "X:promo" else (amount, discount - taken)
                        )
            case kinds.CreditReserved() | kinds.CreditSettled() | kinds.CreditVoided():
                self._call(draft, action)
            case kinds.CreditReversed():
                self._reverse(w, action)
            case LedgerCreated():
                pass
            case _:
                raise AssertionError(f"the model does not know {action.name}")

    def _write_off(self, amount: int, owed: Sequence[tuple[str, int]]) -> None:
        for name, there in owed:
            taken = max(0, min(amount, there))
            self._move("X:baddebt", name, taken)
            amount -= taken
        if amount:
            raise Refused("RC001")

    def _debt_first(self, w: str) -> None:
        """What came back to what was bought pays what is owed: by as many movements as it came by."""
        debt, purses = f"A:ws:{w}:debt", self._bought(w, True)
        came = -sum(amount for account, currency, amount in self._posted if account in purses and currency == "RC")
        owed = self.worth(debt) + sum(amount for account, _, amount in self._posted if account == debt)
        left = min(owed, came)
        for account, currency, amount in list(self._posted):
            if account in purses and currency == "RC" and amount < 0 < left:
                self._move(account, debt, min(left, -amount))
                left -= min(left, -amount)

    def _bought(self, w: str, plan: bool = False) -> list[str]:
        common = f"L:ws:{w}:paid"
        return [
            *([f"L:ws:{w}:plan"] if plan else []),
            common,
            *sorted(account for account, _ in self.balances if account.startswith(f"{common}:")),
        ]

    def _parts(self, amount: int, tax: int, fee: int) -> int:
        """What of an amount is credit."""
        if tax + fee > amount:
            raise Refused("RC002")
        return amount - tax - fee

    def _take(self, source: str, target: str, most: int) -> int:
        taken = min(most, self.worth(source))
        self._move(source, target, taken)
        return taken

    def _frozen_by(self, entry: int, frozen: str) -> int:
        posted = self.moves[entry] if entry < len(self.moves) else []
        return max(0, -sum(amount for account, _, amount in posted if account == frozen))

    def _periods(self, w: str, kind: str) -> list[str]:
        return [account.rpartition(":")[2] for account in self._owed(w, kind)]

    def _owed(self, w: str, kind: str) -> list[str]:
        names = [account for account, _ in self.balances if account.startswith(f"A:ws:{w}:{kind}:")]
        return sorted(names, key=lambda name: int(name.rpartition(":")[2]))

    def _not_told(self, w: str, period: str) -> int:
        return self.worth(f"A:ws:{w}:overage:{period}") - self.worth(f"L:ws:{w}:overage_held:{period}")

    def _lot(self, expense: str, w: str, lot: str, amount: int, until: int | None) -> None:
        account = f"L:ws:{w}:promo:{lot}"
        self._move(expense, account, amount)
        if amount and (until is not None or account not in self.lots):
            self.lots[account] = until  # a later grant without an end does not take the first one's away

    def _pools(self, draft: Draft, agent: str) -> list[str]:
        w = draft.scope.workspace
        lots = [
            (until is None, until or 0, account)
            for account, until in self.lots.items()
            if account.startswith(f"L:ws:{w}:promo:") and (until is None or until > self.now_us)
        ]
        own = [f"L:ws:{w}:paid:user:{draft.scope.actor}"] + ([f"L:ws:{w}:paid:agent:{agent}"] if agent else [])
        return [account for *_, account in sorted(lots)] + [f"L:ws:{w}:plan", *own, f"L:ws:{w}:paid"]

    def _draw(self, pools: Sequence[str], amount: int) -> list[tuple[str, int]]:
        drawn: list[tuple[str, int]] = []
        for account in pools:
            taken = min(amount, self.worth(account))
            if taken > 0:
                drawn.append((account, taken))
                amount -= taken
        return drawn

    def _call(self, draft: Draft, action: kinds.CreditReserved | kinds.CreditSettled | kinds.CreditVoided) -> None:
        w = draft.scope.workspace
        held = f"L:ws:{w}:held"
        if isinstance(action, kinds.CreditReserved):
            if action.hold in self.holds:
                raise Refused("RC002")
            if self.worth(f"A:ws:{w}:debt") > 0 and action.amount:
                raise Refused("RC001")
            counters = [(str(w), limit.subject, limit.period) for limit in action.limits]
            for counter, limit in zip(counters, action.limits, strict=True):
                if self.spent(counter) + action.expected > limit.cap:
                    raise Refused("RC005")
            drawn = self._draw(self._pools(draft, action.agent), action.amount)
            later, period = action.amount - sum(amount for _, amount in drawn), action.overage_period
            for account, amount in drawn:
                self._move(account, held, amount)
            if later:
                beyond, told = f"A:ws:{w}:overage:{period}", f"A:ws:{w}:metered:{period}"
                if not period or self.worth(beyond) + self.worth(told) + later > action.overage_max:
                    raise Refused("RC001")
                self._move(beyond, f"L:ws:{w}:overage_held:{period}", later)
            self.holds[action.hold] = ModelHold(
                w, drawn, action.expected, counters, total=action.amount, later=later, period=period
            )
            return
        hold = self.holds.get(action.hold)
        if hold is None:
            raise Refused("RC003")
        if hold.workspace != w:
            raise Refused("RC010")
        if hold.state not in (("open", "reversed") if isinstance(action, kinds.CreditVoided) else ("open",)):
            raise Refused("RC002")
        if isinstance(action, kinds.CreditVoided):
            returned, hold.state = hold.total, "voided"
            self._move("X:absorbed", f"L:provider:{action.provider}:suspense", action.estimate)
        else:
            if action.counted and (hold.total or action.price or action.cost or action.absorbed):
                raise Refused("RC002")
            extra = self._draw(self._pools(draft, ""), max(0, action.price - hold.total))
            hold.charged = min(action.price, hold.total + sum(amount for _, amount in extra))
            for account, amount in extra:
                self._move(account, "R:usage", amount)
            of_credit = min(hold.total - hold.later, hold.charged)
            self._move(held, "R:usage", of_credit)
            self._move(f"L:ws:{w}:overage_held:{hold.period}", "R:usage", min(hold.later, hold.charged - of_credit))
            returned, hold.state = hold.total - min(hold.total, hold.charged), "settled"
            hold.charged += action.counted
            self._move(f"X:provider:{action.provider}", f"L:provider:{action.provider}:accrued", action.cost)
            for item in action.absorbed:
                self._move("X:absorbed", f"L:provider:{item.provider}:accrued", item.amount)
        not_used = min(hold.later, returned)
        self._move(f"L:ws:{w}:overage_held:{hold.period}", f"A:ws:{w}:overage:{hold.period}", not_used)
        returned -= not_used
        for account, amount in reversed(hold.drawn):
            back = min(amount, returned)
            self._move(held, account, back)
            returned -= back

    def _reverse(self, w: str, action: kinds.CreditReversed) -> None:
        posted = self.moves[action.entry] if action.entry < len(self.moves) else []
        if not posted:
            raise Refused("RC003")
        if any(":ws:" in account and account.split(":")[2] != w for account, _, _ in posted):
            raise Refused("RC010")
        hold = self.holds.get(action.hold)
        if action.hold and (hold is None or hold.workspace != w or hold.state != "settled"):
            raise Refused("RC003")
        freed = sum(amount for account, _, amount in posted if account.endswith(":held") or "_held:" in account)
        used = -sum(amount for account, _, amount in posted if account == "R:usage")
        if (freed, used) != ((hold.total, hold.charged) if hold else (0, 0)):
            raise Refused("RC002")  # of what moves what is held only a settle is reversed, and its hold is named
        stands = hold.charged - (hold.total - hold.later) if hold and hold.later else 0
        if hold and max(0, stands) > self._not_told(w, hold.period) and hold.later:
            raise Refused("RC001")
        if hold:
            hold.state, hold.charged = "reversed", 0
        self._posted += [(account, currency, -amount) for account, currency, amount in posted]
