"""Settings: where each comes from, what is wrong with them, and that nothing secret shows."""

from dataclasses import fields
from pathlib import Path

import pytest

from bot.config import Loaded, load
from bot.limits import ABOUT, Limits
from bot.secret import Secret
from bot.settings import Settings, settings_table

PROJECT = Path(__file__).parents[3]


def loaded(folder: Path, **environment: str) -> Loaded:
    return load(environment, folder, folder / "home")


def settings(folder: Path, **environment: str) -> Settings:
    result = loaded(folder, **environment)
    assert result.settings is not None, result.problems
    return result.settings


def test_without_any_setting_everything_has_its_default(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found.home == tmp_path / "home"
    assert found.database == tmp_path / "home" / "roadchain.db"
    assert found.local_enabled
    assert not found.openai_api_key
    assert found.limits == Limits()


def test_the_environment_goes_before_the_env_file_and_that_before_the_toml(tmp_path: Path) -> None:
    (tmp_path / "carpool.toml").write_text('port = 1\nhost = "toml"\norigin = "toml"')
    (tmp_path / ".env").write_text("CARPOOL_HOST=dotenv\nCARPOOL_ORIGIN=dotenv\n")
    found = settings(tmp_path, CARPOOL_ORIGIN="environment")
    assert (found.port, found.host, found.origin) == (1, "dotenv", "environment")


@pytest.mark.parametrize("name", [".env", "carpool.toml"])
def test_a_file_saved_by_an_editor_of_windows_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (b"PORT=7\r\n" if name == ".env" else b"port = 7\r\n"))
    assert settings(tmp_path).port == 7


@pytest.mark.parametrize("line", ["OPENAI_API_KEY sk-crimson", "OPENAI_API_KEY", "PORT='7", "what is this?"])
def test_a_line_of_the_env_file_that_sets_nothing_is_named_and_not_quoted(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# a remark\nexport CARPOOL_HOST=here\n\n{line}\n")
    (problem,) = loaded(tmp_path).problems
    assert "line 4 of " in problem.what
    assert "crimson" not in problem.what + problem.remedy


def test_an_empty_value_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "carpool.toml").write_text("turn_s = 7")
    assert settings(tmp_path, CARPOOL_TURN_S=" ").limits.turn_s == 7


def test_the_example_lists_each_setting_once_and_sets_none(tmp_path: Path) -> None:
    example = (PROJECT / ".env.example").read_text()
    names = [line.partition("=")[0] for line in example.splitlines() if line and not line.startswith("#")]
    assert names == [setting.variable for setting in settings_table(tmp_path)]
    (tmp_path / ".env").write_text(example)
    assert settings(tmp_path) == load({}, tmp_path / "other", tmp_path / "home").settings


def test_each_limit_says_what_it_is() -> None:
    assert set(ABOUT) == {item.name for item in fields(Limits)}


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "carpool.toml").write_text("trun_s = 3")
    problems = loaded(tmp_path, CARPOOL_TURN_S="x", PORT="-1", CARPOOL_NO_SUCH_THING="1").problems
    assert len(problems) == 4
    assert all(problem.remedy for problem in problems)


def test_what_is_wanted_of_a_choice_is_read_and_a_slip_in_it_is_told(tmp_path: Path) -> None:
    given = {"CARPOOL_POLICY": "Cheapest", "CARPOOL_MODEL": "openai/x", "CARPOOL_PROVIDERS": "openai, local"}
    found = settings(tmp_path, **given, CARPOOL_ANSWER_URC_MAX="5")
    assert (found.policy, found.model, found.providers, found.answer_urc_max) == (
        "cheapest",
        "openai/x",
        ("openai", "local"),
        5,
    )
    assert len(loaded(tmp_path, CARPOOL_POLICY="dearest", CARPOOL_MODEL="gpt").problems) == 2


@pytest.mark.parametrize(
    ("text", "truth"), [("true", True), ("YES", True), ("1", True), ("off", False), ("No", False), ("0", False)]
)
def test_yes_and_no_have_many_names(tmp_path: Path, text: str, truth: bool) -> None:
    assert settings(tmp_path, CARPOOL_LOCAL_ENABLED=text).local_enabled is truth


def test_forks_of_a_model_have_a_scale(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b:c.gguf"
    first.write_bytes(b"GGUF")
    second.write_bytes(b"GGUF")
    found = settings(tmp_path, CARPOOL_LOCAL_LORA=f"{first}:0.5, {second}")
    assert found.local_lora == ((first, 0.5), (second, 1.0))


def test_the_ledger_may_stand_elsewhere(tmp_path: Path) -> None:
    assert settings(tmp_path, CARPOOL_DATABASE_URL=f"sqlite:///{tmp_path}/x.db").database == tmp_path / "x.db"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://x",
        "sqlite://",
        "x.db",
        "postgres://x",
        "postgresql://user:crimson@host",
        "postgresql://user:crimson@host:port/d",
        "postgresql://user:crim/son@host/d",
        "postgresql://user:crim?son@host/d",
        "postgresql://user:crim#son@host/d",
        "postgresql://user:crim son@host/d",
        "postgresql://user:[crimson@host/d",
    ],
)
def test_another_ledger_than_we_can_keep_is_refused(tmp_path: Path, url: str) -> None:
    (problem,) = loaded(tmp_path, CARPOOL_DATABASE_URL=url).problems
    assert "CARPOOL_DATABASE_URL" in problem.what
    assert "crim" not in problem.what + problem.remedy


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgres://user@h:5433/d", "postgres://user@h:5433/d"),
        ("postgresql://user:crimson%40@h:5433/d", "postgresql://user:…@h:5433/d"),
        ("postgresql://h/d?user=u&password=crimson", "postgresql://h/d?…"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?…"),
    ],
)
def test_where_a_ledger_is_kept_is_shown_without_the_password(tmp_path: Path, url: str, shown: str) -> None:
    result = loaded(tmp_path, CARPOOL_DATABASE_URL=url)
    assert result.settings is not None
    assert result.settings.database_shown == shown
    assert isinstance(database := result.settings.database, Secret)
    assert database.reveal() == url
    assert {item.shown for item in result.in_force if item.setting.field == "database_url"} == {shown}
    assert "crimson" not in repr(result)


def test_a_secret_does_not_show_itself(tmp_path: Path) -> None:
    key = "sk-crimson-0123456789abcdef"
    result = loaded(tmp_path, OPENAI_API_KEY=key)
    assert key not in repr(result) + str(result.settings)
    assert Secret(key).masked == "…cdef"
    assert Secret("short").masked == "…"
    assert f"{Secret(key)}" == "Secret(…)"


def test_a_password_in_an_address_does_not_show(tmp_path: Path) -> None:
    address = "https://somebody:crimson@models.example.org:8443/v1"
    result = loaded(tmp_path, OPENAI_BASE_URL=address, CARPOOL_OPENAI_MODELS="m")
    (shown,) = [item.shown for item in result.in_force if item.setting.variable == "OPENAI_BASE_URL"]
    assert shown == "https://…@models.example.org:8443/v1"
    assert result.settings is not None
    assert result.settings.openai_base_url == address


@pytest.mark.parametrize(
    "address",
    ["example.org", "ftp://example.org", "http://", "http://[::1/v1", "http://h:99999/", "http://h:x/", "http://h/v 1"],
)
def test_an_address_that_cannot_be_called_is_refused_before_anything_starts(tmp_path: Path, address: str) -> None:
    (problem,) = loaded(tmp_path, OPENAI_BASE_URL=address, CARPOOL_OPENAI_MODELS="m").problems
    assert "it should be an address such as https://example.com/v1" in problem.what


def test_a_wrong_secret_is_not_quoted(tmp_path: Path) -> None:
    (problem,) = loaded(tmp_path, SLACK_BOT_TOKEN="crimson").problems
    assert "crimson" not in problem.what + problem.remedy
