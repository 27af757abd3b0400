"""What a terminal shows: text made harmless, a spinner, an answer as it comes, a dim footer.

Nothing that a model or another person wrote reaches the terminal with control characters in it: an escape sequence could
retitle the window, hide text, or type for the person.
"""

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from bot.platforms.wrapping import Wrapper

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

# C0 and C1 but for tab and line feed; the marks that turn the direction of text around; half a pair of surrogates.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    return _HARMFUL.sub("", text.replace("\r\n", "\n"))


class TerminalScreen:
    """The lines of one terminal. ``colour`` false leaves out every style."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour
        self._console: Console | None = None
        self._status: Status | None = None
        self._wrapper: Wrapper | None = None

    @property
    def console(self) -> "Console":
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False, no_color=not self._colour)
        return self._console

    def line(self, text: str, *, dim: bool = False) -> None:
        """Whole lines, below whatever stands there, broken between words."""
        self.settle()
        style = "dim" if dim and self._colour else None
        self.console.print(harmless(text), style=style, markup=False, emoji=False)

    def markdown(self, text: str) -> None:
        """Markdown as a page shows it. For what CarPool itself says: it may hold quotes, and links stay visible."""
        from rich.markdown import Markdown

        self.settle()
        self.console.print(Markdown(harmless(text), hyperlinks=False, code_theme="bw"))

    def think(self) -> None:
        """Show that the answer is being made, until something else is shown."""
        if self._status is None:
            self._status = self.console.status("thinking", spinner="dots")
            self._status.start()

    def stream(self, delta: str) -> None:
        if not (clean := harmless(delta)):
            return
        self._still()
        if self._wrapper is None:
            from rich.cells import cell_len

            self._wrapper = Wrapper(self.console.width, cell_len)
        self._write(self._wrapper.feed(clean))

    def settle(self) -> None:
        """End the spinner, and a line that was begun."""
        self._still()
        wrapper, self._wrapper = self._wrapper, None
        if wrapper is not None:
            rest = wrapper.end()
            self._write(f"{rest}\n" if wrapper.open else rest)

    def _write(self, text: str) -> None:
        self.console.file.write(text)
        self.console.file.flush()

    def _still(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def write_whole(text: str, to: TextIO) -> None:
    """For a pipe: the text alone, but for what no terminal should be told."""
    to.write(harmless(text).rstrip("\n") + "\n")
    to.flush()


def drop_output() -> None:
    """Forget what standard output did not take: it would fail once more at the end of the program."""
    if sys.stdout is not None:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_aside(text: str) -> None:
    """To standard error: what is not the answer."""
    write_whole(text, sys.stderr)
