"""The log: JSON Lines without any text that a person or a model wrote, and without keys.

An exception is written as its kind and where it was raised, not in its own words: those may quote what was being worked on.
The same goes for what libraries log: of that only the template is kept, or the place.
"""

import json
import logging
import traceback
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE_BYTES_MAX = 5_000_000
FILES_MAX = 5
OWN = "carpool"
EXTRAS = ("turn", "cause", "platform", "status", "port")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "log": record.name,
            "message": _message(record),
        }
        line.update({name: getattr(record, name) for name in EXTRAS if hasattr(record, name)})
        if record.exc_info is not None and record.exc_info[1] is not None:
            line["error"] = _chain(record.exc_info[1])
        return json.dumps(line, default=str)


class LogFile(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """A log that cannot be written is no reason to fail, nor to print stack traces between a person's answers."""


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] == OWN:
        return record.getMessage()
    return str(record.msg) if record.args else f"{record.module}:{record.lineno} {record.funcName}"


def _chain(error: BaseException) -> list[dict[str, object]]:
    links: list[dict[str, object]] = []
    link: BaseException | None = error
    while link is not None and len(links) < 10:
        frames = traceback.extract_tb(link.__traceback__)
        where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
        links.append({"kind": f"{type(link).__module__}.{type(link).__qualname__}", "where": where})
        link = link.__cause__ or link.__context__
    return links


def start_logging(folder: Path, level: str, *, to_stderr: bool) -> None:
    """Into ``folder``/carpool.log; ``to_stderr`` besides, for a process whose output somebody collects."""
    # The mode counts for the last folder only, and the one above holds the ledger and its keys.
    for missing in (folder.parent, folder):
        missing.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = LogFile(folder / "carpool.log", maxBytes=FILE_BYTES_MAX, backupCount=FILES_MAX, encoding="utf-8", delay=True)
    handlers: list[logging.Handler] = [file]
    if to_stderr:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(JsonLines())
    # Libraries speak at WARNING: below that they quote what they send and receive.
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger(OWN).setLevel(level)
