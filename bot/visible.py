"""What a person sees of a text, where it matters that nothing of it escapes them: before they approve of something. Pure."""

import re
import unicodedata
from collections.abc import Iterable

WORDS_MAX = 5
WORD_CHARACTERS_MAX = 60

_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Controls, formats (without width, from right to left), private use, and the separators that are none in code."""

_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that are drawn as nothing: see Default_Ignorable_Code_Point of Unicode, and the blank of braille."""

_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
"""Alphabets whose letters are taken for one another: see Unicode Technical Standard 39."""

_DISGUISES = (
    "FULLWIDTH LATIN",
    "MATHEMATICAL",
    "CIRCLED LATIN",
    "LATIN LETTER SMALL CAPITAL",
    "LATIN SMALL LETTER SCRIPT",
)
_WORD = re.compile(r"\w+(?:[.@/:-]+\w+)*")


def visible(text: str) -> str:
    """With each character that is not seen, or that moves what is, written as its number; lines and tabs stay.

    >>> visible("ann\\u202e\\u200b")
    'ann\\\\u{202e}\\\\u{200b}'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(letter) for letter in text.replace("\r\n", "\n"))


def mixed_words(texts: Iterable[str]) -> tuple[str, ...]:
    """The first few words in which letters of alphabets that look alike stand together, or which are letters in disguise."""
    found: dict[str, None] = {}
    for text in texts:
        if not text.isascii():
            found |= {word[:WORD_CHARACTERS_MAX]: None for word in _WORD.findall(text) if _is_mixed(word)}
    return tuple(found)[:WORDS_MAX]


def _shown(letter: str) -> str:
    if letter in "\n\t":
        return letter
    unseen = unicodedata.category(letter) in _UNSEEN or _BLANK.match(letter)
    return f"\\u{{{ord(letter):x}}}" if unseen else letter


def _is_mixed(word: str) -> bool:
    names = [unicodedata.name(letter, "") for letter in word if letter.isalpha()]
    alphabets = {name.partition(" ")[0] for name in names}
    return len(alphabets.intersection(_ALIKE)) > 1 or any(name.startswith(_DISGUISES) for name in names)
