"""Which plan of a workspace runs, and what it lets answer. The ledger says so; what a plan comes to, the operator's file."""

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.messages import ProviderName
from bot.lucidia.policy import PlanModels
from integrations.payments.keys import deletion_key
from integrations.payments.overdue import INVOICED_S, overdue
from integrations.payments.plans import Plans
from ledger.accounts import RC, metered, overage, overage_held
from ledger.book import AccountRow
from ledger.credit_actions import CreditExpired, PlanGranted
from ledger.money import URC_PER_RC, Money
from ledger.pseudonyms import WorkspaceId
from ledger.store import Recorded, Store


@dataclass(frozen=True, slots=True)
class RunningPlan:
    """``models`` are patterns such as ``openai/*``; empty for all, also where the plan is no longer on offer. ``until_s`` is the
    end of the period that is paid for, 0 where that is not known; ``subscription`` what it is paid for with."""

    name: str
    models: tuple[str, ...]
    until_s: int = 0
    subscription: str = ""


async def running_plan(store: Store, plans: Plans, workspace: WorkspaceId) -> RunningPlan | None:
    """The plan that was granted last, until its credit expires: that ends it, or comes before the next grant. Raises
    ``StoreFailed``."""
    granted = running_of(await store.planned(workspace))
    if granted is None:
        return None
    plan = plans.named(granted.plan)
    return RunningPlan(granted.plan, () if plan is None else plan.models, granted.until_s, granted.subscription)


def running_of(planned: Iterable[Recorded]) -> PlanGranted | None:
    """The grant of the plan that runs, from the last one on."""
    granted: PlanGranted | None = None
    for recorded in planned:
        match recorded.entry.action:
            case PlanGranted() as granted:
                pass
            case CreditExpired(pool="plan") if not _is_of_another(recorded, granted):
                granted = None
            case _:
                pass
    return granted


def _is_of_another(expired: Recorded, granted: PlanGranted | None) -> bool:
    """Whether an older subscription has ended: that the plan was granted before its end was recorded makes no difference."""
    about = expired.entry.stripe
    if granted is None or about is None or about.object != "subscription":
        return False
    return granted.subscription not in ("", about.id)


@dataclass(frozen=True, slots=True)
class Overage:
    """What may be used beyond the credit until ``period`` (the plan's end) and is paid later: ``used`` of ``most``, and of that
    ``held`` for answers that are being made."""

    period: str
    most: Money
    used: Money
    held: Money

    @property
    def left(self) -> Money:
        return Money(max(0, self.most - self.used))


async def overage_of(
    store: Store, plans: Plans, workspace: WorkspaceId, rows: Iterable[AccountRow], now_us: int
) -> Overage | None:
    """None where the plan that runs has no meter, where its period is over and the next one is not paid, where usage of an
    earlier period is owed that no invoice had, or where no invoice will come any more because the workspace's owner had its
    customer deleted. ``rows`` are the workspace's accounts. Raises ``StoreFailed``."""
    if not any(plan.meter for plan in plans.all):
        return None
    running = await running_plan(store, plans, workspace)
    plan = None if running is None else plans.named(running.name)
    if running is None or plan is None or not plan.meter or running.until_s * 1_000_000 <= now_us:
        return None
    if running.subscription and await store.find(deletion_key(running.subscription)) is not None:
        return None
    rows = tuple(rows)
    earlier = min(now_us // 1_000_000, running.until_s - 1 + INVOICED_S)
    if overdue((row for row in rows if row.currency == RC), earlier) >= URC_PER_RC:
        return None
    period, used, held = str(running.until_s), 0, 0
    for row in rows:
        if row.currency == RC:
            used += row.natural if row.account in (overage(workspace, period), metered(workspace, period)) else 0
            held += row.natural if row.account == overage_held(workspace, period) else 0
    return Overage(period, plan.overage, Money(used), Money(held))


async def models_of_plan(
    store: Store, plans: Plans, workspace: WorkspaceId, own: frozenset[ProviderName]
) -> PlanModels | None:
    """What limits the models of a workspace; None where nothing does. Reads only where a plan names any. Raises
    ``StoreFailed``."""
    if not any(plan.models for plan in plans.all):
        return None
    running = await running_plan(store, plans, workspace)
    return None if running is None or not running.models else PlanModels(running.name, running.models, own)
