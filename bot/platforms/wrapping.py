"""Breaking lines between words while text still comes in. What stands between code fences is left as it is."""

from collections.abc import Callable

FENCE = "```"


class Wrapper:
    """``feed`` gives what may be shown already; a word is held back until it is known whether it fits the line.

    ``cells`` counts the columns that a text takes, ``width`` is how many there are. Only line breaks are added.
    """

    def __init__(self, width: int, cells: Callable[[str], int]) -> None:
        self._width = width
        self._cells = cells
        self._word = ""
        self._line = ""
        self._column = 0
        self._fenced = False

    def feed(self, text: str) -> str:
        return "".join(self._take(letter) for letter in text)

    def end(self) -> str:
        """What was held back. A line that was begun stays open."""
        return self._place()

    @property
    def open(self) -> bool:
        """Whether the cursor is behind something on its line."""
        return self._column > 0

    def _take(self, letter: str) -> str:
        if letter == "\n":
            placed = self._place()
            if self._line.lstrip().startswith(FENCE):
                self._fenced = not self._fenced
            self._line, self._column = "", 0
            return placed + letter
        if letter in " \t":
            placed = self._place()
            self._line += letter
            self._column += 1
            return placed + letter
        self._word += letter
        return ""

    def _place(self) -> str:
        word, self._word = self._word, ""
        cells = self._cells(word)
        self._line += word
        wraps = not self._fenced and not self._line.lstrip().startswith(FENCE)
        if wraps and self._column and self._column + cells > self._width:
            self._column = cells
            return f"\n{word}"
        self._column += cells
        return word
