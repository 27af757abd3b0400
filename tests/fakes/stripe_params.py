"""Whether a request has the shape that the SDK's own types give it, all the way down.

Stripe refuses a parameter that it does not know, one that is missing, and a value of another kind or outside its list
(docs.stripe.com/api/errors). What the SDK says of each call is taken at its word. A request comes as a form: each value is text.
"""

import re
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

import stripe
import typing_extensions

from tests.fakes.stripe_account import Refused, Thing

OPTIONS = frozenset(stripe.RequestOptions.__annotations__)
"""What the SDK takes beside, and sends as headers or not at all."""

_WRAPPERS = (typing_extensions.NotRequired, typing_extensions.Required)
_LITERALS = (Literal, typing_extensions.Literal)
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")


def find(known: Mapping[tuple[str, str], type], method: str, path: str) -> type | None:
    """``{id}`` in a known path stands for any name."""
    exact = known.get((method, path))
    if exact is not None:
        return exact
    words = path.split("/")
    for (known_method, template), kind in known.items():
        wanted = template.split("/")
        if known_method == method and len(wanted) == len(words):
            matches = [want in ("{id}", word) for want, word in zip(wanted, words, strict=True)]
            if all(matches):
                return kind
    return None


def check(kind: type, given: Thing, path: str = "") -> None:
    """Raises ``Refused`` as Stripe does."""
    hints = _hints(kind)
    for name, value in given.items():
        where = f"{path}[{name}]" if path else name
        if name not in hints or (not path and name in OPTIONS):
            raise _refused(f"Received unknown parameter: {where}", where, "parameter_unknown")
        _check_value(hints[name], value, where)
    for name in sorted(getattr(kind, "__required_keys__", frozenset()) - given.keys()):
        where = f"{path}[{name}]" if path else name
        raise _refused(f"Missing required param: {where}.", where, "parameter_missing")


@cache
def _hints(kind: type) -> dict[str, Any]:
    # The two names that the SDK imports for type checkers alone.
    return typing.get_type_hints(kind, localns={"StripeContext": object, "Mapping": Mapping})


def _check_value(kind: Any, value: Any, where: str) -> None:
    while get_origin(kind) in _WRAPPERS:
        (kind,) = get_args(kind)
    origin = get_origin(kind)
    if origin is typing.Union:
        _check_one_of(get_args(kind), value, where)
    elif origin in _LITERALS:
        if value not in get_args(kind):
            listed = ", ".join(str(item) for item in get_args(kind) if item)
            raise _refused(f"Invalid {where}: must be one of {listed}", where)
    elif origin is list:
        if not isinstance(value, list):
            raise _refused(f"Invalid array: {where}", where)
        for n, item in enumerate(value):
            _check_value(get_args(kind)[0], item, f"{where}[{n}]")
    elif typing.is_typeddict(kind) or typing_extensions.is_typeddict(kind):
        if not isinstance(value, dict):
            raise _refused(f"Invalid object: {where}", where)
        check(kind, value, where)
    else:
        _check_plain(kind, value, where)


def _check_one_of(kinds: tuple[Any, ...], value: Any, where: str) -> None:
    """The last refusal is told: an object's own says more than that it is no text. A list of values that the SDK leaves open is
    closed here, as it is at Stripe."""
    refused: Refused | None = None
    closed = any(get_origin(kind) in _LITERALS and any(get_args(kind)) for kind in kinds)
    for kind in kinds:
        if closed and kind is str:
            continue
        try:
            _check_value(kind, value, where)
            return
        except Refused as error:
            refused = error
    if refused is not None:
        raise refused


def _check_plain(kind: Any, value: Any, where: str) -> None:
    text = value if isinstance(value, str) else None
    if kind is int and (text is None or not _WHOLE.fullmatch(text)):
        raise _refused(f"Invalid integer: {value}", where, "parameter_invalid_integer")
    if kind is float and (text is None or not _NUMBER.fullmatch(text)):
        raise _refused(f"Invalid decimal: {value}", where)
    if kind is bool and text not in ("true", "false"):
        raise _refused(f"Invalid boolean: {value}", where)
    if kind is str and text is None:
        raise _refused(f"Invalid string: {where}", where)
    if getattr(kind, "__name__", "") in ("dict", "Dict", "UntypedStripeObject") and text is not None:
        raise _refused(f"Invalid object: {where}", where)


def _refused(message: str, param: str, code: str = "") -> Refused:
    return Refused(400, "invalid_request_error", message, code, param)
