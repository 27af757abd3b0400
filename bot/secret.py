"""Values that cannot print themselves."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Secret:
    """A key or token. ``reveal`` is called at the edge only, where an SDK is built."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "Secret(…)"

    def __bool__(self) -> bool:
        return bool(self._value)

    @property
    def masked(self) -> str:
        """Enough to tell two keys apart: the last four characters of a long one, and nothing of a short one."""
        return f"…{self._value[-4:]}" if len(self._value) >= 20 else "…"


@dataclass(frozen=True, slots=True)
class SecretUrl(Secret):
    """An address that may hold a password. What it leads to may be seen."""

    @property
    def masked(self) -> str:
        parts = urlsplit(self._value)
        user = f"{parts.username}:…@" if parts.password else f"{parts.username}@" if parts.username else ""
        port = f":{parts.port}" if parts.port else ""
        # What stands after a question mark may be a password as well.
        return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}{'?…' if parts.query else ''}"
