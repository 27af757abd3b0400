"""Discord's forms, without Discord: marks, pieces, commands, forms, names."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import File
from bot.commands.table import COMMANDS
from bot.platforms.base import Button, Choice, Field, Footer, Form, Reply, ToolStep
from bot.platforms.discord_wire import (
    COMPONENTS_V2,
    Way,
    commands_differ,
    commands_wanted,
    file_names,
    is_whole,
    live_message_of,
    message_of,
    modal_of,
    nonce,
    pieces_of,
    pieces_there,
    read_modal,
    read_modal_id,
    read_way,
    readable,
    thread_name,
)
from bot.sentences import ENGLISH
from ledger.pseudonyms import TurnId
from tests.fakes.discord_server import refusal

TURN, OTHER = TurnId("t-0123456789abcdef"), TurnId("t-fedcba9876543210")
OURS, ELSE = "10", "11"
FOOTER = Footer("openai/gpt_5", "the *best* for `code`", "free", TURN)
BUTTONS = tuple(Button(name.title(), f"{name} {TURN}") for name in ("why", "again", "good", "bad", "receipt"))


def posted(reply: Reply, turn: TurnId = TURN, part: int = 1, author: str = OURS) -> list[dict[str, Any]]:
    return [
        {"id": str(100 + piece.number), "author": {"id": author}, **message_of(piece, turn, part)}
        for piece in pieces_of(reply)
    ]


LONG = Reply("answer", "word " * 2_000, FOOTER, buttons=BUTTONS)


def test_what_was_posted_is_known_again_by_what_discord_keeps() -> None:
    found = pieces_there(posted(LONG), OURS, TURN, 1)
    assert is_whole(found)
    assert [found[number].message for number in sorted(found)] == [str(100 + number) for number in sorted(found)]


def test_another_turn_another_part_and_another_author_are_not_taken_for_it() -> None:
    there = posted(LONG)
    assert pieces_there(there, OURS, OTHER, 1) == {}
    assert pieces_there(there, OURS, TURN, 2) == {}
    assert pieces_there(posted(LONG, author=ELSE), OURS, TURN, 1) == {}


def test_a_reply_with_a_piece_missing_or_still_live_is_not_whole() -> None:
    there = posted(LONG)
    for missing in range(len(there)):
        assert not is_whole(pieces_there(there[:missing] + there[missing + 1 :], OURS, TURN, 1))
    live = {"id": "1", "author": {"id": OURS}, **live_message_of("begun", (), TURN, 1, ENGLISH)}
    assert not is_whole(pieces_there([live], OURS, TURN, 1))
    assert pieces_there([live], OURS, TURN, 1)[1].state == "live"


@given(st.text(), st.lists(st.text(min_size=1), max_size=12))
def test_discord_takes_whatever_a_model_says(text: str, titles: list[str]) -> None:
    footer = replace(FOOTER, reason=text)
    files = tuple(File(title, "text/plain", b"x") for title in titles)
    for piece in pieces_of(Reply("answer", text * 50, footer, files, BUTTONS)):
        uploads = dict.fromkeys(file_names(piece.files), b"x")
        assert refusal({**message_of(piece, TURN, 1), "uploads": uploads}) == ""
        steps = [ToolStep(str(place), title, "running") for place, title in enumerate(titles)]
        assert refusal(live_message_of(piece.text, steps, TURN, piece.number, ENGLISH)) == ""


def test_a_footer_is_no_markup() -> None:
    (piece,) = pieces_of(Reply("answer", "So.", FOOTER))
    assert piece.footer == r"openai/gpt\_5 · the \*best\* for \`code\` · free · t\-0123456789abcdef"


def test_a_nonce_fits_and_names_the_piece() -> None:
    given = {nonce(TURN, part, number, live) for part in (1, 2) for number in (1, 99) for live in (True, False)}
    assert len(given) == 8
    assert all(len(item) <= 25 for item in given)


def test_files_have_safe_names_that_differ() -> None:
    files = [File(name, "text/plain", b"") for name in ("../../a b.txt", "a_b.txt", "", "\u202e.txt")]
    names = file_names(files)
    assert len(set(names)) == 4
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in names)


def test_every_message_can_carry_its_parts_only_if_it_has_components() -> None:
    (message,) = posted(Reply("command", "Help."))
    assert message["flags"] == COMPONENTS_V2
    assert "content" not in message
    assert message["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(
    "way",
    [
        Way(),
        Way(message="123"),
        Way(application="1", token="aW50:ZXJ", mode="private"),
        Way(application="1", token="a:b:c", mode="after"),
    ],
)
def test_a_way_to_answer_is_read_as_it_was_written(way: Way) -> None:
    assert read_way(str(way)) == way


def test_mentions_are_read_as_names_and_that_of_the_bot_is_left_out() -> None:
    names = {"11": "bob", "12": "birds"}
    assert readable("<@10> ask <@!11> in <#12>, not <@&13>", 10, names) == "ask @bob in #birds, not @13"


def test_the_commands_are_within_what_discord_allows() -> None:
    wanted = commands_wanted(COMMANDS)
    assert len(wanted) <= 100
    for command in wanted:
        assert 1 <= len(command["name"]) <= 32
        if command["type"] == 1:
            assert command["name"] == command["name"].lower()
            assert 1 <= len(command["description"]) <= 100
        for option in command["options"]:
            assert 1 <= len(option["name"]) <= 32
            assert 1 <= len(option["description"]) <= 100
        assert command["integration_types"] == [0, 1]


def test_commands_differ_only_by_what_we_say_of_them() -> None:
    wanted = commands_wanted(COMMANDS)
    there = [{**command, "id": "1", "version": "2", "nsfw": False, "contexts": [2, 1, 0]} for command in wanted]
    for command in there:
        command["options"] = [{**option, "name_localizations": None} for option in command["options"]] or None
    assert not commands_differ(wanted, list(reversed(there)))
    assert commands_differ(wanted, there[1:])
    assert commands_differ(wanted, [{**there[0], "description": "Another"}, *there[1:]])


def test_a_form_is_a_modal_and_comes_back_as_its_values() -> None:
    fields = (
        Field("provider", "Provider", "choice", "Whose", "openai", (Choice("openai", "OpenAI"),)),
        Field("key", "Key", "secret", value="never shown"),
        Field("note", "A note that has a label that is longer than Discord takes", "text", optional=True),
        Field("person", "Person", "person"),
    )
    modal = modal_of(Form("keys", "Your key", fields, text="It is sealed."), "keys add openai")
    assert read_modal_id(modal["custom_id"]) == ("keys", "keys add openai")
    assert "never shown" not in str(modal)
    assert [item["type"] for item in modal["components"]] == [10, 18, 18, 18, 18]
    assert all(len(item["label"]) <= 45 for item in modal["components"][1:])
    sent: list[dict[str, Any]] = [
        {"type": 10, "id": 1},
        {"type": 18, "component": {"type": 3, "custom_id": "provider", "values": ["openai"]}},
        {"type": 18, "component": {"type": 4, "custom_id": "key", "value": "sk-1"}},
        {"type": 1, "components": [{"type": 4, "custom_id": "note", "value": ""}]},
        {"type": 18, "component": {"type": 5, "custom_id": "person", "values": ["11"]}},
    ]
    assert read_modal(sent) == {"provider": "openai", "key": "sk-1", "note": "", "person": "11"}


def test_a_thread_is_named_by_its_question() -> None:
    assert thread_name("  what is\na heron? ") == "what is a heron?"
    assert thread_name("") == "CarPool"
    assert len(thread_name("word " * 100)) <= 100
