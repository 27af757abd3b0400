"""All that CarPool itself says, as it stands in the code: the template of the tables of other languages.

``python -m tests.sentences`` writes it to ``bot/languages/carpool.pot``.
"""

import ast
import string
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import polib

from bot.commands.limit import KINDS
from bot.commands.settings import HERE, SETTINGS_TABLE
from bot.commands.table import COMMANDS
from bot.door import HOME
from integrations.payments.base import PaymentError
from integrations.tools.base import ToolError

PROJECT = Path(__file__).parents[1]
TEMPLATE = PROJECT / "bot" / "languages" / "carpool.pot"
READ = ("bot", "integrations")


Kind = TypeVar("Kind", bound=BaseException)


def kinds_of(root: type[Kind]) -> Iterator[type[Kind]]:
    """An error of ours, and what comes of it."""
    yield root
    for kind in root.__subclasses__():
        yield from kinds_of(kind)


OF_TOOLS, OF_PAYMENTS = tuple(kinds_of(ToolError)), tuple(kinds_of(PaymentError))
SAYING = {
    **dict.fromkeys(("say", "Sentence", "NoValue", "_invalid"), 0),
    **dict.fromkeys(("NotConsented", "NotInstalled", *(kind.__name__ for kind in OF_TOOLS)), 1),
}
"""What a sentence is given to, and as which argument: ``Sentences`` under this name, and what holds one until it is said."""

OF_TABLES = {
    "integrations/payments/base.py": [kind.__dict__["remedy"] for kind in OF_PAYMENTS if "remedy" in kind.__dict__],
    "bot/commands/table.py": [command.summary for command in COMMANDS.values()],
    "bot/commands/settings.py": [setting.about for setting in (*SETTINGS_TABLE, HERE)],
    "bot/commands/limit.py": [kind.whose for kind in KINDS.values()],
    "bot/door.py": list(HOME),
}
"""Said by way of a field of what stands in a table."""


@cache
def sentences() -> Mapping[str, list[str]]:
    """Each sentence in English, and the files that say it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path, name in sources():
        for sentence in _said_in(path, name):
            found[sentence].add(name)
    for name, more in OF_TABLES.items():
        for sentence in more:
            found[sentence].add(name)
    return {sentence: sorted(names) for sentence, names in sorted(found.items())}


def sources() -> Iterator[tuple[Path, str]]:
    """The files that say something to people in a chat, with their names within the project. The command line is English."""
    for path in sorted(path for room in READ for path in (PROJECT / room).rglob("*.py")):
        if not path.stem.endswith("console"):
            yield path, path.relative_to(PROJECT).as_posix()


def _said_in(path: Path, name: str) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        given = said_by(node)
        if given is not None:
            yield from _texts(given, name)


def said_by(node: ast.AST) -> ast.expr | None:
    """The argument of a call that is a sentence; None where there is none."""
    at = SAYING.get(_name(node.func)) if isinstance(node, ast.Call) else None
    return node.args[at] if isinstance(node, ast.Call) and at is not None and len(node.args) > at else None


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
