"""Runs the program many times as forks of one process that has imported all of it already: a start costs next to nothing.

python -m tests.faults.forked URL. Each line of input is JSON: ``folder``, ``environment``, ``step`` (see
``tests.faults.killed``) and ``arguments``. It answers with a line when one has begun and one when it has ended:
``{"begun": PID}``, ``{"ended": PID, "status": N}``, with a negative number for the signal that ended it.
"""

import importlib
import json
import os
import select
import signal
import sys
from typing import Any

from tests.fakes.discord_program import be_patient, connect_to, hurry
from tests.faults.killed import run_until

IMPORTED_LATE = ("aiohttp", "discord", "adapters.scripted", "bot.app", "integrations.storage.sqlite")


def main(url: str) -> None:
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    connect_to(url)
    hurry()
    be_patient()
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(write)
    begun, lines = set[int](), b""
    while True:
        ready, _, _ = select.select([0, read], [], [])
        if read in ready:
            os.read(read, 4096)
            _reap(begun)
        if 0 in ready:
            said = os.read(0, 1 << 20)
            if not said:
                break
            *whole, lines = (lines + said).split(b"\n")
            for line in whole:
                pid = _begin(json.loads(line))
                begun.add(pid)
                _tell({"begun": pid})
    for pid in begun:
        os.kill(pid, signal.SIGKILL)


def _begin(wanted: dict[str, Any]) -> int:
    if pid := os.fork():
        return pid
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(wanted["folder"])
    os.environ.clear()  # noqa: TID251  # of a program that is about to begin
    os.environ.update(wanted["environment"])  # noqa: TID251  # as above
    nothing, log = os.open(os.devnull, os.O_RDWR), os.open("log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    status = 1
    try:
        status = run_until(wanted["step"], wanted["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _reap(begun: set[int]) -> None:
    for pid in tuple(begun):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            begun.discard(pid)
            _tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(said: dict[str, int]) -> None:
    os.write(1, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
