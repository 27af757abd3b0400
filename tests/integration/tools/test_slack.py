"""The Slack tools, through Slack's own SDK, against the Slack of ``tests/fakes/slack_server.py``."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
import pytest_asyncio

from adapters.messages import Json
from integrations.tools.base import (
    Invalid,
    NotAllowed,
    NotFound,
    ReadTool,
    Toolbox,
    ToolError,
    ToolLimits,
    Unknown,
    Use,
    Where,
    WriteTool,
)
from integrations.tools.slack_tools import slack_tools
from tests.fakes.answering_server import answering
from tests.fakes.slack_server import BOT, CHANNEL, IM, PERSON, TEAM, Fault, SlackServer, running_slack_server
from tests.github_emulator import fields_of, use_of
from tests.slack_workspace import BOT_TOKEN, PERSON_TOKEN
from tests.undoing import taken_back

SECRETS, STRANGE, BERT = "C0SECRET", "C0STRANGE", "U0BERT"
HERE = Where("slack", TEAM, CHANNEL, "", PERSON)
LATER = "2027-01-16T10:00:00+02:00"
LATER_S = 1_800_086_400
"""A day behind the beginning of the fake's time."""


@pytest_asyncio.fixture
async def slack() -> AsyncIterator[SlackServer]:
    """With a private channel that Bert and CarPool are in, and one that only Bert is in."""
    async with running_slack_server() as server:
        server.doings.members |= {SECRETS: [BOT, BERT], STRANGE: [BERT]}
        server.doings.private |= {SECRETS, STRANGE}
        server.doings.names |= {SECRETS: "secrets", STRANGE: "strange"}
        yield server


def box_of(slack: SlackServer) -> Toolbox:
    tools = slack_tools(BOT_TOKEN, lambda: slack.doings.now_s * 1_000_000, slack.api_url, PERSON_TOKEN)
    return Toolbox(tools, (BOT_TOKEN, PERSON_TOKEN))


def asked(name: str, arguments: Mapping[str, Json], mark: str = "turn/1/c", where: Where | None = HERE) -> Use:
    here = {} if name in ("slack_channel", "slack_thread", "slack_search") else {"channel": CHANNEL}
    return replace(use_of(name, {**here, **arguments}, mark), where=where)


async def done(slack: SlackServer, use: Use) -> str:
    result = await box_of(slack).use(use)
    assert not result.failed, result.content
    return result.content


def say(slack: SlackServer, channel: str, text: str, user: str = BERT, **more: str) -> str:
    ts = f"1700000{len(slack.messages[channel]):03}.000200"
    slack.messages[channel].append({"type": "message", "user": user, "ts": ts, "text": text, **more})
    return ts


async def test_a_channel_and_a_thread_are_read_to_their_end(slack: SlackServer) -> None:
    slack.page = 10
    first = say(slack, CHANNEL, "Öl &amp; Tür 🚪 &lt;b&gt;")
    for number in range(25):
        say(slack, CHANNEL, f"reply {number}", thread_ts=first)
        say(slack, CHANNEL, f"line {number}")
    said = await done(slack, asked("slack_channel", {}))
    assert said.splitlines()[:2] == [f"channel: {CHANNEL}", f"{first} U0BERT: Öl & Tür 🚪 <b>"]
    assert len(said.splitlines()) == 27
    assert said.endswith("line 24")
    thread = await done(slack, asked("slack_thread", {"ts": first}))
    assert len(thread.splitlines()) == 26
    assert thread.endswith("reply 24")
    empty = await done(slack, asked("slack_channel", {}, where=replace(HERE, channel=IM)))
    assert empty == f"channel: {IM}\nNothing was found."


async def test_of_a_long_channel_the_newest_are_read_and_it_says_so(slack: SlackServer) -> None:
    for number in range(250):
        say(slack, CHANNEL, f"line {number}")
    said = await done(slack, asked("slack_channel", {}))
    assert len(said.splitlines()) == 202
    assert "line 50\n" in said
    assert "line 49\n" not in said
    assert said.endswith("line 249\n[There are older ones than these.]")


USES: tuple[tuple[str, Mapping[str, Json]], ...] = (
    ("slack_channel", {}),
    ("slack_thread", {"ts": "1700000000.000200"}),
    ("slack_post", {"text": "x"}),
    ("slack_react", {"ts": "1700000000.000200", "emoji": "eyes"}),
    ("slack_schedule", {"text": "x", "post_at": LATER}),
    ("slack_delete", {"ts": "1700000000.000200"}),
    ("slack_unreact", {"ts": "1700000000.000200", "emoji": "eyes"}),
    ("slack_unschedule", {"scheduled": "Q0001"}),
)


@pytest.mark.parametrize("channel", [SECRETS, STRANGE, "C0NOWHERE"])
@pytest.mark.parametrize(("name", "arguments"), USES)
async def test_a_channel_that_the_asker_is_not_in_is_as_if_there_were_none(
    slack: SlackServer, name: str, arguments: Mapping[str, Json], channel: str
) -> None:
    for there in (SECRETS, STRANGE):
        say(slack, there, "the salaries")
    use = asked(name, {**arguments, "channel": channel})
    result = await box_of(slack).use(use)
    assert result.content == "Slack has no such channel that you are in."
    if name not in ("slack_channel", "slack_thread"):
        with pytest.raises(NotFound):
            await box_of(slack).preview(use)
        with pytest.raises(Unknown):
            await box_of(slack).look(use)
    assert not slack.doings.scheduled
    assert [message["text"] for message in slack.messages[SECRETS]] == ["the salaries"]


@pytest.mark.parametrize(("name", "arguments"), USES)
@pytest.mark.parametrize("where", [None, replace(HERE, platform="discord"), replace(HERE, platform="terminal")])
async def test_who_does_not_ask_in_slack_sees_nothing_of_it(
    slack: SlackServer, name: str, arguments: Mapping[str, Json], where: Where | None
) -> None:
    result = await box_of(slack).use(asked(name, {**arguments, "channel": CHANNEL}, where=where))
    assert result.content == "Slack is read and written for those who ask in Slack."
    assert slack.calls == []


async def test_whoever_is_in_a_channel_reads_it_and_no_longer_once_they_left(slack: SlackServer) -> None:
    say(slack, SECRETS, "the salaries")
    slack.doings.page = 2
    slack.doings.members[SECRETS] = [BOT, BERT, "U1", "U2", PERSON]
    assert "the salaries" in await done(slack, asked("slack_channel", {"channel": SECRETS}))
    use = asked("slack_post", {"channel": SECRETS, "text": "x"})
    assert ("Channel", f"#secrets ({SECRETS})") in fields_of(await box_of(slack).preview(use))
    slack.doings.members[SECRETS].remove(PERSON)
    assert (await box_of(slack).use(use)).failed  # though it was shown, and may be approved by now
    assert len(slack.messages[SECRETS]) == 1


async def test_what_is_searched_is_what_the_asker_sees_and_not_what_the_token_sees(slack: SlackServer) -> None:
    """The token here is Anna's, and Bert asks."""
    say(slack, CHANNEL, "salaries are told on Monday")
    say(slack, IM, "my salaries")
    say(slack, SECRETS, "the salaries themselves")
    slack.doings.members[SECRETS].append(PERSON)
    slack.doings.members[SECRETS].remove(BERT)
    found = await done(slack, asked("slack_search", {"query": "salaries"}, where=replace(HERE, person=BERT)))
    assert found.endswith("U0BERT: salaries are told on Monday")
    assert len(found.splitlines()) == 1
    assert len((await done(slack, asked("slack_search", {"query": "salaries"}))).splitlines()) == 3
    assert await done(slack, asked("slack_search", {"query": "nowhere"})) == "Nothing was found."
    assert "slack_search" not in slack_tools(BOT_TOKEN, lambda: 0, slack.api_url)


async def test_nothing_is_searched_for_who_asks_in_another_workspace_than_the_searching_tokens(
    slack: SlackServer,
) -> None:
    say(slack, CHANNEL, "salaries are told on Monday")
    result = await box_of(slack).use(asked("slack_search", {"query": "salaries"}, where=replace(HERE, workspace="T2")))
    assert (result.failed, result.content) == (True, "Slack cannot be searched from this workspace.")
    assert "search.messages" not in slack.calls


async def test_a_scope_that_was_not_granted_is_named(slack: SlackServer) -> None:
    slack.without_scope.add("reactions.add")
    use = asked("slack_react", {"ts": say(slack, CHANNEL, "hello"), "emoji": "eyes"})
    assert "did not grant CarPool some:scope here" in (await box_of(slack).use(use)).content


async def test_a_message_is_posted_as_it_was_shown_and_mentions_nobody(slack: SlackServer) -> None:
    first = say(slack, CHANNEL, "hello")
    text = "<!channel> <@U0ANNA> see <https://evil.example|here> & *this*"
    use = asked("slack_post", {"text": text, "thread_ts": first})
    preview = await box_of(slack).preview(use)
    assert fields_of(preview) == (("Channel", f"#team ({CHANNEL})"), ("Thread ts", first), ("Text", text))
    await done(slack, use)
    posted = slack.messages[CHANNEL][-1]
    assert posted["text"] == "&lt;!channel&gt; &lt;@U0ANNA&gt; see &lt;https://evil.example|here&gt; &amp; *this*"
    assert posted["thread_ts"] == first
    assert (posted["unfurl_links"], posted["unfurl_media"]) in (("false", "false"), ("0", "0"), (False, False))
    assert text in await done(slack, asked("slack_thread", {"ts": first}))


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_post_is_found_again_by_its_mark_and_one_with_another_mark_is_not(
    slack: SlackServer, threaded: bool
) -> None:
    slack.page = 20
    first = say(slack, CHANNEL, "hello")
    arguments: Mapping[str, Json] = {"text": "x", **({"thread_ts": first} if threaded else {})}
    await done(slack, asked("slack_post", arguments, "turn/0/c"))
    use = asked("slack_post", arguments)
    assert await box_of(slack).look(use) is None
    await done(slack, use)
    for number in range(50):
        say(slack, CHANNEL, f"{number}", **({"thread_ts": first} if threaded else {}))
    found = await box_of(slack).look(use)
    assert found is not None
    assert await box_of(slack).look(asked("slack_post", arguments, "turn/2/c")) is None
    for number in range(400):
        say(slack, CHANNEL, f"{number}", **({"thread_ts": first} if threaded else {}))
    with pytest.raises(Unknown):
        await box_of(slack).look(asked("slack_post", arguments, "turn/2/c"))


@pytest.mark.parametrize("status", [500, 503, 0])
async def test_a_post_whose_answer_is_lost_is_found_and_not_done_twice(slack: SlackServer, status: int) -> None:
    slack.faults.append(Fault("chat.postMessage", status, after=True))
    result = await box_of(slack).use(asked("slack_post", {"text": "once"}))
    assert [message["text"] for message in slack.messages[CHANNEL]] == ["once"]
    assert result.content.startswith(f"Posted in {CHANNEL}: ")
    assert slack.calls.count("chat.postMessage") == 1


async def test_a_reaction_is_put_once(slack: SlackServer) -> None:
    ts = say(slack, CHANNEL, "hello")
    use = asked("slack_react", {"ts": ts, "emoji": "eyes"})
    assert await box_of(slack).look(use) is None
    await done(slack, use)
    assert slack.messages[CHANNEL][0]["reactions"] == [{"name": "eyes", "users": [BOT], "count": 1}]
    assert await box_of(slack).look(use) is not None
    assert "conflicts" in (await box_of(slack).use(use)).content
    assert (await box_of(slack).use(asked("slack_react", {"ts": ts, "emoji": "no-such"}))).failed


@pytest.mark.parametrize("name", ["slack_post", "slack_react", "slack_schedule"])
async def test_a_write_names_its_channel_so_that_what_was_allowed_for_one_counts_in_no_other(
    slack: SlackServer, name: str
) -> None:
    use = asked(name, dict(USES)[name])
    without = {key: value for key, value in use.call.arguments.items() if key != "channel"}
    with pytest.raises(Invalid, match="arguments of"):
        await box_of(slack).preview(replace(use, call=replace(use.call, arguments=without)))


async def test_a_message_is_scheduled_and_posted_when_its_time_has_come(slack: SlackServer) -> None:
    use = asked("slack_schedule", {"text": "Öl!", "post_at": LATER})
    assert ("At", "2027-01-16 08:00:00 UTC") in fields_of(await box_of(slack).preview(use))
    assert await box_of(slack).look(use) is None
    assert "2027-01-16 08:00:00 UTC" in await done(slack, use)
    with pytest.raises(Unknown):  # what waits tells no mark
        await box_of(slack).look(use)
    assert await box_of(slack).look(asked("slack_schedule", {"text": "other", "post_at": LATER})) is None
    slack.doings.pass_time(LATER_S)
    assert [message["text"] for message in slack.messages[CHANNEL]] == ["Öl!"]
    with pytest.raises(Unknown):
        await box_of(slack).look(use)


async def test_more_messages_for_one_time_than_slack_takes_are_refused_in_words(slack: SlackServer) -> None:
    for number in range(30):
        await done(slack, asked("slack_schedule", {"text": f"{number}", "post_at": LATER}))
    assert (
        "asked too often" in (await box_of(slack).use(asked("slack_schedule", {"text": "x", "post_at": LATER}))).content
    )


@pytest.mark.parametrize(
    "at", ["soon", "2027-01-16T10:00:00", "2027-01-15T08:00:00+00:00", "2027-06-01T00:00:00+00:00"]
)
async def test_a_time_that_cannot_be_meant_is_refused_before_anybody_is_asked(slack: SlackServer, at: str) -> None:
    with pytest.raises(Invalid):
        await box_of(slack).preview(asked("slack_schedule", {"text": "x", "post_at": at}))
    assert (await box_of(slack).use(asked("slack_schedule", {"text": "x", "post_at": at}))).failed
    assert not slack.doings.scheduled


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("conversations.history", 200, "invalid_auth"), "refused the credentials"),
        (Fault("conversations.history", 200, "missing_scope"), "does not allow"),
        (Fault("conversations.history", 200, "channel_not_found"), "nothing there"),
        (Fault("conversations.history", 200, "some_new_code"), "does not accept"),
        (Fault("conversations.history", 429, "ratelimited", 7), "try again in 7 seconds"),
        (Fault("conversations.history", 200, "internal_error"), "fault of its own"),
        (Fault("conversations.history", 500), "fault of its own"),
        (Fault("conversations.history", 503), "cannot be reached"),
    ],
    ids=lambda given: str(given),
)
async def test_each_refusal_is_a_sentence_and_nothing_is_asked_again(
    slack: SlackServer, fault: Fault, said: str
) -> None:
    slack.faults.append(fault)
    result = await box_of(slack).use(asked("slack_channel", {}))
    assert result.failed
    assert said in result.content
    assert slack.calls.count("conversations.history") == 1


@pytest.mark.parametrize(
    "body", ["", "{", "null", "[1]", '"x"', "{}", '{"ok": true}', '{"ok": true, "messages": 1}', "<html>"]
)
async def test_garbage_is_a_failed_result(body: str) -> None:
    async with answering() as server:
        server.body = body
        tools = slack_tools(BOT_TOKEN, lambda: 0, f"{server.url}/api/")
        result = await Toolbox(tools).use(asked("slack_channel", {}))
    assert result.failed
    assert "Slack gave an answer that was not expected" in result.content


@pytest.mark.parametrize("name", ["slack_channel", "slack_post"])
async def test_a_slack_that_hangs_is_left_in_time_and_a_use_can_be_cancelled(name: str) -> None:
    async with answering() as server:
        server.hang = True
        tool = slack_tools(BOT_TOKEN, lambda: 0, f"{server.url}/api/")[name]
        assert isinstance(tool, ReadTool | WriteTool)
        box = Toolbox({name: replace(tool, limits=ToolLimits(timeout_s=0.2))})
        use = asked(name, {"text": "x"} if name == "slack_post" else {})
        assert "took longer than 0.2 seconds" in (await box.use(use)).content
        before = len(server.asked)
        running = asyncio.create_task(Toolbox({name: tool}).use(use))
        await server.until_asked(before + 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_token_that_stands_in_a_message_is_not_told(slack: SlackServer) -> None:
    say(slack, CHANNEL, f"the token is {BOT_TOKEN}")
    assert BOT_TOKEN not in await done(slack, asked("slack_channel", {}))
    assert BOT_TOKEN not in repr(box_of(slack)) + repr(box_of(slack).tools)


@pytest.mark.parametrize("channel", ["../x", "C0TEAM ", "#team", "U0ANNA", ""])
async def test_what_is_no_channel_is_asked_of_nobody(slack: SlackServer, channel: str) -> None:
    with pytest.raises(ToolError):
        await box_of(slack).preview(asked("slack_post", {"channel": channel, "text": "x"}))
    assert slack.calls == []


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_post_is_taken_back_and_nothing_else_is(slack: SlackServer, threaded: bool) -> None:
    first = say(slack, CHANNEL, "hello")
    where: Mapping[str, Json] = {"thread_ts": first} if threaded else {}
    said = await taken_back(box_of(slack), asked("slack_post", {"text": "oops", **where}))
    assert said.startswith("Deleted the message ")
    assert [message["text"] for message in slack.messages[CHANNEL]] == ["hello"]
    # An answer of CarPool's is its own as well, and nobody's tool posted it.
    ours = say(slack, CHANNEL, "an answer", BOT, **({"thread_ts": first} if threaded else {}))
    for ts in (ours, first):
        use = asked("slack_delete", {"ts": ts, **where})
        with pytest.raises(NotAllowed):
            await box_of(slack).preview(use)
        assert (await box_of(slack).use(use)).failed
    gone = asked("slack_delete", {"ts": "1700000000.999999", **where})
    with pytest.raises(NotFound):
        await box_of(slack).preview(gone)
    assert (await box_of(slack).use(gone)).failed
    assert slack.calls.count("chat.delete") == 1


async def test_a_reaction_is_taken_back_and_others_stay(slack: SlackServer) -> None:
    ts = say(slack, CHANNEL, "hello")
    slack.messages[CHANNEL][0]["reactions"] = [{"name": "eyes", "users": [PERSON], "count": 1}]
    use = asked("slack_react", {"ts": ts, "emoji": "eyes"})
    assert "Took back" in await taken_back(box_of(slack), use)
    assert slack.messages[CHANNEL][0]["reactions"] == [{"name": "eyes", "users": [PERSON], "count": 1}]
    again = asked("slack_unreact", {"ts": ts, "emoji": "eyes"})
    with pytest.raises(NotFound):
        await box_of(slack).preview(again)
    assert "nothing there" in (await box_of(slack).use(again)).content
    assert await box_of(slack).look(again) is not None


async def test_what_is_scheduled_is_cancelled_while_it_waits(slack: SlackServer) -> None:
    assert "Cancelled" in await taken_back(box_of(slack), asked("slack_schedule", {"text": "Öl!", "post_at": LATER}))
    assert not slack.doings.scheduled
    use = asked("slack_schedule", {"text": "Öl!", "post_at": LATER})
    made = await box_of(slack).use(use)
    undo = box_of(slack).undo_of(use.call, made)
    assert undo is not None
    slack.doings.pass_time(LATER_S)
    late = replace(use, call=undo)
    with pytest.raises(NotFound):
        await box_of(slack).preview(late)
    assert "nothing there" in (await box_of(slack).use(late)).content
    with pytest.raises(Unknown):
        await box_of(slack).look(late)


@pytest.mark.parametrize("status", [500, 0])
async def test_a_deletion_whose_answer_is_lost_is_seen_at_slack(slack: SlackServer, status: int) -> None:
    use = asked("slack_post", {"text": "oops"})
    made = await box_of(slack).use(use)
    undo = box_of(slack).undo_of(use.call, made)
    assert undo is not None
    slack.faults.append(Fault("chat.delete", status, after=True))
    assert (await box_of(slack).use(replace(use, call=undo))).content == "The message is gone."
    assert slack.calls.count("chat.delete") == 1
