"""What a workspace wants of a choice among models."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapters.messages import ProviderName
from ledger.money import Money

Aim: TypeAlias = Literal["cheapest", "balanced", "best"]
AIMS: tuple[Aim, ...] = ("cheapest", "balanced", "best")


@dataclass(frozen=True, slots=True)
class Policy:
    """``cheapest``: the cheapest that is good enough for the question. ``best``: whatever it costs. ``balanced``: between.

    ``pinned`` (``provider/model``, or empty) goes first where it can serve. ``providers`` are those that may be asked, empty
    for all. ``budget`` is what an answer may cost at the most, by its estimate; None for any.
    """

    aim: Aim = "balanced"
    pinned: str = ""
    providers: tuple[ProviderName, ...] = ()
    budget: Money | None = None
