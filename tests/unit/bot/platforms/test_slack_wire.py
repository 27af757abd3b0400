"""What Slack sends, as it is read, without a network."""

import pytest

from bot.platforms.base import Attached, Incoming
from bot.platforms.slack_wire import (
    Deleted,
    Edited,
    Heard,
    files_of,
    read_command,
    read_event,
    read_press,
    read_stop,
    readable,
    ts_of,
)

BODY = {"team_id": "T1", "authorizations": [{"user_id": "UBOT"}]}
MENTION = {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.5", "text": "<@UBOT> hello"}


def heard(event: dict[str, object]) -> Incoming:
    read = read_event({**BODY, "event": event})
    assert isinstance(read, Heard)
    return read.incoming


def test_a_mention_is_a_message_in_a_thread_of_its_own() -> None:
    incoming = heard({**MENTION})
    assert (incoming.text, incoming.address.thread, incoming.bare_commands) == ("hello", "1.5", True)
    assert incoming.event_identity == "T1:C1:1.5"


def test_a_message_in_a_thread_stays_in_it() -> None:
    incoming = heard({**MENTION, "thread_ts": "1.0"})
    assert (incoming.address.thread, incoming.event_identity) == ("1.0", "T1:C1:1.5")


def test_both_events_about_one_message_have_one_identity() -> None:
    as_message = heard({**MENTION, "type": "message", "channel_type": "im"})
    as_mention = heard({**MENTION})
    assert as_message.event_identity == as_mention.event_identity


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<@UBOT> hello", "hello"),
        ("hi <@U2|bob> and <@U3>", "hi @bob and @U3"),
        ("see <#C9|general>", "see #general"),
        ("<!here> now", "@here now"),
        ("<!subteam^S1|@crew> now", "@crew now"),
        ("<https://a.example|the page> and <https://b.example>", "the page (https://a.example) and https://b.example"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_slacks_markup_is_read_as_a_person_wrote_it(written: str, read: str) -> None:
    assert readable(written, {"UBOT"}) == read


def test_a_command_is_for_its_asker_alone_and_helps_where_it_is_empty() -> None:
    fields = {
        "team_id": "T1",
        "channel_id": "C1",
        "user_id": "U1",
        "trigger_id": "9.9",
        "response_url": "https://hooks.slack.com/x",
    }
    incoming = read_command(fields)
    assert incoming is not None
    assert (incoming.text, incoming.address.reply_url) == ("help", "https://hooks.slack.com/x")
    assert read_command({**fields, "response_url": ""}) is None
    assert read_command({}) is None


TALK = {**MENTION, "type": "message", "channel_type": "channel", "thread_ts": "1.0", "text": "and then?"}


def test_what_is_said_in_a_thread_may_be_for_us_and_what_names_us_is() -> None:
    assert read_event({**BODY, "event": TALK}) == Heard(heard({**TALK}), to_us=False)
    named = read_event({**BODY, "event": {**TALK, "text": "so <@UBOT>?"}})
    assert isinstance(named, Heard)
    assert named.to_us
    assert read_event({**BODY, "event": {**TALK, "thread_ts": "1.5"}}) is None
    assert read_event({**BODY, "event": {**TALK, "text": "<@U9> and then?"}}) is None
    assert read_event({**BODY, "event": {**TALK, "text": "<!here> and then?"}}) is None


def test_a_word_like_stop_is_no_command_in_a_thread_that_is_only_followed() -> None:
    assert not heard({**TALK, "text": "stop"}).bare_commands


def changed(**message: object) -> dict[str, object]:
    now = {"user": "U1", "ts": "1.5", "text": "new", "edited": {"ts": "2.0"}, **message}
    return {
        "type": "message",
        "subtype": "message_changed",
        "channel": "D1",
        "channel_type": "im",
        "message": now,
        "previous_message": {"user": "U1", "ts": "1.5", "text": "old"},
    }


def test_an_edit_names_the_message_that_was_edited() -> None:
    read = read_event({**BODY, "event": changed()})
    assert isinstance(read, Edited)
    assert (read.incoming.event_identity, read.incoming.text, read.edit) == ("T1:D1:1.5", "new", "2.0")


@pytest.mark.parametrize(
    "message",
    [{"edited": None}, {"text": "old"}, {"bot_id": "B1"}, {"user": "UBOT"}, {"user": None}, {"ts": 5}],
    ids=str,
)
def test_what_changed_without_an_edit_of_a_person_is_no_edit(message: dict[str, object]) -> None:
    assert read_event({**BODY, "event": changed(**message)}) is None


def test_a_deleted_message_is_named_also_where_a_thread_hangs_on_it() -> None:
    before = {"user": "U1", "ts": "1.5", "text": "old"}
    deleted = {"type": "message", "subtype": "message_deleted", "channel": "D1", "previous_message": before}
    for event in (deleted, changed(subtype="tombstone", user="USLACKBOT")):
        read = read_event({**BODY, "event": event})
        assert isinstance(read, Deleted)
        assert (read.event_identity, read.address.person) == ("T1:D1:1.5", "U1")
    assert read_event({**BODY, "event": {**deleted, "previous_message": {**before, "bot_id": "B1"}}}) is None


def test_files_are_named_by_where_they_lie_and_those_of_others_by_their_id() -> None:
    plain = {
        "id": "F1",
        "name": "a.png",
        "mimetype": "image/png",
        "size": 5,
        "url_private": "https://files.slack.com/a",
    }
    hidden = {"id": "F2", "mode": "hidden_by_limit"}
    foreign = {"id": "F3", "file_access": "check_file_info"}
    assert list(files_of({"files": [plain, hidden, foreign, "x"]})) == [
        Attached("a.png", "image/png", 5, "https://files.slack.com/a"),
        Attached("file", "application/octet-stream", 0, "id:F3"),
    ]
    assert list(files_of({"files": "x"})) == []


PRESS = {
    "team": {"id": "T1"},
    "user": {"id": "U1"},
    "channel": {"id": "C1"},
    "message": {"ts": "2.0", "thread_ts": "1.0"},
    "response_url": "https://hooks.slack.com/x",
    "actions": [{"value": "why t-1", "action_ts": "3.0"}],
}


def test_a_pressed_button_says_its_value_in_its_thread() -> None:
    incoming = read_press(PRESS)
    assert incoming is not None
    assert (incoming.text, incoming.address.thread, incoming.address.person) == ("/why t-1", "1.0", "U1")
    again = read_press({**PRESS, "actions": [{"value": "why t-1", "action_ts": "3.1"}]})
    assert again is not None
    assert again.event_identity != incoming.event_identity


@pytest.mark.parametrize("lacks", ["team", "user", "channel", "actions"])
def test_a_press_that_lacks_something_is_none(lacks: str) -> None:
    wrong: list[object] = [None, [], {}, "x", 5]
    for given in wrong:
        assert read_press({**PRESS, lacks: given}) is None


def test_where_slacks_stop_was_pressed_is_read() -> None:
    event = {"type": "agent_session_stopped", "channel": "C1", "thread_ts": "1.0", "user": "U1"}
    address = read_stop({"team_id": "T1", "event": event})
    assert address is not None
    assert (address.channel, address.thread) == ("C1", "1.0")
    assert read_stop({"team_id": "T1", "event": {**event, "thread_ts": None}}) is None


def test_the_ts_of_an_identity_is_that_of_the_message_also_after_an_edit() -> None:
    assert ts_of("T1:C1:1.5") == ts_of("T1:C1:1.5/2.0") == "1.5"
