"""What holds of every tool, whoever makes it."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from adapters.messages import Json, ToolResult, ToolSpec
from integrations.tools.base import (
    NOT_TAKEN_BACK,
    Preview,
    ReadTool,
    Tool,
    Toolbox,
    ToolError,
    ToolLimits,
    Unknown,
    Use,
    Where,
    WriteTool,
)
from integrations.tools.base import parameters as takes
from integrations.tools.calculator import calculator_tool
from integrations.tools.clock import clock_tool
from integrations.tools.github import github_tools
from integrations.tools.gmail import gmail_tools
from integrations.tools.mcp import without_patterns
from integrations.tools.notion import notion_tools
from integrations.tools.slack_tools import slack_tools
from integrations.tools.status import error_of
from integrations.tools.stripe_tools import stripe_tools
from integrations.tools.web_page import Address, web_page_tool
from tests.fakes.answering_server import Answers, answering
from tests.github_emulator import use_of

SECRET = "ghp_verysecret"
REPOSITORY = {"repository": "anna/house"}
NOTION_PAGE = {"page": "0" * 32}
ISSUE = {"title": "T", "state": "open", "body": "B", "created_at": "2026-01-01T00:00:00Z"}
PERSON = {"login": "anna"}


def everything(url: str = "http://127.0.0.1:9") -> dict[str, Tool]:
    tools: list[Tool] = [clock_tool(lambda: 0), calculator_tool(), web_page_tool(("example.org",))]
    slack = slack_tools(SECRET, lambda: 0, f"{url}/api/", SECRET)
    named = {tool.spec.name: tool for tool in tools}
    github, notion, stripe = (make(SECRET, url) for make in (github_tools, notion_tools, stripe_tools))
    return {**named, **github, **gmail_tools(url), **notion, **slack, **stripe}


@pytest.mark.parametrize("name", everything())
def test_a_tool_says_what_it_takes_in_a_schema_that_providers_accept(name: str) -> None:
    spec = everything()[name].spec
    Draft202012Validator.check_schema(spec.parameters)
    assert spec.parameters["type"] == "object"
    assert spec.parameters["additionalProperties"] is False
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", spec.name)
    assert spec.name == name
    assert spec.description.endswith(".")
    json.dumps(spec.parameters)


@pytest.mark.parametrize("name", everything())
async def test_arguments_that_do_not_fit_reach_nobody(name: str) -> None:
    async with answering() as server:
        result = await Toolbox(everything(server.url)).use(use_of(name, {"no such argument": 1}))
    assert result.failed
    assert "do not fit" in result.content
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "refused the credentials"),
        (403, "does not allow"),
        (404, "nothing there"),
        (409, "conflicts"),
        (422, "does not accept"),
        (429, "asked too often"),
        (500, "fault of its own"),
        (503, "cannot be reached"),
    ],
)
@pytest.mark.parametrize("name", ["github_issues", "gmail_search", "notion_page", "read_web_page"])
async def test_each_refusal_is_a_sentence(name: str, status: int, said: str) -> None:
    async with answering() as server:
        server.status, server.body = status, json.dumps({"message": f"internal detail {SECRET}"})
        result = await service(server).use(use_of(name, arguments(name, server)))
    assert result.failed
    assert said in result.content
    assert "internal detail" not in result.content


@pytest.mark.parametrize("body", ["", "{", "null", "[1]", '"x"', '{"number": "?"}', "<html>"])
@pytest.mark.parametrize(
    "name", ["github_issues", "github_pull", "github_file", "github_search", "notion_page", "notion_search"]
)
async def test_garbage_is_a_failed_result(name: str, body: str) -> None:
    given: dict[str, Mapping[str, Json]] = {
        "github_issues": REPOSITORY,
        "github_pull": {**REPOSITORY, "number": 1},
        "github_file": {**REPOSITORY, "path": "a"},
        "github_search": {"query": "x"},
        "notion_page": NOTION_PAGE,
        "notion_search": {"query": "x"},
    }
    async with answering() as server:
        server.body = body
        result = await Toolbox(everything(server.url)).use(use_of(name, given[name]))
    assert result.failed
    assert "gave an answer that was not expected" in result.content


GARBAGE = [
    "",
    "{",
    "null",
    "[1]",
    '"x"',
    '{"messages": 1}',
    '{"messages": [1]}',
    '{"messages": [{"id": "../x"}]}',
    "<html>",
]
"""None of these is a list of mails: `{}` is one, that has none."""


@pytest.mark.parametrize("body", GARBAGE)
async def test_garbage_in_place_of_mails_is_a_failed_result(body: str) -> None:
    async with answering() as server:
        server.body = body
        result = await Toolbox(gmail_tools(server.url)).use(use_of("gmail_search", {"query": "x"}))
    assert (result.failed, result.content) == (True, "Gmail gave an answer that was not expected.")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"items": null, "total_count": 0}',
        '{"items": {}, "total_count": 0}',
        '{"items": [null], "total_count": 1}',
        '{"items": [1], "total_count": 1}',
        '{"items": "x", "total_count": 1}',
        '{"items": []}',
        '{"items": [], "total_count": "many"}',
        '{"items": [{"number": "?"}], "total_count": 1}',
        '{"items": [{"number": 1, "title": 5, "user": {"login": ["a"]}}], "total_count": 1}',
        '{"items": [{"repository": "a", "path": "b", "html_url": "c"}], "total_count": 1}',
        '{"items": [{"repository": {"full_name": null}, "path": "b", "html_url": "c"}], "total_count": 1}',
    ],
)
@pytest.mark.parametrize("kind", ["issues", "code"])
async def test_results_of_a_search_that_are_none_are_a_failed_result(kind: str, body: str) -> None:
    async with answering() as server:
        server.body = body
        result = await Toolbox(github_tools(SECRET, server.url)).use(
            use_of("github_search", {"query": "x", "kind": kind})
        )
    assert result.failed
    assert "GitHub gave an answer that was not expected" in result.content


FOUND = {**ISSUE, "number": 7, "user": PERSON, "html_url": "https://github.example/7"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"total_count": 0, "items": []}, "Nothing was found."),
        (
            {"total_count": 0, "items": [], "incomplete_results": True},
            "Nothing was found.\n[GitHub ran out of time and looked through a part only: there may be more.]",
        ),
        ({"total_count": 1, "items": [FOUND]}, "#7 [open] T (by anna, 2026-01-01) https://github.example/7"),
        (
            {"total_count": 3, "items": [{**FOUND, "user": None}], "incomplete_results": False},
            "#7 [open] T (by ghost, 2026-01-01) https://github.example/7\n[There are more than these.]",
        ),
    ],
)
async def test_a_search_tells_what_it_found_and_whether_that_is_all(answer: Mapping[str, Json], said: str) -> None:
    async with answering() as server:
        server.body = json.dumps(answer)
        result = await Toolbox(github_tools(SECRET, server.url)).use(use_of("github_search", {"query": "x y"}))
    assert result == ToolResult(result.call_id, said)
    assert server.asked == ["GET /search/issues?per_page=50&q=x+y"]


@pytest.mark.parametrize("number", ["?", 1.5, [1]])
async def test_a_list_with_things_of_another_type_is_a_failed_result(number: Json) -> None:
    async with answering() as server:
        pages(server, [[1]])
        issue = {**ISSUE, "number": number, "user": PERSON, "html_url": "https://github.example/1"}
        server.by_path["/repos/anna/house/issues"] = (200, json.dumps([issue]), {})
        result = await Toolbox(github_tools(SECRET, server.url)).use(use_of("github_issues", REPOSITORY))
    assert result.failed
    assert "GitHub gave an answer that was not expected" in result.content


async def test_what_somebody_else_made_is_not_taken_back() -> None:
    async with answering() as server:
        pages(server, [[1]])
        issue = {**ISSUE, "number": 1, "user": PERSON, "html_url": "https://github.example/1"}
        server.by_path["/repos/anna/house/issues/1"] = (200, json.dumps(issue), {})
        result = await Toolbox(github_tools(SECRET, server.url)).use(
            use_of("github_close", {**REPOSITORY, "number": 1})
        )
    assert result.failed
    assert "only what was made here is taken back" in result.content
    assert not any(asked.startswith("PATCH") for asked in server.asked)


async def test_an_issue_of_somebody_who_is_gone_is_read() -> None:
    async with answering() as server:
        pages(server, [[1]])
        issue = {**ISSUE, "number": 1, "user": None, "html_url": "https://github.example/1"}
        server.by_path["/repos/anna/house/issues"] = (200, json.dumps([issue]), {})
        result = await Toolbox(github_tools(SECRET, server.url)).use(use_of("github_issues", REPOSITORY))
    assert result.content == "#1 [open] T (by ghost, 2026-01-01)"


async def test_the_rest_of_a_limit_that_is_used_up_is_told() -> None:
    async with answering() as server:
        server.status, server.headers = 403, {"Retry-After": "7"}
        server.body = json.dumps({"message": "You have exceeded a secondary rate limit"})
        result = await Toolbox(github_tools(SECRET, server.url)).use(use_of("github_issues", REPOSITORY))
    assert "try again in 7 seconds" in result.content
    assert len(server.asked) == 1


async def test_a_list_is_read_to_its_end() -> None:
    async with answering() as server:
        pages(server, [[1, 2], [3], [4]])
        result = await Toolbox(github_tools(SECRET, server.url)).use(use_of("github_issues", REPOSITORY))
    assert re.findall(r"#(\d)", result.content) == ["1", "2", "3", "4"]
    assert len(server.asked) == 4  # the repository and three pages: nothing of each issue
    assert "more than these" not in result.content


async def test_an_empty_list_says_so() -> None:
    async with answering() as server:
        pages(server, [[]])
        result = await Toolbox(github_tools(SECRET, server.url)).use(use_of("github_issues", REPOSITORY))
    assert result == ToolResult(result.call_id, "Nothing was found.")


@pytest.mark.parametrize("name", ["notion_page", "read_web_page"])
async def test_a_server_that_hangs_is_left_in_time(name: str) -> None:
    async with answering() as server:
        server.hang = True
        tools = service(server, ToolLimits(timeout_s=0.2))
        result = await tools.use(use_of(name, arguments(name, server)))
    assert result.content == f"{name} took longer than 0.2 seconds."
    assert result.failed


async def test_gmail_that_hangs_is_left_in_time_and_is_asked_once() -> None:
    async with answering() as server:
        server.hang = True
        result = await Toolbox(gmail_tools(server.url, 0.2)).use(use_of("gmail_search", {"query": "x"}))
    assert (result.failed, result.content) == (True, "Gmail did not answer in time.")
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["notion_page", "read_web_page"])
async def test_a_tool_that_is_cancelled_ends(name: str) -> None:
    async with answering() as server:
        server.hang = True
        use = use_of(name, arguments(name, server))
        running = asyncio.create_task(service(server).use(use))
        await server.until_asked()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_long_result_is_cut_between_letters_and_says_so() -> None:
    result = await Toolbox({"say": saying("ä" * 100, ToolLimits(result_bytes_max=21))}).use(use_of("say", {}))
    assert result.content == "ä" * 10 + "\n[Shortened: the first 21 of 200 bytes stand above.]"


async def test_a_secret_stands_in_no_result_also_where_the_cut_goes_through_it() -> None:
    said = f"token: {SECRET}"
    for most in range(8, len(said) + 2):
        tools = {"say": saying(said, ToolLimits(result_bytes_max=most))}
        result = await Toolbox(tools, (SECRET,)).use(use_of("say", {}))
        assert SECRET[:4] not in result.content
    assert SECRET not in repr(Toolbox(tools, (SECRET,)))


async def test_a_secret_stands_in_no_preview_and_in_no_failure() -> None:
    box = Toolbox({"write": Failing(error_of("x", 500, SECRET), Unknown("x", SECRET)).tool()}, (SECRET,))
    preview = await box.preview(use_of("write", {}))
    assert SECRET not in repr(preview)
    assert SECRET not in (await box.use(use_of("write", {}))).content


@pytest.mark.parametrize("found", [None, "It is there.", Unknown("x", "y")])
async def test_a_write_that_ends_in_a_fault_is_looked_for_and_never_done_twice(found: str | None | Unknown) -> None:
    failing = Failing(error_of("Service", 503), found)
    result = await Toolbox({"write": failing.tool()}).use(use_of("write", {}))
    assert failing.calls == 1
    if isinstance(found, str):
        assert result == ToolResult(result.call_id, found)
    else:
        assert result.failed
        assert "not known whether it took place" in result.content


async def test_a_write_that_was_refused_did_not_take_place() -> None:
    failing = Failing(error_of("Service", 403), "never asked")
    result = await Toolbox({"write": failing.tool()}).use(use_of("write", {}))
    assert result.content == "Service does not allow this with the credentials that it was given."


async def test_where_nobody_can_be_asked_what_became_of_a_write_it_is_unknown() -> None:
    failing = Failing(error_of("Service", 503), error_of("Service", 503))
    with pytest.raises(Unknown):
        await Toolbox({"write": failing.tool()}).look(use_of("write", {}))


@pytest.mark.parametrize("schema", [{"$ref": "http://127.0.0.1:9/schema"}, {"type": 5}, {"$ref": "#/nowhere"}])
async def test_a_schema_of_somebody_else_makes_us_fetch_nothing(schema: Mapping[str, Json]) -> None:
    tool = saying("x")
    result = await Toolbox({"say": replace(tool, spec=replace(tool.spec, parameters=schema))}).use(use_of("say", {}))
    assert result.content == "say cannot say what it takes."


def test_patterns_of_somebody_else_are_not_run_and_what_they_spoke_of_is_let_through() -> None:
    """A pattern such as (a+)+$ takes for ever on a text that a model makes, and nothing can stop it."""
    evil = "(a+)+$"
    schema: Mapping[str, Json] = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": evil},
            "kind": {"enum": ["pattern", {"pattern": "x"}]},
            "list": {"type": "array", "items": {"anyOf": [{"pattern": evil}, {"type": "integer"}]}},
        },
        "patternProperties": {evil: {"type": "string"}},
        "additionalProperties": False,
        "$defs": {"pattern": {"patternProperties": {evil: {}}, "unevaluatedProperties": False}},
        "required": ["pattern"],
    }
    assert without_patterns(schema) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string"},
            "kind": {"enum": ["pattern", {"pattern": "x"}]},
            "list": {"type": "array", "items": {"anyOf": [{}, {"type": "integer"}]}},
        },
        "$defs": {"pattern": {}},
        "required": ["pattern"],
    }


class Failing:
    """A write that fails. ``found`` is what there is to be found of it."""

    def __init__(self, error: ToolError, found: str | None | ToolError) -> None:
        self.calls = 0
        self._error, self._found = error, found

    def tool(self) -> WriteTool:
        return WriteTool(ToolSpec("write", "Writes.", takes({}), "write"), self._write, self._show, self._seek)

    async def _write(self, use: Use) -> str:
        self.calls += 1
        raise self._error

    async def _show(self, use: Use) -> Preview:
        return Preview(f"Say {SECRET}", (("What", SECRET),), f"+{SECRET}")

    async def _seek(self, use: Use) -> str | None:
        if isinstance(self._found, ToolError):
            raise self._found
        return self._found


def saying(text: str, limits: ToolLimits = ToolLimits()) -> ReadTool:
    async def read(use: Use) -> str:
        return text

    return ReadTool(ToolSpec("say", "Says.", takes({}), "read"), read, limits)


def pages(server: Answers, numbers: list[list[int]]) -> None:
    server.by_path["/repos/anna/house"] = (200, json.dumps({"url": f"{server.url}/repos/anna/house"}), {})
    path = "/repos/anna/house/issues"
    for page, listed in enumerate(numbers, 1):
        address = f"{server.url}/anna/house/issues"
        issues = [
            {**ISSUE, "number": n, "html_url": f"{address}/{n}", "url": f"{server.url}{path}/{n}"} for n in listed
        ]
        body = json.dumps([{**issue, "user": PERSON} for issue in issues])
        more = {"Link": f'<{server.url}{path}?page={page + 1}>; rel="next"'} if page < len(numbers) else {}
        server.by_path[path if page == 1 else f"{path}?page={page}"] = (200, body, more)


def service(server: Answers, limits: ToolLimits = ToolLimits()) -> Toolbox:
    """GitHub, and a web page whose host is the server, which a tool of the house would not be allowed to reach."""
    host = server.url.removeprefix("http://").replace("127.0.0.1", "docs.example")

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    def anywhere(address: Address) -> bool:
        return True

    page = web_page_tool((host,), resolve, anywhere, limits)
    reading = notion_tools(SECRET, server.url)["notion_page"]
    assert isinstance(reading, ReadTool)
    timed = {"read_web_page": page, "notion_page": replace(reading, limits=limits)}
    return Toolbox({**github_tools(SECRET, server.url), **gmail_tools(server.url), **timed}, (SECRET,))


def arguments(name: str, server: Answers) -> Mapping[str, Json]:
    url = server.url.replace("127.0.0.1", "docs.example")
    given: Mapping[str, Mapping[str, Json]] = {
        "gmail_search": {"query": "x"},
        "notion_page": NOTION_PAGE,
        "read_web_page": {"url": f"{url}/page"},
    }
    return given.get(name, REPOSITORY)


def patterns(schema: object) -> list[str]:
    if isinstance(schema, Mapping):
        own = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
        return own + [found for value in schema.values() for found in patterns(value)]
    return [found for value in schema for found in patterns(value)] if isinstance(schema, list | tuple) else []


async def test_no_pattern_of_any_tool_lets_a_line_break_through_at_the_end() -> None:
    """In JSON Schema `$` is the end of the text; to Python's own a line break may still follow."""
    seen = 0
    for name, tool in everything().items():
        for pattern in patterns(tool.spec.parameters):
            seen += 1
            assert pattern.startswith("^"), (name, pattern)
            assert re.search(r"(?<!\\)\$", pattern[:-1]) is None, (name, pattern)
            assert pattern.endswith("$"), (name, pattern)
            fits = FITS[pattern]
            spec = ToolSpec("say", "Says.", takes({"x": {"type": "string", "pattern": pattern}}, ("x",)), "read")
            box = Toolbox({"say": replace(saying("taken"), spec=spec)})
            assert (await box.use(use_of("say", {"x": fits}))).content == "taken", pattern
            for end in ("\n", "\r\n", "\u2028", "\u0085", " ", "\x00"):
                assert (await box.use(use_of("say", {"x": fits + end}))).failed, (name, pattern, end)
    assert seen >= 20


FITS: Mapping[str, str] = {
    r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$": "anna/house",
    "^[0-9a-f]{40}([0-9a-f]{24})?$": "0" * 40,
    "^[CDG][A-Z0-9]{1,30}$": "C0TEAM",
    "^[0-9]{10}\\.[0-9]{6}$": "1700000000.000200",
    "^[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?$": "wave::skin-tone-2",
    "^[A-Z0-9]{1,40}$": "Q0001",
    r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,189}$": "ann@example.com",
    "^[A-Za-z0-9_-]{1,64}$": "m1",
    "^cus_[A-Za-z0-9_]{1,100}$": "cus_1",
    "^pi_[A-Za-z0-9_]{1,100}$": "pi_1",
    "^in_[A-Za-z0-9_]{1,100}$": "in_1",
    "^carpool-use-[0-9a-f]{32}$": f"carpool-use-{'0' * 32}",
    "^[a-z]{3}$": "eur",
}
"""Of each pattern that a tool has, a text that fits it."""


def test_whatever_writes_has_a_way_back_that_is_a_tool_or_says_that_there_is_none() -> None:
    tools = everything()
    without = {name for name, tool in tools.items() if tool.spec.effect == "write" and not tool.undoes}
    assert without == {
        # Each of these says in its preview what of it stays.
        *("github_commit", "github_review", "github_merge", "github_close"),
        *("github_delete_comment", "github_delete_branch", "gmail_send", "gmail_delete_draft"),
        *("notion_append", "slack_delete", "slack_unschedule"),
        *("stripe_refund", "stripe_delete_draft", "stripe_delete_coupon"),
    }


async def test_what_says_nothing_of_a_way_back_and_has_none_is_shown_as_final() -> None:
    tool = Failing(error_of("x", 500), None).tool()
    assert (await Toolbox({"write": tool}).preview(use_of("write", {}))).irreversible == NOT_TAKEN_BACK
    back = replace(tool, back=lambda call, said: ("write", {}))
    assert (await Toolbox({"write": back}).preview(use_of("write", {}))).irreversible == ""


ISSUE_AT: Mapping[str, Json] = {**REPOSITORY, "number": 1}
CHANNEL: Mapping[str, Json] = {"channel": "C0TEAM"}
MESSAGE: Mapping[str, Json] = {**CHANNEL, "ts": "1700000000.000200"}
MAIL: Mapping[str, Json] = {"to": ["bob@example.com"], "subject": "Door", "text": "x"}
SHA: Json = "0" * 40
ASKED: Mapping[str, Mapping[str, Json]] = {
    "github_search": {"query": "x"},
    "github_file": {**REPOSITORY, "path": "a"},
    "github_issues": REPOSITORY,
    "github_issue": ISSUE_AT,
    "github_pulls": REPOSITORY,
    "github_pull": ISSUE_AT,
    "github_create_issue": {**REPOSITORY, "title": "x"},
    "github_comment": {**ISSUE_AT, "body": "x"},
    "github_create_branch": {**REPOSITORY, "branch": "x", "from_sha": SHA},
    "github_commit": {**REPOSITORY, "branch": "x", "path": "a", "content": "x", "message": "x"},
    "github_open_pull": {**REPOSITORY, "title": "x", "head": "x", "base": "main"},
    "github_review": {**ISSUE_AT, "head_sha": SHA, "event": "COMMENT", "body": "x"},
    "github_merge": {**ISSUE_AT, "head_sha": SHA},
    "github_close": ISSUE_AT,
    "github_delete_comment": {**ISSUE_AT, "comment": 1},
    "github_delete_branch": {**REPOSITORY, "branch": "x", "sha": SHA},
    "gmail_search": {"query": "x"},
    "gmail_read": {"id": "m1"},
    "gmail_thread": {"id": "t1"},
    "gmail_labels": {},
    "gmail_send": MAIL,
    "gmail_draft": MAIL,
    "gmail_label": {"id": "m1", "add": ["Ops"]},
    "gmail_delete_draft": {"draft": "r1"},
    "notion_search": {"query": "x"},
    "notion_page": NOTION_PAGE,
    "notion_query": {"data_source": "0" * 32},
    "notion_create": {**NOTION_PAGE, "title": "x"},
    "notion_append": {**NOTION_PAGE, "content": "x"},
    "notion_update": {**NOTION_PAGE, "last_edited": "x", "in_trash": True},
    "notion_trash": NOTION_PAGE,
    "notion_restore": NOTION_PAGE,
    "slack_channel": CHANNEL,
    "slack_thread": MESSAGE,
    "slack_search": {"query": "x"},
    "slack_post": {**CHANNEL, "text": "x"},
    "slack_react": {**MESSAGE, "emoji": "eyes"},
    "slack_schedule": {**CHANNEL, "text": "x", "post_at": "1970-01-02T00:00:00+00:00"},
    "slack_delete": MESSAGE,
    "slack_unreact": {**MESSAGE, "emoji": "eyes"},
    "slack_unschedule": {**CHANNEL, "scheduled": "Q0001"},
    "stripe_customers": {"email": "ann@example.com"},
    "stripe_subscriptions": {"customer": "cus_1"},
    "stripe_invoices": {"customer": "cus_1"},
    "stripe_invoice": {"invoice": "in_1"},
    "stripe_payments": {"customer": "cus_1"},
    "stripe_draft_invoice": {
        "customer": "cus_1",
        "currency": "eur",
        "items": [{"amount": 1, "description": "x"}],
    },
    "stripe_refund": {"payment": "pi_1", "amount": 1},
    "stripe_create_coupon": {"name": "x", "percent_off": 1, "duration": "once", "max_redemptions": 1},
    "stripe_delete_draft": {"invoice": "in_1"},
    "stripe_delete_coupon": {"coupon": f"carpool-use-{'0' * 32}"},
}
"""What each tool that asks a service may be asked."""


@pytest.mark.parametrize("name", ASKED)
async def test_whatever_a_service_refuses_or_breaks_is_a_failed_result_without_its_words(name: str) -> None:
    where = Where("slack", "T0TEAM", "C0TEAM", "", "U0ANNA")
    async with answering() as server:
        box = Toolbox(everything(server.url), (SECRET,))
        use = replace(use_of(name, ASKED[name]), where=where)
        for status in (401, 403, 404, 409, 422, 429, 500, 503):
            server.status = status
            server.body = json.dumps({"message": f"internal {SECRET}", "error": {"message": f"internal {SECRET}"}})
            result = await box.use(use)
            assert result.failed, (status, result.content)
            assert "internal" not in result.content
            assert SECRET not in result.content
        for body in ("{", "[1]", '"x"', "<html>", "null"):
            server.status, server.body = 200, body
            result = await box.use(use)
            assert result.failed, (body, result.content)
            assert "Traceback" not in result.content
    gone = await box.use(use)  # nobody listens any more
    assert gone.failed
    assert box.find(name) is not None


def test_each_tool_that_asks_a_service_is_asked_here() -> None:
    assert set(everything()) - set(ASKED) == {"date_and_time", "calculator", "read_web_page"}
