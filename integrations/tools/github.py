"""What an agent may read at GitHub, and with a token write (``github_writes``)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from adapters.messages import JsonObject, ToolSpec
from integrations.tools.base import BadAnswer, ReadTool, Tool, Use, parameters
from integrations.tools.github_client import API, CONNECTION, SERVICE, GitHubClient, listed, some
from integrations.tools.github_undo import undoing_tools
from integrations.tools.github_writes import NUMBER, REPOSITORY, writing_tools

if TYPE_CHECKING:
    from github import Github
    from github.ContentFile import ContentFile
    from github.Issue import Issue
    from github.NamedUser import NamedUser
    from github.Organization import Organization
    from github.PullRequest import PullRequest

STATE: JsonObject = {"enum": ["open", "closed", "all"]}
FOUND_MAX = 50
INCOMPLETE = "[GitHub ran out of time and looked through a part only: there may be more.]"
GHOST = "ghost"
"""GitHub's own name for somebody whose account is gone."""


def github_tools(token: str = "", url: str = API, *, connectable: bool = False) -> Mapping[str, Tool]:
    """By name. What writes is there with a token, since nobody may write without, or where people can connect their own."""
    client = GitHubClient(token, url)
    tools: list[Tool] = [*_reading_tools(client)]
    if token or connectable:
        tools += [*writing_tools(client), *undoing_tools(client)]
    return {tool.spec.name: tool for tool in tools}


def _reading_tools(client: GitHubClient) -> list[Tool]:
    async def search(use: Use) -> str:
        query, kind = use.text("query"), use.text("kind", "issues")
        return await client.run(use, lambda github: _search(github, query, kind))

    async def file(use: Use) -> str:
        repository, path, ref = use.text("repository"), use.text("path"), use.text("ref")
        return await client.run(use, lambda github: _file(github, repository, path, ref))

    async def issues(use: Use) -> str:
        repository, state = use.text("repository"), use.text("state", "open")
        return await client.run(use, lambda github: _issues(github, repository, state))

    async def issue(use: Use) -> str:
        repository, number = use.text("repository"), use.number("number")
        return await client.run(use, lambda github: _issue(github, repository, number))

    async def pulls(use: Use) -> str:
        repository, state = use.text("repository"), use.text("state", "open")
        return await client.run(use, lambda github: _pulls(github, repository, state))

    async def pull(use: Use) -> str:
        repository, number = use.text("repository"), use.number("number")
        return await client.run(use, lambda github: _pull(github, repository, number))

    one = parameters({"repository": REPOSITORY, "number": NUMBER}, ("repository", "number"))
    many = parameters({"repository": REPOSITORY, "state": STATE}, ("repository",))
    asked = parameters(
        {"query": {"type": "string", "minLength": 1, "maxLength": 250}, "kind": {"enum": ["issues", "code"]}},
        ("query",),
    )
    place = parameters(
        {"repository": REPOSITORY, "path": {"type": "string"}, "ref": {"type": "string"}}, ("repository", "path")
    )
    about = (
        ("github_search", "Searches issues and pull requests, or code, in GitHub's own query language.", asked, search),
        ("github_file", "Reads a file of a repository and tells its sha, or lists a folder.", place, file),
        ("github_issues", "Lists the issues of a repository, newest first.", many, issues),
        ("github_issue", "Reads an issue with its comments.", one, issue),
        ("github_pulls", "Lists the pull requests of a repository, newest first.", many, pulls),
        ("github_pull", "Reads a pull request with its changes, reviews and comments.", one, pull),
    )
    return [
        ReadTool(ToolSpec(name, what, takes, "read"), read, service=CONNECTION) for name, what, takes, read in about
    ]


def _search(github: "Github", query: str, kind: str) -> str:
    """One page of it, read as it came: PyGithub takes an answer without results for an empty one.

    See docs.github.com, "REST API endpoints for search": ``incomplete_results`` where GitHub ran out of time.
    """
    _, answer = github.requester.requestJsonAndCheck("GET", f"/search/{kind}", {"q": query, "per_page": FOUND_MAX})
    found = answer["items"]
    if not isinstance(found, list):
        raise TypeError("items is no list")
    line = _code_line if kind == "code" else _issue_line
    text = listed([line(item) for item in found], answer["total_count"] > len(found))
    # Nothing found in a part of GitHub does not say that there is nothing.
    return f"{text}\n{INCOMPLETE}" if answer.get("incomplete_results") else text


def _code_line(item: JsonObject) -> str:
    return f"{_text(_part(item, 'repository'), 'full_name')}: {_text(item, 'path')} {_text(item, 'html_url')}"


def _issue_line(item: JsonObject) -> str:
    number, person = item["number"], item["user"]
    if not isinstance(number, int):
        raise TypeError("number is no number")
    login = GHOST if person is None else _text(_part(item, "user"), "login")
    made = f"by {login}, {_text(item, 'created_at')[:10]}"
    return f"#{number} [{_text(item, 'state')}] {_text(item, 'title')} ({made}) {_text(item, 'html_url')}"


def _part(item: JsonObject, name: str) -> JsonObject:
    part = item[name]
    if not isinstance(part, Mapping):
        raise TypeError(f"{name} is no object")
    return part


def _text(item: JsonObject, name: str) -> str:
    text = item[name]
    if not isinstance(text, str):
        raise TypeError(f"{name} is no text")
    return text


def _file(github: "Github", repository: str, path: str, ref: str) -> str:
    place = github.get_repo(repository)
    found = place.get_contents(path, ref) if ref else place.get_contents(path)
    if isinstance(found, list):
        return listed((f"{item.type} {item.path}" for item in found), False)
    return f"sha: {found.sha}\n\n{text_in(found)}"


def text_in(file: "ContentFile") -> str:
    """Raises ``BadAnswer`` where it is no text."""
    if file.encoding == "none":  # GitHub sends no content of what is above a megabyte
        raise BadAnswer(f"{SERVICE}: too long", "{0} is too long to be read.", file.path)
    if file.type in ("symlink", "submodule"):
        raise BadAnswer(f"{SERVICE}: {file.type}", "{0} is no file.", file.path)
    if file.encoding != "base64":
        raise BadAnswer(f"{SERVICE}: encoding {file.encoding}", "{0} gave an answer that was not expected.", SERVICE)
    try:
        return file.decoded_content.decode()
    except UnicodeDecodeError as error:
        raise BadAnswer(f"{SERVICE}: no text", "{0} is no text.", file.path) from error


def _issues(github: "Github", repository: str, state: str) -> str:
    found, more = some(github.get_repo(repository).get_issues(state=state))
    # By the address: `pull_request` is left out of an issue, and PyGithub would ask for each one anew to find it.
    return listed((_line(issue) for issue in found if "/pull/" not in issue.html_url), more)


def _pulls(github: "Github", repository: str, state: str) -> str:
    found, more = some(github.get_repo(repository).get_pulls(state=state))
    return listed((f"{_line(pull)} ({pull.head.ref} into {pull.base.ref})" for pull in found), more)


def _line(item: "Issue | PullRequest") -> str:
    return f"#{item.number} [{item.state}] {item.title} (by {_login(item.user)}, {item.created_at:%Y-%m-%d})"


def _login(person: "NamedUser | Organization | None") -> str:
    return GHOST if person is None else person.login


def _issue(github: "Github", repository: str, number: int) -> str:
    issue = github.get_repo(repository).get_issue(number)
    comments, more = some(issue.get_comments())
    said = [f"{_login(comment.user)}, {comment.created_at:%Y-%m-%d %H:%M}:\n{comment.body}" for comment in comments]
    return listed([_line(issue), issue.html_url, "", issue.body or "", "", *said], more)


def _pull(github: "Github", repository: str, number: int) -> str:
    pull = github.get_repo(repository).get_pull(number)
    files, more_files = some(pull.get_files())
    reviews, more_reviews = some(pull.get_reviews())
    comments, more_comments = some(pull.get_issue_comments())
    head = f"{pull.head.ref} ({pull.head.sha}) into {pull.base.ref}; {'merged' if pull.merged else 'not merged'}"
    return "\n".join(
        [
            f"{_line(pull)}\n{pull.html_url}\n{head}\n\n{pull.body or ''}\n\nChanges:",
            listed((f"{file.status} {file.filename}\n{file.patch or '(no text)'}" for file in files), more_files),
            "\nReviews:",
            listed((f"{_login(each.user)} {each.state}: {each.body}" for each in reviews), more_reviews),
            "\nComments:",
            listed((f"{_login(each.user)}: {each.body}" for each in comments), more_comments),
        ]
    )
