"""The mark of one use, in a form that may be left at a service and found there again."""

import hashlib
import re

from integrations.tools.base import Use

MARK = "carpool-use-[0-9a-f]{32}"
"""What any of them looks like, as a pattern."""


def marker(use: Use) -> str:
    """Letters and digits alone: a mark holds an id that a model chose, which must not end a comment that it stands in."""
    return f"carpool-use-{hashlib.sha256(use.mark.encode()).hexdigest()[:32]}"


def hidden(use: Use) -> str:
    """As a comment that Markdown does not show, to be put behind a text."""
    return f"\n\n<!-- {marker(use)} -->"


def is_marked(text: str) -> bool:
    """Whether a text carries the mark of some use, as ``hidden`` leaves it."""
    return re.search(f"<!-- {MARK} -->", text) is not None
