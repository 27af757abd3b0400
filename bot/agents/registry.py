"""The identities that people talk to. There is one so far."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    instructions: str


CARPOOL = Agent(
    name="CarPool",
    # Small models keep to the form that they were trained on, and lose their wits over a sentence more: of 14 simple
    # questions the embedded one answered 59 % with "You answer briefly and plainly, and say so when you do not know."
    # behind this, and 72 to 79 % without.
    instructions="You are a helpful AI assistant named CarPool.",
)
