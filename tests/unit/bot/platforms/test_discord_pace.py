"""How fast Discord is called, by a clock of the test."""

from dataclasses import dataclass

import pytest

from bot.platforms.discord_pace import BURST, Pace, Rates

TAKEN_A_SECOND = 50


@dataclass
class Clock:
    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("asked_every_s", [0.0, 0.001, 0.03])
def test_no_second_has_more_requests_than_discord_takes(asked_every_s: float) -> None:
    clock = Clock()
    pace = Pace(Rates().all, clock)
    made: list[float] = []
    for number in range(400):
        made.append(clock.now_s + pace.take())
        clock.now_s += 5.0 if number == 200 else asked_every_s
    assert made == sorted(made)
    for first, at_s in enumerate(made):
        assert len([later for later in made[first:] if later < at_s + 1.0]) <= TAKEN_A_SECOND


def test_who_asks_seldom_never_waits() -> None:
    clock = Clock()
    pace = Pace(10.0, clock)
    for _ in range(50):
        assert [pace.take() for _ in range(BURST)] == [0.0] * BURST
        clock.now_s += 1.0


def test_a_pace_without_an_end_lets_everything_through() -> None:
    pace = Pace(float("inf"), Clock())
    assert {pace.take() for _ in range(1_000)} == {0.0}
