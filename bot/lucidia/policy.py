"""What a workspace wants of a choice among models."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from adapters.base import Effort
from adapters.messages import ProviderName
from bot.lucidia.catalog import ModelCard
from ledger.money import Money

Aim: TypeAlias = Literal["cheapest", "balanced", "best"]
EFFORTS: tuple[Effort, ...] = ("low", "medium", "high")
AIMS: tuple[Aim, ...] = ("cheapest", "balanced", "best")


@dataclass(frozen=True, slots=True)
class PlanModels:
    """What the plan of a workspace lets answer: ``models`` are patterns such as ``openai/*``. Those of ``own``, the providers for
    which somebody here brought a key, are not the plan's to limit."""

    plan: str
    models: tuple[str, ...]
    own: frozenset[ProviderName] = frozenset()

    def allows(self, card: ModelCard) -> bool:
        return card.provider in self.own or any(fnmatchcase(card.label, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Policy:
    """``cheapest``: the cheapest that is good enough for the question. ``best``: whatever it costs. ``balanced``: between.

    ``pinned`` (``provider/model``, or empty) goes first where it can serve. ``providers`` are those that may be asked, empty
    for all. ``budget`` is what an answer may cost at the most, by its estimate; None for any. ``effort`` is how much a
    model that thinks should think; None leaves that to the model. ``plan`` is what was subscribed to, as far as it names models.
    """

    aim: Aim = "balanced"
    pinned: str = ""
    providers: tuple[ProviderName, ...] = ()
    budget: Money | None = None
    effort: Effort | None = None
    plan: PlanModels | None = None
