"""`carpool chat` at a terminal."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import HELLO, Home
from tests.terminal import CTRL_C, CTRL_D, ENTER, PROMPT, STYLE, terminal

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_conversation_from_the_first_screen_to_the_last(home: Home) -> None:
    async with terminal(home) as (screen, process):
        first = await screen.sees(PROMPT)
        assert "CarPool. Model: scripted/script" in first
        assert "/help lists the commands. Ctrl-C stops an answer, Ctrl-D leaves." in first
        screen.type(f"hello{ENTER}")
        await screen.sees("Hello there.")
        await screen.sees("scripted/script · the only model connected · free · t-")
        await screen.sees(PROMPT)
        screen.type(f"/why{ENTER}")
        await screen.sees("Lucidia's reason: scripted/script is the only model connected.")
        await screen.sees(PROMPT)
        screen.type(f"/hlep{ENTER}")
        await screen.sees("There is no command /hlep.")
        await screen.sees(PROMPT)
        screen.type(CTRL_C)
        await screen.sees("Ctrl-D or /quit leaves.")
        await screen.sees(PROMPT)
        screen.type(CTRL_D)
        assert await asyncio.to_thread(process.wait, 20) == 0


async def test_ctrl_c_stops_the_answer_and_not_the_program(home: Home) -> None:
    home.script = [[{"text": "One, two "}, {"pause_s": 60}, {"finish": "stop"}], *HELLO]
    async with terminal(home) as (screen, process):
        await screen.sees(PROMPT)
        screen.type(f"count{ENTER}")
        await screen.sees("One, two")
        screen.type(CTRL_C)
        await screen.sees("Stopped, as you asked.")
        await screen.sees(PROMPT)
        screen.type(f"hello{ENTER}")
        await screen.sees("Hello there.")
        await screen.sees(PROMPT)
        screen.type(f"/quit{ENTER}")
        assert await asyncio.to_thread(process.wait, 20) == 0


async def test_what_is_typed_while_an_answer_streams_does_not_show_in_it_and_is_the_next_question(home: Home) -> None:
    home.script = [[{"text": "One, two "}, {"pause_s": 1}, {"text": "three."}, {"finish": "stop"}], *HELLO]
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"count{ENTER}")
        await screen.sees("One, two")
        screen.type(f"crimson{ENTER}")
        assert "crimson" not in await screen.sees("three.")
        await screen.sees(PROMPT)
        await screen.sees("crimson")
        await screen.sees("Hello there.")


async def test_what_stands_behind_a_stopped_answer_is_no_markup(home: Home) -> None:
    home.script = [[{"text": "One, two "}, {"pause_s": 60}, {"finish": "stop"}]]
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"count{ENTER}")
        await screen.sees("One, two")
        screen.type(CTRL_C)
        assert "_" not in await screen.sees("Stopped, as you asked.")
        assert "_" not in await screen.sees("scripted/script ·")


async def test_help_at_a_terminal_says_how_to_leave(home: Home) -> None:
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"/help{ENTER}")
        await screen.sees("/stop stops the answer")
        await screen.sees("/quit leaves")


async def test_where_nothing_can_be_recorded_any_more_the_terminal_is_left_in_order(home: Home) -> None:
    async with terminal(home) as (screen, process):
        await screen.sees(PROMPT)
        with closing(sqlite3.connect(home.ledger)) as database:
            database.execute("DROP TABLE head")
        screen.type(f"hello{ENTER}")
        await screen.sees("The ledger cannot be read or written any more")
        assert await asyncio.to_thread(process.wait, 20) == 1
        # The spinner hides the cursor while it turns.
        assert screen.raw.rpartition(HIDE_CURSOR)[2].count(SHOW_CURSOR)
    assert "Traceback" not in screen.raw


async def test_while_the_model_thinks_something_moves(home: Home) -> None:
    home.script = [[{"pause_s": 1}, *HELLO[0]]]
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"hello{ENTER}")
        await screen.sees("thinking")
        await screen.sees("Hello there.")


async def test_a_conversation_is_remembered_in_the_next_session(home: Home) -> None:
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"a crimson question{ENTER}")
        await screen.sees("scripted/script ·")
        await screen.sees(PROMPT)
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"/history{ENTER}")
        await screen.sees("You: a crimson question")
        await screen.sees("CarPool: Hello there.")
        await screen.sees(PROMPT)
        screen.type("\x1b[A\x1b[A")
        await screen.sees("a crimson question")


async def test_without_colour_nothing_is_coloured(home: Home) -> None:
    async with terminal(home, NO_COLOR="1") as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"hello{ENTER}")
        await screen.sees("scripted/script ·")
        await screen.sees(PROMPT)
        coloured = [style for style in STYLE.findall(screen.raw) if style not in ("\x1b[m", "\x1b[0m")]
    assert coloured == []


async def test_the_embedded_model_says_that_it_is_small_and_how_to_plug_in_a_better_one(home: Home) -> None:
    async with terminal(home, CARPOOL_SCRIPTED="", CARPOOL_LOCAL_ENABLED="true") as (screen, _):
        first = await screen.sees(PROMPT)
    assert "It is very small, so expect mistakes." in first
    assert "OPENAI_API_KEY" in first
    assert "CARPOOL_LOCAL_MODEL" in first


async def test_tab_completes_a_command_and_the_name_of_a_model(home: Home) -> None:
    async with terminal(home) as (screen, process):
        await screen.sees(PROMPT)
        screen.type("/mod\t")
        await screen.sees("el")
        screen.type(" scr\t")
        await screen.sees("ipted/script")
        screen.type(ENTER)
        await screen.sees("scripted/script answers in this conversation from now on.")
        await screen.sees(PROMPT)
        screen.type(CTRL_D)
        assert await asyncio.to_thread(process.wait, 20) == 0


async def test_tab_completes_the_models_of_keys_that_were_brought_also_while_the_program_runs(home: Home) -> None:
    async with terminal(home) as (screen, _):
        await screen.sees(PROMPT)
        added = await home.run("keys", "add", "--unchecked", "anthropic", given=b"sk-ant-0123456789abcdef\n")
        assert added.status == 0
        screen.type(f"/model{ENTER}")
        await screen.sees("anthropic/claude-haiku-5-5")
        await screen.sees(PROMPT)
        screen.type("/model haiku\t")
        await screen.sees("anthropic/claude-haiku-5-5")


async def test_a_key_is_asked_for_blind_and_stands_neither_on_the_screen_nor_in_a_file_but_sealed(home: Home) -> None:
    home.settings = {"CARPOOL_BLACKROAD_BASE_URL": "http://127.0.0.1:1/v1", "CARPOOL_BLACKROAD_MODELS": "m"}
    async with terminal(home, **home.settings) as (screen, _):
        await screen.sees(PROMPT)
        screen.type(f"/keys add blackroad{ENTER}")
        await screen.sees("Provider (")
        screen.type(ENTER)
        await screen.sees("Key>")
        screen.type(f"sk-crimson-0123456789{ENTER}")
        await screen.sees("It answers (")
        screen.type(ENTER)
        await screen.sees("The key …6789 for blackroad is kept, sealed.")
        await screen.sees(PROMPT)
        screen.type(CTRL_D)
    assert "crimson" not in screen.raw
    assert not [path for path in home.folder.rglob("*") if path.is_file() and b"crimson" in path.read_bytes()]
