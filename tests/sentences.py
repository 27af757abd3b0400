"""All that CarPool itself says, as it stands in the code: the template of the tables of other languages.

``python -m tests.sentences`` writes it to ``bot/languages/carpool.pot``.
"""

import ast
import string
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import polib

from bot.commands.settings import HERE, SETTINGS_TABLE
from bot.commands.table import COMMANDS
from bot.door import HOME

PROJECT = Path(__file__).parents[1]
TEMPLATE = PROJECT / "bot" / "languages" / "carpool.pot"
SAYING = ("say", "Refused")
"""What a sentence is given to: ``Sentences`` under this name, and what holds one until it is said."""

OF_TABLES = {
    "bot/commands/table.py": [command.summary for command in COMMANDS.values()],
    "bot/commands/settings.py": [setting.about for setting in (*SETTINGS_TABLE, HERE)],
    "bot/door.py": list(HOME),
}
"""Said by way of a field of what stands in a table."""


def sentences() -> Mapping[str, list[str]]:
    """Each sentence in English, and the files that say it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((PROJECT / "bot").rglob("*.py")):
        name = path.relative_to(PROJECT).as_posix()
        for sentence in _said_in(path, name):
            found[sentence].add(name)
    for name, more in OF_TABLES.items():
        for sentence in more:
            found[sentence].add(name)
    return {sentence: sorted(names) for sentence, names in sorted(found.items())}


def _said_in(path: Path, name: str) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in SAYING and node.args:
            yield from _texts(node.args[0], name)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr, name: str) -> Iterator[str]:
    """What an argument can be: a text, a constant, one of a mapping's values, either side of a condition."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body, name)
            yield from _texts(orelse, name)
        case ast.Name(id=constant) if constant.isupper():
            yield str(getattr(_module(name), constant))
        case ast.Subscript(value=ast.Name(id=constant)) if constant.isupper():
            yield from getattr(_module(name), constant).values()
        case ast.Call(func=ast.Attribute(value=ast.Name(id=constant), attr="get"), args=[_, other]) if (
            constant.isupper()
        ):
            yield from getattr(_module(name), constant).values()
            yield from _texts(other, name)
        case _:  # a parameter or a field: what it can be is named where it is given, or in ``OF_TABLES``
            return


def _module(name: str) -> ModuleType:
    return import_module(name.removesuffix(".py").replace("/", "."))


def places(sentence: str) -> set[str]:
    """The values that a sentence asks for."""
    return {f"{{{field}:{spec}}}" for _, field, spec, _ in string.Formatter().parse(sentence) if field is not None}


def template() -> str:
    table = polib.POFile(wrapwidth=100)
    table.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit"}
    for sentence, names in sentences().items():
        table.append(polib.POEntry(msgid=sentence, occurrences=[(name, "") for name in names]))
    return f"{table}\n"


if __name__ == "__main__":
    TEMPLATE.parent.mkdir(exist_ok=True)
    TEMPLATE.write_text(template(), encoding="utf-8")
