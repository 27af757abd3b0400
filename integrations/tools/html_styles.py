"""What the style sheets of a page hide for certain. Pure.

Of the cascade (W3C, CSS Cascade 4, and Selectors 4) that much is read which can be told without laying the page out: rules for an
element by its name, id and classes, with importance, specificity and order. A rule that holds only perhaps (in a query, behind a
combinator, for a state) hides nothing, and where it says anything of the same, what others hide is not certain either: so nothing
that a person sees is left out, and what is hidden by such rules is read.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from integrations.tools.html_hiding import DECIDES, STYLE_VALUE_MAX, is_hidden_by

RULES_MAX = 20_000
CLASSES_MAX = 50
CHECKS_MAX = 500_000
"""So often is a rule held against an element. Where there is more of any of these, nothing is hidden by a sheet from there on."""

_SKIPPED = re.compile(r"""/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*["\n]?|'(?:\\.|[^'\\\n])*['\n]?|<!--|-->""", re.DOTALL)
"""Comments and texts, also one that does not end: else each quotation mark would be looked for to the end of all."""
_COMPOUND = re.compile(r"([a-zA-Z][a-zA-Z0-9-]*|\*)?((?:[.#][a-zA-Z_-][a-zA-Z0-9_-]*)*)")
_PARTS = re.compile(r"[.#][^.#]+")
_QUERIES = ("@media", "@supports", "@layer", "@container", "@scope", "@starting-style")


@dataclass(frozen=True, slots=True)
class _Rule:
    """``place`` orders it. ``certain``: it holds for each element that it fits."""

    name: str
    ident: str
    classes: frozenset[str]
    style: Mapping[str, tuple[bool, str]]
    place: int
    certain: bool

    @property
    def rank(self) -> tuple[int, int, int, int]:
        return bool(self.ident), len(self.classes), bool(self.name), self.place

    def fits(self, name: str, ident: str, classes: frozenset[str]) -> bool:
        return self.name in ("", name) and self.ident in ("", ident) and self.classes <= classes


@dataclass(slots=True)
class Sheet:
    """The style sheets of one page together."""

    rules: dict[str, list[_Rule]] = field(default_factory=dict)
    """By a class, an id or a name that an element must have; by nothing where it may be any."""
    count: int = 0
    checks: int = 0

    def add(self, css: str, *, certain: bool = True) -> None:
        plain = _SKIPPED.sub(" ", css)
        for selectors, body, sure in _blocks(plain, certain):
            style = dict(_declared(body))
            if style:
                self._add(selectors, style, sure)

    def _add(self, selectors: str, style: Mapping[str, tuple[bool, str]], certain: bool) -> None:
        self.count += selectors.count(",") + 1
        if self.count > RULES_MAX:
            return
        read = [_compound(selector) for selector in selectors.split(",")]
        # A list with one in it that a browser does not know holds for none of them.
        certain = certain and all(sure for *_, sure in read)
        for name, ident, classes, _ in read:
            rule = _Rule(name, ident, classes, style, self.count, certain)
            key = f".{min(classes)}" if classes else f"#{ident}" if ident else name
            self.rules.setdefault(key, []).append(rule)

    def hides(self, name: str, attributes: Mapping[str, str], own: Mapping[str, tuple[bool, str]]) -> bool:
        """Whether an element is hidden for certain. ``own`` are the declarations of its own attribute."""
        if not self.rules or name in ("html", "body"):  # those are shown by programs of the page
            return False
        ident, classes = attributes.get("id", ""), frozenset(attributes.get("class", "").split())
        found = [rule for rule in self._near(name, ident, classes) if rule.fits(name, ident, classes)]
        if not any(rule.certain for rule in found) or self._too_much or len(classes) > CLASSES_MAX:
            return False
        perhaps = {declared for rule in found if not rule.certain for declared in rule.style}
        said: dict[str, tuple[bool, str]] = {}
        ordered = [rule.style for rule in sorted(found, key=lambda rule: rule.rank) if rule.certain]
        for style in (*ordered, own):
            for declared, (important, value) in style.items():
                if important or not said.get(declared, (False, ""))[0]:
                    said[declared] = important, value
        return not perhaps and is_hidden_by({declared: value for declared, (_, value) in said.items()})

    @property
    def _too_much(self) -> bool:
        """Whether not all was looked at: then a rule that was not may show what another one hides."""
        return self.count > RULES_MAX or self.checks > CHECKS_MAX

    def _near(self, name: str, ident: str, classes: Iterable[str]) -> Iterator[_Rule]:
        for key in ("", name, f"#{ident}", *(f".{one}" for one in classes)):
            for rule in self.rules.get(key, ()):
                self.checks += 1
                if self.checks > CHECKS_MAX:
                    return
                yield rule


def _blocks(css: str, certain: bool) -> Iterator[tuple[str, str, bool]]:
    """Selectors, declarations, and whether they hold for certain."""
    place = 0
    open_: list[tuple[str, int, bool]] = []
    for found in re.finditer("[{}]", css):
        if found[0] == "{":
            head = css[place : found.start()].rpartition(";")[2].strip()
            # What is nested in a rule is for its descendants, or a state of it.
            sure = certain and not open_
            open_.append((head, found.end(), sure))
        elif open_:
            head, start, sure = open_.pop()
            inner = css[max(start, place) : found.start()]
            if not head.startswith("@"):
                yield head, inner, sure
        place = found.end()


def _compound(selector: str) -> tuple[str, str, frozenset[str], bool]:
    """Name, id and classes of the element that it is for; whether that is all. Where it cannot be read, any element."""
    last = re.split(r"[\s>+~]+", selector.strip())[-1] if selector.strip() else ""
    found = _COMPOUND.fullmatch(last.partition(":")[0].partition("[")[0])
    if found is None or not last:
        return "", "", frozenset(), False
    parts = _PARTS.findall(found[2])
    ids = [part[1:] for part in parts if part.startswith("#")]
    classes = frozenset(part[1:] for part in parts if part.startswith("."))
    whole = last == selector.strip() and ":" not in last and "[" not in last and len(ids) <= 1 and bool(found[0])
    name = (found[1] or "").casefold().removeprefix("*")
    return name, ids[0] if ids else "", classes, whole


def _declared(body: str) -> Iterator[tuple[str, tuple[bool, str]]]:
    """What decides whether something is seen, each with whether it is important."""
    for part in body.split(";"):
        name, _, value = part.partition(":")
        name = name.strip().casefold()
        if name in DECIDES:
            plain = "".join(value.split()).casefold()
            yield name, (plain.endswith("!important"), plain.removesuffix("!important")[:STYLE_VALUE_MAX])


def declared(style: str) -> Mapping[str, tuple[bool, str]]:
    """Those of an element's own ``style``."""
    return dict(_declared(_SKIPPED.sub(" ", style)))
