"""The identities that people talk to. There is one so far."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    instructions: str


CARPOOL = Agent(
    name="CarPool",
    instructions=(
        # Small models keep to the form that they were trained on: "a helpful AI assistant named".
        "You are a helpful AI assistant named CarPool. You answer briefly and plainly, and say so when you do not know."
    ),
)
