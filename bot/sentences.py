"""What CarPool itself says to people, in the language of the installation.

The English sentences stand in the code where they are said. ``say("There is no command {0}.", name)`` looks the sentence up in
the table of another language, and says it in English where that has none: a translation may lag behind, and no person ever meets
an empty line. The tables are gettext's (``bot/languages/CODE.po``), made from ``bot/languages/carpool.pot``, which
``make sentences`` writes. What happens below, in ``integrations``, is told as a ``Sentence``: its values stand apart, so that it
is said here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from integrations.sentence import Sentence, Told

CODE = "en"
TABLES = files("bot") / "languages"


class NoSuchLanguage(Exception):
    """There is no table of that language."""


@dataclass(frozen=True, slots=True)
class Sentences:
    """The sentences of a language, by the English ones. ``{0}`` in them is the first value, and so on: where a value stands in a
    sentence is the language's own affair."""

    code: str = CODE
    table: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, english: str, /, *values: object) -> str:
        """The sentence with its values, which are not looked at: what is in braces there stays as it is. A value that is a
        sentence itself is said in the language too."""
        sentence = self.table.get(english) or english
        return sentence.format(*(self.of(value) if isinstance(value, Sentence) else value for value in values))

    def of(self, told: Told) -> str:
        """What was said below, where no language is known: of an error, say."""
        return self(told.english, *told.values) if isinstance(told, Sentence) else told


ENGLISH = Sentences()


def languages() -> tuple[str, ...]:
    """The languages that there are."""
    found = (table.name for table in TABLES.iterdir())
    return (CODE, *sorted(name.removesuffix(".po") for name in found if name.endswith(".po")))


def sentences_of(code: str) -> Sentences:
    """Raises ``NoSuchLanguage``. A sentence that is marked as fuzzy, or is not translated, is said in English."""
    if code == CODE:
        return ENGLISH
    if code not in languages():
        raise NoSuchLanguage(code)
    import polib  # only where it is asked for: it takes time, and most need none of it

    table = polib.pofile((TABLES / f"{code}.po").read_text(encoding="utf-8"))
    return Sentences(code, {entry.msgid: entry.msgstr for entry in table.translated_entries()})
