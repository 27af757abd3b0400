"""What an agent may take back at GitHub of what was made here: an issue, a pull request, a comment, a branch.

Each is a write like any other, which a person approves of. Only what carries a mark of ours is taken back, and a branch only
where it still stands where it was made. A commit, a review and a merge stay: another commit changes what they changed.
"""

from typing import TYPE_CHECKING
from urllib.parse import quote

from integrations.sentence import Sentence
from integrations.tools.base import Conflict, NotAllowed, Preview, Tool, Unknown, Use
from integrations.tools.github_client import SERVICE, GitHubClient
from integrations.tools.github_writes import NAME, NUMBER, SHA, WATCHED, Write, preview_of, tool_of
from integrations.tools.marker import is_marked

if TYPE_CHECKING:
    from github.Issue import Issue
    from github.IssueComment import IssueComment
    from github.Repository import Repository


def undoing_tools(client: GitHubClient) -> list[Tool]:
    return [tool_of(client, undo) for undo in UNDOS]


def _of_ours(body: str | None, what: str) -> None:
    """Raises ``NotAllowed`` where somebody else made it."""
    if not is_marked(body or ""):
        raise NotAllowed(
            f"{what} has no mark", "{0} was not made here, and only what was made here is taken back.", what
        )


def _open_issue(repository: "Repository", use: Use) -> "Issue":
    issue = repository.get_issue(use.number("number"))
    _of_ours(issue.body, f"#{issue.number}")
    if issue.state != "open":
        raise Conflict("not open", "#{0} is closed.", issue.number)
    return issue


def _close(repository: "Repository", use: Use) -> str:
    issue = _open_issue(repository, use)
    issue.edit(state="closed")
    return f"Closed #{issue.number}: {issue.html_url}"


def _show_close(repository: "Repository", use: Use) -> Preview:
    issue = _open_issue(repository, use)
    shown = preview_of(Sentence("Close at GitHub"), use, ("number",), irreversible=WATCHED)
    return Preview(shown.title, (*shown.fields, (Sentence("Title"), issue.title)), irreversible=shown.irreversible)


def _seek_close(repository: "Repository", use: Use) -> str | None:
    issue = repository.get_issue(use.number("number"))
    if issue.state == "open":
        return None
    raise Unknown(f"{SERVICE}: closed", "#{0} is closed; it is not known by whom.", issue.number)


def _comment(repository: "Repository", use: Use) -> "IssueComment":
    comment = repository.get_issue(use.number("number")).get_comment(use.number("comment"))
    _of_ours(comment.body, "That comment")
    return comment


def _delete_comment(repository: "Repository", use: Use) -> str:
    comment = _comment(repository, use)
    comment.delete()
    return f"Deleted the comment {comment.id} on {repository.html_url}/issues/{use.number('number')}"


def _show_delete_comment(repository: "Repository", use: Use) -> Preview:
    comment = _comment(repository, use)
    final = Sentence("A deleted comment is gone.")
    shown = preview_of(Sentence("Delete a comment at GitHub"), use, ("number", "comment"), irreversible=final)
    return Preview(shown.title, (*shown.fields, (Sentence("It says"), comment.body)), irreversible=shown.irreversible)


def _seek_delete_comment(repository: "Repository", use: Use) -> str | None:
    from github import UnknownObjectException

    try:
        repository.get_issue(use.number("number")).get_comment(use.number("comment"))
    except UnknownObjectException as error:
        raise Unknown(f"{SERVICE}: no such comment", "The comment is gone; it is not known who deleted it.") from error
    return None


def _branch(repository: "Repository", use: Use) -> None:
    """Raises ``ToolError`` where it is not to be deleted."""
    name, sha = use.text("branch"), use.text("sha")
    if name == repository.default_branch:
        raise NotAllowed("the default branch", "The default branch of a repository is not deleted.")
    ref = repository.get_git_ref(f"heads/{name}")
    if ref.object.sha != sha:
        raise Conflict(
            "the branch has moved", "{0} does not stand at {1} any more: there is more on it now.", name, sha
        )


def _delete_branch(repository: "Repository", use: Use) -> str:
    _branch(repository, use)
    # By the documented address: what a reference says of its own is another where it was asked for alone.
    address = f"{repository.url}/git/refs/heads/{quote(use.text('branch'))}"
    repository.requester.requestJsonAndCheck("DELETE", address)
    return f"Deleted the branch {use.text('branch')}, which stood at {use.text('sha')}: {repository.html_url}/branches"


def _show_delete_branch(repository: "Repository", use: Use) -> Preview:
    _branch(repository, use)
    return preview_of(Sentence("Delete a branch at GitHub"), use, ("branch", "sha"))


def _seek_delete_branch(repository: "Repository", use: Use) -> str | None:
    wanted = f"refs/heads/{use.text('branch')}"
    if any(ref.ref == wanted for ref in repository.get_git_matching_refs(f"heads/{use.text('branch')}")):
        return None
    raise Unknown(f"{SERVICE}: no such branch", "The branch is gone; it is not known who deleted it.")


UNDOS = (
    Write(
        "github_close",
        "Takes back an issue or a pull request that was made here: closes it.",
        {"number": NUMBER},
        ("number",),
        _close,
        _show_close,
        _seek_close,
    ),
    Write(
        "github_delete_comment",
        "Takes back a comment that was made here; comment is the number behind issuecomment- in its address.",
        {"number": NUMBER, "comment": NUMBER},
        ("number", "comment"),
        _delete_comment,
        _show_delete_comment,
        _seek_delete_comment,
    ),
    Write(
        "github_delete_branch",
        "Takes back a branch while it still stands at the commit that it was made at.",
        {"branch": NAME, "sha": SHA},
        ("branch", "sha"),
        _delete_branch,
        _show_delete_branch,
        _seek_delete_branch,
    ),
)
