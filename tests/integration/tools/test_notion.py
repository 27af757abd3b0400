"""The Notion tools, through the real client, against the Notion of ``tests/fakes/notion_server.py``."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from adapters.messages import Json
from integrations.tools.base import Conflict, Invalid, NotAllowed, NotFound, Toolbox, ToolError, Unknown
from integrations.tools.marker import marker
from integrations.tools.notion import notion_tools
from integrations.tools.notion_text import blocks_of, identity
from tests.fakes.notion_openapi import ERRORS, at, described, problem
from tests.fakes.notion_server import TOKEN, Fault, NotionServer, notion_server, rich
from tests.github_emulator import fields_of, use_of
from tests.undoing import taken_back

KINDS = {
    "Name": "title",
    "Status": "select",
    "Due": "date",
    "Points": "number",
    "Tags": "multi_select",
    "Done": "checkbox",
}


@pytest_asyncio.fixture
async def notion() -> AsyncIterator[NotionServer]:
    async with notion_server() as server:
        yield server


def box_of(notion: NotionServer, token: str = TOKEN) -> Toolbox:
    return Toolbox(notion_tools(token, notion.base_url), (token,))


async def done(notion: NotionServer, name: str, arguments: Mapping[str, Json], mark: str = "turn/1/call") -> str:
    """What the tool says. Fails the test where the tool failed."""
    result = await box_of(notion).use(use_of(name, arguments, mark))
    assert not result.failed, result.content
    return result.content


def block(kind: str, text: str, *children: object, **more: object) -> dict[str, object]:
    return {"type": kind, kind: {"rich_text": rich(text), **more}, "children": list(children)}


@pytest.mark.parametrize("name", ERRORS)
def test_the_description_says_what_its_prose_does_not(name: str) -> None:
    """Where one of these is put right, this fails, and the correction goes."""
    wrong = ERRORS[name]
    assert at(described(), wrong.where) == wrong.said


def test_what_the_description_does_not_know_is_refused() -> None:
    assert problem("POST", "/v1/search", {}, {"query": "x"}) == ""
    assert problem("POST", "/v1/search", {}, {"qeury": "x"})
    assert problem("POST", "/v1/search", {}, {"page_size": "x"})
    assert problem("GET", "/v1/blocks/x/children", {"page_size": "x"}, None)
    assert problem("GET", "/v1/blocks/x/children", {"size": "1"}, None)
    assert problem("PUT", "/v1/pages", {}, {})


async def test_what_was_shared_is_found_and_nothing_else(notion: NotionServer) -> None:
    notion.page("Plan für Öl 🛢")
    notion.source("Plan of tasks", KINDS)
    notion.page("Plan of salaries", shared=False)
    notion.trash(notion.page("Plan of before"))
    found = await done(notion, "notion_search", {"query": "plan"})
    assert "Plan für Öl 🛢" in found
    assert "data_source" in found
    assert "salaries" not in found
    assert "before" not in found
    assert "data_source" not in await done(notion, "notion_search", {"query": "plan", "kind": "page"})
    assert await done(notion, "notion_search", {"query": "nowhere"}) == "Nothing was found."


async def test_a_page_is_read_as_markdown_to_its_end(notion: NotionServer) -> None:
    page = notion.page("House")
    notion.write(page, *(block("paragraph", f"line {number}") for number in range(230)))
    notion.write(
        page,
        block("heading_2", "Doors"),
        block("bulleted_list_item", "front", block("to_do", "oil", checked=True)),
        block("code", "a = 1", language="python"),
        {
            "type": "table",
            "table": {},
            "children": [{"type": "table_row", "table_row": {"cells": [rich("a"), rich("b")]}}],
        },
        {"type": "file", "file": {"type": "file", "file": {"url": "https://files.example/x?signature=secret"}}},
        {"type": "bookmark", "bookmark": {"url": "https://example.org/"}},
        {"type": "divider", "divider": {}},
        {"type": "unsupported", "unsupported": {}},
        block("heading_9", "smaller"),
    )
    inner = notion.page("Rooms", page)
    said = await done(notion, "notion_page", {"page": notion.things[page]["url"]})
    assert said.startswith(f"# House\n{notion.things[page]['url']}\nlast_edited: 2026-11-01T09:00:00.000Z\n")
    assert "line 0\n" in said
    assert "line 229\n" in said
    assert said.endswith(
        "## Doors\n- front\n  - [x] oil\n```python\na = 1\n```\n| a | b |\n[file: kept at Notion]\n"
        f"[bookmark: https://example.org/]\n---\n[unsupported]\nsmaller\n[child page: Rooms ({inner})]"
    )
    assert "signature" not in said
    assert len([asked for asked in notion.asked if f"{page}/children" in asked]) == 3


async def test_a_huge_page_is_read_in_part_and_says_so(notion: NotionServer) -> None:
    page = notion.page("Huge")
    for _ in range(70):
        notion.write(page, block("toggle", "t", block("paragraph", "in it")))
    said = await done(notion, "notion_page", {"page": page})
    assert said.endswith("[There are more than these.]")
    assert len(notion.asked) <= 62
    notion.write(page, *(block("paragraph", "x" * 2_000) for _ in range(100)))
    assert "[Shortened: the first 64,000 of" in await done(notion, "notion_page", {"page": page})


async def test_a_data_source_is_queried_to_its_end_also_by_the_id_of_its_database(notion: NotionServer) -> None:
    source = notion.source("Tasks", KINDS)
    status: dict[str, Any] = {"type": "select", "select": {"name": "Open"}}
    for number in range(130):
        notion.page(f"Task {number}", source, {"Status": status} if number % 2 else {})
    database = notion.things[source]["parent"]["database_id"]
    said = await done(notion, "notion_query", {"data_source": database})
    assert len(said.splitlines()) == 130
    assert "Task 129 https://www.notion.so/" in said
    assert "(Status: Open; Done: no)" not in said
    notion.faults.append(fault := Fault("GET", "/v1/data_sources", 400))
    assert len((await done(notion, "notion_query", {"data_source": database})).splitlines()) == 130
    assert fault not in notion.faults
    condition: Mapping[str, Json] = {"property": "Status", "select": {"equals": "Open"}}
    assert len((await done(notion, "notion_query", {"data_source": source, "filter": condition})).splitlines()) == 65
    wrong = await box_of(notion).use(use_of("notion_query", {"data_source": source, "filter": {"property": "No"}}))
    assert wrong.failed
    assert "does not accept" in wrong.content
    notion.source("Archive", KINDS, database)
    several = await box_of(notion).use(use_of("notion_query", {"data_source": database}))
    assert several.failed
    assert "Tasks (" in several.content
    assert "Archive (" in several.content


CONTENT = """# Plan
Some **bold**, *italic* and `code`,
with [a link](https://example.org/x) and 🚪.

- one
- [x] done
1. first
> said
---
```python
x = "# no heading"
```"""


async def test_a_page_is_created_in_a_page_and_read_back(notion: NotionServer) -> None:
    home = notion.page("Home")
    use = use_of("notion_create", {"page": home, "title": "Tür", "content": CONTENT})
    preview = await box_of(notion).preview(use)
    assert fields_of(preview) == (("In", "Home"), ("Title", "Tür"), ("Content", CONTENT))
    said = await done(notion, "notion_create", use.call.arguments)
    read = await done(notion, "notion_page", {"page": said.rsplit(" ", 1)[1]})
    body = read.partition("\n\n")[2]
    assert body == f"{CONTENT.replace(chr(10) * 2, chr(10))}\n{marker(use)}"


async def test_a_page_in_a_data_source_has_its_values_as_their_kinds_are(notion: NotionServer) -> None:
    source = notion.source("Tasks", KINDS)
    values: Mapping[str, Json] = {
        "Status": "Open",
        "Due": "2026-11-30 to 2026-12-02",
        "Points": 3,
        "Tags": ["a", "b"],
        "Done": True,
    }
    await done(notion, "notion_create", {"data_source": source, "title": "Oil", "properties": values})
    said = await done(notion, "notion_query", {"data_source": source})
    assert "(Status: Open; Due: 2026-11-30 to 2026-12-02; Points: 3; Tags: a, b; Done: yes)" in said
    for wrong in ({"Nowhere": "x"}, {"Points": "three"}, {"Done": 1}, {"Tags": "a"}):
        with pytest.raises(Invalid):
            await box_of(notion).preview(
                use_of("notion_create", {"data_source": source, "title": "x", "properties": wrong})
            )


@pytest.mark.parametrize("arguments", [{}, {"page": "0" * 32, "data_source": "0" * 32}])
async def test_a_page_lies_in_one_place(notion: NotionServer, arguments: Mapping[str, Json]) -> None:
    with pytest.raises(Invalid):
        await box_of(notion).preview(use_of("notion_create", {"title": "x", **arguments}))
    assert notion.asked == []


@pytest.mark.parametrize(("name", "more"), [("notion_create", {"title": "T"}), ("notion_append", {})])
async def test_a_request_is_never_larger_than_notion_takes(
    notion: NotionServer, name: str, more: Mapping[str, Json]
) -> None:
    page = notion.page("Home")
    longest = "\n\n".join(["🚪" * 1_500 + "x" * 1_100, *("- a" for _ in range(95)), "**b** " * 120])
    await done(notion, name, {"page": page, "content": longest, **more})
    with pytest.raises(Invalid, match="100 blocks"):
        await box_of(notion).preview(use_of(name, {"page": page, "content": "\n".join(["- a"] * 100), **more}))
    assert (await box_of(notion).use(use_of(name, {"page": page, "content": "- a\n" * 100, **more}))).failed


async def test_a_write_is_found_again_by_its_mark_and_one_with_another_mark_is_not(notion: NotionServer) -> None:
    page, source = notion.page("Home"), notion.source("Tasks", KINDS)
    notion.write(page, *(block("paragraph", "before") for _ in range(150)))
    for name, arguments in (
        ("notion_create", {"page": page, "title": "T", "content": "x"}),
        ("notion_create", {"data_source": source, "title": "T"}),
        ("notion_append", {"page": page, "content": "x"}),
    ):
        await done(notion, name, arguments, "turn/0/x")  # the same by another use
        use = use_of(name, arguments, "turn/1/-->")
        assert await box_of(notion).look(use) is None
        assert not (await box_of(notion).use(use)).failed
        found = await box_of(notion).look(use)
        assert found is not None
        assert not found.failed
        assert await box_of(notion).look(use_of(name, arguments, "turn/2/-->")) is None


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_a_write_whose_answer_is_lost_is_found_and_not_done_twice(notion: NotionServer, status: int) -> None:
    page = notion.page("Home")
    notion.faults.append(Fault("PATCH", "/v1/blocks", status, after=True))
    result = await box_of(notion).use(use_of("notion_append", {"page": page, "content": "once"}))
    assert notion.texts(page).count("once") == 1
    assert result.content == f"Appended to {notion.things[page]['url']}"


async def test_where_more_is_to_be_looked_through_than_is_it_is_unknown(notion: NotionServer) -> None:
    source = notion.source("Tasks", KINDS)
    for _ in range(25):
        notion.page("Same", source)
    with pytest.raises(Unknown):
        await box_of(notion).look(use_of("notion_create", {"data_source": source, "title": "Same"}))


async def test_an_update_shows_what_changes_and_is_refused_where_the_page_has_moved(notion: NotionServer) -> None:
    source = notion.source("Tasks", KINDS)
    page = notion.page("Oil", source)
    change: Mapping[str, Json] = {"page": page, "properties": {"Name": "Öl", "Points": 5}}
    read = notion.things[page]["last_edited_time"]
    use = use_of("notion_update", {**change, "last_edited": read})
    preview = await box_of(notion).preview(use)
    assert preview.diff == "--- before\n+++ after\n@@ -1,2 +1,2 @@\n-Name: Oil\n-Points: \n+Name: Öl\n+Points: 5\n"
    assert await box_of(notion).look(use) is None
    notion.minutes += 1
    assert not (await box_of(notion).use(use)).failed
    assert "Öl" in await done(notion, "notion_query", {"data_source": source})
    assert (await box_of(notion).look(use)) is not None
    with pytest.raises(Conflict):
        await box_of(notion).preview(use)
    stale = use_of("notion_update", {**change, "properties": {"Points": 6}, "last_edited": read})
    assert (await box_of(notion).use(stale)).failed
    with pytest.raises(Unknown):
        await box_of(notion).look(stale)
    with pytest.raises(Invalid):
        await box_of(notion).preview(use_of("notion_update", {"page": page, "last_edited": now(notion, page)}))


async def test_a_page_goes_into_the_trash_and_back_and_is_not_written_there(notion: NotionServer) -> None:
    page = notion.page("Oil")
    await done(notion, "notion_update", {"page": page, "last_edited": now(notion, page), "in_trash": True})
    assert "(in the trash)" in await done(notion, "notion_page", {"page": page})
    with pytest.raises(Conflict):
        await box_of(notion).preview(use_of("notion_append", {"page": page, "content": "x"}))
    assert (await box_of(notion).use(use_of("notion_append", {"page": page, "content": "x"}))).failed
    await done(notion, "notion_update", {"page": page, "last_edited": now(notion, page), "in_trash": False})
    await done(notion, "notion_append", {"page": page, "content": "x"})


def now(notion: NotionServer, page: str) -> str:
    return str(notion.things[page]["last_edited_time"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("notion_page", {}),
        ("notion_append", {"content": "x"}),
        ("notion_create", {"title": "x"}),
        ("notion_update", {"last_edited": "x", "in_trash": True}),
    ],
)
async def test_what_was_not_shared_is_not_there(notion: NotionServer, name: str, arguments: Mapping[str, Json]) -> None:
    page = notion.page("Salaries", shared=False)
    result = await box_of(notion).use(use_of(name, {"page": page, **arguments}))
    assert result.content == "Notion has nothing there, or does not show it."
    with pytest.raises(NotFound) if name != "notion_page" else pytest.raises(ToolError):
        await notion_tools(TOKEN, notion.base_url)[name].call(use_of(name, {"page": page, **arguments}))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "does not accept"),
        (401, "refused the credentials"),
        (403, "does not allow"),
        (404, "nothing there"),
        (409, "conflicts"),
        (429, "try again in 7 seconds"),
        (500, "fault of its own"),
        (503, "cannot be reached"),
        (504, "cannot be reached"),
    ],
)
async def test_each_refusal_is_a_sentence_and_nothing_is_asked_again(
    notion: NotionServer, status: int, said: str
) -> None:
    notion.faults.append(Fault("POST", "/v1/search", status, 7 if status == 429 else None))
    result = await box_of(notion).use(use_of("notion_search", {"query": "x"}))
    assert result.failed
    assert said in result.content
    assert TOKEN not in result.content
    assert "This failed" not in result.content
    assert notion.asked == ["POST /v1/search"]


async def test_a_token_that_notion_does_not_know_is_refused_and_stands_nowhere(notion: NotionServer) -> None:
    box = box_of(notion, "ntn_wrong")
    result = await box.use(use_of("notion_search", {"query": "x"}))
    assert "refused the credentials" in result.content
    assert "ntn_wrong" not in repr(box) + repr(box.tools) + result.content


async def test_a_token_that_stands_on_a_page_is_not_told(notion: NotionServer) -> None:
    page = notion.page(f"The token is {TOKEN}")
    notion.write(page, block("paragraph", f"It is {TOKEN}."))
    for name, arguments in (("notion_page", {"page": page}), ("notion_search", {"query": "token"})):
        said = await done(notion, name, arguments)
        assert TOKEN not in said
        assert "[hidden]" in said
    preview = await box_of(notion).preview(use_of("notion_append", {"page": page, "content": "x"}))
    assert TOKEN not in repr(preview)


async def test_many_uses_at_once_do_not_disturb_each_other(notion: NotionServer) -> None:
    page = notion.page("Home")
    uses = [use_of("notion_append", {"page": page, "content": f"n{n}"}, f"turn/{n}/c") for n in range(10)]
    results = await asyncio.gather(*(box_of(notion).use(use) for use in uses))
    assert not any(result.failed for result in results)
    assert {text for text in notion.texts(page) if text.startswith("n")} == {f"n{n}" for n in range(10)}


@pytest.mark.parametrize(
    "given",
    ["a" * 32, f"https://www.notion.so/team/Plan-{'a' * 32}?v={'b' * 32}", f"https://x.notion.site/{'A' * 32}#top"],
)
def test_an_address_names_what_an_id_names(given: str) -> None:
    assert identity(given) == "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"


@pytest.mark.parametrize(
    "given", ["../../users/me", "x" * 32, f"{'a' * 32}/../users", f"https://www.notion.so/?p={'a' * 32}"]
)
def test_what_names_nothing_of_notions_is_refused(given: str) -> None:
    with pytest.raises(Invalid):
        identity(given)


def test_what_is_no_markdown_stays_as_it_is_written() -> None:
    text = "a * b * c ** d [x](javascript:alert(1)) `unclosed"
    (made,) = blocks_of(text)
    assert "".join(part["text"]["content"] for part in made["paragraph"]["rich_text"]) == text
    assert all("link" not in part["text"] for part in made["paragraph"]["rich_text"])


async def test_a_page_made_here_goes_into_the_trash_and_one_of_somebody_else_does_not(notion: NotionServer) -> None:
    page = notion.page("Oil")
    said = await taken_back(box_of(notion), use_of("notion_create", {"page": page, "title": "Door", "content": "x"}))
    assert said.startswith("Put into the trash: ")
    (made,) = [name for name, thing in notion.things.items() if thing["object"] == "page" and name != page]
    assert notion.things[made]["in_trash"]
    # And out of it again, which is what takes that back.
    back = use_of("notion_restore", {"page": made})
    assert (await box_of(notion).preview(back)).fields
    assert await box_of(notion).look(back) is None
    assert (await done(notion, "notion_restore", {"page": made})).startswith("Restored: ")
    assert not notion.things[made]["in_trash"]
    assert await box_of(notion).look(back) is not None
    with pytest.raises(Conflict):
        await box_of(notion).preview(back)
    theirs = use_of("notion_trash", {"page": page})
    with pytest.raises(NotAllowed):
        await box_of(notion).preview(theirs)
    assert (await box_of(notion).use(theirs)).failed
    assert not notion.things[page]["in_trash"]


async def test_a_page_that_was_thrown_away_is_restored_and_other_changes_say_that_they_stay(
    notion: NotionServer,
) -> None:
    page = notion.page("Oil")
    use = use_of("notion_update", {"page": page, "last_edited": now(notion, page), "in_trash": True})
    assert not (await box_of(notion).preview(use)).irreversible
    assert (await taken_back(box_of(notion), use)).startswith("Restored: ")
    assert not notion.things[page]["in_trash"]
    append = use_of("notion_append", {"page": page, "content": "x"})
    assert "stays" in str((await box_of(notion).preview(append)).irreversible)
    assert box_of(notion).undo_of(append.call, await box_of(notion).use(append)) is None
