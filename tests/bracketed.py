"""A language in which each sentence stands in brackets, to see what came from no table."""

import re

from bot.sentences import Sentences


class Bracketed(Sentences):
    def __call__(self, english: str, /, *values: object) -> str:
        return f"⟦{super().__call__(english, *values)}⟧"


BRACKETED = Bracketed()
_TO_TYPE = r"\((?:RC|[^()⟦⟧]* \| [^()⟦⟧]*)\)|\*\*(?:on|off|refused|allowed|best|balanced)\*\*|MODEL|NAME"
_NAMES = re.compile(rf"{_TO_TYPE}|scripted/m|t-[0-9a-z]{{16}}|CarPool|\d[\d,.]* (?:RC|s)\b")
"""What is no sentence: names, and what is typed as it stands."""
_INNERMOST = re.compile(r"⟦[^⟦⟧]*⟧")
_MARKUP = re.compile(r"<title>CarPool</title>|<code>[^<]*</code>|<[^>]*>")


def unsaid(text: str) -> str:
    """What of a text came from no table: without names, code and numbers."""
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    while (shorter := _INNERMOST.sub("", text)) != text:
        text = shorter
    return " ".join(re.findall(r"[A-Za-z]{2,}", _NAMES.sub("", text)))


def unsaid_of_page(page: str) -> str:
    """The same of a page in HTML."""
    return unsaid(_MARKUP.sub("", page))
