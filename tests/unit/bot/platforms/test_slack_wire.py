"""Slack's forms, read and written, without a network."""

import pytest

from bot.platforms.base import Footer, Reply
from bot.platforms.slack_wire import (
    FALLBACK_CHARACTERS_MAX,
    PIECE_CHARACTERS_MAX,
    defuse,
    pieces_of,
    pieces_there,
    read_command,
    read_event,
    readable,
)
from ledger.money import FREE
from ledger.pseudonyms import TurnId

TURN = TurnId("t-0")
BODY = {"team_id": "T1", "authorizations": [{"user_id": "UBOT"}]}
MENTION = {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.5", "text": "<@UBOT> hello"}


def test_a_mention_is_a_message_in_a_thread_of_its_own() -> None:
    incoming = read_event({**BODY, "event": MENTION})
    assert incoming is not None
    assert (incoming.text, incoming.address.thread, incoming.bare_commands) == ("hello", "1.5", True)
    assert incoming.event_identity == "T1:C1:1.5"


def test_a_message_in_a_thread_stays_in_it() -> None:
    incoming = read_event({**BODY, "event": {**MENTION, "thread_ts": "1.0"}})
    assert incoming is not None
    assert (incoming.address.thread, incoming.event_identity) == ("1.0", "T1:C1:1.5")


def test_both_events_about_one_message_have_one_identity() -> None:
    as_message = read_event({**BODY, "event": {**MENTION, "type": "message", "channel_type": "im"}})
    as_mention = read_event({**BODY, "event": MENTION})
    assert as_message is not None
    assert as_mention is not None
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


@pytest.mark.parametrize("text", ["<!channel>", "<!here|x>", "<@U1>", "<#C1|general>"])
def test_nothing_that_calls_people_is_left_as_it_was(text: str) -> None:
    assert text not in defuse(text)
    assert defuse("a < b <https://example.org> <- c") == "a < b <https://example.org> <- c"


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


def test_each_piece_says_which_it_is_and_the_footer_stands_under_the_last() -> None:
    reply = Reply("answer", "word " * 5_000, Footer("a/m", "chosen", FREE, TURN))
    pieces = pieces_of(reply)
    assert [(piece.number, piece.of, len(piece.blocks)) for piece in pieces] == [(1, 3, 1), (2, 3, 1), (3, 3, 2)]
    assert all(len(str(piece.blocks[0]["text"])) <= PIECE_CHARACTERS_MAX for piece in pieces)
    assert all(len(piece.text) <= FALLBACK_CHARACTERS_MAX for piece in pieces)


def test_pieces_are_recognised_by_their_marks_and_only_ours() -> None:
    (piece,) = pieces_of(Reply("answer", "x"))
    posted = {"user": "UBOT", "metadata": piece.metadata(TURN, 1)}
    assert pieces_there([posted], "UBOT", TURN, 1) == {1: 1}
    assert pieces_there([posted], "UBOT", TURN, 2) == {}
    assert pieces_there([posted | {"user": "UEVIL"}], "UBOT", TURN, 1) == {}
    assert pieces_there([{"user": "UBOT"}, {"metadata": "x"}], "UBOT", TURN, 1) == {}


def test_an_empty_reply_is_still_a_message() -> None:
    assert pieces_of(Reply("command", ""))[0].text == "(empty)"
