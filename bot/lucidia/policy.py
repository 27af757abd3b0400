"""What a workspace wants of a choice among models."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapters.base import Effort
from adapters.messages import ProviderName
from ledger.money import Money

Aim: TypeAlias = Literal["cheapest", "balanced", "best"]
EFFORTS: tuple[Effort, ...] = ("low", "medium", "high")
AIMS: tuple[Aim, ...] = ("cheapest", "balanced", "best")


@dataclass(frozen=True, slots=True)
class Policy:
    """``cheapest``: the cheapest that is good enough for the question. ``best``: whatever it costs. ``balanced``: between.

    ``pinned`` (``provider/model``, or empty) goes first where it can serve. ``providers`` are those that may be asked, empty
    for all. ``budget`` is what an answer may cost at the most, by its estimate; None for any. ``effort`` is how much a
    model that thinks should think; None leaves that to the model.
    """

    aim: Aim = "balanced"
    pinned: str = ""
    providers: tuple[ProviderName, ...] = ()
    budget: Money | None = None
    effort: Effort | None = None
