"""The picture of how the cost grows: an SVG with logarithmic axes, written by hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 800, 460
LEFT, RIGHT, TOP, BOTTOM = 84, 236, 44, 56
LABEL_GAP = 16
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


@dataclass(frozen=True, slots=True)
class Line:
    """``seconds`` at each of the sizes, from the smallest; it may end early."""

    name: str
    colour: str
    seconds: tuple[float, ...]
    dashed: bool = False


def picture(sizes: Sequence[int], lines: Sequence[Line]) -> str:
    values = [second for line in lines for second in line.seconds]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: float) -> float:
        return LEFT + (math.log10(size) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(second: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(second) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222222">',
        "<title>What the ledger's work costs as it grows</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 24, "What the ledger's work costs as it grows", size=15),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "entries in the ledger", anchor="middle"),
    ]
    for power in range(low, high + 1):
        parts.append(_rule(LEFT, y(10**power), WIDTH - RIGHT, y(10**power)))
        parts.append(_text(LEFT - 8, y(10**power) + 4, _seconds(10**power), anchor="end"))
    for size in sizes:
        parts.append(_rule(x(size), TOP, x(size), HEIGHT - BOTTOM))
        parts.append(_text(x(size), HEIGHT - BOTTOM + 20, f"{size:,}", anchor="middle"))
    places = _apart([y(line.seconds[-1]) for line in lines])
    for line, place in zip(lines, places, strict=True):
        ends = [(x(size), y(second)) for size, second in zip(sizes, line.seconds, strict=False)]
        parts.append(_line(line, ends))
        # A line that ends early has its name at the side all the same.
        name = f"{line.name}, {_seconds(line.seconds[-1])}"
        parts.append(_text(WIDTH - RIGHT + 12, place + 4, name, colour=line.colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _apart(places: Sequence[float]) -> list[float]:
    """The places of the names: beside the ends of their lines, but not one over the other."""
    order = sorted(range(len(places)), key=lambda n: places[n])
    found = list(places)
    for above, below in pairwise(order):
        found[below] = max(found[below], found[above] + LABEL_GAP)
    return found


def _seconds(seconds: float) -> str:
    unit, name = next(((unit, name) for unit, name in UNITS if seconds >= unit * 0.9995), UNITS[-1])
    return f"{seconds / unit:.3g} {name}"


def _line(line: Line, ends: Sequence[tuple[float, float]]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{line.colour}"/>' for x, y in ends)
    return f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="2"{dashes}/>{dots}'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "", size: int = 0) -> str:
    how = (f' fill="{colour}"' if colour else "") + (f' font-size="{size}"' if size else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{how}>{text}</text>'
