"""The GitHub tools, through the real PyGithub, against the emulator ``emulate``.

The emulator lists no files of a pull request and takes any token: those are seen in the contract tests alone.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from integrations.oauth import Declined, OAuthApp
from integrations.services import who_at
from integrations.tools.base import Conflict, NotAllowed, Toolbox, Unknown
from integrations.tools.github import github_tools
from tests.emulators import consent
from tests.github_emulator import (
    BACK,
    CLIENT_ID,
    CLIENT_SECRET,
    REPOSITORY,
    TOKEN,
    done,
    emulated_github,
    fields_of,
    use_of,
)
from tests.undoing import taken_back

WHERE = {"repository": REPOSITORY}


@pytest_asyncio.fixture
async def box(tmp_path: Path) -> AsyncIterator[Toolbox]:
    async with emulated_github(tmp_path) as url:
        yield Toolbox(github_tools(TOKEN, url), (TOKEN,))


async def head_of(box: Toolbox, number: int) -> str:
    said = await done(box.tools, "github_pull", {"number": number})
    found = re.search(r"\(([0-9a-f]{40})\)", said)
    assert found is not None
    return found[1]


async def sha_of(box: Toolbox, path: str) -> str:
    return (await done(box.tools, "github_file", {"path": path})).splitlines()[0].removeprefix("sha: ")


async def with_branch(box: Toolbox) -> None:
    """A branch ``fix``, at a new commit on main, whose sha is then known."""
    said = await done(
        box.tools, "github_commit", {"branch": "main", "path": "a.txt", "content": "a\n", "message": "Add"}, "turn/0/a"
    )
    found = re.search(r"Committed ([0-9a-f]{40})", said)
    assert found is not None
    await done(box.tools, "github_create_branch", {"branch": "fix", "from_sha": found[1]}, "turn/0/b")


async def test_an_issue_is_created_commented_read_and_found(box: Toolbox) -> None:
    assert await done(box.tools, "github_issues", {}) == "Nothing was found."
    await done(box.tools, "github_create_issue", {"title": "Tür klemmt 🚪", "body": "Seit gestern."})
    await done(box.tools, "github_comment", {"number": 1, "body": "Öl hilft."})
    said = await done(box.tools, "github_issue", {"number": 1})
    assert "Tür klemmt 🚪" in said
    assert "Öl hilft." in said
    searched = await box.use(use_of("github_search", {"query": f"klemmt repo:{REPOSITORY}"}))
    assert "#1 [open] Tür klemmt 🚪" in searched.content


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("github_create_issue", {"title": "Door"}),
        ("github_comment", {"number": 1, "body": "Oil."}),
        ("github_commit", {"branch": "main", "path": "b.txt", "content": "b\n", "message": "Add b"}),
    ],
)
async def test_a_write_is_found_again_by_its_mark_and_one_with_another_mark_is_not(
    box: Toolbox, name: str, arguments: dict[str, str | int]
) -> None:
    await done(box.tools, "github_create_issue", {"title": "First"}, "turn/0/x")
    use = use_of(name, {**WHERE, **arguments}, "turn/1/-->")
    assert await box.look(use) is None
    assert not (await box.use(use)).failed
    found = await box.look(use)
    assert found is not None
    assert not found.failed
    assert await box.look(use_of(name, {**WHERE, **arguments}, "turn/2/-->")) is None


async def test_a_branch_says_nobody_who_made_it(box: Toolbox) -> None:
    use = use_of("github_create_branch", {**WHERE, "branch": "fix", "from_sha": "0" * 40})
    assert await box.look(use) is None
    await with_branch(box)
    with pytest.raises(Unknown):
        await box.look(use)


async def test_a_commit_shows_its_diff_and_is_refused_where_the_file_has_moved(box: Toolbox) -> None:
    sha = await sha_of(box, "README.md")
    change = {**WHERE, "branch": "main", "path": "README.md", "content": "# Haus\n", "message": "Rename"}
    use = use_of("github_commit", {**change, "replaces_sha": sha})
    preview = await box.preview(use)
    assert preview.diff == "--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-# house\n+# Haus\n"
    assert not (await box.use(use)).failed
    assert (await done(box.tools, "github_file", {"path": "README.md"})).endswith("\n\n# Haus\n")
    with pytest.raises(Conflict):
        await box.preview(use)
    again = await box.use(use_of("github_commit", {**change, "content": "# Other\n", "replaces_sha": sha}, "turn/2/c"))
    assert again.failed
    assert (await done(box.tools, "github_file", {"path": "README.md"})).endswith("\n\n# Haus\n")


async def test_a_pull_request_is_opened_reviewed_and_merged_as_it_was_read(box: Toolbox) -> None:
    await with_branch(box)
    new = {"branch": "fix", "path": "b.txt", "content": "b\n", "message": "Add b"}
    await done(box.tools, "github_commit", new, "turn/1/c")
    opened = use_of("github_open_pull", {**WHERE, "title": "Add b", "head": "fix", "base": "main", "body": "Because."})
    assert not (await box.use(opened)).failed
    assert await box.look(opened) is not None
    # The emulator does not move a pull request with its branch, so that the other head is made up.
    stale = use_of("github_merge", {**WHERE, "number": 1, "head_sha": "0" * 40})
    with pytest.raises(Conflict):
        await box.preview(stale)
    assert (await box.use(stale)).failed
    assert await box.look(stale) is None
    head = await head_of(box, 1)
    review = use_of("github_review", {**WHERE, "number": 1, "head_sha": head, "event": "COMMENT", "body": "Good."})
    assert not (await box.use(review)).failed
    assert await box.look(review) is not None
    merge = use_of("github_merge", {**WHERE, "number": 1, "head_sha": head})
    assert ("Into", "main") in fields_of(await box.preview(merge))
    assert not (await box.use(merge)).failed
    found = await box.look(merge)
    assert found is not None
    with pytest.raises(Unknown):
        await box.look(use_of("github_merge", {**WHERE, "number": 1, "head_sha": head}, "turn/9/other"))


async def test_what_was_made_here_is_taken_back_as_it_was_shown(box: Toolbox) -> None:
    await done(box.tools, "github_create_issue", {"title": "Door", "body": "It sticks."})
    said = await done(box.tools, "github_comment", {"number": 1, "body": "Oil."})
    found = re.search(r"issuecomment-(\d+)", said)
    assert found is not None
    comment = use_of("github_delete_comment", {**WHERE, "number": 1, "comment": int(found[1])})
    assert ("It says", "Oil.") in [
        (name, value.split("\n")[0]) for name, value in fields_of(await box.preview(comment))
    ]
    assert await box.look(comment) is None
    assert not (await box.use(comment)).failed
    assert "Oil." not in await done(box.tools, "github_issue", {"number": 1})
    with pytest.raises(Unknown):
        await box.look(comment)
    close = use_of("github_close", {**WHERE, "number": 1})
    assert ("Title", "Door") in fields_of(await box.preview(close))
    assert (await box.use(close)).content.startswith("Closed #1: http")
    assert "#1 [closed]" in await done(box.tools, "github_issue", {"number": 1})
    with pytest.raises(Conflict):
        await box.preview(close)
    with pytest.raises(Unknown):
        await box.look(close)


async def test_a_branch_is_taken_back_only_where_it_was_made_and_never_the_default_one(box: Toolbox) -> None:
    await with_branch(box)
    said = await done(
        box.tools, "github_commit", {"branch": "fix", "path": "b.txt", "content": "b\n", "message": "More"}, "turn/0/m"
    )
    found = re.search(r"Committed ([0-9a-f]{40})", said)
    assert found is not None
    moved = use_of("github_delete_branch", {**WHERE, "branch": "fix", "sha": "0" * 40})
    with pytest.raises(Conflict):
        await box.preview(moved)
    assert (await box.use(moved)).failed
    with pytest.raises(NotAllowed):
        await box.preview(use_of("github_delete_branch", {**WHERE, "branch": "main", "sha": found[1]}))
    take_back = use_of("github_delete_branch", {**WHERE, "branch": "fix", "sha": found[1]})
    assert await box.look(take_back) is None
    assert not (await box.use(take_back)).failed
    with pytest.raises(Unknown):
        await box.look(take_back)


async def test_nobody_writes_without_a_token() -> None:
    assert all(tool.spec.effect == "read" for tool in github_tools().values())


async def test_a_person_agrees_at_the_emulator_and_acts_with_what_was_granted(tmp_path: Path) -> None:
    """The emulator knows neither PKCE nor the call that takes a token back: those are seen at the server of our own."""
    async with emulated_github(tmp_path) as url:
        app = OAuthApp(
            "GitHub",
            CLIENT_ID,
            CLIENT_SECRET,
            ("repo",),
            f"{url}/login/oauth/authorize",
            f"{url}/login/oauth/access_token",
            f"{url}/applications/{CLIENT_ID}/token",
            "github",
        )
        back = await consent(app.consent_url(BACK, "state-1", "v" * 43), "anna")
        assert back["state"] == "state-1"
        grant = await app.exchange(back["code"], BACK, "v" * 43)
        assert (grant.scopes, grant.lasts_s) == (("repo",), 0)
        assert await who_at("GitHub", url, "/user", "login")(grant.token) == "anna"
        with pytest.raises(Declined):  # a code is good once, which GitHub says with 200
            await app.exchange(back["code"], BACK, "v" * 43)
        with pytest.raises(Declined):
            await replace(app, client_secret="wrong").exchange("code", BACK, "v" * 43)
        use = replace(use_of("github_create_issue", {**WHERE, "title": "Door"}), token=grant.token)
        assert not (await Toolbox(github_tools("", url, connectable=True)).use(use)).failed


async def test_each_thing_that_was_made_names_what_takes_it_back(box: Toolbox) -> None:
    await with_branch(box)
    new = {"branch": "fix", "path": "b.txt", "content": "b\n", "message": "Add b"}
    found = re.search(r"Committed ([0-9a-f]{40})", await done(box.tools, "github_commit", new, "turn/5/c"))
    assert found is not None
    branch = {**WHERE, "branch": "other", "from_sha": found[1]}
    taken = [
        await taken_back(box, use_of("github_create_branch", branch)),
        await taken_back(box, use_of("github_create_issue", {**WHERE, "title": "Door"})),
    ]
    await done(box.tools, "github_create_issue", {"title": "Second"}, "turn/3/c")
    taken.append(await taken_back(box, use_of("github_comment", {**WHERE, "number": 2, "body": "Oil."}, "turn/4/c")))
    pull = {**WHERE, "title": "Add b", "head": "fix", "base": "main"}
    opened = use_of("github_open_pull", pull, "turn/6/c")
    undo = box.undo_of(opened.call, await box.use(opened))
    assert undo is not None
    # To GitHub a pull request is an issue as well; to the emulator it is none, so that it is not closed here.
    assert (undo.name, undo.arguments) == ("github_close", {**WHERE, "number": 3})
    words = [said.partition(":")[0].split("#")[0].strip() for said in taken]
    assert [word.split()[0] for word in words] == ["Deleted", "Closed", "Deleted"]
