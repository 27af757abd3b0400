"""Movements of money at random, sensible ones and not, over three workspaces. The random source is an argument."""

from collections.abc import Sequence
from random import Random

from ledger import credit_actions as kinds
from ledger.actions import LedgerCreated
from ledger.entry import HOUSE, Draft, Scope
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from tests.faults.money_model import Model

WORKSPACES = ("w1", "w2", "w3")
PEOPLE = ("ann", "bob")
POCKETS = ("", "user:ann", "user:bob", "agent:g")
LOTS = ("spring", "summer")
POOLS = ("plan", "paid", "promo:spring", "promo:summer")
RAIL = "stripe"
AMOUNTS = (0, 1, 3, 10, 25, 60)
LIMITS = (kinds.Limit("ann", "2026-11", 90), kinds.Limit("all", "2026-11", 150))
PLANS = ((False, False), (False, True), (True, True))
GENESIS = Draft(LedgerCreated("test", "00" * 16, "11" * 32), HOUSE, "ledger.created")


class Moves:
    """Makes drafts with fresh keys; remembers the holds it opened. The clock goes on, and sometimes back."""

    def __init__(self, random: Random, now_us: int = 1_000_000) -> None:
        self._random = random
        self._made = 0
        self.now_us = now_us
        self._holds: list[str] = []
        self._reversed: set[int] = set()

    def tick(self) -> int:
        self.now_us += self._random.choice((0, 1, 10, 40, -60))
        return self.now_us

    def group(self, model: Model) -> tuple[Draft, ...]:
        """One movement, or sometimes two that stand or fall together."""
        workspace = self._random.choice(WORKSPACES)
        return tuple(self._draft(workspace, model) for _ in range(self._random.choice((1, 1, 1, 2))))

    def batch(self, model: Model) -> list[tuple[Draft, ...]]:
        """Groups that are appended at once, and so come into one commit."""
        return [self.group(model) for _ in range(self._random.choice((1, 1, 2, 4)))]

    def recovery(self, open_holds: Sequence[tuple[str, str]]) -> list[tuple[Draft, ...]]:
        """What a start does with the calls that were under way: each hold is voided."""
        return [
            (Draft(kinds.CreditVoided(hold), scope(workspace, "ann"), f"recover/{hold}"),)
            for hold, workspace in open_holds
        ]

    def _draft(self, workspace: str, model: Model) -> Draft:
        choose = self._random.choice
        self._made += 1
        action = self._action(model)
        key = f"reversal/{action.entry}" if isinstance(action, kinds.CreditReversed) else f"move-{self._made}"
        return Draft(action, scope(workspace, choose(PEOPLE)), key)

    def _action(self, model: Model) -> kinds.CreditAction:
        kind = self._random.randrange(12)
        if kind < 3:
            return self._income()
        if kind < 8:
            return self._call()
        if kind < 9 and (left := [n for n in range(len(model.moves)) if n not in self._reversed][-8:]):
            return self._reversal(model, self._random.choice(left))
        return self._trouble(model)

    def _reversal(self, model: Model, entry: int) -> kinds.CreditAction:
        self._reversed.add(entry)
        settled = model.drafts[entry].action
        hold = settled.hold if isinstance(settled, kinds.CreditSettled) and self._random.randrange(5) else ""
        return kinds.CreditReversed(entry, hold)

    def _income(self) -> kinds.CreditAction:
        choose = self._random.choice
        amount, lot = choose(AMOUNTS), choose(LOTS)
        until = choose((None, self.now_us + 30, self.now_us + 100))
        match self._random.randrange(6):
            case 0 | 1:
                return kinds.CreditTopup(RAIL, amount, choose((0, 2)), choose((0, 5)), lot, until)
            case 2:
                return kinds.CreditGranted(lot, amount, until)
            case 3:
                return kinds.RewardGranted(lot, amount, until)
            case 4:
                return kinds.PlanGranted(RAIL, "pro", amount, 7)
            case _:
                return kinds.CreditAllocated(choose(POCKETS), choose(POCKETS), amount)

    def _call(self) -> kinds.CreditAction:
        choose = self._random.choice
        hold = choose([*self._holds[-6:], "nothing"])
        match self._random.randrange(6):
            case 0 | 1 | 2:
                hold = f"h-{self._made}" if self._random.randrange(8) else hold
                self._holds.append(hold)
                limits = LIMITS[: self._random.randrange(3)]
                later = choose((("", 0), ("", 0), ("1", 40), ("2", 40)))
                amounts = (choose(AMOUNTS), choose((1, 9)))
                return kinds.CreditReserved(hold, *amounts, "p", "m", choose(("", "g")), limits, "", *later)
            case 3 if not self._random.randrange(3):  # a key of the asker's own paid for it
                return kinds.CreditSettled(hold, choose((0, 0, 2)), "p", 0, (), choose((3, 40)))
            case 3 | 4:
                absorbed = (kinds.Absorbed(choose(("p", "q")), 2),)[: self._random.randrange(2)]
                return kinds.CreditSettled(hold, choose((0, 2, 8, 30, 70, -1)), "p", choose((0, 4)), absorbed)
            case _:
                return kinds.CreditVoided(hold, "p", choose((0, 3)))

    def _trouble(self, model: Model) -> kinds.CreditAction:
        choose = self._random.choice
        amount = choose(AMOUNTS)
        froze = [n for n, draft in enumerate(model.drafts) if isinstance(draft.action, kinds.CreditFrozen)]
        freeze = choose([0, *froze[-3:]])
        there = -sum(moved for name, _, moved in model.moves[freeze] if name.endswith(":frozen"))
        went = [n for n, draft in enumerate(model.drafts) if isinstance(draft.action, kinds.RefundedOutside)]
        sent = choose([0, *went[-3:]])
        refunded = -sum(moved for name, _, moved in model.moves[sent] if name.endswith(":clearing"))
        amounts = (amount, there if freeze and there >= 0 else amount)
        simple: Sequence[kinds.CreditAction] = (
            kinds.OverageMetered(RAIL, "overage", choose(("1", "2")), choose((amount, 3)), 0),
            kinds.OveragePaid(RAIL, choose((amount, 3)), choose((0, 2))),
            kinds.RefundHeld(amount),
            kinds.RefundSent(RAIL, amount, choose((0, 1))),
            kinds.RefundFailed(RAIL, amount),
            kinds.RefundFailed(RAIL, refunded, sent, choose((True, False))),
            kinds.RefundedOutside(RAIL, amount, choose((0, 0, 1)), choose((0, 2)), *choose(PLANS)),
            kinds.DisputeWithdrawn(RAIL, amount, 15),
            kinds.CreditFrozen(amount, choose((False, True))),
            kinds.CreditUnfrozen(choose(amounts), freeze),
            kinds.DisputeWon(RAIL, amount),
            kinds.DisputeLost(RAIL, amount, choose((True, False)), freeze, choose((0, 0, 1)), choose((0, 2))),
            kinds.DebtWrittenOff(amount),
            kinds.DebtWrittenOff(choose((0, 0, 3)), choose((0, 1, 3)), choose((0, 1, 3))),
            kinds.RevenueRecognised(amount),
            kinds.CreditExpired(choose(POOLS)),
            kinds.PaymentUnmatched(RAIL, amount, choose(("RC", "EUR"))),
            kinds.SuspenseResolved(RAIL, amount, choose(("RC", "EUR")), choose(("paid", "returned"))),
            kinds.PlanReduced(RAIL, amount, choose((0, 3)), choose((0, 1))),
            kinds.CustomerBalanceMoved(RAIL, choose(("used", "kept")), amount),
            kinds.CreditExpired(choose(POOLS), choose((0, 5, 1000))),
        )
        return choose(simple)


def scope(workspace: str, person: str) -> Scope:
    return Scope(WorkspaceId(workspace), ActorId(person), ConversationId(""), TurnId(""))
