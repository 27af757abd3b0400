"""What of a command may be recorded. A message is recorded before it is read: what could be a secret is taken out before that."""

from collections.abc import Callable, Mapping

from bot.commands.connect import known as known_of_services
from bot.commands.keys import WITHHELD
from bot.commands.keys import known as known_of_keys

_KNOWN: Mapping[str, Callable[[str], bool]] = {
    "keys": known_of_keys,
    "connect": known_of_services,
    "disconnect": known_of_services,
}


def withheld(invocation: str) -> str:
    """The invocation as it may be recorded: of these commands nothing that could be a key or a token."""
    name, *words = invocation.split(" ")
    known = _KNOWN.get(name)
    if known is None or not words:
        return invocation
    kept = [word for word in words if known(word)]
    return " ".join((name, *kept, *([WITHHELD] if len(kept) < len(words) else [])))
