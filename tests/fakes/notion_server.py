"""A stateful Notion of our own on loopback, in the shapes of 2025-09-03: pages, blocks, data sources and their databases.

As strict as Notion is documented to be (developers.notion.com, "Request limits", "Status codes", "Pagination", "Append block
children", "Property values"), and about requests as its own OpenAPI description is. Written by hand. Where Notion counts
characters it counts the units of UTF-16; a time is cut to the minute.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from aiohttp import web

from tests.fakes.notion_openapi import problem
from tests.fakes.serving import serving_app

TOKEN = "ntn_carpool"
VERSION = "2025-09-03"
CHILDREN_MAX = 100
BYTES_MAX = 500 * 1_000
CONTENT_MAX = 2_000
RICH_MAX = 100
PAGE_MAX = 100
FIRST = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
CODES = {
    400: "validation_error",
    401: "unauthorized",
    403: "restricted_resource",
    404: "object_not_found",
    409: "conflict_error",
    429: "rate_limited",
    500: "internal_server_error",
    503: "service_unavailable",
    504: "gateway_timeout",
}
KINDS: Mapping[str, tuple[type, ...]] = {
    "title": (list,),
    "rich_text": (list,),
    "multi_select": (list,),
    "relation": (list,),
    "number": (int, float, type(None)),
    "select": (dict, type(None)),
    "status": (dict, type(None)),
    "date": (dict, type(None)),
    "checkbox": (bool,),
    "url": (str, type(None)),
    "email": (str, type(None)),
}
"""Of the properties that can be written here: what they are in JSON."""

Thing: TypeAlias = dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code or CODES[status]


@dataclass(frozen=True)
class Fault:
    """The next request whose path starts so gets this. ``after``: it took effect, and only its answer is lost."""

    method: str
    path: str
    status: int
    retry_after_s: int | None = None
    after: bool = False


@dataclass
class NotionServer:
    base_url: str = ""
    things: dict[str, Thing] = field(default_factory=dict)
    """Pages, data sources, databases and blocks, by id, in the order in which they came to be."""
    inside: dict[str, list[str]] = field(default_factory=dict)
    """The blocks in a page or a block; a page's own pages are blocks of it."""
    hidden: set[str] = field(default_factory=set)
    """What was not shared with the connection."""
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    minutes: int = 0
    """How far its clock is."""
    _cursors: dict[str, tuple[str, int]] = field(default_factory=dict)

    # What a person does in it.

    def page(
        self, title: str, parent: str = "", values: Mapping[str, Thing] | None = None, *, shared: bool = True
    ) -> str:
        where: Thing = {"type": "workspace", "workspace": True}
        if parent:
            kind = "data_source_id" if self.things[parent]["object"] == "data_source" else "page_id"
            where = {"type": kind, kind: parent}
        name = self._title_name(parent)
        made = self._new_page(where, {**(values or {}), name: {"type": "title", "title": read(rich(title))}})
        if not shared:
            self.hidden.add(made["id"])
        return str(made["id"])

    def source(self, title: str, properties: Mapping[str, str], database: str = "") -> str:
        """A data source, with the kinds of its properties by name, in a database of its own or in this one."""
        holder = (
            self.things[database]
            if database
            else self._new("database", {"title": read(rich(title)), "data_sources": []})
        )
        kinds = {name: {"id": name[:4], "name": name, "type": kind, kind: {}} for name, kind in properties.items()}
        about = {"title": read(rich(title)), "properties": kinds, "in_trash": False, "archived": False}
        made = self._new("data_source", {**about, "parent": {"type": "database_id", "database_id": holder["id"]}})
        made["url"] = f"https://www.notion.so/{UUID(holder['id']).hex}"
        holder["data_sources"].append({"id": made["id"], "name": title})
        return str(made["id"])

    def write(self, parent: str, *blocks: Thing) -> list[str]:
        """Blocks, whatever they are, with what is in them under ``children``."""
        return [self._new_block(parent, block) for block in blocks]

    def trash(self, page: str) -> None:
        self.things[page] |= {"in_trash": True, "archived": True}

    def edit(self, page: str) -> None:
        """Somebody edits it, a minute later."""
        self.minutes += 1
        self.things[page]["last_edited_time"] = self._now()

    def texts(self, page: str) -> list[str]:
        """What the blocks of a page say."""
        blocks = [self._block(name) for name in self.inside.get(page, ())]
        return ["".join(t["plain_text"] for t in block[block["type"]].get("rich_text", ())) for block in blocks]

    # What is asked of it.

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Thing:
        """Raises ``Refused``."""
        if wrong := problem(method, path, query, body):
            raise Refused(400, wrong)
        _, _, kind, *rest = path.split("/")
        match method, kind, *rest:
            case "POST", "search":
                return self._search(body)
            case "GET", "pages" | "databases" | "data_sources", name:
                return self._shown(name, kind.removesuffix("s"))
            case "POST", "pages":
                return self._create(body)
            case "PATCH", "pages", name:
                return self._update(name, body)
            case "GET", "blocks", name, "children":
                self._shared(name)
                found = [self._block(each) for each in self.inside.get(name, ()) if not self.things[each]["in_trash"]]
                return self._listed(path, found, query)
            case "PATCH", "blocks", name, "children":
                return self._append(name, body["children"])
            case "POST", "data_sources", name, "query":
                return self._query(path, name, body)
            case _:
                raise Refused(400, f"Invalid request URL: {path}", "invalid_request_url")

    def _search(self, body: Thing) -> Thing:
        wanted = body.get("filter", {}).get("value")
        words = body.get("query", "").casefold()
        found = [
            thing
            for name, thing in self.things.items()
            if thing["object"] in ("page", "data_source")
            and wanted in (None, thing["object"])
            and not thing["in_trash"]
            and name not in self.hidden
            and words in titled(thing).casefold()
        ]
        return self._listed(f"search {words} {wanted}", found[::-1], body)

    def _create(self, body: Thing) -> Thing:
        parent, children = dict(body["parent"]), body.get("children", [])
        kind = parent.get("type") or next(iter(parent))
        if kind == "workspace":
            raise Refused(400, "Provided `parent` is not supported for internal integrations.")
        holder = self._shared(parent[kind], kind.removesuffix("_id"))
        self._editable(holder)
        self._check_blocks(children, "body.children")
        if kind == "data_source_id":
            values = self._values(body["properties"], holder["properties"])
        else:
            values = self._values(body["properties"], {"title": {"type": "title"}})
        made = self._new_page({"type": kind, kind: parent[kind]}, values)
        self.write(made["id"], *children)
        return made

    def _update(self, name: str, body: Thing) -> Thing:
        page = self._shared(name, "page")
        if page["in_trash"] and body.get("in_trash") is not False:
            raise Refused(400, "Can't edit block that is archived. You must unarchive the block before editing.")
        page["properties"] |= self._values(body.get("properties", {}), page["properties"])
        if "in_trash" in body:
            page |= {"in_trash": body["in_trash"], "archived": body["in_trash"]}
        page["last_edited_time"] = self._now()
        return page

    def _append(self, name: str, children: list[Thing]) -> Thing:
        self._editable(self._shared(name))
        self._check_blocks(children, "body.children")
        made = [self.things[each] for each in self.write(name, *children)]
        if self.things[name]["object"] == "page":
            self.things[name]["last_edited_time"] = self._now()
        return {"object": "list", "results": made, "has_more": False, "next_cursor": None, "type": "block", "block": {}}

    def _query(self, path: str, name: str, body: Thing) -> Thing:
        source = self._shared(name, "data_source")
        pages = [
            thing
            for thing in self.things.values()
            if thing["object"] == "page" and thing["parent"].get("data_source_id") == name and not thing["in_trash"]
        ]
        if condition := body.get("filter"):
            pages = [page for page in pages if self._holds(condition, page, source)]
        for sort in reversed(body.get("sorts", [])):
            self._known(sort["property"], source["properties"])
            pages.sort(
                key=lambda page: plain(page["properties"][sort["property"]]), reverse=sort["direction"] == "descending"
            )
        return self._listed(path, pages, body)

    def _holds(self, condition: Thing, page: Thing, source: Thing) -> bool:
        """A small part of Notion's filters: text and choices that are equal or contained."""
        name = condition.get("property", "")
        kind = self._known(name, source["properties"])["type"]
        if set(condition) != {"property", kind}:
            raise Refused(400, f"body failed validation: body.filter.{kind} should be defined")
        ((how, wanted),) = condition[kind].items()
        value = plain(page["properties"][name])
        if how not in ("equals", "contains"):
            raise Refused(400, f"body failed validation: body.filter.{kind}.{how} should be not present")
        return bool(value == wanted if how == "equals" else wanted in value)

    def _known(self, name: str, properties: Mapping[str, Thing]) -> Thing:
        if name not in properties:
            raise Refused(400, f"Could not find property with name or id: {name}")
        return properties[name]

    def _values(self, given: Mapping[str, Thing], properties: Mapping[str, Thing]) -> Thing:
        made: Thing = {}
        for name, value in given.items():
            if name not in properties:
                raise Refused(400, f"{name} is not a property that exists.")
            kind = properties[name]["type"]
            if kind not in KINDS or set(value) - {"type"} != {kind}:
                raise Refused(400, f"{name} is expected to be {kind}.")
            made[name] = {"id": name[:4], "type": kind, kind: self._value(name, kind, value[kind])}
        return made

    def _value(self, name: str, kind: str, held: Any) -> Any:
        where = f"body.properties.{name}.{kind}"
        fits = isinstance(held, KINDS[kind]) and not (kind == "number" and isinstance(held, bool))
        if not fits:
            raise Refused(400, f"body failed validation: {where} should be of another type")
        match kind:
            case "title" | "rich_text":
                self._check_rich(held, where)
                return read(held)
            case "multi_select" | "relation":
                at_most(len(held), 100, where)
            case "date" if held:
                try:
                    datetime.fromisoformat(held["start"])
                except ValueError:
                    raise Refused(
                        400, f"body failed validation: {where}.start should be a valid ISO 8601 date string"
                    ) from None
            case "url" if held is not None:
                at_most(units(held), 2_000, where)
            case "email" if held is not None:
                at_most(units(held), 200, where)
            case _:
                pass
        return held

    def _check_blocks(self, blocks: list[Thing], where: str) -> None:
        at_most(len(blocks), CHILDREN_MAX, where)
        for number, block in enumerate(blocks):
            self._check_rich(block[block["type"]].get("rich_text", []), f"{where}[{number}].{block['type']}.rich_text")

    def _check_rich(self, rich: list[Thing], where: str) -> None:
        at_most(len(rich), RICH_MAX, where)
        for number, part in enumerate(rich):
            at_most(units(part["text"]["content"]), CONTENT_MAX, f"{where}[{number}].text.content")
            if link := part["text"].get("link"):
                at_most(units(link["url"]), 2_000, f"{where}[{number}].text.link.url")
                if not link["url"].startswith(("http://", "https://")):
                    raise Refused(400, "Invalid URL for link.")

    def _listed(self, what: str, found: list[Thing], given: Mapping[str, Any]) -> Thing:
        size = int(given.get("page_size", PAGE_MAX))
        if not 1 <= size <= PAGE_MAX:
            raise Refused(400, f"body failed validation: page_size should be ≤ `{PAGE_MAX}`, instead was `{size}`.")
        start = 0
        if cursor := given.get("start_cursor"):
            of, start = self._cursors.get(cursor, ("", 0))
            if of != what:
                raise Refused(400, "The start_cursor provided is invalid.")
        rest = found[start + size :]
        following = str(UUID(int=0xC0 << 64 | len(self._cursors))) if rest else None
        if following:
            self._cursors[following] = (what, start + size)
        page = found[start : start + size]
        return {"object": "list", "results": page, "has_more": bool(rest), "next_cursor": following, "type": "x"}

    def _shown(self, name: str, kind: str) -> Thing:
        return self._shared(name, kind)

    def _shared(self, name: str, kind: str = "") -> Thing:
        try:
            thing = self.things.get(str(UUID(name)))
        except ValueError:
            raise Refused(400, f"path failed validation: id should be a valid uuid, instead was `{name}`.") from None
        if thing is None or name in self.hidden or (kind and thing["object"] != kind):
            raise Refused(
                404,
                f"Could not find {kind or 'block'} with ID: {name}. Make sure the relevant pages and databases are shared "
                "with your integration.",
            )
        return thing

    def _editable(self, thing: Thing) -> None:
        if thing["in_trash"]:
            raise Refused(400, "Can't edit block that is archived. You must unarchive the block before editing.")

    def _title_name(self, parent: str) -> str:
        properties = (
            self.things[parent]["properties"] if parent and self.things[parent]["object"] == "data_source" else {}
        )
        return next((name for name, about in properties.items() if about["type"] == "title"), "title")

    def _new_page(self, parent: Thing, values: Thing) -> Thing:
        if "data_source_id" in parent:
            kinds = self.things[parent["data_source_id"]]["properties"]
            empty = {
                name: {"id": about["id"], "type": about["type"], about["type"]: _nothing(about["type"])}
                for name, about in kinds.items()
            }
            values = {**empty, **values}
        made = self._new("page", {"parent": parent, "properties": values, "in_trash": False, "archived": False})
        made["url"] = f"https://www.notion.so/{UUID(made['id']).hex}"
        if "page_id" in parent:
            self.inside.setdefault(parent["page_id"], []).append(made["id"])
        return made

    def _new_block(self, parent: str, block: Thing) -> str:
        kind, children = block["type"], block.get("children", [])
        held = dict(block[kind])
        for rich_field in ("rich_text", "caption"):
            if rich_field in held:
                held[rich_field] = read(held[rich_field])
        if "cells" in held:
            held["cells"] = [read(cell) for cell in held["cells"]]
        about = {"type": kind, kind: held, "has_children": bool(children), "in_trash": False, "archived": False}
        made = self._new("block", about)
        self.inside.setdefault(parent, []).append(made["id"])
        self.write(made["id"], *children)
        return str(made["id"])

    def _block(self, name: str) -> Thing:
        """A page is a block of its parent, under the id that it has everywhere."""
        thing = self.things[name]
        if thing["object"] != "page":
            return thing
        kept = {key: thing[key] for key in ("id", "created_time", "last_edited_time", "in_trash", "archived")}
        about = {
            "type": "child_page",
            "child_page": {"title": titled(thing)},
            "has_children": bool(self.inside.get(name)),
        }
        return {**kept, **about, "object": "block"}

    def _new(self, kind: str, about: Thing) -> Thing:
        name = str(UUID(int=0xBEEF << 96 | len(self.things) + 1))
        now = self._now()
        made = {"object": kind, "id": name, "created_time": now, "last_edited_time": now, **about}
        self.things[name] = made
        return made

    def _now(self) -> str:
        return f"{FIRST + timedelta(minutes=self.minutes):%Y-%m-%dT%H:%M:00.000Z}"


def _nothing(kind: str) -> Any:
    return [] if kind in ("title", "rich_text", "multi_select", "relation", "people", "files") else None


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def at_most(size: int, most: int, where: str) -> None:
    if size > most:
        raise Refused(400, f"body failed validation: {where}.length should be ≤ `{most}`, instead was `{size}`.")


def rich(text: str) -> list[Thing]:
    return [{"type": "text", "text": {"content": text}}]


def read(parts: list[Thing]) -> list[Thing]:
    """Rich text that was sent, as it comes back."""
    plain_styles = dict.fromkeys(("bold", "italic", "strikethrough", "underline", "code"), False)
    return [
        {
            "type": "text",
            "text": {"content": part["text"]["content"], "link": part["text"].get("link")},
            "annotations": {**plain_styles, "color": "default", **part.get("annotations", {})},
            "plain_text": part["text"]["content"],
            "href": (part["text"].get("link") or {}).get("url"),
        }
        for part in parts
    ]


def plain(value: Thing) -> str:
    held = value[value["type"]]
    if isinstance(held, list):
        return "".join(part.get("plain_text", "") for part in held)
    return str(held["name"] if isinstance(held, dict) and "name" in held else held)


def titled(thing: Thing) -> str:
    if thing["object"] == "data_source":
        return "".join(part["plain_text"] for part in thing["title"])
    return next((plain(value) for value in thing["properties"].values() if value["type"] == "title"), "")


@asynccontextmanager
async def notion_server() -> AsyncIterator[NotionServer]:
    server = NotionServer()

    async def answer(request: web.Request) -> web.StreamResponse:
        server.asked.append(f"{request.method} {request.path}")
        fault = next(
            (one for one in server.faults if request.method == one.method and request.path.startswith(one.path)), None
        )
        if fault is not None:
            server.faults.remove(fault)
        try:
            if fault is not None and not fault.after:
                raise Refused(fault.status, "This failed, and here is ntn_carpool.")
            given = server.answer(request.method, request.path, request.query, await _body(request))
            if fault is not None:
                raise Refused(fault.status, "This failed, and here is ntn_carpool.")
        except Refused as refused:
            body = {
                "object": "error",
                "status": refused.status,
                "code": refused.code,
                "message": str(refused),
                "request_id": "r",
            }
            wait_s = fault.retry_after_s if fault is not None else None
            headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
            return web.json_response(body, status=refused.status, headers=headers)
        return web.json_response(given)

    app = web.Application(client_max_size=10 * BYTES_MAX)
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving_app(app) as server.base_url:
        yield server


async def _body(request: web.Request) -> Any:
    """Raises ``Refused``."""
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Refused(401, "API token is invalid.")
    if request.headers.get("Notion-Version") != VERSION:
        raise Refused(400, "Notion-Version header should be defined.", "missing_version")
    whole = await request.read()
    if len(whole) > BYTES_MAX:
        raise Refused(400, "body failed validation: the payload is larger than 500KB.")
    if not whole:
        return None
    if request.content_type != "application/json":
        raise Refused(400, "Error parsing JSON body.", "invalid_json")
    try:
        return json.loads(whole)
    except ValueError:
        raise Refused(400, "Error parsing JSON body.", "invalid_json") from None
