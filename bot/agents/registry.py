"""The identities that people talk to. There is one so far."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    instructions: str


CARPOOL = Agent(
    name="CarPool",
    instructions=(
        "You are CarPool, a helpful assistant in a chat. Answer in the language of the question, briefly and plainly. "
        "Say so when you do not know."
    ),
)
