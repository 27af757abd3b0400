"""Processes that are killed or paused: forked from one that has imported everything, so that a round takes milliseconds."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

WAIT_MAX_S = 60

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.writers", "tests.faults.payments_play", "tests.faults.limited"])


@dataclass(frozen=True)
class Child:
    process: ForkServerProcess
    acks: Connection

    def acknowledged(self) -> Any:
        """The next acknowledgement. Raises ``EOFError`` where the process has ended without one."""
        assert self.acks.poll(WAIT_MAX_S)
        return self.acks.recv()

    def rest(self) -> list[Any]:
        """What it acknowledged up to its end."""
        said: list[Any] = []
        try:
            while True:
                said.append(self.acknowledged())
        except EOFError:
            return said

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def ended(self) -> int:
        """Its status, once it has ended: below 0 is the signal that ended it."""
        self.process.join(WAIT_MAX_S)
        assert self.process.exitcode is not None
        return self.process.exitcode


@contextmanager
def child(target: Callable[..., None], *arguments: object) -> Iterator[Child]:
    """Runs ``target(acks, *arguments)``, and is killed at the end of the block if it still runs."""
    ours, theirs = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=target, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        yield Child(process, ours)
    finally:
        process.kill()
        process.join(WAIT_MAX_S)
        process.close()
        ours.close()
