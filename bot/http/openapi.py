"""The explorer's addresses in OpenAPI 3.1: each parameter, each status, each field.

The entries' schemas are read off the actions' own dataclasses, so that a new action, or a new field, is described as it comes.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints

from ledger.actions import ACTIONS, field_names
from ledger.entry import INTEGER_MAX, VERSION

Schema: TypeAlias = dict[str, Any]
"""JSON, as OpenAPI has it."""

_COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX}
_HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_HASH: Schema = {"type": "string", "pattern": "^ps-sha256:[0-9a-f]{64}$"}
_TEXT: Schema = {"type": "string"}
_PATH: Schema = {"type": "array", "items": _HEX, "maxItems": 64, "description": "From the leaf's end up, in hex."}


def document(page_entries_max: int) -> Schema:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RoadChain explorer",
            "version": "1",
            "description": (
                "A ledger that anybody can check. It is read only: each address takes GET and HEAD. An entry is its canonical"
                " bytes (RFC 8785), in which people and places have pseudonyms and texts are commitments. Hashes are"
                " SHA-256, and the tree over them is that of RFC 6962."
            ),
        },
        "paths": _paths(page_entries_max),
        "components": {"schemas": _schemas()},
    }


def _paths(page_entries_max: int) -> Schema:
    seq = _parameter("seq", "path", "The entry's number, from 0.", _COUNT, required=True)
    size = _parameter(
        "size", "query", "The tree's size. Without it: the one that was signed last, or the whole ledger.", _COUNT
    )
    tile = _parameter(
        "path",
        "path",
        "`<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]` of C2SP tlog-tiles; its slashes are not escaped.",
        _TEXT,
        required=True,
    )
    return {
        "/v1/openapi.json": _get("This description.", [], _json({"type": "object"})),
        "/v1/ledger/entries": _get(
            "A page of entries, in order.",
            [
                _parameter(
                    "after", "query", "The last entry that is known already: `next` of the page before.", _COUNT
                ),
                _parameter(
                    "limit", "query", "How many.", {"type": "integer", "minimum": 1, "maximum": page_entries_max}
                ),
            ],
            _json(_ref("Page")),
        ),
        "/v1/ledger/entries/{seq}": _get("One entry. It never changes.", [seq], _json(_ref("Shown"))),
        "/v1/ledger/proof/{seq}": _get(
            "The inclusion proof of an entry (RFC 9162, 2.1.3).", [seq, size], _json(_ref("Proof"))
        ),
        "/v1/ledger/consistency": _get(
            "The proof that one tree continues another (RFC 9162, 2.1.4).",
            [
                _parameter("from", "query", "The older tree's size, from 1.", {**_COUNT, "minimum": 1}, required=True),
                _parameter("to", "query", "The newer tree's size. Without it: as `size` of a proof.", _COUNT),
            ],
            _json(_ref("Consistency")),
        ),
        "/v1/ledger/checkpoint": _get("The checkpoint that was signed last.", [], _json(_ref("Checkpoint"))),
        "/ledger/checkpoint": _get("The same as a C2SP signed note.", [], {"text/plain": {"schema": _TEXT}}),
        "/ledger/tile/{path}": _get(
            "A tile, or a bundle of entries, of the signed tree. It never changes.",
            [tile],
            {"application/octet-stream": {"schema": {}}},
        ),
    }


def _schemas() -> Schema:
    entries = {name: _entry(name) for name in ACTIONS}
    mapping = {name: f"#/components/schemas/{name}" for name in ACTIONS}
    return {
        **entries,
        **_nested(),
        "Entry": {
            "oneOf": [_ref(name) for name in ACTIONS],
            "discriminator": {"propertyName": "action", "mapping": mapping},
        },
        "Posting": _object(
            {"account": _TEXT, "currency": _TEXT, "amount": {"type": "string", "pattern": "^-?[1-9][0-9]*$"}}
        ),
        "StripeObject": _object({"object": _TEXT, "id": _TEXT}),
        "Commitment": _object({"commitment": _HEX, "length": _COUNT}),
        "Shown": _object({"hash": _HASH, "entry": _ref("Entry")}),
        "Page": _object(
            {
                "entries": {"type": "array", "items": _ref("Shown")},
                "next": {
                    **_COUNT,
                    "type": ["integer", "null"],
                    "description": "`after` of the next page; null at the end.",
                },
                "size": _COUNT,
            }
        ),
        "Proof": _object({"seq": _COUNT, "size": _COUNT, "hash": _HASH, "root": _HEX, "path": _PATH}),
        "Consistency": _object({"from": _COUNT, "to": _COUNT, "from_root": _HEX, "to_root": _HEX, "path": _PATH}),
        "Checkpoint": _object({"origin": _TEXT, "size": _COUNT, "root": _HEX, "note": _TEXT}),
        "Error": _object({"error": {**_TEXT, "description": "A sentence for whoever sent the request."}}),
    }


def _entry(name: str) -> Schema:
    kind = ACTIONS[name]
    economic = getattr(kind, "type", None)
    envelope: Schema = {
        "v": {"const": VERSION},
        "seq": _COUNT,
        "ts": {**_COUNT, "description": "What the clock said, in microseconds since 1970 (UTC)."},
        "mono": {**_COUNT, "description": "The same, and never below that of the entry before."},
        "action": {"const": name},
        "turn": _TEXT,
        "actor": _TEXT,
        "workspace": _TEXT,
        "idem": _TEXT,
        "postings": {"type": "array", "items": _ref("Posting")},
        "stripe": {"anyOf": [_object({}), _ref("StripeObject")]},
        "payload": {"anyOf": [{"type": "null"}, _ref("Commitment")]},
        "prev": {"anyOf": [{"const": "GENESIS"}, _HASH]},
        **({"type": {"const": economic}} if economic else {}),
    }
    own = _record(kind)
    return {
        **own,
        "properties": {**envelope, **own["properties"]},
        "required": [*envelope, *own["required"]],
    }


def _nested() -> Schema:
    """The records that stand in a field of an action."""
    found: dict[str, Schema] = {}
    for kind in ACTIONS.values():
        for hint in get_type_hints(kind).values():
            if get_origin(hint) is tuple:
                (record, _) = get_args(hint)
                found[record.__name__] = _record(record)
    return found


def _record(kind: type) -> Schema:
    """A dataclass of the ledger. A field with a default came later: older entries have it not."""
    hints = get_type_hints(kind)
    optional = {item.name for item in fields(kind) if item.default is not MISSING}
    about = inspect.getdoc(kind) or ""
    return {
        **_object({name: _value(hints[name]) for name in field_names(kind)}),
        "required": [name for name in field_names(kind) if name not in optional],
        # A dataclass without words of its own has its signature there.
        **({} if about.startswith(f"{kind.__name__}(") else {"description": about}),
    }


def _value(hint: Any) -> Schema:
    """A field's type: see ``ledger.actions`` for what there is."""
    if isinstance(hint, NewType):
        return _value(hint.__supertype__)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is tuple:
        return {"type": "array", "items": _ref(inner[0].__name__)}
    if origin in (Union, UnionType):
        return {"anyOf": [_value(item) for item in inner]}
    if hint is int:
        return {"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX}
    return {"type": {str: "string", bool: "boolean", NoneType: "null"}[hint]}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _parameter(name: str, where: str, about: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": where, "required": required, "description": about, "schema": schema}


def _get(summary: str, parameters: Sequence[Schema], content: Schema) -> Schema:
    refused = {"description": "Refused, and why.", "content": _json(_ref("Error"))}
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "responses": {
                "200": {"description": summary, "content": content},
                "304": {"description": "The client has it already: its ETag is still that of the body."},
                "400": refused,
                "404": refused,
                "405": refused,
                "500": refused,
            },
        }
    }
