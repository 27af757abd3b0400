"""What an agent may read in Notion: what was shared with the connection whose token it has. Writing is in ``notion_writes``."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from adapters.messages import JsonObject, ToolSpec
from integrations.tools.base import ReadTool, Tool, ToolLimits, Use, parameters
from integrations.tools.notion_client import API, CONNECTION, LISTED_MAX, Notion, NotionClient, Thing, listed
from integrations.tools.notion_text import identity, lines_of
from integrations.tools.notion_values import shown, title_of
from integrations.tools.notion_writes import ID, source_of, writing_tools

READ_LIMITS = ToolLimits(timeout_s=60.0)
READ_BLOCKS_MAX = 2_000
READ_REQUESTS_MAX = 60
"""What one page takes at most: Notion wants about three a second. What is beyond it is told."""
DEPTH_MAX = 10
_ELSEWHERE = frozenset({"child_page", "child_database"})
_SIDE_BY_SIDE = frozenset({"column_list", "column", "synced_block", "table"})


def notion_tools(token: str, url: str = API) -> Mapping[str, Tool]:
    """By name."""
    client = NotionClient(token, url)
    tools = [*_reading_tools(client), *writing_tools(client)]
    return {tool.spec.name: tool for tool in tools}


def _reading_tools(client: NotionClient) -> list[Tool]:
    asked = parameters(
        {"query": {"type": "string", "maxLength": 250}, "kind": {"enum": ["page", "data_source"]}}, ("query",)
    )
    page = parameters({"page": ID}, ("page",))
    source = parameters(
        {
            "data_source": ID,
            "filter": {"type": "object"},
            "sorts": {"type": "array", "items": {"type": "object"}, "maxItems": 10},
        },
        ("data_source",),
    )
    about: tuple[tuple[str, str, JsonObject, Callable[[Notion, Use], Awaitable[str]]], ...] = (
        ("notion_search", "Searches the titles of pages and data sources in Notion.", asked, _search),
        (
            "notion_page",
            "Reads a page of Notion as Markdown, with its properties and when it was last edited.",
            page,
            _page,
        ),
        (
            "notion_query",
            "Lists the pages of a data source (a database) with their properties; filter and sorts are those of Notion's API.",
            source,
            _query,
        ),
    )
    return [_tool(client, ToolSpec(name, what, takes, "read"), work) for name, what, takes, work in about]


def _tool(client: NotionClient, spec: ToolSpec, work: Callable[[Notion, Use], Awaitable[str]]) -> Tool:
    async def read(use: Use) -> str:
        return await client.run(use, work)

    return ReadTool(spec, read, READ_LIMITS, CONNECTION)


async def _search(notion: Notion, use: Use) -> str:
    body: dict[str, object] = {"query": use.text("query")}
    if kind := use.text("kind"):
        body["filter"] = {"property": "object", "value": kind}
    found, more = await notion.posted("search", body, LISTED_MAX)
    return listed([f"{each['object']} {each['id']}: {title_of(each)} {each['url']}" for each in found], more)


async def _page(notion: Notion, use: Use) -> str:
    page = await notion.get(f"pages/{identity(use.text('page'))}")
    properties = [f"{name}: {shown(value)}" for name, value in page["properties"].items() if value["type"] != "title"]
    head = [f"# {title_of(page)}", page["url"], f"last_edited: {page['last_edited_time']}"]
    if page["in_trash"]:
        head.append("(in the trash)")
    reading = _Reading(notion)
    body = await reading.inside(page["id"], "", 0)
    return listed([*head, *properties, "", *body], reading.cut)


@dataclass(slots=True)
class _Reading:
    """A page that is being read, within its limits."""

    notion: Notion
    blocks: int = READ_BLOCKS_MAX
    requests: int = READ_REQUESTS_MAX
    cut: bool = False

    async def inside(self, block: str, indent: str, depth: int) -> list[str]:
        if depth > DEPTH_MAX or self.requests <= 0 or self.blocks <= 0:
            self.cut = True
            return []
        found, more = await self.notion.children(block, self.blocks)
        self.requests -= max(1, -(-len(found) // 100))
        self.blocks -= len(found)
        self.cut = self.cut or more
        lines: list[str] = []
        for each in found:
            lines += lines_of(each, indent)
            if each["has_children"] and each["type"] not in _ELSEWHERE:
                deeper = indent if each["type"] in _SIDE_BY_SIDE else f"{indent}  "
                lines += await self.inside(each["id"], deeper, depth + 1)
        return lines


async def _query(notion: Notion, use: Use) -> str:
    body = {name: use.call.arguments[name] for name in ("filter", "sorts") if name in use.call.arguments}
    source = await source_of(notion, use.text("data_source"))
    found, more = await notion.posted(f"data_sources/{source['id']}/query", body, LISTED_MAX)
    return listed([_row(page) for page in found], more)


def _row(page: Thing) -> str:
    values = ((name, shown(value)) for name, value in page["properties"].items() if value["type"] != "title")
    said = "; ".join(f"{name}: {value}" for name, value in values if value)
    return f"{page['id']}: {title_of(page)} {page['url']}{f' ({said})' if said else ''}"
