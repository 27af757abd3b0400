"""`carpool discord` and what `carpool doctor` says of it, as a person meets them."""

from pathlib import Path

from tests.discord_app import TOKEN
from tests.fakes.discord_server import running_discord_server
from tests.processes import Home


async def test_without_a_token_it_says_which_setting_is_missing(tmp_path: Path) -> None:
    done = await Home(tmp_path).run("discord")
    assert done.status == 2
    assert "DISCORD_BOT_TOKEN" in done.err


async def test_a_token_that_discord_refuses_is_named_and_not_shown(tmp_path: Path) -> None:
    refused = "another.token.altogether"
    async with running_discord_server() as server:
        program = ("-m", "tests.fakes.discord_program", server.base_url, "0")
        done = await Home(tmp_path, settings={"DISCORD_BOT_TOKEN": refused}).run("discord", program=program)
    assert done.status == 1
    assert "DISCORD_BOT_TOKEN is not taken" in done.err
    assert refused not in done.out + done.err


async def test_an_intent_that_is_not_granted_is_named_with_what_to_do(tmp_path: Path) -> None:
    settings = {"DISCORD_BOT_TOKEN": TOKEN, "DISCORD_MESSAGE_CONTENT": "true"}
    async with running_discord_server() as server:
        program = ("-m", "tests.fakes.discord_program", server.base_url, "0")
        done = await Home(tmp_path, settings=settings).run("discord", program=program)
    assert done.status == 1
    assert "Turn on Message Content under Bot of your application" in done.err
    assert "Traceback" not in done.err


async def test_the_doctor_says_how_it_stands_with_discord(tmp_path: Path) -> None:
    off = await Home(tmp_path).run("doctor")
    wrong = await Home(tmp_path, settings={"DISCORD_BOT_TOKEN": "0123456789abcdef"}).run("doctor")
    ready = await Home(tmp_path, settings={"DISCORD_BOT_TOKEN": TOKEN}).run("doctor")
    assert "Set DISCORD_BOT_TOKEN" in off.out
    assert "DISCORD_BOT_TOKEN is no bot token" in wrong.out
    assert "Ready for `carpool discord`" in ready.out
