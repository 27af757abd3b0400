"""The keyboard while an answer is on its way."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_keys() -> Iterator[None]:
    """Inside, what is typed does not show in the midst of the answer. It is kept, and stands in the next prompt.

    Ctrl-C stays an interrupt. Nothing is changed where standard input is no terminal, or the system has no termios.
    """
    try:
        import termios
    except ImportError:  # Windows
        yield
        return
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = list(before)
    # Without lines of its own the terminal would hold back what is not ended by Enter, and drop it when the prompt comes.
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
