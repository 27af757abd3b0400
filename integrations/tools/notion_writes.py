"""What an agent may change in Notion. What is written ends in a line with its mark, by which it is found again.

Each write is one request, so that none is half done. An update names when the page was last edited as it was read, and is refused
where that has moved: to the minute, which is as exact as Notion is.
"""

import difflib
import re
from typing import Any

from adapters.messages import JsonObject, ToolCall
from integrations.sentence import Sentence, Told
from integrations.tools.base import Conflict, Invalid, NotAllowed, Preview, Tool, ToolLimits, Unknown, Use, parameters
from integrations.tools.marker import MARK, marker
from integrations.tools.notion_client import CONNECTION, SERVICE, Notion, NotionClient, Thing
from integrations.tools.notion_text import blocks_of, identity, note, plain, rich_text
from integrations.tools.notion_values import PROPERTIES, shown, title_name, title_of, written
from integrations.tools.writes import Write, tool_of

WRITE_LIMITS = ToolLimits(timeout_s=60.0)
SOUGHT_BLOCKS_MAX = 3_000
SOUGHT_PAGES_MAX = 20
"""How much is looked through for a mark. Where there is more, it is not known."""

ID: JsonObject = {"type": "string", "minLength": 32, "maxLength": 500}
TITLE: JsonObject = {"type": "string", "minLength": 1, "maxLength": 500}
CONTENT: JsonObject = {"type": "string", "maxLength": 60_000}


def writing_tools(client: NotionClient) -> list[Tool]:
    return [tool_of(client, write, WRITE_LIMITS, CONNECTION) for write in WRITES]


async def source_of(notion: Notion, given: str) -> Thing:
    """The data source; also by the id of a database that has but one, since that is what its address says. Raises ``Invalid``."""
    name = identity(given)
    source = await notion.found(f"data_sources/{name}")
    database = None if source else await notion.found(f"databases/{name}")
    if database is None:
        return source or await notion.get(f"data_sources/{name}")  # which says what is wrong
    sources = database["data_sources"]
    if len(sources) != 1:
        known = ", ".join(f"{each['name']} ({each['id']})" for each in sources) or "none"
        raise Invalid(
            "several data sources", "This database has these data sources, of which one has to be named: {0}.", known
        )
    return await notion.get(f"data_sources/{sources[0]['id']}")


def _body(use: Use) -> list[Thing]:
    """Raises ``Invalid``."""
    return [*blocks_of(use.text("content")), note(marker(use))]


async def _page(notion: Notion, use: Use) -> Thing:
    """Raises ``Conflict`` where it lies in the trash."""
    page = await notion.get(f"pages/{identity(use.text('page'))}")
    if page["in_trash"]:
        raise Conflict(f"{SERVICE}: in the trash", "The page lies in the trash.")
    return page


def _given(use: Use) -> JsonObject:
    given = use.call.arguments.get("properties", {})
    if not isinstance(given, dict):
        raise Invalid("properties are no object", "properties has to be an object.")
    return given


async def _new(notion: Notion, use: Use) -> tuple[str, dict[str, Any]]:
    """Where the new page would lie, in words, and what it would be. Raises ``Invalid``, ``Conflict``."""
    title, given = use.text("title"), _given(use)
    if bool(use.text("page")) == bool(use.text("data_source")):
        raise Invalid("where to", "Either page or data_source says where the new page lies.")
    if use.text("page"):
        parent = await _page(notion, use)
        if given:
            raise Invalid("properties in a page", "Only a page in a data source has properties.")
        where = {"type": "page_id", "page_id": parent["id"]}
        properties = {"title": {"title": rich_text(title)}}
    else:
        parent = await source_of(notion, use.text("data_source"))
        where = {"type": "data_source_id", "data_source_id": parent["id"]}
        properties = written({**given, title_name(parent["properties"]): title}, parent["properties"])
    return title_of(parent), {"parent": where, "properties": properties, "children": _body(use)}


async def _create(notion: Notion, use: Use) -> str:
    _, body = await _new(notion, use)
    page = await notion.post("pages", body)
    return f"Created the page {page['id']}: {page['url']}"


async def _show_create(notion: Notion, use: Use) -> Preview:
    where, _ = await _new(notion, use)
    values: list[tuple[Told, Told]] = [(name, _words(value)) for name, value in _given(use).items()]
    content = [(Sentence("Content"), use.text("content"))] if use.text("content") else []
    fields = ((Sentence("In"), where), (Sentence("Title"), use.text("title")), *values, *content)
    return Preview(Sentence("Create a page in Notion"), fields, irreversible=_SEEN)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


async def _seek_create(notion: Notion, use: Use) -> str | None:
    """Among the pages there that have its title. Raises ``Unknown`` where not all could be looked through."""
    if use.text("page"):
        found, more = await notion.children(identity(use.text("page")), SOUGHT_BLOCKS_MAX)
        pages = [
            each for each in found if each["type"] == "child_page" and each["child_page"]["title"] == use.text("title")
        ]
    else:
        source = await source_of(notion, use.text("data_source"))
        same = {"property": title_name(source["properties"]), "title": {"equals": use.text("title")}}
        pages, more = await notion.posted(f"data_sources/{source['id']}/query", {"filter": same}, SOUGHT_PAGES_MAX)
    newest = sorted(pages, key=lambda each: str(each["created_time"]), reverse=True)
    for page in newest[:SOUGHT_PAGES_MAX]:
        if await _marked(notion, page["id"], use):
            made = await notion.get(f"pages/{page['id']}")
            return f"Created the page {made['id']}: {made['url']}"
    if more or len(newest) > SOUGHT_PAGES_MAX:
        raise Unknown(f"{SERVICE}: more than were looked through", "It is not known whether this was done.")
    return None


async def _marked(notion: Notion, page: str, use: Use) -> bool:
    """Whether the mark of this use stands on a page. Raises ``Unknown`` where not all of it could be looked through."""
    mark = marker(use)
    found, more = await notion.children(page, SOUGHT_BLOCKS_MAX)
    if any(each["type"] == "paragraph" and mark in plain(each["paragraph"]["rich_text"]) for each in found):
        return True
    if more:
        raise Unknown(f"{SERVICE}: more than {SOUGHT_BLOCKS_MAX} blocks", "It is not known whether this was done.")
    return False


async def _append(notion: Notion, use: Use) -> str:
    page = await _page(notion, use)
    await notion.patch(f"blocks/{page['id']}/children", {"children": _body(use)})
    return f"Appended to {page['url']}"


async def _show_append(notion: Notion, use: Use) -> Preview:
    _body(use)
    page = await _page(notion, use)
    fields = ((Sentence("Page"), title_of(page)), (Sentence("Content"), use.text("content")))
    return Preview(Sentence("Append to a page in Notion"), fields, irreversible=_STAYS)


async def _seek_append(notion: Notion, use: Use) -> str | None:
    page = await notion.get(f"pages/{identity(use.text('page'))}")
    return f"Appended to {page['url']}" if await _marked(notion, page["id"], use) else None


async def _change(notion: Notion, use: Use) -> tuple[Thing, dict[str, Any]]:
    """The page, and what would be sent. Raises ``Conflict`` where it is not the one that the model read, and ``Invalid``."""
    page, given = await notion.get(f"pages/{identity(use.text('page'))}"), _given(use)
    if page["last_edited_time"] != use.text("last_edited"):
        raise Conflict(f"{SERVICE}: the page has moved", "The page is not what it was when it was read; read it again.")
    body: dict[str, Any] = {"properties": written(given, page["properties"])} if given else {}
    if "in_trash" in use.call.arguments:
        body["in_trash"] = use.call.arguments["in_trash"]
    if not body:
        raise Invalid("nothing to change", "Either properties or in_trash says what changes.")
    return page, body


async def _update(notion: Notion, use: Use) -> str:
    page, body = await _change(notion, use)
    await notion.patch(f"pages/{page['id']}", body)
    return f"Updated {page['url']}"


async def _show_update(notion: Notion, use: Use) -> Preview:
    page, body = await _change(notion, use)
    before, after = _states(page, body)
    diff = "".join(difflib.unified_diff(before, after, "before", "after", n=0))
    fields = ((Sentence("Page"), title_of(page)), (Sentence("Address"), str(page["url"])))
    return Preview(Sentence("Update a page in Notion"), fields, diff, "" if set(body) == {"in_trash"} else _ABOVE)


def _states(page: Thing, body: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What of the page would change, by lines: as it is, and as it would be."""
    before, after = [], []
    for name, value in body.get("properties", {}).items():
        before.append(f"{name}: {shown(page['properties'][name])}\n")
        after.append(f"{name}: {shown(_as_read(value))}\n")
    if "in_trash" in body:
        before.append(f"in the trash: {'yes' if page['in_trash'] else 'no'}\n")
        after.append(f"in the trash: {'yes' if body['in_trash'] else 'no'}\n")
    return before, after


def _as_read(value: Thing) -> Thing:
    """A value that is sent, in the form that it would come back in."""
    ((kind, held),) = value.items()
    if kind in ("title", "rich_text"):
        held = [{"plain_text": part["text"]["content"]} for part in held]
    return {"type": kind, kind: held}


async def _seek_update(notion: Notion, use: Use) -> str | None:
    """A property carries no mark. Where the page has the values, nothing is left to do, whoever set them."""
    page = await notion.get(f"pages/{identity(use.text('page'))}")
    given = _given(use)
    body: dict[str, Any] = {"properties": written(given, page["properties"])} if given else {}
    if "in_trash" in use.call.arguments:
        body["in_trash"] = use.call.arguments["in_trash"]
    before, after = _states(page, body)
    if before == after:
        return f"The page has these values: {page['url']}"
    if page["last_edited_time"] == use.text("last_edited"):
        return None
    raise Unknown(f"{SERVICE}: the page has moved", "The page was edited since; it is not known by whom.")


async def _made_here(notion: Notion, use: Use) -> Thing:
    """The page, with a mark of ours on it. Raises ``Conflict``, ``NotAllowed``."""
    page = await _page(notion, use)
    found, _ = await notion.children(page["id"], SOUGHT_BLOCKS_MAX)
    marked = any(
        each["type"] == "paragraph" and re.search(MARK, plain(each["paragraph"]["rich_text"])) for each in found
    )
    if not marked:
        raise NotAllowed(f"{SERVICE}: no mark", "That page has no mark of CarPool, and only what has is taken back.")
    return page


async def _trash(notion: Notion, use: Use) -> str:
    page = await _made_here(notion, use)
    await notion.patch(f"pages/{page['id']}", {"in_trash": True})
    return f"Put into the trash: {page['url']}"


async def _show_trash(notion: Notion, use: Use) -> Preview:
    page = await _made_here(notion, use)
    fields = (
        (Sentence("Page"), title_of(page)),
        (Sentence("Address"), str(page["url"])),
        (Sentence("Last edited"), str(page["last_edited_time"])),
    )
    return Preview(Sentence("Put a page into the trash in Notion"), fields)


async def _seek_trash(notion: Notion, use: Use) -> str | None:
    page = await notion.get(f"pages/{identity(use.text('page'))}")
    return f"Put into the trash: {page['url']}" if page["in_trash"] else None


async def _thrown_away(notion: Notion, use: Use) -> Thing:
    page = await notion.get(f"pages/{identity(use.text('page'))}")
    if not page["in_trash"]:
        raise Conflict(f"{SERVICE}: not in the trash", "The page does not lie in the trash.")
    return page


async def _restore(notion: Notion, use: Use) -> str:
    page = await _thrown_away(notion, use)
    await notion.patch(f"pages/{page['id']}", {"in_trash": False})
    return f"Restored: {page['url']}"


async def _show_restore(notion: Notion, use: Use) -> Preview:
    page = await _thrown_away(notion, use)
    fields = ((Sentence("Page"), title_of(page)), (Sentence("Address"), str(page["url"])))
    return Preview(Sentence("Take a page out of the trash in Notion"), fields)


async def _seek_restore(notion: Notion, use: Use) -> str | None:
    page = await notion.get(f"pages/{identity(use.text('page'))}")
    return None if page["in_trash"] else f"Restored: {page['url']}"


def _back_create(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    found = re.match("Created the page ([0-9a-f-]{32,36}): ", said)
    return None if found is None else ("notion_trash", {"page": found[1]})


def _back_update(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    """Values of before are not known any more; that a page was thrown away is."""
    thrown = call.arguments.get("in_trash") is True and "properties" not in call.arguments
    return ("notion_restore", {"page": call.arguments["page"]}) if thrown else None


_STAYS = Sentence(
    "Who follows the page may be told at once, and what was appended stays until somebody deletes it at Notion."
)
_SEEN = Sentence("Who follows the page may be told at once. It can be put in the trash.")
_ABOVE = Sentence("The values of before are not put back by CarPool; they stand above.")

WRITES = (
    Write(
        "notion_create",
        "Creates a page in Notion, in a page or in a data source. content is Markdown, of at most 99 blocks.",
        parameters(
            {"page": ID, "data_source": ID, "title": TITLE, "content": CONTENT, "properties": PROPERTIES}, ("title",)
        ),
        _create,
        _show_create,
        _seek_create,
        _back_create,
    ),
    Write(
        "notion_append",
        "Appends Markdown, of at most 99 blocks, to the end of a page in Notion.",
        parameters({"page": ID, "content": {**CONTENT, "minLength": 1}}, ("page", "content")),
        _append,
        _show_append,
        _seek_append,
    ),
    Write(
        "notion_update",
        "Sets properties of a page in Notion, or puts it in the trash or back. last_edited is that of the page as it was read.",
        parameters(
            {
                "page": ID,
                "last_edited": {"type": "string", "minLength": 1, "maxLength": 40},
                "properties": {**PROPERTIES, "minProperties": 1},
                "in_trash": {"type": "boolean"},
            },
            ("page", "last_edited"),
        ),
        _update,
        _show_update,
        _seek_update,
        _back_update,
    ),
    Write(
        "notion_trash",
        "Takes back a page that was made here: puts it into the trash.",
        parameters({"page": ID}, ("page",)),
        _trash,
        _show_trash,
        _seek_trash,
        lambda call, said: ("notion_restore", call.arguments),
    ),
    Write(
        "notion_restore",
        "Takes a page out of the trash.",
        parameters({"page": ID}, ("page",)),
        _restore,
        _show_restore,
        _seek_restore,
        lambda call, said: ("notion_trash", call.arguments),
    ),
)
