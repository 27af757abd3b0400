"""How each model does, read off its last calls as the ledger has them. Pure: the same entries give the same health.

A model whose calls fail one after the other is left aside for a while (its circuit is open). Then one call goes to it again,
the probe (half open): where that goes well it is as good as before, where it fails it is left aside for longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from adapters.messages import ProviderName
from bot.lucidia.catalog import ModelCard
from ledger.actions import Action, ModelAnswered, ModelCalled
from ledger.entry import Entry

CALLS_KEPT = 20
FAILURES_TO_OPEN = 3
PAUSE_S = 10
PAUSE_MAX_S = 600
PROBE_S = 60
"""A probe that has no answer after this long counts for none: its process may be gone."""
FORGET_S = 900
"""Failures that are longer ago than this count no more: a model that is not asked could not make them good."""
CALLS_UNDER_WAY_MAX = 1_000

REQUESTS_OWN = ("refused", "request_too_long", "filtered")
"""Errors that say something about the request and nothing about the model's health."""
NEEDS_HANDS = ("refused_key", "not_configured")
"""Errors that no second try mends."""

State: TypeAlias = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """``failed`` has a bit for each of the last calls, the newest lowest, set where it failed. Times are of the ledger."""

    calls: int = 0
    failed: int = 0
    failed_in_row: int = 0
    failed_us: int = 0
    first_event_us: int | None = None
    shut_until_us: int = 0
    error: str = ""
    probed_us: int | None = None

    @property
    def failures(self) -> int:
        return self.failed.bit_count()

    def state(self, now_us: int) -> State:
        if not self.shut_until_us:
            return "closed"
        probing = self.probed_us is not None and now_us < self.probed_us + PROBE_S * 1_000_000
        return "open" if now_us < self.shut_until_us or probing else "half_open"


UNKNOWN = ModelHealth()


@dataclass(frozen=True, slots=True)
class Health:
    """Of every model that was called lately, by label, at one moment, for whoever asks with the keys of ``owners``.

    A key that was brought has a health of its own: its rate limit, or its refusal, is nobody else's.
    """

    models: Mapping[str, ModelHealth] = field(default_factory=dict)
    now_us: int = 0
    owners: Mapping[ProviderName, str] = field(default_factory=dict)

    def of(self, card: ModelCard) -> ModelHealth:
        name = name_of(card.label, self.owners.get(card.provider, "")) if self.owners else card.label
        health = self.models.get(name, UNKNOWN)
        if health.failed and self.now_us > health.failed_us + FORGET_S * 1_000_000:
            return replace(health, failed=0)
        return health


def name_of(label: str, owner: str) -> str:
    """Under what a model's health is known: by itself with the house's key, and apart with each that was brought."""
    return f"{label} {owner}" if owner else label


def called(health: ModelHealth, at_us: int) -> ModelHealth:
    """A call has left. One that leaves after the pause is the probe."""
    return replace(health, probed_us=at_us) if health.shut_until_us and at_us >= health.shut_until_us else health


def answered(health: ModelHealth, action: ModelAnswered, at_us: int) -> ModelHealth:
    if action.outcome == "answered" or (action.outcome == "stopped" and action.first_event_us is not None):
        return replace(
            _counted(health, failed=0),
            failed_in_row=0,
            first_event_us=_smoothed(health.first_event_us, action.first_event_us),
            shut_until_us=0,
            error="",
        )
    if action.outcome == "stopped" or action.error in REQUESTS_OWN:
        return replace(health, probed_us=None)
    error = action.error or "timed_out"
    in_row = health.failed_in_row + 1
    pause_s = _pause_s(error, in_row, action.retry_after_s)
    shut_until_us = max(health.shut_until_us, at_us + pause_s * 1_000_000) if pause_s else health.shut_until_us
    return replace(
        _counted(health, failed=1), failed_in_row=in_row, failed_us=at_us, shut_until_us=shut_until_us, error=error
    )


def _counted(health: ModelHealth, failed: int) -> ModelHealth:
    bits = (health.failed << 1 | failed) & ((1 << CALLS_KEPT) - 1)
    return replace(health, calls=min(health.calls + 1, CALLS_KEPT), failed=bits, probed_us=None)


def _pause_s(error: str, in_row: int, retry_after_s: int | None) -> int:
    """How long the model is left aside, in seconds; 0: not at all yet."""
    if error == "rate_limited":
        return min(PAUSE_MAX_S, max(1, _backoff_s(in_row) if retry_after_s is None else retry_after_s))
    if error in NEEDS_HANDS:
        return _backoff_s(in_row)
    return _backoff_s(in_row - FAILURES_TO_OPEN + 1) if in_row >= FAILURES_TO_OPEN else 0


def _backoff_s(times: int) -> int:
    return min(PAUSE_MAX_S, PAUSE_S << min(times - 1, 10))


def _smoothed(before: int | None, now: int | None) -> int | None:
    if before is None or now is None:
        return before if now is None else now
    return (3 * before + now) // 4


class Fold:
    """The health of all models, entry after entry, in the order of the ledger."""

    def __init__(self) -> None:
        self.models: dict[str, ModelHealth] = {}
        self._under_way: dict[tuple[str, int], str] = {}

    def take(self, entry: Entry) -> None:
        action: Action = entry.action
        if isinstance(action, ModelCalled):
            name = name_of(f"{action.provider}/{action.model}", action.key)
            self.models[name] = called(self.models.get(name, UNKNOWN), entry.mono)
            self._under_way[entry.turn, action.attempt] = name
            if len(self._under_way) > CALLS_UNDER_WAY_MAX:  # the oldest: nobody will answer it any more
                del self._under_way[next(iter(self._under_way))]
        elif isinstance(action, ModelAnswered):
            asked = self._under_way.pop((entry.turn, action.attempt), None)
            if asked is not None:
                self.models[asked] = answered(self.models[asked], action, entry.mono)
