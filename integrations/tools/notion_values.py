"""The values of a page's properties, in words, and of words. Pure."""

from collections.abc import Mapping
from typing import Any

from adapters.messages import Json, JsonObject
from integrations.tools.base import Invalid
from integrations.tools.notion_client import Thing
from integrations.tools.notion_text import identity, plain, rich_text

PROPERTIES: JsonObject = {
    "type": "object",
    "maxProperties": 50,
    "additionalProperties": {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"type": "string"}, "maxItems": 100},
        ]
    },
}
"""By name: text, numbers, true and false, lists of names or of pages' ids; null makes one empty."""

_NAMED = frozenset({"select", "status"})
_AS_THEY_ARE = frozenset({"number", "checkbox", "url", "email", "phone_number", "created_time", "last_edited_time"})


def shown(value: Thing) -> str:
    """In words; empty where there is none."""
    kind: str = value["type"]
    held: Any = value.get(kind)
    if held is None:
        return ""
    if kind in _AS_THEY_ARE:
        return _scalar(held)
    if kind in _NAMED:
        return str(held["name"])
    match kind:
        case "title" | "rich_text":
            return plain(held)
        case "multi_select":
            return ", ".join(each["name"] for each in held)
        case "date":
            return f"{held['start']} to {held['end']}" if held.get("end") else str(held["start"])
        case "people":
            return ", ".join(each.get("name") or each["id"] for each in held)
        case "created_by" | "last_edited_by":
            return str(held.get("name") or held["id"])
        case "files":
            return ", ".join(each["name"] for each in held)
        case "relation":
            return ", ".join(each["id"] for each in held)
        case "unique_id":
            return f"{held['prefix']}-{held['number']}" if held.get("prefix") else str(held["number"])
        case "formula":
            return shown({"type": "date", **held}) if held["type"] == "date" else _scalar(held[held["type"]])
        case "rollup":
            return _rollup(held)
        case _:
            return f"({kind})"


def _scalar(held: Any) -> str:
    match held:
        case None:
            return ""
        case bool():
            return "yes" if held else "no"
        case _:
            return str(held)


def _rollup(held: Thing) -> str:
    match held["type"]:
        case "array":
            return ", ".join(map(shown, held["array"]))
        case "date":
            return shown(held)
        case kind:
            return _scalar(held.get(kind))


def title_of(thing: Thing) -> str:
    """Of a page, a data source or a database."""
    if "title" in thing:
        return plain(thing["title"])
    return next((shown(value) for value in thing["properties"].values() if value["type"] == "title"), "")


def title_name(properties: Mapping[str, Thing]) -> str:
    """The name of the property that is the title. Raises ``KeyError`` where none is."""
    return {about["type"]: name for name, about in properties.items()}["title"]


def written(given: JsonObject, properties: Mapping[str, Thing]) -> dict[str, Any]:
    """In Notion's form, by the kinds that the properties have there. Raises ``Invalid``."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name not in properties:
            known = ", ".join(properties)
            raise Invalid(f"no property {name}", "There is no property {0}; there are: {1}.", name, known)
        kind: str = properties[name]["type"]
        made[name] = {kind: _made(name, kind, value)}
    return made


def _made(name: str, kind: str, value: Json) -> Any:
    match kind, value:
        case (("title" | "rich_text" | "multi_select" | "relation"), None):
            return []
        case (("number" | "select" | "status" | "date" | "url" | "email" | "phone_number"), None):
            return None
        case (("title" | "rich_text"), str()):
            return rich_text(value)
        case (("url" | "email" | "phone_number"), str()):
            return value
        case (("select" | "status"), str()):
            return {"name": value}
        case "date", str():
            start, _, end = value.partition(" to ")
            return {"start": start, "end": end} if end else {"start": start}
        case "checkbox", bool():
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return value
        case "multi_select", list():
            return [{"name": str(each)} for each in value]
        case "relation", list():
            return [{"id": identity(str(each))} for each in value]
        case _:
            raise Invalid(
                f"{name} is a {kind}", "The property {0} is of the kind {1}, which cannot be set so.", name, kind
            )
