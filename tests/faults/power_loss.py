"""Power that is lost under SQLite, worked out from what a program did to its files.

A program runs once under a small library (``power_loss.c``) that writes down each write, cut, removal and flush, in order. From
that, what a disk may hold when the power goes at any of these moments is made as often as is wanted: all that was flushed, and
of the rest any part, in any order, torn at sectors. The model: a flush covers what was written to that file before it; a file's
name is there once the file is; a removal is sure once the folder was flushed, or a file of that name was made anew. Shared
memory is gone.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

from tests.processes import PROJECT

SECTOR_BYTES = 512
TIME_MAX_S = 60
ACKS = "acks"
FOLDER = "."

_LINE = re.compile(rb"(write|cut|flush|unlink) (\d+) (\d+) (\S+)\n")


@dataclass(frozen=True)
class Step:
    kind: Literal["write", "cut", "flush", "unlink"]
    name: str
    offset: int
    data: bytes


@dataclass
class _File:
    """``safe`` is what survives, ``loose`` what was done since."""

    safe: bytearray = field(default_factory=bytearray)
    loose: list[Step] = field(default_factory=list)
    there: bool = True


def build_library(folder: Path) -> Path:
    library = folder / "power_loss.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


def run_recorded(library: Path, folder: Path, *program: str) -> list[Step]:
    """Run ``python -m PROGRAM`` and give what it did to the files of ``folder``."""
    journal = folder.with_name(folder.name + ".journal")
    settings = {"LD_PRELOAD": library, "POWER_LOSS_FOLDER": folder, "POWER_LOSS_JOURNAL": journal}
    assignments = [f"{name}={value}" for name, value in settings.items()]
    subprocess.run(["env", *assignments, sys.executable, "-m", *program], check=True, cwd=PROJECT, timeout=TIME_MAX_S)
    return _read(journal.read_bytes())


def _read(journal: bytes) -> list[Step]:
    steps: list[Step] = []
    place = 0
    while place < len(journal):
        line = _LINE.match(journal, place)
        assert line is not None
        kind, offset, length, name = line.groups()
        place = line.end() + int(length)
        assert kind in (b"write", b"cut", b"flush", b"unlink")
        steps.append(Step(kind.decode(), name.decode(), int(offset), journal[line.end() : place]))  # type: ignore[arg-type]
    return steps


def acknowledged(steps: Sequence[Step]) -> set[int]:
    return {int(line) for step in steps if step.name == ACKS for line in step.data.split()}


def lose_power(steps: Sequence[Step], random: Random, folder: Path) -> None:
    """Make ``folder`` what a disk may hold after these steps."""
    files: dict[str, _File] = {}
    for step in steps:
        if step.name == ACKS:
            continue
        if step.name == FOLDER:
            for file in files.values():
                file.safe = file.safe if file.there else bytearray()
            continue
        file = files.setdefault(step.name, _File())
        match step.kind:
            case "flush":
                for loose in file.loose:
                    _do(file, loose, len(loose.data))
                file.loose.clear()
            case "unlink":
                file.loose, file.there = [], False
            case _:
                if not file.there:  # made anew, and so the removal has happened
                    file.safe, file.there = bytearray(), True
                file.loose.append(step)
    folder.mkdir()
    kept_of_10 = random.choice((0, 5, 9, 10))
    for name, file in files.items():
        if not file.there and random.randrange(2):
            continue
        for loose in file.loose:
            if random.randrange(10) < kept_of_10:
                torn = random.randrange(5) == 0
                sectors = random.randrange(len(loose.data) // SECTOR_BYTES + 1)
                _do(file, loose, sectors * SECTOR_BYTES if torn else len(loose.data))
        if file.there or file.safe:
            (folder / name).write_bytes(file.safe)


def _do(file: _File, step: Step, length: int) -> None:
    if step.kind == "cut":
        del file.safe[step.offset :]
        file.safe.extend(bytes(step.offset - len(file.safe)))
        return
    if length:
        file.safe.extend(bytes(max(0, step.offset - len(file.safe))))
        file.safe[step.offset : step.offset + length] = step.data[:length]
