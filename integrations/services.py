"""The services that people can connect, and how: by a token that they paste, or by agreeing at the service (OAuth)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.tools.rest import Rest

if TYPE_CHECKING:
    from integrations.oauth import OAuthApp

ACCOUNT_CHARACTERS_MAX = 100

Who = Callable[[str], Awaitable[str]]
"""A token's account at the service, by a call that costs nothing and changes nothing; empty where it tells none. Raises
``ToolError``."""


@dataclass(frozen=True, slots=True)
class Service:
    """``name`` is what people write, ``shown`` what they read. ``paste`` says where a token to be pasted is made; empty where
    none can be. ``oauth`` None: nobody can agree there."""

    name: str
    shown: str
    who: Who
    paste: str = ""
    oauth: "OAuthApp | None" = None


def who_at(shown: str, url: str, path: str, *names: str, version: tuple[str, str] | None = None) -> Who:
    """The account as the first of these fields of what ``path`` answers calls it."""
    rest = Rest(shown, url, headers=dict([version]) if version else {})

    async def who(token: str) -> str:
        found = await rest.get(path, token)
        said = next((value for name in names if isinstance(value := found.get(name), str) and value), "")
        return "".join(filter(str.isprintable, said))[:ACCOUNT_CHARACTERS_MAX]

    return who
