"""What Lucidia's decision takes, and what it costs when the model chosen first refuses."""

import time
from dataclasses import replace
from pathlib import Path

from adapters.errors import Refused
from adapters.messages import Message, ProviderName, Text, say
from adapters.scripted import Raise, ScriptedAdapter, answer
from bot.lucidia.catalog import Catalog
from bot.lucidia.health import Health, ModelHealth
from bot.lucidia.needs import needs_of
from bot.lucidia.policy import Policy
from bot.lucidia.router import CANDIDATES_MAX, route
from tests.benchmarks.figures import Figure, median
from tests.house import ME, RecordingPlatform, asks, card, running_house

MODELS = 20
ROUNDS = 5
DECISIONS = 5_000
TURNS = 200


async def lucidia(folder: Path) -> list[Figure]:
    catalog = Catalog.of([card(f"p{number}", number, tools=number % 2 == 0) for number in range(MODELS)])
    health = Health({f"p{number}/m": ModelHealth(20, 1, 0, 400_000) for number in range(MODELS)}, 1)
    messages = [say("system", "Be brief."), Message("user", (Text("What is it? " * 20),))]
    samples: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()  # it waits for nothing: what else the machine does is no part of it
        for _ in range(DECISIONS):
            decision = route(needs_of(messages, 1_024, tools=True, past_tokens=900), catalog, "", Policy(), health)
        samples.append((time.process_time() - began) / DECISIONS)
        assert len(decision.candidates) == min(MODELS // 2, CANDIDATES_MAX)
    decision_us = f"{median(samples) * 1e6:.0f} µs"
    plain, failing = await _turns(folder / "plain", fails=False), await _turns(folder / "failing", fails=True)
    return [
        Figure(f"Lucidia's decision among {MODELS} models, needs and all, CPU", decision_us),
        Figure(
            "A turn whose first model refuses, answered by the next: added time, median",
            f"{(failing - plain) * 1e3:.1f} ms",
            f"{plain * 1e3:.1f} ms the same turn without",
            f"{failing / plain:.2f}",
        ),
    ]


async def _turns(folder: Path, *, fails: bool) -> float:
    """The median seconds of a turn, each in a conversation of its own, one after the other, on the real ledger."""
    folder.mkdir()
    refusing = ScriptedAdapter(ProviderName("a"), ((Raise(Refused("no")),),))  # says nothing of the model's health
    answering = ScriptedAdapter(ProviderName("b"), (answer("Yes."),))
    adapters = {"a": refusing, "b": answering} if fails else {"b": answering}
    took: list[float] = []
    cards = [card("a", 90), card("b", 10)] if fails else [card("b", 10)]
    async with running_house(folder, RecordingPlatform(), adapters, cards=cards) as open_:
        for number in range(TURNS):
            address = replace(ME, thread=str(number))
            began = time.perf_counter()
            await open_.ask(asks("hello", str(number), address))
            took.append(time.perf_counter() - began)
    assert len(refusing.requests) == (TURNS if fails else 0)
    return median(took)
