"""How fast Discord is called: so many requests a second of one bot, in all channels together (docs.discord.com, "Rate Limits").

What each channel takes the SDK reads from the headers; of the limit over all it learns only by being refused, and ten thousand
refusals in ten minutes shut the bot out.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

BURST = 4
"""So many requests may be made at once behind a pause."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a second. Discord takes 50; ``live`` are those that only show an answer as it comes, so that there is always
    room for one that is done."""

    all: float = 42.0
    live: float = 36.0


class Pace:
    """So many requests in any second. ``clock_s`` only goes forward."""

    def __init__(self, a_second: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._every_s = 1 / a_second
        self._clock_s = clock_s
        self._next_s = 0.0

    def take(self) -> float:
        """Take the next place, and say in how many seconds it is."""
        now_s = self._clock_s()
        at_s = max(self._next_s, now_s - BURST * self._every_s)
        self._next_s = at_s + self._every_s
        return max(0.0, at_s - now_s)
