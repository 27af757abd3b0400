"""What a person is told, where it is not known yet in which language."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Sentence:
    """``{0}`` in the English words is the first value, and so on. A value can be a sentence itself.

    As text it is English: for a model, and for the log.
    """

    english: str
    values: tuple[object, ...] = ()

    def __str__(self) -> str:
        return self.english.format(*self.values)


Told: TypeAlias = Sentence | str
"""What a person reads: words of ours, or as text what comes from elsewhere and is the same in every language."""
