"""What is a command and what is a message, and what commands say."""

from pathlib import Path

import pytest

from adapters.scripted import answer
from bot.commands.table import COMMANDS, completions, recognise
from bot.lucidia.catalog import Catalog
from tests.house import RecordingPlatform, asks, card, running_house


@pytest.mark.parametrize(
    ("text", "invocation"),
    [
        ("/help", "help"),
        ("  /HELP ", "help"),
        ("!model local/x", "model local/x"),
        ("/model   auto  ", "model auto"),
        ("/history 5", "history 5"),
        ("/foo bar", "help foo"),
        ("/etc/hosts is what?", ""),
        ("/2 of it", ""),
        ("!important", ""),
        ("help", ""),
        ("what is /help", ""),
        ("", ""),
        ("/", ""),
    ],
)
def test_a_command_begins_with_a_slash_or_a_mark(text: str, invocation: str) -> None:
    assert recognise(text, bare=False) == invocation


@pytest.mark.parametrize(
    ("text", "invocation"),
    [
        ("help", "help"),
        ("help me with this", ""),
        ("model gpt", "model gpt"),
        ("model trains are fun", ""),
        ("history 3", "history 3"),
        ("history of Rome", ""),
        ("stop", "stop"),
        ("stop it", ""),
        ("why", "why"),
        ("why is the sky blue?", ""),
    ],
)
def test_called_by_name_a_command_needs_no_slash_where_the_whole_text_fits(text: str, invocation: str) -> None:
    assert recognise(text, bare=True) == invocation


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("/mo", ("/model",)),
        ("/H", ("/help", "/history")),
        ("!w", ("!why",)),
        ("/model ", ("/model auto", "/model one/m", "/model two/m")),
        ("/model TW", ("/model two/m",)),
        ("/why o", ()),
        ("/x", ()),
        ("mo", ()),
        ("", ()),
    ],
)
def test_a_begun_line_is_completed_to_a_command_or_to_a_model(begun: str, offered: tuple[str, ...]) -> None:
    assert completions(begun, Catalog.of([card("one", 90), card("two")])) == offered


async def said(folder: Path, *texts: str) -> list[str]:
    platform = RecordingPlatform()
    cards = [card("scripted"), card("other", 10)]
    async with running_house(folder, platform, [answer("Hello.")], cards=cards) as open_:
        for number, text in enumerate(texts):
            await open_.ask(asks(text, str(number)))
    return platform.texts


async def test_help_names_every_command(tmp_path: Path) -> None:
    (text,) = await said(tmp_path, "/help")
    assert all(f"`/{command.usage}`" in text for command in COMMANDS.values())


async def test_an_unknown_command_is_named_as_such_and_no_model_is_asked(tmp_path: Path) -> None:
    (text,) = await said(tmp_path, "/hlep me")
    assert text.startswith("There is no command `/hlep`. What there is:")


async def test_help_on_one_command_is_its_line(tmp_path: Path) -> None:
    (text,) = await said(tmp_path, "/help model")
    assert text == "- `/model [NAME | auto]` shows the models, or chooses one for this conversation"


async def test_a_chosen_model_stays_chosen_in_this_conversation_until_lucidia_chooses_again(tmp_path: Path) -> None:
    texts = await said(tmp_path, "/model SCRIPTED/m", "/model", "hello", "/why", "/model auto", "/model")
    assert texts[0] == "scripted/m answers in this conversation from now on."
    assert "`scripted/m` (chosen here), free" in texts[1]
    assert "you chose scripted/m for this conversation" in texts[3]
    assert texts[4] == "Lucidia chooses the model again."
    assert "(chosen here)" not in texts[5]


async def test_a_model_that_is_not_connected_is_not_chosen(tmp_path: Path) -> None:
    first, second = await said(tmp_path, "/model m9", "/model")
    assert first.startswith("There is no connected model of that name.")
    assert "(chosen here)" not in second


async def test_commands_about_the_last_answer_say_when_there_is_none(tmp_path: Path) -> None:
    assert await said(tmp_path, "/why", "/receipt", "/history", "/stop") == [
        "There is no answer yet in this conversation.",
        "There is no answer yet in this conversation.",
        "Nothing was said here before.",
        "Nothing is being answered here at the moment.",
    ]


async def test_why_gives_the_reason_the_candidates_and_what_it_took(tmp_path: Path) -> None:
    _, text = await said(tmp_path, "hello", "/why")
    assert "Lucidia's reason: scripted/m is the best for its price of 2 connected models that can serve this." in text
    assert "1. `scripted/m`, free\n2. `other/m`, free" in text
    assert ": 10 tokens in, 5 out; free." in text


async def test_the_receipt_lists_the_turns_entries_with_their_hashes(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        turn, _ = await open_.ask(asks("hello", "1"))
        await open_.ask(asks("/receipt", "2"))
        entries = await open_.store.entries_of(turn)
    assert f"turn `{turn}`" in platform.texts[1]
    for recorded in entries:
        assert recorded.hash.hex()[:32] in platform.texts[1]
    assert f"ps-sha256:{entries[-1].hash.hex()}" in platform.texts[1]


async def test_history_shows_what_was_said_without_commands(tmp_path: Path) -> None:
    texts = await said(
        tmp_path, "one", "/help", "two", "/history", "/history 1", "/history 0", "/history x", f"/history {'9' * 5_000}"
    )
    assert texts[3] == "**You:** one\n\n**CarPool:** Hello.\n\n**You:** two\n\n**CarPool:** Hello."
    assert texts[4] == "**You:** two\n\n**CarPool:** Hello."
    assert texts[5] == texts[6] == texts[7] == "`/history` takes a number from 1 to 100."
