"""How fast Slack is called. Its limits are for each method and workspace (docs.slack.dev, "Rate limits")."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pace:
    """``begin_s``: an answer that is whole by then is posted as one. ``roll_s``: the age at which a stream is followed by
    the next at the end of a line or word, ``roll_hard_s`` wherever it is; Slack ends it at about 300."""

    begin_s: float = 0.2
    append_s: float = 0.6
    edit_s: float = 1.2
    starts_a_minute: int = 20
    appends_a_minute: int = 100
    edits_a_minute: int = 50
    patience_s: float = 3.0
    roll_s: float = 200.0
    roll_hard_s: float = 230.0


BURST_S = 20.0


class Meter:
    """So many calls in any minute: a quarter of them may come at once, the others spread over it."""

    def __init__(self, a_minute: int, clock_s: Callable[[], float]) -> None:
        self._every_s = 60 / (0.75 * a_minute)
        self._clock_s = clock_s
        self._next_s = 0.0

    @property
    def wait_s(self) -> float:
        """How long until there is room for a call."""
        return max(0.0, self._next_s - self._clock_s() - BURST_S)

    def take(self) -> None:
        """Room for one call: it is made now, or after ``wait_s``."""
        self._next_s = max(self._next_s, self._clock_s()) + self._every_s

    def hold(self, wait_s: float) -> None:
        """Slack asked to wait."""
        self._next_s = max(self._next_s, self._clock_s() + wait_s + BURST_S)


@dataclass(slots=True)
class Meters:
    """Of one workspace."""

    starts: Meter
    appends: Meter
    edits: Meter


@dataclass(slots=True)
class Paces:
    """The meters of each workspace."""

    pace: Pace = Pace()
    clock_s: Callable[[], float] = time.monotonic
    _meters: dict[str, Meters] = field(default_factory=dict)

    def of(self, workspace: str) -> Meters:
        if workspace not in self._meters:
            pace = self.pace
            a_minute = (pace.starts_a_minute, pace.appends_a_minute, pace.edits_a_minute)
            self._meters[workspace] = Meters(*(Meter(most, self.clock_s) for most in a_minute))
        return self._meters[workspace]
