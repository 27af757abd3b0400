"""A calculator that is exact: whole numbers and fractions, and no evaluation of code.

sum     = product (("+" | "-") product)*
product = sign (("*" | "/" | "//" | "%") sign)*
sign    = ("+" | "-") sign | power
power   = atom (("^" | "**") sign)?
atom    = number | name "(" sum ("," sum)* ")" | "(" sum ")"
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from math import factorial, isqrt

from adapters.messages import ToolSpec
from integrations.tools.base import Invalid, ReadTool, Use, parameters

LENGTH_MAX = 1_000
DEPTH_MAX = 40
BITS_MAX = 16_000
"""How long a numerator or a denominator may grow: above what anybody reads, below what takes time."""
DECIMALS = 50
DIGITS_SHOWN_MAX = 200

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d{1,4})?|\.\d+(?:[eE][+-]?\d{1,4})?)|([a-z]+)|(\*\*|//|[-+*/%^(),]))"
)

SPEC = ToolSpec(
    "calculator",
    "Works out arithmetic exactly: + - * / // % ^, brackets, sqrt, abs, floor, ceil, round(x, digits), min, max, factorial.",
    parameters({"expression": {"type": "string", "maxLength": LENGTH_MAX}}, ("expression",)),
    "read",
)


def calculator_tool() -> ReadTool:
    async def read(use: Use) -> str:
        return work_out(use.text("expression"))

    return ReadTool(SPEC, read)


def work_out(expression: str) -> str:
    """The value, as a whole number or a fraction with its decimals; behind ``≈`` where it goes on. Raises ``Invalid``."""
    reader = _Reader(_tokens(expression))
    value = reader.sum()
    if reader.next:
        raise _invalid("There is something left over at {0!r}.", reader.next)
    return _shown(value) if reader.exact else f"≈ {_plain(_decimal(value))}"


def _invalid(english: str, *values: object) -> Invalid:
    return Invalid(f"calculator: {english}", english, *values)


def _tokens(expression: str) -> list[str]:
    if len(expression) > LENGTH_MAX:
        raise _invalid("An expression has {0:,} characters at the most.", LENGTH_MAX)
    text, at, tokens = expression.rstrip(), 0, list[str]()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _invalid("{0!r} cannot be worked out.", text[at:].lstrip()[:1])
        tokens.append(match[0].strip())
        at = match.end()
    return tokens


@dataclass(slots=True)
class _Reader:
    tokens: list[str]
    at: int = 0
    depth: int = 0
    exact: bool = True

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def took(self, *wanted: str) -> str:
        token = self.next
        if token not in wanted:
            return ""
        self.at += 1
        return token

    def need(self, wanted: str) -> None:
        if not self.took(wanted):
            raise (
                _invalid("{0!r} is missing before {1!r}.", wanted, self.next)
                if self.next
                else _invalid("{0!r} is missing at the end.", wanted)
            )

    def sum(self) -> Fraction:
        value = self.product()
        while operator := self.took("+", "-"):
            value = _bounded(value + self.product() if operator == "+" else value - self.product())
        return value

    def product(self) -> Fraction:
        value = self.sign()
        while operator := self.took("*", "/", "//", "%"):
            value = _bounded(_product(operator, value, self.sign()))
        return value

    def sign(self) -> Fraction:
        # Each way down passes here: what is nested is bounded once.
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise _invalid("It is nested more than {0} deep.", DEPTH_MAX)
        operator = self.took("+", "-")
        value = self.sign() if operator else self.power()
        self.depth -= 1
        return -value if operator == "-" else value

    def power(self) -> Fraction:
        base = self.atom()
        if not self.took("^", "**"):
            return base
        exponent = self.sign()
        return self.root(base) if exponent == Fraction(1, 2) else _power(base, exponent)

    def root(self, value: Fraction) -> Fraction:
        root = _sqrt([value])
        self.exact = self.exact and root**2 == value
        return root

    def atom(self) -> Fraction:
        word = self.next
        self.at += 1
        if word == "(":
            value = self.sum()
            self.need(")")
            return value
        if word[:1].isdigit() or word[:1] == ".":
            return _bounded(Fraction(word))
        if word.isalpha():
            return self.function(word)
        raise (
            _invalid("A number is missing before {0!r}.", word) if word else _invalid("A number is missing at the end.")
        )

    def function(self, name: str) -> Fraction:
        if name not in FUNCTIONS:
            raise _invalid("There is no function {0}.", name)
        self.need("(")
        values = [self.sum()]
        while self.took(","):
            values.append(self.sum())
        self.need(")")
        least, most, function = FUNCTIONS[name]
        if not least <= len(values) <= most:
            raise _invalid("{0} does not take {1} values.", name, len(values))
        return _bounded(self.root(values[0]) if name == "sqrt" else function(values))


def _product(operator: str, left: Fraction, right: Fraction) -> Fraction:
    if operator == "*":
        return left * right
    if right == 0:
        raise _invalid("Nothing can be divided by zero.")
    match operator:
        case "/":
            return left / right
        case "//":
            return Fraction(left // right)
        case _:
            return left % right


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise _invalid("Only whole exponents can be worked out exactly, and one half.")
    if base == 0 and exponent < 0:
        raise _invalid("Nothing can be divided by zero.")
    if base not in (0, 1, -1) and _bits(base) * abs(exponent) > BITS_MAX:
        raise _invalid("That number is too long.")
    return _bounded(base ** (exponent.numerator if base not in (0, 1, -1) else _small(exponent.numerator)))


def _small(exponent: int) -> int:
    """An exponent of the same effect on 0, 1 and -1."""
    return 0 if exponent == 0 else 2 - exponent % 2


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > BITS_MAX:
        raise _invalid("That number is too long.")
    return value


def _sqrt(values: list[Fraction]) -> Fraction:
    """Exact where the root is a fraction, else to ``DECIMALS`` places."""
    (value,) = values
    if value < 0:
        raise _invalid("A negative number has no real root.")
    above, below = isqrt(value.numerator), isqrt(value.denominator)
    if above**2 == value.numerator and below**2 == value.denominator:
        return Fraction(above, below)
    scale = 10**DECIMALS
    return Fraction(isqrt(value.numerator * scale**2 // value.denominator), scale)


def _round(values: list[Fraction]) -> Fraction:
    digits = values[1] if len(values) == 2 else Fraction(0)
    if digits.denominator != 1 or abs(digits) > 1_000:
        raise _invalid("round takes a whole number of digits.")
    scale = Fraction(10) ** digits.numerator
    half = Fraction(1, 2) if values[0] >= 0 else Fraction(-1, 2)
    return Fraction(int(values[0] * scale + half)) / scale


def _factorial(values: list[Fraction]) -> Fraction:
    (value,) = values
    if value.denominator != 1 or not 0 <= value <= 1_000:
        raise _invalid("factorial takes a whole number from 0 to 1,000.")
    return Fraction(factorial(value.numerator))


FUNCTIONS: Mapping[str, tuple[int, int, Callable[[list[Fraction]], Fraction]]] = {
    "sqrt": (1, 1, _sqrt),
    "abs": (1, 1, lambda values: abs(values[0])),
    "floor": (1, 1, lambda values: Fraction(values[0] // 1)),
    "ceil": (1, 1, lambda values: Fraction(-(-values[0] // 1))),
    "round": (1, 2, _round),
    "min": (1, 100, min),
    "max": (1, 100, max),
    "factorial": (1, 1, _factorial),
}


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return _digits(value.numerator)
    decimal = _decimal(value)
    sign = "=" if Fraction(decimal) == value else "≈"
    return f"{_digits(value.numerator)}/{_digits(value.denominator)} {sign} {_plain(decimal)}"


def _decimal(value: Fraction) -> Decimal:
    return Context(prec=DECIMALS).divide(Decimal(value.numerator), Decimal(value.denominator))


def _plain(decimal: Decimal) -> str:
    return f"{decimal:f}" if -20 < decimal.adjusted() < DECIMALS else f"{decimal:e}"


def _digits(number: int) -> str:
    # By way of Decimal: Python refuses to write out whole numbers of more than 4,300 digits.
    text = str(Decimal(number))
    if len(text) <= DIGITS_SHOWN_MAX:
        return text
    return f"{text[:50]}…{text[-20:]} ({len(text.lstrip('-')):,} digits)"
