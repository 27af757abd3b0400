"""What Lucidia's decision takes."""

import time
from pathlib import Path

from adapters.messages import Message, Text, say
from bot.lucidia.catalog import Catalog
from bot.lucidia.health import Health, ModelHealth
from bot.lucidia.needs import needs_of
from bot.lucidia.policy import Policy
from bot.lucidia.router import CANDIDATES_MAX, route
from tests.benchmarks.figures import Figure, median
from tests.house import card

MODELS = 20
ROUNDS = 5
DECISIONS = 5_000


async def lucidia(folder: Path) -> list[Figure]:
    catalog = Catalog.of([card(f"p{number}", number, tools=number % 2 == 0) for number in range(MODELS)])
    health = Health({f"p{number}/m": ModelHealth(20, 1, 0, 400_000) for number in range(MODELS)}, 1)
    messages = [say("system", "Be brief."), Message("user", (Text("What is it? " * 20),))]
    samples: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(DECISIONS):
            decision = route(needs_of(messages, 1_024, tools=True, past_tokens=900), catalog, "", Policy(), health)
        samples.append((time.perf_counter() - began) / DECISIONS)
        assert len(decision.candidates) == min(MODELS // 2, CANDIDATES_MAX)
    return [Figure(f"Lucidia's decision among {MODELS} models, needs and all", f"{median(samples) * 1e6:.0f} µs")]
