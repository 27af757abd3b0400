"""The log: JSON Lines without anybody's words, and no reason for anything to fail."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bot.logs import start_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            with suppress(OSError):
                handler.close()
    root.handlers, root.level = handlers, level


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "carpool.log").read_text().splitlines()]


def test_a_line_holds_what_is_ours_to_say(tmp_path: Path) -> None:
    start_logging(tmp_path, "INFO", to_stderr=False)
    logging.getLogger("carpool.intake").info("a turn ended", extra={"turn": "t-1", "text": "crimson"})
    (line,) = lines(tmp_path)
    assert (line["level"], line["log"], line["message"], line["turn"]) == (
        "INFO",
        "carpool.intake",
        "a turn ended",
        "t-1",
    )
    assert "crimson" not in json.dumps(line)


def test_of_an_error_its_kind_and_place_are_kept_and_not_its_words(tmp_path: Path) -> None:
    start_logging(tmp_path, "INFO", to_stderr=False)
    try:
        try:
            raise ValueError("token xoxb-crimson")
        except ValueError as error:
            raise RuntimeError("while working on crimson") from error
    except RuntimeError:
        logging.getLogger("carpool.turn").exception("a turn failed")
    (line,) = lines(tmp_path)
    assert "crimson" not in json.dumps(line)
    links = line["error"]
    assert isinstance(links, list)
    assert [link["kind"] for link in links] == ["builtins.RuntimeError", "builtins.ValueError"]
    assert links[0]["where"][0].startswith("test_logs.py:")


def test_of_what_libraries_say_only_the_template_is_kept(tmp_path: Path) -> None:
    start_logging(tmp_path, "INFO", to_stderr=False)
    logging.getLogger("slack_sdk").warning("sent %s", "crimson")
    logging.getLogger("openai").warning("crimson")
    logging.getLogger("openai").info("below the level")
    first, second = lines(tmp_path)
    assert first["message"] == "sent %s"
    assert "crimson" not in json.dumps([first, second])


def test_a_full_disk_makes_the_log_silent_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "carpool.log").symlink_to("/dev/full")
    start_logging(tmp_path, "INFO", to_stderr=False)
    logging.getLogger("carpool.intake").error("nothing can be recorded any more")
    assert capfd.readouterr().err == ""
