"""What may be asked of Notion, by the OpenAPI description that its own MCP server carries, without its errors.

It contradicts its own prose in four places that are about what is sent here: ``ERRORS`` names them, and what is meant.
Stricter than the description: what a request's body does not name is refused.
"""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.emulators import EMULATORS, EmulatorMissing

FILE = EMULATORS / "@notionhq" / "notion-mcp-server" / "scripts" / "notion-openapi.json"
RICH = {"type": "array", "items": {"$ref": "#/components/schemas/richTextRequest"}, "maxItems": 100}


@dataclass(frozen=True)
class Wrong:
    """``where``: the way into the description. ``said``: what stands there, None for nothing. ``meant``: what its prose says."""

    where: tuple[str, ...]
    said: Any
    meant: Any


def _block(kind: str, properties: Mapping[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    inner = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {
        "type": "object",
        "properties": {kind: inner, "type": {"enum": [kind], "type": "string"}},
        "required": [kind],
        "additionalProperties": False,
    }


_TEXTS = ("paragraph", "heading_1", "heading_2", "heading_3", "bulleted_list_item", "numbered_list_item", "quote")
_STYLES = {name: {"type": "boolean"} for name in ("bold", "italic", "strikethrough", "underline", "code")}
_POST_PAGE = ("paths", "/v1/pages", "post", "requestBody", "content", "application/json", "schema", "properties")

ERRORS: Mapping[str, Wrong] = {
    "the children of a new page are strings, where its prose says block objects": Wrong(
        (*_POST_PAGE, "children", "items"), {"type": "string"}, {"$ref": "#/components/schemas/blockObjectRequest"}
    ),
    "a parent that is a data source is named as a database, in an edition that replaces those": Wrong(
        ("components", "schemas", "dataSourceIdParentRequest"),
        {
            "type": "object",
            "properties": {
                "type": {"type": "string", "const": "database_id"},
                "database_id": {"type": "string", "format": "uuid"},
            },
            "required": ["database_id"],
        },
        {
            "type": "object",
            "properties": {
                "type": {"type": "string", "const": "data_source_id"},
                "data_source_id": {"type": "string", "format": "uuid"},
            },
            "required": ["data_source_id"],
        },
    ),
    "of the block objects that its prose speaks of, there are only paragraphs and bullets": Wrong(
        ("components", "schemas", "blockObjectRequest"),
        {
            "anyOf": [
                {"$ref": "#/components/schemas/paragraphBlockRequest"},
                {"$ref": "#/components/schemas/bulletedListItemBlockRequest"},
            ]
        },
        {
            "anyOf": [
                *(_block(kind, {"rich_text": RICH}, ("rich_text",)) for kind in _TEXTS),
                _block("to_do", {"rich_text": RICH, "checked": {"type": "boolean"}}, ("rich_text",)),
                _block("code", {"rich_text": RICH, "language": {"type": "string"}}, ("rich_text", "language")),
                _block("divider", {}, ()),
            ]
        },
    ),
    "a rich text has no annotations, which it is read with": Wrong(
        ("components", "schemas", "richTextRequest", "properties", "annotations"),
        None,
        {
            "type": "object",
            "properties": {**_STYLES, "color": {"type": "string"}},
            "additionalProperties": False,
        },
    ),
}


@cache
def described() -> dict[str, Any]:
    """As it is. Raises ``EmulatorMissing``."""
    if not FILE.exists():
        raise EmulatorMissing("Notion's description is not installed: run `make test`, which installs it.")
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def at(document: Any, where: tuple[str, ...]) -> Any:
    for key in where:
        document = document.get(key)
    return document


@cache
def _meant() -> dict[str, Any]:
    document = copy.deepcopy(described())
    for wrong in ERRORS.values():
        at(document, wrong.where[:-1])[wrong.where[-1]] = copy.deepcopy(wrong.meant)
    return document


def problem(method: str, path: str, query: Mapping[str, str], body: Any) -> str:
    """What is wrong with a request, in words that end in an answer; empty where nothing is."""
    document = _meant()
    for template, operations in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
            operation = operations[method.lower()]
            return _in_query(operation, query) or _in_body(template, method.lower(), body)
    return f"there is no {method} {path}"


def _in_query(operation: Mapping[str, Any], query: Mapping[str, str]) -> str:
    known = {each["name"]: each["schema"] for each in operation.get("parameters", ()) if each.get("in") == "query"}
    for name, value in query.items():
        if name not in known:
            return f"query.{name} is not known"
        if known[name].get("type") == "integer" and not value.isdecimal():
            return f"query.{name} should be a number"
    return ""


def _in_body(template: str, method: str, body: Any) -> str:
    checks = _validator(template, method)
    if checks is None:
        return "" if body is None else "body should be not present"
    fault = next(checks.iter_errors(body), None)
    return "" if fault is None else f"body failed validation: {fault.json_path}: {fault.message[:200]}"


@cache
def _validator(template: str, method: str) -> Draft202012Validator | None:
    document = _meant()
    operation = document["paths"][template][method]
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "additionalProperties": False, "components": document["components"]})
