"""A value that cannot print itself."""

from dataclasses import dataclass, field


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
