"""The program as a person starts it: what it prints, where, and with which exit status."""

import asyncio
import json
import signal
import socket
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from adapters.base import ChatRequest, collect
from adapters.blackroad_local import LocalAdapter
from adapters.messages import ModelName, ProviderName, say
from bot.agents.memory import compose
from bot.agents.registry import CARPOOL
from bot.payloads import decode_asked
from tests.fakes.slack_server import running_slack_server
from tests.processes import HELLO, Home
from tests.slack_workspace import BOT_TOKEN

FORBIDDEN = (
    "asyncpg",
    "openai",
    "anthropic",
    "google",
    "slack_sdk",
    "slack_bolt",
    "discord",
    "stripe",
    "xllamacpp",
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_question_through_a_pipe_gets_the_answer_alone_on_standard_output(home: Home) -> None:
    done = await home.run("chat", given=b"What is it?\n")
    assert (done.status, done.out, done.err) == (0, "Hello there.\n", "")


async def test_the_line_break_that_echo_adds_is_no_part_of_the_question(home: Home) -> None:
    await home.run("chat", given=b"What is it?\n")
    await home.run("chat", given=b"What is it?")
    with closing(sqlite3.connect(home.ledger)) as database:
        asked = [decode_asked(body).text for (body,) in database.execute("SELECT body FROM payload") if b"What" in body]
    assert asked == ["What is it?", "What is it?"]


async def test_the_embedded_model_answers_without_a_key_an_account_or_a_network(home: Home) -> None:
    home.settings = {
        "CARPOOL_SCRIPTED": "",
        "CARPOOL_LOCAL_ENABLED": "true",
        "CARPOOL_LOCAL_THREADS": "1",
        "CARPOOL_OUTPUT_TOKENS_MAX": "24",
    }
    done = await home.run("chat", given=b"Who wrote Faust?")
    assert done.status == 0, done.err
    assert len(done.out.split()) > 3
    entries = home.entries()
    (answered,) = [entry for entry in entries if entry["action"] == "model.answered"]
    assert answered["usage_known"]
    assert 0 < answered["output_tokens"] <= 24


async def test_what_carpool_is_told_leaves_the_embedded_model_its_wits() -> None:
    """A sentence more in the instructions, and a model this small answers the name of a country in its language."""
    adapter = LocalAdapter(ProviderName("local"), None, (), 512, 1, 1, temperature=0.0)
    try:
        for country, capital in (("France", "Paris"), ("Italy", "Rome"), ("Germany", "Berlin")):
            question = say("user", f"What is the capital of {country}?")
            request = ChatRequest(ModelName("m"), compose(CARPOOL, (), question, 0), 40, 60)
            assert capital in (await collect(adapter.chat(request))).text
    finally:
        await adapter.aclose()


async def test_a_command_works_through_a_pipe(home: Home) -> None:
    done = await home.run("chat", given=b"/help")
    assert done.status == 0
    assert "/receipt" in done.out


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (b"", 1, "There was no text in that message."),
        (b" \n ", 1, "There was no text in that message."),
        (b"\xff\xfe", 2, "The question is not UTF-8 text: the byte at position 0 does not fit."),
        (b"good \xc3", 2, "the byte at position 5"),
        (b"x" * 10_000_000, 1, "longer than the 32,000 bytes I can take at once"),
    ],
    ids=["empty", "blank", "no text", "cut text", "10 MB"],
)
async def test_a_question_that_cannot_be_asked_is_told_so_on_standard_error(
    home: Home, given: bytes, status: int, said: str
) -> None:
    done = await home.run("chat", given=given)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert "Traceback" not in done.err


async def test_half_an_answer_is_not_passed_on_as_one(home: Home) -> None:
    home.script = [[{"text": "Once upon a "}]]
    done = await home.run("chat", given=b"Tell me a story.")
    assert (done.status, done.out) == (1, "")
    assert "the connection to scripted/script failed or was cut" in done.err


async def test_a_model_that_fails_is_a_sentence_on_standard_error(home: Home) -> None:
    home.script = [[{"error": "rate_limited", "retry_after_s": 7}]]
    done = await home.run("chat", given=b"hello")
    assert (done.status, done.out) == (1, "")
    assert "scripted/script is at its rate limit. Try again in 7 seconds" in done.err


async def test_what_a_terminal_should_not_be_told_does_not_reach_it(home: Home) -> None:
    home.script = [[{"text": "\x1b]0;owned\x07red\u202e"}, {"finish": "stop"}]]
    done = await home.run("chat", given=b"hello")
    assert done.out == "]0;ownedred\n"


async def test_the_ledger_is_listed_a_line_an_entry_and_as_json_lines(home: Home) -> None:
    await home.run("chat", given=b"a crimson question")
    lines = (await home.run("ledger", "entries")).out.splitlines()
    parsed = [json.loads(line) for line in (await home.run("ledger", "entries", "--json")).out.splitlines()]
    assert len(lines) == len(parsed) == 8
    assert [line.split()[2] for line in lines] == [item["entry"]["action"] for item in parsed]
    assert all(item["hash"].startswith("ps-sha256:") for item in parsed)
    assert not any("crimson" in line for line in lines)


async def test_the_ledger_is_verified_and_a_change_is_found(home: Home) -> None:
    await home.run("chat", given=b"hello")
    verified = await home.run("ledger", "verify")
    assert (verified.status, verified.out.startswith("verified: 8 entries")) == (0, True)
    with closing(sqlite3.connect(home.ledger)) as database:
        database.execute("DROP TRIGGER entry_keeps")
        database.execute("UPDATE entry SET hash = zeroblob(32) WHERE seq = 5")
        database.commit()
    changed = await home.run("ledger", "verify")
    assert (changed.status, changed.out) == (
        1,
        "NOT VERIFIED: RC004: entry 5: the hash is not that of the entry's bytes\n",
    )


async def test_before_the_first_conversation_there_is_no_ledger(home: Home) -> None:
    assert (await home.run("ledger", "verify")).status == 2
    assert "begins with the first" in (await home.run("ledger", "entries")).err
    assert (await home.run("ledger", "replay")).status == 2


async def test_a_replay_makes_the_projections_anew(home: Home) -> None:
    await home.run("chat", given=b"hello")
    with closing(sqlite3.connect(home.ledger)) as database:
        before = database.execute("SELECT turn, state FROM turn").fetchall()
        database.execute("UPDATE turn SET state = 'open'")
        database.commit()
    done = await home.run("ledger", "replay")
    assert (done.status, done.out) == (0, "The projections were made anew from 8 entries.\n")
    with closing(sqlite3.connect(home.ledger)) as database:
        assert database.execute("SELECT turn, state FROM turn").fetchall() == before


async def test_all_state_is_under_one_folder_and_only_its_owner_reads_the_keys(home: Home) -> None:
    await home.run("chat", given=b"hello")
    state = home.folder / "home"
    assert {path.name for path in state.iterdir()} >= {"roadchain.db", "ledger.key", "pseudonyms.key", "logs"}
    assert {path.name for path in home.folder.iterdir()} == {"home", "script.json"}
    for name in ("roadchain.db", "ledger.key", "pseudonyms.key"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
    for folder in (state, state / "logs"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_neither_text_nor_keys_stand_in_the_log(home: Home) -> None:
    home.settings = {"CARPOOL_LOG_LEVEL": "DEBUG", "OPENAI_API_KEY": "sk-crimson-0123456789"}
    home.script = [[{"text": "indigo"}, {"error": "unavailable"}]]
    await home.run("chat", given=b"a crimson question")
    log = "".join(path.read_text() for path in (home.folder / "home" / "logs").glob("*"))
    assert "crimson" not in log
    assert "indigo" not in log


async def test_a_conversation_with_the_local_model_imports_no_sdk_of_a_provider(home: Home) -> None:
    program = (
        "-c",
        "import sys; from bot.__main__ import main; status = main(sys.argv[1:]);"
        " sys.stderr.write(' '.join(sorted({name.partition('.')[0] for name in sys.modules}))); sys.exit(status)",
    )
    first = await home.run("chat", given=b"hello", program=program)
    assert first.status == 0
    home.settings = {
        "CARPOOL_SCRIPTED": "",
        "CARPOOL_LOCAL_ENABLED": "true",
        "CARPOOL_LOCAL_THREADS": "1",
        "CARPOOL_OUTPUT_TOKENS_MAX": "4",
    }
    second = await home.run("chat", given=b"hello", program=program)
    assert not set(second.err.split()) & set(FORBIDDEN)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"CARPOOL_TURN_S": "soon"}, "CARPOOL_TURN_S (from environment) is not usable"),
        ({"CARPOOL_TRUN_S": "5"}, "There is no setting named CARPOOL_TRUN_S. Did you mean CARPOOL_TURN_S?"),
        ({"CARPOOL_LOCAL_MODEL": "/no/such.gguf"}, "there is no file of that name"),
        ({"SLACK_BOT_TOKEN": "xapp-1"}, "it should be a bot token, which begins with xoxb-"),
        (
            {"CARPOOL_DATABASE_URL": "postgresql://x:crimson@h"},
            "it should be postgresql://user:password@host:5432/database",
        ),
        ({"OPENAI_BASE_URL": "example.org"}, "it should be an address"),
        ({"OPENAI_BASE_URL": "https://example.org/v1"}, "Name them in CARPOOL_OPENAI_MODELS"),
        ({"OPENAI_API_KEY": "sk-crimson \u00e9"}, "OPENAI_API_KEY (from environment) is not usable"),
        ({"PORT": "70000"}, "a whole number from 0 to 65,535"),
    ],
)
async def test_a_wrong_setting_is_named_with_its_remedy_before_anything_starts(
    home: Home, settings: dict[str, str], said: str
) -> None:
    home.settings = settings
    done = await home.run("chat", given=b"hello")
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert "crimson" not in done.err
    assert not (home.folder / "home").exists()


async def test_the_settings_in_force_are_printed_with_secrets_masked_and_their_source(home: Home) -> None:
    (home.folder / ".env").write_text("OPENAI_API_KEY=sk-0123456789abcdefghij\nCARPOOL_TURN_S=\n")
    (home.folder / "carpool.toml").write_text('turn_s = 30\nopenai_models = ["a", "b"]\n')
    home.settings = {"CARPOOL_ORIGIN": "example.org"}
    done = await home.run("config")
    shown = {line.split()[0]: " ".join(line.split()[1:]) for line in done.out.splitlines()}
    assert done.status == 0
    assert shown["OPENAI_API_KEY"] == "…ghij (.env)"
    assert shown["CARPOOL_TURN_S"] == "30 (carpool.toml)"
    assert shown["CARPOOL_OPENAI_MODELS"] == "a,b (carpool.toml)"
    assert shown["CARPOOL_ORIGIN"] == "example.org (environment)"
    assert shown["SLACK_BOT_TOKEN"] == "- (default)"
    assert "0123456789abcdef" not in done.out + done.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("carpool.toml", "turn_s = ", "carpool.toml cannot be read"),
        ("carpool.toml", "trun_s = 3", "Did you mean turn_s?"),
        ("carpool.toml", "turn_s = 3.5", "neither text nor a whole number"),
        (".env", b"\xff\xfe=1", ".env cannot be read as text"),
    ],
)
async def test_a_settings_file_that_cannot_be_read_is_named(
    home: Home, name: str, content: str | bytes, said: str
) -> None:
    (home.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    done = await home.run("chat", given=b"hello")
    assert done.status == 2
    assert said in done.err


@pytest.mark.parametrize("content", ["", "[[]", '[[{"no": "step"}]]'])
async def test_a_script_that_is_none_is_named_before_anything_starts(home: Home, content: str) -> None:
    script = home.folder / "other.json"
    script.write_text(content)
    home.settings = {"CARPOOL_SCRIPTED": str(script)}
    done = await home.run("chat", given=b"hello")
    assert (done.status, done.out) == (2, "")
    assert done.err == f"The script {script} cannot be read: adapters/README.md gives its form.\n"
    assert not home.ledger.exists()


@pytest.mark.parametrize("name", ["CARPOOL_LOCAL_MODEL", "CARPOOL_LOCAL_LORA"])
async def test_a_model_file_that_is_none_is_named_before_anything_starts(home: Home, name: str) -> None:
    (home.folder / "model.gguf").write_bytes(b"Dear diary")
    home.settings = {name: "model.gguf", "CARPOOL_LOCAL_ENABLED": "true"}
    done = await home.run("chat", given=b"hello")
    assert done.status == 2
    assert f"{name} (from environment) is not usable: it should be a GGUF file" in done.err
    assert not home.ledger.exists()


async def test_the_doctor_tries_whether_the_local_model_can_be_loaded(home: Home) -> None:
    home.settings = {"CARPOOL_LOCAL_ENABLED": "true"}
    assert "on     Local model   SmolLM2-135M-Instruct" in (await home.run("doctor")).out
    (home.folder / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    home.settings = {"CARPOOL_LOCAL_ENABLED": "true", "CARPOOL_LOCAL_MODEL": "cut.gguf"}
    done = await home.run("doctor")
    assert done.status == 1
    assert "wrong  Local model   llama.cpp cannot load" in done.out
    assert "Traceback" not in done.err


async def test_the_doctor_finds_a_state_folder_that_cannot_be_made(home: Home) -> None:
    (home.folder / "file").write_text("x")
    home.settings = {"CARPOOL_HOME": str(home.folder / "file" / "state")}
    done = await home.run("doctor")
    assert done.status == 1
    assert "Set CARPOOL_HOME to a folder that may be written." in done.out


async def test_a_damaged_ledger_is_not_called_safe(home: Home) -> None:
    await home.run("chat", given=b"hello")
    content = bytearray(home.ledger.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 200] = bytes(range(200))
    home.ledger.write_bytes(content)
    for command in (("chat",), ("ledger", "entries"), ("ledger", "replay")):
        done = await home.run(*command, given=b"hello again")
        assert (done.status, done.out) == (1, "")
        assert "carpool ledger verify" in done.err or "it is damaged" in done.err
        assert "safe" not in done.err
        assert "Traceback" not in done.err
    assert (await home.run("ledger", "verify")).status == 1


async def test_the_manifest_of_the_slack_app_is_printed_as_json(home: Home) -> None:
    done = await home.run("slack", "manifest")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["settings"]["socket_mode_enabled"] is True
    done = await home.run("slack", "manifest", "--http")
    assert (done.status, done.out) == (2, "")
    assert "CARPOOL_PUBLIC_URL" in done.err
    home.settings = {"CARPOOL_PUBLIC_URL": "https://carpool.example.org/"}
    done = await home.run("slack", "manifest", "--http")
    assert "https://carpool.example.org/slack/events" in done.out


async def test_the_doctor_says_what_is_on_off_and_wrong(home: Home) -> None:
    home.settings = {"SLACK_BOT_TOKEN": BOT_TOKEN}
    done = await home.run("doctor")
    states = {" ".join(line.split()[1:2]): line.split()[0] for line in done.out.splitlines()}
    assert done.status == 1
    assert (states["Slack"], states["OpenAI"], states["Local"], states["Disk"]) == ("wrong", "off", "off", "on")
    assert "Set SLACK_SIGNING_SECRET for `carpool web`" in done.out


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"Dear diary, " * 500, "it is damaged: move it away"), (b"\x00" * 5_000, "move it away")],
    ids=["a text", "zeros"],
)
async def test_a_file_that_is_no_ledger_is_refused_in_a_sentence_and_left_alone(
    home: Home, content: bytes, said: str
) -> None:
    home.ledger.parent.mkdir()
    home.ledger.write_bytes(content)
    done = await home.run("chat", given=b"hello")
    assert (done.status, done.out) == (1, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert home.ledger.read_bytes() == content


async def test_a_ledger_without_its_keys_is_not_given_new_ones(home: Home) -> None:
    await home.run("chat", given=b"hello")
    (home.folder / "home" / "pseudonyms.key").unlink()
    done = await home.run("chat", given=b"hello")
    assert done.status == 1
    assert "pseudonyms.key is missing. Restore" in done.err
    assert not (home.folder / "home" / "pseudonyms.key").exists()


async def test_a_ledger_that_was_begun_with_another_key_is_refused(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    await home.run("chat", given=b"hello")
    await other.run("chat", given=b"hello")
    (home.folder / "home" / "ledger.key").write_bytes((other.folder / "home" / "ledger.key").read_bytes())
    done = await home.run("chat", given=b"hello")
    assert done.status == 1
    assert "begun with another key" in done.err


async def test_a_state_folder_that_cannot_be_made_is_named(home: Home) -> None:
    (home.folder / "file").write_text("x")
    home.settings = {"CARPOOL_HOME": str(home.folder / "file" / "state")}
    done = await home.run("chat", given=b"hello")
    assert done.status == 1
    assert "Set CARPOOL_HOME to a folder of yours." in done.err
    assert "Traceback" not in done.err


async def test_web_without_its_settings_says_which_are_missing(home: Home) -> None:
    done = await home.run("web")
    assert done.status == 2
    assert "Not set: SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET." in done.err
    assert "SLACK_APP_TOKEN" in (await home.run("web", "--socket")).err


@pytest.mark.parametrize(
    ("arguments", "tokens", "said"),
    [
        (("web",), {"SLACK_BOT_TOKEN": "xoxb-wrong"}, "SLACK_BOT_TOKEN is refused"),
        (("web", "--socket"), {"SLACK_APP_TOKEN": "xapp-wrong"}, "See that SLACK_APP_TOKEN is right"),
    ],
)
async def test_a_token_that_slack_refuses_is_said_at_the_start(
    home: Home, arguments: tuple[str, ...], tokens: dict[str, str], said: str
) -> None:
    async with running_slack_server() as server:
        right = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_SIGNING_SECRET": "x" * 32, "SLACK_API_URL": server.api_url}
        home.settings = {**right, **tokens}
        done = await home.run(*arguments)
    assert done.status == 1
    assert "Slack: invalid_auth" in done.err
    assert said in done.err
    assert "wrong" not in done.err


async def test_a_port_that_is_taken_is_named(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        home.settings = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_SIGNING_SECRET": "x" * 32, "PORT": port}
        home.settings |= {"SLACK_API_URL": "http://127.0.0.1:1/api/"}  # nobody there: it is asked again later
        done = await home.run("web")
    assert done.status == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.err


async def test_two_conversations_in_one_home_at_once_are_both_answered_where_they_were_asked(home: Home) -> None:
    home.script = [[{"pause_s": 0.2}, *HELLO[0]]]
    done = await asyncio.gather(*(home.run("chat", given=b"hello") for _ in range(4)))
    assert [item.out for item in done] == ["Hello there.\n"] * 4, done
    assert [item.status for item in done] == [0] * 4
    assert len(home.entries()) == 1 + 4 * 7


async def test_a_reader_that_has_seen_enough_is_no_fault(home: Home) -> None:
    await home.run("chat", given=b"hello")
    process = await home.start("ledger", "entries")
    assert process.stdout is not None
    process.stdout._transport.close()  # type: ignore[attr-defined]  # the only way to hang up on it
    assert process.stderr is not None
    assert b"Traceback" not in await process.stderr.read()
    await process.wait()


FULL = "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); from bot.__main__ import main; sys.exit(main())"
TELLING = """
import sys
from bot.__main__ import main

class Telling:
    def isatty(self):
        return False

    @property
    def buffer(self):
        print("reading", file=sys.stderr, flush=True)
        return sys.__stdin__.buffer

sys.stdin = Telling()
sys.exit(main())
"""
CLOSED = "import sys; sys.stdout = None; from bot.__main__ import main; sys.exit(main())"


@pytest.mark.parametrize(("program", "why"), [(FULL, "No space left on device"), (CLOSED, "it is closed")])
async def test_an_answer_that_cannot_be_written_is_not_called_given(home: Home, program: str, why: str) -> None:
    done = await home.run("chat", given=b"hello", program=("-c", program))
    assert (done.status, done.err) == (1, f"The answer could not be written to standard output: {why}.\n")
    assert home.entries()[-1]["outcome"] == "undelivered"
    assert (await home.run("chat", given=b"hello")).err == ""


@pytest.mark.parametrize("arguments", [("config",), ("ledger", "entries"), ("ledger", "verify")])
async def test_a_list_that_cannot_be_written_is_told_so(home: Home, arguments: tuple[str, ...]) -> None:
    await home.run("chat", given=b"hello")
    done = await home.run(*arguments, program=("-c", FULL))
    assert (done.status, done.err) == (2, "Standard output cannot be written: No space left on device.\n")


async def test_what_the_output_has_no_letters_for_is_replaced(home: Home) -> None:
    home.script = [[{"text": "Caf\u00e9 \u2014 42"}, {"finish": "stop"}]]
    home.settings = {"PYTHONIOENCODING": "ascii", "OPENAI_API_KEY": "sk-0123456789abcdefghij"}
    done = await home.run("chat", given=b"hello")
    assert (done.status, done.out, done.err) == (0, "Caf? ? 42\n", "")
    listed = await home.run("config")
    assert (listed.status, listed.err) == (0, "")
    assert "?ghij" in listed.out


async def test_without_any_input_there_is_no_question(home: Home) -> None:
    program = "import sys; sys.stdin = None; from bot.__main__ import main; sys.exit(main())"
    done = await home.run("chat", program=("-c", program))
    assert (done.status, done.out) == (1, "")
    assert "There was no text in that message." in done.err
    assert "Traceback" not in done.err


async def test_an_interrupt_ends_the_wait_for_a_question(home: Home) -> None:
    process = await home.start("chat", program=("-c", TELLING))
    assert process.stderr is not None
    assert await process.stderr.readline() == b"reading\n"
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        assert await process.wait() == 130
    assert await process.stderr.read() == b""
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("arguments", [(), ("fly",), ("chat", "--loud"), ("ledger",)])
async def test_a_command_that_there_is_not_is_told_how_to_use_it(home: Home, arguments: tuple[str, ...]) -> None:
    done = await home.run(*arguments)
    assert done.status == 2
    assert "usage: carpool" in done.err


async def test_the_list_of_models_says_of_each_what_it_costs_and_what_is_missing_to_use_it(home: Home) -> None:
    home.settings = {"OPENAI_API_KEY": "sk-crimson"}
    done = await home.run("models")
    assert done.status == 0
    lines = {line.split()[0]: line for line in done.out.splitlines() if "/" in line.split(" ")[0]}
    assert lines["openai/gpt-6.1-sol"].endswith("usable")
    assert "2.00 / 10.00 USD (cached 0.10) *" in lines["openai/gpt-6.1-sol"]
    assert lines["openai/gpt-6-astra"].endswith("not offered: name it in CARPOOL_OPENAI_MODELS")
    assert lines["xai/grok-4.7"].endswith("no key: set XAI_API_KEY")
    assert "free" in lines["scripted/script"]
    assert "blackroad, the house's own endpoint (set CARPOOL_BLACKROAD_BASE_URL)" in done.out
    assert "the model on this machine (set CARPOOL_LOCAL_ENABLED=true)" in done.out
    assert "crimson" not in done.out


async def test_a_catalogue_that_is_wrong_is_named_before_anything_starts(home: Home) -> None:
    (home.folder / "models.toml").write_text('["a/b"]\ncolour = "red"\n')
    home.settings = {"CARPOOL_CATALOGUE": "models.toml"}
    done = await home.run("chat", given=b"hello")
    assert done.status == 2
    assert "a/b has colour, which is none of" in done.err
    assert "CARPOOL_CATALOGUE" in done.err
