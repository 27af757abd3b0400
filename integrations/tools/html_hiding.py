"""By which styles an element of HTML is not seen. Pure."""

import re
from collections.abc import Mapping

STYLE_VALUE_MAX = 100


def is_hidden_by(style: Mapping[str, str]) -> bool:
    """Whether an element with these values, in small letters and without spaces, is not seen."""
    if any(style.get(name) in values for name, values in _HIDES.items()):
        return True
    if any(_ZERO.match(style.get(name, "1")) for name in ("opacity", "font-size")):
        return True
    if any(_AWAY.match(style.get(name, "")) for name in _PLACES):
        return True
    if "hidden" in style.get("overflow", "") and any(_ZERO.match(style.get(name, "1")) for name in _SIZES):
        return True
    shape = style.get("clip", "") + style.get("clip-path", "") + style.get("transform", "")
    colour, ground = style.get("color", ""), style.get("background-color") or style.get("background", "")
    return bool(_NO_SHAPE.search(shape)) or (bool(colour) and _colour(colour) == _colour(ground))


_HIDES = {
    "display": ("none",),
    "visibility": ("hidden", "collapse"),
    "color": ("transparent", "rgba(0,0,0,0)"),
    "content-visibility": ("hidden",),
}
_PLACES = ("left", "right", "top", "bottom", "text-indent", "margin-left")
_SIZES = ("height", "width", "max-height", "max-width")
DECIDES = frozenset(
    (*_HIDES, *_PLACES, *_SIZES, "opacity", "font-size", "overflow", "clip", "clip-path", "transform", "background")
) | {"background-color"}
"""What is looked at of a style: anything else hides nothing here."""
_ZERO = re.compile(r"0*\.?0*(?:[a-z%]*)$")
_AWAY = re.compile(r"-[0-9.]*[0-9]{3,}(?:\.[0-9]+)?(?:px|pt|em|rem|%|vw|vh)$")
_STYLE_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_NO_SHAPE = re.compile(r"rect\(0(?:px)?,0(?:px)?,0(?:px)?,0(?:px)?\)|inset\((?:50|100)%\)|scale\(0\)|circle\(0")


def style_of(text: str) -> dict[str, str]:
    """
    >>> style_of("Left: -9999px; color : RED")
    {'left': '-9999px', 'color': 'red'}
    """
    pairs = (part.partition(":") for part in "".join(_STYLE_COMMENT.sub("", text).split()).casefold().split(";"))
    # No value that hides something is long, and a long one would keep the patterns below busy for ever.
    return {name: value.removesuffix("!important")[:STYLE_VALUE_MAX] for name, _, value in pairs}


def _colour(text: str) -> str:
    """
    >>> _colour("#FFF") == _colour("white") == _colour("#ffffff")
    True
    """
    text = {"white": "#ffffff", "black": "#000000"}.get(text, text).casefold()
    return "#" + "".join(2 * digit for digit in text[1:]) if re.fullmatch("#[0-9a-f]{3}", text) else text
