"""What an agent may change at GitHub. Each write leaves its marker, by which it is found again.

What a person approves is what is done: a commit names the file's sha that it replaces and a merge the head that it merges, and
GitHub refuses both where that has moved.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from adapters.messages import Json, JsonObject, ToolCall, ToolSpec
from integrations.sentence import Sentence, Told
from integrations.tools.base import (
    Conflict,
    Inverse,
    Preview,
    Tool,
    ToolLimits,
    Unknown,
    Use,
    WriteTool,
    parameters,
)
from integrations.tools.github_client import CONNECTION, SERVICE, GitHubClient, some
from integrations.tools.marker import hidden, marker

if TYPE_CHECKING:
    from github import Github
    from github.ContentFile import ContentFile
    from github.Repository import Repository

WRITE_LIMITS = ToolLimits(timeout_s=45.0)
SOUGHT_MAX = 300
"""How many of the newest are looked through for a marker. Where there are more, it is not known."""

REPOSITORY: JsonObject = {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$"}
NUMBER: JsonObject = {"type": "integer", "minimum": 1}
TITLE: JsonObject = {"type": "string", "minLength": 1, "maxLength": 256}
BODY: JsonObject = {"type": "string", "maxLength": 60_000}
NAME: JsonObject = {"type": "string", "minLength": 1, "maxLength": 250}
SHA: JsonObject = {"type": "string", "pattern": "^[0-9a-f]{40}([0-9a-f]{24})?$"}

Work = Callable[["Repository", Use], str]
Seek = Callable[["Repository", Use], str | None]
Show = Callable[["Repository", Use], Preview]


@dataclass(frozen=True, slots=True)
class Write:
    name: str
    about: str
    properties: dict[str, JsonObject]
    required: tuple[str, ...]
    work: Work
    show: Show
    seek: Seek
    back: Inverse | None = None


def writing_tools(client: GitHubClient) -> list[Tool]:
    return [tool_of(client, write) for write in WRITES]


def tool_of(client: GitHubClient, write: Write) -> Tool:
    takes = parameters({"repository": REPOSITORY, **write.properties}, ("repository", *write.required))

    async def call(use: Use) -> str:
        return await client.run(use, lambda github: write.work(_repository(github, use), use))

    async def show(use: Use) -> Preview:
        return await client.run(use, lambda github: write.show(_repository(github, use), use))

    async def seek(use: Use) -> str | None:
        return await client.run(use, lambda github: write.seek(_repository(github, use), use))

    return WriteTool(
        ToolSpec(write.name, write.about, takes, "write"), call, show, seek, WRITE_LIMITS, CONNECTION, write.back
    )


def _repository(github: "Github", use: Use) -> "Repository":
    return github.get_repo(use.text("repository"))


WATCHED = Sentence("Who watches it is told by mail at once.")
NAMES: Mapping[str, Sentence] = {
    "base": Sentence("Base"),
    "body": Sentence("Body"),
    "branch": Sentence("Branch"),
    "comment": Sentence("Comment"),
    "event": Sentence("Event"),
    "from_sha": Sentence("From sha"),
    "head": Sentence("Head"),
    "head_sha": Sentence("Head sha"),
    "message": Sentence("Message"),
    "number": Sentence("Number"),
    "path": Sentence("Path"),
    "sha": Sentence("Sha"),
    "title": Sentence("Title"),
}
"""How the arguments are called where a person reads them."""


def preview_of(title: Told, use: Use, names: Iterable[str], diff: str = "", irreversible: Told = "") -> Preview:
    given = ((NAMES[name], str(use.call.arguments.get(name, ""))) for name in names)
    fields = ((Sentence("Repository"), use.text("repository")), *((name, value) for name, value in given if value))
    return Preview(title, fields, diff, irreversible)


class _Marked(Protocol):
    """An issue, a comment, a pull request or a review."""

    @property
    def body(self) -> str: ...

    @property
    def html_url(self) -> str: ...


def _found(items: Iterable[_Marked], use: Use, what: str) -> str | None:
    """The one that carries the marker of this use. Raises ``Unknown`` where not all could be looked through."""
    some_items, more = some(items, SOUGHT_MAX)
    mark = marker(use)
    for item in some_items:
        if mark in (item.body or ""):
            return f"{what}: {item.html_url}"
    if more:
        raise Unknown(f"{SERVICE}: more than {SOUGHT_MAX}", "It is not known whether this was done.")
    return None


def _there(address: str | None) -> str:
    """Where it is. Of an answer without that PyGithub makes a thing all the same, whose every part is None."""
    if not isinstance(address, str):
        raise TypeError("what was made has no address")
    return address


def _create_issue(repository: "Repository", use: Use) -> str:
    issue = repository.create_issue(use.text("title"), use.text("body") + hidden(use))
    return f"Created issue #{issue.number}: {_there(issue.html_url)}"


def _seek_issue(repository: "Repository", use: Use) -> str | None:
    newest = repository.get_issues(state="all", sort="created", direction="desc")
    return _found(newest, use, "Created the issue")


def _comment(repository: "Repository", use: Use) -> str:
    comment = repository.get_issue(use.number("number")).create_comment(use.text("body") + hidden(use))
    return f"Commented: {_there(comment.html_url)}"


def _show_comment(repository: "Repository", use: Use) -> Preview:
    issue = repository.get_issue(use.number("number"))
    shown = preview_of(Sentence("Comment at GitHub"), use, ("number", "body"), irreversible=WATCHED)
    return Preview(shown.title, (*shown.fields, (Sentence("On"), issue.title)), irreversible=shown.irreversible)


def _seek_comment(repository: "Repository", use: Use) -> str | None:
    return _found(repository.get_issue(use.number("number")).get_comments(), use, "Commented")


def _create_branch(repository: "Repository", use: Use) -> str:
    _there(repository.create_git_ref(f"refs/heads/{use.text('branch')}", use.text("from_sha")).ref)
    branch = use.text("branch")
    return f"Created the branch {branch} at {use.text('from_sha')}: {repository.html_url}/tree/{quote(branch)}"


def _seek_branch(repository: "Repository", use: Use) -> str | None:
    """A branch carries no marker: that it is there does not say who made it."""
    wanted = f"refs/heads/{use.text('branch')}"
    if all(ref.ref != wanted for ref in repository.get_git_matching_refs(f"heads/{use.text('branch')}")):
        return None
    raise Unknown(f"{SERVICE}: {wanted} is there", "The branch is there; it is not known who made it.")


def _commit(repository: "Repository", use: Use) -> str:
    message = f"{use.text('message')}\n\nCarPool-Use: {marker(use)}"
    path, content, branch, replaces = (use.text(name) for name in ("path", "content", "branch", "replaces_sha"))
    if replaces:
        done = repository.update_file(path, message, content, replaces, branch)
    else:
        done = repository.create_file(path, message, content, branch)
    return f"Committed {done['commit'].sha}: {done['commit'].html_url}"


def _show_commit(repository: "Repository", use: Use) -> Preview:
    """Raises ``Conflict`` where the file is not the one that the model read."""
    from github import UnknownObjectException

    path, replaces = use.text("path"), use.text("replaces_sha")
    try:
        found = repository.get_contents(path, use.text("branch"))
    except UnknownObjectException:
        found = None
    if isinstance(found, list):
        raise Conflict(f"{path} is a folder", "{0} is a folder.", path)
    if (found.sha if found else "") != replaces:
        raise Conflict(f"{path} has moved", "{0} is not what it was when it was read; read it again.", path)
    before = _lines(found)
    diff = "".join(difflib.unified_diff(before, _kept(use.text("content")), f"a/{path}", f"b/{path}"))
    final = Sentence("A commit stays in the history; another one can change back what it changed.")
    return preview_of(Sentence("Commit at GitHub"), use, ("branch", "path", "message"), diff, final)


def _lines(file: "ContentFile | None") -> list[str]:
    if file is None or file.encoding != "base64":
        return []
    return _kept(file.decoded_content.decode(errors="replace"))


def _kept(text: str) -> list[str]:
    """By lines, each ending in a newline, so that a diff of them has lines too."""
    return [f"{line}\n" for line in text.splitlines()]


def _seek_commit(repository: "Repository", use: Use) -> str | None:
    commits, more = some(repository.get_commits(sha=use.text("branch")), SOUGHT_MAX)
    for commit in commits:
        if marker(use) in commit.commit.message:
            return f"Committed {commit.sha}: {commit.html_url}"
    if more:
        raise Unknown(f"{SERVICE}: more than {SOUGHT_MAX} commits", "It is not known whether this was committed.")
    return None


def _open_pull(repository: "Repository", use: Use) -> str:
    body = use.text("body") + hidden(use)
    pull = repository.create_pull(base=use.text("base"), head=use.text("head"), title=use.text("title"), body=body)
    return f"Opened pull request #{pull.number}: {_there(pull.html_url)}"


def _seek_pull(repository: "Repository", use: Use) -> str | None:
    newest = repository.get_pulls(state="all", sort="created", direction="desc")
    return _found(newest, use, "Opened the pull request")


def _review(repository: "Repository", use: Use) -> str:
    pull = repository.get_pull(use.number("number"))
    if pull.head.sha != use.text("head_sha"):
        raise Conflict("the head has moved", "The pull request has changed since it was read; read it again.")
    commit = repository.get_commit(pull.head.sha)
    review = pull.create_review(commit, use.text("body") + hidden(use), use.text("event"))
    return f"Reviewed: {_there(review.html_url)}"


def _seek_review(repository: "Repository", use: Use) -> str | None:
    return _found(repository.get_pull(use.number("number")).get_reviews(), use, "Reviewed")


def _merge(repository: "Repository", use: Use) -> str:
    pull = repository.get_pull(use.number("number"))
    method, sha = use.text("method", "merge"), use.text("head_sha")
    done = pull.merge(f"CarPool-Use: {marker(use)}", merge_method=method, sha=sha)
    if not done.merged:
        raise Conflict(f"{SERVICE}: not merged", "GitHub did not merge it.")
    return f"Merged #{pull.number} as {done.sha}: {pull.html_url}"


def _show_merge(repository: "Repository", use: Use) -> Preview:
    """Raises ``Conflict`` where it cannot be merged as it was read."""
    pull = repository.get_pull(use.number("number"))
    if pull.head.sha != use.text("head_sha"):
        raise Conflict("the head has moved", "The pull request has changed since it was read; read it again.")
    if pull.merged or pull.state != "open":
        raise Conflict("not open", "The pull request is not open.")
    files, _ = some(pull.get_files())
    diff = "\n".join(f"{file.status} {file.filename}\n{file.patch or ''}" for file in files)
    final = Sentence("A merge can be reverted, not unmade.")
    shown = preview_of(Sentence("Merge at GitHub"), use, ("number", "head_sha"), diff, final)
    what = (
        (Sentence("Pull request"), pull.title),
        (Sentence("Into"), pull.base.ref),
        (Sentence("By"), use.text("method", "merge")),
    )
    return Preview(shown.title, (*shown.fields, *what), diff, shown.irreversible)


def _seek_merge(repository: "Repository", use: Use) -> str | None:
    pull = repository.get_pull(use.number("number"))
    if not pull.merged:
        return None
    if marker(use) in repository.get_commit(pull.merge_commit_sha).commit.message:
        return f"Merged #{pull.number} as {pull.merge_commit_sha}: {pull.html_url}"
    raise Unknown(f"{SERVICE}: merged without our mark", "It is merged; it is not known by whom.")


def _shows(title: Sentence, names: tuple[str, ...], irreversible: Told = "") -> Show:
    return lambda repository, use: preview_of(title, use, names, irreversible=irreversible)


def _of(call: ToolCall, **more: Json) -> JsonObject:
    return {"repository": call.arguments["repository"], **more}


def _back_issue(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    """Of an issue as of a pull request: to GitHub both are issues."""
    found = re.search(r"/(?:issues|pull)/([0-9]+)\Z", said)
    return None if found is None else ("github_close", _of(call, number=int(found[1])))


def _back_comment(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    found = re.search(r"#issuecomment-([0-9]+)\Z", said)
    if found is None:
        return None
    return "github_delete_comment", _of(call, number=call.arguments["number"], comment=int(found[1]))


def _back_branch(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    return "github_delete_branch", _of(call, branch=call.arguments["branch"], sha=call.arguments["from_sha"])


_MAILS = Sentence("Who watches the repository is told by mail at once.")

WRITES = (
    Write(
        "github_create_issue",
        "Creates an issue.",
        {"title": TITLE, "body": BODY},
        ("title",),
        _create_issue,
        _shows(Sentence("Create an issue at GitHub"), ("title", "body"), _MAILS),
        _seek_issue,
        _back_issue,
    ),
    Write(
        "github_comment",
        "Comments on an issue or a pull request.",
        {"number": NUMBER, "body": {**BODY, "minLength": 1}},
        ("number", "body"),
        _comment,
        _show_comment,
        _seek_comment,
        _back_comment,
    ),
    Write(
        "github_create_branch",
        "Creates a branch at a commit.",
        {"branch": NAME, "from_sha": SHA},
        ("branch", "from_sha"),
        _create_branch,
        _shows(Sentence("Create a branch at GitHub"), ("branch", "from_sha")),
        _seek_branch,
        _back_branch,
    ),
    Write(
        "github_commit",
        "Writes one whole file on a branch. replaces_sha is the file's sha as it was read; leave it out for a new file.",
        {"branch": NAME, "path": NAME, "content": BODY, "message": TITLE, "replaces_sha": SHA},
        ("branch", "path", "content", "message"),
        _commit,
        _show_commit,
        _seek_commit,
    ),
    Write(
        "github_open_pull",
        "Opens a pull request.",
        {"title": TITLE, "body": BODY, "head": NAME, "base": NAME},
        ("title", "head", "base"),
        _open_pull,
        _shows(Sentence("Open a pull request at GitHub"), ("title", "body", "head", "base"), _MAILS),
        _seek_pull,
        _back_issue,
    ),
    Write(
        "github_review",
        "Reviews a pull request as it was read: head_sha is its head.",
        {"number": NUMBER, "head_sha": SHA, "event": {"enum": ["APPROVE", "REQUEST_CHANGES", "COMMENT"]}, "body": BODY},
        ("number", "head_sha", "event", "body"),
        _review,
        _shows(
            Sentence("Review a pull request at GitHub"),
            ("number", "head_sha", "event", "body"),
            Sentence("Who watches the repository is told by mail at once. A review stays."),
        ),
        _seek_review,
    ),
    Write(
        "github_merge",
        "Merges a pull request as it was read: head_sha is its head.",
        {"number": NUMBER, "head_sha": SHA, "method": {"enum": ["merge", "squash", "rebase"]}},
        ("number", "head_sha"),
        _merge,
        _show_merge,
        _seek_merge,
    ),
)
