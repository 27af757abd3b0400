"""Reading an attached file as text, each in a process of its own (``integrations.documents.worker``)."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.messages import File

if TYPE_CHECKING:
    from integrations.documents.formats import Kind

ROOT = Path(__file__).parents[2]
WORKER = "integrations.documents.worker"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PDF = "application/pdf"
OUT_OF_TIME = (-9, -24)
"""Killed, or SIGXCPU: what a process ends with that used up its seconds."""

_BY_TYPE: Mapping[str, "Kind"] = {
    PDF: "pdf",
    DOCX: "docx",
    "text/csv": "table",
    "text/tab-separated-values": "table",
    "application/csv": "table",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/json": "text",
    "application/xml": "text",
    "application/yaml": "text",
    "application/x-yaml": "text",
    "application/toml": "text",
    "application/javascript": "text",
    "application/x-sh": "text",
    "application/sql": "text",
}
_BY_ENDING: Mapping[str, "Kind"] = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "table",
    ".tsv": "table",
    ".html": "html",
    ".htm": "html",
    ".txt": "text",
    ".md": "text",
    ".json": "text",
    ".yaml": "text",
    ".yml": "text",
    ".toml": "text",
    ".log": "text",
    ".xml": "text",
    ".py": "text",
    ".js": "text",
    ".sql": "text",
}


class NotRead(Exception):
    """A file could not be read. ``sentence`` says why, for the model and the person."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Of one file: how long it may take, what memory it may take, how much it may unpack, and how much of its text is kept."""

    seconds: int = 20
    memory_bytes_max: int = 512_000_000
    unpacked_bytes_max: int = 50_000_000
    text_bytes_max: int = 200_000


def kind_of(file: File) -> "Kind | None":
    """By what the file begins with, then its type, then its name; None where it has no text that can be read here."""
    if file.data.startswith(b"%PDF-"):
        return "pdf"
    media_type = file.media_type.partition(";")[0].strip().casefold()
    ending = Path(file.name).suffix.casefold()
    by_name = _BY_ENDING.get(ending)
    if kind := _BY_TYPE.get(media_type):
        return kind
    if media_type.startswith("text/"):
        return by_name if by_name in ("table", "html") else "text"
    # Where the platform does not know what it is, the name says it.
    return by_name if media_type in ("", "application/octet-stream", "application/zip") else None


class DocumentReader:
    """Reads ``at_once`` files at the same time; more of them wait."""

    def __init__(self, at_once: int = 2) -> None:
        self._room = asyncio.Semaphore(at_once)

    async def read(self, file: File, limits: ReadingLimits) -> str:
        """The text of the file; empty where none can be read here, and a model has to read the file itself.

        Raises ``NotRead``. On return, also where it is cancelled, nothing of it runs any more.
        """
        kind = kind_of(file)
        if kind is None:
            return ""
        async with self._room:
            answer = await _asked(kind, file.data, limits)
        if "text" in answer:
            # A scan: a model that reads files sees what is on it.
            if not answer["text"].strip() and kind != "pdf":
                raise NotRead(_sentence("empty", limits))
            return answer["text"].strip()
        raise NotRead(_sentence(answer["failed"], limits))


async def _asked(kind: "Kind", data: bytes, limits: ReadingLimits) -> Mapping[str, str]:
    asked = {
        "kind": kind,
        "memory_bytes_max": limits.memory_bytes_max,
        "seconds": limits.seconds,
        "text_bytes_max": limits.text_bytes_max,
        "unpacked_bytes_max": limits.unpacked_bytes_max,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", WORKER),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        # Nothing of ours is in it: no key, no setting. Windows starts no program without some of its own.
        env=None if sys.platform == "win32" else {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.seconds):
            said, _ = await process.communicate(json.dumps(asked).encode() + b"\n" + data)
    except TimeoutError:
        return {"failed": "time"}
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return _answer(said, process.returncode)


def _answer(said: bytes, status: int | None) -> Mapping[str, str]:
    try:
        answer: Mapping[str, str] = json.loads(said)
    except ValueError:
        # It ended before it could say anything: by the limit on its time, of no memory for an error, or of a fault in a parser.
        return {"failed": "time" if status in OUT_OF_TIME else "memory" if status == 1 else "broken"}
    return answer


def _sentence(cause: str, limits: ReadingLimits) -> str:
    match cause:
        case "time":
            return f"Reading it took longer than {limits.seconds} seconds, and it was not read."
        case "memory":
            return f"Reading it took more than {limits.memory_bytes_max:,} bytes of memory, and it was not read."
        case "unpacked":
            return f"Unpacked it is longer than {limits.unpacked_bytes_max:,} bytes, and it was not read."
        case "limits":
            most = limits.unpacked_bytes_max
            return f"Reading it takes more work than is done for one file (of {most:,} bytes unpacked), and it was not read."
        case "locked":
            return "It is protected with a password, and was not read."
        case "entities":
            return "It declares entities of its own, which can be made to do harm, and it was not read."
        case "binary":
            return "It is no text, whatever its name says, and was not read."
        case "empty":
            return "There is no text in it."
        case _:
            return "It is damaged, or not what its name says, and could not be read."
